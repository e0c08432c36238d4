#![forbid(unsafe_code)]
//! IDT gates and the vectors that go through them.
//!
//! A gate says where an exception or interrupt enters the kernel, and who may
//! raise it by `int n`. The IDT is built once with these constructors; the trap
//! handlers take the vectors' names for their reports. Never on the switch path.
//!
//! Book: chapter 4, "Interrupt Descriptor Table", "Exceptions".
//! Linux: `asm/desc_defs.h` (`gate_desc`), `asm/irq_vectors.h`, `asm/traps.h`.
//! SDM: volume 3, 6.11 "IDT Descriptors", 6.15 "Exception and Interrupt Reference".

use core::fmt;

use super::desc::Selector;

/// Entries in the IDT.
pub const IDT_ENTRIES: usize = 256;
/// First vector that a device may use.
pub const FIRST_EXTERNAL_VECTOR: u8 = 0x20;
/// `int $0x80`: the system-call vector.
#[doc(alias = "SYSCALL_VECTOR")]
pub const IA32_SYSCALL_VECTOR: u8 = 0x80;

const P: u32 = 1 << 15;

/// What a gate does with the interrupt flag and the task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum GateType {
    /// Switches to the task whose TSS the selector names.
    Task = 0x5,
    /// 32-bit; clears IF on entry.
    Interrupt = 0xe,
    /// 32-bit; leaves IF alone.
    Trap = 0xf,
}

/// An eight-byte IDT entry.
///
/// `a`: offset 0–15, selector. `b`: type, DPL, P, offset 16–31.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Gate {
    /// Low word: bytes 0–3.
    pub a: u32,
    /// High word: bytes 4–7.
    pub b: u32,
}

const _: () = assert!(size_of::<Gate>() == 8);

impl Gate {
    /// Not present: the vector raises #NP.
    pub const EMPTY: Gate = Gate { a: 0, b: 0 };

    /// Enters at `offset` in code segment `selector` with interrupts off;
    /// `int n` is allowed from privilege `dpl` and more privileged.
    pub const fn interrupt(selector: Selector, offset: u32, dpl: u8) -> Self {
        Self::pack(GateType::Interrupt, selector, offset, dpl)
    }

    /// Like [`Gate::interrupt`], but IF stays as it was.
    pub const fn trap(selector: Selector, offset: u32, dpl: u8) -> Self {
        Self::pack(GateType::Trap, selector, offset, dpl)
    }

    /// Switches to the hardware task of TSS `selector`; not callable from ring 3.
    pub const fn task(selector: Selector) -> Self {
        Self::pack(GateType::Task, selector, 0, 0)
    }

    const fn pack(kind: GateType, selector: Selector, offset: u32, dpl: u8) -> Self {
        assert!(dpl < 4);
        Gate {
            a: (selector.bits() as u32) << 16 | offset & 0xffff,
            b: offset & 0xffff_0000 | P | (dpl as u32) << 13 | (kind as u32) << 8,
        }
    }

    /// Entry point within the segment (0 for a task gate).
    pub const fn offset(self) -> u32 {
        self.b & 0xffff_0000 | self.a & 0xffff
    }

    /// Code segment, or the TSS of a task gate.
    pub const fn selector(self) -> Selector {
        Selector((self.a >> 16) as u16)
    }

    /// Least privilege from which `int n` reaches this gate, 0–3.
    pub const fn dpl(self) -> u8 {
        (self.b >> 13 & 3) as u8
    }

    /// The P bit.
    pub const fn present(self) -> bool {
        self.b & P != 0
    }

    /// The kind, or `None` for a type that this kernel does not use.
    pub const fn kind(self) -> Option<GateType> {
        match self.b >> 8 & 0x1f {
            0x5 => Some(GateType::Task),
            0xe => Some(GateType::Interrupt),
            0xf => Some(GateType::Trap),
            _ => None,
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", (self.b as u64) << 32 | self.a as u64)
    }
}

/// The exception vectors, by the SDM's mnemonics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Vector {
    /// Divide error.
    DE = 0,
    /// Debug.
    DB = 1,
    /// Non-maskable interrupt.
    NMI = 2,
    /// Breakpoint (`int3`).
    BP = 3,
    /// Overflow (`into`).
    OF = 4,
    /// BOUND range exceeded.
    BR = 5,
    /// Invalid opcode.
    UD = 6,
    /// Device not available: the x87 and SSE switch happens here.
    NM = 7,
    /// Double fault.
    DF = 8,
    /// Coprocessor segment overrun (the 80386 only; it has no mnemonic).
    CSO = 9,
    /// Invalid TSS.
    TS = 10,
    /// Segment not present.
    NP = 11,
    /// Stack-segment fault.
    SS = 12,
    /// General protection.
    GP = 13,
    /// Page fault.
    PF = 14,
    /// x87 floating-point error.
    MF = 16,
    /// Alignment check.
    AC = 17,
    /// Machine check.
    MC = 18,
    /// SIMD floating-point exception.
    XM = 19,
}

impl Vector {
    /// Every vector named here, in order.
    pub const ALL: [Vector; 19] = [
        Vector::DE,
        Vector::DB,
        Vector::NMI,
        Vector::BP,
        Vector::OF,
        Vector::BR,
        Vector::UD,
        Vector::NM,
        Vector::DF,
        Vector::CSO,
        Vector::TS,
        Vector::NP,
        Vector::SS,
        Vector::GP,
        Vector::PF,
        Vector::MF,
        Vector::AC,
        Vector::MC,
        Vector::XM,
    ];

    /// The exception with this number; 15 and 20–31 are reserved and give `None`.
    pub const fn from_number(number: u8) -> Option<Vector> {
        match number {
            0..=14 => Some(Self::ALL[number as usize]),
            16..=19 => Some(Self::ALL[number as usize - 1]),
            _ => None,
        }
    }

    /// The processor pushes an error code.
    pub const fn has_error_code(self) -> bool {
        use Vector::*;
        matches!(self, DF | TS | NP | SS | GP | PF | AC)
    }

    /// The SDM's short form.
    pub const fn mnemonic(self) -> &'static str {
        use Vector::*;
        match self {
            DE => "#DE",
            DB => "#DB",
            NMI => "NMI",
            BP => "#BP",
            OF => "#OF",
            BR => "#BR",
            UD => "#UD",
            NM => "#NM",
            DF => "#DF",
            CSO => "coprocessor segment overrun",
            TS => "#TS",
            NP => "#NP",
            SS => "#SS",
            GP => "#GP",
            PF => "#PF",
            MF => "#MF",
            AC => "#AC",
            MC => "#MC",
            XM => "#XM",
        }
    }
}

impl fmt::Display for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.mnemonic())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::desc::{DOUBLEFAULT_TSS_SELECTOR, KERNEL_CS};
    use proptest::prelude::*;

    #[test]
    fn gates_have_the_words_of_the_manual() {
        let gate = Gate::interrupt(KERNEL_CS, 0xc010_2345, 0);
        assert_eq!((gate.a, gate.b), (0x0060_2345, 0xc010_8e00));
        let gate = Gate::trap(KERNEL_CS, 0xc010_2345, 3);
        assert_eq!((gate.a, gate.b), (0x0060_2345, 0xc010_ef00));
        let gate = Gate::task(DOUBLEFAULT_TSS_SELECTOR);
        assert_eq!((gate.a, gate.b), (0x00f8_0000, 0x0000_8500));
        assert!(!Gate::EMPTY.present());
        assert_eq!(Gate::EMPTY.kind(), None);
    }

    #[test]
    fn vectors_know_their_numbers() {
        for vector in Vector::ALL {
            assert_eq!(Vector::from_number(vector as u8), Some(vector));
        }
        for reserved in (20..=255).chain([15]) {
            assert_eq!(Vector::from_number(reserved), None);
        }
    }

    #[test]
    fn error_codes_are_pushed_by_seven_vectors() {
        let pushing: Vec<u8> = Vector::ALL
            .into_iter()
            .filter(|v| v.has_error_code())
            .map(|v| v as u8)
            .collect();
        assert_eq!(pushing, [8, 10, 11, 12, 13, 14, 17]);
    }

    proptest! {
        #[test]
        fn parts_survive(offset: u32, selector: u16, dpl in 0u8..4) {
            for gate in [Gate::interrupt(Selector(selector), offset, dpl), Gate::trap(Selector(selector), offset, dpl)] {
                prop_assert_eq!(gate.offset(), offset);
                prop_assert_eq!(gate.selector().bits(), selector);
                prop_assert_eq!(gate.dpl(), dpl);
                prop_assert!(gate.present() && gate.kind().is_some());
            }
        }
    }
}
