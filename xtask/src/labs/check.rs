//! `just lab check`: builds a working copy, runs what must be green, and says what is still red.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::lab::{Check, Lab};
use crate::copy::Copy;
use crate::image::{IsoSpec, try_iso};
use crate::ktap::{self, Outcome};
use crate::mutants::Run;
use crate::notice::boot;
use crate::qemu::{Medium, Vm};
use crate::run::{self, End, Exit};
use crate::steer::quoted;
use crate::symbols::Symbols;
use crate::toolchain::{quietly, tool};
use crate::{exec, foreign};

/// Lines of a run that are shown when it is red.
const SHOWN: usize = 12;
/// Time that one boot may take. A student's machine may be slow, or have more to do.
const LIMIT: Duration = Duration::from_secs(150);
/// Time that all self-tests of one processor may take.
const ALL_LIMIT: Duration = Duration::from_secs(400);

/// What came of a check.
pub struct Verdict {
    /// Whether everything was green.
    pub is_green: bool,
    /// What was run, and what the first red one said.
    pub said: String,
}

/// Checks the working copy of `lab` at `tree`, and stops at the first thing that is red.
///
/// # Errors
/// A tool fails; a wrong working copy is no error.
pub fn check(lab: &Lab, tree: &Path) -> Result<Verdict> {
    let copy = Copy::of(tree)?;
    // Tests are ours, whatever the working copy has made of them.
    copy.take_ours("src/selftest")?;
    for check in lab.checks {
        if let Check::Hidden { edits, .. } = check {
            for edit in *edits {
                copy.edit(edit)?;
            }
        }
    }
    eprintln!("compiling the kernel of {}", tree.display());
    let kernel = match copy.kernel(None) {
        Ok(kernel) => kernel,
        Err(error) => return Ok(red(String::new(), "the kernel", &format!("{error:#}"))),
    };
    let mut said = String::new();
    for check in lab.checks {
        let name = name(check);
        eprintln!("running {name}");
        match run_check(check, tree, &kernel)? {
            None => said += &format!("  green  {name}\n"),
            Some(why) => return Ok(red(said, &name, &why)),
        }
    }
    Ok(Verdict {
        is_green: true,
        said,
    })
}

fn red(said: String, name: &str, why: &str) -> Verdict {
    let indented: String = why
        .lines()
        .map(|line| format!("         {line}\n"))
        .collect();
    Verdict {
        is_green: false,
        said: format!("{said}  red    {name}\n{indented}"),
    }
}

/// What a check is called in a report.
fn name(check: &Check) -> String {
    match check {
        Check::Run(run) | Check::Hidden { run, .. } => match run.cpus {
            1 => format!("self-test {}", run.test),
            cpus => format!("self-test {} on {cpus} processors", run.test),
        },
        Check::AllSelftests => "all self-tests".to_owned(),
        Check::Grows { line, .. } => format!("the line {line}"),
        Check::Program { file, .. } => format!("the program {file}"),
        Check::Code { function, .. } => format!("the instructions of {function}"),
    }
}

/// Runs one check; returns why it is red, or nothing if it is green.
fn run_check(check: &Check, tree: &Path, kernel: &Path) -> Result<Option<String>> {
    match check {
        Check::Run(run) | Check::Hidden { run, .. } => {
            Ok(why_red(&boot(kernel.to_owned(), run, LIMIT)?, true))
        }
        Check::AllSelftests => {
            let spec = with_kernel(IsoSpec::boot("selftest"), kernel);
            Ok(why_red(&run_vm(&spec, ALL_LIMIT)?, true))
        }
        Check::Grows { script, line, by } => {
            // How its last command ended is no result: a line that is missing says more.
            let script = quoted(&format!("{script}; true"));
            let script = format!("init=/bin/busybox -- sh -c {script}");
            let seen = run_vm(&with_kernel(IsoSpec::boot(&script), kernel), LIMIT)?;
            Ok(why_red(&seen, false).or_else(|| growth(&seen.log, line, *by).err()))
        }
        Check::Program { file, main, says } => program(&tree.join(file), main, says, kernel),
        Check::Code {
            function,
            in_order,
            lacks,
        } => Ok(code(&disassembled(kernel, function)?, in_order, lacks).err()),
    }
}

fn with_kernel(spec: IsoSpec, kernel: &Path) -> IsoSpec {
    IsoSpec {
        kernel: Some(kernel.to_owned()),
        ..spec
    }
}

fn run_vm(spec: &IsoSpec, limit: Duration) -> Result<run::Run> {
    let mut vm = Vm::new(Medium::Iso(try_iso(spec)?));
    vm.icount = Some("shift=4,sleep=off".to_owned());
    vm.timeout = limit;
    vm.silence = LIMIT;
    vm.run()
}

/// Why a run is red: the cases that are not ok and what they say, or how the kernel ended.
fn why_red(seen: &run::Run, is_ktap: bool) -> Option<String> {
    let lines: Vec<&str> = seen.log.lines().map(str::trim_end).collect();
    let report = ktap::parse(&seen.log);
    let mut why = Vec::new();
    for case in &report.cases {
        if case.outcome == Outcome::NotOk {
            let own = lines[case.lines.clone()].iter();
            let own: Vec<&str> = own.copied().filter(|line| !is_head(line)).collect();
            let from = own.len().saturating_sub(SHOWN);
            why.extend(own[from..].iter().map(|line| (*line).to_owned()));
        }
    }
    let is_cut = !report.errors.is_empty() && is_ktap;
    if why.is_empty() && (is_cut || seen.end != End::Exit(Exit::Success)) {
        let started = lines.iter().position(|line| line.contains(Run::STARTED));
        let after = &lines[started.unwrap_or(0)..];
        let bug = after
            .iter()
            .position(|line| line.contains("BUG:") || line.contains("panicked"));
        let from = bug.unwrap_or(after.len().saturating_sub(SHOWN));
        why.extend(
            after[from..]
                .iter()
                .take(SHOWN)
                .map(|line| (*line).to_owned()),
        );
        why.push(match &seen.end {
            End::Exit(exit) => format!("the kernel ended with {exit:?}"),
            End::PowerOff => "the machine was switched off".to_owned(),
            End::Reset { .. } => "the machine was reset: a triple fault".to_owned(),
            End::Hang { why, .. } => format!("the machine hung: {why}"),
            End::Killed => "the machine was ended".to_owned(),
        });
    }
    (!why.is_empty()).then(|| why.join("\n"))
}

/// Returns whether a line of a report comes before its first case, and says nothing about it.
fn is_head(line: &str) -> bool {
    ["KTAP version ", "1..", "# only run when named exactly"]
        .iter()
        .any(|head| line.starts_with(head))
}

/// Checks that the sum of a line's numbers grows by `by` from its first occurrence to its second.
fn growth(log: &str, name: &str, by: u64) -> Result<(), String> {
    let sums: Vec<u64> = log
        .lines()
        .filter(|line| line.split_whitespace().next() == Some(name))
        .map(|line| {
            let words = line.split_whitespace().skip(1);
            words.filter_map(|word| word.parse::<u64>().ok()).sum()
        })
        .collect();
    match sums[..] {
        [] => Err(format!("no line begins with {name:?}")),
        [first, second] if second == first + by => Ok(()),
        [first, second] => Err(format!(
            "{name} was {first}, then {second}: it should grow by {by}"
        )),
        _ => Err(format!("{} lines begin with {name:?}, not 2", sums.len())),
    }
}

/// Compiles the student's file with our `main`, runs it as init, and looks for its line.
fn program(file: &Path, main: &str, says: &str, kernel: &Path) -> Result<Option<String>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return Ok(Some(format!("{}: {error}", file.display()))),
    };
    let folder = tempfile::tempdir()?;
    let source = folder.path().join("lab.c");
    std::fs::write(&source, format!("{text}{main}"))?;
    let executable = folder.path().join("lab");
    if let Err(error) = foreign::compile(&source, &executable) {
        return Ok(Some(format!("{error:#}")));
    }
    let words = [executable.to_string_lossy().into_owned()];
    let spec = with_kernel(exec::boot(&words)?, kernel);
    let seen = run_vm(&spec, LIMIT)?;
    if let Some(why) = why_red(&seen, false) {
        return Ok(Some(why));
    }
    let is_said = seen.log.lines().any(|line| line.trim_end() == says);
    let own = seen.log.lines().filter(|line| line.contains(": "));
    let last: Vec<&str> = own.rev().take(SHOWN).collect();
    Ok((!is_said).then(|| {
        let last: Vec<&str> = last.into_iter().rev().collect();
        format!("it does not print {says:?}\n{}", last.join("\n"))
    }))
}

/// The instructions of a function, a line each, as objdump writes them.
fn disassembled(kernel: &Path, function: &str) -> Result<String> {
    let symbols = Symbols::read(kernel)?;
    let tail = format!("::{function}::{function}");
    let symbol = symbols
        .all()
        .iter()
        .find(|symbol| symbol.function && (symbol.name == function || symbol.name.ends_with(&tail)))
        .with_context(|| format!("the kernel has no function {function}"))?;
    let mut objdump = tool("objdump")?;
    objdump
        .args(["--disassemble", "--no-show-raw-insn"])
        .arg(format!("--start-address={:#x}", symbol.value))
        .arg(format!(
            "--stop-address={:#x}",
            symbol.value + symbol.size_bytes
        ))
        .arg(kernel);
    let output = objdump.output().context("cannot start objdump")?;
    if !output.status.success() {
        quietly(&mut objdump)?;
        bail!("objdump failed");
    }
    let text = String::from_utf8(output.stdout)?;
    ensure!(text.contains(":\t"), "objdump shows no instruction");
    Ok(text)
}

/// Checks which texts a function's instructions have, and in which order.
fn code(text: &str, in_order: &[&str], lacks: &[&str]) -> Result<(), String> {
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(":\t")).collect();
    let mut from = 0;
    for (wanted, number) in in_order.iter().zip(0..) {
        match lines[from..].iter().position(|line| line.contains(wanted)) {
            Some(at) => from += at + 1,
            None if number == 0 => return Err(format!("it has no {wanted:?}")),
            None => {
                let before = in_order[number - 1];
                return Err(format!("{wanted:?} does not come after {before:?}"));
            }
        }
    }
    match lacks
        .iter()
        .find(|text| lines.iter().any(|line| line.contains(**text)))
    {
        Some(text) => Err(format!("it still has {text:?}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_grows_by_what_is_due() {
        let log = "first_returns   10   2\nother 1\nfirst_returns   15   3\n";
        assert_eq!(growth(log, "first_returns", 6), Ok(()));
        assert!(
            growth(log, "first_returns", 5)
                .unwrap_err()
                .contains("was 12, then 18")
        );
        assert!(growth(log, "other", 0).unwrap_err().contains("1 lines"));
        assert!(growth(log, "none", 0).unwrap_err().contains("no line"));
    }

    #[test]
    fn instructions_have_an_order() {
        let text = "0 <f>:\n 1:\tmov    %gs,(%eax)\n 2:\tmov    %ecx,%fs:0x30\n 3:\tret\n";
        assert_eq!(code(text, &["%gs,", "%fs:0x30"], &["jmp"]), Ok(()));
        let wrong = code(text, &["%fs:0x30", "%gs,"], &[]).unwrap_err();
        assert!(wrong.contains("does not come after"), "{wrong}");
        assert!(code(text, &["call"], &[]).unwrap_err().contains("has no"));
        assert!(code(text, &[], &["ret"]).unwrap_err().contains("still has"));
    }
}
