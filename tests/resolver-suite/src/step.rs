//! What may happen to a tenant, in words of few names, so that much of it meets.
//!
//! Users and groups are named by a number that counts round those that are there: so any part of a history is one too, and
//! a failing one can be shortened.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::company::{Catalogue, Rule};

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Hire {
        name: &'static str,
        external_id: Option<&'static str>,
        active: bool,
        labels: Vec<&'static str>,
    },
    Relabel(u8, Vec<&'static str>),
    Activate(u8, bool),
    Rename(u8, &'static str),
    NameOutside(u8, Option<&'static str>),
    Title(u8, u8),
    Delete(u8),
    Found {
        name: &'static str,
        external_id: Option<&'static str>,
        labels: Vec<&'static str>,
        members: Vec<u8>,
    },
    RelabelGroup(u8, Vec<&'static str>),
    RenameGroup(u8, &'static str),
    Join(u8, Vec<u8>),
    Leave(u8, Vec<u8>),
    /// Exactly these are its members now.
    Members(u8, Vec<u8>),
    Dissolve(u8),
    Table(TableKey, Vec<&'static str>),
    /// A read of Fluent, with or without what it says of rules.
    Read(Catalogue, OfRules),
    OwnRules(Option<Vec<Rule>>),
    Settings {
        account: &'static str,
        names_are_labels: bool,
        fluents_win: bool,
    },
}

/// What a read of Fluent says of its rules.
#[derive(Clone, Debug)]
pub(crate) enum OfRules {
    /// Nothing: they were not looked for.
    Nothing,
    Absent,
    Found(Vec<Rule>),
}

/// How the table names a group in a step.
#[derive(Clone, Debug)]
pub(crate) enum TableKey {
    ExternalId(&'static str),
    Id(u8),
    Name(&'static str),
}

/// Names whose case differs are one name.
const NAMES: [&str; 6] = ["ann", "ANN", "bob", "Élodie", "éLODIE", "carl"];
const OUTSIDE: [&str; 3] = ["x1", "x2", "x3"];
/// Some of them can be read as labels.
pub(crate) const GROUP_NAMES: [&str; 6] =
    ["Staff", "staff", "AGENT_77_STORE", "RETAILER_MAIN_CLERK", "ACCOUNT_0_ADMIN", "AGENT_77_boss"];
const ROLES: [&str; 5] = ["STORE", "SYD_STORE", "CLERK", "ADMIN", "Fulfillment_Associate"];
/// A ref that is another's id, and refs that hold underscores.
const RETAILERS: [(&str, &str); 3] = [("1", "MAIN"), ("2", "1"), ("3", "OUT_LET")];
const LOCATIONS: [(&str, &str); 5] =
    [("77", "CHIC-01"), ("78", ""), ("5000299", "WEST"), ("79", "5000299_SYD"), ("80", "CHIC-01")];
/// One is a role's name too, one is a whole label.
const LOGICAL: [&str; 3] = ["MANAGER", "CLERK", "AGENT_77_boss"];
pub(crate) const LABELS: [&str; 20] = [
    "AGENT_CHIC-01_STORE",
    "agent_77_STORE",
    "AGENT_77_STORE",
    "AGENT_78_CLERK",
    "AGENT_5000299_SYD_STORE",
    "Agent_CHIC-01_Fulfillment_Associate",
    "RETAILER_MAIN_STORE",
    "RETAILER_1_CLERK",
    "RETAILER_OUT_LET_STORE",
    "ACCOUNT_0_ADMIN",
    "ACCOUNT_ACME_ADMIN",
    "account_ACME_MANAGER",
    "AGENT_77_MANAGER",
    "RETAILER_3_MANAGER",
    "AGENT_77_boss",
    "AGENT_99_STORE",
    "AGENT_77_NOBODY",
    "WAREHOUSE_1_STORE",
    "RETAILER__STORE",
    "nonsense",
];

/// Some labels.
pub(crate) fn labels() -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(LABELS.to_vec(), 0..=3)
}

fn outside() -> impl Strategy<Value = Option<&'static str>> {
    prop::option::of(select(&OUTSIDE[..]))
}

fn some() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..4)
}

/// A rule set.
pub(crate) fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let targets = subsequence(ROLES.to_vec(), 1..=2);
    let rule = |(logical, targets): (&str, Vec<&str>)| Rule {
        logical: logical.to_owned(),
        targets: targets.into_iter().map(str::to_owned).collect(),
    };
    let chosen = subsequence(LOGICAL.to_vec(), 0..=LOGICAL.len());
    chosen.prop_flat_map(move |logical| {
        let many = prop::collection::vec(targets.clone(), logical.len());
        many.prop_map(move |targets| logical.iter().copied().zip(targets).map(rule).collect())
    })
}

fn places(of: &'static [(&str, &str)]) -> impl Strategy<Value = Vec<(String, String)>> {
    let own = |places: Vec<(&str, &str)>| places.into_iter().map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
    subsequence(of.to_vec(), of.len() / 2..=of.len()).prop_map(own)
}

/// What Fluent may recognise.
pub(crate) fn catalogue() -> impl Strategy<Value = Catalogue> {
    let roles = subsequence(ROLES.to_vec(), 2..=ROLES.len());
    (roles, places(&RETAILERS), places(&LOCATIONS)).prop_map(|(roles, retailers, locations)| Catalogue {
        roles: roles.into_iter().map(str::to_owned).collect(),
        retailers,
        locations,
    })
}

/// Any step.
pub(crate) fn step() -> impl Strategy<Value = Step> {
    let at = any::<u8>;
    prop_oneof![
        6 => (select(&NAMES[..]), outside(), prop::bool::weighted(0.9), labels())
            .prop_map(|(name, external_id, active, labels)| Step::Hire { name, external_id, active, labels }),
        5 => (at(), labels()).prop_map(|(user, labels)| Step::Relabel(user, labels)),
        3 => (at(), any::<bool>()).prop_map(|(user, active)| Step::Activate(user, active)),
        2 => (at(), select(&NAMES[..])).prop_map(|(user, name)| Step::Rename(user, name)),
        1 => (at(), outside()).prop_map(|(user, id)| Step::NameOutside(user, id)),
        1 => (at(), at()).prop_map(|(user, title)| Step::Title(user, title)),
        2 => at().prop_map(Step::Delete),
        5 => (select(&GROUP_NAMES[..]), outside(), labels(), some())
            .prop_map(|(name, external_id, labels, members)| Step::Found { name, external_id, labels, members }),
        4 => (at(), labels()).prop_map(|(group, labels)| Step::RelabelGroup(group, labels)),
        1 => (at(), select(&GROUP_NAMES[..])).prop_map(|(group, name)| Step::RenameGroup(group, name)),
        6 => (at(), some()).prop_map(|(group, members)| Step::Join(group, members)),
        4 => (at(), some()).prop_map(|(group, members)| Step::Leave(group, members)),
        1 => (at(), some()).prop_map(|(group, members)| Step::Members(group, members)),
        1 => at().prop_map(Step::Dissolve),
        2 => (table_key(), labels()).prop_map(|(key, labels)| Step::Table(key, labels)),
        2 => (catalogue(), of_rules()).prop_map(|(copy, rules)| Step::Read(copy, rules)),
        2 => prop::option::of(rules()).prop_map(Step::OwnRules),
        1 => (select(&["", "ACME", "0"][..]), any::<bool>(), any::<bool>()).prop_map(|(account, names, fluents)| {
            Step::Settings { account, names_are_labels: names, fluents_win: fluents }
        }),
    ]
}

fn of_rules() -> impl Strategy<Value = OfRules> {
    prop_oneof![Just(OfRules::Nothing), Just(OfRules::Absent), rules().prop_map(OfRules::Found)]
}

fn table_key() -> impl Strategy<Value = TableKey> {
    prop_oneof![
        select(&OUTSIDE[..]).prop_map(TableKey::ExternalId),
        any::<u8>().prop_map(TableKey::Id),
        select(&GROUP_NAMES[..]).prop_map(TableKey::Name),
    ]
}

/// Every grant that may come to be asked about, the impossible ones among them.
pub(crate) fn grants() -> Vec<crate::rules::Grant> {
    let contexts = [("ACCOUNT", "0"), ("RETAILER", "1"), ("RETAILER", "2"), ("RETAILER", "3"), ("AGENT", "77")];
    let contexts =
        contexts.into_iter().chain([("AGENT", "78"), ("AGENT", "5000299"), ("AGENT", "79"), ("AGENT", "99")]);
    let in_context = |(kind, id): (&str, &str)| {
        let grant = |role: &str| crate::rules::Grant {
            role: role.to_owned(),
            context_type: kind.to_owned(),
            context_id: id.to_owned(),
        };
        ROLES.map(grant)
    };
    contexts.flat_map(in_context).collect()
}
