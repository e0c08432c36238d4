//! The part of the switch that changes stacks: `switch_to`.
//!
//! Book: ch. 3, "The switch_to macro".

use super::guide::Guide;
use crate::arch::x86::current::{current, current_by_stack};
use crate::arch::x86::switch::ret_from_fork::ret_from_fork;
use crate::base::insn;
use crate::base::thread_info::THREAD_SIZE;
use crate::hw::eflags::Eflags;
use crate::process::kthread::new_kernel_thread;
use crate::sched::wake_up::wake_up_new_task;
use crate::selftest::check::needs_debug_assertions;
use crate::selftest::crew::{Crew, Journal, Slot, pass};
use crate::selftest::probe::{debug_last, saved_word, thread_of};
use crate::sync::{LockClass, SpinLock};
use crate::task::task_struct::TaskStruct;

unsafe extern "C" {
    /// The code at label 1 of `switch_to`.
    fn switch_to_1();
}

fn label_1() -> u32 {
    switch_to_1 as *const () as u32
}

#[derive(Clone, Copy, Default)]
struct Own {
    pid: i32,
    task: u32,
    by_stack: u32,
    thread_info: u32,
    esp: u32,
}

fn own() -> Own {
    let me = current();
    Own {
        pid: me.pid(),
        task: me.as_ptr() as u32,
        by_stack: current_by_stack() as u32,
        thread_info: me.stack() as u32,
        esp: insn::read_esp(),
    }
}

/// Shows that two tasks identify themselves by `esp` and by the per-CPU pointer.
pub fn two_tasks(guide: &mut Guide) {
    guide.say("Each task has 8 KiB of kernel stack with its thread_info at the foot, so that");
    guide.say("esp alone tells who runs. Since 2.6.22 %fs:current_task says it too.");
    let seen = Journal::new();
    let act = || {
        seen.note(own());
        Ok(())
    };
    guide.ended(Crew::new().actor("a", act).actor("b", act).run());
    for o in seen.entries() {
        guide.show(format_args!(
            "pid {}: esp {:#010x} & ~{:#x} = {:#010x} -> task {:#010x}",
            o.pid,
            o.esp,
            THREAD_SIZE - 1,
            o.esp & !(THREAD_SIZE as u32 - 1),
            o.by_stack
        ));
        guide.check(
            o.by_stack == o.task && o.esp & !(THREAD_SIZE as u32 - 1) == o.thread_info,
            "esp and %fs:current_task name the same task",
        );
    }
}

#[derive(Clone, Copy, Default)]
struct Sleeping {
    stack: u32,
    sp: u32,
    ip: u32,
    words: [u32; 2],
    my_stack: u32,
    my_esp: u32,
}

fn look_at(task: &TaskStruct) -> Sleeping {
    let (sp, ip) = thread_of(task, |t| (t.sp, t.ip));
    Sleeping {
        stack: task.stack() as u32,
        sp,
        ip,
        words: [saved_word(task, 0), saved_word(task, 1)],
        my_stack: current().stack() as u32,
        my_esp: insn::read_esp(),
    }
}

/// Shows task A while it is off the CPU, from task B.
pub fn sleeping(guide: &mut Guide) {
    guide.say("A yields to B. The switch pushes eflags and ebp on A's stack, stores esp in");
    guide.say("A's thread.sp, loads B's thread.sp into esp - that is the process switch -");
    guide.say("and stores label 1 in A's thread.ip. Now B looks at A:");
    let (slot, seen) = (
        Slot::new(),
        SpinLock::new(LockClass::Selftest, Sleeping::default()),
    );
    let a = || {
        slot.enter();
        pass();
        Ok(())
    };
    let b = || {
        let task = slot.task()?;
        *seen.lock() = look_at(&task);
        Ok(())
    };
    guide.ended(Crew::new().actor("a", a).actor("b", b).run());
    let s = *seen.lock();
    let top = THREAD_SIZE as u32;
    guide.show(format_args!(
        "A's kernel stack                    B's kernel stack"
    ));
    guide.show(format_args!(
        "{:#010x} top                      {:#010x} top",
        s.stack + top,
        s.my_stack + top
    ));
    guide.show(format_args!("   ...                                 ..."));
    guide.show(format_args!(
        "{:#010x} eflags {:#010x}        {:#010x} <- esp: B runs",
        s.sp + 4,
        s.words[1],
        s.my_esp
    ));
    guide.show(format_args!(
        "{:#010x} ebp    {:#010x} <- thread.sp",
        s.sp, s.words[0]
    ));
    guide.show(format_args!(
        "{:#010x} thread_info              {:#010x} thread_info",
        s.stack, s.my_stack
    ));
    guide.show(format_args!(
        "A's thread.ip {:#010x}, switch_to_1 is {:#010x}",
        s.ip,
        label_1()
    ));
    let inside = |address: u32| address.wrapping_sub(s.stack) < top;
    guide.check(
        inside(s.sp) && inside(s.words[0]),
        "thread.sp and the saved ebp lie in A's stack",
    );
    guide.check(
        s.words[1] & Eflags::IF.bits() == 0,
        "the saved eflags have IF = 0: the switch has interrupts off",
    );
    guide.check(s.ip == label_1(), "A will go on at label 1");
    guide.check(
        s.my_esp.wrapping_sub(s.my_stack) < top,
        "esp is in B's stack",
    );
}

extern "C" fn nothing(_: u32) -> i32 {
    0
}

/// Shows the context of a task that has never run.
pub fn new_task(guide: &mut Guide) {
    guide.say("A task that never ran has nothing to pop at label 1. copy_thread has put");
    guide.say("another address into its thread.ip; __switch_to was entered by jmp, not by");
    guide.say("call, so its ret goes there.");
    let task = match new_kernel_thread(nothing, 0, "new") {
        Ok(task) => task,
        Err(errno) => return guide.ended(Err(errno.into())),
    };
    let (sp, ip, sp0) = thread_of(&task, |t| (t.sp, t.ip, t.sp0));
    let expected = ret_from_fork as *const () as u32;
    guide.show(format_args!(
        "pid {}: thread.ip {ip:#010x}, ret_from_fork is {expected:#010x}",
        task.pid()
    ));
    guide.show(format_args!(
        "thread.sp {sp:#010x} -> pt_regs, 68 bytes; thread.sp0 {sp0:#010x}"
    ));
    guide.check(ip == expected, "a new task comes out at ret_from_fork");
    guide.check(sp0 - sp == 68, "its stack holds pt_regs and nothing else");
    wake_up_new_task(&task);
}

/// Shows that `last` names the task that ran before A, after switches from A to B to C and back to
/// A.
pub fn last(guide: &mut Guide) {
    guide.say("A -> B -> C -> A. When A left, its stack said prev = A, next = B. Who ran just");
    guide.say("before it now, only the switch itself knows: eax, the third parameter, last.");
    if let Err(skipped) = needs_debug_assertions() {
        return guide.ended(Err(skipped));
    }
    let heard = Journal::new();
    let slots = [const { Slot::new() }; 3];
    let play = |n: usize| {
        let (heard, slots) = (&heard, &slots);
        move || {
            slots[n].enter();
            pass();
            heard.note(debug_last() as u32);
            Ok(())
        }
    };
    let crew = Crew::new()
        .actor("a", play(0))
        .actor("b", play(1))
        .actor("c", play(2));
    guide.ended(crew.run());
    let (Ok(a), Ok(b), Ok(c)) = (slots[0].task(), slots[1].task(), slots[2].task()) else {
        return guide.check(false, "all three came onto the stage");
    };
    let first = heard.entries().first().copied().unwrap_or(0);
    guide.show(format_args!(
        "A is {:p}, B {:p}, C {:p}",
        a.as_ptr(),
        b.as_ptr(),
        c.as_ptr()
    ));
    guide.show(format_args!("back in A, last is {first:#010x}"));
    guide.check(
        first == c.as_ptr() as u32,
        "last is C, though A had switched to B",
    );
}
