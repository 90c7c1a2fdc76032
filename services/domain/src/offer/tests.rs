use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::{Listing, Offer, Place, Wanted};
use crate::catalogue::{self, Catalogue, Named};
use crate::grant::ContextType;
use crate::label::Label;
use crate::matching::match_label;
use crate::rules::Rules;

fn place(id: &str, reference: Option<&str>) -> catalogue::Place {
    catalogue::Place { id: id.into(), reference: reference.map(Into::into) }
}

fn wanted(prefix: &str, locations: bool) -> Wanted {
    Wanted { prefixes: vec![prefix.into()], locations }
}

fn texts(page: &[Place]) -> Vec<&str> {
    page.iter().map(Place::label).collect()
}

#[test]
fn a_million_labels_are_counted_and_turned_over_without_being_made() {
    let roles = (0..200).map(|n| Arc::from(format!("ROLE_{n:03}")));
    let locations = (0..5_000).map(|n| place(&n.to_string(), Some(&format!("L-{n:04}")))).collect::<Vec<_>>();
    let offer = Offer::new(&Catalogue::new("", roles, [], locations), &Rules::default());
    let all = Listing::new(&offer, &wanted("", true), []);
    assert_eq!(all.count(), 1_000_200);
    let last = all.page(1_000_100, 1_000);
    assert_eq!((last.len(), last[99].label()), (100, "AGENT_L-4999_ROLE_199"));
    assert_eq!(all.behind(&last[0]), 1_000_101);
    assert_eq!(Listing::new(&offer, &wanted("", false), []).count(), 200);
    let few = Listing::new(&offer, &wanted("AGENT_L-0077_ROLE_01", true), []);
    assert_eq!((few.count(), few.page(0, 1)[0].label()), (10, "AGENT_L-0077_ROLE_010"));
}

#[test]
fn what_can_be_read_in_two_ways_is_not_offered() {
    let roles = ["STORE", "B_STORE"].map(Arc::from);
    let offer =
        Offer::new(&Catalogue::new("", roles, [], [place("1", Some("A")), place("2", Some("A_B"))]), &Rules::default());
    let listing = Listing::new(&offer, &wanted("AGENT_", true), []);
    // AGENT_A_B_STORE may be B_STORE in A and STORE in A_B.
    assert_eq!(texts(&listing.page(0, 9)), ["AGENT_A_STORE", "AGENT_A_B_B_STORE"]);
}

#[test]
fn what_is_in_use_comes_behind_and_no_label_twice() {
    let roles = ["STORE", "BUYER"].map(Arc::from);
    let offer =
        Offer::new(&Catalogue::new("", roles, [place("7", Some("MAIN"))], [place("1", None)]), &Rules::default());
    let in_use = ["x", "AGENT_1_STORE", "ACCOUNT_0_BUYER", "agent_1_STORE"].map(Label::new);
    let listing = Listing::new(&offer, &wanted("", false), in_use.clone());
    let all = ["ACCOUNT_0_BUYER", "ACCOUNT_0_STORE", "RETAILER_MAIN_BUYER", "RETAILER_MAIN_STORE"];
    assert_eq!(texts(&listing.page(0, 9)), [&all[..], &["AGENT_1_STORE", "agent_1_STORE", "x"]].concat());
    let with_locations = Listing::new(&offer, &wanted("AGENT", true), in_use);
    assert_eq!(texts(&with_locations.page(0, 9)), ["AGENT_1_BUYER", "AGENT_1_STORE"]);
}

#[test]
fn bytes_that_name_no_place_are_none() {
    for bytes in [&b""[..], b"\0", b"\0\x09short", b"\0\x01\xff", "\0\x01ü".as_bytes()] {
        assert_eq!(Place::from_bytes(bytes), None, "{bytes:?}");
    }
}

/// Contexts and roles of few letters, so that many labels can be read in two ways.
fn ground() -> impl Strategy<Value = (Catalogue, Rules)> {
    let name = || "[ab0]{1,2}(_[ab0]?){0,2}";
    let places = || prop::collection::btree_map("[ab0]{1,2}", prop::option::of(name()), 0..5);
    let names = prop::collection::btree_set(name(), 0..6);
    let rules = prop::collection::btree_map("((ACCOUNT|AGENT)_)?[ab0]{1,2}(_[ab0]{0,2}){0,2}", "[ab0]{1,2}", 0..4);
    (names, places(), places(), rules, "0?_?[ab]?").prop_map(|(names, retailers, locations, rules, account)| {
        let list = |places: &BTreeMap<String, Option<String>>| {
            places.iter().map(|(id, name)| place(id, name.as_deref())).collect::<Vec<_>>()
        };
        let names = names.iter().map(|role| Arc::from(role.as_str()));
        let catalogue = Catalogue::new(&account, names, list(&retailers), list(&locations));
        let one = |(logical, target): (String, String)| (Arc::from(logical), vec![Arc::from(target)]);
        (catalogue, Rules::new(rules.into_iter().map(one)).unwrap())
    })
}

/// What should be on offer, written plainly: every context by its name, with every role and logical role, and every rule's
/// whole name, of which those are kept that are recognised.
fn plainly(catalogue: &Catalogue, rules: &Rules) -> BTreeSet<String> {
    let mut contexts = vec![(ContextType::Account, "0".to_owned())];
    let places = catalogue.retailers().map(|place| (ContextType::Retailer, place));
    for (kind, place) in places.chain(catalogue.locations().map(|place| (ContextType::Agent, place))) {
        let names = place.reference.iter().chain([&place.id]);
        let alone = |name: &&Arc<str>| matches!(catalogue.context(kind, name), Named::Id(_));
        contexts.extend(names.into_iter().find(alone).map(|name| (kind, name.to_string())));
    }
    let ends: Vec<_> = catalogue.roles().chain(rules.iter().map(|(logical, _)| logical)).collect();
    let pairs = contexts.iter().flat_map(|(kind, name)| ends.iter().map(move |end| format!("{kind}_{name}_{end}")));
    let all = pairs.chain(rules.iter().map(|(logical, _)| logical.to_string()));
    all.filter(|label| match_label(&Label::new(label), catalogue, rules).is_ok()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_offered_is_what_is_recognised((catalogue, rules) in ground()) {
        let offer = Offer::new(&catalogue, &rules);
        let listing = Listing::new(&offer, &wanted("", true), []);
        let page = listing.page(0, usize::MAX);
        prop_assert_eq!(page.len(), listing.count());
        let offered: BTreeSet<_> = texts(&page).into_iter().map(str::to_owned).collect();
        prop_assert_eq!(offered.len(), page.len(), "one is offered twice");
        prop_assert_eq!(offered, plainly(&catalogue, &rules));
    }

    #[test]
    fn a_page_is_a_part_of_the_whole_list(
        (catalogue, rules) in ground(),
        prefixes in prop::collection::vec("(A|AG|AGENT_[ab0]{0,2}_?[ab0]{0,2}|ACCOUNT_0_[ab]?|RETAILER_|x)?", 0..4),
        locations in any::<bool>(),
        used in prop::collection::btree_set("(AGENT|agent|ACCOUNT|x)(_[ab0]{1,2}){0,3}", 0..8),
        start in 0_usize..40,
        count in 0_usize..40,
    ) {
        let offer = Offer::new(&catalogue, &rules);
        let used: Vec<_> = used.iter().map(|label| Label::new(label)).collect();
        let whole = Listing::new(&offer, &wanted("", locations), used.clone()).page(0, usize::MAX);
        let listing = Listing::new(&offer, &Wanted { prefixes: prefixes.clone(), locations }, used);
        let begins = |place: &Place| prefixes.iter().any(|prefix| place.label().starts_with(prefix));
        let whole: Vec<_> = whole.into_iter().filter(begins).collect();
        prop_assert_eq!(listing.count(), whole.len());
        let page = listing.page(start, count);
        let wanted: Vec<_> = whole.iter().skip(start).take(count).cloned().collect();
        prop_assert_eq!(&page, &wanted);
        for (at, place) in page.iter().enumerate() {
            prop_assert_eq!(listing.find(&Label::new(place.label())), Some(place.clone()));
            let place = Place::from_bytes(&place.to_bytes()).unwrap();
            prop_assert_eq!(listing.behind(&place), start + at + 1);
        }
    }

    /// A walk in pages over a ground that changes between two of them: what was offered before and after is met once.
    #[test]
    fn a_walk_meets_what_stays_once(
        (first, rules) in ground(),
        (second, other_rules) in ground(),
        count in 1_usize..6,
        turn in 0_usize..4,
    ) {
        let (before, after) = (Offer::new(&first, &rules), Offer::new(&second, &other_rules));
        let wanted = wanted("", true);
        let (before, after) = (Listing::new(&before, &wanted, []), Listing::new(&after, &wanted, []));
        let (mut met, mut last) = (Vec::new(), None::<Place>);
        for n in 0.. {
            let listing = if n < turn { &before } else { &after };
            let page = listing.page(last.as_ref().map_or(0, |last| listing.behind(last)), count);
            let ended = page.len() < count;
            last = page.last().cloned().or(last);
            met.extend(page);
            if ended && n >= turn {
                break;
            }
        }
        let stays = |place: &&Place| after.page(0, usize::MAX).contains(place);
        for place in before.page(0, usize::MAX).iter().filter(stays) {
            prop_assert_eq!(met.iter().filter(|other| *other == place).count(), 1, "{}", place.label());
        }
    }
}
