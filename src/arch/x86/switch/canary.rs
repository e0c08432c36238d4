//! The stack canary: a random word per task that instrumented functions put under their frames.
//!
//! Only in kernels built with the feature `stack_protector`, and with a compiler told to instrument
//! (see `xtask/src/compile.rs`). Such a function reads `%gs:0x14` when it begins and again before
//! it returns, so `%gs` is the kernel's in the kernel: each entry saves the user's selector in
//! `pt_regs` and loads [`KERNEL_STACK_CANARY`], whose base is this CPU's [`StackCanary`]; each exit
//! loads the user's again. `switch_to` copies next's word there after the stack has become next's
//! and before any of next's functions begins. Without the feature `%gs` is lazy and `%gs:0x14`
//! holds nothing, so the two exclude each other.
//!
//! Before a CPU has its area, `%gs` leads to a word that all CPUs share. [`early_canary`] hands it
//! on, because functions that began with it end later.
//!
//! Book: nothing; its kernel has no canary. Linux: 2.6.30 to 5.12 `asm/stackprotector.h`,
//! `__switch_canary`, `boot_init_stack_canary`, `__stack_chk_fail`.

use core::arch::{asm, global_asm};
use core::mem::offset_of;
use core::sync::atomic::Ordering;

use crate::arch::x86::backtrace::Symbolised;
use crate::arch::x86::current::current;
use crate::base::insn::rdtsc;
use crate::base::percpu::{PerCpu, StackCanary};
use crate::hw::desc::KERNEL_STACK_CANARY;
use crate::this_cpu_write;

/// Whether this kernel is built with the feature.
pub const STACK_PROTECTOR: bool = cfg!(feature = "stack_protector");

/// `%gs` of a frame that returns to the kernel.
pub const KERNEL_GS: u32 = if STACK_PROTECTOR {
    KERNEL_STACK_CANARY.bits() as u32
} else {
    0
};

/// Offset of the canary in the per-CPU area, for `switch_to`.
pub const PERCPU_CANARY: usize = offset_of!(PerCpu, stack_canary) + offset_of!(StackCanary, canary);
const _: () = assert!(offset_of!(StackCanary, canary) == 0x14);

global_asm!(
    r#"
    .pushsection .data.boot_canary, "aw", @progbits
    .balign 4
    .globl  boot_canary
boot_canary:                            # as StackCanary
    .fill   5, 4, 0
    .long   0x2d5ac0de
    .popsection

    .pushsection .text.stack_chk_fail, "ax", @progbits
    .globl  __stack_chk_fail
    .type   __stack_chk_fail, @function
__stack_chk_fail:                       # called by the function whose frame is overwritten
    popl    %ecx
    call    {stack_chk_fail}
    ud2
    .size   __stack_chk_fail, . - __stack_chk_fail
    .popsection
    "#,
    stack_chk_fail = sym stack_chk_fail,
    options(att_syntax)
);

unsafe extern "C" {
    static boot_canary: StackCanary;
}

/// Returns the canary that all CPUs share before each has its own.
pub fn early_canary() -> u32 {
    // SAFETY: defined above, and never written.
    unsafe { boot_canary.canary }
}

/// Returns the word at `%gs:0x14` as an instrumented function reads it, or `None` in a kernel
/// without the feature.
pub fn live_canary() -> Option<u32> {
    if !STACK_PROTECTOR {
        return None;
    }
    let canary: u32;
    // SAFETY: in such a kernel %gs covers this CPU's `StackCanary`.
    unsafe { asm!("mov {}, gs:[0x14]", out(reg) canary, options(nostack, preserves_flags)) };
    Some(canary)
}

/// Gives the running idle task its own canary.
///
/// It is inlined into a function that never returns: a function that began with the old canary
/// would not find it again.
#[inline(always)]
pub fn boot_init_stack_canary() {
    if STACK_PROTECTOR {
        let tsc = rdtsc();
        let canary = (tsc as u32).rotate_left(16) ^ (tsc >> 16) as u32 ^ current().as_ptr() as u32;
        current().stack_canary.store(canary, Ordering::Relaxed);
        // SAFETY: the field is the running task's word, and this is it.
        unsafe { this_cpu_write!(stack_canary.canary, canary) };
    }
}

extern "fastcall" fn stack_chk_fail(caller: u32) -> ! {
    let caller = Symbolised(caller);
    panic!("stack protector: the frame of {caller} is overwritten");
}
