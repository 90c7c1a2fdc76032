//! One logical role stands for several of Fluent's: rules from Fluent's own setting, and the tenant's own.
#![allow(clippy::unwrap_used, reason = "a command that says what it should not is a failed test")]

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use harness::{Dial, Family, Shape, eventually};
use scenarios::{stories, until_state};
use serde_json::{Value, json};

stories!(
    rules_of_fluents_setting_give_and_take_what_they_say,
    a_malformed_setting_keeps_the_last_good_rules_and_is_told,
    a_tenants_own_rules_win_unless_it_says_otherwise,
    what_is_pushed_while_rules_change_is_of_one_rule_set,
);

const COLLEAGUE: &str = "AGENT_CHIC-01_Store_Colleague";
const UNKNOWN: &str = "AGENT_CHIC-01_NO_SUCH_ROLE";
const SETTING: u64 = 900;

fn set(logical: &str, targets: &[&str]) -> Value {
    json!({"rules": [{"condition": {"type": "HAS_APP_ROLE", "appRole": logical},
        "action": {"type": "MAPPING_ROLE_ASSIGNMENT", "sourceAppRole": logical, "targetRoles": targets}}]})
}

/// Fluent's setting with this in `lobValue`, or, if it is a text, in `value`; read by Rolecall before this answers.
async fn put(family: &Family, value: &Value) -> Result<()> {
    let field = if value.is_string() { "value" } else { "lobValue" };
    let mut setting = json!({"id": SETTING, "name": "fc.connect.scim-connector.provisioning.pipeline.config",
        "valueType": "JSON", "lobValue": null, "value": null, "context": "ACCOUNT", "contextId": 0});
    setting[field] = value.clone();
    family.fluent.put_setting(SETTING, &setting).await?;
    read_again(family).await
}

/// A label that nobody knows is refused after a newer read.
async fn read_again(family: &Family) -> Result<()> {
    let refused = family.scim.hire("nobody", &[UNKNOWN]).await?;
    ensure!(refused.status == 400, "{}", refused.body);
    Ok(())
}

async fn rules_of_fluents_setting_give_and_take_what_they_say(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    assert_eq!(family.scim.hire("ann", &[COLLEAGUE]).await?.status, 400, "no rule yet");
    put(&family, &set("Store_Colleague", &["STORE", "WAREHOUSE_ASSOCIATE"])).await?;
    let hired = family.scim.hire("ann", &[COLLEAGUE]).await?;
    assert_eq!(hired.status, 201, "{}", hired.body);
    let both = ["STORE in AGENT 1023434", "WAREHOUSE_ASSOCIATE in AGENT 1023434"];
    family.fluent.until_works("ann", &both).await?;

    put(&family, &set("Store_Colleague", &["STORE"]).to_string().into()).await?;
    family.fluent.until_works("ann", &both[..1]).await?;
    put(&family, &set("Store_Colleague", &["STORE", "NO_SUCH_ROLE"])).await?;
    let held = until_state(&family, hired.id(), "held").await?;
    let reasons = &held.body["urn:ietf:params:scim:schemas:extension:fluent:2.0:User"]["reasons"];
    assert!(reasons.to_string().contains("RULE_TARGET_UNKNOWN"), "{reasons}");
    family.fluent.until_gone("ann").await?;
    put(&family, &set("Store_Colleague", &["STORE", "WAREHOUSE_ASSOCIATE"])).await?;
    family.fluent.until_works("ann", &both).await?;

    family.fluent.remove_setting(SETTING).await?;
    read_again(&family).await?;
    family.fluent.until_gone("ann").await?;
    until_state(&family, hired.id(), "held").await?;
    Ok(())
}

async fn a_malformed_setting_keeps_the_last_good_rules_and_is_told(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    put(&family, &set("Store_Colleague", &["STORE"])).await?;
    family.scim.hire("bob", &[COLLEAGUE]).await?;
    family.fluent.until_works("bob", &["STORE in AGENT 1023434"]).await?;
    let mut malformed = set("Store_Colleague", &["WAREHOUSE_ASSOCIATE"]);
    malformed["rules"][0]["action"]["sourceAppRole"] = json!("Another");
    put(&family, &malformed).await?;
    let told = String::from_utf8(family.operate(&["tenant", "rules", "show", "dev"])?.stderr)?;
    assert!(told.contains("rule 1, action.sourceAppRole"), "{told}");
    assert_eq!(family.scim.hire("cal", &[COLLEAGUE]).await?.status, 201);
    family.fluent.until_works("cal", &["STORE in AGENT 1023434"]).await?;
    assert!(family.fluent.account("bob").await?.is_some_and(|bob| bob.works_as(&["STORE in AGENT 1023434"])));
    assert!(!family.logs().contains("Another"), "nothing of the setting is logged");
    Ok(())
}

async fn a_tenants_own_rules_win_unless_it_says_otherwise(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    put(&family, &set("Store_Colleague", &["STORE"])).await?;
    family.scim.hire("dot", &[COLLEAGUE]).await?;
    family.fluent.until_works("dot", &["STORE in AGENT 1023434"]).await?;
    let file = family.folder().join("rules.json");
    std::fs::write(&file, set("Store_Colleague", &["WAREHOUSE_ASSOCIATE"]).to_string())?;
    family.operate(&["tenant", "rules", "put", "dev", file.to_str().unwrap()])?;
    family.fluent.until_works("dot", &["WAREHOUSE_ASSOCIATE in AGENT 1023434"]).await?;
    family.operate(&["tenant", "settings", "dev", "--rules-from", "fluent"])?;
    family.fluent.until_works("dot", &["STORE in AGENT 1023434"]).await?;
    family.operate(&["tenant", "settings", "dev", "--rules-from", "own"])?;
    family.fluent.until_works("dot", &["WAREHOUSE_ASSOCIATE in AGENT 1023434"]).await?;
    let shown = String::from_utf8(family.operate(&["tenant", "rules", "show", "dev"])?.stdout)?;
    assert_eq!(serde_json::from_str::<Value>(&shown)?, set("Store_Colleague", &["WAREHOUSE_ASSOCIATE"]));
    std::fs::write(&file, "{\"rules\": 1}")?;
    let refused = family.operate(&["tenant", "rules", "put", "dev", file.to_str().unwrap()]).unwrap_err();
    assert!(refused.to_string().contains("rules: it must be a list of rules"), "{refused}");
    family.operate(&["tenant", "rules", "remove", "dev"])?;
    eventually("Fluent's rules are in force again", async || {
        family.fluent.account("dot").await.ok()??.works_as(&["STORE in AGENT 1023434"]).then_some(())
    })
    .await
}

/// C13: two rule sets in turn, with one role in common, while people are hired and others pushed: no account ever holds what
/// only the two together would give.
async fn what_is_pushed_while_rules_change_is_of_one_rule_set(shape: Shape) -> Result<()> {
    let sets = [["STORE", "Inventory_Viewer"], ["Inventory_Viewer", "WAREHOUSE_ASSOCIATE"]];
    let held = |set: [&str; 2]| set.map(|role| format!("{role} in AGENT 1023434")).into_iter().collect::<BTreeSet<_>>();
    let family = Family::start_with(shape, Dial::settings(&["--change-limit", "100"])).await?;
    let file = family.folder().join("rules.json");
    let mut names = Vec::new();
    for round in 0..8 {
        std::fs::write(&file, set("Store_Colleague", &sets[round % 2]).to_string())?;
        family.operate(&["tenant", "rules", "put", "dev", file.to_str().unwrap()])?;
        for n in 0..4 {
            let name = format!("u{round}-{n}");
            let hired = family.scim.hire(&name, &[COLLEAGUE]).await?;
            ensure!(hired.status == 201, "{}", hired.body);
            names.push((name, hired.id().to_owned()));
        }
        for (name, id) in &names {
            if let Some(account) = family.fluent.account(name).await? {
                let one = sets.iter().any(|set| account.grants.is_subset(&held(*set)));
                ensure!(one, "round {round}: {name} holds {:?}", account.grants);
            }
            let fluent = "urn:ietf:params:scim:schemas:extension:fluent:2.0:User";
            let shown = family.scim.get(&format!("/Users/{id}?attributes={fluent}:effectiveRoles")).await?;
            let roles = shown.body[fluent]["effectiveRoles"].as_array().cloned().unwrap_or_default();
            let roles: BTreeSet<_> = roles.iter().filter_map(|role| role["value"].as_str()).collect();
            let one = roles.is_empty() || sets.iter().any(|set| roles == BTreeSet::from(*set));
            ensure!(one, "round {round}: {name} was pushed {roles:?}");
        }
    }
    let last: Vec<_> = held(sets[1]).into_iter().collect();
    let last: Vec<_> = last.iter().map(String::as_str).collect();
    for (name, _) in &names {
        family.fluent.until_works(name, &last).await?;
    }
    Ok(())
}
