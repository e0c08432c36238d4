#![forbid(unsafe_code)]
//! The font of the card, which has the 256 characters of IBM's code page 437.

/// The characters from number 0x80 on.
const UPPER: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// Shown for a character that the font does not have: a small block.
pub const UNKNOWN: u8 = 0xfe;

/// Returns the number of `character` in the font, or [`UNKNOWN`].
pub fn glyph(character: char) -> u8 {
    match character {
        ' '..='~' => character as u8,
        _ => match UPPER.chars().position(|known| known == character) {
            Some(place) => 0x80 | place as u8,
            None => UNKNOWN,
        },
    }
}

/// Returns the character with number `glyph` in the font; a blank for the pictures below 0x20.
pub fn character(glyph: u8) -> char {
    match glyph {
        b' '..=b'~' => char::from(glyph),
        0x80.. => UPPER.chars().nth(usize::from(glyph & 0x7f)).unwrap_or(' '),
        _ => ' ',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_character_of_the_font_has_its_number() {
        assert_eq!(UPPER.chars().count(), 128);
        for number in (0x20..0x7f).chain(0x80..=0xff) {
            assert_eq!(glyph(character(number)), number);
        }
        assert_eq!([glyph('A'), glyph('é'), glyph('─')], [b'A', 0x82, 0xc4]);
        assert_eq!([glyph('漢'), glyph('\u{7f}')], [UNKNOWN, UNKNOWN]);
    }
}
