//! How long to wait before the next attempt: exponential, with full jitter, so that many callers do not return together.

use std::time::Duration;

use rand::Rng;
use serde::Deserialize;

use crate::config::{Problems, Validate};

/// The shape of the waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backoff {
    /// The longest wait after the first failure.
    #[serde(with = "humantime_serde")]
    pub first: Duration,
    /// The longest wait there is.
    #[serde(with = "humantime_serde")]
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), max: Duration::from_mins(1) }
    }
}

impl Backoff {
    /// The longest wait after `failures` failures in a row: it doubles each time, up to the maximum.
    #[must_use]
    pub fn ceiling(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.max)
    }

    /// The wait after `failures` failures in a row: between half the ceiling and the ceiling, evenly spread.
    pub fn delay(&self, failures: u32, rng: &mut impl Rng) -> Duration {
        let ceiling = self.ceiling(failures);
        ceiling / 2 + (ceiling / 2).mul_f64(rng.random::<f64>())
    }
}

impl Validate for Backoff {
    fn validate(&self, problems: &mut Problems) {
        if self.first.is_zero() {
            problems.add("first", "a wait of zero would hammer the peer", "a duration such as \"100ms\"");
        }
        if self.max < self.first {
            problems.add("max", "it is shorter than `first`", "a duration of at least `first`");
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;

    #[test]
    fn waits_double_up_to_the_maximum_and_never_overflow() {
        let backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(1) };
        let ceilings: Vec<_> = (0..=6).map(|n| backoff.ceiling(n).as_millis()).collect();
        assert_eq!(ceilings, [100, 100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff.ceiling(u32::MAX), backoff.max);
    }

    #[test]
    fn jitter_stays_between_half_and_whole() {
        let backoff = Backoff::default();
        let mut rng = SmallRng::seed_from_u64(7);
        for failures in 1..200 {
            let delay = backoff.delay(failures, &mut rng);
            assert!(delay <= backoff.ceiling(failures) && delay >= backoff.ceiling(failures) / 2);
        }
    }
}
