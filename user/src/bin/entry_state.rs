//! The state of a program at its first instruction: registers, flags, stack.
//!
//! Book: ch. 20, the start of a program; ch. 3, ret_from_fork, for the flags.
//! Linux: start_thread, create_elf_tables.
//! Red without: flush_thread and start_thread in exec; the initial stack; `ltr`.
#![no_std]
#![no_main]

use rt::{
    eq, insn, ktap, machine, ok, skip,
    start::{self, at, getauxval},
};

const GETUID32: u32 = 199;
/// EFLAGS of a new program: IF, and bit 1, which is always set.
const FRESH_EFLAGS: u32 = 0x202;

fn registers() {
    let s = start::entry_state();
    let general = [s.eax, s.ebx, s.ecx, s.edx, s.esi, s.edi, s.ebp];
    eq!(general, [0; 7], "eax ebx ecx edx esi edi ebp are 0");
    eq!(s.eflags, FRESH_EFLAGS, "EFLAGS is 0x202");
    eq!([s.fs, s.gs], [0; 2], "%fs and %gs are 0");
    eq!(s.esp % 16, 0, "esp is a multiple of 16");
    if machine::is_i386_kernel() {
        let user_ds = u32::from(machine::USER_DS);
        eq!(s.cs, u32::from(machine::USER_CS), "%cs is 0x73");
        eq!([s.ss, s.ds, s.es], [user_ds; 3], "%ss %ds %es are 0x7b");
        eq!(insn::str(), 0x80, "the task register is 0x80");
    } else {
        for name in [
            "%cs is 0x73",
            "%ss %ds %es are 0x7b",
            "the task register is 0x80",
        ] {
            skip!("a 64-bit kernel", "{name}");
        }
    }
}

fn vectors() {
    ok!(start::argc() >= 1, "argc is at least 1");
    let path = start::arg_cstr(0).map_or(0, |path| path.count_bytes());
    ok!(path > 0, "argv[0] is the program's path");
    eq!(start::argv_terminator(), 0, "argv ends in 0");
    ok!(
        start::auxv().count() > 8,
        "the auxiliary vector follows the environment"
    );
}

fn auxiliary_vector() {
    eq!(getauxval(at::PAGESZ), Some(4096), "AT_PAGESZ");
    eq!(getauxval(at::PHENT), Some(32), "AT_PHENT");
    eq!(getauxval(at::PHNUM), Some(4), "AT_PHNUM is as linked");
    eq!(
        getauxval(at::PHDR),
        Some(0x0804_8034),
        "AT_PHDR is where the headers lie in memory"
    );
    let first = getauxval(at::PHDR).map_or(0, insn::read);
    eq!(first, 1, "a PT_LOAD header can be read there");
    eq!(
        getauxval(at::ENTRY),
        Some(start::entry_address()),
        "AT_ENTRY is _start"
    );

    let random = getauxval(at::RANDOM).unwrap_or(0);
    let above_the_stack = random > start::entry_state().esp;
    let words = [0, 4, 8, 12].map(|at| {
        if above_the_stack {
            insn::read(random + at)
        } else {
            0
        }
    });
    ok!(
        words[0] != words[1] && words[2] != words[3],
        "AT_RANDOM: 16 random bytes"
    );

    let features = insn::cpuid(1)[3];
    let hwcap = getauxval(at::HWCAP).unwrap_or(0);
    ok!(
        hwcap & 1 == 1 && hwcap & !features == 0,
        "AT_HWCAP is this processor's"
    );
    eq!(getauxval(at::CLKTCK), Some(100), "AT_CLKTCK");
    eq!(getauxval(at::SECURE), Some(0), "AT_SECURE");
    let uid = rt::gates::syscall(GETUID32, []).ok();
    let ids = [at::UID, at::EUID].map(getauxval);
    eq!(ids, [uid; 2], "AT_UID and AT_EUID are as getuid says");
    ok!(
        [at::GID, at::EGID]
            .map(getauxval)
            .iter()
            .all(Option::is_some),
        "AT_GID and AT_EGID"
    );

    let (entry, image) = (getauxval(at::SYSINFO), getauxval(at::SYSINFO_EHDR));
    ok!(
        entry.is_some() && image.is_some(),
        "AT_SYSINFO and AT_SYSINFO_EHDR"
    );
    let inside = entry > image && entry < image.map(|image| image + 0x4000);
    ok!(inside, "AT_SYSINFO lies in the vDSO");
    eq!(
        image.map_or(0, insn::read),
        u32::from_le_bytes(*b"\x7fELF"),
        "which is an ELF image"
    );
}

fn main() -> i32 {
    ktap::plan(26);
    registers();
    vectors();
    auxiliary_vector();
    ktap::finish()
}

rt::main!(main);
