//! What can go wrong between us and Fluent, by what is to be done about it.

use std::fmt;
use std::time::Duration;

/// A failed call. Neither `Debug` nor `Display` holds anything Fluent wrote: its messages may name people.
#[derive(Clone, PartialEq, Eq)]
pub enum Error {
    /// Nothing was changed, and the same may succeed later.
    Retry {
        /// When Fluent said it is worth trying again.
        after: Option<Duration>,
        /// What happened.
        cause: Cause,
    },
    /// Fluent refused it, and would again.
    Permanent(Refusal),
    /// The answer was lost or said too little: whether it took effect must be read back.
    Unknown {
        /// What happened.
        cause: Cause,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No connection could be made.
    Connect,
    /// The connection broke under the call.
    Broken,
    /// No whole answer in time.
    Timeout,
    /// Fluent asked for fewer calls (429, or 503 with a time).
    Throttled,
    /// An HTTP status that no GraphQL answer has.
    Status(u16),
    /// The sign-in was refused, or answered with what is none.
    SignIn,
    /// As many sign-ins as may be refused in a minute have been.
    SignInLimit,
    /// Calls were refused with a new token too.
    Token,
    /// An answer that can't be read, or is about something else than was asked.
    Malformed,
    /// An answer larger than is accepted.
    TooLarge,
    /// Fluent's own error, of a kind that may pass.
    Server(Refusal),
    /// Errors beside data: a part may have taken effect.
    Partial,
    /// The mutations were answered, but the account is not as it should be.
    NotTaken,
}

impl Cause {
    /// A short name, for metrics and outcomes.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Broken => "broken",
            Self::Timeout => "timeout",
            Self::Throttled => "throttled",
            Self::Status(_) => "status",
            Self::SignIn => "sign_in",
            Self::SignInLimit => "sign_in_limit",
            Self::Token => "token",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Server(_) => "server",
            Self::Partial => "partial",
            Self::NotTaken => "not_taken",
        }
    }

    /// Why Fluent as a whole fails, in an operator's words: a name, and more after a colon. `None` for what says something
    /// of one account alone.
    #[must_use]
    pub fn of_tenant(&self) -> Option<String> {
        let (name, text) = match self {
            Self::Connect => (UNAVAILABLE, "no connection to Fluent can be made"),
            Self::Broken => (UNAVAILABLE, "connections to Fluent break before it has answered"),
            Self::Timeout => (UNAVAILABLE, "Fluent does not answer in time"),
            Self::Throttled => (UNAVAILABLE, "Fluent asks to be called less often"),
            Self::Status(status) => return Some(format!("{UNAVAILABLE}: Fluent answers with HTTP status {status}")),
            Self::SignIn => (SIGN_IN, "Fluent refuses the sign-in with the user name, password and client configured"),
            Self::SignInLimit => {
                (SIGN_IN, "Fluent has refused the sign-in too often to be asked again within a minute")
            }
            Self::Token => (SIGN_IN, "Fluent grants tokens and refuses calls that come with them (HTTP status 401)"),
            Self::Malformed | Self::TooLarge | Self::Server(_) | Self::Partial | Self::NotTaken => return None,
        };
        Some(format!("{name}: {text}"))
    }
}

/// Fluent can't be called, for whatever it is.
const UNAVAILABLE: &str = "FLUENT_UNAVAILABLE";
/// Fluent does not let Rolecall in.
const SIGN_IN: &str = "FLUENT_SIGN_IN";

/// What Fluent said when it refused.
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its code.
    pub code: Option<Code>,
    /// Its message, at most 500 characters. It may name people: for the operator, never for a log.
    pub message: String,
}

/// One of Fluent's error codes: `C`, `S` or `T` (client, server, third party), four digits, `E` or `W`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Code([u8; 6]);

impl Code {
    /// The entity to operate on was not found.
    pub const NOT_FOUND: Self = Self(*b"C0120E");

    /// Reads a code that stands alone.
    #[must_use]
    pub fn exact(text: &str) -> Option<Self> {
        let code: [u8; 6] = text.as_bytes().try_into().ok()?;
        let [class, digits @ .., end] = code;
        let sound =
            matches!(class, b'C' | b'S' | b'T') && digits.iter().all(u8::is_ascii_digit) && matches!(end, b'E' | b'W');
        sound.then_some(Self(code))
    }

    /// Finds the first code in a text.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        text.as_bytes().windows(6).find_map(|window| std::str::from_utf8(window).ok().and_then(Self::exact))
    }

    /// As Fluent writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whether the same request may succeed later: the fault is not the client's, or it is a limit on the rate of calls.
    /// `C0001E` (too complex) and `C0020E` (not permitted) are refusals.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        self.0[0] != b'C' || (self.as_str() > "C0001W" && self.as_str() < "C0020E")
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Error {
    /// What happened, for a metric's label.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Retry { cause, .. } | Self::Unknown { cause } => cause.as_str(),
            Self::Permanent(_) => "refused",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry { cause, .. } => write!(f, "Fluent did not take the call: {cause:?}"),
            Self::Unknown { cause } => write!(f, "Fluent's answer was lost: {cause:?}"),
            Self::Permanent(Refusal { code: Some(code), .. }) => write!(f, "Fluent refused the call: {code:?}"),
            Self::Permanent(Refusal { code: None, .. }) => f.write_str("Fluent refused the call without a code"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal").field("code", &self.code).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn a_code_is_found_wherever_it_stands() {
        assert_eq!(Code::find("é: entity C0120E not found"), Some(Code::NOT_FOUND));
        assert_eq!(Code::find("C0120X C012 0120E"), None);
        assert_eq!(Code::exact("C0120E "), None);
    }

    #[test]
    fn faults_of_the_server_and_limits_of_rate_pass() {
        let passes = |text| Code::exact(text).unwrap().may_pass();
        assert!(passes("S0001E") && passes("T0100E") && passes("C0002E") && passes("C0019E"));
        assert!(!passes("C0001E") && !passes("C0020E") && !passes("C0120E"));
    }
}
