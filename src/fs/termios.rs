#![forbid(unsafe_code)]
//! `struct termios`: how a terminal behaves, as a program gets and sets it.
//!
//! The line discipline (`n_tty`) uses it; the terminal copies it unchanged from and to ring 3.
//!
//! Linux: 2.6.38 `asm-generic/termbits.h`; termios(3).

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `c_iflag`: strip the eighth bit.
pub const ISTRIP: u32 = 0x20;
/// `c_iflag`: translate newline to carriage return.
pub const INLCR: u32 = 0x40;
/// `c_iflag`: ignore carriage return.
pub const IGNCR: u32 = 0x80;
/// `c_iflag`: translate carriage return to newline.
pub const ICRNL: u32 = 0x100;
/// `c_iflag`, with IEXTEN: translate capitals to small letters.
pub const IUCLC: u32 = 0x200;
/// `c_iflag`: let two keys stop and start the output.
pub const IXON: u32 = 0x400;
/// `c_iflag`: let any key start the output.
pub const IXANY: u32 = 0x800;
/// `c_iflag`: erase a character of several bytes as one.
pub const IUTF8: u32 = 0x4000;
/// `c_oflag`: process the output; the other flags count only with this one.
pub const OPOST: u32 = 0x1;
/// `c_oflag`: translate small letters to capitals.
pub const OLCUC: u32 = 0x2;
/// `c_oflag`: put a carriage return before newline.
pub const ONLCR: u32 = 0x4;
/// `c_oflag`: translate carriage return to newline.
pub const OCRNL: u32 = 0x8;
/// `c_oflag`: drop a carriage return in the first column.
pub const ONOCR: u32 = 0x10;
/// `c_oflag`: newline also moves to the first column.
pub const ONLRET: u32 = 0x20;
/// `c_oflag`: expand tabs to blanks.
pub const XTABS: u32 = 0x1800;
/// `c_lflag`: let keys raise signals.
pub const ISIG: u32 = 0x1;
/// `c_lflag`: read lines, not bytes.
pub const ICANON: u32 = 0x2;
/// `c_lflag`: echo the input.
pub const ECHO: u32 = 0x8;
/// `c_lflag`: remove erased characters from the screen.
pub const ECHOE: u32 = 0x10;
/// `c_lflag`: echo a newline when the line is killed.
pub const ECHOK: u32 = 0x20;
/// `c_lflag`: echo newline even without ECHO.
pub const ECHONL: u32 = 0x40;
/// `c_lflag`: keep the input when a key raises a signal.
pub const NOFLSH: u32 = 0x80;
/// `c_lflag`: echo control characters as `^X`.
pub const ECHOCTL: u32 = 0x200;
/// `c_lflag`: remove a killed line from the screen.
pub const ECHOKE: u32 = 0x800;
/// `c_lflag`: enable word erase, quoting and reprinting.
pub const IEXTEN: u32 = 0x8000;

/// Index in `c_cc`: the character that raises SIGINT.
pub const VINTR: usize = 0;
/// Index in `c_cc`: the character that raises SIGQUIT.
pub const VQUIT: usize = 1;
/// Index in `c_cc`: the character that erases a character.
pub const VERASE: usize = 2;
/// Index in `c_cc`: the character that erases the line.
pub const VKILL: usize = 3;
/// Index in `c_cc`: the character that ends the file, or hands over the unfinished line.
pub const VEOF: usize = 4;
/// Index in `c_cc`: tenths of a second that a read waits for a byte.
pub const VTIME: usize = 5;
/// Index in `c_cc`: number of bytes that a read waits for.
pub const VMIN: usize = 6;
/// Index in `c_cc`: the character that starts the output.
pub const VSTART: usize = 8;
/// Index in `c_cc`: the character that stops the output.
pub const VSTOP: usize = 9;
/// Index in `c_cc`: the character that raises SIGTSTP.
pub const VSUSP: usize = 10;
/// Index in `c_cc`: a character that ends a line, besides newline.
pub const VEOL: usize = 11;
/// Index in `c_cc`: the character that shows the line again.
pub const VREPRINT: usize = 12;
/// Index in `c_cc`: the character that erases a word.
pub const VWERASE: usize = 14;
/// Index in `c_cc`: the character that quotes the next one.
pub const VLNEXT: usize = 15;
/// Index in `c_cc`, with IEXTEN: a further character that ends a line.
pub const VEOL2: usize = 16;

/// `struct termios` of i386: 36 bytes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable)]
pub struct Termios {
    /// Input modes.
    pub iflag: u32,
    /// Output modes.
    pub oflag: u32,
    /// Control modes: stored, but the port does not change.
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
    /// The initial modes of a terminal.
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

    /// Returns whether canonical mode is on: reads get lines, not bytes.
    pub fn is_canonical(&self) -> bool {
        self.lflag & ICANON != 0
    }

    /// Returns whether `byte` is the character at this index of `c_cc`; 0 there stands for no
    /// character.
    pub fn is(&self, index: usize, byte: u8) -> bool {
        byte != 0 && self.cc[index] == byte
    }

    /// Returns whether all bits of `lflags` are set.
    pub fn has_local(&self, lflags: u32) -> bool {
        self.lflag & lflags == lflags
    }
}
