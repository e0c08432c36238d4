#![forbid(unsafe_code)]
//! The attribute of a cell, and the sequence `ESC [ … m` that changes it.
//!
//! The card has one byte for a cell: four bits of text colour, three of background, one that blinks.
//!
//! Linux: 2.6.38 `csi_m`, `build_attr`; console_codes(4), "ECMA-48 Set Graphics Rendition".

/// Light grey on black.
pub const NORMAL: u8 = 0x07;
/// White on red.
pub const ALARM: u8 = 0x4f;
/// Black on cyan, for the status line.
pub const STATUS: u8 = 0x30;

const GREY: u8 = 7;
const BRIGHT: u8 = 8;
const BLINK: u8 = 0x80;

/// The colours that a program has chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Colours {
    text: u8,
    background: u8,
    bold: bool,
    underlined: bool,
    blinks: bool,
    reversed: bool,
}

impl Colours {
    /// Light grey on black.
    pub const NORMAL: Colours = Colours {
        text: GREY,
        background: 0,
        bold: false,
        underlined: false,
        blinks: false,
        reversed: false,
    };

    /// Returns the byte of a cell with these colours. Underlined text is cyan, since the card
    /// underlines nothing.
    pub fn attribute(self) -> u8 {
        let text = match self.underlined {
            true => card_colour(6),
            false => self.text,
        };
        let (text, background) = match self.reversed {
            true => (self.background, text & !BRIGHT),
            false => (text, self.background),
        };
        let bright = if self.bold { BRIGHT } else { 0 };
        let blinks = if self.blinks { BLINK } else { 0 };
        blinks | (background & GREY) << 4 | text | bright
    }

    /// Changes the colours as the numbers of one sequence require; without a number, to normal.
    pub fn change(&mut self, mut numbers: impl Iterator<Item = u16>) {
        let mut number = numbers.next().or(Some(0));
        while let Some(wanted) = number {
            match wanted {
                0 => *self = Self::NORMAL,
                1 => self.bold = true,
                4 => self.underlined = true,
                5 => self.blinks = true,
                7 => self.reversed = true,
                21 | 22 => self.bold = false,
                24 => self.underlined = false,
                25 => self.blinks = false,
                27 => self.reversed = false,
                30..=37 => self.text = card_colour(wanted - 30),
                38 => self.text = chosen(&mut numbers).unwrap_or(self.text),
                39 => self.text = GREY,
                40..=47 => self.background = card_colour(wanted - 40),
                48 => self.background = chosen(&mut numbers).unwrap_or(self.background) & GREY,
                49 => self.background = 0,
                90..=97 => self.text = card_colour(wanted - 90) | BRIGHT,
                100..=107 => self.background = card_colour(wanted - 100),
                _ => {}
            }
            number = numbers.next();
        }
    }
}

/// Returns the card's number of one of ECMA-48's eight colours: red and blue change places.
fn card_colour(colour: u16) -> u8 {
    let colour = colour as u8;
    colour & 2 | (colour & 1) << 2 | (colour & 4) >> 2
}

/// Returns the colour nearest to the one that follows 38 or 48: `5;N` of 256, or `2;R;G;B`.
fn chosen(numbers: &mut impl Iterator<Item = u16>) -> Option<u8> {
    let [red, green, blue] = match numbers.next()? {
        2 => [numbers.next()?, numbers.next()?, numbers.next()?],
        5 => match numbers.next()? {
            colour @ 0..8 => return Some(card_colour(colour)),
            colour @ 8..16 => return Some(card_colour(colour - 8) | BRIGHT),
            // A cube of six steps a side, then 24 greys.
            colour @ 16..232 => {
                let place = colour - 16;
                [place / 36, place / 6 % 6, place % 6].map(|step| step * 51)
            }
            colour => [(colour.min(255) - 232) * 10 + 8; 3],
        },
        _ => return None,
    };
    let most = red.max(green).max(blue);
    let has = |part: u16| u16::from(part > most / 2);
    let bright = if most > 170 { BRIGHT } else { 0 };
    match most {
        0..64 => Some(0),
        _ => Some(card_colour(has(red) | has(green) << 1 | has(blue) << 2) | bright),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(numbers: &[u16]) -> u8 {
        let mut colours = Colours::NORMAL;
        colours.change(numbers.iter().copied());
        colours.attribute()
    }

    #[test]
    fn the_card_has_the_colours_that_were_asked_for() {
        assert_eq!(after(&[]), NORMAL);
        assert_eq!(after(&[31]), 0x04);
        assert_eq!(after(&[1, 34]), 0x09);
        assert_eq!(after(&[37, 41, 1]), ALARM);
        assert_eq!(after(&[7]), 0x70);
        assert_eq!(after(&[92]), 0x0a);
        assert_eq!(after(&[5]), 0x87);
        assert_eq!(after(&[4]), 0x03);
        assert_eq!(after(&[31, 44, 0]), NORMAL);
        assert_eq!(after(&[1, 31, 22, 39]), NORMAL);
    }

    #[test]
    fn colours_of_many_become_the_nearest_of_sixteen() {
        assert_eq!(after(&[38, 5, 1]), 0x04);
        assert_eq!(after(&[38, 5, 9]), 0x0c);
        assert_eq!(after(&[38, 5, 196]), 0x0c);
        assert_eq!(after(&[38, 5, 16]), 0x00);
        assert_eq!(after(&[38, 5, 255]), 0x0f);
        assert_eq!(after(&[38, 2, 0, 0, 160]), 0x01);
        assert_eq!(after(&[48, 2, 255, 0, 0, 1]), 0x4f);
        // What is cut off changes nothing.
        assert_eq!(after(&[38, 5]), NORMAL);
        assert_eq!(after(&[38, 2, 1]), NORMAL);
    }
}
