//! The timeline of a run: from the records that the kernel wrote to files that tools open.
//!
//! In reading order:
//! - [`stream`]: the kernel's records, in order of time
//! - [`ftrace`]: as text, for Perfetto and for reading
//! - [`dat`]: as `trace.dat`, for trace-cmd and KernelShark
//! - `format`: the events of that file
//! - [`timeline`]: as a picture
//! - [`check`]: what must be true of each

pub mod check;
pub mod dat;
mod format;
pub mod ftrace;
pub mod stream;
pub mod timeline;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use self::stream::Trace;
use crate::{paths, scene};

/// Where `just trace` leaves its files.
pub fn dir() -> Result<PathBuf> {
    let dir = paths::root().join("target/switch_to/trace");
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    Ok(dir)
}

/// Makes the picture of the records in `records`, `timeline.svg` beside it, and says where it is.
pub fn draw(records: &Path) -> Result<String> {
    let bytes = fs::read(records).with_context(|| records.display().to_string())?;
    let trace = Trace::read(&bytes)?;
    let file = records.with_file_name("timeline.svg");
    fs::write(&file, timeline::svg(&trace, &enlarged_switch()?)?)?;
    Ok(format!(
        "{}\n  {}   for a browser",
        trace.summary(),
        file.display()
    ))
}

/// The recorded switch that a timeline shows enlarged.
pub fn enlarged_switch() -> Result<Value> {
    scene::read("old")
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
