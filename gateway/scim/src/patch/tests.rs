use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{MAX_OPERATIONS, MemberDelta, PatchRequest, RolesPatch};
use crate::error::{Error, ScimType};
use crate::leniency::Mode;
use crate::put::Outcome;
use crate::resource::{Resource, normalise};
use crate::schema::{ENTERPRISE_USER_URN, FLUENT_GROUP_URN, GROUPS, ResourceType, USERS};

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
fn nothing_is_made_of_a_blank() {
    for blank in [json!(null), json!(""), json!([])] {
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
        assert!(!try_patch(&before, json!([op])).unwrap().resource.active(), "{op}");
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
    let value = json!({"id": "x", "meta": {"version": "1"}, "schemas": ["s"], "groups": [{"value": "g"}], "password": "p",
        "nonsense": 1, "no sense": 2, "urn:ietf:params:scim:schemas:extension:fluent:2.0:User": {"state": "provisioned"}});
    let outcome = try_patch(&before, json!([{"op": "replace", "value": value}])).unwrap();
    assert!(!outcome.changed);
    assert!(!try_patch(&before, json!([{"op": "replace", "path": "password", "value": "p"}])).unwrap().changed);
    assert!(!try_patch(&before, json!([])).unwrap().changed);
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
fn overwriting_makes_all_roles_of_one_request_the_whole_list() {
    let before = stored(&USERS, json!({"userName": "a", "roles": [{"value": "Old"}, {"value": "Kept"}]}));
    let labels = |operations: Value| -> Vec<String> {
        let outcome = request(&USERS, operations).unwrap().apply(&before, RolesPatch::Overwrite).unwrap();
        outcome.resource.labels().map(Into::into).collect()
    };
    let add = |value: &str| json!({"op": "Add", "path": "roles", "value": [{"value": format!("{{\"id\":\"1\",\"value\":\"{value}\"}}")}]});
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

/// A change to a group's members, spelt in one of the ways providers have.
#[derive(Clone, Debug)]
enum Membership {
    Add(Vec<u8>),
    Remove(Vec<u8>),
    Replace(Vec<u8>),
    Clear,
}

impl Membership {
    fn apply(&self, members: &mut BTreeSet<String>) {
        let text = |ids: &Vec<u8>| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        match self {
            Self::Add(ids) => members.extend(text(ids)),
            Self::Remove(ids) => text(ids).iter().for_each(|id| {
                members.remove(id);
            }),
            Self::Replace(ids) => *members = text(ids).into_iter().collect(),
            Self::Clear => members.clear(),
        }
    }

    fn operation(&self, dialect: usize) -> Value {
        let listed =
            |ids: &[u8]| ids.iter().map(|id| json!({"$ref": null, "value": id.to_string()})).collect::<Vec<_>>();
        match self {
            Self::Add(ids) => match dialect % 3 {
                0 => json!({"op": "Add", "path": "members", "value": listed(ids)}),
                1 => json!({"op": "add", "value": {"Members": listed(ids)}}),
                _ => json!({"op": "add", "path": "urn:ietf:params:scim:schemas:core:2.0:Group:members",
                    "value": ids.iter().map(ToString::to_string).collect::<Vec<_>>()}),
            },
            Self::Remove(ids) if dialect.is_multiple_of(2) && !ids.is_empty() => {
                let terms: Vec<_> = ids.iter().map(|id| format!("value eq \"{id}\"")).collect();
                json!({"op": "remove", "path": format!("members[{}]", terms.join(" or "))})
            }
            Self::Remove(ids) => json!({"op": "Remove", "path": "members", "value": listed(ids)}),
            Self::Replace(ids) => match dialect % 2 {
                0 => json!({"op": "replace", "path": "members", "value": listed(ids)}),
                _ => json!({"op": "replace", "value": {"members": listed(ids), "id": "x"}}),
            },
            Self::Clear => match dialect % 3 {
                0 => json!({"op": "remove", "path": "members"}),
                1 => json!({"op": "remove", "path": "members", "value": null}),
                _ => json!({"op": "Replace", "path": "members", "value": null}),
            },
        }
    }
}

fn any_membership() -> impl Strategy<Value = Membership> {
    let ids = || prop::collection::vec(0..6u8, 0..4);
    prop_oneof![
        4 => ids().prop_map(Membership::Add),
        4 => ids().prop_map(Membership::Remove),
        1 => ids().prop_map(Membership::Replace),
        1 => Just(Membership::Clear),
    ]
}

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
                    json!({"op": "Add", "path": "roles", "value": [{"value": json!({"id": "1", "value": role, "displayName": "D"}).to_string()}]})
                }
                _ => {
                    json!({"op": "add", "path": "roles", "value": [{"type": "WindowsAzureActiveDirectoryRole", "primary": false, "displayName": "x", "value": role}]})
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

proptest! {
    #[test]
    fn every_spelling_of_a_change_means_the_same(changes in prop::collection::vec((any_change(), 0..420usize), 0..12)) {
        let before = stored(&USERS, json!({"userName": "a", "active": false}));
        let mut plain = Plain::default();
        let operations: Vec<_> = changes.iter().map(|(change, dialect)| {
            plain.apply(change);
            change.operation(*dialect)
        }).collect();
        let outcome = try_patch(&before, operations.clone().into()).unwrap();
        prop_assert!(plain.agrees_with(outcome.resource.as_map()), "{:?} {:?} {:?}", operations, plain, outcome.resource);
        prop_assert_eq!(outcome.changed, outcome.resource != before);

        // One request with all operations, or one request each: the same.
        let mut step_by_step = before;
        for operation in operations.clone() {
            step_by_step = try_patch(&step_by_step, json!([operation])).unwrap().resource;
        }
        prop_assert!(plain.agrees_with(step_by_step.as_map()), "{:?}", operations);
    }

    #[test]
    fn a_failing_operation_anywhere_fails_all(changes in prop::collection::vec((any_change(), 0..420usize), 0..6), at in 0..6usize) {
        let before = stored(&USERS, json!({"userName": "a"}));
        let mut operations: Vec<_> = changes.iter().map(|(change, dialect)| change.operation(*dialect)).collect();
        operations.insert(at.min(operations.len()), json!({"op": "replace", "path": "emails[value eq \"nobody\"].type", "value": "work"}));
        prop_assert_eq!(try_patch(&before, operations.into()).unwrap_err().scim_type, Some(ScimType::NoTarget));
    }

    #[test]
    fn a_delta_does_to_members_what_the_operations_say(
        before in prop::collection::btree_set((0..6u8).prop_map(|id| id.to_string()), 0..6),
        changes in prop::collection::vec((any_membership(), 0..6usize), 0..8),
    ) {
        let mut expected = before.clone();
        for (change, _) in &changes {
            change.apply(&mut expected);
        }
        let operations: Vec<_> = changes.iter().map(|(change, dialect)| change.operation(*dialect)).collect();
        let request = request(&GROUPS, operations.into()).unwrap();
        let mut members = before;
        if let Some(delta) = request.members() {
            delta.apply_to(&mut members);
            if let MemberDelta::Change { add, remove } = delta {
                prop_assert!(add.is_disjoint(remove));
            }
        }
        prop_assert_eq!(members, expected);
        prop_assert!(request.is_members_only());
    }

    #[test]
    fn what_a_patch_makes_is_as_if_it_had_been_posted(changes in prop::collection::vec((any_change(), 0..420usize), 0..8)) {
        let before = stored(&USERS, json!({"userName": "a"}));
        let operations: Vec<_> = changes.iter().map(|(change, dialect)| change.operation(*dialect)).collect();
        let after = try_patch(&before, operations.into()).unwrap().resource;
        prop_assert_eq!(stored(&USERS, Value::Object(after.clone().into_stored())), after);
    }
}
