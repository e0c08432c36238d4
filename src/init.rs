//! `start_kernel`: the steps of booting, one line each.
//!
//! It runs on the boot CPU's stack, which becomes its idle task's; `kernel_init` continues on the
//! stack of task 1.
//!
//! Book: appendix A, "Modern Age: the start_kernel() Function". Linux: 2.6.38 `init/main.c`.

extern crate alloc;
use alloc::string::String;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt::Write;

use arrayvec::ArrayString;
use spin::Once;

use crate::arch::x86::boot::acpi;
use crate::arch::x86::boot::head::fatal;
use crate::arch::x86::current::current;
use crate::arch::x86::entry::traps;
use crate::arch::x86::irq::{do_irq, lapic};
use crate::arch::x86::switch::canary::boot_init_stack_canary;
use crate::arch::x86::switch::{io_bitmap, math_state, paravirt};
use crate::arch::x86::{backtrace, breakpoints, epitaph, gdt, reboot};
use crate::base::cmdline;
use crate::base::cmdline::{Cmdline, Job, OnPanic};
use crate::base::consoles::Consoles;
use crate::base::errno::Errno;
use crate::base::exit_value::ExitValue;
use crate::base::percpu;
use crate::base::thread_info::{STACK_TOP_GAP, THREAD_SIZE, current_thread_info};
use crate::base::trace_word::Trace;
use crate::boot_info::{BootInfo, Rsdt, save_command_line};
use crate::drivers::vt::grid::STATUS_ROW;
use crate::drivers::{console, i8042, printk, rtc, serial, tsc};
use crate::fs::{procfs, rootfs, tty};
use crate::hw::madt::{Madt, SdtError};
use crate::mm::fallible::{TryVec, try_collect, try_to_string};
use crate::mm::frame::phys_to_virt;
use crate::mm::memblock::Range;
use crate::mm::{self, fail_alloc};
use crate::process::kernel_execve::kernel_execve;
use crate::process::kthread::{kernel_thread, new_kernel_thread};
use crate::process::randomize::norandmaps;
use crate::process::tasklist::TASKLIST;
use crate::process::{proc, tty_signal, watchdog};
use crate::sched::hooks::sched_info::force_schedstat_enabled;
use crate::sched::hooks::trace::trace_all_tasks;
use crate::sched::migration::migration_thread;
use crate::sched::policy::make_thread_of_cpu;
use crate::sched::trace_thread::trace_thread;
use crate::sched::wake_up::wake_up_new_task;
use crate::sched::{idle, rq, smp_init, status_line};
use crate::selftest::{self, stress::Storm};
use crate::sync::irqsoff;
use crate::task::comm::TASK_COMM_LEN;
use crate::tour;
use crate::trace::rings;

/// The firmware's table of processors.
static MADT: Once<Madt> = Once::new();
/// The parsed command line.
static CMDLINE: Once<Cmdline<'static>> = Once::new();

/// Boots a checked machine up to the first process.
///
/// # Safety
/// 1. Called once, by the entry in `main.rs`, on the boot stack, interrupts off.
pub unsafe fn start_kernel(boot_info: &'static BootInfo) -> ! {
    let stack = core::ptr::from_ref(current_thread_info()) as usize;

    parse_cmdline(boot_info.cmdline);
    // SAFETY: the boot CPU, once, interrupts off, each step after the one before.
    unsafe {
        percpu::setup_per_cpu_areas();
        rq::sched_init();
        gdt::cpu_init(0, stack.saturating_add(THREAD_SIZE - STACK_TOP_GAP) as u32);
        traps::trap_init(0);
    }
    rtc::read_persistent_clock();
    mem_init(boot_info);
    if let Some(symbols) = &boot_info.symbols {
        // SAFETY: `BootInfo::memblock` has reserved the symbols, and `mem_init` has mapped them.
        unsafe { backtrace::use_symbols(symbols) };
    }
    // SAFETY: the boot CPU, once, on its boot stack, before any other task.
    unsafe { idle::init_idle(0, stack) };
    breakpoints::probe();
    boot_init_stack_canary();
    mount_root(boot_info.initramfs());
    let madt = find_madt(boot_info.rsdt);
    // A machine that does not tell is switched off by hand.
    if let Some(Ok(how)) = boot_info.rsdt.map(acpi::find_power_off) {
        reboot::set_power_off(how);
    }
    do_irq::init_irq(madt);
    start_trace();
    if let Err(errno) = kernel_thread(kernel_init, 0, "init") {
        fatal(ExitValue::Init, format_args!("cannot make task 1: {errno}"));
    }
    start_console();
    idle::cpu_idle()
}

/// Parses the command line, and logs the words that have no effect.
#[inline(never)]
fn parse_cmdline(line: &'static str) {
    save_command_line(line);
    let (cmdline, warnings) = cmdline::parse(line);
    printk::set_console_loglevel(cmdline.loglevel);
    for warning in warnings {
        log::warn!("cmdline: {warning}");
    }
    watchdog::set_seconds(cmdline.watchdog_s);
    if cmdline.norandmaps {
        norandmaps();
    }
    math_state::set_mode(cmdline.fpu);
    io_bitmap::set_mode(cmdline.io_bitmap);
    paravirt::set_mode(cmdline.paravirt);
    if cmdline.schedstats {
        force_schedstat_enabled();
    }
    if cmdline.trace != Trace::Off {
        trace_all_tasks();
    }
    if let Some(chosen) = cmdline.consoles {
        console::choose(chosen);
    }
    epitaph::set_panic_halt(cmdline.panic == OnPanic::Halt);
    CMDLINE.call_once(|| cmdline);
}

/// Sets up page frames, heap and kernel stacks, or ends the run.
// Not inlined: its frame is large, and later steps need the rest of the boot stack.
#[inline(never)]
fn mem_init(boot_info: &BootInfo) {
    let ready = match boot_info.memblock() {
        Ok(mut blocks) => mm::setup::mem_init(&mut blocks).is_ok(),
        Err(_) => false,
    };
    if !ready {
        fatal(
            ExitValue::TooLittleMemory,
            format_args!("too little memory for the kernel's tables"),
        );
    }
    log::info!(
        "mm: {} KiB free of {} KiB",
        mm::frame::nr_free_pages() << 2,
        mm::frame::totalram_pages() << 2
    );
}

/// Returns the firmware's list of processors; without one the kernel uses one processor.
fn find_madt(rsdt: Option<Rsdt>) -> Option<&'static Madt> {
    match rsdt.ok_or(SdtError::Missing).and_then(acpi::find_madt) {
        Ok(madt) => Some(MADT.call_once(|| madt)),
        Err(SdtError::Missing) => {
            log::info!("smp: the firmware has no MADT: one CPU");
            None
        }
        Err(error) => {
            log::warn!("smp: the firmware's MADT cannot be used: {error}: one CPU");
            None
        }
    }
}

/// Starts the other CPUs, and on each the threads that serve only it: the one that moves tasks off
/// it, and with `trace=on` the one that empties its ring.
fn smp_init(max_cpus: u32) {
    let cpus = match MADT.get() {
        Some(madt) if lapic::in_use() => smp_init::smp_init(madt, max_cpus),
        _ => 1,
    };
    for cpu in 0..cpus {
        start_cpu_thread(migration_thread, "migration", cpu, 99);
        if rings::is_on() {
            start_cpu_thread(trace_thread, "trace", cpu, 98);
        }
    }
}

/// Starts a kernel thread `name/cpu` with SCHED_FIFO, bound to that CPU.
fn start_cpu_thread(function: extern "C" fn(u32) -> i32, name: &str, cpu: u32, rt_priority: u32) {
    let mut full_name = ArrayString::<TASK_COMM_LEN>::new();
    // What does not fit is cut, as all names of tasks are.
    let _cut = write!(full_name, "{name}/{cpu}");
    match new_kernel_thread(function, cpu, &full_name) {
        Ok(thread) => {
            make_thread_of_cpu(&thread, rt_priority, cpu);
            wake_up_new_task(&thread);
        }
        Err(errno) => log::error!("smp: no thread {name}/{cpu}: {errno}"),
    }
}

/// Starts the recording of switches, with `trace=on`.
fn start_trace() {
    let trace = CMDLINE.get().map_or(Trace::Off, |cmdline| cmdline.trace);
    if trace != Trace::Off
        && let Err(why) = rings::start(tsc::khz(), tsc::start(), trace == Trace::Live)
    {
        log::warn!("trace: {why}: nothing is recorded");
    }
}

/// Mounts the initramfs as root directory, or ends the run.
fn mount_root(initramfs: Option<Range>) {
    let Some(range) = initramfs else {
        fatal(
            ExitValue::Initramfs,
            format_args!("no initramfs: the loader gave no module"),
        );
    };
    // SAFETY: the loader put the module there, `mem_init` keeps it reserved for ever, and it lies
    // in the direct map: `head` checked that.
    let archive = unsafe {
        core::slice::from_raw_parts(
            phys_to_virt(range.start),
            range.end.saturating_sub(range.start) as usize,
        )
    };
    let trace = CMDLINE
        .get()
        .is_some_and(|cmdline| cmdline.trace != Trace::Off);
    match rootfs::mount(archive, trace) {
        Ok(_) => {
            procfs::register_filesystem(&proc::ops::OPS);
            log::info!("rootfs: initramfs of {} KiB", archive.len() / 1024);
        }
        Err(error) => fatal(
            ExitValue::Initramfs,
            format_args!("initramfs is broken: {error}"),
        ),
    }
}

/// Starts the input from COM1 and from the keyboard, including keys that send signals. What is not
/// there sends nothing.
fn start_console() {
    let started = tty_signal::start().is_ok()
        && do_irq::request_irq(serial::COM1_IRQ, tty::serial_interrupt).is_ok()
        && do_irq::request_irq(i8042::KEYBOARD_IRQ, tty::keyboard_interrupt).is_ok();
    if !started {
        log::warn!("console: no input");
        return;
    }
    serial::enable_receive_interrupt();
    if !i8042::init() {
        log::info!("console: no keyboard controller");
    }
}

/// Does the job that the command line requests, as task 1.
extern "C" fn kernel_init(_: u32) -> i32 {
    let cmdline = CMDLINE.get().cloned().unwrap_or_default();
    smp_init(cmdline.max_cpus);
    irqsoff::start();
    fail_alloc::setup(cmdline.fail_alloc);
    match cmdline.job {
        Job::Init => run_init_process(&cmdline),
        Job::Tour(pauses) => tour::run(pauses),
        Job::Selftest(glob) => selftest::run(glob),
        Job::Stress(rounds) => selftest::stress::run(Storm { seed: None, rounds }),
        Job::Fuzz(seed, rounds) => selftest::stress::run(Storm {
            seed: Some(seed),
            rounds,
        }),
    }
}

/// Executes the first program, whose end is the end of the system.
fn run_init_process(cmdline: &Cmdline<'_>) -> ! {
    let path = &cmdline.init;
    let me = current();
    TASKLIST.lock().change_pgrp(&me, me.pid(), me.pid());
    tty::set_foreground(me.pid());
    log::info!("init: {path}");
    if console::has_screen() {
        status_line::start();
    }
    if console::terminal().contains(Consoles::SCREEN) {
        tty::set_rows(STATUS_ROW as u8);
    }
    match execute_init(cmdline) {
        Ok(never) => match never {},
        Err(errno) => fatal(
            ExitValue::Init,
            format_args!("init {path} cannot be loaded: {errno}"),
        ),
    }
}

/// Executes the program that the command line names. Returns with an error only: as
/// [`kernel_execve`].
fn execute_init(cmdline: &Cmdline<'_>) -> Result<Infallible, Errno> {
    let words = [try_to_string(cmdline.init)]
        .into_iter()
        .chain(cmdline.init_args.clone().map(try_to_string));
    let mut argv = Vec::new();
    for word in words {
        argv.try_push(word?)?;
    }
    kernel_execve(&try_collect(argv.iter().map(String::as_str))?)
}
