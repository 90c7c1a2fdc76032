//! What other servers got wrong and identity providers tripped over, one line of the catalogue each; and what must be
//! answered where the sources disagree.

use serde_json::{Value, json};

use super::{Answer, Face};

async fn patch(face: &Face, path: &str, operations: Value) -> Answer {
    face.call("PATCH", path, &json!({ "Operations": operations })).await
}

fn members(answer: &Answer) -> Vec<&str> {
    let members = answer.body["members"].as_array().unwrap();
    members.iter().map(|member| member["value"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn members_are_lost_and_kept_as_the_request_says_in_every_syntax() {
    let face = Face::new();
    let group = json!({"displayName": "G", "members": [{"value": "a"}, {"value": "b"}, {"value": "c"}]});
    let made = face.call("POST", "/Groups", &group).await;
    let path = format!("/Groups/{}", made.body["id"].as_str().unwrap());
    for (why, operations, expected) in [
        (
            "a path-less replace without members leaves them",
            json!([{"op": "replace", "value": {"externalId": "x"}}]),
            "abc",
        ),
        ("a filtered remove takes one", json!([{"op": "remove", "path": "members[value eq \"a\"]"}]), "bc"),
        ("an add keeps the others", json!([{"op": "add", "path": "members", "value": [{"value": "a"}]}]), "abc"),
        (
            "an add of one who is there changes nothing",
            json!([{"op": "Add", "path": "members", "value": {"value": "a"}}]),
            "abc",
        ),
        ("bare ids are ids", json!([{"op": "add", "path": "members", "value": "d"}]), "abcd"),
        (
            "a remove with a list takes those",
            json!([{"op": "Remove", "path": "members", "value": [{"$ref": null, "value": "d"}]}]),
            "abc",
        ),
        (
            "a remove of one who is not there succeeds",
            json!([{"op": "remove", "path": "members[value eq \"x\"]"}]),
            "abc",
        ),
        ("a path-less add adds", json!([{"op": "add", "value": {"members": [{"value": "d"}]}}]), "abcd"),
        (
            "several operations are one change",
            json!([{"op": "remove", "path": "members[value eq \"d\"]"},
            {"op": "add", "path": "members", "value": [{"value": "e", "display": "E"}]}]),
            "abce",
        ),
        (
            "a replace keeps exactly those named",
            json!([{"op": "replace", "path": "members", "value": [{"value": "b"}]}]),
            "b",
        ),
        (
            "a whole group as a value",
            json!([{"op": "replace", "value": {"id": "z", "schemas": [], "displayName": "G",
            "members": [{"value": "b"}, {"value": "c"}]}}]),
            "bc",
        ),
        ("a replace by nothing empties", json!([{"op": "replace", "path": "members", "value": []}]), ""),
        ("one who left can join again", json!([{"op": "add", "path": "members", "value": [{"value": "a"}]}]), "a"),
        ("a remove without a value empties", json!([{"op": "remove", "path": "members"}]), ""),
        ("no operation changes nothing", json!([]), ""),
    ] {
        let answer = patch(&face, &path, operations).await;
        assert_eq!(answer.status, 200, "{why}: {answer:?}");
        assert_eq!(members(&answer).concat(), expected, "{why}");
    }
    for (operations, scim_type) in [
        (json!([{"op": "add", "path": "members", "value": [{}]}]), "invalidValue"),
        (json!([{"op": "remove", "path": "members", "value": [{}]}]), "invalidValue"),
        (json!([{"op": "remove"}]), "noTarget"),
        (json!([{"op": "destroy", "path": "members"}]), "invalidSyntax"),
    ] {
        patch(&face, &path, operations).await.is_error(400, Some(scim_type));
    }
}

#[tokio::test]
async fn a_users_attributes_become_what_the_request_means() {
    let face = Face::new();
    let id = face.user("ann", &[]).await;
    let path = format!("/Users/{id}");
    let work = |value: &str| json!([{"value": value, "type": "work"}]);
    for (why, operations, attribute, expected) in [
        (
            "a filter that describes a value makes it",
            json!([{"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "a@x"}]),
            "emails",
            work("a@x"),
        ),
        (
            "a blank makes nothing",
            json!([{"op": "replace", "path": "phoneNumbers[type eq \"fax\"].value", "value": ""}]),
            "phoneNumbers",
            Value::Null,
        ),
        (
            "a remove that meets nothing succeeds",
            json!([{"op": "remove", "path": "emails[type eq \"home\"]"}]),
            "emails",
            work("a@x"),
        ),
        (
            "the same value is added once",
            json!([{"op": "add", "path": "emails", "value": work("a@x")}]),
            "emails",
            work("a@x"),
        ),
        (
            "a null among values is nothing",
            json!([{"op": "add", "path": "emails", "value": [null]}]),
            "emails",
            work("a@x"),
        ),
        (
            "a complex value is merged",
            json!([{"op": "add", "path": "name", "value": {"givenName": "A"}}, {"op": "replace", "path": "name", "value": {"familyName": "B"}}]),
            "name",
            json!({"givenName": "A", "familyName": "B"}),
        ),
        (
            "a null within it unassigns",
            json!([{"op": "replace", "path": "name", "value": {"familyName": null}}]),
            "name",
            json!({"givenName": "A"}),
        ),
        (
            "keys may be paths",
            json!([{"op": "replace", "value": {"name.familyName": "C"}}]),
            "name",
            json!({"givenName": "A", "familyName": "C"}),
        ),
        ("numbers are texts", json!([{"op": "add", "path": "externalId", "value": 7}]), "externalId", json!("7")),
        (
            "an object is a list of one",
            json!([{"op": "replace", "path": "emails", "value": {"value": "b@x", "type": "work"}}]),
            "emails",
            work("b@x"),
        ),
        (
            "groups are the server's",
            json!([{"op": "replace", "value": {"groups": [{"value": "g"}], "id": "x"}}]),
            "groups",
            Value::Null,
        ),
        (
            "an emptied extension is gone",
            json!([{"op": "add", "path": "department", "value": "D"}, {"op": "remove", "path": "department"}]),
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
            Value::Null,
        ),
        ("a text is a boolean", json!([{"op": "Replace", "path": "active", "value": "False"}]), "active", json!(false)),
    ] {
        let answer = patch(&face, &path, operations).await;
        assert_eq!(answer.status, 200, "{why}: {answer:?}");
        let shown = answer.body.get(attribute).cloned().unwrap_or_default();
        assert_eq!(shown, expected, "{why}");
        let read = face.get(&path).await;
        assert_eq!(read.body, answer.body, "{why}: what is answered is what is read");
    }
    for (operations, scim_type) in [
        (json!([{"op": "replace", "path": "emails[type eq \"nonexistent\"].value", "value": "x"}]), "noTarget"),
        (json!([{"op": "replace", "path": "groups", "value": []}]), "mutability"),
        (json!([{"op": "replace", "path": "nonsense", "value": "x"}]), "invalidPath"),
        (json!([{"op": "remove", "path": "userName"}]), "mutability"),
        (json!([{"op": "add", "path": "active", "value": "perhaps"}]), "invalidValue"),
    ] {
        patch(&face, &path, operations).await.is_error(400, Some(scim_type));
    }
}

#[tokio::test]
async fn a_put_without_active_leaves_it_and_a_tenant_may_keep_the_rest_too() {
    let face = Face::new();
    let id = face.user("ann", &[]).await;
    let path = format!("/Users/{id}");
    patch(&face, &path, json!([{"op": "replace", "value": {"active": false, "title": "T"}}])).await;
    let cleared = face.call("PUT", &path, &json!({"userName": "ann"})).await;
    assert_eq!((&cleared.body["active"], cleared.body.get("title")), (&json!(false), None));

    let face = Face::new();
    face.world.lock().settings.put_omitted = proto::common::v1::PutOmitted::Keep.into();
    let id = face.user("ann", &[]).await;
    let path = format!("/Users/{id}");
    patch(&face, &path, json!([{"op": "replace", "value": {"active": false, "title": "T"}}])).await;
    let kept = face.call("PUT", &path, &json!({"userName": "ann", "nickName": "N"})).await;
    assert_eq!((&kept.body["active"], &kept.body["title"]), (&json!(false), &json!("T")));
}

#[tokio::test]
async fn a_filter_is_about_one_value_at_a_time_and_nothing_secret() {
    let face = Face::new();
    let emails = json!([{"value": "a@x", "type": "work"}, {"value": "b@x", "type": "home"}]);
    face.call("POST", "/Users", &json!({"userName": "ann", "emails": emails})).await;
    face.user("bob", &[]).await;
    for (filter, found) in [
        ("emails[type eq \"work\" and value eq \"b@x\"]", 0),
        ("emails[type eq \"work\" and value eq \"A@X\"]", 1),
        ("emails[type eq \"work\"].value eq \"a@x\"", 1),
        ("not (emails.value eq \"a@x\")", 1),
        ("userName Eq ANN", 1),
        ("userName eq \"nobody\"", 0),
    ] {
        let query: String = form_urlencoded::byte_serialize(filter.as_bytes()).collect();
        let got = face.get(&format!("/Users?filter={query}")).await;
        assert_eq!((got.status.as_u16(), &got.body["totalResults"]), (200, &json!(found)), "{filter}");
        let searched = face.call("POST", "/Users/.search", &json!({ "filter": filter })).await;
        assert_eq!(searched.body, got.body, "{filter}: a search is a GET");
    }
    face.get("/Users?filter=password+eq+%22x%22").await.is_error(403, Some("sensitive"));
    face.get("/ResourceTypes?filter=x&startIndex=7").await;
}

#[tokio::test]
async fn what_is_too_deep_or_too_long_is_refused_and_the_next_request_is_served() {
    let face = Face::new();
    let id = face.user("ann", &[]).await;
    let long = "x".repeat(64 << 10);
    for filter in [
        "(".repeat(500_000),
        "not (".repeat(100_000),
        format!("userName pr{}", " or userName pr".repeat(50_000)),
        format!("{} pr", "a.".repeat(200_000)),
        format!("userName eq \"{long}\""),
        format!("{}userName pr{}", "(".repeat(1_000), ")".repeat(1_000)),
    ] {
        // A text beyond what one JSON text may hold is 413; whatever is read as a filter is 400.
        let answer = face.call("POST", "/Users/.search", &json!({ "filter": filter })).await;
        assert!([400, 413].contains(&answer.status.as_u16()), "{answer:?}");
        let operations = json!([{"op": "replace", "path": format!("emails[{filter}].value"), "value": "x"}]);
        let answer = patch(&face, &format!("/Users/{id}"), operations).await;
        assert!([400, 413].contains(&answer.status.as_u16()), "{answer:?}");
    }
    let keys: serde_json::Map<_, _> = (0..2_000).map(|n| (format!("k{n}"), Value::Null)).collect();
    face.call("POST", "/Users", &Value::Object(keys)).await.is_error(413, None);
    assert_eq!(face.get(&format!("/Users/{id}")).await.status, 200);
}
