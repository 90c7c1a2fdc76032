//! A strict reader of JSON bodies.
//!
//! Two layers that read one body differently are a way around a check, so there is one reading: a key given twice, a
//! NUL, a lone surrogate, a number beyond `f64`, a byte order mark or anything behind the value is refused, where
//! `serde_json` alone keeps the last key and lets NUL pass. Sizes are checked while reading, before memory is taken.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::{Error, quoted};

/// How large a body may be in its parts. Its bytes are the transport's to limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Objects and arrays within one another.
    pub depth: usize,
    /// Bytes of one text or key.
    pub text: usize,
    /// Values of one array.
    pub array: usize,
    /// Keys of one object.
    pub keys: usize,
    /// Objects altogether: a small object takes a hundred times the memory of its text.
    pub objects: usize,
    /// Values altogether.
    pub values: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 32, text: 64 << 10, array: 50_000, keys: 500, objects: 60_000, values: 400_000 }
    }
}

/// Reads `bytes` as one JSON object.
///
/// Refused: 413 where a limit is passed, else 400 `invalidSyntax`; the detail says what and at which line and column.
pub fn read_object(bytes: &[u8], limits: &Limits) -> Result<Map<String, Value>, Error> {
    match read(bytes, limits)? {
        Value::Object(map) => Ok(map),
        _ => Err(Error::invalid_syntax("the body must be a JSON object")),
    }
}

/// Reads `bytes` as one JSON value; refuses what `read_object` does.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Value, Error> {
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return Err(Error::invalid_syntax("the body begins with a byte order mark; send UTF-8 without one"));
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::invalid_syntax("the body is empty; a JSON object belongs there"));
    }
    let budget = Budget { limits: *limits, objects: Cell::new(0), values: Cell::new(0), exceeded: Cell::new(false) };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = Node { budget: &budget, depth: 0 }.deserialize(&mut reader);
    read.and_then(|value| reader.end().map(|()| value)).map_err(|error| {
        let detail = format!("the body is not acceptable JSON: {error}");
        if budget.exceeded.get() { Error::too_large(detail) } else { Error::invalid_syntax(detail) }
    })
}

struct Budget {
    limits: Limits,
    objects: Cell<usize>,
    values: Cell<usize>,
    exceeded: Cell<bool>,
}

impl Budget {
    fn check<E: serde::de::Error>(&self, count: usize, limit: usize, what: &str) -> Result<(), E> {
        if count <= limit {
            return Ok(());
        }
        self.exceeded.set(true);
        Err(E::custom(format_args!("{what}, at most {limit} are accepted")))
    }

    fn text<E: serde::de::Error>(&self, text: &str) -> Result<(), E> {
        self.check(text.len(), self.limits.text, "a text with too many bytes")?;
        if text.contains('\0') {
            return Err(E::custom("a text with the character U+0000, which is not accepted"));
        }
        Ok(())
    }

    fn object<E: serde::de::Error>(&self) -> Result<(), E> {
        self.objects.set(self.objects.get() + 1);
        self.check(self.objects.get(), self.limits.objects, "too many objects")
    }

    fn value<E: serde::de::Error>(&self) -> Result<(), E> {
        self.values.set(self.values.get() + 1);
        self.check(self.values.get(), self.limits.values, "too many values")
    }
}

#[derive(Clone, Copy)]
struct Node<'a> {
    budget: &'a Budget,
    depth: usize,
}

impl Node<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        self.budget.check(depth, self.budget.limits.depth, "too many objects and arrays within one another")?;
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.budget.value()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.budget.text(text)?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Value, E> {
        self.budget.text(&text)?;
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
            self.budget.check(list.len(), self.budget.limits.array, "an array with too many values")?;
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        self.budget.object()?;
        let mut map = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            self.budget.text(&key)?;
            let value = members.next_value_seed(inner)?;
            self.budget.check(map.len() + 1, self.budget.limits.keys, "an object with too many keys")?;
            match map.entry(key) {
                serde_json::map::Entry::Vacant(entry) => {
                    entry.insert(value);
                }
                serde_json::map::Entry::Occupied(entry) => {
                    return Err(A::Error::custom(format_args!("the key {} given twice", quoted(entry.key()))));
                }
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{Limits, read, read_object};

    fn status(body: &[u8]) -> u16 {
        read(body, &Limits::default()).err().map_or(200, |error| error.status)
    }

    /// B09: keys given twice, what follows the value, numbers beyond `f64`, byte order marks, UTF-16; B08: NUL and lone surrogates.
    #[test]
    fn what_could_be_read_two_ways_is_refused() {
        for bad in [
            r#"{"a":1,"a":2}"#.as_bytes(),
            r#"{"a":{"b":1,"\u0062":2}}"#.as_bytes(),
            br#""\u0000""#,
            br#"{"\u0000":1}"#,
            br#""\ud800""#,
            br#""\udc00\ud800""#,
            b"\"\xff\"",
            b"1e400",
            b"-1e400",
            b"NaN",
            b"{} {}",
            b"{}x",
            b"\xEF\xBB\xBF{}",
            b"\xFE\xFF\0{\0}",
            b"{\0}\0",
            b"",
            b"  ",
            b"{",
            b"[1,]",
            b"{'a':1}",
            b"// {}",
        ] {
            assert_eq!(status(bad), 400, "{}", String::from_utf8_lossy(bad));
        }
        assert_eq!(read_object(b"[]", &Limits::default()).unwrap_err().status, 400);
    }

    #[test]
    fn the_detail_says_what_and_where() {
        let error = read(b"{\"active\": true,\n \"active\": false}", &Limits::default()).unwrap_err();
        assert!(error.detail.contains("'active' given twice at line 2"), "{}", error.detail);
    }

    /// D02: deep, wide and long JSON is refused while it is read.
    #[test]
    fn every_limit_holds_at_its_value_and_not_beyond() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n)).into_bytes();
        let text = |n: usize| format!("\"{}\"", "x".repeat(n)).into_bytes();
        let array = |n: usize| format!("[{}0]", "0,".repeat(n - 1)).into_bytes();
        let keys = |n: usize| {
            format!("{{{}}}", (0..n).map(|i| format!("\"k{i}\":0")).collect::<Vec<_>>().join(",")).into_bytes()
        };
        let limits = Limits::default();
        assert_eq!((status(&nested(limits.depth)), status(&nested(limits.depth + 1))), (200, 413));
        assert_eq!((status(&text(limits.text)), status(&text(limits.text + 1))), (200, 413));
        assert_eq!((status(&array(limits.array)), status(&array(limits.array + 1))), (200, 413));
        assert_eq!((status(&keys(limits.keys)), status(&keys(limits.keys + 1))), (200, 413));
        assert_eq!(status(format!("[{}]", vec!["[{},{}]"; 40_000].join(",")).as_bytes()), 413);
        assert_eq!(status("[".repeat(1_000_000).as_bytes()), 413);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[^\0]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("[^\0]{0,4}", inner, 0..6).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in any_json()) {
            prop_assert_eq!(read(value.to_string().as_bytes(), &Limits::default()), Ok(value));
        }

        #[test]
        fn what_is_accepted_serde_json_reads_the_same(bytes in "[\\[\\]{}:,\"\\\\a0-9eu.\\- ]{0,24}") {
            if let Ok(value) = read(bytes.as_bytes(), &Limits::default()) {
                prop_assert_eq!(serde_json::from_str::<Value>(&bytes).unwrap(), value);
            }
        }
    }
}
