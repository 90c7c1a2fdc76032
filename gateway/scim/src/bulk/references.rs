//! Where the body of an operation refers to other resources: the `value` of every attribute that has a `$ref` and is the
//! client's to write, and in a PATCH also the filter of its path. Which attributes those are, the schemas say.

use serde_json::{Map, Value};

use super::Verb;
use crate::error::Error;
use crate::filter::{Expr, Filter, Literal};
use crate::leniency::Mode;
use crate::path::Path;
use crate::schema::{Attribute, Mutability, ResourceType, Target};

/// A place that may hold the id of another resource.
pub(super) struct Site<'a> {
    pub(super) text: &'a mut String,
    /// What kinds of resource it may name.
    pub(super) kinds: &'static [&'static str],
}

/// What is done at every place.
type Visitor<'a> = dyn FnMut(Site<'_>) -> Result<(), Error> + 'a;

/// The bulkId in `bulkId:…`.
pub(super) fn bulk_id_in(text: &str) -> Option<&str> {
    text.strip_prefix("bulkId:")
}

/// The kinds of resource an attribute refers to, if it does.
fn refers_to(attribute: &'static Attribute) -> Option<&'static [&'static str]> {
    let reference = attribute.sub("$ref").filter(|_| attribute.mutability != Mutability::ReadOnly)?;
    attribute.sub("value").map(|_| reference.reference_types)
}

/// Visits every place of a body that may hold the id of another resource.
pub(super) fn visit(
    kind: &'static ResourceType,
    verb: Verb,
    data: &mut Map<String, Value>,
    visitor: &mut Visitor<'_>,
) -> Result<(), Error> {
    if verb != Verb::Patch {
        return members(kind, data, visitor);
    }
    let operations = data.iter_mut().filter(|(name, _)| name.eq_ignore_ascii_case("Operations"));
    let operations = operations.filter_map(|(_, operations)| operations.as_array_mut()).flatten();
    for operation in operations.filter_map(Value::as_object_mut) {
        let mut path = None;
        for (name, value) in operation.iter_mut() {
            if let (true, Value::String(text)) = (name.eq_ignore_ascii_case("path"), value) {
                filter_of(kind, text, visitor)?;
                path = Some(text.clone()).filter(|text| !text.is_empty());
            }
        }
        for (name, value) in operation.iter_mut() {
            if name.eq_ignore_ascii_case("value") {
                match (&path, value) {
                    (Some(path), value) => named(kind, path, value, visitor)?,
                    (None, Value::Object(value)) => members(kind, value, visitor)?,
                    (None, _) => {}
                }
            }
        }
    }
    Ok(())
}

/// The filter in a path, which may compare with ids.
fn filter_of(kind: &'static ResourceType, text: &mut String, visitor: &mut Visitor<'_>) -> Result<(), Error> {
    if !text.contains("bulkId:") {
        return Ok(());
    }
    let Ok(mut path) = Path::parse(text, Mode::Lenient) else { return Ok(()) };
    let kinds = target(kind, &path).and_then(|target| refers_to(target.attribute));
    if let (Some(kinds), Some(filter)) = (kinds, &mut path.filter) {
        literals(filter, kinds, visitor)?;
        *text = path.to_string();
    }
    Ok(())
}

/// The members of a body, whose names may be paths and URNs of schemas.
fn members(kind: &'static ResourceType, body: &mut Map<String, Value>, visitor: &mut Visitor<'_>) -> Result<(), Error> {
    body.iter_mut().try_for_each(|(name, value)| named(kind, name, value, visitor))
}

/// What a name or path is given.
fn named(kind: &'static ResourceType, name: &str, value: &mut Value, visitor: &mut Visitor<'_>) -> Result<(), Error> {
    if let Some(schema) = kind.schema(name) {
        let inner = value.as_object_mut().into_iter().flatten();
        return inner.filter_map(|(name, value)| Some((schema.attribute(name)?, value))).try_for_each(
            |(attribute, value)| refers_to(attribute).map_or(Ok(()), |kinds| values(kinds, value, visitor)),
        );
    }
    let Ok(path) = Path::parse(name, Mode::Lenient) else { return Ok(()) };
    let found = target(kind, &path).and_then(|target| refers_to(target.attribute));
    found.map_or(Ok(()), |kinds| values(kinds, value, visitor))
}

fn target(kind: &'static ResourceType, path: &Path) -> Option<Target> {
    kind.resolve(&path.attribute, Mode::Lenient)
}

/// The values of an attribute that refers: a list or one, objects or bare text.
fn values(kinds: &'static [&'static str], value: &mut Value, visitor: &mut Visitor<'_>) -> Result<(), Error> {
    let one = |value: &mut Value, visitor: &mut Visitor<'_>| match value {
        Value::String(text) => visitor(Site { text, kinds }),
        Value::Object(parts) => parts.iter_mut().try_for_each(|(name, part)| match part {
            Value::String(text) if name.eq_ignore_ascii_case("value") => visitor(Site { text, kinds }),
            _ => Ok(()),
        }),
        _ => Ok(()),
    };
    match value {
        Value::Array(values) => values.iter_mut().try_for_each(|value| one(value, visitor)),
        value => one(value, visitor),
    }
}

/// The texts a filter compares to. It is as deep as the parser allows.
fn literals(filter: &mut Filter, kinds: &'static [&'static str], visitor: &mut Visitor<'_>) -> Result<(), Error> {
    match filter {
        Expr::And(terms) | Expr::Or(terms) => terms.iter_mut().try_for_each(|term| literals(term, kinds, visitor)),
        Expr::Not(inner) | Expr::Element(_, inner) => literals(inner, kinds, visitor),
        Expr::Compare(_, comparison) => match &mut comparison.literal {
            Literal::Text(text) => visitor(Site { text, kinds }),
            _ => Ok(()),
        },
        Expr::Present(_) => Ok(()),
    }
}

/// Takes the attributes that refer out of the body of a POST.
pub(super) fn take_references(kind: &'static ResourceType, body: &mut Map<String, Value>) -> Map<String, Value> {
    let mut taken = Map::new();
    for (name, value) in std::mem::take(body) {
        match (kind.schema(&name), value) {
            (Some(schema), Value::Object(members)) => {
                let refers = |name: &str| schema.attribute(name).and_then(refers_to).is_some();
                let (out, stay): (Map<_, _>, Map<_, _>) = members.into_iter().partition(|(name, _)| refers(name));
                if !out.is_empty() {
                    taken.insert(name.clone(), out.into());
                }
                body.insert(name, stay.into());
            }
            (None, value) if kind.attribute(&name).and_then(|it| refers_to(it.attribute)).is_some() => {
                taken.insert(name, value);
            }
            (_, value) => {
                body.insert(name, value);
            }
        }
    }
    taken
}
