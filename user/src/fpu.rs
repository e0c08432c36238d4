//! x87 and SSE registers, filled with values that name their owner.
//!
//! The programs are compiled without floating point, so only these functions touch the registers,
//! and what they load stays over any number of switches.
//!
//! Book: ch. 3, saving and loading the FPU, MMX and XMM registers. SDM: vol. 1, ch. 8, 10.

use core::arch::asm;

/// The x87 control word of a new program.
pub const FRESH_CWD: u16 = 0x37f;
/// The MXCSR of a new program.
pub const FRESH_MXCSR: u32 = 0x1f80;

/// Fills the x87 stack with `seed`, `seed + 1`, .. and loads the control word.
pub fn x87_load(seed: i32, cwd: u16) {
    let values: [i32; 8] = core::array::from_fn(|i| seed + i as i32);
    // SAFETY: reads its operands; the stack is emptied first, so eight loads fit.
    unsafe {
        asm!(
            "fninit", "fldcw ({cwd})",
            "fildl 0({v})", "fildl 4({v})", "fildl 8({v})", "fildl 12({v})",
            "fildl 16({v})", "fildl 20({v})", "fildl 24({v})", "fildl 28({v})",
            v = in(reg) values.as_ptr(), cwd = in(reg) &cwd, options(att_syntax),
        );
    }
}

/// Executes `fninit`: an empty stack, [`FRESH_CWD`], no exception pending.
pub fn x87_reset() {
    // SAFETY: changes x87 registers only.
    unsafe { asm!("fninit") }
}

/// Pops the eight values of the x87 stack: the last loaded comes first.
pub fn x87_take() -> [i32; 8] {
    let mut values = [0i32; 8];
    // SAFETY: writes 32 bytes to `values`; exceptions are masked by `x87_load`.
    unsafe {
        asm!(
            "fistpl 28({v})", "fistpl 24({v})", "fistpl 20({v})", "fistpl 16({v})",
            "fistpl 12({v})", "fistpl 8({v})", "fistpl 4({v})", "fistpl 0({v})",
            v = in(reg) values.as_mut_ptr(), options(att_syntax),
        );
    }
    values
}

/// Returns (control, status, tag word); a tag word of 0xffff is an empty stack.
pub fn x87_environment() -> (u16, u16, u16) {
    let mut environment = [0u32; 7];
    // SAFETY: writes 28 bytes to `environment` and reads them back.
    unsafe {
        asm!("fnstenv ({0})", "fldenv ({0})", in(reg) environment.as_mut_ptr(),
            options(att_syntax));
    }
    let [control, status, tag, ..] = environment.map(|word| word as u16);
    (control, status, tag)
}

/// Returns whether the x87 holds what `x87_load(seed, cwd)` loaded, and loads it again.
pub fn x87_holds(seed: i32, cwd: u16) -> bool {
    let (control, _, tag) = x87_environment();
    let values = x87_take();
    x87_load(seed, cwd);
    // Tag 01 is a zero, 00 any other number; 11 would be an empty register.
    control == cwd && tag & tag >> 1 & 0x5555 == 0 && (0..8).all(|i| values[i] == seed + i as i32)
}

/// Divides 1 by 0 with the exception unmasked, and waits for it.
pub fn x87_divide_by_zero() {
    let cwd: u16 = FRESH_CWD & !4; // ZM
    // SAFETY: reads its operand; the result stays in the x87 stack.
    unsafe {
        asm!("fninit; fldcw ({0}); fld1; fldz; fdivrp; fwait", in(reg) &cwd, options(att_syntax));
    }
}

/// XMM0-7, 16 bytes each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C, align(16))]
pub struct Xmm(pub [u32; 32]);

impl Xmm {
    pub fn named(seed: u32) -> Self {
        Self(core::array::from_fn(|i| {
            seed.wrapping_mul(0x0101_0101) ^ i as u32
        }))
    }
}

pub fn xmm_load(xmm: &Xmm) {
    // SAFETY: reads 128 bytes of `xmm`.
    unsafe {
        asm!(
            "movups 0({0}), %xmm0", "movups 16({0}), %xmm1",
            "movups 32({0}), %xmm2", "movups 48({0}), %xmm3",
            "movups 64({0}), %xmm4", "movups 80({0}), %xmm5",
            "movups 96({0}), %xmm6", "movups 112({0}), %xmm7",
            in(reg) xmm, options(att_syntax),
        );
    }
}

pub fn xmm_store() -> Xmm {
    let mut xmm = Xmm([0; 32]);
    // SAFETY: writes 128 bytes to `xmm`.
    unsafe {
        asm!(
            "movups %xmm0, 0({0})", "movups %xmm1, 16({0})",
            "movups %xmm2, 32({0})", "movups %xmm3, 48({0})",
            "movups %xmm4, 64({0})", "movups %xmm5, 80({0})",
            "movups %xmm6, 96({0})", "movups %xmm7, 112({0})",
            in(reg) &raw mut xmm, options(att_syntax),
        );
    }
    xmm
}

pub fn ldmxcsr(mxcsr: u32) {
    // SAFETY: reads its operand; a reserved bit is an exception.
    unsafe { asm!("ldmxcsr ({0})", in(reg) &mxcsr, options(att_syntax)) }
}

pub fn stmxcsr() -> u32 {
    let mut mxcsr = 0u32;
    // SAFETY: writes 4 bytes to `mxcsr`.
    unsafe { asm!("stmxcsr ({0})", in(reg) &raw mut mxcsr, options(att_syntax)) };
    mxcsr
}
