//! What identity-store does by itself: hear of other replicas' commits, say whether its database answers, forget what is
//! too old, put counts right, and tell of tokens that are near their end.

use std::sync::Arc;
use std::time::Duration;

use runtime::admin::Readiness;
use tokio_util::sync::CancellationToken;

use crate::ageing::Announcer;
use crate::config::Config;
use crate::failure::Failure;
use crate::store::Store;

/// The check that falls while the database does not answer.
const CHECK: &str = "identity_store_database";

/// Starts all of it, until `stop`.
pub(crate) fn start(
    store: &Store,
    config: &Config,
    announcer: Announcer,
    readiness: Readiness,
    stop: &CancellationToken,
) {
    let heads = store.clone();
    every(config.poll, stop, "reading the heads", move || {
        let store = heads.clone();
        async move { store.refresh_heads().await }
    });
    // By itself: a question that waits for an answer says nothing.
    let heard = store.clone();
    every(config.poll, stop, "saying whether the database answers", move || {
        let answers = heard.is_heard();
        readiness.set(CHECK, answers, if answers { "it answers" } else { "it has not answered for long" });
        std::future::ready(Ok(()))
    });
    let old = store.clone();
    every(config.upkeep, stop, "forgetting what is old", move || {
        let store = old.clone();
        async move { store.forget_old().await }
    });
    let counted = store.clone();
    every(config.upkeep, stop, "counting anew", move || {
        let store = counted.clone();
        async move { store.recount().await }
    });
    let (tokens, announcer) = (store.clone(), Arc::new(announcer));
    every(config.upkeep, stop, "looking for tokens near their end", move || {
        let (store, announcer) = (tokens.clone(), Arc::clone(&announcer));
        async move { announcer.look(&store).await }
    });
}

fn every<F, R>(period: Duration, stop: &CancellationToken, what: &'static str, work: F)
where
    F: Fn() -> R + Send + 'static,
    R: Future<Output = Result<(), Failure>> + Send,
{
    let stop = stop.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if let Err(failure) = work().await {
                tracing::warn!(%failure, "{what} failed");
            }
        }
    });
}
