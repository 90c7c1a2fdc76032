//! `/ServiceProviderConfig`, `/ResourceTypes` and `/Schemas`.

use serde_json::json;

use super::Face;

#[tokio::test]
async fn the_config_states_what_is_served() {
    let face = Face::new();
    let config = face.get("/ServiceProviderConfig").await;
    assert_eq!(config.status, 200);
    assert_eq!(config.body["patch"]["supported"], true);
    assert_eq!(config.body["etag"]["supported"], true);
    assert_eq!(config.body["bulk"], json!({"supported": true, "maxOperations": 1_000, "maxPayloadSize": 8 << 20}));
    assert_eq!(config.body["meta"]["location"], "http://scim.test/scim/v2/ServiceProviderConfig");
}

#[tokio::test]
async fn every_resource_type_and_schema_that_is_listed_can_be_read() {
    let face = Face::new();
    for list in ["/ResourceTypes", "/Schemas?filter=id+eq+%22x%22"] {
        let listed = face.get(list).await;
        let all = listed.body["Resources"].as_array().unwrap().clone();
        assert_eq!(listed.body["totalResults"], all.len());
        for one in all {
            let path = one["meta"]["location"].as_str().unwrap().split_once("/scim/v2").unwrap().1.to_owned();
            assert_eq!(face.get(&path).await.body, one);
        }
    }
    face.get("/ResourceTypes/Robot").await.is_error(404, None);
    face.get("/Schemas/urn:nobody").await.is_error(404, None);
}

#[tokio::test]
async fn the_public_url_wins_over_the_host_of_the_request() {
    let face = Face::with(&crate::Config { public_url: "https://idm.example.com/".into(), ..crate::Config::default() });
    let config = face.get("/ServiceProviderConfig").await;
    assert_eq!(config.body["meta"]["location"], "https://idm.example.com/scim/v2/ServiceProviderConfig");
}

#[tokio::test]
async fn a_tenants_own_extension_is_read_filtered_shown_and_listed() {
    const BADGES: &str = "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User";
    let face = Face::new();
    let schema = json!({"id": BADGES, "name": "Badges", "attributes": [
        {"name": "CustomAttribute", "caseExact": true}, {"name": "floor", "type": "integer"},
    ]});
    let own = proto::admin::v1::Extension { resource_type: "User".into(), schema: schema.to_string() };
    face.world.lock().extensions = vec![own];

    let listed = face.get("/Schemas").await.body["Resources"].to_string();
    assert!(listed.contains(BADGES) && listed.contains("CustomAttribute"));
    assert_eq!(face.get(&format!("/Schemas/{BADGES}")).await.body["name"], "Badges");
    assert!(face.get("/ResourceTypes/User").await.body["schemaExtensions"].to_string().contains(BADGES));

    // Entra names no extension of a customer's own in `schemas`.
    let id = face.user("ann", &[]).await;
    let patch = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [
        {"op": "Add", "path": format!("{BADGES}:CustomAttribute"), "value": "701984"},
        {"op": "Add", "path": format!("{BADGES}:floor"), "value": "2"},
    ]});
    let patched = face.call("PATCH", &format!("/Users/{id}"), &patch).await;
    assert_eq!(patched.body[BADGES], json!({"CustomAttribute": "701984", "floor": 2}), "{patched:?}");
    assert!(patched.body["schemas"].to_string().contains(BADGES));
    let shown = face.get(&format!("/Users/{id}?attributes=floor")).await.body;
    assert_eq!((&shown[BADGES], shown.get("userName")), (&json!({"floor": 2}), None));
    let wrong = json!({"userName": "bob", BADGES: {"floor": "upstairs"}});
    face.call("POST", "/Users", &wrong).await.is_error(400, Some("invalidValue"));
    face.get("/Users?filter=floor%20co%20%22x%22").await.is_error(400, Some("invalidFilter"));
}

#[tokio::test]
async fn definitions_that_cannot_be_used_keep_nobody_from_being_dismissed() {
    let face = Face::new();
    let broken = proto::admin::v1::Extension { resource_type: "User".into(), schema: "{}".into() };
    face.world.lock().extensions = vec![broken];
    let id = face.user("ann", &[]).await;
    let patch = json!({"Operations": [{"op": "replace", "path": "active", "value": false}]});
    assert_eq!(face.call("PATCH", &format!("/Users/{id}"), &patch).await.status, 200);
}
