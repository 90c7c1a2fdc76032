//! The request log: what was asked, about whom, and how it was answered, in a bounded ring.

use std::collections::VecDeque;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;

use crate::model::Id;

/// One request to the token or the GraphQL endpoint.
///
/// An entry is appended in the same critical section in which the request took effect, so the order of entries is the
/// order of effects and `at_us` is the moment of the effect, not of the answer.
#[derive(Clone, Debug, Serialize)]
pub struct LogEntry {
    /// 1, 2, 3, …
    pub seq: u64,
    /// Milliseconds since the simulator started, on a monotonic clock.
    pub at_ms: u64,
    /// Microseconds since the simulator started, on a monotonic clock.
    pub at_us: u64,
    /// Microseconds since the Unix epoch, on the machine's wall clock.
    pub wall_us: u64,
    /// What happened.
    #[serde(flatten)]
    pub request: Request,
}

/// What an entry says about its request.
#[derive(Clone, Debug, Serialize)]
pub struct Request {
    /// Which endpoint.
    pub kind: Kind,
    /// The GraphQL operation's name, or the grant type.
    pub operation: Option<String>,
    /// The top-level fields in order; empty if the document could not be understood.
    pub fields: Vec<Field>,
    /// The user which the first field about a user concerns, or who asked for a token.
    pub username: Option<String>,
    /// That user's id, if there is such a user.
    pub user_id: Option<Id>,
    /// Whether a mutation was carried out (the answer may still have been lost).
    pub applied: bool,
    /// The codes of the GraphQL errors answered; `GRAPHQL` for those without a code.
    pub errors: Vec<String>,
    /// The HTTP status answered; none if the connection was held or dropped.
    pub status: Option<u16>,
    /// The fault that was played.
    pub fault: Option<String>,
}

/// The two endpoints a client uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `POST /oauth/token`.
    Token,
    /// `POST /graphql`.
    Graphql,
}

/// A top-level field of a GraphQL operation.
#[derive(Clone, Debug, Serialize)]
pub struct Field {
    /// The field's name in the schema, such as `updateUser`.
    pub name: String,
    /// Its name in the answer: the alias, else the name.
    pub key: String,
    /// Its arguments with variables filled in and secrets replaced by `***`.
    pub arguments: Value,
    /// The user it concerns.
    pub username: Option<String>,
    /// That user's id.
    pub user_id: Option<Id>,
}

/// The ring of the latest entries.
#[derive(Debug)]
pub(crate) struct Log {
    entries: VecDeque<LogEntry>,
    capacity: usize,
    last: u64,
    started: Instant,
}

// === impl LogEntry ===

impl LogEntry {
    /// The top-level fields of that name.
    pub fn fields<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Field> {
        self.request.fields.iter().filter(move |field| field.name == name)
    }

    /// Whether any field, or the entry itself, concerns that user.
    #[must_use]
    pub fn concerns(&self, username: &str) -> bool {
        let fields = self.request.fields.iter().map(|field| field.username.as_deref());
        fields.chain([self.request.username.as_deref()]).any(|name| name == Some(username))
    }
}

// === impl Request ===

impl Request {
    pub(crate) fn new(kind: Kind, operation: Option<String>) -> Self {
        Self {
            kind,
            operation,
            fields: Vec::new(),
            username: None,
            user_id: None,
            applied: false,
            errors: Vec::new(),
            status: None,
            fault: None,
        }
    }
}

// === impl Log ===

impl Log {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), capacity: capacity.max(1), last: 0, started: Instant::now() }
    }

    pub(crate) fn append(&mut self, request: Request) {
        let at_us = micros(self.started.elapsed());
        let wall_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, micros);
        self.last += 1;
        if self.entries.len() == self.capacity {
            self.entries.pop_front();
        }
        self.entries.push_back(LogEntry { seq: self.last, at_ms: at_us / 1000, at_us, wall_us, request });
    }

    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    pub(crate) fn since(&self, after: u64) -> Vec<LogEntry> {
        let start = self.entries.partition_point(|entry| entry.seq <= after);
        self.entries.range(start..).cloned().collect()
    }

    /// Forgets all entries; numbers go on.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

/// `arguments` with every secret in them made unreadable.
pub(crate) fn redacted(mut arguments: Value) -> Value {
    fn redact(value: &mut Value) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    if matches!(key.as_str(), "password" | "apiKey") && !value.is_null() {
                        *value = Value::from("***");
                    } else {
                        redact(value);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(redact),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    redact(&mut arguments);
    arguments
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_ring_forgets_the_oldest_and_keeps_numbering() {
        let mut log = Log::new(2);
        for _ in 0..3 {
            log.append(Request::new(Kind::Token, None));
        }
        let seqs = |after| log.since(after).iter().map(|entry| entry.seq).collect::<Vec<_>>();
        assert_eq!(seqs(0), [2, 3]);
        assert_eq!(seqs(2), [3]);
        assert!(seqs(9).is_empty());
    }

    #[test]
    fn secrets_are_unreadable_at_any_depth() {
        let shown = redacted(json!({"input": [{"password": "p", "apiKey": "k", "ref": "r"}], "password": null}));
        assert_eq!(shown, json!({"input": [{"password": "***", "apiKey": "***", "ref": "r"}], "password": null}));
    }
}
