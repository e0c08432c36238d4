#![forbid(unsafe_code)]
//! `Form`: the three forms of `__switch_to`, with and without the rarer steps.
//!
//! The steps are written once. For each form the compiler makes one function of them, without the
//! steps that are never due. `thread.work` of prev and next says which form a switch needs.
//!
//! | form | FPU | rare steps | when |
//! |---|---|---|---|
//! | [`Common`] | | | neither has used the FPU lately, and neither needs a rare step |
//! | [`WithFpu`] | yes | | one of them has used the FPU |
//! | [`All`] | yes | yes | one has debug registers, ports, more TLS, no time-stamp counter; or updates are batched |
//!
//! Linux: 2.6.38 tests `thread_info.flags`, `.status` and `fpu_counter` one after the other
//! instead.

use core::marker::PhantomData;

use crate::arch::x86::switch::updates::{Now, Updates};
use crate::task::thread_struct::{
    _TIF_WORK_CTXSW, TIF_PARAVIRT, TIF_SYSENTER_CS, TIF_TLS_ALL, TS_FPU_COUNTED, TS_USEDFPU, Work,
};

/// Bits of `thread.work` of a task whose FPU state may have to move.
pub const FPU: Work = TS_USEDFPU.union(TS_FPU_COUNTED);
/// Bits of `thread.work` of a task that needs a rare step.
pub const RARE: Work = TIF_TLS_ALL
    .union(TIF_SYSENTER_CS)
    .union(TIF_PARAVIRT)
    .union(_TIF_WORK_CTXSW);

/// The work that a switch may have to do.
pub trait Form {
    /// Steps 1 and 7: prev or next has a bit of [`FPU`](const@FPU).
    const FPU: bool;
    /// Step 5, and the rest of steps 2 and 4: prev or next has a bit of [`RARE`](const@RARE).
    const RARE: bool;
    /// The way in which updates reach the machine.
    type To: Updates;
}

/// The switch between two tasks that have nothing but a stack, `%gs` and one TLS descriptor.
pub struct Common;

impl Form for Common {
    const FPU: bool = false;
    const RARE: bool = false;
    type To = Now;
}

/// The common switch, and the FPU.
pub struct WithFpu;

impl Form for WithFpu {
    const FPU: bool = true;
    const RARE: bool = false;
    type To = Now;
}

/// A switch that takes every step.
pub struct All<To>(PhantomData<To>);

impl<To: Updates> Form for All<To> {
    const FPU: bool = true;
    const RARE: bool = true;
    type To = To;
}
