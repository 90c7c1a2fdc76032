//! The life of a member of staff: hired, promoted, moved, let go, taken back.

use anyhow::Result;
use harness::{Family, Shape};
use scenarios::{mutations, stories, until_state};
use serde_json::json;

stories!(
    hired_in_the_idp_is_at_work_in_fluent,
    deleted_is_gone_and_the_name_is_free,
    a_new_bearer_of_a_name_has_nothing_of_the_old_one,
    taken_back_has_the_roles_again,
    promotion_takes_away_before_it_gives,
    one_left_without_labels_loses_everything,
    a_new_inactive_user_gets_no_account,
    the_profile_follows,
    what_changes_nothing_pushes_nothing,
);

const CHICAGO: &str = "AGENT_CHIC-01_WAREHOUSE_ASSOCIATE";
const CHICAGO_GRANT: &str = "WAREHOUSE_ASSOCIATE in AGENT 1023434";

async fn hired_in_the_idp_is_at_work_in_fluent(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let hired = family.scim.hire("ada", &[CHICAGO, "Retailer_LAKESIDE_Inventory_Viewer"]).await?;
    assert_eq!(hired.status, 201, "{}", hired.body);
    assert!(hired.header("location").ends_with(hired.id()));
    assert!(!hired.header("rolecall-revision").is_empty());

    let account = family.fluent.until_works("ada", &[CHICAGO_GRANT, "Inventory_Viewer in RETAILER 134"]).await?;
    let shown = until_state(&family, hired.id(), "provisioned").await?;
    let extension = &shown.body["urn:ietf:params:scim:schemas:extension:fluent:2.0:User"];
    assert_eq!(extension["fluentUserId"], json!(account.id));
    assert!(extension["pushedAt"].is_string() && extension["effectiveRoles"].is_null(), "{extension}");
    Ok(())
}

async fn deleted_is_gone_and_the_name_is_free(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let path = format!("/Users/{}", family.scim.hire("bea", &[CHICAGO]).await?.id());
    family.fluent.until_works("bea", &[CHICAGO_GRANT]).await?;
    assert_eq!(family.scim.delete(&path).await?.status, 204);
    assert_eq!(family.scim.get(&path).await?.status, 404);
    assert_eq!(family.scim.delete(&path).await?.status, 404);
    family.fluent.until_gone("bea").await?;
    Ok(())
}

async fn a_new_bearer_of_a_name_has_nothing_of_the_old_one(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let first = family.scim.hire("cyd", &[CHICAGO]).await?;
    let account = family.fluent.until_works("cyd", &[CHICAGO_GRANT]).await?;
    assert_eq!(family.scim.delete(&format!("/Users/{}", first.id())).await?.status, 204);
    // At once, whatever the push has done by then.
    let second = family.scim.hire("CYD", &["AGENT_NYC-05_STORE"]).await?;
    assert_eq!(second.status, 201, "{}", second.body);
    assert_ne!(first.id(), second.id());
    let now = family.fluent.until_works("cyd", &["STORE in AGENT 1023436"]).await?;
    assert_eq!(now.id, account.id, "Fluent has no delete: the account is taken up again");
    Ok(())
}

async fn taken_back_has_the_roles_again(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let path = format!("/Users/{}", family.scim.hire("dee", &[CHICAGO]).await?.id());
    family.fluent.until_works("dee", &[CHICAGO_GRANT]).await?;
    family.scim.patch(&path, &json!([{"op": "replace", "path": "active", "value": false}])).await?;
    family.fluent.until_gone("dee").await?;
    family.scim.patch(&path, &json!([{"op": "replace", "path": "active", "value": true}])).await?;
    family.fluent.until_works("dee", &[CHICAGO_GRANT]).await?;
    Ok(())
}

async fn promotion_takes_away_before_it_gives(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let path = format!("/Users/{}", family.scim.hire("eve", &[CHICAGO, "AGENT_CHIC-02_STORE"]).await?.id());
    family.fluent.until_works("eve", &[CHICAGO_GRANT, "STORE in AGENT 1023435"]).await?;
    let before = family.fluent.log_head().await?;
    let promoted = json!([{"op": "replace", "path": "roles", "value": [
        {"value": "AGENT_CHIC-01_WAREHOUSE_SHIFT_LEAD"}, {"value": "AGENT_CHIC-02_STORE"}, {"value": "AGENT_NYC-05_STORE"},
    ]}]);
    assert_eq!(family.scim.patch(&path, &promoted).await?.status, 200);
    let wanted = ["WAREHOUSE_SHIFT_LEAD in AGENT 1023434", "STORE in AGENT 1023435", "STORE in AGENT 1023436"];
    family.fluent.until_works("eve", &wanted).await?;
    assert_eq!(mutations(&family, "eve", before).await?, ["removeUserRolesFromUser", "updateUser"]);
    Ok(())
}

/// R05.
async fn one_left_without_labels_loses_everything(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let path = format!("/Users/{}", family.scim.hire("fay", &[CHICAGO]).await?.id());
    family.fluent.until_works("fay", &[CHICAGO_GRANT]).await?;
    let emptied = family.scim.patch(&path, &json!([{"op": "remove", "path": "roles"}])).await?;
    assert_eq!(emptied.status, 200, "{}", emptied.body);
    family.fluent.until_gone("fay").await?;
    Ok(())
}

async fn a_new_inactive_user_gets_no_account(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let body = json!({"userName": "gil", "active": false, "roles": [{"value": CHICAGO}, {"value": "nonsense"}],
                      "emails": [{"value": "gil@example.com", "type": "work"}]});
    let stored = family.scim.post("/Users", &body).await?;
    assert_eq!(stored.status, 201, "an inactive user's labels are stored, matched or not: {}", stored.body);
    until_state(&family, stored.id(), "inactive").await?;
    assert_eq!(family.fluent.account("gil").await?, None);
    Ok(())
}

async fn the_profile_follows(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let path = format!("/Users/{}", family.scim.hire("hal", &[CHICAGO]).await?.id());
    let account = family.fluent.until_works("hal", &[CHICAGO_GRANT]).await?;
    assert_eq!(account.raw["firstName"], json!("Pat"));
    family.scim.patch(&path, &json!([{"op": "replace", "path": "name.givenName", "value": "Hal"}])).await?;
    let renamed =
        family.fluent.until("hal", "the given name follows", |account| account.raw["firstName"] == json!("Hal"));
    assert!(renamed.await?.works_as(&[CHICAGO_GRANT]));
    Ok(())
}

async fn what_changes_nothing_pushes_nothing(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let hired = family.scim.hire("ida", &[CHICAGO]).await?;
    let path = format!("/Users/{}", hired.id());
    until_state(&family, hired.id(), "provisioned").await?;
    let before = family.scim.get(&path).await?;
    let again =
        family.scim.patch(&path, &json!([{"op": "add", "path": "roles", "value": [{"value": CHICAGO}]}])).await?;
    assert_eq!(again.body["meta"], before.body["meta"]);
    assert_eq!(again.header("etag"), before.header("etag"));
    assert_eq!(again.header("rolecall-revision"), before.header("rolecall-revision"));
    Ok(())
}
