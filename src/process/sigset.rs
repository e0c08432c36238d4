#![forbid(unsafe_code)]
//! Signals: their numbers, their names and their default actions.
//!
//! Used by `process::signal`.
//!
//! Book: ch. 11, "The Role of Signals", table 11-1.
//! Linux: `asm/signal.h` (i386), `linux/signal.h`.

macro_rules! signals {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $default:ident;)*) => {
        $($(#[$doc])* pub const $name: u32 = $number;)*

        /// Returns the signal's name; `SIGRT` for every real-time signal.
        pub const fn name(signal: u32) -> &'static str {
            match signal {
                $($number => stringify!($name),)*
                _ => "SIGRT",
            }
        }

        /// Returns the signal's default action.
        pub const fn default_action(signal: u32) -> DefaultAction {
            match signal {
                $($number => DefaultAction::$default,)*
                _ => DefaultAction::Terminate,
            }
        }
    };
}

/// The effect of a signal on a process that has not set an action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DefaultAction {
    /// Ends the process.
    Terminate,
    /// Ends the process; a core file would be written if there were files to write.
    Core,
    /// Has no effect.
    Ignore,
    /// Stops the process.
    Stop,
    /// Resumes the process if it is stopped.
    Continue,
}

signals! {
    /// The terminal has hung up.
    SIGHUP = 1, Terminate;
    /// The interrupt key.
    SIGINT = 2, Terminate;
    /// The quit key.
    SIGQUIT = 3, Core;
    /// An instruction that does not exist.
    SIGILL = 4, Core;
    /// A breakpoint or a single step.
    SIGTRAP = 5, Core;
    /// Sent by abort(3).
    SIGABRT = 6, Core;
    /// An access beyond the end of a mapped file, or a misaligned one.
    SIGBUS = 7, Core;
    /// A division by zero, or another arithmetic fault.
    SIGFPE = 8, Core;
    /// Ends the process; cannot be handled.
    SIGKILL = 9, Terminate;
    /// Free for programs to use.
    SIGUSR1 = 10, Terminate;
    /// An access to unmapped or protected memory; any other fault of the program.
    SIGSEGV = 11, Core;
    /// Free for programs to use, as SIGUSR1.
    SIGUSR2 = 12, Terminate;
    /// A write to a pipe that nobody reads.
    SIGPIPE = 13, Terminate;
    /// An interval timer or an alarm.
    SIGALRM = 14, Terminate;
    /// A request to end.
    SIGTERM = 15, Terminate;
    /// Coprocessor stack fault (unused).
    SIGSTKFLT = 16, Terminate;
    /// A child ended or stopped.
    SIGCHLD = 17, Ignore;
    /// Resumes a stopped process.
    SIGCONT = 18, Continue;
    /// Stops the process; cannot be handled.
    SIGSTOP = 19, Stop;
    /// The stop key.
    SIGTSTP = 20, Stop;
    /// A background process read from the terminal.
    SIGTTIN = 21, Stop;
    /// A background process wrote to the terminal.
    SIGTTOU = 22, Stop;
    /// Urgent data on a socket.
    SIGURG = 23, Ignore;
    /// The processor-time limit was exceeded.
    SIGXCPU = 24, Core;
    /// The file-size limit was exceeded.
    SIGXFSZ = 25, Core;
    /// A timer of the process's user time.
    SIGVTALRM = 26, Terminate;
    /// A timer of the process's user and system time.
    SIGPROF = 27, Terminate;
    /// The window's size has changed.
    SIGWINCH = 28, Ignore;
    /// Input or output is possible.
    SIGIO = 29, Terminate;
    /// The power has failed.
    SIGPWR = 30, Terminate;
    /// A system call that does not exist.
    SIGSYS = 31, Core;
}

/// The first real-time signal: these are pending as often as they were sent.
pub const SIGRTMIN: u32 = 32;
/// The highest signal number.
pub const NSIG: u32 = 64;

/// A set of signals: bit `n - 1` for signal `n`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SigSet(pub u64);

impl SigSet {
    /// The empty set.
    pub const EMPTY: SigSet = SigSet(0);
    /// The signals that can neither be blocked nor handled.
    pub const UNBLOCKABLE: SigSet = SigSet(1 << (SIGKILL - 1) | 1 << (SIGSTOP - 1));
    /// The signals that a processor exception raises: delivered before all others.
    pub const SYNCHRONOUS: SigSet = SigSet(
        1 << (SIGSEGV - 1)
            | 1 << (SIGBUS - 1)
            | 1 << (SIGILL - 1)
            | 1 << (SIGTRAP - 1)
            | 1 << (SIGFPE - 1),
    );

    /// Returns the set of one signal (1 to [`NSIG`]); the empty set for any other number.
    pub const fn of(signal: u32) -> SigSet {
        match 1_u64.checked_shl(signal.wrapping_sub(1)) {
            Some(bit) => SigSet(bit),
            None => SigSet::EMPTY,
        }
    }

    /// Returns whether `signal` is in this set.
    pub const fn contains(self, signal: u32) -> bool {
        self.0 & Self::of(signal).0 != 0
    }

    /// Returns the signals that are in either set.
    pub const fn union(self, other: SigSet) -> SigSet {
        SigSet(self.0 | other.0)
    }

    /// Returns the signals that are in this set and not in `other`.
    pub const fn without(self, other: SigSet) -> SigSet {
        SigSet(self.0 & !other.0)
    }

    /// Returns whether this set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the signal of this set that is delivered first: synchronous ones, then by number.
    pub const fn first(self) -> Option<u32> {
        let synchronous = self.0 & Self::SYNCHRONOUS.0;
        match if synchronous != 0 {
            synchronous
        } else {
            self.0
        } {
            0 => None,
            bits => Some(bits.trailing_zeros().wrapping_add(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_names_and_defaults_are_linuxs() {
        assert_eq!(
            (name(11), name(13), name(34)),
            ("SIGSEGV", "SIGPIPE", "SIGRT")
        );
        assert_eq!(default_action(SIGCHLD), DefaultAction::Ignore);
        assert_eq!(default_action(SIGTSTP), DefaultAction::Stop);
        assert_eq!(default_action(40), DefaultAction::Terminate);
    }

    #[test]
    fn faults_come_first_then_the_lowest() {
        let set = SigSet::of(SIGHUP)
            .union(SigSet::of(SIGSEGV))
            .union(SigSet::of(64));
        assert_eq!(set.first(), Some(SIGSEGV));
        assert_eq!(set.without(SigSet::of(SIGSEGV)).first(), Some(SIGHUP));
        assert_eq!(SigSet::of(64).first(), Some(64));
        assert_eq!(SigSet::EMPTY.first(), None);
        assert_eq!([0, 65].map(SigSet::of), [SigSet::EMPTY; 2]);
    }
}
