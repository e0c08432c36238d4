//! [`NTty`], key by key.

use super::*;
use proptest::prelude::*;

fn type_in(tty: &mut NTty, keys: &[u8]) -> (Vec<u8>, Vec<KeySignal>) {
    let (mut shown, mut signals) = (Vec::new(), Vec::new());
    for key in keys {
        signals.extend(tty.receive(*key, |bytes| shown.extend_from_slice(bytes)));
    }
    (shown, signals)
}

fn read(tty: &mut NTty, most: usize) -> Vec<u8> {
    let mut buffer = vec![0; most];
    let count = tty.read(&mut buffer);
    buffer.truncate(count);
    buffer
}

#[test]
fn a_line_is_edited_and_read_in_parts() {
    let mut tty = NTty::new();
    let (shown, _) = type_in(&mut tty, b"lx\x7fs a\x17-l\x01");
    assert_eq!(shown, b"lx\x08 \x08s a\x08 \x08-l^A");
    assert!(!tty.is_readable());
    let (shown, _) = type_in(&mut tty, b"\x7f\r");
    assert_eq!(shown, b"\x08 \x08\x08 \x08\r\n");
    assert_eq!(read(&mut tty, 3), b"ls ");
    assert_eq!(read(&mut tty, 100), b"-l\n");
    assert!(!tty.is_readable());
}

#[test]
fn a_read_gets_one_line_at_most() {
    let mut tty = NTty::new();
    type_in(&mut tty, b"a\nb\n");
    assert_eq!(read(&mut tty, 100), b"a\n");
    assert_eq!(read(&mut tty, 100), b"b\n");
}

#[test]
fn ctrl_d_ends_the_file_only_on_an_empty_line() {
    let mut tty = NTty::new();
    type_in(&mut tty, b"ab\x04cd\x04\x04");
    assert_eq!(read(&mut tty, 100), b"ab");
    assert_eq!(read(&mut tty, 2), b"cd");
    assert!(tty.is_readable());
    assert_eq!(read(&mut tty, 100), b"");
    assert!(!tty.is_readable());
}

#[test]
fn ctrl_c_is_a_signal_and_drops_the_line() {
    let mut tty = NTty::new();
    let (shown, signals) = type_in(&mut tty, b"rm\x03x\n");
    assert_eq!(
        (shown, signals),
        (b"rm^Cx\r\n".to_vec(), vec![KeySignal::Interrupt])
    );
    assert_eq!(read(&mut tty, 100), b"x\n");
}

#[test]
fn raw_mode_gives_every_byte_at_once() {
    let mut tty = NTty::new();
    let mut raw = Termios::DEFAULT;
    raw.lflag &= !(ICANON | ECHO | ISIG);
    raw.iflag &= !ICRNL;
    type_in(&mut tty, b"half");
    tty.set_termios(raw);
    assert_eq!(type_in(&mut tty, b"\x03\r").0, b"");
    assert_eq!(read(&mut tty, 100), b"half\x03\r");
}

#[test]
fn termios_survives_its_bytes() {
    let bytes = Termios::DEFAULT.to_bytes();
    assert_eq!(Termios::from_bytes(&bytes), Termios::DEFAULT);
    assert_eq!(bytes[17 + VEOF], 4);
}

proptest! {
    /// Whatever is typed, nothing is invented and nothing panics.
    #[test]
    fn what_is_read_was_typed(keys in prop::collection::vec(any::<u8>(), 0..3000), lflag: u32) {
        let mut tty = NTty::new();
        tty.termios.lflag = lflag;
        type_in(&mut tty, &keys);
        while tty.is_readable() && !tty.ready.is_empty() {
            for byte in read(&mut tty, 7) {
                prop_assert!(keys.contains(&byte) || byte == b'\n' && keys.contains(&b'\r'));
            }
        }
    }
}
