//! Leaving a Fluent alone that does not answer: one tenant's trouble must not eat the workers' time, nor be made worse.

use std::time::Duration;

use domain::clock::Timestamp;
use parking_lot::Mutex;
use rand::Rng;
use runtime::backoff::Backoff;

/// How many failures in a row are taken for chance.
const TOLERATED: u32 = 3;

/// One tenant's breaker. Closed, everyone may call; open, nobody; after its time, one, whose success closes it.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

#[derive(Debug)]
struct State {
    failures: u32,
    until: Timestamp,
}

/// What failures in a row are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Each for itself.
    ForChance,
    /// From this one on: Fluent is down.
    NowForDown,
    /// Fluent is down, as before.
    ForDown,
}

impl Default for State {
    fn default() -> Self {
        Self { failures: 0, until: Timestamp(i64::MIN) }
    }
}

impl Breaker {
    /// How many may call now, of the `usual` number.
    #[must_use]
    pub fn permits(&self, now: Timestamp, usual: usize) -> usize {
        let state = self.0.lock();
        if now < state.until {
            0
        } else if state.failures > TOLERATED {
            usual.min(1)
        } else {
            usual
        }
    }

    /// Until when nobody may call.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.0.lock().until
    }

    /// A call was answered.
    pub fn success(&self) {
        self.0.lock().failures = 0;
    }

    /// Fluent as a whole failed. `after` is how long it asked to be left alone. Answers what that makes of it.
    pub fn failure(&self, now: Timestamp, after: Option<Duration>, backoff: Backoff, rng: &mut impl Rng) -> Taken {
        let mut state = self.0.lock();
        state.failures = state.failures.saturating_add(1);
        let own =
            state.failures.checked_sub(TOLERATED).filter(|count| *count > 0).map(|count| backoff.delay(count, rng));
        if let Some(wait) = after.max(own) {
            state.until = state.until.max(now.plus(wait));
        }
        match state.failures.cmp(&(TOLERATED + 1)) {
            std::cmp::Ordering::Less => Taken::ForChance,
            std::cmp::Ordering::Equal => Taken::NowForDown,
            std::cmp::Ordering::Greater => Taken::ForDown,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::SmallRng;

    use super::*;

    #[test]
    fn it_opens_after_some_failures_lets_one_try_and_closes_at_success() {
        let (breaker, mut rng) = (Breaker::default(), SmallRng::seed_from_u64(1));
        let (now, backoff) = (Timestamp(0), Backoff::default());
        for _ in 0..TOLERATED {
            assert_eq!(breaker.failure(now, None, backoff, &mut rng), Taken::ForChance);
            assert_eq!(breaker.permits(now, 4), 4);
        }
        assert_eq!(breaker.failure(now, None, backoff, &mut rng), Taken::NowForDown);
        assert_eq!(breaker.failure(now, None, backoff, &mut rng), Taken::ForDown);
        assert_eq!(breaker.permits(now, 4), 0);
        assert_eq!(breaker.permits(now.plus(backoff.max), 4), 1);
        breaker.success();
        assert_eq!(breaker.permits(now.plus(backoff.max), 4), 4);
    }

    #[test]
    fn what_fluent_asks_for_is_kept_to_at_the_first_failure() {
        let (breaker, mut rng) = (Breaker::default(), SmallRng::seed_from_u64(1));
        breaker.failure(Timestamp(0), Some(Duration::from_secs(7)), Backoff::default(), &mut rng);
        assert_eq!(breaker.permits(Timestamp(6_999_999), 4), 0);
        assert_eq!(breaker.permits(Timestamp(7_000_000), 4), 4);
    }
}
