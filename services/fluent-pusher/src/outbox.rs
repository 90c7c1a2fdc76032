//! Outcomes on their way to identity-store. They are kept in the work list until it has taken them; here is what of them
//! is in hand, so that they need not be looked up: those that wait for the call under way, and those that have been told
//! and are still to be forgotten.

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::store::Report;

/// The most that wait in hand. What is beyond is looked up.
const IN_HAND: usize = 10_000;

/// One tenant's outcomes in hand.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Report>,
    told: Vec<Report>,
    /// Whether there may be some in the tables that are not in hand.
    more: bool,
}

impl Outbox {
    /// Takes in outcomes that are in the tables by now.
    pub(crate) fn put(&self, reports: impl IntoIterator<Item = Report>) {
        let mut state = self.state.lock();
        state.waiting.extend(reports);
        if state.waiting.len() > IN_HAND {
            state.waiting.truncate(IN_HAND);
            state.more = true;
        }
        drop(state);
        self.bell.notify_one();
    }

    /// There may be more in the tables than in hand.
    pub(crate) fn look_up(&self) {
        self.state.lock().more = true;
    }

    /// Whether the tables are to be looked at; asked once.
    pub(crate) fn take_more(&self) -> bool {
        std::mem::take(&mut self.state.lock().more)
    }

    /// Up to `limit` that wait.
    pub(crate) fn take(&self, limit: usize) -> Vec<Report> {
        let mut state = self.state.lock();
        let count = state.waiting.len().min(limit);
        state.waiting.drain(..count).collect()
    }

    /// These have been told.
    pub(crate) fn put_told(&self, reports: Vec<Report>) {
        self.state.lock().told.extend(reports);
    }

    /// Those that have been told and are to be forgotten.
    pub(crate) fn take_told(&self) -> Vec<Report> {
        std::mem::take(&mut self.state.lock().told)
    }

    /// Completes when something has been put in since the last call.
    pub(crate) async fn filled(&self) {
        self.bell.notified().await;
    }
}
