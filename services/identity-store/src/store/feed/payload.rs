//! What an entry says, as the database keeps it: a kind and a JSON text.

use domain::id::MemberId;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::model::{Change, Touched, UserState};

#[derive(Serialize, Deserialize)]
struct UserPayload {
    id: String,
    name: String,
    exists: bool,
    active: bool,
    access: bool,
}

#[derive(Serialize, Deserialize)]
struct MembersPayload {
    group: String,
    added_users: Vec<String>,
    added_groups: Vec<String>,
    removed_users: Vec<String>,
    removed_groups: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct GroupPayload {
    group: String,
    exists: bool,
}

#[derive(Serialize, Deserialize)]
struct NamesPayload {
    roles: Vec<String>,
    retailers: Vec<String>,
    locations: Vec<String>,
    #[serde(default)]
    accounts: Vec<String>,
}

/// Kind and payload.
pub(super) fn to_db(change: &Change) -> (&'static str, String) {
    match change {
        Change::User { user, access_changed } => {
            let UserState { id, user_name, exists, active } = user;
            let payload = UserPayload {
                id: id.to_string(),
                name: user_name.clone(),
                exists: *exists,
                active: *active,
                access: *access_changed,
            };
            ("user", json(&payload))
        }
        Change::Members { group, added, removed } => {
            let payload = MembersPayload {
                group: group.to_string(),
                added_users: users(added),
                added_groups: groups(added),
                removed_users: users(removed),
                removed_groups: groups(removed),
            };
            ("members", json(&payload))
        }
        Change::Group { group, exists } => ("group", json(&GroupPayload { group: group.to_string(), exists: *exists })),
        Change::Rules(touched) => ("rules", names(touched)),
        Change::Catalogue(touched) => ("catalogue", names(touched)),
        Change::Settings(touched) => ("settings", names(touched)),
    }
}

pub(super) fn from_db(kind: &str, payload: &str) -> Result<Change, Failure> {
    Ok(match kind {
        "user" => {
            let UserPayload { id, name, exists, active, access } = parse(payload)?;
            let user = UserState { id: id.parse()?, user_name: name, exists, active };
            Change::User { user, access_changed: access }
        }
        "members" => {
            let MembersPayload { group, added_users, added_groups, removed_users, removed_groups } = parse(payload)?;
            Change::Members {
                group: group.parse()?,
                added: members(&added_users, &added_groups)?,
                removed: members(&removed_users, &removed_groups)?,
            }
        }
        "group" => {
            let GroupPayload { group, exists } = parse(payload)?;
            Change::Group { group: group.parse()?, exists }
        }
        "rules" => Change::Rules(touched(payload)?),
        "catalogue" => Change::Catalogue(touched(payload)?),
        "settings" => Change::Settings(touched(payload)?),
        _ => {
            tracing::error!(kind, "the feed holds an entry of an unknown kind");
            return Err(Failure::Internal);
        }
    })
}

/// No text at all stands for everything.
fn names(touched: &Touched) -> String {
    let Touched::Names { roles, retailers, locations, accounts } = touched else { return String::new() };
    let [roles, retailers, locations, accounts] = [roles, retailers, locations, accounts].map(Clone::clone);
    json(&NamesPayload { roles, retailers, locations, accounts })
}

fn touched(payload: &str) -> Result<Touched, Failure> {
    if payload.is_empty() {
        return Ok(Touched::Everything);
    }
    let NamesPayload { roles, retailers, locations, accounts } = parse(payload)?;
    Ok(Touched::Names { roles, retailers, locations, accounts })
}

fn users(members: &[MemberId]) -> Vec<String> {
    members.iter().filter_map(|m| if let MemberId::User(id) = m { Some(id.to_string()) } else { None }).collect()
}

fn groups(members: &[MemberId]) -> Vec<String> {
    members.iter().filter_map(|m| if let MemberId::Group(id) = m { Some(id.to_string()) } else { None }).collect()
}

fn members(users: &[String], groups: &[String]) -> Result<Vec<MemberId>, Failure> {
    let users = users.iter().map(|id| Ok(MemberId::User(id.parse()?)));
    users.chain(groups.iter().map(|id| Ok(MemberId::Group(id.parse()?)))).collect()
}

fn json(payload: &impl Serialize) -> String {
    serde_json::to_string(payload).unwrap_or_default()
}

fn parse<'a, T: Deserialize<'a>>(payload: &'a str) -> Result<T, Failure> {
    serde_json::from_str(payload).map_err(|error| {
        tracing::error!(%error, "the feed holds an entry that can't be read");
        Failure::Internal
    })
}
