//! The entities a Fluent account holds, as far as a connector touches them.
//!
//! Field names in JSON are Fluent's, so the control endpoint shows what GraphQL shows.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// An entity's number. Fluent writes ids as numeric strings and also accepts plain numbers.
///
/// Zero is no entity's id: in something handed to the simulator it means "give it the next one".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u64);

/// A user account. `roles` name roles by their name; the account may keep grants of roles which are no longer there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct User {
    /// The id which mutations name.
    pub id: Id,
    /// A caller-given reference; empty means "same as the user name".
    #[serde(rename = "ref")]
    pub reference: String,
    /// Unique, and never changed by any mutation.
    pub username: String,
    /// Write-only: never part of an answer.
    #[serde(skip_serializing)]
    pub password: String,
    /// A courtesy title or a job title.
    pub title: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// E-mail address.
    pub primary_email: Option<String>,
    /// Telephone number.
    pub primary_phone: Option<String>,
    /// Any string; `ADMIN`, `RETAILER`, `LOCATION`, `AGENT` and `API` are seen in practice.
    #[serde(rename = "type")]
    pub kind: String,
    /// Any string; `ACTIVE`, `INACTIVE` and `CREATED` are seen in practice.
    pub status: Option<String>,
    /// Free attributes, one per name.
    pub attributes: Vec<Attribute>,
    /// Department.
    pub department: Option<String>,
    /// Country.
    pub country: Option<String>,
    /// An IANA time zone name.
    pub timezone: Option<String>,
    /// A BCP 47 tag with a label.
    pub language: Option<Language>,
    /// Whether the person wants promotions.
    pub promotion_opt_in: Option<bool>,
    /// The retailer the user belongs to.
    pub primary_retailer: Option<Id>,
    /// The location the user belongs to.
    pub primary_location: Option<Id>,
    /// What the user may do, and where.
    pub roles: Vec<UserRole>,
    /// Set by the simulator when the account is first stored.
    pub created_on: Timestamp,
    /// Set by the simulator whenever the account is stored.
    pub updated_on: Timestamp,
}

/// One role of a user with the contexts it holds it in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserRole {
    /// The role's name.
    pub role: String,
    /// Where the role holds.
    pub contexts: Vec<RoleContext>,
}

/// A place in which a role holds: the account, a retailer, or (`AGENT`) a location.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoleContext {
    /// Any string; `ACCOUNT`, `RETAILER` and `AGENT` are seen in practice.
    pub context_type: String,
    /// `0` for the account, else the entity's id.
    #[serde(deserialize_with = "id_text")]
    pub context_id: String,
}

/// A named value of any JSON form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// Unique within its holder.
    pub name: String,
    /// Any string, such as `STRING` or `JSON`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The value.
    pub value: Value,
}

/// A user's language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Language {
    /// A BCP 47 tag.
    pub value: String,
    /// What people see.
    #[serde(default)]
    pub label: Option<String>,
}

/// A role: a named set of permissions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Role {
    /// Shown by GraphQL, used by nothing: roles are named by their name.
    pub id: Id,
    /// Unique.
    pub name: String,
    /// Names like `USER_VIEW`.
    pub permissions: Vec<String>,
}

/// A retailer of the account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Retailer {
    /// The id which `RETAILER` contexts name.
    pub id: Id,
    /// The reference people use.
    #[serde(rename = "ref")]
    pub reference: String,
    /// `ACTIVE` or `INACTIVE`.
    pub status: Option<String>,
    /// The name customers see.
    pub trading_name: Option<String>,
}

/// A location (store, warehouse) of a retailer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Location {
    /// The id which `AGENT` contexts name.
    pub id: Id,
    /// The reference people use.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// `STORE` or `WAREHOUSE`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// `ACTIVE` or `INACTIVE`.
    pub status: Option<String>,
    /// A name for people.
    pub name: Option<String>,
    /// The retailer it belongs to.
    pub retailer: Option<Id>,
}

/// A setting in one context. JSON values are kept in `lob_value`, all others in `value`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Setting {
    /// The id which mutations name.
    pub id: Id,
    /// Unique together with the context.
    pub name: String,
    /// `STRING`, `INTEGER`, `BOOLEAN`, `JSON` or `LOB`.
    pub value_type: Option<String>,
    /// The value of a `JSON` or `LOB` setting.
    pub lob_value: Option<Value>,
    /// The value of any other setting.
    pub value: Option<String>,
    /// `ACCOUNT`, `RETAILER`, `AGENT`, `CUSTOMER` or `GLOBAL`.
    pub context: String,
    /// `0` for the account, else the entity's id.
    pub context_id: i32,
}

// === impl Id ===

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Id {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = id_text(deserializer)?;
        text.parse().map_err(|_| serde::de::Error::custom(format!("`{text}` is not a numeric id")))
    }
}

/// An id which may be given as a string or as a plain number.
fn id_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "an id is a numeric string or a whole number")]
    enum Given {
        Text(String),
        Number(u64),
    }
    Ok(match Given::deserialize(deserializer)? {
        Given::Text(text) => text,
        Given::Number(number) => number.to_string(),
    })
}

// === impl User ===

impl Default for User {
    /// An active account without a name, an id or any role.
    fn default() -> Self {
        Self {
            id: Id::default(),
            reference: String::new(),
            username: String::new(),
            password: String::new(),
            title: None,
            first_name: None,
            last_name: None,
            primary_email: None,
            primary_phone: None,
            kind: "RETAILER".to_owned(),
            status: Some("ACTIVE".to_owned()),
            attributes: Vec::new(),
            department: None,
            country: None,
            timezone: Some("UTC".to_owned()),
            language: None,
            promotion_opt_in: None,
            primary_retailer: None,
            primary_location: None,
            roles: Vec::new(),
            created_on: Timestamp::UNIX_EPOCH,
            updated_on: Timestamp::UNIX_EPOCH,
        }
    }
}

impl User {
    /// Whether the account's status is `ACTIVE`.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status.as_deref() == Some("ACTIVE")
    }

    /// Everything the account holds, one (role, context) pair each, sorted.
    #[must_use]
    pub fn grants(&self) -> Vec<(String, RoleContext)> {
        let mut grants: Vec<_> = self
            .roles
            .iter()
            .flat_map(|held| held.contexts.iter().map(|context| (held.role.clone(), context.clone())))
            .collect();
        grants.sort();
        grants
    }
}

// === impl UserRole ===

impl UserRole {
    /// A role held in the contexts given as (type, id) pairs.
    #[must_use]
    pub fn new(role: &str, contexts: &[(&str, &str)]) -> Self {
        Self { role: role.to_owned(), contexts: contexts.iter().map(|(kind, id)| RoleContext::new(kind, id)).collect() }
    }
}

// === impl RoleContext ===

impl RoleContext {
    /// The context of a type and an id.
    #[must_use]
    pub fn new(context_type: &str, context_id: &str) -> Self {
        Self { context_type: context_type.to_owned(), context_id: context_id.to_owned() }
    }
}
