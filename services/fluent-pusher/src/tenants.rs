//! The tenants' Fluent accounts: read from a mounted folder, one file each, and read again when something changed. No
//! database ever holds them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::clock::Clock;
use domain::fold::fold;
use domain::grant::ContextType;
use domain::id::TenantId;
use parking_lot::RwLock;
use runtime::config::{ConfigErrors, Problems, Secret, Validate};
use serde::Deserialize;
use tokio::sync::Notify;

use crate::account::Roles;
use crate::breaker::Breaker;
use crate::fluent::{Access, Client, Http, RootUrl};
use crate::outbox::Outbox;
use crate::rules::RulesSetting;

/// One tenant's file: `<folder>/<tenant>.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantFile {
    /// The root of its API, for example `https://acme.api.fluentretail.com`.
    pub url: Option<RootUrl>,
    /// The account's id.
    pub account: String,
    /// The OAuth client; the account's id if it is left out.
    pub client_id: Option<String>,
    /// The OAuth client's secret.
    pub client_secret: Option<Secret>,
    /// The user Rolecall signs in as.
    pub username: String,
    /// That user's password.
    pub password: Option<Secret>,
    /// The time zone of new accounts whose users have none; `UTC` if it is left out.
    pub timezone: Option<String>,
    /// The type of new accounts.
    pub user_types: UserTypes,
    /// User names that Rolecall never pushes to, beside the one it signs in with.
    pub protected: Vec<String>,
    /// Where Fluent's own setting of role rules is.
    pub rules: RulesSetting,
}

/// The type of a new account, by the widest context it holds a role in. Fluent takes any text; roles decide access.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserTypes {
    /// For one who holds a role on the account.
    pub account: String,
    /// For one who holds a role on a retailer, and none wider.
    pub retailer: String,
    /// For one who holds roles on locations alone.
    pub agent: String,
}

impl Default for UserTypes {
    fn default() -> Self {
        Self { account: "ADMIN".to_owned(), retailer: "RETAILER".to_owned(), agent: "LOCATION".to_owned() }
    }
}

impl UserTypes {
    /// The type for one who shall hold `roles`.
    #[must_use]
    pub fn of(&self, roles: &Roles) -> &str {
        let holds = |kind: ContextType| roles.pairs().any(|(_, context)| context.kind == kind.as_str());
        if holds(ContextType::Account) {
            &self.account
        } else if holds(ContextType::Retailer) {
            &self.retailer
        } else {
            &self.agent
        }
    }
}

impl Validate for TenantFile {
    fn validate(&self, problems: &mut Problems) {
        problems.require(self.url.is_some(), "url", "it is missing", "https://ACCOUNT.api.fluentretail.com");
        let header = http::HeaderValue::try_from(self.account.as_str()).is_ok();
        problems.require(!self.account.is_empty() && header, "account", "it is missing or odd", "the account's id");
        problems.require(!self.username.is_empty(), "username", "it is missing", "the user Rolecall signs in as");
        problems.require(self.client_secret.is_some(), "client_secret", "it is missing", "{ file = \"…\" }");
        problems.require(self.password.is_some(), "password", "it is missing", "{ file = \"…\" }");
        let short = self.timezone.as_ref().is_none_or(|zone| (1..=32).contains(&zone.len()));
        let named = !self.rules.setting.is_empty() && !self.rules.context.is_empty();
        problems.require(
            named,
            "rules",
            "its setting or context is empty",
            "the name of Fluent's setting, \"ACCOUNT\"",
        );
        problems.require(short, "timezone", "Fluent does not take it", "an IANA name such as \"Australia/Sydney\"");
    }
}

/// One tenant, as the pusher works with it.
pub struct Tenant {
    /// Its name.
    pub id: TenantId,
    /// Its Fluent.
    pub fluent: Client,
    /// Which that is: its URL and account. What is known of accounts is known of this one alone.
    pub place: String,
    /// The time zone of new accounts.
    pub timezone: String,
    /// The type of new accounts.
    pub user_types: UserTypes,
    /// Where its own setting of role rules is.
    pub rules: RulesSetting,
    /// Folded user names that nothing is ever sent to.
    protected: BTreeSet<String>,
    /// Whether its Fluent is to be left alone for a while.
    pub breaker: Breaker,
    /// Rung when there is work.
    pub work: Notify,
    /// Outcomes that identity-store is to be told.
    pub(crate) outbox: Outbox,
    /// Rung when a read of the catalogue is wanted.
    pub catalogue: Notify,
    fingerprint: u64,
}

impl Tenant {
    /// Whether nothing may ever be sent to the account of this folded name.
    #[must_use]
    pub fn protects(&self, account: &str) -> bool {
        self.protected.contains(account)
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenant").field("id", &self.id).finish_non_exhaustive()
    }
}

/// All tenants, as they now are. Clones are the same.
#[derive(Clone, Debug)]
pub struct Tenants(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: Option<PathBuf>,
    http: Http,
    clock: Clock,
    hasher: RandomState,
    current: RwLock<BTreeMap<TenantId, Arc<Tenant>>>,
    changed: Notify,
}

impl Tenants {
    /// The tenants of a folder; of none, those given to [`Self::put`].
    #[must_use]
    pub fn new(folder: Option<PathBuf>, http: Http, clock: Clock) -> Self {
        let (hasher, current, changed) = (RandomState::new(), RwLock::default(), Notify::new());
        Self(Arc::new(Inner { folder, http, clock, hasher, current, changed }))
    }

    /// The tenant of that name.
    #[must_use]
    pub fn get(&self, id: &TenantId) -> Option<Arc<Tenant>> {
        self.0.current.read().get(id).cloned()
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Tenant>> {
        self.0.current.read().values().cloned().collect()
    }

    /// Completes when the set, or one of them, has changed since the last call.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Puts one tenant in, or in the place of what bore its name. One that is the same stays as it is.
    pub fn put(&self, id: TenantId, file: TenantFile) -> Result<(), ConfigErrors> {
        let fingerprint = self.0.hasher.hash_one(identity(&file));
        if self.get(&id).is_some_and(|tenant| tenant.fingerprint == fingerprint) {
            return Ok(());
        }
        let tenant = self.build(id.clone(), file, fingerprint)?;
        self.0.current.write().insert(id, Arc::new(tenant));
        self.0.changed.notify_one();
        Ok(())
    }

    /// Reads the folder again. A file that can't be read or is wrong is reported, and its tenant stays as it was; a file
    /// that is gone takes its tenant with it.
    pub fn reload(&self) -> std::io::Result<Vec<(TenantId, ConfigErrors)>> {
        let Some(folder) = &self.0.folder else { return Ok(Vec::new()) };
        let files = files(folder)?;
        let mut wrong = Vec::new();
        for (id, path) in &files {
            let read = runtime::config::load::<TenantFile>(Some(path), "", []);
            if let Err(errors) = read.and_then(|file| self.put(id.clone(), file)) {
                wrong.push((id.clone(), errors));
            }
        }
        let mut current = self.0.current.write();
        let before = current.len();
        current.retain(|id, _| files.contains_key(id));
        if current.len() < before {
            self.0.changed.notify_one();
        }
        Ok(wrong)
    }

    fn build(&self, id: TenantId, file: TenantFile, fingerprint: u64) -> Result<Tenant, ConfigErrors> {
        let mut problems = Problems::default();
        file.validate(&mut problems);
        let TenantFile {
            url,
            account,
            client_id,
            client_secret,
            username,
            password,
            timezone,
            user_types,
            protected,
            rules,
        } = file;
        let (Some(url), Some(client_secret), Some(password), true) =
            (url, client_secret, password, problems.is_empty())
        else {
            return Err(problems.into_errors());
        };
        let protected = protected.iter().chain([&username]).map(|name| fold(name)).collect();
        let client_id = client_id.unwrap_or_else(|| account.clone());
        let place = format!("{url} {account}");
        let access = Access { url, account, client_id, client_secret, username, password };
        Ok(Tenant {
            id,
            fluent: Client::new(access, self.0.http.clone(), self.0.clock.clone()),
            place,
            timezone: timezone.unwrap_or_else(|| "UTC".to_owned()),
            user_types,
            rules,
            protected,
            breaker: Breaker::default(),
            work: Notify::new(),
            outbox: Outbox::default(),
            catalogue: Notify::new(),
            fingerprint,
        })
    }
}

/// `<tenant>.toml` of the folder. Anything else in it is passed over, as mounted secrets come with links of their own.
fn files(folder: &Path) -> std::io::Result<HashMap<TenantId, PathBuf>> {
    let mut files = HashMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let (Some("toml"), Some(id)) = (path.extension().and_then(|end| end.to_str()), stem) {
            files.insert(id, path);
        }
    }
    Ok(files)
}

/// Everything that makes a tenant what it is, secrets included: a rotated secret file makes it another. Only a hash of
/// it under a random key is kept.
fn identity(file: &TenantFile) -> impl std::hash::Hash + '_ {
    let TenantFile {
        url,
        account,
        client_id,
        client_secret,
        username,
        password,
        timezone,
        user_types,
        protected,
        rules,
    } = file;
    (
        url.as_ref().map(ToString::to_string),
        (account, client_id, client_secret.as_ref().map(Secret::expose)),
        (username, password.as_ref().map(Secret::expose)),
        (timezone, user_types, protected, rules),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenants(folder: &Path) -> Tenants {
        Tenants::new(Some(folder.to_owned()), Http::new().unwrap(), Clock::System)
    }

    fn write(folder: &Path, name: &str, text: &str) {
        std::fs::write(folder.join(name), text).unwrap();
    }

    const GOOD: &str = "url = 'https://acme.example'\naccount = 'ACME'\nusername = 'Rolecall'\nprotected = ['Boss']\n\
                        client_secret = { env = 'CARGO_PKG_NAME' }\npassword = { file = 'PASSWORD' }\n";

    #[test]
    fn the_folder_is_followed_and_a_bad_file_takes_nothing_away() {
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("password");
        std::fs::write(&password, "one").unwrap();
        let good = GOOD.replace("PASSWORD", password.to_str().unwrap());
        write(folder.path(), "acme.toml", &good);
        write(folder.path(), "..data", "");
        let tenants = tenants(folder.path());
        assert!(tenants.reload().unwrap().is_empty());
        let acme: TenantId = "acme".parse().unwrap();
        let first = tenants.get(&acme).unwrap();
        assert!(first.protects("rolecall") && first.protects("boss") && !first.protects("ada"));

        tenants.reload().unwrap();
        assert!(Arc::ptr_eq(&first, &tenants.get(&acme).unwrap()), "unchanged: the same client and token");

        std::fs::write(&password, "two").unwrap();
        tenants.reload().unwrap();
        let second = tenants.get(&acme).unwrap();
        assert!(!Arc::ptr_eq(&first, &second), "a rotated secret makes a new client");

        write(folder.path(), "acme.toml", "account = 'ACME'");
        let wrong = tenants.reload().unwrap();
        assert_eq!(wrong.len(), 1);
        assert!(Arc::ptr_eq(&second, &tenants.get(&acme).unwrap()));

        std::fs::remove_file(folder.path().join("acme.toml")).unwrap();
        tenants.reload().unwrap();
        assert!(tenants.get(&acme).is_none());
    }
}
