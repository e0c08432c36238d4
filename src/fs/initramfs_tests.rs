//! Unit and property tests of [`super`].

use super::*;
use crate::fs::cpio::tests::{File, USUAL, archive, dir, file, link};
use proptest::prelude::*;

fn names<'a>(entries: impl Iterator<Item = &'a Entry<'a>>) -> Vec<&'a str> {
    entries
        .map(|entry| str::from_utf8(entry.file_name()).unwrap())
        .collect()
}

#[test]
fn entries_are_found_by_path() {
    let bytes = archive(&USUAL);
    let archive = Archive::index(&bytes).unwrap();
    let busybox = archive.find(b"bin/busybox").unwrap();
    assert_eq!(busybox.data, b"\x7fELF of busybox");
    assert_eq!(
        (busybox.mode, busybox.file_type),
        (0o100_755, FileType::Regular)
    );
    assert_eq!((busybox.mtime, busybox.nlink), (1000, 1));
    assert_eq!(archive.find(b"bin/sh").unwrap().data, b"busybox");
    assert_eq!(archive.find(b"").unwrap(), archive.root());
    assert_eq!(archive.root().mode, 0o040_700);
    for absent in [&b"bi"[..], b"bin/", b"/bin", b"bin/busyboxx", b"TRAILER!!!"] {
        assert_eq!(archive.find(absent), None);
    }
}

#[test]
fn directories_are_listed_and_completed() {
    let bytes = archive(&USUAL);
    let archive = Archive::index(&bytes).unwrap();
    assert_eq!(
        names(archive.children(archive.root())),
        ["bin", "bin-extra", "etc", "init", "sbin"]
    );
    assert_eq!(
        names(archive.children(archive.find(b"bin").unwrap())),
        ["busybox", "sh"]
    );
    let made = archive.find(b"etc").unwrap();
    assert_eq!(
        (made.mode, made.file_type),
        (0o040_755, FileType::Directory)
    );
    assert_eq!(names(archive.children(made)), ["rc"]);
    let mut inodes: Vec<u32> = archive.entries().iter().map(|entry| entry.ino).collect();
    inodes.sort();
    inodes.dedup();
    assert_eq!(inodes.len(), archive.entries().len());
    assert!(inodes[0] > 0);
}

#[test]
fn an_archive_of_nothing_has_a_root() {
    let bytes = archive(&[]);
    let archive = Archive::index(&bytes).unwrap();
    assert_eq!(archive.entries().len(), 1);
    assert_eq!(
        (archive.root().ino, archive.root().file_type),
        (1, FileType::Directory)
    );
}

#[test]
fn hard_links_share_contents_and_inode() {
    let hard = |name, data, ino| File {
        ino,
        nlink: 2,
        ..file(name, data)
    };
    let bytes = archive(&[
        hard("a", b"", 5),
        hard("other", b"not ours", 6),
        hard("b", b"contents", 5),
        File {
            ino: 5,
            ..file("c", b"")
        },
    ]);
    let archive = Archive::index(&bytes).unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|name| archive.find(name.as_bytes()).unwrap());
    assert_eq!((a.data, b.data), (&b"contents"[..], &b"contents"[..]));
    assert_eq!(a.ino, b.ino);
    assert_eq!(c.data, b"");
    assert_ne!(c.ino, a.ino);
    assert_eq!(archive.find(b"other").unwrap().data, b"not ours");
}

#[test]
fn the_later_of_two_entries_counts() {
    let bytes = archive(&[
        file("init", b"old"),
        file("./init", b"new"),
        dir("x"),
        file("x/y", b""),
    ]);
    let archive = Archive::index(&bytes).unwrap();
    assert_eq!(archive.find(b"init").unwrap().data, b"new");
    assert_eq!(archive.find(b"x").unwrap().mode, 0o040_700);
}

#[test]
fn a_file_is_no_directory() {
    let error = |bytes: &[u8]| Archive::index(bytes).unwrap_err();
    assert_eq!(
        error(&archive(&[file("a", b"x"), file("a/b", b"y")])),
        CpioError::NotInDirectory { offset: 116 }
    );
    let bytes = archive(&[link("a", "b"), dir("b"), file("a/x", b"")]);
    assert!(matches!(error(&bytes), CpioError::NotInDirectory { .. }));
}

fn check(archive: &Archive<'_>) -> Result<(), TestCaseError> {
    prop_assert!(archive.entries().is_sorted_by(|a, b| a.name < b.name));
    let mut listed = 1;
    for entry in archive.entries() {
        prop_assert_eq!(archive.find(entry.name), Some(entry));
        prop_assert_eq!(
            archive.find(entry.parent()).unwrap().file_type,
            FileType::Directory
        );
        listed += archive.children(entry).count();
    }
    prop_assert_eq!(listed, archive.entries().len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn corrupted_archives_are_judged_without_panic(
        hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop_oneof![3 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)],
    ) {
        let mut bytes = archive(&USUAL);
        for (at, value) in hits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        match Archive::index(&bytes) {
            Ok(archive) => check(&archive)?,
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn whole_archives_give_back_what_went_in(
        files in proptest::collection::btree_map("[a-c]{1,2}(/[a-c]{1,2}){0,3}", any::<Vec<u8>>(), 0..12),
    ) {
        let list: Vec<File<'_>> = files.iter().map(|(name, data)| file(name, data)).collect();
        let bytes = archive(&list);
        let nested = files.keys().any(|a| files.keys().any(|b| b.starts_with(&format!("{a}/"))));
        match Archive::index(&bytes) {
            Ok(archive) => {
                prop_assert!(!nested);
                check(&archive)?;
                for (name, data) in &files {
                    prop_assert_eq!(archive.find(name.as_bytes()).unwrap().data, &data[..]);
                }
            }
            Err(error) => {
                let stray = matches!(error, CpioError::NotInDirectory { .. });
                prop_assert!(nested && stray, "{}", error);
            }
        }
    }
}
