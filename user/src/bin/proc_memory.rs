//! `/proc/PID/status`: how much memory a process has now and has had at most; `/proc/PID/maps`: its areas.
//!
//! Linux: proc(5).
//! Red without: the counts of pages and their peaks, the parts of a long list of areas.
#![no_std]
#![no_main]

use rt::{
    eq,
    gates::syscall,
    ktap,
    memory::{MAP_PRIVATE, MAP_SHARED, PAGE_SIZE, PROT_READ, PROT_WRITE, mmap_anonymous, munmap},
    ok,
    proc::{close, field, open, read, status_number, text, touch},
    process::child,
};

const SYS_READ: u32 = 3;
const SYS_MPROTECT: u32 = 125;
const SYS_PREAD64: u32 = 180;

const MIB: u32 = 1 << 20;
/// Kilobytes by which Linux's counts of pages may be behind: each CPU keeps some for itself.
const SLACK: u32 = 512;

/// Returns the value of a line of `status`, in kilobytes.
fn kb(name: &str) -> u32 {
    status_number(name).unwrap_or_else(|| {
        rt::println!("# no line {name}");
        0
    })
}

/// Returns by how much a line grows when 8 MiB are mapped and touched.
fn grown(name: &str, sharing: u32, write: bool) -> u32 {
    let address = mmap_anonymous(8 * MIB, PROT_READ | PROT_WRITE, sharing).expect("mmap");
    let before = kb(name);
    touch(address, 8 * MIB, write);
    let after = kb(name);
    munmap(address, 8 * MIB).expect("munmap");
    after.saturating_sub(before)
}

fn is_about(kb: u32, wanted: u32) -> bool {
    kb.abs_diff(wanted) <= SLACK
}

fn memory() {
    let names = ["VmSize", "VmData", "VmPTE"];
    let before = names.map(kb);
    let address = mmap_anonymous(8 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE).expect("mmap");
    let mapped = names.map(kb);
    eq!(mapped[0], before[0] + 8192, "VmSize counts all mappings");
    eq!(
        mapped[1],
        before[1] + 8192,
        "VmData counts private, writable memory"
    );
    touch(address, 8 * MIB, true);
    ok!(kb("VmPTE") >= before[2] + 8, "VmPTE counts the page tables");
    munmap(address, 8 * MIB).expect("munmap");
    let (size, peak) = (kb("VmSize"), kb("VmPeak"));
    eq!(size, before[0], "unmapped it is gone");
    ok!(peak >= before[0] + 8192, "but VmPeak remembers it");
    // One page more: a kernel that remembered only the last size would fail here.
    let page = mmap_anonymous(4096, PROT_READ | PROT_WRITE, MAP_PRIVATE).expect("mmap");
    touch(page, 4096, true);
    munmap(page, 4096).expect("munmap");
    let (rss, most) = (kb("VmRSS"), kb("VmHWM"));
    ok!(most + SLACK >= rss + 8192, "VmHWM remembers the pages");
    let shared = mmap_anonymous(8 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED).expect("mmap");
    eq!(kb("VmData"), before[1], "shared memory is no data");
    munmap(shared, 8 * MIB).expect("munmap");
    for (name, sharing, write, wanted) in [
        ("VmRSS", MAP_PRIVATE, true, 8192),
        ("RssAnon", MAP_PRIVATE, true, 8192),
        ("RssFile", MAP_PRIVATE, true, 0),
        ("RssShmem", MAP_PRIVATE, true, 0),
        ("VmRSS", MAP_SHARED, true, 8192),
        ("RssAnon", MAP_SHARED, true, 0),
        ("RssShmem", MAP_SHARED, true, 8192),
        ("VmRSS", MAP_PRIVATE, false, 0),
    ] {
        let grown = grown(name, sharing, write);
        let sharing = if sharing == MAP_SHARED {
            "shared"
        } else {
            "private"
        };
        let access = if write { "written" } else { "read" };
        ok!(
            is_about(grown, wanted),
            "{name}: {sharing} memory that is {access}"
        );
    }
    let mut buffer = [0; 8192];
    let text = read(&mut buffer, format_args!("/proc/self/status")).expect("status");
    let kb_in = |name: &str| -> u32 {
        let line = field(text, name).and_then(|line| line.split(' ').next());
        line.and_then(|kb| kb.parse().ok()).unwrap_or(0)
    };
    let parts = ["RssAnon", "RssFile", "RssShmem"].map(kb_in);
    eq!(
        parts.iter().sum::<u32>(),
        kb_in("VmRSS"),
        "VmRSS is the sum of its kinds"
    );
    ok!(
        kb_in("VmStk") >= 8 && kb_in("VmExe") >= 4,
        "stack and code are counted"
    );
    let fork = child(|| {
        let fresh = kb("VmPeak") < before[0] + 8192 && kb("VmHWM") < rss + 8192 - SLACK;
        i32::from(!fresh)
    });
    eq!(
        fork.wait(),
        rt::WaitStatus::exited(0),
        "a forked child's peaks are its own"
    );
}

/// Many areas fill many pages of text: read in odd pieces, each is there once, in order.
fn many_areas() {
    const AREAS: u32 = 400;
    const PIECE: usize = 97;
    let base = mmap_anonymous(AREAS * 2 * PAGE_SIZE, 0, MAP_PRIVATE).expect("mmap");
    for area in 0..AREAS {
        let address = base + area * 2 * PAGE_SIZE;
        syscall(SYS_MPROTECT, [address, PAGE_SIZE, PROT_READ]).expect("mprotect");
    }
    let fd = open(&text(format_args!("/proc/self/maps")), 0).expect("maps");
    let mut buffer = [0; 65536];
    let mut used = 0;
    while let Ok(read @ 1..) = syscall(
        SYS_READ,
        [fd, buffer[used..].as_mut_ptr() as u32, PIECE as u32],
    ) {
        used += read as usize;
    }
    let lines = core::str::from_utf8(&buffer[..used]).unwrap_or("").lines();
    let starts = lines
        .filter(|line| line.contains(" r--p "))
        .filter_map(|line| {
            let start = u32::from_str_radix(line.split('-').next()?, 16).ok()?;
            (base..base + AREAS * 2 * PAGE_SIZE)
                .contains(&start)
                .then_some(start)
        });
    let expected = (0..AREAS).map(|area| base + area * 2 * PAGE_SIZE);
    ok!(starts.eq(expected), "maps has all of many areas");
    let mut last = [0; 4096];
    let at = used as u64 - 100;
    let read = syscall(
        SYS_PREAD64,
        [fd, last.as_mut_ptr() as u32, 4096, at as u32, 0],
    );
    eq!(
        (read, &last[..100]),
        (Ok(100), &buffer[used - 100..used]),
        "and its end is found from anywhere"
    );
    close(fd);
    munmap(base, AREAS * 2 * PAGE_SIZE).expect("munmap");
}

fn main() -> i32 {
    ktap::plan(20);
    memory();
    many_areas();
    ktap::finish()
}

rt::main!(main);
