//! Every entry of the table of leniencies by an example: understood by default, not in strict mode.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

use scim::filter::Query;
use scim::leniency::Leniency;
use scim::patch::{PATCH_URN, PatchRequest, RolesPatch};
use scim::resource::normalise;
use scim::schema::{ENTERPRISE_USER_URN, USER_URN, USERS};
use scim::{Mode, Resource};
use serde_json::{Map, Value, json};

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("an object, not {other}"),
    }
}

/// The user a body makes.
fn posted(mode: Mode, extra: Value) -> Option<Resource> {
    let mut body = object(json!({"schemas": [USER_URN], "userName": "a"}));
    body.extend(object(extra));
    Some(normalise(&USERS, body, mode).ok()?.resource)
}

/// The user a PATCH makes of one with a title and an e-mail address.
fn patch(mode: Mode, operations: Value) -> Option<Resource> {
    let before = posted(Mode::Strict, json!({"title": "T", "emails": [{"value": "x", "type": "work"}]})).unwrap();
    let mut request = object(json!({"schemas": [PATCH_URN]}));
    request.insert("Operations".into(), operations);
    Some(PatchRequest::parse(&USERS, request, mode).ok()?.apply(&before, RolesPatch::AsSent).ok()?.resource)
}

fn filter(mode: Mode, text: &str) -> bool {
    Query::parse(text, &USERS, mode).is_ok()
}

fn is_understood(leniency: Leniency, mode: Mode) -> bool {
    let given = |more: Value| posted(mode, more).is_some();
    let patched = |operation: Value| patch(mode, json!([operation])).is_some();
    match leniency {
        Leniency::TextForBoolean => given(json!({"active": "True"})),
        Leniency::NumberForText => given(json!({"externalId": 1})),
        Leniency::SingleForList => given(json!({"emails": {"value": "x"}})),
        Leniency::ListForSingle => given(json!({"title": ["T"]})),
        Leniency::TextForComplex => given(json!({"emails": ["x"]})),
        Leniency::DisplayNameForDisplay => given(json!({"roles": [{"value": "x", "displayName": "X"}]})),
        Leniency::JsonInRole => {
            let user = posted(mode, json!({"roles": [{"value": "{\"value\":\"Admin\"}"}]}));
            user.is_some_and(|user| user.labels().eq(["Admin"]))
        }
        Leniency::SeveralPrimaries => {
            given(json!({"emails": [{"value": "x", "primary": true}, {"value": "y", "primary": true}]}))
        }
        Leniency::BareExtensionAttribute => given(json!({"department": "D"})),
        Leniency::UnknownAttribute => given(json!({"nonsense": 1})),
        Leniency::ReadOnlyInPatch => patched(json!({"op": "replace", "value": {"id": "x"}})),
        Leniency::AnySchemas => given(json!({"schemas": ["urn:scim:schemas:core:1.0"]})),
        Leniency::OpInAnyCase => patched(json!({"op": "Replace", "path": "title", "value": "x"})),
        Leniency::EmptyPatch => patch(mode, json!([])).is_some(),
        Leniency::PathAsKey => patched(json!({"op": "replace", "value": {"name.givenName": "G"}})),
        Leniency::CreateFromFilter => {
            patched(json!({"op": "replace", "path": "emails[type eq \"home\"].value", "value": "x"}))
        }
        Leniency::RemoveAbsent => patched(json!({"op": "remove", "path": "emails[value eq \"y\"]"})),
        Leniency::RemoveListed => patched(json!({"op": "remove", "path": "emails", "value": [{"value": "x"}]})),
        Leniency::BareText => filter(mode, "userName eq foo@bar"),
        Leniency::SubAfterBracket => filter(mode, "emails[type eq \"work\"].value eq \"x\""),
        Leniency::ComplexCompared => filter(mode, "emails eq \"x\""),
    }
}

/// B05: the documented list of leniencies is the whole list.
#[test]
fn every_leniency_is_granted_by_default_and_refused_in_strict_mode() {
    for (leniency, _, who) in Leniency::TABLE {
        assert!(is_understood(*leniency, Mode::Lenient), "{leniency:?}, for {who}");
        assert!(!is_understood(*leniency, Mode::Strict), "{leniency:?} is not the RFC's");
    }
}

#[test]
fn the_page_lists_every_leniency_as_the_code_does() {
    let rows = Leniency::TABLE.iter().map(|(_, what, who)| format!("| {} | {who} |", what.trim()));
    let table = ["| what | who sends it |".to_owned(), "|---|---|".to_owned()].into_iter().chain(rows);
    let table = table.collect::<Vec<_>>().join("\n");
    let page = include_str!("../../../docs/protocol.md");
    assert!(page.contains(&table), "docs/protocol.md must hold:\n{table}");
}

#[test]
fn strict_mode_understands_what_the_rfcs_say() {
    assert!(posted(Mode::Strict, json!({"active": true, "name": {"GIVENNAME": "G"}, "id": "ignored"})).is_some());
    for operation in [
        json!({"op": "replace", "path": "title", "value": "x"}),
        json!({"op": "replace", "value": {"title": "x", ENTERPRISE_USER_URN: {"department": "D"}}}),
        json!({"op": "add", "path": format!("{ENTERPRISE_USER_URN}:department"), "value": "D"}),
        json!({"op": "remove", "path": "emails[type eq \"work\" and value ew \"x\"]"}),
        json!({"op": "replace", "path": "emails[type eq \"work\"].value", "value": "y"}),
    ] {
        assert!(patch(Mode::Strict, json!([operation])).is_some(), "{operation}");
    }
    assert!(filter(Mode::Strict, "emails[type eq \"work\" and value co \"@x\"] or not(userName gt \"a\")"));
}
