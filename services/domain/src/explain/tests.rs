use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::{Explanation, MOST_WAYS, Nesting, Way, explain};
use crate::catalogue::Catalogue;
use crate::effective::{Holding, Source, resolve};
use crate::id::GroupId;
use crate::label::Label;
use crate::rules::Rules;

fn catalogue() -> Catalogue {
    Catalogue::new("", ["A", "B"].map(Arc::from), [], [])
}

fn rules() -> Rules {
    Rules::new([(Arc::from("BOTH"), vec![Arc::from("A"), Arc::from("B")])]).unwrap()
}

fn groups(count: usize) -> Vec<GroupId> {
    (0..count).map(|n| GroupId::from_slice(&(n as u128 + 1).to_be_bytes()).unwrap()).collect()
}

fn explained(labels: &[(&str, &[Source])], nesting: &Nesting) -> Explanation {
    let labels = labels.iter().map(|(label, sources)| (Label::new(label), sources.iter().copied().collect()));
    explain(&Holding { active: true, labels: labels.collect() }, nesting, &catalogue(), &rules())
}

#[test]
fn the_name_of_a_group_is_a_way_only_to_what_it_gives() {
    let g = groups(1);
    let nesting = Nesting { direct: BTreeSet::from([g[0]]), nested: BTreeMap::new() };
    let sources: &[Source] = &[Source::Direct, Source::GroupName(g[0])];
    let given = explained(&[("ACCOUNT_0_A", sources)], &nesting);
    assert_eq!(given.grants.values().next().unwrap()[0].ways.listed, [Way::Direct, Way::Through(vec![g[0]])]);
    let not_given = explained(&[("ACCOUNT_0_C", sources)], &nesting);
    assert_eq!(not_given.unmatched.values().next().unwrap().1.listed, [Way::Direct]);
}

#[test]
fn a_grant_held_in_several_ways_lists_all_of_them() {
    let g = groups(3);
    // In 0 and 1, both of which are in 2, which bears a label.
    let nesting = Nesting {
        direct: BTreeSet::from([g[0], g[1]]),
        nested: BTreeMap::from([(g[2], BTreeSet::from([g[0], g[1]]))]),
    };
    let all = explained(
        &[("ACCOUNT_0_A", &[Source::Direct, Source::Group(g[2])]), ("ACCOUNT_0_BOTH", &[Source::Group(g[1])])],
        &nesting,
    );
    let causes = all.grants.values().next().unwrap();
    assert_eq!(causes.len(), 2, "A is given by its own name and by a rule");
    assert_eq!(causes[0].rule, None);
    let through = |chain: &[GroupId]| Way::Through(chain.to_vec());
    assert_eq!(causes[0].ways.listed, [Way::Direct, through(&[g[0], g[2]]), through(&[g[1], g[2]])]);
    assert_eq!(causes[1].rule.as_deref(), Some("BOTH"));
    assert_eq!(causes[1].ways.listed, [through(&[g[1]])]);
    assert!(!all.held());
}

#[test]
fn a_label_that_gives_nothing_says_why_and_how_it_came() {
    let g = groups(1);
    let nesting = Nesting { direct: BTreeSet::from([g[0]]), nested: BTreeMap::new() };
    let all = explained(&[("ACCOUNT_0_C", &[Source::Group(g[0])])], &nesting);
    let (why, ways) = &all.unmatched[&Label::new("ACCOUNT_0_C")];
    assert_eq!(why.reason.as_str(), "UNKNOWN_ROLE");
    assert_eq!(ways.listed, [Way::Through(vec![g[0]])]);
    assert!(all.held());
}

#[test]
fn thousands_of_ways_are_counted_and_not_all_listed() {
    let g = groups(1_001);
    let (direct, bearer) = (g[1..].iter().copied().collect::<BTreeSet<_>>(), g[0]);
    let nesting = Nesting { nested: BTreeMap::from([(bearer, direct.clone())]), direct };
    let all = explained(&[("ACCOUNT_0_A", &[Source::Group(bearer)])], &nesting);
    let ways = &all.grants.values().next().unwrap()[0].ways;
    assert_eq!((ways.listed.len(), ways.more), (MOST_WAYS, 1_000 - MOST_WAYS));
}

proptest! {
    /// Every way listed is one, none is longer than it need be, and none is missing.
    #[test]
    fn ways_are_those_of_a_search_through_all_chains(
        direct in prop::collection::btree_set(0_usize..6, 0..4),
        edges in prop::collection::btree_set((0_usize..6, 0_usize..6), 0..14),
    ) {
        let g = groups(6);
        let mut nesting = Nesting { direct: direct.iter().map(|&n| g[n]).collect(), nested: BTreeMap::new() };
        for (member, group) in &edges {
            nesting.nested.entry(g[*group]).or_default().insert(g[*member]);
        }
        // The length of the shortest chain between each two groups, by relaxing all edges again and again.
        let mut far = [[usize::MAX; 6]; 6];
        for (n, row) in far.iter_mut().enumerate() {
            row[n] = 1;
        }
        for _ in 0..6 {
            for &(member, group) in &edges {
                let through = far[group];
                for (length, rest) in far[member].iter_mut().zip(through) {
                    *length = (*length).min(rest.saturating_add(1));
                }
            }
        }
        for bearer in 0..6 {
            let all = explained(&[("ACCOUNT_0_A", &[Source::Group(g[bearer])])], &nesting);
            let ways = &all.grants.values().next().unwrap()[0].ways;
            let expected: Vec<_> = direct.iter().filter(|&&n| far[n][bearer] != usize::MAX).collect();
            prop_assert_eq!(ways.listed.len(), expected.len());
            for (way, &&from) in ways.listed.iter().zip(&expected) {
                let Way::Through(chain) = way else { panic!("through groups") };
                prop_assert_eq!(chain.len(), far[from][bearer]);
                prop_assert_eq!((chain[0], *chain.last().unwrap()), (g[from], g[bearer]));
                for two in chain.windows(2) {
                    prop_assert!(nesting.nested[&two[1]].contains(&two[0]));
                }
            }
        }
    }

    #[test]
    fn an_explanation_is_of_the_effective_set(
        active: bool,
        labels in prop::collection::btree_set("(ACCOUNT|AGENT)_0_(A|B|C|BOTH)", 0..6),
    ) {
        let labels: BTreeMap<_, _> =
            labels.iter().map(|label| (Label::new(label), BTreeSet::from([Source::Direct]))).collect();
        let holding = Holding { active, labels };
        let set = resolve(&holding, &catalogue(), &rules());
        let all = explain(&holding, &Nesting::default(), &catalogue(), &rules());
        prop_assert_eq!((set.active, set.has_labels, set.held()), (all.active, all.has_labels, all.held()));
        let causes = |causes: &Vec<super::Cause>| causes.iter().map(|cause| cause.label.clone()).collect();
        let explained: BTreeMap<_, BTreeSet<_>> = all.grants.iter().map(|(g, c)| (g.clone(), causes(c))).collect();
        prop_assert_eq!(set.grants, explained);
        let unmatched: BTreeMap<_, _> = all.unmatched.into_iter().map(|(label, (why, _))| (label, why)).collect();
        prop_assert_eq!(set.unmatched, unmatched);
    }
}
