//! Whether a resource meets a query.
//!
//! A comparison of a multi-valued attribute holds if one of its values meets it; `Element` wants one value that meets
//! everything at once. What has no value meets no comparison, and so meets every `Not` of one.

use serde_json::{Map, Value};

use super::Query;
use super::resolve::{Condition, Text, TextTest};
use crate::schema::Target;

/// What names are looked up in.
#[derive(Clone, Copy)]
enum Scope<'a> {
    Resource(&'a Map<String, Value>),
    /// One value of a complex attribute; names mean its sub-attributes.
    Element(&'a Value),
}

pub(super) fn resource(query: &Query, resource: &Map<String, Value>) -> bool {
    eval(query, Scope::Resource(resource))
}

pub(super) fn element(query: &Query, element: &Value) -> bool {
    eval(query, Scope::Element(element))
}

fn eval(query: &Query, scope: Scope<'_>) -> bool {
    match query {
        Query::And(terms) => terms.iter().all(|term| eval(term, scope)),
        Query::Or(terms) => terms.iter().any(|term| eval(term, scope)),
        Query::Not(inner) => !eval(inner, scope),
        Query::Present(target) => any_value(target, scope, is_assigned),
        Query::Compare(target, condition) => any_value(target, scope, |value| holds(condition, value)),
        Query::Element(target, inner) => any_value(target, scope, |value| eval(inner, Scope::Element(value))),
    }
}

fn any_value(target: &Target, scope: Scope<'_>, mut test: impl FnMut(&Value) -> bool) -> bool {
    let resource = match scope {
        Scope::Element(element) => {
            return target.sub.and_then(|sub| element.get(sub.name)).is_some_and(test);
        }
        Scope::Resource(resource) => resource,
    };
    let holder = match target.extension {
        None => Some(resource),
        Some(schema) => resource.get(schema.id).and_then(Value::as_object),
    };
    let Some(value) = holder.and_then(|holder| holder.get(target.attribute.name)) else { return false };
    let mut one = |value: &Value| match target.sub {
        None => test(value),
        Some(sub) => value.get(sub.name).is_some_and(&mut test),
    };
    match value {
        Value::Array(values) => values.iter().any(one),
        value => one(value),
    }
}

fn is_assigned(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn holds(condition: &Condition, value: &Value) -> bool {
    match (condition, value) {
        (Condition::Text(how, Text { text, folded: false }), Value::String(value)) => compare(*how, value, text),
        (Condition::Text(how, Text { text, folded: true }), Value::String(value)) => {
            compare(*how, &domain::fold::fold(value), text)
        }
        (Condition::Boolean(wanted), Value::Bool(value)) => wanted == value,
        (Condition::Time(order, wanted), Value::String(value)) => {
            value.parse::<jiff::Timestamp>().is_ok_and(|value| order.holds(value.cmp(wanted)))
        }
        (Condition::Number(order, wanted), Value::Number(value)) => {
            value.as_f64().and_then(|value| value.partial_cmp(wanted)).is_some_and(|ordering| order.holds(ordering))
        }
        _ => false,
    }
}

fn compare(how: TextTest, value: &str, text: &str) -> bool {
    match how {
        TextTest::Order(order) => order.holds(value.cmp(text)),
        TextTest::Contains => value.contains(text),
        TextTest::StartsWith => value.starts_with(text),
        TextTest::EndsWith => value.ends_with(text),
    }
}
