//! What a simulated account starts with.

use crate::behaviour::Behaviour;
use crate::catalogue;
use crate::model::{Id, Location, Retailer, Role, Setting, User, UserRole};

/// The account, its client, its first contents and its switches.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// The account's id. A request which names another one in the header `fluent.account` is refused.
    pub account: String,
    /// The OAuth client's id.
    pub client_id: String,
    /// The OAuth client's secret.
    pub client_secret: String,
    /// The user name for whom `client_credentials` grants speak.
    pub client_user: String,
    /// The accounts that stand there at the start. Those who sign in need a password.
    pub users: Vec<User>,
    /// The roles.
    pub roles: Vec<Role>,
    /// The retailers.
    pub retailers: Vec<Retailer>,
    /// The locations.
    pub locations: Vec<Location>,
    /// The settings.
    pub settings: Vec<Setting>,
    /// The switches.
    pub behaviour: Behaviour,
    /// How many requests the log remembers.
    pub log_capacity: usize,
    /// The largest request body served, in bytes; above it the answer is 413.
    pub body_limit: usize,
}

// === impl SimConfig ===

impl SimConfig {
    /// The account `DEV` with a small believable catalogue.
    ///
    /// Client `DEV` / `dev-secret`; the API user `rolecall` / `dev-password`, type `API`, holds `ADMIN` on the account.
    #[must_use]
    pub fn dev() -> Self {
        let api_user = User {
            id: Id(1),
            username: "rolecall".to_owned(),
            password: "dev-password".to_owned(),
            first_name: Some("Rolecall".to_owned()),
            primary_email: Some("rolecall@dev.example".to_owned()),
            kind: "API".to_owned(),
            primary_retailer: Some(catalogue::FIRST_RETAILER),
            roles: vec![UserRole::new("ADMIN", &[("ACCOUNT", "0")])],
            ..User::default()
        };
        Self {
            account: "DEV".to_owned(),
            client_id: "DEV".to_owned(),
            client_secret: "dev-secret".to_owned(),
            client_user: api_user.username.clone(),
            users: vec![api_user],
            roles: catalogue::roles(),
            retailers: catalogue::retailers(),
            locations: catalogue::locations(),
            settings: Vec::new(),
            behaviour: Behaviour::default(),
            log_capacity: 100_000,
            body_limit: 2 * 1024 * 1024,
        }
    }
}
