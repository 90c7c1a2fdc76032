mod dialects;
mod hostile;
mod membership;

use serde_json::{Map, Value, json};

use super::{MAX_OPERATIONS, PatchRequest, RolesPatch};
use crate::error::{Error, ScimType};
use crate::leniency::Mode;
use crate::put::Outcome;
use crate::resource::{Resource, normalise};
use crate::schema::{ENTERPRISE_USER_URN, FLUENT_GROUP_URN, FLUENT_USER_URN, GROUPS, ResourceType, USERS};

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("an object, not {other}"),
    }
}

fn stored(kind: &'static ResourceType, body: Value) -> Resource {
    normalise(kind, object(body), Mode::Lenient).unwrap().created(kind).unwrap().0
}

fn request(kind: &'static ResourceType, operations: Value) -> Result<PatchRequest, Error> {
    let body = Map::from_iter([("Operations".to_owned(), operations)]);
    PatchRequest::parse(kind, body, Mode::Lenient)
}

fn try_patch(before: &Resource, operations: Value) -> Result<Outcome, Error> {
    request(&USERS, operations)?.apply(before, RolesPatch::AsSent)
}

/// What becomes of a user, without the name and state that every one has.
fn patch(before: Value, operations: Value) -> Value {
    let mut user = json!({"userName": "a"});
    user.as_object_mut().unwrap().extend(object(before));
    let mut after = try_patch(&stored(&USERS, user), operations).unwrap().resource.into_stored();
    after.remove("userName");
    after.remove("active");
    after.into()
}

fn refusal(operations: Value) -> (u16, Option<ScimType>) {
    let before = stored(
        &USERS,
        json!({"userName": "a", "emails": [{"value": "x", "type": "work"}], "name": {"givenName": "G"}}),
    );
    let error = try_patch(&before, operations).unwrap_err();
    assert!(!error.detail.is_empty());
    (error.status, error.scim_type)
}

#[test]
fn a_complex_value_is_merged_and_null_unassigns() {
    let before = json!({"name": {"givenName": "G", "familyName": "F"}});
    let op = |value: Value| json!([{"op": "replace", "path": "name", "value": value}]);
    assert_eq!(
        patch(before.clone(), op(json!({"givenName": "H"}))),
        json!({"name": {"givenName": "H", "familyName": "F"}})
    );
    assert_eq!(patch(before.clone(), op(json!({"familyName": null}))), json!({"name": {"givenName": "G"}}));
    assert_eq!(patch(before.clone(), op(json!({}))), before);
    assert_eq!(patch(before, op(json!(null))), json!({}));
}

#[test]
fn a_filter_that_fixes_type_or_primary_makes_the_value_it_describes() {
    let op = |path: &str| json!([{"op": "Replace", "path": path, "value": "v"}]);
    assert_eq!(
        patch(json!({}), op("emails[type eq \"WORK\"].value")),
        json!({"emails": [{"type": "work", "value": "v"}]})
    );
    assert_eq!(
        patch(json!({}), op("phoneNumbers[type eq \"mobile\" and primary eq \"True\"].value")),
        json!({"phoneNumbers": [{"type": "mobile", "primary": true, "value": "v"}]})
    );
    assert_eq!(
        patch(json!({}), json!([{"op": "add", "path": "addresses[type eq \"work\"]", "value": {"locality": "Oslo"}}])),
        json!({"addresses": [{"type": "work", "locality": "Oslo"}]})
    );
    for path in [
        "emails[type eq \"nonexistent\"].value",
        "emails[value eq \"nobody\"].display",
        "emails[type eq \"home\" or primary eq true].value",
        "emails[not (type eq \"work\")].value",
        "emails[type sw \"hom\"].value",
        "emails[type eq \"home\" and type eq \"other\"].value",
    ] {
        assert_eq!(refusal(op(path)), (400, Some(ScimType::NoTarget)), "{path}");
    }
}

#[test]
fn the_primary_value_moves() {
    let emails = json!({"emails": [{"value": "x", "type": "work", "primary": true}, {"value": "y", "type": "home"}]});
    let primaries = |operation: Value| -> Vec<Value> {
        let after = patch(emails.clone(), json!([operation]));
        after["emails"].as_array().unwrap().iter().map(|it| it["primary"].clone()).collect()
    };
    let home = "emails[type eq \"home\"]";
    assert_eq!(primaries(json!({"op": "add", "path": format!("{home}.primary"), "value": "True"})), [false, true]);
    assert_eq!(primaries(json!({"op": "replace", "path": home, "value": {"primary": true}})), [false, true]);
    assert_eq!(primaries(json!({"op": "replace", "path": "emails.primary", "value": true})), [false, true]);
    assert_eq!(
        primaries(json!({"op": "add", "path": "emails", "value": {"value": "y", "primary": true}})),
        [false, true]
    );
}

#[test]
fn nothing_is_made_of_a_blank() {
    for blank in [json!(null), json!(""), json!([])] {
        let nobody = json!([{"op": "replace", "path": "emails[value eq \"nobody\"].display", "value": blank}]);
        assert_eq!(patch(json!({}), nobody), json!({}));
        assert_eq!(
            patch(json!({}), json!([{"op": "replace", "path": "phoneNumbers[type eq \"fax\"].value", "value": blank}])),
            json!({})
        );
        assert_eq!(
            patch(json!({}), json!([{"op": "replace", "path": "emails[value eq \"x\"]", "value": blank}])),
            json!({})
        );
        assert_eq!(
            patch(
                json!({"title": "T", "emails": [{"value": "x", "type": "work"}]}),
                json!([{"op": "replace", "value": {"title": blank, "emails": blank, "nonsense": blank}}])
            ),
            json!({})
        );
        let manager = json!({"manager": {"value": "1"}});
        for path in ["manager", &format!("{ENTERPRISE_USER_URN}:manager"), "manager.value"] {
            assert_eq!(
                patch(manager.clone(), json!([{"op": "replace", "path": path, "value": blank}])),
                json!({}),
                "{path}"
            );
        }
        assert_eq!(patch(manager, json!([{"op": "replace", "path": "manager", "value": {"value": blank}}])), json!({}));
    }
}

#[test]
fn a_remove_takes_what_it_names() {
    let emails = json!({"emails": [{"value": "x", "type": "work"}, {"value": "y", "type": "home"}]});
    let left = |op: Value| {
        let mut op = op;
        op["op"] = "Remove".into();
        patch(emails.clone(), json!([op]))["emails"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(left(json!({"path": "emails"})), 0);
    assert_eq!(left(json!({"path": "emails", "value": null})), 0);
    assert_eq!(left(json!({"path": "emails", "value": []})), 2);
    assert_eq!(left(json!({"path": "emails", "value": [{"value": "X"}]})), 1);
    assert_eq!(left(json!({"path": "emails", "value": {"value": "x"}})), 1);
    assert_eq!(left(json!({"path": "emails", "value": "x"})), 1);
    assert_eq!(left(json!({"path": "emails", "value": [{"value": "x", "type": "home"}]})), 2);
    assert_eq!(left(json!({"path": "emails", "value": [{"type": "home"}]})), 1);
    assert_eq!(left(json!({"path": "emails[type eq \"work\"]"})), 1);
    assert_eq!(left(json!({"path": "emails[type eq \"work\"].value"})), 1);
    assert_eq!(left(json!({"path": "emails[type eq \"fax\"]"})), 2);
    assert_eq!(left(json!({"path": "nickName"})), 2);
    assert_eq!(left(json!({"path": ENTERPRISE_USER_URN})), 2);
}

#[test]
fn removing_active_deactivates() {
    let before = stored(&USERS, json!({"userName": "a"}));
    assert!(before.active());
    for op in [
        json!({"op": "remove", "path": "active"}),
        json!({"op": "replace", "path": "active", "value": null}),
        json!({"op": "replace", "value": {"active": ""}}),
        json!({"op": "Add", "path": "Active", "value": "fAlse"}),
    ] {
        let after = try_patch(&before, json!([op])).unwrap().resource;
        assert!(!after.active(), "{op}");
        assert_eq!(after.as_map().contains_key("active"), op["op"] != "remove", "{op}");
    }
}

#[test]
fn what_is_wrong_is_refused_with_its_reason() {
    use ScimType::{InvalidFilter, InvalidPath, InvalidSyntax, InvalidValue, Mutability, NoTarget};
    for (op, reason) in [
        (json!({"op": "invalid-op", "path": "title", "value": "x"}), InvalidSyntax),
        (json!({"path": "title", "value": "x"}), InvalidSyntax),
        (json!({"op": 1, "path": "title"}), InvalidSyntax),
        (json!("replace"), InvalidSyntax),
        (json!({"op": "add", "OP": "add", "path": "title", "value": "x"}), InvalidSyntax),
        (json!({"op": "remove"}), NoTarget),
        (json!({"op": "remove", "path": ""}), NoTarget),
        (json!({"op": "replace", "value": "x"}), InvalidValue),
        (json!({"op": "replace", "path": "title"}), InvalidValue),
        (json!({"op": "replace", "path": "title", "value": {"a": 1}}), InvalidValue),
        (json!({"op": "replace", "path": "title", "value": ["a", "b"]}), InvalidValue),
        (json!({"op": "replace", "path": "active", "value": "maybe"}), InvalidValue),
        (json!({"op": "replace", "path": "active", "value": 1}), InvalidValue),
        (json!({"op": "replace", "path": "name", "value": "x"}), InvalidValue),
        (json!({"op": "replace", "path": "nonsense", "value": "x"}), InvalidPath),
        (json!({"op": "replace", "path": "title[", "value": "x"}), InvalidPath),
        (json!({"op": "add", "path": FLUENT_GROUP_URN, "value": {"roles": "AGENT_1_STORE"}}), InvalidPath),
        (json!({"op": "add", "path": format!("{FLUENT_GROUP_URN}:roles"), "value": "AGENT_1_STORE"}), InvalidPath),
        (json!({"op": "replace", "path": 5, "value": "x"}), InvalidPath),
        (json!({"op": "replace", "path": "name[givenName pr].givenName", "value": "x"}), InvalidPath),
        (json!({"op": "replace", "path": "emails[nonsense pr].value", "value": "x"}), InvalidFilter),
        (json!({"op": "replace", "path": "emails[type eq \"work\"].nonsense", "value": "x"}), InvalidPath),
        (json!({"op": "replace", "path": "id", "value": "x"}), Mutability),
        (json!({"op": "add", "path": "groups", "value": [{"value": "g"}]}), Mutability),
        (json!({"op": "replace", "path": "meta.version", "value": "x"}), Mutability),
        (json!({"op": "replace", "path": "state", "value": "held"}), Mutability),
        (json!({"op": "remove", "path": "userName"}), Mutability),
        (json!({"op": "replace", "path": "userName", "value": ""}), Mutability),
        (json!({"op": "remove", "path": "urn:ietf:params:scim:schemas:core:2.0:User"}), Mutability),
    ] {
        assert_eq!(refusal(json!([op])), (400, Some(reason)), "{op}");
    }
    assert_eq!(request(&USERS, json!({})).unwrap_err().scim_type, Some(InvalidSyntax));
    let many = |n: usize| request(&USERS, vec![json!({"op": "add", "path": "title", "value": "x"}); n].into());
    assert!(many(MAX_OPERATIONS).is_ok());
    assert_eq!(many(MAX_OPERATIONS + 1).unwrap_err().status, 413);
}

#[test]
fn read_only_and_unknown_attributes_in_a_value_are_left_out() {
    let before = stored(&USERS, json!({"userName": "a"}));
    let value = json!({"id": "x", "meta": {"version": "1"}, "schemas": ["s"], "groups": [{"value": "g"}],
        "password": "p", "nonsense": 1, "no sense": 2, FLUENT_GROUP_URN: {"roles": "AGENT_1_STORE"}, FLUENT_USER_URN: {"state": "provisioned"}});
    let outcome = try_patch(&before, json!([{"op": "replace", "value": value}])).unwrap();
    assert!(!outcome.changed);
    assert!(!try_patch(&before, json!([{"op": "replace", "path": "password", "value": "p"}])).unwrap().changed);
    assert!(!try_patch(&before, json!([])).unwrap().changed);
}

#[test]
fn an_extension_may_say_which_schema_it_is_of() {
    let urn = ENTERPRISE_USER_URN;
    let apply = |schemas: Value| {
        let body = json!({"schemas": [super::PATCH_URN], "Operations": [
            {"op": "add", "path": urn, "value": {"schemas": schemas, "department": "D"}}]});
        PatchRequest::parse(&USERS, body.as_object().unwrap().clone(), Mode::Strict)
    };
    let before = stored(&USERS, json!({"userName": "a"}));
    let outcome = apply(json!([urn.to_uppercase()])).unwrap().apply(&before, RolesPatch::AsSent).unwrap();
    assert_eq!(outcome.resource.as_map()[urn], json!({"department": "D"}));
    for other in [json!([]), json!("x"), json!([urn, "urn:x"]), json!(null)] {
        assert_eq!(apply(other).unwrap_err().status, 400);
    }
}

#[test]
fn a_failing_operation_is_named() {
    let before = stored(&USERS, json!({"userName": "a"}));
    let error = try_patch(
        &before,
        json!([{"op": "add", "path": "title", "value": "x"}, {"op": "add", "path": "active", "value": "secret"}]),
    )
    .unwrap_err();
    assert!(error.detail.starts_with("operation 2: "), "{error}");
    assert!(!error.detail.contains("secret"), "{error}");
}

#[test]
fn an_unregistered_extension_is_kept_as_it_is_sent() {
    let urn = "urn:x:ext:Custom:2.0:User";
    let path = format!("{urn}:Badge");
    assert_eq!(patch(json!({}), json!([{"op": "add", "path": path, "value": "7"}])), json!({urn: {"Badge": "7"}}));
    let before = json!({urn: {"Badge": "7", "Desk": [1]}});
    assert_eq!(patch(before.clone(), json!([{"op": "replace", "value": {path.clone(): "8"}}]))[urn]["Badge"], "8");
    assert_eq!(
        patch(before.clone(), json!([{"op": "replace", "value": {urn: {"badge": "8"}}}])),
        json!({urn: {"Badge": "8", "Desk": [1]}})
    );
    assert_eq!(patch(before.clone(), json!([{"op": "remove", "path": path}])), json!({urn: {"Desk": [1]}}));
    assert_eq!(patch(before, json!([{"op": "remove", "path": urn}])), json!({}));
}

#[test]
fn a_request_that_would_compare_too_much_is_refused() {
    let emails: Vec<_> = (0..5_000).map(|n| json!({"value": format!("{n}@example.com")})).collect();
    let before = stored(&USERS, json!({"userName": "a", "emails": emails}));
    let terms = vec!["type eq \"x\""; 40].join(" and ");
    let operation = json!({"op": "remove", "path": format!("emails[{terms}]")});
    assert!(try_patch(&before, vec![operation.clone(); 20].into()).is_ok());
    assert_eq!(try_patch(&before, vec![operation; 1_000].into()).unwrap_err().status, 413);
}

#[test]
fn patches_can_not_pile_up_attributes() {
    let attributes = |range: std::ops::Range<usize>| -> Map<String, Value> {
        range.map(|n| (format!("urn:x:ext:{n}:2.0:User:a"), json!(1))).collect()
    };
    let add = |range| json!([{"op": "add", "value": attributes(range)}]);
    let first = try_patch(&stored(&USERS, json!({"userName": "a"})), add(0..400)).unwrap().resource;
    assert_eq!(try_patch(&first, add(400..600)).unwrap_err().status, 413);
}

#[test]
fn overwriting_makes_all_roles_of_one_request_the_whole_list() {
    let before = stored(&USERS, json!({"userName": "a", "roles": [{"value": "Old"}, {"value": "Kept"}]}));
    let labels = |operations: Value| -> Vec<String> {
        let outcome = request(&USERS, operations).unwrap().apply(&before, RolesPatch::Overwrite).unwrap();
        outcome.resource.labels().map(Into::into).collect()
    };
    let packed = |value: &str| json!({"id": "1", "value": value}).to_string();
    let add = |value: &str| json!({"op": "Add", "path": "roles", "value": [{"value": packed(value)}]});
    assert_eq!(labels(json!([add("New")])), ["New"]);
    assert_eq!(labels(json!([add("New"), add("Kept")])), ["New", "Kept"]);
    assert_eq!(labels(json!([{"op": "add", "value": {"roles": "New"}}])), ["New"]);
    assert_eq!(labels(json!([{"op": "remove", "path": "roles[value eq \"Old\"]"}])), ["Kept"]);
    assert_eq!(labels(json!([{"op": "add", "path": "title", "value": "x"}])), ["Old", "Kept"]);
    assert_eq!(
        labels(json!([{"op": "replace", "path": "roles[primary eq \"True\"].value", "value": "New"},
        {"op": "replace", "path": "roles[primary eq \"True\"].display", "value": "N"}])),
        ["New"]
    );
}

#[test]
fn a_groups_labels_may_be_named_with_or_without_the_extension() {
    let before = stored(&GROUPS, json!({"displayName": "G"}));
    let label = json!([{"value": "AGENT_1_STORE"}]);
    for op in [
        json!({"op": "add", "path": "roles", "value": label}),
        json!({"op": "add", "path": format!("{FLUENT_GROUP_URN}:roles"), "value": label}),
        json!({"op": "add", "value": {"roles": "AGENT_1_STORE"}}),
        json!({"op": "add", "value": {FLUENT_GROUP_URN: {"roles": label}}}),
    ] {
        let after = request(&GROUPS, json!([op])).unwrap().apply(&before, RolesPatch::Overwrite).unwrap().resource;
        assert_eq!(after.as_map()[FLUENT_GROUP_URN], json!({"roles": label}), "{op}");
        assert_eq!(after.labels().collect::<Vec<_>>(), ["AGENT_1_STORE"]);
    }
}

#[test]
fn a_member_is_named_by_its_id_and_never_changed() {
    for (op, status) in [
        (json!({"op": "replace", "path": "members[value eq \"1\"].display", "value": "x"}), 400),
        (json!({"op": "replace", "path": "members[value eq \"1\"].type", "value": "x"}), 400),
        (json!({"op": "add", "path": "members.value", "value": "1"}), 400),
        (json!({"op": "remove", "path": "members[type eq \"User\"]"}), 400),
        (json!({"op": "replace", "path": "members", "value": [{}]}), 400),
        (json!({"op": "add", "path": "members", "value": [{"display": "x", "type": "User"}]}), 400),
        (json!({"op": "replace", "path": "members", "value": [null]}), 400),
    ] {
        assert_eq!(request(&GROUPS, json!([op])).map_or_else(|error| error.status, |_| 200), status, "{op}");
    }
}

#[test]
fn the_rfcs_examples_do_what_it_says() {
    let work = json!({"type": "work", "streetAddress": "1 Way", "locality": "Oslo"});
    let home = json!({"type": "home", "locality": "Rome"});
    let emails = json!([{"value": "old@jensen.example", "type": "work"}]);
    let before = json!({"nickName": "B", "emails": emails, "addresses": [work, home]});
    let after = patch(
        before.clone(),
        json!([{"op": "add", "value": {
        "emails": [{"value": "babs@jensen.example", "type": "home"}], "nickname": "Babs"}}]),
    );
    assert_eq!(after["nickName"], "Babs");
    assert_eq!(after["emails"].as_array().unwrap().len(), 2);

    let after = patch(
        before.clone(),
        json!([{"op": "replace", "path": "addresses[type eq \"work\"]", "value": {
        "type": "work", "streetAddress": "911 Universal City Plaza", "locality": "Hollywood", "primary": true}}]),
    );
    assert_eq!(
        after["addresses"],
        json!([
            {"type": "work", "streetAddress": "911 Universal City Plaza", "locality": "Hollywood", "primary": true},
            {"type": "home", "locality": "Rome"},
        ])
    );

    let path = "addresses[type eq \"work\"].streetAddress";
    let after = patch(before.clone(), json!([{"op": "replace", "path": path, "value": "1010 Broadway Ave"}]));
    assert_eq!(after["addresses"][0]["streetAddress"], "1010 Broadway Ave");

    let path = "emails[type eq \"work\" and value ew \"jensen.example\"]";
    assert_eq!(patch(before, json!([{"op": "remove", "path": path}])).get("emails"), None);
}
