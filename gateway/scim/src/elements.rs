//! The values of a multi-valued attribute as a list: which are the same, which is primary.

use std::collections::HashMap;

use serde_json::Value;

use crate::error::Error;
use crate::value::MAX_VALUES;

/// From this many new values on, they are looked up instead of searched for.
pub(crate) const INDEX_FROM: usize = 16;

/// Adds values to a list, each once.
///
/// Two values are the same if their `value` is and their `type`, where both have one; a value without `value` only if
/// everything in it but `primary` is. One that is there already takes over what the new one says. The last one given as
/// `primary` is the only one. Refused with 413 if there are more than `MAX_VALUES` then.
pub(crate) fn add(list: &mut Vec<Value>, new: Vec<Value>) -> Result<(), Error> {
    let mut primary = None;
    let mut index = (new.len() >= INDEX_FROM).then(|| index(list));
    for value in new {
        let same = match &index {
            Some(index) => index.get(&key(&value)).and_then(|places| find(places.iter().copied(), list, &value)),
            None => find(0..list.len(), list, &value),
        };
        let place = same.unwrap_or(list.len());
        if is_primary(&value) {
            primary = Some(place);
        }
        match (list.get_mut(place), value) {
            (Some(Value::Object(there)), Value::Object(new)) => there.extend(new),
            (Some(_), _) => {}
            (None, value) => {
                if list.len() == MAX_VALUES {
                    return Err(Error::too_large(format!("a multi-valued attribute has at most {MAX_VALUES} values")));
                }
                if let Some(index) = &mut index {
                    index.entry(key(&value)).or_default().push(place);
                }
                list.push(value);
            }
        }
    }
    if let Some(place) = primary {
        make_only_primary(list, place);
    }
    Ok(())
}

/// What equal values have in common.
fn key(value: &Value) -> String {
    match value.get("value") {
        Some(Value::String(text)) => text.clone(),
        _ if value.is_object() => without_primary(value).collect::<Value>().to_string(),
        _ => value.to_string(),
    }
}

fn without_primary(value: &Value) -> impl Iterator<Item = (String, Value)> {
    let members = value.as_object().into_iter().flatten().filter(|(name, _)| *name != "primary");
    members.map(|(name, value)| (name.clone(), value.clone()))
}

fn index(list: &[Value]) -> HashMap<String, Vec<usize>> {
    let mut index: HashMap<_, Vec<_>> = HashMap::with_capacity(list.len());
    for (place, value) in list.iter().enumerate() {
        index.entry(key(value)).or_default().push(place);
    }
    index
}

/// The value with the same type if there is one, else one where a type is missing.
fn find(places: impl Iterator<Item = usize>, list: &[Value], value: &Value) -> Option<usize> {
    let mut untyped = None;
    for place in places.filter(|place| has_same_value(&list[*place], value)) {
        match (list[place].get("type"), value.get("type")) {
            (there, new) if there == new => return Some(place),
            (Some(_), Some(_)) => {}
            _ => untyped = untyped.or(Some(place)),
        }
    }
    untyped
}

fn has_same_value(there: &Value, new: &Value) -> bool {
    match (there.get("value"), new.get("value")) {
        (None, None) if there.is_object() && new.is_object() => without_primary(there).eq(without_primary(new)),
        (None, None) => there == new,
        (there, new) => there == new,
    }
}

pub(crate) fn is_primary(value: &Value) -> bool {
    value.get("primary") == Some(&Value::Bool(true))
}

/// Whoever else was primary is no longer.
pub(crate) fn make_only_primary(list: &mut [Value], place: usize) {
    for (n, value) in list.iter_mut().enumerate() {
        if n != place && is_primary(value) {
            value["primary"] = false.into();
        }
    }
}

/// Whether a value says nothing: all it has is what it would be used for.
pub(crate) fn is_husk(value: &Value) -> bool {
    value.as_object().is_some_and(|members| members.keys().all(|name| name == "type" || name == "primary"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{INDEX_FROM, add};

    fn any_element() -> impl Strategy<Value = Value> {
        let value = prop_oneof![Just(None), Just(Some("a")), Just(Some("b")), Just(Some("c"))];
        let kind = prop_oneof![Just(None), Just(Some("work")), Just(Some("home"))];
        (value, kind, any::<Option<bool>>()).prop_map(|(value, kind, primary)| {
            let mut element = serde_json::Map::new();
            element.extend(value.map(|it| ("value".to_owned(), it.into())));
            element.extend(kind.map(|it| ("type".to_owned(), it.into())));
            element.extend(primary.map(|it| ("primary".to_owned(), it.into())));
            Value::Object(element)
        })
    }

    proptest! {
        #[test]
        fn many_at_once_are_added_like_one_by_one(new in prop::collection::vec(any_element(), 0..3 * INDEX_FROM)) {
            let mut at_once = Vec::new();
            add(&mut at_once, new.clone()).unwrap();
            let mut one_by_one = Vec::new();
            for element in new {
                add(&mut one_by_one, vec![element]).unwrap();
            }
            prop_assert_eq!(&at_once, &one_by_one);
            prop_assert!(at_once.iter().filter(|it| super::is_primary(it)).count() <= 1);
            let mut again = at_once.clone();
            for it in &mut again {
                it.as_object_mut().unwrap().remove("primary");
            }
            let without = again.clone();
            add(&mut again, without.clone()).unwrap();
            prop_assert_eq!(again.len(), without.len(), "adding what is there adds nothing");
        }
    }

    #[test]
    fn the_same_value_with_another_type_is_another() {
        let mut list = Vec::new();
        let phone = |kind: &str| json!({"value": "1", "type": kind});
        add(&mut list, vec![phone("work"), phone("mobile"), phone("fax"), json!({"value": "1"})]).unwrap();
        assert_eq!(list.len(), 3);
    }

    #[test]
    fn a_new_primary_takes_it_from_the_old() {
        let mut list = vec![json!({"value": "a", "primary": true})];
        add(&mut list, vec![json!({"value": "b", "primary": true})]).unwrap();
        assert_eq!(list, [json!({"value": "a", "primary": false}), json!({"value": "b", "primary": true})]);
    }

    #[test]
    fn there_is_an_end_to_values() {
        let many = |n: usize| (0..n).map(|i| json!({"value": i.to_string()})).collect();
        let mut list = Vec::new();
        assert!(add(&mut list, many(super::MAX_VALUES)).is_ok());
        assert_eq!(add(&mut list, many(super::MAX_VALUES + 1)).unwrap_err().status, 413);
    }
}
