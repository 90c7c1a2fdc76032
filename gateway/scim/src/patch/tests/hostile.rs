//! Requests that nobody should send: each is applied whole or refused whole, and what it leaves is as clean as a POST.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::stored;
use crate::leniency::Mode;
use crate::patch::{PatchRequest, RolesPatch};
use crate::resource::tests::any_value;
use crate::schema::{ENTERPRISE_USER_URN, FLUENT_USER_URN, USERS};

fn any_path() -> impl Strategy<Value = String> {
    let known = [
        "userName",
        "ACTIVE",
        "name",
        "name.givenName",
        "emails",
        "emails.value",
        "emails.primary",
        "emails[type eq \"work\"]",
        "emails[type eq \"home\"].value",
        "emails[primary eq True].primary",
        "emails[value pr and not (type pr)].type",
        "roles",
        "roles[value eq \"a\"]",
        "manager",
        "manager.value",
        "addresses[type eq \"work\"].locality",
        "members",
        "id",
        "password",
        "schemas",
        "",
        "urn:x:ext:2.0:User",
        "urn:x:ext:2.0:User:a",
        "urn:ietf:params:scim:schemas:core:2.0:User",
        "nonsense",
        "emails[",
        ENTERPRISE_USER_URN,
        FLUENT_USER_URN,
    ];
    prop::sample::select(known.map(ToOwned::to_owned).to_vec())
}

fn any_operation() -> impl Strategy<Value = Value> {
    let op = prop::sample::select(vec!["add", "Replace", "REMOVE"]);
    let keyed = prop::collection::btree_map(any_path(), any_value(), 0..4).prop_map(|map| json!(map));
    let value = prop::option::of(prop_oneof![2 => any_value(), 1 => keyed]);
    (op, prop::option::weighted(0.7, any_path()), value).prop_map(|(op, path, value)| {
        let mut operation = Map::from_iter([("op".to_owned(), op.into())]);
        operation.extend(path.map(|path| ("path".to_owned(), path.into())));
        operation.extend(value.map(|value| ("value".to_owned(), value)));
        operation.into()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_is_sent_the_resource_stays_sound(
        operations in prop::collection::vec(any_operation(), 0..4),
        roles in prop::sample::select(vec![RolesPatch::AsSent, RolesPatch::Overwrite]),
    ) {
        let before = stored(&USERS, json!({
            "userName": "a", "emails": [{"value": "x", "type": "work", "primary": true}, {"value": "y"}],
            "roles": [{"value": "a"}, {"value": "b"}], "manager": "m",
        }));
        let body = Map::from_iter([("Operations".to_owned(), operations.into())]);
        let applied = PatchRequest::parse(&USERS, body, Mode::Lenient).and_then(|patch| patch.apply(&before, roles));
        if let Ok(outcome) = applied {
            let document = outcome.resource.as_map();
            prop_assert!(outcome.resource.text("userName").is_some_and(|name| !name.is_empty()));
            prop_assert!(document.get("active").is_none_or(Value::is_boolean));
            for never in ["id", "password", "schemas", "meta", "groups", FLUENT_USER_URN] {
                prop_assert!(!document.contains_key(never), "{}", never);
            }
            for list in document.values().filter_map(Value::as_array) {
                prop_assert!(list.iter().filter(|it| it["primary"] == true).count() <= 1, "{:?}", list);
            }
            prop_assert_eq!(outcome.changed, outcome.resource != before);
        }
    }
}
