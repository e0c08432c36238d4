//! The stacks on which handlers run: the alternate one, which tasks have it, when it may change and
//! where it ends; and the older kind, which an action names by its restorer.
//!
//! Linux: 2.6.38 `do_sigaltstack`, `get_sigframe`, `copy_process`; sigaltstack(2).
//! Red without: SS_ONSTACK and EPERM from the stack pointer; the end of the stack as a limit; what
//! fork, vfork, clone and exec do to it; the legacy stack of i386.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use rt::{
    Errno, eq, expect_exit, expect_signal,
    gates::syscall,
    insn, ktap,
    machine::is_i386_kernel,
    memory::{MAP_SHARED, PAGE_SIZE, PROT_READ, PROT_WRITE, mmap_anonymous},
    ok, println,
    process::{exec_self, getpid},
    signal::SIGSEGV,
    signals::{Action, SA_NODEFER, SA_ONSTACK, SA_SIGINFO, SIGUSR1, kill},
    skip,
    stack16::Stack,
    start,
    thread::{CLONE_VFORK, spawn_process},
    tls::{USEABLE, UserDesc, ldt_selector, write_ldt},
};

const SYS_SIGALTSTACK: u32 = 186;
const SS_ONSTACK: u32 = 1;
const SS_DISABLE: u32 = 2;
const SIZE: u32 = 2 * PAGE_SIZE;
const NONE: [u32; 3] = [0, SS_DISABLE, 0];

fn sigaltstack(new: Option<[u32; 3]>) -> Result<[u32; 3], Errno> {
    let mut old = [0u32; 3];
    let new = new.as_ref().map_or(0, |stack| stack.as_ptr() as u32);
    syscall(SYS_SIGALTSTACK, [new, old.as_mut_ptr() as u32])?;
    Ok(old)
}

static BOTTOM: AtomicU32 = AtomicU32::new(0);
static ANSWERS: [AtomicU32; 4] = [const { AtomicU32::new(99) }; 4];
static WHERE: AtomicU32 = AtomicU32::new(0);
static STACK_SEGMENT: AtomicU32 = AtomicU32::new(0);

fn errno(result: Result<[u32; 3], Errno>) -> u32 {
    result.map_or_else(|errno| errno.0 as u32, |_| 0)
}

extern "C" fn on_it(_: u32) {
    let here = 0u32;
    WHERE.store(&raw const here as u32, Relaxed);
    STACK_SEGMENT.store(insn::ss().into(), Relaxed);
    let flags = sigaltstack(None).map_or(99, |stack| stack[1]);
    ANSWERS[0].store(flags, Relaxed);
    let other = [BOTTOM.load(Relaxed), 0, SIZE - PAGE_SIZE];
    ANSWERS[1].store(errno(sigaltstack(Some(other))), Relaxed);
    ANSWERS[2].store(errno(sigaltstack(Some(NONE))), Relaxed);
    ANSWERS[3].store(errno(sigaltstack(Some([0, 77, 0]))), Relaxed);
}

fn while_on_it(stack: [u32; 3]) {
    let action = Action::new(on_it as *const () as u32, SA_ONSTACK | SA_SIGINFO);
    action.set(SIGUSR1).expect("rt_sigaction");
    kill(getpid(), SIGUSR1).expect("kill");
    let answers: [u32; 4] = core::array::from_fn(|n| ANSWERS[n].load(Relaxed));
    let eperm = Errno::EPERM.0 as u32;
    eq!(
        answers,
        [SS_ONSTACK, eperm, eperm, eperm],
        "a handler on it: SS_ONSTACK, and no other stack"
    );
    ok!(
        WHERE.load(Relaxed).wrapping_sub(stack[0]) < SIZE,
        "and it runs there"
    );
    eq!(sigaltstack(None), Ok(stack), "afterwards it is as before");
    let plain = Action::new(on_it as *const () as u32, SA_SIGINFO);
    plain.set(SIGUSR1).expect("rt_sigaction");
    kill(getpid(), SIGUSR1).expect("kill");
    ok!(
        WHERE.load(Relaxed).wrapping_sub(stack[0]) >= SIZE,
        "a handler without SA_ONSTACK runs elsewhere"
    );
    eq!(
        sigaltstack(None),
        Ok(stack),
        "and its return brings back what it took away"
    );
}

extern "C" fn again(_: u32) {
    _ = kill(getpid(), SIGUSR1);
}

fn overflow() {
    let area = mmap_anonymous(PAGE_SIZE + SIZE, PROT_READ | PROT_WRITE, MAP_SHARED).expect("mmap");
    // SAFETY: a page of ours that no other code uses.
    let below =
        unsafe { core::slice::from_raw_parts(area as *const AtomicU32, PAGE_SIZE as usize / 4) };
    for (name, ends, flags) in [
        ("", "handlers that use it up end the program", 0),
        (" with siginfo", "so do those with siginfo", SA_SIGINFO),
    ] {
        for word in below {
            word.store(0x5a5a_5a5a, Relaxed);
        }
        expect_signal(ends, SIGSEGV, || {
            sigaltstack(Some([area + PAGE_SIZE, 0, SIZE])).expect("sigaltstack");
            let action = Action::new(again as *const () as u32, flags | SA_ONSTACK | SA_NODEFER);
            action.set(SIGUSR1).expect("rt_sigaction");
            kill(getpid(), SIGUSR1)
        });
        // The last handler's own calls may reach a little further.
        let spoilt = below
            .iter()
            .filter(|word| word.load(Relaxed) != 0x5a5a_5a5a)
            .count();
        if spoilt != 0 {
            println!("# {spoilt} words below it");
        }
        ok!(spoilt < 128, "no frame{name} lies below it");
    }
}

extern "C" fn see(_: u32) -> i32 {
    match sigaltstack(None) {
        Ok([sp, 0, SIZE]) if sp == BOTTOM.load(Relaxed) => 1,
        Ok(NONE) => 2,
        _ => 3,
    }
}

fn whose() {
    expect_exit("a fork has it", 1, || see(0));
    for (name, flags, wanted) in [
        ("vfork's child has it", CLONE_VFORK, 1),
        ("a process in the same memory has none", 0, 2),
    ] {
        let pid = spawn_process(flags, see, 0).expect("clone");
        eq!(
            rt::process::Child { pid }.wait(),
            rt::WaitStatus::exited(wanted),
            "{name}"
        );
    }
    expect_exit("a new program has none", 2, || exec_self(c"see"));
}

fn refusals(stack: [u32; 3]) {
    eq!(
        sigaltstack(Some([stack[0], 0, 2047])),
        Err(Errno::ENOMEM),
        "too small: ENOMEM"
    );
    eq!(
        sigaltstack(Some([stack[0], 4, SIZE])),
        Err(Errno::EINVAL),
        "unknown flags: EINVAL"
    );
    eq!(sigaltstack(None), Ok(stack), "and it is as before");
    eq!(
        sigaltstack(Some([stack[0], SS_ONSTACK, SIZE])),
        Ok(stack),
        "SS_ONSTACK is taken for 0"
    );
    eq!(
        sigaltstack(Some([5, SS_DISABLE, 7])),
        Ok(stack),
        "it can be taken away"
    );
    eq!(sigaltstack(None), Ok(NONE), "and is gone");
}

/// A signal arrives while `%ss` is a 16-bit segment: the handler needs a flat stack.
fn legacy() {
    const NAME: &str = "code on a segment of its own: the restorer is the stack";
    if !is_i386_kernel() {
        return skip!("of 32-bit kernels only", "{NAME}");
    }
    let area = mmap_anonymous(8 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED).expect("mmap");
    let segment = UserDesc {
        limit: 0xffff,
        flags: USEABLE,
        ..UserDesc::data(3, area)
    };
    write_ldt(&segment).expect("modify_ldt");
    let own = mmap_anonymous(2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED).expect("mmap");
    let action = Action {
        handler: on_it as *const () as u32,
        flags: 0,
        restorer: own + 2 * PAGE_SIZE,
        mask: [0; 2],
    };
    action.set(SIGUSR1).expect("rt_sigaction");
    let stack = Stack {
        ss: ldt_selector(3),
        esp: 0x4000,
    };
    let flat = u32::from(insn::ss());
    let esp = stack.after_kill(getpid(), SIGUSR1);
    let inside = WHERE.load(Relaxed).wrapping_sub(own) < 2 * PAGE_SIZE;
    eq!(
        (esp & 0xffff, inside, STACK_SEGMENT.load(Relaxed)),
        (0x4000, true, flat),
        "{NAME}"
    );
}

fn main() -> i32 {
    if start::arg(1) == Some("see") {
        return see(0);
    }
    ktap::plan(5 + 4 + 4 + 6 + 1);
    let area = mmap_anonymous(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED).expect("mmap");
    BOTTOM.store(area, Relaxed);
    let stack = [area, 0, SIZE];
    sigaltstack(Some(stack)).expect("sigaltstack");
    while_on_it(stack);
    overflow();
    whose();
    refusals(stack);
    legacy();
    ktap::finish()
}

rt::main!(main);
