#![forbid(unsafe_code)]
//! A task's x87 and SSE state: whether there is one, and its place.
//!
//! ```text
//!              init_fpu (first use, sigreturn)
//!   +--------+ ------------------------------> +-----------+
//!   | unused |                                 | in memory |
//!   +--------+ <------------------------------ +-----------+
//!      ^  TS=1   forget (a handler begins,       |  ^   TS=1
//!      |         exec, exit)                     |  |
//!      |           mark_live (#NM, preload, eager)  |  mark_saved (switch, fork, frame)
//!      |                                         v  |
//!      |          forget                       +-----------+
//!      +-------------------------------------- |   live    |
//!                                              +-----------+
//!                                                 TS=0, TS_USEDFPU
//! ```
//! [`FpuState`] alone distinguishes "unused" from "in memory": it answers Linux's `used_math()`,
//! and there is no separate flag that a copy of the state could miss. "Live" is TS_USEDFPU in
//! `work`, where the switch looks; CR0.TS of the CPU that runs the task is its opposite. Only a
//! running task is live: no CPU keeps registers of a task that left it.
//!
//! The memory stays when the state is forgotten, so a signal handler and the return from it need
//! none.
//!
//! `arch::x86::switch::math_state` calls the transitions, and moves the registers and CR0.TS with
//! them.
//!
//! Book: ch. 3, "Saving and Loading the FPU, MMX, and XMM Registers".
//! Linux: 2.6.38 `struct fpu`, PF_USED_MATH, TS_USEDFPU.

extern crate alloc;
use alloc::boxed::Box;

use super::thread_struct::{TS_FPU_COUNTED, TS_USEDFPU, ThreadStruct};
use crate::hw::fxsave::FxsaveArea;

/// A task's FPU state outside the processor.
#[derive(Debug, Default)]
pub struct FpuState(State);

#[derive(Debug)]
enum State {
    /// The next FPU instruction begins with [`FxsaveArea::INIT`]. The memory is present after the
    /// first use.
    Unused(Option<Box<FxsaveArea>>),
    /// The task has a state; while the task is live the registers are newer than this copy.
    Used(Box<FxsaveArea>),
}

impl Default for State {
    fn default() -> Self {
        State::Unused(None)
    }
}

impl FpuState {
    /// No state, and no memory for one.
    pub const NONE: Self = Self(State::Unused(None));
}

/// The transitions. During one the task must not be switched away.
impl ThreadStruct {
    /// Returns whether the task has FPU state.
    #[inline(always)]
    pub fn used_math(&self) -> bool {
        matches!(self.fpu.0, State::Used(_))
    }

    /// Returns whether the processor's registers belong to this task.
    #[inline(always)]
    pub fn fpu_is_live(&self) -> bool {
        self.work.contains(TS_USEDFPU)
    }

    /// Returns the state as it was last saved, or `None` if there is none.
    #[inline(always)]
    pub fn saved_fpu(&self) -> Option<&FxsaveArea> {
        match &self.fpu.0 {
            State::Used(area) => Some(area),
            State::Unused(_) => None,
        }
    }

    /// Returns the memory of the state, to save into, or `None` if there is no state.
    #[inline(always)]
    pub fn saved_fpu_mut(&mut self) -> Option<&mut FxsaveArea> {
        match &mut self.fpu.0 {
            State::Used(area) => Some(area),
            State::Unused(_) => None,
        }
    }

    /// Returns whether the task has memory for a state, used or not.
    pub fn has_fpu_memory(&self) -> bool {
        !matches!(self.fpu.0, State::Unused(None))
    }

    /// Gives the task the state `image`, in memory. Takes `memory` if the task has none, and
    /// returns it otherwise, for the caller to free. Returns false if there is no memory; then
    /// nothing has changed.
    pub fn init_fpu(
        &mut self,
        image: &FxsaveArea,
        memory: Option<Box<FxsaveArea>>,
    ) -> (bool, Option<Box<FxsaveArea>>) {
        let (own, spare) = match core::mem::take(&mut self.fpu.0) {
            State::Used(area) | State::Unused(Some(area)) => (Some(area), memory),
            State::Unused(None) => (memory, None),
        };
        let Some(mut area) = own else {
            return (false, spare);
        };
        *area = *image;
        self.fpu.0 = State::Used(area);
        self.set_work(TS_USEDFPU, false);
        (true, spare)
    }

    /// Notes that the registers were loaded from the saved state.
    #[inline(always)]
    pub fn mark_live(&mut self) {
        debug_assert!(self.used_math(), "BUG: live FPU registers without a state");
        self.set_work(TS_USEDFPU | TS_FPU_COUNTED, true);
    }

    /// Notes that the registers were stored to the saved state and no longer belong to the task.
    #[inline(always)]
    pub fn mark_saved(&mut self) {
        self.set_work(TS_USEDFPU, false);
    }

    /// Forgets the task's state. Returns true if the task was live; then the caller takes the FPU
    /// away.
    pub fn forget_fpu(&mut self) -> bool {
        let was_live = self.fpu_is_live();
        self.set_work(TS_USEDFPU, false);
        self.fpu.0 = match core::mem::take(&mut self.fpu.0) {
            State::Used(area) => State::Unused(Some(area)),
            unused => unused,
        };
        was_live
    }

    /// Takes the memory of a forgotten state.
    pub fn take_fpu_memory(&mut self) -> Option<Box<FxsaveArea>> {
        match &mut self.fpu.0 {
            State::Unused(memory) => memory.take(),
            State::Used(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn image(cwd: u16) -> FxsaveArea {
        FxsaveArea {
            cwd,
            ..FxsaveArea::INIT
        }
    }

    fn memory() -> Option<Box<FxsaveArea>> {
        Some(Box::new(FxsaveArea::INIT))
    }

    #[test]
    fn a_forgotten_state_leaves_its_memory_and_nothing_else() {
        let mut thread = ThreadStruct::new();
        assert_eq!(thread.init_fpu(&image(1), None), (false, None));
        assert!(!thread.used_math() && !thread.has_fpu_memory());
        assert_eq!(thread.init_fpu(&image(1), memory()), (true, None));
        thread.mark_live();
        assert!(thread.forget_fpu());
        assert!(!thread.used_math() && !thread.fpu_is_live() && thread.saved_fpu().is_none());
        assert_eq!(thread.init_fpu(&image(2), None), (true, None));
        assert_eq!(thread.saved_fpu(), Some(&image(2)));
        assert!(
            thread.init_fpu(&image(3), memory()).1.is_some(),
            "not needed"
        );
        assert!(!thread.forget_fpu() && thread.take_fpu_memory().is_some());
        assert!(!thread.has_fpu_memory());
    }

    proptest! {
        /// In any order of transitions, live implies used, and used implies memory.
        #[test]
        fn state_and_registers_never_part(steps in proptest::collection::vec(0..6u8, 0..40)) {
            let mut thread = ThreadStruct::new();
            for step in steps {
                match step {
                    0 => drop(thread.init_fpu(&image(5), memory())),
                    1 => drop(thread.init_fpu(&image(6), None)),
                    2 if thread.used_math() => thread.mark_live(),
                    3 => thread.mark_saved(),
                    4 => _ = thread.forget_fpu(),
                    _ => drop(thread.take_fpu_memory()),
                }
                prop_assert!(!thread.fpu_is_live() || thread.used_math());
                prop_assert!(!thread.used_math() || thread.has_fpu_memory());
                prop_assert_eq!(thread.used_math(), thread.saved_fpu().is_some());
            }
        }
    }
}
