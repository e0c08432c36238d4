//! Steps of the screen, the keyboard and the end of the machine, seen by a person at it.

use super::{Edit, Mutant, Run};

/// In the order of `tests/scenarios/screen.rs`.
#[rustfmt::skip]
pub const SCREEN: &[Mutant] = &[
    Mutant {
        name: "keys_do_not_arrive",
        takes_out: "the interrupt of the keyboard",
        edits: &[
            Edit { file: "src/drivers/i8042.rs", find: "!FIRST_OFF | FIRST_INTERRUPT | TRANSLATE", replace: "!FIRST_OFF & !FIRST_INTERRUPT | TRANSLATE" },
        ],
        red: Run::boots("screen::keys_run_commands", "the screen never shows"),
    },
    Mutant {
        name: "output_is_not_flushed",
        takes_out: "the copy of what a program wrote to the card",
        edits: &[
            Edit { file: "src/fs/tty.rs", find: "            drop(tty);\n            console::flush();\n", replace: "            drop(tty);\n" },
            Edit { file: "src/fs/tty.rs", find: "    console::flush();\n    // Wakes one of each", replace: "    // Wakes one of each" },
            Edit { file: "src/sched/status_line.rs", find: "    vga::flush();\n", replace: "" },
        ],
        red: Run::boots("screen::keys_run_commands", "the screen never shows"),
    },
    Mutant {
        name: "screen_answers_nothing",
        takes_out: "the answer of the screen to a program's question",
        edits: &[
            Edit { file: "src/fs/tty.rs", find: "        vga::take_answer(receive);\n", replace: "        vga::take_answer(|_| ());\n" },
        ],
        red: Run::boots("screen::keys_run_commands", "the screen never shows the answer"),
    },
    Mutant {
        name: "last_console_is_not_the_terminal",
        takes_out: "the choice of the last console",
        edits: &[
            Edit { file: "src/base/consoles.rs", find: "        Some(Chosen { messages, terminal })\n", replace: "        Some(Chosen { messages, terminal: messages })\n" },
        ],
        red: Run::boots("screen::has_messages_if_it_is_not_the_last_console", "the screen has the shell"),
    },
    Mutant {
        name: "status_line_is_written_over",
        takes_out: "the reservation of the last row",
        edits: &[
            Edit { file: "src/drivers/vt/terminal.rs", find: "        state.margins = (0, state.bottom());\n    }\n}\n", replace: "    }\n}\n" },
        ],
        red: Run::boots("screen::scrolls", "the screen never shows end"),
    },
    Mutant {
        name: "kinds_of_switch_not_counted",
        takes_out: "the count of switches to a kernel task",
        edits: &[
            Edit { file: "src/sched/context_switch.rs", find: "            this_cpu_inc!(count.user_to_kernel);\n", replace: "" },
        ],
        red: Run::selftest("user_to_kernel_counts"),
    },
    Mutant {
        name: "tour_does_not_wait",
        takes_out: "the pause between two steps",
        edits: &[
            Edit { file: "src/tour/guide.rs", find: "        tty::wait_for_key(None) != Some(b'q')\n", replace: "        tty::wait_for_key(Some(0)) != Some(b'q')\n" },
        ],
        red: Run::boots("screen::tour_waits_for_keys", "it did not wait"),
    },
    Mutant {
        name: "power_stays_on",
        takes_out: "the write that switches the machine off",
        edits: &[
            Edit { file: "src/arch/x86/reboot.rs", find: "sleep_type | SLP_EN)", replace: "sleep_type)" },
        ],
        red: Run::boots("power_off::after_a_good_end", "the run should end with PowerOff"),
    },
    Mutant {
        name: "other_cpus_go_on",
        takes_out: "the stop of the other CPUs at the end",
        edits: &[
            Edit { file: "src/arch/x86/reboot.rs", find: "        smp_send_stop();\n", replace: "        let _ = smp_send_stop;\n" },
        ],
        red: Run::boots("screen::halts_after_a_bad_end", "should not have \"lockup\""),
    },
];
