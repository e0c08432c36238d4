//! Kernel, initramfs, ISO.
//!
//! GRUB takes a second to make an ISO, and every test wants a command line of
//! its own. So the ISO has a slot of fixed size, `/boot/steer.cfg`, which the
//! menu reads first. A boot of one's own is a copy of the ISO with the slot's
//! bytes overwritten: it starts at once and never shows the menu.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;

use anyhow::{Context, Result, bail, ensure};

use crate::toolchain::{cargo, find, quietly, tool};
use crate::{foreign, paths};

/// How a kernel is compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// With debug assertions: the invariants of the switch are checked.
    #[default]
    Dev,
    /// What is measured.
    Release,
}

impl Profile {
    fn folder(self) -> &'static str {
        match self {
            Profile::Dev => "debug",
            Profile::Release => "release",
        }
    }
}

/// What GRUB gives the kernel as first module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Initramfs {
    /// Our programs and the real ones.
    #[default]
    Normal,
    /// No module at all.
    None,
    /// These bytes, whatever they are.
    Bytes(Vec<u8>),
}

/// An ISO to boot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct IsoSpec {
    /// Of the kernel and of our ring-3 programs.
    pub profile: Profile,
    /// Boot straight into this kernel command line; `None` shows the menu.
    pub cmdline: Option<String>,
    /// The module.
    pub initramfs: Initramfs,
    /// GRUB commands instead of those that load and boot the kernel.
    pub script: Option<String>,
}

impl IsoSpec {
    /// A `dev` kernel with this command line and the normal initramfs.
    pub fn boot(cmdline: &str) -> Self {
        IsoSpec {
            cmdline: Some(cmdline.to_owned()),
            ..IsoSpec::default()
        }
    }

    /// The commands for the slot; empty if the menu is to be shown.
    fn steer(&self) -> String {
        if let Some(script) = &self.script {
            return script.clone();
        }
        let Some(cmdline) = &self.cmdline else {
            return String::new();
        };
        let kernel = format!("multiboot2 /boot/switch_to {}", grub_words(cmdline));
        let boot = match self.initramfs {
            Initramfs::None => "boot",
            _ => "if module2 /boot/initramfs.cpio; then boot; fi",
        };
        // If GRUB cannot load the kernel, QEMU ends at once, by isa-debug-exit.
        format!("if {kernel}; then {boot}; fi\noutl 0xf4 {GRUB_FAILED:#x}\n")
    }
}

/// Written to isa-debug-exit by our GRUB script if it cannot load the kernel.
pub const GRUB_FAILED: u32 = 0x30;

const SLOT_BYTES: usize = 4096;
const SLOT_MARK: &[u8] = b"# switch_to: a slot for the commands of one boot\n";

/// The kernel: the linked ELF with all its symbols.
///
/// # Panics
/// If it does not build, with cargo's words.
pub fn kernel(profile: Profile) -> PathBuf {
    try_kernel(profile).unwrap_or_else(|error| panic!("{error:#}"))
}

/// The ISO of a specification.
///
/// # Panics
/// If it cannot be made, with the reason.
pub fn iso(spec: &IsoSpec) -> PathBuf {
    try_iso(spec).unwrap_or_else(|error| panic!("{error:#}"))
}

/// The kernel, built if it is not up to date.
pub fn try_kernel(profile: Profile) -> Result<PathBuf> {
    build(profile)?;
    Ok(binaries(profile).join("switch_to"))
}

/// The ISO of a specification, made if it is not there.
pub fn try_iso(spec: &IsoSpec) -> Result<PathBuf> {
    build(spec.profile)?;
    let lock = lock("iso.lock")?;
    let base = base_iso(spec.profile, &spec.initramfs)?;
    drop(lock);
    let steer = spec.steer();
    if steer.is_empty() {
        return Ok(base);
    }

    let dir = base.with_extension("boots");
    fs::create_dir_all(&dir)?;
    let path = dir.join(format!("{:016x}.iso", hash(&steer)));
    if !path.exists() {
        let bytes = fill_slot(fs::read(&base)?, &steer)?;
        write_whole(&path, &bytes)?;
    }
    Ok(path)
}

/// Compiles the kernel and our ring-3 programs, once a process and profile.
fn build(profile: Profile) -> Result<()> {
    static BUILT: Mutex<Vec<Profile>> = Mutex::new(Vec::new());
    let mut built = BUILT
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    if built.contains(&profile) {
        return Ok(());
    }
    find("ld.lld")?;
    for what in [
        ["--package", "switch-to", "--bin", "switch_to"],
        ["--package", "programs", "--bins", "--quiet"],
    ] {
        let mut cargo = cargo();
        cargo.args([
            "build",
            "--target",
            "i686-kernel.json",
            "-Zjson-target-spec",
        ]);
        cargo.arg("-Zbuild-std=core,alloc").args(what);
        if profile == Profile::Release {
            cargo.arg("--release");
        }
        // Cargo tells its progress on stderr, which stays ours.
        let status = cargo
            .stdin(Stdio::null())
            .status()
            .context("cannot start cargo")?;
        ensure!(status.success(), "cargo build of {} failed", what[1]);
    }
    built.push(profile);
    Ok(())
}

fn binaries(profile: Profile) -> PathBuf {
    paths::target().join("i686-kernel").join(profile.folder())
}

/// The names of our ring-3 programs, from their sources.
pub fn program_names() -> Result<Vec<String>> {
    let dir = paths::root().join("tests/programs/src/bin");
    let mut names = Vec::new();
    if dir.exists() {
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            let is_program =
                path.extension().is_some_and(|e| e == "rs") || path.join("main.rs").exists();
            if let (true, Some(name)) = (is_program, path.file_stem()) {
                names.push(name.to_string_lossy().into_owned());
            }
        }
    }
    names.sort();
    Ok(names)
}

/// One file of the initramfs.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Without a leading slash.
    pub path: String,
    /// `S_IFREG` or `S_IFDIR`, and permissions.
    pub mode: u32,
    /// Empty for a folder.
    pub bytes: Vec<u8>,
}

impl Entry {
    /// An executable.
    pub fn program(path: &str, bytes: Vec<u8>) -> Self {
        Entry {
            path: path.to_owned(),
            mode: 0o100_755,
            bytes,
        }
    }

    /// A folder.
    pub fn folder(path: &str) -> Self {
        Entry {
            path: path.to_owned(),
            mode: 0o040_755,
            bytes: Vec::new(),
        }
    }
}

/// A cpio archive in the format "newc", with the entries in this order.
pub fn newc(entries: &[Entry]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (entry, ino) in entries.iter().zip(1..) {
        let size = u32::try_from(entry.bytes.len()).expect("an initramfs file is less than 4 GiB");
        let links = if entry.mode & 0o040_000 != 0 { 2 } else { 1 };
        let header = cpio::newc::Builder::new(&entry.path)
            .ino(ino)
            .mode(entry.mode)
            .nlink(links);
        let mut writer = header.write(&mut archive, size);
        writer.write_all(&entry.bytes).expect("a Vec takes all");
        writer.finish().expect("a Vec takes all");
    }
    cpio::newc::trailer(&mut archive).expect("a Vec takes all");
    archive
}

/// The files of the normal initramfs: our programs under /tests, the one
/// called `init` as /init, and the real programs in /bin.
pub fn initramfs_entries(profile: Profile) -> Result<Vec<Entry>> {
    build(profile)?;
    let scratch = paths::out().join(profile.folder());
    fs::create_dir_all(&scratch)?;
    let mut entries = ["bin", "dev", "etc", "proc", "tests", "tmp"]
        .map(Entry::folder)
        .to_vec();
    let real = foreign::programs()?;
    for (path, file) in [
        ("bin/busybox", real.busybox),
        ("bin/hello-musl", real.hello_musl),
        ("bin/hello-glibc", real.hello_glibc),
    ] {
        entries.push(Entry::program(path, fs::read(file)?));
    }
    for name in program_names()? {
        let stripped = scratch.join("program.stripped");
        strip(&binaries(profile).join(&name), &stripped)?;
        let path = if name == "init" {
            name
        } else {
            format!("tests/{name}")
        };
        entries.push(Entry::program(&path, fs::read(&stripped)?));
    }
    Ok(entries)
}

/// Copies an ELF file without debug information; its symbol table stays.
fn strip(from: &Path, to: &Path) -> Result<()> {
    quietly(tool("objcopy")?.arg("--strip-debug").arg(from).arg(to))
}

/// The ISO with an empty slot. Made anew only if something that goes into it changed.
fn base_iso(profile: Profile, initramfs: &Initramfs) -> Result<PathBuf> {
    let menu = paths::root().join("boot/grub.cfg");
    let kernel = binaries(profile).join("switch_to");
    let real = foreign::programs()?;
    let mut inputs = vec![
        menu.clone(),
        kernel.clone(),
        real.busybox,
        real.hello_musl,
        real.hello_glibc,
    ];
    inputs.extend(
        program_names()?
            .iter()
            .map(|name| binaries(profile).join(name)),
    );
    let mut stamp = DefaultHasher::new();
    for file in inputs {
        let about = fs::metadata(&file).with_context(|| file.display().to_string())?;
        (file, about.len(), about.modified()?).hash(&mut stamp);
    }

    let custom = match initramfs {
        Initramfs::Bytes(bytes) => Some(bytes),
        Initramfs::Normal | Initramfs::None => None,
    };
    let dir = paths::out().join(profile.folder());
    let name = custom.map_or("switch_to".to_owned(), |bytes| {
        format!("{:016x}", hash(bytes))
    });
    let iso = dir.join(format!("{name}.iso"));
    let stamp_file = iso.with_extension("stamp");
    let stamp = format!("{:016x}", stamp.finish());
    if iso.exists() && fs::read_to_string(&stamp_file).is_ok_and(|old| old == stamp) {
        return Ok(iso);
    }

    let boots = iso.with_extension("boots");
    if boots.exists() {
        fs::remove_dir_all(boots)?;
    }
    let stage = dir.join(format!("{name}.stage"));
    let grub = stage.join("boot/grub");
    fs::create_dir_all(&grub)?;
    fs::copy(menu, grub.join("grub.cfg"))?;
    fs::write(stage.join("boot/steer.cfg"), slot("")?)?;
    strip(&kernel, &stage.join("boot/switch_to"))?;
    check_multiboot2(&stage.join("boot/switch_to"))?;
    let archive = match custom {
        Some(bytes) => bytes.clone(),
        None => newc(&initramfs_entries(profile)?),
    };
    fs::write(stage.join("boot/initramfs.cpio"), archive)?;
    make_iso(&stage, &iso)?;
    fs::remove_dir_all(&stage)?;
    fs::write(stamp_file, stamp)?;
    Ok(iso)
}

/// Fails unless GRUB can load the file by the Multiboot2 protocol.
pub fn check_multiboot2(kernel: &Path) -> Result<()> {
    quietly(tool("grub-file")?.arg("--is-x86-multiboot2").arg(kernel)).map_err(|_| {
        anyhow::anyhow!(
            "{} has no Multiboot2 header that GRUB accepts",
            kernel.display()
        )
    })
}

fn make_iso(stage: &Path, iso: &Path) -> Result<()> {
    for needed in ["xorriso", "mformat", "/usr/lib/grub/i386-pc/multiboot2.mod"] {
        find(needed)?;
    }
    quietly(
        tool("grub-mkrescue")?
            .args(["--directory=/usr/lib/grub/i386-pc", "--fonts=", "--locales=", "--themes="])
            // Only what boot/grub.cfg uses, so that the ISO is small.
            .arg("--install-modules=normal configfile multiboot2 iso9660 biosdisk echo test serial terminal iorw halt reboot")
            .arg("-o")
            .arg(iso)
            .arg(stage),
    )
}

/// The slot's bytes for these commands.
fn slot(commands: &str) -> Result<Vec<u8>> {
    let mut bytes = [SLOT_MARK, commands.as_bytes()].concat();
    ensure!(
        bytes.len() <= SLOT_BYTES,
        "the boot commands take {} bytes of {SLOT_BYTES}",
        bytes.len()
    );
    bytes.resize(SLOT_BYTES, b'\n');
    Ok(bytes)
}

/// Overwrites the slot of an ISO.
fn fill_slot(mut iso: Vec<u8>, commands: &str) -> Result<Vec<u8>> {
    let new = slot(commands)?;
    let mut places = iso
        .windows(SLOT_MARK.len())
        .enumerate()
        .filter(|(_, bytes)| *bytes == SLOT_MARK);
    let (Some((at, _)), None) = (places.next(), places.next()) else {
        bail!("the ISO does not have exactly one slot");
    };
    ensure!(at + SLOT_BYTES <= iso.len(), "the ISO ends inside its slot");
    iso[at..at + SLOT_BYTES].copy_from_slice(&new);
    Ok(iso)
}

/// A kernel command line as words that GRUB's shell passes on as they are.
fn grub_words(cmdline: &str) -> String {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in cmdline.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            '\'' => word.get_or_insert_default().push_str(r"'\''"),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
        .iter()
        .map(|word| format!("'{word}'"))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Writes a file that others see either whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = path.with_extension(format!(
        "{}.{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    fs::write(&partial, bytes)?;
    Ok(fs::rename(partial, path)?)
}

fn lock(name: &str) -> Result<fs::File> {
    fs::create_dir_all(paths::out())?;
    let file = fs::File::create(paths::out().join(name))?;
    file.lock()?;
    Ok(file)
}

fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newc_is_read_back() {
        let made = newc(&[
            Entry::folder("bin"),
            Entry::program("bin/a", b"abcde".to_vec()),
        ]);
        assert_eq!(&made[..6], b"070701");
        let mut rest = &made[..];
        let mut seen = Vec::new();
        loop {
            let mut reader = cpio::newc::Reader::new(rest).unwrap();
            let entry = reader.entry();
            if entry.is_trailer() {
                break;
            }
            let (name, mode) = (entry.name().to_owned(), entry.mode());
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut reader, &mut bytes).unwrap();
            seen.push((name, mode, bytes));
            rest = reader.finish().unwrap();
        }
        assert_eq!(seen[0], ("bin".to_owned(), 0o040_755, Vec::new()));
        assert_eq!(seen[1], ("bin/a".to_owned(), 0o100_755, b"abcde".to_vec()));
        assert_eq!(seen.len(), 2);
    }

    #[test]
    fn words_reach_the_kernel_as_written() {
        assert_eq!(grub_words("tour  loglevel=7"), "'tour' 'loglevel=7'");
        assert_eq!(
            grub_words(r#"init=/bin/busybox -- sh -c "echo hi""#),
            "'init=/bin/busybox' '--' 'sh' '-c' 'echo hi'"
        );
        assert_eq!(grub_words("a;b $x it's"), r"'a;b' '$x' 'it'\''s'");
        assert_eq!(grub_words(""), "");
    }

    #[test]
    fn a_steered_iso_differs_in_its_slot_only() {
        let empty = [vec![7; 5000], slot("").unwrap(), vec![9; 3000]].concat();
        let filled = fill_slot(empty.clone(), "boot\n").unwrap();
        assert_eq!(filled.len(), empty.len());
        assert_eq!(filled[..5000], empty[..5000]);
        assert_eq!(filled[5000 + SLOT_BYTES..], empty[5000 + SLOT_BYTES..]);
        assert!(filled[5000..].starts_with(&[SLOT_MARK, b"boot\n\n"].concat()));
        assert!(fill_slot(vec![0; 9000], "").is_err());
        assert!(fill_slot([empty.clone(), empty].concat(), "").is_err());
        assert!(slot(&"x".repeat(SLOT_BYTES)).is_err());
    }

    #[test]
    fn each_specification_has_its_own_commands() {
        assert_eq!(IsoSpec::default().steer(), "");
        let mut spec = IsoSpec::boot("tour");
        assert!(
            spec.steer()
                .starts_with("if multiboot2 /boot/switch_to 'tour'; then if module2 ")
        );
        spec.initramfs = Initramfs::None;
        assert!(!spec.steer().contains("module2"));
        spec.script = Some("halt".to_owned());
        assert_eq!(spec.steer(), "halt");
    }
}
