//! The simulated Fluent, seen over its control endpoint, so that both shapes of the family are looked at alike.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use reqwest::Client;
use serde_json::{Value, json};

use crate::eventually;

/// A simulated Fluent account somewhere.
#[derive(Clone, Debug)]
pub struct Fluent {
    url: String,
    client: Client,
}

/// An account as Fluent holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Fluent's id.
    pub id: String,
    /// `ACTIVE` or `INACTIVE`.
    pub status: String,
    /// Its grants, each as `ROLE in TYPE ID`.
    pub grants: BTreeSet<String>,
    /// All of it, as the simulator shows it.
    pub raw: Value,
}

impl Account {
    /// Whether it is active and holds exactly these grants.
    #[must_use]
    pub fn works_as(&self, grants: &[&str]) -> bool {
        self.status == "ACTIVE" && self.grants == grants.iter().map(ToString::to_string).collect()
    }

    /// Whether it is inactive and holds nothing.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.status == "INACTIVE" && self.grants.is_empty()
    }

    fn read(raw: Value) -> Self {
        let mut grants = BTreeSet::new();
        for role in raw["roles"].as_array().into_iter().flatten() {
            for context in role["contexts"].as_array().into_iter().flatten() {
                let id = &context["contextId"];
                let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
                let name = role["role"]["name"].as_str().or_else(|| role["role"].as_str()).unwrap_or("?");
                grants.insert(format!("{name} in {} {id}", context["contextType"].as_str().unwrap_or("?")));
            }
        }
        let id = &raw["id"];
        Self {
            id: id.as_str().map_or_else(|| id.to_string(), str::to_owned),
            status: raw["status"].as_str().unwrap_or_default().to_owned(),
            grants,
            raw,
        }
    }
}

impl Fluent {
    /// The simulator at this address.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self { url: url.trim_end_matches('/').into(), client: Client::new() }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The account of that name, if there is one.
    pub async fn account(&self, name: &str) -> Result<Option<Account>> {
        let answer = self.client.get(self.path(&["users", name])?).send().await?;
        if answer.status() == 404 {
            return Ok(None);
        }
        Ok(Some(Account::read(answer.error_for_status()?.json().await?)))
    }

    /// All accounts, by name.
    pub async fn accounts(&self) -> Result<BTreeMap<String, Account>> {
        let state: Value = self.client.get(self.path(&["state"])?).send().await?.error_for_status()?.json().await?;
        let users = state["users"].as_array().context("the state lists users")?;
        let named = |raw: &Value| {
            let name = raw["username"].as_str().unwrap_or_default().to_owned();
            (name, Account::read(raw.clone()))
        };
        Ok(users.iter().map(named).collect())
    }

    /// Waits until the account of that name fulfils a condition.
    pub async fn until(&self, name: &str, what: &str, mut is: impl FnMut(&Account) -> bool) -> Result<Account> {
        let mut last = None;
        let found = eventually(what, async || {
            let account = self.account(name).await.ok().flatten();
            last.clone_from(&account);
            account.filter(|account| is(account))
        });
        found.await.with_context(|| format!("{name} in Fluent: {last:?}"))
    }

    /// Waits until the account works with exactly these grants.
    pub async fn until_works(&self, name: &str, grants: &[&str]) -> Result<Account> {
        self.until(name, &format!("{name} holds exactly {grants:?}"), |account| account.works_as(grants)).await
    }

    /// Waits until the account is inactive and holds nothing.
    pub async fn until_gone(&self, name: &str) -> Result<Account> {
        self.until(name, &format!("{name} is inactive and holds nothing"), Account::is_gone).await
    }

    /// Puts an account there that Rolecall knows nothing of.
    pub async fn put_account(&self, account: &Value) -> Result<()> {
        self.control(reqwest::Method::POST, &["users"], account).await
    }

    /// Queues faults.
    pub async fn fault(&self, fault: &Value) -> Result<()> {
        self.control(reqwest::Method::POST, &["faults"], fault).await
    }

    /// Drops all faults.
    pub async fn clear_faults(&self) -> Result<()> {
        self.control(reqwest::Method::DELETE, &["faults"], &Value::Null).await
    }

    /// Sets switches.
    pub async fn behave(&self, behaviour: &Value) -> Result<()> {
        self.control(reqwest::Method::PUT, &["behaviour"], behaviour).await
    }

    /// Adds a role to the catalogue.
    pub async fn put_role(&self, name: &str) -> Result<()> {
        self.control(reqwest::Method::PUT, &["roles", name], &json!({})).await
    }

    /// Takes a role out of the catalogue.
    pub async fn remove_role(&self, name: &str) -> Result<()> {
        self.control(reqwest::Method::DELETE, &["roles", name], &Value::Null).await
    }

    /// Puts a setting there, as the simulator shows one.
    pub async fn put_setting(&self, id: u64, setting: &Value) -> Result<()> {
        self.control(reqwest::Method::PUT, &["settings", &id.to_string()], setting).await
    }

    /// Takes a setting away.
    pub async fn remove_setting(&self, id: u64) -> Result<()> {
        self.control(reqwest::Method::DELETE, &["settings", &id.to_string()], &Value::Null).await
    }

    /// The requests the simulator has seen after number `after`.
    pub async fn log(&self, after: u64) -> Result<Vec<Value>> {
        self.read_log(&format!("after={after}")).await
    }

    /// The same, but waits a while until there is one.
    pub async fn next_log(&self, after: u64) -> Result<Vec<Value>> {
        self.read_log(&format!("after={after}&wait_ms=5000")).await
    }

    async fn read_log(&self, query: &str) -> Result<Vec<Value>> {
        let url = format!("{}/_sim/log?{query}", self.url);
        let body: Value = self.client.get(url).send().await?.error_for_status()?.json().await?;
        let entries = body.as_array().or_else(|| body["entries"].as_array()).context("the log is a list")?;
        Ok(entries.clone())
    }

    /// The number of the newest request.
    pub async fn log_head(&self) -> Result<u64> {
        Ok(self.log(0).await?.last().and_then(|entry| entry["seq"].as_u64()).unwrap_or(0))
    }

    async fn control(&self, method: reqwest::Method, path: &[&str], body: &Value) -> Result<()> {
        let answer = self.client.request(method, self.path(path)?).json(body).send().await?;
        let status = answer.status();
        ensure!(status.is_success(), "the simulator answers {status}: {}", answer.text().await?);
        Ok(())
    }

    fn path(&self, segments: &[&str]) -> Result<reqwest::Url> {
        let mut url = reqwest::Url::parse(&format!("{}/_sim", self.url))?;
        url.path_segments_mut().ok().context("a base URL")?.extend(segments);
        Ok(url)
    }
}
