//! How long a call may take, as gRPC says it: the header `grpc-timeout`.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

const HEADER: HeaderName = HeaderName::from_static("grpc-timeout");

/// The timeout the caller set; `None` without one, or with one that cannot be read.
pub(super) fn of(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(HEADER)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// Sets `timeout` unless the call has one; answers with the one that holds.
pub(super) fn ensure(headers: &mut HeaderMap, timeout: Duration) -> Duration {
    if let Some(chosen) = of(headers) {
        return chosen;
    }
    let millis = timeout.as_millis().clamp(1, 99_999_999);
    if let Ok(value) = HeaderValue::try_from(format!("{millis}m")) {
        headers.insert(HEADER, value);
    }
    timeout
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_in_every_unit_and_nonsense_is_none() {
        let read = |text: &'static str| of(&HeaderMap::from_iter([(HEADER, HeaderValue::from_static(text))]));
        assert_eq!(read("2H"), Some(Duration::from_hours(2)));
        assert_eq!(read("3M"), Some(Duration::from_mins(3)));
        assert_eq!(read("4S"), Some(Duration::from_secs(4)));
        assert_eq!(read("99999999m"), Some(Duration::from_millis(99_999_999)));
        assert_eq!(read("6u"), Some(Duration::from_micros(6)));
        assert_eq!(read("7n"), Some(Duration::from_nanos(7)));
        for nonsense in ["", "S", "1", "1x", "-1S", "+1S", "123456789S", "1 S"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_call_keeps_its_own_timeout_and_gets_the_default_otherwise() {
        let mut headers = HeaderMap::new();
        assert_eq!(ensure(&mut headers, Duration::from_secs(10)), Duration::from_secs(10));
        assert_eq!(of(&headers), Some(Duration::from_secs(10)));
        assert_eq!(ensure(&mut headers, Duration::from_secs(99)), Duration::from_secs(10));
    }
}
