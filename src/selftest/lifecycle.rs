//! Cases of the end of a task: when each part of it is freed, and that nothing stays.

extern crate alloc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use super::Case;
use super::check::{Outcome, expect, expect_hex};
use super::crew::{ACTOR_PRIO, CASE_PRIO, Crew, Slot, Thread, WAITING_PRIO, pass, set_priority};
use super::user::{Mm, borrow_init_mm};
use crate::arch::x86::current::current;
use crate::base::thread_info::STACK_END_MAGIC;
use crate::mm::fallible::{TryVec, try_box};
use crate::mm::frame::nr_free_pages;
use crate::mm::mm_struct::{INIT_MM, MM_LIVE};
use crate::mm::quicklist;
use crate::mm::thread_stack::thread_stack_counts;
use crate::process::kthread::new_kernel_thread;
use crate::process::tasklist::{TASKLIST, find_task_by_pid};
use crate::sched::wake_up::wake_up_new_task;
use crate::task::sched_entity::SCHED_FIFO;
use crate::task::state::{EXIT_DEAD, TASK_DEAD};
use crate::task::task_struct::TASKS_LIVE;

pub const CASES: &[Case] = &[
    Case {
        name: "dead_stack_freed_only_in_finish_task_switch",
        run: dead_stack_freed_only_in_finish_task_switch,
    },
    Case {
        name: "dead_task_descriptor_freed",
        run: dead_task_descriptor_freed,
    },
    Case {
        name: "new_task_has_two_references",
        run: new_task_has_two_references,
    },
    Case {
        name: "pid_is_free_again",
        run: pid_is_free_again,
    },
    Case {
        name: "nothing_left_behind",
        run: nothing_left_behind,
    },
];

/// What the dying task sees while it still runs: the number of free stacks, and the foot of its
/// own.
static DYING: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

extern "C" fn die(_: u32) -> i32 {
    DYING[0].store(thread_stack_counts().1, Ordering::Relaxed);
    DYING[1].store(current().stack() as u32, Ordering::Relaxed);
    0
}

/// Only the scheduler holds the dying task. Its stack is not free while it runs; the next task
/// frees it before it does anything else.
fn dead_stack_freed_only_in_finish_task_switch() -> Outcome {
    let next = || {
        let dying = new_kernel_thread(die, 0, "dying")?;
        wake_up_new_task(&dying);
        drop(dying);
        let before = thread_stack_counts();
        pass();
        let after = thread_stack_counts();
        expect(
            "free stacks while it ran",
            DYING[0].load(Ordering::Relaxed),
            before.1,
        )?;
        expect("free stacks after the switch", after.1, before.1 + 1)?;
        expect("stacks in all", after.0, before.0)?;
        // The next new task gets the stack that was freed last.
        let new = new_kernel_thread(die, 0, "heir")?;
        let foot = new.stack() as u32;
        wake_up_new_task(&new);
        expect_hex(
            "stack of the next new task",
            foot,
            DYING[1].load(Ordering::Relaxed),
        )
    };
    Crew::new().actor("next", next).run()
}

/// A reference to a dead task keeps its descriptor and stack until it is dropped.
fn dead_task_descriptor_freed() -> Outcome {
    let holder = || {
        let (tasks, stacks) = (TASKS_LIVE.load(Ordering::Relaxed), thread_stack_counts());
        let task = new_kernel_thread(die, 0, "dying")?;
        wake_up_new_task(&task);
        expect(
            "tasks with the new one",
            TASKS_LIVE.load(Ordering::Relaxed),
            tasks + 1,
        )?;
        let free_with_it = thread_stack_counts().1;
        pass();
        expect("state", task.state.get(), TASK_DEAD)?;
        expect(
            "exit_state",
            task.exit_state.load(Ordering::Relaxed),
            EXIT_DEAD,
        )?;
        expect("on_cpu", task.on_cpu.load(Ordering::Relaxed), 0)?;
        expect("references", task.usage.load(Ordering::Relaxed), 1)?;
        expect_hex(
            "end of its stack",
            task.thread_info().stack_end.load(Ordering::Relaxed),
            STACK_END_MAGIC,
        )?;
        expect(
            "free stacks while it is held",
            thread_stack_counts().1,
            free_with_it,
        )?;
        expect(
            "tasks while it is held",
            TASKS_LIVE.load(Ordering::Relaxed),
            tasks + 1,
        )?;
        drop(task);
        expect("tasks", TASKS_LIVE.load(Ordering::Relaxed), tasks)?;
        let after = thread_stack_counts();
        expect("stacks in use", after.0 - after.1, stacks.0 - stacks.1)
    };
    Crew::new().actor("holder", holder).run()
}

/// A new task has one reference for whoever will hear of its end and one for the scheduler; here
/// also ours, while we look.
fn new_task_has_two_references() -> Outcome {
    let task = new_kernel_thread(die, 0, "new")?;
    let usage = task.usage.load(Ordering::Relaxed);
    wake_up_new_task(&task);
    expect("references of a new task, with ours", usage, 3)
}

fn pid_is_free_again() -> Outcome {
    let slot = Slot::new();
    let dying = || {
        slot.enter();
        expect(
            "find_task_by_pid",
            find_task_by_pid(current().pid()).is_some(),
            true,
        )
    };
    let next = || {
        let pid = slot.task()?.pid();
        expect(
            "find_task_by_pid of a dead task",
            find_task_by_pid(pid).is_some(),
            false,
        )
    };
    Crew::new().actor("dying", dying).actor("next", next).run()
}

/// Counts everything that could be left: tasks, entries of the list, address spaces, stacks in use,
/// free frames, counts of the kernel's own address space.
fn census() -> [(&'static str, u32); 6] {
    borrow_init_mm();
    quicklist::drain();
    let (made, free) = thread_stack_counts();
    [
        ("tasks", TASKS_LIVE.load(Ordering::Relaxed)),
        (
            "entries of the task list",
            TASKLIST.lock().pids.len() as u32,
        ),
        ("address spaces", MM_LIVE.load(Ordering::Relaxed)),
        ("stacks in use", made - free),
        ("free frames", nr_free_pages()),
        ("mm_count of init_mm", INIT_MM.counts.count()),
    ]
}

/// Starts and ends 500 threads in waves, every other one with an address space.
fn storm() -> Outcome {
    const WAVE: u32 = 50;
    for wave in 0..10 {
        let mut threads = Vec::new();
        for n in 0..WAVE {
            let act = move || {
                if n % 2 == 0 {
                    Mm::move_into_new()?;
                }
                for _ in 0..(n + wave) % 4 {
                    pass();
                }
                Ok(())
            };
            let thread = Thread::start("storm", SCHED_FIFO, ACTOR_PRIO, 0, try_box(act)?)?;
            threads.try_push(thread)?;
        }
        set_priority(WAITING_PRIO);
        let mut outcome = Ok(());
        for thread in threads {
            let ended = thread.join();
            outcome = outcome.and(ended);
        }
        set_priority(CASE_PRIO);
        outcome?;
    }
    Ok(())
}

/// The second storm finds a grown heap and ready stacks: it must leave everything as it found it.
fn nothing_left_behind() -> Outcome {
    storm()?;
    let before = census();
    storm()?;
    let after = census();
    for ((what, after), (_, before)) in after.into_iter().zip(before) {
        expect(what, after, before)?;
    }
    Ok(())
}
