//! How rates are counted: so many a second, some seconds' worth at once, by a clock that tests can stop.

use std::num::NonZeroU32;
use std::time::Instant;

use governor::Quota;
use governor::clock::Clock;

/// How many may come at once, in seconds' worth.
pub(crate) const BURST: u32 = 4;

/// So many a second; `None` for 0, which is no limit.
pub(crate) fn quota(per_second: u32) -> Option<Quota> {
    let rate = NonZeroU32::new(per_second)?;
    Some(Quota::per_second(rate).allow_burst(rate.saturating_mul(NonZeroU32::new(BURST)?)))
}

/// The clock that Tokio's timers go by.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ticking;

impl Clock for Ticking {
    type Instant = Instant;

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}
