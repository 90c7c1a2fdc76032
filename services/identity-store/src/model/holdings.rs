//! What effective sets depend on.

use std::collections::BTreeMap;

use domain::grant::ContextType;
use domain::id::{GroupId, MemberId, UserId};
use domain::label::Label;
use domain::revision::Revision;

/// How a user is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserKey {
    /// By its id; a text that is no id names no user.
    Id(String),
    /// By its userName, without regard to case.
    UserName(String),
    /// By its externalId, exactly.
    ExternalId(String),
}

/// What is wanted of holdings beyond what effective sets depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Include {
    /// The users' documents.
    pub documents: bool,
    /// How the users are in their groups.
    pub nesting: bool,
    /// Whether those named by id are held back.
    pub held_back: bool,
}

/// What the effective sets of some users depend on, from one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holdings {
    /// The revision that last changed catalogue, rules or settings.
    pub ground_version: Revision,
    /// One for each user asked for; `None` where there is none.
    pub users: Vec<Option<Held>>,
}

/// What is told of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// The effective set that the caller keeps of this user is still right.
    Unchanged(UserId),
    /// Everything its effective set depends on.
    Read(Holding),
    /// It was deleted and is held back; with the labels it had and has not lost with a group since.
    Back(UserId, BTreeMap<Label, HeldThrough>),
}

/// An effective set that a caller keeps, named by what it depends on besides the ground.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSet {
    /// The user.
    pub user: UserId,
    /// The revision it is right at.
    pub revision: Revision,
    /// Every group the user was in.
    pub groups: Vec<GroupId>,
}

/// What one user's effective set depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The user.
    pub id: UserId,
    /// Its userName.
    pub user_name: String,
    /// Whether the IdP says it is active.
    pub active: bool,
    /// Its labels, each with where it comes from.
    pub labels: BTreeMap<Label, HeldThrough>,
    /// The revision that last changed access through the user itself.
    pub stamp: Revision,
    /// Every group reached, with its stamp.
    pub groups: BTreeMap<GroupId, Revision>,
    /// Of each group reached, its direct members among the user and the user's other groups; where it was asked for.
    pub nesting: BTreeMap<GroupId, Vec<MemberId>>,
    /// The user's version.
    pub version: Revision,
    /// The user's document, where it was asked for.
    pub document: Option<Vec<u8>>,
    /// Whether it is held back; where that was asked for.
    pub held_back: bool,
}

/// Where a label comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldThrough {
    /// Whether it is on the user itself.
    pub direct: bool,
    /// The groups it comes through, in order.
    pub groups: Vec<GroupId>,
    /// The groups of which it is the `displayName` and nothing more, in order.
    pub named_by: Vec<GroupId>,
}

/// Whose labels can be read in some way, a page at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldersWanted {
    /// The context type that is read.
    pub context_type: ContextType,
    /// The contexts that are read.
    pub contexts: Vec<String>,
    /// The role parts that are read.
    pub roles: Vec<String>,
    /// Labels that count whichever way they are read.
    pub labels: Vec<String>,
    /// The last user of the page before.
    pub after: Option<UserId>,
    /// The most users wanted; zero for as many as a page may hold.
    pub limit: u32,
}
