//! The timeline of a run: from the records that the kernel wrote to files that tools open.
//!
//! In reading order:
//! - [`stream`]: the kernel's records, in order of time
//! - [`ftrace`]: as text, for Perfetto and for reading
//! - [`dat`]: as `trace.dat`, for trace-cmd and KernelShark
//! - `format`: the events of that file
//! - [`check`]: what must be true of each

pub mod check;
pub mod dat;
mod format;
pub mod ftrace;
pub mod stream;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use self::stream::Trace;
use crate::paths;

/// Where `just trace` leaves its files.
pub fn dir() -> Result<PathBuf> {
    let dir = paths::root().join("target/switch_to/trace");
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    Ok(dir)
}

/// Makes `trace.txt` and `trace.dat` of the records in `records`, beside it, and says what they have.
pub fn convert(records: &Path) -> Result<String> {
    let bytes = fs::read(records).with_context(|| records.display().to_string())?;
    let trace = Trace::read(&bytes)?;
    let (text, dat) = (
        records.with_file_name("trace.txt"),
        records.with_file_name("trace.dat"),
    );
    fs::write(&text, ftrace::text(&trace))?;
    fs::write(&dat, dat::bytes(&trace))?;
    Ok(format!(
        "{}\n  {}   for https://ui.perfetto.dev, or to read\n  {}   for trace-cmd report -i, kernelshark",
        trace.summary(),
        text.display(),
        dat.display()
    ))
}
