//! Cases that end the kernel, each with a report that a scenario reads: run by exact name only.

use super::Case;
use super::check::{Outcome, Verdict, failed};
use super::crew::{Crew, me, pass};
use super::smp::{need_cpus, wait_for};
use crate::arch::x86::current::current;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::arch::x86::irq::smp::smp_call_function_many;
use crate::arch::x86::switch::paravirt::{arch_enter_lazy_mmu_mode, is_batching};
use crate::base::insn;
use crate::base::percpu::{CPU_ONLINE_MASK, NR_CPUS};
use crate::base::thread_info::{TIF_NEED_RESCHED, current_thread_info, set_flag};
use crate::mm::mm_struct::MmStruct;
use crate::sched::context_switch::context_switch;
use crate::sched::prepare_task_switch::prepare_task_switch;
use crate::sched::rq::{RqLocked, cpu_rq, this_rq};
use crate::sync::irq::{local_irq_disable, local_irq_enable};
use crate::sync::{LockClass, PreemptGuard, SpinLock};
use crate::task::last::{Last, Next, Prev};

pub const CASES: &[Case] = &[
    Case {
        name: "panic!",
        run: panic,
    },
    Case {
        name: "null_dereference!",
        run: null_dereference,
    },
    Case {
        name: "overflow_kernel_stack!",
        run: overflow_kernel_stack,
    },
    Case {
        name: "bug_switch_with_irqs_on!",
        run: bug_switch_with_irqs_on,
    },
    Case {
        name: "bug_switch_without_lock!",
        run: bug_switch_without_lock,
    },
    Case {
        name: "bug_scheduling_while_atomic!",
        run: bug_scheduling_while_atomic,
    },
    Case {
        name: "bug_stack_end_overwritten!",
        run: bug_stack_end_overwritten,
    },
    Case {
        name: "bug_exit_while_atomic!",
        run: bug_exit_while_atomic,
    },
    Case {
        name: "bug_mm_dropped_under_cr3!",
        run: bug_mm_dropped_under_cr3,
    },
    Case {
        name: "bug_lock_taken_twice!",
        run: bug_lock_taken_twice,
    },
    Case {
        name: "bug_locks_taken_out_of_order!",
        run: bug_locks_taken_out_of_order,
    },
    Case {
        name: "bug_lock_of_interrupts!",
        run: bug_lock_of_interrupts,
    },
    Case {
        name: "bug_lock_with_interrupts_off!",
        run: bug_lock_with_interrupts_off,
    },
    Case {
        name: "bug_run_queues_out_of_order!",
        run: bug_run_queues_out_of_order,
    },
    Case {
        name: "bug_lock_released_twice!",
        run: bug_lock_released_twice,
    },
    Case {
        name: "bug_lock_released_by_another_cpu!",
        run: bug_lock_released_by_another_cpu,
    },
    Case {
        name: "bug_prepare_without_finish!",
        run: bug_prepare_without_finish,
    },
    Case {
        name: "bug_lazy_modes_nested!",
        run: bug_lazy_modes_nested,
    },
    Case {
        name: "soft_lockup!",
        run: soft_lockup,
    },
    Case {
        name: "hard_lockup!",
        run: hard_lockup,
    },
    Case {
        name: "all_cpus_locked_up!",
        run: all_cpus_locked_up,
    },
    Case {
        name: "hang!",
        run: hang,
    },
];

fn survived() -> Outcome {
    Err(failed(format_args!(
        "expected the end of the kernel, got back"
    )))
}

static FIRST: SpinLock<()> = SpinLock::new(LockClass::SelftestFirst, ());
static SECOND: SpinLock<()> = SpinLock::new(LockClass::SelftestSecond, ());

/// A task takes a lock twice: it would wait for itself for ever.
fn bug_lock_taken_twice() -> Outcome {
    let _held = take_first();
    let _again = FIRST.lock();
    survived()
}

#[inline(never)]
fn take_first() -> impl Sized {
    FIRST.lock()
}

/// Two locks in an order that could deadlock. Nothing else runs, so nothing does deadlock; seeing
/// the order is enough for the checker.
fn bug_locks_taken_out_of_order() -> Outcome {
    let _second = take_second();
    let _first = FIRST.lock();
    survived()
}

#[inline(never)]
fn take_second() -> impl Sized {
    SECOND.lock()
}

/// An interrupt handler takes a lock that this CPU may hold when the interrupt comes.
fn bug_lock_of_interrupts() -> Outcome {
    need_cpus(2)?;
    Crew::new()
        .actor_on(1, "caller", || {
            smp_call_function_many(1, &|| drop(FIRST.lock()));
            Ok(())
        })
        .run()?;
    survived()
}

/// No interrupt handler takes this lock; but one may take a lock that we hold with interrupts off,
/// while we wait for the task that it has interrupted.
fn bug_lock_with_interrupts_off() -> Outcome {
    local_irq_disable();
    let _held = take_first();
    survived()
}

/// The locks of two run queues have an order: without it, two CPUs that look for work on each
/// other's queues could wait for ever.
fn bug_run_queues_out_of_order() -> Outcome {
    need_cpus(2)?;
    local_irq_disable();
    take_run_queue(1);
    take_run_queue(0);
    survived()
}

#[inline(never)]
fn take_run_queue(cpu: u32) {
    cpu_rq(cpu).lock().hand_over();
}

fn bug_lock_released_twice() -> Outcome {
    local_irq_disable();
    take_run_queue(0);
    // SAFETY: locked just above, and released here, which is the misuse that is wanted.
    unsafe {
        cpu_rq(0).release();
        cpu_rq(0).release();
    }
    survived()
}

/// The lock of a run queue may pass to another task, but not to another CPU. The queue of a CPU
/// that is off serves.
fn bug_lock_released_by_another_cpu() -> Outcome {
    need_cpus(2)?;
    let is_taken = AtomicBool::new(false);
    let unused = || cpu_rq(NR_CPUS as u32 - 1);
    Crew::new()
        .actor_on(1, "owner", || {
            local_irq_disable();
            unused().lock().hand_over();
            is_taken.store(true, Ordering::Release);
            spin_with(|| {})
        })
        .actor_on(0, "thief", || {
            wait_for("it is taken", || is_taken.load(Ordering::Acquire))?;
            local_irq_disable();
            // SAFETY: none; the misuse is what is wanted.
            unsafe { unused().release() };
            survived()
        })
        .run()
}

/// A second switch begins before the first has ended.
fn bug_prepare_without_finish() -> Outcome {
    let _no_preempt = PreemptGuard::new();
    local_irq_disable();
    let me = current();
    // SAFETY: none; the check is what is wanted.
    unsafe {
        prepare_task_switch(&me, &me);
        prepare_task_switch(&me, &me);
    }
    survived()
}

/// A batch of page-table entries begins within another.
fn bug_lazy_modes_nested() -> Outcome {
    if !is_batching() {
        return Err(Verdict::Skipped("needs paravirt=batch"));
    }
    let _no_preempt = PreemptGuard::new();
    arch_enter_lazy_mmu_mode();
    arch_enter_lazy_mmu_mode();
    survived()
}

/// A better task wakes, and we keep the CPU.
fn soft_lockup() -> Outcome {
    let _no_preempt = PreemptGuard::new();
    spin_with(|| set_flag(current_thread_info(), TIF_NEED_RESCHED))
}

/// CPU 1 takes no interrupts any more; the others go on.
fn hard_lockup() -> Outcome {
    need_cpus(2)?;
    Crew::new()
        .actor_on(1, "locked up", || spin_with(local_irq_disable))
        .run()
}

/// No CPU takes interrupts any more: there is no neighbour who could see it.
fn all_cpus_locked_up() -> Outcome {
    let online = CPU_ONLINE_MASK.load(Ordering::Relaxed);
    let missing = AtomicU32::new(online.count_ones());
    let mut crew = Crew::new();
    for cpu in (0..NR_CPUS as u32).filter(|cpu| online & 1 << cpu != 0) {
        let missing = &missing;
        crew = crew.actor_on(cpu, "locked up", move || {
            missing.fetch_sub(1, Ordering::AcqRel);
            wait_for("all are there", || missing.load(Ordering::Acquire) == 0)?;
            spin_with(local_irq_disable)
        });
    }
    crew.run()
}

#[inline(never)]
fn spin_with(what: impl Fn()) -> Outcome {
    loop {
        what();
        core::hint::spin_loop();
    }
}

fn panic() -> Outcome {
    panic!("a self-test asked for it");
}

fn null_dereference() -> Outcome {
    let null = core::hint::black_box(core::ptr::null::<u32>());
    // SAFETY: none; the fault is what is wanted, and page 0 is never mapped in a kernel thread.
    let word = unsafe { null.read_volatile() };
    core::hint::black_box(word);
    survived()
}

fn overflow_kernel_stack() -> Outcome {
    core::hint::black_box(recurse(1));
    survived()
}

#[expect(unconditional_recursion, reason = "a kernel stack has an end")]
#[inline(never)]
fn recurse(depth: u32) -> u32 {
    let frame = core::hint::black_box([depth; 64]);
    recurse(depth + 1) + frame[depth as usize % 64]
}

/// A switch by a careless caller: it leaves interrupts on, or takes no lock.
fn careless_switch(irqs_on: bool, locked: bool) {
    local_irq_disable();
    // SAFETY: none; the checks before the switch are what is wanted.
    unsafe {
        let mut rq = match locked {
            true => this_rq().lock(),
            false => RqLocked::inherit(&Last::from_eax(me())),
        };
        if irqs_on {
            local_irq_enable();
        }
        let idle = rq.idle();
        rq.set_curr(idle);
        context_switch(rq, Prev::new(me()), Next::new(idle));
    }
}

fn bug_switch_with_irqs_on() -> Outcome {
    careless_switch(true, true);
    survived()
}

fn bug_switch_without_lock() -> Outcome {
    careless_switch(false, false);
    survived()
}

fn bug_scheduling_while_atomic() -> Outcome {
    let _no_preempt = PreemptGuard::new();
    pass();
    survived()
}

fn bug_stack_end_overwritten() -> Outcome {
    current()
        .thread_info()
        .stack_end
        .store(0, Ordering::Relaxed);
    super::crew::sleep();
    survived()
}

fn bug_exit_while_atomic() -> Outcome {
    let _no_preempt = PreemptGuard::new();
    crate::process::exit::do_exit(0)
}

/// One count too many is dropped: the directory would be freed while the processor walks it.
fn bug_mm_dropped_under_cr3() -> Outcome {
    let mm = MmStruct::alloc().ok_or(crate::base::errno::Errno::ENOMEM)?;
    // SAFETY: the directory maps the kernel; dropping it while it is loaded is what is wanted.
    unsafe {
        insn::write_cr3((*mm).pgd.load(core::sync::atomic::Ordering::Relaxed));
        crate::mm::mm_struct::mmdrop(mm);
    }
    survived()
}

/// The case never ends: the runner reports the tasks that hang, and ends the run.
fn hang() -> Outcome {
    loop {
        core::hint::spin_loop();
    }
}
