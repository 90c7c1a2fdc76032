//! Entity tags and conditional requests (RFC 7644 section 3.14, RFC 9110 section 13).

use std::fmt::Display;

/// The weak entity tag for a version, as it stands in the `ETag` header and in `meta.version`.
#[must_use]
pub fn weak(version: impl Display) -> String {
    format!("W/\"{version}\"")
}

/// Whether the resource with tag `current` meets an `If-Match` header; without the header it does.
///
/// All tags here are weak and SCIM uses them for writes all the same (RFC 7644 section 3.14), so `W/` is not looked at.
#[must_use]
pub fn if_match(header: Option<&str>, current: &str) -> bool {
    header.is_none_or(|header| names(header, current))
}

/// Whether an `If-None-Match` header says the client already has `current`, so that a read is answered with 304.
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
    use super::{if_match, if_none_match, weak};

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
    fn without_a_header_every_write_passes_and_no_read_is_skipped() {
        assert!(if_match(None, "W/\"1\""));
        assert!(!if_none_match(None, "W/\"1\""));
    }
}
