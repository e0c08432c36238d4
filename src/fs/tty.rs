//! The console as a terminal: COM1 with a line discipline.
//!
//! Keys come by the port's interrupt, which feeds the line discipline, echoes, and wakes who
//! reads; the interrupt key and its like become signals for the foreground process group.
//! Output is polled, so a write is on the wire when it returns.
//!
//! [`interrupt`] is called by the interrupt of COM1, the rest by system calls.
//!
//! Linux: 2.6.38 `drivers/char/tty_io.c`, `tty_ioctl.c`; tty_ioctl(4).

use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use super::n_tty::{KeySignal, NTty, TERMIOS_BYTES, Termios};
use super::poll_events::PollEvents;
use crate::arch::x86::uaccess::{copy_from_user, copy_to_user, get_user, put_user};
use crate::drivers::serial;
use crate::sched::wait_queue::WaitQueue;
use crate::sync::{IrqSpinLock, LockClass};
use crate::syscall::errno::Errno;

const TCGETS: u32 = 0x5401;
const TCSETS: u32 = 0x5402;
const TCSETSW: u32 = 0x5403;
const TCSETSF: u32 = 0x5404;
const TCSBRK: u32 = 0x5409;
const TCXONC: u32 = 0x540a;
const TCFLSH: u32 = 0x540b;
const TIOCSCTTY: u32 = 0x540e;
const TIOCGPGRP: u32 = 0x540f;
const TIOCSPGRP: u32 = 0x5410;
const TIOCGWINSZ: u32 = 0x5413;
const TIOCSWINSZ: u32 = 0x5414;
const TIOCNOTTY: u32 = 0x5422;
const TIOCGSID: u32 = 0x5429;

static DISCIPLINE: IrqSpinLock<NTty> = IrqSpinLock::new(LockClass::TtyDiscipline, NTty::new());
static READERS: WaitQueue = WaitQueue::new();
/// The foreground process group; 0: none yet, so that keys are no signals.
static FOREGROUND: AtomicI32 = AtomicI32::new(0);
/// Rows and columns, and the same in pixels.
static WINDOW: IrqSpinLock<[u8; 8]> =
    IrqSpinLock::new(LockClass::TtyWindow, [25, 0, 80, 0, 0, 0, 0, 0]);

/// Signals of keys that were pressed, a bit each by number, for `process::tty_signal` to send: in
/// an interrupt the task list cannot be looked at.
static KEYS: AtomicU32 = AtomicU32::new(0);
static KEY_PRESSED: WaitQueue = WaitQueue::new();

/// Sleeps until a key that is a signal was pressed; the foreground process group and the signals,
/// a bit each by number.
pub fn wait_for_keys() -> (i32, u32) {
    KEY_PRESSED.wait_uninterruptible(|| KEYS.load(Ordering::Acquire) != 0);
    (
        FOREGROUND.load(Ordering::Relaxed),
        KEYS.swap(0, Ordering::AcqRel),
    )
}

/// What COM1's interrupt does: takes all bytes that have come.
pub fn interrupt() {
    serial::interrupt();
    let mut bytes = [0; 64];
    loop {
        let count = serial::read(&mut bytes);
        if count == 0 {
            break;
        }
        for byte in &bytes[..count] {
            let signal = DISCIPLINE.lock().receive(*byte, serial::write);
            let Some(signal) = signal else { continue };
            let number = match signal {
                KeySignal::Interrupt => 2,
                KeySignal::Quit => 3,
                KeySignal::Suspend => 20,
            };
            KEYS.fetch_or(1 << number, Ordering::Release);
            KEY_PRESSED.wake_up();
        }
    }
    READERS.wake_up();
}

/// Reads up to `count` bytes to user address `to`. EAGAIN (if `nonblocking`), ERESTARTSYS, EFAULT.
#[inline(never)]
pub fn n_tty_read(to: u32, count: u32, nonblocking: bool) -> Result<u32, Errno> {
    if count == 0 {
        return Ok(0);
    }
    let mut buffer = [0; 256];
    let most = (count as usize).min(buffer.len());
    loop {
        let mut tty = DISCIPLINE.lock();
        if tty.is_readable() {
            let taken = tty.read(&mut buffer[..most]);
            drop(tty);
            copy_to_user(to, &buffer[..taken])?;
            return Ok(taken as u32);
        }
        drop(tty);
        if nonblocking {
            return Err(Errno::EAGAIN);
        }
        READERS
            .wait_until(|| DISCIPLINE.lock().is_readable())
            .map_err(|_| Errno::ERESTARTSYS)?;
    }
}

/// Writes `count` bytes from user address `from`. EFAULT.
#[inline(never)]
pub fn write(from: u32, count: u32) -> Result<u32, Errno> {
    let mut written = 0_u32;
    while written < count {
        let mut buffer = [0; 256];
        let chunk = count.saturating_sub(written).min(buffer.len() as u32);
        let bytes = &mut buffer[..chunk as usize];
        match copy_from_user(bytes, from.wrapping_add(written)) {
            Ok(()) => {}
            Err(_) if written > 0 => break,
            Err(errno) => return Err(errno),
        }
        DISCIPLINE.lock().output(bytes, serial::write);
        written = written.saturating_add(chunk);
    }
    Ok(written)
}

/// What poll tells: output never waits.
pub fn poll() -> PollEvents {
    let mut events = PollEvents::WRITABLE;
    events.set(PollEvents::READABLE, DISCIPLINE.lock().is_readable());
    events
}

/// ioctl(2); `session` is the caller's. ENOTTY for what a terminal does not know, EINVAL, EFAULT.
pub fn ioctl(command: u32, argument: u32, session: i32) -> Result<u32, Errno> {
    match command {
        TCGETS => {
            let bytes = DISCIPLINE.lock().termios.to_bytes();
            copy_to_user(argument, &bytes)?;
        }
        TCSETS | TCSETSW | TCSETSF => {
            let termios = Termios::from_bytes(&get_user::<[u8; TERMIOS_BYTES]>(argument)?);
            let mut tty = DISCIPLINE.lock();
            if command == TCSETSF {
                tty.flush_input();
            }
            tty.set_termios(termios);
            drop(tty);
            READERS.wake_up();
        }
        TCFLSH if argument > 2 => return Err(Errno::EINVAL),
        TCFLSH if argument != 1 => DISCIPLINE.lock().flush_input(),
        // Output has always been sent already.
        TCFLSH | TCSBRK | TCXONC | TIOCSCTTY | TIOCNOTTY => {}
        TIOCGPGRP => put_user(argument, FOREGROUND.load(Ordering::Relaxed))?,
        TIOCSPGRP => match get_user::<i32>(argument)? {
            pgrp if pgrp > 0 => FOREGROUND.store(pgrp, Ordering::Relaxed),
            _ => return Err(Errno::EINVAL),
        },
        TIOCGSID => put_user(argument, session)?,
        TIOCGWINSZ => {
            let window = *WINDOW.lock();
            copy_to_user(argument, &window)?;
        }
        TIOCSWINSZ => {
            let window = get_user::<[u8; 8]>(argument)?;
            *WINDOW.lock() = window;
        }
        _ => return Err(Errno::ENOTTY),
    }
    Ok(0)
}

/// Makes process group `pgrp` the one that gets the signals of keys: at boot, init's.
pub fn set_foreground(pgrp: i32) {
    FOREGROUND.store(pgrp, Ordering::Relaxed);
}
