//! Nothing unrecognised is ever provisioned, and taking away is never blocked.

use anyhow::Result;
use harness::{Dial, Family, Shape};
use scenarios::{mutations, stories, until_state};
use serde_json::json;

stories!(
    an_unrecognised_label_is_refused_with_its_reason_and_a_suggestion,
    under_hold_it_is_stored_and_nothing_is_provisioned,
    a_change_that_only_adds_an_unrecognised_label_is_refused_whole,
    a_change_that_also_takes_away_takes_away_and_gives_nothing,
    an_unrecognised_label_never_blocks_a_dismissal,
    one_without_labels_waits_for_some,
    tenants_may_refuse_one_without_labels,
    stored_labels_sent_again_are_not_judged_again,
    a_group_is_judged_by_what_it_gains_whatever_its_name_becomes,
    a_role_that_comes_to_fluent_is_recognised_by_the_request_that_needs_it,
    a_role_that_goes_takes_what_it_gave_and_frees_when_it_returns,
);

const CHICAGO: &str = "AGENT_CHIC-01_WAREHOUSE_ASSOCIATE";
const CHICAGO_GRANT: &str = "WAREHOUSE_ASSOCIATE in AGENT 1023434";
const UNKNOWN: &str = "AGENT_CHIC-01_WAREHOUSE_ASSOCIATES";
const FLUENT_GROUP: &str = "urn:ietf:params:scim:schemas:extension:fluent:2.0:Group";

fn hold() -> Dial {
    Dial::settings(&["--guardrail", "hold"])
}

async fn an_unrecognised_label_is_refused_with_its_reason_and_a_suggestion(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let refused = family.scim.hire("ann", &[CHICAGO, UNKNOWN]).await?;
    assert_eq!((refused.status, &refused.body["scimType"]), (400, &json!("invalidValue")), "{}", refused.body);
    let detail = refused.body["detail"].as_str().unwrap_or_default();
    for told in [UNKNOWN, "UNKNOWN_ROLE", CHICAGO] {
        assert!(detail.contains(told), "{told} in {detail}");
    }
    let found = family.scim.get("/Users?filter=userName%20eq%20%22ann%22").await?;
    assert_eq!(found.body["totalResults"], json!(0), "nothing is stored");
    assert_eq!(family.fluent.account("ann").await?, None);
    Ok(())
}

async fn under_hold_it_is_stored_and_nothing_is_provisioned(shape: Shape) -> Result<()> {
    let family = Family::start_with(shape, hold()).await?;
    let held = family.scim.hire("bob", &[CHICAGO, UNKNOWN]).await?;
    assert_eq!(held.status, 201, "{}", held.body);
    let shown = until_state(&family, held.id(), "held").await?;
    let reasons = &shown.body["urn:ietf:params:scim:schemas:extension:fluent:2.0:User"]["reasons"];
    assert!(reasons.to_string().contains("UNKNOWN_ROLE"), "{reasons}");
    assert_eq!(family.fluent.account("bob").await?, None);

    let path = format!("/Users/{}", held.id());
    let mended = json!([{"op": "replace", "path": "roles", "value": [{"value": CHICAGO}]}]);
    assert_eq!(family.scim.patch(&path, &mended).await?.status, 200);
    family.fluent.until_works("bob", &[CHICAGO_GRANT]).await?;
    Ok(())
}

/// R08: nothing is added.
async fn a_change_that_only_adds_an_unrecognised_label_is_refused_whole(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let path = format!("/Users/{}", family.scim.hire("cal", &[CHICAGO]).await?.id());
    family.fluent.until_works("cal", &[CHICAGO_GRANT]).await?;
    let before = family.scim.get(&path).await?;
    let operations = json!([{"op": "replace", "path": "title", "value": "Chief"},
                            {"op": "add", "path": "roles", "value": [{"value": UNKNOWN}]}]);
    assert_eq!(family.scim.patch(&path, &operations).await?.status, 400);
    let after = family.scim.get(&path).await?;
    assert_eq!(after.body["title"], json!(null), "not even the rest of the request");
    assert_eq!(after.header("rolecall-revision"), before.header("rolecall-revision"));
    Ok(())
}

/// R08: what the request took away goes, and nothing else comes.
async fn a_change_that_also_takes_away_takes_away_and_gives_nothing(shape: Shape) -> Result<()> {
    for dial in [Dial::default(), hold()] {
        let family = Family::start_with(shape, dial).await?;
        let path = format!("/Users/{}", family.scim.hire("dot", &[CHICAGO, "AGENT_NYC-05_STORE"]).await?.id());
        family.fluent.until_works("dot", &[CHICAGO_GRANT, "STORE in AGENT 1023436"]).await?;
        let moved = json!([{"op": "replace", "path": "roles", "value":
            [{"value": "AGENT_NYC-05_STORE"}, {"value": UNKNOWN}, {"value": "AGENT_CHIC-02_STORE"}]}]);
        let accepted = family.scim.patch(&path, &moved).await?;
        assert_eq!(accepted.status, 200, "{}", accepted.body);
        family.fluent.until_works("dot", &["STORE in AGENT 1023436"]).await?;
        until_state(&family, accepted.id(), "held").await?;
        assert!(family.fluent.account("dot").await?.is_some_and(|dot| dot.works_as(&["STORE in AGENT 1023436"])));
    }
    Ok(())
}

async fn an_unrecognised_label_never_blocks_a_dismissal(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let path = format!("/Users/{}", family.scim.hire("eli", &[CHICAGO]).await?.id());
    family.fluent.until_works("eli", &[CHICAGO_GRANT]).await?;
    let operations = json!([{"op": "add", "path": "roles", "value": [{"value": UNKNOWN}]},
                            {"op": "replace", "path": "active", "value": false}]);
    let dismissed = family.scim.patch(&path, &operations).await?;
    assert_eq!(dismissed.status, 200, "{}", dismissed.body);
    family.fluent.until_gone("eli").await?;
    let back = family.scim.patch(&path, &json!([{"op": "replace", "path": "active", "value": true}])).await?;
    assert_eq!(back.status, 200, "a remembered label is not added: {}", back.body);
    until_state(&family, back.id(), "held").await?;
    assert!(family.fluent.account("eli").await?.is_some_and(|eli| eli.is_gone()), "held: nothing is given");
    Ok(())
}

async fn one_without_labels_waits_for_some(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let hired = family.scim.hire("flo", &[]).await?;
    assert_eq!(hired.status, 201);
    until_state(&family, hired.id(), "held").await?;
    assert_eq!(family.fluent.account("flo").await?, None);
    let given = json!([{"op": "add", "path": "roles", "value": [{"value": CHICAGO}]}]);
    family.scim.patch(&format!("/Users/{}", hired.id()), &given).await?;
    family.fluent.until_works("flo", &[CHICAGO_GRANT]).await?;
    Ok(())
}

async fn tenants_may_refuse_one_without_labels(shape: Shape) -> Result<()> {
    let family = Family::start_with(shape, Dial::settings(&["--without-labels", "reject"])).await?;
    assert_eq!(family.scim.hire("guy", &[]).await?.status, 400);
    assert_eq!(family.scim.hire("guy", &[CHICAGO]).await?.status, 201);
    Ok(())
}

async fn a_group_is_judged_by_what_it_gains_whatever_its_name_becomes(shape: Shape) -> Result<()> {
    let family = Family::start_with(shape, Dial::settings(&["--display-names", "labels"])).await?;
    let group = family.scim.post("/Groups", &json!({"displayName": "Staff"})).await?;
    let path = format!("/Groups/{}", group.id());
    let renamed = |name: &str| {
        json!([{"op": "replace", "path": "displayName", "value": name},
               {"op": "add", "path": format!("{FLUENT_GROUP}:roles"), "value": [{"value": UNKNOWN}]}])
    };
    let refused = family.scim.patch(&path, &renamed("Team")).await?;
    assert_eq!(refused.status, 400, "a name that gives nothing is no loss: {}", refused.body);
    family.scim.patch(&path, &json!([{"op": "replace", "path": "displayName", "value": CHICAGO}])).await?;
    let lost = family.scim.patch(&path, &renamed("Team")).await?;
    assert_eq!((lost.status, &lost.body["displayName"]), (200, &json!("Team")), "the name gave a role: {}", lost.body);
    Ok(())
}

async fn stored_labels_sent_again_are_not_judged_again(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let hired = family.scim.hire("hew", &[CHICAGO]).await?;
    let path = format!("/Users/{}", hired.id());
    family.fluent.until_works("hew", &[CHICAGO_GRANT]).await?;
    family.fluent.remove_role("WAREHOUSE_ASSOCIATE").await?;
    // A label that needs the catalogue read again tells Rolecall that the role is gone.
    assert_eq!(family.scim.hire("nobody", &[UNKNOWN]).await?.status, 400);
    until_state(&family, hired.id(), "held").await?;
    let again = json!([{"op": "replace", "path": "roles", "value": [{"value": CHICAGO}]},
                       {"op": "replace", "path": "title", "value": "Associate"}]);
    let accepted = family.scim.patch(&path, &again).await?;
    assert_eq!((accepted.status, &accepted.body["title"]), (200, &json!("Associate")), "{}", accepted.body);
    Ok(())
}

async fn a_role_that_comes_to_fluent_is_recognised_by_the_request_that_needs_it(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    assert_eq!(family.scim.hire("ike", &["AGENT_CHIC-01_BRAND_NEW"]).await?.status, 400);
    family.fluent.put_role("BRAND_NEW").await?;
    let hired = family.scim.hire("ike", &["AGENT_CHIC-01_BRAND_NEW"]).await?;
    assert_eq!(hired.status, 201, "{}", hired.body);
    family.fluent.until_works("ike", &["BRAND_NEW in AGENT 1023434"]).await?;
    Ok(())
}

async fn a_role_that_goes_takes_what_it_gave_and_frees_when_it_returns(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let hired = family.scim.hire("joy", &[CHICAGO, "AGENT_NYC-05_STORE"]).await?;
    family.fluent.until_works("joy", &[CHICAGO_GRANT, "STORE in AGENT 1023436"]).await?;
    family.fluent.remove_role("WAREHOUSE_ASSOCIATE").await?;
    assert_eq!(family.scim.hire("nobody", &[UNKNOWN]).await?.status, 400);
    until_state(&family, hired.id(), "held").await?;
    let before = family.fluent.log_head().await?;
    family.fluent.put_role("WAREHOUSE_ASSOCIATE").await?;
    assert_eq!(family.scim.hire("nobody", &["AGENT_CHIC-01_NEITHER"]).await?.status, 400);
    family.fluent.until_works("joy", &[CHICAGO_GRANT, "STORE in AGENT 1023436"]).await?;
    assert!(!mutations(&family, "joy", before).await?.contains(&"createUser".to_owned()));
    Ok(())
}
