//! Files that are made, written, mapped, moved and removed, in a directory of their own.
//!
//! Book: ch. 12, "The Virtual Filesystem"; ch. 16, "Memory Mapping".
//! Linux: open(2), rename(2), unlink(2), truncate(2), mmap(2), path_resolution(7).
//! Red without: coherence of a shared mapping with read and write; SIGBUS after a truncation; the
//! life of an open file without a name; the sticky bit; the end of a file as the place of O_APPEND.
#![no_std]
#![no_main]

use core::ffi::CStr;
use rt::{
    Errno, child, eq, expect_exit, expect_signal,
    gates::syscall,
    insn::{read as peek, write as poke},
    ktap, ok,
    process::{NOBODY, execve, setuid},
    start,
};

const SYS_READ: u32 = 3;
const SYS_WRITE: u32 = 4;
const SYS_OPEN: u32 = 5;
const SYS_CLOSE: u32 = 6;
const SYS_LINK: u32 = 9;
const SYS_UNLINK: u32 = 10;
const SYS_CHDIR: u32 = 12;
const SYS_CHMOD: u32 = 15;
const SYS_LSEEK: u32 = 19;
const SYS_ACCESS: u32 = 33;
const SYS_RENAME: u32 = 38;
const SYS_MKDIR: u32 = 39;
const SYS_RMDIR: u32 = 40;
const SYS_UMASK: u32 = 60;
const SYS_SYMLINK: u32 = 83;
const SYS_READLINK: u32 = 85;
const SYS_MUNMAP: u32 = 91;
const SYS_FTRUNCATE: u32 = 93;
const SYS_MMAP2: u32 = 192;
const SYS_STAT64: u32 = 195;
const SYS_FSTAT64: u32 = 197;
const SYS_CHOWN: u32 = 212;
const SYS_GETDENTS64: u32 = 220;
const SYS_UTIMENSAT: u32 = 320;
const SYS_RENAMEAT2: u32 = 353;
const SYS_MEMFD_CREATE: u32 = 356;
const AT_FDCWD: u32 = -100i32 as u32;
const O_WRONLY: u32 = 1;
const O_RDWR: u32 = 2;
const O_CREAT: u32 = 0o100;
const O_EXCL: u32 = 0o200;
const O_TRUNC: u32 = 0o1000;
const O_APPEND: u32 = 0o2000;
const O_DIRECTORY: u32 = 0o200_000;
const O_NOFOLLOW: u32 = 0o400_000;
const SIGBUS: u32 = 7;
const PAGE: u32 = 4096;

fn at(path: &CStr) -> u32 {
    path.as_ptr() as u32
}

fn call(number: u32, path: &CStr, second: u32) -> Result<u32, Errno> {
    syscall(number, [at(path), second, 0])
}

fn two(number: u32, old: &CStr, new: &CStr) -> Result<u32, Errno> {
    syscall(number, [at(old), at(new)])
}

fn open(path: &CStr, flags: u32) -> Result<u32, Errno> {
    syscall(SYS_OPEN, [at(path), flags, 0o666])
}

fn close(fd: u32) {
    syscall(SYS_CLOSE, [fd]).expect("close");
}

fn write(fd: u32, bytes: &[u8]) -> Result<u32, Errno> {
    syscall(SYS_WRITE, [fd, bytes.as_ptr() as u32, bytes.len() as u32])
}

fn seek(fd: u32, offset: u32, whence: u32) -> Result<u32, Errno> {
    syscall(SYS_LSEEK, [fd, offset, whence])
}

/// Reads from the beginning of the file; what is not there stays `#`.
fn text(fd: u32) -> [u8; 8] {
    let mut bytes = *b"########";
    seek(fd, 0, 0).expect("lseek");
    syscall(SYS_READ, [fd, bytes.as_mut_ptr() as u32, 8]).expect("read");
    bytes
}

/// Makes a file with these bytes.
fn make(path: &CStr, bytes: &[u8]) {
    let fd = open(path, O_WRONLY | O_CREAT | O_TRUNC).expect("open");
    write(fd, bytes).expect("write");
    close(fd);
}

/// Words of `struct stat64`.
fn stat(path: &CStr) -> [u32; 24] {
    let mut words = [0; 24];
    call(SYS_STAT64, path, words.as_mut_ptr() as u32).expect("stat64");
    words
}

const MODE: usize = 4;
const NLINK: usize = 5;
const SIZE: usize = 11;

fn fstat(fd: u32) -> [u32; 24] {
    let mut words = [0; 24];
    syscall(SYS_FSTAT64, [fd, words.as_mut_ptr() as u32]).expect("fstat64");
    words
}

fn contents() {
    let fd = open(c"a", O_RDWR | O_CREAT | O_EXCL).expect("open");
    eq!(write(fd, b"abcd"), Ok(4), "a new file is written");
    eq!(&text(fd), b"abcd####", "and read");
    eq!(
        open(c"a", O_CREAT | O_EXCL),
        Err(Errno::EEXIST),
        "O_EXCL: EEXIST"
    );
    let end = open(c"a", O_WRONLY | O_APPEND).expect("open");
    seek(end, 1, 0).expect("lseek");
    write(end, b"ef").expect("write");
    eq!(
        &text(fd),
        b"abcdef##",
        "O_APPEND writes to the end, wherever the position is"
    );
    seek(fd, 2 * PAGE, 0).expect("lseek");
    write(fd, b"x").expect("write");
    eq!(
        fstat(fd)[SIZE],
        2 * PAGE + 1,
        "a write beyond the end makes a hole"
    );
    seek(fd, PAGE, 0).expect("lseek");
    let mut byte = [1u8; 2];
    syscall(SYS_READ, [fd, byte.as_mut_ptr() as u32, 2]).expect("read");
    eq!(byte, [0, 0], "of zeroes");
    eq!(syscall(SYS_FTRUNCATE, [fd, 3]), Ok(0), "ftruncate");
    eq!(syscall(SYS_FTRUNCATE, [fd, 6]), Ok(0), "and back");
    eq!(&text(fd), b"abc\0\0\0##", "what was cut off is zero");
    close(open(c"a", O_WRONLY | O_TRUNC).expect("open"));
    eq!(fstat(fd)[SIZE], 0, "O_TRUNC empties a file");
    eq!(
        write(open(c"/dev/full", O_WRONLY).expect("open"), b"a"),
        Err(Errno::ENOSPC),
        "/dev/full: ENOSPC"
    );
    close(end);
    close(fd);
}

fn names() {
    make(c"b", b"bb");
    eq!(two(SYS_LINK, c"b", c"b2"), Ok(0), "link");
    eq!(
        (stat(c"b2")[NLINK], stat(c"b2")[SIZE]),
        (2, 2),
        "two names, one file"
    );
    let fd = open(c"b", O_RDWR).expect("open");
    eq!(call(SYS_UNLINK, c"b", 0), Ok(0), "unlink");
    eq!(call(SYS_UNLINK, c"b2", 0), Ok(0), "unlink of the last name");
    eq!(
        (&text(fd), fstat(fd)[NLINK]),
        (b"bb######", 0),
        "an open file lives without a name"
    );
    close(fd);
    make(c"c", b"c");
    make(c"d", b"dd");
    eq!(two(SYS_RENAME, c"c", c"d"), Ok(0), "rename replaces a file");
    eq!(
        (stat(c"d")[SIZE], call(SYS_ACCESS, c"c", 0)),
        (1, Err(Errno::ENOENT)),
        "and the old name is gone"
    );
    eq!(call(SYS_MKDIR, c"e", 0o777), Ok(0), "mkdir");
    make(c"e/f", b"");
    eq!(
        call(SYS_RMDIR, c"e", 0),
        Err(Errno::ENOTEMPTY),
        "rmdir of a full directory: ENOTEMPTY"
    );
    eq!(
        two(SYS_RENAME, c"e", c"e/g"),
        Err(Errno::EINVAL),
        "rename into itself: EINVAL"
    );
    eq!(
        two(SYS_RENAME, c"d", c"e"),
        Err(Errno::EISDIR),
        "rename of a file to a directory: EISDIR"
    );
    eq!(
        two(SYS_RENAME, c"e", c"d"),
        Err(Errno::ENOTDIR),
        "and the other way: ENOTDIR"
    );
    eq!(
        call(SYS_UNLINK, c"e", 0),
        Err(Errno::EISDIR),
        "unlink of a directory: EISDIR"
    );
    let flags = |flags| {
        syscall(
            SYS_RENAMEAT2,
            [AT_FDCWD, at(c"d"), AT_FDCWD, at(c"e/f"), flags],
        )
    };
    eq!(flags(1), Err(Errno::EEXIST), "RENAME_NOREPLACE: EEXIST");
    eq!(flags(2), Ok(0), "RENAME_EXCHANGE");
    eq!(
        (stat(c"d")[SIZE], stat(c"e/f")[SIZE]),
        (0, 1),
        "exchanges the files"
    );
    eq!(two(SYS_SYMLINK, c"e/f", c"l"), Ok(0), "symlink");
    eq!(
        open(c"l", O_NOFOLLOW),
        Err(Errno::ELOOP),
        "O_NOFOLLOW: ELOOP"
    );
    eq!(
        open(c"d", O_DIRECTORY),
        Err(Errno::ENOTDIR),
        "O_DIRECTORY of a file: ENOTDIR"
    );
    eq!(
        two(SYS_SYMLINK, c"new", c"dangling"),
        Ok(0),
        "a link to nothing"
    );
    eq!(
        open(c"dangling", O_CREAT | O_EXCL),
        Err(Errno::EEXIST),
        "with O_EXCL: EEXIST"
    );
    close(open(c"dangling", O_CREAT | O_WRONLY).expect("open"));
    eq!(
        call(SYS_ACCESS, c"new", 0),
        Ok(0),
        "O_CREAT makes the file that a link leads to"
    );
    let mut target = [0u8; 3];
    let answer = syscall(SYS_READLINK, [at(c"l"), target.as_mut_ptr() as u32, 3]);
    eq!((answer, &target), (Ok(3), b"e/f"), "readlink");
    eq!(call(SYS_UNLINK, c"e/f", 0), Ok(0), "a directory is emptied");
    eq!(call(SYS_RMDIR, c"e", 0), Ok(0), "and removed");
    ok!(
        open(c"/proc/x", O_CREAT).is_err(),
        "nothing is made below /proc"
    );
    eq!(
        call(SYS_RMDIR, c"/proc", 0),
        Err(Errno::EBUSY),
        "which cannot be removed"
    );
}

/// Returns the number of names that a listing has; each regular file is removed as it is listed.
fn remove_all(directory: &CStr) -> u32 {
    let fd = open(directory, O_DIRECTORY).expect("open");
    let (mut buffer, mut names) = ([0u8; 256], 0);
    loop {
        let length = syscall(SYS_GETDENTS64, [fd, buffer.as_mut_ptr() as u32, 256]);
        let length = length.expect("getdents64") as usize;
        if length == 0 {
            close(fd);
            return names;
        }
        let mut rest = &buffer[..length];
        while rest.len() > 19 {
            let size = usize::from(u16::from_le_bytes([rest[16], rest[17]]));
            let name = CStr::from_bytes_until_nul(&rest[19..size]).expect("a name");
            if name.to_bytes()[0] != b'.' {
                names += u32::from(call(SYS_UNLINK, name, 0).is_ok());
            }
            rest = &rest[size..];
        }
    }
}

fn listing() {
    call(SYS_MKDIR, c"many", 0o777).expect("mkdir");
    call(SYS_CHDIR, c"many", 0).expect("chdir");
    for number in 0..60u8 {
        let name = [b'n', b'0' + number / 10, b'0' + number % 10, 0];
        make(CStr::from_bytes_with_nul(&name).expect("a name"), b"");
    }
    eq!(
        remove_all(c"."),
        60,
        "a listing misses nothing while names are removed"
    );
    call(SYS_CHDIR, c"..", 0).expect("chdir");
    eq!(
        call(SYS_RMDIR, c"many", 0),
        Ok(0),
        "and the directory is empty"
    );
}

fn mappings() {
    let fd = open(c"m", O_RDWR | O_CREAT).expect("open");
    syscall(SYS_FTRUNCATE, [fd, 2 * PAGE]).expect("ftruncate");
    let map = |flags| syscall(SYS_MMAP2, [0, 2 * PAGE, 3, flags, fd, 0]).expect("mmap2");
    let (shared, private) = (map(1), map(2));
    seek(fd, 0, 0).expect("lseek");
    write(fd, b"abcd").expect("write");
    eq!(
        peek(shared),
        u32::from_le_bytes(*b"abcd"),
        "a shared mapping shows what is written"
    );
    eq!(
        peek(private),
        u32::from_le_bytes(*b"abcd"),
        "and so does a private one"
    );
    poke(shared, u32::from_le_bytes(*b"efgh"));
    eq!(
        &text(fd)[..4],
        b"efgh",
        "a write to a shared mapping is read"
    );
    expect_exit("also by a child", 0, || {
        poke(shared, u32::from_le_bytes(*b"ijkl"));
        0
    });
    eq!(&text(fd)[..4], b"ijkl", "whose writes are read");
    poke(private, 1);
    eq!(
        &text(fd)[..4],
        b"ijkl",
        "a write to a private mapping is not"
    );
    poke(shared + PAGE, 7);
    syscall(SYS_FTRUNCATE, [fd, PAGE]).expect("ftruncate");
    expect_signal("a page beyond the new end: SIGBUS", SIGBUS, || {
        peek(shared + PAGE)
    });
    expect_signal("also of a private mapping", SIGBUS, || peek(private + PAGE));
    syscall(SYS_FTRUNCATE, [fd, 2 * PAGE]).expect("ftruncate");
    eq!(
        peek(shared + PAGE),
        0,
        "the page is zero when the file grows again"
    );
    let read_only = open(c"m", 0).expect("open");
    let answer = syscall(SYS_MMAP2, [0, PAGE, 2, 1, read_only, 0]);
    eq!(
        answer,
        Err(Errno::EACCES),
        "shared and writable, of a file open for reading: EACCES"
    );
    for address in [shared, private] {
        syscall(SYS_MUNMAP, [address, 2 * PAGE]).expect("munmap");
    }
    close(fd);
    close(read_only);
    let memory = syscall(SYS_MEMFD_CREATE, [at(c"name"), 0]).expect("memfd_create");
    write(memory, b"mem").expect("write");
    eq!(
        (&text(memory), fstat(memory)[NLINK]),
        (b"mem#####", 0),
        "memfd_create"
    );
    close(memory);
}

fn rights() {
    syscall(SYS_UMASK, [0o027]).expect("umask");
    make(c"u", b"");
    eq!(stat(c"u")[MODE], 0o100_640, "the umask takes bits away");
    syscall(SYS_UMASK, [0o022]).expect("umask");
    eq!(call(SYS_CHMOD, c"u", 0o4755), Ok(0), "chmod");
    eq!(stat(c"u")[MODE], 0o104_755, "sets the bits");
    let times = [1u32, 2, 3, 4];
    let answer = syscall(
        SYS_UTIMENSAT,
        [AT_FDCWD, at(c"u"), times.as_ptr() as u32, 0],
    );
    let words = stat(c"u");
    eq!(
        (answer, &words[16..20]),
        (Ok(0), &times[..]),
        "utimensat sets both times"
    );
    call(SYS_MKDIR, c"s", 0o777).expect("mkdir");
    call(SYS_CHMOD, c"s", 0o1777).expect("chmod");
    make(c"s/root", b"");
    expect_exit(
        "in a sticky directory, a user removes only files of his own",
        0,
        || {
            setuid(NOBODY).expect("root may");
            make(c"s/mine", b"");
            let answers = [c"s/root", c"s/mine"].map(|path| call(SYS_UNLINK, path, 0));
            i32::from(answers != [Err(Errno::EPERM), Ok(0)])
        },
    );
    expect_exit("a user changes no file of another", 0, || {
        setuid(NOBODY).expect("root may");
        let answers = [
            call(SYS_CHMOD, c"u", 0o777),
            syscall(SYS_CHOWN, [at(c"u"), NOBODY, u32::MAX]),
            open(c"u", O_WRONLY),
            open(c"nobody", O_CREAT),
        ];
        let wanted = [Errno::EPERM, Errno::EPERM, Errno::EACCES, Errno::EACCES].map(Err);
        i32::from(answers != wanted)
    });
    let me = start::arg_cstr(0).expect("a program is told its path");
    eq!(
        open(me, O_WRONLY),
        Err(Errno::ETXTBSY),
        "a program that runs: ETXTBSY"
    );
    call(SYS_UNLINK, c"s/root", 0).expect("unlink");
    call(SYS_RMDIR, c"s", 0).expect("rmdir");
}

fn programs() {
    let script = b"#!/nowhere/interpreter\n";
    make(c"p", script);
    call(SYS_CHMOD, c"p", 0o755).expect("chmod");
    eq!(
        execve(c"p", &[c"p"]),
        Errno::ENOENT,
        "a script without its interpreter: ENOENT"
    );
    make(c"p", b"\x7fELF, but no more");
    eq!(
        execve(c"p", &[c"p"]),
        Errno::ENOEXEC,
        "half an ELF file: ENOEXEC"
    );
    let busy = open(c"p", O_WRONLY).expect("open");
    eq!(
        execve(c"p", &[c"p"]),
        Errno::ETXTBSY,
        "a file that is open for writing: ETXTBSY"
    );
    close(busy);
    // A copy of this program, which is written page by page.
    let me = start::arg_cstr(0).expect("a program is told its path");
    let (from, to) = (
        open(me, 0).expect("open"),
        open(c"p", O_WRONLY | O_TRUNC).expect("open"),
    );
    let mut buffer = [0u8; 1024];
    loop {
        let read = syscall(SYS_READ, [from, buffer.as_mut_ptr() as u32, 1024]).expect("read");
        match read {
            0 => break,
            read => write(to, &buffer[..read as usize]).expect("write"),
        };
    }
    close(from);
    close(to);
    let status = child(|| {
        let _errno = execve(c"p", &[c"p", c"copy"]);
        1
    })
    .wait();
    eq!(
        status,
        rt::WaitStatus::exited(42),
        "a program that was written just now runs"
    );
}

fn main() -> i32 {
    if start::arg(1) == Some("copy") {
        return 42;
    }
    ktap::plan(63);
    call(SYS_MKDIR, c"/tmp/files", 0o777).expect("mkdir");
    call(SYS_CHDIR, c"/tmp/files", 0).expect("chdir");
    contents();
    names();
    listing();
    mappings();
    rights();
    programs();
    remove_all(c".");
    call(SYS_CHDIR, c"/", 0).expect("chdir");
    eq!(call(SYS_RMDIR, c"/tmp/files", 0), Ok(0), "nothing is left");
    ktap::finish()
}

rt::main!(main);
