use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Incoming, Meta, Resource, normalise};
use crate::error::{Error, ScimType};
use crate::leniency::Mode;
use crate::schema::{ENTERPRISE_USER_URN, FLUENT_GROUP_URN, FLUENT_USER_URN, GROUPS, USERS};

fn read(body: Value) -> Result<Incoming, Error> {
    let Value::Object(body) = body else { panic!("an object") };
    normalise(&USERS, body, Mode::Lenient)
}

/// What is stored of a body.
fn stored(body: Value) -> Value {
    Value::Object(read(body).unwrap().resource.into_stored())
}

#[test]
fn names_and_types_are_brought_to_what_the_schema_says() {
    assert_eq!(
        stored(json!({
            "USERNAME": "Bob", "Active": "False", "externalid": 12345, "Department": "D", "Manager": {"Value": "m"},
            "emails": {"Value": "b@x", "Primary": "true"}, "phoneNumbers": ["1", {"value": "2"}], "title": ["T"],
            "roles": [{"displayName": "Admin", "value": "A"}],
        })),
        json!({
            "userName": "Bob", "active": false, "externalId": "12345",
            ENTERPRISE_USER_URN: {"department": "D", "manager": {"value": "m"}},
            "emails": [{"value": "b@x", "primary": true}],
            "phoneNumbers": [{"value": "1"}, {"value": "2"}], "title": "T",
            "roles": [{"display": "Admin", "value": "A"}],
        })
    );
}

#[test]
fn nothing_blank_is_kept() {
    assert_eq!(
        stored(json!({
            "userName": "a", "title": "", "nickName": null, "addresses": [], "phoneNumbers": "",
            "emails": [{"value": "", "type": "work"}, {}, null], "photos": [{"type": "photo", "primary": true}],
            "name": {"givenName": "", "familyName": null}, FLUENT_USER_URN: null,
            ENTERPRISE_USER_URN: {"manager": {"value": ""}, "department": ""},
            "urn:x:ext:2.0:User": {"a": null, "b": ""},
        })),
        json!({"userName": "a"})
    );
}

#[test]
fn what_the_server_owns_and_what_nobody_knows_is_left_out() {
    assert_eq!(
        stored(json!({
            "userName": "a", "id": "x", "meta": {"version": "1"}, "groups": [{"value": "g"}], "password": "p",
            "schemas": "junk", FLUENT_USER_URN: {"state": "provisioned", "effectiveRoles": [{"value": "R"}]},
            "state": "provisioned", "nonsense": 1, "name.givenName": "G", "emails": [{"value": "e", "nonsense": {}}],
            "manager": {"value": "m", "$ref": "http://host/Users/m", "displayName": "M"},
        })),
        json!({"userName": "a", "emails": [{"value": "e"}], ENTERPRISE_USER_URN: {"manager": {"value": "m"}}})
    );
}

#[test]
fn an_extension_may_say_which_schema_it_is_of() {
    let strictly = |schemas: Value| {
        let body = json!({"schemas": [USERS.schema.id], "userName": "a",
            ENTERPRISE_USER_URN: {"schemas": schemas, "department": "D"}});
        normalise(&USERS, body.as_object().unwrap().clone(), Mode::Strict)
    };
    let stored = Value::Object(strictly(json!([ENTERPRISE_USER_URN])).unwrap().resource.into_stored());
    assert_eq!(stored, json!({"userName": "a", ENTERPRISE_USER_URN: {"department": "D"}}));
    assert!(strictly(json!(["urn:x"])).is_err() && strictly(json!([])).is_err());
}

#[test]
fn an_unregistered_extension_round_trips() {
    let body =
        json!({"userName": "a", "urn:x:ext:Custom:2.0:User": {"CustomAttribute": "7", "deep": [{"type": "x"}, []]}});
    assert_eq!(stored(body.clone()), body);
}

#[test]
fn a_user_gets_no_labels_by_the_extension_of_groups() {
    for urn in [FLUENT_GROUP_URN.to_owned(), FLUENT_GROUP_URN.to_uppercase()] {
        assert_eq!(
            stored(json!({"userName": "a", urn: {"roles": [{"value": "AGENT_1_STORE"}]}})),
            json!({"userName": "a"})
        );
    }
}

/// B09: keys that differ in case alone.
#[test]
fn an_attribute_given_twice_is_refused() {
    for body in [
        json!({"userName": "a", "username": "b"}),
        json!({"emails": [{"value": "a", "Value": "b"}]}),
        json!({"department": "D", ENTERPRISE_USER_URN: {"department": "E"}}),
        json!({"urn:x:a:2.0:User": {"a": 1}, "urn:X:a:2.0:User": {"a": 1}}),
        json!({ENTERPRISE_USER_URN: {"department": "D", "Department": "E"}}),
    ] {
        assert_eq!(read(body.clone()).unwrap_err().scim_type, Some(ScimType::InvalidSyntax), "{body}");
    }
    let group = json!({"members": [{"value": "1"}], "Members": []});
    let group = normalise(&GROUPS, group.as_object().unwrap().clone(), Mode::Lenient);
    assert_eq!(group.unwrap_err().scim_type, Some(ScimType::InvalidSyntax));
}

#[test]
fn a_value_of_the_wrong_type_is_refused_without_being_repeated() {
    for body in [
        json!({"userName": true}),
        json!({"userName": {"secret": 1}}),
        json!({"userName": ["secret", "secret"]}),
        json!({"userName": [["secret"]]}),
        json!({"active": "secret"}),
        json!({"active": 1}),
        json!({"name": "secret"}),
        json!({"name": [{"givenName": "secret"}, {}]}),
        json!({"emails": [["secret"]]}),
        json!({"emails": [{"value": {"secret": 1}}]}),
        json!({"emails": true}),
        json!({"addresses": ["secret"]}),
        json!({ENTERPRISE_USER_URN: "secret"}),
    ] {
        let error = read(body.clone()).unwrap_err();
        assert_eq!((error.status, error.scim_type), (400, Some(ScimType::InvalidValue)), "{body}");
        assert!(!error.detail.contains("secret"), "{error}");
    }
}

#[test]
fn a_role_packed_into_a_text_is_unpacked() {
    let role = |value: &str| stored(json!({"roles": [{"value": value}]}))["roles"][0].clone();
    assert_eq!(
        role(r#"{"id":"06b0","value":"Admin","displayName":"The admin"}"#),
        json!({"value": "Admin", "display": "The admin"})
    );
    let both = json!({"value": "{\"value\":\"A\",\"displayName\":\"inner\"}", "display": "own"});
    assert_eq!(stored(json!({"roles": [both]}))["roles"], json!([{"value": "A", "display": "own"}]));
    let alias = json!({"value": "{\"value\":\"A\",\"displayName\":\"inner\"}", "displayName": "alias"});
    let plain = json!({"value": "A", "displayName": "alias", "display": "own"});
    assert_eq!(stored(json!({"roles": [plain]}))["roles"], json!([{"value": "A", "display": "own"}]));
    assert_eq!(stored(json!({"roles": [alias]}))["roles"], json!([{"value": "A", "display": "alias"}]));
    for other in ["{\"id\":\"06b0\"}", "{not json", "{\"value\":5}", "{\"value\":\"a\",\"value\":\"b\"}", "{{{{"] {
        assert_eq!(role(other), json!({"value": other}), "what is not a role stays as it was sent");
    }
}

#[test]
fn labels_that_differ_in_case_are_different() {
    let Value::Object(body) = json!({"userName": "a", "roles": ["AGENT_1_STORE", "AGENT_1_Store", "AGENT_1_STORE"]})
    else {
        panic!("an object")
    };
    let user = normalise(&USERS, body, Mode::Lenient).unwrap().resource;
    assert_eq!(user.labels().collect::<Vec<_>>(), ["AGENT_1_STORE", "AGENT_1_Store"]);
}

#[test]
fn a_new_user_is_active_unless_the_body_leaves_that_empty() {
    let active = |body: Value| read(body).unwrap().created(&USERS).unwrap().0.active();
    assert!(active(json!({"userName": "a"})));
    assert!(active(json!({"userName": "a", "active": "true"})));
    assert!(!active(json!({"userName": "a", "active": false})));
    assert!(!active(json!({"userName": "a", "active": null})));
    assert_eq!(
        read(json!({"displayName": "x"})).unwrap().created(&USERS).unwrap_err().scim_type,
        Some(ScimType::InvalidValue)
    );
}

#[test]
fn members_are_apart_from_the_group() {
    let group = |body: Value| normalise(&GROUPS, body.as_object().unwrap().clone(), Mode::Lenient).unwrap();
    let members = json!([{"value": "2", "$ref": null, "display": null}, "1", {"value": "2", "type": "User"}]);
    let body = json!({"displayName": "G", "members": members});
    let (resource, members) = group(body).created(&GROUPS).unwrap();
    assert_eq!(members, ["2", "1"]);
    assert_eq!(Value::Object(resource.into_stored()), json!({"displayName": "G"}));
    assert_eq!(group(json!({"displayName": "G"})).members, None);
    assert_eq!(group(json!({"displayName": "G", "members": null})).members, Some(Vec::new()));
    let labelled = group(json!({"displayName": "G", "roles": "AGENT_1_STORE"})).resource;
    assert_eq!(labelled.as_map()[FLUENT_GROUP_URN]["roles"], json!([{"value": "AGENT_1_STORE"}]));
}

#[test]
fn a_whole_resource_lists_the_schemas_it_uses() {
    let user =
        Resource::from_stored(json!({"userName": "a", "urn:x:ext:2.0:User": {"a": 1}}).as_object().unwrap().clone());
    let meta = Meta { id: "1", created: "c", last_modified: "m", location: "l", version: "W/\"1\"" };
    let server = json!({FLUENT_USER_URN: {"state": "held"}, "groups": [{"value": "g"}]});
    let whole = user.complete(&USERS, &meta, server.as_object().unwrap().clone());
    assert_eq!(
        whole["schemas"],
        json!([
            "urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:ietf:params:scim:schemas:extension:fluent:2.0:User",
            "urn:x:ext:2.0:User"
        ])
    );
    assert_eq!(
        whole["meta"],
        json!({"resourceType": "User", "created": "c", "lastModified": "m", "location": "l", "version": "W/\"1\""})
    );
    assert_eq!((&whole["id"], &whole["groups"][0]["value"]), (&json!("1"), &json!("g")));
}

pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        prop::sample::select(vec!["", "a", "True", "work", "{\"value\":\"x\"}"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let name =
            prop::sample::select(vec!["value", "Type", "primary", "display", "displayName", "givenName", "$ref", "x"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.prop_map(ToOwned::to_owned), inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

fn any_body() -> impl Strategy<Value = Map<String, Value>> {
    let names = vec![
        "userName",
        "Active",
        "name",
        "emails",
        "roles",
        "ROLES",
        "manager",
        "addresses",
        "id",
        "members",
        "urn:x:ext:2.0:User",
        ENTERPRISE_USER_URN,
        "schemas",
        "x509Certificates",
        "nonsense",
        "externalId",
    ];
    let name = prop::sample::select(names).prop_map(ToOwned::to_owned);
    prop::collection::btree_map(name, any_value(), 0..8).prop_map(|map| map.into_iter().collect())
}

proptest! {
    #[test]
    fn what_is_stored_reads_back_as_itself(body in any_body()) {
        for kind in [&USERS, &GROUPS] {
            if let Ok(read) = normalise(kind, body.clone(), Mode::Lenient) {
                let again = normalise(kind, read.resource.clone().into_stored(), Mode::Lenient).unwrap();
                prop_assert_eq!(&again.resource, &read.resource);
                prop_assert!(again.cleared.is_empty() && again.members.is_none());
            }
        }
    }
}
