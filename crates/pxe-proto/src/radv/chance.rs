//! Numbers that differ from router to router, so that two do not speak at the same time for ever.

use std::time::Duration;

/// A generator that begins where it is told (SplitMix64). Nothing secret depends on it.
#[derive(Clone, Debug)]
pub(super) struct Chance(pub(super) u64);

impl Chance {
    /// A time from `least` up to `most`, in milliseconds.
    pub(super) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let span = most.saturating_sub(least).as_millis() as u64;
        least + Duration::from_millis((mixed ^ (mixed >> 31)) % (span + 1))
    }
}
