//! The one error of the contracts between parts, and its translation to and from a gRPC status.
//!
//! A failure is named by a [`Reason`]; the reason fixes the [`Kind`], and the kind fixes the gRPC code. On the wire the
//! reason travels in `google.rpc.ErrorInfo`, the time to wait in `google.rpc.RetryInfo`.

mod reason;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

pub use reason::Reason;

/// The `domain` of every `google.rpc.ErrorInfo` that Rolecall sends.
pub const DOMAIN: &str = "rolecall";

/// Details travel in HTTP headers, so what a message and its metadata may hold together is bounded, in bytes.
const MAX_DETAIL_BYTES: usize = 16 * 1024;

/// Stands in for anything a caller must not see.
const INTERNAL_MESSAGE: &str = "an internal error occurred; the server's log says more";

/// The part of gRPC's codes that Rolecall uses. `OK`, `CANCELLED`, `UNKNOWN` and `DATA_LOSS` are never sent on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is wrong whatever the state of the system.
    InvalidArgument,
    /// No credential, or one that is not valid.
    Unauthenticated,
    /// A valid credential that does not allow this.
    PermissionDenied,
    /// The thing asked for does not exist.
    NotFound,
    /// The thing to be made exists.
    AlreadyExists,
    /// The system is not in the state this request needs; repeating it alone does not help.
    FailedPrecondition,
    /// Lost a race; the caller may read again and repeat.
    Aborted,
    /// A limit is reached; the caller may repeat later.
    ResourceExhausted,
    /// Not now; the caller may repeat.
    Unavailable,
    /// Too late: whether it happened is not known.
    DeadlineExceeded,
    /// A position that lies outside what exists.
    OutOfRange,
    /// A fault of ours.
    Internal,
    /// Not offered.
    Unimplemented,
}

impl Kind {
    /// The gRPC code.
    #[must_use]
    pub fn code(self) -> Code {
        match self {
            Self::InvalidArgument => Code::InvalidArgument,
            Self::Unauthenticated => Code::Unauthenticated,
            Self::PermissionDenied => Code::PermissionDenied,
            Self::NotFound => Code::NotFound,
            Self::AlreadyExists => Code::AlreadyExists,
            Self::FailedPrecondition => Code::FailedPrecondition,
            Self::Aborted => Code::Aborted,
            Self::ResourceExhausted => Code::ResourceExhausted,
            Self::Unavailable => Code::Unavailable,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::OutOfRange => Code::OutOfRange,
            Self::Internal => Code::Internal,
            Self::Unimplemented => Code::Unimplemented,
        }
    }

    /// The kind of a code a peer sent; what we never send on purpose is read as the nearest kind.
    #[must_use]
    pub fn of_code(code: Code) -> Self {
        match code {
            Code::InvalidArgument => Self::InvalidArgument,
            Code::Unauthenticated => Self::Unauthenticated,
            Code::PermissionDenied => Self::PermissionDenied,
            Code::NotFound => Self::NotFound,
            Code::AlreadyExists => Self::AlreadyExists,
            Code::FailedPrecondition => Self::FailedPrecondition,
            Code::Aborted => Self::Aborted,
            Code::ResourceExhausted => Self::ResourceExhausted,
            // A connection that breaks under a call ends it as cancelled: whether it happened is not known.
            Code::Unavailable | Code::Cancelled => Self::Unavailable,
            Code::DeadlineExceeded => Self::DeadlineExceeded,
            Code::OutOfRange => Self::OutOfRange,
            Code::Unimplemented => Self::Unimplemented,
            Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => Self::Internal,
        }
    }
}

/// A failure of a call between parts.
///
/// The message is for people and holds no personal data and no secret; programs read the reason and the metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    reason: Reason,
    message: String,
    metadata: BTreeMap<String, String>,
    retry_after: Option<Duration>,
}

impl Error {
    /// A failure named by `reason`.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), metadata: BTreeMap::new(), retry_after: None }
    }

    /// A fault of ours: `error` and its causes are logged here, once, and the caller learns nothing of them.
    ///
    /// `context` says what was being done, in words that hold no data.
    #[must_use]
    pub fn internal(context: &'static str, error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = %Chain(error), "{context}");
        Self::new(Reason::INTERNAL, INTERNAL_MESSAGE)
    }

    /// Adds a machine-readable detail. Values longer than what fits in the headers are dropped when sent.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Says when it is worth trying again.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// What went wrong, for programs.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The reason's kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.reason.kind()
    }

    /// What went wrong, for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// A machine-readable detail.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// All machine-readable details.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// How long to wait before trying again, if the sender said so.
    #[must_use]
    pub fn retry_delay(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether the same request may succeed later without anything being changed in it.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.kind(), Kind::Unavailable | Kind::ResourceExhausted | Kind::DeadlineExceeded | Kind::Aborted)
    }

    /// Reads what a peer answered. A status without our details, or with a reason this build does not know, becomes the
    /// general reason of its code.
    #[must_use]
    pub fn from_status(status: &Status) -> Self {
        let kind = Kind::of_code(status.code());
        let details = status.get_error_details();
        let retry_after = details.retry_info().and_then(|info| info.retry_delay);
        let ours = details.error_info().filter(|info| info.domain == DOMAIN);
        let reason = ours.and_then(|info| Reason::named(&info.reason)).filter(|reason| reason.kind() == kind);
        Self {
            reason: reason.unwrap_or_else(|| Reason::general(kind)),
            message: status.message().to_owned(),
            metadata: ours.map(|info| info.metadata.clone().into_iter().collect()).unwrap_or_default(),
            retry_after,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

impl std::error::Error for Error {}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let Error { reason, message, metadata, retry_after } = error;
        let message = if reason.kind() == Kind::Internal {
            INTERNAL_MESSAGE.to_owned()
        } else {
            message.chars().scan(MAX_DETAIL_BYTES / 4, take_within).collect()
        };
        let mut room = MAX_DETAIL_BYTES.saturating_sub(2 * message.len());
        let metadata: HashMap<String, String> = metadata
            .into_iter()
            .filter(|(key, value)| {
                let size = key.len() + value.len();
                let fits = size <= room;
                room = if fits { room - size } else { room };
                fits
            })
            .collect();
        let mut details = ErrorDetails::with_error_info(reason.as_str(), DOMAIN, metadata);
        if let Some(delay) = retry_after {
            details.set_retry_info(Some(delay));
        }
        Self::with_error_details(reason.kind().code(), message, details)
    }
}

impl From<&Status> for Error {
    fn from(status: &Status) -> Self {
        Self::from_status(status)
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::from_status(&status)
    }
}

fn take_within(room: &mut usize, character: char) -> Option<char> {
    *room = room.checked_sub(character.len_utf8())?;
    Some(character)
}

/// An error with all its causes, for a log line: `outer: middle: inner`.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a>(pub &'a (dyn std::error::Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_survives_the_wire() {
        for reason in Reason::ALL.iter().copied() {
            let sent = Error::new(reason, "why").with("label", "AGENT_1_A").retry_after(Duration::from_secs(3));
            let status = Status::from(sent.clone());
            assert_eq!(status.code(), reason.kind().code(), "{reason}");
            let got = Error::from_status(&status);
            assert_eq!(got.reason(), reason);
            assert_eq!(got.metadata(), sent.metadata());
            assert_eq!(got.retry_delay(), Some(Duration::from_secs(3)));
        }
    }

    #[test]
    fn names_are_unique_and_each_kind_has_its_general_reason() {
        let names: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for reason in Reason::ALL.iter().copied() {
            assert_eq!(Reason::named(reason.as_str()), Some(reason));
            assert_eq!(Reason::general(reason.kind()).kind(), reason.kind());
            assert!(reason.as_str().chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
        }
    }

    #[test]
    fn a_foreign_status_becomes_the_general_reason_of_its_code() {
        let error = Error::from_status(&Status::not_found("no such thing"));
        assert_eq!((error.reason(), error.message()), (Reason::NOT_FOUND, "no such thing"));
        assert_eq!(Error::from_status(&Status::unknown("?")).kind(), Kind::Internal);
    }

    #[test]
    fn the_causes_of_an_internal_error_stay_here() {
        let cause = std::io::Error::other("password=hunter2");
        let status = Status::from(Error::internal("reading a row", &cause));
        assert_eq!(status.code(), Code::Internal);
        assert!(!format!("{status:?}").contains("hunter2"));
        let worded = Status::from(Error::new(Reason::INTERNAL, "row 17 of table users"));
        assert_eq!(worded.message(), INTERNAL_MESSAGE);
    }

    #[test]
    fn details_fit_in_headers_however_long_the_words() {
        let long = "é".repeat(100_000);
        let status = Status::from(Error::new(Reason::INVALID_ARGUMENT, long.clone()).with("a", long).with("b", "kept"));
        assert!(status.message().len() + status.details().len() < 2 * MAX_DETAIL_BYTES);
        let error = Error::from_status(&status);
        assert_eq!((error.get("a"), error.get("b")), (None, Some("kept")));
    }
}
