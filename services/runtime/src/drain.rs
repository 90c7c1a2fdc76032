//! Stopping: readiness goes first, then new work is refused, then what is under way is waited for, up to a deadline.

use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::Readiness;

/// The name of the readiness check that falls when the process is stopping.
const CHECK: &str = "running";

/// A handle on the end of the process. Clones are the same handle.
#[derive(Clone, Debug)]
pub struct Shutdown {
    requested: CancellationToken,
    tasks: TaskTracker,
    readiness: Readiness,
}

/// Work was still under way when the deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{tasks} tasks were still running after the drain deadline")]
pub struct DrainTimeout {
    /// How many tasks were cut off.
    pub tasks: usize,
}

impl Shutdown {
    /// A process that runs; `readiness` is told when it stops.
    #[must_use]
    pub fn new(readiness: Readiness) -> Self {
        readiness.set(CHECK, true, "serving");
        Self { requested: CancellationToken::new(), tasks: TaskTracker::new(), readiness }
    }

    /// The token that is cancelled when stopping begins: for loops and accept loops.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.requested.clone()
    }

    /// Completes when stopping begins.
    pub async fn requested(&self) {
        self.requested.cancelled().await;
    }

    /// Whether stopping has begun.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.requested.is_cancelled()
    }

    /// Begins to stop: readiness falls, then everyone who holds the token is told.
    pub fn request(&self) {
        self.readiness.set(CHECK, false, "stopping");
        self.requested.cancel();
    }

    /// Starts a task that [`Self::drain`] waits for. It must end by itself once stopping has begun.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tasks.spawn(task)
    }

    /// Begins to stop, if nobody has yet, and waits for every task.
    pub async fn drain(&self, deadline: Duration) -> Result<(), DrainTimeout> {
        self.request();
        self.tasks.close();
        tokio::time::timeout(deadline, self.tasks.wait()).await.map_err(|_| DrainTimeout { tasks: self.tasks.len() })
    }

    /// Begins to stop at the first SIGTERM or SIGINT. A second one ends the process at once, with exit code 130.
    pub fn listen_for_signals(&self) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            let mut next = async || {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            };
            next().await;
            tracing::info!("a signal asks to stop: draining");
            shutdown.request();
            next().await;
            tracing::warn!("a second signal: stopping at once");
            std::process::exit(130);
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn readiness_has_fallen_before_anyone_is_told() {
        let readiness = Readiness::default();
        let shutdown = Shutdown::new(readiness.clone());
        assert!(readiness.is_ready());
        let seen = shutdown.spawn({
            let (shutdown, readiness) = (shutdown.clone(), readiness.clone());
            async move {
                shutdown.requested().await;
                readiness.is_ready()
            }
        });
        shutdown.drain(Duration::from_mins(1)).await.unwrap();
        assert!(!seen.await.unwrap());
        assert!(shutdown.is_requested());
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_bounds_the_wait_and_says_what_was_left() {
        let shutdown = Shutdown::new(Readiness::default());
        shutdown.spawn(std::future::pending::<()>());
        assert_eq!(shutdown.drain(Duration::from_secs(5)).await, Err(DrainTimeout { tasks: 1 }));
    }
}
