//! Whose turn it is: how fast and how many at once a tenant's requests are taken.
//!
//! A tenant that sends too much waits or is told when to come back; it takes no turn from the others.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use domain::id::TenantId;
use governor::RateLimiter;
use governor::clock::Clock as _;
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use http::{HeaderName, HeaderValue};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Limits;
use crate::rate::{BURST, Ticking, quota};
use crate::scim_error::{Refusal, whole_seconds};

/// What a request costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cost {
    /// A read.
    Read,
    /// A write.
    Write,
    /// A list that no exact filter narrows, beside being a read.
    HeavyList,
}

/// What is left of a tenant's rate, as clients are told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// The most that may come at once.
    limit: u32,
    /// How many of them may come now.
    remaining: u32,
    /// In how many seconds all of them may.
    reset: u64,
}

impl Budget {
    fn new(per_second: NonZeroU32, remaining: u32) -> Self {
        let limit = per_second.get().saturating_mul(BURST);
        let reset = u64::from(limit.saturating_sub(remaining).div_ceil(per_second.get()));
        Self { limit, remaining, reset }
    }

    /// The headers that say it.
    pub(crate) fn headers(self) -> [(HeaderName, HeaderValue); 3] {
        let Self { limit, remaining, reset } = self;
        [
            (HeaderName::from_static("x-rate-limit-limit"), limit.into()),
            (HeaderName::from_static("x-rate-limit-remaining"), remaining.into()),
            (HeaderName::from_static("x-rate-limit-reset"), reset.into()),
        ]
    }
}

type Rate = RateLimiter<TenantId, DefaultKeyedStateStore<TenantId>, Ticking, StateInformationMiddleware>;

/// Takes requests or refuses them.
#[derive(Debug)]
pub(crate) struct Admission {
    reads: Option<(NonZeroU32, Rate)>,
    writes: Option<(NonZeroU32, Rate)>,
    heavy_lists: Option<(NonZeroU32, Rate)>,
    all: Arc<Semaphore>,
    tenants: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
    tenant_concurrency: usize,
    queue_time: Duration,
}

/// The right to be worked on; it is given back when dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _tenant: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Self {
        let rate = |per_second| {
            let rate = RateLimiter::hashmap_with_clock(quota(per_second)?, Ticking);
            Some((NonZeroU32::new(per_second)?, rate.with_middleware()))
        };
        Self {
            reads: rate(limits.reads_per_second),
            writes: rate(limits.writes_per_second),
            heavy_lists: rate(limits.heavy_lists_per_second),
            all: Arc::new(Semaphore::new(limits.concurrency)),
            tenants: Mutex::default(),
            tenant_concurrency: limits.tenant_concurrency,
            queue_time: limits.queue_time,
        }
    }

    /// Counts a request against its tenant's rate; answers what is left, if there is a rate. Refused with 429.
    pub(crate) fn count(&self, tenant: &TenantId, cost: Cost) -> Result<Option<Budget>, Refusal> {
        let rate = match cost {
            Cost::Read => &self.reads,
            Cost::Write => &self.writes,
            Cost::HeavyList => &self.heavy_lists,
        };
        let Some((quota, rate)) = rate else { return Ok(None) };
        let not_until = match rate.check_key(tenant) {
            Ok(left) => return Ok(Some(Budget::new(*quota, left.remaining_burst_capacity()))),
            Err(not_until) => not_until,
        };
        let wait = not_until.wait_time_from(Ticking.now());
        let seconds = whole_seconds(wait);
        let refusal = Refusal::from(scim::Error::new(429, "too many requests; Retry-After says when to try again"));
        let again = (HeaderName::from_static("x-rate-limit-retry-after-seconds"), seconds.into());
        let headers = Budget::new(*quota, 0).headers();
        let refusal =
            headers.into_iter().chain([again]).fold(refusal, |refusal, (name, value)| refusal.with(name, value));
        Err(refusal.retry_after(wait))
    }

    /// Counts one of many requests that came as one; answers how long it waits then. They go at half the rate where
    /// little is left of it, so that a request that comes by itself finds a place too. `Err` where there is no place:
    /// ask again after so long.
    pub(crate) fn pace(&self, tenant: &TenantId) -> Result<Duration, Duration> {
        let Some((quota, writes)) = &self.writes else { return Ok(Duration::ZERO) };
        match writes.check_key(tenant) {
            Ok(left) if left.remaining_burst_capacity() >= quota.get() => Ok(Duration::ZERO),
            Ok(_) => Ok(Duration::from_secs(2) / quota.get()),
            Err(not_until) => Err(not_until.wait_time_from(Ticking.now())),
        }
    }

    /// Waits for a turn. Refused with 503 if none comes in time.
    pub(crate) async fn turn(&self, tenant: &TenantId) -> Result<Turn, Refusal> {
        let of_tenant = self.of_tenant(tenant);
        let all = Arc::clone(&self.all);
        // Mostly nobody waits.
        if let Ok(tenant) = Arc::clone(&of_tenant).try_acquire_owned()
            && let Ok(all) = Arc::clone(&all).try_acquire_owned()
        {
            return Ok(Turn { _tenant: tenant, _all: all });
        }
        // The tenant's turn comes first, so that those who wait for it hold none of everybody's.
        let both = async move { Some((of_tenant.acquire_owned().await.ok()?, all.acquire_owned().await.ok()?)) };
        match tokio::time::timeout(self.queue_time, both).await {
            Ok(Some((tenant, all))) => Ok(Turn { _tenant: tenant, _all: all }),
            Ok(None) | Err(_) => {
                Err(Refusal::unavailable("too many requests are under way; try again later", Duration::from_secs(1)))
            }
        }
    }

    fn of_tenant(&self, tenant: &TenantId) -> Arc<Semaphore> {
        let mut tenants = self.tenants.lock();
        if let Some(semaphore) = tenants.get(tenant) {
            return Arc::clone(semaphore);
        }
        let semaphore = Arc::new(Semaphore::new(self.tenant_concurrency));
        tenants.insert(tenant.clone(), Arc::clone(&semaphore));
        semaphore
    }
}

#[cfg(test)]
mod tests {
    use super::{Admission, Cost, Duration};
    use crate::config::Limits;
    use axum::response::IntoResponse;

    fn status(result: Result<impl Sized, crate::scim_error::Refusal>) -> u16 {
        result.map_or_else(|refusal| refusal.into_response().status().as_u16(), |_| 200)
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenant_may_burst_and_then_waits_while_others_go_on() {
        let admission = Admission::new(&Limits { writes_per_second: 1, ..Limits::default() });
        let (acme, other) = ("acme".parse().unwrap(), "other".parse().unwrap());
        for _ in 0..4 {
            assert_eq!(status(admission.count(&acme, Cost::Write)), 200);
        }
        let refused = admission.count(&acme, Cost::Write).unwrap_err().into_response();
        assert_eq!(refused.status(), 429);
        assert_eq!(refused.headers()["retry-after"], "1");
        assert_eq!(refused.headers()["x-rate-limit-limit"], "4");
        assert_eq!(refused.headers()["x-rate-limit-reset"], "4");
        assert_eq!(refused.headers()["x-rate-limit-retry-after-seconds"], "1");
        assert_eq!(status(admission.count(&acme, Cost::Read)), 200);
        assert_eq!(status(admission.count(&other, Cost::Write)), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn many_requests_that_came_as_one_leave_a_place_for_one_that_comes_by_itself() {
        let admission = Admission::new(&Limits { writes_per_second: 1, ..Limits::default() });
        let (acme, other) = ("acme".parse().unwrap(), "other".parse().unwrap());
        // One is left after these, a second's worth: from now on each waits twice as long as a place takes to come free.
        for tenant in [&acme, &other] {
            assert!((0..3).all(|_| admission.pace(tenant) == Ok(Duration::ZERO)));
        }
        assert_eq!(admission.pace(&acme), Ok(Duration::from_secs(2)));
        assert!(admission.pace(&acme).is_err(), "not counted, so it asks again");
        assert_eq!(status(admission.count(&other, Cost::Write)), 200);
        let lifted = Admission::new(&Limits { writes_per_second: 0, ..Limits::default() });
        assert_eq!(lifted.pace(&acme), Ok(Duration::ZERO));
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        let admission = Admission::new(&Limits { reads_per_second: 0, ..Limits::default() });
        let acme = "acme".parse().unwrap();
        assert!((0..10_000).all(|_| admission.count(&acme, Cost::Read).is_ok()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_for_a_turn_is_sent_away() {
        let admission = Admission::new(&Limits { tenant_concurrency: 1, concurrency: 2, ..Limits::default() });
        let (acme, other) = ("acme".parse().unwrap(), "other".parse().unwrap());
        let turn = admission.turn(&acme).await.unwrap();
        assert_eq!(status(admission.turn(&acme).await), 503);
        let second = admission.turn(&other).await.unwrap();
        assert_eq!(status(admission.turn(&"third".parse().unwrap()).await), 503, "all turns are taken");
        drop((turn, second));
        assert_eq!(status(admission.turn(&acme).await), 200);
    }
}
