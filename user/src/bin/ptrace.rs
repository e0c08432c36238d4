//! A tracer looks into its child and changes it: memory, registers, FPU.
//!
//! Linux: ptrace(2). Book: ch. 20, "Execution Tracing".
//! Red without: the copy of a page that the child may only read; the checks of selectors and flags; the
//! rights that tracing takes.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno, WaitStatus, eq,
    gates::syscall,
    job::state_of,
    ktap,
    machine::is_i386_kernel,
    memory::{KERNEL_ADDRESS, PAGE_SIZE, PROT_READ, UNMAPPED_ADDRESS, mmap_anonymous},
    ok,
    proc::{field, read},
    process::{NOBODY, child, getpid, setuid},
    signals::kill,
    trace::{
        ATTACH, CONT, CS, DETACH, DS, EAX, EFLAGS, ESP, GETFPREGS, GETFPXREGS, GETREGSET, GS,
        ORIG_EAX, PEEKDATA, PEEKUSR, POKEDATA, POKEUSR, Regs, SETFPREGS, SETFPXREGS, SETOPTIONS,
        SETREGSET, SIGSTOP, TRACEME, end, getregs, go, peek, ptrace, stopped_by, traced, wait_for,
    },
};

const SYS_MPROTECT: u32 = 125;

static WORD: AtomicU32 = AtomicU32::new(0x1234_5678);

fn who_may() {
    eq!(
        ptrace(99, getpid(), 0, 0),
        Err(Errno::ESRCH),
        "an untraced task: ESRCH"
    );
    eq!(
        ptrace(ATTACH, getpid(), 0, 0),
        Err(Errno::EPERM),
        "oneself: EPERM"
    );
    eq!(
        ptrace(CONT, 32767, 0, 0),
        Err(Errno::ESRCH),
        "no such task: ESRCH"
    );
    let tracee = traced(|| 7);
    eq!(
        ptrace(0x7777, tracee.pid, 0, 0),
        Err(Errno::EIO),
        "no such request: EIO"
    );
    eq!(
        ptrace(ATTACH, tracee.pid, 0, 0),
        Err(Errno::EPERM),
        "traced already: EPERM"
    );
    eq!(
        ptrace(CONT, tracee.pid, 0, 99),
        Err(Errno::EIO),
        "no such signal: EIO"
    );
    eq!(
        ptrace(SETOPTIONS, tracee.pid, 0, 1 << 30),
        Err(Errno::EINVAL),
        "no such option: EINVAL"
    );
    let other = child(|| {
        let error = ptrace(PEEKDATA, tracee.pid, 0, 0);
        (error == Err(Errno::ESRCH)) as i32
    });
    eq!(
        other.wait(),
        WaitStatus::exited(1),
        "another than the tracer: ESRCH"
    );
    let stranger = child(|| {
        setuid(NOBODY).expect("setuid");
        (ptrace(ATTACH, 1, 0, 0) == Err(Errno::EPERM)) as i32
    });
    eq!(
        stranger.wait(),
        WaitStatus::exited(1),
        "another user's process: EPERM"
    );
    go(CONT, tracee.pid, 0);
    eq!(wait_for(tracee.pid), Ok(7 << 8), "it goes on and ends");
    let twice = child(|| {
        ptrace(TRACEME, 0, 0, 0).expect("TRACEME");
        (ptrace(TRACEME, 0, 0, 0) == Err(Errno::EPERM)) as i32
    });
    eq!(wait_for(twice.pid), Ok(1 << 8), "TRACEME twice: EPERM");
}

fn memory() {
    let page = mmap_anonymous(PAGE_SIZE, PROT_READ, 2).expect("mmap");
    let hidden = mmap_anonymous(PAGE_SIZE, 0, 2).expect("mmap");
    let word = WORD.as_ptr() as u32;
    let text = memory as *const () as u32 & !3;
    // SAFETY: our own text, which is mapped.
    let before = unsafe { *(text as *const u32) };
    let tracee = traced(|| {
        // SAFETY: the page is mapped, and only the tracer changes it.
        let seen = unsafe { (page as *const u32).read_volatile() };
        // SAFETY: as above.
        let code = unsafe { (text as *const u32).read_volatile() };
        (seen == 0xfeed && WORD.load(SeqCst) == 0xbeef && code == 0x9090_9090) as i32
    });
    let pid = tracee.pid;
    eq!(peek(PEEKDATA, pid, word), Ok(0x1234_5678), "a word is read");
    ptrace(POKEDATA, pid, word, 0xbeef).expect("POKEDATA");
    eq!(peek(PEEKDATA, pid, word), Ok(0xbeef), "and written");
    eq!(WORD.load(SeqCst), 0x1234_5678, "in the child alone");
    eq!(
        ptrace(POKEDATA, pid, page, 0xfeed),
        Ok(0),
        "read-only memory is written too"
    );
    eq!(peek(PEEKDATA, pid, page), Ok(0xfeed), "and keeps the word");
    eq!(
        peek(PEEKDATA, pid, hidden),
        Ok(0),
        "memory that nobody may read is read"
    );
    eq!(
        ptrace(POKEDATA, pid, text, 0x9090_9090),
        Ok(0),
        "text is written"
    );
    // SAFETY: our own text, which is mapped.
    let now = unsafe { (text as *const u32).read_volatile() };
    eq!(now, before, "the tracer's text is its own");
    eq!(
        peek(PEEKDATA, pid, page + PAGE_SIZE - 2).is_ok() as u32,
        peek(PEEKDATA, pid, page + PAGE_SIZE).is_ok() as u32,
        "a word across two pages needs both"
    );
    eq!(
        peek(PEEKDATA, pid, UNMAPPED_ADDRESS),
        Err(Errno::EIO),
        "unmapped: EIO"
    );
    eq!(
        peek(PEEKDATA, pid, KERNEL_ADDRESS),
        Err(Errno::EIO),
        "the kernel's: EIO"
    );
    eq!(
        ptrace(POKEDATA, pid, KERNEL_ADDRESS, 0),
        Err(Errno::EIO),
        "and not written: EIO"
    );
    eq!(
        peek(PEEKDATA, pid, u32::MAX - 1),
        Err(Errno::EIO),
        "the last bytes: EIO"
    );
    eq!(
        ptrace(PEEKDATA, pid, word, 8),
        Err(Errno::EFAULT),
        "nowhere to put it: EFAULT"
    );
    go(CONT, pid, 0);
    eq!(wait_for(pid), Ok(1 << 8), "the child sees what was written");
    let protected = syscall(SYS_MPROTECT, [hidden, PAGE_SIZE, PROT_READ]);
    ok!(protected.is_ok(), "the tracer's page is as it was");
}

fn registers() {
    let tracee = traced(|| 0);
    let pid = tracee.pid;
    let regs = getregs(pid);
    eq!(regs[ORIG_EAX] as i32, 37, "orig_eax is the call's number");
    eq!(regs[EAX], 0, "eax is its result");
    ok!(
        regs[CS] & 3 == 3 && regs[ESP] > 0x1000,
        "cs and esp are ring 3's"
    );
    for (n, wanted) in regs.iter().enumerate() {
        if peek(PEEKUSR, pid, 4 * n as u32) != Ok(*wanted) {
            ok!(false, "PEEKUSR of register {n}");
        }
    }
    for (offset, error) in [
        (1, Errno::EIO),
        (288, Errno::EIO),
        (u32::MAX - 3, Errno::EIO),
    ] {
        eq!(
            peek(PEEKUSR, pid, offset),
            Err(error),
            "PEEKUSR at {offset:#x}: {error:?}"
        );
        eq!(
            ptrace(POKEUSR, pid, offset, 0),
            Err(error),
            "POKEUSR at {offset:#x}: {error:?}"
        );
    }
    eq!(peek(PEEKUSR, pid, 72), Ok(0), "PEEKUSR of the FPU reads 0");
    // A 64-bit kernel ignores such a word.
    let error = if is_i386_kernel() {
        Err(Errno::EIO)
    } else {
        Ok(0)
    };
    eq!(
        ptrace(POKEUSR, pid, 72, 1),
        error,
        "which is not written: EIO"
    );
    for (n, selector) in [(CS, 0), (16, 0), (CS, 0x60), (DS, 0x68), (GS, 0x08)] {
        eq!(
            ptrace(POKEUSR, pid, 4 * n as u32, selector),
            Err(Errno::EIO),
            "selector {selector:#x} in register {n}: EIO"
        );
    }
    // A 64-bit kernel lets NT through.
    let kept = if is_i386_kernel() { 0x3_7202 } else { 0x3_3202 };
    for flags in [u32::MAX, 0] {
        ptrace(POKEUSR, pid, 4 * EFLAGS as u32, flags).expect("POKEUSR");
        let seen = getregs(pid)[EFLAGS];
        eq!(
            seen & kept,
            regs[EFLAGS] & kept | if flags == 0 { 0 } else { 0x1_0000 },
            "flags {flags:#x}: IF, IOPL, NT and VM stay"
        );
    }
    let mut iov = [0u32; 2];
    let mut other: Regs = [0; 17];
    iov[0] = other.as_mut_ptr() as u32;
    iov[1] = 68;
    eq!(
        ptrace(GETREGSET, pid, 1, iov.as_ptr() as u32),
        Ok(0),
        "NT_PRSTATUS"
    );
    eq!(other, getregs(pid), "has the registers");
    iov[1] = 7;
    eq!(
        ptrace(GETREGSET, pid, 1, iov.as_ptr() as u32),
        Err(Errno::EINVAL),
        "a length of 7: EINVAL"
    );
    eq!(
        ptrace(GETREGSET, pid, 77, iov.as_ptr() as u32),
        Err(Errno::EINVAL),
        "no such set: EINVAL"
    );
    iov[1] = 8;
    other[0] = 0xabcd;
    core::hint::black_box(&other);
    eq!(
        ptrace(SETREGSET, pid, 1, iov.as_ptr() as u32),
        Ok(0),
        "two words are set"
    );
    eq!(getregs(pid)[0], 0xabcd, "ebx is the first");
    end(tracee);
    // A bad selector that ring 3 could have made, but that names nothing.
    for n in [DS, GS, CS] {
        let tracee = traced(|| 3);
        ptrace(POKEUSR, tracee.pid, 4 * n as u32, 0xfff3).expect("POKEUSR");
        go(CONT, tracee.pid, 0);
        let status = wait_for(tracee.pid);
        ok!(
            status.is_ok(),
            "a selector without a descriptor in register {n} harms the child alone"
        );
        end(tracee);
    }
}

fn fpu() {
    let tracee = traced(|| 0);
    let pid = tracee.pid;
    let mut area = [0u32; 128];
    let mut old = [0u32; 27];
    ptrace(GETFPREGS, pid, 0, old.as_mut_ptr() as u32).expect("GETFPREGS");
    eq!(old[0] & 0xffff, 0x37f, "a fresh control word");
    old[0] = 0x27f;
    ptrace(SETFPREGS, pid, 0, old.as_ptr() as u32).expect("SETFPREGS");
    ptrace(GETFPXREGS, pid, 0, area.as_mut_ptr() as u32).expect("GETFPXREGS");
    eq!(area[0] & 0xffff, 0x27f, "both forms show one state");
    area[40] = 0x5555_aaaa;
    ptrace(SETFPXREGS, pid, 0, area.as_ptr() as u32).expect("SETFPXREGS");
    area[40] = 0;
    ptrace(GETFPXREGS, pid, 0, area.as_mut_ptr() as u32).expect("GETFPXREGS");
    eq!(area[40], 0x5555_aaaa, "xmm0 is set");
    end(tracee);
}

/// A function of its own, in which the tracer sets a breakpoint.
#[inline(never)]
extern "C" fn landmark(value: u32) -> u32 {
    core::hint::black_box(value) + 1
}

fn attach() {
    let worker = child(|| {
        loop {
            landmark(1);
        }
    });
    eq!(ptrace(ATTACH, worker.pid, 0, 0), Ok(0), "ATTACH");
    eq!(
        wait_for(worker.pid),
        Ok(stopped_by(SIGSTOP)),
        "stops a running child"
    );
    let mut buffer = [0; 4096];
    let status = read(&mut buffer, format_args!("/proc/{}/status", worker.pid)).unwrap_or("");
    let tracer = field(status, "TracerPid").and_then(|pid| pid.trim().parse().ok());
    eq!(
        (state_of(worker.pid), tracer),
        ('t', Some(getpid())),
        "its state and its TracerPid"
    );
    eq!(ptrace(DETACH, worker.pid, 0, 0), Ok(0), "DETACH");
    eq!(
        ptrace(CONT, worker.pid, 0, 0),
        Err(Errno::ESRCH),
        "it is traced no more"
    );
    kill(worker.pid, 9).expect("kill");
    eq!(
        worker.wait(),
        WaitStatus::signaled(9),
        "and ends as any other"
    );
}

fn main() -> i32 {
    ktap::plan(63);
    who_may();
    memory();
    registers();
    fpu();
    attach();
    ktap::finish()
}

rt::main!(main);
