//! Which directories a user may search, and which files a user may open and execute.
//!
//! The archive has `/search`: `closed` is for root alone (0700), `passage` may be searched but not read
//! (0711), `way-in` is a link to a file in `closed`.
//!
//! Book: ch. 1, "Access Rights and File Mode"; ch. 12, "Pathname Lookup".
//! Linux: path_resolution(7), access(2), setfsuid(2), capabilities(7) (CAP_DAC_OVERRIDE).
//! Red without: the check of each directory on the way, of the working directory, and of those before
//! `/proc`; the limit on links; the real user in access(2); the file-system user in the rights of root.
#![no_std]
#![no_main]

use core::ffi::CStr;
use rt::{
    Errno, WaitStatus, child, eq, expect_exit,
    gates::syscall,
    ktap, ok,
    process::{NOBODY, execve, setuid},
    start,
};

const SYS_OPEN: u32 = 5;
const SYS_UNLINK: u32 = 10;
const SYS_CHDIR: u32 = 12;
const SYS_ACCESS: u32 = 33;
const SYS_MKDIR: u32 = 39;
const SYS_RMDIR: u32 = 40;
const SYS_SYMLINK: u32 = 83;
const SYS_READLINK: u32 = 85;
const SYS_FCHDIR: u32 = 133;
const SYS_STAT64: u32 = 195;
const SYS_LSTAT64: u32 = 196;
const SYS_SETRESUID32: u32 = 208;
const SYS_SETFSUID32: u32 = 215;
const SYS_OPENAT: u32 = 295;
const O_DIRECTORY: u32 = 0o200_000;
const R_OK: u32 = 4;
const X_OK: u32 = 1;

fn call(number: u32, path: &CStr, second: u32) -> Result<(), Errno> {
    syscall(number, [path.as_ptr() as u32, second, 0]).map(drop)
}

fn stat(path: &CStr) -> Result<(), Errno> {
    let mut buffer = [0u32; 24];
    call(SYS_STAT64, path, buffer.as_mut_ptr() as u32)
}

fn open(path: &CStr) -> Result<u32, Errno> {
    syscall(SYS_OPEN, [path.as_ptr() as u32, 0, 0])
}

/// Runs `call` as a user without privileges; the child's exit status is its error, or 0.
fn as_user(name: &str, wanted: Result<(), Errno>, call: impl FnOnce() -> Result<(), Errno>) {
    let status = child(|| {
        setuid(NOBODY).expect("root may");
        call().map_or_else(|errno| errno.0, |()| 0)
    })
    .wait();
    let wanted = wanted.map_or_else(|errno| errno.0, |()| 0);
    eq!(status, WaitStatus::exited(wanted as u32), "{name}");
}

const DENIED: Result<(), Errno> = Err(Errno::EACCES);

fn walks() {
    as_user("stat in a closed directory: EACCES", DENIED, || {
        stat(c"/search/closed/file")
    });
    as_user("stat of the directory itself works", Ok(()), || {
        stat(c"/search/closed")
    });
    as_user("a missing file in it: EACCES, too", DENIED, || {
        stat(c"/search/closed/none")
    });
    as_user("its dot: EACCES", DENIED, || stat(c"/search/closed/."));
    as_user("and back out of it: EACCES", DENIED, || {
        stat(c"/search/closed/..")
    });
    as_user("a longer way through it: EACCES", DENIED, || {
        stat(c"/search/closed/folder/../../passage/file")
    });
    as_user("through it to /proc: EACCES", DENIED, || {
        stat(c"/search/closed/../../proc/self")
    });
    as_user(
        "through a missing directory to /proc: ENOENT",
        Err(Errno::ENOENT),
        || stat(c"/search/none/../../proc/self"),
    );
    as_user("a link into it: EACCES", DENIED, || stat(c"/search/way-in"));
    as_user("the link itself works", Ok(()), || {
        let mut buffer = [0u32; 24];
        call(SYS_LSTAT64, c"/search/way-in", buffer.as_mut_ptr() as u32)
    });
    as_user("readlink in it: EACCES", DENIED, || {
        let mut buffer = [0u8; 64];
        let [path, to] = [
            c"/search/closed/file".as_ptr() as u32,
            buffer.as_mut_ptr() as u32,
        ];
        syscall(SYS_READLINK, [path, to, 64]).map(drop)
    });
    as_user("open in it: EACCES", DENIED, || {
        open(c"/search/closed/file").map(drop)
    });
    as_user("exec in it: EACCES", DENIED, || {
        Err(execve(c"/search/closed/file", &[c"file"]))
    });
    as_user("access in it: EACCES", DENIED, || {
        call(SYS_ACCESS, c"/search/closed/file", 0)
    });
    as_user("chdir to it: EACCES", DENIED, || {
        call(SYS_CHDIR, c"/search/closed", 0)
    });
    as_user("chdir through it: EACCES", DENIED, || {
        call(SYS_CHDIR, c"/search/closed/folder", 0)
    });
    as_user(
        "through a directory that may only be searched",
        Ok(()),
        || stat(c"/search/passage/file"),
    );
    as_user("which may not be read: EACCES", DENIED, || {
        open(c"/search/passage").map(drop)
    });
    as_user("chdir there works", Ok(()), || {
        call(SYS_CHDIR, c"/search/passage", 0)
    });
}

/// Starts in a directory that the process entered while it was root.
fn from_within() {
    let inside = |name, wanted, path: &'static CStr| {
        let status = child(|| {
            call(SYS_CHDIR, c"/search/closed", 0).expect("root may");
            setuid(NOBODY).expect("root may");
            stat(path).map_or_else(|errno| errno.0, |()| 0)
        });
        eq!(status.wait(), WaitStatus::exited(wanted), "{name}");
    };
    let eacces = Errno::EACCES.0 as u32;
    inside(
        "a relative path from a closed working directory: EACCES",
        eacces,
        c"file",
    );
    inside("and out of it: EACCES", eacces, c"..");
    inside("to /proc: EACCES", eacces, c"../../proc/self");
    inside("a path from the root works", 0, c"/search/passage/file");
    expect_exit("openat from a closed directory: EACCES", eacces, || {
        let closed = c"/search/closed".as_ptr() as u32;
        let fd = syscall(SYS_OPEN, [closed, O_DIRECTORY, 0]).expect("root may");
        setuid(NOBODY).expect("root may");
        let file = c"file".as_ptr() as u32;
        let opened = syscall(SYS_OPENAT, [fd, file, 0, 0]);
        let gone = syscall(SYS_FCHDIR, [fd]);
        match (opened, gone) {
            (Err(Errno::EACCES), Err(errno)) => errno.0,
            _ => 0,
        }
    });
}

fn files() {
    let private = c"/search/passage/private";
    as_user("open of a private file: EACCES", DENIED, || {
        open(private).map(drop)
    });
    as_user("access(R_OK) of it: EACCES", DENIED, || {
        call(SYS_ACCESS, private, R_OK)
    });
    as_user(
        "a file that may only be executed is not read: EACCES",
        DENIED,
        || open(c"/search/passage/only-run").map(drop),
    );
    expect_exit("root opens it", 0, || i32::from(open(private).is_err()));
    expect_exit("root executes a file that somebody may execute", 7, || {
        execve(c"/search/passage/only-run", &[c"only-run"]).0
    });
    expect_exit(
        "but not one that nobody may",
        Errno::EACCES.0 as u32,
        || execve(private, &[c"private"]).0,
    );
}

/// The rights of root over files depend on the file-system user that opens them.
fn numbers() {
    expect_exit(
        "setfsuid: root has the user's rights over files",
        13,
        || {
            let _old = syscall(SYS_SETFSUID32, [NOBODY]);
            open(c"/search/passage/private").map_or_else(|errno| errno.0, |_| 0)
        },
    );
    expect_exit("and over directories", 13, || {
        let _old = syscall(SYS_SETFSUID32, [NOBODY]);
        stat(c"/search/closed/file").map_or_else(|errno| errno.0, |()| 0)
    });
    expect_exit("setfsuid back to 0 brings root's", 0, || {
        let _old = syscall(SYS_SETFSUID32, [NOBODY]);
        let _old = syscall(SYS_SETFSUID32, [0]);
        i32::from(stat(c"/search/closed/file").is_err())
    });
    let closed = c"/search/closed/file";
    expect_exit(
        "access asks for the real user: EACCES for one with root's rights",
        13,
        || {
            let _set = syscall(SYS_SETRESUID32, [NOBODY, 0, 0]).expect("root may");
            assert!(stat(closed).is_ok(), "the effective user may");
            call(SYS_ACCESS, closed, X_OK).map_or_else(|errno| errno.0, |()| 0)
        },
    );
    expect_exit(
        "and root with a user's may by access, not by stat",
        13,
        || {
            let _set = syscall(SYS_SETRESUID32, [0, NOBODY, 0]).expect("root may");
            assert!(call(SYS_ACCESS, closed, X_OK).is_ok(), "the real user may");
            stat(closed).map_or_else(|errno| errno.0, |()| 0)
        },
    );
}

/// Symbolic links that lead to links, in a directory of their own: forty are followed, and a circle
/// has no end.
fn links() {
    call(SYS_MKDIR, c"/tmp/links", 0o700).expect("mkdir");
    call(SYS_CHDIR, c"/tmp/links", 0).expect("chdir");
    let link = |n: u8| [b'0' + n, 0];
    let symlink = |to: u32, name: [u8; 2]| syscall(SYS_SYMLINK, [to, name.as_ptr() as u32]);
    let mut made = symlink(c"/tmp".as_ptr() as u32, link(0)).is_ok();
    for n in 1..=40 {
        made &= symlink(link(n - 1).as_ptr() as u32, link(n)).is_ok();
    }
    ok!(made, "links to links");
    let access = |name: [u8; 2]| syscall(SYS_ACCESS, [name.as_ptr() as u32, 0]).map(drop);
    eq!(access(link(39)), Ok(()), "forty are followed");
    eq!(access(link(40)), Err(Errno::ELOOP), "one more: ELOOP");
    symlink(c"y".as_ptr() as u32, *b"x\0").expect("symlink");
    symlink(c"x".as_ptr() as u32, *b"y\0").expect("symlink");
    eq!(access(*b"x\0"), Err(Errno::ELOOP), "a circle: ELOOP");
    eq!(
        call(SYS_ACCESS, c"x/z", 0),
        Err(Errno::ELOOP),
        "below a circle: ELOOP"
    );
    for n in (0..=40).map(link).chain([*b"x\0", *b"y\0"]) {
        syscall(SYS_UNLINK, [n.as_ptr() as u32]).expect("unlink");
    }
    call(SYS_CHDIR, c"/", 0).expect("chdir");
    call(SYS_RMDIR, c"/tmp/links", 0).expect("rmdir");
}

fn main() -> i32 {
    if start::arg(1) == Some("ran") {
        return 7;
    }
    ktap::plan(19 + 5 + 6 + 5 + 5);
    walks();
    from_within();
    files();
    numbers();
    links();
    ktap::finish()
}

rt::main!(main);
