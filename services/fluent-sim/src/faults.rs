//! Faults: what can go wrong between a client and Fluent, queued and played once a request matches.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::log::{Kind, Request};

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire")]
pub struct Fault {
    /// What goes wrong.
    #[serde(flatten)]
    pub effect: Effect,
    /// Which requests it hits.
    #[serde(rename = "match")]
    pub matches: Match,
    /// How many more requests it hits; none means every one until it is cleared.
    pub times: Option<u32>,
}

/// What goes wrong. "Not carried out" means that no mutation takes effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Effect {
    /// An HTTP error with a small JSON body.
    Status {
        /// The HTTP status.
        status: u16,
        /// The `Retry-After` header, seconds or a date.
        retry_after: Option<String>,
        /// Whether the request is carried out all the same.
        after_write: bool,
    },
    /// The connection is held until the client gives up or the simulator stops. Not carried out.
    Timeout,
    /// Status 200 with `data: null` and one error. Not carried out.
    Errors {
        /// The error's code.
        code: String,
        /// The error's message.
        message: String,
    },
    /// Carried out; then one value of the answer is null and an error names it.
    PartialErrors {
        /// The error's code.
        code: String,
        /// The error's message.
        message: String,
        /// Response keys from the top; empty: `roles` of the first field if it has them, else the last field.
        path: Vec<String>,
    },
    /// Carried out; then the connection is dropped without a byte of answer.
    LoseAnswerAfterWrite,
    /// Carried out; then the connection is dropped in the middle of the answer.
    Truncated,
    /// An HTML page, as a proxy or a login portal sends it. Not carried out.
    Html {
        /// The HTTP status.
        status: u16,
    },
    /// A JSON answer of this many bytes. Not carried out.
    Huge {
        /// The size of the answer.
        bytes: u64,
    },
    /// Carried out; the answer shows another user than the one asked for.
    WrongUser,
    /// A redirect. Not carried out.
    Redirect {
        /// The HTTP status, 3xx.
        status: u16,
        /// The `Location` header.
        location: String,
    },
    /// The request waits this long, then goes on as if nothing had happened.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
}

/// Which requests a fault hits: those for which everything given here is true.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// `graphql` (default) or `token`.
    pub endpoint: Endpoint,
    /// A top-level field which the document has, such as `updateUser`.
    pub operation: Option<String>,
    /// A user whom a top-level field concerns, or who asks for a token.
    pub username: Option<String>,
}

/// The endpoint a fault is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `POST /graphql`.
    #[default]
    Graphql,
    /// `POST /oauth/token`.
    Token,
}

/// The queue: the first fault that matches a request is played, and uses up one of its times.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

/// A fault as the control endpoint reads it: flat, strict, with defaults.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    kind: String,
    status: Option<u16>,
    retry_after: Option<Value>,
    after_write: Option<bool>,
    code: Option<String>,
    message: Option<String>,
    path: Option<Vec<String>>,
    bytes: Option<u64>,
    location: Option<String>,
    ms: Option<u64>,
    #[serde(rename = "match", default)]
    matches: Match,
    #[serde(default = "once")]
    times: Option<u32>,
}

// === impl Fault ===

impl Fault {
    /// A fault that hits the next GraphQL request.
    #[must_use]
    pub fn once(effect: Effect) -> Self {
        Self { effect, matches: Match::default(), times: Some(1) }
    }

    /// The same fault, hitting every request until it is cleared.
    #[must_use]
    pub fn forever(self) -> Self {
        Self { times: None, ..self }
    }

    /// The same fault, hitting that many requests.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    /// The same fault, hitting only documents with that top-level field.
    #[must_use]
    pub fn on(mut self, operation: &str) -> Self {
        self.matches.operation = Some(operation.to_owned());
        self
    }

    /// The same fault, hitting only requests about that user.
    #[must_use]
    pub fn about(mut self, username: &str) -> Self {
        self.matches.username = Some(username.to_owned());
        self
    }

    /// The same fault, at the token endpoint.
    #[must_use]
    pub fn at_token(mut self) -> Self {
        self.matches.endpoint = Endpoint::Token;
        self
    }
}

// === impl Effect ===

impl Effect {
    /// A plain HTTP error without `Retry-After`, nothing carried out.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Status { status, retry_after: None, after_write: false }
    }

    /// The name of the kind, as the control endpoint spells it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Timeout => "timeout",
            Self::Errors { .. } => "errors",
            Self::PartialErrors { .. } => "partial_errors",
            Self::LoseAnswerAfterWrite => "lose_answer_after_write",
            Self::Truncated => "truncated",
            Self::Html { .. } => "html",
            Self::Huge { .. } => "huge",
            Self::WrongUser => "wrong_user",
            Self::Redirect { .. } => "redirect",
            Self::Delay { .. } => "delay",
        }
    }

    /// Whether the request is carried out in the moment in which the fault is played.
    pub(crate) fn carries_out(&self) -> bool {
        match self {
            Self::Status { after_write, .. } => *after_write,
            Self::PartialErrors { .. } | Self::LoseAnswerAfterWrite | Self::Truncated | Self::WrongUser => true,
            Self::Delay { .. }
            | Self::Timeout
            | Self::Errors { .. }
            | Self::Html { .. }
            | Self::Huge { .. }
            | Self::Redirect { .. } => false,
        }
    }
}

// === impl Match ===

impl Match {
    fn hits(&self, request: &Request) -> bool {
        let endpoint = match self.endpoint {
            Endpoint::Graphql => Kind::Graphql,
            Endpoint::Token => Kind::Token,
        };
        let operation = |wanted: &String| request.fields.iter().any(|field| field.name == *wanted);
        let concerned = |wanted: &String| {
            let fields = request.fields.iter().map(|field| field.username.as_ref());
            fields.chain([request.username.as_ref()]).any(|name| name == Some(wanted))
        };
        request.kind == endpoint
            && self.operation.as_ref().is_none_or(operation)
            && self.username.as_ref().is_none_or(concerned)
    }
}

// === impl Faults ===

impl Faults {
    pub(crate) fn push(&mut self, fault: Fault) {
        if fault.times != Some(0) {
            self.0.push(fault);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn queued(&self) -> &[Fault] {
        &self.0
    }

    /// The fault to play on this request, if any.
    pub(crate) fn take(&mut self, request: &Request) -> Option<Effect> {
        let index = self.0.iter().position(|fault| fault.matches.hits(request))?;
        let fault = &mut self.0[index];
        let effect = fault.effect.clone();
        if let Some(times) = &mut fault.times {
            *times -= 1;
            if *times == 0 {
                self.0.remove(index);
            }
        }
        Some(effect)
    }
}

// === impl Wire ===

#[expect(clippy::unnecessary_wraps, reason = "the type of the field it is the default of")]
fn once() -> Option<u32> {
    Some(1)
}

impl TryFrom<Wire> for Fault {
    type Error = String;

    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        let Wire { kind, status, retry_after, after_write, code, message, path, bytes, location, ms, matches, times } =
            wire;
        let given = [
            ("status", status.is_some()),
            ("retry_after", retry_after.is_some()),
            ("after_write", after_write.is_some()),
            ("code", code.is_some()),
            ("message", message.is_some()),
            ("path", path.is_some()),
            ("bytes", bytes.is_some()),
            ("location", location.is_some()),
            ("ms", ms.is_some()),
        ];
        let code = code.unwrap_or_else(|| "S0001E".to_owned());
        let message = message.unwrap_or_else(|| "The server could not complete the request".to_owned());
        let (effect, takes): (Effect, &[&str]) = match kind.as_str() {
            "status" => {
                let status = status.ok_or("a `status` fault needs `status`, an HTTP status such as 503")?;
                let retry_after = match retry_after {
                    None => None,
                    Some(Value::String(text)) => Some(text),
                    Some(Value::Number(seconds)) => Some(seconds.to_string()),
                    Some(_) => return Err("`retry_after` is seconds or an HTTP date".to_owned()),
                };
                let after_write = after_write.unwrap_or(false);
                (Effect::Status { status, retry_after, after_write }, &["status", "retry_after", "after_write"])
            }
            "timeout" => (Effect::Timeout, &[]),
            "errors" => (Effect::Errors { code, message }, &["code", "message"]),
            "partial_errors" => {
                (Effect::PartialErrors { code, message, path: path.unwrap_or_default() }, &["code", "message", "path"])
            }
            "lose_answer_after_write" => (Effect::LoseAnswerAfterWrite, &[]),
            "truncated" => (Effect::Truncated, &[]),
            "html" => (Effect::Html { status: status.unwrap_or(200) }, &["status"]),
            "huge" => (Effect::Huge { bytes: bytes.unwrap_or(64 << 20) }, &["bytes"]),
            "wrong_user" => (Effect::WrongUser, &[]),
            "redirect" => {
                let location = location.unwrap_or_else(|| "/login".to_owned());
                (Effect::Redirect { status: status.unwrap_or(302), location }, &["status", "location"])
            }
            "delay" => (Effect::Delay { ms: ms.ok_or("a `delay` fault needs `ms`")? }, &["ms"]),
            other => {
                return Err(format!(
                    "`{other}` is no kind of fault; there are status, timeout, errors, partial_errors, \
                     lose_answer_after_write, truncated, html, huge, wrong_user, redirect, delay"
                ));
            }
        };
        if let Some((name, _)) = given.iter().find(|(name, given)| *given && !takes.contains(name)) {
            return Err(format!("a `{kind}` fault takes no `{name}`"));
        }
        if let Effect::Status { status, .. } | Effect::Html { status } | Effect::Redirect { status, .. } = &effect
            && !(200..600).contains(status)
        {
            return Err(format!("{status} is not an HTTP status from 200 to 599"));
        }
        Ok(Self { effect, matches, times })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(fault: Value) -> Result<Fault, String> {
        serde_json::from_value(fault).map_err(|error| error.to_string())
    }

    #[test]
    fn a_fault_reads_back_as_it_was_written() {
        let fault = Fault::once(Effect::status(503)).on("updateUser").about("ann").forever();
        assert_eq!(parsed(serde_json::to_value(&fault).unwrap()), Ok(fault));
        assert_eq!(parsed(json!({"kind": "timeout"})), Ok(Fault::once(Effect::Timeout)));
    }

    #[test]
    fn what_a_fault_does_not_take_is_named() {
        assert!(parsed(json!({"kind": "timeout", "status": 500})).unwrap_err().contains("no `status`"));
        assert!(parsed(json!({"kind": "timeout", "tiems": 3})).unwrap_err().contains("tiems"));
        assert!(parsed(json!({"kind": "status"})).unwrap_err().contains("needs `status`"));
        assert!(parsed(json!({"kind": "boom"})).unwrap_err().contains("no kind of fault"));
    }

    #[test]
    fn a_fault_is_used_up_and_the_next_one_follows() {
        let request = Request::new(Kind::Graphql, None);
        let mut faults = Faults::default();
        faults.push(Fault::once(Effect::Timeout).at_token());
        faults.push(Fault::once(Effect::status(500)).times(2));
        faults.push(Fault::once(Effect::Truncated));
        let played: Vec<_> = std::iter::from_fn(|| faults.take(&request)).map(|effect| effect.name()).collect();
        assert_eq!(played, ["status", "status", "truncated"]);
        assert_eq!(faults.queued().len(), 1);
    }
}
