//! PR_SET_TSC: one task may not read the time-stamp counter, and every other may.
//!
//! Linux: `__switch_to_xtra` toggles CR4.TSD when TIF_NOTSC differs. SDM: vol. 2, RDTSC.
//! Red without: the TSC step of `__switch_to_xtra`; the copy of the flag at fork.
#![no_std]
#![no_main]

use rt::{
    Errno, WaitStatus, eq, expect_exit, expect_signal,
    gates::syscall,
    insn::rdtsc,
    ktap,
    memory::KERNEL_ADDRESS,
    ok,
    process::exec_self,
    relay::{Role, alternate},
    segfaults,
    signal::SIGSEGV,
    start,
};

const SYS_PRCTL: u32 = 172;
const PR_GET_TSC: u32 = 25;
const PR_SET_TSC: u32 = 26;
const PR_TSC_ENABLE: u32 = 1;
const PR_TSC_SIGSEGV: u32 = 2;

const ROUNDS: u32 = 400;

fn set_tsc(mode: u32) -> Result<(), Errno> {
    syscall(SYS_PRCTL, [PR_SET_TSC, mode]).map(drop)
}

fn get_tsc() -> Result<u32, Errno> {
    let mut mode = 0u32;
    syscall(SYS_PRCTL, [PR_GET_TSC, &raw mut mode as u32])?;
    Ok(mode)
}

fn forbid() {
    set_tsc(PR_TSC_SIGSEGV).expect("PR_SET_TSC");
}

fn main() -> i32 {
    if start::arg(1) == Some("mode") {
        return get_tsc().map_or(99, |mode| mode as i32);
    }
    ktap::plan(15);
    eq!(
        get_tsc(),
        Ok(PR_TSC_ENABLE),
        "a new program may read the TSC"
    );
    let (first, second) = (rdtsc(), rdtsc());
    ok!(second >= first && first != 0, "and it goes forward");
    for bad in [0, 3, u32::MAX] {
        eq!(set_tsc(bad), Err(Errno::EINVAL), "mode {bad:#x}: EINVAL");
    }
    let kernel = syscall(SYS_PRCTL, [PR_GET_TSC, KERNEL_ADDRESS]);
    eq!(
        kernel,
        Err(Errno::EFAULT),
        "PR_GET_TSC to a kernel address: EFAULT"
    );
    expect_exit("forbidden: PR_GET_TSC says so", PR_TSC_SIGSEGV, || {
        forbid();
        get_tsc().map_or(99, |mode| mode as i32)
    });
    expect_signal("forbidden: rdtsc is SIGSEGV at once", SIGSEGV, || {
        forbid();
        rdtsc();
    });
    expect_exit("allowed again: rdtsc works", 0, || {
        forbid();
        set_tsc(PR_TSC_ENABLE).expect("PR_SET_TSC");
        rdtsc();
        0
    });
    expect_exit("a forked child is forbidden too", 0, || {
        forbid();
        i32::from(!segfaults(rdtsc))
    });
    expect_exit("exec keeps the mode", PR_TSC_SIGSEGV, || {
        forbid();
        exec_self(c"mode")
    });

    let out = alternate(
        ROUNDS,
        &[
            Role::new(&forbid, &|round| {
                if round == ROUNDS - 1 {
                    rdtsc();
                }
                get_tsc() == Ok(PR_TSC_SIGSEGV)
            }),
            Role::new(&|| (), &|_| rdtsc() != 0),
        ],
    );
    eq!(
        out.status(0),
        WaitStatus::signaled(SIGSEGV),
        "after many switches it is still forbidden"
    );
    ok!(out.held(1), "the other task reads the TSC all the time");
    ok!(
        out.passed() >= 2 * ROUNDS - 2,
        "the two alternated {ROUNDS} times"
    );
    ok!(rdtsc() > second, "their parent reads it still");
    ktap::finish()
}

rt::main!(main);
