//! What a request is refused with: one type for every refusal, and the one table from the reasons of other parts to
//! HTTP status and `scimType` (RFC 7644 section 3.12).

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use runtime::error::{Error, Kind, Reason};
use scim::ScimType;

use crate::respond;

/// How long a client should wait if nobody knows better.
const DEFAULT_WAIT: Duration = Duration::from_secs(2);

/// A refused request: the error body and the headers that belong to it.
#[derive(Debug)]
pub(crate) struct Refusal {
    error: scim::Error,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// A refusal with a header.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// What is wrong, without the headers.
    pub(crate) fn into_error(self) -> scim::Error {
        self.error
    }

    /// 401, the same for every credential that is missing or not good (RFC 6750 section 3).
    pub(crate) fn unauthorized() -> Self {
        let challenge = HeaderValue::from_static("Bearer realm=\"scim\"");
        Self::from(scim::Error::unauthorized(UNAUTHORIZED)).with(WWW_AUTHENTICATE, challenge)
    }

    /// 403: the token is good, but for reading alone (RFC 6750 section 3.1).
    pub(crate) fn read_only() -> Self {
        let challenge = "Bearer realm=\"scim\", error=\"insufficient_scope\", scope=\"scim\"";
        Self::from(scim::Error::new(403, "the token may only be used to read"))
            .with(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }

    /// 503: it may work in `wait`.
    pub(crate) fn unavailable(detail: &'static str, wait: Duration) -> Self {
        Self::from(scim::Error::unavailable(detail)).retry_after(wait)
    }

    /// Says, in whole seconds and at least one, when to try again. Some clients read no other form (RFC 9110
    /// section 10.2.3).
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        self.with(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)))
    }
}

/// `wait` rounded up to whole seconds, at least one.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

const UNAUTHORIZED: &str = "a valid bearer token is required in the Authorization header";

/// What the client is told.
#[derive(Clone, Copy, Debug)]
enum Words {
    /// What the other part said: it is about the request and holds no personal data.
    Theirs,
    /// This; what the other part said is no business of the client.
    Ours(&'static str),
}

struct Row {
    reason: Reason,
    status: u16,
    scim_type: Option<ScimType>,
    words: Words,
}

const fn row(reason: Reason, status: u16, scim_type: Option<ScimType>, words: Words) -> Row {
    Row { reason, status, scim_type, words }
}

const BROKEN: Words = Words::Ours("an internal error occurred; the server's log says more");
const LATER: Words = Words::Ours("the request cannot be answered now; try again later");
const BUSY: Words = Words::Ours("too many changes are under way; try again later");
const INVALID: Option<ScimType> = Some(ScimType::InvalidValue);

/// Every reason a call to another part can fail with. `OTHERS` stands in for one this build does not know.
static TABLE: &[Row] = &[
    // General.
    row(Reason::INVALID_ARGUMENT, 400, INVALID, Words::Theirs),
    row(Reason::UNAUTHENTICATED, 500, None, BROKEN),
    row(Reason::PERMISSION_DENIED, 500, None, BROKEN),
    row(Reason::NOT_FOUND, 404, None, Words::Ours("there is no such resource")),
    row(Reason::ALREADY_EXISTS, 409, Some(ScimType::Uniqueness), Words::Ours("such a resource exists already")),
    row(Reason::FAILED_PRECONDITION, 409, None, Words::Theirs),
    row(Reason::ABORTED, 503, None, BUSY),
    row(Reason::RESOURCE_EXHAUSTED, 503, None, BUSY),
    row(Reason::UNAVAILABLE, 503, None, LATER),
    row(
        Reason::DEADLINE_EXCEEDED,
        503,
        None,
        Words::Ours("the answer took too long; whether it happened is not known"),
    ),
    row(Reason::OUT_OF_RANGE, 413, None, Words::Ours("the request or its answer is too large")),
    row(Reason::INTERNAL, 500, None, BROKEN),
    row(Reason::UNIMPLEMENTED, 501, None, Words::Ours("this is not offered")),
    // Who asks. Between parts, these are mistakes of an operator; only the token is the client's.
    row(Reason::TOKEN_INVALID, 401, None, Words::Ours(UNAUTHORIZED)),
    row(Reason::SCOPE_MISSING, 500, None, BROKEN),
    row(Reason::TENANT_MISMATCH, 500, None, BROKEN),
    row(Reason::PEER_REQUIRED, 500, None, BROKEN),
    row(Reason::TOKEN_LIMIT, 409, None, Words::Theirs),
    row(Reason::RATE_LIMITED, 429, None, Words::Ours("too many requests; try again later")),
    // What is asked for.
    row(Reason::TENANT_NOT_FOUND, 401, None, Words::Ours(UNAUTHORIZED)),
    row(Reason::TENANT_EXISTS, 409, Some(ScimType::Uniqueness), Words::Theirs),
    row(Reason::USER_NOT_FOUND, 404, None, Words::Ours("there is no such user")),
    row(Reason::GROUP_NOT_FOUND, 404, None, Words::Ours("there is no such group")),
    row(Reason::MEMBER_NOT_FOUND, 400, INVALID, Words::Theirs),
    row(Reason::GROUND_NOT_FOUND, 404, None, Words::Ours("there is no such change of ground")),
    row(Reason::SCHEMA_NOT_FOUND, 404, None, Words::Ours("there is no such schema")),
    row(Reason::TOKEN_NOT_FOUND, 404, None, Words::Ours("there is no such token")),
    row(Reason::ACCOUNT_NOT_FOUND, 404, None, Words::Ours("there is no such account")),
    row(Reason::FLUENT_NOT_CONFIGURED, 503, None, Words::Ours("no Fluent account is configured for this tenant")),
    // What a request may say.
    row(Reason::FIELD_MISSING, 400, INVALID, Words::Theirs),
    row(Reason::FIELD_INVALID, 400, INVALID, Words::Theirs),
    row(Reason::INVALID_FILTER, 400, Some(ScimType::InvalidFilter), Words::Theirs),
    row(Reason::INVALID_CURSOR, 400, Some(ScimType::InvalidCursor), Words::Theirs),
    row(Reason::EXPIRED_CURSOR, 400, Some(ScimType::ExpiredCursor), Words::Theirs),
    row(Reason::TOO_MANY, 400, Some(ScimType::TooMany), Words::Theirs),
    row(Reason::TOO_LARGE, 413, None, Words::Theirs),
    row(Reason::REVISION_TOKEN_INVALID, 400, INVALID, Words::Theirs),
    row(Reason::LABEL_UNMATCHED, 400, INVALID, Words::Theirs),
    row(Reason::LABELS_MISSING, 400, INVALID, Words::Theirs),
    row(Reason::TOO_MANY_HELD, 400, INVALID, Words::Theirs),
    row(Reason::RENAME_REFUSED, 400, Some(ScimType::Mutability), Words::Theirs),
    // What a change runs into.
    row(Reason::UNIQUENESS, 409, Some(ScimType::Uniqueness), Words::Theirs),
    row(Reason::VERSION_MISMATCH, 409, None, Words::Ours("the resource changes too often; try again later")),
    row(Reason::NESTING_CYCLE, 400, INVALID, Words::Theirs),
    row(Reason::NESTING_TOO_DEEP, 400, INVALID, Words::Theirs),
    row(Reason::RULES_MALFORMED, 400, INVALID, Words::Theirs),
    row(Reason::CATALOGUE_MISSING, 503, None, Words::Ours("Fluent's roles and locations have not been read yet")),
    row(Reason::CATALOGUE_STALE, 503, None, Words::Ours("Fluent's roles and locations cannot be read at the moment")),
    row(Reason::FENCED, 503, None, LATER),
    row(Reason::STATE_CONFLICT, 409, None, Words::Theirs),
    // Freshness and the feed.
    row(Reason::EPOCH_MISMATCH, 409, None, Words::Theirs),
    row(Reason::REVISION_OF_OTHER_TENANT, 409, None, Words::Theirs),
    row(Reason::REVISION_AHEAD, 409, None, Words::Theirs),
    row(Reason::FEED_TRUNCATED, 503, None, LATER),
    row(Reason::FRESHNESS_UNKNOWN, 503, None, LATER),
    // Who cannot answer.
    row(Reason::STORE_UNAVAILABLE, 503, None, LATER),
    row(Reason::STORE_BUSY, 503, None, BUSY),
    row(Reason::FLUENT_UNAVAILABLE, 503, None, LATER),
    row(Reason::FLUENT_UNAUTHENTICATED, 503, None, LATER),
    row(Reason::FLUENT_REFUSED, 503, None, LATER),
    row(Reason::SHUTTING_DOWN, 503, None, LATER),
];

static OTHERS: Row = row(Reason::INTERNAL, 500, None, BROKEN);

fn find(reason: Reason) -> &'static Row {
    let named = |reason| TABLE.iter().find(|row| row.reason == reason);
    named(reason).or_else(|| named(Reason::general(reason.kind()))).unwrap_or(&OTHERS)
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let row = find(error.reason());
        if row.status == 401 {
            return Self::unauthorized();
        }
        if row.status >= 500 {
            tracing::warn!(reason = %error.reason(), "another part cannot answer");
        }
        let detail = match row.words {
            Words::Ours(words) => words,
            Words::Theirs if error.message().is_empty() => "the request cannot be accepted",
            Words::Theirs => error.message(),
        };
        let refusal = Self::from(scim::Error { scim_type: row.scim_type, ..scim::Error::new(row.status, detail) });
        match row.status {
            429 | 503 => refusal.retry_after(error.retry_delay().unwrap_or(DEFAULT_WAIT)),
            _ if error.kind() == Kind::Aborted => refusal.retry_after(DEFAULT_WAIT),
            _ => refusal,
        }
    }
}

impl From<scim::Error> for Refusal {
    fn from(error: scim::Error) -> Self {
        Self { error, headers: Vec::new() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = respond::json(status, self.error.to_json().to_string());
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::{Refusal, TABLE, find, whole_seconds};
    use axum::response::IntoResponse;
    use runtime::error::{Error, Kind, Reason};
    use std::time::Duration;

    #[test]
    fn every_reason_is_in_the_table_once() {
        for reason in Reason::ALL.iter().copied() {
            assert_eq!(TABLE.iter().filter(|row| row.reason == reason).count(), 1, "{reason}");
        }
    }

    #[test]
    fn what_a_client_did_is_never_a_500_and_what_we_did_is_never_a_4xx() {
        for row in TABLE {
            let status = row.status;
            match row.reason.kind() {
                Kind::InvalidArgument | Kind::NotFound | Kind::AlreadyExists => {
                    assert!((400..500).contains(&status), "{}", row.reason);
                }
                Kind::Unavailable | Kind::DeadlineExceeded | Kind::Aborted => assert_eq!(status, 503, "{}", row.reason),
                Kind::Internal => assert_eq!(status, 500, "{}", row.reason),
                _ => {}
            }
        }
    }

    #[test]
    fn what_may_work_later_says_when_in_whole_seconds() {
        for row in TABLE.iter().filter(|row| matches!(row.status, 429 | 503)) {
            let error = Error::new(row.reason, "why").retry_after(Duration::from_millis(1_200));
            let response = Refusal::from(error).into_response();
            assert_eq!(response.headers()["retry-after"], "2", "{}", row.reason);
        }
        assert_eq!(whole_seconds(Duration::ZERO), 1);
    }

    #[test]
    fn a_reason_speaks_for_itself() {
        assert_eq!(find(Reason::UNIQUENESS).status, 409);
        assert_eq!(find(Reason::VERSION_MISMATCH).status, 409);
    }
}
