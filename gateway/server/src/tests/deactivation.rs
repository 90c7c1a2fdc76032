//! Who is deactivated is deactivated, whatever else the request says.

use runtime::error::Reason;
use serde_json::{Value, json};

use super::Face;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const FLUENT: &str = "urn:ietf:params:scim:schemas:extension:fluent:2.0:User";

fn leave() -> Value {
    json!({"op": "replace", "path": "active", "value": false})
}

fn many_labels() -> Vec<String> {
    (0..5_001).map(|n| format!("AGENT_{n}_STORE")).collect()
}

/// Operations that are refused when they come without a deactivation.
fn wrong() -> Vec<Value> {
    vec![
        json!({"op": "add", "path": "costCentre", "value": "x"}),
        json!({"op": "add", "path": format!("{ENTERPRISE}:costCentre"), "value": "x"}),
        json!({"op": "replace", "path": "id", "value": "x"}),
        json!({"op": "replace", "path": "meta.lastModified", "value": "2026-01-01T00:00:00Z"}),
        json!({"op": "add", "path": "groups", "value": [{"value": "x"}]}),
        json!({"op": "replace", "path": format!("{FLUENT}:state"), "value": "x"}),
        json!({"op": "replace", "path": "emails[type eq \"zzz\"].display", "value": "x"}),
        json!({"op": "replace", "path": "title", "value": ["a", "b"]}),
        json!({"op": "replace", "path": format!("{ENTERPRISE}:manager"), "value": [1, 2]}),
        json!({"op": "replace", "value": {"title": ["a", "b"], "name": 1}}),
        json!({"op": "add", "path": "roles", "value": many_labels()}),
        json!({"op": "add", "path": "roles", "value": ["x".repeat(100_000)]}),
        json!({"op": "remove", "path": "userName"}),
        json!({"op": "remove"}),
        json!({"op": "destroy", "path": "title"}),
        json!({"op": "replace", "path": "emails[", "value": "x"}),
        json!({"op": "replace", "path": 7, "value": "x"}),
        json!("nothing"),
    ]
}

#[tokio::test]
async fn a_patch_that_deactivates_does_so_whatever_else_it_says() {
    let face = Face::new();
    face.world.knows(&["AGENT_1_STORE"]);
    for (n, wrong) in wrong().into_iter().enumerate() {
        let id = face.user(&format!("user{n}"), &["AGENT_1_STORE"]).await;
        let path = format!("/Users/{id}");
        let alone = face.call("PATCH", &path, &json!({ "Operations": [wrong] })).await;
        assert!(matches!(alone.status.as_u16(), 400 | 413), "{n}: {alone:?}");
        assert_eq!(face.world.document(&id)["active"], true);
        for operations in [json!([leave(), wrong]), json!([wrong, leave()])] {
            face.call("PATCH", &path, &json!({"Operations": [{"op": "add", "path": "active", "value": true}]})).await;
            for _ in 0..2 {
                let answer = face.call("PATCH", &path, &json!({ "Operations": operations })).await;
                assert_eq!((answer.status.as_u16(), &answer.body["active"]), (200, &json!(false)), "{n}");
                assert_eq!(face.world.document(&id)["active"], false);
            }
        }
    }
}

#[tokio::test]
async fn what_is_right_beside_a_deactivation_is_stored() {
    let face = Face::new();
    face.world.knows(&["AGENT_1_STORE", "AGENT_2_STORE"]);
    let id = face.user("alice", &["AGENT_1_STORE", "AGENT_2_STORE"]).await;
    let operations = json!([
        {"op": "replace", "value": {"active": "False", "displayName": "A", "title": ["a", "b"]}},
        {"op": "add", "path": "costCentre", "value": "x"},
        {"op": "remove", "path": "roles[value eq \"AGENT_1_STORE\"]"},
        {"op": "replace", "path": "roles[value eq \"nobody\"].display", "value": "x"},
        {"op": "add", "path": "roles", "value": [{"value": "NO_1_ROLE"}]}]);
    let answer = face.call("PATCH", &format!("/Users/{id}"), &json!({ "Operations": operations })).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let roles = json!([{"value": "AGENT_2_STORE"}, {"value": "NO_1_ROLE"}]);
    let stored = json!({"userName": "alice", "active": false, "displayName": "A", "roles": roles});
    assert_eq!(face.world.document(&id), stored);
}

#[tokio::test]
async fn more_operations_than_are_read_do_not_keep_access() {
    let face = Face::new();
    let id = face.user("alice", &[]).await;
    let mut operations = vec![json!({"op": "replace", "path": "title", "value": "x"}); 1_000];
    operations.push(leave());
    let answer = face.call("PATCH", &format!("/Users/{id}"), &json!({ "Operations": operations })).await;
    assert_eq!((answer.status.as_u16(), &answer.body["active"]), (200, &json!(false)));
}

#[tokio::test]
async fn a_request_that_leaves_the_user_active_or_cannot_be_read_is_refused_as_before() {
    let face = Face::new();
    let id = face.user("alice", &[]).await;
    let path = format!("/Users/{id}");
    let wrong = json!({"op": "add", "path": "costCentre", "value": "x"});
    let back = json!({"op": "replace", "path": "active", "value": true});
    for operations in [
        json!([wrong, leave(), back]),
        json!([wrong, {"op": "replace", "path": "active", "value": "perhaps"}]),
        json!([wrong, {"op": "replace", "path": "displayName", "value": "false"}]),
    ] {
        face.call("PATCH", &path, &json!({ "Operations": operations })).await.is_error(400, Some("invalidPath"));
    }
    let request = face.request("PATCH", &path).body(axum::body::Body::from("{\"Operations\": [")).unwrap();
    face.send(request).await.is_error(400, Some("invalidSyntax"));
    let request = face.request("PATCH", &path).header("if-match", "W/\"9\"");
    let body = axum::body::Body::from(json!({"Operations": [leave()]}).to_string());
    face.send(request.body(body).unwrap()).await.is_error(412, None);
    assert_eq!(face.world.document(&id), json!({"userName": "alice", "active": true}));
    face.call("PATCH", &path, &json!({"Operations": [leave()]})).await;
    let refused = face.call("PATCH", &path, &json!({ "Operations": [wrong] })).await;
    refused.is_error(400, Some("invalidPath"));
}

#[tokio::test]
async fn a_put_that_deactivates_does_so_whatever_else_it_says() {
    let face = Face::new();
    face.world.knows(&["AGENT_1_STORE"]);
    for (n, wrong) in [
        json!({"title": ["a", "b"]}),
        json!({"emails": [["x"]]}),
        json!({ENTERPRISE: "x"}),
        json!({ENTERPRISE: {"manager": [1, 2]}}),
        json!({"userName": null}),
        json!({"userName": ["a", "b"]}),
        json!({ "roles": many_labels() }),
        json!({ "roles": ["x".repeat(100_000)] }),
        json!({"title": "x", "Title": "y"}),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("user{n}");
        let id = face.user(&name, &["AGENT_1_STORE"]).await;
        let path = format!("/Users/{id}");
        let with = |active: bool| {
            let mut body = json!({"userName": name, "active": active});
            body.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
            body
        };
        let refused = face.call("PUT", &path, &with(true)).await;
        assert!(matches!(refused.status.as_u16(), 400 | 413), "{n}: {refused:?}");
        let answer = face.call("PUT", &path, &with(false)).await;
        assert_eq!((answer.status.as_u16(), &answer.body["active"]), (200, &json!(false)), "{n}: {answer:?}");
        let stored = face.world.document(&id);
        assert_eq!((&stored["active"], &stored["userName"]), (&json!(false), &json!(name)));
    }
}

#[tokio::test]
async fn a_put_that_is_wrong_in_part_keeps_what_it_says_wrongly_and_stores_the_rest() {
    let face = Face::new();
    let id = face.user("alice", &[]).await;
    let path = format!("/Users/{id}");
    let before = json!({"userName": "alice", "title": "T", "displayName": "A", "nickName": "N"});
    assert_eq!(face.call("PUT", &path, &before).await.status, 200);
    let change = json!({"userName": "alice", "active": false, "title": ["a", "b"], "displayName": "B",
        "roles": [{"value": "NO_1_ROLE"}]});
    assert_eq!(face.call("PUT", &path, &change).await.status, 200);
    let stored = json!({"userName": "alice", "active": false, "title": "T", "displayName": "B",
        "roles": [{"value": "NO_1_ROLE"}]});
    assert_eq!(face.world.document(&id), stored);
}

#[tokio::test]
async fn a_tenant_that_is_read_by_the_letter_deactivates_too() {
    let face = Face::new();
    face.world.lock().settings.set_protocol(proto::common::v1::Protocol::Strict);
    let id = face.user_of(&json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "a"})).await;
    let path = format!("/Users/{id}");
    let body = json!({"Operations": [{"op": "Replace", "path": "title", "value": "x"}, leave()]});
    assert_eq!(face.call("PATCH", &path, &body).await.body["active"], false);
    let body = json!({"userName": "a", "active": false, "nobodyKnows": 1});
    assert_eq!(face.call("PUT", &path, &body).await.status, 200);
}

#[tokio::test]
async fn what_identity_store_cannot_hold_does_not_keep_access() {
    let face = Face::new();
    face.world.knows(&["AGENT_1_STORE"]);
    for (refusals, roles) in [(1, json!(null)), (2, json!([{"value": "AGENT_1_STORE"}]))] {
        let id = face.user(&format!("user{refusals}"), &["AGENT_1_STORE"]).await;
        face.world.lock().unholdable = refusals;
        let body = json!({"userName": "x".repeat(501), "active": false, "roles": []});
        let answer = face.call("PUT", &format!("/Users/{id}"), &body).await;
        assert_eq!((answer.status.as_u16(), &answer.body["active"]), (200, &json!(false)), "{answer:?}");
        let stored = face.world.document(&id);
        assert_eq!((&stored["roles"], &stored["userName"]), (&roles, &json!(format!("user{refusals}"))));
    }
    let id = face.user("alice", &[]).await;
    face.world.lock().unholdable = usize::MAX;
    let body = json!({"userName": "x".repeat(501)});
    face.call("PUT", &format!("/Users/{id}"), &body).await.is_error(400, Some("invalidValue"));
    face.world.lock().unholdable = 0;
    face.world.lock().ailing.insert("ReplaceUser", Reason::STORE_BUSY);
    let body = json!({"userName": "alice", "active": false});
    face.call("PUT", &format!("/Users/{id}"), &body).await.is_error(503, None);
}

#[tokio::test]
async fn a_bulk_request_deactivates_like_one_of_its_own() {
    let face = Face::new();
    let (ann, bob) = (face.user("ann", &[]).await, face.user("bob", &[]).await);
    let wrong = json!({"op": "add", "path": "costCentre", "value": "x"});
    let long = json!({"op": "add", "path": "roles", "value": ["x".repeat(100_000)]});
    let patch = |id: &str, operation: &Value| json!({"method": "PATCH", "path": format!("/Users/{id}"), "data": {"Operations": [operation, leave()]}});
    let bulk = json!({"Operations": [patch(&ann, &wrong), patch(&bob, &long)]});
    let answer = face.call("POST", "/Bulk", &bulk).await;
    assert_eq!(answer.status, 200);
    for (n, id) in [ann, bob].iter().enumerate() {
        assert_eq!(answer.body["Operations"][n]["status"], "200", "{n}");
        assert_eq!(face.world.document(id)["active"], false);
    }
}

/// On Tokio's clock, so that nobody waits for the request's time.
#[tokio::test(start_paused = true)]
async fn who_takes_access_away_is_not_sent_away_because_others_are_first() {
    let face = Face::new();
    face.world.knows(&["AGENT_1_STORE"]);
    let id = face.user("alice", &["AGENT_1_STORE"]).await;
    let path = format!("/Users/{id}");
    let send = async |operation: Value| {
        face.world.lock().races = 100;
        face.call("PATCH", &path, &json!({ "Operations": [operation] })).await
    };
    send(json!({"op": "add", "path": "title", "value": "T"})).await.is_error(503, None);
    assert_eq!(send(json!({"op": "remove", "path": "roles"})).await.status, 200, "it takes a label away");
    assert_eq!(send(leave()).await.status, 200);
    assert_eq!(face.world.document(&id)["active"], false);
    send(json!({"op": "replace", "path": "active", "value": true})).await.is_error(503, None);
    face.world.lock().races = 100;
    let request = face.request("DELETE", &path).header("if-match", "*").body(axum::body::Body::empty()).unwrap();
    assert_eq!(face.send(request).await.status, 204);
    let group = json!({"displayName": "G", "roles": ["AGENT_1_STORE"]});
    let group = face.call("POST", "/Groups", &group).await.body["id"].as_str().unwrap().to_owned();
    face.world.lock().races = 100;
    let body = json!({"displayName": "G", "roles": []});
    assert_eq!(face.call("PUT", &format!("/Groups/{group}"), &body).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn who_takes_access_away_is_told_in_time_that_it_could_not_be_done() {
    let face = Face::new();
    let id = face.user("alice", &[]).await;
    face.world.lock().races = usize::MAX;
    let bulk = json!({"Operations": [
        {"method": "PATCH", "path": format!("/Users/{id}"), "data": {"Operations": [leave()]}}]});
    let answer = face.call("POST", "/Bulk", &bulk).await;
    assert_eq!((answer.status.as_u16(), &answer.body["Operations"][0]["status"]), (200, &json!("503")));
}
