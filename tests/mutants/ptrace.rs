//! ptrace: the hooks in signals, calls, births and deaths, and the debug registers.

use super::{Edit, Mutant, Run};

/// By the place of the hook.
#[rustfmt::skip]
pub const PTRACE: &[Mutant] = &[
    Mutant {
        name: "debug_registers_have_no_flag",
        takes_out: "TIF_DEBUG of a task whose tracer sets a breakpoint",
        edits: &[
            Edit { file: "src/ptrace/debugreg.rs", find: "    thread.set_work(TIF_DEBUG, real != 0);", replace: "    thread.set_work(TIF_DEBUG, real == 1);" },
        ],
        red: Run::ring3("ptrace_events", "a watchpoint hits in its thread alone, each time"),
    },
    Mutant {
        name: "debug_registers_of_kernel_addresses",
        takes_out: "the check of breakpoint addresses",
        edits: &[
            Edit { file: "src/ptrace/debugreg.rs", find: "        0..HBP_NUM if value >= TASK_SIZE => return Err(Errno::EINVAL),\n", replace: "" },
        ],
        red: Run::ring3("ptrace_steps", "DR0 = 0xc0100000: EINVAL"),
    },
    Mutant {
        name: "signal_is_not_shown_to_the_tracer",
        takes_out: "the stop before a signal",
        edits: &[
            Edit { file: "src/process/signal_delivery.rs", find: "        if is_traced(&me) && info.signal != SIGKILL {", replace: "        if is_traced(&me) && info.signal == SIGSEGV {" },
        ],
        red: Run::ring3("ptrace_steps", "it stops before a handler"),
    },
    Mutant {
        name: "traced_call_takes_the_fast_path",
        takes_out: "the limit that sends a traced task's calls through the slow path",
        edits: &[
            Edit { file: "src/base/thread_info.rs", find: "                limit.store(0, Ordering::Release);", replace: "                limit.store(NR_SYSCALLS as u32, Ordering::Release);" },
        ],
        red: Run::ring3("ptrace_steps", "int 0x80: number, and -ENOSYS"),
    },
    Mutant {
        name: "step_runs_over_a_call",
        takes_out: "the stop behind a call that is stepped over",
        edits: &[
            Edit { file: "src/process/trace_syscall.rs", find: "        force_sig_info(SigInfo::fault(SIGTRAP, TRAP_BRKPT, ip), me);", replace: "        let _ = (force_sig_info, SigInfo::fault(SIGTRAP, TRAP_BRKPT, ip));" },
        ],
        red: Run::ring3("ptrace_steps", "each ends at the next instruction, and TF is hidden"),
    },
    Mutant {
        name: "poke_writes_the_shared_page",
        takes_out: "the copy of a page that the traced task shares with its tracer",
        edits: &[
            Edit { file: "src/mm/access.rs", find: "        if own != pte.phys() {", replace: "        if own != pte.phys() && false {" },
        ],
        red: Run::ring3("ptrace", "the tracer's text is its own"),
    },
    Mutant {
        name: "fork_tells_no_tracer",
        takes_out: "the event of fork",
        edits: &[
            Edit { file: "src/process/fork.rs", find: "        ptrace_event(me, option, event, pid as u32);", replace: "        let _ = (option, event);" },
        ],
        red: Run::ring3("ptrace_events", "fork is an event"),
    },
    Mutant {
        name: "exec_tells_no_tracer",
        takes_out: "the event of exec",
        edits: &[
            Edit { file: "src/syscall/exec.rs", find: "    ptrace_exec(me, old_pid);\n", replace: "    let _ = (ptrace_exec, me, old_pid);\n" },
        ],
        red: Run::ring3("ptrace_events", "exec is an event"),
    },
    Mutant {
        name: "exit_tells_no_tracer",
        takes_out: "the event of exit",
        edits: &[
            Edit { file: "src/process/exit.rs", find: "        ptrace_event(me, PT_TRACE_EXIT, PTRACE_EVENT_EXIT, code as u32);", replace: "        let _ = (ptrace_event, PT_TRACE_EXIT, PTRACE_EVENT_EXIT);" },
        ],
        red: Run::ring3("ptrace_events", "the end is an event"),
    },
    Mutant {
        name: "stop_before_the_frame_is_fixed",
        takes_out: "TF of the tracer, taken out of a handler's frame",
        edits: &[
            Edit { file: "src/process/signal_delivery.rs", find: "        me.ptrace.flags.remove(PT_FORCED_TF);\n        regs.flags &= !Eflags::TF.bits();", replace: "        me.ptrace.flags.remove(PT_FORCED_TF);" },
        ],
        red: Run::ring3("ptrace_steps", "the handler returns without TF"),
    },
];
