//! The resource as it is answered: the stored document, and around it what the server owns (RFC 7643 section 3.1).
//!
//! The stored document holds neither `schemas` nor `id` nor `meta` nor our extension, so where no projection is asked
//! for, they are written around its text without reading it into a tree. With a projection it is taken apart.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use domain::grant::Grant;
use runtime::error::Error;
use scim::etag;
use scim::list::{LIST_URN, Start};
use scim::project::Projection;
use scim::resource::Meta;
use scim::schema::{FLUENT_USER_URN, GROUPS, ResourceType, USERS};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::convert::{Group, Member, Outcome, PENDING, Stored, User, UserGroup};

/// The resource in a stored document.
pub(crate) fn parse(stored: &Stored) -> Result<scim::Resource, Error> {
    let document = serde_json::from_slice(&stored.document);
    document.map(scim::Resource::from_stored).map_err(|error| Error::internal("reading a stored document", &error))
}

/// The document to store.
pub(crate) fn document(resource: scim::Resource) -> Bytes {
    Value::Object(resource.into_stored()).to_string().into()
}

/// A resource's entity tag.
pub(crate) fn tag(stored: &Stored) -> String {
    etag::weak(stored.version)
}

/// A resource's URI; `base` is the base URL without a trailing slash.
pub(crate) fn location(kind: &ResourceType, stored: &Stored, base: &str) -> String {
    format!("{base}{}/{}", kind.endpoint, stored.id)
}

/// A user as it is answered.
pub(crate) fn user(user: &User, base: &str, projection: Option<&Projection>) -> Result<String, Error> {
    let with_roles = projection.is_some_and(|projection| projection.wants("effectiveRoles"));
    let mut server = Map::from_iter([(FLUENT_USER_URN.to_owned(), extension(user, with_roles))]);
    if !user.groups.is_empty() {
        let groups = user.groups.iter().map(|it| group_of_user(it, base));
        server.insert("groups".to_owned(), groups.collect());
    }
    assemble(&USERS, &user.stored, server, base, projection)
}

/// A group as it is answered, with its members if they were read.
pub(crate) fn group(
    group: &Group,
    members: Option<&[Member]>,
    base: &str,
    projection: Option<&Projection>,
) -> Result<String, Error> {
    let members = members.map(|members| members.iter().map(|it| member(it, base)).collect::<Vec<_>>());
    let server = members.map(|members| ("members".to_owned(), members.into())).into_iter().collect();
    assemble(&GROUPS, &group.stored, server, base, projection)
}

fn member(member: &Member, base: &str) -> Value {
    let kind = if member.is_group { &GROUPS } else { &USERS };
    json!({
        "value": member.id,
        "$ref": format!("{base}{}/{}", kind.endpoint, member.id),
        "type": kind.name,
    })
}

fn group_of_user(group: &UserGroup, base: &str) -> Value {
    let UserGroup { id, display_name, direct } = group;
    json!({
        "value": id,
        "$ref": format!("{base}{}/{id}", GROUPS.endpoint),
        "display": display_name,
        "type": if *direct { "direct" } else { "indirect" },
    })
}

/// How the user stands in Fluent. A push that is due makes it `pending`, whatever was reported of the last one.
fn extension(user: &User, with_roles: bool) -> Value {
    let mut extension = Map::new();
    let due = user.outcome.as_ref().is_none_or(|outcome| outcome.revision < user.stored.version);
    let state = user.outcome.as_ref().filter(|_| !due).map_or(PENDING, |outcome| outcome.state);
    extension.insert("state".into(), state.into());
    let Some(Outcome { state: _, reasons, fluent_user_id, pushed_at, effective_roles, revision: _ }) = &user.outcome
    else {
        return extension.into();
    };
    if !due && !reasons.is_empty() {
        extension.insert("reasons".into(), json!(reasons));
    }
    if let Some(id) = fluent_user_id {
        extension.insert("fluentUserId".into(), json!(id));
    }
    if let Some(at) = pushed_at {
        extension.insert("pushedAt".into(), at.rfc3339().into());
    }
    if with_roles && !effective_roles.is_empty() {
        extension.insert("effectiveRoles".into(), effective_roles.iter().map(effective_role).collect());
    }
    extension.into()
}

fn effective_role(grant: &Grant) -> Value {
    let Grant { role, context_type, context_id } = grant;
    json!({ "value": **role, "contextType": context_type.as_str(), "contextId": **context_id })
}

fn assemble(
    kind: &'static ResourceType,
    stored: &Stored,
    server: Map<String, Value>,
    base: &str,
    projection: Option<&Projection>,
) -> Result<String, Error> {
    let (created, last_modified) = (stored.created.rfc3339(), stored.modified.rfc3339());
    let (location, version) = (location(kind, stored, base), tag(stored));
    let meta = Meta {
        id: &stored.id,
        created: &created,
        last_modified: &last_modified,
        location: &location,
        version: &version,
    };
    let Some(projection) = projection else { return splice(kind, stored, &meta, server) };
    let mut whole = parse(stored)?.complete(kind, &meta, server);
    projection.apply(&mut whole);
    Ok(Value::Object(whole).to_string())
}

/// A list of resources that are assembled already. Read by cursor, it names the next one and no position (RFC 9865), and
/// says how many there are in all only where that is known.
pub(crate) fn list(resources: &[String], total: Option<u64>, next_cursor: Option<&str>, start: &Start) -> String {
    let mut members = vec![format!("\"schemas\":[\"{LIST_URN}\"]")];
    members.extend(total.map(|total| format!("\"totalResults\":{total}")));
    if let Start::Index(start) = start {
        members.push(format!("\"startIndex\":{start}"));
    }
    members.push(format!("\"itemsPerPage\":{}", resources.len()));
    members.extend(next_cursor.map(|cursor| format!("\"nextCursor\":{}", json!(cursor))));
    members.push(format!("\"Resources\":[{}]", resources.join(",")));
    format!("{{{}}}", members.join(","))
}

/// The same as `Resource::complete`, without reading more of the document than its keys.
fn splice(kind: &ResourceType, stored: &Stored, meta: &Meta<'_>, server: Map<String, Value>) -> Result<String, Error> {
    let Extensions(urns) = serde_json::from_slice(&stored.document)
        .map_err(|error| Error::internal("reading a stored document's keys", &error))?;
    let document = String::from_utf8_lossy(&stored.document);
    let inner = document.trim().strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or_default().trim();
    let of_server = server.keys().map(String::as_str).filter(|name| is_urn(name));
    let mut extensions: Vec<_> = urns.iter().map(|urn| &**urn).chain(of_server).collect();
    extensions.sort_unstable();
    let schemas: Vec<_> = std::iter::once(kind.schema.id).chain(extensions).collect();
    let Meta { id, created, last_modified, location, version } = *meta;
    let mut text = Vec::with_capacity(inner.len() + 768);
    text.extend_from_slice(b"{\"schemas\":");
    push(&mut text, &schemas)?;
    text.extend_from_slice(b",\"id\":");
    push(&mut text, id)?;
    if !inner.is_empty() {
        text.push(b',');
        text.extend_from_slice(inner.as_bytes());
    }
    for (name, value) in server {
        text.push(b',');
        push(&mut text, &name)?;
        text.push(b':');
        push(&mut text, &value)?;
    }
    text.extend_from_slice(b",\"meta\":{\"resourceType\":");
    push(&mut text, kind.name)?;
    for (name, value) in
        [("created", created), ("lastModified", last_modified), ("location", location), ("version", version)]
    {
        text.push(b',');
        push(&mut text, name)?;
        text.push(b':');
        push(&mut text, value)?;
    }
    text.extend_from_slice(b"}}");
    String::from_utf8(text).map_err(|error| Error::internal("writing a resource", &error))
}

/// Appends a value as JSON.
fn push(text: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
    serde_json::to_writer(text, value).map_err(|error| Error::internal("writing a resource", &error))
}

fn is_urn(name: &str) -> bool {
    name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:"))
}

/// The keys of an object that name extensions.
struct Extensions<'a>(Vec<Cow<'a, str>>);

impl<'de> Deserialize<'de> for Extensions<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Keys)
    }
}

struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = Extensions<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a resource")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut urns = Vec::new();
        while let Some(Key(key)) = members.next_key()? {
            members.next_value::<IgnoredAny>()?;
            if is_urn(&key) {
                urns.push(key);
            }
        }
        Ok(Extensions(urns))
    }
}

/// A key, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests;
