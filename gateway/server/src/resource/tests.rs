use domain::clock::Timestamp;
use scim::list::Start;
use scim::project::Projection;
use scim::schema::USERS;
use serde_json::{Map, Value, json};

use super::{list, user};
use crate::convert::{Outcome, Stored, User, UserGroup};

fn alice(document: &Value) -> User {
    let stored = Stored {
        id: "7e".into(),
        document: document.to_string().into(),
        created: Timestamp(1),
        modified: Timestamp(2),
        version: 5,
    };
    let outcome = Outcome {
        state: "held",
        reasons: vec!["UNKNOWN_ROLE: \"x\"".into()],
        fluent_user_id: Some("77".into()),
        pushed_at: Some(Timestamp(3)),
        effective_roles: Vec::new(),
        revision: 5,
    };
    let groups = vec![UserGroup { id: "9c".into(), display_name: "Staff \"A\"".into(), direct: true }];
    User { stored, outcome: Some(outcome), groups }
}

#[test]
fn the_short_way_answers_what_the_long_way_does() {
    for document in [
        json!({"userName": "a", "active": true}),
        json!({"userName": "\"\\{}é", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "D"}}),
        json!({"userName": "a", "urn:x:\"y\":2.0:User": {"urn:not:a:key": 1}, "emails": [{"value": "urn:a"}]}),
        Value::Object(Map::new()),
    ] {
        let alice = alice(&document);
        let short: Value = serde_json::from_str(&user(&alice, "http://h", None).unwrap()).unwrap();
        let long = user(&alice, "http://h", Some(&Projection::all(&USERS))).unwrap();
        assert_eq!(short, serde_json::from_str::<Value>(&long).unwrap(), "{document}");
        assert_eq!(short["meta"]["version"], "W/\"5\"");
    }
}

#[test]
fn a_list_is_json() {
    let resources = ["{}".to_owned(), "1".to_owned()];
    let body: Value = serde_json::from_str(&list(&resources, Some(7), None, &Start::Index(3))).unwrap();
    assert_eq!(body["Resources"], json!([{}, 1]));
    assert_eq!((&body["totalResults"], &body["startIndex"], &body["itemsPerPage"]), (&json!(7), &json!(3), &json!(2)));
    let cursor = Start::Cursor(String::new());
    let body: Value = serde_json::from_str(&list(&resources, None, Some("abc"), &cursor)).unwrap();
    assert_eq!((&body["nextCursor"], body.get("totalResults"), body.get("startIndex")), (&json!("abc"), None, None));
}
