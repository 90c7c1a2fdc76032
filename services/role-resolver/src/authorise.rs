//! Who may ask, and about which tenant.
//!
//! A part of Rolecall may ask about any tenant. An internal system presents a bearer token of scope `roles:read`; its
//! tenant is the token's, and naming another is refused. What identity-store said of a token is kept for a few seconds,
//! so that a revoked one ends soon everywhere.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use domain::access_token::Presented;
use domain::clock::{Clock, Timestamp};
use domain::id::TenantId;
use domain::token::{FixedToken, Pepper};
use parking_lot::Mutex;
use runtime::error::{Error, Reason};
use runtime::peer::Caller;
use tokio::time::Instant;

use crate::config::Config;
use crate::convert;
use crate::peers::Store;

/// What a good token is good for.
#[derive(Clone, Debug)]
pub(crate) struct Credential {
    /// The tenant it belongs to.
    pub(crate) tenant: TenantId,
    /// Whether its holder may read effective sets.
    pub(crate) reads_roles: bool,
    /// When it ends.
    pub(crate) expires: Timestamp,
}

/// Decides whether a call is allowed.
#[derive(Debug)]
pub(crate) struct Authoriser {
    store: Store,
    clock: Clock,
    verified: Verified,
    fixed: Option<FixedToken>,
}

impl Authoriser {
    /// Asks `store` about tokens and believes what it said for a while, as `config` says.
    pub(crate) fn new(store: Store, clock: Clock, config: &Config, fixed: Option<FixedToken>) -> Self {
        Self { store, clock, verified: Verified::new(config.token_ttl, config.tokens_kept), fixed }
    }

    /// The tenant that `caller`, who names `named`, may ask about.
    pub(crate) async fn tenant(&self, caller: &Caller, named: &str) -> Result<TenantId, Error> {
        let token = match caller {
            Caller::Peer => return convert::tenant(named),
            Caller::Bearer(token) => token.expose(),
            Caller::Anonymous => {
                return Err(Error::new(Reason::UNAUTHENTICATED, "the call carries no bearer token"));
            }
        };
        let Credential { tenant, reads_roles, expires: _ } = self.credential(token).await?;
        if !reads_roles {
            return Err(Error::new(Reason::SCOPE_MISSING, "the token's scopes do not include roles:read"));
        }
        if !named.is_empty() && named != tenant.as_str() {
            return Err(Error::new(
                Reason::TENANT_MISMATCH,
                "the token belongs to another tenant; leave `tenant` empty or name the token's own",
            ));
        }
        Ok(tenant)
    }

    async fn credential(&self, text: &str) -> Result<Credential, Error> {
        if let Some(tenant) = self.fixed.as_ref().and_then(|fixed| fixed.opens(text)) {
            return Ok(Credential { tenant: tenant.clone(), reads_roles: true, expires: Timestamp(i64::MAX) });
        }
        let key = self.verified.key(text);
        if let Some(credential) = self.verified.get(&key, self.clock.now()) {
            return Ok(credential);
        }
        // The checksum refuses junk before anyone is asked.
        if text.parse::<Presented>().is_err() {
            return Err(Error::new(Reason::TOKEN_INVALID, "the bearer token is not valid"));
        }
        // Counted from the question: what is kept is never older than the time it may be kept for.
        let asked = Instant::now();
        let credential = self.store.verify(text).await?;
        self.verified.keep(key, credential.clone(), asked);
        Ok(credential)
    }
}

/// Tokens found good a moment ago. It holds hashes, never tokens.
#[derive(Debug)]
struct Verified {
    pepper: Pepper,
    ttl: Duration,
    capacity: usize,
    kept: Mutex<Kept>,
}

type Key = [u8; 32];

#[derive(Debug, Default)]
struct Kept {
    credentials: HashMap<Key, (Credential, Instant)>,
    /// The keys in the order they were asked about, oldest first; one asked about again is in it twice.
    order: VecDeque<(Key, Instant)>,
}

impl Verified {
    fn new(ttl: Duration, capacity: usize) -> Self {
        let pepper = Pepper::derive(&rand::random::<[u8; 32]>());
        Self { pepper, ttl, capacity, kept: Mutex::default() }
    }

    fn key(&self, token: &str) -> Key {
        *self.pepper.tag(token).as_bytes()
    }

    fn get(&self, key: &Key, now: Timestamp) -> Option<Credential> {
        let kept = self.kept.lock();
        let (credential, asked) = kept.credentials.get(key)?;
        (asked.elapsed() < self.ttl && now < credential.expires).then(|| credential.clone())
    }

    fn keep(&self, key: Key, credential: Credential, asked: Instant) {
        let mut kept = self.kept.lock();
        kept.credentials.insert(key, (credential, asked));
        kept.order.push_back((key, asked));
        while let Some(&(oldest, since)) = kept.order.front() {
            if kept.order.len() <= self.capacity && since.elapsed() < self.ttl {
                break;
            }
            kept.order.pop_front();
            if kept.credentials.get(&oldest).is_some_and(|(_, asked)| *asked == since) {
                kept.credentials.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::clock::Timestamp;
    use domain::token::BearerToken;
    use tokio::time::{Instant, advance};

    use super::{Credential, Verified};

    fn credential() -> Credential {
        Credential { tenant: "acme".parse().unwrap(), reads_roles: true, expires: Timestamp(100) }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_said_of_a_token_is_believed_until_it_is_old_or_the_token_ends() {
        let verified = Verified::new(Duration::from_secs(5), 10);
        let key = verified.key(&BearerToken::generate().expose());
        verified.keep(key, credential(), Instant::now());
        assert!(verified.get(&key, Timestamp(99)).is_some());
        assert!(verified.get(&key, Timestamp(100)).is_none());
        advance(Duration::from_secs(5)).await;
        assert!(verified.get(&key, Timestamp(99)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_kept_than_there_is_room_for() {
        let verified = Verified::new(Duration::from_secs(5), 3);
        let keys: Vec<_> = (0..5).map(|_| verified.key(&BearerToken::generate().expose())).collect();
        for key in &keys {
            verified.keep(*key, credential(), Instant::now());
            advance(Duration::from_millis(1)).await;
        }
        let kept = keys.iter().map(|key| verified.get(key, Timestamp(0)).is_some());
        assert_eq!(kept.collect::<Vec<_>>(), [false, false, true, true, true]);
        assert_eq!(verified.kept.lock().credentials.len(), 3);
    }
}
