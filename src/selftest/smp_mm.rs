//! Cases of address spaces on several CPUs: lazy TLB, flushes of borrowed address spaces, and which
//! task frees a page directory that several CPUs had loaded.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::Case;
use super::check::{Outcome, expect, expect_hex, expect_true, failed};
use super::crew::{Crew, Slot, sleep};
use super::probe::{counts, cr3};
use super::smp::{Rendezvous, need_cpus, wait_for};
use super::user::{Mm, borrow_init_mm};
use crate::arch::x86::irq::smp::smp_call_function_many;
use crate::arch::x86::tlb_flush::flush_tlb_mm;
use crate::base::percpu::{SwitchCounts, TLBSTATE_LAZY, per_cpu};
use crate::hw::pte::PAGE_SIZE;
use crate::mm::fault::write_to_mm;
use crate::mm::mm_struct::{MM_LIVE, MmStruct};
use crate::mm::mmap::{MapFlags, do_mmap};
use crate::mm::pgtable::swapper_phys;
use crate::mm::vma::VmFlags;
use crate::sched::wake_up::wake_up_process;
use crate::sync::{LockClass, SpinLock};

pub const CASES: &[Case] = &[
    Case {
        name: "smp_flush_reaches_the_other_user",
        run: flush_reaches_the_other_user,
    },
    Case {
        name: "smp_flush_of_a_borrowed_mm_makes_it_leave",
        run: flush_of_a_borrowed_mm,
    },
    Case {
        name: "smp_owner_comes_back_without_a_cr3_write",
        run: owner_comes_back,
    },
    Case {
        name: "smp_directory_freed_after_the_last_lazy_cpu",
        run: freed_after_last_lazy_cpu,
    },
    Case {
        name: "smp_switched_away_cpu_gets_no_flush",
        run: switched_away_cpu_gets_no_flush,
    },
];

/// A place where an actor leaves its address space for the others.
pub type Place = SpinLock<Option<Mm>>;

/// Returns the address space in `place`, which an actor has put there.
pub fn at(place: &Place) -> Mm {
    place
        .lock()
        .unwrap_or_else(|| panic!("BUG: an actor looks for an address space too early"))
}

/// Returns CPU `cpu`'s counters of what its switches have done.
pub fn counts_of(cpu: u32) -> SwitchCounts {
    // SAFETY: plain words of a live area, only looked at.
    unsafe { (&raw const (*per_cpu(cpu)).count).read_volatile() }
}

/// Returns `tlb_state` of CPU `cpu`: whether it uses its address space or only borrows it.
pub fn tlb_state_of(cpu: u32) -> u32 {
    // SAFETY: one word of a live area.
    unsafe { (&raw const (*per_cpu(cpu)).tlb_state).read_volatile() }
}

/// Maps a page into the address space, which makes it allocate a page table.
fn touch_a_page(mm: &MmStruct) -> Outcome {
    const ADDRESS: u32 = 0x1000_0000;
    let flags = MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED;
    do_mmap(
        mm,
        ADDRESS,
        PAGE_SIZE,
        VmFlags::READ | VmFlags::WRITE,
        flags,
        None,
    )?;
    write_to_mm(mm, ADDRESS, b"here").map_err(|_| failed(format_args!("no page")))
}

static CR3_THERE: AtomicU32 = AtomicU32::new(0);

/// Returns CR3 of CPU `cpu`, read there by an interrupt.
fn cr3_of(cpu: u32) -> u32 {
    smp_call_function_many(1 << cpu, &|| CR3_THERE.store(cr3(), Ordering::Release));
    CR3_THERE.load(Ordering::Acquire)
}

/// Two users of one address space run at once: a flush by one interrupts the other once.
fn flush_reaches_the_other_user() -> Outcome {
    need_cpus(2)?;
    let (mm, ready, done) = (
        Place::new(LockClass::Selftest, None),
        Rendezvous::new(2),
        Rendezvous::new(2),
    );
    Crew::new()
        .actor_on(0, "flusher", || {
            let own = Mm::move_into_new()?;
            *mm.lock() = Some(own);
            ready.meet()?;
            ready.meet()?;
            expect_hex("CPUs that have it", own.cpu_vm_mask(), 0b11)?;
            let (sent, taken) = (counts().flush_ipis, counts_of(1).flushes);
            own.with(flush_tlb_mm);
            expect("flushes sent", counts().flush_ipis - sent, 1)?;
            expect("flushes taken there", counts_of(1).flushes - taken, 1)?;
            done.meet()
        })
        .actor_on(1, "other", || {
            ready.meet()?;
            at(&mm).move_into();
            ready.meet()?;
            done.meet()
        })
        .run()
}

/// The user on CPU 1 sleeps, so its idle task borrows the address space. It answers a flush by
/// leaving the address space; when the owner comes back, CR3 has to be loaded again.
fn flush_of_a_borrowed_mm() -> Outcome {
    need_cpus(2)?;
    let (mm, slot, ready) = (
        Place::new(LockClass::Selftest, None),
        Slot::new(),
        Rendezvous::new(2),
    );
    let (written, is_back) = (AtomicU32::new(0), AtomicBool::new(false));
    Crew::new()
        .actor_on(0, "flusher", || {
            let own = Mm::move_into_new()?;
            *mm.lock() = Some(own);
            ready.meet()?;
            ready.meet()?;
            let owner = slot.task()?;
            wait_for("the owner sleeps", || {
                owner.on_cpu.load(Ordering::Acquire) == 0
            })?;
            wait_for("its CPU is lazy", || tlb_state_of(1) == TLBSTATE_LAZY)?;
            expect_hex("CR3 there is still its own", cr3_of(1), own.pgd())?;
            expect("mm_count while it is borrowed", own.count(), 2)?;
            let leaves = counts_of(1).lazy_leaves;
            own.with(flush_tlb_mm);
            expect("leave_mm there", counts_of(1).lazy_leaves - leaves, 1)?;
            expect_hex("CR3 there is the kernel's", cr3_of(1), swapper_phys())?;
            expect_hex("CPUs that have it", own.cpu_vm_mask(), 0b01)?;
            expect("mm_count: borrowed all the same", own.count(), 2)?;
            let sent = counts().flush_ipis;
            own.with(flush_tlb_mm);
            expect(
                "flushes sent to who has left",
                counts().flush_ipis - sent,
                0,
            )?;
            written.store(counts_of(1).cr3_writes, Ordering::Release);
            expect_true("the owner slept", wake_up_process(&owner))?;
            wait_for("the owner is back", || is_back.load(Ordering::Acquire))
        })
        .actor_on(1, "owner", || {
            slot.enter();
            ready.meet()?;
            let own = at(&mm);
            own.move_into();
            ready.meet()?;
            sleep();
            expect_hex("CR3 of the owner", cr3(), own.pgd())?;
            let writes = counts().cr3_writes - written.load(Ordering::Acquire);
            expect("CR3 written on the way back", writes, 1)?;
            expect_hex("CPUs that have it", own.cpu_vm_mask(), 0b11)?;
            is_back.store(true, Ordering::Release);
            Ok(())
        })
        .run()
}

/// As [`flush_of_a_borrowed_mm`] without the flush: when the owner comes back, CR3 stays.
fn owner_comes_back() -> Outcome {
    need_cpus(2)?;
    let (slot, woken) = (Slot::new(), AtomicBool::new(false));
    Crew::new()
        .actor_on(1, "owner", || {
            slot.enter();
            let own = Mm::move_into_new()?;
            let written = counts().cr3_writes;
            woken.store(true, Ordering::Release);
            sleep();
            expect(
                "CR3 written on the way back",
                counts().cr3_writes - written,
                0,
            )?;
            expect_hex("CR3 of the owner", cr3(), own.pgd())
        })
        .actor_on(0, "waker", || {
            wait_for("the owner has its own", || woken.load(Ordering::Acquire))?;
            let owner = slot.task()?;
            wait_for("the owner sleeps", || {
                owner.on_cpu.load(Ordering::Acquire) == 0
            })?;
            expect_true("the owner slept", wake_up_process(&owner))
        })
        .run()
}

/// The users are gone, but CPU 1 idles on the directory: it stays until that CPU lets go of it.
fn freed_after_last_lazy_cpu() -> Outcome {
    let online = need_cpus(2)?;
    let let_go = |mask: u32| {
        let cpus = (0..u32::BITS).filter(|cpu| mask & 1 << cpu != 0);
        let crew = cpus.fold(Crew::new(), |crew, cpu| {
            crew.actor_on(cpu, "let go", || {
                borrow_init_mm();
                Ok(())
            })
        });
        crew.run()
    };
    let_go(online)?;
    let before = MM_LIVE.load(Ordering::Relaxed);
    let (mm, ready) = (Place::new(LockClass::Selftest, None), Rendezvous::new(2));
    Crew::new()
        .actor_on(0, "first", || {
            let own = Mm::move_into_new()?;
            own.with(touch_a_page)?;
            *mm.lock() = Some(own);
            ready.meet()?;
            ready.meet()
        })
        .actor_on(1, "second", || {
            ready.meet()?;
            at(&mm).move_into();
            ready.meet()
        })
        .run()?;
    // The tasks that died on the other CPUs left it to whichever task ran next: idle, or this case.
    let_go(online & !0b10)?;
    expect(
        "address spaces left, without users",
        MM_LIVE.load(Ordering::Relaxed),
        before + 1,
    )?;
    expect("its holders", at(&mm).count(), 1)?;
    expect_hex(
        "CR3 there: its last user's end made CPU 1 leave",
        cr3_of(1),
        swapper_phys(),
    )?;
    let_go(0b10)?;
    expect(
        "address spaces after CPU 1 let go",
        MM_LIVE.load(Ordering::Relaxed),
        before,
    )
}

/// A CPU that has loaded another address space gets no flushes for the old one.
fn switched_away_cpu_gets_no_flush() -> Outcome {
    need_cpus(2)?;
    let (mm, ready) = (Place::new(LockClass::Selftest, None), Rendezvous::new(2));
    Crew::new()
        .actor_on(0, "flusher", || {
            let own = Mm::move_into_new()?;
            *mm.lock() = Some(own);
            ready.meet()?;
            ready.meet()?;
            expect_hex("CPUs that have it", own.cpu_vm_mask(), 0b01)?;
            let (sent, taken) = (counts().flush_ipis, counts_of(1).flushes);
            own.with(flush_tlb_mm);
            expect("flushes sent", counts().flush_ipis - sent, 0)?;
            expect("flushes taken there", counts_of(1).flushes - taken, 0)?;
            ready.meet()
        })
        .actor_on(1, "other", || {
            ready.meet()?;
            at(&mm).move_into();
            Ok(())
        })
        .actor_on(1, "next", || {
            Mm::move_into_new()?;
            ready.meet()?;
            ready.meet()
        })
        .run()
}
