//! An account as Fluent shows it: what the plan compares, without anything of how it is read or sent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use domain::grant::Grant;
use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};

/// An account's standing. Fluent keeps it as free text; two values mean something to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// `ACTIVE`: its bearer may sign in.
    Active,
    /// `INACTIVE`: nobody may sign in with it.
    Inactive,
    /// Any other text, such as `CREATED`, or none. It is neither of the two, so it is never what is wanted.
    Other(String),
}

impl Status {
    /// As Fluent spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
            Self::Other(text) => text,
        }
    }
}

impl From<&str> for Status {
    fn from(text: &str) -> Self {
        match text {
            "ACTIVE" => Self::Active,
            "INACTIVE" => Self::Inactive,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Where a role holds. Fluent does not restrict the type, and an account may hold types Rolecall never gives, which must
/// still be named to be taken away. So both are texts here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Context {
    /// `ACCOUNT`, `RETAILER`, `AGENT`, or anything else Fluent shows.
    pub kind: String,
    /// The id; `0` for the account.
    pub id: String,
}

impl Serialize for Context {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("contextType", &self.kind)?;
        map.serialize_entry("contextId", &self.id)?;
        map.end()
    }
}

/// Roles, each with the contexts it holds in. No role stands here without a context: Fluent knows no such assignment.
///
/// It serialises as Fluent's `[UserRoleInput]` and `[UserRoleKey]`, which have the same shape.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Roles(BTreeMap<String, BTreeSet<Context>>);

impl Roles {
    /// Adds one role in one context.
    pub fn insert(&mut self, role: &str, context: Context) {
        match self.0.get_mut(role) {
            Some(contexts) => {
                contexts.insert(context);
            }
            None => {
                self.0.insert(role.to_owned(), BTreeSet::from([context]));
            }
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many (role, context) pairs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }

    /// Whether the role holds in the context.
    #[must_use]
    pub fn contains(&self, role: &str, context: &Context) -> bool {
        self.0.get(role).is_some_and(|contexts| contexts.contains(context))
    }

    /// Every role with its contexts, in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &BTreeSet<Context>)> {
        self.0.iter().map(|(role, contexts)| (role.as_str(), contexts))
    }

    /// Every (role, context) pair, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &Context)> {
        self.iter().flat_map(|(role, contexts)| contexts.iter().map(move |context| (role, context)))
    }

    /// What is here and not in `other`.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.filtered(|role, context| !other.contains(role, context))
    }

    /// What is both here and in `other`.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        self.filtered(|role, context| other.contains(role, context))
    }

    /// The roles of which `missing` names any context, each with all the contexts it has here.
    #[must_use]
    pub fn whole_roles_of(&self, missing: &Self) -> Self {
        let wanted = self.0.iter().filter(|(role, _)| missing.0.contains_key(*role));
        Self(wanted.map(|(role, contexts)| (role.clone(), contexts.clone())).collect())
    }

    fn filtered(&self, keep: impl Fn(&str, &Context) -> bool) -> Self {
        self.pairs().filter(|(role, context)| keep(role, context)).collect()
    }
}

impl<'a> FromIterator<(&'a str, &'a Context)> for Roles {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a Context)>>(pairs: I) -> Self {
        let mut roles = Self::default();
        for (role, context) in pairs {
            roles.insert(role, context.clone());
        }
        roles
    }
}

impl<'a> FromIterator<&'a Grant> for Roles {
    fn from_iter<I: IntoIterator<Item = &'a Grant>>(grants: I) -> Self {
        let mut roles = Self::default();
        for Grant { role, context_type, context_id } in grants {
            roles.insert(role, Context { kind: context_type.as_str().to_owned(), id: context_id.to_string() });
        }
        roles
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.pairs().map(|(role, context)| format!("{role}@{}:{}", context.kind, context.id)))
            .finish()
    }
}

impl Serialize for Roles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Role<'a> {
            role: Name<'a>,
            contexts: &'a BTreeSet<Context>,
        }
        #[derive(serde::Serialize)]
        struct Name<'a> {
            name: &'a str,
        }
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for (name, contexts) in self.iter() {
            list.serialize_element(&Role { role: Name { name }, contexts })?;
        }
        list.end()
    }
}

/// What is personal about an account. A field that is `None` is not known, or not to be written.
#[derive(Clone, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// Job title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// Family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// E-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_email: Option<String>,
    /// Telephone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_phone: Option<String>,
    /// Department.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// Country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Time zone, by its IANA name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Language, a BCP 47 tag. Fluent wraps it in an object.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "language")]
    pub language: Option<String>,
}

impl Profile {
    /// The fields of `wanted` that are known and differ from what stands here.
    #[must_use]
    pub fn changes_to(&self, wanted: &Self) -> Self {
        let differs = |now: &Option<String>, then: &Option<String>| then.clone().filter(|_| then != now);
        Self {
            title: differs(&self.title, &wanted.title),
            first_name: differs(&self.first_name, &wanted.first_name),
            last_name: differs(&self.last_name, &wanted.last_name),
            primary_email: differs(&self.primary_email, &wanted.primary_email),
            primary_phone: differs(&self.primary_phone, &wanted.primary_phone),
            department: differs(&self.department, &wanted.department),
            country: differs(&self.country, &wanted.country),
            timezone: differs(&self.timezone, &wanted.timezone),
            language: differs(&self.language, &wanted.language),
        }
    }

    /// Whether no field is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Profile(…)")
    }
}

#[expect(clippy::ref_option, reason = "serde passes the field as it is")]
fn language<S: Serializer>(language: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry("value", language.as_deref().unwrap_or_default())?;
    map.end()
}

/// An account as Fluent answered it.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Fluent's id.
    pub id: String,
    /// The user name, exactly as Fluent keeps it. It never changes.
    pub username: String,
    /// The type, free text. `API` marks a machine's account.
    pub kind: String,
    /// The standing.
    pub status: Status,
    /// What is personal.
    pub profile: Profile,
    /// What it holds.
    pub roles: Roles,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, username: _, kind, status, profile: _, roles } = self;
        f.debug_struct("Account")
            .field("id", id)
            .field("kind", kind)
            .field("status", status)
            .field("roles", roles)
            .finish_non_exhaustive()
    }
}
