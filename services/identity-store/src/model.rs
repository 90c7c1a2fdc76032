//! What the store keeps and answers, in the words of the domain. Neither a database nor a contract is known here.

mod feed;
mod ground;
mod group_labels;
mod held_back;
mod holdings;
mod lists;
mod resources;
mod tokens;

pub use self::feed::{Change, Entry, FeedPage, Head, Heads, UserState, Wanted};
pub use self::ground::{
    CatalogueRead, Differing, FluentRules, Ground, GroundContent, GroundSource, PendingGround, RuleSet, RuleSets,
    RulesRead, Touched,
};
pub use self::group_labels::{GroupKey, GroupLabels};
pub use self::held_back::{HeldBack, Release, Released};
pub use self::holdings::{Held, HeldThrough, HoldersWanted, Holding, Holdings, Include, KeptSet, UserKey};
pub use self::lists::{ListRequest, Page, SortBy, Spot, Start};
pub use self::resources::{Actor, Group, GroupUpdate, Outcome, Read, State, User, UserGroup, Written};
pub use self::tokens::{IssuedAccessToken, IssuedToken, TokenRecord, VerifiedToken};
