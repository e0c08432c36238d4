//! Cases of EFLAGS: each task keeps its own, and a new one begins with 0x202.

use core::sync::atomic::{AtomicU32, Ordering};

use super::Case;
use super::check::{Outcome, expect_hex};
use super::crew::{Crew, pass};
use crate::arch::x86::probe::call_with_eflags;
use crate::base::insn::read_eflags;
use crate::hw::eflags::Eflags;

pub const CASES: &[Case] = &[
    Case {
        name: "iopl_does_not_leak",
        run: iopl_does_not_leak,
    },
    Case {
        name: "nt_does_not_leak",
        run: nt_does_not_leak,
    },
    Case {
        name: "ac_does_not_leak",
        run: ac_does_not_leak,
    },
    Case {
        name: "df_does_not_leak",
        run: df_does_not_leak,
    },
    Case {
        name: "iopl_and_nt_and_ac_and_df_do_not_leak",
        run: all_do_not_leak,
    },
    Case {
        name: "new_task_eflags_are_0x202",
        run: new_task_eflags_are_0x202,
    },
];

/// The flags that belong to a task rather than to the code that happens to run.
const OF_TASK: Eflags = Eflags::IOPL
    .union(Eflags::NT)
    .union(Eflags::AC)
    .union(Eflags::DF);

fn iopl_does_not_leak() -> Outcome {
    stay_with_their_task(Eflags::IOPL)
}

fn nt_does_not_leak() -> Outcome {
    stay_with_their_task(Eflags::NT)
}

fn ac_does_not_leak() -> Outcome {
    stay_with_their_task(Eflags::AC)
}

fn df_does_not_leak() -> Outcome {
    stay_with_their_task(Eflags::DF)
}

fn all_do_not_leak() -> Outcome {
    stay_with_their_task(OF_TASK)
}

/// Calls `f` with `flags` set; returns the bits of [`OF_TASK`] that are set afterwards.
fn with_flags(flags: Eflags, f: extern "C" fn()) -> u32 {
    // SAFETY: none of the flags is TF or VM, and the way through the scheduler has no string
    // instructions, which the disassembly of the kernel shows.
    unsafe { call_with_eflags(flags.bits(), f) & OF_TASK.bits() }
}

fn mine() -> u32 {
    read_eflags() & OF_TASK.bits()
}

extern "C" fn pass_on() {
    pass();
}

/// One task leaves with the flags set, the other without; each finds its own again.
fn stay_with_their_task(flags: Eflags) -> Outcome {
    let setter = || {
        for _ in 0..3 {
            expect_hex(
                "flags of the setter when it is back",
                with_flags(flags, pass_on),
                flags.bits(),
            )?;
            expect_hex("flags of the setter without them", mine(), 0)?;
        }
        Ok(())
    };
    let other = || {
        for _ in 0..3 {
            expect_hex("flags of another task", mine(), 0)?;
            pass();
        }
        Ok(())
    };
    Crew::new()
        .actor("setter", setter)
        .actor("other", other)
        .actor("third", other)
        .run()
}

/// The flags that the new task found; 0 before it has looked, since bit 1 is always set.
static FOUND: AtomicU32 = AtomicU32::new(0);

extern "C" fn look_at_flags(_: u32) -> i32 {
    FOUND.store(read_eflags(), Ordering::Relaxed);
    0
}

/// A new task never executes the `popfl` of `switch_to`: it gets its flags from `ret_from_fork`,
/// not from the task that left for it.
fn new_task_eflags_are_0x202() -> Outcome {
    FOUND.store(0, Ordering::Relaxed);
    let parent = || {
        let child = crate::process::kthread::new_kernel_thread(look_at_flags, 0, "child")?;
        crate::sched::wake_up::wake_up_new_task(&child);
        drop(child);
        with_flags(OF_TASK, pass_on);
        // The arithmetic flags depend on the code that ran last.
        let control = OF_TASK
            | Eflags::FIXED
            | Eflags::IF
            | Eflags::TF
            | Eflags::VM
            | Eflags::RF
            | Eflags::ID;
        expect_hex(
            "flags of a new task",
            FOUND.load(Ordering::Relaxed) & control.bits(),
            0x202,
        )
    };
    Crew::new().actor("parent", parent).run()
}
