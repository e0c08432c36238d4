//! The shared libraries that a program needs, found on this machine or among those that are fetched.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use object::LittleEndian;
use object::elf::{
    DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_STRSZ, DT_STRTAB, FileHeader32, PT_DYNAMIC, PT_INTERP,
    PT_LOAD,
};
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};

use crate::foreign;
use crate::initramfs::Entry;

/// Where a host keeps libraries for the i386: Debian's names, then those of others.
const PLACES: [&str; 6] = [
    "/lib/i386-linux-gnu",
    "/usr/lib/i386-linux-gnu",
    "/lib32",
    "/usr/lib32",
    "/usr/lib/i386-linux-musl",
    "/lib/i386-linux-musl",
];

/// What a file says about the others that it needs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Needs {
    /// The dynamic linker's path.
    interpreter: Option<String>,
    /// Names of libraries.
    libraries: Vec<String>,
    /// Folders to look into first.
    run_path: Vec<String>,
}

/// The dynamic linker and all libraries of the program at `file`, as files for the initramfs: the
/// linker where the program names it, the libraries in `/lib`, or where the program looks first.
///
/// # Errors
/// One of them is not found: a sentence about it.
pub fn of_program(file: &Path, bytes: &[u8]) -> Result<Vec<Entry>> {
    let mut places: Vec<PathBuf> = file.parent().map(Path::to_owned).into_iter().collect();
    places.extend(PLACES.iter().map(PathBuf::from));
    closure(file, bytes, &mut |wanted, run_path| {
        let own = run_path.iter().map(PathBuf::from);
        let mut all = own.chain(places.iter().cloned());
        if let Some(found) = all.find_map(|place| library(&place.join(wanted))) {
            return Ok(found);
        }
        let fetched = foreign::libraries().with_context(|| missing(file, wanted))?;
        let found = fetched
            .iter()
            .find_map(|place| library(&place.join(wanted)));
        found.with_context(|| missing(file, wanted))
    })
}

fn missing(file: &Path, wanted: &str) -> String {
    format!(
        "{} needs {wanted}, which is neither beside it, nor in {}, nor among the packages that are fetched: put it beside the program, or link with -static",
        file.display(),
        PLACES.join(", ")
    )
}

/// The bytes of a library for the i386 at `path`.
fn library(path: &Path) -> Option<Vec<u8>> {
    let bytes = fs::read(path).ok()?;
    FileHeader32::<LittleEndian>::parse(&*bytes).ok()?;
    Some(bytes)
}

/// Looks for a library by its name, first in the given folders.
type Finder<'a> = dyn FnMut(&str, &[String]) -> Result<Vec<u8>> + 'a;

/// All files that `bytes` needs, and those that these need; `find` looks for one by its name, first
/// in the given folders.
fn closure(file: &Path, bytes: &[u8], find: &mut Finder<'_>) -> Result<Vec<Entry>> {
    let mut found = BTreeMap::new();
    let first = needs(bytes).with_context(|| file.display().to_string())?;
    let mut pending = Vec::new();
    if let Some(interpreter) = &first.interpreter {
        // Musl's linker is its library by another name.
        let name = match interpreter.rsplit('/').next().unwrap_or(interpreter) {
            musl if musl.starts_with("ld-musl") => "libc.so",
            name => name,
        };
        let bytes = find(name, &[])?;
        found.insert(interpreter.trim_start_matches('/').to_owned(), bytes);
    }
    pending.push(first);
    let origin = file.parent().unwrap_or(Path::new("."));
    while let Some(needs) = pending.pop() {
        for name in needs.libraries {
            ensure!(
                !name.contains('/'),
                "{} needs {name} by its path, which is not carried along: link with -l",
                file.display()
            );
            let path = format!("lib/{name}");
            if found.contains_key(&path) {
                continue;
            }
            let run_path: Vec<String> = needs
                .run_path
                .iter()
                .map(|place| place.replace("$ORIGIN", &origin.display().to_string()))
                .collect();
            let bytes = find(&name, &run_path)?;
            pending.push(self::needs(&bytes).with_context(|| name.clone())?);
            found.insert(path, bytes);
        }
    }
    let entry = |(path, bytes): (String, Vec<u8>)| Entry::program(&path, bytes);
    Ok(found.into_iter().map(entry).collect())
}

/// Reads what a file needs; nothing for a static program.
fn needs(bytes: &[u8]) -> Result<Needs> {
    let header = FileHeader32::<LittleEndian>::parse(bytes).context("not a 32-bit ELF file")?;
    let endian = LittleEndian;
    let segments = header.program_headers(endian, bytes)?;
    let mut needs = Needs::default();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for segment in segments {
        if segment.p_type(endian) == PT_INTERP {
            let Ok(path) = segment.data(endian, bytes) else {
                bail!("the name of its dynamic linker is not in it");
            };
            let path = path.split(|byte| *byte == 0).next().unwrap_or_default();
            needs.interpreter = Some(text(path));
        }
    }
    let dynamic = segments
        .iter()
        .find(|segment| segment.p_type(endian) == PT_DYNAMIC);
    let Some(table) = dynamic else {
        return Ok(needs);
    };
    let table = table.dynamic(endian, bytes)?.unwrap_or_default();
    let value = |tag| {
        let mut entries = table.iter().filter(move |entry| entry.d_tag(endian) == tag);
        entries.next().map(|entry| entry.d_val(endian))
    };
    // Strings are named by their address; the segment that holds it says where they are in the file.
    let strings = value(DT_STRTAB).and_then(|at| {
        let holder = segments.iter().find(|segment| {
            let start = segment.p_vaddr(endian);
            segment.p_type(endian) == PT_LOAD
                && (start..start.saturating_add(segment.p_filesz(endian))).contains(&at)
        })?;
        let start = at - holder.p_vaddr(endian) + holder.p_offset(endian);
        let size = value(DT_STRSZ)? as usize;
        bytes.get(start as usize..)?.get(..size)
    });
    let string = |at: u32| {
        let rest = strings.and_then(|strings| strings.get(at as usize..));
        let name = rest.and_then(|rest| rest.split(|byte| *byte == 0).next());
        name.map(text).context("its dynamic section is broken")
    };
    for entry in table.iter().take_while(|entry| entry.d_tag(endian) != 0) {
        let at = entry.d_val(endian);
        match entry.d_tag(endian) {
            DT_NEEDED => needs.libraries.push(string(at)?),
            DT_RUNPATH | DT_RPATH => {
                let folders = string(at)?;
                needs.run_path.extend(folders.split(':').map(str::to_owned));
            }
            _ => {}
        }
    }
    Ok(needs)
}
