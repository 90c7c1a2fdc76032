//! Which attributes an answer holds: `attributes`, `excludedAttributes`, and what the schema says is returned
//! (RFC 7644 section 3.9, RFC 7643 section 7).

use serde_json::{Map, Value};

use crate::leniency::Mode;
use crate::path::{AttrPath, Locator};
use crate::resource::is_urn;
use crate::schema::{Attribute, COMMON, ResourceType, Returned, Schema, Target};

/// What a client asked to see, resolved for a resource type. Names nobody knows are ignored.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    kind: &'static ResourceType,
    /// What is asked for; with nothing, the default.
    only: Option<Vec<Locator>>,
    excluded: Vec<Locator>,
}

impl Projection {
    /// Reads the query parameters, each a list separated by commas.
    ///
    /// If both are given, what is asked for is returned without what is excluded.
    #[must_use]
    pub fn parse(kind: &'static ResourceType, attributes: Option<&str>, excluded: Option<&str>) -> Self {
        Self::new(kind, attributes.map(|names| names.split(',')), excluded.map(|names| names.split(',')))
    }

    /// The same from lists of names.
    #[must_use]
    pub fn new<'a>(
        kind: &'static ResourceType,
        attributes: Option<impl IntoIterator<Item = &'a str>>,
        excluded: Option<impl IntoIterator<Item = &'a str>>,
    ) -> Self {
        let locate = |name: &str| Locator::find(&AttrPath::parse(name.trim())?, kind, Mode::Lenient).ok();
        // An empty parameter is no parameter.
        let given = |name: &&str| !name.trim().is_empty();
        let only: Option<Vec<_>> = attributes.map(|names| names.into_iter().filter(given).collect());
        let only = only.filter(|names| !names.is_empty());
        Self {
            kind,
            only: only.map(|names| names.into_iter().filter_map(locate).collect()),
            excluded: excluded.into_iter().flatten().filter_map(locate).collect(),
        }
    }

    /// Everything that is returned by default.
    #[must_use]
    pub fn all(kind: &'static ResourceType) -> Self {
        Self { kind, only: None, excluded: Vec::new() }
    }

    /// Whether anything of the attribute called `name` would be in the answer, so that the server can spare itself
    /// reading members or effective roles.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        self.kind.attribute(name).is_some_and(|target| self.keeps(target) != Keep::Nothing)
    }

    /// Whether the client named attributes it wants.
    #[must_use]
    pub fn is_explicit(&self) -> bool {
        self.only.is_some()
    }

    /// Removes from a whole resource what is not to be returned.
    pub fn apply(&self, resource: &mut Map<String, Value>) {
        resource.retain(|name, value| {
            if let Some(extension) = self.kind.extension(name) {
                self.extension(extension, value)
            } else if is_urn(name) {
                self.keeps_foreign(name, value)
            } else {
                let attribute = find(COMMON, name).or_else(|| self.kind.schema.attribute(name));
                attribute
                    .is_some_and(|attribute| self.attribute(Target { extension: None, attribute, sub: None }, value))
            }
        });
    }

    fn extension(&self, schema: &'static Schema, value: &mut Value) -> bool {
        let Value::Object(members) = value else { return false };
        members.retain(|name, value| {
            schema.attribute(name).is_some_and(|attribute| {
                self.attribute(Target { extension: Some(schema), attribute, sub: None }, value)
            })
        });
        !members.is_empty()
    }

    /// Cuts the value down; whether anything of it stays.
    fn attribute(&self, target: Target, value: &mut Value) -> bool {
        let keep = self.keeps(target);
        match keep {
            Keep::Nothing => return false,
            Keep::Everything => return true,
            Keep::Some => {}
        }
        let cut = |value: &mut Value| match value {
            Value::Object(members) => {
                members.retain(|name, _| target.attribute.sub(name).is_some_and(|sub| self.keeps_sub(target, sub)));
                !members.is_empty()
            }
            _ => true,
        };
        match value {
            Value::Array(values) => {
                values.retain_mut(cut);
                !values.is_empty()
            }
            value => cut(value),
        }
    }

    fn keeps(&self, target: Target) -> Keep {
        let attribute = target.attribute;
        let parts = attribute.sub_attributes;
        match attribute.returned {
            Returned::Always => return Keep::Everything,
            Returned::Never => return Keep::Nothing,
            Returned::Default | Returned::Request => {}
        }
        let asked = match &self.only {
            None => attribute.returned == Returned::Default,
            Some(only) => only.iter().any(|locator| names(locator, target)),
        };
        let parts_asked = || {
            let only = self.only.iter().flatten();
            let mut of_this = only.filter_map(|locator| part(locator, target));
            of_this.next().is_some()
        };
        if self.excluded.iter().any(|locator| names(locator, target)) {
            return Keep::Nothing;
        }
        match (asked, self.excluded.iter().any(|locator| part(locator, target).is_some())) {
            (true, false) => Keep::Everything,
            (true, true) => Keep::Some,
            (false, _) if !parts.is_empty() && parts_asked() => Keep::Some,
            (false, _) => Keep::Nothing,
        }
    }

    fn keeps_sub(&self, target: Target, sub: &'static Attribute) -> bool {
        let is_this = |locator: &Locator| part(locator, target).is_some_and(|named| named.name == sub.name);
        let asked = match &self.only {
            None => true,
            Some(only) => only.iter().any(|locator| names(locator, target) || is_this(locator)),
        };
        asked && !self.excluded.iter().any(is_this)
    }

    fn keeps_foreign(&self, urn: &str, value: &mut Value) -> bool {
        let named = |locator: &Locator| match locator {
            Locator::Foreign { urn: named, name } if named.eq_ignore_ascii_case(urn) => Some(name.clone()),
            _ => None,
        };
        let whole = |locator: &Locator| named(locator) == Some(None);
        let member = |locator: &Locator, member: &str| {
            named(locator).flatten().is_some_and(|name| name.eq_ignore_ascii_case(member))
        };
        if self.excluded.iter().any(whole) {
            return false;
        }
        let Value::Object(members) = value else { return self.only.is_none() };
        members.retain(|name, _| {
            let asked = self
                .only
                .as_ref()
                .is_none_or(|only| only.iter().any(|locator| whole(locator) || member(locator, name)));
            asked && !self.excluded.iter().any(|locator| member(locator, name))
        });
        !members.is_empty()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Nothing,
    /// Some sub-attributes.
    Some,
    Everything,
}

/// Whether `locator` names the whole attribute, by itself or by its schema.
fn names(locator: &Locator, target: Target) -> bool {
    match locator {
        Locator::Known(named) => *named == Target { sub: None, ..target },
        // A schema's URN means what is returned by default; what is returned on request is named itself.
        Locator::Schema(schema) => {
            let of_schema = match target.extension {
                Some(extension) => extension.id == schema.id,
                None => schema.attribute(target.attribute.name).is_some(),
            };
            of_schema && target.attribute.returned != Returned::Request
        }
        Locator::Foreign { .. } => false,
    }
}

/// The sub-attribute of the attribute that `locator` names.
fn part(locator: &Locator, target: Target) -> Option<&'static Attribute> {
    match locator {
        Locator::Known(named) if (Target { sub: None, ..*named }) == (Target { sub: None, ..target }) => named.sub,
        _ => None,
    }
}

fn find(attributes: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Projection;
    use crate::schema::{ENTERPRISE_USER_URN, FLUENT_USER_URN, USERS};

    fn user() -> Value {
        json!({
            "schemas": ["s"], "id": "1", "meta": {"version": "v"}, "userName": "a", "password": "x",
            "name": {"givenName": "G", "familyName": "F"},
            "emails": [{"value": "e", "type": "work"}, {"type": "home"}],
            ENTERPRISE_USER_URN: {"department": "D", "costCenter": "C"},
            FLUENT_USER_URN: {"state": "held", "effectiveRoles": [{"value": "R"}]},
            "urn:x:ext:2.0:User": {"a": 1, "b": 2},
        })
    }

    fn after(attributes: Option<&str>, excluded: Option<&str>) -> Value {
        let Value::Object(mut user) = user() else { panic!("an object") };
        Projection::parse(&USERS, attributes, excluded).apply(&mut user);
        user.into()
    }

    #[test]
    fn by_default_everything_is_returned_but_secrets_and_what_must_be_asked_for() {
        let mut expected = user();
        expected.as_object_mut().unwrap().remove("password");
        expected[FLUENT_USER_URN].as_object_mut().unwrap().remove("effectiveRoles");
        assert_eq!(after(None, None), expected);
        assert_eq!(after(Some(""), Some("")), expected);
    }

    #[test]
    fn what_is_asked_for_is_returned_with_what_always_is() {
        let always = json!({"schemas": ["s"], "id": "1"});
        let with = |more: Value| {
            let mut expected = always.clone();
            expected.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            expected
        };
        assert_eq!(after(Some("USERNAME"), None), with(json!({"userName": "a"})));
        assert_eq!(after(Some("id"), None), always);
        assert_eq!(after(Some("nonsense"), None), always);
        assert_eq!(after(Some("password"), None), always);
        assert_eq!(
            after(Some("name.givenName, emails.value"), None),
            with(json!({"name": {"givenName": "G"}, "emails": [{"value": "e"}]}))
        );
        assert_eq!(
            after(Some("urn:ietf:params:scim:schemas:core:2.0:User:userName"), None),
            with(json!({"userName": "a"}))
        );
        assert_eq!(after(Some("department"), None), with(json!({ENTERPRISE_USER_URN: {"department": "D"}})));
        assert_eq!(
            after(Some(ENTERPRISE_USER_URN), None),
            with(json!({ENTERPRISE_USER_URN: {"department": "D", "costCenter": "C"}}))
        );
        assert_eq!(
            after(Some("effectiveRoles"), None),
            with(json!({FLUENT_USER_URN: {"effectiveRoles": [{"value": "R"}]}}))
        );
        assert_eq!(after(Some(FLUENT_USER_URN), None), with(json!({FLUENT_USER_URN: {"state": "held"}})));
        assert_eq!(after(Some("urn:x:ext:2.0:User:a"), None), with(json!({"urn:x:ext:2.0:User": {"a": 1}})));
        assert_eq!(after(Some("emails[type eq \"work\"]"), None), always);
    }

    #[test]
    fn what_is_excluded_goes_unless_it_is_always_returned() {
        let without = |name: &str| after(None, Some(name));
        assert_eq!(without("id,schemas"), after(None, None));
        assert_eq!(without("Emails").get("emails"), None);
        assert_eq!(without("emails.type")["emails"], json!([{"value": "e"}]));
        assert_eq!(without("name.familyName")["name"], json!({"givenName": "G"}));
        assert_eq!(without(ENTERPRISE_USER_URN).get(ENTERPRISE_USER_URN), None);
        assert_eq!(after(Some("name"), Some("name.givenName"))["name"], json!({"familyName": "F"}));
    }

    #[test]
    fn the_server_can_ask_what_it_need_not_read() {
        assert!(!Projection::all(&USERS).wants("effectiveRoles"));
        assert!(Projection::parse(&USERS, Some("effectiveRoles.value"), None).wants("effectiveRoles"));
        assert!(!Projection::parse(&USERS, None, Some("groups")).wants("groups"));
    }
}
