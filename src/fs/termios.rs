#![forbid(unsafe_code)]
//! `struct termios`: how a terminal behaves, as a program gets and sets it.
//!
//! Used by the line discipline (`n_tty`); the terminal copies it from and to ring 3 as it is.
//!
//! Linux: 2.6.38 `asm-generic/termbits.h`; termios(3).

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `c_iflag`: the eighth bit is taken off.
pub const ISTRIP: u32 = 0x20;
/// `c_iflag`: newline becomes carriage return.
pub const INLCR: u32 = 0x40;
/// `c_iflag`: carriage returns are ignored.
pub const IGNCR: u32 = 0x80;
/// `c_iflag`: carriage return becomes newline.
pub const ICRNL: u32 = 0x100;
/// `c_iflag`, with IEXTEN: capitals become small.
pub const IUCLC: u32 = 0x200;
/// `c_iflag`: two keys stop and start the output.
pub const IXON: u32 = 0x400;
/// `c_iflag`: any key starts it.
pub const IXANY: u32 = 0x800;
/// `c_iflag`: a character of several bytes is erased as one.
pub const IUTF8: u32 = 0x4000;
/// `c_oflag`: the others are heeded.
pub const OPOST: u32 = 0x1;
/// `c_oflag`: small letters become capitals.
pub const OLCUC: u32 = 0x2;
/// `c_oflag`: newline gets a carriage return.
pub const ONLCR: u32 = 0x4;
/// `c_oflag`: carriage return becomes newline.
pub const OCRNL: u32 = 0x8;
/// `c_oflag`: no carriage return in the first column.
pub const ONOCR: u32 = 0x10;
/// `c_oflag`: newline goes to the first column by itself.
pub const ONLRET: u32 = 0x20;
/// `c_oflag`: tabs become blanks.
pub const XTABS: u32 = 0x1800;
/// `c_lflag`: keys are signals.
pub const ISIG: u32 = 0x1;
/// `c_lflag`: lines, not bytes.
pub const ICANON: u32 = 0x2;
/// `c_lflag`: input is shown.
pub const ECHO: u32 = 0x8;
/// `c_lflag`: what is erased goes from the screen.
pub const ECHOE: u32 = 0x10;
/// `c_lflag`: a killed line is left by a newline.
pub const ECHOK: u32 = 0x20;
/// `c_lflag`: newline is shown even if nothing else is.
pub const ECHONL: u32 = 0x40;
/// `c_lflag`: a signal leaves what was typed.
pub const NOFLSH: u32 = 0x80;
/// `c_lflag`: control characters are shown as `^X`.
pub const ECHOCTL: u32 = 0x200;
/// `c_lflag`: a killed line goes from the screen.
pub const ECHOKE: u32 = 0x800;
/// `c_lflag`: words, quoting, reprinting.
pub const IEXTEN: u32 = 0x8000;

/// Indices in `c_cc`: the characters of signals.
pub const VINTR: usize = 0;
/// See [`VINTR`].
pub const VQUIT: usize = 1;
/// Erases a character.
pub const VERASE: usize = 2;
/// Erases the line.
pub const VKILL: usize = 3;
/// Ends the file, or hands over what was typed.
pub const VEOF: usize = 4;
/// Tenths of a second that a read waits for a byte.
pub const VTIME: usize = 5;
/// Bytes that a read waits for.
pub const VMIN: usize = 6;
/// Starts the output.
pub const VSTART: usize = 8;
/// Stops the output.
pub const VSTOP: usize = 9;
/// See [`VINTR`].
pub const VSUSP: usize = 10;
/// Ends a line, besides newline.
pub const VEOL: usize = 11;
/// Shows the line again.
pub const VREPRINT: usize = 12;
/// Erases a word.
pub const VWERASE: usize = 14;
/// Quotes the next character.
pub const VLNEXT: usize = 15;
/// As VEOL, with IEXTEN.
pub const VEOL2: usize = 16;

/// `struct termios` of i386: 36 bytes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable)]
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

const _: () = assert!(size_of::<Termios>() == 36);

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

    /// Whether lines are read, not bytes.
    pub fn is_canonical(&self) -> bool {
        self.lflag & ICANON != 0
    }

    /// Whether `byte` is the character at this index of `c_cc`; 0 there is none.
    pub fn is(&self, index: usize, byte: u8) -> bool {
        byte != 0 && self.cc[index] == byte
    }

    /// Whether all bits of `lflags` are set.
    pub fn has_local(&self, lflags: u32) -> bool {
        self.lflag & lflags == lflags
    }
}
