//! Cases of `membarrier`: which CPUs a barrier interrupts, and what the switch has to do for it.

use core::sync::atomic::{AtomicBool, Ordering};

use super::Case;
use super::check::{Outcome, expect, expect_true};
use super::crew::{Crew, Slot, pass, sleep};
use super::probe::counts;
use super::smp::{Rendezvous, need_cpus, wait_for};
use super::smp_mm::{Place, at, counts_of, tlb_state_of};
use super::user::Mm;
use crate::base::errno::Errno;
use crate::base::percpu::TLBSTATE_LAZY;
use crate::mm::membarrier::MembarrierCmd;
use crate::sched::wake_up::wake_up_process;
use crate::sync::LockClass;
use crate::syscall::membarrier::sys_membarrier;

pub const CASES: &[Case] = &[
    Case {
        name: "membarrier_syncs_core_where_no_cr3_is_written",
        run: syncs_core_where_no_cr3_is_written,
    },
    Case {
        name: "smp_membarrier_interrupts_exactly_its_users",
        run: interrupts_exactly_its_users,
    },
    Case {
        name: "smp_membarrier_spares_a_lazy_cpu",
        run: spares_a_lazy_cpu,
    },
    Case {
        name: "smp_membarrier_global_interrupts_all",
        run: global_interrupts_all,
    },
    Case {
        name: "smp_membarrier_registration_follows_the_switch",
        run: registration_follows_the_switch,
    },
    Case {
        name: "smp_membarrier_registration_reaches_a_lazy_cpu",
        run: registration_reaches_a_lazy_cpu,
    },
];

fn membarrier(cmd: MembarrierCmd) -> Outcome {
    sys_membarrier(cmd as u32, 0)?;
    Ok(())
}

/// Fails unless `cmd` interrupts CPU `cpu` `times` times.
fn expect_interrupts(what: &str, cmd: MembarrierCmd, cpu: u32, times: u32) -> Outcome {
    let before = counts_of(cpu).membarriers;
    membarrier(cmd)?;
    expect(what, counts_of(cpu).membarriers - before, times)
}

/// A switch back from a kernel task does not write CR3, so it has to serialize; but only for a
/// process that has registered, and not when the switch does write CR3.
fn syncs_core_where_no_cr3_is_written() -> Outcome {
    let back_again = |what: &str, syncs: u32, writes: u32| {
        let before = counts();
        pass();
        let after = counts();
        expect(what, after.core_syncs - before.core_syncs, syncs)?;
        expect("CR3 writes", after.cr3_writes - before.cr3_writes, writes)
    };
    Crew::new()
        .actor("user", || {
            Mm::move_into_new()?;
            back_again("not registered", 0, 0)?;
            membarrier(MembarrierCmd::RegisterPrivateExpeditedSyncCore)?;
            back_again("registered", 1, 0)
        })
        .actor("kernel", || {
            pass();
            pass();
            Ok(())
        })
        .run()?;
    Crew::new()
        .actor("user", || {
            Mm::move_into_new()?;
            membarrier(MembarrierCmd::RegisterPrivateExpeditedSyncCore)?;
            pass(); // the other actor moves into its address space
            back_again("between two address spaces", 0, 2)
        })
        .actor("other", || {
            Mm::move_into_new()?;
            pass();
            Ok(())
        })
        .run()
}

/// CPU 1 runs a thread of the caller's process. On CPU 2 such a thread sleeps while another
/// process runs: only CPU 1 is interrupted.
fn interrupts_exactly_its_users() -> Outcome {
    need_cpus(3)?;
    let (mm, sleeper, ready) = (
        Place::new(LockClass::Selftest, None),
        Slot::new(),
        Rendezvous::new(3),
    );
    let asleep = AtomicBool::new(false);
    Crew::new()
        .actor_on(0, "caller", || {
            let own = Mm::move_into_new()?;
            let refused = sys_membarrier(MembarrierCmd::PrivateExpedited as u32, 0);
            expect("not registered", refused, Err(Errno::EPERM))?;
            membarrier(MembarrierCmd::RegisterPrivateExpedited)?;
            *mm.lock() = Some(own);
            ready.meet()?;
            expect("users", own.users(), 3)?;
            let cmd = MembarrierCmd::PrivateExpedited;
            expect_interrupts("the thread's CPU", cmd, 1, 1)?;
            expect_interrupts("the other process's CPU", cmd, 2, 0)?;
            expect_interrupts("its own CPU", cmd, 0, 0)?;
            ready.meet()?;
            let thread = sleeper.task()?;
            expect_true("it slept", wake_up_process(&thread))
        })
        .actor_on(1, "thread", || {
            wait_for("the caller", || mm.lock().is_some())?;
            at(&mm).move_into();
            ready.meet()?;
            ready.meet()
        })
        .actor_on(2, "sleeper", || {
            wait_for("the caller", || mm.lock().is_some())?;
            at(&mm).move_into();
            sleeper.enter();
            asleep.store(true, Ordering::Release);
            sleep();
            Ok(())
        })
        .actor_on(2, "other", || {
            expect_true("the sleeper came first", asleep.load(Ordering::Acquire))?;
            Mm::move_into_new()?;
            ready.meet()?;
            ready.meet()
        })
        .run()
}

/// CPU 1 idles on the caller's page tables. It runs no user code whose memory accesses need
/// ordering, though a TLB flush would have to reach it.
fn spares_a_lazy_cpu() -> Outcome {
    need_cpus(2)?;
    let (mm, slot) = (Place::new(LockClass::Selftest, None), Slot::new());
    Crew::new()
        .actor_on(0, "caller", || {
            let own = Mm::move_into_new()?;
            membarrier(MembarrierCmd::RegisterPrivateExpedited)?;
            *mm.lock() = Some(own);
            wait_for("CPU 1 is lazy", || {
                own.cpu_vm_mask() == 0b11 && tlb_state_of(1) == TLBSTATE_LAZY
            })?;
            let cmd = MembarrierCmd::PrivateExpedited;
            expect_interrupts("the lazy CPU", cmd, 1, 0)?;
            let thread = slot.task()?;
            expect_true("it slept", wake_up_process(&thread))
        })
        .actor_on(1, "thread", || {
            wait_for("the caller", || mm.lock().is_some())?;
            slot.enter();
            at(&mm).move_into();
            sleep();
            Ok(())
        })
        .run()
}

/// Without a registration the global barrier interrupts all CPUs but the caller's own, whatever
/// they run.
fn global_interrupts_all() -> Outcome {
    let online = need_cpus(2)?;
    Crew::new()
        .actor_on(0, "caller", || {
            Mm::move_into_new()?;
            let before = [0, 1].map(|cpu| counts_of(cpu).membarriers);
            let all = |cpu: u32| online & 1 << cpu != 0;
            let sum = || -> u32 {
                (1..u32::BITS)
                    .filter(|cpu| all(*cpu))
                    .map(|cpu| counts_of(cpu).membarriers)
                    .sum()
            };
            let others = sum();
            membarrier(MembarrierCmd::Global)?;
            expect("others", sum() - others, online.count_ones() - 1)?;
            expect("CPU 0", counts_of(0).membarriers - before[0], 0)?;
            expect("CPU 1", counts_of(1).membarriers - before[1], 1)
        })
        .run()
}

/// Another process's barrier interrupts CPU 1 only while a registered process runs there.
fn registration_follows_the_switch() -> Outcome {
    need_cpus(2)?;
    let ready = Rendezvous::new(2);
    let cmd = MembarrierCmd::GlobalExpedited;
    Crew::new()
        .actor_on(0, "stranger", || {
            Mm::move_into_new()?;
            let meanwhile = |what: &str, times: u32| {
                ready.meet()?;
                expect_interrupts(what, cmd, 1, times)?;
                ready.meet()
            };
            meanwhile("before it registers", 0)?;
            meanwhile("registered", 1)?;
            meanwhile("another process runs", 0)?;
            meanwhile("it runs again", 1)
        })
        .actor_on(1, "registered", || {
            Mm::move_into_new()?;
            ready.meet()?;
            ready.meet()?;
            membarrier(MembarrierCmd::RegisterGlobalExpedited)?;
            ready.meet()?;
            ready.meet()?;
            pass();
            ready.meet()?;
            ready.meet()
        })
        .actor_on(1, "other", || {
            Mm::move_into_new()?;
            ready.meet()?;
            ready.meet()?;
            // The other actor goes on, and this one ends after it.
            pass();
            Ok(())
        })
        .run()
}

/// The process registers while the idle task of CPU 1 borrows its page tables: the switch back
/// copies nothing, so the registration itself must reach CPU 1.
fn registration_reaches_a_lazy_cpu() -> Outcome {
    need_cpus(2)?;
    let (mm, slot, ready) = (
        Place::new(LockClass::Selftest, None),
        Slot::new(),
        Rendezvous::new(2),
    );
    Crew::new()
        .actor_on(0, "caller", || {
            let own = Mm::move_into_new()?;
            *mm.lock() = Some(own);
            wait_for("CPU 1 is lazy", || {
                own.cpu_vm_mask() == 0b11 && tlb_state_of(1) == TLBSTATE_LAZY
            })?;
            membarrier(MembarrierCmd::RegisterGlobalExpedited)?;
            let cmd = MembarrierCmd::GlobalExpedited;
            expect_interrupts("while a kernel task runs there", cmd, 1, 0)?;
            let thread = slot.task()?;
            expect_true("it slept", wake_up_process(&thread))?;
            ready.meet()?;
            expect_interrupts("its thread is back", cmd, 1, 1)?;
            ready.meet()
        })
        .actor_on(1, "thread", || {
            wait_for("the caller", || mm.lock().is_some())?;
            slot.enter();
            at(&mm).move_into();
            let written = counts().cr3_writes;
            sleep();
            expect("CR3 writes", counts().cr3_writes - written, 0)?;
            ready.meet()?;
            ready.meet()
        })
        .run()
}
