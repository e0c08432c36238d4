#![forbid(unsafe_code)]
//! The exception that an x87 or SSE instruction raised: the FPU's registers name it, #MF and #XM do
//! not.
//!
//! `arch::x86::entry::traps` uses this, with the FPU state at the time of the exception.
//!
//! Linux: 2.6.38 `math_error`. SDM: vol. 1, 8.5 "x87 FPU Floating-Point Exception Conditions",
//! 11.5 "SSE, SSE2, and SSE3 Exceptions".

use super::fxsave::FxsaveArea;

/// The two floating-point exceptions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MathError {
    /// #MF, raised by the x87 instruction after the one at fault.
    X87,
    /// #XM, raised by the SSE instruction itself.
    Simd,
}

// Flags and masks of the x87 status and control words, and of MXCSR.
const INVALID: u32 = 1 << 0;
const DENORMAL: u32 = 1 << 1;
const ZERO_DIVIDE: u32 = 1 << 2;
const OVERFLOW: u32 = 1 << 3;
const UNDERFLOW: u32 = 1 << 4;
const PRECISION: u32 = 1 << 5;
/// Distance in bits from a flag of MXCSR to its mask.
const MXCSR_MASKS: u32 = 7;

const FPE_FLTDIV: i32 = 3;
const FPE_FLTOVF: i32 = 4;
const FPE_FLTUND: i32 = 5;
const FPE_FLTRES: i32 = 6;
const FPE_FLTINV: i32 = 7;

impl MathError {
    /// Returns the vector of the exception.
    pub const fn vector(self) -> u32 {
        match self {
            MathError::X87 => 16,
            MathError::Simd => 19,
        }
    }

    /// Returns the `si_code` of the SIGFPE for the unmasked flags in `state`, or `None` if there
    /// are none.
    pub const fn si_code(self, state: &FxsaveArea) -> Option<i32> {
        let raised = match self {
            MathError::X87 => (state.swd & !state.cwd) as u32,
            MathError::Simd => state.mxcsr & !(state.mxcsr >> MXCSR_MASKS),
        };
        Some(match raised {
            _ if raised & INVALID != 0 => FPE_FLTINV,
            _ if raised & ZERO_DIVIDE != 0 => FPE_FLTDIV,
            _ if raised & OVERFLOW != 0 => FPE_FLTOVF,
            _ if raised & (DENORMAL | UNDERFLOW) != 0 => FPE_FLTUND,
            _ if raised & PRECISION != 0 => FPE_FLTRES,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The `si_code` for each flag, lowest flag first.
    const CODES: [i32; 6] = [7, 5, 3, 4, 5, 6];

    #[test]
    fn the_flag_that_is_not_masked_counts() {
        for (flag, code) in CODES.into_iter().enumerate() {
            let mut state = FxsaveArea::INIT;
            state.swd = 0x3f;
            state.cwd &= !(1 << flag);
            state.mxcsr = 0x1fbf & !(0x80 << flag);
            assert_eq!(
                MathError::X87.si_code(&state),
                Some(code),
                "x87, flag {flag}"
            );
            assert_eq!(
                MathError::Simd.si_code(&state),
                Some(code),
                "SSE, flag {flag}"
            );
        }
    }

    #[test]
    fn masked_flags_are_none() {
        let mut state = FxsaveArea::INIT;
        (state.swd, state.mxcsr) = (0x3f, 0x1fbf);
        assert_eq!(MathError::X87.si_code(&state), None);
        assert_eq!(MathError::Simd.si_code(&state), None);
    }
}
