//! Single flight: of those who need the same at one time, one asks and all are told. Nobody waits longer than a lease: what
//! one was told by another's flight is checked like any other kept set, so waiting is a saving and never a promise.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

/// How long one waits for another at most, unless a test says otherwise.
pub(crate) const LEASE: Duration = Duration::from_secs(2);

type Landing<T> = watch::Receiver<Option<T>>;

/// The flights under way.
#[derive(Debug)]
pub(crate) struct Flights<K, T> {
    under_way: Arc<Mutex<HashMap<K, Landing<T>>>>,
    lease: Duration,
}

impl<K, T> Flights<K, T> {
    /// None yet; in which one waits for another for `lease` at most.
    pub(crate) fn new(lease: Duration) -> Self {
        Self { under_way: Arc::default(), lease }
    }
}

/// What one is to do who needs something.
#[derive(Debug)]
pub(crate) enum Turn<K: Eq + Hash, T> {
    /// Ask, and tell the others.
    Fly(Flight<K, T>),
    /// Another asked, and this is what it learnt.
    Told(T),
    /// Another asked, and did not say in time what it learnt.
    Alone,
}

/// The right to ask for all. Dropping it without a word lets others ask.
#[derive(Debug)]
pub(crate) struct Flight<K: Eq + Hash, T> {
    flights: Arc<Mutex<HashMap<K, Landing<T>>>>,
    key: K,
    /// Until it is over.
    tell: Option<watch::Sender<Option<T>>>,
}

impl<K: Clone + Eq + Hash, T: Clone> Flights<K, T> {
    /// Takes off, or waits for the one who has.
    pub(crate) async fn join(&self, key: &K) -> Turn<K, T> {
        let mut landing = {
            let mut flights = self.under_way.lock();
            let Some(landing) = flights.get(key) else {
                let (tell, landing) = watch::channel(None);
                flights.insert(key.clone(), landing);
                return Turn::Fly(Flight { flights: Arc::clone(&self.under_way), key: key.clone(), tell: Some(tell) });
            };
            landing.clone()
        };
        let told = tokio::time::timeout(self.lease, landing.wait_for(Option::is_some)).await;
        match told {
            Ok(Ok(told)) => told.clone().map_or(Turn::Alone, Turn::Told),
            Ok(Err(_)) | Err(_) => Turn::Alone,
        }
    }
}

impl<K: Eq + Hash, T> Flight<K, T> {
    /// Tells all who wait.
    pub(crate) fn land(mut self, told: T) {
        if let Some(tell) = self.end() {
            tell.send_replace(Some(told));
        }
    }

    /// Ends it before anybody hears of it, so that whoever does and joins again does not join this one.
    fn end(&mut self) -> Option<watch::Sender<Option<T>>> {
        let tell = self.tell.take()?;
        self.flights.lock().remove(&self.key);
        Some(tell)
    }
}

impl<K: Eq + Hash, T> Drop for Flight<K, T> {
    fn drop(&mut self) {
        drop(self.end());
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Context, Wake, Waker};

    use super::*;

    /// Looks, when it is woken, whether the flight is over.
    struct Looks(Flights<u8, u32>, AtomicBool);

    impl Wake for Looks {
        fn wake(self: Arc<Self>) {
            self.1.store(self.0.under_way.lock().is_empty(), Ordering::Relaxed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flight_is_over_before_anybody_hears_of_it() {
        for lands in [true, false] {
            let looks = Arc::new(Looks(Flights::new(LEASE), AtomicBool::new(false)));
            let Turn::Fly(flight) = looks.0.join(&1).await else { panic!("the first flies") };
            let (mut joined, waker) = (pin!(looks.0.join(&1)), Waker::from(Arc::clone(&looks)));
            assert!(joined.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            if lands {
                flight.land(7);
            } else {
                drop(flight);
            }
            assert!(looks.1.load(Ordering::Relaxed), "who is woken can take off");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_asks_and_all_are_told() {
        let flights = Flights::<u8, u32>::new(LEASE);
        let Turn::Fly(flight) = flights.join(&1).await else { panic!("the first flies") };
        assert!(matches!(flights.join(&2).await, Turn::Fly(_)), "another key, another flight");
        let (told, ()) = tokio::join!(flights.join(&1), async { flight.land(7) });
        assert!(matches!(told, Turn::Told(7)));
        assert!(matches!(flights.join(&1).await, Turn::Fly(_)), "who comes later asks anew");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_one_who_gave_up_or_takes_too_long() {
        let flights = Flights::<u8, u32>::new(LEASE);
        let Turn::Fly(flight) = flights.join(&1).await else { panic!("the first flies") };
        let begun = tokio::time::Instant::now();
        assert!(matches!(flights.join(&1).await, Turn::Alone));
        assert_eq!(begun.elapsed(), LEASE);
        let (waited, ()) = tokio::join!(flights.join(&1), async { drop(flight) });
        assert!(matches!(waited, Turn::Alone));
        assert!(flights.under_way.lock().is_empty());
    }
}
