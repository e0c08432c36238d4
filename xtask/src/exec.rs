//! `just exec`: a program of the user's own, from this machine, as init.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::compile::Profile;
use crate::foreign;
use crate::image::{Initramfs, IsoSpec};
use crate::initramfs::{Entry, entries, newc};
use crate::libraries;
use crate::program::{Kind, kind};
use crate::steer::{is_carried, quoted};

/// Bytes of arguments that still fit into a kernel command line.
const CARRIED_BYTES: usize = 1024;

/// The script that becomes the program, where the kernel command line does not carry its arguments.
const LAUNCHER: &str = "etc/exec";

/// A boot that runs the program in `words[0]` with the other words; it is in `/bin`, beside all that is
/// there otherwise. C source is compiled first; the shared libraries that a program needs come along.
///
/// # Errors
/// When there is none, when it is nothing that can be run, when gcc is not content with it.
pub fn boot(words: &[String]) -> Result<IsoSpec> {
    let Some((file, arguments)) = words.split_first() else {
        bail!("which program? just exec FILE [ARGUMENT]...")
    };
    let mut entries = entries(Profile::Dev)?;
    let (name, bytes, libraries) = program(Path::new(file), &entries)?;
    let path = format!("bin/{name}");
    entries.retain(|entry| entry.path != path);
    entries.push(Entry::program(&path, bytes));
    entries.extend(libraries);
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let cmdline = match carried(&path, &words) {
        Some(cmdline) => cmdline,
        None => {
            entries.push(Entry::program(LAUNCHER, launcher(&path, &words)));
            format!("init=/bin/busybox -- sh /{LAUNCHER}")
        }
    };
    Ok(IsoSpec {
        initramfs: Initramfs::Bytes(newc(&entries)),
        ..IsoSpec::boot(&cmdline)
    })
}

/// A program's name and bytes, and the shared libraries that it needs; of C source, of what it is
/// compiled to.
fn program(file: &Path, entries: &[Entry]) -> Result<(String, Vec<u8>, Vec<Entry>)> {
    let known: Vec<String> = entries
        .iter()
        .filter(|entry| entry.path.starts_with("bin/"))
        .map(|entry| format!("/{}", entry.path))
        .collect();
    let kind = kind(file, &known)?;
    let named = || file.display().to_string();
    let name = |part: Option<&std::ffi::OsStr>| {
        let name = part.with_context(|| format!("{}: it has no name", named()))?;
        Ok::<_, anyhow::Error>(name.to_string_lossy().into_owned())
    };
    if kind != Kind::Source {
        let bytes = fs::read(file).with_context(named)?;
        let libraries = match kind {
            Kind::Dynamic => libraries::of_program(file, &bytes)?,
            _ => Vec::new(),
        };
        return Ok((name(file.file_name())?, bytes, libraries));
    }
    let name = name(file.file_stem())?;
    // Another run may compile another file of this name meanwhile.
    let dir = tempfile::tempdir()?;
    let out = dir.path().join(&name);
    foreign::compile(file, &out)?;
    Ok((name, fs::read(out)?, Vec::new()))
}

/// The kernel command line that runs a program with these arguments, if they reach it so.
fn carried(path: &str, arguments: &[&str]) -> Option<String> {
    let init = format!("init=/{path}");
    let words = [init.as_str(), "--"]
        .into_iter()
        .chain(arguments.iter().copied());
    if !words.clone().all(is_carried) {
        return None;
    }
    let line = words.map(quoted).collect::<Vec<_>>().join(" ");
    (line.len() <= CARRIED_BYTES).then_some(line)
}

/// A script that becomes the program: a shell takes what stands between single quotes as it is. The
/// environment is what the kernel gave the shell.
fn launcher(path: &str, arguments: &[&str]) -> Vec<u8> {
    let path = format!("/{path}");
    let mut script = "#!/bin/sh\nunset PWD OLDPWD SHLVL\nexec".to_owned();
    for word in [path.as_str()].iter().chain(arguments) {
        script += &format!(" '{}'", word.replace('\'', r"'\''"));
    }
    script.push('\n');
    script.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foreign::programs;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn plain_arguments_are_in_the_command_line() {
        let line = |arguments: &[&str]| carried("bin/a", arguments);
        assert_eq!(
            line(&["a", "b c", "d\"e", "it's"]).unwrap(),
            "init=/bin/a -- a \"b c\" d\\\"e it's"
        );
        for other in ["", "ä", r"\x41", "a\nb", "a\tb", &"x".repeat(CARRIED_BYTES)] {
            assert_eq!(line(&["a", other]), None, "{other}");
        }
        assert_eq!(carried("bin/ä", &[]), None);
    }

    #[test]
    fn the_launcher_passes_everything_on_as_it_is() {
        let given = [
            "",
            "a b",
            "it's",
            r#"\x41 "$HOME" `id`"#,
            "ä\n\t*",
            "-n",
            "--",
        ];
        let script = launcher("bin/printf", &["[%s]\\n", "x"]);
        assert!(script.starts_with(b"#!/bin/sh\nunset "));
        // The host's shell reads it as the kernel's does.
        let format: Vec<&str> = std::iter::once("[%s]\\n").chain(given).collect();
        let output = std::process::Command::new("/bin/sh")
            .arg("-c")
            .arg(String::from_utf8(launcher("usr/bin/printf", &format)).unwrap())
            .output()
            .unwrap();
        let expected: String = given.iter().map(|word| format!("[{word}]\n")).collect();
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
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
        let spec = boot(&words(&[file, ""])).unwrap();
        assert_eq!(
            spec.cmdline.as_deref(),
            Some("init=/bin/busybox -- sh /etc/exec")
        );
    }

    #[test]
    fn no_two_files_have_one_name() {
        let mut paths: Vec<String> = entries(Profile::Dev)
            .unwrap()
            .into_iter()
            .map(|entry| entry.path)
            .collect();
        let all = paths.len();
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), all);
    }

    #[test]
    fn what_cannot_run_is_refused() {
        let refuse = |list: &[&str]| format!("{:#}", boot(&words(list)).unwrap_err());
        assert!(refuse(&[]).starts_with("which program?"));
        assert!(refuse(&["/there/is/none"]).starts_with("/there/is/none: "));
        assert!(refuse(&["/etc/passwd"]).contains("ELF"));
        assert!(refuse(&["/proc/self/exe"]).starts_with("/proc/self/exe: "));
    }
}
