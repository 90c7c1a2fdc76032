//! Whether the pusher's own database answers, for the readiness of its process. Its turns would tell, but an instance
//! without a tenant takes none, and one whose Fluent is to be left alone takes few: so it is asked by itself.

use std::time::Duration;

use runtime::admin::Readiness;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::store::Store;

/// The check that falls while the database does not answer.
const CHECK: &str = "fluent_pusher_database";
/// For how long it may be silent.
const SILENCE: Duration = Duration::from_secs(10);

/// Asks every `period`, until `stop`.
pub(crate) async fn watch(store: Store, readiness: Readiness, period: Duration, stop: CancellationToken) {
    let mut heard = Instant::now();
    loop {
        let asked = tokio::select! {
            () = stop.cancelled() => return,
            asked = tokio::time::timeout(SILENCE, store.answers()) => asked,
        };
        if let Ok(Ok(())) = asked {
            heard = Instant::now();
        }
        let answers = heard.elapsed() < SILENCE;
        readiness.set(CHECK, answers, if answers { "it answers" } else { "it has not answered for long" });
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(period) => {}
        }
    }
}
