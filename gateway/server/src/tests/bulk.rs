//! `/Bulk`: each operation as if it came alone.

use std::time::Duration;

use axum::body::Body;
use runtime::error::Reason;
use serde_json::{Value, json};

use super::Face;
use crate::{Config, Limits};

fn statuses(body: &Value) -> Vec<&str> {
    body["Operations"].as_array().unwrap().iter().map(|it| it["status"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn users_and_the_groups_they_are_in_are_made_in_one_request() {
    let face = Face::new();
    let bulk = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [
        {"method": "POST", "path": "/Groups", "bulkId": "g",
            "data": {"displayName": "Staff", "members": [{"value": "bulkId:a"}, {"value": "bulkId:b"}]}},
        {"method": "POST", "path": "/Users", "bulkId": "a", "data": {"userName": "ann", "manager": "bulkId:b"}},
        {"method": "POST", "path": "/Users", "bulkId": "b", "data": {"userName": "bob", "manager": "bulkId:a"}},
        {"method": "PATCH", "path": "/Users/bulkId:a", "data": {"Operations": [
            {"op": "replace", "path": "active", "value": false}]}},
        {"method": "DELETE", "path": "/Users/bulkId:b"}]});
    let answer = face.call("POST", "/Bulk", &bulk).await;
    assert_eq!((answer.status.as_u16(), statuses(&answer.body)), (200, vec!["201", "201", "201", "200", "204"]));
    let operations = &answer.body["Operations"];
    assert!(operations.as_array().unwrap().iter().all(|it| it.get("response").is_none()));
    let path = |n: usize| operations[n]["location"].as_str().unwrap().strip_prefix("http://scim.test/scim/v2").unwrap();
    let ann = face.get(path(1)).await;
    assert_eq!((&ann.body["active"], &ann.body["groups"][0]["display"]), (&json!(false), &json!("Staff")));
    assert_eq!(operations[3]["version"], ann.header("etag"));
    assert!(!answer.header("rolecall-revision").is_empty());
    face.get(path(2)).await.is_error(404, None);
}

/// B06: no operation escapes what it would meet alone.
#[tokio::test]
async fn every_operation_is_judged_as_if_it_came_alone() {
    let face = Face::new();
    face.world.knows(&["AGENT_1_STORE"]);
    let id = face.user("ann", &["AGENT_1_STORE"]).await;
    let mut stranger = face.clone();
    stranger.token = face.world.token("other", &["scim"]);
    let path = format!("/Users/{id}");
    let operations = json!([
        {"method": "POST", "path": "/Users", "bulkId": "a", "data": {"userName": "a", "roles": [{"value": "NO_1_ROLE"}]}},
        {"method": "POST", "path": "/Users", "bulkId": "b", "data": {"userName": "ANN"}},
        {"method": "POST", "path": "/Users", "bulkId": "c", "data": {"name": {}}},
        {"method": "PUT", "path": path, "version": "W/\"99\"", "data": {"userName": "ann"}},
        {"method": "PATCH", "path": path, "data": {"Operations": [{"op": "destroy"}]}},
        {"method": "PATCH", "path": path, "version": "\n", "data": {"Operations": []}}]);
    let answer = face.call("POST", "/Bulk", &json!({ "Operations": operations })).await;
    assert_eq!(statuses(&answer.body), ["400", "409", "400", "412", "400", "400"]);
    let types: Vec<_> = (0..5).map(|n| answer.body["Operations"][n]["response"]["scimType"].clone()).collect();
    assert_eq!(json!(types), json!(["invalidValue", "uniqueness", "invalidValue", null, "invalidSyntax"]));
    assert_eq!(answer.body["Operations"][3]["location"], format!("http://scim.test/scim/v2{path}"));
    let of_others = json!({"Operations": [{"method": "DELETE", "path": path}]});
    assert_eq!(statuses(&stranger.call("POST", "/Bulk", &of_others).await.body), ["404"]);
    assert_eq!(face.world.document(&id)["roles"][0]["value"], "AGENT_1_STORE");
    assert_eq!(face.world.users(), 1);
}

#[tokio::test]
async fn one_operation_that_cannot_be_done_now_hinders_no_other() {
    let face = Face::new();
    let id = face.user("ann", &[]).await;
    face.world.lock().ailing.insert("CreateUser", Reason::STORE_BUSY);
    let bulk = json!({"Operations": [
        {"method": "POST", "path": "/Users", "bulkId": "b", "data": {"userName": "bob"}},
        {"method": "DELETE", "path": format!("/Users/{id}")}]});
    let answer = face.call("POST", "/Bulk", &bulk).await;
    assert_eq!(statuses(&answer.body), ["503", "204"]);
    let stopped = json!({"failOnErrors": 1, "Operations": bulk["Operations"]});
    assert_eq!(statuses(&face.call("POST", "/Bulk", &stopped).await.body), ["503"]);
}

#[tokio::test(start_paused = true)]
async fn a_bulk_request_has_limits_and_its_operations_wait_for_their_rate() {
    let limits = Limits { writes_per_second: 1_000, bulk_body: 4 << 10, ..Limits::default() };
    let face = Face::with(&Config { limits, ..Config::default() });
    let gone = json!({"method": "DELETE", "path": "/Users/nobody"});
    let many = |count: usize| json!({"Operations": vec![gone.clone(); count]});
    face.call("POST", "/Bulk", &many(1_001)).await.is_error(413, None);
    face.call("POST", "/Bulk", &many(200)).await.is_error(413, None);
    assert_eq!(statuses(&face.call("POST", "/Bulk", &many(50)).await.body), ["404"; 50]);
    for bad in ["", "[]", "{}", "{\"Operations\":[],\"Operations\":[]}"] {
        let request = face.request("POST", "/Bulk").body(Body::from(bad)).unwrap();
        face.send(request).await.is_error(400, Some("invalidSyntax"));
    }
    let limits = Limits { writes_per_second: 10, ..Limits::default() };
    let face = Face::with(&Config { limits, ..Config::default() });
    while face.call("DELETE", "/Users/nobody", &json!({})).await.status != 429 {}
    // The whole is a request too, and takes the next place that comes free.
    face.call("POST", "/Bulk", &many(2)).await.is_error(429, None);
    tokio::time::advance(Duration::from_millis(100)).await;
    let answer = face.call("POST", "/Bulk", &many(2)).await;
    assert_eq!(statuses(&answer.body), ["404"; 2], "none was refused for coming too fast");
}
