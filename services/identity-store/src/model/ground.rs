//! Catalogue, rules and settings, and changes of them.

use domain::catalogue::{Catalogue, Place};
use domain::clock::Timestamp;
use domain::difference::Difference;
use domain::id::UserId;
use domain::revision::Revision;
use domain::rules::Rules;
use domain::settings::{RulesFrom, Settings};

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
