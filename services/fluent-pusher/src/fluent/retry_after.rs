//! The `Retry-After` header (RFC 9110 section 10.2.3): whole seconds, or an HTTP date. Anything else counts as absent.

use std::time::Duration;

use domain::clock::Timestamp;
use http::HeaderMap;
use http::header::RETRY_AFTER;

/// The longest wait Fluent can ask us for. Whoever stands between us and Fluent must not be able to stop us for a day.
const MAX: Duration = Duration::from_mins(10);

/// How long the answer asks to wait, at most ten minutes.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit()) {
        // A number too large to read is a long time, not none.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)).min(MAX));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Timestamp(date.as_microsecond()).since(now).min(MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(text: &str) -> Option<u64> {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
        // Sun, 06 Nov 1994 08:49:37 GMT
        retry_after(&headers, Timestamp(784_111_777_000_000)).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_and_dates_are_read_and_bounded() {
        assert_eq!(wait("7"), Some(7));
        assert_eq!(wait("0"), Some(0));
        assert_eq!(wait("86400"), Some(600));
        assert_eq!(wait("99999999999999999999999"), Some(600));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:47 GMT"), Some(10));
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0), "a date gone by");
        assert_eq!(wait("Sat, 06 Nov 2094 08:49:37 GMT"), Some(600));
    }

    #[test]
    fn what_is_neither_counts_as_absent() {
        for text in ["", "-5", "1.5", "soon", "7 seconds", "+3"] {
            assert_eq!(wait(text), None, "{text:?}");
        }
    }
}
