//! Rules: two sets, which of them is in force, and whom a change of them concerns.

use proto::common::v1::{RulesFrom, Settings};
use proto::identity::v1::feed_entry::Change;
use proto::identity::v1::rules_read::Read;
use proto::identity::v1::{FluentRules, Rule};
use runtime::error::Reason;
use serde_json::{Value, json};

use crate::Backend;
use crate::documents::{group, user};
use crate::tenant::{Tenant, sorted};

/// A rule set in its JSON format.
pub(crate) fn set(rules: &[(&str, &[&str])]) -> String {
    let rule = |(logical, targets): &(&str, &[&str])| {
        json!({"condition": {"type": "HAS_APP_ROLE", "appRole": logical},
               "action": {"type": "MAPPING_ROLE_ASSIGNMENT", "sourceAppRole": logical, "targetRoles": targets}})
    };
    json!({ "rules": rules.iter().map(rule).collect::<Vec<_>>() }).to_string()
}

/// A rule set as the reader hands it over.
fn found(rules: &[(&str, &[&str])]) -> Read {
    let rule = |(logical, targets): &(&str, &[&str])| Rule {
        logical_role: (*logical).to_owned(),
        target_roles: targets.iter().map(ToString::to_string).collect(),
    };
    Read::Found(FluentRules { setting_id: "900".to_owned(), rules: rules.iter().map(rule).collect() })
}

/// The logical roles of the rules in force.
async fn in_force(tenant: &Tenant) -> Vec<String> {
    tenant.ground(0).await.unwrap().rules.into_iter().map(|rule| rule.logical_role).collect()
}

/// A set takes the place of the one before; the same again changes nothing.
pub async fn rule_sets_are_put_whole_and_read_back(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let none = tenant.rules().await.unwrap();
    assert_eq!((none.in_force(), &none.own, &none.fluent), (RulesFrom::Unspecified, &None, &None));
    let before = tenant.head().await;
    tenant.put_rules(&set(&[("Clerk", &["STORE", "CLERK"]), ("Boss", &["ADMIN"])])).await.unwrap();
    let ground = tenant.ground(0).await.unwrap();
    assert_eq!(ground.version, before.revision + 1);
    assert_eq!(ground.rules[1].target_roles, ["CLERK", "STORE"]);
    let entries = tenant.entries_after(before).await;
    assert!(
        matches!(&entries[..], [entry] if entry.takes_away && matches!(entry.change, Some(Change::RulesChanged(_))))
    );

    tenant.put_rules(&set(&[("Boss", &["ADMIN"])])).await.unwrap();
    assert_eq!(in_force(&tenant).await, ["Boss"]);
    let read = tenant.rules().await.unwrap().own.unwrap();
    let written: Value = serde_json::from_str(&set(&[("Boss", &["ADMIN"])])).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&read.rules).unwrap(), written);
    assert!(read.changed_at_us > 0);
    let after = tenant.trace(backend).await;
    tenant.put_rules(&set(&[("Boss", &["ADMIN"])])).await.unwrap();
    assert_eq!(tenant.trace(backend).await, after);
    tenant.remove_rules().await.unwrap();
    assert!(in_force(&tenant).await.is_empty());
}

/// It is told which rule and which field are wrong; nothing else happens.
pub async fn a_malformed_rule_set_is_refused_and_the_one_there_stays(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    tenant.put_rules(&set(&[("Clerk", &["STORE"])])).await.unwrap();
    let before = tenant.trace(backend).await;
    let twice = set(&[("Clerk", &["STORE"]), ("Boss", &["X"]), ("Clerk", &["X"])]);
    let differing = set(&[("Clerk", &["STORE"])]).replacen("Clerk", "Boss", 1);
    for (malformed, told) in [
        (twice.as_str(), "rules 1 and 3"),
        (differing.as_str(), "rule 1, action.sourceAppRole"),
        ("[]", "the set"),
        ("nonsense", "not JSON"),
        ("", "not JSON"),
    ] {
        let refused = tenant.put_rules(malformed).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::RULES_MALFORMED);
        assert!(refused.to_string().contains(told), "{refused}");
    }
    assert_eq!(tenant.trace(backend).await, before);
    assert_eq!(in_force(&tenant).await, ["Clerk"]);
}

/// The tenant's own wins, or Fluent's; where the one that wins is not there, the other is in force. They never mix.
pub async fn the_tenant_says_which_rule_set_is_in_force(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let choose = async |from: RulesFrom| {
        let settings = Settings { rules_from: from.into(), ..Settings::default() };
        tenant.put_settings(settings).await.unwrap();
    };
    tenant.put_read(1, 0, &["A"], Some(found(&[("theirs", &["A"])]))).await.unwrap();
    assert_eq!(in_force(&tenant).await, ["theirs"], "there is no other");
    tenant.put_rules(&set(&[("ours", &["A"])])).await.unwrap();
    assert_eq!(in_force(&tenant).await, ["ours"]);
    assert_eq!(tenant.rules().await.unwrap().in_force(), RulesFrom::Own);
    let before = tenant.head().await;
    choose(RulesFrom::Fluent).await;
    assert_eq!(in_force(&tenant).await, ["theirs"]);
    let entries = tenant.entries_after(before).await;
    assert!(matches!(&entries[..], [entry] if entry.takes_away), "{entries:?}");
    tenant.put_read(1, 0, &["A"], Some(Read::Absent(true))).await.unwrap();
    assert_eq!(in_force(&tenant).await, ["ours"]);
    let rules = tenant.rules().await.unwrap();
    assert!(rules.in_force() == RulesFrom::Own && rules.fluent.is_none());
}

/// A reader of the ground never sees the one without the other.
pub async fn rules_and_catalogue_of_one_read_are_one_change(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    tenant.put_read(1, 0, &["A"], Some(found(&[("x", &["A"])]))).await.unwrap();
    let before = tenant.head().await;
    let put = tenant.put_read(1, 0, &["A", "B"], Some(found(&[("x", &["B"])]))).await.unwrap();
    assert!(put.changed);
    let entries = tenant.entries_after(before.clone()).await;
    let revisions: Vec<u64> = entries.iter().map(|entry| entry.revision).collect();
    assert_eq!(revisions, [before.revision + 1; 2], "two entries of one revision");
    let again = tenant.put_read(1, 0, &["B", "A"], Some(found(&[("x", &["B"])]))).await.unwrap();
    assert!(!again.changed);
    assert_eq!(tenant.ground(0).await.unwrap().rules_setting_id, "900");
    let stale = tenant.put_read(0, 0, &["A"], Some(found(&[("x", &["A"])]))).await.unwrap_err();
    assert_eq!(stale.reason(), Reason::FENCED);
}

/// What can't be taken leaves what was, until it can be taken again.
pub async fn a_fault_in_fluents_rules_is_told_and_the_last_good_ones_stay(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    tenant.put_read(1, 0, &["A"], Some(found(&[("x", &["A"])]))).await.unwrap();
    let before = tenant.trace(backend).await;
    tenant.put_read(1, 0, &["A"], Some(Read::Fault("rule 2: no".into()))).await.unwrap();
    tenant.put_read(1, 0, &["A"], None).await.unwrap();
    let rules = tenant.rules().await.unwrap();
    assert!(rules.fault == "rule 2: no" && rules.fault_since_us > 0);
    assert_eq!(in_force(&tenant).await, ["x"]);
    assert_eq!(tenant.trace(backend).await, before, "a fault is no change");
    tenant.put_read(1, 0, &["A"], Some(found(&[("x", &["A"])]))).await.unwrap();
    let rules = tenant.rules().await.unwrap();
    assert_eq!((rules.fault.as_str(), rules.fault_since_us), ("", 0));
}

/// Holders of labels that name what changed, directly and through nested groups; nobody else.
pub async fn those_affected_by_rules_hold_labels_that_name_them(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    tenant.put_catalogue(1, 0, &["A", "B"]).await.unwrap();
    tenant.put_settings(Settings { account_name: "ACME".into(), ..Settings::default() }).await.unwrap();
    let direct = tenant.user(&user("direct").labels(&["ACCOUNT_0_Clerk"])).await;
    let whole = tenant.user(&user("whole").labels(&["AGENT_77_Whole"])).await;
    let named = tenant.user(&user("named").labels(&["account_ACME_A"])).await;
    let other = tenant.user(&user("other").labels(&["ACCOUNT_0_A"])).await;
    let nested = tenant.user(&user("nested")).await;
    let inner = tenant.group(&group("inner"), std::slice::from_ref(&nested)).await;
    tenant.group(&group("outer").labels(&["AGENT_77_Clerk"]), &[inner]).await;
    let affected = async || tenant.affected(tenant.head().await.revision).await;

    tenant.put_rules(&set(&[("Clerk", &["A"]), ("AGENT_77_Whole", &["A"])])).await.unwrap();
    assert_eq!(affected().await, sorted([direct.clone(), whole, nested.clone()]));
    tenant.put_rules(&set(&[("Clerk", &["B"]), ("AGENT_77_Whole", &["A"])])).await.unwrap();
    assert_eq!(affected().await, sorted([direct.clone(), nested.clone()]));
    tenant.put_catalogue(1, 0, &["A"]).await.unwrap();
    assert_eq!(affected().await, sorted([direct, nested]), "their rule names what is gone");
    tenant.put_settings(Settings { account_name: "OTHER".into(), ..Settings::default() }).await.unwrap();
    assert_eq!(affected().await, [named]);
    tenant.put_catalogue(1, 0, &[]).await.unwrap();
    assert!(affected().await.contains(&other));
}
