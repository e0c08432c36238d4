//! `/proc`: names, errors, and the truth of what the files say.
//!
//! Linux: proc(5).
//! Red without: the frame pointer that `wchan` is read from; the counts of switches; the CPUs that
//! a task may run on; the check whether a process still exists.
#![no_std]
#![no_main]

use rt::{
    Errno, eq, expect_exit,
    gates::syscall,
    ktap, ok,
    proc::{
        O_DIRECTORY, SYS_GETDENTS64, SYS_READ, Text, close, each_name, field, link, open, read,
        read_fd, stat_field, text,
    },
    process::{NOBODY, child, exec_self, execve, exit, getpid, setuid},
    sched::{sched_yield, set_affinity, stay_on_one_cpu},
    start,
    thread::{gettid, spawn},
};

const SYS_WRITE: u32 = 4;
const SYS_CHDIR: u32 = 12;
const SYS_LSEEK: u32 = 19;
const SYS_KILL: u32 = 37;
const SYS_PIPE: u32 = 42;
const SYS_PRCTL: u32 = 172;
const SYS_PREAD64: u32 = 180;
const SYS_GETCWD: u32 = 183;
const O_WRONLY: u32 = 1;
const SIGKILL: u32 = 9;

fn names() {
    let mut buffer = [0; 4096];
    for name in [
        "cmdline",
        "cpuinfo",
        "loadavg",
        "meminfo",
        "stat",
        "switch_to",
        "uptime",
        "version",
    ] {
        let holds = read(&mut buffer, format_args!("/proc/{name}")).map(|text| !text.is_empty());
        eq!(holds, Ok(true), "/proc/{name} can be read");
    }
    let me = getpid();
    let number = link(format_args!("/proc/self")).map(|text| text.as_str().parse());
    eq!(number, Ok(Ok(me)), "/proc/self is a link to the reader");
    let exe = link(format_args!("/proc/{me}/exe"));
    eq!(
        exe.as_ref().map(Text::as_str),
        Ok("/tests/proc"),
        "exe is a link to its program"
    );
    eq!(
        link(format_args!("/proc/2/exe")).err(),
        Some(Errno::ENOENT),
        "a thread of the kernel has none"
    );
    eq!(
        link(format_args!("/proc/{me}/stat")).err(),
        Some(Errno::EINVAL),
        "a file is no link"
    );
    expect_exit("executing exe runs the program again", 0, || {
        execve(c"/proc/self/exe", &[c"again", c"after-exec"]);
        1
    });
    expect_exit("another user's program is not told", 0, || {
        setuid(NOBODY).expect("setuid");
        i32::from(link(format_args!("/proc/{me}/exe")).err() != Some(Errno::EACCES))
    });
    let by_link = read(&mut buffer, format_args!("/proc/self/stat"))
        .map(|text| text.split(' ').next().and_then(|pid| pid.parse().ok()));
    eq!(by_link, Ok(Some(me)), "and leads there");
    for (path, flags, wanted) in [
        ("/proc/nothing", 0, Err(Errno::ENOENT)),
        ("/proc/32767/stat", 0, Err(Errno::ENOENT)),
        ("/proc/01/stat", 0, Err(Errno::ENOENT)),
        ("/proc/1/task/2/stat", 0, Err(Errno::ENOENT)),
        ("/proc/stat/x", 0, Err(Errno::ENOTDIR)),
        ("/proc/stat/", 0, Err(Errno::ENOTDIR)),
        ("/proc/stat", O_DIRECTORY, Err(Errno::ENOTDIR)),
        ("/proc/1", O_WRONLY, Err(Errno::EISDIR)),
    ] {
        eq!(
            open(&text(format_args!("{path}")), flags),
            wanted,
            "open {path}: {wanted:?}"
        );
    }
    let directory = open(&text(format_args!("/proc")), 0).expect("/proc");
    eq!(
        read_fd(directory, &mut buffer),
        Err(Errno::EISDIR),
        "a directory cannot be read"
    );
    close(directory);
    let stat = open(&text(format_args!("/proc/stat")), O_WRONLY).expect("root opens it");
    eq!(
        syscall(SYS_WRITE, [stat, b"x".as_ptr() as u32, 1]),
        Err(Errno::EIO),
        "memory that cannot be written: EIO"
    );
    close(stat);
}

fn listing() {
    let me = getpid();
    let (mut seen_me, mut seen_stat, mut dots, mut last, mut sorted) = (0, 0, 0, 0, true);
    each_name("/proc", |name| {
        match name.parse::<u32>() {
            Ok(pid) => {
                sorted &= pid > last;
                last = pid;
                seen_me += u32::from(pid == me);
            }
            Err(_) => seen_stat += u32::from(name == "stat"),
        }
        dots += u32::from(name == "." || name == "..");
    });
    eq!(
        (seen_me, seen_stat, dots),
        (1, 1, 2),
        "/proc lists this process, and each name once"
    );
    ok!(sorted, "processes are in order");
    let mut in_root = 0;
    each_name("/", |name| in_root += u32::from(name == "proc"));
    eq!(in_root, 1, "the root lists /proc once");
    let path = text(format_args!("/proc/{me}"));
    let moved = syscall(SYS_CHDIR, [path.bytes.as_ptr() as u32]);
    let mut cwd = [0u8; 32];
    let length = syscall(SYS_GETCWD, [cwd.as_mut_ptr() as u32, 32]).unwrap_or(1) as usize - 1;
    let is_there = cwd[..length] == path.bytes[..path.length];
    eq!(
        (moved, is_there),
        (Ok(0), true),
        "a process can be the working directory"
    );
    let mut buffer = [0; 4096];
    let near = read(&mut buffer, format_args!("comm")).map(|comm| comm == "proc\n");
    eq!(near, Ok(true), "paths begin there");
    let up = read(&mut buffer, format_args!("../../etc/../proc/./uptime"))
        .map(|text| text.contains('.'));
    eq!(up, Ok(true), "and lead out of it and back");
    syscall(SYS_CHDIR, [c"/".as_ptr() as u32]).expect("chdir");
}

/// Returns the number of switches that `status` reports.
fn switches(buffer: &mut [u8; 4096]) -> Option<u32> {
    let status = read(buffer, format_args!("/proc/self/status")).ok()?;
    field(status, "voluntary_ctxt_switches")?.parse().ok()
}

fn truth() {
    let mut buffer = [0; 4096];
    let me = getpid();
    let status = read(&mut buffer, format_args!("/proc/self/status")).expect("status");
    eq!(field(status, "Name"), Some("proc"), "Name");
    eq!(
        field(status, "State"),
        Some("R (running)"),
        "State of a running task"
    );
    eq!(
        field(status, "Pid").and_then(|pid| pid.parse().ok()),
        Some(me),
        "Pid"
    );
    eq!(field(status, "Threads"), Some("1"), "Threads");
    stay_on_one_cpu();
    let status = read(&mut buffer, format_args!("/proc/self/status")).expect("status");
    eq!(
        field(status, "Cpus_allowed_list"),
        Some("0"),
        "Cpus_allowed_list follows sched_setaffinity"
    );
    let stat = read(&mut buffer, format_args!("/proc/self/stat")).expect("stat");
    eq!(
        (stat_field(stat, 3), stat_field(stat, 39)),
        (Some("R"), Some("0")),
        "state and processor in stat"
    );
    // The read itself makes no switch. A sleep that is over before it begins, on a busy host, makes
    // none either.
    let is_one = (0..10).any(|_| {
        let before = switches(&mut buffer);
        rt::clock::sleep_ms(20);
        let after = switches(&mut buffer);
        before.zip(after).map(|(before, after)| after - before) == Some(1)
    });
    ok!(is_one, "a sleep is one voluntary switch");
    let cmdline = read(&mut buffer, format_args!("/proc/self/cmdline")).expect("cmdline");
    eq!(
        cmdline.split('\0').next(),
        start::arg(0),
        "cmdline begins with the program's name"
    );
    let wchan = read(&mut buffer, format_args!("/proc/self/wchan")).expect("wchan");
    eq!(wchan, "0", "a running task waits nowhere");
    let ticks = |buffer: &mut [u8; 4096]| -> u32 {
        let stat = read(buffer, format_args!("/proc/self/stat")).unwrap_or("");
        stat_field(stat, 14)
            .and_then(|ticks| ticks.parse().ok())
            .unwrap_or(0)
    };
    let began = ticks(&mut buffer);
    while ticks(&mut buffer) < began + 3 {
        for _ in 0..100_000 {
            core::hint::spin_loop();
        }
    }
    ok!(true, "work in ring 3 becomes user time");
}

extern "C" fn wait_for_byte(fd: u32) -> i32 {
    let mut byte = 0u8;
    let read = syscall(SYS_READ, [fd, &raw mut byte as u32, 1]);
    i32::from(read != Ok(1))
}

fn of_others() {
    let mut buffer = [0; 4096];
    let mut fds = [0u32; 2];
    syscall(SYS_PIPE, [fds.as_mut_ptr() as u32]).expect("pipe");
    let reader = child(|| wait_for_byte(fds[0]));
    let pid = reader.pid;
    // It sleeps sooner or later, and then stays there.
    while rt::job::state_of(pid) != 'S' {
        sched_yield();
    }
    let stat = read(&mut buffer, format_args!("/proc/{pid}/stat")).expect("stat");
    eq!(
        (
            stat_field(stat, 3),
            stat_field(stat, 4).and_then(|ppid| ppid.parse().ok())
        ),
        (Some("S"), Some(getpid())),
        "it sleeps, and is ours"
    );
    // Opened while the process lives, read after its end.
    let directory = open(&text(format_args!("/proc/{pid}")), 0).expect("its directory");
    let arguments = open(&text(format_args!("/proc/{pid}/cmdline")), 0).expect("cmdline");
    let held = open(&text(format_args!("/proc/{pid}/stat")), 0).expect("stat");
    syscall(SYS_KILL, [pid, SIGKILL]).expect("kill");
    loop {
        let status =
            read(&mut buffer, format_args!("/proc/{pid}/status")).expect("it is not waited for");
        if field(status, "State") == Some("Z (zombie)") {
            break;
        }
        sched_yield();
    }
    ok!(true, "a child that is not waited for is a zombie");
    let cmdline = read(&mut buffer, format_args!("/proc/{pid}/cmdline"));
    eq!(cmdline, Ok(""), "and has no memory");
    reader.wait();
    eq!(
        read_fd(held, &mut buffer),
        Err(Errno::ESRCH),
        "an open file of a process that is gone: ESRCH"
    );
    eq!(
        (
            syscall(SYS_LSEEK, [held, 5, 0]),
            pread(held, &mut buffer[..1], 5),
            read_fd(arguments, &mut buffer).err()
        ),
        (Err(Errno::ESRCH), Err(Errno::ESRCH), Some(Errno::ESRCH)),
        "whatever its position"
    );
    let entries = [directory, buffer.as_mut_ptr() as u32, 4096];
    eq!(
        syscall(SYS_GETDENTS64, entries),
        Err(Errno::ENOENT),
        "and its directory: ENOENT"
    );
    [held, arguments, directory].into_iter().for_each(close);
    eq!(
        read(&mut buffer, format_args!("/proc/{pid}/stat")),
        Err(Errno::ENOENT),
        "its name is gone: ENOENT"
    );
    let thread = spawn(wait_for_byte, fds[0], None).expect("clone");
    let (mut threads, mut others) = (0, 0);
    each_name("/proc/self/task", |name| {
        threads += u32::from(name.parse::<u32>().is_ok());
        others = name
            .parse()
            .ok()
            .filter(|tid| *tid != gettid())
            .unwrap_or(others);
    });
    eq!(threads, 2, "task lists the threads");
    let status = read(&mut buffer, format_args!("/proc/self/task/{others}/status")).unwrap_or("");
    eq!(
        (
            field(status, "Tgid").and_then(|pid| pid.parse().ok()),
            field(status, "Threads")
        ),
        (Some(getpid()), Some("2")),
        "a thread is of its process"
    );
    syscall(SYS_WRITE, [fds[1], b"x".as_ptr() as u32, 1]).expect("write");
    ok!(thread.join(), "the thread ends");
}

/// Reads one text in pieces, and again from the beginning.
fn positions() {
    let mut whole = [0; 4096];
    let mut pieces = [0u8; 4096];
    let length = read(&mut whole, format_args!("/proc/version"))
        .expect("version")
        .len();
    let fd = open(&text(format_args!("/proc/version")), 0).expect("version");
    let mut used = 0;
    while let Ok(1) = syscall(SYS_READ, [fd, pieces[used..].as_mut_ptr() as u32, 1]) {
        used += 1;
    }
    eq!(
        &pieces[..used],
        &whole[..length],
        "byte by byte it is the same"
    );
    eq!(
        syscall(SYS_LSEEK, [fd, 6, 0]),
        Ok(6),
        "its position can be set"
    );
    let read = syscall(SYS_READ, [fd, pieces.as_mut_ptr() as u32, 7]);
    eq!(
        (read, &pieces[..7]),
        (Ok(7), &b"version"[..]),
        "and it is read from there"
    );
    close(fd);
    let fresh = open(&text(format_args!("/proc/version")), 0).expect("version");
    let piece = pread(fresh, &mut pieces[..7], 6);
    eq!(
        (piece, &pieces[..7]),
        (Ok(7), &b"version"[..]),
        "the first read may begin anywhere"
    );
    syscall(SYS_LSEEK, [fresh, 6, 0]).expect("lseek");
    let piece = syscall(SYS_READ, [fresh, pieces.as_mut_ptr() as u32, 7]);
    eq!(
        (piece, &pieces[..7]),
        (Ok(7), &b"version"[..]),
        "after a seek too"
    );
    eq!(
        (
            pread(fresh, &mut pieces, 1_000_000),
            pread(fresh, &mut pieces[..0], 0)
        ),
        (Ok(0), Ok(0)),
        "behind the end there is nothing"
    );
    eq!(
        syscall(SYS_LSEEK, [fresh, 0, 2]),
        Err(Errno::EINVAL),
        "the end has no position: EINVAL"
    );
    close(fresh);
    let status = open(&text(format_args!("/proc/self/status")), 2).map_err(|_| Errno::EINVAL);
    let written = status.and_then(|fd| syscall(SYS_WRITE, [fd, b"x".as_ptr() as u32, 1]));
    eq!(
        written,
        Err(Errno::EINVAL),
        "a process's files cannot be written: EINVAL"
    );
    // A later piece comes from the same text, even if the name has changed meanwhile.
    let fd = open(&text(format_args!("/proc/self/comm")), 0).expect("comm");
    let first = syscall(SYS_READ, [fd, pieces.as_mut_ptr() as u32, 2]);
    let name = |name: &core::ffi::CStr| {
        syscall(SYS_PRCTL, [15, name.as_ptr() as u32]).expect("PR_SET_NAME");
    };
    name(c"changed");
    let rest = syscall(SYS_READ, [fd, pieces[2..].as_mut_ptr() as u32, 90]);
    eq!(
        (first, rest, &pieces[..5]),
        (Ok(2), Ok(3), &b"proc\n"[..]),
        "pieces are of one text"
    );
    name(c"proc");
    close(fd);
}

fn pread(fd: u32, buffer: &mut [u8], at: u32) -> Result<u32, Errno> {
    let length = buffer.len() as u32;
    syscall(SYS_PREAD64, [fd, buffer.as_mut_ptr() as u32, length, at, 0])
}

fn after_exec() -> ! {
    let mut buffer = [0; 4096];
    let cmdline = read(&mut buffer, format_args!("/proc/self/cmdline")).unwrap_or("");
    exit(i32::from(cmdline.split('\0').nth(1) != Some("after-exec")))
}

/// Returns the line of `maps` for the area that contains `address`.
fn area_of(maps: &str, address: u32) -> Option<&str> {
    maps.lines().find(|line| {
        let bound = |at: usize| u32::from_str_radix(line.get(at..at + 8)?, 16).ok();
        (bound(0)..bound(9)).contains(&Some(address))
    })
}

fn maps() {
    let mut buffer = [0; 4096];
    let areas = read(&mut buffer, format_args!("/proc/self/maps")).expect("maps");
    let local = 0u8;
    let stack = area_of(areas, &raw const local as u32).unwrap_or("");
    ok!(
        stack.contains(" rw-p ") && stack.ends_with(" [stack]"),
        "maps has the stack"
    );
    let code = area_of(areas, maps as fn() as usize as u32).unwrap_or("");
    ok!(
        code.contains(" r-xp ") && code.ends_with("/proc"),
        "and the program"
    );
    expect_exit("but not for other users: EACCES", 0, || {
        let path = text(format_args!("/proc/{}/maps", rt::process::getppid()));
        setuid(NOBODY).expect("setuid");
        let read =
            open(&path, 0).and_then(|fd| syscall(SYS_READ, [fd, buffer.as_mut_ptr() as u32, 1]));
        i32::from(read != Err(Errno::EACCES))
    });
}

fn main() -> i32 {
    if start::arg(1) == Some("after-exec") {
        after_exec();
    }
    ktap::plan(64);
    names();
    listing();
    truth();
    of_others();
    positions();
    maps();
    rt::process::expect_exit("cmdline is the new program's", 0, || {
        exec_self(c"after-exec")
    });
    set_affinity(0, u32::MAX).expect("all CPUs");
    ktap::finish()
}

rt::main!(main);
