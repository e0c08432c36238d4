//! The debug registers are the kernel's: ring 3 can neither read nor write them.
//!
//! The in-kernel tests show that the registers follow their task.
//! Book: ch. 3, `__switch_to`, the debug registers. SDM: vol. 3, 17.2.
//! Red without: the handler of #GP, or a kernel that runs programs in ring 0.
#![no_std]
#![no_main]

use rt::{expect_signal, insn, ktap, signal::SIGSEGV};

fn main() -> i32 {
    ktap::plan(3);
    expect_signal("reading dr7 is SIGSEGV", SIGSEGV, insn::read_dr7);
    expect_signal("writing dr7 is SIGSEGV", SIGSEGV, insn::write_dr7);
    expect_signal("reading dr0 is SIGSEGV", SIGSEGV, insn::read_dr0);
    ktap::finish()
}

rt::main!(main);
