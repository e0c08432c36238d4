//! The image's /init: runs the programs under /tests and reports the totals.
//!
//! `init` runs all, `init run NAME..` those that match (`*` and `?` are wildcards), `init list`
//! names them. The directory is /tests, or $TESTS. In the report each program is a subtest. The
//! exit status is 0 if all pass.
#![no_std]
#![no_main]

use core::ffi::CStr;
use rt::{
    Errno, WaitStatus, eq,
    gates::syscall,
    ktap, println,
    process::{self, Child},
    start,
};

const SYS_NANOSLEEP: u32 = 162;
/// How often a call is made that lacks memory, and how long init sleeps in between: seconds, nanoseconds.
const TRIES: u32 = 50;
const NAP: [u32; 2] = [0, 100_000_000];

/// The programs, in an order in which each relies only on what those before it have shown.
const PROGRAMS: &[(&str, &str)] = &[
    (
        "entry_state",
        "registers, flags and stack at the first instruction",
    ),
    ("syscalls", "answers and errors of the system calls"),
    ("processes", "fork, exec, exit, wait4"),
    ("clone", "flags and errors of clone"),
    ("ends", "how processes end, and which tasks learn of it"),
    ("stop", "processes that are stopped and go on"),
    ("parent_death", "a signal when the parent ends"),
    ("orphans", "process groups that nobody could continue"),
    ("crowd", "many processes, none of which is missed"),
    ("sleepers", "many sleepers, none of which is missed"),
    ("restart", "interrupted calls continue where they were"),
    ("times", "padding, far-off times, the time left"),
    ("pipe", "how much a pipe holds, and what poll reports"),
    ("limits", "what a process may use, and its priority"),
    ("waits", "waitid, and who adopts orphans"),
    ("small_answers", "limits, policies, prctl, advice"),
    (
        "epoll",
        "files that are watched, by level, by edge, and once",
    ),
    (
        "event_files",
        "counters and timers that are read from files, and watched",
    ),
    ("file_locks", "locks on ranges of a file, and on the whole"),
    ("signalfd", "signals that are read from a file"),
    ("tty", "a terminal's modes, times, flow and size"),
    ("memory", "brk, mmap, copy on write"),
    ("randomize", "where the parts of a program are"),
    ("files", "files that are written, mapped, moved and removed"),
    ("errors", "which error comes first"),
    (
        "bad_pointers",
        "an address that no program has, in each place of each call",
    ),
    ("edges", "numbers that wrap around or never end"),
    ("vdso", "AT_SYSINFO and its image"),
    ("faults", "each exception kills its program only"),
    ("rights", "rights over other processes"),
    ("identity16", "user and group numbers of 16 bits"),
    (
        "search",
        "which directories a user may search, and which files they may use",
    ),
    ("sched", "FIFO, RR, priorities, preemption, sleeping"),
    ("starve", "no task keeps a CPU by its system calls"),
    ("affinity", "which CPUs a task may run on"),
    ("eflags", "NT, AC, DF, TF, ID do not cross a switch"),
    ("gs_bases", "one selector, several bases"),
    ("gs_bad", "a selector whose descriptor is gone"),
    ("set_thread_area", "the three TLS slots"),
    ("ioperm", "the I/O permission bitmap"),
    ("iopl", "the I/O privilege level"),
    ("fpu_x87", "the x87 stack and control word"),
    ("fpu_sse", "XMM registers and MXCSR"),
    ("debugreg", "debug registers are the kernel's"),
    ("ptrace", "a tracer looks into its child, and changes it"),
    (
        "ptrace_steps",
        "a tracer sees calls and signals, steps, and sets breakpoints",
    ),
    (
        "ptrace_events",
        "what a tracer learns of its tasks, and what becomes of them",
    ),
    ("tsc", "PR_SET_TSC"),
    ("perf", "software events of a task"),
    ("perf_errors", "what perf_event_open refuses"),
    ("trace_marker", "texts in the trace"),
    ("kcov", "the kernel code that a call runs"),
    ("threads", "one address space; all else is their own"),
    (
        "exec_thread",
        "a thread that executes a program becomes the process",
    ),
    ("thread_group", "a signal reaches a thread that can take it"),
    (
        "signal_frame",
        "each register has its word in a frame, there and back",
    ),
    ("signal_info", "siginfo of handlers, and forged frames"),
    ("signal_fpu", "the FPU of handlers, forks and returns"),
    ("signal_stack", "the stacks that handlers run on"),
    ("rt_signals", "each real-time signal arrives, in order"),
    ("rseq", "restartable sequences start over"),
    ("rseq_counter", "counters without locks are exact"),
    (
        "membarrier",
        "registration, errors, and memory in order on two CPUs",
    ),
    ("ldt", "a process's own segments"),
    (
        "tlb",
        "memory that one thread removes is gone for the other",
    ),
    ("futex", "sleeping on a word, and waking"),
    (
        "futex_wake_op",
        "a word changes, and sleepers of two words wake",
    ),
    ("usage", "resource usage, and whose sums it joins"),
    ("itimer", "a signal after a time"),
    ("posix_timer", "a chosen signal after a time"),
    ("cpu_timer", "a signal after so much time on a CPU"),
    ("proc", "the files of /proc tell the truth"),
    ("proc_status", "its figures on a process"),
    ("proc_memory", "its figures on a process's memory"),
    ("proc_wchan", "the function in which a task sleeps"),
    ("proc_system", "its figures on the system"),
    (
        "lock_storm",
        "calls, timers and signals that want the same locks",
    ),
    ("fail_alloc", "calls that lack memory lose none"),
    (
        "out_of_memory",
        "errors, or the end of one process, and all memory back",
    ),
    (
        "stress",
        "many processes and threads, each with its own state",
    ),
];

fn main() -> i32 {
    match start::arg(1) {
        None => run(|_| true),
        Some("list") => {
            for (name, shows) in PROGRAMS {
                println!("{name:16} {shows}");
            }
            0
        }
        Some("run") if start::argc() > 2 => run(|name| {
            (2..start::argc())
                .filter_map(start::arg)
                .any(|g| matches(g, name))
        }),
        _ => {
            println!("usage: init [list | run NAME..]");
            2
        }
    }
}

fn run(wanted: impl Fn(&str) -> bool) -> i32 {
    let chosen = || {
        PROGRAMS
            .iter()
            .map(|&(name, _)| name)
            .filter(|name| wanted(name))
    };
    if chosen().next().is_none() {
        println!("init: no program of that name: see `init list`");
        return 2;
    }
    ktap::plan(chosen().count() as u32);
    for name in chosen() {
        println!("# program {name}");
        eq!(run_to_its_end(name), WaitStatus::exited(0), "{name}");
    }
    let (good, bad) = ktap::totals();
    println!("# programs: {good} passed, {bad} failed");
    ktap::finish()
}

/// Runs a program to its end. When there is no memory for it now, there may be soon: whoever has it ends.
fn run_to_its_end(name: &str) -> WaitStatus {
    let made = patiently(name, "fork", || match process::fork() {
        Ok(0) => process::exit(execute(name)),
        other => other,
    });
    match made {
        Ok(pid) => Child { pid }.wait(),
        Err(_) => WaitStatus::exited(127),
    }
}

/// Makes a call again as long as it lacks memory, but not for ever, and says so.
fn patiently<T>(
    name: &str,
    call: &str,
    mut body: impl FnMut() -> Result<T, Errno>,
) -> Result<T, Errno> {
    for tried in 1.. {
        match body() {
            Err(errno @ (Errno::ENOMEM | Errno::EAGAIN)) if tried < TRIES => {
                println!("# {name}: {call}: {errno:?}, tried again");
                let nap = NAP;
                let _slept = syscall(SYS_NANOSLEEP, [&raw const nap as u32, 0]);
            }
            Err(errno) => {
                println!("# {name}: {call}: {errno:?}");
                return Err(errno);
            }
            done => return done,
        }
    }
    unreachable!("a call is tried {TRIES} times")
}

fn execute(name: &str) -> i32 {
    let mut path = [0; 256];
    let directory = start::env("TESTS").unwrap_or("/tests");
    let parts = [directory, "/", name, "\0"];
    let bytes = parts.iter().flat_map(|part| part.bytes());
    path.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    match CStr::from_bytes_until_nul(&path) {
        Ok(path) => {
            let exec = || process::execve_with(path, &[path], Some(c"KTAP_INDENT=2"));
            let _said = patiently::<()>(name, "execve", || Err(exec()));
        }
        Err(_) => println!("# {name}: the path is too long"),
    }
    127
}

/// Returns whether `name` matches `glob`: `*` is any text, `?` any character.
fn matches(glob: &str, name: &str) -> bool {
    let mut rest = glob.chars();
    match rest.next() {
        None => name.is_empty(),
        Some('*') => name
            .char_indices()
            .map(|(at, _)| at)
            .chain([name.len()])
            .any(|at| matches(rest.as_str(), &name[at..])),
        Some(c) => name
            .chars()
            .next()
            .is_some_and(|n| (c == '?' || c == n) && matches(rest.as_str(), &name[n.len_utf8()..])),
    }
}

rt::main!(main);
