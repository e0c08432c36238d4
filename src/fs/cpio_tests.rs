//! Unit and property tests of [`super`], on archives built here byte by byte; the tests of
//! `initramfs` use the same builder.

use super::*;
use proptest::prelude::*;

/// Fields of one entry of a test archive.
#[derive(Clone, Copy)]
pub struct File<'a> {
    pub name: &'a str,
    pub mode: u32,
    pub ino: u32,
    pub nlink: u32,
    pub data: &'a [u8],
}

pub const fn file<'a>(name: &'a str, data: &'a [u8]) -> File<'a> {
    File {
        name,
        mode: 0o100_755,
        ino: 7,
        nlink: 1,
        data,
    }
}

pub const fn link<'a>(name: &'a str, target: &'a str) -> File<'a> {
    File {
        name,
        mode: 0o120_777,
        ino: 8,
        nlink: 1,
        data: target.as_bytes(),
    }
}

pub const fn dir(name: &str) -> File<'_> {
    File {
        name,
        mode: 0o040_700,
        ino: 9,
        nlink: 2,
        data: b"",
    }
}

fn append(archive: &mut Vec<u8>, file: &File<'_>) {
    archive.extend(b"070701");
    let namesize = file.name.len() as u32 + 1;
    let filesize = file.data.len() as u32;
    for field in [
        file.ino, file.mode, 0, 0, file.nlink, 1000, filesize, 8, 1, 4, 64, namesize, 0,
    ] {
        archive.extend(format!("{field:08X}").bytes());
    }
    archive.extend(file.name.bytes());
    archive.push(0);
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend(file.data);
    archive.resize(archive.len().next_multiple_of(4), 0);
}

pub fn archive(files: &[File<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for file in files {
        append(&mut bytes, file);
    }
    append(
        &mut bytes,
        &File {
            name: "TRAILER!!!",
            mode: 0,
            ino: 0,
            nlink: 1,
            data: b"",
        },
    );
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

pub const USUAL: [File<'static>; 8] = [
    dir("."),
    dir("./bin"),
    file("./bin/busybox", b"\x7fELF of busybox"),
    link("bin/sh", "busybox"),
    link("sbin", "bin/"),
    file("bin-extra/x", b"x"),
    link("etc/rc", "/bin/../bin/sh"),
    file("init", b"the first program"),
];

#[test]
fn entries_come_as_they_stand() {
    let bytes = archive(&USUAL);
    let entries = read_entries(&bytes).unwrap();
    let names: Vec<&[u8]> = entries.iter().map(|found| found.entry.name).collect();
    let expected = [
        "",
        "bin",
        "bin/busybox",
        "bin/sh",
        "sbin",
        "bin-extra/x",
        "etc/rc",
        "init",
    ];
    assert_eq!(names, expected.map(str::as_bytes));
    assert_eq!((entries[1].offset, entries[1].dev), (112, (8, 1)));
    let busybox = &entries[2].entry;
    assert_eq!(
        (busybox.mode, busybox.ino, busybox.nlink, busybox.mtime),
        (0o100_755, 7, 1, 1000)
    );
    assert_eq!(
        (busybox.file_name(), busybox.parent()),
        (&b"busybox"[..], &b"bin"[..])
    );
    assert_eq!(
        (entries[7].entry.file_name(), entries[7].entry.parent()),
        (&b"init"[..], &b""[..])
    );
}

#[test]
fn devices_keep_their_numbers() {
    let null = File {
        mode: 0o020_666,
        data: b"ignored",
        ..file("dev/null", b"")
    };
    let bytes = archive(&[null]);
    let null = read_entries(&bytes).unwrap()[0].entry;
    assert_eq!((null.file_type, null.rdev), (FileType::CharDevice, (4, 64)));
    assert_eq!(null.data, b"");
}

#[test]
fn each_fault_names_its_place() {
    let error = |bytes: &[u8]| read_entries(bytes).unwrap_err();
    let good = archive(&[file("init", b"12345")]); // 116 bytes, then 8 of contents
    let second = 116 + 8;
    let patched = |at: usize, with: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        error(&bytes)
    };
    assert_eq!(error(b""), CpioError::NoTrailer { offset: 0 });
    assert_eq!(
        error(&good[..second]),
        CpioError::NoTrailer { offset: second }
    );
    assert_eq!(
        error(b"\x1f\x8b\x08\0\0\0"),
        CpioError::Magic {
            offset: 0,
            found: *b"\x1f\x8b\x08\0\0\0"
        }
    );
    assert_eq!(
        patched(second, b"070702"),
        CpioError::Magic {
            offset: second,
            found: *b"070702"
        }
    );
    assert_eq!(
        patched(6 + 8, b"+00081ED"),
        CpioError::Number { offset: 14 }
    );
    assert_eq!(
        patched(6 + 8, b"0000 1ED"),
        CpioError::Number { offset: 14 }
    );
    assert_eq!(
        patched(6 + 8, b"000001ED"),
        CpioError::Mode {
            offset: 0,
            mode: 0o755
        }
    );
    assert_eq!(patched(114, b"x"), CpioError::Name { offset: 110 });
    assert_eq!(patched(112, b"\0"), CpioError::Name { offset: 110 });
    assert_eq!(patched(94, b"00000000"), CpioError::Name { offset: 110 });
    assert_eq!(
        patched(94, b"FFFFFFFF"),
        CpioError::Truncated { offset: good.len() }
    );
    assert_eq!(
        patched(54, b"FFFFFFFF"),
        CpioError::Truncated { offset: good.len() }
    );
    assert_eq!(
        patched(good.len() - 1, b"x"),
        CpioError::AfterTrailer {
            offset: good.len() - 1
        }
    );
    for name in ["..", "a/../b", "a//b", "a/./b", ".", "/", "//a", "", "../x"] {
        assert_eq!(
            error(&archive(&[file(name, b"")])),
            CpioError::Name { offset: 110 },
            "{name:?}"
        );
    }
    assert_eq!(
        error(&archive(&[link("a", "")])),
        CpioError::Target { offset: 0 }
    );
    assert_eq!(
        error(&archive(&[link("a", "x\0y")])),
        CpioError::Target { offset: 0 }
    );
}

#[test]
fn every_shorter_archive_is_refused() {
    let bytes = archive(&USUAL);
    // After the trailer's entry, padding fills a whole block.
    let last = bytes.iter().rposition(|&byte| byte != 0).unwrap();
    let end = (last + 2).next_multiple_of(4);
    for len in 0..end {
        assert!(read_entries(&bytes[..len]).is_err(), "{len} of {end}");
    }
    assert!(read_entries(&bytes[..end]).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn noise_is_no_archive(bytes: Vec<u8>) {
        prop_assert!(read_entries(&bytes).is_err());
    }
}
