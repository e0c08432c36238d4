//! The labs that add something to a kernel that is whole.
#![forbid(unsafe_code)]

use super::lab::{Check, File, Lab, Level, Start};
use crate::mutants::{Edit, Run};

/// From easy to hard.
#[rustfmt::skip]
pub const BUILD: &[Lab] = &[
    Lab {
        name: "counter",
        title: "A counter of first returns",
        chapter: "07-a-new-task",
        level: Level::Easy,
        start: Start::Whole {
            edits: &[],
            files: &[],
            solution: &[
                Edit { file: "src/base/percpu.rs", find: "    pub kernel_to_user: u32,\n}", replace: "    pub kernel_to_user: u32,\n    /// Tasks that came out of the switch at `ret_from_fork`.\n    pub first_returns: u32,\n}" },
                Edit { file: "src/sched/finish_task_switch.rs", find: "    unsafe { finish_task_switch(Last::from_eax(last.cast())) };\n", replace: "    unsafe { finish_task_switch(Last::from_eax(last.cast())) };\n    crate::this_cpu_inc!(count.first_returns);\n" },
                Edit { file: "src/process/proc/system_files.rs", find: "    const COUNTS: [(&str, Count); 23] = [\n", replace: "    const COUNTS: [(&str, Count); 24] = [\n        (\"first_returns\", |c| c.first_returns),\n" },
            ],
        },
        text: "/proc/switch_to tells what the steps of the switch did on each CPU. It does not tell how many tasks came \
               out of their first switch at ret_from_fork. Add a line `first_returns` with one column for each CPU, \
               like the others. The check reads the file, makes ten processes, and reads it again.",
        hints: &[
            "The counts of a CPU are SwitchCounts in src/base/percpu.rs; this_cpu_inc! adds 1 to one of them.",
            "Which Rust function does ret_from_fork call first, and no old task ever?",
            "schedule_tail in src/sched/finish_task_switch.rs; the lines of the file are COUNTS in \
             src/process/proc/system_files.rs.",
        ],
        checks: &[
            // The second grep is a new process too.
            Check::Grows { script: "grep first_returns /proc/switch_to; for i in 1 2 3 4 5 6 7 8 9 10; do (:); done; grep first_returns /proc/switch_to", line: "first_returns", by: 11 },
            Check::AllSelftests,
        ],
        reason: "no line begins with \"first_returns\"",
    },
    Lab {
        name: "second-slot",
        title: "A second TLS slot",
        chapter: "09-tls-and-gs",
        level: Level::Medium,
        start: Start::Whole {
            edits: &[],
            files: &[File { path: "lab/second_slot.c", text: SECOND_SLOT }],
            solution: &[
                Edit { file: "lab/second_slot.c", find: "    return 0;\n", replace: "    struct user_desc slot = {\n        .entry_number = 7,\n        .base_addr = (unsigned)base,\n        .limit = 0xfffff,\n        .seg_32bit = 1,\n        .limit_in_pages = 1,\n        .useable = 1,\n    };\n    if (syscall(SYS_set_thread_area, &slot) != 0)\n        return 0;\n    return slot.entry_number << 3 | 3;\n" },
            ],
        },
        text: "The C library of a thread uses GDT entry 6 through %gs. Entries 7 and 8 are free for you. In \
               lab/second_slot.c write set_slot: it gives the calling task entry 7 with this base, and returns the \
               selector to be loaded into %fs. The check makes two processes, gives each a word of its own through \
               %fs, and has them yield to each other two hundred times.",
        hints: &[
            "set_thread_area(2) takes a struct user_desc; entry_number chooses the entry.",
            "A selector is the entry's number, three bits to the left, then a bit for the LDT and two for the ring.",
            "limit 0xfffff with limit_in_pages covers the whole address space; seg_32bit and useable are 1.",
        ],
        checks: &[Check::Program { file: "lab/second_slot.c", main: SECOND_SLOT_MAIN, says: "second-slot: 200 of 200 in both" }],
        reason: "second-slot: the selector is 0x0, not 0x3b",
    },
    Lab {
        name: "old-order",
        title: "The order of 2.6.11",
        chapter: "09-tls-and-gs",
        level: Level::Medium,
        start: Start::Whole {
            edits: &[],
            files: &[],
            solution: &[
                Edit { file: "src/arch/x86/switch/__switch_to.rs", find: "    // 3. prev's %gs, before its descriptor goes: only the register holds it.\n    lazy_save_gs(prev);\n\n", replace: "" },
                Edit { file: "src/arch/x86/switch/__switch_to.rs", find: "    unsafe { load_tls::<F>(next) };\n", replace: "    unsafe { load_tls::<F>(next) };\n\n    // 3. prev's %gs: the register keeps its selector, whatever the descriptor is now.\n    lazy_save_gs(prev);\n" },
            ],
        },
        text: "The book's kernel, 2.6.11, loads next's TLS descriptors before it saves prev's %gs; 2.6.38 does it the \
               other way round. Bring back the old order. The check disassembles __switch_to, and then wants every \
               self-test green: explain why they still are.",
        hints: &[
            "What does saving %gs read: the register, or the descriptor?",
            "Both steps are single calls in steps(), in src/arch/x86/switch/__switch_to.rs.",
            "Move lazy_save_gs behind load_tls. It must still come before step 8.",
        ],
        checks: &[
            Check::Code { function: "__switch_to", in_order: &["%fs:0x30", "mov    %gs,"], lacks: &[] },
            Check::AllSelftests,
        ],
        reason: "does not come after",
    },
    Lab {
        name: "own-hook",
        title: "A hook of your own",
        chapter: "13-schedule",
        level: Level::Hard,
        start: Start::Whole {
            edits: &[
                Edit { file: "src/task/hooks.rs", find: "/// The hooks that run when a task comes onto a CPU.\n", replace: "/// The departures of the task are counted.\npub const HOOK_OWN: Hooks = Hooks::from_bits_retain(1 << 6);\n\n/// The hooks that run when a task comes onto a CPU.\n" },
                Edit { file: "src/task/hooks.rs", find: "        + HOOK_TRACE.bits()\n        == 0b11_1111,", replace: "        + HOOK_TRACE.bits()\n        + HOOK_OWN.bits()\n        == 0b111_1111," },
                Edit { file: "src/sched/hooks/mod.rs", find: "pub mod kcov;\n", replace: "pub mod kcov;\npub mod own;\n" },
            ],
            files: &[File { path: "src/sched/hooks/own.rs", text: OWN_HOOK }],
            solution: &[
                Edit { file: "src/sched/hooks/own.rs", find: "    let _ = prev;\n", replace: "    if prev.hooks.contains(crate::task::hooks::HOOK_OWN) {\n        DEPARTURES.fetch_add(1, core::sync::atomic::Ordering::Relaxed);\n    }\n" },
                Edit { file: "src/sched/prepare_task_switch.rs", find: "    rseq_preempt(prev);\n    // SAFETY: the caller vouches for it.\n    unsafe { fire", replace: "    rseq_preempt(prev);\n    super::hooks::own::own_sched_out(prev);\n    // SAFETY: the caller vouches for it.\n    unsafe { fire" },
            ],
        },
        text: "Perf events, restartable sequences and preempt notifiers follow a task's switches; a switch looks at one \
               word to know whether any of them is due. Write a hook of your own: the bit HOOK_OWN is there, and \
               src/sched/hooks/own.rs has a function that does nothing and that nobody calls. Each time a task that \
               has the bit leaves its CPU, DEPARTURES grows by 1; other tasks cost nothing and are not counted.",
        hints: &[
            "prepare_task_switch calls the others. It runs on prev's stack, so prev is the task that leaves.",
            "call_hooks runs if prev or next has any hook at all: the bit of prev decides.",
            "prev.hooks.contains(HOOK_OWN), then DEPARTURES.fetch_add(1, Ordering::Relaxed).",
        ],
        checks: &[
            Check::Hidden { edits: OWN_HOOK_TEST, run: Run::selftest("own_hook_counts_departures") },
            Check::AllSelftests,
        ],
        reason: "departures of the task with the bit: expected 5, got 0",
    },
    Lab {
        name: "call-not-jmp",
        title: "A call where Linux jumps",
        chapter: "06-jmp-not-call",
        level: Level::Hard,
        start: Start::Whole {
            edits: &[],
            files: &[],
            solution: &[
                Edit { file: "src/arch/x86/switch/switch_to.rs", find: "    pushl {IP}(%edx)                    # next->thread.ip: label 1, or ret_from_fork\n", replace: "    movl  {IP}(%edx), %esi              # next->thread.ip; esi is spilled, and __switch_to keeps it\n" },
                Edit { file: "src/arch/x86/switch/switch_to.rs", find: "    jmp   {__switch_to}                 # its ret pops next->thread.ip; eax = last\n", replace: "    call  {__switch_to}                 # eax = last\n    jmp   *%esi                         # to label 1, or ret_from_fork\n" },
            ],
        },
        text: "Chapter 6 says why switch_to jumps to __switch_to. But it can be done with a `call`, if one gives up \
               something else. Rewrite the sequence in src/arch/x86/switch/switch_to.rs so that it calls __switch_to, \
               and old and new tasks still come out where they should. The check looks at the instructions and runs \
               every self-test. What did the jump save?",
        hints: &[
            "After a call the return address is the same for all. Where can the other address wait meanwhile?",
            "__switch_to keeps ebx, esi, edi and ebp, and all of them are spilled in switch_to already.",
            "Load {IP}(%edx) into esi instead of pushing it; after the call, jmp *%esi.",
        ],
        checks: &[
            Check::Code { function: "switch_to", in_order: &["call   "], lacks: &["jmp    c"] },
            Check::AllSelftests,
        ],
        reason: "has no \"call   \"",
    },
];

/// The student's half of the program.
const SECOND_SLOT: &str = r#"#include <asm/ldt.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Gives the calling task GDT entry 7, a data segment that begins at `base`.
   Returns the selector of the entry for ring 3; 0 if the kernel refuses. */
unsigned set_slot(void *base)
{
    (void)base;
    return 0;
}
"#;

/// The check's half: two processes, each with a word of its own behind the same selector.
const SECOND_SLOT_MAIN: &str = r#"
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>

static unsigned word;

static int rounds(unsigned mine)
{
    unsigned selector, seen, good = 0;
    word = mine;
    selector = set_slot(&word);
    if (selector != (7 << 3 | 3)) {
        printf("second-slot: the selector is %#x, not 0x3b\n", selector);
        return 0;
    }
    __asm__ volatile("movw %w0, %%fs" : : "r"(selector));
    for (int i = 0; i < 200; i++) {
        sched_yield();
        __asm__ volatile("movl %%fs:0, %0" : "=r"(seen));
        good += seen == mine;
    }
    return good;
}

int main(void)
{
    int status, child = fork();
    if (child == 0)
        _exit(rounds(0xc0ffee));
    int mine = rounds(0xdecade);
    wait(&status);
    if (mine == 200 && WIFEXITED(status) && WEXITSTATUS(status) == 200)
        printf("second-slot: 200 of 200 in both\n");
    else
        printf("second-slot: %d of 200 in the parent, status %#x of the child\n", mine, status);
    return 0;
}
"#;

/// The skeleton of the hook.
const OWN_HOOK: &str =
    "//! `own_sched_out`: a hook that counts the departures of the tasks that ask for it.
//!
//! `prepare_task_switch` should call it on prev's stack, run-queue lock held.

use core::sync::atomic::AtomicU32;

use crate::task::task_struct::TaskStruct;

/// Times that a task with HOOK_OWN has left its CPU.
pub static DEPARTURES: AtomicU32 = AtomicU32::new(0);

/// Counts the departure of `prev`, if it has HOOK_OWN.
pub fn own_sched_out(prev: &TaskStruct) {
    let _ = prev;
}
";

/// A self-test that only the check has.
#[rustfmt::skip]
const OWN_HOOK_TEST: &[Edit] = &[
    Edit { file: "src/selftest/hooks.rs", find: "pub const CASES: &[Case] = &[\n", replace: "pub const CASES: &[Case] = &[\n    Case {\n        name: \"own_hook_counts_departures\",\n        run: own_hook_counts_departures,\n    },\n" },
    Edit { file: "src/selftest/hooks.rs", find: "fn needs_schedstats() -> Outcome {\n", replace: "fn own_hook_counts_departures() -> Outcome {
    use crate::sched::hooks::own::DEPARTURES;
    use crate::task::hooks::HOOK_OWN;
    let (marked, others) = (AtomicU32::new(0), AtomicU32::new(0));
    let one = || {
        // SAFETY: our own descriptor, and we run.
        let me = unsafe { &*me() };
        me.hooks.insert(HOOK_OWN);
        let before = DEPARTURES.load(Ordering::Relaxed);
        (0..5).for_each(|_| pass());
        marked.store(DEPARTURES.load(Ordering::Relaxed) - before, Ordering::Relaxed);
        me.hooks.remove(HOOK_OWN);
        let before = DEPARTURES.load(Ordering::Relaxed);
        (0..3).for_each(|_| pass());
        others.store(DEPARTURES.load(Ordering::Relaxed) - before, Ordering::Relaxed);
        Ok(())
    };
    let other = || {
        (0..8).for_each(|_| pass());
        Ok(())
    };
    Crew::new().actor(\"one\", one).actor(\"other\", other).run()?;
    let seen = marked.load(Ordering::Relaxed);
    expect(\"departures of the task with the bit\", seen, 5)?;
    expect(\"departures without the bit\", others.load(Ordering::Relaxed), 0)
}

fn needs_schedstats() -> Outcome {\n" },
];
