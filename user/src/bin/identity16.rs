//! User and group numbers of 16 bits, as old programs know them.
//!
//! Linux: 2.6.38 `kernel/uid16.c`, setfsuid(2).
//! Red without: 65535 as -1; 65534 for what does not fit; each call.
#![no_std]
#![no_main]

use rt::{Errno, eq, expect_exit, gates::syscall, ktap, memory::KERNEL_ADDRESS};

const GETUID: u32 = 199;
const SETRESUID: u32 = 208;
const SETRESGID: u32 = 210;
const SETUID16: u32 = 23;
const SETGID16: u32 = 46;
const GETUID16: [u32; 4] = [24, 49, 47, 50];
const SETREUID16: u32 = 70;
const SETREGID16: u32 = 71;
const SETFSUID16: u32 = 138;
const SETFSGID16: u32 = 139;
const SETRESUID16: u32 = 164;
const GETRESUID16: u32 = 165;
const SETRESGID16: u32 = 170;
const GETRESGID16: u32 = 171;
const KEEP: u32 = 0xffff;
const WIDE: u32 = 0x1_0005;
const OVERFLOW: u16 = 65534;

/// Returns the three numbers that `call` stores; each lies between guards.
fn three(call: u32) -> Result<[u16; 3], Errno> {
    let mut ids = [[7u16; 2]; 3];
    let at = ids.each_mut().map(|id| id.as_mut_ptr() as u32);
    syscall(call, at)?;
    // SAFETY: the kernel has written there.
    let ids = unsafe { (&raw const ids).read_volatile() };
    assert!(
        ids.iter().all(|id| id[1] == 7),
        "more than 16 bits are stored"
    );
    Ok(ids.map(|id| id[0]))
}

fn ids() -> [u32; 4] {
    GETUID16.map(|call| syscall(call, []).expect("get*id cannot fail"))
}

/// One case in a child, which may change its numbers: `body` returns what it expects and what it
/// got.
fn case<T: PartialEq + core::fmt::Debug>(name: &str, body: impl FnOnce() -> (T, T)) {
    expect_exit(name, 0, || {
        let (got, wanted) = body();
        if got != wanted {
            rt::println!("# {name}: {got:?}, not {wanted:?}");
        }
        i32::from(got != wanted)
    });
}

fn main() -> i32 {
    ktap::plan(16);
    for (name, call) in [("setuid", SETUID16), ("setgid", SETGID16)] {
        eq!(
            syscall(call, [KEEP]),
            Err(Errno::EINVAL),
            "{name}(65535): EINVAL"
        );
        eq!(
            syscall(call, [0xabcd_ffff]),
            Err(Errno::EINVAL),
            "{name}: the upper half does not count"
        );
    }
    case("setresuid sets three", || {
        syscall(SETRESUID16, [1, 2, 3]).expect("setresuid16");
        (three(GETRESUID16), Ok([1, 2, 3]))
    });
    case("setresgid too", || {
        syscall(SETRESGID16, [4, 5, 6]).expect("setresgid16");
        (three(GETRESGID16), Ok([4, 5, 6]))
    });
    case("65535 leaves a number as it is", || {
        syscall(SETRESGID16, [4, KEEP, 6]).expect("setresgid16");
        (three(GETRESGID16), Ok([4, 0, 6]))
    });
    case("setreuid and setregid set two each", || {
        syscall(SETREGID16, [3, 4]).expect("setregid16");
        syscall(SETREUID16, [1, 2]).expect("setreuid16");
        (ids(), [1, 2, 3, 4])
    });
    case("and leave what is 65535", || {
        syscall(SETREGID16, [KEEP, 4]).expect("setregid16");
        syscall(SETREUID16, [KEEP, 2]).expect("setreuid16");
        (ids(), [0, 2, 0, 4])
    });
    case("setuid and setgid ignore the upper half", || {
        syscall(SETGID16, [0x7_0004]).expect("setgid16");
        syscall(SETUID16, [0x7_0002]).expect("setuid16");
        (ids(), [2, 2, 4, 4])
    });
    case("a number of more than 16 bits is told as 65534", || {
        syscall(SETRESGID, [WIDE, WIDE, WIDE]).expect("setresgid");
        syscall(SETRESUID, [WIDE, WIDE, WIDE]).expect("setresuid");
        (ids(), [u32::from(OVERFLOW); 4])
    });
    case("by getresuid as well", || {
        syscall(SETRESUID, [WIDE, 5, 65535]).expect("setresuid");
        (three(GETRESUID16), Ok([OVERFLOW, 5, 65535]))
    });
    case("the calls of 32 bits tell it in full", || {
        syscall(SETRESUID, [WIDE, WIDE, WIDE]).expect("setresuid");
        (syscall(GETUID, []), Ok(WIDE))
    });
    for (name, call) in [("setfsuid", SETFSUID16), ("setfsgid", SETFSGID16)] {
        case(name, || {
            let before = syscall(call, [9]);
            (
                [before, syscall(call, [KEEP]), syscall(call, [0])],
                [Ok(0), Ok(9), Ok(9)],
            )
        });
    }
    let mut id = 0u16;
    eq!(
        syscall(GETRESUID16, [&raw mut id as u32, KERNEL_ADDRESS, 0]),
        Err(Errno::EFAULT),
        "nowhere to store: EFAULT"
    );
    ktap::finish()
}

rt::main!(main);
