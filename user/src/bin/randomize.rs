//! Random addresses: stack, mappings and heap of a program, and how they are turned off.
//!
//! Linux: personality(2) (ADDR_NO_RANDOMIZE), proc(5) (randomize_va_space).
//! Red without: random places for each part, and the personality that forbids them.
#![no_std]
#![no_main]

use rt::{child, gates::syscall, ktap, memory::brk, ok, process::exec_self, start};

const SYS_READ: u32 = 3;
const SYS_WRITE: u32 = 4;
const SYS_CLOSE: u32 = 6;
const SYS_PIPE: u32 = 42;
const SYS_DUP2: u32 = 63;
const SYS_PERSONALITY: u32 = 136;
const ADDR_NO_RANDOMIZE: u32 = 0x4_0000;
const AT_SYSINFO_EHDR: u32 = 33;
/// The descriptor to which a program reports.
const REPORT_FD: u32 = 9;
const RUNS: usize = 8;

/// Pages of the stack pointer, the vDSO and the heap.
type Places = [u32; 3];

/// Reports where this program's parts are.
fn report() -> i32 {
    let stack = start::entry_state().esp >> 12;
    let vdso = start::getauxval(AT_SYSINFO_EHDR).unwrap_or(0) >> 12;
    let places: Places = [stack, vdso, brk(0) >> 12];
    i32::from(syscall(SYS_WRITE, [REPORT_FD, places.as_ptr() as u32, 12]) != Ok(12))
}

/// Runs this program again under `personality`, and returns what it reports.
fn places(personality: u32) -> Places {
    let mut fds = [0u32; 2];
    syscall(SYS_PIPE, [fds.as_mut_ptr() as u32]).expect("pipe");
    let program = child(|| {
        syscall(SYS_PERSONALITY, [personality]).expect("personality");
        syscall(SYS_DUP2, [fds[1], REPORT_FD]).expect("dup2");
        exec_self(c"report")
    });
    let mut places = Places::default();
    program.wait();
    syscall(SYS_READ, [fds[0], places.as_mut_ptr() as u32, 12]).expect("read");
    for fd in fds {
        syscall(SYS_CLOSE, [fd]).expect("close");
    }
    places
}

fn main() -> i32 {
    if start::arg(1) == Some("report") {
        return report();
    }
    ktap::plan(4);
    let fixed = [(); RUNS].map(|()| places(ADDR_NO_RANDOMIZE));
    ok!(
        fixed.iter().all(|it| *it == fixed[0]),
        "ADDR_NO_RANDOMIZE: the same places in each program"
    );
    let random = [(); RUNS].map(|()| places(0));
    for (part, name) in ["stack", "vDSO", "heap"].iter().enumerate() {
        ok!(
            random.iter().any(|it| it[part] != random[0][part]),
            "random places: of the {name}"
        );
    }
    ktap::finish()
}

rt::main!(main);
