//! `prepare_task_switch`: what is due before a switch. One `finish_task_switch` follows each.
//!
//! Called by `context_switch` on prev's stack, run-queue lock held, interrupts off.
//!
//! Linux: 5.4 `prepare_task_switch`, `prepare_task`.

use crate::task::task_struct::TaskStruct;

/// Marks next as running before it does, so that nobody takes it for free to run elsewhere.
#[inline(always)]
pub fn prepare_task_switch(next: &TaskStruct) {
    prepare_task(next);
}

#[inline(always)]
fn prepare_task(next: &TaskStruct) {
    super::on_cpu::prepare_task(&next.on_cpu);
}
