//! `just exec`: a program of the user's own, from this machine, as init.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::compile::Profile;
use crate::foreign::check_static_i386;
use crate::image::{Initramfs, IsoSpec};
use crate::initramfs::{Entry, entries, newc};
use crate::steer::quoted;

/// A boot that runs the program in `words[0]` with the other words; it is in `/bin`, beside all that is
/// there otherwise.
///
/// # Errors
/// When there is none, when it is not a static i386 executable, when its name has a blank.
pub fn boot(words: &[String]) -> Result<IsoSpec> {
    let Some((file, arguments)) = words.split_first() else {
        bail!("which program? just exec FILE [ARGUMENT]...")
    };
    let bytes = fs::read(file).with_context(|| file.clone())?;
    check_static_i386(&bytes).with_context(|| file.clone())?;
    let name = Path::new(file)
        .file_name()
        .and_then(|name| name.to_str())
        .filter(|name| !name.contains(char::is_whitespace))
        .with_context(|| format!("{file}: a file name without blanks is needed"))?;
    let path = format!("bin/{name}");
    let mut entries = entries(Profile::Dev)?;
    entries.retain(|entry| entry.path != path);
    entries.push(Entry::program(&path, bytes));
    let mut cmdline = format!("init=/{path} --");
    for argument in arguments {
        cmdline += " ";
        cmdline += &quoted(argument);
    }
    Ok(IsoSpec {
        initramfs: Initramfs::Bytes(newc(&entries)),
        ..IsoSpec::boot(&cmdline)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foreign::programs;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn the_program_is_init_and_has_its_arguments() {
        let program = programs().unwrap().hello_musl;
        let file = program.to_str().unwrap();
        let spec = boot(&words(&[file, "a", "b c"])).unwrap();
        assert_eq!(
            spec.cmdline.as_deref(),
            Some("init=/bin/hello-musl -- a \"b c\"")
        );
    }

    #[test]
    fn what_cannot_run_is_refused() {
        let refuse = |list: &[&str]| format!("{:#}", boot(&words(list)).unwrap_err());
        assert!(refuse(&[]).starts_with("which program?"));
        assert!(refuse(&["/there/is/none"]).starts_with("/there/is/none: "));
        assert!(refuse(&["/etc/passwd"]).contains("ELF"));
        // The host's own are 64-bit, or not static.
        assert!(refuse(&["/proc/self/exe"]).starts_with("/proc/self/exe: not"));
    }
}
