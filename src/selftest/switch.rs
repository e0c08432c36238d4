//! Cases of `switch_to` itself: which task ran last, where a task resumes, what lies on its stack.

extern crate alloc;
use alloc::vec::Vec;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use super::Case;
use super::check::{Outcome, expect, expect_hex, expect_true, failed, needs_debug_assertions};
use super::crew::{Crew, Journal, Slot, me, pass};
use super::probe::{debug_last, hw_tss, nr_switches, saved_word, thread_of};
use crate::arch::x86::current::{current, current_by_stack};
use crate::arch::x86::probe::switch_to_with_registers;
use crate::arch::x86::switch::paravirt::{arch_start_context_switch, is_batching};
use crate::arch::x86::switch::ret_from_fork::ret_from_fork;
use crate::base::pt_regs::PtRegs;
use crate::base::thread_info::{STACK_TOP_GAP, THREAD_SIZE};
use crate::hw::eflags::Eflags;
use crate::mm::fallible::TryVec;
use crate::sched::finish_task_switch::finish_task_switch;
use crate::sched::prepare_task_switch::prepare_task_switch;
use crate::sched::rq::this_rq;
use crate::sync::irq::{local_irq_disable, local_irq_enable};
use crate::sync::preempt::{preempt_disable, preempt_enable_no_resched};
use crate::task::last::{Next, Prev};
use crate::task::task_struct::TaskStruct;

pub const CASES: &[Case] = &[
    Case {
        name: "last_after_a_b_c_a",
        run: last_after_a_b_c_a,
    },
    Case {
        name: "new_task_returns_through_ret_from_fork",
        run: new_task_returns_through_ret_from_fork,
    },
    Case {
        name: "sleeping_task_words_are_ebp_and_eflags_if_0",
        run: sleeping_task_words,
    },
    Case {
        name: "registers_of_the_caller_survive",
        run: registers_of_the_caller_survive,
    },
    Case {
        name: "sp0_is_own_stack",
        run: sp0_is_own_stack,
    },
    Case {
        name: "current_by_stack_and_per_cpu_agree",
        run: current_by_stack_and_per_cpu_agree,
    },
    Case {
        name: "on_cpu_says_who_runs",
        run: on_cpu_says_who_runs,
    },
    Case {
        name: "preemption_count_is_2_at_switch",
        run: preemption_count_is_2_at_switch,
    },
    Case {
        name: "interrupts_off_for_the_whole_switch",
        run: interrupts_off_for_the_whole_switch,
    },
];

unsafe extern "C" {
    /// Label 1 of `switch_to`.
    fn switch_to_1();
}

/// `last` is the task that really ran before, not the one that a task once left for.
fn last_after_a_b_c_a() -> Outcome {
    needs_debug_assertions()?;
    let heard = Journal::new();
    let slots = [const { Slot::new() }; 3];
    let play = |n: usize| {
        let (heard, slots) = (&heard, &slots);
        move || {
            slots[n].enter();
            for _ in 0..3 {
                heard.note((n, debug_last() as u32));
                pass();
            }
            Ok(())
        }
    };
    Crew::new()
        .actor("a", play(0))
        .actor("b", play(1))
        .actor("c", play(2))
        .run()?;

    let mut expected = Vec::new();
    let mut got = Vec::new();
    // The first to run follows the case itself, which is none of the three.
    for (turn, (n, last)) in heard.entries().into_iter().enumerate().skip(1) {
        let before = slots[(turn - 1) % 3].task()?.as_ptr() as u32;
        expected.try_push((turn % 3, before))?;
        got.try_push((n, last))?;
    }
    expect("turns", got.len(), 8)?;
    expect("(actor, last) of each turn", got, expected)
}

/// A new task starts at `ret_from_fork`; after its first sleep it resumes at label 1.
fn new_task_returns_through_ret_from_fork() -> Outcome {
    let slot = Slot::new();
    let new_ip = AtomicU32::new(0);
    let new_sp = AtomicU32::new(0);
    let spawn = || {
        let task = crate::process::kthread::new_kernel_thread(nothing, 0, "new")?;
        let (sp, ip, sp0) = thread_of(&task, |t| (t.sp, t.ip, t.sp0));
        new_ip.store(ip, Ordering::Relaxed);
        new_sp.store(sp0 - sp, Ordering::Relaxed);
        let top = task.stack() as u32 + THREAD_SIZE as u32;
        crate::sched::wake_up::wake_up_new_task(&task);
        expect_hex("sp0 of a new task", sp0, top - STACK_TOP_GAP as u32)
    };
    let watch = || {
        slot.enter();
        spawn()?;
        pass();
        Ok(())
    };
    let look = || {
        let task = slot.task()?;
        expect_hex(
            "thread.ip of a task that ran",
            thread_of(&task, |t| t.ip),
            switch_to_1 as *const () as u32,
        )
    };
    Crew::new()
        .actor("watch", watch)
        .actor("look", look)
        .run()?;
    let ret_from_fork = ret_from_fork as *const () as u32;
    expect_hex(
        "thread.ip of a new task",
        new_ip.load(Ordering::Relaxed),
        ret_from_fork,
    )?;
    expect(
        "bytes above thread.sp of a new task",
        new_sp.load(Ordering::Relaxed),
        size_of::<PtRegs>() as u32,
    )
}

extern "C" fn nothing(_: u32) -> i32 {
    0
}

/// At `thread.sp` lie ebp and EFLAGS; the frames that ebp leads to end at 0, inside the stack.
fn sleeping_task_words() -> Outcome {
    let slot = Slot::new();
    let sleeper = || {
        slot.enter();
        pass();
        Ok(())
    };
    let look = || {
        let task = slot.task()?;
        let stack = task.stack() as u32;
        let inside = |address: u32| (stack..stack + THREAD_SIZE as u32).contains(&address);
        let sp = thread_of(&task, |t| t.sp);
        expect_true("thread.sp is in the task's own stack", inside(sp))?;
        let eflags = saved_word(&task, 1);
        expect_hex("IF in the saved EFLAGS", eflags & Eflags::IF.bits(), 0)?;
        expect_hex("bit 1 of the saved EFLAGS", eflags & 2, 2)?;

        let mut ebp = saved_word(&task, 0);
        let mut frames = 0;
        while ebp != 0 {
            if !inside(ebp) || ebp < sp || frames > 16 {
                return Err(failed(format_args!(
                    "frame {frames}: ebp {ebp:#010x}, stack {stack:#010x}, sp {sp:#010x}"
                )));
            }
            // SAFETY: inside the stack of a task that is off the CPU and that `task` keeps.
            ebp = unsafe { (ebp as *const u32).read() };
            frames += 1;
        }
        expect_true(
            "at least schedule, its caller and the actor have frames",
            frames >= 3,
        )
    };
    Crew::new()
        .actor("sleeper", sleeper)
        .actor("look", look)
        .run()
}

/// ebx, esi, edi and ebp have the caller's values after the switch back. The code that the compiler
/// puts around the switch would restore them too, so the case calls the sequence without it.
fn registers_of_the_caller_survive() -> Outcome {
    let play = |seed: u32| {
        move || {
            for round in 0..4 {
                let pattern = [seed + round, seed ^ 0x5555_0000, !seed, seed.rotate_left(8)];
                let after = switch_away(pattern);
                expect("ebx, esi, edi, ebp after a switch", after, pattern)?;
            }
            Ok(())
        }
    };
    Crew::new()
        .actor("a", play(0x0a0a_0001))
        .actor("b", play(0x0b0b_0101))
        .run()
}

/// What `schedule` does for a kernel task that yields to another, with chosen registers.
fn switch_away(mut registers: [u32; 4]) -> [u32; 4] {
    preempt_disable();
    local_irq_disable();
    let mut rq = this_rq().lock();
    // SAFETY: we are on the queue.
    unsafe { rq.yield_task(me()) };
    let next = rq
        .pick_next_task()
        .map_or(rq.idle(), core::ptr::NonNull::as_ptr);
    if next == me() {
        drop(rq);
        local_irq_enable();
        preempt_enable_no_resched();
        return registers;
    }
    rq.nr_switches.inc();
    // SAFETY: next is not idle, since another actor waits; it has left by a switch or is new. Both
    // are kernel tasks.
    let last = unsafe {
        rq.set_curr(next);
        prepare_task_switch(&current(), &*next);
        if is_batching() {
            arch_start_context_switch(&current());
        }
        let lent = current().active_mm.swap(ptr::null_mut(), Ordering::Relaxed);
        (*next).active_mm.store(lent, Ordering::Relaxed);
        rq.hand_over();
        switch_to_with_registers(Prev::new(me()), Next::new(next), &mut registers)
    };
    // SAFETY: the switch has just returned.
    unsafe { finish_task_switch(last) };
    preempt_enable_no_resched();
    registers
}

/// `on_cpu` is set before the switch to a task and cleared when it has left: no other CPU may run
/// it in between.
fn on_cpu_says_who_runs() -> Outcome {
    let slots = [const { Slot::new() }; 2];
    let play = |n: usize| {
        let slots = &slots;
        move || {
            slots[n].enter();
            pass();
            let other = slots[1 - n].task()?;
            for _ in 0..3 {
                expect("my on_cpu", current().on_cpu.load(Ordering::Relaxed), 1)?;
                expect("the other's", other.on_cpu.load(Ordering::Relaxed), 0)?;
                pass();
            }
            Ok(())
        }
    };
    Crew::new().actor("a", play(0)).actor("b", play(1)).run()
}

/// `sp0` is the top of the running task's own stack, where an entry from ring 3 begins.
fn sp0_is_own_stack() -> Outcome {
    let play = || {
        for _ in 0..3 {
            let top = current().stack() as u32 + THREAD_SIZE as u32;
            expect_hex("sp0 of the TSS", hw_tss().sp0, top - STACK_TOP_GAP as u32)?;
            expect_hex("ss0 of the TSS", hw_tss().ss0.into(), 0x68)?;
            pass();
        }
        Ok(())
    };
    Crew::new().actor("a", play).actor("b", play).run()
}

fn current_by_stack_and_per_cpu_agree() -> Outcome {
    let seen = Journal::new();
    let play = || {
        for _ in 0..3 {
            expect("current by the stack", current_by_stack(), me())?;
            let here: *const TaskStruct = &raw const *current();
            expect("current per CPU", here, me().cast_const())?;
            seen.note(me() as u32);
            pass();
        }
        Ok(())
    };
    Crew::new().actor("a", play).actor("b", play).run()?;
    let seen = seen.entries();
    expect("turns", seen.len(), 6)?;
    expect_true(
        "each actor is another task",
        seen[0] != seen[1] && seen[0] == seen[2],
    )
}

/// The count lies in `thread_info`, so a task that is off the CPU keeps the count it left with.
fn preemption_count_is_2_at_switch() -> Outcome {
    let slot = Slot::new();
    let sleeper = || {
        slot.enter();
        expect(
            "preemption count of a task on its own",
            current().thread_info().preempt_count(),
            0,
        )?;
        pass();
        expect(
            "preemption count after a switch",
            current().thread_info().preempt_count(),
            0,
        )
    };
    let look = || {
        expect(
            "preemption count at the switch",
            slot.task()?.thread_info().preempt_count(),
            2,
        )?;
        let new = crate::process::kthread::new_kernel_thread(nothing, 0, "new")?;
        let count = new.thread_info().preempt_count();
        crate::sched::wake_up::wake_up_new_task(&new);
        expect("preemption count of a new task", count, 2)
    };
    Crew::new()
        .actor("sleeper", sleeper)
        .actor("look", look)
        .run()
}

/// A kernel with debug assertions checks before and after each switch, and counts the checks.
fn interrupts_off_for_the_whole_switch() -> Outcome {
    needs_debug_assertions()?;
    let play = || {
        for _ in 0..50 {
            let (switches, checks) = (nr_switches(), super::probe::counts().checks);
            pass();
            let (switches, checks) = (
                nr_switches() - switches,
                super::probe::counts().checks - checks,
            );
            expect_true("there were switches", switches >= 2)?;
            expect(
                "checks of interrupts off, two a switch",
                checks,
                2 * switches,
            )?;
            expect_true(
                "interrupts are on again",
                !crate::sync::irq::irqs_disabled(),
            )?;
        }
        Ok(())
    };
    // Each leaves once more at its end, which the other does not count; hence the same length.
    Crew::new().actor("a", play).actor("b", play).run()
}
