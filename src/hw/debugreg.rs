#![forbid(unsafe_code)]
//! The debug registers' status and control: DR6 and DR7.
//!
//! DR0–DR3 hold linear addresses. DR7 enables each of them and gives the kind of access and the
//! length. The code here checks a task's request before it reaches the processor;
//! `__switch_to_xtra` loads the registers of a task with breakpoints.
//!
//! Book: ch. 3, "Performing the Process Switch" (step on the debug registers).
//! Linux: `asm/debugreg.h` (`DR_*`), the checks of ptrace's `POKEUSR`.
//! SDM: vol. 3, 17.2 "Debug Registers".

use bitflags::bitflags;

/// Number of breakpoint registers, DR0–DR3.
pub const HBP_NUM: usize = 4;
/// DR6 after reset: its reserved bits read as ones.
pub const DR6_RESERVED: u32 = 0xffff_0ff0;
/// DR7 with no breakpoint: bit 10 reads as one.
pub const DR7_EMPTY: u32 = 1 << 10;

bitflags! {
    /// Debug status: the reasons for #DB. The processor never clears it.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    #[repr(transparent)]
    pub struct Dr6: u32 {
        /// The condition of DR0 was met.
        const B0 = 1 << 0;
        /// The condition of DR1 was met.
        const B1 = 1 << 1;
        /// The condition of DR2 was met.
        const B2 = 1 << 2;
        /// The condition of DR3 was met.
        const B3 = 1 << 3;
        /// An instruction touched a debug register while DR7.GD was set.
        const BD = 1 << 13;
        /// Single step: EFLAGS.TF.
        const BS = 1 << 14;
        /// Switch to a TSS with its T bit set.
        const BT = 1 << 15;
    }
}

bitflags! {
    /// Debug control, without the R/W and LEN fields in its upper half.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    #[repr(transparent)]
    pub struct Dr7: u32 {
        /// Enables breakpoint 0 until the next hardware task switch.
        const L0 = 1 << 0;
        /// Enables breakpoint 0.
        const G0 = 1 << 1;
        /// Enables breakpoint 1 until the next hardware task switch.
        const L1 = 1 << 2;
        /// Enables breakpoint 1.
        const G1 = 1 << 3;
        /// Enables breakpoint 2 until the next hardware task switch.
        const L2 = 1 << 4;
        /// Enables breakpoint 2.
        const G2 = 1 << 5;
        /// Enables breakpoint 3 until the next hardware task switch.
        const L3 = 1 << 6;
        /// Enables breakpoint 3.
        const G3 = 1 << 7;
        /// Exact local breakpoints (ignored since the P6).
        const LE = 1 << 8;
        /// Exact global breakpoints (ignored since the P6).
        const GE = 1 << 9;
        /// General detect: touching a debug register raises #DB.
        const GD = 1 << 13;
        /// The four R/W and LEN fields.
        const CONTROL = 0xffff << 16;
    }
}

/// The kind of access that triggers a breakpoint: the R/W field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum BreakOn {
    /// Execution of the instruction at the address.
    Execute = 0,
    /// Data writes.
    Write = 1,
    /// Reads and writes, but not execution.
    ReadWrite = 3,
}

/// The length of a breakpoint: the LEN field. The address must be aligned to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum BreakLen {
    /// One byte; the only length for execution.
    One = 0,
    /// Two bytes.
    Two = 1,
    /// Four bytes.
    Four = 3,
}

/// The reason for which a program's debug registers are refused. The caller returns EIO or EINVAL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DebugRegError {
    /// R/W and LEN of this breakpoint (0–3) are an undefined combination, or an I/O breakpoint.
    Control { index: usize, field: u8 },
    /// General detect is set, which would stop the kernel, not the program.
    GeneralDetect,
    /// The breakpoint (0–3) lies beyond the user's address space.
    Address { index: usize, address: u32 },
}

impl Dr7 {
    /// Returns this value with breakpoint `index` (0–3) enabled locally, as Linux enables it.
    pub const fn enable(self, index: usize, on: BreakOn, len: BreakLen) -> Self {
        let field = (on as u32 | (len as u32) << 2) << Self::field_shift(index);
        let cleared = self.disable(index).bits();
        Dr7::from_bits_retain(cleared | field | 1 << (index * 2))
    }

    /// Returns this value without breakpoint `index` (0–3), with its field cleared.
    pub const fn disable(self, index: usize) -> Self {
        let bits = self.bits() & !(0xf << Self::field_shift(index)) & !(3 << (index * 2));
        Dr7::from_bits_retain(bits)
    }

    /// Returns whether breakpoint `index` (0–3) is enabled, locally or globally.
    pub const fn enabled(self, index: usize) -> bool {
        self.bits() >> (index * 2) & 3 != 0
    }

    /// Returns whether any breakpoint is enabled, so that the switch must load DR0–DR3.
    pub const fn any_enabled(self) -> bool {
        self.bits() & 0xff != 0
    }

    /// Returns R/W (bits 0–1) and LEN (bits 2–3) of breakpoint `index` (0–3), raw.
    pub const fn field(self, index: usize) -> u8 {
        (self.bits() >> Self::field_shift(index) & 0xf) as u8
    }

    const fn field_shift(index: usize) -> usize {
        assert!(index < HBP_NUM);
        16 + index * 4
    }

    /// Returns whether the hardware defines this combination of R/W and LEN and a program may use
    /// it: no 8-byte length, no I/O, and one byte for execution.
    const fn field_is_valid(field: u8) -> bool {
        let (on, len) = (field & 3, field >> 2);
        on != 2 && len != 2 && (on != 0 || len == 0)
    }
}

/// Checks whether a program may have these registers, and returns the value for DR7 with the
/// reserved bits that the processor requires. `task_size` is the end of the user's address space. A
/// disabled breakpoint needs a valid field too, as in Linux.
pub fn check(addresses: &[u32; HBP_NUM], dr7: u32, task_size: u32) -> Result<Dr7, DebugRegError> {
    let wanted = Dr7::from_bits_truncate(dr7);
    if wanted.contains(Dr7::GD) {
        return Err(DebugRegError::GeneralDetect);
    }
    for (index, &address) in addresses.iter().enumerate() {
        let field = wanted.field(index);
        if !Dr7::field_is_valid(field) {
            return Err(DebugRegError::Control { index, field });
        }
        // A breakpoint covers up to four bytes, and the last must belong to ring 3 too.
        if wanted.enabled(index) && address > task_size - 4 {
            return Err(DebugRegError::Address { index, address });
        }
    }
    Ok(Dr7::from_bits_retain(wanted.bits() | DR7_EMPTY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TASK_SIZE: u32 = 0xc000_0000;

    #[test]
    fn a_write_watch_has_the_manuals_bits() {
        let dr7 = Dr7::empty().enable(0, BreakOn::Write, BreakLen::Four);
        assert_eq!(dr7.bits(), 0x000d_0001);
        let dr7 = dr7.enable(3, BreakOn::ReadWrite, BreakLen::Two);
        assert_eq!(dr7.bits(), 0x700d_0041);
        assert_eq!(dr7.disable(0).bits(), 0x7000_0040);
        assert_eq!(
            dr7.enable(0, BreakOn::Execute, BreakLen::One).bits(),
            0x7000_0041
        );
        assert_eq!(DR6_RESERVED & Dr6::all().bits(), 0);
    }

    #[test]
    fn exactly_seven_fields_are_valid() {
        let valid: Vec<u8> = (0..16)
            .filter(|&field| Dr7::field_is_valid(field))
            .collect();
        assert_eq!(valid, [0, 1, 3, 5, 7, 13, 15]);
    }

    #[test]
    fn refusals_carry_the_value() {
        let at = [0x1000; 4];
        assert_eq!(
            check(&at, 1 << 13, TASK_SIZE),
            Err(DebugRegError::GeneralDetect)
        );
        assert_eq!(
            check(&at, 0x20 << 16, TASK_SIZE),
            Err(DebugRegError::Control { index: 1, field: 2 })
        );
        let kernel = [0, 0, 0xc010_0000, 0];
        assert_eq!(
            check(&kernel, 0, TASK_SIZE),
            Ok(Dr7::from_bits_retain(DR7_EMPTY))
        );
        let refused = DebugRegError::Address {
            index: 2,
            address: 0xc010_0000,
        };
        assert_eq!(check(&kernel, Dr7::L2.bits(), TASK_SIZE), Err(refused));
        assert!(check(&[0xbfff_fffc; 4], 0xff, TASK_SIZE).is_ok());
        assert!(check(&[0xbfff_fffd; 4], 0xff, TASK_SIZE).is_err());
    }

    proptest! {
        #[test]
        fn what_passes_is_harmless(addresses: [u32; 4], dr7: u32) {
            if let Ok(dr7) = check(&addresses, dr7, TASK_SIZE) {
                prop_assert!(!dr7.contains(Dr7::GD));
                prop_assert_eq!(dr7.bits() & 0xfc00, DR7_EMPTY);
                for (index, address) in addresses.into_iter().enumerate() {
                    prop_assert!(dr7.field(index) & 3 != 2 && dr7.field(index) >> 2 != 2);
                    prop_assert!(!dr7.enabled(index) || address < TASK_SIZE - 3);
                }
            }
        }

        #[test]
        fn enabling_touches_one_breakpoint(raw: u32, index in 0usize..4) {
            let before = Dr7::from_bits_retain(raw);
            let after = before.enable(index, BreakOn::Write, BreakLen::One);
            prop_assert!(after.enabled(index) && after.any_enabled());
            for other in (0..4).filter(|&other| other != index) {
                prop_assert_eq!(after.field(other), before.field(other));
                prop_assert_eq!(after.enabled(other), before.enabled(other));
            }
            prop_assert!(!after.disable(index).enabled(index));
        }
    }
}
