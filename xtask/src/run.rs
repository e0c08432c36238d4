//! How a run of a machine ended, and what it said.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::steer::GRUB_FAILED;
use crate::symbols::Symbols;

/// How much of a log goes into a failure's text.
const TAIL_LINES: usize = 50;

/// What the kernel writes to `isa-debug-exit`, as QEMU's exit status `(v << 1) | 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Exit {
    /// 0x10: init ended with status 0.
    Success = 33,
    /// 0x11: a self-test, the tour or init failed.
    Failure = 35,
    /// 0x20: the kernel panicked.
    Panic = 65,
    /// 0x21: not started by Multiboot2.
    NotMultiboot2 = 67,
    /// 0x22: the loader gave no memory map.
    NoMemoryMap = 69,
    /// 0x23: less than 16 MiB of memory.
    TooLittleMemory = 71,
    /// 0x24: the CPU lacks a feature.
    CpuLacksFeature = 73,
    /// 0x25: the initramfs is missing or broken.
    BadInitramfs = 75,
    /// 0x26: init cannot be loaded.
    BadInit = 77,
    /// GRUB could not load the kernel or a module; written by our script for it.
    GrubFailed = (GRUB_FAILED << 1 | 1) as i32,
}

impl Exit {
    const ALL: [Exit; 10] = [
        Exit::Success,
        Exit::Failure,
        Exit::Panic,
        Exit::NotMultiboot2,
        Exit::NoMemoryMap,
        Exit::TooLittleMemory,
        Exit::CpuLacksFeature,
        Exit::BadInitramfs,
        Exit::BadInit,
        Exit::GrubFailed,
    ];

    /// The meaning of an exit status of QEMU; `None` if the kernel has no such code.
    pub fn from_status(status: i32) -> Option<Exit> {
        Exit::ALL.into_iter().find(|exit| *exit as i32 == status)
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The kernel ended it.
    Exit(Exit),
    /// The guest switched the machine off.
    PowerOff,
    /// A triple fault, or the guest reset the machine.
    Reset {
        /// Of every CPU, as it was then.
        registers: String,
    },
    /// A time limit passed.
    Hang {
        /// Which one.
        why: String,
        /// Of every CPU.
        registers: String,
    },
    /// The harness had seen enough.
    Killed,
}

/// A run that is over.
#[derive(Clone, Debug)]
pub struct Run {
    /// What came on the serial line, without carriage returns and escape sequences.
    pub log: String,
    /// When each line of the log came, counted from the start of QEMU.
    pub stamps: Vec<Duration>,
    /// How it ended.
    pub end: End,
    /// How long it took.
    pub took: Duration,
    /// The command, to be repeated by hand.
    pub command: String,
    /// What QEMU itself said.
    pub complaints: String,
    /// What the kernel wrote to the debug console, if the machine had one.
    pub trace: Vec<u8>,
    /// What QEMU noted of writes to devices, a line each, if it was to.
    pub writes: String,
}

impl Run {
    /// Fails unless the kernel ended the run in this way.
    pub fn ends(&self, exit: Exit) -> Result<()> {
        ensure!(
            self.end == End::Exit(exit),
            "the run should end with {exit:?}"
        );
        Ok(())
    }

    /// The first line that has this text in it; fails if there is none.
    pub fn line(&self, text: &str) -> Result<&str> {
        self.log
            .lines()
            .find(|line| line.contains(text))
            .with_context(|| format!("no line has {text:?}"))
    }

    /// Fails unless one line is exactly this.
    pub fn says(&self, line: &str) -> Result<()> {
        ensure!(
            self.log.lines().any(|other| other == line),
            "no line is {line:?}"
        );
        Ok(())
    }

    /// Fails if this text is anywhere in the log.
    pub fn nowhere(&self, text: &str) -> Result<()> {
        match self.log.lines().find(|line| line.contains(text)) {
            Some(line) => bail!("the log should not have {text:?}, but says {line:?}"),
            None => Ok(()),
        }
    }

    /// The text of a failure: how it ended, the end of the log, the registers.
    pub fn explain(&self, symbols: Option<&Symbols>) -> String {
        let mut text = match &self.end {
            End::Exit(exit) => format!(
                "the kernel ended the run: {exit:?} (status {})",
                *exit as i32
            ),
            End::PowerOff => "the machine was switched off".to_owned(),
            End::Reset { .. } => "the machine was reset: a triple fault?".to_owned(),
            End::Hang { why, .. } => format!("the machine hung: {why}"),
            End::Killed => "the machine was killed by the harness".to_owned(),
        };
        let lines: Vec<&str> = self.log.lines().collect();
        let (before, tail) = lines.split_at(lines.len().saturating_sub(TAIL_LINES));
        let is_failure = |line: &&&str| line.trim_start().starts_with("not ok");
        let failures: Vec<&str> = before.iter().filter(is_failure).copied().collect();
        if !failures.is_empty() {
            let _ = write!(text, "\n--- failed earlier\n{}", failures.join("\n"));
        }
        let _ = write!(
            text,
            "\n{}\n--- the last {} of {} lines of the log\n{}",
            self.command,
            tail.len(),
            lines.len(),
            tail.join("\n")
        );
        if !self.complaints.trim().is_empty() {
            let _ = write!(text, "\n--- QEMU said\n{}", self.complaints.trim());
        }
        if let End::Reset { registers } | End::Hang { registers, .. } = &self.end {
            let _ = write!(text, "\n--- registers\n{}", registers.trim());
            for place in symbols
                .into_iter()
                .flat_map(|symbols| places(registers, symbols))
            {
                let _ = write!(text, "\n{place}");
            }
        }
        text
    }
}

/// Where the EIPs of a register dump point to.
fn places<'a>(registers: &'a str, symbols: &'a Symbols) -> impl Iterator<Item = String> + 'a {
    registers.split("EIP=").skip(1).filter_map(|rest| {
        let eip = u32::from_str_radix(rest.get(..8)?, 16).ok()?;
        Some(format!("EIP {eip:08x} is {}", symbols.place(eip)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_kernel_has_a_meaning() {
        for (value, exit) in [
            (0x10, Exit::Success),
            (0x11, Exit::Failure),
            (0x20, Exit::Panic),
            (0x21, Exit::NotMultiboot2),
            (0x22, Exit::NoMemoryMap),
            (0x23, Exit::TooLittleMemory),
            (0x24, Exit::CpuLacksFeature),
            (0x25, Exit::BadInitramfs),
            (0x26, Exit::BadInit),
            (0x30, Exit::GrubFailed),
        ] {
            assert_eq!(Exit::from_status(value << 1 | 1), Some(exit));
        }
        assert_eq!(Exit::from_status(0), None);
        assert_eq!(Exit::from_status(1), None);
    }
}
