//! A resource as it is stored and as it is answered, and the reading of request bodies into it.
//!
//! A stored document holds what the client may write and nothing else: canonical names, assigned values only. `id`,
//! `meta`, `schemas` and every other read-only attribute are put in when it is answered, and a group's members are
//! never part of it, for they are rows of their own.

use std::collections::HashSet;
use std::fmt;

use serde_json::{Map, Value};

use crate::error::Error;
use crate::flaws::Flaws;
use crate::leniency::{Leniency, Mode};
use crate::put;
use crate::schema::discovery::is_schema;
use crate::schema::{Attribute, FLUENT_GROUP_URN, Mutability, ResourceType, Target};
use crate::{elements, json, value};

/// What a client stored: canonical attribute names in a fixed order, nothing blank, nothing read-only.
#[derive(Clone, Default, PartialEq)]
pub struct Resource(Map<String, Value>);

/// Names only: values are personal data, which must not reach a log by accident.
impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What only the server knows about a resource (RFC 7643 section 3.1).
#[derive(Clone, Copy, Debug)]
pub struct Meta<'a> {
    /// The id.
    pub id: &'a str,
    /// When it was made, RFC 3339.
    pub created: &'a str,
    /// When it last changed, RFC 3339.
    pub last_modified: &'a str,
    /// Its URI.
    pub location: &'a str,
    /// Its entity tag, as in the `ETag` header.
    pub version: &'a str,
}

/// A request body that was read: what it gives, and what it explicitly leaves empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    /// What it gives.
    pub resource: Resource,
    /// The ids of a group's members, if the body mentions them; each once.
    pub members: Option<Vec<String>>,
    /// The attributes it gives as `null`, `""` or `[]`.
    pub(crate) cleared: Vec<Target>,
    /// What becomes of a part that is wrong.
    pub(crate) flaws: Flaws,
    /// The attributes whose value is wrong.
    pub(crate) left_out: Vec<Target>,
}

/// Reads the body of a POST or PUT.
///
/// Names are brought to their canonical spelling, values to their type; read-only and write-only attributes are
/// dropped, extensions of unknown URNs are kept as they are. Refused: 400 `invalidValue` for a value of the wrong type,
/// 400 `invalidSyntax` for an attribute given twice in different spellings.
pub fn normalise(kind: &ResourceType, body: Map<String, Value>, mode: Mode) -> Result<Incoming, Error> {
    Incoming::empty(Flaws::Refuse).read(kind, body, mode)
}

/// Reads what can be read of a body that `normalise` refuses.
pub fn normalise_possible(kind: &ResourceType, body: Map<String, Value>, mode: Mode) -> Result<Incoming, Error> {
    Incoming::empty(Flaws::LeaveOut).read(kind, body, mode)
}

fn names_schema(body: &Map<String, Value>, kind: &ResourceType) -> bool {
    let schemas = body.iter().find(|(name, _)| name.eq_ignore_ascii_case("schemas"));
    let listed = schemas.and_then(|(_, schemas)| schemas.as_array()).into_iter().flatten();
    listed.filter_map(Value::as_str).any(|urn| urn.eq_ignore_ascii_case(kind.schema.id))
}

impl Incoming {
    fn empty(flaws: Flaws) -> Self {
        let (cleared, left_out) = (Vec::new(), Vec::new());
        Self { resource: Resource::default(), members: None, cleared, flaws, left_out }
    }

    fn read(mut self, kind: &ResourceType, body: Map<String, Value>, mode: Mode) -> Result<Self, Error> {
        let flaws = self.flaws;
        if !mode.allows(Leniency::AnySchemas) && !names_schema(&body, kind) {
            flaws.pass(Err(Error::invalid_syntax(format!("schemas must hold {}", kind.schema.id))))?;
        }
        for (name, value) in body {
            if let Some(target) = kind.attribute(&name) {
                if target.extension.is_some() && !mode.allows(Leniency::BareExtensionAttribute) {
                    flaws.pass(Err(value::unknown(&name)))?;
                    continue;
                }
                self.assign_possible(target, value, mode)?;
            } else if let Some(schema) = kind.schema(&name) {
                let members = match value {
                    Value::Object(members) => members,
                    Value::Null => continue,
                    _ => {
                        flaws.pass(Err(Error::invalid_value(format!("{} must be an object", schema.id))))?;
                        continue;
                    }
                };
                let extension = (schema.id != kind.schema.id).then_some(schema);
                for (name, value) in members {
                    match schema.attribute(&name) {
                        Some(attribute) => {
                            self.assign_possible(Target { extension, attribute, sub: None }, value, mode)?;
                        }
                        None if schema.is_named_by(&name, &value) || mode.allows(Leniency::UnknownAttribute) => {}
                        None => flaws.pass(Err(value::unknown(&name)))?,
                    }
                }
            } else if is_urn(&name) && !is_schema(&name) && value.is_object() {
                if self.resource.has(&name) {
                    flaws.pass(Err(value::twice(&name)))?;
                    continue;
                }
                self.resource.put_extension(&name, value);
            } else if !mode.allows(Leniency::UnknownAttribute) {
                flaws.pass(Err(value::unknown(&name)))?;
            }
        }
        self.resource.tidy(kind);
        Ok(self)
    }

    fn assign_possible(&mut self, target: Target, given: Value, mode: Mode) -> Result<(), Error> {
        let assigned = self.assign(target, given, mode);
        if assigned.is_err() {
            self.left_out.push(target);
        }
        self.flaws.pass(assigned)
    }

    fn assign(&mut self, target: Target, given: Value, mode: Mode) -> Result<(), Error> {
        let attribute = target.attribute;
        if matches!(attribute.mutability, Mutability::ReadOnly | Mutability::WriteOnly) || attribute.name == "schemas" {
            return Ok(());
        }
        if attribute.name == "members" {
            let ids = member_ids(attribute, given, mode)?;
            return match self.members.replace(ids) {
                None => Ok(()),
                Some(_) => Err(value::twice("members")),
            };
        }
        match value::read(attribute, given, mode)? {
            None => self.cleared.push(target),
            Some(_) if self.resource.get(target).is_some() => return Err(value::twice(attribute.name)),
            Some(value) => self.resource.set(target, Some(value)),
        }
        Ok(())
    }

    /// The resource and members a POST makes: required attributes are there, and a user whose body does not mention
    /// `active` is active.
    ///
    /// Refused with 400 `invalidValue` if a required attribute is missing.
    pub fn created(mut self, kind: &ResourceType) -> Result<(Resource, Vec<String>), Error> {
        if let Some(active) = kind.attribute("active") {
            let default = !self.cleared.contains(&active);
            if self.resource.get(active).is_none() {
                self.resource.set(active, Some(default.into()));
            }
        }
        self.resource.require(kind, Error::invalid_value)?;
        Ok((self.resource, self.members.unwrap_or_default()))
    }
}

/// The ids in the value of a group's `members`, in order, each once.
pub(crate) fn member_ids(attribute: &'static Attribute, given: Value, mode: Mode) -> Result<Vec<String>, Error> {
    let given_count = match &given {
        Value::Array(values) => values.len(),
        value => usize::from(!is_blank(value)),
    };
    let members = value::read_list(attribute, given, mode)?;
    let no_value = || Error::invalid_value("a member has no value; it must be the id of a user or group");
    // A blank member means nothing, so a list of them must not read as an empty one: that would empty the group.
    if members.len() < given_count {
        return Err(no_value());
    }
    let mut seen = HashSet::with_capacity(members.len());
    let mut ids = Vec::with_capacity(members.len());
    for mut member in members {
        match member.get_mut("value").map(Value::take) {
            Some(Value::String(id)) if seen.insert(id.clone()) => ids.push(id),
            Some(Value::String(_)) => {}
            _ => return Err(no_value()),
        }
    }
    Ok(ids)
}

impl Resource {
    /// Takes a document that `into_stored` gave.
    #[must_use]
    pub fn from_stored(document: Map<String, Value>) -> Self {
        Self(document)
    }

    /// The document to store.
    #[must_use]
    pub fn into_stored(self) -> Map<String, Value> {
        self.0
    }

    /// The document.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// A text at the top of the resource by its canonical name: `userName`, `externalId`, `displayName`.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// Whether a user is active. One that does not say so, since a PATCH removed it, is not.
    #[must_use]
    pub fn active(&self) -> bool {
        self.0.get("active") == Some(&Value::Bool(true))
    }

    /// The same, but active or not.
    #[must_use]
    pub fn with_active(&self, active: bool) -> Self {
        let mut same = self.clone();
        same.0.insert("active".to_owned(), active.into());
        same
    }

    /// The same, but with the attributes of `other` that give a user access.
    #[must_use]
    pub fn with_access_of(&self, kind: &ResourceType, other: &Self) -> Self {
        let mut same = self.clone();
        put::access(kind).for_each(|target| same.set(target, other.get(target).cloned()));
        same
    }

    /// The role labels: of a user its `roles`, of a group those of its extension. In order, perhaps with repetitions
    /// that differ in `type`.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        let group = self.0.get(FLUENT_GROUP_URN).and_then(|extension| extension.get("roles"));
        let lists = self.0.get("roles").into_iter().chain(group);
        lists.filter_map(Value::as_array).flatten().filter_map(|role| role.get("value")?.as_str())
    }

    /// The resource as it is answered: with `schemas`, `id`, `meta`, and in `server` whatever else the server adds, by
    /// canonical name (`groups`, `members`, the Fluent extension).
    #[must_use]
    pub fn complete(&self, kind: &ResourceType, meta: &Meta<'_>, server: Map<String, Value>) -> Map<String, Value> {
        let Meta { id, created, last_modified, location, version } = *meta;
        let mut whole = self.0.clone();
        whole.extend(server);
        let extensions = whole.keys().filter(|name| is_urn(name)).cloned();
        let schemas: Vec<_> = std::iter::once(kind.schema.id.to_owned()).chain(extensions).collect();
        whole.insert("schemas".into(), schemas.into());
        whole.insert("id".into(), id.into());
        whole.insert(
            "meta".into(),
            serde_json::json!({
                "resourceType": kind.name,
                "created": created,
                "lastModified": last_modified,
                "location": location,
                "version": version,
            }),
        );
        whole
    }

    /// The value of an attribute; the sub-attribute of `target` is not looked at.
    pub(crate) fn get(&self, target: Target) -> Option<&Value> {
        match target.extension {
            None => self.0.get(target.attribute.name),
            Some(schema) => self.0.get(schema.id)?.get(target.attribute.name),
        }
    }

    /// Takes the value of an attribute out.
    pub(crate) fn take(&mut self, target: Target) -> Option<Value> {
        match target.extension {
            None => self.0.remove(target.attribute.name),
            Some(schema) => self.0.get_mut(schema.id)?.as_object_mut()?.remove(target.attribute.name),
        }
    }

    /// Sets or unassigns an attribute.
    pub(crate) fn set(&mut self, target: Target, value: Option<Value>) {
        let Some(value) = value else {
            self.take(target);
            return;
        };
        let holder = match target.extension {
            None => &mut self.0,
            Some(schema) => {
                let extension = self.0.entry(schema.id).or_insert_with(|| Map::new().into());
                match extension {
                    Value::Object(members) => members,
                    _ => return,
                }
            }
        };
        holder.insert(target.attribute.name.to_owned(), value);
    }

    /// Sets or unassigns an attribute of an extension nobody registered here; the URN and name in any case.
    pub(crate) fn set_foreign(&mut self, urn: &str, name: &str, value: Option<Value>) {
        let urn = self.0.keys().find(|key| key.eq_ignore_ascii_case(urn)).cloned().unwrap_or_else(|| urn.to_owned());
        let Value::Object(members) = self.0.entry(urn).or_insert_with(|| Map::new().into()) else { return };
        let name =
            members.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned().unwrap_or_else(|| name.to_owned());
        match value {
            Some(value) => members.insert(name, value),
            None => members.remove(&name),
        };
    }

    /// Whether there is an extension with this URN, in any case.
    pub(crate) fn has(&self, urn: &str) -> bool {
        self.0.keys().any(|key| key.eq_ignore_ascii_case(urn))
    }

    /// Puts in an extension nobody registered here.
    pub(crate) fn put_extension(&mut self, urn: &str, value: Value) {
        self.0.insert(urn.to_owned(), value);
    }

    /// Takes out everything of an extension, by its URN in any case.
    pub(crate) fn remove_extension(&mut self, urn: &str) {
        self.0.retain(|key, _| !key.eq_ignore_ascii_case(urn));
    }

    /// Removes what says nothing: values that have only a `type`, empty lists, empty objects; in an extension nobody
    /// registered here only blanks at its top.
    pub(crate) fn tidy(&mut self, kind: &ResourceType) {
        for (name, value) in &mut self.0 {
            match value {
                Value::Object(members) if is_urn(name) => {
                    if kind.extension(name).is_some() {
                        members.values_mut().for_each(drop_husks);
                    }
                    members.retain(|_, member| !is_blank(member));
                }
                value => drop_husks(value),
            }
        }
        self.0.retain(|_, value| !is_blank(value));
    }

    /// Refuses with 413 if patches have piled up more attributes than one body may have.
    pub(crate) fn check_size(&self) -> Result<(), Error> {
        let most = json::Limits::default().keys;
        let extensions = self.0.values().filter_map(Value::as_object);
        if std::iter::once(&self.0).chain(extensions).any(|members| members.len() > most) {
            return Err(Error::too_large(format!("a resource and an extension have at most {most} attributes each")));
        }
        Ok(())
    }

    /// Refuses, with what `error` makes of the reason, if a required attribute of the core schema is missing.
    pub(crate) fn require(&self, kind: &ResourceType, error: fn(String) -> Error) -> Result<(), Error> {
        let mut required = kind.schema.attributes.iter().filter(|attribute| attribute.required);
        match required.find(|attribute| !self.0.contains_key(attribute.name)) {
            None => Ok(()),
            Some(missing) => Err(error(format!("a {} must have {}", kind.name, missing.name))),
        }
    }
}

fn drop_husks(value: &mut Value) {
    if let Value::Array(list) = value {
        list.retain(|element| !is_blank(element) && !elements::is_husk(element));
    }
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

pub(crate) fn is_urn(name: &str) -> bool {
    name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:"))
}

#[cfg(test)]
pub(crate) mod tests;
