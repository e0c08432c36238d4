//! The end of a task, which cannot free its own stack.
//!
//! Book: ch. 3, "Process Termination", "Process Removal".

use core::sync::atomic::Ordering;

use super::guide::Guide;
use crate::mm::mm_struct::MM_LIVE;
use crate::selftest::crew::{Crew, Journal, Slot, pass};
use crate::selftest::user::{Mm, my_active_mm};
use crate::sync::{LockClass, SpinLock};
use crate::task::state::TASK_DEAD;
use crate::task::task_struct::TASKS_LIVE;

/// Shows that the next task drops the scheduler's reference, in `finish_task_switch`.
pub fn stack(guide: &mut Guide) {
    guide.say("A dying task runs on its stack to the last instruction. It leaves the list of");
    guide.say("tasks, which drops its reference; the scheduler's it cannot drop itself. So its");
    guide.say("state becomes TASK_DEAD, and the task that runs next drops that one.");
    let (slot, seen) = (Slot::new(), Journal::new());
    let dying = || {
        slot.enter();
        pass();
        Ok(())
    };
    let next = || {
        let task = slot.task()?;
        seen.note((task.state.get(), task.usage.load(Ordering::Relaxed)));
        pass(); // it ends, and we are next
        seen.note((task.state.get(), task.usage.load(Ordering::Relaxed)));
        Ok(())
    };
    let before = TASKS_LIVE.load(Ordering::Relaxed);
    guide.ended(Crew::new().actor("dying", dying).actor("next", next).run());
    let e = seen.entries();
    let [alive, dead] = e[..] else {
        return guide.check(false, "both came onto the stage");
    };
    guide.show(format_args!(
        "before: state {:#x}, references {}",
        alive.0, alive.1
    ));
    guide.show(format_args!(
        "after:  state {:#x} (TASK_DEAD), references {}",
        dead.0, dead.1
    ));
    guide.check(
        dead.0 == TASK_DEAD && dead.1 + 2 == alive.1,
        "two references are gone: the task list's and the scheduler's",
    );
    drop((slot, seen));
    guide.check(
        TASKS_LIVE.load(Ordering::Relaxed) <= before + 1,
        "with the last reference the descriptor and its stack are gone",
    );
}

/// Shows that a dying process first becomes a kernel task, which borrows its former address space.
pub fn page_directory(guide: &mut Guide) {
    guide.say("exit_mm grabs mm_count before it gives up mm: the dying process goes on as a");
    guide.say("kernel task that borrows. Its page directory goes when CR3 has moved on.");
    let (place, seen) = (SpinLock::new(LockClass::Selftest, None), Journal::new());
    let live = || MM_LIVE.load(Ordering::Relaxed);
    let lent = || {
        place
            .lock()
            .is_some_and(|mm: Mm| mm.as_ptr() == my_active_mm())
    };
    let dying = || {
        *place.lock() = Some(Mm::move_into_new()?);
        pass(); // user gets its own address space
        seen.note((live(), lent()));
        Ok(()) // and ends
    };
    let kernel = || {
        pass();
        seen.note((live(), lent()));
        pass(); // to user
        Ok(())
    };
    let user = || {
        Mm::move_into_new()?;
        pass();
        seen.note((live(), lent()));
        Ok(())
    };
    let crew = Crew::new()
        .actor("dying", dying)
        .actor("kernel", kernel)
        .actor("user", user);
    guide.ended(crew.run());
    let e = seen.entries();
    let [alive, borrowed, after] = e[..] else {
        return guide.check(false, "all came onto the stage");
    };
    guide.show(format_args!(
        "it lives:                       {} address spaces",
        alive.0
    ));
    guide.show(format_args!(
        "it ended, a kernel task runs:   {}, its own still loaded: {}",
        borrowed.0, borrowed.1
    ));
    guide.show(format_args!("the next process runs:          {}", after.0));
    guide.check(
        borrowed.0 == alive.0 && borrowed.1,
        "dead, but its page directory is still there",
    );
    guide.check(
        after.0 + 1 == alive.0,
        "it is freed after the switch that moved CR3 on",
    );
}
