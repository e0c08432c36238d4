//! Takes the calls for coverage out of code whose coverage nobody wants.
//!
//! The compiler instruments a crate as a whole: rustc has no attribute against it. So, as Linux's
//! `objtool` does for its `.noinstr.text`, the calls of `__sanitizer_cov_trace_pc` in the functions
//! below are overwritten in the linked kernel, with instructions that do nothing.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSection};

use crate::symbols::{Symbol, Symbols};

/// Called at each edge.
const TRACE: &str = "__sanitizer_cov_trace_pc";

/// Where the switch, the entries, interrupts and what they stand on lie.
const QUIET: &[&str] = &[
    "switch_to::sched::",
    "switch_to::sync::",
    "switch_to::arch::x86::switch::__switch_to::",
    "switch_to::arch::x86::irq::do_irq::",
    "switch_to::arch::x86::irq::lapic::",
    "switch_to::arch::x86::switch::lazy_gs::",
    "switch_to::arch::x86::switch::load_tls::",
    "switch_to::arch::x86::switch::math_state::",
    "switch_to::arch::x86::switch::mmu_context::",
    "switch_to::arch::x86::irq::nmi_watchdog::",
    "switch_to::arch::x86::switch::paravirt::",
    "switch_to::arch::x86::switch::switch_to_xtra::",
    "switch_to::arch::x86::entry::traps::do_nmi",
];
/// The same, by their own names.
const QUIET_NAMES: &[&str] = &[
    "__switch_to",
    "do_IRQ",
    "do_nmi",
    "preempt_schedule",
    "preempt_schedule_irq",
    "schedule",
    "schedule_tail",
    "timer_tick",
    "watchdog_nmi",
];

/// Whether a function's coverage is never recorded.
pub fn is_quiet(function: &str) -> bool {
    // Of a path, where it begins: what it is made for (`Arc<switch_to::sched::..>`) does not matter.
    let path = function.trim_start_matches('<');
    QUIET_NAMES.contains(&function) || QUIET.iter().any(|part| path.starts_with(part))
}

/// A copy of `kernel` beside it, without those calls.
pub fn of_coverage(kernel: &Path) -> Result<PathBuf> {
    let symbols = Symbols::read(kernel)?;
    let mut bytes = fs::read(kernel)?;
    let (start, length, offset) = text(&bytes)?;
    let trace = symbols.value(TRACE)?;
    let mut taken_out = 0;
    for function in symbols
        .all()
        .iter()
        .filter(|it| it.function && is_quiet(&it.name))
    {
        let at = offset + (function.value - start) as usize;
        ensure!(
            function.value - start + function.size_bytes <= length,
            "{} lies outside .text",
            function.name
        );
        let code = &mut bytes[at..at + function.size_bytes as usize];
        taken_out += silence(function, code, trace);
    }
    ensure!(
        taken_out > 0,
        "nothing calls {TRACE}: was the kernel instrumented?"
    );
    let quiet = kernel.with_file_name("switch_to.quiet");
    // A boot is made anew only if its kernel is another.
    if fs::read(&quiet).ok().as_ref() != Some(&bytes) {
        fs::write(&quiet, bytes)?;
    }
    Ok(quiet)
}

/// Address, length and place in the file of the section with all code.
fn text(elf: &[u8]) -> Result<(u32, u32, usize)> {
    let file = object::File::parse(elf)?;
    let text = file.section_by_name(".text").context("no section .text")?;
    let (offset, length) = text.file_range().context(".text is not in the file")?;
    Ok((text.address() as u32, length as u32, offset as usize))
}

/// Overwrites the calls in one function; says how many there were. Five bytes that are the opcode and
/// exactly that distance are a call: nothing else in code looks so.
fn silence(function: &Symbol, code: &mut [u8], trace: u32) -> u32 {
    let mut found = 0;
    let mut at = 0;
    while at + 5 <= code.len() {
        let next = function.value + at as u32 + 5;
        let distance = trace.wrapping_sub(next).to_le_bytes();
        let is_ours = code[at + 1..at + 5] == distance;
        match code[at] {
            0xe8 if is_ours => code[at..at + 5].copy_from_slice(&[0x0f, 0x1f, 0x44, 0, 0]),
            // The last thing that it does.
            0xe9 if is_ours => code[at..at + 5].copy_from_slice(&[0xc3, 0xcc, 0xcc, 0xcc, 0xcc]),
            _ => {
                at += 1;
                continue;
            }
        }
        at += 5;
        found += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_that_function_and_no_other_are_taken_out() {
        let function = Symbol {
            name: "f".to_owned(),
            value: 0x1000,
            size_bytes: 17,
            function: true,
        };
        // nop; call 0x2000; call 0x2001; jmp 0x2000; ret
        let mut code = vec![
            0x90, 0xe8, 0xfa, 0x0f, 0, 0, 0xe8, 0xf6, 0x0f, 0, 0, 0xe9, 0xf0,
        ];
        code.extend([0x0f, 0, 0, 0xc3]);
        assert_eq!(silence(&function, &mut code, 0x2000), 2);
        assert_eq!(code[..6], [0x90, 0x0f, 0x1f, 0x44, 0, 0]);
        assert_eq!(code[6..11], [0xe8, 0xf6, 0x0f, 0, 0]);
        assert_eq!(code[11..], [0xc3, 0xcc, 0xcc, 0xcc, 0xcc, 0xc3]);
    }

    #[test]
    fn the_switch_is_quiet_and_system_calls_are_not() {
        for quiet in ["schedule", "<switch_to::sched::rq::Rq>::init", "do_IRQ"] {
            assert!(is_quiet(quiet), "{quiet}");
        }
        let generic = "<switch_to::task::Context<switch_to::sched::Event>>::update";
        for heard in [
            "switch_to::syscall::identity::sys_getppid",
            "do_page_fault",
            generic,
        ] {
            assert!(!is_quiet(heard), "{heard}");
        }
    }
}
