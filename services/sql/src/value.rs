//! Values on their way into statements and out of rows. Three types carry everything: integers (times in microseconds,
//! revisions, flags), texts, and bytes (ids, hashes).

use crate::error::Error;

/// A bound parameter. Each variant may be null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A 64-bit integer.
    Int(Option<i64>),
    /// A text.
    Text(Option<String>),
    /// Bytes.
    Bytes(Option<Vec<u8>>),
}

macro_rules! from {
    ($($from:ty => |$value:ident| $into:expr;)*) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $into
            }
        }
    )*};
}

from! {
    i64 => |value| Self::Int(Some(value));
    Option<i64> => |value| Self::Int(value);
    bool => |value| Self::Int(Some(i64::from(value)));
    &str => |value| Self::Text(Some(value.to_owned()));
    &String => |value| Self::Text(Some(value.clone()));
    String => |value| Self::Text(Some(value));
    Option<&str> => |value| Self::Text(value.map(str::to_owned));
    Option<String> => |value| Self::Text(value);
    &[u8] => |value| Self::Bytes(Some(value.to_vec()));
    &[u8; 16] => |value| Self::Bytes(Some(value.to_vec()));
    &[u8; 32] => |value| Self::Bytes(Some(value.to_vec()));
    Vec<u8> => |value| Self::Bytes(Some(value));
    Option<Vec<u8>> => |value| Self::Bytes(value);
}

impl Value {
    /// A list of ids as one parameter, for the `{ids:$n}` token.
    #[must_use]
    pub fn ids<'a>(ids: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut json = String::from("[");
        for id in ids {
            json.push_str(if json.len() > 1 { ",\"" } else { "\"" });
            for byte in id {
                push_hex(&mut json, *byte);
            }
            json.push('"');
        }
        json.push(']');
        Self::Text(Some(json))
    }

    /// A list of texts as one parameter, for the `{texts:$n}` token.
    #[must_use]
    pub fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut json = String::from("[");
        for text in texts {
            if json.len() > 1 {
                json.push(',');
            }
            push_text(&mut json, text);
        }
        json.push(']');
        Self::Text(Some(json))
    }

    /// A list of three texts each as one parameter, for the `{triples:$n}` token.
    #[must_use]
    pub fn triples<'a>(triples: impl IntoIterator<Item = [&'a str; 3]>) -> Self {
        let mut json = String::from("[");
        for [a, b, c] in triples {
            json.push_str(if json.len() > 1 { ",[" } else { "[" });
            push_text(&mut json, a);
            json.push(',');
            push_text(&mut json, b);
            json.push(',');
            push_text(&mut json, c);
            json.push(']');
        }
        json.push(']');
        Self::Text(Some(json))
    }

    /// A list of records as one parameter, for the `{records:$n}` token: each has its columns in the same order.
    #[must_use]
    pub fn records(records: impl IntoIterator<Item = Vec<Value>>) -> Self {
        let mut json = String::from("[");
        for record in records {
            json.push_str(if json.len() > 1 { ",[" } else { "[" });
            for (column, value) in record.iter().enumerate() {
                if column > 0 {
                    json.push(',');
                }
                match value {
                    Self::Int(Some(number)) => json.push_str(&number.to_string()),
                    Self::Text(Some(text)) => push_text(&mut json, text),
                    Self::Bytes(Some(bytes)) => {
                        json.push('"');
                        for byte in bytes {
                            push_hex(&mut json, *byte);
                        }
                        json.push('"');
                    }
                    Self::Int(None) | Self::Text(None) | Self::Bytes(None) => json.push_str("null"),
                }
            }
            json.push(']');
        }
        json.push(']');
        Self::Text(Some(json))
    }
}

fn push_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            // JSON wants control characters escaped: four hexadecimal digits, the first two zero.
            c if c < ' ' => {
                out.push_str("\\u00");
                push_hex(out, c as u8);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn push_hex(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// Values for a statement's `$1`, `$2`, …
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { vec![$($crate::Value::from($value)),*] };
}

/// One row of an answer. Columns are read by their place, counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(pub(crate) Vec<Value>);

impl Row {
    /// A column that is an integer and not null.
    pub fn int(&self, column: usize) -> Result<i64, Error> {
        self.maybe_int(column)?.ok_or_else(|| null(column))
    }

    /// A column that is a flag: an integer, 0 for no.
    pub fn flag(&self, column: usize) -> Result<bool, Error> {
        Ok(self.int(column)? != 0)
    }

    /// A column that is an integer or null.
    pub fn maybe_int(&self, column: usize) -> Result<Option<i64>, Error> {
        match self.0.get(column) {
            Some(Value::Int(value)) => Ok(*value),
            other if is_null(other) => Ok(None),
            other => Err(wrong(column, "an integer", other)),
        }
    }

    /// A column that is a text and not null.
    pub fn text(&self, column: usize) -> Result<&str, Error> {
        self.maybe_text(column)?.ok_or_else(|| null(column))
    }

    /// A column that is a text or null.
    pub fn maybe_text(&self, column: usize) -> Result<Option<&str>, Error> {
        match self.0.get(column) {
            Some(Value::Text(value)) => Ok(value.as_deref()),
            other if is_null(other) => Ok(None),
            other => Err(wrong(column, "a text", other)),
        }
    }

    /// A column that is bytes and not null.
    pub fn bytes(&self, column: usize) -> Result<&[u8], Error> {
        self.maybe_bytes(column)?.ok_or_else(|| null(column))
    }

    /// A column that is bytes or null.
    pub fn maybe_bytes(&self, column: usize) -> Result<Option<&[u8]>, Error> {
        match self.0.get(column) {
            Some(Value::Bytes(value)) => Ok(value.as_deref()),
            other if is_null(other) => Ok(None),
            other => Err(wrong(column, "bytes", other)),
        }
    }
}

fn is_null(value: Option<&Value>) -> bool {
    matches!(value, Some(Value::Int(None) | Value::Text(None) | Value::Bytes(None)))
}

fn null(column: usize) -> Error {
    Error::defect(format!("column {column} is null"))
}

fn wrong(column: usize, expected: &str, found: Option<&Value>) -> Error {
    let found = match found {
        None => "missing",
        Some(Value::Int(_)) => "an integer",
        Some(Value::Text(_)) => "a text",
        Some(Value::Bytes(_)) => "bytes",
    };
    Error::defect(format!("column {column} is {found}, not {expected}"))
}
