#![forbid(unsafe_code)]
//! Segment descriptors and selectors, and the numbers of Linux's GDT.
//!
//! A descriptor is eight bytes in which base and limit are scattered, for the sake of the 80286;
//! these functions compose and decompose them. The per-CPU GDT, `load_TLS` and the LDT use them, on
//! any stack: nothing here touches the machine.
//!
//! Book: ch. 2, "Segmentation in Hardware", "The Linux GDT".
//! Linux: `struct desc_struct`, `asm/segment.h`, `asm/desc_defs.h`.
//! SDM: vol. 3, 3.4.2 "Segment Selectors", 3.4.5 "Segment Descriptors".

use core::fmt;

/// Number of entries in each CPU's GDT.
pub const GDT_ENTRIES: usize = 32;
/// Size of the GDT in bytes; its limit register holds one less.
pub const GDT_SIZE: usize = GDT_ENTRIES * 8;

/// First of the three thread-local-storage entries.
pub const GDT_ENTRY_TLS_MIN: usize = 6;
/// Last of the three thread-local-storage entries.
pub const GDT_ENTRY_TLS_MAX: usize = 8;
/// Number of TLS entries of a task.
pub const GDT_ENTRY_TLS_ENTRIES: usize = GDT_ENTRY_TLS_MAX - GDT_ENTRY_TLS_MIN + 1;

/// Entry of the flat kernel code segment.
pub const GDT_ENTRY_KERNEL_CS: usize = 12;
/// Entry of the flat kernel data segment; SYSENTER requires that it follow the code entry.
pub const GDT_ENTRY_KERNEL_DS: usize = 13;
/// Entry of the flat user code segment; SYSEXIT requires that it lie 16 bytes after kernel code.
pub const GDT_ENTRY_DEFAULT_USER_CS: usize = 14;
/// Entry of the flat user data segment; SYSEXIT requires that it lie 24 bytes after kernel code.
pub const GDT_ENTRY_DEFAULT_USER_DS: usize = 15;
/// Entry of this CPU's task-state segment.
pub const GDT_ENTRY_TSS: usize = 16;
/// Entry of the LDT of the running address space.
pub const GDT_ENTRY_LDT: usize = 17;
/// Entry of the 16-bit stack that hides the kernel's esp from 16-bit user code.
pub const GDT_ENTRY_ESPFIX_SS: usize = 26;
/// Entry of the per-CPU area, in %fs while in the kernel.
pub const GDT_ENTRY_PERCPU: usize = 27;
/// Entry of this CPU's stack canary (%gs:20 in kernels built with it).
pub const GDT_ENTRY_STACK_CANARY: usize = 28;
/// Entry of the TSS of the double-fault task.
pub const GDT_ENTRY_DOUBLEFAULT_TSS: usize = 31;

/// Selector of the kernel's code segment (`__KERNEL_CS`), 0x60.
#[doc(alias = "__KERNEL_CS")]
pub const KERNEL_CS: Selector = Selector::gdt(GDT_ENTRY_KERNEL_CS, 0);
/// Selector of the kernel's data segment (`__KERNEL_DS`), 0x68.
#[doc(alias = "__KERNEL_DS")]
pub const KERNEL_DS: Selector = Selector::gdt(GDT_ENTRY_KERNEL_DS, 0);
/// Selector of the user's code segment (`__USER_CS`), 0x73.
#[doc(alias = "__USER_CS")]
pub const USER_CS: Selector = Selector::gdt(GDT_ENTRY_DEFAULT_USER_CS, 3);
/// Selector of the user's data segment (`__USER_DS`), 0x7b.
#[doc(alias = "__USER_DS")]
pub const USER_DS: Selector = Selector::gdt(GDT_ENTRY_DEFAULT_USER_DS, 3);
/// Selector of this CPU's TSS, 0x80, which `str` reads.
pub const TSS_SELECTOR: Selector = Selector::gdt(GDT_ENTRY_TSS, 0);
/// Selector of the LDT, 0x88, which `sldt` reads while an LDT is loaded.
pub const LDT_SELECTOR: Selector = Selector::gdt(GDT_ENTRY_LDT, 0);
/// Selector of the 16-bit stack (`__ESPFIX_SS`), 0xd0.
#[doc(alias = "__ESPFIX_SS")]
pub const ESPFIX_SS: Selector = Selector::gdt(GDT_ENTRY_ESPFIX_SS, 0);
/// Selector of the per-CPU area (`__KERNEL_PERCPU`), 0xd8; in %fs while in the kernel.
#[doc(alias = "__KERNEL_PERCPU")]
pub const KERNEL_PERCPU: Selector = Selector::gdt(GDT_ENTRY_PERCPU, 0);
/// Selector of the stack canary (`__KERNEL_STACK_CANARY`), 0xe0.
#[doc(alias = "__KERNEL_STACK_CANARY")]
pub const KERNEL_STACK_CANARY: Selector = Selector::gdt(GDT_ENTRY_STACK_CANARY, 0);
/// Selector of the double-fault TSS, 0xf8, which IDT vector 8 names.
pub const DOUBLEFAULT_TSS_SELECTOR: Selector = Selector::gdt(GDT_ENTRY_DOUBLEFAULT_TSS, 0);

/// A segment selector: index (bits 3–15), table (bit 2), privilege (bits 0–1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct Selector(pub u16);

impl Selector {
    /// The null selector, which may be loaded into ds, es, fs or gs but not used.
    pub const NULL: Selector = Selector(0);

    /// Returns the selector of GDT entry `index` (0–8191) with requested privilege `rpl` (0–3).
    pub const fn gdt(index: usize, rpl: u8) -> Self {
        assert!(index < 8192 && rpl < 4);
        Selector((index as u16) << 3 | rpl as u16)
    }

    /// Returns the selector of LDT entry `index` (0–8191) with requested privilege `rpl` (0–3).
    pub const fn ldt(index: usize, rpl: u8) -> Self {
        Selector(Self::gdt(index, rpl).0 | 1 << 2)
    }

    /// Returns the number of the entry in its table.
    pub const fn index(self) -> usize {
        (self.0 >> 3) as usize
    }

    /// Returns the requested privilege level, 0–3.
    pub const fn rpl(self) -> u8 {
        (self.0 & 3) as u8
    }

    /// Returns the table-indicator bit: true for the LDT, false for the GDT.
    pub const fn ti(self) -> bool {
        self.0 & 1 << 2 != 0
    }

    /// Returns the 16 bits for an instruction.
    pub const fn bits(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x}", self.0)
    }
}

// Bits of the second word (b).
const TYPE_SHIFT: u32 = 8;
const S: u32 = 1 << 12;
const DPL_SHIFT: u32 = 13;
const P: u32 = 1 << 15;
const AVL: u32 = 1 << 20;
const D_B: u32 = 1 << 22;
const G: u32 = 1 << 23;

/// Segment type (with S = 1): data, read/write, not yet accessed.
pub const TYPE_DATA_RW: u8 = 0x2;
/// Segment type (with S = 1): code, execute/read, not yet accessed.
pub const TYPE_CODE_XR: u8 = 0xa;
/// System type (S = 0): LDT.
pub const TYPE_LDT: u8 = 0x2;
/// System type (S = 0): 32-bit TSS, available.
pub const TYPE_TSS_AVAILABLE: u8 = 0x9;
/// System type (S = 0): 32-bit TSS, busy; `ltr` changes an available one into it.
pub const TYPE_TSS_BUSY: u8 = 0xb;

/// An eight-byte segment descriptor, as two words like Linux's `desc_struct`.
///
/// `a`: limit 0–15, base 0–15. `b`: base 16–23, type, S, DPL, P, limit 16–19,
/// AVL, L, D/B, G, base 24–31.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(C)]
pub struct DescStruct {
    /// Low word: bytes 0–3.
    pub a: u32,
    /// High word: bytes 4–7.
    pub b: u32,
}

const _: () = assert!(size_of::<DescStruct>() == 8);

impl DescStruct {
    /// The all-zero descriptor: not present, unusable.
    pub const EMPTY: DescStruct = DescStruct { a: 0, b: 0 };

    /// Returns a flat 4 GiB code segment, execute/read, 32-bit.
    pub const fn flat_code(dpl: u8) -> Self {
        Self::segment(0, u32::MAX, TYPE_CODE_XR, dpl)
    }

    /// Returns a flat 4 GiB data segment, read/write, 32-bit.
    pub const fn flat_data(dpl: u8) -> Self {
        Self::segment(0, u32::MAX, TYPE_DATA_RW, dpl)
    }

    /// Returns a read/write data segment at linear address `base`; `limit_bytes` is the last valid
    /// offset. From 1 MiB on, the limit counts pages and is rounded up to the end of its page.
    pub const fn data(base: u32, limit_bytes: u32, dpl: u8) -> Self {
        Self::segment(base, limit_bytes, TYPE_DATA_RW, dpl)
    }

    /// Returns an available 32-bit TSS at linear address `base`; `limit_bytes` is the offset of its
    /// last byte.
    pub const fn tss(base: u32, limit_bytes: u32) -> Self {
        Self::pack(
            base,
            limit_bytes,
            (TYPE_TSS_AVAILABLE as u32) << TYPE_SHIFT | P,
        )
    }

    /// Returns an LDT of `entries` descriptors (1–8192) at linear address `base`.
    pub const fn ldt(base: u32, entries: u32) -> Self {
        assert!(entries >= 1 && entries <= 8192);
        Self::pack(base, entries * 8 - 1, (TYPE_LDT as u32) << TYPE_SHIFT | P)
    }

    const fn segment(base: u32, limit_bytes: u32, typ: u8, dpl: u8) -> Self {
        assert!(dpl < 4);
        let attributes = (typ as u32) << TYPE_SHIFT | S | (dpl as u32) << DPL_SHIFT | P | D_B;
        Self::pack(base, limit_bytes, attributes)
    }

    const fn pack(base: u32, limit_bytes: u32, attributes: u32) -> Self {
        let (limit, g) = match limit_bytes {
            0..=0xf_ffff => (limit_bytes, 0),
            _ => (limit_bytes >> 12, G),
        };
        Self::from_parts(base, limit, attributes | g)
    }

    /// Scatters `base` and the raw 20-bit `limit` into the two words and adds `attributes`, which
    /// already has its position in `b`.
    pub const fn from_parts(base: u32, limit: u32, attributes: u32) -> Self {
        DescStruct {
            a: (base & 0xffff) << 16 | limit & 0xffff,
            b: base & 0xff00_0000
                | limit & 0x000f_0000
                | base >> 16 & 0xff
                | attributes & 0x00f0_ff00,
        }
    }

    /// Returns the descriptor of eight bytes given as one little-endian number.
    pub const fn from_u64(raw: u64) -> Self {
        DescStruct {
            a: raw as u32,
            b: (raw >> 32) as u32,
        }
    }

    /// Returns the eight bytes as one little-endian number.
    pub const fn as_u64(self) -> u64 {
        (self.b as u64) << 32 | self.a as u64
    }

    /// Returns the linear address of the segment's first byte.
    pub const fn base(self) -> u32 {
        self.b & 0xff00_0000 | (self.b & 0xff) << 16 | self.a >> 16
    }

    /// Returns the stored 20-bit limit: in bytes, or in pages if [`Self::page_granular`].
    pub const fn limit_raw(self) -> u32 {
        self.b & 0x000f_0000 | self.a & 0xffff
    }

    /// Returns the offset of the last byte inside the segment.
    pub const fn limit_bytes(self) -> u32 {
        if self.page_granular() {
            self.limit_raw() << 12 | 0xfff
        } else {
            self.limit_raw()
        }
    }

    /// Returns the four type bits, whose meaning depends on [`Self::is_code_or_data`].
    pub const fn segment_type(self) -> u8 {
        (self.b >> TYPE_SHIFT & 0xf) as u8
    }

    /// Returns the S bit: set for a code or data segment, clear for a system segment.
    pub const fn is_code_or_data(self) -> bool {
        self.b & S != 0
    }

    /// Returns whether this is a code segment (S set and type bit 3 set).
    pub const fn is_code(self) -> bool {
        self.is_code_or_data() && self.segment_type() & 8 != 0
    }

    /// Returns the descriptor privilege level, 0–3.
    pub const fn dpl(self) -> u8 {
        (self.b >> DPL_SHIFT & 3) as u8
    }

    /// Returns the P bit: the segment is present.
    pub const fn present(self) -> bool {
        self.b & P != 0
    }

    /// Returns the AVL bit, which is free for software (`useable` in a `user_desc`).
    pub const fn available(self) -> bool {
        self.b & AVL != 0
    }

    /// Returns the D/B bit: 32-bit operands and stack.
    pub const fn is_32bit(self) -> bool {
        self.b & D_B != 0
    }

    /// Returns the G bit: the limit counts 4 KiB pages.
    pub const fn page_granular(self) -> bool {
        self.b & G != 0
    }

    /// Returns whether all 64 bits are zero.
    #[doc(alias = "desc_empty")]
    pub const fn is_empty(self) -> bool {
        self.a | self.b == 0
    }
}

impl fmt::Debug for DescStruct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.as_u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn flat_segments_are_linuxs_words() {
        assert_eq!(DescStruct::flat_code(0).as_u64(), 0x00cf_9a00_0000_ffff);
        assert_eq!(DescStruct::flat_data(0).as_u64(), 0x00cf_9200_0000_ffff);
        assert_eq!(DescStruct::flat_code(3).as_u64(), 0x00cf_fa00_0000_ffff);
        assert_eq!(DescStruct::flat_data(3).as_u64(), 0x00cf_f200_0000_ffff);
    }

    #[test]
    fn selectors_are_linuxs_numbers() {
        let expected = [
            (KERNEL_CS, 0x60),
            (KERNEL_DS, 0x68),
            (USER_CS, 0x73),
            (USER_DS, 0x7b),
            (TSS_SELECTOR, 0x80),
            (LDT_SELECTOR, 0x88),
            (ESPFIX_SS, 0xd0),
            (KERNEL_PERCPU, 0xd8),
            (KERNEL_STACK_CANARY, 0xe0),
            (DOUBLEFAULT_TSS_SELECTOR, 0xf8),
            (Selector::gdt(GDT_ENTRY_TLS_MIN, 3), 0x33),
            (Selector::gdt(GDT_ENTRY_TLS_MAX, 3), 0x43),
        ];
        for (selector, number) in expected {
            assert_eq!(selector.bits(), number);
        }
        assert_eq!(GDT_SIZE - 1, 0xff);
    }

    #[test]
    fn sysenter_and_sysexit_find_their_segments() {
        // SDM: SYSENTER takes ss = cs + 8; SYSEXIT cs + 16 and cs + 24, RPL 3.
        assert_eq!(KERNEL_DS.bits(), KERNEL_CS.bits() + 8);
        assert_eq!(USER_CS.bits(), (KERNEL_CS.bits() + 16) | 3);
        assert_eq!(USER_DS.bits(), (KERNEL_CS.bits() + 24) | 3);
    }

    #[test]
    fn tss_and_ldt_are_present_system_segments() {
        let tss = DescStruct::tss(0xc012_3480, 8296);
        assert_eq!(tss.as_u64(), 0xc000_8912_3480_2068);
        assert!(tss.present() && !tss.is_code_or_data() && tss.dpl() == 0);
        assert_eq!(tss.segment_type(), TYPE_TSS_AVAILABLE);
        let ldt = DescStruct::ldt(0xc100_0000, 8192);
        assert_eq!((ldt.base(), ldt.limit_bytes()), (0xc100_0000, 65535));
        assert_eq!(ldt.b & 0xff00, 0x8200);
    }

    #[test]
    fn limit_turns_to_pages_at_one_mebibyte() {
        assert!(!DescStruct::data(0, 0xf_ffff, 0).page_granular());
        let pages = DescStruct::data(0, 0x10_0000, 0);
        assert!(pages.page_granular());
        assert_eq!(pages.limit_bytes(), 0x10_0fff);
    }

    proptest! {
        #[test]
        fn base_limit_and_dpl_survive(base: u32, limit: u32, dpl in 0u8..4) {
            let desc = DescStruct::data(base, limit, dpl);
            prop_assert_eq!(desc.base(), base);
            prop_assert_eq!(desc.dpl(), dpl);
            prop_assert!(desc.present() && desc.is_32bit() && !desc.is_code());
            let expected = if limit <= 0xf_ffff { limit } else { limit | 0xfff };
            prop_assert_eq!(desc.limit_bytes(), expected);
        }

        #[test]
        fn selector_parts_add_up(raw: u16) {
            let selector = Selector(raw);
            let (index, rpl) = (selector.index(), selector.rpl());
            let back = if selector.ti() { Selector::ldt(index, rpl) } else { Selector::gdt(index, rpl) };
            prop_assert_eq!(back, selector);
        }

        #[test]
        fn words_and_number_agree(raw: u64) {
            let desc = DescStruct::from_u64(raw);
            prop_assert_eq!(desc.as_u64(), raw);
            let rebuilt = DescStruct::from_parts(desc.base(), desc.limit_raw(), desc.b);
            prop_assert_eq!(rebuilt, desc);
        }
    }
}
