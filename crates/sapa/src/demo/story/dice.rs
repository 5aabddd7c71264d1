//! A small generator of numbers for the story: `SplitMix64`.
//!
//! Promises the same sequence for the same seed on every machine. It is no source of
//! secrets and refuses nothing: an empty range gives its lower end.

/// A sequence of numbers that follows from its seed alone.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// The sequence of `seed` and `lane`; lanes of one seed do not resemble each other.
    pub(super) fn new(seed: u64, lane: u64) -> Self {
        let mut dice = Self(seed ^ lane.wrapping_mul(0xd134_2543_de82_ef95));
        let start = dice.next();
        Self(start)
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        let width = u64::try_from(high.saturating_sub(low)).unwrap_or(0).saturating_add(1);
        let step = i64::try_from(self.next() % width).expect("a step is at most high - low");
        low.saturating_add(step)
    }

    /// True in `percent` of a hundred throws.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    /// How often something happens in `days` days if it happens `per_thousand` times in
    /// a thousand years' worth of days: the whole part, and one more by chance of the rest.
    pub(super) fn times(&mut self, per_thousand: i64, days: i64) -> i64 {
        let scaled = per_thousand.saturating_mul(days.max(0));
        let rest = self.between(0, 364_999);
        scaled.saturating_add(rest) / 365_000
    }

    /// One of `items`.
    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        let count = u64::try_from(items.len()).unwrap_or(1).max(1);
        let place = usize::try_from(self.next() % count).unwrap_or(0);
        *items.get(place).expect("the lists of the story are not empty")
    }
}
