//! The root of all paths: the initramfs, and the devices every program expects.
//!
//! The archive is mounted once at boot and never changes, so its entries live for ever. An
//! archive without `/dev` gets the usual nodes: a path that leads nowhere else is compared with
//! their names.
//!
//! Called by exec and by the system calls on files.
//!
//! Book: chapter 12, "Pathname Lookup".
//! Linux: 2.6.38 `init/initramfs.c`, `init/noinitramfs.c`.

use spin::Once;

use super::cpio::{CpioError, Entry, FileType};
use super::initramfs::Archive;
use super::stat::S_IFCHR;
use crate::syscall::errno::Errno;
use crate::task::kcov::KCOV;

/// An entry of the root file system.
pub type Inode = &'static Entry<'static>;

static ROOT: Once<Archive<'static>> = Once::new();

/// Number of the coverage file, which has none in Linux: of its own.
pub const KCOV_DEVICE: (u32, u32) = (0, 1);

static KCOV_FILE: Entry<'static> = device(b"sys/kernel/debug/kcov", 0o600, KCOV_DEVICE);

static DEVICES: [Entry<'static>; 6] = [
    device(b"dev/null", 0o666, (1, 3)),
    device(b"dev/zero", 0o666, (1, 5)),
    device(b"dev/urandom", 0o666, (1, 9)),
    device(b"dev/console", 0o600, (5, 1)),
    device(b"dev/tty", 0o666, (5, 0)),
    device(b"dev/ttyS0", 0o600, (4, 64)),
];

/// Indexes the archive and makes it the root. Once, at boot.
pub fn mount(archive: &'static [u8]) -> Result<&'static Archive<'static>, CpioError> {
    let archive = Archive::index(archive)?;
    Ok(ROOT.call_once(|| archive))
}

/// The root directory.
///
/// # Panics
/// Before [`mount`].
pub fn root() -> Inode {
    archive().root()
}

/// The mounted archive.
pub fn archive() -> &'static Archive<'static> {
    match ROOT.get() {
        Some(archive) => archive,
        None => panic!("BUG: no root file system"),
    }
}

/// Walks `path` from directory `from`; see [`Archive::lookup`].
pub fn lookup(from: Inode, path: &[u8], follow: bool) -> Result<Inode, Errno> {
    archive()
        .lookup(from, path, follow)
        .or_else(|errno| match errno {
            Errno::ENOENT => builtin_device(from, path).ok_or(errno),
            other => Err(other),
        })
}

fn builtin_device(from: Inode, path: &[u8]) -> Option<Inode> {
    let absolute = path.strip_prefix(b"/");
    let coverage = KCOV.then_some(&KCOV_FILE);
    DEVICES
        .iter()
        .chain(coverage)
        .find(|device| match absolute {
            Some(path) => device.name == path,
            None if from.name.is_empty() => device.name == path,
            None => {
                device
                    .name
                    .strip_prefix(from.name)
                    .and_then(|rest| rest.strip_prefix(b"/"))
                    == Some(path)
            }
        })
}

const fn device(name: &'static [u8], permissions: u32, rdev: (u32, u32)) -> Entry<'static> {
    Entry {
        name,
        file_type: FileType::CharDevice,
        mode: S_IFCHR | permissions,
        uid: 0,
        gid: 0,
        mtime: 0,
        ino: 0x1_0000 + rdev.0 * 0x100 + rdev.1,
        nlink: 1,
        rdev,
        data: &[],
    }
}
