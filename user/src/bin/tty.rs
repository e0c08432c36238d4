//! A terminal without input: VMIN and VTIME, FIONREAD, flow control, its modes and its size.
//!
//! Linux: termios(3), tty_ioctl(4). Without a terminal on descriptor 0 there is nothing to see.
//! Red without: the time of VTIME; the end of a read of 0 bytes; the stop of output; SIGWINCH.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno, WaitStatus, child,
    clock::{NS_PER_MS, PATIENCE_NS, monotonic_ns, nanosleep, sleep_ms},
    eq,
    gates::syscall,
    ktap,
    memory::KERNEL_ADDRESS,
    ok, println,
    signals::{Sigcontext, set_handler},
};

const READ: u32 = 3;
const WRITE: u32 = 4;
const IOCTL: u32 = 54;
const POLL: u32 = 168;
const FCNTL64: u32 = 221;
const TCGETS: u32 = 0x5401;
const TCSETS: u32 = 0x5402;
const TCXONC: u32 = 0x540a;
const TCFLSH: u32 = 0x540b;
const TIOCOUTQ: u32 = 0x5411;
const TIOCGWINSZ: u32 = 0x5413;
const TIOCSWINSZ: u32 = 0x5414;
const FIONREAD: u32 = 0x541b;
const TIOCGETD: u32 = 0x5424;
const O_NONBLOCK: u32 = 0o4000;
const SIGWINCH: u32 = 28;

static RESIZED: AtomicU32 = AtomicU32::new(0);

extern "C" fn resized(_: u32, _: Sigcontext) {
    RESIZED.fetch_add(1, SeqCst);
}

/// `struct termios`: four words of modes, the line discipline, 19 characters.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Termios {
    modes: [u32; 4],
    line: u8,
    cc: [u8; 19],
}

fn ioctl(command: u32, argument: u32) -> Result<u32, Errno> {
    syscall(IOCTL, [0, command, argument])
}

fn get() -> Result<Termios, Errno> {
    let mut termios = Termios {
        modes: [0; 4],
        line: 0,
        cc: [0; 19],
    };
    ioctl(TCGETS, &raw mut termios as u32).map(|_| termios)
}

fn set(termios: &Termios) {
    ioctl(TCSETS, core::ptr::from_ref(termios) as u32).expect("TCSETS");
}

fn word(command: u32) -> Result<u32, Errno> {
    let mut word = 77u32;
    ioctl(command, &raw mut word as u32).map(|_| word)
}

fn reads(before: &Termios) {
    let mut raw = *before;
    raw.modes[3] &= !(2 | 8); // ICANON, ECHO
    for (time, least, most) in [(0, 0, 100), (5, 400, 5000)] {
        (raw.cc[6], raw.cc[5]) = (0, time);
        set(&raw);
        let mut entry = [0u32, 1];
        let polled = syscall(POLL, [entry.as_mut_ptr() as u32, 1, 0]);
        let mut buffer = [0u8; 8];
        let begun = monotonic_ns();
        let answer = syscall(READ, [0, buffer.as_mut_ptr() as u32, 8]);
        let took = (monotonic_ns() - begun) / NS_PER_MS;
        eq!(
            (answer, polled),
            (Ok(0), Ok(0)),
            "MIN 0, TIME {time}: nothing, and not readable"
        );
        ok!(
            (least..=most).contains(&took),
            "after {time} tenths of a second"
        );
        if took > most {
            println!("# took {took} ms");
        }
    }
    (raw.cc[6], raw.cc[5]) = (0, 200);
    set(&raw);
    let status = child(|| {
        let mut buffer = 0u32;
        syscall(FCNTL64, [0, 4, O_NONBLOCK | 2]).expect("F_SETFL");
        let answer = syscall(READ, [0, &raw mut buffer as u32, 4]);
        syscall(FCNTL64, [0, 4, 2]).expect("F_SETFL");
        i32::from(answer != Err(Errno::EAGAIN))
    });
    eq!(
        status.wait(),
        WaitStatus::exited(0),
        "not to wait, with a time: EAGAIN"
    );
    set(before);
    eq!(word(FIONREAD), Ok(0), "FIONREAD: 0");
    eq!(word(TIOCOUTQ), Ok(0), "TIOCOUTQ: 0");
    eq!(word(TIOCGETD), Ok(0), "TIOCGETD: 0");
    for command in [FIONREAD, TIOCOUTQ, TCGETS, TCSETS] {
        let answer = ioctl(command, KERNEL_ADDRESS);
        eq!(
            answer,
            Err(Errno::EFAULT),
            "{command:#x} to a kernel address: EFAULT"
        );
    }
}

fn flow() {
    eq!(ioctl(TCXONC, 4), Err(Errno::EINVAL), "TCXONC 4: EINVAL");
    eq!(ioctl(TCFLSH, 3), Err(Errno::EINVAL), "TCFLSH 3: EINVAL");
    ioctl(TCXONC, 0).expect("TCOOFF");
    syscall(FCNTL64, [0, 4, O_NONBLOCK | 2]).expect("F_SETFL");
    let refused = syscall(WRITE, [0, c"#".as_ptr() as u32, 1]);
    syscall(FCNTL64, [0, 4, 2]).expect("F_SETFL");
    let writer = child(|| i32::from(syscall(WRITE, [0, c"#\n".as_ptr() as u32, 2]) != Ok(2)));
    sleep_ms(50);
    let waits = rt::process::wait4(writer.pid as i32, 1).map(|(pid, _)| pid);
    ioctl(TCXONC, 1).expect("TCOON");
    eq!(refused, Err(Errno::EAGAIN), "output is stopped: EAGAIN");
    eq!(waits, Ok(0), "a blocking write waits");
    eq!(writer.wait(), WaitStatus::exited(0), "until it goes on");
}

fn size() {
    let window = || {
        let mut window = [0u32; 2];
        ioctl(TIOCGWINSZ, window.as_mut_ptr() as u32).expect("TIOCGWINSZ");
        window
    };
    let set = |window: [u32; 2]| ioctl(TIOCSWINSZ, window.as_ptr() as u32).expect("TIOCSWINSZ");
    let before = window();
    set_handler(SIGWINCH, resized).expect("sigaction");
    set(before);
    sleep_ms(20);
    eq!(RESIZED.load(SeqCst), 0, "the same size: no SIGWINCH");
    let other = [before[0] + 1, before[1]];
    set(other);
    ok!(
        (0..PATIENCE_NS / NS_PER_MS).any(|_| {
            // The signal itself may well end the sleep early.
            let _interrupted = nanosleep(0, NS_PER_MS as u32);
            RESIZED.load(SeqCst) == 1
        }),
        "another: SIGWINCH"
    );
    eq!(window(), other, "and it is told");
    set(before);
}

fn main() -> i32 {
    let Ok(before) = get() else {
        ktap::plan(1);
        rt::skip!("descriptor 0 is no terminal", "the modes of a terminal");
        return ktap::finish();
    };
    ktap::plan(21);
    let mut other = before;
    other.cc[11] = b';';
    set(&other);
    eq!(get(), Ok(other), "the modes are those that were set");
    set(&before);
    reads(&before);
    flow();
    size();
    ktap::finish()
}

rt::main!(main);
