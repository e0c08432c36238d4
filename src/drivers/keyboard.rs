#![forbid(unsafe_code)]
//! A PS/2 keyboard with the US layout: scan codes become the bytes that a terminal sends.
//!
//! The crate `pc-keyboard` knows the scan codes, the layout, and which of shift, control, alt and
//! the locks are on. Keys without a character send the sequences of the Linux console
//! (`TERM=linux`); alt puts an ESC before the bytes of the key.
//!
//! Pure: `drivers::i8042` passes on the codes.
//!
//! Linux: 2.6.38 `drivers/char/keyboard.c`, `defkeymap.map`; console_codes(4).

use arrayvec::ArrayVec;
use pc_keyboard::layouts::Us104Key;
use pc_keyboard::{DecodedKey, HandleControl, KeyCode, ScancodeSet1};

/// Largest number of bytes that a key sends: ESC, and the sequence of a function key.
pub const KEY_BYTES: usize = 6;

const ESCAPE: u8 = 0x1b;
const DELETE: &[u8] = b"\x1b[3~";

/// The state of a keyboard.
pub struct Keyboard(pc_keyboard::Keyboard<Us104Key, ScancodeSet1>);

impl Keyboard {
    /// Returns a keyboard on which no key is down.
    pub const fn new() -> Keyboard {
        Keyboard(pc_keyboard::Keyboard::new(
            ScancodeSet1::new(),
            Us104Key,
            HandleControl::Ignore,
        ))
    }

    /// Takes a code of scan-code set 1, and returns the bytes that the key sends, if any. An unknown
    /// code sends nothing.
    pub fn receive(&mut self, code: u8) -> ArrayVec<u8, KEY_BYTES> {
        self.bytes(code).unwrap_or_default()
    }

    fn bytes(&mut self, code: u8) -> Option<ArrayVec<u8, KEY_BYTES>> {
        let event = self.0.add_byte(code).ok()??;
        let decoded = self.0.process_keyevent(event)?;
        let held = self.0.get_modifiers();
        let mut bytes = ArrayVec::new();
        if held.is_alt() || held.is_altgr() {
            bytes.push(ESCAPE);
        }
        let character;
        let sent = match decoded {
            DecodedKey::RawKey(key) => sequence(key)?,
            // Backspace erases, Delete is a key of its own, and Enter is a carriage return.
            DecodedKey::Unicode('\x08') => b"\x7f",
            DecodedKey::Unicode('\x7f') => DELETE,
            DecodedKey::Unicode('\n') => b"\r",
            DecodedKey::Unicode(letter) => {
                let letter = u8::try_from(letter).ok()?;
                character = [match held.is_ctrl() {
                    true => with_control(letter)?,
                    false => letter,
                }];
                &character[..]
            }
        };
        // The longest fits: `every_key_fits`.
        bytes.try_extend_from_slice(sent).ok()?;
        Some(bytes)
    }
}

impl Default for Keyboard {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the control character of a key; `None` if control and the key send nothing.
fn with_control(letter: u8) -> Option<u8> {
    match letter {
        b'@'..=b'_' | b'a'..=b'z' => Some(letter & 0x1f),
        b' ' | b'2' | b'`' => Some(0),
        b'3'..=b'7' => Some(letter - b'3' + ESCAPE),
        b'/' => Some(0x1f),
        b'8' | b'?' => Some(0x7f),
        0..b' ' => Some(letter),
        _ => None,
    }
}

/// Returns the sequence of a key without a character; `None` if the key sends nothing.
fn sequence(key: KeyCode) -> Option<&'static [u8]> {
    Some(match key {
        KeyCode::ArrowUp => b"\x1b[A",
        KeyCode::ArrowDown => b"\x1b[B",
        KeyCode::ArrowRight => b"\x1b[C",
        KeyCode::ArrowLeft => b"\x1b[D",
        KeyCode::Home => b"\x1b[1~",
        KeyCode::Insert => b"\x1b[2~",
        KeyCode::End => b"\x1b[4~",
        KeyCode::PageUp => b"\x1b[5~",
        KeyCode::PageDown => b"\x1b[6~",
        KeyCode::F1 => b"\x1b[[A",
        KeyCode::F2 => b"\x1b[[B",
        KeyCode::F3 => b"\x1b[[C",
        KeyCode::F4 => b"\x1b[[D",
        KeyCode::F5 => b"\x1b[[E",
        KeyCode::F6 => b"\x1b[17~",
        KeyCode::F7 => b"\x1b[18~",
        KeyCode::F8 => b"\x1b[19~",
        KeyCode::F9 => b"\x1b[20~",
        KeyCode::F10 => b"\x1b[21~",
        KeyCode::F11 => b"\x1b[23~",
        KeyCode::F12 => b"\x1b[24~",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIFT: u8 = 0x2a;
    const CONTROL: u8 = 0x1d;
    const ALT: u8 = 0x38;
    const CAPS: u8 = 0x3a;
    const UP: u8 = 0x80;

    fn sent(codes: &[u8]) -> Vec<u8> {
        let mut keyboard = Keyboard::new();
        codes
            .iter()
            .flat_map(|code| keyboard.receive(*code))
            .collect()
    }

    #[test]
    fn letters_follow_shift_and_caps_lock() {
        assert_eq!(sent(&[0x1e, 0x1e | UP]), b"a");
        assert_eq!(sent(&[SHIFT, 0x1e, SHIFT | UP, 0x1e]), b"Aa");
        assert_eq!(sent(&[CAPS, CAPS | UP, 0x1e, SHIFT, 0x1e]), b"Aa");
        assert_eq!(sent(&[CAPS, 0x02, SHIFT, 0x02]), b"1!");
        assert_eq!(sent(&[0x1c, 0x0e, 0x0f, 0x01]), b"\r\x7f\t\x1b");
    }

    #[test]
    fn control_makes_control_characters() {
        assert_eq!(sent(&[CONTROL, 0x2e]), b"\x03");
        assert_eq!(sent(&[CONTROL, SHIFT, 0x2e]), b"\x03");
        assert_eq!(sent(&[CONTROL, 0x2b]), b"\x1c");
        assert_eq!(sent(&[CONTROL, 0x39, 0x03]), b"\0\0");
        assert_eq!(sent(&[CONTROL, 0x02]), b"");
        assert_eq!(
            sent(&[0xe0, CONTROL, 0x2e, 0xe0, CONTROL | UP, 0x2e]),
            b"\x03c"
        );
    }

    #[test]
    fn keys_without_a_character_send_sequences() {
        assert_eq!(sent(&[0xe0, 0x48, 0xe0, 0xc8]), b"\x1b[A");
        assert_eq!(sent(&[0xe0, 0x53]), DELETE);
        assert_eq!(sent(&[0x3b, 0x44]), b"\x1b[[A\x1b[21~");
        assert_eq!(sent(&[ALT, 0x21, ALT | UP, 0x21]), b"\x1bff");
        assert_eq!(sent(&[SHIFT, CONTROL, ALT, 0xe0, 0x5b]), b"");
    }

    #[test]
    fn every_key_fits() {
        for first in [None, Some(0xe0), Some(0xe1)] {
            for code in 0..=255 {
                let mut keyboard = Keyboard::new();
                let _alt = keyboard.receive(ALT);
                first.map(|first| keyboard.receive(first));
                let alone = sent(&[first.as_slice(), &[code]].concat());
                let with_alt = keyboard.receive(code);
                if !alone.is_empty() {
                    assert_eq!(with_alt[..], [&[ESCAPE], &alone[..]].concat());
                }
            }
        }
    }
}
