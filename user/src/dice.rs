//! Numbers that look random and are the same at each run with one seed.

/// A linear congruential generator; its upper bits are what is thrown.
pub struct Dice(u32);

impl Dice {
    /// Dice that throw what `seed` decides.
    pub const fn new(seed: u32) -> Self {
        Self(seed)
    }

    /// A number below `sides`, which is not 0 and at most 2^24.
    pub fn throw(&mut self, sides: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) % sides
    }

    /// Any word.
    pub fn word(&mut self) -> u32 {
        self.throw(1 << 16) << 16 | self.throw(1 << 16)
    }

    /// True once in `sides` throws.
    pub fn once_in(&mut self, sides: u32) -> bool {
        self.throw(sides) == 0
    }

    /// One of `those`, which are not empty.
    pub fn one_of<T: Copy>(&mut self, those: &[T]) -> T {
        those[self.throw(those.len() as u32) as usize]
    }

    /// Dice for a part of the run, which throw something else for each `part`.
    pub fn split(&self, part: u32) -> Dice {
        let mut mixed = self.0 ^ part.wrapping_mul(0x9e37_79b9);
        mixed ^= mixed >> 16;
        mixed = mixed.wrapping_mul(0x85eb_ca6b);
        mixed ^= mixed >> 13;
        mixed = mixed.wrapping_mul(0xc2b2_ae35);
        Dice(mixed ^ mixed >> 16)
    }
}
