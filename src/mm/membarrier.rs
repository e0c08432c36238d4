#![forbid(unsafe_code)]
//! The commands of `membarrier`, and the bits that record an address space's registrations.
//!
//! A registration has two bits: one that makes the scheduler act, and one, set when every CPU has
//! seen the first, that lets callers rely on it.
//!
//! Linux: 5.4 `include/uapi/linux/membarrier.h`, `include/linux/sched/mm.h`.

/// Callers may ask for a barrier on the CPUs of their own process.
pub const MEMBARRIER_STATE_PRIVATE_EXPEDITED_READY: u32 = 1 << 0;
/// The scheduler orders memory for this process.
pub const MEMBARRIER_STATE_PRIVATE_EXPEDITED: u32 = 1 << 1;
/// All CPUs know that this process takes part in global barriers.
pub const MEMBARRIER_STATE_GLOBAL_EXPEDITED_READY: u32 = 1 << 2;
/// CPUs that run this process take part in the global barriers of every process.
pub const MEMBARRIER_STATE_GLOBAL_EXPEDITED: u32 = 1 << 3;
/// Callers may ask for a barrier that also serializes the instruction stream.
pub const MEMBARRIER_STATE_PRIVATE_EXPEDITED_SYNC_CORE_READY: u32 = 1 << 4;
/// The scheduler serializes the instruction stream where a switch does not.
pub const MEMBARRIER_STATE_PRIVATE_EXPEDITED_SYNC_CORE: u32 = 1 << 5;

/// First argument of membarrier(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum MembarrierCmd {
    /// Asks which commands are supported.
    Query = 0,
    /// A barrier on all CPUs.
    Global = 1 << 0,
    /// A barrier, by interrupt, on all CPUs that run a registered process.
    GlobalExpedited = 1 << 1,
    /// Registers for `GlobalExpedited`.
    RegisterGlobalExpedited = 1 << 2,
    /// A barrier on all CPUs that run this process.
    PrivateExpedited = 1 << 3,
    /// Registers for `PrivateExpedited`.
    RegisterPrivateExpedited = 1 << 4,
    /// As `PrivateExpedited`, and those CPUs execute no instruction that they fetched before.
    PrivateExpeditedSyncCore = 1 << 5,
    /// Registers for `PrivateExpeditedSyncCore`.
    RegisterPrivateExpeditedSyncCore = 1 << 6,
}

impl MembarrierCmd {
    /// All commands except `Query`.
    pub const ALL: [Self; 7] = [
        Self::Global,
        Self::GlobalExpedited,
        Self::RegisterGlobalExpedited,
        Self::PrivateExpedited,
        Self::RegisterPrivateExpedited,
        Self::PrivateExpeditedSyncCore,
        Self::RegisterPrivateExpeditedSyncCore,
    ];

    /// Returns the set of commands that `Query` reports.
    pub fn bitmask() -> u32 {
        Self::ALL.iter().fold(0, |mask, cmd| mask | *cmd as u32)
    }

    /// Returns the command with this number.
    pub fn from_number(number: u32) -> Option<Self> {
        core::iter::once(Self::Query)
            .chain(Self::ALL)
            .find(|cmd| *cmd as u32 == number)
    }

    /// Returns the bit without which the command fails with EPERM; 0 if every process may use the
    /// command.
    pub fn needs(self) -> u32 {
        match self {
            Self::PrivateExpedited => MEMBARRIER_STATE_PRIVATE_EXPEDITED_READY,
            Self::PrivateExpeditedSyncCore => MEMBARRIER_STATE_PRIVATE_EXPEDITED_SYNC_CORE_READY,
            _ => 0,
        }
    }

    /// Returns the bits that a registration sets: first the scheduler's, then the callers'. Returns
    /// `None` if the command registers nothing.
    pub fn registers(self) -> Option<(u32, u32)> {
        match self {
            Self::RegisterGlobalExpedited => Some((
                MEMBARRIER_STATE_GLOBAL_EXPEDITED,
                MEMBARRIER_STATE_GLOBAL_EXPEDITED_READY,
            )),
            Self::RegisterPrivateExpedited => Some((
                MEMBARRIER_STATE_PRIVATE_EXPEDITED,
                MEMBARRIER_STATE_PRIVATE_EXPEDITED_READY,
            )),
            Self::RegisterPrivateExpeditedSyncCore => Some((
                MEMBARRIER_STATE_PRIVATE_EXPEDITED | MEMBARRIER_STATE_PRIVATE_EXPEDITED_SYNC_CORE,
                MEMBARRIER_STATE_PRIVATE_EXPEDITED_SYNC_CORE_READY,
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_query_names_linuxs_seven_commands() {
        assert_eq!(MembarrierCmd::bitmask(), 0x7f);
    }

    #[test]
    fn each_registration_lets_exactly_its_own_command_pass() {
        for register in MembarrierCmd::ALL {
            let Some((set, ready)) = register.registers() else {
                continue;
            };
            let state = set | ready;
            let passes = |cmd: MembarrierCmd| state & cmd.needs() == cmd.needs();
            assert_eq!(
                passes(MembarrierCmd::PrivateExpedited),
                register == MembarrierCmd::RegisterPrivateExpedited
            );
            assert_eq!(
                passes(MembarrierCmd::PrivateExpeditedSyncCore),
                register == MembarrierCmd::RegisterPrivateExpeditedSyncCore
            );
        }
    }

    proptest! {
        #[test]
        fn a_number_is_its_command_or_none(number in any::<u32>()) {
            match MembarrierCmd::from_number(number) {
                Some(cmd) => prop_assert_eq!(cmd as u32, number),
                None => prop_assert!(!number.is_power_of_two() || number > 1 << 6),
            }
        }
    }
}
