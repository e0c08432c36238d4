//! The files of the site: the book with a way to the machine, and the machine's page.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::broken::Broken;
use crate::paths;
use crate::steer::find_slot;
use crate::toolchain::{quietly, tool};

/// The page's own files, in `site/`, and where they go.
const OWN: &[(&str, &str)] = &[
    ("machine.html", "machine.html"),
    ("machine.css", "machine/machine.css"),
    ("machine.js", "machine/machine.js"),
    ("page.js", "machine/page.js"),
    ("timeline.js", "machine/timeline.js"),
    ("trace.js", "machine/trace.js"),
];

/// Files of npm packages, and what they are called on the site. Not every server knows what `mjs` is, and a
/// browser takes no module of an unknown type.
const OTHERS: &[(&str, &str)] = &[
    ("v86/build/libv86.mjs", "libv86.js"),
    ("v86/build/v86.wasm", "v86.wasm"),
    ("@xterm/xterm/lib/xterm.mjs", "xterm.js"),
    ("@xterm/xterm/css/xterm.css", "xterm.css"),
    ("@xterm/addon-fit/lib/addon-fit.mjs", "addon-fit.js"),
];

/// Firmware: Debian's, and what it is called on the site.
const FIRMWARE: &[(&str, &str)] = &[
    ("/usr/share/seabios/bios.bin", "bios.bin"),
    ("/usr/share/seabios/vgabios-stdvga.bin", "vgabios.bin"),
];

/// Licences of what the site has: the work, its licence, and the file with the text.
const LICENCES: &[(&str, &str, &str)] = &[
    ("v86", "BSD-2-Clause", "v86/LICENSE"),
    ("xterm.js", "MIT", "@xterm/xterm/LICENSE"),
    ("xterm.js, fit", "MIT", "@xterm/addon-fit/LICENSE"),
    (
        "SeaBIOS and its VGA BIOS",
        "LGPL-3.0",
        "/usr/share/doc/seabios/copyright",
    ),
];

/// What is on the ISO beside our own kernel and programs, whose sources are Debian's.
const ON_THE_ISO: &str = "The ISO has, beside our kernel and programs: GRUB (GPL-3.0-or-later), busybox
(GPL-2.0), and programs linked with musl (MIT) and glibc (LGPL-2.1-or-later). They are Debian's packages
grub-pc-bin, busybox-static, musl-dev and libc6-dev; Debian has their sources under these names.
";

/// Installs the npm packages of the lock file, if they are not there, and returns their folder.
pub fn npm_packages() -> Result<PathBuf> {
    let folder = paths::target().join("site-packages");
    let files = ["package.json", "package-lock.json", ".npmrc"];
    let source = paths::root().join("site");
    let done = folder.join("installed");
    let lock = fs::read(source.join("package-lock.json"))?;
    if fs::read(&done).is_ok_and(|old| old == lock) {
        return Ok(folder.join("node_modules"));
    }
    fs::create_dir_all(&folder)?;
    for file in files {
        fs::copy(source.join(file), folder.join(file)).context(file)?;
    }
    eprintln!("fetching the emulator and the terminal (npm ci, 10 MB)");
    quietly(tool("npm")?.arg("ci").current_dir(&folder))?;
    fs::write(done, lock)?;
    Ok(folder.join("node_modules"))
}

/// Writes the whole site.
pub fn write(
    site: &Path,
    book: &Path,
    packages: &Path,
    iso: &Path,
    broken: &[Broken],
) -> Result<()> {
    if site.exists() {
        fs::remove_dir_all(site)?;
    }
    copy_book(book, site, 0)?;
    let machine = site.join("machine");
    fs::create_dir_all(&machine)?;
    let put = |from: &Path, to: &Path| -> Result<()> {
        fs::copy(from, to).with_context(|| from.display().to_string())?;
        Ok(())
    };
    for (from, to) in OWN {
        put(&paths::root().join("site").join(from), &site.join(to))?;
    }
    for (from, to) in OTHERS {
        put(&packages.join(from), &machine.join(to))?;
    }
    for (from, to) in FIRMWARE {
        put(Path::new(from), &machine.join(to))?;
    }
    // For node, which runs them too.
    fs::write(machine.join("package.json"), "{ \"type\": \"module\" }\n")?;
    put(iso, &machine.join("switch_to.iso"))?;
    fs::write(machine.join("LICENSES.txt"), licences(packages)?)?;
    fs::write(machine.join("machine.json"), config(iso, broken)?)?;
    Ok(())
}

/// Copies the book. Each page gets a link to the machine beside its other buttons.
fn copy_book(from: &Path, to: &Path, depth: usize) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy_book(&path, &to, depth + 1)?;
        } else if path.extension().is_some_and(|it| it == "html") {
            fs::write(to, with_link(&fs::read_to_string(&path)?, depth))?;
        } else {
            fs::copy(&path, to)?;
        }
    }
    Ok(())
}

/// A page of the book with a link to the machine, `depth` folders up.
fn with_link(page: &str, depth: usize) -> String {
    const BUTTONS: &str = "<div class=\"right-buttons\">";
    let link = format!(
        "{BUTTONS}<a href=\"{}machine.html\" title=\"Run the kernel in this browser\">The machine</a>",
        "../".repeat(depth)
    );
    page.replacen(BUTTONS, &link, 1)
}

fn licences(packages: &Path) -> Result<String> {
    let mut text = format!("Licences of what this site has.\n\n{ON_THE_ISO}");
    for (work, licence, file) in LICENCES {
        let file = packages.join(file); // an absolute path replaces the folder
        let full = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        text += &format!("\n\n==== {work}: {licence}\n\n{full}");
    }
    Ok(text)
}

/// What the page knows of the ISO.
fn config(iso: &Path, broken: &[Broken]) -> Result<String> {
    let Some((at, bytes, mark)) = find_slot(&fs::read(iso)?) else {
        bail!("{} has no slot", iso.display());
    };
    let broken = broken.iter().map(|it| {
        Ok(json!({
            "name": it.mutant.name,
            "without": it.mutant.takes_out,
            "test": it.mutant.red.test,
            "cmdline": it.mutant.red.cmdline().trim(),
            "kernel": it.on_iso(),
            "diff": it.diff()?,
        }))
    });
    let config = json!({
        "kernel": "/boot/switch_to",
        "slot": { "at": at, "bytes": bytes, "mark": mark },
        "broken": broken.collect::<Result<Vec<_>>>()?,
    });
    Ok(config.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_of_the_book_leads_to_the_machine() {
        let page = "<p></p><div class=\"right-buttons\"><b></b></div>";
        assert!(
            with_link(page, 1).contains("<div class=\"right-buttons\"><a href=\"../machine.html\"")
        );
        assert!(with_link(page, 0).contains("href=\"machine.html\""));
        assert_eq!(with_link("<p></p>", 0), "<p></p>");
    }

    #[test]
    fn the_lock_file_names_no_host() {
        let lock = fs::read_to_string(paths::root().join("site/package-lock.json")).unwrap();
        assert!(lock.contains("\"integrity\"") && !lock.contains("http"));
    }
}
