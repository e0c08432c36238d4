#![forbid(unsafe_code)]
//! The hardware TSS, the I/O bitmap behind it, and the limit around both.
//!
//! Each CPU has one [`TssStruct`], loaded once by `ltr`; no task has its own.
//! The processor reads two things from it: `sp0`/`ss0` on every entry from ring
//! 3, and the I/O bitmap on every `in` and `out` above IOPL. The process switch
//! writes both, on next's stack.
//!
//! ```text
//! offset 0 104 bytes X86HwTss (I/O map base at 102)
//!         104  8192       io_bitmap: one bit a port, 0 = granted
//!        8296  1          the byte of ones: the last byte inside the limit
//!        8297  3          the rest of Linux's 2049th long, outside the limit
//!        8300  256        stack: where SYSENTER_ESP points to the end of
//! ```
//!
//! The processor reads *two* bytes for each access, at `base + port / 8` and
//! the next one, and denies it unless both lie inside the limit and every bit
//! of the access is 0. So port 65535 needs byte 8192 inside (or it can never be
//! granted), and that byte must be ones (or a word at 65535 would be granted).
//! A limit of 8296 is the exact one; Linux's 8299 takes in the whole long, of
//! which the last three bytes are never read.
//!
//! Book: ch. 3, "Task State Segment".
//! Linux: `struct x86_hw_tss`, `struct tss_struct` (2.6.38).
//! SDM: vol. 3, 7.2.1 "Task-State Segment (TSS)"; vol. 1, 18.5.2 "I/O Permission Bit Map".

use core::mem::offset_of;

/// Number of I/O ports, and so of bits in the bitmap.
pub const IO_BITMAP_BITS: usize = 65536;
/// Size of the bitmap in bytes.
pub const IO_BITMAP_BYTES: usize = IO_BITMAP_BITS / 8;
/// Offset of the bitmap in the TSS: the only valid I/O map base.
pub const IO_BITMAP_OFFSET: u16 = offset_of!(TssStruct, io_bitmap) as u16;
/// An I/O map base past any limit, which denies every port.
pub const INVALID_IO_BITMAP_OFFSET: u16 = 0x8000;
/// Another base past any limit, which says that the running task has ports that the bitmap does not
/// show yet.
pub const INVALID_IO_BITMAP_OFFSET_LAZY: u16 = 0x9000;
/// Limit of the TSS descriptor, in bytes: the byte of ones is the last inside.
#[doc(alias = "__KERNEL_TSS_LIMIT")]
pub const KERNEL_TSS_LIMIT: u32 = offset_of!(TssStruct, end) as u32;
/// Number of words of the stack after the bitmap.
pub const SYSENTER_STACK_LONGS: usize = 64;
/// `sp0` as seen from the end of [`TssStruct`], in bytes: the first instruction
/// of the sysenter entry is `movl TSS_SYSENTER_SP0(%esp), %esp`.
#[doc(alias = "TSS_sysenter_sp0")]
pub const TSS_SYSENTER_SP0: isize =
    offset_of!(TssStruct, x86_tss.sp0) as isize - size_of::<TssStruct>() as isize;

/// The 104 bytes that the processor defines. Fields ending in `h` are the unused
/// high halves of 16-bit ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct X86HwTss {
    pub back_link: u16,
    pub __blh: u16,
    /// Kernel stack top of the running task: esp after an entry from ring 3.
    pub sp0: u32,
    pub ss0: u16,
    pub __ss0h: u16,
    /// Free for software, since ring 1 is unused.
    pub sp1: u32,
    /// Free for software; caches the value of the SYSENTER_CS register.
    pub ss1: u16,
    pub __ss1h: u16,
    pub sp2: u32,
    pub ss2: u16,
    pub __ss2h: u16,
    pub cr3: u32,
    pub ip: u32,
    pub flags: u32,
    pub ax: u32,
    pub cx: u32,
    pub dx: u32,
    pub bx: u32,
    pub sp: u32,
    pub bp: u32,
    pub si: u32,
    pub di: u32,
    pub es: u16,
    pub __esh: u16,
    pub cs: u16,
    pub __csh: u16,
    pub ss: u16,
    pub __ssh: u16,
    pub ds: u16,
    pub __dsh: u16,
    pub fs: u16,
    pub __fsh: u16,
    pub gs: u16,
    pub __gsh: u16,
    pub ldt: u16,
    pub __ldth: u16,
    /// Bit 0 (T): a hardware task switch to this TSS raises #DB.
    pub trace: u16,
    /// Offset of the I/O bitmap from the start of the TSS.
    pub io_bitmap_base: u16,
}

const _: () = {
    assert!(size_of::<X86HwTss>() == 104);
    assert!(offset_of!(X86HwTss, sp0) == 4);
    assert!(offset_of!(X86HwTss, ss0) == 8);
    assert!(offset_of!(X86HwTss, sp1) == 12);
    assert!(offset_of!(X86HwTss, ss1) == 16);
    assert!(offset_of!(X86HwTss, cr3) == 28);
    assert!(offset_of!(X86HwTss, ip) == 32);
    assert!(offset_of!(X86HwTss, flags) == 36);
    assert!(offset_of!(X86HwTss, sp) == 56);
    assert!(offset_of!(X86HwTss, es) == 72);
    assert!(offset_of!(X86HwTss, ldt) == 96);
    assert!(offset_of!(X86HwTss, io_bitmap_base) == 102);
};

impl X86HwTss {
    /// A TSS of zeroes.
    pub const ZERO: X86HwTss = X86HwTss {
        back_link: 0,
        __blh: 0,
        sp0: 0,
        ss0: 0,
        __ss0h: 0,
        sp1: 0,
        ss1: 0,
        __ss1h: 0,
        sp2: 0,
        ss2: 0,
        __ss2h: 0,
        cr3: 0,
        ip: 0,
        flags: 0,
        ax: 0,
        cx: 0,
        dx: 0,
        bx: 0,
        sp: 0,
        bp: 0,
        si: 0,
        di: 0,
        es: 0,
        __esh: 0,
        cs: 0,
        __csh: 0,
        ss: 0,
        __ssh: 0,
        ds: 0,
        __dsh: 0,
        fs: 0,
        __fsh: 0,
        gs: 0,
        __gsh: 0,
        ldt: 0,
        __ldth: 0,
        trace: 0,
        io_bitmap_base: 0,
    };
}

/// A CPU's TSS with its bitmap. The alignment keeps the hardware part within
/// one page and one pair of cache lines.
#[derive(Clone, Debug)]
#[repr(C, align(128))]
pub struct TssStruct {
    /// The part that the processor reads and writes.
    pub x86_tss: X86HwTss,
    /// One bit for each port; 0 grants it.
    pub io_bitmap: [u8; IO_BITMAP_BYTES],
    /// The byte of ones, padded to a long.
    pub end: [u8; 4],
    /// Stack of the sysenter entry until it has loaded `sp0`: an NMI or a debug
    /// trap on its first instruction lands here.
    pub stack: [u32; SYSENTER_STACK_LONGS],
}

const _: () = {
    assert!(IO_BITMAP_OFFSET == 104);
    assert!(KERNEL_TSS_LIMIT == 104 + 8192);
    assert!(offset_of!(TssStruct, stack) == 104 + 2049 * 4);
    assert!(INVALID_IO_BITMAP_OFFSET as u32 > KERNEL_TSS_LIMIT);
    assert!(size_of::<TssStruct>() == 8576);
};

impl TssStruct {
    /// Returns a TSS that denies every port, with the bitmap in force and ring-0 stack segment
    /// `ss0`.
    pub const fn new(ss0: u16) -> Self {
        let mut x86_tss = X86HwTss::ZERO;
        x86_tss.ss0 = ss0;
        x86_tss.io_bitmap_base = IO_BITMAP_OFFSET;
        TssStruct {
            x86_tss,
            io_bitmap: [0xff; IO_BITMAP_BYTES],
            end: [0xff; 4],
            stack: [0; SYSENTER_STACK_LONGS],
        }
    }

    /// Returns whether the processor permits an access of `width` bytes at `port` to a program
    /// above IOPL, with this TSS loaded and descriptor limit `limit`.
    pub fn io_permitted(&self, limit: u32, port: u16, width: u8) -> bool {
        let byte_at = |offset: usize| match offset.checked_sub(IO_BITMAP_OFFSET as usize) {
            Some(at) => self
                .io_bitmap
                .iter()
                .chain(&self.end)
                .nth(at)
                .copied()
                .unwrap_or(0),
            None => 0,
        };
        check(byte_at, self.x86_tss.io_bitmap_base, limit, port, width)
    }
}

impl Default for TssStruct {
    fn default() -> Self {
        Self::new(super::desc::KERNEL_DS.bits())
    }
}

/// Models the hardware's check: returns whether a program above IOPL may access the `width` ports
/// (1, 2 or 4) from `port` on.
///
/// `bitmap` is the TSS from [`IO_BITMAP_OFFSET`] to its end; `limit` is the descriptor's. A byte
/// inside the limit but past `bitmap` could have any value, so the model assumes the worst: zero,
/// granted.
pub fn io_permitted(bitmap: &[u8], limit: u32, port: u16, width: u8) -> bool {
    let byte_at = |offset: usize| match offset.checked_sub(IO_BITMAP_OFFSET as usize) {
        Some(at) => bitmap.get(at).copied().unwrap_or(0),
        None => 0,
    };
    check(byte_at, IO_BITMAP_OFFSET, limit, port, width)
}

fn check(byte_at: impl Fn(usize) -> u8, base: u16, limit: u32, port: u16, width: u8) -> bool {
    debug_assert!(matches!(width, 1 | 2 | 4));
    let first = base as usize + port as usize / 8;
    let second = first + 1;
    if second > limit as usize {
        return false;
    }
    let bits = u16::from_le_bytes([byte_at(first), byte_at(second)]);
    let mask = (1u16 << width) - 1;
    bits >> (port % 8) & mask == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn granting(ports: impl IntoIterator<Item = u16>) -> Box<TssStruct> {
        let mut tss = Box::new(TssStruct::default());
        for port in ports {
            tss.io_bitmap[port as usize / 8] &= !(1 << (port % 8));
        }
        tss
    }

    #[test]
    fn a_fresh_tss_denies_every_port() {
        let tss = TssStruct::default();
        assert!((0..=65535).all(|port| !tss.io_permitted(KERNEL_TSS_LIMIT, port, 1)));
        assert_eq!(tss.x86_tss.ss0, 0x68);
    }

    #[test]
    fn the_last_port_can_be_granted_but_no_word_there() {
        let tss = granting([65534, 65535]);
        assert!(tss.io_permitted(KERNEL_TSS_LIMIT, 65535, 1));
        assert!(tss.io_permitted(KERNEL_TSS_LIMIT, 65534, 2));
        assert!(!tss.io_permitted(KERNEL_TSS_LIMIT, 65535, 2));
        assert!(!tss.io_permitted(KERNEL_TSS_LIMIT, 65534, 4));
        // With one byte less the last eight ports are lost.
        assert!(!tss.io_permitted(KERNEL_TSS_LIMIT - 1, 65535, 1));
    }

    #[test]
    fn without_the_byte_of_ones_a_word_slips_through() {
        let mut tss = granting([65535]);
        tss.end[0] = 0;
        assert!(tss.io_permitted(KERNEL_TSS_LIMIT, 65535, 2));
    }

    #[test]
    fn linuxs_longer_limit_says_the_same() {
        let tss = granting(65000..=65535);
        for port in 64990..=65535 {
            for width in [1, 2, 4] {
                let exact = tss.io_permitted(KERNEL_TSS_LIMIT, port, width);
                assert_eq!(exact, tss.io_permitted(KERNEL_TSS_LIMIT + 3, port, width));
            }
        }
    }

    #[test]
    fn an_invalid_base_denies_what_the_bitmap_grants() {
        let mut tss = granting(0..=65535);
        assert!(tss.io_permitted(KERNEL_TSS_LIMIT, 0x80, 1));
        tss.x86_tss.io_bitmap_base = INVALID_IO_BITMAP_OFFSET;
        assert!((0..=65535).all(|port| !tss.io_permitted(KERNEL_TSS_LIMIT, port, 1)));
    }

    #[test]
    fn a_limit_without_bitmap_denies_every_port() {
        let tss = granting(0..=65535);
        assert!((0..=65535).all(|port| !tss.io_permitted(103, port, 1)));
    }

    #[test]
    fn sp0_lies_at_a_fixed_distance_from_the_end() {
        assert_eq!(TSS_SYSENTER_SP0, 4 - 8576);
    }

    proptest! {
        #[test]
        fn an_access_needs_each_of_its_ports(
            ports in proptest::collection::hash_set(0u16..64, 0..48),
            base in prop_oneof![Just(0u16), Just(0x3f0), Just(65535 - 63)],
            at in 0u16..64,
            width in prop_oneof![Just(1u8), Just(2), Just(4)],
        ) {
            let granted: Vec<u16> = ports.iter().map(|p| base + p).collect();
            let tss = granting(granted.iter().copied());
            let wanted = (0..width as u32).map(|i| (base + at) as u32 + i);
            let expected = wanted.clone().all(|p| granted.iter().any(|&g| g as u32 == p));
            prop_assert_eq!(tss.io_permitted(KERNEL_TSS_LIMIT, base + at, width), expected);
            let mut bitmap = tss.io_bitmap.to_vec();
            bitmap.push(0xff);
            prop_assert_eq!(io_permitted(&bitmap, KERNEL_TSS_LIMIT, base + at, width), expected);
        }
    }
}
