//! One tenant's workers: lease what is due, look at each account, write down how it ended, and tell identity-store. What
//! happens to many at one time is written, and told, at one time.

use std::sync::Arc;
use std::time::Duration;

use domain::clock::{Clock, Timestamp};
use runtime::backoff::Backoff;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::breaker::Taken;
use crate::config::Pushing;
use crate::convert::report;
use crate::fluent::{Cause, Error as FluentError};
use crate::metrics::{Counts, STRANGER};
use crate::outcome::{Outcome, Standing};
use crate::peers::{Identity, Resolver};
use crate::push::{Failure, Push, Verdict};
use crate::store::{Ending, Finished, Job, Store, Take, Turn};
use crate::tenants::Tenant;

/// After so many failures of one account alone, a person is told.
const PATIENCE: u32 = 10;
/// After so many tries in which Fluent as a whole failed, the user's outcome says so.
const TRIES: u32 = 3;
/// The longest wait where Fluent as a whole fails, of one account and of the tenant. A sign-in that is refused waits longer:
/// who goes on with a wrong password gets the account locked.
const NOT_ITS_FAULT: Duration = Duration::from_secs(30);
/// The longest wait for another part of Rolecall.
const FOR_A_PEER: Duration = Duration::from_secs(5);
/// A lease outlives the step it is for by this much.
const GRACE: Duration = Duration::from_secs(30);
/// The places that are kept for revocations, beside those for everything.
const KEPT: usize = 1;
/// The most finished accounts that are kept while the tables do not answer.
const FINISHED: usize = 64;
/// How long those who have ended wait for others that are about to.
const MOMENT: Duration = Duration::from_millis(2);
/// How long outcomes wait for others before they are told.
const GATHER: Duration = Duration::from_millis(20);
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
        let (mut busy, mut finished) = (JoinSet::new(), Vec::new());
        loop {
            while let Some(ended) = busy.try_join_next() {
                finished.extend(ended);
            }
            let take = if stop.is_cancelled() { Take::Nothing } else { self.places(&tenant, busy.len()) };
            let turn = self.turn(&tenant, &mut finished, take).await;
            for job in turn.jobs {
                let (worker, tenant) = (self.clone(), Arc::clone(&tenant));
                busy.spawn(async move { worker.look(&tenant, job).await });
            }
            if stop.is_cancelled() && busy.is_empty() {
                return;
            }
            let due = turn.next_due.map(|at| at.max(tenant.breaker.until()).since(self.clock.now()));
            let pause = due.map_or(self.config.poll, |due| due.clamp(MIN_PAUSE, self.config.poll));
            tokio::select! {
                () = stop.cancelled(), if !stop.is_cancelled() => {}
                Some(ended) = busy.join_next(), if !busy.is_empty() => {
                    finished.extend(ended);
                    gather(&tenant, &mut busy, &mut finished).await;
                }
                () = tenant.work.notified() => {}
                () = tokio::time::sleep(pause) => self.watch(&tenant).await,
            }
        }
    }

    /// What may be taken beside so many that are under way. Only as much as there are places: what is taken waits for
    /// nobody, and a revocation that comes after it not for it. And one place is kept for those alone, so that they do
    /// not wait for a Fluent that is slow to give.
    fn places(&self, tenant: &Tenant, busy: usize) -> Take {
        let usual = self.config.workers;
        match tenant.breaker.permits(self.clock.now(), usual) {
            permitted if permitted > busy => Take::Any(permitted - busy),
            permitted if permitted == usual && busy < usual + KEPT => Take::Revocations(usual + KEPT - busy),
            _ => Take::Nothing,
        }
    }

    /// Gives back what is finished, with what has been told, and takes more. What could not be written is kept for the
    /// next time; a lease that is lost by then is looked at again.
    async fn turn(&self, tenant: &Tenant, finished: &mut Vec<Finished>, take: Take) -> Turn {
        if finished.is_empty() && take == Take::Nothing {
            return Turn::default();
        }
        let (given, told) = (finished.clone(), tenant.outbox.take_told());
        let turn = match self.store.turn(&tenant.id, given, told, take, self.config.step + GRACE).await {
            Ok(turn) => turn,
            Err(error) => {
                log_store(&error);
                // The leases of the rest run out by themselves.
                finished.truncate(FINISHED);
                return Turn::default();
            }
        };
        let mut reports = Vec::new();
        for (Finished { job, report, .. }, held) in finished.drain(..).zip(&turn.held) {
            if *held {
                reports.extend(report.map(|report| (job.account, report)));
            } else {
                tracing::warn!(tenant = %tenant.id, user = %job.user,
                    "another worker had taken the account over, or how it ended can't be written down");
            }
        }
        if !reports.is_empty() {
            tenant.outbox.put(reports);
        }
        turn
    }

    /// Tells identity-store the outcomes, one call at a time and so in order, until `stop`: what has come while a call
    /// was under way travels in the next. What is left is told at the next start.
    pub(crate) async fn report_all(self, tenant: Arc<Tenant>, stop: CancellationToken) {
        tenant.outbox.look_up();
        loop {
            self.report(&tenant).await;
            tokio::select! {
                () = stop.cancelled() => return,
                // What comes within a moment is told together: each call is a commit of identity-store's.
                () = async {
                    tenant.outbox.filled().await;
                    tokio::time::sleep(GATHER).await;
                } => {}
                () = tokio::time::sleep(self.config.poll) => {
                    // Where no turn has come by, they are forgotten now; and what has been left untold is looked up.
                    self.forget_told(&tenant).await;
                    tenant.outbox.look_up();
                }
            }
        }
    }

    /// Works off all that is due now, one after the other; answers how many accounts that were. For tests, which move
    /// the clock themselves.
    #[cfg(test)]
    pub(crate) async fn drain(&self, tenant: &Tenant) -> usize {
        let (mut count, mut finished) = (0, Vec::new());
        loop {
            let free = tenant.breaker.permits(self.clock.now(), 1);
            let Some(job) = self.turn(tenant, &mut finished, Take::Any(free)).await.jobs.pop() else { break };
            finished.push(self.look(tenant, job).await);
            count += 1;
        }
        tenant.outbox.look_up();
        self.report(tenant).await;
        self.forget_told(tenant).await;
        count
    }

    /// Works on one leased account and gives it back.
    #[cfg(test)]
    pub(crate) async fn work(&self, tenant: &Tenant, job: &Job) {
        let finished = self.look(tenant, job.clone()).await;
        self.turn(tenant, &mut vec![finished], Take::Nothing).await;
    }

    /// Fluent's id of the account, if it is ours: a user whose push failed has one all the same.
    async fn known_account(&self, tenant: &Tenant, job: &Job) -> Option<String> {
        let entry = self.store.ledger(&tenant.id, &job.account).await.ok()??;
        if let crate::store::Standing::Ours { fluent_id } = entry.standing { Some(fluent_id) } else { None }
    }

    /// Looks at one account; answers how that ended.
    async fn look(&self, tenant: &Tenant, job: Job) -> Finished {
        let Self { store, identity, resolver, clock, .. } = self;
        let push = Push { store, identity, resolver, tenant, job: &job, clock };
        let result = tokio::time::timeout(self.config.step, push.run())
            .await
            .unwrap_or_else(|_| Err(Failure::Fluent(FluentError::Unknown { cause: Cause::Timeout })));
        let (ending, report, result) = match result {
            Ok(verdict) => self.succeeded(tenant, &job, verdict),
            Err(failure) => {
                let account = self.known_account(tenant, &job).await;
                self.failed(tenant, &job, &failure, account)
            }
        };
        self.counts.pushed(tenant.id.as_str(), result);
        Finished { job, ending, report }
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
            Failure::Fluent(FluentError::Permanent(refusal)) | Failure::Kept(refusal) => {
                tenant.breaker.success();
                tracing::warn!(tenant = %tenant.id, user = %job.user, code = ?refusal.code, "Fluent refused a change");
                let code = refusal.code.as_ref().map(|code| format!("{}: ", code.as_str())).unwrap_or_default();
                // What takes access away is never given up, also where a start-over could not say that it does.
                let takes_away = job.revokes || job.gone || matches!(failure, Failure::Kept(_));
                let again = takes_away.then(|| now.plus(backoff.max));
                Self::gave_up(job, account, format!("{code}{}", refusal.message), again)
            }
            Failure::Fluent(error @ (FluentError::Retry { cause, .. } | FluentError::Unknown { cause })) => {
                tracing::info!(tenant = %tenant.id, user = %job.user, cause = cause.as_str(), "a push is to be repeated");
                let after = if let FluentError::Retry { after, .. } = error { *after } else { None };
                if let Some(reason) = cause.of_tenant() {
                    let longest = if *cause == Cause::SignIn { backoff.max } else { backoff.max.min(NOT_ITS_FAULT) };
                    let pauses = Backoff { max: longest, ..backoff };
                    let taken = tenant.breaker.failure(now, after, pauses, &mut rng);
                    if taken == Taken::NowForDown {
                        tracing::warn!(tenant = %tenant.id, reason, "pushing stands still, and is tried now and then");
                    }
                    // People see why nothing happens. Nobody has to decide anything: it goes on by itself.
                    let is_told = taken != Taken::ForChance || job.attempts.saturating_add(1) >= TRIES;
                    let report = is_told.then(|| report::encode(Self::stands_failed(account, reason), job));
                    let wait = delay.min(NOT_ITS_FAULT).max(after.unwrap_or_default());
                    return (again(wait), report, cause.as_str());
                }
                tenant.breaker.success();
                if job.attempts >= PATIENCE {
                    let message =
                        if let Cause::Server(refusal) = cause { refusal.message.clone() } else { error.to_string() };
                    // It might pass: a person is told, and it is tried again now and then.
                    return Self::gave_up(job, account, message, Some(now.plus(backoff.max)));
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
            Failure::Stranger => {
                self.counts.alert(tenant.id.as_str(), STRANGER);
                tracing::error!(tenant = %tenant.id, user = %job.user,
                    "the account that is known to be the user's bears another name: was Fluent exchanged or restored?");
                (again(Duration::ZERO), None, "stranger")
            }
        }
    }

    /// Failed, for good unless it is tried again.
    fn gave_up(
        job: &Job,
        account: Option<String>,
        detail: String,
        again: Option<Timestamp>,
    ) -> (Ending, Option<Vec<u8>>, &'static str) {
        let outcome = Self::stands_failed(account, format!("FLUENT_REFUSED: {detail}"));
        (Ending::Failed { detail, again }, Some(report::encode(outcome, job)), Standing::Failed.as_str())
    }

    fn stands_failed(account: Option<String>, reason: String) -> Outcome {
        Outcome { fluent_id: account, ..Outcome::without_account(Standing::Failed, vec![reason]) }
    }

    /// Tells identity-store what it has not been told. What it does not take stays in the tables for the next time.
    pub(crate) async fn report(&self, tenant: &Tenant) {
        loop {
            let mut reports = tenant.outbox.take(REPORTS);
            let mut more = false;
            if reports.is_empty() && tenant.outbox.take_more() {
                match self.store.unreported(&tenant.id, REPORTS).await {
                    Ok(found) => reports = found,
                    Err(error) => return log_store(&error),
                }
                more = reports.len() == REPORTS;
            }
            if reports.is_empty() {
                return;
            }
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
            tenant.outbox.put_told(reports);
            // Those that are told are found no more once they are forgotten, and the next are.
            if more && self.forget_told(tenant).await {
                tenant.outbox.look_up();
            }
        }
    }

    /// Forgets what has been told, where it does not wait for the next turn; answers whether it could.
    async fn forget_told(&self, tenant: &Tenant) -> bool {
        let told = tenant.outbox.take_told();
        if told.is_empty() {
            return true;
        }
        let forgotten = self.store.turn(&tenant.id, Vec::new(), told, Take::Nothing, GRACE).await;
        forgotten.inspect_err(log_store).is_ok()
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

/// Waits a moment for others that are about to end, so that they are given back together; not if there is something new
/// to be done, and not if none is left.
async fn gather(tenant: &Tenant, busy: &mut JoinSet<Finished>, finished: &mut Vec<Finished>) {
    let others = async {
        while let Some(ended) = busy.join_next().await {
            finished.extend(ended);
        }
    };
    tokio::select! {
        () = others => {}
        () = tenant.work.notified() => tenant.work.notify_one(),
        () = tokio::time::sleep(MOMENT) => {}
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
