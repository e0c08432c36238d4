//! The slot of an ISO that steers one boot: its bytes, and GRUB's quoting.
#![forbid(unsafe_code)]

use anyhow::{Result, bail, ensure};

/// Written to isa-debug-exit by our GRUB script if it cannot load the kernel.
pub const GRUB_FAILED: u32 = 0x30;

const SLOT_BYTES: usize = 4096;

const SLOT_MARK: &str = "# switch_to: a slot for the commands of one boot\n";

/// The slot of an ISO with these commands in it.
pub fn slot(commands: &str) -> Result<Vec<u8>> {
    let mut bytes = [SLOT_MARK, commands].concat().into_bytes();
    ensure!(
        bytes.len() <= SLOT_BYTES,
        "the boot commands take {} bytes of {SLOT_BYTES}",
        bytes.len()
    );
    bytes.resize(SLOT_BYTES, b'\n');
    Ok(bytes)
}

/// Overwrites the slot of an ISO.
pub fn fill_slot(mut iso: Vec<u8>, commands: &str) -> Result<Vec<u8>> {
    let new = slot(commands)?;
    let Some((at, _, _)) = find_slot(&iso) else {
        bail!("the ISO does not have exactly one slot");
    };
    ensure!(at + SLOT_BYTES <= iso.len(), "the ISO ends inside its slot");
    iso[at..at + SLOT_BYTES].copy_from_slice(&new);
    Ok(iso)
}

/// Returns where the slot of an ISO begins, its size in bytes, and its first line; `None` if the ISO
/// does not have exactly one slot.
pub fn find_slot(iso: &[u8]) -> Option<(usize, usize, &'static str)> {
    let mut places = iso
        .windows(SLOT_MARK.len())
        .enumerate()
        .filter(|(_, bytes)| *bytes == SLOT_MARK.as_bytes());
    match (places.next(), places.next()) {
        (Some((at, _)), None) => Some((at, SLOT_BYTES, SLOT_MARK)),
        _ => None,
    }
}

/// A kernel command line as words that GRUB's shell passes on as they are. GRUB writes them for the
/// kernel with quotes and backslashes of its own.
pub fn grub_words(cmdline: &str) -> String {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut letters = cmdline.chars();
    while let Some(letter) = letters.next() {
        let meant = match letter {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
                continue;
            }
            ' ' if !quoted => {
                words.extend(word.take());
                continue;
            }
            // As the kernel reads it.
            '\\' => letters.next().unwrap_or('\\'),
            _ => letter,
        };
        match meant {
            '\'' => word.get_or_insert_default().push_str(r"'\''"),
            _ => word.get_or_insert_default().push(meant),
        }
    }
    words.extend(word);
    words
        .iter()
        .map(|word| format!("'{word}'"))
        .collect::<Vec<_>>()
        .join(" ")
}

/// A word as it is written in a kernel command line.
pub fn quoted(word: &str) -> String {
    let escaped = word.replace('\\', r"\\").replace('"', "\\\"");
    match word.is_empty() || word.contains(char::is_whitespace) {
        true => format!("\"{escaped}\""),
        false => escaped,
    }
}

/// Whether a word reaches a program through GRUB and the kernel command line as it is: GRUB drops an
/// empty one, and takes `\x41` for a letter.
pub fn is_carried(word: &str) -> bool {
    let plain = |letter: char| letter == ' ' || letter.is_ascii_graphic() && letter != '\\';
    !word.is_empty() && word.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_kernel_as_written() {
        assert_eq!(grub_words("tour  loglevel=7"), "'tour' 'loglevel=7'");
        assert_eq!(
            grub_words(r#"init=/bin/busybox -- sh -c "echo hi""#),
            "'init=/bin/busybox' '--' 'sh' '-c' 'echo hi'"
        );
        assert_eq!(grub_words("a;b $x it's"), r"'a;b' '$x' 'it'\''s'");
        assert_eq!(grub_words(""), "");
    }

    #[test]
    fn a_quoted_word_is_one_word_as_it_was() {
        for word in ["a", "a b", r#"echo "a  b" 'c'"#, r"a\b \", "it's $x;"] {
            let line = format!("-- {}", quoted(word));
            let (cmdline, mut warnings) = switch_to::base::cmdline::parse(&line);
            let read: Vec<String> = cmdline.init_args.map(|it| it.to_string()).collect();
            assert_eq!((read, warnings.next()), (vec![word.to_owned()], None));
            let shell = format!("'--' '{}'", word.replace('\'', r"'\''"));
            assert_eq!(grub_words(&line), shell);
        }
    }

    #[test]
    fn a_steered_iso_differs_in_its_slot_only() {
        let empty = [vec![7; 5000], slot("").unwrap(), vec![9; 3000]].concat();
        let filled = fill_slot(empty.clone(), "boot\n").unwrap();
        assert_eq!(filled.len(), empty.len());
        assert_eq!(filled[..5000], empty[..5000]);
        assert_eq!(filled[5000 + SLOT_BYTES..], empty[5000 + SLOT_BYTES..]);
        assert!(filled[5000..].starts_with(&[SLOT_MARK, "boot\n\n"].concat().into_bytes()));
        assert!(fill_slot(vec![0; 9000], "").is_err());
        assert!(fill_slot([empty.clone(), empty].concat(), "").is_err());
        assert!(slot(&"x".repeat(SLOT_BYTES)).is_err());
    }
}
