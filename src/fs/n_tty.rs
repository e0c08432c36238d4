#![forbid(unsafe_code)]
//! The line discipline of a terminal: from keys to lines, and back to a screen.
//!
//! In canonical mode a line is edited here, with echo, and can be read once it is finished; otherwise
//! each byte can be read at once. Some keys are signals, two stop and start the output, one quotes the
//! next. Output gets its line ends from [`Opost`].
//!
//! Used by `fs::tty`, which adds the lock, the port and the sleepers.
//!
//! Linux: 2.6.38 `drivers/char/n_tty.c`; termios(3).

use arrayvec::ArrayVec;

use super::opost::{Opost, to_next_tab};
use super::termios::{
    ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, ECHONL, ICRNL, IEXTEN, IGNCR, INLCR, ISIG, ISTRIP, IUCLC,
    IUTF8, IXANY, IXON, NOFLSH, Termios, VEOF, VEOL, VEOL2, VERASE, VINTR, VKILL, VLNEXT, VMIN,
    VQUIT, VREPRINT, VSTART, VSTOP, VSUSP, VTIME, VWERASE,
};

/// Bytes that wait to be read, and bytes of the line being edited; more are dropped
/// (`N_TTY_BUF_SIZE`).
pub const INPUT_MAX: usize = 4096;

/// A signal that a key stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeySignal {
    /// SIGINT.
    Interrupt,
    /// SIGQUIT.
    Quit,
    /// SIGTSTP.
    Suspend,
}

/// In the input, beside the byte: it ends a line.
const LINE_END: u16 = 0x100;
/// In the input: the line ends here without a byte; alone, it is the end of the file.
const EOF_MARK: u16 = 0x200 | LINE_END;

/// What stops the output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stopped {
    No,
    /// A key, and a key starts it again.
    ByKey,
    /// A program, by TCXONC, and only a program starts it again.
    ByProgram,
}

/// The line discipline of one terminal.
#[derive(Debug)]
pub struct NTty {
    termios: Termios,
    /// Lines that can be read, then the line that is being edited: without canonical mode there is no
    /// difference.
    input: ArrayVec<u16, INPUT_MAX>,
    /// How many of `input` can be read.
    ready: usize,
    /// The next byte means itself.
    quoted: bool,
    stopped: Stopped,
    out: Opost,
}

impl NTty {
    /// Nothing typed yet.
    pub const fn new() -> Self {
        Self {
            termios: Termios::DEFAULT,
            input: ArrayVec::new_const(),
            ready: 0,
            quoted: false,
            stopped: Stopped::No,
            out: Opost::new(),
        }
    }

    /// How it behaves.
    pub fn termios(&self) -> Termios {
        self.termios
    }

    /// A byte came in. `echo` gets what the user should see for it, output processing done.
    pub fn receive(&mut self, byte: u8, mut echo: impl FnMut(&[u8])) -> Option<KeySignal> {
        let (termios, echo) = (self.termios, &mut echo);
        let byte = match () {
            () if termios.iflag & ISTRIP != 0 => byte & 0x7f,
            () => byte,
        };
        let byte = match termios.iflag & IUCLC != 0 && termios.has_local(IEXTEN) {
            true => byte.to_ascii_lowercase(),
            false => byte,
        };
        if core::mem::take(&mut self.quoted) {
            self.insert(byte, echo);
            return None;
        }
        if termios.iflag & IXON != 0 {
            if termios.is(VSTART, byte) || termios.iflag & IXANY != 0 {
                self.start_by_key();
            }
            if termios.is(VSTART, byte) {
                return None;
            }
            if termios.is(VSTOP, byte) {
                if self.stopped == Stopped::No {
                    self.stopped = Stopped::ByKey;
                }
                return None;
            }
        }
        if let Some(signal) = self.signal_of(byte) {
            if termios.lflag & NOFLSH == 0 {
                self.flush_input();
            }
            if termios.iflag & IXON != 0 {
                self.start_by_key();
            }
            self.echo(byte, echo);
            return Some(signal);
        }
        let byte = match byte {
            b'\r' if termios.iflag & IGNCR != 0 => return None,
            b'\r' if termios.iflag & ICRNL != 0 => b'\n',
            b'\n' if termios.iflag & INLCR != 0 => b'\r',
            byte => byte,
        };
        match termios.is_canonical() {
            true => self.edit(byte, echo),
            false => self.insert(byte, echo),
        }
        None
    }

    fn signal_of(&self, byte: u8) -> Option<KeySignal> {
        let keys = [
            (VINTR, KeySignal::Interrupt),
            (VQUIT, KeySignal::Quit),
            (VSUSP, KeySignal::Suspend),
        ];
        let mut signals = keys.into_iter().filter(|_| self.termios.has_local(ISIG));
        let found = signals.find(|(index, _)| self.termios.is(*index, byte));
        found.map(|(_, signal)| signal)
    }

    /// A byte of a line.
    fn edit(&mut self, byte: u8, echo: &mut impl FnMut(&[u8])) {
        let termios = self.termios;
        let extended = termios.has_local(IEXTEN);
        if termios.is(VERASE, byte) {
            self.erase(1, byte, echo);
        } else if termios.is(VKILL, byte) {
            self.kill(byte, echo);
        } else if extended && termios.is(VWERASE, byte) {
            self.erase(self.last_word(), byte, echo);
        } else if extended && termios.is(VLNEXT, byte) {
            self.quoted = true;
            if termios.has_local(ECHO | ECHOCTL) {
                self.out.output(&termios, b"^\x08", echo);
            }
        } else if extended && termios.has_local(ECHO) && termios.is(VREPRINT, byte) {
            self.echo(byte, echo);
            self.out.output(&termios, b"\n", echo);
            for at in self.ready..self.input.len() {
                self.echo(self.input[at] as u8, echo);
            }
        } else if termios.is(VEOF, byte) {
            self.finish_line(EOF_MARK);
        } else if byte == b'\n' {
            let shown = termios.lflag & (ECHO | ECHONL) != 0;
            if self.finish_line(LINE_END | u16::from(byte)) && shown {
                self.out.output(&termios, b"\n", echo);
            }
        } else if termios.is(VEOL, byte) || extended && termios.is(VEOL2, byte) {
            if self.finish_line(LINE_END | u16::from(byte)) {
                self.echo(byte, echo);
            }
        } else {
            self.insert(byte, echo);
        }
    }

    /// Puts a byte in as it is. One place is kept in canonical mode, so that the line can still be
    /// finished.
    fn insert(&mut self, byte: u8, echo: &mut impl FnMut(&[u8])) {
        let canonical = self.termios.is_canonical();
        if self.input.len() >= INPUT_MAX.saturating_sub(canonical.into()) {
            return;
        }
        self.input.push(byte.into());
        if !canonical {
            self.ready = self.input.len();
        }
        self.echo(byte, echo);
    }

    /// Ends the line with `end`, if there is room for it; says whether there was.
    fn finish_line(&mut self, end: u16) -> bool {
        let fits = self.input.try_push(end).is_ok();
        if fits {
            self.ready = self.input.len();
        }
        fits
    }

    /// Whether a read need not wait: there is a line, or a byte.
    pub fn has_input(&self) -> bool {
        self.ready > 0
    }

    /// Whether poll says so: without canonical mode, once a read would have what VMIN asks for.
    pub fn is_readable(&self) -> bool {
        let (min, time) = self.min_and_time();
        match self.termios.is_canonical() || time != 0 {
            true => self.has_input(),
            false => self.ready >= min.max(1),
        }
    }

    /// Bytes that a read waits for, and tenths of a second, without canonical mode.
    pub fn min_and_time(&self) -> (usize, u64) {
        let cc = self.termios.cc;
        (cc[VMIN].into(), cc[VTIME].into())
    }

    /// Bytes that can be read (FIONREAD).
    pub fn available(&self) -> usize {
        let is_byte = |item: &&u16| **item != EOF_MARK;
        self.input[..self.ready].iter().filter(is_byte).count()
    }

    /// Takes what can be read: in canonical mode at most one line. How many bytes, and whether a line
    /// ended with them.
    pub fn read(&mut self, buffer: &mut [u8]) -> (usize, bool) {
        let canonical = self.termios.is_canonical();
        let (mut count, mut taken, mut ended) = (0_usize, 0, false);
        for (at, &item) in self.input[..self.ready].iter().enumerate() {
            // The mark goes with the line it ends, even if the buffer is just full.
            if item == EOF_MARK && canonical {
                taken = at.saturating_add(1);
                ended = true;
                break;
            }
            if count == buffer.len() {
                break;
            }
            taken = at.saturating_add(1);
            if item == EOF_MARK {
                continue;
            }
            buffer[count] = item as u8;
            count = count.saturating_add(1);
            if canonical && item & LINE_END != 0 {
                ended = true;
                break;
            }
        }
        self.input.drain(..taken);
        self.ready = self.ready.saturating_sub(taken);
        (count, ended)
    }

    /// Writes `bytes` to `port` with what the modes do to them.
    pub fn output(&mut self, bytes: &[u8], mut port: impl FnMut(&[u8])) {
        self.out.output(&self.termios, bytes, &mut port);
    }

    /// Whether output has to wait.
    pub fn is_stopped(&self) -> bool {
        self.stopped != Stopped::No
    }

    /// Stops or starts the output for a program (TCXONC).
    pub fn flow(&mut self, stop: bool) {
        self.stopped = match stop {
            true => Stopped::ByProgram,
            false => Stopped::No,
        };
    }

    fn start_by_key(&mut self) {
        if self.stopped == Stopped::ByKey {
            self.stopped = Stopped::No;
        }
    }

    /// Forgets all input (`TCFLSH`, `TCSETSF`).
    pub fn flush_input(&mut self) {
        self.input.clear();
        self.ready = 0;
    }

    /// Changes the modes. What was being edited becomes readable when lines cease to matter, and output
    /// goes on when no key can start it any more.
    pub fn set_termios(&mut self, termios: Termios) {
        self.termios = termios;
        self.quoted &= termios.is_canonical();
        if !termios.is_canonical() {
            self.ready = self.input.len();
        }
        if termios.iflag & IXON == 0 {
            self.start_by_key();
        }
    }

    /// Bytes of the line that is being edited.
    fn line(&self) -> &[u16] {
        &self.input[self.ready..]
    }

    /// Characters of the last word of the line, which is of letters, digits and underscores, and of what
    /// follows that word.
    fn last_word(&self) -> usize {
        let is_word =
            |item: &u16| matches!(*item as u8, b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z');
        let starts = |item: &&u16| !self.continues(**item as u8);
        let backwards = || self.line().iter().rev().filter(starts);
        let after = backwards().take_while(|item| !is_word(item)).count();
        let word = backwards().skip(after).take_while(|item| is_word(item));
        after.saturating_add(word.count())
    }

    /// Erases the line, as `byte` asks.
    fn kill(&mut self, byte: u8, echo: &mut impl FnMut(&[u8])) {
        let termios = self.termios;
        if termios.has_local(ECHO | ECHOK | ECHOKE | ECHOE) {
            return self.erase(self.line().len(), byte, echo);
        }
        if self.line().is_empty() {
            return;
        }
        self.input.truncate(self.ready);
        self.echo(byte, echo);
        if termios.has_local(ECHO | ECHOK) {
            self.out.output(&termios, b"\n", echo);
        }
    }

    /// Erases `count` bytes of the line, as `byte` asks.
    fn erase(&mut self, count: usize, byte: u8, echo: &mut impl FnMut(&[u8])) {
        let termios = self.termios;
        for _ in 0..count {
            let Some(erased) = self.pop_character() else {
                return;
            };
            if !termios.has_local(ECHO) {
                continue;
            }
            if termios.is(VERASE, byte) && !termios.has_local(ECHOE) {
                self.echo(byte, echo);
                continue;
            }
            let columns = match erased {
                b'\t' => self.tab_width(),
                erased if erased.is_ascii_control() && termios.has_local(ECHOCTL) => 2,
                erased if erased.is_ascii_control() => 0,
                _ => 1,
            };
            (0..columns).for_each(|_| self.out.output(&termios, b"\x08 \x08", echo));
        }
    }

    /// Whether `byte` is no character of its own but goes on one of UTF-8.
    fn continues(&self, byte: u8) -> bool {
        self.termios.iflag & IUTF8 != 0 && byte & 0xc0 == 0x80
    }

    /// Takes the last character off the line that is being edited, and returns its first byte. Never
    /// takes what can already be read.
    fn pop_character(&mut self) -> Option<u8> {
        let mut first = None;
        while !self.line().is_empty() {
            first = self.input.pop().map(|item| item as u8);
            if !first.is_some_and(|byte| self.continues(byte)) {
                break;
            }
        }
        first
    }

    /// Columns that a tab took which stood behind what the line has now.
    fn tab_width(&self) -> usize {
        let width = |column: usize, item: &u16| match *item as u8 {
            b'\t' => column.saturating_add(to_next_tab(column)),
            byte if byte.is_ascii_control() => column.saturating_add(2),
            _ => column.saturating_add(1),
        };
        to_next_tab(self.line().iter().fold(0, width))
    }

    fn echo(&mut self, byte: u8, echo: &mut impl FnMut(&[u8])) {
        let termios = self.termios;
        if !termios.has_local(ECHO) {
            return;
        }
        match byte {
            b'\n' | b'\t' => self.out.output(&termios, &[byte], echo),
            byte if byte.is_ascii_control() && termios.has_local(ECHOCTL) => {
                self.out.output(&termios, &[b'^', byte ^ 0x40], echo);
            }
            byte => self.out.output(&termios, &[byte], echo),
        }
    }
}

impl Default for NTty {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
#[path = "n_tty_tests.rs"]
mod tests;
