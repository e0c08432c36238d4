//! The ISO of the site: the kernel, the programs of its menu, and the kernels with a step taken out.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use super::broken::Broken;
use crate::compile::{self, Profile};
use crate::image::{check_multiboot2, make_iso};
use crate::initramfs::{entries, newc};
use crate::paths;
use crate::steer::{grub_words, slot};

/// Makes the ISO and returns its path.
pub fn iso(broken: &[Broken]) -> Result<PathBuf> {
    let stage = paths::target().join("site-iso");
    if stage.exists() {
        fs::remove_dir_all(&stage)?;
    }
    let grub = stage.join("boot/grub");
    fs::create_dir_all(&grub)?;
    let menu = fs::read_to_string(paths::root().join("boot/grub.cfg"))?;
    fs::write(grub.join("grub.cfg"), menu + &submenu(broken))?;
    fs::write(stage.join("boot/steer.cfg"), slot("")?)?;
    let kernel = stage.join("boot/switch_to");
    compile::strip(&compile::kernel(Profile::Dev)?, &kernel)?;
    check_multiboot2(&kernel)?;
    // The programs of the tests would be half of the ISO.
    let mut files = entries(Profile::Dev)?;
    files.retain(|file| !file.path.starts_with("tests/") && !file.path.starts_with("search"));
    fs::write(stage.join("boot/initramfs.cpio"), newc(&files))?;
    fs::create_dir_all(stage.join("boot/broken"))?;
    for it in broken {
        fs::copy(&it.file, stage.join(&it.on_iso()[1..]))?;
    }
    let iso = stage.with_extension("iso");
    make_iso(&stage, &iso)?;
    fs::remove_dir_all(stage)?;
    Ok(iso)
}

/// The part of GRUB's menu that offers the kernels with a step taken out.
fn submenu(broken: &[Broken]) -> String {
    if broken.is_empty() {
        return String::new();
    }
    let mut text = "insmod gzio\nsubmenu \"Break it: a kernel without one step, and the test that notices\" {\n".to_owned();
    for it in broken {
        text += &format!(
            "menuentry \"Without {} ({})\" {{\n    multiboot2 {} {}\n    module2 /boot/initramfs.cpio\n}}\n",
            it.mutant.takes_out,
            it.mutant.name,
            it.on_iso(),
            grub_words(&it.mutant.red.cmdline())
        );
    }
    text + "}\n"
}
