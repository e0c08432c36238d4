#![forbid(unsafe_code)]
//! What `membarrier` can be asked for, and what an address space has registered for.
//!
//! A registration has two bits: one that makes the scheduler act, and one, set when every CPU has
//! seen the first, that lets callers rely on it.
//!
//! Linux: 5.4 `include/uapi/linux/membarrier.h`, `include/linux/sched/mm.h`.

/// A barrier of the own process may be asked for.
pub const MEMBARRIER_STATE_PRIVATE_EXPEDITED_READY: u32 = 1 << 0;
/// The scheduler orders memory for it.
pub const MEMBARRIER_STATE_PRIVATE_EXPEDITED: u32 = 1 << 1;
/// This process has all CPUs' word that they know.
pub const MEMBARRIER_STATE_GLOBAL_EXPEDITED_READY: u32 = 1 << 2;
/// CPUs that run this process take part in everybody's barriers.
pub const MEMBARRIER_STATE_GLOBAL_EXPEDITED: u32 = 1 << 3;
/// A barrier that serializes the instruction stream too may be asked for.
pub const MEMBARRIER_STATE_PRIVATE_EXPEDITED_SYNC_CORE_READY: u32 = 1 << 4;
/// The scheduler serializes it where a switch does not.
pub const MEMBARRIER_STATE_PRIVATE_EXPEDITED_SYNC_CORE: u32 = 1 << 5;

/// First argument of the call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum MembarrierCmd {
    /// Which commands there are.
    Query = 0,
    /// A barrier on all CPUs.
    Global = 1 << 0,
    /// The same, at once, on those that run a registered process.
    GlobalExpedited = 1 << 1,
    /// Registers for that.
    RegisterGlobalExpedited = 1 << 2,
    /// A barrier on all CPUs that run this process.
    PrivateExpedited = 1 << 3,
    /// Registers for that.
    RegisterPrivateExpedited = 1 << 4,
    /// A barrier, and no instruction fetched before it, on all CPUs that run this process.
    PrivateExpeditedSyncCore = 1 << 5,
    /// Registers for that.
    RegisterPrivateExpeditedSyncCore = 1 << 6,
}

impl MembarrierCmd {
    /// All but the query.
    pub const ALL: [Self; 7] = [
        Self::Global,
        Self::GlobalExpedited,
        Self::RegisterGlobalExpedited,
        Self::PrivateExpedited,
        Self::RegisterPrivateExpedited,
        Self::PrivateExpeditedSyncCore,
        Self::RegisterPrivateExpeditedSyncCore,
    ];

    /// What `Query` answers.
    pub fn bitmask() -> u32 {
        Self::ALL.iter().fold(0, |mask, cmd| mask | *cmd as u32)
    }

    /// The command with that number.
    pub fn from_number(number: u32) -> Option<Self> {
        core::iter::once(Self::Query)
            .chain(Self::ALL)
            .find(|cmd| *cmd as u32 == number)
    }

    /// The bit without which the command is EPERM; 0 if anybody may.
    pub fn needs(self) -> u32 {
        match self {
            Self::PrivateExpedited => MEMBARRIER_STATE_PRIVATE_EXPEDITED_READY,
            Self::PrivateExpeditedSyncCore => MEMBARRIER_STATE_PRIVATE_EXPEDITED_SYNC_CORE_READY,
            _ => 0,
        }
    }

    /// What a registration sets: first for the scheduler, then for the callers. None if the command
    /// registers nothing.
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
