//! How often a change is made anew when others change the same resource meanwhile. Who takes access away is not sent away
//! for that: it goes on while the request has time.

use std::time::Duration;

use crate::call::Call;
use crate::scim_error::Refusal;

/// How often a change that takes nothing away is tried.
const TRIES: usize = 16;
/// What must be left of the request's time for one more try beyond these.
const RESERVE: Duration = Duration::from_secs(3);
/// How long one who goes on waits for the others then.
const PAUSE: Duration = Duration::from_millis(20);

/// The tries of one change.
#[derive(Debug, Default)]
pub(crate) struct Tries(usize);

impl Tries {
    /// Somebody else was first: returns when the change is to be tried again. Refused with 503 if it is not.
    pub(crate) async fn again(&mut self, call: &Call, takes_away: bool) -> Result<(), Refusal> {
        self.0 += 1;
        if self.0 < TRIES {
            return Ok(());
        }
        if takes_away && call.time_left() > RESERVE {
            tokio::time::sleep(PAUSE).await;
            return Ok(());
        }
        let detail = "the resource changes too often to be changed now; try again later";
        Err(Refusal::unavailable(detail, Duration::from_secs(1)))
    }
}
