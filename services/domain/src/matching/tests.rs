use std::sync::Arc;

use proptest::prelude::*;

use super::{Reason, Unmatched, match_label};
use crate::catalogue::{Catalogue, Place};
use crate::grant::{ContextType, Grant};
use crate::label::Label;
use crate::rules::Rules;

fn place(id: &str, reference: &str) -> Place {
    Place { id: id.into(), reference: (!reference.is_empty()).then(|| reference.into()) }
}

fn catalogue() -> Catalogue {
    Catalogue::new(
        "ACME",
        ["STORE", "STORE_MANAGER", "Fulfillment_Associate", "RETURNS_MANAGER", "SYD_STORE"].map(Arc::from),
        [place("1", "north"), place("2", "south"), place("3", "1")],
        [place("1023434", "CHIC-01"), place("77", "5000299"), place("78", "5000299_SYD"), place("90", "")],
    )
}

fn rules() -> Rules {
    Rules::new([
        (Arc::from("Store_Colleague"), vec![Arc::from("STORE"), Arc::from("RETURNS_MANAGER")]),
        (Arc::from("Broken"), vec![Arc::from("STORE"), Arc::from("NO_SUCH_ROLE")]),
        (Arc::from("AGENT_90_whatever"), vec![Arc::from("STORE")]),
    ])
    .unwrap()
}

fn grants(text: &str) -> Result<Vec<String>, Reason> {
    match_label(&Label::new(text), &catalogue(), &rules())
        .map(|grants| grants.iter().map(ToString::to_string).collect())
}

fn suggestion(text: &str) -> Option<String> {
    let (label, catalogue, rules) = (Label::new(text), catalogue(), rules());
    let reason = match_label(&label, &catalogue, &rules).unwrap_err();
    Unmatched::explained(reason, &label, &catalogue, &rules).suggestion
}

#[test]
fn a_label_gives_its_role_in_its_context() {
    assert_eq!(grants("AGENT_1023434_STORE").unwrap(), ["STORE in AGENT 1023434"]);
    assert_eq!(grants("Agent_CHIC-01_Fulfillment_Associate").unwrap(), ["Fulfillment_Associate in AGENT 1023434"]);
    assert_eq!(grants("retailer_north_STORE_MANAGER").unwrap(), ["STORE_MANAGER in RETAILER 1"]);
    assert_eq!(grants("ACCOUNT_0_STORE").unwrap(), ["STORE in ACCOUNT 0"]);
    assert_eq!(grants("ACCOUNT_ACME_STORE").unwrap(), ["STORE in ACCOUNT 0"]);
}

#[test]
fn a_rule_gives_all_its_targets() {
    let both = ["RETURNS_MANAGER in AGENT 90", "STORE in AGENT 90"];
    assert_eq!(grants("AGENT_90_Store_Colleague").unwrap(), both);
    assert_eq!(grants("AGENT_90_whatever").unwrap(), ["STORE in AGENT 90"], "a rule may name the whole label");
}

#[test]
fn a_rule_with_one_unknown_target_gives_nothing() {
    assert_eq!(grants("AGENT_90_Broken"), Err(Reason::RuleTargetUnknown));
}

#[test]
fn what_is_not_recognised_is_named() {
    assert_eq!(grants("AGENT_90"), Err(Reason::Malformed));
    assert_eq!(grants("STORE_90_STORE"), Err(Reason::UnknownContextType));
    assert_eq!(grants("AGENT_91_STORE"), Err(Reason::UnknownContext));
    assert_eq!(grants("ACCOUNT_1_STORE"), Err(Reason::UnknownContext));
    assert_eq!(grants("AGENT_90_CLERK"), Err(Reason::UnknownRole));
    assert_eq!(grants("AGENT_90_store"), Err(Reason::UnknownRole), "role names are exact");
    assert_eq!(grants("AGENT_chic-01_STORE"), Err(Reason::UnknownContext), "refs are exact");
}

/// B07: whatever stands where a label should. Types in any case are legal, and underscores inside refs and roles; all else
/// is unmatched with its reason.
#[test]
fn a_hostile_label_gives_nothing_and_says_why() {
    let (malformed, context, role) = (Reason::Malformed, Reason::UnknownContext, Reason::UnknownRole);
    for (text, reason) in [
        ("", malformed),
        ("RETAILER__X", malformed),
        ("RETAILER__STORE", malformed),
        ("AGENT_90_", malformed),
        ("_90_STORE", malformed),
        ("AGENT_90_STORE\u{200B}", malformed),
        ("AGENT_\u{202E}90_STORE", malformed),
        ("AGENT_90_STORE\n", malformed),
        ("AGENT_90_STORE\0", malformed),
        ("AGENT\u{200B}_90_STORE", malformed),
        ("\u{410}GENT_90_STORE", Reason::UnknownContextType),
        ("AGENT _90_STORE", Reason::UnknownContextType),
        ("AGENT_../.._STORE", context),
        ("AGENT_%_STORE", context),
        ("AGENT_9%_STORE", context),
        ("AGENT_9__STORE", context),
        ("AGENT_*_STORE", context),
        ("AGENT_90' OR '1'='1_STORE", context),
        ("AGENT_\u{661}_STORE", context),
        ("AGENT_90_STORE ", role),
        ("AGENT_90_%", role),
        ("AGENT_90_\"}) { id } }", role),
        ("AGENT_90_STORE\") { roles { name } } mutation { x", role),
        ("AGENT_90_store", role),
    ] {
        assert_eq!(grants(text), Err(reason), "{text:?}");
    }
    assert_eq!(grants(&format!("AGENT_90_{}", "R".repeat(10_000))), Err(malformed));
    assert_eq!(grants(&"_".repeat(10_000)), Err(malformed));
}

#[test]
fn two_meanings_are_none() {
    // Location 5000299 with role SYD_STORE, or location 5000299_SYD with role STORE.
    assert_eq!(grants("AGENT_5000299_SYD_STORE"), Err(Reason::Ambiguous));
    assert_eq!(grants("AGENT_5000299_SYD_STORE_MANAGER").unwrap(), ["STORE_MANAGER in AGENT 78"]);
    // Retailer 1 by id, retailer 3 by ref.
    assert_eq!(grants("RETAILER_1_STORE"), Err(Reason::Ambiguous));
}

#[test]
fn a_near_name_is_suggested() {
    assert_eq!(suggestion("AGENT_CHIC-01_STOR").as_deref(), Some("AGENT_CHIC-01_STORE"));
    assert_eq!(suggestion("AGENT_chic-01_store").as_deref(), Some("AGENT_CHIC-01_STORE"));
    assert_eq!(suggestion("AGNT_90_STORE").as_deref(), Some("AGENT_90_STORE"));
    assert_eq!(suggestion("AGENT_90_SOMETHING_ELSE"), None);
}

/// The rule written plainly, over lists.
fn oracle(text: &str, roles: &[&str], places: &[(&str, &str)]) -> Option<Grant> {
    let parts: Vec<&str> = text.split('_').collect();
    if !parts[0].eq_ignore_ascii_case("agent") {
        return None;
    }
    let mut found = Vec::new();
    for cut in 2..parts.len() {
        let (context, role) = (parts[1..cut].join("_"), parts[cut..].join("_"));
        if !roles.contains(&role.as_str()) {
            continue;
        }
        for (id, reference) in places {
            if *id == context || *reference == context {
                let id = Arc::from(*id);
                found.push(Grant { role: role.as_str().into(), context_type: ContextType::Agent, context_id: id });
            }
        }
    }
    // An item named by its id and by its ref at once is one item.
    found.dedup();
    if found.len() == 1 { found.pop() } else { None }
}

proptest! {
    #[test]
    fn a_match_is_the_oracles(
        text in "(AGENT|agent|RETAILER)(_[ab1]{1,2}){1,5}",
        roles in prop::collection::btree_set("[ab1]{1,2}(_[ab1]{1,2}){0,2}", 0..8),
        places in prop::collection::btree_map("[ab1]{1,2}", "[ab1]{1,2}(_[ab1]{1,2}){0,2}", 0..8),
    ) {
        let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
        let places: Vec<(&str, &str)> = places.iter().map(|(id, r)| (id.as_str(), r.as_str())).collect();
        let catalogue = Catalogue::new(
            "", roles.iter().map(|role| Arc::from(*role)), [], places.iter().map(|(id, r)| place(id, r)),
        );
        let matched = match_label(&Label::new(&text), &catalogue, &Rules::default());
        prop_assert_eq!(matched.ok().map(|set| set.into_iter().collect::<Vec<_>>()),
                        oracle(&text, &roles, &places).map(|grant| vec![grant]));
    }

    #[test]
    fn a_suggestion_is_always_one_that_would_be_accepted(text in "(AGENT|ACCOUNT|RETAILER|AGNT)_[A-Za-z0-9_-]{1,24}") {
        let (label, catalogue, rules) = (Label::new(&text), catalogue(), rules());
        if let Err(reason) = match_label(&label, &catalogue, &rules)
            && let Some(suggestion) = Unmatched::explained(reason, &label, &catalogue, &rules).suggestion
        {
            prop_assert!(match_label(&Label::new(&suggestion), &catalogue, &rules).is_ok());
        }
    }
}
