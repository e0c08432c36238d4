#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]
//! `_fpstate`: the FPU registers in a signal frame, in two formats one after the other.
//!
//! ```text
//!     0  seven words and eight registers of ten bytes, as FSAVE stores them; upper halves all ones
//!   108  status word once more, then 0: an FXSAVE image follows
//!   112  512 bytes as FXSAVE stores them: x87 again, MXCSR, xmm0 to xmm7
//! ```
//! Programs older than SSE know only the first part, so their changes there count: on the way back
//! x87 state comes from the first part, SSE state from the second.
//!
//! Used by `signal_delivery`.
//!
//! Linux: 2.6.38 `asm/sigcontext.h`, `i387.c` (`convert_from_fxsr`, `convert_to_fxsr`).
//! SDM: vol. 1, 8.1.10 "Saving the x87 FPU's State", 10.5.1 "FXSAVE Area".

use core::mem::offset_of;

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

use crate::hw::fxsave::FxsaveArea;

/// An x87 register as FSAVE stores it: ten bytes.
type FpReg = [u16; 5];

/// `struct _fpstate`, 624 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct FpState {
    /// Control word, with ones above.
    pub cw: u32,
    /// Status word, with ones above.
    pub sw: u32,
    /// Tag word, two bits a register, with ones above.
    pub tag: u32,
    /// Offset of the last instruction.
    pub ipoff: u32,
    /// Code segment of the last instruction; its opcode in the upper half.
    pub cssel: u32,
    /// Offset of the last instruction's operand.
    pub dataoff: u32,
    /// Segment of the last instruction's operand.
    pub datasel: u32,
    /// ST0 to ST7.
    pub st: [FpReg; 8],
    /// Status word, repeated.
    pub status: u16,
    /// 0: an FXSAVE image follows (`X86_FXSR_MAGIC`).
    pub magic: u16,
    /// The FXSAVE image.
    pub fxsave: FxsaveArea,
}

/// Length of [`FpState`] in bytes.
pub const FPSTATE_BYTES: u32 = size_of::<FpState>() as u32;

const _: () = assert!(FPSTATE_BYTES == 624);
const _: () = assert!(offset_of!(FpState, st) == 28 && offset_of!(FpState, status) == 108);
const _: () = assert!(offset_of!(FpState, magic) == 110 && offset_of!(FpState, fxsave) == 112);

const ONES_ABOVE: u32 = 0xffff_0000;

impl FpState {
    /// Returns `image` in both formats.
    #[doc(alias = "convert_from_fxsr")]
    pub fn from_fxsave(image: &FxsaveArea) -> Self {
        let mut state = FpState {
            cw: u32::from(image.cwd) | ONES_ABOVE,
            sw: u32::from(image.swd) | ONES_ABOVE,
            tag: u32::from(full_tags(image)) | ONES_ABOVE,
            ipoff: image.fip,
            cssel: image.fcs & 0xffff | u32::from(image.fop) << 16,
            dataoff: image.foo,
            datasel: image.fos,
            st: [[0; 5]; 8],
            status: image.swd,
            magic: 0,
            fxsave: *image,
        };
        for (to, from) in state.st.iter_mut().zip(image.st_space.chunks_exact(4)) {
            to.as_mut_bytes().copy_from_slice(&from.as_bytes()[..10]);
        }
        state
    }

    /// Returns the registers that a program asks for: x87 from the first format, SSE from the
    /// second, without the MXCSR bits that this processor, whose mask is `mxcsr_mask`, would
    /// refuse.
    #[doc(alias = "convert_to_fxsr")]
    pub fn to_fxsave(&self, mxcsr_mask: u32) -> FxsaveArea {
        let mut image = FxsaveArea {
            cwd: self.cw as u16,
            swd: self.sw as u16,
            twd: u16::from(abridged_tags(self.tag as u16)),
            fop: (self.cssel >> 16) as u16,
            fip: self.ipoff,
            fcs: self.cssel & 0xffff,
            foo: self.dataoff,
            fos: self.datasel,
            ..self.fxsave
        };
        for (to, from) in image.st_space.chunks_exact_mut(4).zip(&self.st) {
            to.as_mut_bytes()[..10].copy_from_slice(from.as_bytes());
        }
        image.sanitize(mxcsr_mask);
        image
    }

    /// Returns an `FpState` of zeros, for the caller to overwrite.
    pub fn zeroed() -> Self {
        Self::new_zeroed()
    }
}

/// Returns the tag word of FSAVE: two bits for each physical register, derived from its contents.
#[doc(alias = "twd_fxsr_to_i387")]
fn full_tags(image: &FxsaveArea) -> u16 {
    const VALID: u16 = 0;
    const ZERO: u16 = 1;
    const SPECIAL: u16 = 2;
    const EMPTY: u16 = 3;
    let top = u32::from(image.swd) >> 11 & 7;
    let mut tags = 0u16;
    for physical in 0..8u32 {
        let tag = if image.twd.wrapping_shr(physical) & 1 == 0 {
            EMPTY
        } else {
            // Registers are stored in order from the top of the stack.
            let from_top = physical.wrapping_sub(top) & 7;
            let register = image.st_space.chunks_exact(4).nth(from_top as usize);
            let [low, high, exponent] =
                register.map_or([0; 3], |words| [words[0], words[1], words[2]]);
            match exponent & 0x7fff {
                0 if low | high == 0 => ZERO,
                0 | 0x7fff => SPECIAL,
                _ if high >> 31 == 1 => VALID,
                _ => SPECIAL,
            }
        };
        tags |= tag.wrapping_shl(physical.wrapping_mul(2));
    }
    tags
}

/// Returns the tag word of FXSAVE: one bit for each physical register, set if it is in use.
#[doc(alias = "twd_i387_to_fxsr")]
fn abridged_tags(full: u16) -> u8 {
    (0..8u32)
        .filter(|physical| full.wrapping_shr(physical.wrapping_mul(2)) & 3 != 3)
        .fold(0, |tags, physical| tags | 1u8.wrapping_shl(physical))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::fxsave::DEFAULT_MXCSR_MASK;

    /// Returns an image in which each field has a different value.
    fn image() -> FxsaveArea {
        let mut image = FxsaveArea {
            cwd: 0x027f,
            swd: 0x3141,
            twd: 0b1010_0101,
            fop: 0x05d9,
            fip: 0x0804_8123,
            fcs: 0x73,
            foo: 0x0804_9456,
            fos: 0x7b,
            mxcsr: 0x1fa0,
            ..FxsaveArea::INIT
        };
        for (n, word) in (1u32..).zip(&mut image.xmm_space[..32]) {
            *word = n.wrapping_mul(0x0101_0107);
        }
        for (n, register) in (1u32..).zip(image.st_space.chunks_exact_mut(4)) {
            register[..2].copy_from_slice(&[n.wrapping_mul(0x1357), 0x8000_0000 | n]);
            register[2] = 0x3fff ^ n;
        }
        image
    }

    #[test]
    fn the_first_format_is_as_fsave_has_it() {
        let state = FpState::from_fxsave(&image());
        let head = [
            state.cw,
            state.sw,
            state.ipoff,
            state.cssel,
            state.dataoff,
            state.datasel,
        ];
        let wanted = [
            0xffff_027f,
            0xffff_3141,
            0x0804_8123,
            0x05d9_0073,
            0x0804_9456,
            0x7b,
        ];
        assert_eq!(head, wanted);
        assert_eq!((state.status, state.magic), (0x3141, 0));
        assert_eq!(state.st[2], [0x3a05, 0, 3, 0x8000, 0x3ffc]);
        // In use: physical registers 0, 2, 5 and 7.
        assert_eq!(state.tag, 0xffff_0000 | 0b00_11_00_11_11_00_11_00);
    }

    #[test]
    fn tags_tell_numbers_from_zero_and_from_the_rest() {
        // Top 6: physical register 7 is ST1, 0 is ST2, 1 is ST3.
        let mut image = FxsaveArea {
            swd: 6 << 11,
            twd: 0b1100_0011,
            ..FxsaveArea::INIT
        };
        let registers = [
            [0, 1 << 31, 0x3fff],
            [0, 0, 0],
            [1, 1 << 31, 0x7fff],
            [0, 1, 0x4000],
        ];
        for (to, from) in image.st_space.chunks_exact_mut(4).zip(&registers) {
            to[..3].copy_from_slice(from);
        }
        assert_eq!(full_tags(&image), 0b01_00_11_11_11_11_10_10);
    }

    #[test]
    fn what_was_stored_comes_back_and_the_first_format_counts() {
        let before = image();
        let mut state = FpState::from_fxsave(&before);
        assert_eq!(state.to_fxsave(DEFAULT_MXCSR_MASK), before);
        state.cw = 0x037b;
        state.st[7] = [1, 2, 3, 4, 5];
        state.fxsave.cwd = 0x0f7f;
        state.fxsave.xmm_space[4] = 77;
        state.fxsave.mxcsr = u32::MAX;
        let after = state.to_fxsave(0xffff);
        assert_eq!(
            (after.cwd, after.xmm_space[4], after.mxcsr),
            (0x037b, 77, 0xffff)
        );
        assert_eq!(after.st_space[28..30], [0x0002_0001, 0x0004_0003]);
        assert_eq!(state.to_fxsave(0).mxcsr, DEFAULT_MXCSR_MASK);
    }

    #[test]
    fn an_empty_fpu_has_empty_tags() {
        let state = FpState::from_fxsave(&FxsaveArea::INIT);
        assert_eq!(
            (state.cw, state.sw, state.tag),
            (0xffff_037f, 0xffff_0000, u32::MAX)
        );
        assert_eq!(abridged_tags(0xffff), 0);
    }
}
