//! Processes of several threads: how they end, stop and execute, and their signals.

use super::{Edit, Mutant, Run};

/// In no order.
#[rustfmt::skip]
pub const PROCESSES: &[Mutant] = &[
    Mutant {
        name: "timers_end_with_the_leader",
        takes_out: "the wait for the last thread before the process's timers go",
        edits: &[
            Edit { file: "src/process/exit.rs", find: "    if entry.live_threads != 0 {", replace: "    if entry.live_threads != 0 && current().pid() != tgid {" },
        ],
        red: Run::ring3("ends", "a timer of the process goes on without its first thread"),
    },
    Mutant {
        name: "process_ends_with_its_leader",
        takes_out: "the look for other threads at a leader's end",
        edits: &[
            Edit { file: "src/process/release.rs", find: "        entry.live_threads == 0 && entry.task.exit_state", replace: "        entry.task.exit_state" },
            Edit { file: "src/process/release.rs", find: "    }) && list.each(PidType::Tgid, tgid).all(|it| it.pid() == tgid)\n", replace: "    })\n" },
        ],
        red: Run::ring3("ends", "while a thread lives its process has not ended"),
    },
    Mutant {
        name: "signal_for_the_dead_leader",
        takes_out: "the choice of a live thread for a process's signal",
        edits: &[
            Edit { file: "src/process/signal_group.rs", find: "        if thread.has_flags(PF_EXITING) || !wanted(thread) {", replace: "        if thread.has_flags(PF_EXITING) && false || !wanted(thread) {" },
        ],
        red: Run::ring3("ends", "a signal for the process finds the thread that lives"),
    },
    Mutant {
        name: "ignored_children_wait",
        takes_out: "the reaping of children whose end is ignored",
        edits: &[
            Edit { file: "src/process/signal.rs", find: "        action.handler == SIG_IGN || action.flags", replace: "        action.handler == SIG_IGN && false || action.flags" },
        ],
        red: Run::ring3("ends", "a parent that ignores SIGCHLD has no child to wait for"),
    },
    Mutant {
        name: "flagged_children_wait",
        takes_out: "SA_NOCLDWAIT",
        edits: &[
            Edit { file: "src/process/signal.rs", find: " || action.flags & SA_NOCLDWAIT != 0", replace: " || action.flags & SA_NOCLDWAIT != 0 && false" },
        ],
        red: Run::ring3("ends", "so has one with SA_NOCLDWAIT, but it is told"),
    },
    Mutant {
        name: "children_leave_with_the_leader",
        takes_out: "the wait of children for the end of the last thread",
        edits: &[
            Edit { file: "src/process/exit.rs", find: "    if entry.live_threads != 0 {\n", replace: "    if entry.live_threads != 0 {\n        let _some = list.reparent_children(tgid, |_, _| {});\n" },
        ],
        red: Run::ring3("ends", "its children stay its children"),
    },
    Mutant {
        name: "program_ends_as_clone_said",
        takes_out: "SIGCHLD as the signal of a new program's end",
        edits: &[
            Edit { file: "src/process/exec.rs", find: "    me.exit_signal.store(SIGCHLD, Ordering::Relaxed);\n", replace: "" },
        ],
        red: Run::ring3("ends", "SIGCHLD reports a program's end, whatever clone said"),
    },
    Mutant {
        name: "exec_closes_what_others_share",
        takes_out: "descriptors of its own for a new program",
        edits: &[
            Edit { file: "src/process/exec.rs", find: "Arc::strong_count(&files) > 2 =>", replace: "Arc::strong_count(&files) > 2 && false =>" },
        ],
        red: Run::ring3("ends", "a descriptor that exec closes stays open for a task that shared it"),
    },
    Mutant {
        name: "lone_number_cleared",
        takes_out: "the check whether another task shares the memory",
        edits: &[
            Edit { file: "src/process/exit.rs", find: "mm.counts.users() > 1", replace: "mm.counts.users() > 0" },
        ],
        red: Run::ring3("ends", "the number is not cleared in memory that is not shared"),
    },
    Mutant {
        name: "system_ends_with_the_first_thread",
        takes_out: "the end of init with its last thread",
        edits: &[
            Edit { file: "src/process/exit.rs", find: "    exit_signals(me);\n", replace: "    exit_signals(me);\n    if me.pid() == INIT_PID {\n        init_exits(code);\n    }\n" },
        ],
        red: Run::init("/tests/exec_thread -- be_init", "init goes on without its first thread"),
    },
    Mutant {
        name: "thread_executes_under_its_own_number",
        takes_out: "the change of leader when a thread executes a program",
        edits: &[
            Edit { file: "src/process/de_thread.rs", find: "if outcome.is_ok() && !is_leader {", replace: "if outcome.is_err() && !is_leader {" },
        ],
        red: Run::ring3("exec_thread", "which leads the process, and has its number"),
    },
    Mutant {
        name: "age_of_the_old_leader_forgotten",
        takes_out: "the start time of a process across exec",
        edits: &[
            Edit { file: "src/process/de_thread.rs", find: "            me.start_time.store(born, Ordering::Relaxed);\n", replace: "            let _ = born;\n" },
        ],
        red: Run::ring3("exec_thread", "it began when the process did"),
    },
    Mutant {
        name: "times_of_the_old_leader_forgotten",
        takes_out: "the CPU time of the old leader",
        edits: &[
            Edit { file: "src/process/de_thread.rs", find: "others.threads.plus(Usage::of(old))", replace: "others.threads.plus(Usage::default())" },
        ],
        red: Run::ring3("exec_thread", "the old leader's CPU time counts for its process"),
    },
    Mutant {
        name: "timer_stays_with_the_old_leader",
        takes_out: "the move of a process's timer to its new leader",
        edits: &[
            Edit { file: "src/process/de_thread.rs", find: "    move_itimer(me);\n", replace: "    let _ = move_itimer;\n" },
        ],
        red: Run::ring3("exec_thread", "for its new leader: a blocked signal waits, though ignored"),
    },
    Mutant {
        name: "exec_while_others_live",
        takes_out: "the wait for the other threads",
        edits: &[
            Edit { file: "src/process/de_thread.rs", find: "    while !is_last(&TASKLIST.lock(), &me) {\n", replace: "    while false {\n" },
        ],
        red: Run::ring3("exec_thread", "of several threads that execute at once one succeeds"),
    },
    Mutant {
        name: "handlers_copied",
        takes_out: "the sharing of handlers by CLONE_SIGHAND",
        edits: &[
            Edit { file: "src/process/copy_signal.rs", find: "        true => sighand,", replace: "        true => { let own = new_sighand()?; let actions = *sighand.lock(); *own.lock() = actions; own }" },
        ],
        red: Run::ring3("ends", "with CLONE_SIGHAND they are shared"),
    },
    Mutant {
        name: "blocker_keeps_the_signal",
        takes_out: "the message to another thread when one blocks a signal it was told of",
        edits: &[
            Edit { file: "src/process/signal.rs", find: "        retarget_shared_pending(me, newly);", replace: "        let _ = retarget_shared_pending;" },
        ],
        red: Run::ring3("thread_group", "a signal that its taker blocks goes to another"),
    },
    Mutant {
        name: "ignored_signal_waits_on",
        takes_out: "the removal of pending signals that a process starts to ignore",
        edits: &[
            Edit { file: "src/syscall/signal.rs", find: "    flush_ignored(me, signal);", replace: "    let _ = flush_ignored;" },
        ],
        red: Run::ring3("thread_group", "until it is ignored"),
    },
    Mutant {
        name: "signal_for_one_batch",
        takes_out: "the rest of a long list, after others have had its lock",
        edits: &[
            Edit { file: "src/process/tasklist.rs", find: "                drop(list);\n                passed.clear();\n", replace: "                if !passed.is_empty() { break None; }\n                drop(list);\n                passed.clear();\n" },
        ],
        red: Run::ring3("crowd", "a signal for a group reaches each of it"),
    },
    Mutant {
        name: "children_of_one_batch_adopted",
        takes_out: "the rest of a dying parent's children",
        edits: &[
            Edit { file: "src/process/exit.rs", find: "        drop(list);\n        if let Some(reaper) = reaper.filter", replace: "        if zombies.is_empty() { return list; }\n        drop(list);\n        if let Some(reaper) = reaper.filter" },
        ],
        red: Run::ring3("crowd", "each of its children has another"),
    },
    Mutant {
        name: "groups_made_of_nothing",
        takes_out: "that a process group has to be there to be joined",
        edits: &[
            Edit { file: "src/syscall/identity.rs", find: "        if member.is_none_or(|it| it.signal", replace: "        if member.is_some_and(|it| it.signal" },
        ],
        red: Run::ring3("crowd", "and nobody joins it any more"),
    },
    Mutant {
        name: "threads_of_an_orphan_forgotten",
        takes_out: "the parent's number in the other threads of an orphan",
        edits: &[
            Edit { file: "src/process/tasklist.rs", find: "for thread in self.each(PidType::Tgid, child) {", replace: "for thread in self.each(PidType::Tgid, child).take(1) {" },
        ],
        red: Run::ring3("thread_group", "each thread of an orphan is init's child"),
    },
    Mutant {
        name: "real_time_signals_wait_once",
        takes_out: "the queue of real-time signals",
        edits: &[
            Edit { file: "src/process/sigpending.rs", find: "        if !real_time && self.set.contains(info.signal) {", replace: "        if self.set.contains(info.signal) {" },
        ],
        red: Run::ring3("rt_signals", "by number, then in order; a usual signal once"),
    },
    Mutant {
        name: "awaited_signal_ignored",
        takes_out: "the wake-up of rt_sigtimedwait by blocked signals",
        edits: &[
            Edit { file: "src/process/signal_wait.rs", find: "        own.awaited = own.blocked;", replace: "        own.awaited = SigSet::EMPTY;" },
        ],
        red: Run::ring3("rt_signals", "SIGCHLD, which by default does nothing"),
    },
    Mutant {
        name: "timer_goes_on_while_its_signal_waits",
        takes_out: "that ITIMER_REAL rests until its signal is taken",
        edits: &[
            Edit { file: "src/process/itimer.rs", find: "        (it.timer, it.ended_us) = (None, ended.expires_us);", replace: "        (it.timer, it.ended_us) = (None, ended.expires_us);\n        let next = hrtimer_forward(ended.expires_us as i64, since_boot_us() as i64, it.incr_us);\n        if let Some((next_us, _)) = next { it.start(next_us.max(0) as u64, leader.clone()); }" },
        ],
        red: Run::ring3("itimer", "it rests while its signal is blocked"),
    },
    Mutant {
        name: "timer_stays_at_rest",
        takes_out: "that ITIMER_REAL goes on when its signal is taken",
        edits: &[
            Edit { file: "src/process/signal_delivery.rs", find: "            if shared.signal == SIGALRM {", replace: "            if shared.signal == SIGALRM && shared.code == 1 {" },
        ],
        red: Run::ring3("itimer", "with an interval it rings again and again, while the program computes"),
    },
    Mutant {
        name: "intervals_of_the_past_forgotten",
        takes_out: "the overruns between a timer's end and the taking of its signal",
        edits: &[
            Edit { file: "src/process/posix_timer.rs", find: "    let missed = timer.go_on(id, leader, now_us).saturating_sub(1);", replace: "    let missed = timer.go_on(id, leader, now_us).min(1) - 1;" },
        ],
        red: Run::ring3("posix_timer", "each interval since a time of the past is an overrun"),
    },
    Mutant {
        name: "ignored_timer_stops",
        takes_out: "that a timer whose signal has no effect runs on",
        edits: &[
            Edit { file: "src/process/posix_timer.rs", find: "    if matches!(sent, Ok(Sent::Waits)) {", replace: "    if sent.is_ok() {" },
        ],
        red: Run::ring3("posix_timer", "a timer whose signal is ignored runs on"),
    },
    Mutant {
        name: "sixteen_timers_end_in_any_case",
        takes_out: "that timers leave time to tasks on a slow machine too",
        edits: &[
            Edit { file: "src/sched/timer.rs", find: "            if done != 0 && since_boot_us()", replace: "            if done >= 16 && since_boot_us()" },
        ],
        red: Run::selftest("timers_leave_time_to_tasks"),
    },
    Mutant {
        name: "timers_take_the_whole_tick",
        takes_out: "the share of a tick that timers may take",
        edits: &[
            Edit { file: "src/sched/timer.rs", find: "const SHARE_US: u64 = TICK_US / 4;", replace: "const SHARE_US: u64 = TICK_US * 1000;" },
        ],
        red: Run::selftest("timers_leave_time_to_tasks"),
    },
    Mutant {
        name: "overruns_not_counted",
        takes_out: "the overruns of a timer that is set anew while its signal waits",
        edits: &[
            Edit { file: "src/process/posix_timer.rs", find: "waiting.map(|info| info.fields[1] = info.fields[1].saturating_add(1))", replace: "waiting.map(|info| info.fields[1] = info.fields[1].saturating_add(0))" },
        ],
        red: Run::ring3("posix_timer", "set anew, it counts an overrun in the signal that waits"),
    },
    Mutant {
        name: "death_of_the_parent_untold",
        takes_out: "the signal of PR_SET_PDEATHSIG",
        edits: &[
            Edit { file: "src/process/kill.rs", find: "    if signal != 0 && check_kill_permission(me, leader, signal).is_ok() {", replace: "    if signal == 99 && check_kill_permission(me, leader, signal).is_ok() {" },
        ],
        red: Run::ring3("parent_death", "it comes when the parent ends, and from the parent"),
    },
    Mutant {
        name: "new_rights_keep_asking",
        takes_out: "the end of PR_SET_PDEATHSIG when a process gets other rights",
        edits: &[
            Edit { file: "src/syscall/identity.rs", find: "        me.pdeath_signal.store(0, Ordering::Relaxed);\n", replace: "" },
        ],
        red: Run::ring3("parent_death", "with another user's rights a process no longer asks"),
    },
    Mutant {
        name: "cpu_timers_end_in_no_tick",
        takes_out: "the tick's look at timers by CPU time",
        edits: &[
            Edit { file: "src/sched/tick.rs", find: "    run_posix_cpu_timers();\n", replace: "    let _ = run_posix_cpu_timers;\n" },
        ],
        red: Run::ring3("cpu_timer", "it ends once the process has run for so long, with its value"),
    },
    Mutant {
        name: "threads_time_is_their_own",
        takes_out: "the ticks of other threads than the leader in the time of their process",
        edits: &[
            Edit { file: "src/sched/tick.rs", find: "    me.signal.timers.ticks.count(in_user);", replace: "    if me.pid() == me.tgid {\n        me.signal.timers.ticks.count(in_user);\n    }" },
        ],
        red: Run::ring3("cpu_timer", "the time of a process is that of its threads"),
    },
    Mutant {
        name: "thread_timers_count_the_process",
        takes_out: "a thread's timers apart from those of its process",
        edits: &[
            Edit { file: "src/process/cpu_clock.rs", find: "            true => &self.task.cpu_timers,", replace: "            true => &self.task.signal.timers.cpu," },
        ],
        red: Run::ring3("cpu_timer", "one thread's time does not end another's timer"),
    },
    Mutant {
        name: "passed_time_waits_for_a_tick",
        takes_out: "the end, at once, of a timer whose time a sleeping process has passed",
        edits: &[
            Edit { file: "src/process/posix_timer.rs", find: "        clock.run_timers();", replace: "        let _ = clock;" },
        ],
        red: Run::ring3("cpu_timer", "a time that a sleeping process has passed ends at once"),
    },
    Mutant {
        name: "dead_clock_takes_timers",
        takes_out: "the refusal of a timer by the time of a process that is gone",
        edits: &[
            Edit { file: "src/process/cpu_clock.rs", find: "        self.task.exit_state.load(Ordering::Relaxed) == EXIT_DEAD", replace: "        self.task.exit_state.load(Ordering::Relaxed) == EXIT_DEAD + 1" },
        ],
        red: Run::ring3("cpu_timer", "and stays so: ESRCH"),
    },
    Mutant {
        name: "ring_3_time_counts_the_kernel",
        takes_out: "the kind of time that a clock's number selects",
        edits: &[
            Edit { file: "src/process/cpu_clock.rs", find: "                    1 => CpuTime::User,", replace: "                    1 => CpuTime::All," },
        ],
        red: Run::ring3("cpu_timer", "time in the kernel is none in ring 3"),
    },
    Mutant {
        name: "sixteen_bit_keep_is_a_number",
        takes_out: "that 65535 leaves a number unchanged in the old calls",
        edits: &[
            Edit { file: "src/syscall/identity16.rs", find: "        0xffff => KEEP,", replace: "        0xffff => 0xffff," },
        ],
        red: Run::ring3("identity16", "setuid(65535): EINVAL"),
    },
    Mutant {
        name: "wide_number_is_cut",
        takes_out: "65534 for a number of more than 16 bits",
        edits: &[
            Edit { file: "src/syscall/identity16.rs", find: "u16::try_from(id).unwrap_or(OVERFLOW_ID)", replace: "u16::try_from(id).unwrap_or(id as u16)" },
        ],
        red: Run::ring3("identity16", "a number of more than 16 bits is told as 65534"),
    },
    Mutant {
        name: "wakes_one_batch",
        takes_out: "the rest of a long wait queue, after others have had its lock",
        edits: &[
            Edit { file: "src/sched/wait_queue.rs", find: "        if is_first_batch && self.0.first().is_some() {", replace: "        if is_first_batch && self.0.first().is_none() {" },
        ],
        red: Run::ring3("sleepers", "the end of a child wakes all threads that wait for one"),
    },
    Mutant {
        name: "futex_walk_of_one_batch",
        takes_out: "the rest of a long list of a futex's bucket",
        edits: &[
            Edit { file: "src/syscall/futex_queue.rs", find: "                unsafe { list.insert_before(link, self.place.link()) };\n                self.is_between.set(true);\n                return true;", replace: "                break;" },
        ],
        red: Run::ring3("sleepers", "a wake-up reaches those behind many that it is not for"),
    },
    Mutant {
        name: "overruns_not_told",
        takes_out: "the overruns in the signal of a timer",
        edits: &[
            Edit { file: "src/process/posix_timer.rs", find: "    info.fields[1] = told.min(DELAYTIMER_MAX) as u32;", replace: "    let _untold = told;" },
        ],
        red: Run::ring3("posix_timer", "one signal waits, and tells of overruns"),
    },
    Mutant {
        name: "stops_one_thread",
        takes_out: "the wake-up of the other threads at a stop",
        edits: &[
            Edit { file: "src/process/stop.rs", find: "filter(|thread| thread.pid() != me.pid()) {", replace: "filter(|_| false) {" },
        ],
        red: Run::ring3("stop", "a stop stops all threads, leader true"),
    },
    Mutant {
        name: "sigkill_leaves_stopped",
        takes_out: "the wake-up of a stopped task by SIGKILL",
        edits: &[
            Edit { file: "src/process/signal.rs", find: "        true => TASK_INTERRUPTIBLE | TASK_STOPPED | TASK_TRACED,", replace: "        true => TASK_INTERRUPTIBLE," },
        ],
        red: Run::ring3("stop", "SIGKILL ends a stopped process"),
    },
    Mutant {
        name: "stop_outlives_sigcont",
        takes_out: "the removal of stop signals by SIGCONT",
        edits: &[
            Edit { file: "src/process/stop.rs", find: "            discard_pending(list, task, STOP_SIGNALS);\n", replace: "" },
        ],
        red: Run::ring3("stop", "SIGCONT removes a pending stop signal, which removes a pending SIGCONT"),
    },
    Mutant {
        name: "orphans_stop",
        takes_out: "the check for an orphaned group before a stop",
        edits: &[
            Edit { file: "src/process/stop.rs", find: "        || signal != SIGSTOP && is_orphaned_pgrp", replace: "        || false && is_orphaned_pgrp" },
        ],
        red: Run::ring3("stop", "an orphaned group is stopped by SIGSTOP only"),
    },
    Mutant {
        name: "stop_ends_sleep",
        takes_out: "the rest of a sleep after a stop",
        edits: &[
            Edit { file: "src/syscall/sched.rs", find: "            return Err(Errno::ERESTARTNOHAND);", replace: "            return Err(Errno::EINTR);" },
        ],
        red: Run::ring3("stop", "a sleep ends at its time, however often it was stopped"),
    },
];
