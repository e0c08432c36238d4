//! The four kinds of switch, by whether prev and next have an address space of their own.
//!
//! Book: ch. 7, "Actions performed by schedule() to make the process switch".

use super::guide::Guide;
use crate::selftest::check::{Verdict, failed};
use crate::selftest::crew::{Crew, Journal, pass};
use crate::selftest::probe::{counts, cr3};
use crate::selftest::user::{Mm, my_active_mm};
use crate::sync::{LockClass, SpinLock};

/// Shows the switches U1 -> K1 -> K2 -> U2 -> U1 of user tasks and kernel threads.
pub fn four_kinds(guide: &mut Guide) {
    guide.say("U1 and U2 have address spaces, K1 and K2 are kernel threads: they borrow what");
    guide.say("is loaded. The order is U1 -> K1 -> K2 -> U2 -> U1. mm_count is that of U1's.");
    let (lent, seen) = (SpinLock::new(LockClass::Selftest, None), Journal::new());
    let note = |who: &'static str| {
        let mm: Option<Mm> = *lent.lock();
        let mm = mm.ok_or_else(|| failed(format_args!("U1 was not first")))?;
        let borrows = my_active_mm() == mm.as_ptr();
        seen.note((
            who,
            mm.count(),
            borrows,
            counts().cr3_writes,
            cr3() == mm.pgd(),
        ));
        Ok::<(), Verdict>(())
    };
    let u2_ready = SpinLock::new(LockClass::Selftest, false);
    let u1 = || {
        *lent.lock() = Some(Mm::move_into_new()?);
        pass(); // K1, K2, and U2, which gets its own address space; then back here
        note("U1")?;
        pass(); // now in the order above
        note("U1 again")
    };
    let kernel = |who: &'static str| {
        let note = &note;
        move || {
            pass();
            note(who)?;
            pass();
            Ok(())
        }
    };
    let u2 = || {
        Mm::move_into_new()?;
        *u2_ready.lock() = true;
        pass();
        note("U2")?;
        pass();
        Ok(())
    };
    let crew = Crew::new()
        .actor("u1", u1)
        .actor("k1", kernel("K1"))
        .actor("k2", kernel("K2"))
        .actor("u2", u2);
    guide.ended(crew.run());
    let e = seen.entries();
    let mut before = e.first().map_or(0, |s| s.3);
    for (who, count, borrows, writes, loaded) in &e {
        guide.show(format_args!(
            "{who:8} mm_count {count}, CR3 writes {}, CR3 is {}",
            writes - before,
            match (loaded, borrows) {
                (true, true) => "U1's",
                (false, false) => "its own",
                _ => "NOT its active_mm's",
            }
        ));
        before = *writes;
    }
    let at = |i: usize| e.get(i).copied().unwrap_or(("", 0, false, 0, false));
    let wrote = |i: usize| at(i).3.wrapping_sub(at(i.wrapping_sub(1)).3);
    guide.check(e.len() == 5, "all five turns were taken");
    guide.check(
        at(1).1 == 2 && wrote(1) == 0,
        "user -> kernel: mmgrab, 1 to 2; CR3 stays",
    );
    guide.check(
        at(2).1 == 2 && wrote(2) == 0,
        "kernel -> kernel: handed over; CR3 stays",
    );
    guide.check(
        at(3).1 == 1 && wrote(3) == 1,
        "kernel -> user: one CR3 write; 2 to 1 in finish_task_switch",
    );
    guide.check(
        at(4).1 == 1 && wrote(4) == 1,
        "user -> user: one CR3 write, no count changes",
    );
}
