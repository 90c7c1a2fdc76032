//! Extensions that a tenant defines for itself: an operator puts a schema, and requests are read by it.

use anyhow::Result;
use harness::{Dial, Family, Shape, eventually};
use scenarios::stories;
use serde_json::json;

stories!(a_tenants_own_extension_drives_everything);

const BADGES: &str = "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User";
const FILE: &str = concat!("user=", env!("CARGO_MANIFEST_DIR"), "/data/badges.json");

async fn a_tenants_own_extension_drives_everything(shape: Shape) -> Result<()> {
    let family = match shape {
        Shape::Single => Family::start_with(shape, Dial::settings(&["--extension", FILE])).await?,
        Shape::Processes => {
            let family = Family::start(shape).await?;
            family.operate(&["tenant", "schema", "put", family.tenant, FILE])?;
            let listed = family.operate(&["tenant", "schema", "list", family.tenant])?;
            assert!(String::from_utf8_lossy(&listed.stdout).contains(BADGES));
            family
        }
    };
    let scim = &family.scim;
    eventually("the extension is listed", async || {
        let schema = scim.get(&format!("/Schemas/{BADGES}")).await.ok()?;
        (schema.status == 200).then_some(())
    })
    .await?;
    let kind = scim.get("/ResourceTypes/User").await?;
    assert!(kind.body["schemaExtensions"].to_string().contains(BADGES), "{}", kind.body);

    let ann = scim.hire("ann", &[]).await?;
    let path = format!("/Users/{}", ann.id());
    let operations = json!([
        {"op": "Add", "path": format!("{BADGES}:CustomAttribute"), "value": "701984"},
        {"op": "Add", "path": format!("{BADGES}:floor"), "value": "2"},
    ]);
    let patched = scim.patch(&path, &operations).await?;
    assert_eq!((patched.status, &patched.body[BADGES]), (200, &json!({"CustomAttribute": "701984", "floor": 2})));
    for (filter, hits) in [("floor%20gt%201", 1), ("CustomAttribute%20eq%20%22701985%22", 0)] {
        let list = scim.get(&format!("/Users?filter={BADGES}:{filter}&attributes={BADGES}:floor")).await?;
        assert_eq!((list.status, &list.body["totalResults"]), (200, &json!(hits)), "{filter}");
        assert!(
            list.body["Resources"].as_array().is_none_or(|all| all.iter().all(|it| it[BADGES] == json!({"floor": 2})))
        );
    }
    let refused = scim.post("/Users", &json!({"userName": "bob", BADGES: {"floor": "upstairs"}})).await?;
    assert_eq!((refused.status, refused.body["scimType"].as_str()), (400, Some("invalidValue")));

    if shape == Shape::Processes {
        family.operate(&["tenant", "schema", "remove", family.tenant, BADGES])?;
        eventually("the extension is forgotten", async || {
            let schema = scim.get(&format!("/Schemas/{BADGES}")).await.ok()?;
            (schema.status == 404).then_some(())
        })
        .await?;
        let kept = scim.get(&path).await?;
        assert_eq!(kept.body[BADGES]["CustomAttribute"], "701984", "what was said stays");
    }
    Ok(())
}
