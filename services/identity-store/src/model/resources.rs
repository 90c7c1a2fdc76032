//! Users and groups, as they are read and written.

use domain::clock::Timestamp;
use domain::grant::Grant;
use domain::id::{GroupId, UserId};
use domain::revision::{Position, Revision};

/// On whose behalf a change is made, for the audit trail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// The public id of the token presented; empty for a part of Rolecall acting by itself.
    pub token_id: String,
    /// The id of the request that caused the change.
    pub request_id: String,
}

/// A stored user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The SCIM resource without what the server owns, as JSON.
    pub document: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub modified_at: Timestamp,
    /// The revision that last changed it.
    pub version: Revision,
    /// What became of it in Fluent, as last reported.
    pub outcome: Option<Outcome>,
    /// The groups it is in, direct ones first; empty where they were not asked for.
    pub groups: Vec<UserGroup>,
}

/// A group a user is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserGroup {
    /// The group.
    pub id: GroupId,
    /// Its name.
    pub display_name: String,
    /// Whether the user is a member of the group itself, and not only of one within it.
    pub direct: bool,
}

/// What the pusher made of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How the user stands.
    pub state: State,
    /// Why.
    pub reasons: Vec<String>,
    /// The account's id in Fluent; empty where there is none.
    pub fluent_user_id: String,
    /// When Fluent was last made equal; zero for never.
    pub pushed_at: Timestamp,
    /// What Fluent then held.
    pub effective_roles: Vec<Grant>,
    /// The revision the push was made for.
    pub revision: Revision,
}

/// How a user stands in Fluent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A push is due.
    Pending,
    /// Fluent holds exactly the effective set.
    Provisioned,
    /// The account is inactive and holds nothing, or there is none.
    Inactive,
    /// Given nothing new until a reason goes away.
    Held,
    /// Pushing failed for good.
    Failed,
}

impl State {
    /// Every state, with its name in SCIM and in the database.
    pub const NAMES: [(Self, &'static str); 5] = [
        (Self::Pending, "pending"),
        (Self::Provisioned, "provisioned"),
        (Self::Inactive, "inactive"),
        (Self::Held, "held"),
        (Self::Failed, "failed"),
    ];

    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    /// The state of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(state, _)| *state)
    }
}

/// A stored group, without its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// The SCIM resource without members and what the server owns, as JSON.
    pub document: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed, members included.
    pub modified_at: Timestamp,
    /// The revision that last changed it, members included.
    pub version: Revision,
    /// How many direct members it has.
    pub member_count: u64,
}

/// What was read, and the state of the store it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read<T> {
    /// What was read.
    pub value: T,
    /// The head of the snapshot.
    pub position: Position,
}

/// What a write did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written<T> {
    /// Its answer.
    pub value: T,
    /// Where the tenant stands after it.
    pub position: Position,
    /// Whether it changed anything, and so took a revision.
    pub changed: bool,
}

/// A change of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupUpdate {
    /// The version it must be at; zero for any.
    pub expected: Revision,
    /// The new document; `None` leaves it.
    pub document: Option<Vec<u8>>,
    /// Whether every member that is not in `add` goes.
    pub replace_members: bool,
    /// Ids of members to add, as sent.
    pub add: Vec<String>,
    /// Ids of members to remove, as sent.
    pub remove: Vec<String>,
    /// Whether labels it adds give nothing.
    pub adds_unmatched: bool,
    /// Whether it is refused, as one whose labels give nothing, unless it takes a label or a member away.
    pub only_if_it_takes_away: bool,
}
