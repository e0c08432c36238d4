//! Cases of the address-space half: the four kinds of switch, their counts, and who frees what.

use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use super::Case;
use super::check::{Outcome, expect, expect_hex, expect_true};
use super::crew::{Crew, Slot, pass};
use super::probe::{counts, cr3, prev_mm};
use super::user::{Mm, active_mm, my_active_mm};
use crate::arch::x86::current::current;
use crate::base::percpu::{TLBSTATE_LAZY, TLBSTATE_OK};
use crate::mm::mm_struct::MM_LIVE;
use crate::sync::{LockClass, SpinLock};
use crate::this_cpu_read;

pub const CASES: &[Case] = &[
    Case {
        name: "kernel_to_kernel_counts",
        run: kernel_to_kernel_counts,
    },
    Case {
        name: "user_to_kernel_counts",
        run: user_to_kernel_counts,
    },
    Case {
        name: "kernel_to_user_counts",
        run: kernel_to_user_counts,
    },
    Case {
        name: "user_to_user_counts",
        run: user_to_user_counts,
    },
    Case {
        name: "same_mm_switch_writes_no_cr3",
        run: same_mm_switch_writes_no_cr3,
    },
    Case {
        name: "back_from_lazy_tlb_writes_no_cr3",
        run: back_from_lazy_tlb_writes_no_cr3,
    },
    Case {
        name: "active_mm_never_none",
        run: active_mm_never_none,
    },
    Case {
        name: "page_directory_freed_by_next_task_after_cr3_moved",
        run: page_directory_freed_by_next_task_after_cr3_moved,
    },
    Case {
        name: "mm_goes_with_its_last_user",
        run: mm_goes_with_its_last_user,
    },
];

/// A place where an actor leaves its address space for the others.
type Place = SpinLock<Option<Mm>>;

fn at(place: &Place) -> Mm {
    place
        .lock()
        .unwrap_or_else(|| panic!("BUG: an actor looks for an address space too early"))
}

/// Kernel to kernel: next takes over the address space that prev borrows; no count changes and
/// CR3 is not written.
fn kernel_to_kernel_counts() -> Outcome {
    let (mm, first) = (Place::new(LockClass::Selftest, None), Slot::new());
    let (written, switches) = (AtomicU32::new(0), AtomicU32::new(0));
    let user = || {
        *mm.lock() = Some(Mm::move_into_new()?);
        pass();
        Ok(())
    };
    let prev = || {
        first.enter();
        expect("what prev borrows", my_active_mm(), at(&mm).as_ptr())?;
        expect("mm_count while prev borrows", at(&mm).count(), 2)?;
        written.store(counts().cr3_writes, Ordering::Relaxed);
        switches.store(counts().kernel_to_kernel, Ordering::Relaxed);
        pass();
        Ok(())
    };
    let next = || {
        let noted = counts().kernel_to_kernel - switches.load(Ordering::Relaxed);
        expect("switches of this kind", noted, 1)?;
        expect(
            "CR3 written",
            counts().cr3_writes - written.load(Ordering::Relaxed),
            0,
        )?;
        expect("mm_count while next borrows", at(&mm).count(), 2)?;
        expect("mm_users", at(&mm).users(), 1)?;
        expect("active_mm of next", my_active_mm(), at(&mm).as_ptr())?;
        expect(
            "active_mm of prev",
            active_mm(&*first.task()?),
            ptr::null_mut(),
        )?;
        expect("rq.prev_mm after the switch", prev_mm(), ptr::null_mut())?;
        expect("lazy TLB mode", this_cpu_read!(tlb_state), TLBSTATE_LAZY)?;
        expect_hex("CR3", cr3(), at(&mm).pgd())
    };
    Crew::new()
        .actor("user", user)
        .actor("prev", prev)
        .actor("next", next)
        .run()
}

/// User to kernel: next borrows prev's address space; its count grows by one, and CR3 is not
/// written.
fn user_to_kernel_counts() -> Outcome {
    let (mm, user_slot) = (Place::new(LockClass::Selftest, None), Slot::new());
    let [written, lazy, switches] = [const { AtomicU32::new(0) }; 3];
    let user = || {
        user_slot.enter();
        let own = Mm::move_into_new()?;
        *mm.lock() = Some(own);
        expect("mm_count of a new address space", own.count(), 1)?;
        expect(
            "TLB mode of its user",
            this_cpu_read!(tlb_state),
            TLBSTATE_OK,
        )?;
        written.store(counts().cr3_writes, Ordering::Relaxed);
        lazy.store(counts().lazy_entries, Ordering::Relaxed);
        switches.store(counts().user_to_kernel, Ordering::Relaxed);
        pass();
        Ok(())
    };
    let kernel = || {
        let noted = counts().user_to_kernel - switches.load(Ordering::Relaxed);
        expect("switches of this kind", noted, 1)?;
        let own = at(&mm);
        expect(
            "CR3 written",
            counts().cr3_writes - written.load(Ordering::Relaxed),
            0,
        )?;
        expect(
            "entries into lazy TLB mode",
            counts().lazy_entries - lazy.load(Ordering::Relaxed),
            1,
        )?;
        expect("mm_count", own.count(), 2)?;
        expect("mm_users", own.users(), 1)?;
        expect("active_mm of next", my_active_mm(), own.as_ptr())?;
        expect(
            "active_mm of prev",
            active_mm(&*user_slot.task()?),
            own.as_ptr(),
        )?;
        expect("lazy TLB mode", this_cpu_read!(tlb_state), TLBSTATE_LAZY)?;
        expect_hex("CR3", cr3(), own.pgd())
    };
    Crew::new()
        .actor("user", user)
        .actor("kernel", kernel)
        .run()
}

/// Kernel to user: CR3 becomes next's; after the switch the address space that prev had borrowed
/// loses one count.
fn kernel_to_user_counts() -> Outcome {
    let (lent, kernel_slot) = (Place::new(LockClass::Selftest, None), Slot::new());
    let (written, switches) = (AtomicU32::new(0), AtomicU32::new(0));
    let lender = || {
        *lent.lock() = Some(Mm::move_into_new()?);
        pass(); // to kernel, and from there to user, which moves into its own address space
        pass(); // to kernel, which borrows ours
        Ok(())
    };
    let kernel = || {
        kernel_slot.enter();
        pass();
        expect("what prev borrows", my_active_mm(), at(&lent).as_ptr())?;
        expect("mm_count of what prev borrows", at(&lent).count(), 2)?;
        written.store(counts().cr3_writes, Ordering::Relaxed);
        switches.store(counts().kernel_to_user, Ordering::Relaxed);
        pass(); // to user
        Ok(())
    };
    let user = || {
        let own = Mm::move_into_new()?;
        pass(); // to lender
        let noted = counts().kernel_to_user - switches.load(Ordering::Relaxed);
        expect("switches of this kind", noted, 1)?;
        expect(
            "CR3 written",
            counts().cr3_writes - written.load(Ordering::Relaxed),
            1,
        )?;
        expect("mm_count of what prev had borrowed", at(&lent).count(), 1)?;
        expect("mm_count of what next lives in", own.count(), 1)?;
        expect("active_mm of next", my_active_mm(), own.as_ptr())?;
        expect(
            "active_mm of prev",
            active_mm(&*kernel_slot.task()?),
            ptr::null_mut(),
        )?;
        expect("rq.prev_mm after the switch", prev_mm(), ptr::null_mut())?;
        expect("TLB mode", this_cpu_read!(tlb_state), TLBSTATE_OK)?;
        expect_hex("CR3", cr3(), own.pgd())
    };
    Crew::new()
        .actor("lender", lender)
        .actor("kernel", kernel)
        .actor("user", user)
        .run()
}

/// User to user: CR3 is written, no count changes, and each keeps its `active_mm`.
fn user_to_user_counts() -> Outcome {
    let places = [const { Place::new(LockClass::Selftest, None) }; 2];
    let slots = [const { Slot::new() }; 2];
    let written = AtomicU32::new(0);
    let play = |n: usize| {
        let (places, slots, written) = (&places, &slots, &written);
        move || {
            slots[n].enter();
            *places[n].lock() = Some(Mm::move_into_new()?);
            for turn in 0..4 {
                if turn > 0 {
                    let (own, other) = (at(&places[n]), at(&places[1 - n]));
                    expect(
                        "CR3 written",
                        counts().cr3_writes - written.load(Ordering::Relaxed),
                        1,
                    )?;
                    expect("mm_counts of both", (own.count(), other.count()), (1, 1))?;
                    expect("active_mm of next", my_active_mm(), own.as_ptr())?;
                    expect(
                        "active_mm of prev",
                        active_mm(&*slots[1 - n].task()?),
                        other.as_ptr(),
                    )?;
                    expect("rq.prev_mm", prev_mm(), ptr::null_mut())?;
                    expect_hex("CR3", cr3(), own.pgd())?;
                }
                written.store(counts().cr3_writes, Ordering::Relaxed);
                pass();
            }
            Ok(())
        }
    };
    Crew::new().actor("a", play(0)).actor("b", play(1)).run()
}

/// Two threads of one process share a directory, so a switch between them keeps the TLB.
fn same_mm_switch_writes_no_cr3() -> Outcome {
    let mm = Place::new(LockClass::Selftest, None);
    let written = AtomicU32::new(0);
    let play = |first: bool| {
        let (mm, written) = (&mm, &written);
        move || {
            if first {
                *mm.lock() = Some(Mm::move_into_new()?);
            } else {
                at(mm).move_into();
            }
            pass();
            for _ in 0..3 {
                expect("mm_users", at(mm).users(), 2)?;
                expect("mm_count", at(mm).count(), 1)?;
                expect_hex("CR3", cr3(), at(mm).pgd())?;
                written.store(counts().cr3_writes, Ordering::Relaxed);
                pass();
                expect(
                    "CR3 written",
                    counts().cr3_writes - written.load(Ordering::Relaxed),
                    0,
                )?;
            }
            pass();
            Ok(())
        }
    };
    Crew::new()
        .actor("a", play(true))
        .actor("b", play(false))
        .run()
}

/// From a user task to a kernel task and back: the directory is still loaded.
fn back_from_lazy_tlb_writes_no_cr3() -> Outcome {
    let user = || {
        let own = Mm::move_into_new()?;
        for _ in 0..3 {
            let written = counts().cr3_writes;
            pass();
            expect("CR3 written", counts().cr3_writes - written, 0)?;
            expect("mm_count", own.count(), 1)?;
            expect("TLB mode", this_cpu_read!(tlb_state), TLBSTATE_OK)?;
            expect_hex("CR3", cr3(), own.pgd())?;
        }
        Ok(())
    };
    let kernel = || {
        for _ in 0..3 {
            expect(
                "TLB mode of a borrower",
                this_cpu_read!(tlb_state),
                TLBSTATE_LAZY,
            )?;
            pass();
        }
        Ok(())
    };
    Crew::new()
        .actor("user", user)
        .actor("kernel", kernel)
        .run()
}

/// A running task always has an `active_mm`, and CR3 holds its directory.
fn active_mm_never_none() -> Outcome {
    let play = |is_user: bool| {
        move || {
            if is_user {
                Mm::move_into_new()?;
            }
            for _ in 0..8 {
                let active = my_active_mm();
                expect_true("active_mm is not none", !active.is_null())?;
                // SAFETY: a running task holds its `active_mm`.
                let pgd = unsafe { (*active).pgd.load(Ordering::Relaxed) };
                expect_hex("CR3", cr3(), pgd)?;
                expect(
                    "cpu_tlbstate.active_mm",
                    this_cpu_read!(tlb_active_mm),
                    active as u32,
                )?;
                let mm = current().mm.load(Ordering::Relaxed);
                expect_true("a user task runs on its own", mm.is_null() || mm == active)?;
                pass();
            }
            Ok(())
        }
    };
    Crew::new()
        .actor("kernel a", play(false))
        .actor("user a", play(true))
        .actor("kernel b", play(false))
        .actor("kernel c", play(false))
        .actor("user b", play(true))
        .actor("user c", play(true))
        .run()
}

/// A dead process's directory stays loaded under the kernel task after it; it is freed when the
/// next user task has loaded its own.
fn page_directory_freed_by_next_task_after_cr3_moved() -> Outcome {
    let place = Place::new(LockClass::Selftest, None);
    let live = AtomicU32::new(0);
    let dying = || {
        *place.lock() = Some(Mm::move_into_new()?);
        live.store(MM_LIVE.load(Ordering::Relaxed), Ordering::Relaxed);
        Ok(()) // and dies
    };
    let kernel = || {
        let dead = at(&place);
        expect("mm_users of the dead process", dead.users(), 0)?;
        expect("mm_count of the dead process", dead.count(), 1)?;
        expect("what the next task borrows", my_active_mm(), dead.as_ptr())?;
        expect_hex("CR3 still", cr3(), dead.pgd())?;
        expect(
            "address spaces",
            MM_LIVE.load(Ordering::Relaxed),
            live.load(Ordering::Relaxed),
        )?;
        pass();
        Ok(())
    };
    let user = || {
        let own = Mm::move_into_new()?;
        pass(); // to dying, and from there to kernel, which passes back
        expect(
            "address spaces",
            MM_LIVE.load(Ordering::Relaxed),
            live.load(Ordering::Relaxed) - 1,
        )?;
        expect("rq.prev_mm", prev_mm(), ptr::null_mut())?;
        expect_hex("CR3", cr3(), own.pgd())
    };
    Crew::new()
        .actor("user", user)
        .actor("dying", dying)
        .actor("kernel", kernel)
        .run()
}

/// When the first of two users ends, the address space stays as it is; the last one frees it.
fn mm_goes_with_its_last_user() -> Outcome {
    let place = Place::new(LockClass::Selftest, None);
    let live = AtomicU32::new(0);
    let first = || {
        *place.lock() = Some(Mm::move_into_new()?);
        live.store(MM_LIVE.load(Ordering::Relaxed), Ordering::Relaxed);
        pass();
        Ok(()) // dies while second lives in it
    };
    let second = || {
        at(&place).move_into();
        expect("mm_users of both", at(&place).users(), 2)?;
        pass();
        expect("mm_users of the second", at(&place).users(), 1)?;
        expect("mm_count of the second", at(&place).count(), 1)?;
        expect_hex("CR3", cr3(), at(&place).pgd())
    };
    let heir = || {
        pass();
        expect("mm_count of what both left behind", at(&place).count(), 1)?;
        Mm::move_into_new()?;
        // One user has gone, and one has come.
        expect(
            "address spaces",
            MM_LIVE.load(Ordering::Relaxed),
            live.load(Ordering::Relaxed),
        )
    };
    Crew::new()
        .actor("first", first)
        .actor("second", second)
        .actor("heir", heir)
        .run()
}
