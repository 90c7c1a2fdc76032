//! Entity tags and conditional requests (RFC 7644 section 3.14, RFC 9110 section 13).

use std::fmt::Display;

use crate::error::Error;

/// The weak entity tag for a version, as it stands in the `ETag` header and in `meta.version`.
#[must_use]
pub fn weak(version: impl Display) -> String {
    format!("W/\"{version}\"")
}

/// What the headers `If-Match` and `If-None-Match` of a write make it depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// `If-Match`, its lines joined.
    pub if_match: Option<String>,
    /// `If-None-Match`, its lines joined.
    pub if_none_match: Option<String>,
}

impl Conditions {
    /// Whether the write depends on what stands there.
    #[must_use]
    pub fn any(&self) -> bool {
        self.if_match.is_some() || self.if_none_match.is_some()
    }

    /// Lets a write to the resource with tag `current` pass, or refuses it with 412 (RFC 9110 section 13.2.2).
    pub fn check(&self, current: &str) -> Result<(), Error> {
        let Self { if_match: matching, if_none_match: other } = self;
        if !if_match(matching.as_deref(), current) {
            return Err(Error::precondition_failed());
        }
        if if_none_match(other.as_deref(), current) {
            return Err(Error::new(412, "the resource is one that If-None-Match excludes"));
        }
        Ok(())
    }
}

/// Whether the resource with tag `current` meets an `If-Match` header; without the header it does.
///
/// All tags here are weak and SCIM uses them for writes all the same (RFC 7644 section 3.14), so `W/` is not looked at.
#[must_use]
pub fn if_match(header: Option<&str>, current: &str) -> bool {
    header.is_none_or(|header| names(header, current))
}

/// Whether an `If-None-Match` header names `current`: a read is answered with 304 then, for the client has it already.
#[must_use]
pub fn if_none_match(header: Option<&str>, current: &str) -> bool {
    header.is_some_and(|header| names(header, current))
}

fn names(header: &str, current: &str) -> bool {
    header.trim() == "*" || tags(header).any(|tag| tag == opaque(current))
}

/// The opaque parts, with quotation marks, of a list of tags. A tag may hold commas, so quotation marks are followed.
fn tags(header: &str) -> impl Iterator<Item = &str> {
    let mut rest = header;
    std::iter::from_fn(move || {
        let trimmed = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
        let tag = trimmed.strip_prefix("W/").unwrap_or(trimmed);
        let length = match tag.strip_prefix('"') {
            Some(inner) => inner.find('"')? + 2,
            // Some clients send the version without quotation marks.
            None => tag.find(',').unwrap_or(tag.len()),
        };
        let (tag, behind) = tag.split_at(length);
        rest = behind;
        (!tag.is_empty()).then_some(tag.trim())
    })
}

fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::{Conditions, if_match, if_none_match, weak};

    #[test]
    fn a_tag_matches_itself_in_a_list_weak_or_not() {
        let current = weak(7);
        assert_eq!(current, "W/\"7\"");
        for header in ["W/\"7\"", "\"7\"", "*", " W/\"6\", W/\"7\"", "\"a,b\",\"7\""] {
            assert!(if_match(Some(header), &current), "{header}");
            assert!(if_none_match(Some(header), &current), "{header}");
        }
        for header in ["W/\"6\"", "", ",", "\"7", "W/", "\"17\"", "7"] {
            assert!(!if_match(Some(header), &current), "{header}");
        }
    }

    #[test]
    fn a_write_passes_if_it_meets_every_condition() {
        let given = |if_match: Option<&str>, if_none_match: Option<&str>| {
            let conditions =
                Conditions { if_match: if_match.map(Into::into), if_none_match: if_none_match.map(Into::into) };
            (conditions.any(), conditions.check("W/\"1\"").err().map(|error| error.status))
        };
        assert_eq!(given(None, None), (false, None));
        assert_eq!(given(Some("\"1\""), Some("\"2\"")), (true, None));
        assert_eq!(given(Some("\"2\""), None), (true, Some(412)));
        assert_eq!(given(None, Some("*")), (true, Some(412)));
        assert_eq!(given(Some("*"), Some("W/\"1\"")), (true, Some(412)));
    }

    #[test]
    fn without_a_header_every_write_passes_and_no_read_is_skipped() {
        assert!(if_match(None, "W/\"1\""));
        assert!(!if_none_match(None, "W/\"1\""));
    }
}
