//! Attribute paths, and the paths of PATCH operations (RFC 7644 sections 3.5.2 and 3.10).

use std::fmt;

use crate::error::{Error, quoted};
use crate::filter::{Filter, parse_path};
use crate::leniency::Mode;
use crate::schema::discovery::is_schema;
use crate::schema::{ResourceType, Schema, Target};

/// The longest path of a PATCH operation, in bytes.
pub const MAX_PATH: usize = 1 << 10;

/// The name of an attribute as a request writes it: `[URN ":"] name ["." sub]`.
///
/// `urn:…:User` alone reads as the name `User` below `urn:…`, since only the schemas tell such a URN from an
/// attribute's; `Locator` knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttrPath {
    /// What stands before the last colon.
    pub urn: Option<String>,
    /// The attribute's name, as written.
    pub name: String,
    /// The sub-attribute's name, as written.
    pub sub: Option<String>,
}

impl AttrPath {
    /// Reads an attribute path; `None` if `text` is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (urn, rest) = match text.rsplit_once(':') {
            Some((urn, rest)) => (Some(urn), rest),
            None => (None, text),
        };
        let (name, sub) = match rest.split_once('.') {
            Some((name, sub)) => (name, Some(sub)),
            None => (rest, None),
        };
        let sound = is_name(name) && sub.is_none_or(is_sub_name) && urn.is_none_or(is_urn);
        sound.then(|| Self { urn: urn.map(Into::into), name: name.into(), sub: sub.map(Into::into) })
    }
}

/// `ALPHA *( "-" / "_" / DIGIT / ALPHA )`, the RFC's `ATTRNAME`.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The RFC defines a sub-attribute `$ref` that its own grammar can't spell.
pub(crate) fn is_sub_name(text: &str) -> bool {
    is_name(text.strip_prefix('$').unwrap_or(text))
}

fn is_urn(text: &str) -> bool {
    text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:"))
        && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'(' | b')' | b'[' | b']'))
}

impl fmt::Display for AttrPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(urn) = &self.urn {
            write!(f, "{urn}:")?;
        }
        f.write_str(&self.name)?;
        match &self.sub {
            Some(sub) => write!(f, ".{sub}"),
            None => Ok(()),
        }
    }
}

/// The path of a PATCH operation: an attribute, perhaps only those of its values that a filter selects, perhaps only
/// one sub-attribute of those.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// The attribute; with a filter it has no sub-attribute of its own.
    pub attribute: AttrPath,
    /// Which of its values are meant.
    pub filter: Option<Filter>,
    /// The sub-attribute after the filter.
    pub sub: Option<String>,
}

impl Path {
    /// Reads a path. Refused with 400 `invalidPath`.
    pub fn parse(text: &str, mode: Mode) -> Result<Self, Error> {
        if text.len() > MAX_PATH {
            return Err(Error::invalid_path(format!("the path is longer than {MAX_PATH} bytes")));
        }
        parse_path(text, mode).map_err(|error| Error::invalid_path(format!("the path can't be read: {error}")))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.attribute.fmt(f)?;
        if let Some(filter) = &self.filter {
            write!(f, "[{filter}]")?;
        }
        match &self.sub {
            Some(sub) => write!(f, ".{sub}"),
            None => Ok(()),
        }
    }
}

/// What an attribute path means for a resource type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Locator {
    /// An attribute of a known schema.
    Known(Target),
    /// Everything in a known schema: the core schema or an extension.
    Schema(&'static Schema),
    /// An attribute, or everything, in an extension nobody registered here; its object is kept as it is sent.
    Foreign { urn: String, name: Option<String> },
}

impl Locator {
    /// Finds what `path` means; refused with 400 `invalidPath`.
    pub(crate) fn find(path: &AttrPath, kind: &ResourceType, mode: Mode) -> Result<Self, Error> {
        if let Some(target) = kind.resolve(path, mode) {
            return Ok(Self::Known(target));
        }
        let unknown = || Error::invalid_path(format!("{} has no attribute {}", kind.name, quoted(&path.to_string())));
        let urn = path.urn.as_deref().ok_or_else(unknown)?;
        // `urn:…:2.0:User` was split at its last colon, and `2.0` may have been taken for the end of the URN.
        let whole = path.to_string();
        if let Some(schema) = kind.schema(&whole) {
            return Ok(Self::Schema(schema));
        }
        // Nor has a schema of this resource type the attribute, and one of another is no extension of this.
        if kind.schema(urn).is_some() || is_schema(urn) || is_schema(&whole) || path.sub.is_some() {
            return Err(unknown());
        }
        if ends_in_version(urn) {
            return Ok(Self::Foreign { urn: whole, name: None });
        }
        Ok(Self::Foreign { urn: urn.to_owned(), name: Some(path.name.clone()) })
    }
}

/// A schema's URN ends in a version and a name, `…:2.0:User`, so one that ends in a version lacks the schema's name.
fn ends_in_version(urn: &str) -> bool {
    let last = urn.rsplit(':').next().unwrap_or_default();
    last.starts_with(|c: char| c.is_ascii_digit()) && last.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::{AttrPath, Locator, Path};
    use crate::leniency::Mode;
    use crate::schema::{ENTERPRISE_USER, USERS};

    fn locate(text: &str) -> Option<Locator> {
        Locator::find(&AttrPath::parse(text)?, &USERS, Mode::Lenient).ok()
    }

    fn known(text: &str) -> Option<String> {
        match locate(text)? {
            Locator::Known(target) => Some(target.to_string()),
            _ => None,
        }
    }

    #[test]
    fn a_name_is_found_in_any_case_with_or_without_its_urn() {
        let enterprise = ENTERPRISE_USER.id;
        assert_eq!(known("USERNAME").unwrap(), "userName");
        assert_eq!(known("name.FamilyName").unwrap(), "name.familyName");
        assert_eq!(known("urn:ietf:params:scim:schemas:core:2.0:user:userName").unwrap(), "userName");
        assert_eq!(known("manager").unwrap(), format!("{enterprise}:manager"));
        assert_eq!(known(&format!("{enterprise}:manager.value")).unwrap(), format!("{enterprise}:manager.value"));
        assert_eq!(known("meta.lastModified").unwrap(), "meta.lastModified");
        assert_eq!(locate(enterprise), Some(Locator::Schema(&ENTERPRISE_USER)));
    }

    #[test]
    fn an_unknown_urn_is_a_foreign_extension() {
        let foreign =
            |urn: &str, name: Option<&str>| Some(Locator::Foreign { urn: urn.into(), name: name.map(Into::into) });
        assert_eq!(locate("urn:x:ext:Custom:2.0:User"), foreign("urn:x:ext:Custom:2.0:User", None));
        assert_eq!(locate("urn:x:ext:Custom:2.0:User:Badge"), foreign("urn:x:ext:Custom:2.0:User", Some("Badge")));
    }

    #[test]
    fn what_is_not_a_path_is_refused() {
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a.b.c",
            "1a",
            "a b",
            "a:b",
            "urn:",
            "emails[",
            "emails[type eq \"work\"]x",
            "emails[type eq \"work\"].",
            "emails[type eq \"work\"].a.b",
            "name.a[b pr]",
            "a]",
            "emails[]",
            &"a".repeat(1025),
        ] {
            assert_eq!(Path::parse(bad, Mode::Lenient).unwrap_err().status, 400, "{bad}");
        }
        assert!(locate("nonsense").is_none());
        assert!(locate("userName.x").is_none());
    }

    #[test]
    fn a_path_prints_as_it_reads() {
        for text in [
            "userName",
            "name.givenName",
            "emails[type eq \"work\"].value",
            "members[value eq \"1\" or value eq \"2\"]",
            "members.$ref",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
        ] {
            assert_eq!(Path::parse(text, Mode::Lenient).unwrap().to_string(), text);
        }
    }
}
