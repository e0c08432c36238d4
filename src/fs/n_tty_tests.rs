//! Tests of [`NTty`], key by key.

use super::*;
use crate::fs::termios::ICANON;
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
    let (count, _) = tty.read(&mut buffer);
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
fn a_line_has_4095_bytes_and_its_end() {
    let mut tty = NTty::new();
    type_in(&mut tty, &[b'x'; 5000]);
    assert!(!tty.is_readable());
    type_in(&mut tty, b"\r");
    assert_eq!(tty.available(), 4096);
    let line = read(&mut tty, 8192);
    assert_eq!((line.len(), line[4094], line[4095]), (4096, b'x', b'\n'));
}

#[test]
fn two_keys_stop_and_start_the_output() {
    let mut tty = NTty::new();
    let mut stopped_after = |keys: &[u8]| {
        let (shown, _) = type_in(&mut tty, keys);
        (shown, tty.is_stopped())
    };
    assert_eq!(stopped_after(b"\x13"), (vec![], true));
    assert_eq!(stopped_after(b"a"), (b"a".to_vec(), true));
    assert_eq!(stopped_after(b"\x11"), (vec![], false));
    assert!(!stopped_after(b"\x13\x03").1, "a signal starts it");
    tty.flow(true);
    type_in(&mut tty, b"\x11");
    assert!(tty.is_stopped(), "what a program stopped no key starts");
    tty.flow(false);
    let mut termios = Termios::DEFAULT;
    termios.iflag |= IXANY;
    tty.set_termios(termios);
    type_in(&mut tty, b"\x13x");
    assert!(!tty.is_stopped(), "any key does");
    type_in(&mut tty, b"\x13");
    termios.iflag &= !IXON;
    tty.set_termios(termios);
    assert!(!tty.is_stopped(), "nobody could start it");
    tty.flush_input();
    type_in(&mut tty, b"\x13\n");
    assert_eq!(read(&mut tty, 9), b"\x13\n", "a byte like others");
}

#[test]
fn a_quoted_key_means_itself() {
    let mut tty = NTty::new();
    let (shown, signals) = type_in(&mut tty, b"a\x16\x03\x16\x13\x16\x04\x16\n\x16\x16b\r");
    assert_eq!(signals, []);
    assert!(!tty.is_stopped());
    assert_eq!(shown, b"a^\x08^C^\x08^S^\x08^D^\x08\r\n^\x08^Vb\r\n");
    assert_eq!(read(&mut tty, 99), b"a\x03\x13\x04\n\x16b\n", "one line");
}

#[test]
fn a_word_is_of_letters_digits_and_underscores() {
    let mut tty = NTty::new();
    type_in(&mut tty, b"cat a/b_1.c ;\x17\x17x\n");
    assert_eq!(read(&mut tty, 99), b"cat a/x\n");
}

#[test]
fn without_echoe_or_echoke_the_key_is_shown() {
    let mut tty = NTty::new();
    let mut termios = Termios::DEFAULT;
    termios.lflag &= !ECHOKE;
    tty.set_termios(termios);
    assert_eq!(type_in(&mut tty, b"ab\x15").0, b"ab^U\r\n");
    termios.lflag &= !ECHOE;
    tty.set_termios(termios);
    assert_eq!(type_in(&mut tty, b"ab\x7f").0, b"ab^?");
    type_in(&mut tty, b"\n");
    assert_eq!(read(&mut tty, 9), b"a\n");
}

#[test]
fn a_line_is_shown_again_and_a_tab_goes_as_a_whole() {
    let mut tty = NTty::new();
    type_in(&mut tty, b"a\tb");
    assert_eq!(type_in(&mut tty, b"\x12").0, b"^R\r\na\tb");
    assert_eq!(type_in(&mut tty, b"\x7f\x7f").0, b"\x08 \x08".repeat(8));
    let mut termios = Termios::DEFAULT;
    termios.iflag |= IUTF8;
    tty.set_termios(termios);
    type_in(&mut tty, "\u{e4}\u{20ac}".as_bytes());
    assert_eq!(type_in(&mut tty, b"\x7f").0, b"\x08 \x08");
    type_in(&mut tty, b"\n");
    assert_eq!(read(&mut tty, 9), "a\u{e4}\n".as_bytes());
}

#[test]
fn other_keys_can_end_a_line_and_input_can_be_changed() {
    let mut tty = NTty::new();
    let mut termios = Termios::DEFAULT;
    (termios.cc[VEOL], termios.cc[VEOL2]) = (b';', b'!');
    termios.iflag = ISTRIP | IGNCR | INLCR | IUCLC;
    tty.set_termios(termios);
    type_in(&mut tty, b"A\xe2\r;b!\n;");
    assert_eq!(read(&mut tty, 9), b"ab;");
    assert_eq!(read(&mut tty, 9), b"b!");
    assert_eq!(read(&mut tty, 9), b"\r;");
    termios.lflag &= !(ECHO | IEXTEN);
    termios.lflag |= ECHONL;
    termios.iflag = 0;
    tty.set_termios(termios);
    assert_eq!(type_in(&mut tty, b"c!\x16\n").0, b"\r\n");
    assert_eq!(read(&mut tty, 9), b"c!\x16\n");
}

#[test]
fn poll_waits_for_vmin_and_not_with_vtime() {
    let mut tty = NTty::new();
    let mut raw = Termios::DEFAULT;
    raw.lflag &= !ICANON;
    for (min, time, needed) in [(0, 0, 1), (1, 0, 1), (3, 0, 3), (3, 1, 1), (0, 1, 1)] {
        tty.flush_input();
        (raw.cc[VMIN], raw.cc[VTIME]) = (min, time);
        tty.set_termios(raw);
        for count in 0..4 {
            assert_eq!(tty.is_readable(), count >= needed, "{min} {time} {count}");
            assert_eq!(tty.available(), count);
            type_in(&mut tty, b"x");
        }
    }
}

#[test]
fn erasing_utf8_stays_within_the_line() {
    let mut tty = NTty::new();
    let mut termios = Termios::DEFAULT;
    termios.iflag |= IUTF8;
    tty.set_termios(termios);
    type_in(&mut tty, "one\n".as_bytes());
    type_in(&mut tty, "é€".as_bytes());
    // Kill asks for as many characters as the line has bytes.
    type_in(&mut tty, &[0x15]);
    assert_eq!(read(&mut tty, 80), b"one\n");
    // The last word is one character, and so is what follows it.
    type_in(&mut tty, "ab é\x17x\n".as_bytes());
    assert_eq!(read(&mut tty, 80), b"x\n");
}

proptest! {
    /// Whatever is typed, the line discipline neither invents bytes nor panics.
    #[test]
    fn what_is_read_was_typed(keys in prop::collection::vec(any::<u8>(), 0..3000), lflag: u32) {
        let mut tty = NTty::new();
        tty.set_termios(Termios { lflag, ..Termios::DEFAULT });
        type_in(&mut tty, &keys);
        while tty.has_input() {
            for byte in read(&mut tty, 7) {
                prop_assert!(keys.contains(&byte) || byte == b'\n' && keys.contains(&b'\r'));
            }
        }
    }
}
