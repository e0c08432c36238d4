//! Text of which the words are expected and the numbers are not.

/// Every word's number as `#`; the rest as it is.
pub fn without_numbers(line: &str) -> String {
    let mut text = String::new();
    let mut letters = line.chars().peekable();
    let mut before = ' ';
    while let Some(letter) = letters.next() {
        if letter.is_ascii_digit() && !before.is_alphanumeric() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_and_names_stay() {
        assert_eq!(
            without_numbers("A is 0xc77abc30, U1's mm_count 2, x87"),
            "A is #, U1's mm_count #, x87"
        );
    }
}
