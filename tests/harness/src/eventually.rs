//! The one place that waits by looking again.

use std::time::Duration;

use anyhow::{Result, bail};

/// Longer than anything takes on a slow machine; a condition that is not met by then never will be.
const PATIENCE: Duration = Duration::from_mins(1);

/// Looks until `look` answers something; gives up after a minute. `what` names the condition in the failure.
pub async fn eventually<T>(what: impl Into<String>, mut look: impl AsyncFnMut() -> Option<T>) -> Result<T> {
    let what = what.into();
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, looking).await {
        Ok(found) => Ok(found),
        Err(_) => bail!("never came true: {what}"),
    }
}
