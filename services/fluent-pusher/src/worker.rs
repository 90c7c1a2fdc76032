//! One tenant's workers: lease what is due, look at each account, write down how it ended, and tell identity-store.

use std::sync::Arc;
use std::time::Duration;

use domain::clock::{Clock, Timestamp};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Pushing;
use crate::convert::report;
use crate::fluent::{Cause, Error as FluentError};
use crate::metrics::Counts;
use crate::outcome::{Outcome, Standing};
use crate::peers::{Identity, Resolver};
use crate::push::{Failure, Push, Verdict};
use crate::store::{Ending, Job, Store};
use crate::tenants::Tenant;

/// After so many failures of one account alone, a person is told.
const PATIENCE: u32 = 10;
/// The longest wait of an account that fails for reasons that are not its own.
const NOT_ITS_FAULT: Duration = Duration::from_secs(30);
/// The longest wait for another part of Rolecall.
const FOR_A_PEER: Duration = Duration::from_secs(5);
/// A lease outlives the step it is for by this much.
const GRACE: Duration = Duration::from_secs(30);
/// The most outcomes told in one call.
const REPORTS: usize = 1000;

/// What all workers share.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(crate) store: Store,
    pub(crate) identity: Identity,
    pub(crate) resolver: Resolver,
    pub(crate) clock: Clock,
    pub(crate) config: Pushing,
    pub(crate) counts: Counts,
}

impl Worker {
    /// Works until `stop`; then finishes what is under way.
    pub(crate) async fn run(self, tenant: Arc<Tenant>, stop: CancellationToken) {
        let mut busy = JoinSet::new();
        while !stop.is_cancelled() {
            while busy.try_join_next().is_some() {}
            let free = tenant.breaker.permits(self.clock.now(), self.config.workers).saturating_sub(busy.len());
            let jobs = self.claim(&tenant, free).await;
            let all_taken = jobs.len() == free;
            for job in jobs {
                let (worker, tenant) = (self.clone(), Arc::clone(&tenant));
                busy.spawn(async move {
                    worker.work(&tenant, &job).await;
                });
            }
            let pause = if all_taken { self.config.poll } else { self.until_due(&tenant).await };
            tokio::select! {
                () = stop.cancelled() => {}
                Some(_) = busy.join_next(), if !busy.is_empty() => {}
                () = tenant.work.notified() => {}
                () = tokio::time::sleep(pause) => self.watch(&tenant).await,
            }
        }
        while busy.join_next().await.is_some() {}
    }

    /// Tells identity-store the outcomes, one call at a time and so in order, until `stop`. What is left is told at the
    /// next start.
    pub(crate) async fn report_all(self, tenant: Arc<Tenant>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.report(&tenant).await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = tenant.outcomes.notified() => {}
                () = tokio::time::sleep(self.config.poll) => {}
            }
        }
    }

    /// Works off all that is due now, one after the other; answers how many accounts that were. For tests, which move
    /// the clock themselves.
    #[cfg(test)]
    pub(crate) async fn drain(&self, tenant: &Tenant) -> usize {
        let mut count = 0;
        loop {
            let free = tenant.breaker.permits(self.clock.now(), 1);
            let jobs = self.claim(tenant, free).await;
            let Some(job) = jobs.first() else { break };
            self.work(tenant, job).await;
            count += 1;
        }
        self.report(tenant).await;
        count
    }

    /// Fluent's id of the account, if it is ours: a user whose push failed has one all the same.
    async fn known_account(&self, tenant: &Tenant, job: &Job) -> Option<String> {
        let entry = self.store.ledger(&tenant.id, &job.account).await.ok()??;
        if let crate::store::Standing::Ours { fluent_id } = entry.standing { Some(fluent_id) } else { None }
    }

    async fn claim(&self, tenant: &Tenant, limit: usize) -> Vec<Job> {
        if limit == 0 {
            return Vec::new();
        }
        self.store.claim(&tenant.id, limit, self.config.step + GRACE).await.unwrap_or_else(|error| {
            log_store(&error);
            Vec::new()
        })
    }

    async fn until_due(&self, tenant: &Tenant) -> Duration {
        match self.store.next_due(&tenant.id).await {
            Ok(Some(at)) => at.max(tenant.breaker.until()).since(self.clock.now()).clamp(MIN_PAUSE, self.config.poll),
            Ok(None) => self.config.poll,
            Err(error) => {
                log_store(&error);
                self.config.poll
            }
        }
    }

    /// Looks at one account and writes down how that ended.
    pub(crate) async fn work(&self, tenant: &Tenant, job: &Job) {
        let Self { store, identity, resolver, clock, .. } = self;
        let push = Push { store, identity, resolver, tenant, job, clock };
        let result = tokio::time::timeout(self.config.step, push.run())
            .await
            .unwrap_or_else(|_| Err(Failure::Fluent(FluentError::Unknown { cause: Cause::Timeout })));
        let (ending, report, result) = match result {
            Ok(verdict) => self.succeeded(tenant, job, verdict),
            Err(failure) => {
                let account = self.known_account(tenant, job).await;
                self.failed(tenant, job, &failure, account)
            }
        };
        self.counts.pushed(tenant.id.as_str(), result);
        match store.finish(&tenant.id, job, ending, report).await {
            Ok(true) => tenant.outcomes.notify_one(),
            Ok(false) => {
                tracing::warn!(tenant = %tenant.id, user = %job.user, "another worker had taken the account over");
            }
            // The lease runs out by itself, and the account is looked at again.
            Err(error) => log_store(&error),
        }
    }

    fn succeeded(&self, tenant: &Tenant, job: &Job, verdict: Verdict) -> (Ending, Option<Vec<u8>>, &'static str) {
        tenant.breaker.success();
        let Verdict { outcome, attention, alert, released_to } = verdict;
        if alert {
            let reason = attention.unwrap_or("UNKNOWN");
            self.counts.alert(tenant.id.as_str(), reason);
            tracing::error!(tenant = %tenant.id, user = %job.user, reason,
                "a dismissed user's account may not be touched: close it by hand");
        }
        let result = outcome.as_ref().map_or("released", |outcome| outcome.standing.as_str());
        let report = outcome.map(|outcome| report::encode(outcome, job));
        let ending = released_to.map_or(Ending::Done { attention }, |user_name| Ending::Released { user_name });
        (ending, report, result)
    }

    fn failed(
        &self,
        tenant: &Tenant,
        job: &Job,
        failure: &Failure,
        account: Option<String>,
    ) -> (Ending, Option<Vec<u8>>, &'static str) {
        let now = self.clock.now();
        let mut rng = rand::rng();
        let backoff = self.config.backoff;
        let delay = backoff.delay(job.attempts.saturating_add(1), &mut rng);
        let again = |delay: Duration| Ending::Again { at: now.plus(delay), counts: true };
        match failure {
            Failure::Fluent(FluentError::Permanent(refusal)) => {
                tenant.breaker.success();
                tracing::warn!(tenant = %tenant.id, user = %job.user, code = ?refusal.code, "Fluent refused a change");
                let code = refusal.code.as_ref().map(|code| format!("{}: ", code.as_str())).unwrap_or_default();
                self.gave_up(job, account, format!("{code}{}", refusal.message), now)
            }
            Failure::Fluent(error @ (FluentError::Retry { cause, .. } | FluentError::Unknown { cause })) => {
                tracing::info!(tenant = %tenant.id, user = %job.user, cause = cause.as_str(), "a push is to be repeated");
                let after = if let FluentError::Retry { after, .. } = error { *after } else { None };
                if cause.is_of_tenant() {
                    tenant.breaker.failure(now, after, backoff, &mut rng);
                    let wait = delay.min(NOT_ITS_FAULT).max(after.unwrap_or_default());
                    return (again(wait), None, cause.as_str());
                }
                tenant.breaker.success();
                if job.attempts >= PATIENCE {
                    let message =
                        if let Cause::Server(refusal) = cause { refusal.message.clone() } else { error.to_string() };
                    return self.gave_up_for_now(job, account, message, now);
                }
                (again(delay.max(after.unwrap_or_default())), None, cause.as_str())
            }
            Failure::Peer(error) => {
                tracing::warn!(tenant = %tenant.id, user = %job.user, reason = %error.reason(), "another part does not answer");
                (again(delay.min(FOR_A_PEER)), None, "peer")
            }
            Failure::Store(error) => {
                log_store(error);
                (again(delay.min(FOR_A_PEER)), None, "store")
            }
            Failure::Doubtful { until } => {
                tenant.breaker.success();
                (Ending::Again { at: now.plus(delay).min(*until), counts: true }, None, "doubtful")
            }
            Failure::LeaseLost => (again(Duration::ZERO), None, "lease_lost"),
        }
    }

    /// Failed for good. What takes access away is tried again all the same, now and then: it is never given up.
    fn gave_up(
        &self,
        job: &Job,
        account: Option<String>,
        detail: String,
        now: Timestamp,
    ) -> (Ending, Option<Vec<u8>>, &'static str) {
        let again = job.revokes.then(|| now.plus(self.config.backoff.max));
        let reasons = vec![format!("FLUENT_REFUSED: {detail}")];
        let outcome = Outcome { fluent_id: account, ..Outcome::without_account(Standing::Failed, reasons) };
        (Ending::Failed { detail, again }, Some(report::encode(outcome, job)), Standing::Failed.as_str())
    }

    /// A fault that might pass has lasted long: a person is told, and it is tried again now and then.
    fn gave_up_for_now(
        &self,
        job: &Job,
        account: Option<String>,
        detail: String,
        now: Timestamp,
    ) -> (Ending, Option<Vec<u8>>, &'static str) {
        let (_, report, result) = self.gave_up(job, account, detail.clone(), now);
        (Ending::Failed { detail, again: Some(now.plus(self.config.backoff.max)) }, report, result)
    }

    /// Tells identity-store what it has not been told. What it does not take stays for the next time.
    pub(crate) async fn report(&self, tenant: &Tenant) {
        loop {
            let reports = match self.store.unreported(&tenant.id, REPORTS).await {
                Ok(reports) if reports.is_empty() => return,
                Ok(reports) => reports,
                Err(error) => return log_store(&error),
            };
            let count = reports.len();
            for request in report::requests(&tenant.id, reports.iter().map(|(_, report)| report.as_slice())) {
                match self.identity.report(request).await {
                    Ok(()) => {}
                    Err(error) if error.is_transient() => {
                        tracing::warn!(tenant = %tenant.id, reason = %error.reason(), "outcomes are not taken now");
                        return;
                    }
                    // They would be refused for ever, and keep all others from being told.
                    Err(error) => {
                        tracing::error!(tenant = %tenant.id, reason = %error.reason(), "outcomes were refused");
                    }
                }
            }
            if let Err(error) = self.store.reported(&tenant.id, reports).await {
                return log_store(&error);
            }
            if count < REPORTS {
                return;
            }
        }
    }

    async fn watch(&self, tenant: &Tenant) {
        match self.store.backlog(&tenant.id).await {
            Ok(backlog) => {
                self.counts.backlog(tenant.id.as_str(), backlog.oldest_revocation.as_secs_f64(), backlog.due);
            }
            Err(error) => log_store(&error),
        }
    }
}

const MIN_PAUSE: Duration = Duration::from_millis(1);

pub(crate) fn log_store(error: &sql::Error) {
    tracing::error!(error = %runtime::error::Chain(error), "the pusher's tables do not answer");
}

#[cfg(test)]
mod histories;
#[cfg(test)]
mod tests;
