//! A page is removed from an address space that another processor has loaded or is just leaving.
//!
//! CPU 0 removes the page's entry, flushes, and then frees the frame (`zap_page_range`). CPU 1
//! switches to the address space and away from it. While CR3 points to an address space the
//! processor may walk its tables and keep what it finds, so the model walks between any two steps;
//! interrupts are off in the switch. The order is 2.6.38's: the bit in the mask is set before CR3
//! is loaded, and cleared after CR3 has moved on.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering, fence};
use loom::thread;

use crate::private::Private;
use crate::sources::{in_order, text_of};

const CPU_1: u32 = 1 << 1;

/// Memory that both processors see.
struct Shared {
    /// The page's entry: 1 is present.
    pte: AtomicU32,
    /// `mm_cpumask`.
    mask: AtomicU32,
    /// CPUs that have not flushed yet. Each CPU whose bit is set has an interrupt pending.
    flush_cpumask: AtomicU32,
    flushed: AtomicU32,
    /// The frame: read through a translation, written by its next owner.
    frame: Private<u32>,
}

/// The order of steps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// The kernel's order.
    Real,
    /// CR3 is loaded before the bit is set.
    BitSetLate,
    /// The bit is cleared before CR3 moves on.
    BitClearedEarly,
    /// A lazy CPU answers a flush, but keeps the tables.
    LazyStays,
    /// A CPU that was lazy assumes that CR3 is unchanged.
    BackWithoutLoad,
    /// The mask is read without a fence after the change of the entry.
    NoFence,
}

/// The state of CPU 1.
struct Cpu<'a> {
    memory: &'a Shared,
    cr3_is_mm: bool,
    lazy: bool,
    tlb: bool,
    order: Order,
}

impl Cpu<'_> {
    /// Does what the processor may do: walks the tables if they are loaded, or uses what it has
    /// kept.
    fn walk(&mut self) {
        if !self.cr3_is_mm {
            return;
        }
        self.tlb = self.tlb || self.memory.pte.load(Ordering::Relaxed) == 1;
        if self.tlb {
            self.memory.frame.get();
        }
    }

    fn load_cr3(&mut self, mm: bool) {
        self.walk();
        self.cr3_is_mm = mm;
        self.tlb = false;
        self.walk();
    }

    /// A locked instruction, which is a full barrier.
    fn set_bit(&mut self, on: bool) {
        self.walk();
        if on {
            self.memory.mask.fetch_or(CPU_1, Ordering::SeqCst);
        } else {
            self.memory.mask.fetch_and(!CPU_1, Ordering::SeqCst);
        }
        fence(Ordering::SeqCst);
        self.walk();
    }

    /// `switch_mm` from the kernel's address space.
    fn switch_to_mm(&mut self) {
        if self.order == Order::BitSetLate {
            self.load_cr3(true);
            self.set_bit(true);
        } else {
            self.set_bit(true);
            self.load_cr3(true);
        }
    }

    /// `switch_mm` to the address space that was borrowed: its bit is gone if `leave_mm` ran.
    fn switch_back(&mut self) {
        self.lazy = false;
        let was_set = self.memory.mask.fetch_or(CPU_1, Ordering::SeqCst) & CPU_1 != 0;
        fence(Ordering::SeqCst);
        self.walk();
        if !was_set && self.order != Order::BackWithoutLoad {
            self.load_cr3(true);
        }
        assert!(self.cr3_is_mm, "the owner runs without its address space");
    }

    /// `switch_mm` to another address space.
    fn switch_away(&mut self) {
        if self.order == Order::BitClearedEarly {
            self.set_bit(false);
            self.load_cr3(false);
        } else {
            self.load_cr3(false);
            self.set_bit(false);
        }
    }

    /// `invalidate_interrupt`, if one is pending.
    fn interrupt(&mut self) {
        if self.memory.flush_cpumask.load(Ordering::Acquire) & CPU_1 == 0 {
            return;
        }
        if self.lazy && self.order != Order::LazyStays {
            // leave_mm
            self.memory.mask.fetch_and(!CPU_1, Ordering::SeqCst);
            self.cr3_is_mm = false;
            self.tlb = false;
        } else if !self.lazy {
            self.tlb = false;
        }
        self.memory
            .flush_cpumask
            .fetch_and(!CPU_1, Ordering::AcqRel);
    }

    /// Takes interrupts until the other CPU has what it waits for.
    fn until_flushed(&mut self) {
        while self.memory.flushed.load(Ordering::Acquire) == 0 {
            self.interrupt();
            thread::yield_now();
        }
    }
}

/// CPU 0: unmaps, flushes, frees.
fn unmap(memory: &Shared, order: Order) {
    memory.pte.store(0, Ordering::Relaxed);
    if order != Order::NoFence {
        fence(Ordering::SeqCst);
    }
    if memory.mask.load(Ordering::Acquire) & CPU_1 != 0 {
        memory.flush_cpumask.store(CPU_1, Ordering::Release);
        while memory.flush_cpumask.load(Ordering::Acquire) != 0 {
            thread::yield_now();
        }
    }
    memory.frame.set(1);
    memory.flushed.store(1, Ordering::Release);
}

fn model(order: Order, play: fn(&mut Cpu<'_>)) {
    let mut model = loom::model::Builder::new();
    // More switches between the two find nothing new, and take minutes.
    model.preemption_bound = Some(5);
    model.check(move || {
        let memory = Arc::new(Shared {
            pte: AtomicU32::new(1),
            mask: AtomicU32::new(0),
            flush_cpumask: AtomicU32::new(0),
            flushed: AtomicU32::new(0),
            frame: Private::new(0),
        });
        let other = {
            let memory = memory.clone();
            thread::spawn(move || {
                let mut cpu = Cpu {
                    memory: &memory,
                    cr3_is_mm: false,
                    lazy: false,
                    tlb: false,
                    order,
                };
                play(&mut cpu);
                cpu.until_flushed();
            })
        };
        unmap(&memory, order);
        other.join().unwrap();
    });
}

/// CPU 1 switches to the address space and uses the page.
fn come(cpu: &mut Cpu<'_>) {
    cpu.switch_to_mm();
    cpu.interrupt();
    cpu.walk();
}

/// CPU 1 switches to the address space and away again.
fn come_and_go(cpu: &mut Cpu<'_>) {
    cpu.switch_to_mm();
    cpu.switch_away();
    cpu.interrupt();
}

/// CPU 1 switches to the address space, then a kernel task borrows it: after a flush the tables may
/// be freed, so the processor may not walk them any more.
fn come_and_borrow(cpu: &mut Cpu<'_>) {
    cpu.switch_to_mm();
    cpu.lazy = true;
    cpu.interrupt();
    cpu.walk();
}

/// CPU 1 switches to the address space, is lazy for a while, and comes back.
fn come_borrow_and_return(cpu: &mut Cpu<'_>) {
    come_and_borrow(cpu);
    cpu.interrupt();
    cpu.switch_back();
    cpu.interrupt();
    cpu.walk();
}

#[test]
#[should_panic(expected = "without its address space")]
fn an_owner_that_does_not_load_cr3_again_is_lost() {
    model(Order::BackWithoutLoad, come_borrow_and_return);
}

#[test]
fn a_frame_is_freed_when_nobody_can_reach_it() {
    model(Order::Real, come_borrow_and_return);
    model(Order::Real, come);
    model(Order::Real, come_and_go);
    model(Order::Real, come_and_borrow);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_bit_set_after_cr3_misses_a_flush() {
    model(Order::BitSetLate, come);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_bit_cleared_before_cr3_moved_misses_a_flush() {
    model(Order::BitClearedEarly, come_and_go);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_lazy_cpu_that_stays_reads_what_was_freed() {
    model(Order::LazyStays, come_and_borrow);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn without_the_fence_the_mask_is_an_old_one() {
    model(Order::NoFence, come);
}

/// The model has the order of the sources. The interrupt handler never reads `current`, which
/// belongs to another task between the load of CR3 and that of `esp`.
#[test]
fn the_sources_have_this_order() {
    in_order(
        "src/arch/x86/switch/mmu_context.rs",
        &[
            "pub unsafe fn switch_mm<To",
            "set_bit(cpu, &next.cpu_vm_mask)",
            "load_cr3::<To>(next)",
            "To::leave(cpu, prev)",
        ],
    );
    const FLUSH: &str = "src/arch/x86/tlb_flush.rs";
    in_order(
        FLUSH,
        &[
            "fn flush(",
            "fence(Ordering::SeqCst)",
            "others_of(mm)",
            "flush_tlb_others(",
        ],
    );
    in_order(FLUSH, &["fn flush_here(", "tlb_state", "leave_mm(mm)"]);
    for uses in ["current()", "current_thread_info", "current_task"] {
        assert!(!text_of(FLUSH).contains(uses), "{FLUSH} has {uses}");
    }
}
