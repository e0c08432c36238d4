//! Numbers that look random and are the same in each run with one seed.

/// A linear congruential generator of which the upper bits are used.
pub struct Dice(u32);

impl Dice {
    /// Returns dice whose numbers `seed` decides.
    pub const fn new(seed: u32) -> Self {
        Self(seed)
    }

    /// Returns a number below `sides`, which is not 0 and at most 2^24.
    pub fn throw(&mut self, sides: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) % sides
    }

    /// Returns a random word.
    pub fn word(&mut self) -> u32 {
        self.throw(1 << 16) << 16 | self.throw(1 << 16)
    }

    /// Returns true once in `sides` throws, on average.
    pub fn once_in(&mut self, sides: u32) -> bool {
        self.throw(sides) == 0
    }

    /// Returns one of `those`, of which there is at least one.
    pub fn one_of<T: Copy>(&mut self, those: &[T]) -> T {
        those[self.throw(those.len() as u32) as usize]
    }

    /// Returns dice for a part of the run; each `part` gives other numbers.
    pub fn split(&self, part: u32) -> Dice {
        let mut mixed = self.0 ^ part.wrapping_mul(0x9e37_79b9);
        mixed ^= mixed >> 16;
        mixed = mixed.wrapping_mul(0x85eb_ca6b);
        mixed ^= mixed >> 13;
        mixed = mixed.wrapping_mul(0xc2b2_ae35);
        Dice(mixed ^ mixed >> 16)
    }
}
