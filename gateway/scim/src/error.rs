//! The one error of the protocol: what becomes the body of every answer that is not a success (RFC 7644 section 3.12).

use std::fmt;

use serde_json::{Value, json};

/// The `schemas` value of an error body.
pub const ERROR_URN: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// The machine-readable reason beside the status (RFC 7644 table 9, RFC 7644 section 7.5.2, RFC 9865 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScimType {
    /// The filter can't be read, or compares what can't be compared.
    InvalidFilter,
    /// The request would touch more resources than the server is willing to.
    TooMany,
    /// A value that must be unique is already in use.
    Uniqueness,
    /// The change is not compatible with the attribute's mutability.
    Mutability,
    /// The body is not JSON, or not a message of this protocol.
    InvalidSyntax,
    /// The path of a PATCH operation can't be read or names nothing known.
    InvalidPath,
    /// The path of a PATCH operation selects nothing.
    NoTarget,
    /// A required value is missing, or a value is not of the attribute's type.
    InvalidValue,
    /// The protocol version is not served here.
    InvalidVers,
    /// The request would put sensitive information, such as a password, into a URI.
    Sensitive,
    /// The cursor is none, or belongs to another list.
    InvalidCursor,
    /// The cursor is too old.
    ExpiredCursor,
    /// The size of a page read by cursor is no whole number.
    InvalidCount,
}

impl ScimType {
    /// The keyword as it stands in the body.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
            Self::InvalidVers => "invalidVers",
            Self::Sensitive => "sensitive",
            Self::InvalidCursor => "invalidCursor",
            Self::ExpiredCursor => "expiredCursor",
            Self::InvalidCount => "invalidCount",
        }
    }
}

/// A refused request.
///
/// `detail` is written for the administrator who reads it in the identity provider's log: it names what is wrong and
/// what would be right. It names attributes and positions, never values, unless a caller puts one in on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The HTTP status.
    pub status: u16,
    /// The machine-readable reason, where the RFC defines one for the status.
    pub scim_type: Option<ScimType>,
    /// What is wrong and what would be right; never empty.
    pub detail: String,
}

impl Error {
    /// An error with any status and no `scimType`.
    #[must_use]
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Self { status, scim_type: None, detail: detail.into() }
    }

    /// A 400 with `scim_type`.
    #[must_use]
    pub fn bad_request(scim_type: ScimType, detail: impl Into<String>) -> Self {
        Self { status: 400, scim_type: Some(scim_type), detail: detail.into() }
    }

    /// 400 `invalidSyntax`.
    #[must_use]
    pub fn invalid_syntax(detail: impl Into<String>) -> Self {
        Self::bad_request(ScimType::InvalidSyntax, detail)
    }

    /// 400 `invalidValue`.
    #[must_use]
    pub fn invalid_value(detail: impl Into<String>) -> Self {
        Self::bad_request(ScimType::InvalidValue, detail)
    }

    /// 400 `invalidFilter`.
    #[must_use]
    pub fn invalid_filter(detail: impl Into<String>) -> Self {
        Self::bad_request(ScimType::InvalidFilter, detail)
    }

    /// 400 `invalidPath`.
    #[must_use]
    pub fn invalid_path(detail: impl Into<String>) -> Self {
        Self::bad_request(ScimType::InvalidPath, detail)
    }

    /// 400 `noTarget`.
    #[must_use]
    pub fn no_target(detail: impl Into<String>) -> Self {
        Self::bad_request(ScimType::NoTarget, detail)
    }

    /// 400 `mutability`.
    #[must_use]
    pub fn mutability(detail: impl Into<String>) -> Self {
        Self::bad_request(ScimType::Mutability, detail)
    }

    /// 409 `uniqueness`: another resource has the same value in `attribute`.
    #[must_use]
    pub fn uniqueness(attribute: &str) -> Self {
        Self {
            status: 409,
            scim_type: Some(ScimType::Uniqueness),
            detail: format!("another resource has the same {attribute}"),
        }
    }

    /// 401: the credential is missing or not accepted.
    #[must_use]
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(401, detail)
    }

    /// 403: the credential is known but does not reach this.
    #[must_use]
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(403, detail)
    }

    /// 403 `sensitive`: the value of this attribute must not stand in a URI.
    #[must_use]
    pub fn sensitive(detail: impl Into<String>) -> Self {
        Self { status: 403, scim_type: Some(ScimType::Sensitive), detail: detail.into() }
    }

    /// 404: there is no such resource.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(404, format!("there is no such {what}"))
    }

    /// 412: the resource is no longer the one the client saw.
    #[must_use]
    pub fn precondition_failed() -> Self {
        Self::new(412, "the resource has changed since the version in If-Match; read it again and repeat the change")
    }

    /// 413: the request is larger than the server accepts.
    #[must_use]
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(413, detail)
    }

    /// 501: the server does not do this.
    #[must_use]
    pub fn not_implemented(detail: impl Into<String>) -> Self {
        Self::new(501, detail)
    }

    /// 503: for the moment the server can't; the caller adds `Retry-After`.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(503, detail)
    }

    /// The body of the answer. `status` is a string, as the RFC has it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut body = json!({
            "schemas": [ERROR_URN],
            "status": self.status.to_string(),
            "detail": self.detail,
        });
        if let Some(scim_type) = self.scim_type {
            body["scimType"] = scim_type.as_str().into();
        }
        body
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scim_type {
            Some(scim_type) => write!(f, "{} {}: {}", self.status, scim_type.as_str(), self.detail),
            None => write!(f, "{}: {}", self.status, self.detail),
        }
    }
}

impl std::error::Error for Error {}

/// `name` made safe to stand in a `detail`: control characters escaped, at most 100 characters.
#[must_use]
pub fn quoted(name: &str) -> String {
    let mut text = String::from("'");
    for (n, c) in name.chars().enumerate() {
        if n == 100 {
            text.push('…');
            break;
        }
        if c.is_control() || is_invisible(c) { text.extend(c.escape_unicode()) } else { text.push(c) }
    }
    text.push('\'');
    text
}

/// Characters that change how a line reads without being seen: zero-width ones and those that turn the direction.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::{Error, quoted};

    #[test]
    fn the_body_is_the_rfcs() {
        let body = Error::uniqueness("userName").to_json();
        assert_eq!(body["status"], "409");
        assert_eq!(body["scimType"], "uniqueness");
        assert_eq!(body["schemas"][0], super::ERROR_URN);
        assert!(Error::not_found("user").to_json().get("scimType").is_none());
    }

    #[test]
    fn a_quoted_name_is_short_and_shows_what_hides() {
        assert_eq!(quoted("a\n\u{202E}b"), "'a\\u{a}\\u{202e}b'");
        assert_eq!(quoted(&"x".repeat(1000)).chars().count(), 103);
    }
}
