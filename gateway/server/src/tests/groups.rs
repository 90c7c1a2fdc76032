//! `/Groups`: documents, and members as deltas.

use axum::body::Body;
use proto::common::v1 as common;
use serde_json::{Value, json};

use super::Face;

async fn group(face: &Face, members: &[&str]) -> String {
    let members: Vec<_> = members.iter().map(|id| json!({ "value": id })).collect();
    let answer = face.call("POST", "/Groups", &json!({"displayName": "One", "members": members})).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.body["id"].as_str().unwrap().to_owned()
}

fn members(body: &Value) -> Vec<&str> {
    body["members"].as_array().unwrap().iter().map(|member| member["value"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_empty_group_has_an_empty_list_of_members() {
    let face = Face::new();
    let id = group(&face, &[]).await;
    let answer = face.get(&format!("/Groups/{id}")).await;
    assert_eq!(answer.body["members"], json!([]));
    assert_eq!(answer.body["meta"]["resourceType"], "Group");
    assert_eq!(face.world.count("ListMembers"), 0);
}

#[tokio::test]
async fn members_come_and_go_by_deltas() {
    let face = Face::new();
    let id = group(&face, &["a", "b"]).await;
    let path = format!("/Groups/{id}");
    let delta = json!({"Operations": [
        {"op": "remove", "path": "members[value eq \"a\"]"},
        {"op": "add", "path": "members", "value": [{"value": "c", "$ref": null}]}]});
    let answer = face.call("PATCH", &path, &delta).await;
    assert_eq!(members(&answer.body), ["b", "c"]);
    assert_eq!(answer.body["members"][0]["$ref"], "http://scim.test/scim/v2/Users/b");
    let put = json!({"displayName": "Two", "members": [{"value": "d", "display": null}]});
    assert_eq!(members(&face.call("PUT", &path, &put).await.body), ["d"]);
    let silent = face.call("PUT", &path, &json!({"displayName": "Three"})).await;
    assert_eq!(members(&silent.body), ["d"], "silence changes no members");
    let emptied = json!({"Operations": [{"op": "replace", "path": "members", "value": []}]});
    assert_eq!(face.call("PATCH", &path, &emptied).await.body["members"], json!([]));
    assert_eq!(face.delete(&path).await.status, 204);
    face.get(&path).await.is_error(404, None);
}

/// RFC 7644 section 3.12: `noTarget` where a filter yields no match. By default providers may repeat themselves.
#[tokio::test]
async fn removing_who_is_no_member_is_refused_by_the_letter_alone() {
    let face = Face::new();
    let id = group(&face, &["a", "b"]).await;
    let path = format!("/Groups/{id}");
    let remove = |ids: &[&str]| {
        let operation = |id: &&str| json!({"op": "remove", "path": format!("members[value eq \"{id}\"]")});
        let schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"];
        json!({"schemas": schemas, "Operations": ids.iter().map(operation).collect::<Vec<_>>()})
    };
    assert_eq!(members(&face.call("PATCH", &path, &remove(&["nobody"])).await.body), ["a", "b"]);
    face.world.lock().settings.set_protocol(common::Protocol::Strict);
    let face = Face::over(face.world);
    let refused = face.call("PATCH", &path, &remove(&["a", "nobody"])).await;
    refused.is_error(400, Some("noTarget"));
    assert!(refused.body["detail"].as_str().unwrap().contains("operation 2"), "{refused:?}");
    assert_eq!(members(&face.get(&path).await.body), ["a", "b"], "all or nothing");
    face.call("PATCH", &path, &remove(&["a", "a"])).await.is_error(400, Some("noTarget"));
    assert_eq!(members(&face.call("PATCH", &path, &remove(&["a"])).await.body), ["b"]);
}

#[tokio::test]
async fn members_alone_need_no_version_and_a_document_does() {
    let face = Face::new();
    let id = group(&face, &[]).await;
    face.world.lock().races = 2;
    let joining = json!({"Operations": [{"op": "add", "path": "members", "value": [{"value": "a"}]}]});
    assert_eq!(face.call("PATCH", &format!("/Groups/{id}"), &joining).await.status, 200);
    assert_eq!(face.world.lock().races, 2, "a delta races with nobody");
    let rename = json!({"Operations": [{"op": "replace", "value": {"id": id, "displayName": "Renamed"}}]});
    let renamed = face.call("PATCH", &format!("/Groups/{id}"), &rename).await;
    assert_eq!(renamed.body["displayName"], "Renamed");
    assert_eq!(members(&renamed.body), ["a"]);
    assert_eq!(face.world.lock().races, 0);
}

#[tokio::test]
async fn a_change_that_takes_away_is_not_given_up_however_many_others_there_are() {
    let face = Face::new();
    let id = group(&face, &["a", "b"]).await;
    let path = format!("/Groups/{id}");
    let rename = |name: &str| json!({"op": "replace", "path": "displayName", "value": name});
    let both = |name: &str, last: serde_json::Value| json!({"Operations": [rename(name), last]});
    let leave = json!({"op": "remove", "path": "members[value eq \"a\"]"});
    let join = json!({"op": "add", "path": "members", "value": [{"value": "c"}]});
    face.world.lock().races = 100;
    let left = face.call("PATCH", &path, &both("Left", leave)).await;
    assert_eq!((left.status.as_u16(), members(&left.body)), (200, vec!["b"]));
    face.world.lock().races = 100;
    face.call("PATCH", &path, &both("Joined", join)).await.is_error(503, None);
    face.world.lock().races = 100;
    let delete = face.request("DELETE", &path).header("if-match", "*").body(Body::empty()).unwrap();
    assert_eq!(face.send(delete).await.status, 204);
}

#[tokio::test]
async fn members_are_not_read_where_they_are_not_wanted() {
    let face = Face::new();
    let id = group(&face, &["a"]).await;
    let before = face.world.count("ListMembers");
    let one = face.get(&format!("/Groups/{id}?excludedAttributes=members")).await;
    let list = face.get("/Groups?excludedAttributes=members&filter=displayName+eq+%22ONE%22").await;
    assert!(one.body.get("members").is_none() && list.body["Resources"][0].get("members").is_none());
    assert_eq!(list.body["totalResults"], 1);
    assert_eq!(face.world.count("ListMembers"), before);
    assert_eq!(members(&face.get("/Groups").await.body["Resources"][0]), ["a"]);
}

#[tokio::test]
async fn versions_guard_groups_and_members_too() {
    let face = Face::new();
    let id = group(&face, &["a"]).await;
    let path = format!("/Groups/{id}");
    let send = |method: &'static str, header: &'static str, tag: &'static str| {
        let body = match method {
            "PATCH" => json!({"Operations": [{"op": "add", "path": "members", "value": [{"value": tag}]}]}).to_string(),
            "PUT" => json!({"displayName": "Two"}).to_string(),
            _ => String::new(),
        };
        face.send(face.request(method, &path).header(header, tag).body(Body::from(body)).unwrap())
    };
    assert_eq!(send("GET", "if-none-match", "W/\"1\"").await.status, 304);
    for method in ["PATCH", "PUT", "DELETE"] {
        send(method, "if-match", "W/\"9\"").await.is_error(412, None);
        send(method, "if-none-match", "W/\"1\"").await.is_error(412, None);
    }
    let joined = send("PATCH", "if-match", "W/\"1\"").await;
    assert_eq!((joined.status.as_u16(), joined.header("etag")), (200, "W/\"2\""));
    assert_eq!(joined.header("etag"), joined.body["meta"]["version"]);
    assert_eq!(send("PUT", "prefer", "return=minimal").await.status, 204);
    assert_eq!(send("DELETE", "if-match", "W/\"3\"").await.status, 204);
}

#[tokio::test]
async fn a_change_of_a_large_group_is_answered_without_it() {
    let face = Face::new();
    let many: Vec<_> = (0..1_001).map(|n| format!("m{n}")).collect();
    let id = group(&face, &many.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let leaving = json!({"Operations": [{"op": "remove", "path": "members", "value": [{"value": "nobody"}]}]});
    let before = face.world.count("ListMembers");
    let terse = face.call("PATCH", &format!("/Groups/{id}"), &leaving).await;
    assert_eq!((terse.status.as_u16(), terse.body), (204, Value::Null));
    assert_eq!(face.world.count("ListMembers"), before);
    let asked = face.call("PATCH", &format!("/Groups/{id}?attributes=displayName"), &leaving).await;
    assert_eq!((asked.status.as_u16(), &asked.body["displayName"]), (200, &json!("One")));
}
