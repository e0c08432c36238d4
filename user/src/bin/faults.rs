//! Each exception kills the program that raised it, with Linux's signal, and no other program.
//!
//! Book: ch. 4, exception handling. SDM: vol. 3, ch. 6. Linux: traps.c, fault.c.
//! Red without: the exception's gate or handler; the signal in the wait status; the
//! checks that keep ring 3 out of the kernel's memory and instructions.
#![no_std]
#![no_main]

use rt::{
    eq, expect_signal, insn, ktap, machine,
    memory::{KERNEL_ADDRESS, UNMAPPED_ADDRESS},
    ok, process,
    signal::{SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP},
    skip, start,
};

const NULL: u32 = 0;

type Case = (&'static str, u32, fn());

const INSTRUCTIONS: &[Case] = &[
    ("#DE divide by zero", SIGFPE, insn::divide_by_zero),
    ("#DB single step", SIGTRAP, insn::set_tf),
    ("#BP int3", SIGTRAP, insn::int3),
    ("#OF into", SIGSEGV, insn::overflow_into),
    ("#BR bound", SIGSEGV, insn::bound),
    ("#UD ud2", SIGILL, insn::ud2),
    ("#TS iret with NT", SIGSEGV, insn::iret_with_nt),
    (
        "#MF x87 division by zero, unmasked",
        SIGFPE,
        rt::fpu::x87_divide_by_zero,
    ),
    ("#GP hlt", SIGSEGV, insn::hlt),
    ("#GP cli", SIGSEGV, insn::cli),
    ("#GP sti", SIGSEGV, insn::sti),
    ("#GP clts", SIGSEGV, insn::clts),
    ("#GP read cr0", SIGSEGV, insn::read_cr0),
    ("#GP read cr3", SIGSEGV, insn::read_cr3),
    ("#GP rdmsr", SIGSEGV, insn::rdmsr),
    ("#GP lldt", SIGSEGV, insn::lldt),
    ("#GP ltr", SIGSEGV, insn::ltr),
    ("#GP int 0x20", SIGSEGV, insn::int_0x20),
    ("#GP int 0xff", SIGSEGV, insn::int_0xff),
    ("#GP int 14, the page fault's vector", SIGSEGV, insn::int_14),
    (
        "#GP lcall to the kernel's code segment",
        SIGSEGV,
        insn::lcall_kernel_cs,
    ),
    ("#GP the kernel's selector 0x60 in %ds", SIGSEGV, || {
        insn::set_ds(0x60)
    }),
    ("#GP the kernel's selector 0x68 in %ss", SIGSEGV, || {
        insn::set_ss(0x68)
    }),
    ("#GP a null %ss", SIGSEGV, || insn::set_ss(0)),
    ("#GP a selector past the GDT's end in %gs", SIGSEGV, || {
        insn::set_gs(0xfff8 | 3)
    }),
    ("#NP or #GP an empty TLS slot in %gs", SIGSEGV, || {
        insn::set_gs(machine::tls_selector(1))
    }),
    ("#GP an LDT selector without an LDT in %gs", SIGSEGV, || {
        insn::set_gs(7)
    }),
];

const MEMORY: &[Case] = &[
    ("read of address 0", SIGSEGV, || {
        insn::read(NULL);
    }),
    ("write to address 0", SIGSEGV, || insn::write(NULL, 1)),
    ("read of an unmapped page", SIGSEGV, || {
        insn::read(UNMAPPED_ADDRESS);
    }),
    ("read of kernel memory", SIGSEGV, || {
        insn::read(KERNEL_ADDRESS);
    }),
    ("write to kernel memory", SIGSEGV, || {
        insn::write(KERNEL_ADDRESS, 1)
    }),
    ("jump into the kernel", SIGSEGV, || {
        insn::jump(KERNEL_ADDRESS)
    }),
    ("jump to address 0", SIGSEGV, || insn::jump(NULL)),
    ("read of the last word", SIGSEGV, || {
        insn::read(0xffff_fffc);
    }),
    ("write to the program's text", SIGSEGV, || {
        insn::write(start::entry_address(), 1)
    }),
    ("write to the program's constants", SIGSEGV, || {
        insn::write(MEMORY.as_ptr() as u32, 1)
    }),
    ("stack used up", SIGSEGV, insn::exhaust_stack),
    ("esp points into the kernel at an exception", SIGFPE, || {
        insn::divide_with_esp(KERNEL_ADDRESS)
    }),
    ("esp is 0 at int3", SIGTRAP, || insn::int3_with_esp(NULL)),
];

fn main() -> i32 {
    ktap::plan(INSTRUCTIONS.len() as u32 + MEMORY.len() as u32 + 4);
    for &(name, signal, body) in INSTRUCTIONS.iter().chain(MEMORY) {
        expect_signal(name, signal, body);
    }
    if machine::is_tcg() {
        skip!(
            "QEMU's TCG does not check alignment",
            "#AC misaligned read with AC set"
        );
    } else {
        expect_signal(
            "#AC misaligned read with AC set",
            SIGBUS,
            insn::misaligned_with_ac,
        );
    }
    let status = process::child(|| {
        insn::iret_with_vm();
        process::exit(41)
    });
    ok!(
        [
            rt::WaitStatus::exited(41),
            rt::WaitStatus::signaled(SIGSEGV)
        ]
        .contains(&status.wait()),
        "iret with VM does not leave protected mode, or ends the program"
    );
    let status = process::child(|| 42).wait();
    eq!(
        status,
        rt::WaitStatus::exited(42),
        "the kernel goes on: a child runs and exits"
    );
    let nobody = process::wait4(-1, process::WNOHANG);
    eq!(
        nobody,
        Err(rt::Errno::ECHILD),
        "and all dead children have been reaped"
    );
    ktap::finish()
}

rt::main!(main);
