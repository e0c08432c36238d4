#![forbid(unsafe_code)]
//! The 512-byte image of FXSAVE and FXRSTOR.
//!
//! Each task that has used the FPU owns one. `__unlazy_fpu` saves into it when a task that used the
//! FPU leaves the processor; #NM or the preload restores it.
//!
//! Book: ch. 3, "Saving and Loading the FPU, MMX, and XMM Registers".
//! Linux: `struct i387_fxsave_struct`.
//! SDM: vol. 1, 10.5.1 "FXSAVE Area"; vol. 2, FXSAVE.

use core::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// x87 control word after `fninit`: all exceptions masked, 64-bit precision.
pub const INIT_CWD: u16 = 0x37f;
/// MXCSR after reset: all exceptions masked, round to nearest.
pub const INIT_MXCSR: u32 = 0x1f80;
/// MXCSR bits that every processor with SSE has, for which FXSAVE may store the mask 0.
pub const DEFAULT_MXCSR_MASK: u32 = 0xffbf;

/// x87, MMX and SSE registers in the 32-bit layout. FXSAVE and FXRSTOR raise
/// #GP unless it is 16-byte aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C, align(16))]
pub struct FxsaveArea {
    /// x87 control word.
    pub cwd: u16,
    /// x87 status word.
    pub swd: u16,
    /// Abridged tag word: bit n set = register n in use.
    pub twd: u16,
    /// Opcode of the last x87 instruction.
    pub fop: u16,
    /// Offset of the last x87 instruction.
    pub fip: u32,
    /// Code segment of the last x87 instruction.
    pub fcs: u32,
    /// Offset of the last x87 instruction's operand.
    pub foo: u32,
    /// Segment of the last x87 instruction's operand.
    pub fos: u32,
    /// SSE control and status.
    pub mxcsr: u32,
    /// MXCSR bits that this processor has; 0 stands for [`DEFAULT_MXCSR_MASK`].
    pub mxcsr_mask: u32,
    /// ST0–ST7 (or MM0–MM7), 16 bytes each, of which ten are used.
    pub st_space: [u32; 32],
    /// XMM0–XMM7, 16 bytes each; the second half is for 64-bit mode.
    pub xmm_space: [u32; 64],
    /// Reserved words, then words left to software.
    pub padding: [u32; 24],
}

const _: () = {
    assert!(size_of::<FxsaveArea>() == 512);
    assert!(align_of::<FxsaveArea>() == 16);
    assert!(offset_of!(FxsaveArea, mxcsr) == 24);
    assert!(offset_of!(FxsaveArea, st_space) == 32);
    assert!(offset_of!(FxsaveArea, xmm_space) == 160);
    assert!(offset_of!(FxsaveArea, padding) == 416);
};

impl FxsaveArea {
    /// The state that a task finds at its first FPU instruction.
    pub const INIT: FxsaveArea = FxsaveArea {
        cwd: INIT_CWD,
        swd: 0,
        twd: 0,
        fop: 0,
        fip: 0,
        fcs: 0,
        foo: 0,
        fos: 0,
        mxcsr: INIT_MXCSR,
        mxcsr_mask: 0,
        st_space: [0; 32],
        xmm_space: [0; 64],
        padding: [0; 24],
    };

    /// Clears the MXCSR bits that FXRSTOR would refuse with #GP; `mask` is the `mxcsr_mask` that
    /// this processor's FXSAVE stored. Used for images that a program may have written.
    pub const fn sanitize(&mut self, mask: u32) {
        self.mxcsr &= if mask == 0 { DEFAULT_MXCSR_MASK } else { mask };
    }

    /// Returns the MXCSR bits that the processor which stored this image has.
    pub const fn mxcsr_bits(&self) -> u32 {
        match self.mxcsr_mask {
            0 => DEFAULT_MXCSR_MASK,
            mask => mask,
        }
    }
}

impl Default for FxsaveArea {
    fn default() -> Self {
        Self::INIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_image_is_the_state_after_reset() {
        let image = FxsaveArea::INIT;
        assert_eq!((image.cwd, image.twd, image.mxcsr), (0x37f, 0, 0x1f80));
        assert!(
            image
                .xmm_space
                .iter()
                .chain(&image.st_space)
                .all(|&word| word == 0)
        );
    }

    #[test]
    fn a_foreign_mxcsr_cannot_fault() {
        let mut image = FxsaveArea {
            mxcsr: u32::MAX,
            ..FxsaveArea::INIT
        };
        image.sanitize(0);
        assert_eq!(image.mxcsr, 0xffbf);
        image.sanitize(0x1f80);
        assert_eq!(image.mxcsr, 0x1f80);
    }
}
