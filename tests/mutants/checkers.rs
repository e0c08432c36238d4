//! The kernel's own checkers, and the waits in the start of a CPU: a scenario sees each.

use super::{Edit, Mutant, Run};

const SOFT: &str = "smp::a_soft_lockup_shows_every_cpu";
const HARD: &str = "smp::a_hard_lockup_is_seen_by_its_neighbour";
const START: &str = "smp::a_cpu_is_given_the_time_that_it_needs";

/// Watchdog, lock checker, start of a CPU.
#[rustfmt::skip]
pub const CHECKERS: &[Mutant] = &[
    Mutant {
        name: "soft_lockup_not_seen",
        takes_out: "each CPU's check of its own switches",
        edits: &[
            Edit { file: "src/process/watchdog.rs", find: "    } else if me.still_for(switches, now_ms) >= limit_ms {", replace: "    } else if false && me.still_for(switches, now_ms) >= limit_ms {" },
        ],
        red: Run::boots(SOFT, "no line has \"BUG: soft lockup: CPU \""),
    },
    Mutant {
        name: "hard_lockup_not_seen",
        takes_out: "each CPU's check of its neighbour's ticks",
        edits: &[
            Edit { file: "src/process/watchdog.rs", find: "        && NEIGHBOUR[cpu as usize]", replace: "        && false && NEIGHBOUR[cpu as usize]" },
        ],
        red: Run::boots(HARD, "no line has \"BUG: hard lockup: CPU 1 "),
    },
    Mutant {
        name: "lockup_though_nothing_is_due",
        takes_out: "the check whether a switch is due",
        edits: &[
            Edit { file: "src/process/watchdog.rs", find: "    if !test_flag(current_thread_info(), TIF_NEED_RESCHED) {", replace: "    if false && !test_flag(current_thread_info(), TIF_NEED_RESCHED) {" },
        ],
        red: Run::selftest("nice_spinner_is_no_lockup").with("watchdog=1"),
    },
    Mutant {
        name: "lockup_shows_one_cpu",
        takes_out: "the registers of the other CPUs",
        edits: &[
            Edit { file: "src/arch/x86/epitaph.rs", find: "        ask_cpu(out, cpu);\n", replace: "" },
        ],
        red: Run::boots(HARD, "no line has \"cpu 1, task locked\""),
    },
    Mutant {
        name: "lockup_shows_no_tasks",
        takes_out: "the tasks in the watchdog's report",
        edits: &[
            Edit { file: "src/arch/x86/epitaph.rs", find: "    show_tasks();\n", replace: "" },
        ],
        red: Run::boots(SOFT, "no line has \"runs on cpu\""),
    },
    Mutant {
        name: "lock_owner_not_looked_at",
        takes_out: "the check for the holder of a lock before it is taken",
        edits: &[
            Edit { file: "src/sync/lockdep.rs", find: "        if self.owner.load(Ordering::Relaxed) == cpu + 1 {", replace: "        if false && self.owner.load(Ordering::Relaxed) == cpu + 1 {" },
        ],
        red: Run::boots("lockdep::bug_lock_taken_twice", "no line has \"BUG: lock taken twice by one CPU\""),
    },
    Mutant {
        name: "lock_taken_nowhere",
        takes_out: "the backtrace of a lock's holder",
        edits: &[
            Edit { file: "src/sync/lockdep.rs", find: "        self.taken_at.set(&capture());\n", replace: "" },
        ],
        red: Run::boots("lockdep::bug_lock_taken_twice", "there is no other backtrace"),
    },
    Mutant {
        name: "lock_order_not_looked_at",
        takes_out: "the order of classes",
        edits: &[
            Edit { file: "src/sync/lock_order.rs", find: "        if old.class > new.class {", replace: "        if false {" },
        ],
        red: Run::boots("lockdep::bug_locks_taken_out_of_order", "no line has \"BUG: locks taken out of order\""),
    },
    Mutant {
        name: "run_queues_in_any_order",
        takes_out: "the order within a class",
        edits: &[
            Edit { file: "src/sync/lock_order.rs", find: "        if old.class == new.class && !by_address {", replace: "        if false {" },
        ],
        red: Run::boots("lockdep::bug_run_queues_out_of_order", "no line has \"BUG: two locks of a class not in order\""),
    },
    Mutant {
        name: "lock_of_interrupts_not_looked_at",
        takes_out: "the check that interrupts are on where a lock wants them on",
        edits: &[
            Edit { file: "src/sync/lock_order.rs", find: "    if row.context == Context::Task && !here.interrupts_on {", replace: "    if false {" },
        ],
        red: Run::boots("lockdep::bug_lock_of_interrupts", "no line has \"BUG: lock of task context taken with interrupts off\""),
    },
    Mutant {
        name: "all_cpus_locked_up_not_seen",
        takes_out: "the boot CPU's NMI when its tick does not come",
        edits: &[
            Edit { file: "src/arch/x86/irq/nmi_watchdog.rs", find: "    lapic::let_8259s_send_nmis();\n", replace: "" },
        ],
        red: Run::boots("smp::4_cpus_locked_up_are_seen_by_nmi", "no line has \"BUG: hard lockup: CPU 0 "),
    },
    Mutant {
        name: "nmi_comes_once",
        takes_out: "the acknowledgement that allows the next NMI",
        edits: &[
            Edit { file: "src/drivers/pic.rs", find: "        end_of_interrupt(irq);\n        irq\n", replace: "        irq\n" },
        ],
        red: Run::boots("smp::1_cpus_locked_up_are_seen_by_nmi", "no line has \"BUG: hard lockup: CPU 0 "),
    },
    Mutant {
        name: "cred_taken_with_interrupts_on",
        takes_out: "interrupts off while credentials are locked, and the row that demands it",
        edits: &[
            Edit { file: "src/task/task_struct.rs", find: "    cred: IrqSpinLock<Cred>,", replace: "    cred: SpinLock<Cred>," },
            Edit { file: "src/task/task_struct.rs", find: "            cred: IrqSpinLock::new(LockClass::Cred, Cred::ROOT),", replace: "            cred: SpinLock::new(LockClass::Cred, Cred::ROOT)," },
            Edit { file: "src/sync/lock_class.rs", find: "    Cred Any No ", replace: "    Cred Task No " },
        ],
        red: Run::ring3("lock_storm", "afterwards a process is made, and ends"),
    },
    Mutant {
        name: "free_lock_released",
        takes_out: "the check that a released lock was held",
        edits: &[
            Edit { file: "src/sync/lockdep.rs", find: "            if self.taken_at.get()[0] != 0 {", replace: "            if false {" },
        ],
        red: Run::boots("lockdep::bug_lock_released_twice", "no line has \"BUG: lock released that nobody holds\""),
    },
    Mutant {
        name: "lock_released_by_anybody",
        takes_out: "the check that the holder releases a lock",
        edits: &[
            Edit { file: "src/sync/lockdep.rs", find: "        if owner != cpu + 1 {", replace: "        if false {" },
        ],
        red: Run::boots("lockdep::bug_lock_released_by_another_cpu", "no line has \"BUG: lock released by another CPU than its owner\""),
    },
    Mutant {
        name: "no_pause_after_init",
        takes_out: "the 10 ms of INIT",
        edits: &[
            Edit { file: "src/arch/x86/irq/smp.rs", find: "    udelay(INIT_US);\n    lapic::send_ipi(apic_id, Ipi::InitDeassert);\n    for", replace: "    lapic::send_ipi(apic_id, Ipi::InitDeassert);\n    for" },
        ],
        red: Run::boots(START, "after INIT, not 10ms"),
    },
    Mutant {
        name: "no_pause_after_sipi",
        takes_out: "the 200 µs after the first start-up message",
        edits: &[
            Edit { file: "src/arch/x86/irq/smp.rs", find: "        if wait_for(STARTUP_US,", replace: "        if wait_for(0," },
        ],
        red: Run::boots(START, "after the first SIPI, not 200µs"),
    },
    Mutant {
        name: "one_sipi",
        takes_out: "the second start-up message",
        edits: &[
            Edit { file: "src/arch/x86/irq/smp.rs", find: "    for _ in 0..2 {", replace: "    for _ in 0..1 {" },
        ],
        red: Run::boots(START, "sent INIT, deassert, SIPI, INIT, deassert"),
    },
    Mutant {
        name: "cpu_given_up_early",
        takes_out: "half of the second that a CPU has to answer",
        edits: &[
            Edit { file: "src/arch/x86/irq/smp.rs", find: "    if wait_for(CALLIN_TIMEOUT_US,", replace: "    if wait_for(CALLIN_TIMEOUT_US / 2," },
        ],
        red: Run::boots(START, "after the second SIPI, not 5s"),
    },
    Mutant {
        name: "silent_cpu_not_named",
        takes_out: "the name of a CPU that does not answer",
        edits: &[
            Edit { file: "src/sched/smp_init.rs", find: "            log::error!(\"smp: CPU {cpu} (APIC id {apic_id}) did not answer within 5 s\");\n", replace: "" },
        ],
        red: Run::boots("smp::a_cpu_that_does_not_answer_is_named", "no line has \"smp: CPU 2 (APIC id 238) did not answer within 5 s\""),
    },
];
