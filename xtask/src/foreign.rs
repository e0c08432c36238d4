//! Real programs: Debian's i386 busybox as it is, and the C programs of
//! `user/c`, each linked statically with musl and with glibc.
//!
//! The packages come through `apt-get download` with lists of our own for i386,
//! so nothing is installed, no root is needed and dpkg's architectures stay as
//! they are. Everything is kept under `target/switch_to/foreign`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};

use crate::paths;
use crate::program::check_elf;
use crate::toolchain::{quietly, tool};

/// The programs, as files on the host.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Debian's `busybox-static`, unmodified.
    pub busybox: PathBuf,
    /// `hello.c` with Debian's musl.
    pub hello_musl: PathBuf,
    /// `hello.c` with Debian's glibc.
    pub hello_glibc: PathBuf,
    /// `threads.c` with Debian's musl.
    pub threads_musl: PathBuf,
    /// `threads.c` with Debian's glibc.
    pub threads_glibc: PathBuf,
}

impl Programs {
    /// All of them, each with its name in `/bin`.
    pub fn all(&self) -> [(&'static str, &Path); 5] {
        [
            ("busybox", &self.busybox),
            ("hello-musl", &self.hello_musl),
            ("hello-glibc", &self.hello_glibc),
            ("threads-musl", &self.threads_musl),
            ("threads-glibc", &self.threads_glibc),
        ]
    }
}

/// The programs, fetched and linked if that has not been done.
pub fn programs() -> Result<Programs> {
    static DONE: OnceLock<Result<Programs, String>> = OnceLock::new();
    let done = DONE.get_or_init(|| prepare().map_err(|error| format!("{error:#}")));
    done.clone().map_err(anyhow::Error::msg)
}

fn prepare() -> Result<Programs> {
    let dir = paths::out().join("foreign");
    fs::create_dir_all(&dir)?;
    let lock = fs::File::create(dir.join("lock"))?;
    lock.lock()?;

    let root = dir.join("root");
    if !root.exists() {
        fetch(&dir).context("cannot fetch Debian's i386 packages")?;
    }
    let programs = Programs {
        busybox: first_of(&root, &["bin/busybox", "usr/bin/busybox"])?,
        hello_musl: dir.join("hello-musl"),
        hello_glibc: dir.join("hello-glibc"),
        threads_musl: dir.join("threads-musl"),
        threads_glibc: dir.join("threads-glibc"),
    };
    for (source, musl, glibc) in [
        ("hello.c", &programs.hello_musl, &programs.hello_glibc),
        ("threads.c", &programs.threads_musl, &programs.threads_glibc),
    ] {
        let source = paths::root().join("user/c").join(source);
        if older(musl, &source)? {
            link_with_musl(&root, &source, musl)?;
        }
        if older(glibc, &source)? {
            link_with_glibc(&root, &source, glibc)?;
        }
    }
    for (name, program) in programs.all() {
        let bytes = fs::read(program).with_context(|| name.to_owned())?;
        check_elf(&bytes).with_context(|| program.display().to_string())?;
    }
    Ok(programs)
}

/// The first of several places below `root` that has a file: Debian 13 has put what was in `bin` into `usr/bin`.
pub fn first_of(root: &Path, places: &[&str]) -> Result<PathBuf> {
    let mut files = places.iter().map(|place| root.join(place));
    files
        .find(|file| file.is_file())
        .with_context(|| format!("{} has none of {}", root.display(), places.join(", ")))
}

/// `goroutines.go`, linked statically for i386 by the host's Go.
pub fn go_program() -> Result<PathBuf> {
    let dir = paths::out().join("foreign");
    fs::create_dir_all(&dir)?;
    let lock = fs::File::create(dir.join("go.lock"))?;
    lock.lock()?;
    let source = paths::root().join("user/go/goroutines.go");
    let out = dir.join("goroutines");
    if older(&out, &source)? {
        let mut go = tool("go")?;
        go.envs([("GOOS", "linux"), ("GOARCH", "386"), ("CGO_ENABLED", "0")])
            .envs([("GO111MODULE", "off"), ("GOFLAGS", "")])
            .env("GOCACHE", dir.join("go-cache"))
            .args(["build", "-o"])
            .args([&out, &source]);
        quietly(&mut go)?;
    }
    Ok(out)
}

/// The folders of Debian's shared libraries for i386 that many programs need, fetched if that has not
/// been done.
pub fn libraries() -> Result<Vec<PathBuf>> {
    let root = debian(
        "libraries",
        &[
            "libc6",
            "libgcc-s1",
            "libstdc++6",
            "libtinfo6",
            "libselinux1",
            "libpcre2-8-0",
            "libacl1",
            "libattr1",
            "libgmp10",
            "zlib1g",
            "libexpat1",
        ],
    )?;
    Ok(library_folders(&root))
}

/// The folders below `root` in which Debian's i386 packages have libraries.
pub fn library_folders(root: &Path) -> Vec<PathBuf> {
    [
        "usr/lib/i386-linux-gnu",
        "lib/i386-linux-gnu",
        "usr/lib",
        "lib",
    ]
    .map(|folder| root.join(folder))
    .to_vec()
}

/// Debian's i386 packages of these names, unpacked in a folder called `name`, fetched if that has
/// not been done.
pub fn debian(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let dir = paths::out().join("foreign").join(name);
    fs::create_dir_all(&dir)?;
    let lock = fs::File::create(dir.join("lock"))?;
    lock.lock()?;
    let root = dir.join("root");
    if !root.exists() {
        println!("fetching i386 packages: {}", packages.join(", "));
        unpack(&dir, packages).with_context(|| format!("cannot fetch {}", packages.join(", ")))?;
    }
    Ok(root)
}

/// Downloads the packages for our own programs and unpacks them into `dir/root`.
fn fetch(dir: &Path) -> Result<()> {
    let gcc = gcc_major()?;
    println!("fetching i386 packages: busybox, musl, glibc");
    let libgcc = format!("libgcc-{gcc}-dev");
    let packages = [
        "busybox-static",
        "musl-dev",
        "libc6-dev",
        "linux-libc-dev",
        &libgcc,
    ];
    unpack(dir, &packages)
}

/// Downloads packages and unpacks them into `dir/root`.
fn unpack(dir: &Path, packages: &[&str]) -> Result<()> {
    let debs = dir.join("debs");
    let partial = dir.join("root.partial");
    for dir in [&debs, &partial] {
        if dir.exists() {
            fs::remove_dir_all(dir)?;
        }
    }
    fs::create_dir_all(&debs)?;
    download(dir, packages, &debs)?;
    for deb in fs::read_dir(&debs)? {
        quietly(tool("dpkg-deb")?.arg("-x").arg(deb?.path()).arg(&partial))?;
    }
    fs::rename(&partial, dir.join("root"))?;
    Ok(())
}

/// Downloads Debian packages for i386 into `to`; `dir` is for apt's own files.
pub(crate) fn download(dir: &Path, packages: &[&str], to: &Path) -> Result<()> {
    let lists = dir.join("apt/lists");
    if lists.exists() {
        fs::remove_dir_all(&lists)?;
    }
    fs::create_dir_all(lists.join("partial"))?;
    fs::create_dir_all(dir.join("apt/cache/archives/partial"))?;
    // A list that cannot be read need not stop us: the download tells.
    let update = quietly(apt(dir)?.arg("update"));
    let download = quietly(apt(dir)?.arg("download").args(packages).current_dir(to));
    if let Err(error) = download {
        return Err(update.err().unwrap_or(error));
    }
    fs::remove_dir_all(lists)?;
    Ok(())
}

/// apt-get for i386 with lists and cache under `dir`, and no status file.
fn apt(dir: &Path) -> Result<Command> {
    let mut apt = tool("apt-get")?;
    let place = |key: &str, at: &str| format!("-o{key}={}", dir.join(at).display());
    apt.args([
        "-q",
        "-oAPT::Architecture=i386",
        "-oAPT::Architectures=i386",
    ])
    .arg(place("Dir::State::Lists", "apt/lists"))
    .arg(place("Dir::Cache", "apt/cache"))
    .args(["-oDir::State::status=/dev/null", "-oDebug::NoLocking=1"])
    .args(["-oAcquire::Languages=none", "-oAcquire::Retries=3"])
    // The user _apt may not be able to reach this directory.
    .arg("-oAPT::Sandbox::User=root");
    Ok(apt)
}

fn gcc_major() -> Result<String> {
    let output = tool("gcc")?.arg("-dumpversion").output()?;
    let version = String::from_utf8_lossy(&output.stdout);
    let major = version.trim().split('.').next().unwrap_or_default();
    ensure!(!major.is_empty(), "gcc -dumpversion says nothing");
    Ok(major.to_owned())
}

fn link_with_musl(root: &Path, source: &Path, out: &Path) -> Result<()> {
    let lib = root.join("usr/lib/i386-linux-musl");
    let mut gcc = gcc_m32()?;
    gcc.arg("-isystem")
        .arg(root.join("usr/include/i386-linux-musl"));
    gcc.arg(lib.join("crt1.o"))
        .arg(lib.join("crti.o"))
        .arg(source);
    gcc.arg(lib.join("libc.a"))
        .arg(libgcc(root)?.join("libgcc.a"))
        .arg(lib.join("crtn.o"));
    quietly(gcc.arg("-o").arg(out))
}

fn link_with_glibc(root: &Path, source: &Path, out: &Path) -> Result<()> {
    let mut gcc = gcc_m32()?;
    gcc.arg(source);
    with_glibc(gcc, root, out)
}

/// Links other people's sources, whose warnings are theirs, with Debian's static glibc for i386.
pub(crate) fn link_strangers(sources: &[PathBuf], flags: &[String], out: &Path) -> Result<()> {
    programs()?;
    let mut gcc = gcc_m32()?;
    gcc.args(["-w", "-D_GNU_SOURCE", "-s"])
        .args(flags)
        .args(sources);
    with_glibc(gcc, &paths::out().join("foreign/root"), out)
}

fn with_glibc(mut gcc: Command, root: &Path, out: &Path) -> Result<()> {
    link_with(&mut gcc, root)?;
    quietly(gcc.arg("-o").arg(out))
}

/// Tells gcc where glibc's headers and libraries are.
fn link_with(gcc: &mut Command, root: &Path) -> Result<()> {
    let lib = root.join("usr/lib/i386-linux-gnu");
    let libgcc = libgcc(root)?;
    gcc.arg("-isystem").arg(libgcc.join("include"));
    gcc.arg("-isystem")
        .arg(root.join("usr/include/i386-linux-gnu"));
    gcc.arg("-isystem").arg(root.join("usr/include"));
    gcc.arg(lib.join("crt1.o"))
        .arg(lib.join("crti.o"))
        .arg(libgcc.join("crtbeginT.o"));
    gcc.arg(lib.join("libm.a"))
        .arg("-Wl,--start-group")
        .arg(lib.join("libc.a"));
    gcc.arg(libgcc.join("libgcc.a"))
        .arg(libgcc.join("libgcc_eh.a"))
        .arg("-Wl,--end-group");
    gcc.arg(libgcc.join("crtend.o")).arg(lib.join("crtn.o"));
    Ok(())
}

/// The host's gcc for i386, taking headers and libraries from us alone.
fn gcc_m32() -> Result<Command> {
    let mut gcc = gcc_for_i386()?;
    gcc.args(["-Wall", "-Wextra", "-Werror"]);
    Ok(gcc)
}

/// The same, content with what others wrote.
fn gcc_for_i386() -> Result<Command> {
    let mut gcc = tool("gcc")?;
    gcc.args(["-m32", "-O2"])
        .args(["-static", "-no-pie", "-fno-pie", "-fno-stack-protector"])
        // With it glibc finds what a cancelled thread has to clean up by unwinding its stack.
        .args(["-fexceptions", "-Wl,--eh-frame-hdr"])
        .args(["-nostdinc", "-nostdlib"]);
    Ok(gcc)
}

/// The folder of the i386 libgcc, whatever its version.
fn libgcc(root: &Path) -> Result<PathBuf> {
    let versions = root.join("usr/lib/gcc/i686-linux-gnu");
    let first = fs::read_dir(&versions)?.next();
    Ok(first
        .with_context(|| format!("{} is empty", versions.display()))??
        .path())
}

/// Whether `file` is missing, or older than another.
pub(crate) fn older(file: &Path, than: &Path) -> Result<bool> {
    if !file.exists() {
        return Ok(true);
    }
    Ok(fs::metadata(file)?.modified()? < fs::metadata(than)?.modified()?)
}

/// The names of busybox's programs, from the table in it: sorted, each with a zero after it.
///
/// # Errors
/// There is no such table.
pub fn applets(busybox: &[u8]) -> Result<Vec<String>> {
    const FIRST: &[u8] = b"[\0[[\0";
    let at = busybox
        .windows(FIRST.len())
        .position(|bytes| bytes == FIRST)
        .context("busybox has no table of its programs")?;
    let names = busybox[at..]
        .split(|&byte| byte == 0)
        .take_while(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect::<Vec<_>>();
    ensure!(
        names.iter().any(|name| name == "sh"),
        "busybox has no shell"
    );
    Ok(names)
}

/// Compiles a C file of the user's, whose warnings are shown, and links it statically with glibc.
///
/// # Errors
/// gcc is not content, and has said so on this terminal.
pub fn compile(source: &Path, out: &Path) -> Result<()> {
    programs()?;
    let root = paths::out().join("foreign/root");
    eprintln!(
        "compiling {}: gcc -m32 -O2 -Wall -static, with Debian's glibc for i386",
        source.display()
    );
    let mut gcc = gcc_for_i386()?;
    gcc.args(["-g", "-Wall"]).arg(source);
    link_with(&mut gcc, &root)?;
    let status = gcc.arg("-o").arg(out).stdin(Stdio::null()).status();
    ensure!(
        status.context("cannot start gcc")?.success(),
        "{}: gcc did not compile it: see above",
        source.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(program: &Path, args: &[&str]) -> Option<String> {
        let output = match Command::new(program)
            .args(args)
            .env_clear()
            .env("A", "b")
            .output()
        {
            Ok(output) => output,
            // ENOEXEC: this host's kernel runs no 32-bit programs.
            Err(error) if error.raw_os_error() == Some(8) => return None,
            Err(error) => panic!("{}: {error}", program.display()),
        };
        assert!(
            output.status.success(),
            "{}: {}",
            program.display(),
            output.status
        );
        Some(String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn hello_runs_on_linux_with_both_libraries() {
        let programs = programs().unwrap();
        for (libc, file) in [
            ("musl", &programs.hello_musl),
            ("glibc", &programs.hello_glibc),
        ] {
            let Some(log) = run(file, &["one", "two"]) else {
                return;
            };
            let lines: Vec<&str> = log.lines().collect();
            assert_eq!(lines[0], format!("hello from {libc}"));
            assert!(
                lines[1].starts_with("argc 3: ") && lines[1].ends_with(" one two"),
                "{log}"
            );
            assert_eq!(lines[2], "envp has 1 strings");
            assert!(lines.contains(&"sqrt(2) = 1.414214, 22/7 = 3.143"), "{log}");
            assert!(
                lines.contains(&"errno 2: No such file or directory"),
                "{log}"
            );
            assert_eq!(lines.last(), Some(&"bye"));
        }
    }

    #[test]
    fn threads_run_on_linux_with_both_libraries() {
        let programs = programs().unwrap();
        for file in [&programs.threads_musl, &programs.threads_glibc] {
            let Some(log) = run(file, &[]) else {
                return;
            };
            let report = crate::ktap::parse(&log);
            assert!(report.errors.is_empty(), "{log}");
            assert!(report.cases.len() == 19 && !log.contains("not ok"), "{log}");
        }
    }

    #[test]
    fn busybox_runs_on_linux() {
        let busybox = programs().unwrap().busybox;
        let Some(log) = run(&busybox, &["sh", "-c", "echo hi"]) else {
            return;
        };
        assert_eq!(log, "hi\n");
    }

    #[test]
    fn applets_are_those_that_busybox_lists() {
        let busybox = programs().unwrap().busybox;
        let names = applets(&fs::read(&busybox).unwrap()).unwrap();
        assert!(names.len() > 200 && names.iter().any(|name| name == "ls"));
        if let Some(list) = run(&busybox, &["--list"]) {
            assert_eq!(names, list.lines().collect::<Vec<_>>());
        }
        assert!(applets(b"no table").is_err());
    }
}
