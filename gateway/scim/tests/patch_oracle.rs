//! PATCH against an oracle: RFC 7644 section 3.5.2 written down plainly over JSON, without schemas, targets or parsed
//! paths. Requests here are as the RFC has them, so they are read strictly.
//!
//! Where the RFC leaves room the oracle takes the engine's published reading: a complex value is merged, also where a
//! filter selects it; a value that is there already is not added twice; what has only a `type` or `primary` left says nothing and goes.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

use proptest::prelude::*;
use scim::patch::{PATCH_URN, PatchRequest, RolesPatch};
use scim::resource::normalise;
use scim::schema::{ENTERPRISE_USER_URN, USER_URN, USERS};
use scim::{Mode, ScimType};
use serde_json::{Map, Value, json};

/// One operation, with its path in pieces that the oracle can use without parsing.
#[derive(Clone, Debug)]
struct Operation {
    op: &'static str,
    place: Place,
    value: Option<Value>,
}

#[derive(Clone, Debug)]
enum Place {
    /// No path: `value` is an object of attributes.
    Everything,
    /// An attribute without parts: of the core schema, or of the enterprise extension.
    Simple(&'static str),
    Enterprise(&'static str),
    /// `name`, whole or one part of it.
    Name(Option<&'static str>),
    /// `emails`, perhaps those of a type or value, perhaps one part of each.
    Emails(Option<(&'static str, &'static str)>, Option<&'static str>),
}

impl Place {
    fn path(&self) -> Option<String> {
        Some(match self {
            Self::Everything => return None,
            Self::Simple(name) => (*name).to_owned(),
            Self::Enterprise(name) => format!("{ENTERPRISE_USER_URN}:{name}"),
            Self::Name(None) => "name".to_owned(),
            Self::Name(Some(part)) => format!("name.{part}"),
            Self::Emails(select, part) => {
                let select = select.map(|(name, value)| format!("[{name} eq \"{value}\"]")).unwrap_or_default();
                format!("emails{select}{}", part.map(|part| format!(".{part}")).unwrap_or_default())
            }
        })
    }
}

// The oracle.

/// The user after all operations, or the error's `scimType`.
fn oracle(user: &Value, operations: &[Operation]) -> Result<Value, ScimType> {
    let mut user = user.clone();
    for Operation { op, place, value } in operations {
        match place {
            Place::Everything => {
                for (name, value) in value.as_ref().unwrap().as_object().unwrap() {
                    match name.as_str() {
                        "name" => merge(&mut user["name"], value),
                        "emails" => list(&mut user["emails"], op, value),
                        _ => user[name] = value.clone(),
                    }
                }
            }
            Place::Simple(name) => set(&mut user, op, name, value.as_ref()),
            Place::Enterprise(name) => set(&mut user[ENTERPRISE_USER_URN], op, name, value.as_ref()),
            Place::Name(Some(part)) => set(&mut user["name"], op, part, value.as_ref()),
            Place::Name(None) if *op == "remove" => user["name"] = Value::Null,
            Place::Name(None) => merge(&mut user["name"], value.as_ref().unwrap()),
            Place::Emails(None, None) if *op == "remove" => user["emails"] = Value::Null,
            Place::Emails(None, None) => list(&mut user["emails"], op, value.as_ref().unwrap()),
            Place::Emails(select, part) => selected(&mut user["emails"], op, *select, *part, value.as_ref())?,
        }
        // Assigning `null` to a part of nothing makes objects of nothing.
        clean(&mut user);
    }
    tidy(&mut user);
    if user.get("userName").is_none() { Err(ScimType::Mutability) } else { Ok(user) }
}

fn set(holder: &mut Value, op: &str, name: &str, value: Option<&Value>) {
    holder[name] = if op == "remove" { Value::Null } else { value.unwrap().clone() };
}

fn merge(there: &mut Value, parts: &Value) {
    for (part, value) in parts.as_object().unwrap() {
        there[part] = value.clone();
    }
}

fn list(there: &mut Value, op: &str, new: &Value) {
    let mut all = if op == "replace" { Vec::new() } else { there.as_array().cloned().unwrap_or_default() };
    for new in new.as_array().unwrap() {
        add(&mut all, new);
    }
    *there = all.into();
}

/// Adds a value unless the same is there: the same `value`, and the same `type` or one that is not said.
fn add(all: &mut Vec<Value>, new: &Value) {
    let same: Vec<usize> = (0..all.len()).filter(|place| all[*place]["value"] == new["value"]).collect();
    let alike = same.iter().find(|place| all[**place]["type"] == new["type"]);
    let vague = same.iter().find(|place| all[**place]["type"].is_null() || new["type"].is_null());
    let place = alike.or(vague).copied().unwrap_or(all.len());
    let mut now = all.get(place).cloned().unwrap_or_default();
    merge(&mut now, new);
    if place == all.len() {
        all.push(Value::Null);
    }
    put(all, place, now);
}

/// Puts a value in its place; if it is primary, no other is.
fn put(all: &mut [Value], place: usize, value: Value) {
    if value["primary"] == true {
        for other in all.iter_mut().filter(|other| other["primary"] == true) {
            other["primary"] = false.into();
        }
    }
    all[place] = value;
}

fn selected(
    emails: &mut Value,
    op: &str,
    select: Option<(&str, &str)>,
    part: Option<&str>,
    value: Option<&Value>,
) -> Result<(), ScimType> {
    let mut all = emails.as_array().cloned().unwrap_or_default();
    let is = |it: &Value| {
        select.is_none_or(|(name, wanted)| it[name].as_str().is_some_and(|it| it.eq_ignore_ascii_case(wanted)))
    };
    let places: Vec<usize> = (0..all.len()).filter(|place| is(&all[*place])).collect();
    match (op, part) {
        // Strictly, a filter must select something, whatever is to be done with it.
        _ if places.is_empty() && select.is_some() => return Err(ScimType::NoTarget),
        ("remove", None) => all.retain(|it| !is(it)),
        ("remove", Some(part)) => places.iter().for_each(|place| all[*place][part] = Value::Null),
        // A part of every value, where there is none, is a part of a new one.
        (_, Some(part)) if places.is_empty() => all.push(json!({ part: value.unwrap() })),
        (_, part) => {
            let parts = part.map_or_else(|| value.unwrap().clone(), |part| json!({ part: value.unwrap() }));
            for place in places {
                let mut new = all[place].clone();
                merge(&mut new, &parts);
                put(&mut all, place, new);
            }
        }
    }
    *emails = all.into();
    Ok(())
}

/// Takes out everything that is `null` or holds nothing.
fn clean(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.values_mut().for_each(clean);
            members.retain(|_, it| !it.is_null() && it.as_object().is_none_or(|it| !it.is_empty()));
        }
        Value::Array(all) => all.iter_mut().for_each(clean),
        _ => {}
    }
}

fn tidy(user: &mut Value) {
    clean(user);
    if let Some(all) = user.get_mut("emails").and_then(Value::as_array_mut) {
        all.retain(|it| it.as_object().unwrap().keys().any(|part| part != "type" && part != "primary"));
    }
    user.as_object_mut().unwrap().retain(|_, it| it.as_array().is_none_or(|all| !all.is_empty()));
}

// The requests.

fn text() -> impl Strategy<Value = Value> {
    prop::sample::select(vec!["a", "B", "c"]).prop_map(Value::from)
}

fn email() -> impl Strategy<Value = Value> {
    let kind = prop::option::of(prop::sample::select(vec!["work", "home"]));
    (prop::sample::select(vec!["x", "y", "z"]), kind, any::<Option<bool>>()).prop_map(|(value, kind, primary)| {
        let mut email = Map::from_iter([("value".to_owned(), value.into())]);
        email.extend(kind.map(|kind| ("type".to_owned(), kind.into())));
        email.extend(primary.map(|primary| ("primary".to_owned(), primary.into())));
        email.into()
    })
}

/// At most one is primary: a body with more is no request of the RFC's.
fn emails() -> impl Strategy<Value = Value> {
    prop::collection::vec(email(), 1..4).prop_map(|mut all| {
        let mut seen = false;
        for email in &mut all {
            if email["primary"] == true && std::mem::replace(&mut seen, true) {
                email["primary"] = false.into();
            }
        }
        all.into()
    })
}

fn name() -> impl Strategy<Value = Value> {
    (prop::option::of(text()), text()).prop_map(|(given, family)| {
        let mut name = Map::from_iter([("familyName".to_owned(), family)]);
        name.extend(given.map(|given| ("givenName".to_owned(), given)));
        name.into()
    })
}

fn everything() -> impl Strategy<Value = Value> {
    (prop::option::of(text()), prop::option::of(name()), prop::option::of(emails()), any::<Option<bool>>()).prop_map(
        |(title, name, emails, active)| {
            let mut all = Map::new();
            all.extend(title.map(|it| ("title".to_owned(), it)));
            all.extend(name.map(|it| ("name".to_owned(), it)));
            all.extend(emails.map(|it| ("emails".to_owned(), it)));
            all.extend(active.map(|it| ("active".to_owned(), it.into())));
            all.into()
        },
    )
}

fn operation() -> impl Strategy<Value = Operation> {
    let to = prop::sample::select(vec!["add", "replace"]);
    let whole = prop::sample::select(vec!["title", "nickName", "userName"]);
    let select = || {
        prop::option::of(prop::sample::select(vec![("type", "work"), ("type", "HOME"), ("value", "x"), ("value", "Y")]))
    };
    let part = || prop::sample::select(vec!["value", "type", "display"]);
    let removed = prop_oneof![
        whole.clone().prop_map(Place::Simple),
        Just(Place::Enterprise("department")),
        prop::option::of(prop::sample::select(vec!["givenName", "familyName"])).prop_map(Place::Name),
        (select(), prop::option::of(part())).prop_map(|(select, part)| Place::Emails(select, part)),
    ];
    prop_oneof![
        3 => (to.clone(), whole, text()).prop_map(|(op, name, it)| Operation { op, place: Place::Simple(name), value: Some(it) }),
        1 => (to.clone(), any::<bool>()).prop_map(|(op, active)| Operation { op, place: Place::Simple("active"), value: Some(active.into()) }),
        1 => (to.clone(), text()).prop_map(|(op, it)| Operation { op, place: Place::Enterprise("department"), value: Some(it) }),
        2 => (to.clone(), name()).prop_map(|(op, it)| Operation { op, place: Place::Name(None), value: Some(it) }),
        2 => (to.clone(), text()).prop_map(|(op, it)| Operation { op, place: Place::Name(Some("givenName")), value: Some(it) }),
        3 => (to.clone(), emails()).prop_map(|(op, it)| Operation { op, place: Place::Emails(None, None), value: Some(it) }),
        3 => (to.clone(), select(), part(), text())
            .prop_map(|(op, select, part, it)| Operation { op, place: Place::Emails(select, Some(part)), value: Some(it) }),
        2 => (to.clone(), select(), email()).prop_filter_map("only a filter selects values", |(op, select, it)| {
            Some(Operation { op, place: Place::Emails(Some(select?), None), value: Some(it) })
        }),
        2 => (to.clone(), everything()).prop_map(|(op, it)| Operation { op, place: Place::Everything, value: Some(it) }),
        4 => removed.prop_map(|place| Operation { op: "remove", place, value: None }),
    ]
}

fn user() -> impl Strategy<Value = Value> {
    (everything(), prop::option::of(text())).prop_map(|(mut user, department)| {
        user["userName"] = "ann".into();
        if let Some(department) = department {
            user[ENTERPRISE_USER_URN] = json!({ "department": department });
        }
        user
    })
}

fn body(operations: &[Operation]) -> Map<String, Value> {
    let operations: Vec<_> = operations
        .iter()
        .map(|Operation { op, place, value }| {
            let mut operation = Map::from_iter([("op".to_owned(), (*op).into())]);
            operation.extend(place.path().map(|path| ("path".to_owned(), path.into())));
            operation.extend(value.clone().map(|value| ("value".to_owned(), value)));
            Value::Object(operation)
        })
        .collect();
    Map::from_iter([("schemas".to_owned(), json!([PATCH_URN])), ("Operations".to_owned(), operations.into())])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_patch_does_what_the_rfc_says(user in user(), operations in prop::collection::vec(operation(), 1..5)) {
        let mut sent = user.as_object().unwrap().clone();
        sent.insert("schemas".to_owned(), json!([USER_URN]));
        let before = normalise(&USERS, sent, Mode::Strict).unwrap().resource;
        let start = Value::Object(before.clone().into_stored());
        let request = PatchRequest::parse(&USERS, body(&operations), Mode::Strict).unwrap();
        let after = request.apply(&before, RolesPatch::AsSent);
        let after = after.map(|outcome| Value::Object(outcome.resource.into_stored()));
        prop_assert_eq!(after.map_err(|error| error.scim_type.unwrap()), oracle(&start, &operations));
    }
}
