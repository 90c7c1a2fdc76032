//! Reads the value of one attribute as its schema says, with the leniencies real providers need.
//!
//! `null`, `""`, `[]` and `{}` all mean "unassigned" (RFC 7643 section 2.5); nothing blank is ever kept. Formats are
//! not checked and texts are not changed: what a client stored it reads back.

use serde_json::{Map, Value};

use crate::elements;
use crate::error::{Error, quoted};
use crate::json;
use crate::leniency::{Leniency, Mode};
use crate::schema::{Attribute, Mutability, Type};

/// The most values one multi-valued attribute may have.
pub(crate) const MAX_VALUES: usize = 5_000;

/// The parts of a complex value: each sub-attribute that was given, with nothing for one that is to be unassigned.
pub(crate) type Parts = Vec<(&'static Attribute, Option<Value>)>;

/// Reads the value of an attribute, single or multi-valued; nothing if it is unassigned.
pub(crate) fn read(attribute: &'static Attribute, value: Value, mode: Mode) -> Result<Option<Value>, Error> {
    if !attribute.multi_valued {
        return read_single(attribute, None, value, mode);
    }
    let mut list = Vec::new();
    elements::add(&mut list, read_list(attribute, value, mode)?)?;
    Ok((!list.is_empty()).then_some(Value::Array(list)))
}

/// Reads the values given for a multi-valued attribute, as they come.
pub(crate) fn read_list(attribute: &'static Attribute, value: Value, mode: Mode) -> Result<Vec<Value>, Error> {
    let values = match value {
        Value::Array(values) => values,
        Value::Null => Vec::new(),
        value if mode.allows(Leniency::SingleForList) => vec![value],
        _ => return Err(Error::invalid_value(format!("{} must be an array", attribute.name))),
    };
    let mut list = Vec::with_capacity(values.len());
    for value in values {
        if value.is_array() {
            return Err(Error::invalid_value(format!("{} must not hold arrays", attribute.name)));
        }
        list.extend(read_single(attribute, None, value, mode)?);
    }
    let primaries = list.iter().filter(|element| elements::is_primary(element)).count();
    if primaries > 1 && !mode.allows(Leniency::SeveralPrimaries) {
        return Err(Error::invalid_value(format!("{} has more than one primary value", attribute.name)));
    }
    Ok(list)
}

/// Reads one value; `parent` is the complex attribute it is a part of.
pub(crate) fn read_single(
    attribute: &'static Attribute,
    parent: Option<&'static Attribute>,
    value: Value,
    mode: Mode,
) -> Result<Option<Value>, Error> {
    let refuse = |expected: &str| {
        let name = parent.map_or_else(|| attribute.name.to_owned(), |it| format!("{}.{}", it.name, attribute.name));
        Err(Error::invalid_value(format!("{name} must be {expected}")))
    };
    let value = match value {
        Value::Null => return Ok(None),
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::Array(mut values) if mode.allows(Leniency::ListForSingle) && values.len() <= 1 => match values.pop() {
            None => return Ok(None),
            Some(Value::Array(_)) => return refuse("a single value"),
            Some(value) => return read_single(attribute, parent, value, mode),
        },
        Value::Array(_) => return refuse("a single value"),
        value => value,
    };
    match (attribute.kind, value) {
        (Type::Complex, value) => Ok(assemble(read_parts(attribute, value, mode)?)),
        (Type::Boolean, Value::Bool(value)) => Ok(Some(value.into())),
        (Type::Boolean, Value::String(text)) if mode.allows(Leniency::TextForBoolean) => match boolean(&text) {
            Some(value) => Ok(Some(value.into())),
            None => refuse("true or false"),
        },
        (Type::Boolean, _) => refuse("true or false"),
        (Type::Decimal | Type::Integer, Value::Number(number)) => Ok(Some(number.into())),
        (Type::Decimal | Type::Integer, Value::String(text)) if mode.allows(Leniency::NumberForText) => {
            match text.parse::<serde_json::Number>() {
                Ok(number) => Ok(Some(number.into())),
                Err(_) => refuse("a number"),
            }
        }
        (Type::Decimal | Type::Integer, _) => refuse("a number"),
        (Type::String | Type::DateTime | Type::Binary | Type::Reference, Value::String(text)) => Ok(Some(text.into())),
        (Type::String, Value::Number(number)) if mode.allows(Leniency::NumberForText) => {
            Ok(Some(number.to_string().into()))
        }
        (Type::String | Type::DateTime | Type::Binary | Type::Reference, _) => refuse("text"),
    }
}

/// Reads a complex value part by part, so that PATCH can tell what is unassigned from what is not mentioned.
pub(crate) fn read_parts(attribute: &'static Attribute, value: Value, mode: Mode) -> Result<Parts, Error> {
    let mut given = match value {
        Value::Object(map) => map,
        Value::Null => return Ok(Vec::new()),
        Value::Array(mut values) if values.len() == 1 && mode.allows(Leniency::ListForSingle) => match values.pop() {
            Some(Value::Object(map)) => map,
            _ => return Err(Error::invalid_value(format!("{} must be an object", attribute.name))),
        },
        value @ (Value::String(_) | Value::Number(_))
            if attribute.sub("value").is_some() && mode.allows(Leniency::TextForComplex) =>
        {
            Map::from_iter([("value".to_owned(), value)])
        }
        _ => return Err(Error::invalid_value(format!("{} must be an object", attribute.name))),
    };
    if attribute.name == "roles" && mode.allows(Leniency::JsonInRole) {
        unpack_role(&mut given);
    }
    let mut parts = Parts::new();
    let mut alias = None;
    for (name, value) in given {
        let Some(sub) = attribute.sub(&name) else {
            let display = attribute.sub("display").filter(|_| name.eq_ignore_ascii_case("displayName"));
            match display {
                Some(display) if mode.allows(Leniency::DisplayNameForDisplay) => alias = Some((display, value)),
                _ if mode.allows(Leniency::UnknownAttribute) => {}
                _ => return Err(unknown(&format!("{}.{name}", attribute.name))),
            }
            continue;
        };
        if sub.mutability == Mutability::ReadOnly {
            continue;
        }
        if parts.iter().any(|(given, _)| given.name == sub.name) {
            return Err(twice(&format!("{}.{}", attribute.name, sub.name)));
        }
        parts.push((sub, read_single(sub, Some(attribute), value, mode)?));
    }
    if let Some((display, value)) = alias
        && !parts.iter().any(|(given, _)| given.name == display.name)
    {
        parts.push((display, read_single(display, Some(attribute), value, mode)?));
    }
    Ok(parts)
}

/// A complex value of the assigned parts; nothing if there is none.
pub(crate) fn assemble(parts: Parts) -> Option<Value> {
    let assigned: Map<_, _> =
        parts.into_iter().filter_map(|(sub, value)| Some((sub.name.to_owned(), value?))).collect();
    (!assigned.is_empty()).then_some(Value::Object(assigned))
}

/// `true` or `false` in any case.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Entra puts a whole app role, `{"id":…,"value":…,"displayName":…}`, as text into `value`. The role is what its
/// `value` says; what is not such a text stays as it is.
fn unpack_role(given: &mut Map<String, Value>) {
    let Some((name, text)) = given.iter().find_map(|(name, value)| {
        let text = value.as_str().filter(|text| name.eq_ignore_ascii_case("value") && text.starts_with('{'))?;
        Some((name.clone(), text))
    }) else {
        return;
    };
    let limits = json::Limits { depth: 2, keys: 16, ..json::Limits::default() };
    let Ok(mut inner) = json::read_object(text.as_bytes(), &limits) else { return };
    let Some(value @ Value::String(_)) = inner.remove("value") else { return };
    given.insert(name, value);
    let display = inner.remove("displayName").or_else(|| inner.remove("display"));
    if let Some(display @ Value::String(_)) = display
        && !given.keys().any(|key| key.eq_ignore_ascii_case("display") || key.eq_ignore_ascii_case("displayName"))
    {
        given.insert("display".to_owned(), display);
    }
}

pub(crate) fn unknown(name: &str) -> Error {
    Error::invalid_syntax(format!("there is no attribute {}", quoted(name)))
}

pub(crate) fn twice(name: &str) -> Error {
    Error::invalid_syntax(format!("{} is given twice", quoted(name)))
}
