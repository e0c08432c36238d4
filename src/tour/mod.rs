//! The tour: a narrated run of the process switch, for a reader of the book.
//!
//! The word `tour` on the kernel command line starts it. Each step announces an event, makes it
//! happen, shows the machine's state before and after, and checks it. Nothing is printed from
//! inside the switch: each task of a step looks at the other while that is off the CPU, and the
//! step reports afterwards.
//!
//! In reading order:
//! - [`guide`]: the output, and the count of checks
//! - [`stacks`]: two tasks, two stacks, `thread.sp`, `thread.ip`, a new task, `last`
//! - [`hardware`]: `__switch_to`, step by step
//! - [`address_space`]: the four kinds of switch
//! - [`end`]: the end of a task
//! - [`program`]: a real Linux program, under the same switch
//!
//! The tour runs as task 1; its actors are kernel threads (see `selftest::crew`).
//!
//! Book: ch. 3, "Process Switch".

pub mod address_space;
pub mod end;
pub mod guide;
pub mod hardware;
pub mod program;
pub mod stacks;

use crate::base::cmdline::Pauses;
use crate::drivers;
use crate::selftest::crew::{CASE_PRIO, pin, set_priority};
use crate::selftest::user::borrow_init_mm;
use guide::Guide;

/// A step, which explains, shows and checks.
type Step = fn(&mut Guide);

const STEPS: [(&str, &str, Step); 12] = [
    (
        "Two tasks, two kernel stacks",
        "ch. 3, Identifying a Process",
        stacks::two_tasks,
    ),
    (
        "What a sleeping task leaves behind",
        "ch. 3, The switch_to macro",
        stacks::sleeping,
    ),
    (
        "A new task comes out elsewhere",
        "ch. 3, The do_fork() Function",
        stacks::new_task,
    ),
    (
        "Three parameters: who ran last?",
        "ch. 3, The switch_to macro",
        stacks::last,
    ),
    (
        "The stack of the next system call",
        "ch. 3, Task State Segment",
        hardware::sp0,
    ),
    (
        "TLS descriptors and %gs",
        "ch. 3, The __switch_to() Function",
        hardware::tls_and_gs,
    ),
    (
        "The lazy FPU",
        "ch. 3, Saving and Loading the FPU",
        hardware::fpu,
    ),
    (
        "Ports, breakpoints, the clock",
        "ch. 3, The __switch_to() Function",
        hardware::xtra,
    ),
    (
        "Four kinds of switch",
        "ch. 7, The schedule() Function",
        address_space::four_kinds,
    ),
    (
        "Who frees a dead task's stack?",
        "ch. 3, Process Termination",
        end::stack,
    ),
    (
        "Who frees its page directory?",
        "ch. 3, Process Termination",
        end::page_directory,
    ),
    (
        "A real Linux program",
        "ch. 20, Program Execution",
        program::run,
    ),
];

/// Tells the tour and ends the machine, with success if everything was as in the book. A person at
/// the terminal may want `pauses`.
pub fn run(pauses: Pauses) -> ! {
    set_priority(CASE_PRIO);
    pin(0);
    borrow_init_mm();
    let mut guide = Guide::new();
    guide.title("switch_to: a tour of the process switch");
    guide.say("The book: Understanding the Linux Kernel, 3rd ed. Nothing below is printed");
    guide.say("from inside the switch; all values are read from this machine.");
    let has_pauses = match pauses {
        Pauses::Never => false,
        Pauses::Ask => guide.is_somebody_there(),
        Pauses::Always => true,
    };
    for (number, (title, book, step)) in STEPS.into_iter().enumerate() {
        guide.heading(number + 1, title, book);
        step(&mut guide);
        if has_pauses && !guide.pause() {
            break;
        }
    }
    drivers::exit(guide.verdict())
}
