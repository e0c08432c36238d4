#![forbid(unsafe_code)]
//! Output processing of a terminal: line ends, tabs, capitals.
//!
//! The line discipline (`n_tty`) uses it for program output and for echo.
//!
//! Linux: 2.6.38 `do_output_char`; termios(3), `c_oflag`.

use super::termios::{OCRNL, OLCUC, ONLCR, ONLRET, ONOCR, OPOST, Termios, XTABS};

/// The state of output processing: the column of the next character.
#[derive(Debug, Default)]
pub struct Opost {
    column: usize,
}

impl Opost {
    /// Returns the state at the first column.
    pub const fn new() -> Self {
        Self { column: 0 }
    }

    /// Writes `bytes` to `port` after processing them as the modes require.
    pub fn output(&mut self, termios: &Termios, bytes: &[u8], port: &mut impl FnMut(&[u8])) {
        if termios.oflag & OPOST == 0 {
            return port(bytes);
        }
        // Bytes that stay as they are go out in one piece.
        let mut start = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            let plain = byte >= b' ' && byte != 127 && termios.oflag & OLCUC == 0;
            if plain {
                self.column = self.column.saturating_add(1);
                continue;
            }
            if start < at {
                port(&bytes[start..at]);
            }
            start = at.saturating_add(1);
            self.special(termios.oflag, byte, port);
        }
        if start < bytes.len() {
            port(&bytes[start..]);
        }
    }

    fn special(&mut self, oflag: u32, byte: u8, port: &mut impl FnMut(&[u8])) {
        let has = |flag: u32| oflag & flag == flag;
        match byte {
            b'\n' if has(ONLCR) => {
                self.column = 0;
                port(b"\r\n");
            }
            b'\n' => {
                if has(ONLRET) {
                    self.column = 0;
                }
                port(b"\n");
            }
            b'\r' if has(ONOCR) && self.column == 0 => {}
            b'\r' if has(OCRNL) => {
                if has(ONLRET) {
                    self.column = 0;
                }
                port(b"\n");
            }
            b'\r' => {
                self.column = 0;
                port(b"\r");
            }
            b'\t' => {
                let blanks = to_next_tab(self.column);
                self.column = self.column.saturating_add(blanks);
                match has(XTABS) {
                    true => port(&b"        "[..blanks]),
                    false => port(b"\t"),
                }
            }
            8 => {
                self.column = self.column.saturating_sub(1);
                port(&[8]);
            }
            byte => {
                self.column = self
                    .column
                    .saturating_add((!byte.is_ascii_control()).into());
                let byte = if has(OLCUC) {
                    byte.to_ascii_uppercase()
                } else {
                    byte
                };
                port(&[byte]);
            }
        }
    }
}

/// Returns the number of columns from `column` to the next tab stop: 1 to 8.
pub fn to_next_tab(column: usize) -> usize {
    8_usize.saturating_sub(column % 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(oflag: u32, bytes: &[u8]) -> Vec<u8> {
        let termios = Termios {
            oflag,
            ..Termios::DEFAULT
        };
        let (mut out, mut all) = (Opost::new(), vec![]);
        // Output byte by byte and output in one call are the same.
        for byte in bytes {
            out.output(&termios, &[*byte], &mut |bytes: &[u8]| {
                all.extend_from_slice(bytes)
            });
        }
        let mut at_once = vec![];
        Opost::new().output(&termios, bytes, &mut |bytes: &[u8]| {
            at_once.extend_from_slice(bytes)
        });
        assert_eq!(at_once, all);
        all
    }

    #[test]
    fn each_mode_does_what_it_says() {
        assert_eq!(shown(0, b"a\n\r\t"), b"a\n\r\t");
        assert_eq!(shown(ONLCR, b"a\n"), b"a\n", "not without OPOST");
        assert_eq!(shown(OPOST | ONLCR, b"a\nb\n"), b"a\r\nb\r\n");
        assert_eq!(shown(OPOST | OCRNL, b"a\rb"), b"a\nb");
        assert_eq!(shown(OPOST | ONOCR, b"\ra\r\rb"), b"a\rb");
        assert_eq!(shown(OPOST | ONOCR | ONLRET, b"a\n\r"), b"a\n");
        assert_eq!(shown(OPOST | OLCUC, b"aB1"), b"AB1");
        assert_eq!(
            shown(OPOST | XTABS, b"ab\tc\x08\t"),
            b"ab      c\x08        "
        );
    }
}
