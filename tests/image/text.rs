//! All of the kernel's code: instructions that it may not contain, and code that the switch may not
//! reach.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use iced_x86::{Code, FlowControl, Instruction, Mnemonic, Register};
use xtask::symbols::Symbol;

use crate::elf::{Kernel, att};

/// x87 instructions that save, restore or reset, and do not compute.
const X87_STATE: &[Mnemonic] = &[
    Mnemonic::Fninit,
    Mnemonic::Fnclex,
    Mnemonic::Fnsave,
    Mnemonic::Frstor,
    Mnemonic::Fnstsw,
    Mnemonic::Fnstcw,
    Mnemonic::Fldcw,
    Mnemonic::Fxsave,
    Mnemonic::Fxrstor,
];

/// Names of functions that write to a log, or format text for one.
const LOGGING: &[&str] = &[
    "log::",
    "core::fmt",
    "printk",
    "::drivers::",
    "serial",
    "vga",
];

/// Functions in which the kernel dies; code behind them does not belong to the switch.
const DEATH: &[&str] = &[
    "core::panicking",
    "panic",
    "unwrap_failed",
    "expect_failed",
    "_fail",
    "rust_begin_unwind",
];

/// Returns the functions with an instruction that `is_bad` rejects.
fn offenders(kernel: &Kernel, is_bad: impl Fn(&Instruction) -> bool) -> Vec<String> {
    kernel
        .functions()
        .flat_map(|function| {
            kernel
                .instructions(function)
                .into_iter()
                .filter(&is_bad)
                .map(|instruction| format!("{}: {}", function.name, att(&instruction)))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The registers of MMX, SSE and AVX belong to user programs.
pub fn no_vector_registers(kernel: &Kernel) -> Result<()> {
    let vector = |register: Register| {
        let number = register as usize;
        (Register::XMM0 as usize..=Register::ZMM31 as usize).contains(&number)
            || (Register::MM0 as usize..=Register::MM7 as usize).contains(&number)
    };
    let bad = offenders(kernel, |instruction| {
        instruction.mnemonic() == Mnemonic::Emms
            || (0..instruction.op_count()).any(|operand| vector(instruction.op_register(operand)))
    });
    ensure!(bad.is_empty(), "{}", bad.join("\n"));
    Ok(())
}

/// The x87 registers belong to user programs, too: the kernel only saves and restores them.
pub fn no_x87(kernel: &Kernel) -> Result<()> {
    let bad = offenders(kernel, |instruction| {
        let name = format!("{:?}", instruction.mnemonic());
        name.starts_with('F') && !X87_STATE.contains(&instruction.mnemonic())
    });
    ensure!(bad.is_empty(), "{}", bad.join("\n"));
    Ok(())
}

/// The kernel makes no system calls.
pub fn no_system_call(kernel: &Kernel) -> Result<()> {
    let bad = offenders(kernel, |instruction| {
        instruction.code() == Code::Int_imm8 && instruction.immediate8() == 0x80
    });
    ensure!(bad.is_empty(), "{}", bad.join("\n"));
    Ok(())
}

/// The only ways out of the kernel are `iret` and `sysexit`.
pub fn no_far_return(kernel: &Kernel) -> Result<()> {
    // After `lgdt` a far return loads CS.
    let bad: Vec<String> = offenders(kernel, |instruction| {
        matches!(instruction.mnemonic(), Mnemonic::Retf | Mnemonic::Sysret)
    })
    .into_iter()
    .filter(|text| !text.contains("gdt") && !text.contains("set_cs"))
    .collect();
    ensure!(bad.is_empty(), "{}", bad.join("\n"));
    let irets = offenders(kernel, |instruction| {
        instruction.mnemonic() == Mnemonic::Iretd
    });
    ensure!(!irets.is_empty(), "no iret at all");
    Ok(())
}

/// Returns the functions that can run between the jump to `__switch_to` and its `ret`, with the
/// caller of each, and the indirect calls among them. It does not enter functions in which the
/// kernel dies.
fn reached(kernel: &Kernel) -> Result<(BTreeMap<String, String>, Vec<String>)> {
    let by_address: BTreeMap<u32, &Symbol> = kernel
        .functions()
        .map(|function| (function.value, function))
        .collect();
    let jump = kernel.symbols.value("switch_to_jmp")?;
    let start = kernel
        .decode(jump, jump + 8)
        .first()
        .context("no jmp")?
        .near_branch32();
    let mut reached = BTreeMap::new();
    let mut indirect = Vec::new();
    let mut seen = BTreeSet::new();
    let mut todo = vec![(start, "switch_to".to_owned())];
    while let Some((address, caller)) = todo.pop() {
        // A bare label (a naked function) has no size; its instructions end where it jumps.
        let function = by_address.get(&address).copied();
        let name = function.map_or_else(|| format!("{address:x}"), |it| it.name.clone());
        if DEATH.iter().any(|death| name.contains(death)) || !seen.insert(address) {
            continue;
        }
        reached.insert(name.clone(), caller);
        let body = match function {
            Some(function) => kernel.instructions(function),
            None => until_jump(kernel.decode(address, address + 64)),
        };
        let inside = function.map_or(address..address, |it| it.value..it.value + it.size_bytes);
        for instruction in body {
            match instruction.flow_control() {
                FlowControl::IndirectCall | FlowControl::IndirectBranch => {
                    indirect.push(format!("{name}: {}", att(&instruction)));
                }
                FlowControl::Call
                | FlowControl::UnconditionalBranch
                | FlowControl::ConditionalBranch
                    if !inside.contains(&instruction.near_branch32()) =>
                {
                    todo.push((instruction.near_branch32(), name.clone()));
                }
                _ => {}
            }
        }
    }
    Ok((reached, indirect))
}

fn until_jump(instructions: Vec<Instruction>) -> Vec<Instruction> {
    let end = instructions.iter().position(|instruction| {
        matches!(
            instruction.flow_control(),
            FlowControl::UnconditionalBranch | FlowControl::Return
        )
    });
    let end = end.map_or(instructions.len(), |end| end + 1);
    instructions.into_iter().take(end).collect()
}

/// The switch writes no log: a log line can wake a task, which needs the run-queue lock that is
/// held.
pub fn switch_logs_nothing(kernel: &Kernel) -> Result<()> {
    let (reached, _) = reached(kernel)?;
    ensure!(reached.len() >= 2, "the walk went nowhere: {reached:?}");
    for (name, caller) in &reached {
        ensure!(
            !LOGGING.iter().any(|logging| name.contains(logging)),
            "{name} is reached from {caller}\nreached in all: {:#?}",
            reached.keys()
        );
    }
    Ok(())
}

/// The switch makes no indirect call, which could go anywhere.
pub fn switch_calls_nothing_indirectly(kernel: &Kernel) -> Result<()> {
    let (_, indirect) = reached(kernel)?;
    ensure!(indirect.is_empty(), "{}", indirect.join("\n"));
    Ok(())
}

/// Largest frame, in bytes, of a function that a program can cause to run: a kernel stack has 8 KiB, and an
/// interrupt with a signal comes on top of two such frames.
const FRAME_LIMIT: u64 = 2700;

/// Functions that run once, at boot, on a stack with nothing else on it.
const AT_BOOT: &[&str] = &["::boot::", "::init::", "fork_idle", "of_idle"];

/// No function but those of boot takes a large part of the kernel stack.
pub fn no_large_frame(kernel: &Kernel) -> Result<()> {
    let is_large = |instruction: &Instruction| {
        instruction.mnemonic() == Mnemonic::Sub
            && instruction.op0_register() == Register::ESP
            && instruction
                .try_immediate(1)
                .is_ok_and(|bytes| bytes > FRAME_LIMIT)
    };
    let large: Vec<String> = offenders(kernel, is_large)
        .into_iter()
        .filter(|it| !AT_BOOT.iter().any(|part| it.contains(part)))
        .collect();
    ensure!(
        large.is_empty(),
        "frames of more than {FRAME_LIMIT} bytes:\n{}",
        large.join("\n")
    );
    Ok(())
}
