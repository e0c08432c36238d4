//! The files of `/proc` about the system.
//!
//! Linux: 5.4 `fs/proc/{stat,loadavg,uptime,meminfo}.c`.

use core::sync::atomic::Ordering;

use super::cpuinfo::cpuinfo;
use super::format::{USER_HZ, load, seconds};
use crate::base::errno::Errno;
use crate::base::percpu::{CPU_ONLINE_MASK, CpuUsageStat, NR_CPUS, NR_IRQS, SwitchCounts, per_cpu};
use crate::boot_info::saved_command_line;
use crate::drivers::rtc::boot_us;
use crate::drivers::tsc::since_boot_us;
use crate::fs::procfs::SystemFile;
use crate::mm::fallible::Text;
use crate::mm::frame::{nr_free_pages, totalram_pages};
use crate::process::tasklist::TASKLIST;
use crate::sched::loadavg::{FIXED_1, avenrun, nr_running};
use crate::sched::rq::cpu_rq;
use crate::sched::timer::ticks_in;

/// Returns the contents of `file`.
///
/// # Errors
/// ENOMEM.
pub fn show(file: SystemFile) -> Result<Text, Errno> {
    let mut out = Text::new();
    match file {
        SystemFile::Cmdline => writeln!(out, "{}", saved_command_line())?,
        SystemFile::Cpuinfo => return cpuinfo(),
        SystemFile::Loadavg => loadavg(&mut out)?,
        SystemFile::Meminfo => meminfo(&mut out)?,
        SystemFile::Stat => stat(&mut out)?,
        SystemFile::SwitchTo => switch_to(&mut out)?,
        SystemFile::Uptime => uptime(&mut out)?,
        SystemFile::Version => out.put(concat!(
            "Linux version 2.6.38-switch_to-",
            env!("CARGO_PKG_VERSION"),
            " #1 SMP PREEMPT\n"
        ))?,
    }
    Ok(out)
}

/// Returns the processors that are online.
pub fn online() -> impl Iterator<Item = u32> + Clone {
    let mask = CPU_ONLINE_MASK.load(Ordering::Relaxed);
    (0..NR_CPUS as u32).filter(move |cpu| mask & 1 << cpu != 0)
}

fn cpustat(cpu: u32) -> CpuUsageStat {
    // SAFETY: plain words of a live area, only read.
    unsafe { (&raw const (*per_cpu(cpu)).cpustat).read_volatile() }
}

fn counts(cpu: u32) -> SwitchCounts {
    // SAFETY: as above.
    unsafe { (&raw const (*per_cpu(cpu)).count).read_volatile() }
}

fn irqs(cpu: u32) -> [u32; NR_IRQS] {
    // SAFETY: as above.
    unsafe { (&raw const (*per_cpu(cpu)).irqs).read_volatile() }
}

fn nr_switches(cpu: u32) -> u64 {
    cpu_rq(cpu).nr_switches.get()
}

/// Returns the sum over all CPUs; it wraps to 0.
fn sum<T: Into<u64>>(each: impl Fn(u32) -> T) -> u64 {
    online().fold(0, |sum: u64, cpu| sum.wrapping_add(each(cpu).into()))
}

fn clock_t(ticks: u64) -> u64 {
    ticks_in(USER_HZ, ticks)
}

fn stat(out: &mut Text) -> Result<(), Errno> {
    let put_ticks = |out: &mut Text, ticks: [u64; 4]| {
        let [user, nice, system, idle] = ticks.map(clock_t);
        // iowait, irq, softirq, steal, guest, guest_nice: 0.
        writeln!(out, " {user} {nice} {system} {idle} 0 0 0 0 0 0")
    };
    let fields: [fn(CpuUsageStat) -> u32; 4] = [|s| s.user, |s| s.nice, |s| s.system, |s| s.idle];
    out.put("cpu ")?;
    put_ticks(out, fields.map(|field| sum(|cpu| field(cpustat(cpu)))))?;
    for cpu in online() {
        write!(out, "cpu{cpu}")?;
        put_ticks(out, fields.map(|field| u64::from(field(cpustat(cpu)))))?;
    }
    let forks = TASKLIST.lock().total_forks;
    write!(out, "intr {}", sum(|cpu| counts(cpu).interrupts))?;
    for irq in 0..NR_IRQS {
        write!(out, " {}", sum(|cpu| irqs(cpu)[irq]))?;
    }
    // procs_blocked is 0: no device makes a task wait.
    write!(
        out,
        "\nctxt {}\nbtime {}\nprocesses {forks}\nprocs_running {}\nprocs_blocked 0\n",
        sum(nr_switches),
        boot_us() / 1_000_000,
        nr_running(),
    )
}

fn loadavg(out: &mut Text) -> Result<(), Errno> {
    let [one, five, fifteen] = avenrun().map(|value| load(value, FIXED_1));
    let (threads, last_pid) = {
        let list = TASKLIST.lock();
        (list.pids.len(), list.pids.last_pid())
    };
    let running = nr_running();
    writeln!(out, "{one} {five} {fifteen} {running}/{threads} {last_pid}")
}

fn uptime(out: &mut Text) -> Result<(), Errno> {
    let idle_ms = ticks_in(1000, sum(|cpu| cpustat(cpu).idle));
    let up_ms = since_boot_us() / 1000;
    writeln!(out, "{} {}", seconds(up_ms), seconds(idle_ms))
}

fn meminfo(out: &mut Text) -> Result<(), Errno> {
    let [total, free] = [totalram_pages(), nr_free_pages()].map(|pages| u64::from(pages) << 2);
    for (name, kb) in [
        ("MemTotal:", total),
        ("MemFree:", free),
        ("MemAvailable:", free),
        ("Buffers:", 0),
        ("Cached:", 0),
        ("SwapTotal:", 0),
        ("SwapFree:", 0),
    ] {
        writeln!(out, "{name:14} {kb:9} kB")?;
    }
    Ok(())
}

/// Writes what the steps of the switch did: a line for each step, a column for each CPU. Linux has
/// no such file.
fn switch_to(out: &mut Text) -> Result<(), Errno> {
    type Count = fn(&SwitchCounts) -> u32;
    const COUNTS: [(&str, Count); 23] = [
        ("user_to_kernel", |c| c.user_to_kernel),
        ("kernel_to_user", |c| c.kernel_to_user),
        ("kernel_to_kernel", |c| c.kernel_to_kernel),
        ("cr3_writes", |c| c.cr3_writes),
        ("lazy_entries", |c| c.lazy_entries),
        ("lazy_leaves", |c| c.lazy_leaves),
        ("flush_ipis", |c| c.flush_ipis),
        ("flushes", |c| c.flushes),
        ("reschedule_ipis", |c| c.reschedule_ipis),
        ("migrations", |c| c.migrations),
        ("membarriers", |c| c.membarriers),
        ("core_syncs", |c| c.core_syncs),
        ("gs_loads", |c| c.gs_loads),
        ("fpu_saves", |c| c.fpu_saves),
        ("fpu_nm", |c| c.fpu_nm),
        ("fpu_preloads", |c| c.fpu_preloads),
        ("debug_loads", |c| c.debug_loads),
        ("io_bitmap_bytes", |c| c.io_bitmap_bytes),
        ("sysenter_cs_writes", |c| c.sysenter_cs_writes),
        ("paravirt_batches", |c| c.paravirt_batches),
        ("ticks", |c| c.ticks),
        ("interrupts", |c| c.interrupts),
        ("checks", |c| c.checks),
    ];
    write!(out, "{:18}", "")?;
    for cpu in online() {
        // As wide as a count, since there are at most ten CPUs.
        write!(out, "       CPU{cpu}")?;
    }
    let mut line = |name: &str, each: &dyn Fn(u32) -> u64| {
        write!(out, "\n{name:18}")?;
        online().try_for_each(|cpu| write!(out, " {:>10}", each(cpu)))
    };
    line("switches", &nr_switches)?;
    for (name, count) in COUNTS {
        line(name, &|cpu| count(&counts(cpu)).into())?;
    }
    out.put("\n")
}
