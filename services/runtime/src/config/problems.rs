//! Mistakes in a configuration, collected so that all are seen at once.

use std::fmt;

use figment::error::Kind;

/// One mistake: where it is, what is wrong, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, for example `gateway.listen`.
    pub key: String,
    /// What is wrong with its value. Never holds the value.
    pub wrong: String,
    /// What would be right.
    pub right: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; expected {}", self.key, self.wrong, self.right)
    }
}

/// What can check itself once it has been read.
pub trait Validate {
    /// Notes every mistake in `problems`, by keys relative to this value.
    fn validate(&self, problems: &mut Problems);
}

/// The mistakes found so far.
#[derive(Debug, Default)]
pub struct Problems {
    prefix: Vec<String>,
    found: Vec<Problem>,
}

impl Problems {
    /// Notes a mistake. `key` is relative to the section being checked; `""` means the section itself.
    pub fn add(&mut self, key: impl AsRef<str>, wrong: impl Into<String>, right: impl Into<String>) {
        let key = key.as_ref();
        let key = self.prefix.iter().map(String::as_str).chain((!key.is_empty()).then_some(key));
        let key = key.collect::<Vec<_>>().join(".");
        self.found.push(Problem { key, wrong: wrong.into(), right: right.into() });
    }

    /// Notes a mistake unless `holds`.
    pub fn require(&mut self, holds: bool, key: impl AsRef<str>, wrong: impl Into<String>, right: impl Into<String>) {
        if !holds {
            self.add(key, wrong, right);
        }
    }

    /// Checks a section: its mistakes are noted under `key`.
    pub fn section(&mut self, key: impl Into<String>, value: &impl Validate) {
        self.within(key, |problems| value.validate(problems));
    }

    /// Runs `check` with every key noted under `key`.
    pub fn within(&mut self, key: impl Into<String>, check: impl FnOnce(&mut Self)) {
        self.prefix.push(key.into());
        check(self);
        self.prefix.pop();
    }

    /// Whether nothing is wrong so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether a mistake stands at `key`, above it, or below it.
    pub(super) fn covers(&self, key: &str) -> bool {
        let under = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || outer.is_empty() || rest.starts_with('.'))
        };
        self.found.iter().any(|problem| under(key, &problem.key) || under(&problem.key, key))
    }

    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    pub(super) fn extend(&mut self, more: Vec<Problem>) {
        self.found.extend(more);
    }

    /// The mistakes as an error.
    #[must_use]
    pub fn into_errors(self) -> ConfigErrors {
        ConfigErrors(self.found)
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.found.into_iter()
    }
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<Problem>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "the configuration has a mistake:")?,
            n => write!(f, "the configuration has {n} mistakes:")?,
        }
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for ConfigErrors {}

/// What serde found, without the value it found it in.
pub(super) fn explain(kind: &Kind) -> (String, String) {
    match kind {
        Kind::Message(message) if message.contains("socket address") => {
            (message.clone(), "an address and a port, such as \"127.0.0.1:8080\"".to_owned())
        }
        // Our own types say in their messages what would be right.
        Kind::Message(message) => match message.split_once("; expected ") {
            Some((wrong, right)) => (wrong.to_owned(), right.to_owned()),
            None => (message.clone(), "a value that can be read".to_owned()),
        },
        Kind::InvalidType(_, expected) => ("the value has a wrong type".to_owned(), expected.clone()),
        Kind::InvalidValue(_, expected) => ("the value cannot be read".to_owned(), expected.clone()),
        Kind::InvalidLength(length, expected) => (format!("it has {length} items"), expected.clone()),
        Kind::UnknownVariant(_, known) => ("no such choice".to_owned(), one_of(known)),
        Kind::UnknownField(_, known) => ("no such key".to_owned(), one_of(known)),
        Kind::MissingField(_) => ("it is missing".to_owned(), "a value".to_owned()),
        Kind::DuplicateField(_) => ("it is there twice".to_owned(), "one value".to_owned()),
        Kind::ISizeOutOfRange(_) | Kind::USizeOutOfRange(_) => {
            ("the number is too large".to_owned(), "a smaller one".to_owned())
        }
        Kind::Unsupported(_) | Kind::UnsupportedKey(..) => {
            ("a value of this kind has no place here".to_owned(), "another kind of value".to_owned())
        }
    }
}

fn one_of(known: &[&str]) -> String {
    match known {
        [] => "none".to_owned(),
        known => format!("one of {}", known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    }
}
