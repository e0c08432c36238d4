//! The ISO: the kernel and the initramfs, with GRUB before them.
//!
//! GRUB takes a second to make an ISO, and every test wants a command line of
//! its own. So the ISO has a slot of fixed size, `/boot/steer.cfg`, which the
//! menu reads first. A boot of one's own is a copy of the ISO with the slot's
//! bytes overwritten: it starts at once and never shows the menu.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

pub use crate::compile::Profile;
use crate::steer::{GRUB_FAILED, fill_slot, grub_words, slot};
use crate::toolchain::{find, quietly, tool};
use crate::{compile, foreign, initramfs, paths};

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
    /// A kernel that somebody else built, instead of the tree's.
    pub kernel: Option<PathBuf>,
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

    /// The commands for the slot; empty to show the menu.
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

/// The kernel: the linked ELF with all its symbols.
///
/// # Panics
/// If it does not build, with cargo's words.
pub fn kernel(profile: Profile) -> PathBuf {
    compile::kernel(profile).unwrap_or_else(|error| panic!("{error:#}"))
}

/// The ISO of a specification.
///
/// # Panics
/// If it cannot be made, with the reason.
pub fn iso(spec: &IsoSpec) -> PathBuf {
    try_iso(spec).unwrap_or_else(|error| panic!("{error:#}"))
}

/// The ISO of a specification, made if it is not there.
pub fn try_iso(spec: &IsoSpec) -> Result<PathBuf> {
    let kernel = match &spec.kernel {
        Some(other) => other.clone(),
        None => compile::kernel(spec.profile)?,
    };
    compile::programs(spec.profile)?;
    let _lock = lock("iso.lock")?;
    let base = base_iso(spec, kernel)?;
    let steer = spec.steer();
    if steer.is_empty() {
        return Ok(base);
    }

    let dir = base.with_extension("boots");
    fs::create_dir_all(&dir)?;
    let path = dir.join(format!("{:016x}.iso", hash(&steer)));
    if !path.exists() {
        let bytes = fill_slot(fs::read(&base)?, &steer)?;
        let partial = path.with_extension("partial");
        fs::write(&partial, bytes)?;
        fs::rename(partial, &path)?;
    }
    Ok(path)
}

/// The ISO with an empty slot. Made anew only if something that goes into it changed.
fn base_iso(spec: &IsoSpec, kernel: PathBuf) -> Result<PathBuf> {
    let profile = spec.profile;
    let menu = paths::root().join("boot/grub.cfg");
    let real = foreign::programs()?;
    let mut inputs = vec![menu.clone(), kernel.clone()];
    inputs.extend(real.all().map(|(_, file)| file.to_owned()));
    inputs.extend(
        compile::program_names()?
            .iter()
            .map(|name| compile::binaries(profile).join(name)),
    );
    let mut stamp = DefaultHasher::new();
    for file in inputs {
        let about = fs::metadata(&file).with_context(|| file.display().to_string())?;
        (file, about.len(), about.modified()?).hash(&mut stamp);
    }

    let custom = match &spec.initramfs {
        Initramfs::Bytes(bytes) => Some(bytes),
        Initramfs::Normal | Initramfs::None => None,
    };
    let dir = paths::out().join(match &spec.kernel {
        Some(other) => format!("other-{:016x}", hash(other)),
        None => profile.folder().to_owned(),
    });
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
    compile::strip(&kernel, &stage.join("boot/switch_to"))?;
    check_multiboot2(&stage.join("boot/switch_to"))?;
    let archive = match custom {
        Some(bytes) => bytes.clone(),
        None => initramfs::newc(&initramfs::entries(profile)?),
    };
    fs::write(stage.join("boot/initramfs.cpio"), archive)?;
    // Others may be reading the old one.
    let fresh = stage.with_extension("fresh");
    make_iso(&stage, &fresh)?;
    fs::rename(fresh, &iso)?;
    fs::remove_dir_all(&stage)?;
    fs::write(stamp_file, stamp)?;
    Ok(iso)
}

/// Fails unless GRUB can load the file by the Multiboot2 protocol.
pub fn check_multiboot2(kernel: &Path) -> Result<()> {
    quietly(tool("grub-file")?.arg("--is-x86-multiboot2").arg(kernel)).map_err(|_| {
        anyhow!(
            "{} has no Multiboot2 header that GRUB accepts",
            kernel.display()
        )
    })
}

/// Makes an ISO that boots by GRUB from the files below `stage`.
pub(crate) fn make_iso(stage: &Path, iso: &Path) -> Result<()> {
    eprintln!("making the ISO {}", iso.with_extension("iso").display());
    for needed in ["xorriso", "mformat", "/usr/lib/grub/i386-pc/multiboot2.mod"] {
        find(needed)?;
    }
    quietly(
        tool("grub-mkrescue")?
            .args(["--directory=/usr/lib/grub/i386-pc", "--fonts=", "--locales=", "--themes="])
            // Only what boot/grub.cfg uses, so that the ISO is small.
            .arg("--install-modules=normal configfile multiboot2 iso9660 biosdisk echo test serial terminal iorw halt reboot gzio")
            .arg("-o")
            .arg(iso)
            .arg(stage),
    )
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
