//! Steps that only kernels with a feature of their own have.

use crate::compile::{KCOV, STACK_PROTECTOR};

use super::{Edit, Mutant, Run};

const GS_CASE: &str = "the first task reads its own word at %gs:0";

/// Feature by feature.
#[rustfmt::skip]
pub const VARIANTS: &[Mutant] = &[
    Mutant {
        name: "canary_not_switched",
        takes_out: "__switch_canary",
        edits: &[
            Edit { file: "src/arch/x86/switch/switch_to.rs", find: "    movl  %ebx, %fs:{PERCPU_CANARY}\n", replace: "    .set unused_canary, {PERCPU_CANARY}\n" },
        ],
        red: Run::selftest("canary_differs_and_follows_its_task").of(STACK_PROTECTOR),
    },
    Mutant {
        name: "canary_of_all_is_one",
        takes_out: "a canary for each new task",
        edits: &[
            Edit { file: "src/process/fork.rs", find: "        get_random_bytes(&mut canary);\n", replace: "        let _ = (&mut canary, get_random_bytes);\n" },
        ],
        red: Run::selftest("canary_differs_and_follows_its_task").of(STACK_PROTECTOR),
    },
    Mutant {
        name: "user_gs_not_saved_at_entry",
        takes_out: "the user's %gs in pt_regs, where canaries need the register",
        edits: &[
            Edit { file: "src/arch/x86/entry/calling.S", find: "        pushl   %gs\n", replace: "        pushl   $0\n" },
        ],
        red: Run::ring3("gs_bases", GS_CASE).of(STACK_PROTECTOR),
    },
    Mutant {
        name: "kernel_gs_not_loaded_at_exceptions",
        takes_out: "the kernel's %gs at an exception",
        edits: &[
            Edit { file: "src/arch/x86/entry/paths.rs", find: "    SET_KERNEL_GS %ecx\n", replace: "" },
        ],
        red: Run::ring3("gs_bases", GS_CASE).of(STACK_PROTECTOR),
    },
    Mutant {
        name: "kcov_not_told_of_departure",
        takes_out: "kcov_prepare_switch",
        edits: &[
            Edit { file: "src/sched/prepare_task_switch.rs", find: "    kcov_prepare_switch(prev);\n", replace: "    let _ = kcov_prepare_switch;\n" },
        ],
        red: Run::ring3("kcov", "a switch, and the task that runs meanwhile, add nothing").of(KCOV),
    },
    Mutant {
        name: "kcov_not_told_of_return",
        takes_out: "kcov_finish_switch",
        edits: &[
            Edit { file: "src/sched/finish_task_switch.rs", find: "    kcov_finish_switch(&me);\n", replace: "    let _ = kcov_finish_switch;\n" },
        ],
        red: Run::ring3("kcov", "recording goes on after a switch").of(KCOV),
    },
    Mutant {
        name: "kcov_records_interrupts",
        takes_out: "coverage outside interrupts only",
        edits: &[
            Edit { file: "src/arch/x86/kcov.rs", find: "    jnz     1f                              # an interrupt\n", replace: "" },
        ],
        red: Run::ring3("kcov", "interrupts add nothing").of(KCOV),
    },
    Mutant {
        name: "kcov_overruns_its_buffer",
        takes_out: "the end of the buffer",
        edits: &[
            Edit { file: "src/arch/x86/kcov.rs", find: "    cmpl    {SIZE}(%eax), %ecx\n    jae     1f                              # full, or the program wrote there\n", replace: "    .set unused_size, {SIZE}\n" },
        ],
        red: Run::ring3("kcov", "a full buffer stays as it is").of(KCOV),
    },
];
