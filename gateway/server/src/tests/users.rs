//! `/Users` as Entra and Okta speak to it.

use axum::body::Body;
use serde_json::json;

use super::Face;
use super::fake::{provisioned, version};

const FLUENT: &str = "urn:ietf:params:scim:schemas:extension:fluent:2.0:User";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

#[tokio::test]
async fn a_new_user_is_answered_whole_with_id_location_etag_and_revision() {
    let face = Face::new();
    let entra = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
        "externalId": "0a21f0f2", "userName": "Test_User_1@contoso.example", "active": true,
        "emails": [{"primary": true, "type": "work", "value": "a@contoso.example"}],
        "meta": {"resourceType": "User"}, "name": {"formatted": "givenName familyName", "familyName": "familyName"},
        "roles": []
    });
    let made = face.call("POST", "/Users", &entra).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.body["id"].as_str().unwrap();
    assert_eq!(made.body["userName"], "Test_User_1@contoso.example");
    assert_eq!(made.body["schemas"], json!(["urn:ietf:params:scim:schemas:core:2.0:User", FLUENT]));
    assert_eq!(made.body[FLUENT], json!({"state": "pending"}));
    assert!(made.body.get("roles").is_none());
    let location = format!("http://scim.test/scim/v2/Users/{id}");
    assert_eq!(made.body["meta"]["location"], location);
    assert_eq!(made.header("location"), location);
    assert_eq!(made.header("etag"), made.body["meta"]["version"]);
    assert_eq!(made.header("rolecall-revision"), "r1");
    assert_eq!(made.body["meta"]["created"], "1970-01-01T00:00:01Z");

    let read = face.get(&format!("/Users/{id}")).await;
    assert_eq!((read.status.as_u16(), &read.body), (200, &made.body));
    assert_eq!(read.header("content-type"), "application/scim+json; charset=utf-8");
}

#[tokio::test]
async fn oktas_user_is_taken_in_plain_json_and_its_password_thrown_away() {
    let face = Face::new();
    let okta = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "test.user@okta.local",
        "name": {"givenName": "Test", "familyName": "User"},
        "emails": [{"primary": true, "value": "test.user@okta.local", "type": "work"}],
        "displayName": "Test User", "locale": "en-US", "externalId": "00ujl29u0le5T6Aj10h7",
        "groups": [], "password": "1mz050nq", "active": true
    });
    let request = face.request("POST", "/Users").header("content-type", "application/json; charset=utf-8");
    let made = face.send(request.body(Body::from(okta.to_string())).unwrap()).await;
    assert_eq!(made.status, 201);
    let id = made.body["id"].as_str().unwrap();
    assert!(made.body.get("password").is_none() && face.world.document(id).get("password").is_none());
    face.call("POST", "/Users", &okta).await.is_error(409, Some("uniqueness"));
    assert_eq!(face.world.users(), 1);
}

#[tokio::test]
async fn a_filter_finds_the_one_user_and_a_page_says_what_it_holds() {
    let face = Face::new();
    let id = face.user("Alice@contoso.example", &[]).await;
    face.user("bob@contoso.example", &[]).await;
    let found = face.get("/Users?filter=userName+eq+%22alice%40CONTOSO.example%22").await;
    assert_eq!(found.body["totalResults"], 1);
    assert_eq!(found.body["Resources"][0]["id"], id);
    assert_eq!(found.body["schemas"][0], "urn:ietf:params:scim:api:messages:2.0:ListResponse");
    let none = face.get("/Users/?filter=externalId%20eq%20nobody&startIndex=1&count=100").await;
    assert_eq!((&none.body["totalResults"], &none.body["itemsPerPage"]), (&json!(0), &json!(0)));
    assert_eq!(none.body["Resources"], json!([]));
    let second = face.get("/Users?startIndex=2&count=1&unknown=1").await;
    assert_eq!((&second.body["startIndex"], &second.body["itemsPerPage"]), (&json!(2), &json!(1)));
    assert_eq!(second.body["totalResults"], 2);
    let search = json!({"filter": "userName sw \"bob\"", "attributes": ["userName"]});
    let searched = face.call("POST", "/Users/.search", &search).await;
    assert_eq!(searched.status, 200);
    let only: Vec<_> = searched.body["Resources"][0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(only, ["id", "schemas", "userName"]);
    face.get("/Users?filter=active+gt+true").await.is_error(400, Some("invalidFilter"));
    face.get("/Users?filter=userName+regex+%22x%22").await.is_error(400, Some("invalidFilter"));
}

#[tokio::test]
async fn entra_deactivates_in_each_of_its_dialects() {
    let face = Face::new();
    for (n, operation) in [
        json!({"op": "replace", "path": "active", "value": false}),
        json!({"op": "Replace", "path": "active", "value": "False"}),
        json!({"op": "Add", "path": "active", "value": "False"}),
        json!({"op": "replace", "value": {"active": false}}),
    ]
    .into_iter()
    .enumerate()
    {
        let id = face.user(&format!("user{n}"), &[]).await;
        let patch = json!({"schemas": [PATCH], "Operations": [operation]});
        let answer = face.call("PATCH", &format!("/Users/{id}"), &patch).await;
        assert_eq!((answer.status.as_u16(), &answer.body["active"]), (200, &json!(false)));
        assert_eq!(face.world.document(&id)["active"], false);
    }
}

#[tokio::test]
async fn a_put_replaces_but_silence_keeps_access() {
    let face = Face::new();
    face.world.knows(&["AGENT_1_STORE"]);
    let id = face.user("alice", &["AGENT_1_STORE"]).await;
    let first = face.call("PUT", &format!("/Users/{id}"), &json!({"userName": "alice", "title": "Engineer"})).await;
    assert_eq!(first.status, 200);
    let second = face.call("PUT", &format!("/Users/{id}"), &json!({"userName": "alice", "id": "x"})).await;
    assert!(second.body.get("title").is_none());
    assert_eq!(second.body["roles"][0]["value"], "AGENT_1_STORE");
    assert_eq!(second.body["active"], true);
    let gone = face.call("PUT", &format!("/Users/{id}"), &json!({"userName": "alice", "roles": []})).await;
    assert!(gone.body.get("roles").is_none());
}

#[tokio::test]
async fn a_patch_that_fails_in_the_middle_changes_nothing() {
    let face = Face::new();
    let id = face.user("alice", &[]).await;
    let patch = json!({"schemas": [PATCH], "Operations": [
        {"op": "replace", "path": "title", "value": "Boss"},
        {"op": "replace", "path": "emails[type eq \"x\" and value sw \"y\"].value", "value": "z"}]});
    face.call("PATCH", &format!("/Users/{id}"), &patch).await.is_error(400, Some("noTarget"));
    assert!(face.world.document(&id).get("title").is_none());
    let bad = json!({"Operations": [{"op": "destroy", "path": "title"}]});
    face.call("PATCH", &format!("/Users/{id}"), &bad).await.is_error(400, Some("invalidSyntax"));
}

#[tokio::test]
async fn what_changes_nothing_is_not_written() {
    let face = Face::new();
    let id = face.user("alice", &[]).await;
    let patch = json!({"schemas": [PATCH], "Operations": [{"op": "replace", "path": "userName", "value": "alice"}]});
    let answer = face.call("PATCH", &format!("/Users/{id}"), &patch).await;
    assert_eq!((answer.status.as_u16(), version(&answer.body)), (200, 1));
    assert_eq!(answer.header("rolecall-revision"), "r1");
    assert_eq!(face.world.count("ReplaceUser"), 0);
}

#[tokio::test]
async fn a_user_that_is_not_there_is_404_whatever_the_body_says() {
    let face = Face::new();
    for id in ["5171a35d82074e068ce2", "00000000-0000-0000-0000-000000000000", "%FF", "..%2F..", "a%00b"] {
        let path = format!("/Users/{id}");
        face.get(&path).await.is_error(404, None);
        face.delete(&path).await.is_error(404, None);
        for method in ["PUT", "PATCH"] {
            let request = face.request(method, &path).header("content-type", "application/scim+json");
            face.send(request.body(Body::from("{not json")).unwrap()).await.is_error(404, None);
        }
    }
}

#[tokio::test]
async fn a_deleted_users_name_is_free() {
    let face = Face::new();
    let id = face.user("alice", &[]).await;
    let gone = face.delete(&format!("/Users/{id}")).await;
    assert_eq!((gone.status.as_u16(), gone.header("rolecall-revision")), (204, "r2"));
    face.get(&format!("/Users/{id}")).await.is_error(404, None);
    assert_ne!(face.user("alice", &[]).await, id);
}

#[tokio::test]
async fn another_tenants_user_does_not_exist() {
    let mut face = Face::new();
    let id = face.user("alice", &[]).await;
    face.token = face.world.token("other", &["scim"]);
    face.get(&format!("/Users/{id}")).await.is_error(404, None);
    face.delete(&format!("/Users/{id}")).await.is_error(404, None);
    assert_eq!(face.get("/Users").await.body["totalResults"], 0);
}

#[tokio::test]
async fn versions_guard_reads_and_writes() {
    let face = Face::new();
    let id = face.user("alice", &[]).await;
    let path = format!("/Users/{id}");
    let send = |method: &'static str, header: &'static str, tag: &'static str| {
        let body = match method {
            "PATCH" => json!({"Operations": [{"op": "add", "path": "title", "value": tag}]}).to_string(),
            "PUT" => json!({"userName": "alice", "title": tag}).to_string(),
            _ => String::new(),
        };
        face.send(face.request(method, &path).header(header, tag).body(Body::from(body)).unwrap())
    };
    let unchanged = send("GET", "if-none-match", "W/\"1\"").await;
    assert_eq!((unchanged.status.as_u16(), unchanged.header("etag")), (304, "W/\"1\""));
    assert_eq!(send("GET", "if-none-match", "W/\"9\"").await.status, 200);
    for method in ["PATCH", "PUT", "DELETE"] {
        send(method, "if-match", "W/\"9\"").await.is_error(412, None);
    }
    for method in ["PATCH", "PUT", "DELETE"] {
        send(method, "if-none-match", "*").await.is_error(412, None);
        send(method, "if-none-match", "\"1\"").await.is_error(412, None);
    }
    assert_eq!(send("GET", "if-none-match", "*").await.status, 304);
    assert_eq!(send("HEAD", "if-none-match", "W/\"1\"").await.status, 304);
    assert_eq!(send("PATCH", "if-match", "W/\"1\"").await.header("etag"), "W/\"2\"");
    assert_eq!(send("PUT", "if-match", "*").await.status, 200);
    assert_eq!(send("DELETE", "if-match", "W/\"9\", W/\"3\"").await.status, 204);
}

#[tokio::test]
async fn a_change_that_meets_others_is_made_again_and_given_up_in_the_end() {
    let face = Face::new();
    let id = face.user("alice", &[]).await;
    let patch = json!({"Operations": [{"op": "add", "path": "title", "value": "T"}]});
    face.world.lock().races = 3;
    assert_eq!(face.call("PATCH", &format!("/Users/{id}"), &patch).await.status, 200);
    assert_eq!(face.world.count("ReplaceUser"), 4);
    face.world.lock().races = usize::MAX;
    let patch = json!({"Operations": [{"op": "add", "path": "title", "value": "U"}]});
    let answer = face.call("PATCH", &format!("/Users/{id}"), &patch).await;
    answer.is_error(503, None);
    assert!(answer.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_change_that_takes_away_is_not_given_up_however_many_others_there_are() {
    let face = Face::new();
    face.world.knows(&["AGENT_1_STORE"]);
    let id = face.user("alice", &["AGENT_1_STORE"]).await;
    let path = format!("/Users/{id}");
    for operation in [
        json!({"op": "replace", "path": "active", "value": false}),
        json!({"op": "remove", "path": "roles[value eq \"AGENT_1_STORE\"]"}),
    ] {
        face.world.lock().races = 100;
        let answer = face.call("PATCH", &path, &json!({"schemas": [PATCH], "Operations": [operation]})).await;
        assert_eq!((answer.status.as_u16(), face.world.lock().races), (200, 0), "{answer:?}");
    }
    assert_eq!(face.world.document(&id)["active"], false);
    assert!(face.world.document(&id).get("roles").is_none());
    face.world.lock().races = 100;
    let delete = face.request("DELETE", &path).header("if-match", "*").body(Body::empty()).unwrap();
    assert_eq!(face.send(delete).await.status, 204);
}

#[tokio::test]
async fn the_extension_says_how_the_user_stands() {
    let face = Face::new();
    let id = face.user("alice", &[]).await;
    let path = format!("/Users/{id}");
    face.world.report(&id, provisioned(1));
    let done = face.get(&path).await.body[FLUENT].clone();
    assert_eq!(done, json!({"state": "provisioned", "fluentUserId": "77", "pushedAt": "1970-01-01T00:00:02Z"}));
    let asked = face.get(&format!("{path}?attributes={FLUENT}:effectiveRoles")).await.body[FLUENT].clone();
    assert_eq!(asked["effectiveRoles"], json!([{"value": "STORE", "contextType": "AGENT", "contextId": "1"}]));
    let change = json!({"Operations": [{"op": "add", "path": "title", "value": "T"}]});
    let changed = face.call("PATCH", &path, &change).await;
    assert_eq!(changed.body[FLUENT]["state"], "pending", "the report is about an older version");
    let stored = face.world.document(&id);
    assert!(stored.get(FLUENT).is_none());
}

#[tokio::test]
async fn a_user_shows_its_groups_where_they_are_wanted_and_they_are_read_nowhere_else() {
    let face = Face::new();
    let id = face.user("alice", &[]).await;
    let bare = face.get(&format!("/Users/{id}")).await;
    assert!(bare.body.get("groups").is_none(), "nothing is shown as nothing");
    let staff = json!({"displayName": "Staff", "members": [{"value": id}]});
    let staff = face.call("POST", "/Groups", &staff).await.body["id"].as_str().unwrap().to_owned();
    let shown = json!([{"value": staff, "$ref": format!("http://scim.test/scim/v2/Groups/{staff}"),
        "display": "Staff", "type": "direct"}]);
    let change = json!({"Operations": [{"op": "add", "path": "title", "value": "T"}]});
    let path = format!("/Users/{id}");
    assert_eq!(face.get(&path).await.body["groups"], shown);
    assert_eq!(face.get("/Users").await.body["Resources"][0]["groups"], shown);
    assert_eq!(face.call("POST", "/Users/.search", &json!({})).await.body["Resources"][0]["groups"], shown);
    assert_eq!(face.call("PATCH", &path, &change).await.body["groups"], shown);
    assert_eq!(face.call("PUT", &path, &json!({"userName": "alice", "groups": []})).await.body["groups"], shown);
    let part = face.get(&format!("{path}?attributes=groups.display")).await;
    assert_eq!(part.body["groups"], json!([{"display": "Staff"}]));
    for without in ["excludedAttributes=groups", "attributes=userName"] {
        assert!(face.get(&format!("{path}?{without}")).await.body.get("groups").is_none());
        assert!(face.get(&format!("/Users?{without}")).await.body["Resources"][0].get("groups").is_none());
    }
}

#[tokio::test]
async fn who_prefers_a_short_answer_gets_one_unless_attributes_are_named() {
    let face = Face::new();
    let send = |method: &'static str, path: String, body: serde_json::Value| {
        let request = face.request(method, &path).header("prefer", "handling=lenient, return=minimal");
        face.send(request.body(Body::from(body.to_string())).unwrap())
    };
    let made = send("POST", "/Users".into(), json!({"userName": "alice", "title": "T"})).await;
    assert_eq!((made.status.as_u16(), made.header("preference-applied")), (201, "return=minimal"));
    let keys: Vec<_> = made.body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["id", "schemas"]);
    let path = format!("/Users/{}", made.body["id"].as_str().unwrap());
    let change = || json!({"Operations": [{"op": "replace", "path": "title", "value": "U"}]});
    for (method, body) in [("PATCH", change()), ("PATCH", change()), ("PUT", json!({"userName": "alice"}))] {
        let short = send(method, path.clone(), body).await;
        assert_eq!((short.status.as_u16(), short.header("preference-applied")), (204, "return=minimal"));
        assert!(short.body.is_null() && short.header("etag").starts_with("W/\""), "{short:?}");
        assert!(short.header("location").ends_with(&path));
    }
    let named = send("PATCH", format!("{path}?attributes=title"), change()).await;
    assert_eq!((named.status.as_u16(), &named.body["title"]), (200, &json!("U")));
    assert_eq!(named.header("preference-applied"), "");
    let read = face.send(face.request("GET", &path).header("prefer", "return=minimal").body(Body::empty()).unwrap());
    assert_eq!(read.await.body["userName"], "alice", "a read is what it is");
}

#[tokio::test]
async fn attributes_are_chosen_in_the_answers_to_writes_too() {
    let face = Face::new();
    let keys = |body: &serde_json::Value| body.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let made = face.call("POST", "/Users?attributes=userName", &json!({"userName": "alice", "title": "T"})).await;
    assert_eq!(keys(&made.body), ["id", "schemas", "userName"]);
    let path = format!("/Users/{}", made.body["id"].as_str().unwrap());
    let put = face.call("PUT", &format!("{path}?attributes=title"), &json!({"userName": "alice", "title": "U"})).await;
    assert_eq!(keys(&put.body), ["id", "schemas", "title"]);
    let change = json!({"Operations": [{"op": "add", "path": "title", "value": "V"}]});
    let patched = face.call("PATCH", &format!("{path}?excludedAttributes=title,meta"), &change).await;
    assert!(patched.body.get("title").is_none() && patched.body.get("meta").is_none());
    assert_eq!(patched.body["userName"], "alice");
}

#[tokio::test]
async fn a_projection_keeps_what_is_always_returned() {
    let face = Face::new();
    let id = face.user("alice", &[]).await;
    let answer = face.get(&format!("/Users/{id}?excludedAttributes=id,schemas,userName")).await;
    assert!(answer.body.get("id").is_some() && answer.body.get("schemas").is_some());
    assert!(answer.body.get("userName").is_none());
}
