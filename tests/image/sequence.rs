//! `switch_to`, instruction by instruction.

use anyhow::{Context, Result, ensure};
use iced_x86::{Code, FlowControl, Mnemonic};

use crate::elf::{Kernel, att};

/// The book's sequence; `{…}` is filled in from the symbol table.
pub const STEPS: &[Step] = &[
    Step {
        symbol: "switch_to_save_flags",
        text: "pushfl",
    },
    Step {
        symbol: "switch_to_save_bp",
        text: "pushl %ebp",
    },
    Step {
        symbol: "switch_to_save_sp",
        text: "movl %esp, {SP}(%eax)",
    },
    Step {
        symbol: "switch_to_load_sp",
        text: "movl {SP}(%edx), %esp",
    },
    Step {
        symbol: "switch_to_save_ip",
        text: "movl $switch_to_1, {IP}(%eax)",
    },
    Step {
        symbol: "switch_to_push_ip",
        text: "pushl {IP}(%edx)",
    },
    Step {
        symbol: "switch_to_jmp",
        text: "jmp __switch_to",
    },
    Step {
        symbol: "switch_to_1",
        text: "popl %ebp",
    },
    Step {
        symbol: "switch_to_restore_flags",
        text: "popfl",
    },
];

/// The registers that a compiler would spill around the macro: pushed before, popped after.
const SPILLED: &[&str] = &["%ebx", "%esi", "%edi"];

/// One instruction of the sequence, and the symbol that stands at it.
pub struct Step {
    symbol: &'static str,
    text: &'static str,
}

impl Step {
    /// Returns the name for the test, such as `save_sp`.
    pub fn name(&self) -> &'static str {
        match self.symbol.strip_prefix("switch_to_") {
            Some("1") => "label_1",
            Some(name) => name,
            None => self.symbol,
        }
    }
}

/// Returns the address of the C half, which the symbol table has under the C name.
fn c_half(kernel: &Kernel) -> Result<u32> {
    let symbols = kernel.symbols.all();
    let is_it = |name: &str| name == "__switch_to" || name.ends_with("::__switch_to::__switch_to");
    Ok(symbols
        .iter()
        .find(|symbol| is_it(&symbol.name))
        .context("no function __switch_to")?
        .value)
}

/// Replaces the names in the notation by their values in this kernel.
fn resolve(kernel: &Kernel, text: &str) -> Result<String> {
    let hex = |name| Ok::<_, anyhow::Error>(format!("{:#x}", kernel.symbols.value(name)?));
    let mut text = text.to_owned();
    for (pattern, value) in [
        ("{SP}", hex("THREAD_SP")?),
        ("{IP}", hex("THREAD_IP")?),
        ("$switch_to_1", format!("${}", hex("switch_to_1")?)),
        ("jmp __switch_to", format!("jmp {:#x}", c_half(kernel)?)),
    ] {
        text = text.replace(pattern, &value);
    }
    Ok(text)
}

/// The whole function: spills, the sequence with nothing between and nothing missing, spills, ret.
pub fn whole(kernel: &Kernel) -> Result<()> {
    let function = kernel.function("switch_to")?;
    let got: Vec<String> = kernel
        .instructions(function)
        .iter()
        .map(|instruction| normal(&att(instruction)))
        .collect();
    let first = got
        .iter()
        .position(|text| text == "pushfl")
        .context("no pushfl")?;
    let steps = STEPS
        .iter()
        .map(|step| resolve(kernel, step.text))
        .collect::<Result<Vec<_>>>()?;
    let (before, rest) = got.split_at(first);
    ensure!(
        rest.starts_with(&steps),
        "the sequence is not the book's:\n  {}\nbut should be\n  {}",
        rest.join("\n  "),
        steps.join("\n  ")
    );
    let after = &rest[steps.len()..];
    let pushes: Vec<&str> = before
        .iter()
        .filter_map(|text| text.strip_prefix("pushl "))
        .collect();
    ensure!(pushes == SPILLED, "spilled before the sequence: {before:?}");
    // Only prev's address may be copied, for __switch_to's own calling convention.
    let others: Vec<&String> = before
        .iter()
        .filter(|text| !text.starts_with("pushl "))
        .collect();
    ensure!(
        others.iter().all(|text| *text == "movl %eax, %ecx"),
        "before the sequence stands more than spills: {others:?}"
    );
    let mut expected: Vec<String> = SPILLED
        .iter()
        .rev()
        .map(|name| format!("popl {name}"))
        .collect();
    expected.push("retl".to_owned());
    ensure!(
        after == expected,
        "after the sequence stands {after:?}, not {expected:?}"
    );
    Ok(())
}

/// One step: its symbol stands at its instruction, which is the book's.
pub fn step(kernel: &Kernel, step: &Step) -> Result<()> {
    let address = kernel.symbols.value(step.symbol)?;
    let decoded = kernel.decode(address, address + 16);
    let instruction = decoded
        .first()
        .with_context(|| format!("no code at {address:x}"))?;
    let (got, expected) = (normal(&att(instruction)), resolve(kernel, step.text)?);
    ensure!(got == expected, "at {}: {got}, not {expected}", step.symbol);
    let function = kernel.function("switch_to")?;
    let inside = (function.value..function.value + function.size_bytes).contains(&address);
    ensure!(inside, "{} does not lie in switch_to", step.symbol);
    Ok(())
}

/// The sequence uses the offsets of Linux 2.6.26 to 2.6.38, relative to each other: `ip` is eight
/// bytes above `sp`.
pub fn offsets(kernel: &Kernel) -> Result<()> {
    let (sp, ip) = (
        kernel.symbols.value("THREAD_SP")?,
        kernel.symbols.value("THREAD_IP")?,
    );
    ensure!(sp + 8 == ip, "thread.sp is at {sp}, thread.ip at {ip}");
    let mut used = Vec::new();
    for instruction in kernel.instructions(kernel.function("switch_to")?) {
        let base = instruction.memory_base();
        if matches!(base, iced_x86::Register::EAX | iced_x86::Register::EDX) {
            used.push(instruction.memory_displacement32());
        }
    }
    ensure!(
        used == [sp, sp, ip, ip],
        "switch_to uses the offsets {used:?}, not {sp} and {ip}"
    );
    Ok(())
}

/// Label 1 is reached only by a `ret` through `thread.ip`.
pub fn label_is_only_stored(kernel: &Kernel) -> Result<()> {
    let label = kernel.symbols.value("switch_to_1")?;
    for function in kernel.functions() {
        for instruction in kernel.instructions(function) {
            ensure!(
                instruction.near_branch32() != label || !is_branch(&instruction),
                "{} jumps to label 1: {}",
                function.name,
                att(&instruction)
            );
        }
    }
    Ok(())
}

/// `__switch_to` is entered by a jump: a `call` would push a return address of its own.
pub fn entered_by_jmp_only(kernel: &Kernel) -> Result<()> {
    let target = c_half(kernel)?;
    let mut from = Vec::new();
    for function in kernel.functions() {
        for instruction in kernel.instructions(function) {
            if is_branch(&instruction) && instruction.near_branch32() == target {
                from.push((function.name.as_str(), instruction.mnemonic()));
            }
        }
    }
    ensure!(
        from == [("switch_to", Mnemonic::Jmp)],
        "entered from {from:?}"
    );
    Ok(())
}

fn is_branch(instruction: &iced_x86::Instruction) -> bool {
    matches!(
        instruction.flow_control(),
        FlowControl::Call | FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
    ) && instruction.code() != Code::INVALID
}

/// Returns the disassembler's text as the book writes it: with a suffix for each 32-bit operand.
fn normal(text: &str) -> String {
    let (name, operands) = text.split_once(' ').unwrap_or((text, ""));
    let name = match name {
        "push" | "pop" | "mov" | "ret" | "pushf" | "popf" => format!("{name}l"),
        "pushfd" => "pushfl".to_owned(),
        "popfd" => "popfl".to_owned(),
        _ => name.trim_end_matches("short").to_owned(),
    };
    let operands = operands.trim().replace("0x0x", "0x");
    if operands.is_empty() {
        name
    } else {
        format!("{name} {operands}")
    }
}
