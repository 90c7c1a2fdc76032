//! PUT: the body replaces the resource (RFC 7644 section 3.5.1), except where silence would change access.
//!
//! What the body leaves out is cleared, as the RFC says. But `roles`, `active`, a group's labels and its members are
//! changed only by a value that is there: a provider that does not manage access must neither give nor take it by
//! saying nothing. An explicit `null` or `[]` takes the labels away, and an explicit `null` for `active` reads as
//! `false`: what is not said to be true grants nothing.

use serde_json::Value;

use crate::error::Error;
use crate::flaws::Flaws;
use crate::resource::{Incoming, Resource, is_urn};
use crate::schema::{ResourceType, Target};

/// What becomes of attributes a PUT leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unmentioned {
    /// They are cleared, apart from those that give access.
    #[default]
    Clear,
    /// They stay.
    Keep,
}

/// A changed resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The resource as it is now.
    pub resource: Resource,
    /// Whether it differs from what it was. A group's members are told apart from this.
    pub changed: bool,
}

/// The resource after a PUT of `new` over `old`.
///
/// The members of a group are in `new.members`: all of them if there, unchanged if not. Refused with 400 `invalidValue`
/// if a required attribute is missing. Of a body that `normalise_possible` read, what was left out stays as it is, and if a
/// required attribute is missing, those that give access change alone.
pub fn put(kind: &ResourceType, old: &Resource, new: Incoming, unmentioned: Unmentioned) -> Result<Outcome, Error> {
    let Incoming { mut resource, members: _, cleared, flaws, left_out } = new;
    let mut keep = |target: Target| {
        if resource.get(target).is_none() && !cleared.contains(&target) {
            resource.set(target, old.get(target).cloned());
        }
    };
    match unmentioned {
        Unmentioned::Clear => access(kind).chain(left_out).for_each(&mut keep),
        Unmentioned::Keep => kind.attributes().for_each(&mut keep),
    }
    if let Some(active) = kind.attribute("active")
        && cleared.contains(&active)
    {
        resource.set(active, Some(false.into()));
    }
    if unmentioned == Unmentioned::Keep {
        for (urn, extension) in old.as_map() {
            if is_urn(urn) && kind.schema(urn).is_none() && !resource.has(urn) {
                resource.put_extension(urn, Value::clone(extension));
            }
        }
    }
    let sound = resource.require(kind, Error::invalid_value);
    if sound.is_err() && flaws == Flaws::LeaveOut {
        resource = old.with_access_of(kind, &resource);
    }
    flaws.pass(sound)?;
    Ok(Outcome { changed: resource != *old, resource })
}

/// The attributes that give access.
pub(crate) fn access(kind: &ResourceType) -> impl Iterator<Item = Target> {
    ["active", "roles"].into_iter().filter_map(|name| kind.attribute(name))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Unmentioned, put};
    use crate::leniency::Mode;
    use crate::resource::{Resource, normalise};
    use crate::schema::{GROUPS, ResourceType, USERS};

    fn stored(kind: &ResourceType, body: Value) -> Resource {
        let Value::Object(body) = body else { panic!("an object") };
        normalise(kind, body, Mode::Lenient).unwrap().created(kind).unwrap().0
    }

    fn after(kind: &ResourceType, old: Value, new: Value, unmentioned: Unmentioned) -> Value {
        let Value::Object(new) = new else { panic!("an object") };
        let old = stored(kind, old);
        let new = normalise(kind, new, Mode::Lenient).unwrap();
        Value::Object(put(kind, &old, new, unmentioned).unwrap().resource.into_stored())
    }

    #[test]
    fn silence_clears_everything_but_access() {
        let old = json!({"userName": "a", "title": "T", "active": false, "roles": [{"value": "L"}],
            "department": "D", "urn:x:ext:2.0:User": {"a": 1}});
        assert_eq!(
            after(&USERS, old.clone(), json!({"userName": "a"}), Unmentioned::Clear),
            json!({"userName": "a", "active": false, "roles": [{"value": "L"}]})
        );
        let foreign = json!({"userName": "a", "urn:x:ext:2.0:User": {"a": 2}});
        let kept = after(&USERS, old.clone(), foreign, Unmentioned::Keep);
        assert_eq!((&kept["title"], &kept["urn:x:ext:2.0:User"]["a"]), (&json!("T"), &json!(2)));
        let kept = Value::Object(stored(&USERS, old.clone()).into_stored());
        assert_eq!(after(&USERS, old, json!({"userName": "a"}), Unmentioned::Keep), kept);
    }

    #[test]
    fn an_explicit_nothing_takes_access() {
        let old = json!({"userName": "a", "active": true, "roles": [{"value": "L"}]});
        for nothing in [json!(null), json!([]), json!("")] {
            for unmentioned in [Unmentioned::Clear, Unmentioned::Keep] {
                let new = json!({"userName": "a", "roles": nothing, "active": null});
                assert_eq!(after(&USERS, old.clone(), new, unmentioned), json!({"userName": "a", "active": false}));
            }
        }
    }

    #[test]
    fn a_groups_labels_survive_a_put_that_does_not_mention_them() {
        let old = json!({"displayName": "G", "roles": [{"value": "L"}]});
        let kept = after(&GROUPS, old.clone(), json!({"displayName": "H"}), Unmentioned::Clear);
        assert_eq!(kept["urn:ietf:params:scim:schemas:extension:fluent:2.0:Group"]["roles"][0]["value"], "L");
        let gone = after(&GROUPS, old, json!({"displayName": "H", "roles": []}), Unmentioned::Clear);
        assert_eq!(gone, json!({"displayName": "H"}));
    }

    #[test]
    fn a_required_attribute_must_be_there() {
        let old = stored(&USERS, json!({"userName": "a"}));
        let new = normalise(&USERS, serde_json::Map::new(), Mode::Lenient).unwrap();
        assert_eq!(put(&USERS, &old, new, Unmentioned::Keep).unwrap().resource.text("userName"), Some("a"));
        let new = normalise(&USERS, serde_json::Map::new(), Mode::Lenient).unwrap();
        assert_eq!(put(&USERS, &old, new, Unmentioned::Clear).unwrap_err().status, 400);
    }
}
