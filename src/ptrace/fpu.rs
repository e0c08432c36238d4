#![forbid(unsafe_code)]
//! GETFPREGS, GETFPXREGS and the like: the x87 and SSE registers of a stopped task.
//!
//! The task is off its CPU, so its registers are in memory. A task that has not used the FPU shows
//! the state that it would begin with.
//!
//! Linux: 2.6.38 `fpregs_get`, `xfpregs_get`, `fpregs_set`, `xfpregs_set`.

use zerocopy::{FromBytes, IntoBytes};

use super::held::Held;
use crate::arch::x86::switch::math_state::{copy_fpu_state, mxcsr_feature_mask};
use crate::base::errno::Errno;
use crate::hw::fxsave::FxsaveArea;
use crate::process::fpstate::FpState;

/// Bytes of `struct user_i387_struct`: the format of FSAVE.
pub const FPREGS_BYTES: usize = 108;
/// Bytes of `struct user_fxsr_struct`: the format of FXSAVE.
pub const FPXREGS_BYTES: usize = 512;

fn image(held: &mut Held) -> FxsaveArea {
    held.thread()
        .saved_fpu()
        .copied()
        .unwrap_or(FxsaveArea::INIT)
}

/// Returns the x87 registers as FSAVE stores them.
pub fn fpregs(held: &mut Held) -> [u8; FPREGS_BYTES] {
    let state = FpState::from_fxsave(&image(held));
    let mut bytes = [0; FPREGS_BYTES];
    bytes.copy_from_slice(&state.as_bytes()[..FPREGS_BYTES]);
    bytes
}

/// Sets the x87 registers from the format of FSAVE.
///
/// # Errors
/// ENOMEM.
pub fn set_fpregs(held: &mut Held, bytes: &[u8; FPREGS_BYTES]) -> Result<(), Errno> {
    let mut state = FpState::from_fxsave(&image(held));
    state.as_mut_bytes()[..FPREGS_BYTES].copy_from_slice(bytes);
    let image = state.to_fxsave(mxcsr_feature_mask());
    copy_fpu_state(held.thread(), &image)
}

/// Returns the registers as FXSAVE stores them.
pub fn fpxregs(held: &mut Held) -> [u8; FPXREGS_BYTES] {
    let mut bytes = [0; FPXREGS_BYTES];
    bytes.copy_from_slice(image(held).as_bytes());
    bytes
}

/// Sets the registers from the format of FXSAVE, without the bits of MXCSR that the processor would
/// refuse.
///
/// # Errors
/// ENOMEM.
pub fn set_fpxregs(held: &mut Held, bytes: &[u8; FPXREGS_BYTES]) -> Result<(), Errno> {
    let Ok(mut image) = FxsaveArea::read_from_bytes(bytes) else {
        return Err(Errno::EIO);
    };
    image.sanitize(mxcsr_feature_mask());
    copy_fpu_state(held.thread(), &image)
}
