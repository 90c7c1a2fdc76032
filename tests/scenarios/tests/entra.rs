//! What Entra ID's ways of giving roles come to in Fluent.

use anyhow::Result;
use harness::{Dial, Family, Scim, Shape};
use scenarios::stories;
use serde_json::json;

stories!(
    a_groups_name_gives_its_members_roles_where_the_tenant_says_so,
    a_provider_that_only_adds_roles_takes_them_where_each_patch_is_the_whole_list,
    a_client_with_a_short_lived_token_hires_and_dismisses,
);

const CHICAGO: &str = "AGENT_CHIC-01_WAREHOUSE_ASSOCIATE";
const CHICAGO_GRANT: &str = "WAREHOUSE_ASSOCIATE in AGENT 1023434";
const NEW_YORK: &str = "AGENT_NYC-05_STORE";
const NEW_YORK_GRANT: &str = "STORE in AGENT 1023436";

async fn a_groups_name_gives_its_members_roles_where_the_tenant_says_so(shape: Shape) -> Result<()> {
    let family = Family::start_with(shape, Dial::settings(&["--display-names", "labels"])).await?;
    let ann = family.scim.hire("ann", &[]).await?;
    let members = json!([{ "value": ann.id() }]);
    let group = family.scim.post("/Groups", &json!({ "displayName": CHICAGO, "members": members })).await?;
    family.fluent.until_works("ann", &[CHICAGO_GRANT]).await?;
    // One that is not recognised is just a name, and nobody is held for it: who is held is given nothing.
    let named = scenarios::group(&family, "AGENT_NOWHERE_BOSS", &[NEW_YORK], &[ann.id()]).await?;
    family.fluent.until_works("ann", &[CHICAGO_GRANT, NEW_YORK_GRANT]).await?;
    let rename = json!([{"op": "replace", "path": "displayName", "value": "Chicago"}]);
    assert_eq!(family.scim.patch(&format!("/Groups/{}", group.id()), &rename).await?.status, 200);
    family.fluent.until_works("ann", &[NEW_YORK_GRANT]).await?;
    assert_eq!(family.scim.delete(&format!("/Groups/{}", named.id())).await?.status, 204);
    family.fluent.until_gone("ann").await?;
    Ok(())
}

async fn a_provider_that_only_adds_roles_takes_them_where_each_patch_is_the_whole_list(shape: Shape) -> Result<()> {
    let family = Family::start_with(shape, Dial::settings(&["--roles-patch", "overwrite"])).await?;
    let bob = family.scim.hire("bob", &[CHICAGO, "AGENT_NYC-05_WAREHOUSE_ASSOCIATE"]).await?;
    assert_eq!(bob.status, 201, "{}", bob.body);
    let role = json!({ "id": "06b07648-ecfe-589f-9d2f-6325724a46ee", "value": CHICAGO, "displayName": "Chicago" });
    let add = json!([{"op": "Add", "path": "roles", "value": [{ "value": role.to_string() }]}]);
    assert_eq!(family.scim.patch(&format!("/Users/{}", bob.id()), &add).await?.status, 200);
    family.fluent.until_works("bob", &[CHICAGO_GRANT]).await?;
    Ok(())
}

async fn a_client_with_a_short_lived_token_hires_and_dismisses(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let origin = family.scim.base().trim_end_matches("/scim/v2").to_owned();
    let secret = family.scim.token();
    let id = secret.split('_').nth(1).unwrap_or_default();
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}&scope=scim");
    let issued = Scim::new(&origin, "").form("/oauth/token", &form).await?;
    assert_eq!(issued.status, 200, "{}", issued.body);
    let client = Scim::new(family.scim.base(), issued.body["access_token"].as_str().unwrap_or_default());
    let eve = client.hire("eve", &[CHICAGO]).await?;
    assert_eq!(eve.status, 201, "{}", eve.body);
    family.fluent.until_works("eve", &[CHICAGO_GRANT]).await?;
    let dismiss = json!([{"op": "Replace", "path": "active", "value": "False"}]);
    assert_eq!(client.patch(&format!("/Users/{}", eve.id()), &dismiss).await?.status, 200);
    family.fluent.until_gone("eve").await?;
    // Nothing is got with it but what it is for.
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={}", client.token());
    assert_eq!(Scim::new(&origin, "").form("/oauth/token", &form).await?.status, 401);
    Ok(())
}
