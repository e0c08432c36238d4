//! Preempt notifiers: `fire_sched_out_preempt_notifiers`, `fire_sched_in_preempt_notifiers`.
//!
//! Called in the switch, run-queue lock held, interrupts off.
//!
//! Linux: 2.6.23 `preempt_notifier_register`; 5.4 `kernel/sched/core.c`.

use crate::arch::x86::current::current;
use crate::base::percpu::smp_processor_id;
use crate::sync::PreemptGuard;
use crate::task::hooks::HOOK_PREEMPT_NOTIFIERS;
use crate::task::preempt_notifier::PreemptNotifier;
use crate::task::task_struct::TaskStruct;

/// Calls `notifier` at each switch of the running task from now on.
///
/// # Safety
/// 1. `notifier` stays where it is, and nothing else writes it, until the same task unregisters it.
///    2. It is on no list.
pub unsafe fn preempt_notifier_register(notifier: *mut PreemptNotifier) {
    let _no_preempt = PreemptGuard::new();
    let me = current();
    // SAFETY: by 1 and 2; the list is ours, and with preemption off no switch walks it.
    unsafe {
        (*notifier).next = *me.preempt_notifiers.get();
        *me.preempt_notifiers.get() = notifier;
    }
    me.hooks.insert(HOOK_PREEMPT_NOTIFIERS);
}

/// Takes `notifier` off the running task's list, if it is there.
///
/// # Safety
/// 1. Every notifier on the list was registered by [`preempt_notifier_register`] and is still live.
pub unsafe fn preempt_notifier_unregister(notifier: *const PreemptNotifier) {
    let _no_preempt = PreemptGuard::new();
    let me = current();
    // SAFETY: by 1; the list is ours, and with preemption off no switch walks it.
    unsafe {
        let mut link: *mut *const PreemptNotifier = me.preempt_notifiers.get();
        while !(*link).is_null() {
            if core::ptr::eq(*link, notifier) {
                *link = (*notifier).next;
                break;
            }
            link = (&raw const (**link).next).cast_mut();
        }
        if (*me.preempt_notifiers.get()).is_null() {
            me.hooks.remove(HOOK_PREEMPT_NOTIFIERS);
        }
    }
}

/// Tells the notifiers of `prev` that it leaves this CPU to `next`.
///
/// # Safety
/// 1. `prev` is the running task, and is being switched away from.
pub unsafe fn fire_sched_out_preempt_notifiers(prev: &TaskStruct, next: &TaskStruct) {
    // SAFETY: by 1.
    unsafe {
        for_each(prev, |notifier| {
            (notifier.ops.sched_out)(notifier, next.pid());
        });
    }
}

/// Tells the notifiers of `curr` that it has come onto this CPU.
///
/// # Safety
/// 1. `curr` is the running task, at the end of the switch to it.
pub unsafe fn fire_sched_in_preempt_notifiers(curr: &TaskStruct) {
    let cpu = smp_processor_id();
    // SAFETY: by 1.
    unsafe { for_each(curr, |notifier| (notifier.ops.sched_in)(notifier, cpu)) };
}

/// # Safety
/// 1. `task` is in a switch, and so does not change its list.
unsafe fn for_each(task: &TaskStruct, call: impl Fn(&PreemptNotifier)) {
    if !task.hooks.contains(HOOK_PREEMPT_NOTIFIERS) {
        return;
    }
    // SAFETY: by 1; registered notifiers are live, as `preempt_notifier_register` requires.
    unsafe {
        let mut notifier = *task.preempt_notifiers.get();
        while !notifier.is_null() {
            call(&*notifier);
            notifier = (*notifier).next;
        }
    }
}
