//! Accounts that stood in Fluent before, renames, and the accounts that are never touched.

use anyhow::Result;
use harness::{Dial, Family, Shape};
use scenarios::{change, mutations, relabel, stories, until_state};
use serde_json::{Value, json};

stories!(
    an_account_of_exactly_the_same_name_is_adopted,
    a_dismissal_adopts_and_empties_the_account_of_the_same_name,
    a_privileged_account_is_parked,
    a_machines_account_is_parked,
    tenants_may_park_every_account,
    the_account_rolecall_signs_in_with_is_never_touched,
    a_name_with_wildcards_matches_nobody_else,
    a_renamed_user_is_held,
    a_rename_in_case_alone_is_none,
    a_tenant_may_replace_the_account_of_a_renamed_user,
    a_tenant_may_refuse_renames_but_not_dismissals,
    a_user_without_an_account_may_be_renamed,
);

const CHICAGO: &str = "AGENT_CHIC-01_WAREHOUSE_ASSOCIATE";
const CHICAGO_GRANT: &str = "WAREHOUSE_ASSOCIATE in AGENT 1023434";
const NEW_YORK: &str = "AGENT_NYC-05_STORE";
const NEW_YORK_GRANT: &str = "STORE in AGENT 1023436";
const LAKESIDE: &str = "RETAILER_LAKESIDE_Inventory_Viewer";
const LAKESIDE_GRANT: &str = "Inventory_Viewer in RETAILER 134";

/// An account with one grant.
fn account(name: &str, kind: &str, role: &str, context: (&str, &str)) -> Value {
    json!({"username": name, "ref": name, "type": kind, "status": "ACTIVE", "primaryEmail": "old@example.com",
           "timezone": "UTC",
           "roles": [{"role": role, "contexts": [{"contextType": context.0, "contextId": context.1}]}]})
}

fn reasons(user: &harness::Answer) -> String {
    user.body["urn:ietf:params:scim:schemas:extension:fluent:2.0:User"]["reasons"].to_string()
}

async fn an_account_of_exactly_the_same_name_is_adopted(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    family.fluent.put_account(&account("amy", "LOCATION", "STORE", ("AGENT", "1023436"))).await?;
    family.scim.hire("amy", &[CHICAGO]).await?;
    family.fluent.until_works("amy", &[CHICAGO_GRANT]).await?;
    Ok(())
}

async fn a_dismissal_adopts_and_empties_the_account_of_the_same_name(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    family.fluent.put_account(&account("ben", "LOCATION", "STORE", ("AGENT", "1023436"))).await?;
    let body = json!({"userName": "ben", "active": false});
    assert_eq!(family.scim.post("/Users", &body).await?.status, 201);
    family.fluent.until_gone("ben").await?;
    Ok(())
}

async fn parked(family: &Family, account: &Value) -> Result<()> {
    let name = account["username"].as_str().unwrap_or_default();
    family.fluent.put_account(account).await?;
    let stood = family.fluent.account(name).await?;
    let before = family.fluent.log_head().await?;
    let hired = family.scim.hire(name, &[CHICAGO]).await?;
    let shown = until_state(family, hired.id(), "held").await?;
    assert!(reasons(&shown).contains("ACCOUNT_EXISTS"), "{}", reasons(&shown));
    let dismissed = json!([{"op": "replace", "path": "active", "value": false}]);
    assert_eq!(family.scim.patch(&format!("/Users/{}", hired.id()), &dismissed).await?.status, 200);
    // Nothing tells that nothing happens; a later user's push shows that the parked one's turn has come and gone.
    family.scim.hire("later", &[CHICAGO]).await?;
    family.fluent.until_works("later", &[CHICAGO_GRANT]).await?;
    assert_eq!(family.fluent.account(name).await?, stood);
    assert_eq!(mutations(family, name, before).await?, [""; 0]);
    Ok(())
}

async fn a_privileged_account_is_parked(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    parked(&family, &account("cat", "ADMIN", "STORE", ("ACCOUNT", "0"))).await
}

async fn a_machines_account_is_parked(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    parked(&family, &account("dan", "API", "STORE", ("AGENT", "1023436"))).await
}

async fn tenants_may_park_every_account(shape: Shape) -> Result<()> {
    let family = Family::start_with(shape, Dial::settings(&["--adoption", "park-all"])).await?;
    parked(&family, &account("emi", "LOCATION", "STORE", ("AGENT", "1023436"))).await
}

async fn the_account_rolecall_signs_in_with_is_never_touched(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let stood = family.fluent.account("rolecall").await?;
    let hired = family.scim.hire("rolecall", &[CHICAGO]).await?;
    until_state(&family, hired.id(), "held").await?;
    assert_eq!(family.scim.delete(&format!("/Users/{}", hired.id())).await?.status, 204);
    family.scim.hire("later", &[CHICAGO]).await?;
    family.fluent.until_works("later", &[CHICAGO_GRANT]).await?;
    assert_eq!(family.fluent.account("rolecall").await?, stood);
    Ok(())
}

/// B08: such names are stored as sent, and match no other account; what no database can hold is refused.
async fn a_name_with_wildcards_matches_nobody_else(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    family.fluent.put_account(&account("fxa", "LOCATION", "STORE", ("AGENT", "1023436"))).await?;
    let stood = family.fluent.account("fxa").await?;
    let body = |name: &str| {
        json!({"userName": name, "active": true, "roles": [{"value": CHICAGO}],
               "emails": [{"value": "f@example.com", "type": "work"}]})
    };
    for name in ["f%", "f_a", "%", "f*", "\"f'a", "f\u{1F600}a"] {
        let hired = family.scim.post("/Users", &body(name)).await?;
        assert_eq!((hired.status, &hired.body["userName"]), (201, &json!(name)), "{}", hired.body);
        family.fluent.until_works(name, &[CHICAGO_GRANT]).await?;
    }
    for name in ["f\0a".to_owned(), "f".repeat(10_000)] {
        assert_eq!(family.scim.post("/Users", &body(&name)).await?.status, 400);
    }
    assert_eq!(family.fluent.account("fxa").await?, stood);
    Ok(())
}

async fn rename(family: &Family, from: &str, to: &str) -> Result<harness::Answer> {
    let hired = family.scim.hire(from, &[CHICAGO, NEW_YORK]).await?;
    family.fluent.until_works(from, &[CHICAGO_GRANT, NEW_YORK_GRANT]).await?;
    until_state(family, hired.id(), "provisioned").await?;
    let operations = json!([{"op": "replace", "path": "userName", "value": to}]);
    family.scim.patch(&format!("/Users/{}", hired.id()), &operations).await
}

async fn a_renamed_user_is_held(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let renamed = rename(&family, "gus", "gustav").await?;
    assert_eq!(renamed.status, 200, "{}", renamed.body);
    let shown = until_state(&family, renamed.id(), "held").await?;
    assert!(reasons(&shown).contains("RENAMED"), "{}", reasons(&shown));
    assert_eq!(family.fluent.account("gustav").await?, None);
    // Held, the old account only shrinks: of one change it gets what takes and not what gives. Dismissed, it is emptied.
    let path = format!("/Users/{}", renamed.id());
    change(&family, &path, &relabel(&[CHICAGO, LAKESIDE])).await?;
    family.fluent.until_works("gus", &[CHICAGO_GRANT]).await?;
    assert_eq!(family.scim.delete(&path).await?.status, 204);
    family.fluent.until_gone("gus").await?;
    Ok(())
}

async fn a_rename_in_case_alone_is_none(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let renamed = rename(&family, "hex", "Hex").await?;
    assert_eq!(renamed.status, 200, "{}", renamed.body);
    // Held, the account would only shrink.
    change(&family, &format!("/Users/{}", renamed.id()), &relabel(&[CHICAGO, LAKESIDE])).await?;
    family.fluent.until_works("hex", &[CHICAGO_GRANT, LAKESIDE_GRANT]).await?;
    Ok(())
}

async fn a_tenant_may_replace_the_account_of_a_renamed_user(shape: Shape) -> Result<()> {
    let family = Family::start_with(shape, Dial::settings(&["--rename", "replace"])).await?;
    let renamed = rename(&family, "ina", "inalan").await?;
    assert_eq!(renamed.status, 200, "{}", renamed.body);
    family.fluent.until_gone("ina").await?;
    family.fluent.until_works("inalan", &[CHICAGO_GRANT, NEW_YORK_GRANT]).await?;
    Ok(())
}

async fn a_tenant_may_refuse_renames_but_not_dismissals(shape: Shape) -> Result<()> {
    let family = Family::start_with(shape, Dial::settings(&["--rename", "refuse"])).await?;
    let refused = rename(&family, "jim", "james").await?;
    assert_eq!((refused.status, &refused.body["scimType"]), (400, &json!("mutability")), "{}", refused.body);
    let found = family.scim.get("/Users?filter=userName%20eq%20%22jim%22").await?;
    let path = format!("/Users/{}", found.body["Resources"][0]["id"].as_str().unwrap_or_default());
    let operations = json!([{"op": "replace", "value": {"userName": "james", "active": false}}]);
    assert_eq!(family.scim.patch(&path, &operations).await?.status, 200);
    family.fluent.until_gone("jim").await?;
    Ok(())
}

async fn a_user_without_an_account_may_be_renamed(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let hired = family.scim.hire("kit", &[]).await?;
    until_state(&family, hired.id(), "held").await?;
    let operations = json!([{"op": "replace", "value": {"userName": "kitty", "roles": [{"value": CHICAGO}]}}]);
    assert_eq!(family.scim.patch(&format!("/Users/{}", hired.id()), &operations).await?.status, 200);
    family.fluent.until_works("kitty", &[CHICAGO_GRANT]).await?;
    assert_eq!(family.fluent.account("kit").await?, None);
    Ok(())
}
