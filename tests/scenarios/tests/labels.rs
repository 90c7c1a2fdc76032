//! An administrator picks labels from a list instead of typing them.

use anyhow::{Context as _, Result};
use harness::{Answer, Dial, Family, Shape};
use scenarios::stories;
use serde_json::json;

stories!(labels_are_picked_from_a_list, a_tenant_lists_its_locations_too);

const OKTA: &str = "urn:okta:scim:schemas:core:1.0:Role";
const DRAFT: &str = "urn:ietf:params:scim:schemas:core:2.0:Role";
const CHICAGO: &str = "AGENT_CHIC-01_WAREHOUSE_ASSOCIATE";

fn ids(answer: &Answer) -> Result<Vec<String>> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let resources = answer.body["Resources"].as_array().context("a list")?;
    Ok(resources.iter().filter_map(|role| role["id"].as_str().map(str::to_owned)).collect())
}

/// As Okta does it: the resource type by its schema, then page after page; and what was picked is accepted.
async fn labels_are_picked_from_a_list(shape: Shape) -> Result<()> {
    let family = Family::start_with(shape, Dial::settings(&["--guardrail", "hold"])).await?;
    let scim = &family.scim;
    let kinds = scim.get("/ResourceTypes").await?;
    let is_role = |kind: &&serde_json::Value| kind["schema"] == OKTA;
    let kind = kinds.body["Resources"].as_array().context("a list")?.iter().find(is_role).context("Okta's roles")?;
    assert_eq!(kind["schemaExtensions"][0]["schema"], DRAFT);
    let endpoint = kind["endpoint"].as_str().context("an endpoint")?;

    let first = scim.get(&format!("{endpoint}?count=1&startIndex=1")).await?;
    assert_eq!((&first.body["itemsPerPage"], ids(&first)?.len()), (&json!(1), 1));
    let mut all = Vec::new();
    loop {
        let page = scim.get(&format!("{endpoint}?count=3&startIndex={}", all.len() + 1)).await?;
        let found = ids(&page)?;
        all.extend(found.iter().cloned());
        if found.is_empty() || page.body["totalResults"] == all.len() {
            break;
        }
    }
    assert!(all.iter().any(|label| label.starts_with("ACCOUNT_0_")) && !all.iter().any(|it| it.starts_with("AGENT_")));
    let mut by_cursor = scim.get(&format!("{endpoint}?count=4&cursor")).await?;
    let mut walked = ids(&by_cursor)?;
    while let Some(cursor) = by_cursor.body["nextCursor"].as_str() {
        by_cursor = scim.get(&format!("{endpoint}?count=4&cursor={cursor}")).await?;
        walked.extend(ids(&by_cursor)?);
    }
    assert_eq!(walked, all);
    // B04: in whose hands it was changed.
    let cursor = scim.get(&format!("{endpoint}?count=4&cursor")).await?.body["nextCursor"].to_string();
    let cursor = cursor.trim_matches('"');
    for changed in [&cursor[1..], &cursor[..cursor.len() - 2], "%27%20OR%201=1%20--", "%7B%7D"] {
        for list in [endpoint, "/Users", "/Groups"] {
            let refused = scim.get(&format!("{list}?count=4&cursor={changed}")).await?;
            assert_eq!((refused.status, &refused.body["scimType"]), (400, &json!("invalidCursor")), "{list} {changed}");
        }
    }
    assert_eq!(scim.get(&format!("/Users?count=4&cursor={cursor}")).await?.body["scimType"], "invalidCursor");

    let chicago = scim.get(&format!("{endpoint}?filter=value%20sw%20%22AGENT_CHIC-01_%22")).await?;
    let offered = ids(&chicago)?;
    assert!(offered.len() > 1 && offered.iter().any(|label| label == CHICAGO));
    for (n, label) in offered.iter().enumerate() {
        let hired = scim.hire(&format!("picked-{n}"), &[label]).await?;
        assert_eq!(hired.status, 201, "{label} was offered: {}", hired.body);
        let role = scim.get(&format!("{endpoint}/{label}")).await?;
        assert_eq!((&role.body[DRAFT]["supported"], role.id()), (&json!(true), label.as_str()));
    }
    let in_use = scim.get(&format!("{endpoint}?filter=type%20eq%20%22AGENT%22")).await?;
    assert_eq!(ids(&in_use)?.len(), offered.len(), "what is in use is listed with the others");

    scim.hire("odd", &["AGENT_CHIC-01_JUGGLER"]).await?;
    let unknown = scim.get(&format!("{endpoint}?filter=supported%20eq%20false&attributes=supported")).await?;
    assert_eq!(ids(&unknown)?, ["AGENT_CHIC-01_JUGGLER"]);
    let found = scim.post(&format!("{endpoint}/.search"), &json!({"filter": "id ew \"JUGGLER\""})).await?;
    assert_eq!(ids(&found)?, ["AGENT_CHIC-01_JUGGLER"]);
    for refused in [scim.post(endpoint, &json!({})).await?, scim.delete(&format!("{endpoint}/{CHICAGO}")).await?] {
        assert_eq!(refused.status, 405, "{}", refused.body);
    }
    Ok(())
}

async fn a_tenant_lists_its_locations_too(shape: Shape) -> Result<()> {
    let family = Family::start_with(shape, Dial::settings(&["--role-locations", "listed"])).await?;
    let all = ids(&family.scim.get("/Roles?count=1000").await?)?;
    let chicago = ids(&family.scim.get("/Roles?filter=value%20sw%20%22AGENT_CHIC-01_%22").await?)?;
    assert!(!chicago.is_empty() && chicago.iter().all(|label| all.contains(label)), "{all:?}");
    Ok(())
}
