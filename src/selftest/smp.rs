//! Cases of several CPUs: each has its own tables, and each can be called.
//!
//! On a machine with fewer CPUs than a case needs it is skipped.

use core::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use super::Case;
use super::check::{Outcome, Verdict, expect, expect_hex, expect_true};
use super::crew::{Crew, Slot, me};
use super::probe::{area_address, gdt, hw_tss, set_tls, tss_address, with_tss};
use crate::arch::x86::boot::trampoline::TRAMPOLINE_PAGE;
use crate::arch::x86::current::{current, current_by_stack};
use crate::arch::x86::entry::paths;
use crate::arch::x86::irq::smp::{on_each_cpu, smp_call_function_many};
use crate::arch::x86::switch::canary::STACK_PROTECTOR;
use crate::arch::x86::switch::io_bitmap;
use crate::arch::x86::switch::lazy_gs::load_user_gs;
use crate::base::cmdline::IoBitmapMode;
use crate::base::insn;
use crate::base::insn::MSR_IA32_SYSENTER_ESP;
use crate::base::percpu::{CPU_ONLINE_MASK, NR_CPUS, per_cpu, smp_processor_id};
use crate::drivers::tsc::since_boot_us;
use crate::hw::desc::{GDT_ENTRY_DOUBLEFAULT_TSS, GDT_ENTRY_TSS, TSS_SELECTOR};
use crate::mm::frame::phys_to_virt;
use crate::sched::rq::cpu_rq;
use crate::sched::smp_init::cpu_up;
use crate::sched::timer::{TimerList, add_timer, schedule_timeout};
use crate::syscall::ioport::sys_ioperm;
use crate::task::state::TASK_UNINTERRUPTIBLE;
use crate::task::task_struct::TaskRef;

pub const CASES: &[Case] = &[
    Case {
        name: "smp_each_cpu_has_its_own_tables",
        run: each_cpu_has_its_own_tables,
    },
    Case {
        name: "smp_function_call_reaches_each_cpu",
        run: function_call_reaches_each_cpu,
    },
    Case {
        name: "smp_two_cpus_two_contexts_at_one_moment",
        run: two_contexts_at_one_moment,
    },
    Case {
        name: "cpu_that_never_answers!",
        run: cpu_that_never_answers,
    },
    Case {
        name: "cpu_that_comes_too_late!",
        run: cpu_that_comes_too_late,
    },
];

/// How long an actor waits for another CPU, in microseconds.
pub const PATIENCE_US: u64 = 15_000_000;

/// Returns the number of CPUs that run; skips the case if they are fewer than `wanted`.
pub fn need_cpus(wanted: u32) -> Result<u32, Verdict> {
    let online = CPU_ONLINE_MASK.load(Ordering::Relaxed);
    if online.count_ones() >= wanted {
        return Ok(online);
    }
    Err(Verdict::Skipped(match wanted {
        2 => "needs 2 CPUs",
        3 => "needs 3 CPUs",
        _ => "needs more CPUs",
    }))
}

/// Spins until `done`, which another CPU makes true; fails after [`PATIENCE_US`].
pub fn wait_for(what: &str, done: impl Fn() -> bool) -> Outcome {
    let end = since_boot_us() + PATIENCE_US;
    while !done() {
        if since_boot_us() > end {
            return expect_true(what, false);
        }
        core::hint::spin_loop();
    }
    Ok(())
}

/// A barrier at which actors on different CPUs wait for each other.
pub struct Rendezvous {
    wanted: u32,
    came: AtomicU32,
}

impl Rendezvous {
    /// Returns a barrier for `wanted` actors.
    pub const fn new(wanted: u32) -> Self {
        Self {
            wanted,
            came: AtomicU32::new(0),
        }
    }

    /// Waits until all actors have called it. It can be used again and again.
    pub fn meet(&self) -> Outcome {
        let round = self.came.fetch_add(1, Ordering::AcqRel) / self.wanted + 1;
        wait_for("the others came", || {
            self.came.load(Ordering::Acquire) >= round * self.wanted
        })
    }
}

/// Returns the CPU that this actor runs on.
pub fn cpu() -> u32 {
    smp_processor_id()
}

/// GDT, TSS, double-fault TSS, SYSENTER stack and idle task: no two CPUs share one.
fn each_cpu_has_its_own_tables() -> Outcome {
    let online = need_cpus(1)?;
    let stacks = [const { AtomicU32::new(0) }; NR_CPUS];
    let mut crew = Crew::new();
    for n in (0..NR_CPUS as u32).filter(|n| online & 1 << n != 0) {
        let stacks = &stacks;
        crew = crew.actor_on(n, "looker", move || {
            expect("number of this CPU", cpu(), n)?;
            expect_hex("per-CPU area", area_address(), per_cpu(n) as u32)?;
            expect_hex("base in GDTR", insn::sgdt().base, area_address())?;
            expect("task register", insn::str(), TSS_SELECTOR.0)?;
            expect_hex(
                "base of GDT entry 16",
                gdt(GDT_ENTRY_TSS).base(),
                tss_address(),
            )?;
            let sp0 = my_sp0();
            expect_hex("sp0", hw_tss().sp0, sp0)?;
            // SAFETY: the area lives for ever, and its double-fault TSS is only read.
            let doublefault = unsafe { &raw const (*per_cpu(n)).doublefault_tss };
            expect_hex(
                "base of GDT entry 31",
                gdt(GDT_ENTRY_DOUBLEFAULT_TSS).base(),
                doublefault as u32,
            )?;
            // SAFETY: as above.
            let stack = unsafe { (&raw const (*doublefault).sp).read() };
            stacks[n as usize].store(stack, Ordering::Relaxed);
            // SAFETY: every CPU with SEP has this MSR.
            let esp = unsafe { insn::rdmsr(MSR_IA32_SYSENTER_ESP) } as u32;
            expect_hex("SYSENTER_ESP", esp, paths::sysenter_stack(n))?;
            expect_hex("current by stack", current_by_stack() as u32, me() as u32)?;
            // SAFETY: idle tasks live for ever.
            let idle = unsafe { &*cpu_rq(n).idle() };
            expect("CPU of the idle task", idle.cpu(), n)
        });
    }
    crew.run()?;
    // Compared when all have been noted: the CPUs look at the same time.
    let stacks = stacks.map(AtomicU32::into_inner);
    let is_shared = |&&stack: &&u32| stacks.iter().filter(|it| **it == stack).count() > 1;
    let shared = stacks.iter().filter(|it| **it != 0).filter(is_shared);
    expect("CPUs that share a double-fault stack", shared.count(), 0)
}

/// Returns `thread.sp0` of the running task.
pub fn my_sp0() -> u32 {
    super::probe::my_thread(|thread| thread.sp0)
}

static CALLED: [AtomicU32; NR_CPUS] = [const { AtomicU32::new(0) }; NR_CPUS];

fn note_call(by: u32) {
    CALLED[cpu() as usize].fetch_add(by, Ordering::Relaxed);
}

/// Each CPU runs the function once; this one does so only when asked to.
fn function_call_reaches_each_cpu() -> Outcome {
    let online = need_cpus(1)?;
    CALLED
        .iter()
        .for_each(|count| count.store(0, Ordering::Relaxed));
    let here = cpu();
    for _ in 0..10 {
        smp_call_function_many(online, &|| note_call(1));
    }
    on_each_cpu(&|| note_call(100));
    for (n, count) in (0..).zip(&CALLED) {
        let expected = match online & 1 << n {
            0 => 0,
            _ if n == here => 100,
            _ => 110,
        };
        expect(
            "calls that a CPU ran",
            count.load(Ordering::Relaxed),
            expected,
        )?;
    }
    Ok(())
}

/// Two tasks with different TLS, %gs, ports and stacks run at once: the tables of each CPU hold its
/// own task's values, read by the other CPU while both tasks stand still.
fn two_contexts_at_one_moment() -> Outcome {
    need_cpus(2)?;
    if STACK_PROTECTOR {
        return Err(Verdict::Skipped("needs a kernel with lazy gs"));
    }
    let ready = Rendezvous::new(2);
    let looked = Rendezvous::new(2);
    let slots = [Slot::new(), Slot::new()];
    let play = |n: u32, base: u32, port: u32| {
        let (ready, looked, slots) = (&ready, &looked, &slots);
        move || {
            slots[n as usize].enter();
            set_tls(&[(6, base)])?;
            load_user_gs(0x33);
            // Where the switch does not copy, the TSS need not hold the task's bitmap.
            let is_copied = io_bitmap::mode() == IoBitmapMode::Copy;
            if is_copied {
                sys_ioperm(port, 1, 1)?;
            }
            // A switch away and back: all values below must come from the switch.
            schedule_timeout_uninterruptible(1);
            ready.meet()?;
            let other = 1 - n;
            let (other_base, other_port) = if n == 0 {
                (0xb000, 0x81)
            } else {
                (0xa000, 0x80)
            };
            // SAFETY: plain words of the other CPU's area; its task waits at `looked`.
            let (their_gdt, their_sp0) = unsafe {
                let area = per_cpu(other);
                (
                    (&raw const (*area).gdt_page[6]).read_volatile(),
                    (&raw const (*area).tss.x86_tss.sp0).read_volatile(),
                )
            };
            // SAFETY: as above; only this case's tasks have ports.
            let their_bitmap = unsafe { &(*per_cpu(other)).tss.io_bitmap };
            let theirs = slots[other as usize].task()?;
            let grants =
                |bitmap: &[u8], port: u32| bitmap[(port / 8) as usize] & 1 << (port % 8) == 0;
            expect_hex("TLS base here", gdt(6).base(), base)?;
            expect_hex("TLS base there", their_gdt.base(), other_base)?;
            expect_hex("%gs here", u32::from(insn::read_gs()), 0x33)?;
            if is_copied {
                expect(
                    "my port here",
                    with_tss(|tss| grants(&tss.io_bitmap, port)),
                    true,
                )?;
                expect(
                    "their port here",
                    with_tss(|tss| grants(&tss.io_bitmap, other_port)),
                    false,
                )?;
                expect("their port there", grants(their_bitmap, other_port), true)?;
                expect("my port there", grants(their_bitmap, port), false)?;
            }
            expect_hex("sp0 there", their_sp0, theirs.stack() as u32 + 8192 - 8)?;
            expect_hex("sp0 here", hw_tss().sp0, my_sp0())?;
            looked.meet()
        }
    };
    Crew::new()
        .actor_on(0, "zero", play(0, 0xa000, 0x80))
        .actor_on(1, "one", play(1, 0xb000, 0x81))
        .run()
}

/// Sleeps for `ticks` ticks.
pub fn schedule_timeout_uninterruptible(ticks: u64) {
    current().state.set_current_state(TASK_UNINTERRUPTIBLE);
    schedule_timeout(ticks);
}

/// The boot CPU gives up on a processor that is not there, names it, and boots without it.
fn cpu_that_never_answers() -> Outcome {
    let online = need_cpus(1)?;
    let free = (!online).trailing_zeros();
    if free >= NR_CPUS as u32 {
        return Err(Verdict::Skipped("needs a CPU number that is free"));
    }
    if !crate::arch::x86::irq::lapic::in_use() {
        return Err(Verdict::Skipped("needs a local APIC"));
    }
    expect("it came", cpu_up(free, 0xee), false)?;
    expect_hex(
        "CPUs that run",
        CPU_ONLINE_MASK.load(Ordering::Relaxed),
        online,
    )
}

/// A processor is held up on its way, and released when the next one is awaited under its number
/// and on a stack of its own: it must not start any more. Needs `maxcpus=1` on a machine with two
/// CPUs.
fn cpu_that_comes_too_late() -> Outcome {
    /// `jmp .`, written over the first instruction that every processor executes.
    const HERE: [u8; 2] = [0xeb, 0xfe];
    static CODE: AtomicU16 = AtomicU16::new(0);
    let page = phys_to_virt(u32::from(TRAMPOLINE_PAGE) << 12).cast::<u16>();
    // SAFETY: the page of the trampoline, which only processors that start read.
    let code = unsafe { page.replace(u16::from_le_bytes(HERE)) };
    CODE.store(code, Ordering::Release);
    expect("it came in time", cpu_up(1, 1), false)?;
    static TIMER: TimerList = TimerList::new();
    let let_go = |_: &TaskRef, _| {
        let page = phys_to_virt(u32::from(TRAMPOLINE_PAGE) << 12).cast::<u16>();
        // SAFETY: as above.
        unsafe { page.write_volatile(CODE.load(Ordering::Acquire)) };
    };
    let (at_us, task) = (since_boot_us() + 300_000, current().get_task_struct());
    // SAFETY: a static, which this case sets once.
    unsafe { add_timer(&TIMER, at_us, task, 0, let_go) };
    // This processor does not exist.
    expect("another came in its place", cpu_up(1, 0xee), false)?;
    wait_for("it was let go", || {
        // SAFETY: as above.
        unsafe { page.read_volatile() == CODE.load(Ordering::Acquire) }
    })?;
    expect("it came when called again", cpu_up(1, 1), true)?;
    let online = CPU_ONLINE_MASK.load(Ordering::Relaxed);
    expect_hex("CPUs that run", online, 0b11)
}
