#![forbid(unsafe_code)]
//! The line discipline of a terminal: turns keys into lines, and processes output for the screen.
//!
//! In canonical mode a line is edited here, with echo, and can be read once it is finished;
//! otherwise each byte can be read at once. Some keys raise signals, two stop and start the output,
//! and one quotes the next key. [`Opost`] processes the output.
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

/// Largest number of bytes in the input, the line being edited included; further ones are dropped
/// (`N_TTY_BUF_SIZE`).
pub const INPUT_MAX: usize = 4096;

/// A signal that a key raises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeySignal {
    /// SIGINT.
    Interrupt,
    /// SIGQUIT.
    Quit,
    /// SIGTSTP.
    Suspend,
}

/// Mark beside a byte of the input: the byte ends a line.
const LINE_END: u16 = 0x100;
/// Mark in the input: the line ends here without a byte; alone, it is the end of the file.
const EOF_MARK: u16 = 0x200 | LINE_END;

/// The reason why the output is stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stopped {
    No,
    /// A key stopped it, and a key starts it again.
    ByKey,
    /// A program stopped it (TCXONC), and only a program starts it again.
    ByProgram,
}

/// The line discipline of one terminal.
#[derive(Debug)]
pub struct NTty {
    termios: Termios,
    /// Lines that can be read, then the line being edited; without canonical mode there is no
    /// difference.
    input: ArrayVec<u16, INPUT_MAX>,
    /// Number of elements of `input` that can be read.
    ready: usize,
    /// Whether the next byte is taken literally.
    quoted: bool,
    stopped: Stopped,
    out: Opost,
}

impl NTty {
    /// Returns a line discipline without input, with the default modes.
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

    /// Returns the modes of the terminal.
    pub fn termios(&self) -> Termios {
        self.termios
    }

    /// Takes a received byte. `echo` gets the bytes that the user should see for it, after output
    /// processing. Returns the signal that the byte raises, if any.
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

    /// Takes a byte in canonical mode.
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

    /// Inserts a byte literally. Canonical mode keeps one place free, so that the line can still be
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

    /// Ends the line with `end` if there is room for it; returns whether there was.
    fn finish_line(&mut self, end: u16) -> bool {
        let fits = self.input.try_push(end).is_ok();
        if fits {
            self.ready = self.input.len();
        }
        fits
    }

    /// Returns whether a read can proceed without waiting: there is a line, or a byte.
    pub fn has_input(&self) -> bool {
        self.ready > 0
    }

    /// Returns whether poll reports input: without canonical mode, once VMIN is satisfied.
    pub fn is_readable(&self) -> bool {
        let (min, time) = self.min_and_time();
        match self.termios.is_canonical() || time != 0 {
            true => self.has_input(),
            false => self.ready >= min.max(1),
        }
    }

    /// Returns the number of bytes, and the tenths of a second, that a read waits for without
    /// canonical mode.
    pub fn min_and_time(&self) -> (usize, u64) {
        let cc = self.termios.cc;
        (cc[VMIN].into(), cc[VTIME].into())
    }

    /// Returns the number of bytes that can be read (FIONREAD).
    pub fn available(&self) -> usize {
        let is_byte = |item: &&u16| **item != EOF_MARK;
        self.input[..self.ready].iter().filter(is_byte).count()
    }

    /// Moves readable input to `buffer`: in canonical mode at most one line. Returns the number of
    /// bytes and whether a line ended with them.
    pub fn read(&mut self, buffer: &mut [u8]) -> (usize, bool) {
        let canonical = self.termios.is_canonical();
        let (mut count, mut taken, mut ended) = (0_usize, 0, false);
        for (at, &item) in self.input[..self.ready].iter().enumerate() {
            // The mark is removed with the line it ends, even if the buffer is just full.
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

    /// Writes `bytes` to `port` after output processing.
    pub fn output(&mut self, bytes: &[u8], mut port: impl FnMut(&[u8])) {
        self.out.output(&self.termios, bytes, &mut port);
    }

    /// Returns whether output has to wait.
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

    /// Discards all input (`TCFLSH`, `TCSETSF`).
    pub fn flush_input(&mut self) {
        self.input.clear();
        self.ready = 0;
    }

    /// Changes the modes. If canonical mode ends, the line being edited becomes readable; if no key
    /// can start the output any more, it starts.
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

    /// Returns the line that is being edited.
    fn line(&self) -> &[u16] {
        &self.input[self.ready..]
    }

    /// Returns the number of characters in the last word of the line, which consists of letters,
    /// digits and underscores, and in whatever follows that word.
    fn last_word(&self) -> usize {
        let is_word =
            |item: &u16| matches!(*item as u8, b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z');
        let starts = |item: &&u16| !self.continues(**item as u8);
        let backwards = || self.line().iter().rev().filter(starts);
        let after = backwards().take_while(|item| !is_word(item)).count();
        let word = backwards().skip(after).take_while(|item| is_word(item));
        after.saturating_add(word.count())
    }

    /// Erases the line and echoes that as `byte`, the key, requires.
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

    /// Erases `count` characters of the line and echoes that as `byte`, the key, requires.
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

    /// Returns whether `byte` continues a character of UTF-8 rather than beginning one.
    fn continues(&self, byte: u8) -> bool {
        self.termios.iflag & IUTF8 != 0 && byte & 0xc0 == 0x80
    }

    /// Removes the last character of the line being edited and returns its first byte. Never
    /// removes input that can already be read.
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

    /// Returns the width in columns of a tab that followed the present line.
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
