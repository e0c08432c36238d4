#![forbid(unsafe_code)]
//! EFLAGS: the flags that a switch must carry with the task.
//!
//! `switch_to` pushes and pops the whole register, since IOPL, NT and AC belong to a task. The
//! entry code's checks, `iopl`, `copy_thread` and the reports use this type.
//!
//! Book: ch. 3, "The switch_to macro".
//! Linux: `asm/processor-flags.h` (`X86_EFLAGS_*`).
//! SDM: vol. 1, 3.4.3 "EFLAGS Register"; vol. 3, 2.3 "System Flags and Fields".

use bitflags::bitflags;

bitflags! {
    /// The EFLAGS register.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
    #[repr(transparent)]
    pub struct Eflags: u32 {
        /// Carry flag.
        const CF = 1 << 0;
        /// Bit 1, which is always 1.
        const FIXED = 1 << 1;
        /// Parity flag.
        const PF = 1 << 2;
        /// Auxiliary carry flag.
        const AF = 1 << 4;
        /// Zero flag.
        const ZF = 1 << 6;
        /// Sign flag.
        const SF = 1 << 7;
        /// Trap flag: #DB after each instruction.
        const TF = 1 << 8;
        /// Interrupt flag: interrupts are enabled.
        const IF = 1 << 9;
        /// Direction flag of the string instructions.
        const DF = 1 << 10;
        /// Overflow flag.
        const OF = 1 << 11;
        /// Both bits of the I/O privilege level.
        const IOPL = 3 << 12;
        /// Nested task: makes `iret` return to the TSS in `back_link`.
        const NT = 1 << 14;
        /// Resume: instruction breakpoints are off for one instruction.
        const RF = 1 << 16;
        /// Virtual-8086 mode.
        const VM = 1 << 17;
        /// Alignment check in ring 3 (with CR0.AM).
        const AC = 1 << 18;
        /// Virtual interrupt flag.
        const VIF = 1 << 19;
        /// Virtual interrupt pending.
        const VIP = 1 << 20;
        /// ID flag, which is writable where CPUID exists.
        const ID = 1 << 21;
    }
}

impl Eflags {
    /// Flags of a new task, in `ret_from_fork` and in ring 3: 0x202.
    pub const NEW_TASK: Eflags = Eflags::FIXED.union(Eflags::IF);

    /// The flags that a program may change by `sigreturn` or ptrace.
    pub const USER: Eflags = Eflags::CF
        .union(Eflags::PF)
        .union(Eflags::AF)
        .union(Eflags::ZF)
        .union(Eflags::SF)
        .union(Eflags::TF)
        .union(Eflags::DF)
        .union(Eflags::OF)
        .union(Eflags::RF)
        .union(Eflags::AC);

    /// Returns the I/O privilege level, 0–3.
    pub const fn iopl(self) -> u8 {
        ((self.bits() & Eflags::IOPL.bits()) >> 12) as u8
    }

    /// Returns these flags with I/O privilege level `level` (0–3).
    pub const fn with_iopl(self, level: u8) -> Self {
        assert!(level < 4);
        Eflags::from_bits_retain(self.bits() & !Eflags::IOPL.bits() | (level as u32) << 12)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn flags_have_the_manuals_bits() {
        assert_eq!(Eflags::NEW_TASK.bits(), 0x202);
        assert_eq!(Eflags::all().bits(), 0x003f_7fd7);
        assert_eq!(Eflags::NT.bits(), 0x4000);
        assert_eq!(Eflags::AC.bits(), 0x4_0000);
        assert_eq!(Eflags::USER.bits(), 0x0005_0dd5);
    }

    proptest! {
        #[test]
        fn iopl_changes_two_bits_and_no_other(raw: u32, level in 0u8..4) {
            let flags = Eflags::from_bits_retain(raw);
            let changed = flags.with_iopl(level);
            prop_assert_eq!(changed.iopl(), level);
            prop_assert_eq!((changed.bits() ^ raw) & !0x3000, 0);
        }
    }
}
