//! Extensions that a tenant defines: which are refused, and what those that are not drive.

use serde_json::{Map, Value, json};

use super::{Extension, MAX_EXTENSIONS, Schemas};
use crate::filter::Query;
use crate::leniency::Mode;
use crate::patch::{PatchRequest, RolesPatch};
use crate::project::Projection;
use crate::resource::normalise;
use crate::schema::discovery::{resource_type_body, schema_body};
use crate::schema::{ENTERPRISE_USER_URN, USER_URN};

const ACME: &str = "urn:ietf:params:scim:schemas:extension:Acme:2.0:User";

fn schema(id: &str, attributes: impl Into<Value>) -> String {
    let attributes: Value = attributes.into();
    json!({ "id": id, "name": "Acme", "attributes": attributes }).to_string()
}

fn acme() -> Schemas {
    let definition = schema(
        ACME,
        json!([
            {"name": "badge", "type": "string", "caseExact": true, "description": "The badge."},
            {"name": "Floor", "type": "integer"},
            {"name": "hiredAt", "type": "dateTime"},
            {"name": "shirts", "type": "complex", "multiValued": true, "subAttributes": [
                {"name": "value"},
                {"name": "type", "canonicalValues": ["S", "M", "L"]},
                {"name": "primary", "type": "boolean"},
            ]},
        ]),
    );
    Schemas::with(&[Extension::parse("user", &definition).unwrap()]).unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("an object") };
    map
}

#[test]
fn a_body_is_read_as_the_tenants_schema_says() {
    let users = acme().users;
    let body =
        json!({"userName": "a", ACME: {"BADGE": 7, "floor": "3", "unknown": 1, "shirts": {"value": "x", "type": "M"}}});
    let stored = normalise(users, object(body), Mode::Lenient).unwrap().resource.into_stored();
    assert_eq!(stored[ACME], json!({"badge": "7", "Floor": 3, "shirts": [{"value": "x", "type": "M"}]}));
    let wrong = json!({"userName": "a", ACME: {"Floor": "third"}});
    let refusal = normalise(users, object(wrong), Mode::Lenient).unwrap_err();
    assert_eq!((refusal.status, refusal.detail.contains("Floor")), (400, true));
    let strict = json!({"schemas": [USER_URN], "userName": "a", ACME: {"unknown": 1}});
    assert!(normalise(users, object(strict), Mode::Strict).is_err());
}

#[test]
fn entra_patches_an_extension_by_its_urn_without_naming_it_in_schemas() {
    let users = acme().users;
    let before = normalise(users, object(json!({"userName": "a"})), Mode::Lenient).unwrap().resource;
    let patch = |operations: Value| {
        let request = PatchRequest::parse(users, object(json!({ "Operations": operations })), Mode::Lenient)?;
        request.apply(&before, RolesPatch::AsSent).map(|outcome| outcome.resource.into_stored())
    };
    let at = |name: &str| format!("{}:{name}", ACME.to_uppercase());
    let after = patch(json!([
        {"op": "Add", "path": at("Badge"), "value": "701984"},
        {"op": "replace", "value": {format!("{ACME}:Floor"): 2, ACME: {"hiredAt": "2026-01-01T00:00:00Z"}}},
        {"op": "replace", "path": at("shirts[type eq \"m\"].value"), "value": "blue"},
    ]));
    let expected = json!({
        "badge": "701984", "Floor": 2, "hiredAt": "2026-01-01T00:00:00Z", "shirts": [{"type": "M", "value": "blue"}],
    });
    assert_eq!(after.unwrap()[ACME], expected);
    assert_eq!(patch(json!([{"op": "add", "path": at("nothing"), "value": 1}])).unwrap_err().status, 400);
    assert!(
        !patch(json!([{"op": "add", "path": "badge", "value": "1"}, {"op": "remove", "path": ACME}]))
            .unwrap()
            .contains_key(ACME)
    );
}

#[test]
fn filters_and_projections_know_the_tenants_attributes() {
    let users = acme().users;
    let user = object(json!({"userName": "a", ACME: {"badge": "aB", "Floor": 3, "shirts": [{"value": "x"}]}}));
    let matches = |filter: &str| Query::parse(filter, users, Mode::Lenient).unwrap().matches(&user);
    for filter in ["badge eq \"aB\"", "Floor gt 2", "shirts.value eq \"X\"", "shirts pr"] {
        assert!(matches(filter) && matches(&format!("{ACME}:{filter}")), "{filter}");
    }
    assert!(!matches("badge eq \"ab\"") && !matches("hiredAt pr"));
    assert!(Query::parse(&format!("{ACME}:nothing pr"), users, Mode::Lenient).is_err());
    let projected = |attributes: Option<&str>, excluded: Option<&str>| {
        let mut user = user.clone();
        Projection::parse(users, attributes, excluded).apply(&mut user);
        user.get(ACME).cloned()
    };
    assert_eq!(projected(Some("BADGE"), None), Some(json!({"badge": "aB"})));
    assert_eq!(projected(None, Some(&format!("{ACME}:shirts"))), Some(json!({"badge": "aB", "Floor": 3})));
    assert_eq!(projected(Some("userName"), None), None);
}

#[test]
fn discovery_shows_them_where_they_belong() {
    let schemas = acme();
    let body = schema_body(schemas.all().find(|schema| schema.id == ACME).unwrap(), "http://h");
    let shirts = body["attributes"].as_array().unwrap().iter().find(|it| it["name"] == "shirts").unwrap();
    assert_eq!(shirts["subAttributes"][1]["canonicalValues"], json!(["S", "M", "L"]));
    let extensions =
        |n: usize| resource_type_body(schemas.resource_types()[n], "http://h")["schemaExtensions"].to_string();
    assert!(extensions(0).contains(ACME) && extensions(0).contains(ENTERPRISE_USER_URN));
    assert!(!extensions(1).contains(ACME));
    // What is listed can be put again.
    assert!(Extension::parse("User", &body.to_string()).is_ok());
}

#[test]
fn equal_definitions_are_kept_once_and_none_is_the_built_in() {
    assert!(std::ptr::eq(acme().users, acme().users));
    assert!(std::ptr::eq(Schemas::with(&[]).unwrap().users, Schemas::BUILT_IN.users));
    assert!(std::ptr::eq(acme().groups, Schemas::BUILT_IN.groups));
}

#[test]
fn what_could_not_be_kept_true_is_refused_by_name() {
    let with = |attribute: Value| schema(ACME, json!([attribute]));
    let string_of = |n: usize| "x".repeat(n);
    let many: Vec<_> = (0..101).map(|n| json!({"name": format!("a{n}")})).collect();
    for (definition, names) in [
        ("[]".to_owned(), "no schema"),
        ("[".repeat(10_000), "no schema"),
        (json!({"id": ACME, "name": "x"}).to_string(), "attributes"),
        (json!({"id": ACME, "name": "x", "attributes": [], "more": 1}).to_string(), "more"),
        (json!({"id": ACME, "name": "", "attributes": []}).to_string(), "name"),
        (string_of(70_000), "larger"),
        (schema("acme", json!([])), "acme"),
        (schema("urn:acme:2.0", json!([])), "urn:acme:2.0"),
        (schema("urn:acme:a b", json!([])), "a b"),
        (schema(&format!("urn:a:{}", string_of(300)), json!([])), "URN"),
        (schema(ACME, many), "100"),
        (with(json!({"name": "a", "type": "text"})), "text"),
        (with(json!({"name": "a", "uniqueness": "global"})), "global"),
        (with(json!({"name": "a", "uniqueness": "server"})), "uniqueness"),
        (with(json!({"name": "a", "required": true})), "required"),
        (with(json!({"name": "a", "mutability": "immutable"})), "mutability"),
        (with(json!({"name": "a", "returned": "never"})), "returned"),
        (with(json!({"name": "1a"})), "1a"),
        (with(json!({"name": "a.b"})), "a.b"),
        (with(json!({"name": "Members"})), "Members"),
        (with(json!({"name": "active", "type": "boolean"})), "active"),
        (with(json!({"name": "a", "type": "complex"})), "subAttributes"),
        (with(json!({"name": "a", "subAttributes": [{"name": "b"}]})), "subAttributes"),
        (with(json!({"name": "a", "type": "boolean", "canonicalValues": ["true"]})), "canonicalValues"),
        (with(json!({"name": "a", "canonicalValues": [""]})), "canonicalValues"),
        (schema(ACME, json!([{"name": "a"}, {"name": "A"}])), "two"),
        (
            with(json!({"name": "a", "type": "complex", "subAttributes": [
                {"name": "b", "type": "complex", "subAttributes": [{"name": "c"}]}]})),
            "complex",
        ),
    ] {
        let refusal = Extension::parse("User", &definition).map(|it| it.urn().to_owned()).unwrap_err().to_string();
        assert!(refusal.contains(names), "{names}: {refusal}");
        assert!(refusal.len() < 1_000, "{refusal}");
    }
    assert!(Extension::parse("Robot", &schema(ACME, json!([]))).is_err());
}

#[test]
fn no_two_schemas_stand_in_each_others_way() {
    let extension = |urn: &str| Extension::parse("Group", &schema(urn, json!([{"name": "a"}]))).unwrap();
    let refused = |urns: &[&str]| {
        let all: Vec<_> = urns.iter().map(|urn| extension(urn)).collect();
        Extension::check_together(&all).is_err()
    };
    assert!(!refused(&["urn:a:User", "urn:a:Userx", "urn:b:User"]));
    for clash in [
        &[USER_URN] as &[&str],
        &["urn:ietf:params:scim:schemas:core:2.0:user"],
        &["urn:ietf:params:scim:schemas:core:2.0:User:title"],
        &["urn:ietf:params:scim:schemas:core"],
        &["urn:a:User", "URN:A:USER"],
        &["urn:a:User", "urn:a:user:b"],
    ] {
        assert!(refused(clash), "{clash:?}");
    }
    let many: Vec<_> = (0..=MAX_EXTENSIONS).map(|n| format!("urn:a:x{n}")).collect();
    assert!(refused(&many.iter().map(String::as_str).collect::<Vec<_>>()));
}
