//! Entra ID's app roles, in every shape that its provisioning functions send.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

use scim::patch::{PatchRequest, RolesPatch};
use scim::resource::normalise;
use scim::schema::USERS;
use scim::{Mode, Resource};
use serde_json::{Map, Value, json};

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("an object, not {other}"),
    }
}

fn created(roles: &Value) -> Resource {
    let body = object(json!({"schemas": [USERS.schema.id], "userName": "a", "roles": roles}));
    normalise(&USERS, body, Mode::Lenient).unwrap().created(&USERS).unwrap().0
}

fn patched(before: &Resource, operations: &Value, roles: RolesPatch) -> Resource {
    let body = object(json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": operations,
    }));
    PatchRequest::parse(&USERS, body, Mode::Lenient).unwrap().apply(before, roles).unwrap().resource
}

fn roles(user: &Resource) -> Value {
    user.as_map().get("roles").cloned().unwrap_or_default()
}

fn labels(user: &Resource) -> Vec<&str> {
    user.labels().collect()
}

/// A role as `AppRoleAssignments` and its kin put it into a PATCH: an object inside a text.
fn in_text(value: &str, name: &str) -> Value {
    let role = json!({"id": "06b07648-ecfe-589f-9d2f-6325724a46ee", "value": value, "displayName": name});
    json!({ "value": role.to_string() })
}

#[test]
fn single_app_role_assignment() {
    let user = created(&json!([{"primary": true, "type": "WindowsAzureActiveDirectoryRole", "value": "Admin"}]));
    assert_eq!(roles(&user), json!([{"primary": true, "type": "WindowsAzureActiveDirectoryRole", "value": "Admin"}]));
    let verbatim = json!([{"op": "Add", "path": "roles", "value": [{
        "value": "{\"id\":\"06b07648-ecfe-589f-9d2f-6325724a46ee\",\"value\":\"25\",\"displayName\":\"Role1234\"}"
    }]}]);
    let after = patched(&user, &verbatim, RolesPatch::AsSent);
    assert_eq!(labels(&after), ["Admin", "25"], "as it is sent, it only adds");
    assert_eq!(roles(&after)[1], json!({"value": "25", "display": "Role1234"}));
    let again = patched(&after, &verbatim, RolesPatch::AsSent);
    assert_eq!(again, after, "one that is there is not added again");
    let whole = patched(&user, &verbatim, RolesPatch::Overwrite);
    assert_eq!(labels(&whole), ["25"]);
}

#[test]
fn single_app_role_assignment_by_the_primary_role() {
    let user = created(&json!([{"primary": true, "type": "WindowsAzureActiveDirectoryRole", "value": "Admin"}]));
    for op in ["Replace", "replace", "Add"] {
        let operations = json!([
            {"op": op, "path": "roles[primary eq \"True\"].value", "value": "User"},
            {"op": op, "path": "roles[primary eq \"True\"].display", "value": "A user"},
            {"op": op, "path": "roles[primary eq \"True\"].type", "value": "WindowsAzureActiveDirectoryRole"},
        ]);
        for overwrite in [RolesPatch::AsSent, RolesPatch::Overwrite] {
            let role = json!({"primary": true, "type": "WindowsAzureActiveDirectoryRole", "value": "User",
                "display": "A user"});
            assert_eq!(roles(&patched(&user, &operations, overwrite)), json!([role.clone()]), "{op}");
            assert_eq!(roles(&patched(&created(&json!([])), &operations, overwrite)), json!([role]), "{op}");
        }
    }
    // With its flag: a key of a value without a path.
    let keyed = json!([{"op": "replace", "value": {"roles[primary eq \"True\"].value": "User"}}]);
    assert_eq!(labels(&patched(&user, &keyed, RolesPatch::AsSent)), ["User"]);
}

#[test]
fn app_role_assignments_complex() {
    let kind = "WindowsAzureActiveDirectoryRole";
    let user = created(&json!([
        {"primary": false, "type": kind, "displayName": "Admin", "value": "Admin"},
        {"primary": false, "type": kind, "displayName": "User", "value": "User"},
    ]));
    assert_eq!(
        roles(&user),
        json!([
            {"primary": false, "type": kind, "display": "Admin", "value": "Admin"},
            {"primary": false, "type": kind, "display": "User", "value": "User"},
        ])
    );
    let operations = json!([{"op": "Add", "path": "roles", "value": [in_text("User", "User"), in_text("25", "New")]}]);
    assert_eq!(labels(&patched(&user, &operations, RolesPatch::AsSent)), ["Admin", "User", "25"]);
    assert_eq!(labels(&patched(&user, &operations, RolesPatch::Overwrite)), ["User", "25"]);
    // One operation for each role is one list all the same.
    let each = json!([
        {"op": "Add", "path": "roles", "value": [in_text("User", "User")]},
        {"op": "Add", "path": "roles", "value": [in_text("25", "New")]},
        {"op": "Replace", "path": "displayName", "value": "Anna"},
    ]);
    assert_eq!(labels(&patched(&user, &each, RolesPatch::Overwrite)), ["User", "25"]);
    let none = json!([{"op": "Replace", "path": "displayName", "value": "Anna"}]);
    assert_eq!(labels(&patched(&user, &none, RolesPatch::Overwrite)), ["Admin", "User"], "no roles, no change of them");
}

#[test]
fn assertive_app_role_assignments_complex() {
    let kind = "WindowsAzureActiveDirectoryRole";
    let user = created(&json!([{"primary": false, "type": kind, "display": "Admin", "value": "Admin"}]));
    let operations = json!([{"op": "replace", "path": "roles", "value": [
        {"primary": false, "type": kind, "display": "User", "value": "User"},
        {"primary": false, "type": kind, "display": "Test", "value": "Test"},
    ]}]);
    for overwrite in [RolesPatch::AsSent, RolesPatch::Overwrite] {
        assert_eq!(labels(&patched(&user, &operations, overwrite)), ["User", "Test"]);
    }
    for nothing in [json!([]), json!(null), json!("")] {
        let operations = json!([{"op": "replace", "path": "roles", "value": nothing}]);
        assert!(labels(&patched(&user, &operations, RolesPatch::AsSent)).is_empty());
    }
}

#[test]
fn a_text_that_is_no_role_stays_as_it_is() {
    for text in ["{", "{}", "{\"value\":7}", "{\"value\":", "[1]", "{\"value\":{\"a\":1}}"] {
        assert_eq!(labels(&created(&json!([{ "value": text }]))), [text]);
    }
    let nested = format!("{}1{}", "{\"a\":".repeat(1_000), "}".repeat(1_000));
    assert_eq!(labels(&created(&json!([{ "value": nested }]))), [nested.as_str()]);
}
