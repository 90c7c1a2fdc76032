//! What a change of the ground, or of labels, would do to people: two effective sets of one user compared.

use std::collections::{BTreeSet, HashMap};

use crate::catalogue::Catalogue;
use crate::effective::{EffectiveSet, Holding, resolve_by};
use crate::grant::Grant;
use crate::label::Label;
use crate::matching::{Matched, Reason, Unmatched, match_label};
use crate::rules::Rules;

/// What differs between two effective sets of one user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Grants of the later set alone.
    pub gained: BTreeSet<Grant>,
    /// Grants of the earlier set alone.
    pub lost: BTreeSet<Grant>,
    /// Whether the user becomes held, or is freed.
    pub turn: Option<Turn>,
}

/// A change of being held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// From now on it is given nothing new.
    Held,
    /// Nothing holds it any longer.
    Freed,
}

impl Difference {
    /// What differs.
    #[must_use]
    pub fn between(before: &EffectiveSet, after: &EffectiveSet) -> Self {
        let alone = |this: &EffectiveSet, other: &EffectiveSet| {
            this.grants.keys().filter(|grant| !other.grants.contains_key(grant)).cloned().collect()
        };
        let turn = match (before.held(), after.held()) {
            (false, true) => Some(Turn::Held),
            (true, false) => Some(Turn::Freed),
            _ => None,
        };
        Self { gained: alone(after, before), lost: alone(before, after), turn }
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.gained.is_empty() && self.lost.is_empty() && self.turn.is_none()
    }

    /// Whether the user has less of it.
    #[must_use]
    pub fn hits(&self) -> bool {
        !self.lost.is_empty() || self.turn == Some(Turn::Held)
    }
}

/// Effective sets of many users under one ground, without suggestions: those who are concerned together mostly hold the
/// same labels, so each label is matched once.
#[derive(Debug)]
pub struct Meanings {
    catalogue: Catalogue,
    rules: Rules,
    names_are_labels: bool,
    known: HashMap<Label, Result<Matched, Reason>>,
}

/// The most labels that are kept matched.
const KNOWN: usize = 50_000;

impl Meanings {
    /// Nothing matched yet.
    #[must_use]
    pub fn new(catalogue: Catalogue, rules: Rules, names_are_labels: bool) -> Self {
        Self { catalogue, rules, names_are_labels, known: HashMap::new() }
    }

    /// A user's effective set.
    pub fn resolve(&mut self, holding: &Holding) -> EffectiveSet {
        let stated = if self.names_are_labels { holding.clone() } else { holding.clone().without_names() };
        let Self { catalogue, rules, names_are_labels: _, known } = self;
        if known.len() > KNOWN {
            known.clear();
        }
        let matching = |known: &mut HashMap<_, _>, label: &Label| match known.get(label) {
            Some(matched) => Clone::clone(matched),
            None => known.entry(label.clone()).or_insert_with(|| match_label(label, catalogue, rules)).clone(),
        };
        resolve_by(&stated, known, matching, |_, _, reason| Unmatched::because(reason))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::{Difference, Meanings, Turn};
    use crate::catalogue::Catalogue;
    use crate::effective::{Holding, Source, resolve};
    use crate::id::GroupId;
    use crate::label::Label;
    use crate::rules::Rules;

    fn catalogue(roles: &BTreeSet<String>) -> Catalogue {
        Catalogue::new("acme", roles.iter().map(|role| Arc::from(role.as_str())), [], [])
    }

    proptest! {
        /// What is matched once for many says the same as what is matched for each, and the difference is what leads
        /// from the one set to the other.
        #[test]
        fn a_difference_leads_from_one_set_to_the_other(
            users in prop::collection::vec((any::<bool>(), prop::collection::btree_map("ACCOUNT_0_[A-D]", 0..3_u8, 0..4)), 1..6),
            old in prop::collection::btree_set("[A-D]", 0..4),
            new in prop::collection::btree_set("[A-D]", 0..4),
            rule in prop::option::of(("[A-D]", "[A-D]")),
        ) {
            let (old, new) = (catalogue(&old), catalogue(&new));
            let no_rules = Rules::default();
            let rule = rule.iter().map(|(from, to)| (Arc::from(from.as_str()), vec![Arc::from(to.as_str())]));
            let rules = Rules::new(rule).unwrap();
            let (mut were, mut are) = (Meanings::new(old.clone(), no_rules.clone(), true), Meanings::new(new.clone(), rules.clone(), false));
            for (active, labels) in users {
                let group = GroupId::new();
                let source = |kind| match kind { 0 => Source::Direct, 1 => Source::Group(group), _ => Source::GroupName(group) };
                let labels = labels.iter().map(|(label, kind)| (Label::new(label), BTreeSet::from([source(*kind)])));
                let holding = Holding { active, labels: labels.collect() };
                let (before, after) = (were.resolve(&holding), are.resolve(&holding));
                let plain_after = resolve(&holding.clone().without_names(), &new, &rules);
                prop_assert_eq!(&before.grants, &resolve(&holding, &old, &no_rules).grants);
                prop_assert_eq!((&after.grants, after.held()), (&plain_after.grants, plain_after.held()));
                let Difference { gained, lost, turn } = Difference::between(&before, &after);
                let mut grants: BTreeSet<_> = before.grants.keys().cloned().collect();
                prop_assert!(lost.is_subset(&grants) && gained.is_disjoint(&grants));
                grants.retain(|grant| !lost.contains(grant));
                grants.extend(gained);
                prop_assert_eq!(grants, after.grants.keys().cloned().collect());
                let held = match turn { Some(Turn::Held) => true, Some(Turn::Freed) => false, None => before.held() };
                prop_assert_eq!(held, after.held());
            }
        }
    }
}
