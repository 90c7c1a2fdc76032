//! The same change in every spelling that providers use, against a plain struct to which the change is done.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{stored, try_patch};
use crate::error::ScimType;
use crate::schema::{ENTERPRISE_USER_URN, USERS};

/// A change to a user, and what it means to a plain struct.
#[derive(Clone, Debug)]
enum Change {
    Title(&'static str),
    NoTitle,
    GivenName(&'static str),
    Email(&'static str, &'static str),
    NoEmail(&'static str),
    AddRole(&'static str),
    RemoveRole(&'static str),
    OnlyRoles(Vec<&'static str>),
    Active(bool),
    Department(&'static str),
    Manager(&'static str),
    NoManager,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Plain {
    title: Option<&'static str>,
    given_name: Option<&'static str>,
    work: Option<&'static str>,
    home: Option<&'static str>,
    roles: BTreeSet<&'static str>,
    active: bool,
    department: Option<&'static str>,
    manager: Option<&'static str>,
}

impl Plain {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Title(title) => self.title = Some(title),
            Change::NoTitle => self.title = None,
            Change::GivenName(name) => self.given_name = Some(name),
            Change::Email("work", value) => self.work = Some(value),
            Change::Email(_, value) => self.home = Some(value),
            Change::NoEmail("work") => self.work = None,
            Change::NoEmail(_) => self.home = None,
            Change::AddRole(role) => {
                self.roles.insert(role);
            }
            Change::RemoveRole(role) => {
                self.roles.remove(role);
            }
            Change::OnlyRoles(roles) => self.roles = roles.iter().copied().collect(),
            Change::Active(active) => self.active = *active,
            Change::Department(department) => self.department = Some(department),
            Change::Manager(id) => self.manager = Some(id),
            Change::NoManager => self.manager = None,
        }
    }

    fn agrees_with(&self, user: &Map<String, Value>) -> bool {
        let user = Value::Object(user.clone());
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        let email = |kind: &str| {
            let emails: Vec<_> =
                user["emails"].as_array().into_iter().flatten().filter(|it| it["type"] == kind).collect();
            assert!(emails.len() <= 1, "{user}");
            emails.first().and_then(|it| text(&it["value"]))
        };
        let roles: Vec<_> =
            user["roles"].as_array().into_iter().flatten().filter_map(|it| text(&it["value"])).collect();
        assert_eq!(roles.len(), roles.iter().collect::<BTreeSet<_>>().len(), "a role twice: {user}");
        let own = |it: Option<&'static str>| it.map(ToOwned::to_owned);
        text(&user["title"]) == own(self.title)
            && text(&user["name"]["givenName"]) == own(self.given_name)
            && email("work") == own(self.work)
            && email("home") == own(self.home)
            && roles.iter().map(String::as_str).collect::<BTreeSet<_>>() == self.roles
            && user["active"] == self.active
            && text(&user[ENTERPRISE_USER_URN]["department"]) == own(self.department)
            && text(&user[ENTERPRISE_USER_URN]["manager"]["value"]) == own(self.manager)
            && user["userName"] == "a"
    }
}

impl Change {
    /// One of the ways to say it.
    fn operation(&self, dialect: usize) -> Value {
        let op = ["replace", "Replace", "add", "ADD"][dialect % 4];
        // With or without a path, the name in any spelling, with or without the schema's URN.
        let set = |urn: &str, name: &str, value: Value| {
            let full = format!("{urn}:{name}");
            let extension = urn == ENTERPRISE_USER_URN;
            match dialect / 4 % 5 {
                0 => json!({"op": op, "path": name, "value": value}),
                1 => json!({"op": op, "path": full, "value": value}),
                2 => json!({"op": op, "value": {full: value}}),
                3 if extension => json!({"op": op, "value": {urn: {name: value}}}),
                3 => json!({"op": op, "path": name.to_ascii_uppercase(), "value": value}),
                _ => json!({"op": op, "value": {name: value}, "name": "ignored"}),
            }
        };
        let core = "urn:ietf:params:scim:schemas:core:2.0:User";
        match self {
            Self::Title(title) => set(core, "title", json!(title)),
            Self::NoTitle => match dialect % 4 {
                0 => json!({"op": "remove", "path": "Title"}),
                1 => json!({"op": "replace", "path": "title", "value": null}),
                2 => json!({"op": "replace", "path": "title", "value": ""}),
                _ => json!({"op": "Replace", "value": {"title": null}}),
            },
            Self::GivenName(name) if dialect.is_multiple_of(7) => set(core, "name", json!({"GivenName": name})),
            Self::GivenName(name) => set(core, "name.givenName", json!(name)),
            Self::Email(kind, value) => match dialect % 3 {
                0 => json!({"op": op, "path": format!("emails[type eq \"{kind}\"].value"), "value": value}),
                1 => json!({"op": op, "path": format!("Emails[Type Eq \"{kind}\"]"), "value": {"value": value}}),
                _ => json!({"op": op, "value": {format!("emails[type eq \"{kind}\"].value"): value}}),
            },
            Self::NoEmail(kind) => match dialect % 3 {
                0 => json!({"op": "remove", "path": format!("emails[type eq \"{kind}\"]")}),
                1 => json!({"op": "replace", "path": format!("emails[type eq \"{kind}\"].value"), "value": ""}),
                _ => json!({"op": "Remove", "path": "emails", "value": [{"type": kind}]}),
            },
            Self::AddRole(role) => match dialect % 5 {
                0 => json!({"op": "Add", "path": "roles", "value": [{"value": role}]}),
                1 => json!({"op": "add", "path": "roles", "value": {"value": role, "display": "x"}}),
                2 => json!({"op": "add", "value": {"roles": [role]}}),
                3 => {
                    let packed = json!({"id": "1", "value": role, "displayName": "D"}).to_string();
                    json!({"op": "Add", "path": "roles", "value": [{"value": packed}]})
                }
                _ => {
                    let kind = "WindowsAzureActiveDirectoryRole";
                    let role = json!({"type": kind, "primary": false, "displayName": "x", "value": role});
                    json!({"op": "add", "path": "roles", "value": [role]})
                }
            },
            Self::RemoveRole(role) => match dialect % 3 {
                0 => json!({"op": "remove", "path": format!("roles[value eq \"{role}\"]")}),
                1 => json!({"op": "Remove", "path": "roles", "value": [{"value": role}]}),
                _ => json!({"op": "remove", "path": "roles", "value": role}),
            },
            Self::OnlyRoles(roles) => {
                let list: Vec<_> = roles.iter().map(|role| json!({"value": role, "primary": "False"})).collect();
                if dialect.is_multiple_of(2) {
                    json!({"op": "replace", "path": "roles", "value": list})
                } else {
                    json!({"op": "replace", "value": {"roles": list}})
                }
            }
            Self::Active(active) => {
                let text = if *active { "True" } else { "false" };
                set(core, "active", if dialect.is_multiple_of(3) { json!(text) } else { json!(active) })
            }
            Self::Department(department) => set(ENTERPRISE_USER_URN, "department", json!(department)),
            Self::Manager(id) => {
                let value =
                    [json!(id), json!({"value": id}), json!([{"$ref": "http://x", "value": id}])][dialect % 3].clone();
                set(ENTERPRISE_USER_URN, "manager", value)
            }
            Self::NoManager => match dialect % 3 {
                0 => json!({"op": "Remove", "path": format!("{ENTERPRISE_USER_URN}:manager")}),
                1 => json!({"op": "replace", "path": "manager", "value": {"value": ""}}),
                _ => json!({"op": "replace", "value": {ENTERPRISE_USER_URN: {"manager": null}}}),
            },
        }
    }
}

fn any_change() -> impl Strategy<Value = Change> {
    let value = || prop::sample::select(vec!["v", "w", "é \"x\""]);
    let kind = || prop::sample::select(vec!["work", "home"]);
    let role = || prop::sample::select(vec!["AGENT_1_STORE", "AGENT_1_Store", "RETAILER_2_ADMIN"]);
    prop_oneof![
        value().prop_map(Change::Title),
        Just(Change::NoTitle),
        value().prop_map(Change::GivenName),
        (kind(), value()).prop_map(|(kind, value)| Change::Email(kind, value)),
        kind().prop_map(Change::NoEmail),
        role().prop_map(Change::AddRole),
        role().prop_map(Change::RemoveRole),
        prop::collection::vec(role(), 0..4).prop_map(Change::OnlyRoles),
        any::<bool>().prop_map(Change::Active),
        value().prop_map(Change::Department),
        value().prop_map(Change::Manager),
        Just(Change::NoManager),
    ]
}

/// Changes, each with a number that chooses its spelling.
fn any_changes() -> impl Strategy<Value = Vec<(Change, usize)>> {
    prop::collection::vec((any_change(), 0..420usize), 0..12)
}

proptest! {
    /// B05: paths, none, with URNs, value filters, case, texts for booleans, nested values, several operations.
    #[test]
    fn every_spelling_of_a_change_means_the_same(changes in any_changes()) {
        let before = stored(&USERS, json!({"userName": "a", "active": false}));
        let mut plain = Plain::default();
        let operations: Vec<_> = changes.iter().map(|(change, dialect)| {
            plain.apply(change);
            change.operation(*dialect)
        }).collect();
        let outcome = try_patch(&before, operations.clone().into()).unwrap();
        let after = outcome.resource.as_map();
        prop_assert!(plain.agrees_with(after), "{:?} {:?} {:?}", operations, plain, after);
        prop_assert_eq!(outcome.changed, outcome.resource != before);

        // One request with all operations, or one request each: the same.
        let mut step_by_step = before;
        for operation in operations.clone() {
            step_by_step = try_patch(&step_by_step, json!([operation])).unwrap().resource;
        }
        prop_assert!(plain.agrees_with(step_by_step.as_map()), "{:?}", operations);
    }

    #[test]
    fn a_failing_operation_anywhere_fails_all(changes in any_changes(), at in 0..6usize) {
        let before = stored(&USERS, json!({"userName": "a"}));
        let mut operations: Vec<_> = changes.iter().map(|(change, dialect)| change.operation(*dialect)).collect();
        let failing = json!({"op": "replace", "path": "emails[value eq \"nobody\"].type", "value": "work"});
        operations.insert(at.min(operations.len()), failing);
        prop_assert_eq!(try_patch(&before, operations.into()).unwrap_err().scim_type, Some(ScimType::NoTarget));
    }

    #[test]
    fn what_a_patch_makes_is_as_if_it_had_been_posted(changes in any_changes()) {
        let before = stored(&USERS, json!({"userName": "a"}));
        let operations: Vec<_> = changes.iter().map(|(change, dialect)| change.operation(*dialect)).collect();
        let after = try_patch(&before, operations.into()).unwrap().resource;
        prop_assert_eq!(stored(&USERS, Value::Object(after.clone().into_stored())), after);
    }
}
