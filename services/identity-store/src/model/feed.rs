//! The feed, and where tenants stand in it.

use std::collections::BTreeMap;

use domain::clock::Timestamp;
use domain::id::{GroupId, MemberId, TenantId, UserId};
use domain::revision::{Epoch, Revision};

use super::ground::Touched;

/// Where a tenant stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Its newest revision.
    pub revision: Revision,
    /// The newest of its revisions that can take access away; zero if none can.
    pub taken_away: Revision,
    /// Counts the calls that wait for a newer read of the catalogue.
    pub catalogue_wanted: u64,
    /// The number the newest read has served.
    pub catalogue_served: u64,
}

/// Some tenants' heads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heads {
    /// The life of the database.
    pub epoch: Epoch,
    /// The heads.
    pub heads: BTreeMap<TenantId, Head>,
    /// Whether these are all tenants.
    pub complete: bool,
}

/// Which entries of the feed are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of them.
    All,
    /// Those that can take access away.
    TakingAway,
}

/// Some of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedPage {
    /// The entries, in order, all of one revision together.
    pub entries: Vec<Entry>,
    /// The last revision looked at: what was wanted up to it is here, or came before.
    pub through: Revision,
}

/// One entry of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The revision it took.
    pub revision: Revision,
    /// When it was committed.
    pub at: Timestamp,
    /// Whether it can take access away.
    pub takes_away: bool,
    /// What changed.
    pub change: Change,
    /// Whether members joined or left, more than one answer can name: none are named in `change`.
    pub unnamed: bool,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A user was made, changed or deleted.
    User {
        /// The user, as it is after the change.
        user: UserState,
        /// Whether labels, active flag or existence changed.
        access_changed: bool,
    },
    /// Members joined or left a group.
    Members {
        /// The group.
        group: GroupId,
        /// Who joined.
        added: Vec<MemberId>,
        /// Who left.
        removed: Vec<MemberId>,
    },
    /// A group was made, changed other than in its members, or deleted.
    Group {
        /// The group.
        group: GroupId,
        /// Whether it exists.
        exists: bool,
    },
    /// The rules.
    Rules(Touched),
    /// The catalogue's content.
    Catalogue(Touched),
    /// The settings.
    Settings(Touched),
}

/// What a consumer needs to know to act on a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserState {
    /// The user.
    pub id: UserId,
    /// Its userName; for one who is gone, its last.
    pub user_name: String,
    /// Whether it exists.
    pub exists: bool,
    /// Whether it is active.
    pub active: bool,
}
