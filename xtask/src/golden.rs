//! Text of which the words are expected and the numbers are not.

/// Every word's number as `#`; the rest as it is.
pub fn without_numbers(line: &str) -> String {
    let mut text = String::new();
    let mut letters = line.chars().peekable();
    let mut before = ' ';
    while let Some(letter) = letters.next() {
        if letter.is_ascii_digit() && !before.is_alphanumeric() && before != '_' {
            text.push('#');
            while letters.peek().is_some_and(char::is_ascii_alphanumeric) {
                letters.next();
            }
        } else {
            text.push(letter);
        }
        before = letter;
    }
    text
}

/// The same, and each address as gdb writes it, eight digits without a prefix, as `#` too.
pub fn without_values(line: &str) -> String {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut text = String::new();
    let mut rest = line;
    while !rest.is_empty() {
        let end = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        match word.len() == 8 && word.chars().all(|it| it.is_ascii_hexdigit()) {
            true => text.push('#'),
            false => text.push_str(word),
        }
        let between = after.find(is_part).unwrap_or(after.len());
        text.push_str(&after[..between]);
        rest = &after[between..];
    }
    without_numbers(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_too() {
        assert_eq!(
            without_values("esp f000ff24 on the stack of swapper/0, switch_to_1, deadbeef1"),
            "esp # on the stack of swapper/#, switch_to_1, deadbeef1"
        );
    }

    #[test]
    fn numbers_go_and_names_stay() {
        assert_eq!(
            without_numbers("A is 0xc77abc30, U1's mm_count 2, x87"),
            "A is #, U1's mm_count #, x87"
        );
    }
}
