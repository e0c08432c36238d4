//! How processors affect each other around the switch, tried in every order that `loom` finds.
//!
//! A thread of a model is a processor. State that belongs to one task at a time - its saved
//! registers, a page directory - is a cell: a model fails if two processors use it at once. The
//! atomics are the kernel's own files (`build.rs` copies them). Each model comes with the same
//! steps in a wrong order, or with a weaker ordering, and those must fail.
#![cfg(test)]

mod flush;
mod mm_count;
mod on_cpu;
mod private;
mod pull;
mod run_queue;
mod sigpending;
mod sources;

/// The kernel's own files, with `loom`'s atomics.
pub mod real {
    pub mod mm_count {
        include!(concat!(env!("OUT_DIR"), "/mm_count.rs"));
    }
    pub mod on_cpu {
        include!(concat!(env!("OUT_DIR"), "/on_cpu.rs"));
    }
    pub mod lock_word {
        include!(concat!(env!("OUT_DIR"), "/lock_word.rs"));
    }
    pub mod state {
        include!(concat!(env!("OUT_DIR"), "/state.rs"));
    }
    pub mod ttwu {
        include!(concat!(env!("OUT_DIR"), "/ttwu.rs"));
    }
}

/// The same files with an ordering that is too weak.
pub mod weak {
    pub mod mm_count {
        include!(concat!(env!("OUT_DIR"), "/mm_count_relaxed.rs"));
    }
    pub mod on_cpu {
        include!(concat!(env!("OUT_DIR"), "/on_cpu_relaxed.rs"));
    }
    pub mod lock_word {
        include!(concat!(env!("OUT_DIR"), "/lock_word_relaxed.rs"));
    }
}

/// A pull that leaves its task on no queue, according to `on_rq`.
pub mod no_migrating {
    pub use super::real::on_cpu;
    pub mod state {
        include!(concat!(env!("OUT_DIR"), "/state_no_migrating.rs"));
    }
    pub mod ttwu {
        include!(concat!(env!("OUT_DIR"), "/ttwu.rs"));
    }
}

/// A waker that does not wait until its sleeper is off its CPU.
pub mod no_wait {
    pub use super::real::on_cpu;
    pub use super::real::state;
    #[allow(unused_imports, reason = "what is taken out used it")]
    pub mod ttwu {
        include!(concat!(env!("OUT_DIR"), "/ttwu_no_wait.rs"));
    }
}
