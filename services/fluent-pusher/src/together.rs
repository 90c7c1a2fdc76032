//! Questions about users that are asked at one time travel in one call. Where that call fails or takes long, each is asked
//! alone: what is wrong with one keeps no other from its answer. What is urgent waits for nobody and is asked alone at once.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use domain::id::{TenantId, UserId};
use futures_util::future::join_all;
use parking_lot::Mutex;
use runtime::error::{Error, Kind, Reason};
use tokio::sync::oneshot;
use tracing::Instrument as _;

/// How long one call for several may take. Mostly it takes milliseconds.
const TOGETHER: Duration = Duration::from_secs(1);

/// A question that can be asked about several users of a tenant in one call.
pub(crate) trait Question: Clone + Send + Sync + 'static {
    /// What is answered about one.
    type Answer: Send + 'static;

    /// The answers, one for each user in that order, as of some time after the question.
    fn ask(&self, tenant: &TenantId, users: &[UserId])
    -> impl Future<Output = Result<Vec<Self::Answer>, Error>> + Send;
}

/// A question, and those who wait to ask it. Clones share them.
#[derive(Clone)]
pub(crate) struct Together<Q: Question> {
    question: Q,
    waiting: Arc<Mutex<HashMap<TenantId, Vec<Asker<Q>>>>>,
}

/// Whom it is asked about, and where the answer goes.
type Asker<Q> = (UserId, oneshot::Sender<Result<<Q as Question>::Answer, Error>>);

impl<Q: Question> fmt::Debug for Together<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Together(…)")
    }
}

impl<Q: Question> Together<Q> {
    pub(crate) fn new(question: Q) -> Self {
        Self { question, waiting: Arc::default() }
    }

    /// Asks about one user, with all who are about to ask.
    pub(crate) async fn ask(&self, tenant: &TenantId, user: UserId) -> Result<Q::Answer, Error> {
        let (asker, answer) = oneshot::channel();
        let first = {
            let mut waiting = self.waiting.lock();
            let askers = waiting.entry(tenant.clone()).or_default();
            askers.push((user, asker));
            askers.len() == 1
        };
        if first {
            // In a task of its own, which goes on for the others if the first gives up.
            let (all, tenant) = (self.clone(), tenant.clone());
            tokio::spawn(async move { all.ask_for_all(&tenant).await }.in_current_span());
        }
        answer.await.unwrap_or_else(|_| Err(unanswered()))
    }

    /// Asks about one user at once.
    pub(crate) async fn ask_alone(&self, tenant: &TenantId, user: UserId) -> Result<Q::Answer, Error> {
        let answers = self.question.ask(tenant, &[user]).await?;
        answers.into_iter().next().ok_or_else(unanswered)
    }

    async fn ask_for_all(&self, tenant: &TenantId) {
        // Whoever can run now runs first, and may ask too.
        tokio::task::yield_now().await;
        let askers = self.waiting.lock().remove(tenant).unwrap_or_default();
        let users: Vec<_> = askers.iter().map(|(user, _)| *user).collect();
        if let [user] = *users {
            return give::<Q>(askers, [self.ask_alone(tenant, user).await]);
        }
        match tokio::time::timeout(TOGETHER, self.question.ask(tenant, &users)).await {
            Ok(Ok(answers)) if answers.len() == askers.len() => give::<Q>(askers, answers.into_iter().map(Ok)),
            // That is nobody's fault among them: asking again, one by one, would only make it worse.
            Ok(Err(error)) if [Kind::Unavailable, Kind::ResourceExhausted].contains(&error.kind()) => {
                give::<Q>(askers, users.iter().map(|_| Err(error.clone())));
            }
            Ok(Ok(_) | Err(_)) | Err(_) => {
                // Each has its answer as soon as it is there.
                let alone = askers.into_iter().map(async |one: Asker<Q>| {
                    let answer = self.ask_alone(tenant, one.0).await;
                    give::<Q>(vec![one], [answer]);
                });
                join_all(alone).await;
            }
        }
    }
}

/// Whoever has given up takes no answer.
fn give<Q: Question>(askers: Vec<Asker<Q>>, answers: impl IntoIterator<Item = Result<Q::Answer, Error>>) {
    for ((_, asker), answer) in askers.into_iter().zip(answers) {
        asker.send(answer).ok();
    }
}

fn unanswered() -> Error {
    Error::new(Reason::INTERNAL, "another part left a question about a user unanswered")
}

#[cfg(test)]
mod tests;
