//! The simulator in memory: one world behind one lock, with counters to wait on.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::behaviour::Behaviour;
use crate::config::SimConfig;
use crate::faults::{Fault, Faults};
use crate::graphql;
use crate::log::{Log, LogEntry};
use crate::model::User;
use crate::oauth::{Client, Tokens};
use crate::world::World;

/// A simulated account, whether or not a server stands before it. Clones share the account.
#[derive(Clone, Debug)]
pub struct Sim {
    pub(crate) shared: Arc<Shared>,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) account: String,
    pub(crate) client: Client,
    pub(crate) body_limit: usize,
    pub(crate) graphql: graphql::Endpoint,
    pub(crate) stop: CancellationToken,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
    logged: watch::Sender<u64>,
}

/// Everything that changes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) behaviour: Behaviour,
    pub(crate) faults: Faults,
    pub(crate) tokens: Tokens,
    pub(crate) log: Log,
}

// === impl Sim ===

impl Sim {
    /// An account as configured. [`Sim::start`] also serves it.
    #[must_use]
    pub fn new(config: SimConfig) -> Self {
        let SimConfig {
            account,
            client_id,
            client_secret,
            client_user,
            users,
            roles,
            retailers,
            locations,
            settings,
            behaviour,
            log_capacity,
            body_limit,
        } = config;
        let mut world = World::new();
        for role in roles {
            world.put_role(role);
        }
        for retailer in retailers {
            world.put_retailer(retailer);
        }
        for location in locations {
            world.put_location(location);
        }
        for setting in settings {
            world.put_setting(setting);
        }
        for user in users {
            world.put_user(user);
        }
        let changes = watch::Sender::new(world.changes());
        let log = Log::new(log_capacity);
        let state = State { world, behaviour, faults: Faults::default(), tokens: Tokens::default(), log };
        let shared = Shared {
            account,
            client: Client { id: client_id, secret: client_secret, user: client_user },
            body_limit,
            graphql: graphql::Endpoint::new(),
            stop: CancellationToken::new(),
            state: Mutex::new(state),
            changes,
            logged: watch::Sender::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The user of that name, as it is now.
    #[must_use]
    pub fn user(&self, username: &str) -> Option<User> {
        self.read(|world| world.user(username).map(|user| (**user).clone()))
    }

    /// Looks at the account.
    pub fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.shared.state.lock().world)
    }

    /// Changes the account behind the back of whoever uses it.
    pub fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        self.with(|state| change(&mut state.world))
    }

    /// Waits until the account fulfils a condition, which is looked at now and after every change. For ever, if need
    /// be: callers bound it with a timeout of theirs.
    pub async fn wait(&self, mut condition: impl FnMut(&World) -> bool) {
        let mut changes = self.shared.changes.subscribe();
        while !self.read(&mut condition) {
            // The sender lives as long as `self`.
            let _ = changes.changed().await;
        }
    }

    /// Waits until the user of that name is there and fulfils a condition; returns that user.
    pub async fn wait_for_user(&self, username: &str, mut condition: impl FnMut(&User) -> bool) -> User {
        let mut found = None;
        self.wait(|world| {
            found = world.user(username).filter(|user| condition(user)).map(|user| (**user).clone());
            found.is_some()
        })
        .await;
        found.unwrap_or_default()
    }

    /// The number of changes so far; see [`Sim::wait_past`].
    #[must_use]
    pub fn changes(&self) -> u64 {
        *self.shared.changes.borrow()
    }

    /// Waits until there are more than `after` changes; returns how many there are.
    pub async fn wait_past(&self, after: u64) -> u64 {
        past(&self.shared.changes, after).await
    }

    /// The remembered requests after number `after`, oldest first.
    #[must_use]
    pub fn log_since(&self, after: u64) -> Vec<LogEntry> {
        self.shared.state.lock().log.since(after)
    }

    /// The number of the latest request.
    #[must_use]
    pub fn last_logged(&self) -> u64 {
        *self.shared.logged.borrow()
    }

    /// Waits until a request after number `after` fulfils a condition; returns it. For ever, if need be.
    pub async fn wait_for_request(&self, after: u64, mut condition: impl FnMut(&LogEntry) -> bool) -> LogEntry {
        let mut after = after;
        loop {
            past(&self.shared.logged, after).await;
            for entry in self.log_since(after) {
                after = entry.seq;
                if condition(&entry) {
                    return entry;
                }
            }
            // A clear may have emptied the log behind the counter.
            after = after.max(self.last_logged());
        }
    }

    /// Waits until there is a request after number `after`; returns all of them.
    pub async fn wait_log(&self, after: u64) -> Vec<LogEntry> {
        past(&self.shared.logged, after).await;
        self.log_since(after)
    }

    /// Forgets the remembered requests; numbers go on.
    pub fn clear_log(&self) {
        self.with(|state| state.log.clear());
    }

    /// Queues a fault.
    pub fn fault(&self, fault: Fault) {
        self.with(|state| state.faults.push(fault));
    }

    /// The faults that wait to be played.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        self.shared.state.lock().faults.queued().to_vec()
    }

    /// Drops all faults.
    pub fn clear_faults(&self) {
        self.with(|state| state.faults.clear());
    }

    /// The switches as they are.
    #[must_use]
    pub fn behaviour(&self) -> Behaviour {
        self.shared.state.lock().behaviour.clone()
    }

    /// Changes switches.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        self.with(|state| change(&mut state.behaviour));
    }

    /// Makes all tokens invalid, as if they had expired.
    pub fn expire_tokens(&self) {
        self.with(|state| state.tokens.clear());
    }

    /// One critical section; whoever waits for a change or a log entry made in it is woken after it.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.shared.state.lock();
        let result = act(&mut state);
        let (changes, logged) = (state.world.changes(), state.log.last());
        drop(state);
        raise(&self.shared.changes, changes);
        raise(&self.shared.logged, logged);
        result
    }
}

/// Sections may end in another order than they ran in: counters only go up.
fn raise(counter: &watch::Sender<u64>, value: u64) {
    counter.send_if_modified(|current| {
        let is_higher = *current < value;
        *current = (*current).max(value);
        is_higher
    });
}

async fn past(counter: &watch::Sender<u64>, after: u64) -> u64 {
    let mut counter = counter.subscribe();
    match counter.wait_for(|current| *current > after).await {
        Ok(current) => *current,
        // The sender is borrowed, so it lives.
        Err(_) => after,
    }
}
