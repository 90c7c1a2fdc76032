//! How often those nobody knows may present credentials: guessing is hopeless, but each guess is work for identity-store.
//!
//! Whoever presented a good credential lately is no stranger. All others share one rate, so that however many guesses
//! arrive, those who are known go on.

use std::collections::HashMap;
use std::time::Duration;

use domain::token::TokenId;
use governor::RateLimiter;
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use runtime::error::{Error, Reason};
use runtime::telemetry::Metrics;
use tokio::time::Instant;

use crate::rate::{Ticking, quota};

/// How long a good credential is remembered.
const KNOWN: Duration = Duration::from_hours(2);
/// The most that are remembered: far more than there can be good tokens in use.
const MOST: usize = 10_000;

type Rate = RateLimiter<NotKeyed, InMemoryState, Ticking, NoOpMiddleware<std::time::Instant>>;

/// Those who are known, and the rate of the others.
#[derive(Debug)]
pub(crate) struct Strangers {
    rate: Option<Rate>,
    known: Mutex<HashMap<TokenId, Instant>>,
    refused: Counter,
    throttled: Counter,
}

impl Strangers {
    /// A rate of `per_second`; 0 for none.
    pub(crate) fn new(per_second: u32, metrics: &Metrics) -> Self {
        let (refused, throttled) = (Counter::default(), Counter::default());
        metrics.sub_registry("gateway", |registry| {
            registry.register("credentials_refused", "Tokens and client secrets that were not good", refused.clone());
            let help = "Tokens and client secrets that were not looked at because too many strangers present some";
            registry.register("credentials_throttled", help, throttled.clone());
        });
        let rate = quota(per_second).map(|quota| RateLimiter::direct_with_clock(quota, Ticking));
        Self { rate, known: Mutex::default(), refused, throttled }
    }

    /// Lets a credential with this public id be looked at. `RATE_LIMITED`, with when to come back, if it is a stranger's
    /// and too many of those came.
    pub(crate) fn admit(&self, id: &TokenId) -> Result<(), Error> {
        let Some(rate) = &self.rate else { return Ok(()) };
        if self.known.lock().get(id).is_some_and(|seen| seen.elapsed() < KNOWN) {
            return Ok(());
        }
        rate.check().map_err(|not_until| {
            self.throttled.inc();
            let wait = not_until.wait_time_from(Ticking.now());
            Error::new(Reason::RATE_LIMITED, "too many unknown credentials are presented").retry_after(wait)
        })
    }

    /// The credential is good.
    pub(crate) fn welcome(&self, id: &TokenId) {
        let mut known = self.known.lock();
        if known.len() >= MOST && !known.contains_key(id) {
            known.retain(|_, seen| seen.elapsed() < KNOWN);
            if known.len() >= MOST {
                known.clear();
            }
        }
        known.insert(id.clone(), Instant::now());
    }

    /// The credential is not good.
    pub(crate) fn refused(&self) {
        self.refused.inc();
    }
}

#[cfg(test)]
mod tests {
    use domain::token::BearerToken;
    use runtime::error::Reason;
    use runtime::telemetry::Metrics;

    use super::Strangers;

    #[tokio::test(start_paused = true)]
    async fn guesses_run_dry_and_those_who_are_known_go_on() {
        let strangers = Strangers::new(1, &Metrics::new());
        let known = BearerToken::generate().id().clone();
        strangers.welcome(&known);
        let guesses = (0..100).map(|_| strangers.admit(BearerToken::generate().id()));
        let refused: Vec<_> = guesses.filter_map(Result::err).collect();
        assert_eq!(refused.len(), 96);
        assert!(refused.iter().all(|error| error.reason() == Reason::RATE_LIMITED && error.retry_delay().is_some()));
        assert!(strangers.admit(&known).is_ok());
        assert!(Strangers::new(0, &Metrics::new()).admit(&known).is_ok());
    }
}
