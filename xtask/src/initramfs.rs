//! The archive of files that the kernel starts with: cpio in the format "newc".

use std::fs;
use std::io::Write;

use anyhow::Result;

use crate::compile::{self, Profile};
use crate::foreign;

/// The files of the normal initramfs: our programs under /tests, the one
/// called `init` as /init, and the real programs in /bin.
pub fn entries(profile: Profile) -> Result<Vec<Entry>> {
    compile::programs(profile)?;
    let mut entries = ["bin", "dev", "etc", "proc", "tests", "tmp"]
        .map(Entry::folder)
        .to_vec();
    for (name, file) in foreign::programs()?.all() {
        entries.push(Entry::program(&format!("bin/{name}"), fs::read(file)?));
    }
    // Whatever looks for a program by its name, as `system` does for /bin/sh, finds busybox's.
    let busybox = fs::read(foreign::programs()?.busybox)?;
    for name in foreign::applets(&busybox)? {
        let path = format!("bin/{name}");
        // Busybox lists itself.
        if entries.iter().all(|entry| entry.path != path) {
            entries.push(Entry::link(&path, "busybox"));
        }
    }
    entries.extend(restricted());
    for name in compile::program_names()? {
        let bytes = fs::read(compile::binaries(profile).join(&name))?;
        let path = if name == "init" {
            name
        } else {
            format!("tests/{name}")
        };
        entries.push(Entry::program(&path, bytes));
    }
    Ok(entries)
}

/// Folders and files that not everybody may use: what the ring-3 program `search` looks for.
fn restricted() -> [Entry; 9] {
    let with = |path: &str, mode, bytes: &[u8]| Entry {
        path: path.to_owned(),
        mode,
        bytes: bytes.to_vec(),
    };
    [
        with("search", 0o040_755, b""),
        with("search/closed", 0o040_700, b""),
        with("search/closed/file", 0o100_755, b"#!/tests/search ran\n"),
        with("search/closed/folder", 0o040_755, b""),
        // To be searched, but not read.
        with("search/passage", 0o040_711, b""),
        with("search/passage/file", 0o100_755, b"#!/tests/search ran\n"),
        with("search/passage/private", 0o100_600, b"private"),
        with(
            "search/passage/only-run",
            0o100_711,
            b"#!/tests/search ran\n",
        ),
        with("search/way-in", 0o120_777, b"/search/closed/file"),
    ]
}

/// One file of the initramfs.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Without a leading slash.
    pub path: String,
    /// `S_IFREG`, `S_IFDIR` or `S_IFLNK`, and permissions.
    pub mode: u32,
    /// Empty for a folder; of a link where it leads.
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

    /// A symbolic link to `to`.
    pub fn link(path: &str, to: &str) -> Self {
        Entry {
            path: path.to_owned(),
            mode: 0o120_777,
            bytes: to.as_bytes().to_vec(),
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
        let links = if entry.mode & 0o170_000 == 0o040_000 {
            2
        } else {
            1
        };
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
}
