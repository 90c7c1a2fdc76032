//! Search arguments: each list argument of a connection names a field of its nodes and the values it may have.

use apollo_compiler::response::{JsonMap, JsonValue};
use jiff::Timestamp;

use crate::behaviour::Behaviour;
use crate::world::Refusal;

/// What a node has to fulfil to be found.
#[derive(Debug)]
pub(super) struct Search {
    tests: Vec<(String, Test)>,
    underscore: bool,
    unlisted: Vec<String>,
}

#[derive(Debug)]
enum Test {
    /// The field is one of these; a string may hold wildcards.
    AnyOf(Vec<JsonValue>),
    /// The field is a moment in this range, ends included.
    Within(Option<Timestamp>, Option<Timestamp>),
}

// === impl Search ===

impl Search {
    /// The search that a connection's arguments ask for; those about the page are left out.
    pub(super) fn new(arguments: &JsonMap, behaviour: &Behaviour) -> Result<Self, Refusal> {
        let mut tests = Vec::new();
        for (name, value) in arguments {
            let test = match value {
                _ if matches!(name.as_str(), "first" | "last" | "before" | "after") => continue,
                JsonValue::Array(values) => Test::AnyOf(values.clone()),
                JsonValue::Object(range) => {
                    let (from, to) = (moment(range, "from")?, moment(range, "to")?);
                    if from.is_none() && to.is_none() {
                        return Err(Refusal::new("C0102E", format!("`{}` needs `from` or `to`", name.as_str())));
                    }
                    Test::Within(from, to)
                }
                _ => continue,
            };
            tests.push((name.as_str().to_owned(), test));
        }
        Ok(Self { tests, underscore: behaviour.underscore_wildcard, unlisted: behaviour.unlisted.clone() })
    }

    /// Whether a node is found, given how to read one of its fields.
    pub(super) fn finds(&self, field: impl Fn(&str) -> Option<JsonValue>) -> bool {
        let unlisted = |name: &str| {
            field(name)
                .is_some_and(|held| held.as_str().is_some_and(|text| self.unlisted.iter().any(|gone| gone == text)))
        };
        if !self.unlisted.is_empty() && ["id", "name", "ref"].into_iter().any(unlisted) {
            return false;
        }
        self.tests.iter().all(|(name, test)| {
            let held = field(name).unwrap_or(JsonValue::Null);
            match test {
                Test::AnyOf(values) => values.iter().any(|value| match (value, &held) {
                    (JsonValue::String(pattern), JsonValue::String(text)) => {
                        like(pattern.as_str(), text.as_str(), self.underscore)
                    }
                    (value, held) => value == held,
                }),
                Test::Within(from, to) => {
                    let at = held.as_str().and_then(|text| text.parse::<Timestamp>().ok());
                    at.is_some_and(|at| from.is_none_or(|from| from <= at) && to.is_none_or(|to| at <= to))
                }
            }
        })
    }
}

fn moment(range: &JsonMap, name: &str) -> Result<Option<Timestamp>, Refusal> {
    match range.get(name) {
        None | Some(JsonValue::Null) => Ok(None),
        Some(value) => {
            let at = value.as_str().and_then(|text| text.parse().ok());
            at.map(Some).ok_or_else(|| Refusal::new("C0100E", format!("`{name}` is not an ISO 8601 moment in UTC")))
        }
    }
}

/// Whether `text` fits `pattern`, in which `%` stands for any characters and, if so switched, `_` for any one.
///
/// Backtracks to the latest `%` only, so the work is at most the product of both lengths.
pub(super) fn like(pattern: &str, text: &str, underscore: bool) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('%') => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(&wanted) if wanted == text[t] || (underscore && wanted == '_') => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((after, from)) => {
                    retry = Some((after, from + 1));
                    (p, t) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&rest| rest == '%')
}

#[cfg(test)]
mod tests {
    use super::like;

    #[test]
    fn a_percent_sign_stands_for_anything() {
        for (pattern, text) in [("%", ""), ("%MANAGER%", "STORE_MANAGER"), ("a%c%", "abcbd"), ("a%bd", "abcbd")] {
            assert!(like(pattern, text, false), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a", "A"), ("%b", "abc"), ("a%", "ba"), ("a_c", "abc")] {
            assert!(!like(pattern, text, false), "{pattern} {text}");
        }
    }

    #[test]
    fn an_underscore_is_itself_unless_switched() {
        assert!(like("a_c", "a_c", false));
        assert!(like("a_c", "abc", true));
        assert!(!like("a_c", "ac", true));
    }
}
