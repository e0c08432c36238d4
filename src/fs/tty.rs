//! The console as a terminal: a line discipline between programs and the serial line, the screen
//! and the keyboard.
//!
//! The interrupts of COM1 and of the keyboard feed received bytes to the line discipline, which
//! echoes them, and wakes the readers. The interrupt key and its like become signals for the
//! foreground process group. Output is polled, so a write is on the wire and on the screen when it
//! returns.
//!
//! COM1 calls [`serial_interrupt`], the keyboard [`keyboard_interrupt`], system calls the rest.
//!
//! Linux: 2.6.38 `drivers/char/tty_io.c`, `tty_ioctl.c`; tty_ioctl(4).

use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use super::n_tty::{KeySignal, NTty};
use super::poll_events::PollEvents;
use super::termios::{Termios, VSTART, VSTOP};
use crate::arch::x86::current::current;
use crate::arch::x86::entry::uaccess::{copy_from_user, copy_to_user, get_user, put_user};
use crate::base::consoles::Consoles;
use crate::base::errno::Errno;
use crate::base::thread_info::{TIF_SIGPENDING, test_flag};
use crate::drivers::tsc::since_boot_us;
use crate::drivers::{console, i8042, serial, vga};
use crate::sched::timer::{HZ, TICK_US, schedule_timeout};
use crate::sched::wait_queue::WaitQueue;
use crate::sync::{IrqSpinLock, LockClass};
use crate::task::state::TASK_INTERRUPTIBLE;

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
const TIOCOUTQ: u32 = 0x5411;
const FIONREAD: u32 = 0x541b;
const TIOCGETD: u32 = 0x5424;
const TCSBRKP: u32 = 0x5425;
const TCOOFF: u32 = 0;
const TCOON: u32 = 1;
const TCIOFF: u32 = 2;
const TCION: u32 = 3;
const SIGWINCH: u32 = 28;

static DISCIPLINE: IrqSpinLock<NTty> = IrqSpinLock::new(LockClass::TtyDiscipline, NTty::new());
static READERS: WaitQueue = WaitQueue::new();
/// Writers that wait for stopped output to start again.
static WRITERS: WaitQueue = WaitQueue::new();
/// The foreground process group; 0: there is none yet, so keys raise no signals.
static FOREGROUND: AtomicI32 = AtomicI32::new(0);
/// Rows and columns, and the same in pixels.
static WINDOW: IrqSpinLock<[u8; 8]> =
    IrqSpinLock::new(LockClass::TtyWindow, [25, 0, 80, 0, 0, 0, 0, 0]);

/// Signals of keys that were pressed, one bit each by number. `process::tty_signal` sends them,
/// because an interrupt must not look at the task list.
static KEYS: AtomicU32 = AtomicU32::new(0);
static KEY_PRESSED: WaitQueue = WaitQueue::new();

/// Sleeps until a key that raises a signal was pressed; returns the foreground process group and
/// the signals, one bit each by number.
pub fn wait_for_keys() -> (i32, u32) {
    KEY_PRESSED.wait_uninterruptible(|| KEYS.load(Ordering::Acquire) != 0);
    (
        FOREGROUND.load(Ordering::Relaxed),
        KEYS.swap(0, Ordering::AcqRel),
    )
}

/// Handles COM1's interrupt: takes all bytes that have arrived.
pub fn serial_interrupt() {
    serial::interrupt();
    let mut bytes = [0; 64];
    loop {
        let count = serial::read(&mut bytes);
        if count == 0 {
            break;
        }
        if console::terminal().contains(Consoles::SERIAL) {
            receive(&bytes[..count]);
        }
    }
}

/// Handles the keyboard's interrupt: takes all keys that have arrived.
pub fn keyboard_interrupt() {
    i8042::interrupt(|bytes| {
        if console::terminal().contains(Consoles::SCREEN) {
            receive(bytes);
        }
    });
}

/// Takes bytes that a person typed, or that answer a program's question.
fn receive(bytes: &[u8]) {
    for byte in bytes {
        let signal = DISCIPLINE.lock().receive(*byte, console::write);
        let Some(signal) = signal else { continue };
        let number = match signal {
            KeySignal::Interrupt => 2,
            KeySignal::Quit => 3,
            KeySignal::Suspend => 20,
        };
        send_to_foreground(number);
    }
    console::flush();
    // Wakes one of each, since this may be an interrupt: the task that wakes passes the rest on.
    READERS.wake_up_one();
    WRITERS.wake_up_one();
}

/// Waits for a key and returns its first byte; what else the key sends is dropped. Returns `None` if
/// none is pressed within `ticks`. For the kernel's own questions, before a program reads.
pub fn wait_for_key(mut ticks: Option<u64>) -> Option<u8> {
    let mut tty = DISCIPLINE.lock();
    let before = tty.termios();
    tty.flush_input();
    tty.set_termios(Termios { lflag: 0, ..before });
    drop(tty);
    let pressed = wait_for_input(&mut ticks);
    let mut byte = [0];
    let mut tty = DISCIPLINE.lock();
    let (count, _) = tty.read(&mut byte);
    tty.flush_input();
    tty.set_termios(before);
    drop(tty);
    pressed.ok().filter(|()| count == 1).map(|()| byte[0])
}

/// Wakes the next reader if input is left. A reader calls this when it stops reading.
fn pass_on_input() {
    if DISCIPLINE.lock().has_input() {
        READERS.wake_up_one();
    }
}

/// Asks `process::tty_signal` to send a signal to the foreground process group.
fn send_to_foreground(signal: u32) {
    KEYS.fetch_or(1_u32.wrapping_shl(signal), Ordering::Release);
    KEY_PRESSED.wake_up();
}

/// Reads up to `count` bytes to user address `to`: a line, or without canonical mode as many as
/// VMIN and VTIME ask for.
///
/// # Errors
/// EAGAIN (if `nonblocking`), ERESTARTSYS, EFAULT.
#[inline(never)]
pub fn n_tty_read(to: u32, count: u32, nonblocking: bool) -> Result<u32, Errno> {
    let read = read_input(to, count, nonblocking);
    pass_on_input();
    read
}

fn read_input(to: u32, count: u32, nonblocking: bool) -> Result<u32, Errno> {
    let (canonical, min, time_ticks) = {
        let tty = DISCIPLINE.lock();
        let (min, tenths) = tty.min_and_time();
        (
            tty.termios().is_canonical(),
            min as u32,
            tenths.saturating_mul(u64::from(HZ)) / 10,
        )
    };
    // If VMIN is 0, VTIME limits the wait for the first byte; otherwise for each further byte.
    let (minimum, mut timeout, between) = match (canonical, min) {
        (true, _) => (0, None, None),
        (false, 0) => (0, Some(time_ticks), None),
        (false, min) => (min, None, Some(time_ticks).filter(|ticks| *ticks != 0)),
    };
    let mut read = 0_u32;
    while read < count {
        let mut buffer = [0; 256];
        let most = (count.saturating_sub(read) as usize).min(buffer.len());
        let (taken, ended, has_input) = {
            let mut tty = DISCIPLINE.lock();
            let has_input = tty.has_input();
            let (taken, ended) = tty.read(&mut buffer[..most]);
            (taken, ended, has_input)
        };
        let result = match has_input {
            true => copy_to_user(to.wrapping_add(read), &buffer[..taken]),
            false if read > 0 && read >= minimum || timeout == Some(0) => break,
            false if nonblocking => Err(Errno::EAGAIN),
            false => wait_for_input(&mut timeout),
        };
        match result {
            Err(_) if read > 0 => break,
            other => other?,
        }
        read = read.saturating_add(taken as u32);
        if ended {
            break;
        }
        if has_input && between.is_some() {
            timeout = between;
        }
    }
    Ok(read)
}

/// Sleeps until there is something to read, at most for `ticks`, if given; subtracts the elapsed
/// time from `ticks`. Fails with ERESTARTSYS.
fn wait_for_input(ticks: &mut Option<u64>) -> Result<(), Errno> {
    let has_input = || DISCIPLINE.lock().has_input();
    let Some(left) = ticks else {
        return READERS
            .wait_until(has_input)
            .map_err(|_| Errno::ERESTARTSYS);
    };
    let me = current();
    // Measured by the clock: a late tick must not make the wait longer.
    let end_us = since_boot_us().saturating_add(left.saturating_mul(TICK_US));
    while *left > 0 && !has_input() {
        me.state.set_current_state(TASK_INTERRUPTIBLE);
        if test_flag(me.thread_info(), TIF_SIGPENDING) {
            me.state.set_running();
            return Err(Errno::ERESTARTSYS);
        }
        schedule_timeout(1);
        *left = end_us.saturating_sub(since_boot_us()).div_ceil(TICK_US);
    }
    Ok(())
}

/// Writes `count` bytes from user address `from`; waits while the output is stopped.
///
/// # Errors
/// EAGAIN (if `nonblocking`), ERESTARTSYS, EFAULT.
#[inline(never)]
pub fn write(from: u32, count: u32, nonblocking: bool) -> Result<u32, Errno> {
    let mut written = 0_u32;
    while written < count {
        let mut buffer = [0; 256];
        let chunk = count.saturating_sub(written).min(buffer.len() as u32);
        let bytes = &mut buffer[..chunk as usize];
        match copy_from_user(bytes, from.wrapping_add(written))
            .and_then(|()| put(bytes, nonblocking))
        {
            Ok(()) => {}
            Err(_) if written > 0 => break,
            Err(errno) => return Err(errno),
        }
        written = written.saturating_add(chunk);
    }
    Ok(written)
}

/// Sends `bytes`, once the output is not stopped. Fails with EAGAIN (if `nonblocking`) or
/// ERESTARTSYS.
fn put(bytes: &[u8], nonblocking: bool) -> Result<(), Errno> {
    let put = put_once_it_flows(bytes, nonblocking);
    // Passes the wakeup on to the next writer, whether or not this one has written.
    WRITERS.wake_up_one();
    put
}

fn put_once_it_flows(bytes: &[u8], nonblocking: bool) -> Result<(), Errno> {
    loop {
        let mut tty = DISCIPLINE.lock();
        if !tty.is_stopped() {
            tty.output(bytes, console::write);
            drop(tty);
            console::flush();
            answer();
            return Ok(());
        }
        drop(tty);
        if nonblocking {
            return Err(Errno::EAGAIN);
        }
        WRITERS
            .wait_until(|| !DISCIPLINE.lock().is_stopped())
            .map_err(|_| Errno::ERESTARTSYS)?;
    }
}

/// Lets the screen answer a program's question. Where the serial line is part of the terminal, the
/// terminal at its other end answers.
fn answer() {
    if console::terminal() == Consoles::SCREEN {
        vga::take_answer(receive);
    }
}

/// Returns the events that poll reports: always WRITABLE, and READABLE if there is input.
pub fn poll() -> PollEvents {
    let mut events = PollEvents::WRITABLE;
    events.set(PollEvents::READABLE, DISCIPLINE.lock().is_readable());
    events
}

/// Handles ioctl(2); `session` is the caller's.
///
/// # Errors
/// ENOTTY for an unknown command, EINVAL, EFAULT.
pub fn ioctl(command: u32, argument: u32, session: i32) -> Result<u32, Errno> {
    match command {
        TCGETS => {
            let termios = DISCIPLINE.lock().termios();
            put_user(argument, termios)?;
        }
        TCSETS | TCSETSW | TCSETSF => {
            let termios = get_user::<Termios>(argument)?;
            let mut tty = DISCIPLINE.lock();
            if command == TCSETSF {
                tty.flush_input();
            }
            tty.set_termios(termios);
            drop(tty);
            READERS.wake_up();
            WRITERS.wake_up();
        }
        FIONREAD => {
            let available = DISCIPLINE.lock().available();
            put_user(argument, available as u32)?;
        }
        // Output has always been sent already; the discipline is number 0.
        TIOCOUTQ | TIOCGETD => put_user(argument, 0u32)?,
        TCXONC => match argument {
            TCOOFF | TCOON => {
                DISCIPLINE.lock().flow(argument == TCOOFF);
                WRITERS.wake_up();
            }
            TCIOFF | TCION => {
                let termios = DISCIPLINE.lock().termios();
                let key = if argument == TCIOFF { VSTOP } else { VSTART };
                console::write(&termios.cc[key..=key]);
            }
            _ => return Err(Errno::EINVAL),
        },
        TCFLSH if argument > 2 => return Err(Errno::EINVAL),
        TCFLSH if argument != 1 => DISCIPLINE.lock().flush_input(),
        TCFLSH | TCSBRK | TCSBRKP | TIOCSCTTY | TIOCNOTTY => {}
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
            let was = core::mem::replace(&mut *WINDOW.lock(), window);
            if was != window {
                send_to_foreground(SIGWINCH);
            }
        }
        _ => return Err(Errno::ENOTTY),
    }
    Ok(0)
}

/// Sets the number of rows of the terminal, at boot.
pub fn set_rows(rows: u8) {
    WINDOW.lock()[0] = rows;
}

/// Makes `pgrp` the foreground process group, which gets the signals of keys: at boot, init's.
pub fn set_foreground(pgrp: i32) {
    FOREGROUND.store(pgrp, Ordering::Relaxed);
}
