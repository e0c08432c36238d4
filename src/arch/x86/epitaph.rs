//! The end of the kernel: its last report, and the place where a debugger finds it.
//!
//! Panics and faults in the kernel end here, on whatever stack they occurred. The report goes to
//! the serial line and the screen without waiting for a lock: registers, task, back-trace. The
//! static [`EPITAPH`] keeps its first line, NUL-terminated: `x/s &EPITAPH` in gdb shows it even if
//! no console worked.
//!
//! Linux: 2.6.38 `die`, `panic`, `show_regs`.

use core::{
    arch::asm,
    fmt::{self, Write},
    mem::offset_of,
    panic::PanicInfo,
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering},
};

use arrayvec::ArrayString;

use crate::arch::x86::backtrace::{Symbolised, return_addresses};
use crate::arch::x86::current::current;
use crate::arch::x86::irq::do_irq::with_irq_regs;
use crate::arch::x86::irq::smp::{other_cpus, send_nmi, smp_send_stop};
use crate::base::exit_value::ExitValue;
use crate::base::insn;
use crate::base::percpu::{NR_CPUS, smp_processor_id};
use crate::base::pt_regs::PtRegs;
use crate::drivers::printk::PanicConsole;
use crate::drivers::qemu_exit;
use crate::drivers::tsc::since_boot_us;

/// Size of [`EPITAPH`] in bytes.
pub const EPITAPH_BYTES: usize = 512;

/// The first line of the report, in UTF-8, NUL-terminated; empty while the kernel lives.
#[unsafe(no_mangle)]
pub static EPITAPH: [AtomicU8; EPITAPH_BYTES] = [const { AtomicU8::new(0) }; EPITAPH_BYTES];

/// Number of bytes of [`EPITAPH`] that are written.
static LENGTH: AtomicUsize = AtomicUsize::new(0);
/// The first CPU that died. Nothing that happens while it reports is reported.
static DYING: AtomicU32 = AtomicU32::new(NOBODY);
const NOBODY: u32 = u32::MAX;
/// `panic=halt`: stop instead of ending QEMU, so that a debugger can look.
static HALT: AtomicBool = AtomicBool::new(false);

/// Returns whether a CPU is dying; that CPU reports the reason itself.
pub fn is_dying() -> bool {
    DYING.load(Ordering::Acquire) != NOBODY
}

/// Chooses what follows a panic: stopping (`panic=halt`) or ending QEMU (`panic=exit`, the
/// default).
pub fn set_panic_halt(halt: bool) {
    HALT.store(halt, Ordering::Relaxed);
}

/// Reports a panic and ends the kernel. Called by the panic handler.
pub fn panic(info: &PanicInfo<'_>) -> ! {
    let regs = registers_now();
    begin();
    let mut message = ArrayString::<EPITAPH_BYTES>::new();
    // The part that does not fit is cut off.
    let _ = write!(message, "{}", info.message());
    // Assertions name a broken invariant as `BUG: ...` themselves.
    let text = message.strip_prefix("BUG: ").unwrap_or(&message);
    let out = &mut PanicConsole;
    match info.location() {
        Some(at) => headline(out, format_args!("panicked at {at}: {text}")),
        None => headline(out, format_args!("panicked: {text}")),
    }
    show_task(out);
    show_regs(out, &regs, regs.sp);
    show_backtrace(out, regs.bp);
    end()
}

/// Reports a fault in the kernel at `regs`, where the stack pointer was `esp`, and ends the kernel.
pub fn die(message: fmt::Arguments<'_>, regs: &PtRegs, esp: u32) -> ! {
    begin();
    let out = &mut PanicConsole;
    headline(out, message);
    show_task(out);
    show_regs(out, regs, esp);
    show_backtrace(out, regs.bp);
    end()
}

/// Ends a kernel that no longer switches: reports every CPU's registers, then calls `show_tasks`.
/// Called in an interrupt or an NMI with interrupts off; `nmi` holds the registers that the NMI
/// interrupted.
pub fn lockup(message: fmt::Arguments<'_>, nmi: Option<&PtRegs>, show_tasks: fn()) -> ! {
    insn::cli();
    let out = &mut PanicConsole;
    headline(out, message);
    // Not our own registers, but those that the tick or the NMI interrupted.
    with_irq_regs(|regs| match nmi.or(regs) {
        Some(regs) => show_interrupted(out, regs),
        None => {
            let regs = registers_now();
            show_cpu(out, &regs, regs.sp);
        }
    });
    for cpu in (0..NR_CPUS as u32).filter(|cpu| other_cpus() & 1 << cpu != 0) {
        ask_cpu(out, cpu);
    }
    show_tasks();
    // Code that was held up may have gone on until now; from here on no CPU does.
    begin();
    end()
}

/// Reports a forbidden use of a lock, with the back-traces of this use and of the earlier one, and
/// ends the kernel.
#[cfg(debug_assertions)]
#[unsafe(no_mangle)]
fn lock_misuse(misuse: &crate::base::upward::Misuse<'_>) -> ! {
    let regs = registers_now();
    begin();
    let out = &mut PanicConsole;
    headline(out, format_args!("{}", misuse.what));
    let _ = writeln!(out, "a lock of class {:?}", misuse.lock);
    if let Some(other) = misuse.other {
        let _ = writeln!(out, "and one of class {other:?}, held here");
    }
    show_task(out);
    show_regs(out, &regs, regs.sp);
    show_backtrace(out, regs.bp);
    if misuse.there[0] != 0 {
        let _ = writeln!(out, "the other backtrace:");
    }
    for address in misuse.there.into_iter().take_while(|&address| address != 0) {
        let _ = writeln!(out, "  {}", Symbolised(address));
    }
    end()
}

#[cfg(debug_assertions)]
crate::provides_upward!(lock_misuse);

/// CPUs that owe a report, one bit each.
static ASKED: AtomicU32 = AtomicU32::new(0);

/// Time that a CPU may take for its report, in microseconds. A virtual CPU may wait for a real one.
const REPORT_US: u64 = 5_000_000;

/// Makes CPU `cpu` report by sending it an NMI, which disabled interrupts do not hold back.
fn ask_cpu(out: &mut impl Write, cpu: u32) {
    ASKED.store(1 << cpu, Ordering::Release);
    send_nmi(1 << cpu);
    let end = since_boot_us() + REPORT_US;
    while ASKED.load(Ordering::Acquire) != 0 {
        if since_boot_us() > end {
            let _ = writeln!(out, "cpu {cpu} does not answer");
            return;
        }
        core::hint::spin_loop();
    }
}

/// Handles an NMI: reports this CPU if a report was asked for, and returns whether one was.
pub fn nmi_report(regs: &PtRegs) -> bool {
    let bit = 1 << smp_processor_id();
    if ASKED.load(Ordering::Acquire) & bit == 0 {
        return false;
    }
    show_interrupted(&mut PanicConsole, regs);
    ASKED.fetch_and(!bit, Ordering::AcqRel);
    true
}

/// Writes the state of a CPU at an interrupt frame, in the place where the frame lies on the stack.
fn show_interrupted(out: &mut impl Write, regs: &PtRegs) {
    // From ring 0 the processor pushes no esp: the old esp is the end of the frame.
    let esp = if regs.user_mode() {
        regs.sp
    } else {
        &raw const regs.sp as u32
    };
    show_cpu(out, regs, esp);
}

fn show_cpu(out: &mut impl Write, regs: &PtRegs, esp: u32) {
    show_task(out);
    show_regs(out, regs, esp);
    if !regs.user_mode() {
        show_backtrace(out, regs.bp);
    }
}

/// Appends `message` to [`EPITAPH`] and cuts off the part that does not fit.
pub fn record(message: fmt::Arguments<'_>) {
    // Writing never fails: the part that does not fit is dropped.
    let _ = Stone.write_fmt(message);
}

fn begin() {
    insn::cli();
    // Before the task register is loaded there is only one CPU, and %fs leads nowhere.
    let is_early = insn::str() == 0;
    let me = if is_early { 0 } else { smp_processor_id() };
    match DYING.compare_exchange(NOBODY, me, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) if is_early => {}
        Ok(_) => smp_send_stop(),
        Err(dying) if dying == me => end(),
        // Another CPU is writing its report, and ours would break into it.
        Err(_) => qemu_exit::halt(),
    }
}

fn end() -> ! {
    qemu_exit::halt_or_exit(HALT.load(Ordering::Relaxed), ExitValue::Panic)
}

// The results of writing are dropped below: the console accepts everything.

fn headline(out: &mut impl Write, message: fmt::Arguments<'_>) {
    record(format_args!("BUG: {message}"));
    PanicConsole::finish_line();
    let _ = writeln!(out, "BUG: {message}");
}

/// Writes which task ran. Before the task register is loaded, CPUs and tasks are not known.
fn show_task(out: &mut impl Write) {
    if insn::str() == 0 {
        let _ = writeln!(out, "boot cpu, before the first task");
        return;
    }
    let cpu = smp_processor_id();
    let task = current();
    if task.as_ptr().is_null() {
        let _ = writeln!(out, "cpu {cpu}, before the first task");
    } else {
        let _ = writeln!(out, "cpu {cpu}, task {}[{}]", task.comm.get(), task.pid());
    }
}

fn show_regs(out: &mut impl Write, r: &PtRegs, esp: u32) {
    let mode = if r.user_mode() { "ring 3" } else { "ring 0" };
    let _ = writeln!(
        out,
        "eip {:04x}:{}, eflags {:08x}, {mode}",
        r.cs & 0xffff,
        Symbolised(r.ip),
        r.flags
    );
    let _ = writeln!(
        out,
        "eax {:08x} ebx {:08x} ecx {:08x} edx {:08x}",
        r.ax, r.bx, r.cx, r.dx
    );
    let _ = writeln!(
        out,
        "esi {:08x} edi {:08x} ebp {:08x} esp {esp:08x}",
        r.si, r.di, r.bp
    );
    let _ = writeln!(
        out,
        "ds {:04x} es {:04x} fs {:04x} gs {:04x} cr0 {:08x} cr2 {:08x} cr3 {:08x} cr4 {:08x}",
        r.ds & 0xffff,
        r.es & 0xffff,
        r.fs & 0xffff,
        insn::read_gs(),
        insn::read_cr0(),
        insn::read_cr2(),
        insn::read_cr3(),
        insn::read_cr4(),
    );
}

/// Returns the current registers in the layout of a frame from ring 0.
#[inline(always)]
fn registers_now() -> PtRegs {
    let mut r = PtRegs::default();
    // SAFETY: stores into a local; `call` to the next instruction only pushes its address.
    unsafe {
        asm!(
            "movl %ebx, {bx}({r})", "movl %ecx, {cx}({r})", "movl %edx, {dx}({r})",
            "movl %esi, {si}({r})", "movl %edi, {di}({r})", "movl %ebp, {bp}({r})",
            "movl %eax, {ax}({r})", "movl %esp, {sp}({r})",
            "call 2f", "2: popl {ip}({r})", "pushfl", "popl {flags}({r})",
            "movw %ds, {ds}({r})", "movw %es, {es}({r})", "movw %fs, {fs}({r})",
            "movw %cs, {cs}({r})",
            r = in(reg) &raw mut r,
            bx = const offset_of!(PtRegs, bx), cx = const offset_of!(PtRegs, cx),
            dx = const offset_of!(PtRegs, dx), si = const offset_of!(PtRegs, si),
            di = const offset_of!(PtRegs, di), bp = const offset_of!(PtRegs, bp),
            ax = const offset_of!(PtRegs, ax), sp = const offset_of!(PtRegs, sp),
            ip = const offset_of!(PtRegs, ip), flags = const offset_of!(PtRegs, flags),
            ds = const offset_of!(PtRegs, ds), es = const offset_of!(PtRegs, es),
            fs = const offset_of!(PtRegs, fs), cs = const offset_of!(PtRegs, cs),
            options(att_syntax),
        );
    }
    r
}

fn show_backtrace(out: &mut impl Write, ebp: u32) {
    let _ = writeln!(out, "backtrace:");
    let mut addresses = return_addresses(ebp).peekable();
    while let Some(address) = addresses.next() {
        let _ = write!(out, "  {}", Symbolised(address));
        // A stack usually overflows by recursion: all frames of one function share a line.
        let mut times = 1;
        while addresses.next_if_eq(&address).is_some() {
            times += 1;
        }
        let _ = if times > 1 {
            writeln!(out, " ({times} times)")
        } else {
            writeln!(out)
        };
    }
}

struct Stone;

impl Write for Stone {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let at = LENGTH.fetch_add(1, Ordering::Relaxed);
            // The last byte stays 0.
            match EPITAPH[..EPITAPH_BYTES - 1].get(at) {
                Some(slot) => slot.store(byte, Ordering::Relaxed),
                None => break,
            }
        }
        Ok(())
    }
}
