//! Schemas as data: what attributes there are, of which type, who may write them and when they are returned.
//!
//! Everything else in this crate asks here: reading a body, PATCH, filters, projection and discovery hold no
//! attribute names of their own. Names are looked up without regard to ASCII case (RFC 7643 section 2.1) and without
//! allocation; lists are short, so a scan is the fastest index.

mod builtin;
pub mod discovery;
mod extension;
mod roles;
mod tenant;

pub use builtin::{
    COMMON, ENTERPRISE_USER, ENTERPRISE_USER_URN, FLUENT_GROUP, FLUENT_GROUP_URN, FLUENT_USER, FLUENT_USER_URN, GROUP,
    GROUP_URN, GROUPS, USER, USER_URN, USERS,
};
pub use extension::{InvalidExtension, MAX_DEFINITION};
pub use roles::{DRAFT_ROLE, DRAFT_ROLE_URN, OKTA_ROLE, OKTA_ROLE_URN, ROLES};
pub use tenant::{Extension, MAX_EXTENSIONS, Schemas};

use serde::Deserialize;
use serde_json::Value;

use crate::leniency::{Leniency, Mode};
use crate::path::AttrPath;

/// What kind of value an attribute holds (RFC 7643 section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Type {
    /// Unicode text.
    String,
    /// `true` or `false`.
    Boolean,
    /// A number with a fraction.
    Decimal,
    /// A whole number.
    Integer,
    /// A moment, as RFC 3339 text.
    DateTime,
    /// Bytes, as base64 text.
    Binary,
    /// A URI.
    Reference,
    /// A set of sub-attributes.
    Complex,
}

impl Type {
    /// The keyword as it stands in `/Schemas`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Boolean => "boolean",
            Self::Decimal => "decimal",
            Self::Integer => "integer",
            Self::DateTime => "dateTime",
            Self::Binary => "binary",
            Self::Reference => "reference",
            Self::Complex => "complex",
        }
    }
}

/// Who may write an attribute (RFC 7643 section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mutability {
    /// Only the server.
    ReadOnly,
    /// The client, at any time.
    ReadWrite,
    /// The client, once.
    Immutable,
    /// The client; nobody can read it back.
    WriteOnly,
}

impl Mutability {
    /// The keyword as it stands in `/Schemas`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "readOnly",
            Self::ReadWrite => "readWrite",
            Self::Immutable => "immutable",
            Self::WriteOnly => "writeOnly",
        }
    }
}

/// When an attribute is in an answer (RFC 7643 section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Returned {
    /// In every answer, whatever was asked for.
    Always,
    /// In none.
    Never,
    /// Unless it is excluded, or others are asked for.
    Default,
    /// Only when it is asked for.
    Request,
}

impl Returned {
    /// The keyword as it stands in `/Schemas`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Never => "never",
            Self::Default => "default",
            Self::Request => "request",
        }
    }
}

/// Whether two resources may hold the same value (RFC 7643 section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Uniqueness {
    /// They may.
    None,
    /// Not within one tenant.
    Server,
}

impl Uniqueness {
    /// The keyword as it stands in `/Schemas`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Server => "server",
        }
    }
}

/// One attribute or sub-attribute (RFC 7643 section 7).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attribute {
    /// The canonical spelling of the name.
    pub name: &'static str,
    /// What kind of value it holds.
    pub kind: Type,
    /// Whether it holds a list of such values.
    pub multi_valued: bool,
    /// What it is for, in one sentence.
    pub description: &'static str,
    /// Whether a resource must have it.
    pub required: bool,
    /// Whether texts that differ in case are different.
    pub case_exact: bool,
    /// Who may write it.
    pub mutability: Mutability,
    /// When it is returned.
    pub returned: Returned,
    /// Whether its values are unique.
    pub uniqueness: Uniqueness,
    /// The values a client should choose from; others are accepted too.
    pub canonical_values: &'static [&'static str],
    /// What a reference may point at.
    pub reference_types: &'static [&'static str],
    /// The parts of a complex value; empty for every other type.
    pub sub_attributes: &'static [Attribute],
}

impl Attribute {
    /// The sub-attribute called `name`, in any case.
    #[must_use]
    pub fn sub(&self, name: &str) -> Option<&'static Attribute> {
        find(self.sub_attributes, name)
    }
}

/// A named set of attributes (RFC 7643 section 7).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schema {
    /// The URN that identifies it.
    pub id: &'static str,
    /// Its name, for people.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// What it defines.
    pub attributes: &'static [Attribute],
}

impl Schema {
    /// The attribute called `name`, in any case.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        find(self.attributes, name)
    }

    /// Whether a member of this extension's object is `schemas` with the extension's own URN: in whatever JSON structure it
    /// stands, it names the schemas that define that one (RFC 7643 section 3), so there it says nothing new.
    pub(crate) fn is_named_by(&self, name: &str, value: &Value) -> bool {
        let is_own = |urn: &Value| urn.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(self.id));
        name.eq_ignore_ascii_case("schemas")
            && value.as_array().is_some_and(|schemas| !schemas.is_empty() && schemas.iter().all(is_own))
    }
}

/// A kind of resource: its endpoint and schemas (RFC 7643 section 6).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResourceType {
    /// Its name, and its id.
    pub name: &'static str,
    /// Its path below the base URL, with the leading slash.
    pub endpoint: &'static str,
    /// What it is.
    pub description: &'static str,
    /// The schema whose attributes stand at the top of the resource.
    pub schema: &'static Schema,
    /// The schemas whose attributes stand in an object named by the schema's URN; none is required.
    pub extensions: &'static [&'static Schema],
}

/// An attribute found in a resource type: where it stands and what it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// The extension whose object it stands in; `None` at the top of the resource.
    pub extension: Option<&'static Schema>,
    /// The attribute.
    pub attribute: &'static Attribute,
    /// The sub-attribute of a complex attribute, if the path names one.
    pub sub: Option<&'static Attribute>,
}

impl Target {
    /// The canonical names, to match on: extension URN, attribute, sub-attribute.
    #[must_use]
    pub fn key(&self) -> (Option<&'static str>, &'static str, Option<&'static str>) {
        (self.extension.map(|schema| schema.id), self.attribute.name, self.sub.map(|sub| sub.name))
    }

    /// What the path ends at: the sub-attribute if there is one, else the attribute.
    #[must_use]
    pub fn leaf(&self) -> &'static Attribute {
        self.sub.unwrap_or(self.attribute)
    }

    /// The same attribute with `sub` as its sub-attribute.
    #[must_use]
    pub(crate) fn with_sub(self, sub: &'static Attribute) -> Self {
        Self { sub: Some(sub), ..self }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(schema) = self.extension {
            write!(f, "{}:", schema.id)?;
        }
        f.write_str(self.attribute.name)?;
        match self.sub {
            Some(sub) => write!(f, ".{}", sub.name),
            None => Ok(()),
        }
    }
}

impl ResourceType {
    /// Its core schema, then its extensions.
    pub fn schemas(&self) -> impl Iterator<Item = &'static Schema> {
        std::iter::once(self.schema).chain(self.extensions.iter().copied())
    }

    /// The schema with this URN, in any case: the core schema or an extension.
    #[must_use]
    pub fn schema(&self, urn: &str) -> Option<&'static Schema> {
        self.schemas().find(|schema| schema.id.eq_ignore_ascii_case(urn))
    }

    /// The extension with this URN, in any case.
    #[must_use]
    pub fn extension(&self, urn: &str) -> Option<&'static Schema> {
        self.extensions.iter().copied().find(|schema| schema.id.eq_ignore_ascii_case(urn))
    }

    /// The attribute called `name` where no URN says which schema is meant.
    ///
    /// The attributes every resource has come first, then the core schema, then the extensions: providers write
    /// `manager` for the enterprise extension's, and `roles` on a group.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<Target> {
        let core = find(COMMON, name).or_else(|| self.schema.attribute(name));
        if let Some(attribute) = core {
            return Some(Target { extension: None, attribute, sub: None });
        }
        self.extensions.iter().find_map(|schema| {
            let attribute = schema.attribute(name)?;
            Some(Target { extension: Some(schema), attribute, sub: None })
        })
    }

    /// The attribute a path names; `None` if there is none.
    #[must_use]
    pub fn resolve(&self, path: &AttrPath, mode: Mode) -> Option<Target> {
        let bare_extension = mode.allows(Leniency::BareExtensionAttribute);
        let found = match &path.urn {
            None => self.attribute(&path.name).filter(|found| found.extension.is_none() || bare_extension)?,
            Some(urn) => self.attribute_of(self.schema(urn)?, &path.name)?,
        };
        match &path.sub {
            None => Some(found),
            Some(sub) => Some(found.with_sub(found.attribute.sub(sub)?)),
        }
    }

    /// Every attribute of the core schema and the extensions.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = Target> {
        let core = self.schema.attributes.iter().map(|attribute| Target { extension: None, attribute, sub: None });
        let common = COMMON.iter().map(|attribute| Target { extension: None, attribute, sub: None });
        let extended = self.extensions.iter().flat_map(|schema| {
            schema.attributes.iter().map(|attribute| Target { extension: Some(schema), attribute, sub: None })
        });
        common.chain(core).chain(extended)
    }

    fn attribute_of(&self, schema: &'static Schema, name: &str) -> Option<Target> {
        if schema.id == self.schema.id {
            let attribute = schema.attribute(name).or_else(|| find(COMMON, name))?;
            return Some(Target { extension: None, attribute, sub: None });
        }
        Some(Target { extension: Some(schema), attribute: schema.attribute(name)?, sub: None })
    }
}

fn find(attributes: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}
