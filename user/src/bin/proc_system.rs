//! `/proc/stat`, `/proc/cpuinfo` and the time of day.
//!
//! Linux: proc(5), clock_gettime(2).
//! Red without: the clock chip that is read at boot; the counts of interrupt lines; CPUID.
#![no_std]
#![no_main]

use core::str::from_utf8;

use rt::{
    Errno,
    clock::{CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, sleep_ms},
    eq,
    gates::syscall,
    insn::cpuid,
    ktap, ok,
    proc::read,
    process::child,
};

const SYS_TIME: u32 = 13;
const SYS_GETTIMEOFDAY: u32 = 78;
const SYS_FUTEX: u32 = 240;
const SYS_CLOCK_NANOSLEEP: u32 = 267;
const CLOCK_REALTIME_COARSE: u32 = 5;
const TIMER_ABSTIME: u32 = 1;
const FUTEX_WAIT_BITSET: u32 = 9;
const FUTEX_CLOCK_REALTIME: u32 = 256;
/// The beginning of 2023: this program did not exist before.
const NOT_BEFORE: u32 = 1_672_531_200;

type Buffer = [u8; 16384];

fn file<'b>(buffer: &'b mut Buffer, name: &str) -> &'b str {
    read(buffer, format_args!("/proc/{name}")).expect("a file of the system")
}

/// Returns the rest of the line of `/proc/stat` that begins with `name`.
fn stat<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
}

fn count(name: &str) -> u64 {
    let mut buffer = [0; 16384];
    let count = stat(file(&mut buffer, "stat"), name).and_then(|line| line.split(' ').next());
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}

fn uptime_s() -> u32 {
    let mut buffer = [0; 16384];
    let whole = file(&mut buffer, "uptime").split('.').next();
    whole.and_then(|whole| whole.parse().ok()).unwrap_or(0)
}

fn seconds(clock: u32) -> u32 {
    clock_gettime(clock).expect("a clock")[0]
}

/// Returns whether `read` lies between the clock before and after reading it.
fn is_between(before: u32, read: u32, after: u32) -> bool {
    (before..=after).contains(&read)
}

fn time_of_day() {
    let before = seconds(CLOCK_REALTIME);
    ok!(before >= NOT_BEFORE, "the calendar does not begin at boot");
    let time = syscall(SYS_TIME, [0]).unwrap_or(0);
    ok!(
        is_between(before, time + 1, seconds(CLOCK_REALTIME) + 1),
        "time"
    );
    let mut tv = [0u32; 2];
    syscall(SYS_GETTIMEOFDAY, [tv.as_mut_ptr() as u32, 0]).expect("gettimeofday");
    ok!(
        is_between(before, tv[0], seconds(CLOCK_REALTIME)),
        "gettimeofday"
    );
    let coarse = seconds(CLOCK_REALTIME_COARSE);
    ok!(
        is_between(before, coarse + 1, seconds(CLOCK_REALTIME) + 1),
        "CLOCK_REALTIME_COARSE"
    );
    let (before, up) = (seconds(CLOCK_REALTIME), uptime_s());
    let after = seconds(CLOCK_REALTIME);
    let booted = count("btime") as u32;
    ok!(
        is_between(before - up - 1, booted, after - up + 1),
        "btime is when the system was booted"
    );
    for (clock, name) in [
        (CLOCK_REALTIME, "CLOCK_REALTIME"),
        (CLOCK_MONOTONIC, "CLOCK_MONOTONIC"),
    ] {
        let mut end = clock_gettime(clock).expect("a clock");
        end[0] += 1;
        let slept = syscall(
            SYS_CLOCK_NANOSLEEP,
            [clock, TIMER_ABSTIME, end.as_ptr() as u32, 0],
        );
        eq!(
            (slept, clock_gettime(clock).expect("a clock") >= end),
            (Ok(0), true),
            "a sleep until a time of {name}"
        );
        let word = 0u32;
        let of_clock = if clock == CLOCK_REALTIME {
            FUTEX_CLOCK_REALTIME
        } else {
            0
        };
        end[0] += 1;
        let operation = FUTEX_WAIT_BITSET | of_clock;
        let (at, end_at) = (&raw const word as u32, end.as_ptr() as u32);
        let waited = syscall(SYS_FUTEX, [at, operation, 0, end_at, 0, u32::MAX]);
        eq!(
            (waited, clock_gettime(clock).expect("a clock") >= end),
            (Err(Errno::ETIMEDOUT), true),
            "a futex until a time of {name}"
        );
    }
}

fn system() {
    let mut buffer = [0; 16384];
    let text = file(&mut buffer, "stat");
    let mut wanted = [
        "cpu",
        "cpu0",
        "intr",
        "ctxt",
        "btime",
        "processes",
        "procs_running",
        "procs_blocked",
    ]
    .iter()
    .peekable();
    for line in text.lines() {
        let name = line.split(' ').next();
        wanted.next_if(|wanted| Some(**wanted) == name);
    }
    eq!(
        wanted.next(),
        None,
        "stat has Linux's lines in Linux's order"
    );
    let interrupts = stat(text, "intr").unwrap_or("");
    let mut counts = interrupts
        .split_whitespace()
        .map(|count| count.parse().unwrap_or(u64::MAX));
    let (all, lines) = (counts.next().unwrap_or(0), counts.clone().count());
    ok!(
        lines >= 16 && counts.sum::<u64>() <= all,
        "intr has all interrupts, and those of each line"
    );
    let before = ["ctxt", "processes"].map(count);
    child(|| 0).wait();
    sleep_ms(10);
    let after = ["ctxt", "processes"].map(count);
    ok!(after[0] > before[0], "ctxt counts switches");
    ok!(after[1] > before[1], "processes counts forks");
    ok!(count("procs_running") >= 1, "the reader itself runs");
}

/// Returns the value of a line of `cpuinfo` for the first processor.
fn of_cpu<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut lines = text.lines().take_while(|line| !line.is_empty());
    lines.find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim_end() == name).then_some(value.trim())
    })
}

/// Returns the processor's brand string, 48 bytes of CPUID.
fn brand(bytes: &mut [u8; 48]) -> &str {
    for (leaf, part) in (0x8000_0002..).zip(bytes.chunks_exact_mut(16)) {
        for (word, to) in cpuid(leaf).iter().zip(part.chunks_exact_mut(4)) {
            to.copy_from_slice(&word.to_le_bytes());
        }
    }
    if cpuid(0x8000_0000)[0] < 0x8000_0004 {
        return "";
    }
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(48);
    from_utf8(&bytes[..end]).unwrap_or("").trim()
}

fn processors() {
    let mut buffer = [0; 16384];
    let text = file(&mut buffer, "cpuinfo");
    let mut wanted = [
        "processor",
        "vendor_id",
        "cpu family",
        "model",
        "model name",
        "stepping",
        "cpu MHz",
        "fpu",
        "fpu_exception",
        "cpuid level",
        "wp",
        "flags",
        "bogomips",
        "clflush size",
        "cache_alignment",
        "address sizes",
        "power management",
    ]
    .iter()
    .peekable();
    for line in text.lines().take_while(|line| !line.is_empty()) {
        let name = line.split(':').next().map(str::trim_end);
        wanted.next_if(|wanted| Some(**wanted) == name);
    }
    eq!(
        wanted.next(),
        None,
        "cpuinfo has Linux's lines in Linux's order"
    );
    let mut bytes = [0; 48];
    match brand(&mut bytes) {
        "" => ok!(
            of_cpu(text, "model name").is_some_and(|name| !name.is_empty()),
            "model name is the processor's own, if it has one"
        ),
        brand => eq!(
            of_cpu(text, "model name"),
            Some(brand),
            "model name is the processor's own, if it has one"
        ),
    }
    let flag =
        |name| of_cpu(text, "flags").is_some_and(|flags| flags.split(' ').any(|it| it == name));
    let [_, _, ecx, edx] = cpuid(1);
    for (name, has) in [
        ("fpu", edx & 1 != 0),
        ("cx8", edx >> 8 & 1 != 0),
        ("clflush", edx >> 19 & 1 != 0),
        ("sse2", edx >> 26 & 1 != 0),
        ("pni", ecx & 1 != 0),
        ("ssse3", ecx >> 9 & 1 != 0),
    ] {
        eq!(flag(name), has, "the flag {name} is CPUID's");
    }
    let bogomips = of_cpu(text, "bogomips").and_then(|it| it.split_once('.'));
    ok!(
        bogomips.is_some_and(|(whole, rest)| whole.parse::<u32>().is_ok() && rest.len() == 2),
        "bogomips has two digits behind the point"
    );
    let sizes = cpuid(0x8000_0008)[0].to_le_bytes();
    let mut expected = rt::proc::text(format_args!(""));
    let has_sizes = cpuid(0x8000_0000)[0] >= 0x8000_0008;
    let _ = core::fmt::Write::write_fmt(
        &mut expected,
        format_args!("{} bits physical, {} bits virtual", sizes[0], sizes[1]),
    );
    let told = of_cpu(text, "address sizes");
    ok!(
        !has_sizes || told == Some(expected.as_str()),
        "address sizes are CPUID's"
    );
    let number = |name: &str| of_cpu(text, name).and_then(|it| it.parse::<u32>().ok());
    let blocks = text
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count() as u32;
    let same = text
        .lines()
        .filter(|line| line.starts_with("physical id"))
        .filter(|line| line.split(": ").nth(1) == of_cpu(text, "physical id"))
        .count() as u32;
    match number("siblings") {
        // It is alone in its package.
        None => ok!(same == 0, "siblings are those of one package"),
        Some(siblings) => ok!(
            siblings == same && siblings <= blocks && number("cpu cores") <= Some(siblings),
            "siblings are those of one package"
        ),
    }
}

fn main() -> i32 {
    ktap::plan(25);
    time_of_day();
    system();
    processors();
    ktap::finish()
}

rt::main!(main);
