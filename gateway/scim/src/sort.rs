//! Sorted lists (RFC 7644 section 3.4.2.3): by which attribute, and what of a resource decides.

use serde_json::{Map, Value};

use crate::error::{Error, quoted};
use crate::filter::resolve_comparable;
use crate::leniency::Mode;
use crate::path::AttrPath;
use crate::schema::{ResourceType, Target, Type};

/// How much of a text decides, in bytes: names are shorter.
const DECIDING: usize = 2_000;

/// An attribute to sort by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sort {
    target: Target,
}

/// What of a resource decides where it stands. Keys of one [`Sort`] are of one kind, but for those that are missing;
/// these come after all others, so first in a list that is sorted downwards.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// `false` before `true`, and whole numbers, among them moments in microseconds since the Unix epoch.
    Number(i64),
    /// By order of code points; folded where case does not matter.
    Text(String),
    /// The resource has no value.
    Missing,
}

impl Sort {
    /// Reads the name of an attribute or sub-attribute; of a complex one its `value` is meant. Refused with 400
    /// `invalidValue` if there is none of that name, 403 `sensitive` if it is never returned.
    pub fn parse(name: &str, kind: &ResourceType, mode: Mode) -> Result<Self, Error> {
        let unknown = || Error::invalid_value(format!("sortBy: {} has no attribute {}", kind.name, quoted(name)));
        let path = AttrPath::parse(name.trim()).ok_or_else(unknown)?;
        match resolve_comparable(&path, kind, mode) {
            Ok(target) => Ok(Self { target }),
            Err(error) if error.status == 403 => Err(error),
            Err(error) => Err(Error::invalid_value(format!("sortBy: {}", error.detail))),
        }
    }

    /// The attribute.
    #[must_use]
    pub fn target(&self) -> Target {
        self.target
    }

    /// The key of a whole resource: of several values the primary one's, else the first one's.
    #[must_use]
    pub fn key(&self, resource: &Map<String, Value>) -> Key {
        let Target { extension, attribute, sub } = self.target;
        let holder = match extension {
            None => Some(resource),
            Some(schema) => resource.get(schema.id).and_then(Value::as_object),
        };
        let value = holder.and_then(|holder| holder.get(attribute.name));
        let value = match value {
            Some(Value::Array(values)) => values.iter().find(|value| is_primary(value)).or_else(|| values.first()),
            value => value,
        };
        let value = match sub {
            None => value,
            Some(sub) => value.and_then(|value| value.get(sub.name)),
        };
        value.map_or(Key::Missing, |value| self.key_of(value))
    }

    fn key_of(&self, value: &Value) -> Key {
        let attribute = self.target.leaf();
        match (attribute.kind, value) {
            (Type::Boolean, Value::Bool(value)) => Key::Number(i64::from(*value)),
            (Type::DateTime, Value::String(text)) => match text.parse::<jiff::Timestamp>() {
                Ok(at) => Key::Number(at.as_microsecond()),
                Err(_) => Key::Missing,
            },
            (Type::Integer | Type::Decimal, Value::Number(number)) => {
                number.as_f64().map_or(Key::Missing, |number| Key::Number(in_order(number)))
            }
            (Type::String | Type::Reference | Type::Binary, Value::String(text)) if !text.is_empty() => {
                let mut text = if attribute.case_exact { text.clone() } else { domain::fold::fold(text) };
                text.truncate(text.floor_char_boundary(DECIDING));
                Key::Text(text)
            }
            _ => Key::Missing,
        }
    }
}

fn is_primary(value: &Value) -> bool {
    value.get("primary") == Some(&Value::Bool(true))
}

/// A number whose order is that of the fraction's: the bits of a positive one rise with it, those of a negative one fall.
fn in_order(number: f64) -> i64 {
    let bits = (number + 0.0).to_bits().cast_signed();
    bits ^ (((bits >> 63).cast_unsigned()) >> 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::{Key, Sort, in_order};
    use crate::leniency::Mode;
    use crate::schema::{ENTERPRISE_USER_URN, USERS};

    fn key(name: &str, resource: Value) -> Key {
        let Value::Object(resource) = resource else { panic!("an object") };
        Sort::parse(name, &USERS, Mode::Lenient).unwrap().key(&resource)
    }

    #[test]
    fn the_primary_value_decides_else_the_first() {
        let emails = json!({ "emails": [{ "value": "B" }, { "value": "A", "primary": true }] });
        assert_eq!(key("emails", emails.clone()), Key::Text("a".into()));
        assert_eq!(key("emails.value", emails), Key::Text("a".into()));
        assert_eq!(key("emails", json!({ "emails": [{ "value": "B" }, { "value": "A" }] })), Key::Text("b".into()));
    }

    #[test]
    fn case_counts_where_the_schema_says_so_and_types_keep_their_order() {
        assert_eq!(key("userName", json!({ "userName": "ANN" })), Key::Text("ann".into()));
        assert_eq!(key("externalId", json!({ "externalId": "ANN" })), Key::Text("ANN".into()));
        assert_eq!(key("active", json!({ "active": true })), Key::Number(1));
        assert_eq!(
            key("meta.created", json!({ "meta": { "created": "1970-01-01T00:00:01Z" } })),
            Key::Number(1_000_000)
        );
        let extended = Map::from_iter([(ENTERPRISE_USER_URN.to_owned(), json!({ "manager": { "value": "7" } }))]);
        assert_eq!(key("manager", extended.into()), Key::Text("7".into()));
    }

    #[test]
    fn what_has_no_value_comes_last() {
        for resource in [json!({}), json!({ "title": "" }), json!({ "title": null })] {
            assert_eq!(key("title", resource), Key::Missing);
        }
        assert!(Key::Missing > Key::Text("\u{10FFFF}".into()) && Key::Missing > Key::Number(i64::MAX));
    }

    #[test]
    fn fractions_keep_their_order() {
        let rising = [f64::NEG_INFINITY, -2.5, -1.0, -f64::MIN_POSITIVE, 0.0, 0.5, 1.0, 1e300, f64::INFINITY];
        assert!(rising.windows(2).all(|pair| in_order(pair[0]) < in_order(pair[1])));
        assert_eq!(in_order(-0.0), in_order(0.0));
    }

    #[test]
    fn an_attribute_that_is_none_or_a_secret_is_refused() {
        let refused = |name| Sort::parse(name, &USERS, Mode::Lenient).unwrap_err();
        for none in ["", "nothing", "name", "userName eq", "emails.nothing"] {
            assert_eq!(refused(none).to_json()["scimType"], "invalidValue", "{none}");
        }
        assert_eq!(refused("password").to_json()["scimType"], "sensitive");
    }
}
