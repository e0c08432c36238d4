//! The vDSO: a system call by `call *AT_SYSINFO`, and the ELF image around it.
//!
//! sysenter pushes nothing and knows no user stack: the entry code takes sp0 from the per-CPU TSS,
//! and returns to an address in the page that the kernel mapped.
//!
//! Book: ch. 10, the sysenter instruction. Linux: vdso32/sysenter.S, entry_32.S.
//! Red without: SYSENTER_ESP or sp0 (a call lands on another's stack); the sixth
//! argument, which lies on the user's stack; the version table.
#![no_std]
#![no_main]

use core::ffi::CStr;
use rt::{
    Errno, WaitStatus, child, eq,
    gates::{raw_int80, raw_vdso, result, vdso_keeps_registers},
    insn, ktap, machine,
    memory::{KERNEL_ADDRESS, MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE},
    ok,
    process::getpid,
    relay::{Role, alternate},
    skip,
    start::{at, getauxval},
};

const WRITE: u32 = 4;
const FORK: u32 = 2;
const EXIT: u32 = 1;
const GETPID: u32 = 20;
const SCHED_YIELD: u32 = 158;
const MMAP2: u32 = 192;
const EOVERFLOW: i32 = 75;

const PT_DYNAMIC: u32 = 2;
const DT_HASH: u32 = 4;
const DT_STRTAB: u32 = 5;
const DT_SYMTAB: u32 = 6;
const DT_VERSYM: u32 = 0x6fff_fff0;
const DT_VERDEF: u32 = 0x6fff_fffc;

fn calls() {
    eq!(
        raw_vdso(GETPID, []),
        getpid() as i32,
        "getpid is the same by both gates"
    );
    eq!(
        raw_vdso(1000, []),
        -Errno::ENOSYS.0,
        "an unknown call: ENOSYS"
    );
    eq!(raw_vdso(u32::MAX, []), -Errno::ENOSYS.0, "call -1: ENOSYS");
    let refused = raw_vdso(WRITE, [1, KERNEL_ADDRESS, 1]);
    eq!(refused, -Errno::EFAULT.0, "a kernel pointer: EFAULT");
    ok!(vdso_keeps_registers(), "no register changes but eax");

    let (prot, flags) = (PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    let area = result(raw_vdso(MMAP2, [0, 4096, prot, flags, u32::MAX, 0]));
    eq!(area.map(insn::read), Ok(0), "mmap2 has six arguments");
    if machine::is_i386_kernel() {
        let overflow = [raw_int80::<6>, raw_vdso::<6>]
            .map(|gate| gate(MMAP2, [0, 4096, prot, flags, u32::MAX, u32::MAX]));
        eq!(
            overflow,
            [-EOVERFLOW; 2],
            "and the sixth arrives by both gates: EOVERFLOW"
        );
    } else {
        skip!(
            "64-bit offsets",
            "and the sixth arrives by both gates: EOVERFLOW"
        );
    }

    let forked = raw_vdso(FORK, []);
    if forked == 0 {
        raw_vdso(EXIT, [33]);
    }
    let status = rt::process::wait4(forked, 0).map(|(_, status)| status);
    eq!(
        status,
        Ok(WaitStatus::exited(33)),
        "fork and exit through the vDSO"
    );
    let waited = child(|| i32::from(raw_vdso(GETPID, []) != getpid() as i32)).wait();
    eq!(
        waited,
        WaitStatus::exited(0),
        "a child made by int 0x80 uses the vDSO"
    );
}

/// Yields through both gates: each entry must land on its own task's stack.
fn switching() {
    let by_vdso = || assert_eq!(raw_vdso(SCHED_YIELD, []), 0);
    let by_int80 = || assert_eq!(raw_int80(SCHED_YIELD, []), 0);
    let own_pid = || {
        let pid = getpid() as i32;
        raw_vdso(GETPID, []) == pid && raw_int80(GETPID, []) == pid && vdso_keeps_registers()
    };
    let holds = |_| own_pid();
    let by_vdso = Role {
        set: &|| (),
        holds: &holds,
        give_way: &by_vdso,
    };
    let by_int80 = Role {
        set: &|| (),
        holds: &holds,
        give_way: &by_int80,
    };
    let out = alternate(1000, &[by_vdso, by_int80, by_vdso]);
    ok!(
        out.held(0) & out.held(1) & out.held(2),
        "three tasks yield by sysenter and int 0x80"
    );
    ok!(out.passed() >= 2999, "the three alternated 1000 times");
}

fn image() {
    let base = getauxval(at::SYSINFO_EHDR).expect("AT_SYSINFO_EHDR");
    let half = |at: u32| insn::read(base + at) & 0xffff;
    eq!(
        insn::read(base),
        u32::from_le_bytes(*b"\x7fELF"),
        "AT_SYSINFO_EHDR: an ELF image"
    );
    eq!(
        [half(4), half(16), half(18)],
        [0x0101, 3, 3],
        "32-bit, shared object, i386"
    );

    let tag = |wanted: u32| dynamic_entry(base, wanted);
    let tables = (tag(DT_SYMTAB), tag(DT_STRTAB), tag(DT_HASH));
    let (Some(symbols), Some(strings), Some(hash)) = tables else {
        return ok!(
            false,
            "__kernel_vsyscall is at AT_SYSINFO: tables {tables:x?}"
        );
    };
    let vsyscall = (0..insn::read(hash + 4))
        .map(|i| symbols + 16 * i)
        .find(|&symbol| name(strings + insn::read(symbol)) == c"__kernel_vsyscall")
        .map(|symbol| base + insn::read(symbol + 4));
    eq!(
        vsyscall,
        getauxval(at::SYSINFO),
        "__kernel_vsyscall is at AT_SYSINFO"
    );
}

/// Reads the version table as Go's runtime does before `main`: without asking whether it is there.
fn versions() {
    let base = getauxval(at::SYSINFO_EHDR).expect("AT_SYSINFO_EHDR");
    let [symbols, strings, hash, versym, verdef] =
        [DT_SYMTAB, DT_STRTAB, DT_HASH, DT_VERSYM, DT_VERDEF]
            .map(|wanted| dynamic_entry(base, wanted).unwrap_or(0));
    ok!(verdef != 0 && versym != 0, "it has DT_VERDEF and DT_VERSYM");
    if verdef == 0 || versym == 0 {
        return;
    }
    let (mut def, mut number) = (verdef, None);
    loop {
        let version = name(strings + insn::read(def + insn::read(def + 12)));
        if version == c"LINUX_2.5" {
            eq!(insn::read(def + 8), 0x3ae_75f5, "LINUX_2.5 has its hash");
            number = Some(insn::read(def + 4) & 0xffff);
        }
        match insn::read(def + 16) {
            0 => break,
            next => def += next,
        }
    }
    ok!(number.is_some(), "a version is LINUX_2.5");
    for wanted in [
        c"__kernel_vsyscall",
        c"__kernel_sigreturn",
        c"__kernel_rt_sigreturn",
    ] {
        let found = (1..insn::read(hash + 4))
            .find(|i| name(strings + insn::read(symbols + 16 * i)) == wanted);
        let version = found.map(|i| insn::read(versym + 2 * i) & 0x7fff);
        eq!(
            version,
            number,
            "{} is of it",
            wanted.to_str().expect("ASCII")
        );
    }
}

/// Returns the value of a tag in the image's dynamic section, as an address.
fn dynamic_entry(base: u32, wanted: u32) -> Option<u32> {
    let (headers, count) = (base + insn::read(base + 28), insn::read(base + 44) & 0xffff);
    let header = (0..count)
        .map(|i| headers + 32 * i)
        .find(|&h| insn::read(h) == PT_DYNAMIC)?;
    let dynamic = base + insn::read(header + 8);
    (0..64)
        .map(|i| dynamic + 8 * i)
        .take_while(|&entry| insn::read(entry) != 0)
        .find(|&entry| insn::read(entry) == wanted)
        .map(|entry| insn::read(entry + 4))
        .map(|value| if value < base { base + value } else { value })
}

fn name(address: u32) -> &'static CStr {
    // SAFETY: a string table of the kernel's image, which stays mapped for the program's life.
    unsafe { CStr::from_ptr(address as *const _) }
}

fn main() -> i32 {
    ktap::plan(20);
    calls();
    switching();
    image();
    versions();
    ktap::finish()
}

rt::main!(main);
