//! A small cache of what another part said a moment ago: bounded, and one question for all who ask at the same time.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use runtime::error::Error;
use tokio::time::Instant;

/// The most answers kept.
const MOST: usize = 10_000;

type Answer<V> = Shared<BoxFuture<'static, Result<V, Error>>>;

/// Answers by key, each used again for a while. The while begins when the question is asked, so an answer is never
/// older than it. Failures are shared by those who wait, and forgotten.
pub(crate) struct Cache<K, V> {
    keep: Duration,
    answers: Mutex<HashMap<K, (Instant, Answer<V>)>>,
}

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("keep", &self.keep).finish_non_exhaustive()
    }
}

impl<K: Clone + Eq + Hash, V: Clone + Send + Sync + 'static> Cache<K, V> {
    pub(crate) fn new(keep: Duration) -> Self {
        Self { keep, answers: Mutex::default() }
    }

    /// The answer for `key`: one that is still good, one that somebody is waiting for, or the one to `ask`.
    pub(crate) async fn get<F>(&self, key: &K, ask: impl FnOnce() -> F) -> Result<V, Error>
    where
        F: Future<Output = Result<V, Error>> + Send + 'static,
    {
        let answer = {
            let mut answers = self.answers.lock();
            let now = Instant::now();
            match answers.get(key) {
                Some((asked, answer)) if now.duration_since(*asked) < self.keep => answer.clone(),
                _ => {
                    if answers.len() >= MOST {
                        make_room(&mut answers, now, self.keep);
                    }
                    let answer = ask().boxed().shared();
                    answers.insert(key.clone(), (now, answer.clone()));
                    answer
                }
            }
        };
        let result = answer.clone().await;
        if result.is_err() {
            let mut answers = self.answers.lock();
            if answers.get(key).is_some_and(|(_, kept)| kept.ptr_eq(&answer)) {
                answers.remove(key);
            }
        }
        result
    }
}

/// Forgets what is no longer good, or everything if all of it is.
fn make_room<K: Eq + Hash, V>(answers: &mut HashMap<K, (Instant, Answer<V>)>, now: Instant, keep: Duration) {
    answers.retain(|_, (asked, _)| now.duration_since(*asked) < keep);
    if answers.len() >= MOST {
        answers.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::Cache;
    use runtime::error::{Error, Reason};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    const KEEP: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_used_again_until_it_is_too_old() {
        let (cache, asked) = (Cache::new(KEEP), Arc::new(AtomicUsize::new(0)));
        let ask = || {
            let asked = Arc::clone(&asked);
            async move { Ok(asked.fetch_add(1, Ordering::SeqCst)) }
        };
        assert_eq!(cache.get(&"a", ask).await, Ok(0));
        assert_eq!(cache.get(&"a", ask).await, Ok(0));
        assert_eq!(cache.get(&"b", ask).await, Ok(1));
        tokio::time::advance(KEEP).await;
        assert_eq!(cache.get(&"a", ask).await, Ok(2));
    }

    #[tokio::test]
    async fn those_who_ask_at_once_share_one_question() {
        let (cache, asked) = (Arc::new(Cache::new(KEEP)), Arc::new(AtomicUsize::new(0)));
        let waiting: Vec<_> = (0..10)
            .map(|_| {
                let (cache, asked) = (Arc::clone(&cache), Arc::clone(&asked));
                tokio::spawn(async move {
                    let ask = || async move {
                        tokio::task::yield_now().await;
                        Ok(asked.fetch_add(1, Ordering::SeqCst))
                    };
                    cache.get(&"a", ask).await
                })
            })
            .collect();
        for task in waiting {
            assert_eq!(task.await.unwrap(), Ok(0));
        }
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let cache = Cache::new(KEEP);
        let fail = || async { Err::<u8, _>(Error::new(Reason::UNAVAILABLE, "no")) };
        assert!(cache.get(&"a", fail).await.is_err());
        assert_eq!(cache.get(&"a", || async { Ok(1) }).await, Ok(1));
    }
}
