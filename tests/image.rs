//! The linked kernel, as a file: its layout, its symbols, and its code disassembled.
//!
//! These tests see what a compiler or a linker could do to the switch without an error in any
//! source: an instruction between the book's, an offset that drifted, an SSE register, a section at
//! the wrong address.

#[path = "image/elf.rs"]
mod elf;
#[path = "image/layout.rs"]
mod layout;
#[path = "image/sequence.rs"]
mod sequence;
#[path = "image/text.rs"]
mod text;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use xtask::compile::{Profile, kernel};
use xtask::trial::{Arguments, Trial, run, trial};

use crate::elf::Kernel;

/// Name of a check, and its function.
type Check = (&'static str, fn(&Kernel) -> Result<()>);

const CHECKS: &[Check] = &[
    ("layout::grub_accepts_it_as_multiboot2", layout::multiboot2),
    ("layout::a_multiboot1_header_as_well", layout::multiboot1),
    (
        "layout::loaded_at_1_mib_linked_3_gib_higher",
        layout::addresses,
    ),
    (
        "layout::no_segment_is_writable_and_executable",
        layout::rights,
    ),
    ("layout::entry_is_where_it_is_loaded", layout::entry),
    (
        "layout::switch_to_lies_in_the_scheduler_section",
        layout::sched_text,
    ),
    ("switch_to::is_the_book_s_sequence", sequence::whole),
    (
        "switch_to::offsets_are_those_of_thread_struct",
        sequence::offsets,
    ),
    (
        "switch_to::nothing_calls_switch_to_1",
        sequence::label_is_only_stored,
    ),
    (
        "__switch_to::is_entered_by_the_jmp_only",
        sequence::entered_by_jmp_only,
    ),
    (
        "__switch_to::reaches_nothing_that_logs",
        text::switch_logs_nothing,
    ),
    (
        "__switch_to::calls_only_named_functions",
        text::switch_calls_nothing_indirectly,
    ),
    ("text::no_mmx_sse_avx_register", text::no_vector_registers),
    ("text::no_x87_but_save_and_restore", text::no_x87),
    ("text::no_int_0x80", text::no_system_call),
    ("text::interrupts_end_in_iret_only", text::no_far_return),
    ("text::no_frame_fills_the_stack", text::no_large_frame),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let kernel = match kernel(Profile::Dev).and_then(|path| Kernel::read(&path)) {
        Ok(kernel) => Arc::new(kernel),
        Err(error) => {
            eprintln!("the kernel cannot be read: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let limit = Duration::from_secs(60);
    let mut trials: Vec<Trial> = CHECKS
        .iter()
        .map(|&(name, check)| {
            let kernel = Arc::clone(&kernel);
            trial(name, limit, move || check(&kernel))
        })
        .collect();
    trials.extend(sequence::STEPS.iter().enumerate().map(|(number, step)| {
        let kernel = Arc::clone(&kernel);
        let name = format!("switch_to::step_{}_{}", number + 1, step.name());
        trial(name, limit, move || sequence::step(&kernel, step))
    }));
    run(&arguments, trials).exit_code()
}
