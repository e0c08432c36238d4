//! A program straight from Debian, in ring 3, under the same switch.
//!
//! Book: ch. 20, "Program Execution".

use core::sync::atomic::Ordering;

use super::guide::Guide;
use crate::arch::x86::current::current;
use crate::process::kernel_execve::kernel_execve;
use crate::process::kthread::kernel_thread;
use crate::sched::policy::set_scheduler;
use crate::sched::timer::{HZ, schedule_timeout};
use crate::task::sched_entity::SCHED_NORMAL;
use crate::task::state::{TASK_DEAD, TASK_UNINTERRUPTIBLE};

const ARGV: [&str; 4] = [
    "/bin/busybox",
    "sh",
    "-c",
    "uname -a; (echo hello from a forked shell); /bin/hello-musl",
];

extern "C" fn execute(_: u32) -> i32 {
    // A normal process: the tour's own priority is not for programs.
    let _normal = set_scheduler(&current(), SCHED_NORMAL, 0);
    match kernel_execve(&ARGV) {
        Ok(never) => match never {},
        Err(errno) => {
            log::error!("tour: {} cannot be executed: {errno}", ARGV[0]);
            127
        }
    }
}

/// Runs the program, and shows how often it was switched.
pub fn run(guide: &mut Guide) {
    guide.say("busybox from Debian's i386 archive, unmodified: a shell that forks, executes,");
    guide.say("and waits. Its C library finds its data through %gs in every system call.");
    guide.show(format_args!("$ {} -c \"{}\"", ARGV[1], ARGV[3]));
    let task = match kernel_thread(execute, 0, "program") {
        Ok(task) => task,
        Err(errno) => return guide.ended(Err(errno.into())),
    };
    // Ten seconds are enough.
    for _ in 0..10 * HZ {
        if task.state.get() == TASK_DEAD && task.on_cpu.load(Ordering::Acquire) == 0 {
            break;
        }
        current().state.set_current_state(TASK_UNINTERRUPTIBLE);
        schedule_timeout(1);
    }
    let (waited, forced) = (task.nvcsw.get(), task.nivcsw.get());
    let status = task.exit_code.load(Ordering::Relaxed);
    guide.show(format_args!(
        "wait status {status:#x}; it slept {waited} times, was preempted {forced} times"
    ));
    guide.check(
        task.state.get() == TASK_DEAD && status == 0,
        "it ended with status 0",
    );
    guide.check(waited > 0, "it slept and was switched back to");
}
