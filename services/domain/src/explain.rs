//! Why a person may do what it may: every way in which each grant was obtained.
//!
//! A grant comes from a label, by the role's own name or by a rule; the label is on the user itself or on a group; and
//! the user is in that group directly or through a chain of nested groups. Whoever takes one way away must see those that
//! are left.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::catalogue::Catalogue;
use crate::effective::{EffectiveSet, Holding, Source, resolve};
use crate::grant::Grant;
use crate::id::GroupId;
use crate::label::Label;
use crate::matching::{Unmatched, meaning};
use crate::rules::Rules;

/// The most ways that are listed of one label. Who is in thousands of groups that all lead to one label is told how many
/// more there are.
pub const MOST_WAYS: usize = 100;

/// How a user is in the groups it reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nesting {
    /// The groups the user itself is a member of.
    pub direct: BTreeSet<GroupId>,
    /// Of each group, those of the user's groups that are its direct members.
    pub nested: BTreeMap<GroupId, BTreeSet<GroupId>>,
}

/// One way in which a label reaches a user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// It is on the user itself.
    Direct,
    /// Through groups: from the one the user is a member of, each a member of the next, to the one that bears the label.
    Through(Vec<GroupId>),
}

/// The ways in which one label reaches a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// For each group the user is a member of, the shortest way from it to each group that bears the label; at most
    /// [`MOST_WAYS`].
    pub listed: Vec<Way>,
    /// How many more there are.
    pub more: usize,
}

/// One reason for a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The label.
    pub label: Label,
    /// The logical role whose rule was applied; `None` where the label names the Fluent role.
    pub rule: Option<Arc<str>>,
    /// How the label reaches the user.
    pub ways: Ways,
}

/// What a person may do, with every reason. It agrees with [`crate::effective::resolve`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// Whether the IdP says the user is active. Nothing is explained of one who is not: it has no grants.
    pub active: bool,
    /// Each grant with its reasons, in order of their labels.
    pub grants: BTreeMap<Grant, Vec<Cause>>,
    /// The labels that give nothing, each with its reason and how it reaches the user.
    pub unmatched: BTreeMap<Label, (Unmatched, Ways)>,
    /// Whether the user holds any label at all.
    pub has_labels: bool,
}

impl Explanation {
    /// Whether the user is held: see [`crate::effective::EffectiveSet::held`].
    #[must_use]
    pub fn held(&self) -> bool {
        self.active && (!self.has_labels || !self.unmatched.is_empty())
    }
}

/// Explains the effective set of a holding. Pure: the same input gives the same explanation.
#[must_use]
pub fn explain(holding: &Holding, nesting: &Nesting, catalogue: &Catalogue, rules: &Rules) -> Explanation {
    let EffectiveSet { active, grants, unmatched, has_labels } = resolve(holding, catalogue, rules);
    let mut routes = Routes { nesting, known: BTreeMap::new() };
    let mut cause = |label: Label| {
        let rule = meaning(&label, catalogue, rules).ok().and_then(|meaning| meaning.rule);
        let ways = holding.labels.get(&label).map(|sources| routes.ways(sources)).unwrap_or_default();
        Cause { label, rule, ways }
    };
    let grants = grants.into_iter().map(|(grant, labels)| (grant, labels.into_iter().map(&mut cause).collect()));
    let grants = grants.collect();
    let unmatched = unmatched.into_iter().map(|(label, why)| {
        // The name of a group that is not recognised is just a name, also where it is a label elsewhere.
        let stated = |source: &&Source| !matches!(source, Source::GroupName(_));
        let sources = holding.labels.get(&label).into_iter().flatten().filter(stated).copied().collect();
        let ways = routes.ways(&sources);
        (label, (why, ways))
    });
    Explanation { active, grants, unmatched: unmatched.collect(), has_labels }
}

/// The ways to groups, each looked for once.
struct Routes<'a> {
    nesting: &'a Nesting,
    known: BTreeMap<GroupId, Vec<Way>>,
}

impl Routes<'_> {
    fn ways(&mut self, sources: &BTreeSet<Source>) -> Ways {
        let mut ways = Ways::default();
        for source in sources {
            match source {
                Source::Direct => ways.add(std::slice::from_ref(&Way::Direct)),
                Source::Group(bearer) | Source::GroupName(bearer) => {
                    let nesting = self.nesting;
                    ways.add(self.known.entry(*bearer).or_insert_with(|| shortest(nesting, *bearer)));
                }
            }
        }
        ways
    }
}

impl Ways {
    fn add(&mut self, some: &[Way]) {
        let room = MOST_WAYS.saturating_sub(self.listed.len()).min(some.len());
        let (listed, more) = some.split_at(room);
        self.listed.extend_from_slice(listed);
        self.more += more.len();
    }
}

/// The shortest way to `bearer` from each group the user is a member of. Looked for from `bearer` downwards, level by
/// level, so a circle of groups ends where it began.
fn shortest(nesting: &Nesting, bearer: GroupId) -> Vec<Way> {
    let mut towards = BTreeMap::from([(bearer, None)]);
    let mut waiting = VecDeque::from([bearer]);
    while let Some(group) = waiting.pop_front() {
        for &member in nesting.nested.get(&group).into_iter().flatten() {
            towards.entry(member).or_insert_with(|| {
                waiting.push_back(member);
                Some(group)
            });
        }
    }
    let way = |&from: &GroupId| {
        let mut next = *towards.get(&from)?;
        let mut chain = vec![from];
        while let Some(group) = next {
            chain.push(group);
            next = *towards.get(&group)?;
        }
        Some(Way::Through(chain))
    };
    nesting.direct.iter().filter_map(way).collect()
}

#[cfg(test)]
mod tests;
