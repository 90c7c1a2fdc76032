//! What the store keeps and answers, in the words of the domain. Neither a database nor a contract is known here.

use std::collections::BTreeMap;

use domain::access_token::{AccessToken, Scope};
use domain::catalogue::{Catalogue, Place};
use domain::clock::Timestamp;
use domain::difference::Difference;
use domain::grant::{ContextType, Grant};
use domain::id::{GroupId, MemberId, TenantId, UserId};
use domain::label::Label;
use domain::revision::{Epoch, Position, Revision};
use domain::rules::Rules;
use domain::settings::{RulesFrom, Settings};
use domain::token::{BearerToken, TokenId};
use scim::sort::Key;

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

/// Which part of a list, in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRequest {
    /// A SCIM filter; empty for all.
    pub filter: String,
    /// The order; `None` for that of ids.
    pub sort: Option<SortBy>,
    /// Where the page begins.
    pub start: Start,
    /// The most results wanted.
    pub count: u32,
    /// The URL below which clients find resources, without a trailing slash.
    pub base_url: String,
}

/// An order of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortBy {
    /// The attribute, as a filter names it.
    pub attribute: String,
    /// Whether the greatest comes first.
    pub descending: bool,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// At a position, counted from 1; 0 means 1 (RFC 7644 section 3.4.2.4).
    Index(u32),
    /// After a place; at the beginning without one.
    After(Option<Spot>),
}

/// A place in an ordered list: that of a resource which stood there, whether it still does or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// What decided where it stood; `None` in a list in order of ids.
    pub key: Option<Key>,
    /// The resource's id.
    pub id: [u8; 16],
}

impl Spot {
    /// As bytes, for [`Spot::from_bytes`]: the id, then what decided.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.id.to_vec();
        match &self.key {
            None => {}
            Some(Key::Number(number)) => {
                bytes.push(b'n');
                bytes.extend_from_slice(&number.to_be_bytes());
            }
            Some(Key::Text(text)) => {
                bytes.push(b't');
                bytes.extend_from_slice(text.as_bytes());
            }
            Some(Key::Missing) => bytes.push(b'-'),
        }
        bytes
    }

    /// The place that was written; `None` for bytes that are none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, key) = bytes.split_first_chunk()?;
        let key = match key {
            [] => None,
            [b'n', number @ ..] => Some(Key::Number(i64::from_be_bytes(number.try_into().ok()?))),
            [b't', text @ ..] => Some(Key::Text(std::str::from_utf8(text).ok()?.to_owned())),
            [b'-'] => Some(Key::Missing),
            _ => return None,
        };
        Some(Self { key, id: *id })
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// How many there are in all, where that is known.
    pub total: Option<u64>,
    /// Where the next page begins, if there is one and the list is read by place.
    pub next: Option<Spot>,
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

/// How the tenant's own table names a group, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupKey {
    /// By `externalId`, exactly.
    ExternalId(String),
    /// By id.
    Id(GroupId),
    /// By `displayName`, without regard to case.
    DisplayName(String),
}

/// One entry of the tenant's own table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupLabels {
    /// Which groups.
    pub key: GroupKey,
    /// Their labels.
    pub labels: Vec<Label>,
}

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
    /// It was deleted and is held back; with the labels it had.
    Back(UserId, Vec<Label>),
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

/// One who left beyond the guard against mass deactivation, and whose account is kept until it is released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBack {
    /// The user.
    pub id: UserId,
    /// Its userName, or the last it had.
    pub user_name: String,
    /// Whether it was deleted; else it is inactive.
    pub deleted: bool,
    /// Since when.
    pub since: Timestamp,
}

/// Who is to be released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// These.
    Named(Vec<UserId>),
    /// Those held back at this revision or before it.
    Through(Revision),
}

/// What came of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released {
    /// How many were released by it.
    pub released: u64,
    /// Whether there may be more of those who were to be.
    pub more: bool,
    /// How many the tenant still holds back.
    pub left: u64,
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

/// Catalogue, rules and settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// The revision that last changed any of them.
    pub version: Revision,
    /// The rest; `None` where the caller holds this version already.
    pub content: Option<GroundContent>,
}

/// What the ground consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroundContent {
    /// The catalogue, after the first complete read.
    pub catalogue: Option<Catalogue>,
    /// The rules in force.
    pub rules: Rules,
    /// Fluent's id of the setting its rules were read from, where they were.
    pub rules_setting_id: Option<String>,
    /// The settings.
    pub settings: Settings,
}

/// A complete read of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueRead {
    /// The fencing number of the reader's lease.
    pub fence: u64,
    /// How many calls were waiting for a read when this one began.
    pub wanted_seen: u64,
    /// The role names.
    pub roles: Vec<String>,
    /// The retailers.
    pub retailers: Vec<Place>,
    /// The locations.
    pub locations: Vec<Place>,
    /// What was read of Fluent's rules.
    pub rules: RulesRead,
}

/// A look at Fluent's own setting of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RulesRead {
    /// None was taken: those kept stay.
    Unasked,
    /// There is no such setting.
    Absent,
    /// A rule set.
    Found(FluentRules),
    /// It is malformed or can't be read: those kept stay. What is wrong and where, without its content.
    Fault(String),
}

/// The rules of Fluent's setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FluentRules {
    /// Fluent's id of the setting.
    pub setting_id: String,
    /// The rules.
    pub rules: Rules,
}

/// A tenant's rule sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSets {
    /// The tenant's own table.
    pub own: Option<RuleSet>,
    /// The last good reading of Fluent's setting.
    pub fluent: Option<RuleSet>,
    /// Which is in force; with neither, labels name roles directly.
    pub in_force: Option<RulesFrom>,
    /// What is wrong with Fluent's setting as last read, and since when.
    pub fault: Option<(String, Timestamp)>,
}

/// A rule set as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSet {
    /// The rules.
    pub rules: Rules,
    /// When they last changed.
    pub changed_at: Timestamp,
}

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

/// A change of the ground that waits for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingGround {
    /// Names it: a newer proposal has another.
    pub id: String,
    /// What is to change.
    pub source: GroundSource,
    /// Since when it waits.
    pub since: Timestamp,
    /// What labels may name that would mean something else.
    pub touched: Touched,
}

/// Where a change of the ground comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroundSource {
    /// A read of Fluent's catalogue and rules.
    Read,
    /// The tenant's own rules.
    Rules,
    /// The tenant's settings.
    Settings,
}

impl GroundSource {
    const NAMES: [(Self, &'static str); 3] =
        [(Self::Read, "read"), (Self::Rules, "rules"), (Self::Settings, "settings")];

    /// Its name in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(source, _)| *source == self).map_or("", |(_, name)| name)
    }

    /// The source of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(source, _)| *source)
    }
}

/// What a change would do to one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differing {
    /// The user.
    pub id: UserId,
    /// Its userName.
    pub user_name: String,
    /// What it would gain and lose, and whether it would be held or freed.
    pub difference: Difference,
}

/// What a change of the ground names, to find the holders of labels that name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touched {
    /// More than is worth listing: every user.
    Everything,
    /// These names.
    Names {
        /// Role parts of labels: roles, and the logical roles whose rules name them.
        roles: Vec<String>,
        /// Ids and refs of retailers.
        retailers: Vec<String>,
        /// Ids and refs of locations.
        locations: Vec<String>,
        /// Names of the account.
        accounts: Vec<String>,
    },
}

impl Touched {
    /// Nothing that any label names.
    #[must_use]
    pub fn nobody() -> Self {
        Self::Names { roles: Vec::new(), retailers: Vec::new(), locations: Vec::new(), accounts: Vec::new() }
    }
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

/// A token, just made: the only time its secret is there.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token.
    pub token: BearerToken,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// An access token, just made.
#[derive(Clone, Debug)]
pub struct IssuedAccessToken {
    /// The token.
    pub token: AccessToken,
    /// What it is good for.
    pub scopes: Vec<Scope>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What is known of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its public id.
    pub id: TokenId,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The note it was made with.
    pub note: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the hour.
    pub last_used_at: Option<Timestamp>,
}

/// What a good token is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedToken {
    /// Its public id.
    pub id: TokenId,
    /// The one tenant it belongs to.
    pub tenant: TenantId,
    /// What its holder may do.
    pub scopes: Vec<Scope>,
    /// When it ends.
    pub expires_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::Spot;
    use scim::sort::Key;

    #[test]
    fn a_place_reads_back_as_written() {
        for key in [None, Some(Key::Number(-7)), Some(Key::Text("ü\0".into())), Some(Key::Missing)] {
            let written = Spot { key, id: [7; 16] };
            assert_eq!(Spot::from_bytes(&written.to_bytes()), Some(written));
        }
        for junk in [&b""[..], &[0; 15], &[0; 17], &[b'n'; 20]] {
            assert_eq!(Spot::from_bytes(junk), None);
        }
    }
}
