#![forbid(unsafe_code)]
//! IDT gates and the vectors that go through them.
//!
//! A gate holds the address where an exception or interrupt enters the kernel, and the privilege
//! needed to raise it by `int n`. The kernel builds the IDT once with these constructors; the trap
//! handlers use the vectors' names in reports. The switch does not use this file.
//!
//! Book: ch. 4, "Interrupt Descriptor Table", "Exceptions".
//! Linux: `asm/desc_defs.h` (`gate_desc`), `asm/irq_vectors.h`, `asm/traps.h`.
//! SDM: vol. 3, 6.11 "IDT Descriptors", 6.15 "Exception and Interrupt Reference".

use core::fmt;

use super::desc::Selector;

/// Number of entries in the IDT.
pub const IDT_ENTRIES: usize = 256;
/// First vector that a device may use.
pub const FIRST_EXTERNAL_VECTOR: u8 = 0x20;
/// The system-call vector, of `int $0x80`.
#[doc(alias = "SYSCALL_VECTOR")]
pub const IA32_SYSCALL_VECTOR: u8 = 0x80;

const P: u32 = 1 << 15;

/// The kind of a gate: its effect on the interrupt flag and the hardware task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum GateType {
    /// Switches to the task whose TSS the selector names.
    Task = 0x5,
    /// A 32-bit gate that clears IF on entry.
    Interrupt = 0xe,
    /// A 32-bit gate that does not change IF.
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
    /// A gate that is not present: its vector raises #NP.
    pub const EMPTY: Gate = Gate { a: 0, b: 0 };

    /// Returns a gate that enters at `offset` in code segment `selector` with interrupts off; `int
    /// n` is allowed from privilege `dpl` and more privileged.
    pub const fn interrupt(selector: Selector, offset: u32, dpl: u8) -> Self {
        Self::pack(GateType::Interrupt, selector, offset, dpl)
    }

    /// Returns a gate like [`Gate::interrupt`] that does not change IF.
    pub const fn trap(selector: Selector, offset: u32, dpl: u8) -> Self {
        Self::pack(GateType::Trap, selector, offset, dpl)
    }

    /// Returns a gate that switches to the hardware task of TSS `selector`; not callable from ring
    /// 3.
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

    /// Returns the entry point within the segment (0 for a task gate).
    pub const fn offset(self) -> u32 {
        self.b & 0xffff_0000 | self.a & 0xffff
    }

    /// Returns the code segment, or the TSS of a task gate.
    pub const fn selector(self) -> Selector {
        Selector((self.a >> 16) as u16)
    }

    /// Returns the least privilege from which `int n` reaches this gate, 0–3.
    pub const fn dpl(self) -> u8 {
        (self.b >> 13 & 3) as u8
    }

    /// Returns the P bit: the gate is present.
    pub const fn present(self) -> bool {
        self.b & P != 0
    }

    /// Returns the kind, or `None` for a type that this kernel does not use.
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
    /// Debug exception.
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
    /// All vectors of this type, in order.
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

    /// Returns the exception with this number, or `None` for the reserved 15 and 20–31.
    pub const fn from_number(number: u8) -> Option<Vector> {
        match number {
            0..=14 => Some(Self::ALL[number as usize]),
            16..=19 => Some(Self::ALL[number as usize - 1]),
            _ => None,
        }
    }

    /// Returns whether the processor pushes an error code.
    pub const fn has_error_code(self) -> bool {
        use Vector::*;
        matches!(self, DF | TS | NP | SS | GP | PF | AC)
    }

    /// Returns the SDM's short name.
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
