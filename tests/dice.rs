//! Numbers that one seed decides, and nothing else does.

use std::time::Duration;

/// `SplitMix64`: small, and good enough to choose what goes wrong next.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The same numbers for the same seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The same, for seeds that are counted: neighbours do not begin alike.
    #[must_use]
    pub fn apart(seed: u64) -> Self {
        let mut it = Self(seed.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        it.seed();
        it
    }

    /// The next number; also a seed for other dice.
    pub fn seed(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let it = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let it = (it ^ (it >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        it ^ (it >> 31)
    }

    /// A number below an end that is above 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.seed() % end
    }

    /// A place in a list that is not empty.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(u64::try_from(len).unwrap_or(u64::MAX))).unwrap_or(0)
    }

    /// Happens so often in a hundred times.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// A length of time between two others, in milliseconds.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = most.saturating_sub(least).as_millis().max(1);
        least + Duration::from_millis(self.below(u64::try_from(span).unwrap_or(u64::MAX)))
    }

    /// A length of time below another, in microseconds.
    pub fn within(&mut self, end: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(end.as_micros()).unwrap_or(u64::MAX)))
    }

    /// Small numbers often, large ones seldom: some customers come every day.
    pub fn skewed(&mut self, end: u64) -> u64 {
        let (one, other) = (self.below(end), self.below(end));
        one.min(other).min(self.below(end))
    }
}
