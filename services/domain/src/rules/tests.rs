use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{MOST_RULES, MalformedRules, Rules};

fn rule(logical: &str, targets: &[&str]) -> Value {
    json!({"condition": {"type": "HAS_APP_ROLE", "appRole": logical},
           "action": {"type": "MAPPING_ROLE_ASSIGNMENT", "sourceAppRole": logical, "targetRoles": targets}})
}

fn set(rules: &[Value]) -> Value {
    json!({ "rules": rules })
}

fn parse(value: &Value) -> Result<Rules, MalformedRules> {
    Rules::parse(&value.to_string())
}

fn refusal(value: &Value) -> String {
    parse(value).expect_err("it is malformed").to_string()
}

#[test]
fn the_format_of_fluents_connector_is_read_as_it_stands_and_as_a_json_string() {
    let written = set(&[rule("Store_Colleague", &["STORE", "RETURNS_MANAGER", "STORE"]), rule("Boss", &["ADMIN"])]);
    let rules = parse(&written).unwrap();
    assert_eq!(rules.rule("Store_Colleague").unwrap().1, [Arc::from("RETURNS_MANAGER"), Arc::from("STORE")]);
    assert_eq!((rules.iter().count(), rules.rule("store_colleague")), (2, None), "names are exact");
    assert_eq!(parse(&Value::from(written.to_string())).unwrap(), rules, "a string that holds it");
    assert_eq!(parse(&set(&[])).unwrap(), Rules::default(), "no rules");
}

#[test]
fn what_is_wrong_is_named_by_rule_and_field_and_nothing_of_it_is_repeated() {
    let good = rule("A", &["STORE"]);
    let with = |pointer: &str, value: Value| {
        let mut rule = good.clone();
        *rule.pointer_mut(pointer).unwrap() = value;
        set(&[good.clone(), rule])
    };
    for (written, told) in [
        (json!([]), "the set: it must be an object with exactly `rules`"),
        (json!({}), "the set: it must be an object with exactly `rules`"),
        (json!({"rules": [], "version": 1}), "the set: it must be an object with exactly `rules`"),
        (json!({"rules": {}}), "rules: it must be a list of rules"),
        (set(&[json!(7)]), "rule 1, the rule: it must be an object with exactly `condition`, `action`"),
        (with("/condition/type", json!("HAS_GROUP")), "rule 2, condition.type: it must be \"HAS_APP_ROLE\""),
        (with("/condition/appRole", json!(1)), "rule 2, condition.appRole: it must be a text"),
        (with("/action/type", json!("DENY")), "rule 2, action.type: it must be \"MAPPING_ROLE_ASSIGNMENT\""),
        (
            with("/action/sourceAppRole", json!("B")),
            "rule 2, action.sourceAppRole: it must be the same as condition.appRole",
        ),
        (with("/action/targetRoles", json!("STORE")), "rule 2, action.targetRoles: it must be a list of role names"),
        (
            with("/action/targetRoles", json!([])),
            "rule 2, action.targetRoles: it must be a list of 1 to 100 role names",
        ),
        (
            with("/action/targetRoles", json!([""])),
            "rule 2, action.targetRoles: a role's name must be 1 to 255 bytes without control characters",
        ),
        (
            set(&[good.clone(), rule("B", &["X"]), good.clone()]),
            "rules 1 and 3 stand for one logical role; only one may",
        ),
    ] {
        assert_eq!(refusal(&written), told);
    }
    let twice = r#"{"rules": [], "rules": []}"#;
    assert!(Rules::parse(twice).unwrap_err().to_string().ends_with("each once"));
    assert_eq!(Rules::parse("{\n  x").unwrap_err().to_string(), "line 2, column 3: the text is not JSON");
    assert_eq!(refusal(&Value::from("secret")), "line 1, column 1: the text is not JSON");
}

#[test]
fn what_is_too_much_is_refused() {
    let many: Vec<Value> = (0..=MOST_RULES).map(|n| rule(&format!("R{n}"), &["X"])).collect();
    assert_eq!(refusal(&set(&many)), "rules: there may be at most 5000");
    assert!(parse(&set(&many[1..])).is_ok());
    let targets: Vec<String> = (0..101).map(|n| format!("T{n}")).collect();
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    assert!(refusal(&set(&[rule("A", &targets)])).contains("1 to 100"));
    assert_eq!(Rules::parse(&" ".repeat((1 << 20) + 1)), Err(MalformedRules::TooLong));
    assert!(Rules::parse(&"[".repeat(100_000)).is_err(), "no depth is a fault");
}

#[test]
fn the_difference_of_two_sets_is_what_each_name_stands_for() {
    let of = |rules: &[Value]| parse(&set(rules)).unwrap();
    let old = of(&[rule("same", &["X"]), rule("changed", &["X"]), rule("gone", &["X"])]);
    let new = of(&[rule("same", &["X"]), rule("changed", &["X", "Y"]), rule("new", &["X"])]);
    let names = |a: &Rules, b: &Rules| a.differing(b).map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&old, &new), ["changed", "gone", "new"]);
    assert!(names(&old, &old).is_empty());
}

proptest! {
    #[test]
    fn a_set_reads_back_as_written(rules in proptest::collection::btree_map("[A-Za-z_ é\"]{1,12}", proptest::collection::vec("[A-Z_]{1,8}", 1..5), 0..8)) {
        let pairs = rules.into_iter().map(|(logical, targets)| (logical.into(), targets.into_iter().map(Into::into).collect()));
        let rules = Rules::new(pairs).unwrap();
        prop_assert_eq!(&parse(&rules.to_json()).unwrap(), &rules);
        prop_assert_eq!(parse(&Value::from(rules.to_json().to_string())).unwrap(), rules);
    }

    #[test]
    fn no_text_is_a_fault(text in "[\\[\\]{}\":,a-zA-Z0-9 ]{0,60}|\\PC{0,40}") {
        drop(Rules::parse(&text));
    }
}
