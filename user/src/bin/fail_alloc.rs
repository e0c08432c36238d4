//! Calls that want memory, again and again: each works or says what it lacks, and none loses anything.
//!
//! With `fail_alloc=N` on the kernel's command line their allocations fail one after the other; without,
//! and on Linux, nothing fails. Either way what is counted at the end is what was there at the beginning.
//!
//! Red without: each error path that gives back what was taken before it.
#![no_std]
#![no_main]

use rt::{
    Errno, eq,
    gates::syscall,
    ktap,
    memory::{MAP_PRIVATE, MAP_SHARED, PAGE_SIZE, PROT_READ, PROT_WRITE, mmap_anonymous, munmap},
    ok,
    proc::{close, open, read_fd, text},
    process::{Child, execve, exit, fork, getpid},
};

const SYS_KILL: u32 = 37;
const SYS_PIPE: u32 = 42;
const SYS_BRK: u32 = 45;
const SYS_FCNTL: u32 = 55;
const SYS_READLINK: u32 = 85;
const SYS_SYSINFO: u32 = 116;
const SYS_MODIFY_LDT: u32 = 123;
const SYS_MPROTECT: u32 = 125;
const SYS_RT_SIGQUEUEINFO: u32 = 178;
const SYS_GETCWD: u32 = 183;
const SYS_GETDENTS64: u32 = 220;
const SYS_IOPERM: u32 = 101;
const SYS_TIMER_CREATE: u32 = 259;
const SYS_TIMER_DELETE: u32 = 263;
const SYS_PERF_EVENT_OPEN: u32 = 336;
const SIGCHLD: u32 = 17;
const ROUNDS: u32 = 60;
/// Pages that each CPU, or the kernel, may have kept for later.
const SLACK_PAGES: u32 = 96;

/// An answer that a call may give for want of memory, or a success.
fn is_known(result: Result<u32, Errno>) -> bool {
    !matches!(result, Err(errno) if errno != Errno::ENOMEM && errno != Errno::EAGAIN)
}

fn free_pages() -> u32 {
    let mut info = [0u32; 16];
    syscall(SYS_SYSINFO, [&raw mut info as u32]).expect("sysinfo");
    info[5] / PAGE_SIZE
}

/// The first number that the next descriptor gets: one more than those that are open.
fn open_files() -> u32 {
    loop {
        if let Ok(fd) = syscall(SYS_FCNTL, [1, 0, 0]) {
            close(fd);
            return fd;
        }
    }
}

fn files() -> bool {
    let mut fds = [0u32; 2];
    let made = syscall(SYS_PIPE, [&raw mut fds as u32]);
    if made.is_ok() {
        fds.into_iter().for_each(close);
    }
    let mut known = is_known(made);
    let mut buffer = [0; 512];
    for path in [
        "self/maps",
        "self/stat",
        "self/status",
        "stat",
        "cpuinfo",
        "self/cmdline",
    ] {
        match open(&text(format_args!("/proc/{path}")), 0) {
            Ok(fd) => {
                let read = read_fd(fd, &mut buffer).map(|_| 0);
                known &= is_known(read);
                close(fd);
            }
            Err(errno) => known &= is_known(Err(errno)),
        }
    }
    if let Ok(fd) = open(&text(format_args!("/proc")), 0) {
        known &= is_known(syscall(SYS_GETDENTS64, [fd, &raw mut buffer as u32, 512]));
        close(fd);
    }
    let to = &raw mut buffer as u32;
    known &= is_known(syscall(SYS_GETCWD, [to, 512]));
    known
        && is_known(syscall(
            SYS_READLINK,
            [c"/proc/self".as_ptr() as u32, to, 512],
        ))
}

/// A process of its own opens pipes until its table of descriptors has grown a few times; a pipe that
/// lacks memory for its second descriptor does not keep its first.
fn descriptors() -> bool {
    const PIPES: u32 = 16;
    let child = match fork() {
        Ok(0) => {
            let mut known = true;
            for _ in 0..PIPES {
                let (before, mut fds) = (open_files(), [0u32; 2]);
                let made = syscall(SYS_PIPE, [&raw mut fds as u32]);
                known &= is_known(made) && (made.is_ok() || open_files() == before);
            }
            exit(i32::from(!known))
        }
        Ok(pid) => Child { pid },
        Err(errno) => return is_known(Err(errno)),
    };
    child.wait() == rt::WaitStatus::exited(0)
}

fn memory() -> bool {
    let mut known = true;
    for sharing in [MAP_PRIVATE, MAP_SHARED] {
        match mmap_anonymous(16 * PAGE_SIZE, PROT_READ | PROT_WRITE, sharing) {
            Ok(address) => {
                rt::proc::touch(address, 16 * PAGE_SIZE, true);
                let middle = [address + 4 * PAGE_SIZE, PAGE_SIZE, PROT_READ];
                known &= is_known(syscall(SYS_MPROTECT, middle));
                // To unmap a middle needs memory too; to unmap all does not.
                let half = munmap(address + 8 * PAGE_SIZE, PAGE_SIZE).map(|()| 0);
                known &= is_known(half);
                while munmap(address, 16 * PAGE_SIZE).is_err() {}
            }
            Err(errno) => known &= is_known(Err(errno)),
        }
    }
    let end = syscall(SYS_BRK, [0]).unwrap_or(0);
    let _grown = syscall(SYS_BRK, [end + 4 * PAGE_SIZE]);
    while syscall(SYS_BRK, [end]) != Ok(end) {}
    known
}

fn processes() -> bool {
    match fork() {
        Ok(0) => {
            let desc = [3u32, 0x1000, 0xff, 0x51];
            let mut known = is_known(syscall(SYS_MODIFY_LDT, [1, &raw const desc as u32, 16]));
            known &= is_known(syscall(SYS_IOPERM, [0x80, 1, 1]));
            let info = [0u32; 32];
            let queued = [getpid(), SIGCHLD, &raw const info as u32];
            let _queued = syscall(SYS_RT_SIGQUEUEINFO, queued);
            // The last signal of the kind: a copy of all that was made.
            known &= match fork() {
                Ok(0) => exit(0),
                Ok(pid) => (Child { pid }).wait() == rt::WaitStatus::exited(0),
                Err(errno) => is_known(Err(errno)),
            };
            if !known {
                exit(2);
            }
            let errno = execve(c"/tests/fail_alloc", &[c"fail_alloc", c"nothing"]);
            exit(if is_known(Err(errno)) { 0 } else { 3 });
        }
        Ok(pid) => {
            let status = (Child { pid }).wait();
            // After the point of no return a program that lacks memory is killed, as on Linux.
            let good = status == rt::WaitStatus::exited(0);
            if !good {
                rt::println!("# a child: {status:?}");
            }
            good
        }
        Err(errno) => is_known(Err(errno)),
    }
}

fn others() -> bool {
    let mut id = 0u32;
    let made = syscall(SYS_TIMER_CREATE, [1, 0, &raw mut id as u32]);
    if made.is_ok() {
        syscall(SYS_TIMER_DELETE, [id]).expect("timer_delete");
    }
    // PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS, 64 bytes.
    let mut attr = [0u32; 16];
    (attr[0], attr[1], attr[2]) = (1, 64, 2);
    let event = syscall(
        SYS_PERF_EVENT_OPEN,
        [&raw const attr as u32, 0, u32::MAX, u32::MAX, 0],
    );
    if let Ok(fd) = event {
        close(fd);
    }
    // Linux may forbid it.
    let forbidden = matches!(event, Err(Errno::EACCES | Errno::EPERM | Errno::ENOSYS));
    is_known(made) && (forbidden || is_known(event)) && syscall(SYS_KILL, [getpid(), 0]).is_ok()
}

/// Calls of one kind, and whether each gave an answer that is allowed.
type Part = (&'static str, fn() -> bool);

fn main() -> i32 {
    if rt::start::arg(1) == Some("nothing") {
        return 0;
    }
    ktap::plan(7);
    let parts: [Part; 5] = [
        ("files, pipes and /proc", files),
        ("tables of descriptors", descriptors),
        ("memory", memory),
        ("processes", processes),
        ("timers and events", others),
    ];
    // Once, so that what the kernel keeps for ever is there.
    for (_, part) in &parts {
        part();
    }
    let (pages, descriptors) = (free_pages(), open_files());
    for (name, part) in parts {
        let good = (0..ROUNDS).filter(|_| part()).count();
        eq!(good as u32, ROUNDS, "{name}: they work or lack memory");
    }
    eq!(open_files(), descriptors, "no descriptor is left");
    let now = free_pages();
    ok!(now + SLACK_PAGES >= pages, "no memory is left");
    rt::println!("# free pages: {pages} before, {now} after");
    ktap::finish()
}

rt::main!(main);
