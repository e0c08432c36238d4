#![forbid(unsafe_code)]
//! The line discipline of a terminal: from keys to lines, and back to a screen.
//!
//! In canonical mode a line is edited here, with echo, and can be read once it is finished;
//! otherwise each byte can be read at once. Some keys are signals. Output gets its line ends.
//!
//! Used by `fs::tty`, which adds the lock, the port and the sleepers.
//!
//! Linux: 2.6.38 `drivers/char/n_tty.c`; termios(3).

use arrayvec::ArrayVec;

/// Bytes that wait to be read, and bytes of the line being edited; more are dropped.
pub const INPUT_MAX: usize = 1024;
/// Size of `struct termios` as the kernel knows it, in bytes.
pub const TERMIOS_BYTES: usize = 36;

/// `c_iflag`: carriage return becomes newline.
pub const ICRNL: u32 = 0x100;
const IGNCR: u32 = 0x80;
const INLCR: u32 = 0x40;
const IXON: u32 = 0x400;
const OPOST: u32 = 0x1;
const ONLCR: u32 = 0x4;
const ISIG: u32 = 0x1;
/// `c_lflag`: lines, not bytes.
pub const ICANON: u32 = 0x2;
/// `c_lflag`: input is shown.
pub const ECHO: u32 = 0x8;
const ECHOE: u32 = 0x10;
const ECHOK: u32 = 0x20;
const ECHONL: u32 = 0x40;
const NOFLSH: u32 = 0x80;
const ECHOCTL: u32 = 0x200;
const ECHOKE: u32 = 0x800;
const IEXTEN: u32 = 0x8000;

const VINTR: usize = 0;
const VQUIT: usize = 1;
const VERASE: usize = 2;
const VKILL: usize = 3;
const VEOF: usize = 4;
const VMIN: usize = 6;
const VSUSP: usize = 10;
const VEOL: usize = 11;
const VWERASE: usize = 14;

/// How a terminal behaves: `struct termios`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Termios {
    /// Input modes.
    pub iflag: u32,
    /// Output modes.
    pub oflag: u32,
    /// Control modes: kept, but the port stays as it is.
    pub cflag: u32,
    /// Local modes.
    pub lflag: u32,
    /// Number of the line discipline: 0.
    pub line: u8,
    /// Control characters.
    pub cc: [u8; 19],
}

impl Termios {
    /// What a terminal starts with.
    pub const DEFAULT: Termios = Termios {
        iflag: ICRNL | IXON,
        oflag: OPOST | ONLCR,
        cflag: 0x4bf, // B38400, CS8, CREAD, HUPCL
        lflag: ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
        line: 0,
        cc: [
            3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0,
        ],
    };

    /// As the caller of `TCGETS` sees it.
    pub fn to_bytes(&self) -> [u8; TERMIOS_BYTES] {
        let mut bytes = [0; TERMIOS_BYTES];
        for (chunk, word) in bytes
            .chunks_exact_mut(4)
            .zip([self.iflag, self.oflag, self.cflag, self.lflag])
        {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes[16] = self.line;
        bytes[17..].copy_from_slice(&self.cc);
        bytes
    }

    /// As the caller of `TCSETS` gave it.
    pub fn from_bytes(bytes: &[u8; TERMIOS_BYTES]) -> Self {
        let (words, _) = bytes.as_chunks::<4>();
        let word = |at: usize| {
            words
                .get(at / 4)
                .map_or(0, |word| u32::from_le_bytes(*word))
        };
        let mut cc = [0; 19];
        cc.copy_from_slice(&bytes[17..]);
        Self {
            iflag: word(0),
            oflag: word(4),
            cflag: word(8),
            lflag: word(12),
            line: bytes[16],
            cc,
        }
    }
}

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

/// Stands in the input for "end of file" typed by the user.
const EOF_MARK: u16 = 0x100;

/// The line discipline of one terminal.
#[derive(Debug)]
pub struct NTty {
    /// How it behaves.
    pub termios: Termios,
    /// Can be read.
    ready: ArrayVec<u16, INPUT_MAX>,
    /// Is being edited.
    line: ArrayVec<u8, INPUT_MAX>,
}

impl NTty {
    /// Nothing typed yet.
    pub const fn new() -> Self {
        Self {
            termios: Termios::DEFAULT,
            ready: ArrayVec::new_const(),
            line: ArrayVec::new_const(),
        }
    }

    /// A byte came in. `echo` gets what the user should see for it, output processing done.
    pub fn receive(&mut self, byte: u8, mut echo: impl FnMut(&[u8])) -> Option<KeySignal> {
        let Termios {
            iflag, lflag, cc, ..
        } = self.termios;
        let is = |index: usize, byte: u8| byte != 0 && cc[index] == byte;
        if lflag & ISIG != 0 {
            let signal = [
                (VINTR, KeySignal::Interrupt),
                (VQUIT, KeySignal::Quit),
                (VSUSP, KeySignal::Suspend),
            ];
            if let Some((_, signal)) = signal.into_iter().find(|(index, _)| is(*index, byte)) {
                if lflag & NOFLSH == 0 {
                    self.line.clear();
                    self.ready.clear();
                }
                self.echo(byte, &mut echo);
                return Some(signal);
            }
        }
        let byte = match byte {
            b'\r' if iflag & IGNCR != 0 => return None,
            b'\r' if iflag & ICRNL != 0 => b'\n',
            b'\n' if iflag & INLCR != 0 => b'\r',
            byte => byte,
        };
        if lflag & ICANON == 0 {
            if self.ready.try_push(u16::from(byte)).is_ok() {
                self.echo(byte, &mut echo);
            }
            return None;
        }
        if is(VERASE, byte) || byte == 8 && cc[VERASE] == 127 {
            self.erase(1, &mut echo);
        } else if is(VKILL, byte) {
            self.erase(self.line.len(), &mut echo);
        } else if is(VWERASE, byte) && lflag & IEXTEN != 0 {
            self.erase(self.last_word(), &mut echo);
        } else if is(VEOF, byte) {
            self.finish_line(None);
        } else if byte == b'\n' || is(VEOL, byte) {
            if lflag & (ECHO | ECHONL) != 0 {
                self.output(&[byte], &mut echo);
            }
            self.finish_line(Some(byte));
        } else if self.line.len().saturating_add(self.ready.len()) < INPUT_MAX - 1 {
            // One place is kept, so that the line can still be finished.
            self.line.push(byte);
            self.echo(byte, &mut echo);
        }
        None
    }

    /// Whether a read would return, with bytes or at the end of file.
    pub fn is_readable(&self) -> bool {
        let canonical = self.termios.lflag & ICANON != 0;
        self.ready.len()
            >= if canonical {
                1
            } else {
                usize::from(self.termios.cc[VMIN]).min(INPUT_MAX)
            }
    }

    /// Takes what can be read: in canonical mode at most one line. 0: end of file, or nothing.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let canonical = self.termios.lflag & ICANON != 0;
        let (mut count, mut taken) = (0_usize, 0_usize);
        for &item in &self.ready {
            // The mark goes with the line it ends, even if the buffer is just full.
            if item == EOF_MARK {
                taken = taken.saturating_add(1);
                break;
            }
            let Some(to) = buffer.get_mut(count) else {
                break;
            };
            *to = item as u8;
            taken = taken.saturating_add(1);
            count = count.saturating_add(1);
            if canonical
                && (item == u16::from(b'\n') || item as u8 == self.termios.cc[VEOL] && item != 0)
            {
                break;
            }
        }
        self.ready.drain(..taken);
        count
    }

    /// Writes `bytes` to `port` with the line ends that the modes ask for.
    pub fn output(&self, bytes: &[u8], mut port: impl FnMut(&[u8])) {
        if self.termios.oflag & (OPOST | ONLCR) != OPOST | ONLCR {
            return port(bytes);
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(text) => {
                    port(text);
                    port(b"\r\n");
                }
                None => port(piece),
            }
        }
    }

    /// Forgets all input (`TCFLSH`, `TCSETSF`).
    pub fn flush_input(&mut self) {
        self.line.clear();
        self.ready.clear();
    }

    /// Changes the modes. What was being edited becomes readable when lines cease to matter.
    pub fn set_termios(&mut self, termios: Termios) {
        self.termios = termios;
        if termios.lflag & ICANON == 0 {
            let line = core::mem::take(&mut self.line);
            for byte in line {
                let _full = self.ready.try_push(u16::from(byte));
            }
        }
    }

    fn finish_line(&mut self, end: Option<u8>) {
        let line = core::mem::take(&mut self.line);
        let end = end.map_or(EOF_MARK, u16::from);
        for item in line.into_iter().map(u16::from).chain([end]) {
            let _full = self.ready.try_push(item);
        }
    }

    /// Bytes of the last word of the line and the blanks after it.
    fn last_word(&self) -> usize {
        let mut rest = self.line.as_slice();
        while let [before @ .., b] = rest
            && b.is_ascii_whitespace()
        {
            rest = before;
        }
        while let [before @ .., b] = rest
            && !b.is_ascii_whitespace()
        {
            rest = before;
        }
        self.line.len().saturating_sub(rest.len())
    }

    fn erase(&mut self, count: usize, echo: &mut impl FnMut(&[u8])) {
        for _ in 0..count {
            let Some(byte) = self.line.pop() else { return };
            let shown = if byte.is_ascii_control() && byte != b'\t' {
                2
            } else {
                1
            };
            if self.termios.lflag & (ECHO | ECHOE) == ECHO | ECHOE {
                (0..shown).for_each(|_| echo(b"\x08 \x08"));
            }
        }
    }

    fn echo(&self, byte: u8, echo: &mut impl FnMut(&[u8])) {
        let lflag = self.termios.lflag;
        if lflag & ECHO == 0 {
            return;
        }
        match byte {
            b'\n' | b'\t' => self.output(&[byte], echo),
            byte if byte.is_ascii_control() && lflag & ECHOCTL != 0 => echo(&[b'^', byte ^ 0x40]),
            byte => echo(&[byte]),
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
