//! The effective set: what a person may do, and why. The second half of the rules of access.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalogue::Catalogue;
use crate::grant::Grant;
use crate::id::GroupId;
use crate::label::Label;
use crate::matching::{Matched, Matching, Reason, Unmatched};
use crate::rules::Rules;

/// From where a user holds a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// On the user itself.
    Direct,
    /// On a group the user is in, directly or through nested groups.
    Group(GroupId),
    /// As the `displayName`, and nothing more, of a group the user is in.
    GroupName(GroupId),
}

/// Everything a user's effective set depends on, as of one revision: the input of [`resolve`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Whether the IdP says the user is active.
    pub active: bool,
    /// The labels, each once, with every source it has. One that has lost all its sources is not held.
    pub labels: BTreeMap<Label, BTreeSet<Source>>,
}

impl Holding {
    /// The holding of a user whose tenant does not take the names of groups for labels.
    #[must_use]
    pub fn without_names(mut self) -> Self {
        self.labels.retain(|_, sources| {
            sources.retain(|source| !matches!(source, Source::GroupName(_)));
            !sources.is_empty()
        });
        self
    }
}

/// Whether a label is one only by the name of a group: unless it is recognised, it is just a name.
fn is_name(sources: &BTreeSet<Source>) -> bool {
    !sources.is_empty() && sources.iter().all(|source| matches!(source, Source::GroupName(_)))
}

/// What a user may do, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EffectiveSet {
    /// Whether the IdP says the user is active. The grants of one who is not are empty.
    pub active: bool,
    /// The grants of the matched labels, each with the labels it came from.
    pub grants: BTreeMap<Grant, BTreeSet<Label>>,
    /// The labels that give nothing, each with its reason.
    pub unmatched: BTreeMap<Label, Unmatched>,
    /// Whether the user holds any label at all.
    pub has_labels: bool,
}

impl EffectiveSet {
    /// Whether the user is *held*: active, and a label is unmatched or there is none. A held user is given nothing new.
    #[must_use]
    pub fn held(&self) -> bool {
        self.active && (!self.has_labels || !self.unmatched.is_empty())
    }
}

/// Turns labels into grants. Pure: the same holding, catalogue and rules give the same set.
#[must_use]
pub fn resolve(holding: &Holding, catalogue: &Catalogue, rules: &Rules) -> EffectiveSet {
    resolve_beside(holding, &mut Matching::new(catalogue, rules))
}

/// The same for one of several users that are answered together: they share the suggestions that an answer may have.
#[must_use]
pub fn resolve_beside(holding: &Holding, matching: &mut Matching<'_>) -> EffectiveSet {
    resolve_by(holding, matching, |matching, label| matching.of(label), Matching::why)
}

/// The same by way of what matches a label, and of what says why one gives nothing.
pub(crate) fn resolve_by<M>(
    holding: &Holding,
    by: &mut M,
    matching: impl Fn(&mut M, &Label) -> Result<Matched, Reason>,
    why: impl Fn(&mut M, &Label, Reason) -> Unmatched,
) -> EffectiveSet {
    let has_labels = holding.labels.values().any(|sources| !is_name(sources));
    let mut set = EffectiveSet { active: holding.active, has_labels, ..Default::default() };
    if !holding.active {
        return set;
    }
    for (label, sources) in &holding.labels {
        match matching(by, label) {
            Ok(grants) => {
                set.has_labels = true;
                for grant in grants {
                    set.grants.entry(grant).or_default().insert(label.clone());
                }
            }
            Err(_) if is_name(sources) => {}
            Err(reason) => {
                let unmatched = why(by, label, reason);
                set.unmatched.insert(label.clone(), unmatched);
            }
        }
    }
    set
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::{Holding, Source, resolve, resolve_beside};
    use crate::catalogue::Catalogue;
    use crate::id::GroupId;
    use crate::label::Label;
    use crate::matching::{Matching, SUGGESTED};
    use crate::rules::Rules;

    fn holding(active: bool, labels: &[&str]) -> Holding {
        let labels = labels.iter().map(|text| (Label::new(text), BTreeSet::from([Source::Direct]))).collect();
        Holding { active, labels }
    }

    fn set(active: bool, labels: &[&str]) -> super::EffectiveSet {
        let catalogue = Catalogue::new("ACME", ["A", "B"].map(Arc::from), [], []);
        resolve(&holding(active, labels), &catalogue, &Rules::default())
    }

    #[test]
    fn one_who_is_inactive_has_nothing_and_is_not_held() {
        let set = set(false, &["ACCOUNT_0_A", "nonsense"]);
        assert!(set.grants.is_empty() && set.unmatched.is_empty() && !set.held());
    }

    #[test]
    fn an_unmatched_label_holds_the_user_but_keeps_the_other_grants() {
        let set = set(true, &["ACCOUNT_0_A", "ACCOUNT_0_C"]);
        assert!(set.held());
        assert_eq!(set.grants.len(), 1);
        assert_eq!(set.unmatched.len(), 1);
    }

    #[test]
    fn one_without_labels_is_held() {
        assert!(set(true, &[]).held());
        assert!(!set(true, &["ACCOUNT_0_B"]).held());
    }

    #[test]
    fn only_so_many_unmatched_labels_get_a_suggestion() {
        let wrong: Vec<String> = (0..2 * SUGGESTED).map(|n| format!("ACCOUNT_0_{}{n}", "x".repeat(8))).collect();
        let near: Vec<&str> = wrong.iter().map(String::as_str).collect();
        let catalogue = Catalogue::new("ACME", [Arc::from("xxxxxxxx")], [], []);
        let set = resolve(&holding(true, &near), &catalogue, &Rules::default());
        assert_eq!(set.unmatched.len(), 2 * SUGGESTED);
        let suggested =
            |set: &super::EffectiveSet| set.unmatched.values().filter(|why| why.suggestion.is_some()).count();
        assert_eq!(suggested(&set), SUGGESTED);
        // Those who are answered together share them; a label that both hold costs nothing twice.
        let rules = Rules::default();
        let mut matching = Matching::new(&catalogue, &rules);
        let first = resolve_beside(&holding(true, &near[..SUGGESTED - 1]), &mut matching);
        let again = resolve_beside(&holding(true, &near[..SUGGESTED - 1]), &mut matching);
        let last = resolve_beside(&holding(true, &near[SUGGESTED..]), &mut matching);
        assert_eq!([&first, &again, &last].map(suggested), [SUGGESTED - 1, SUGGESTED - 1, 1]);
        assert!(matching.ran_short() && !matching.ran_short());
    }

    #[test]
    fn a_label_for_which_none_is_looked_for_takes_no_suggestion_from_another() {
        let malformed: Vec<String> = (0..2 * SUGGESTED).map(|n| format!("{n}")).collect();
        let labels: Vec<&str> = malformed.iter().map(String::as_str).chain(["ACCOUNT_0_xxxxxxxxx"]).collect();
        let catalogue = Catalogue::new("ACME", [Arc::from("xxxxxxxx")], [], []);
        let set = resolve(&holding(true, &labels), &catalogue, &Rules::default());
        assert_eq!(set.unmatched.len(), 2 * SUGGESTED + 1);
        assert_eq!(set.unmatched.values().filter(|why| why.suggestion.is_some()).count(), 1);
    }

    #[test]
    fn a_groups_name_counts_where_it_is_recognised_and_is_else_just_a_name() {
        let catalogue = Catalogue::new("ACME", ["A", "B"].map(Arc::from), [], []);
        let of = |labels: &[(&str, &[Source])]| {
            let sources = |sources: &[Source]| sources.iter().copied().collect();
            let labels = labels.iter().map(|(text, from)| (Label::new(text), sources(from))).collect();
            Holding { active: true, labels }
        };
        let group = GroupId::new();
        let (name, stated) = (Source::GroupName(group), Source::Group(group));
        let named = of(&[("ACCOUNT_0_A", &[name]), ("RETAILER_9_A", &[name])]);
        let set = resolve(&named, &catalogue, &Rules::default());
        assert!(!set.held() && set.grants.len() == 1 && set.unmatched.is_empty());
        let without = named.without_names();
        assert!(without.labels.is_empty() && resolve(&without, &catalogue, &Rules::default()).held());
        let only_a_name = resolve(&of(&[("RETAILER_9_A", &[name])]), &catalogue, &Rules::default());
        assert!(only_a_name.held() && !only_a_name.has_labels && only_a_name.unmatched.is_empty());
        let both = of(&[("RETAILER_9_A", &[name, stated])]);
        assert_eq!(resolve(&both, &catalogue, &Rules::default()).unmatched.len(), 1);
        assert_eq!(both.without_names().labels.len(), 1, "it is stated too");
    }

    #[test]
    fn two_labels_for_one_grant_are_both_its_reason() {
        let set = set(true, &["ACCOUNT_0_A", "account_ACME_A"]);
        assert_eq!(set.grants.values().map(BTreeSet::len).collect::<Vec<_>>(), [2]);
    }
}
