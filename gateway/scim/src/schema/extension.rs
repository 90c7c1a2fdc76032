//! Extensions that a tenant defines, read from the JSON of RFC 7643 section 7 and checked.
//!
//! What an extension may say is what can be kept true: its attributes are the client's to write and to read back, none
//! is required or unique, and none bears a name that means access or belongs to every resource. Whatever else is said
//! is refused by name, rather than accepted and not done.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Mutability, Returned, Type, Uniqueness};
use crate::error::quoted;
use crate::path::{AttrPath, is_name, is_sub_name};

/// The largest definition, in bytes of JSON.
pub const MAX_DEFINITION: usize = 64 << 10;
/// The most attributes of an extension, and the most sub-attributes of one attribute.
const MAX_ATTRIBUTES: usize = 100;
/// The most canonical values of an attribute.
const MAX_CANONICAL: usize = 200;
/// The longest URN, and the longest name.
const MAX_NAME: usize = 200;
/// The longest description.
const MAX_DESCRIPTION: usize = 1_000;
/// Names that mean access, membership or the resource itself, wherever they stand.
const RESERVED: [&str; 9] = ["schemas", "id", "externalId", "meta", "active", "roles", "groups", "members", "password"];

/// Why a definition is none: what is wrong and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidExtension(pub(super) String);

/// An extension as its definition has it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Definition {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: String,
    pub(super) attributes: Vec<AttributeDefinition>,
    /// What a definition that was read from `/Schemas` holds besides.
    #[serde(default, rename = "schemas")]
    _schemas: Ignored,
    #[serde(default, rename = "meta")]
    _meta: Ignored,
}

/// Whatever it is, it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Ignored;

impl<'de> Deserialize<'de> for Ignored {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// One attribute of it, with the defaults of RFC 7643 section 2.2.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AttributeDefinition {
    pub(super) name: String,
    #[serde(rename = "type", default = "string")]
    pub(super) kind: Type,
    #[serde(default)]
    pub(super) multi_valued: bool,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    required: bool,
    /// Text is compared without regard to case unless the definition says otherwise; everything else is exact.
    #[serde(default)]
    pub(super) case_exact: Option<bool>,
    #[serde(default = "read_write")]
    mutability: Mutability,
    #[serde(default = "by_default")]
    pub(super) returned: Returned,
    #[serde(default = "not_unique")]
    uniqueness: Uniqueness,
    #[serde(default)]
    pub(super) canonical_values: Vec<String>,
    #[serde(default)]
    pub(super) reference_types: Vec<String>,
    #[serde(default)]
    pub(super) sub_attributes: Vec<AttributeDefinition>,
}

const fn string() -> Type {
    Type::String
}

const fn read_write() -> Mutability {
    Mutability::ReadWrite
}

const fn by_default() -> Returned {
    Returned::Default
}

const fn not_unique() -> Uniqueness {
    Uniqueness::None
}

impl Definition {
    pub(super) fn parse(json: &str) -> Result<Self, InvalidExtension> {
        if json.len() > MAX_DEFINITION {
            return Err(InvalidExtension(format!("it is larger than {MAX_DEFINITION} bytes")));
        }
        let definition: Self =
            serde_json::from_str(json).map_err(|error| InvalidExtension(format!("it is no schema: {error}")))?;
        definition.check()?;
        Ok(definition)
    }

    fn check(&self) -> Result<(), InvalidExtension> {
        check_urn(&self.id)?;
        if self.name.is_empty() || self.name.len() > MAX_NAME {
            return Err(InvalidExtension(format!("its name must be 1 to {MAX_NAME} bytes long")));
        }
        check_description("the schema", &self.description)?;
        check_all(&self.attributes, "the schema", is_name)?;
        for attribute in &self.attributes {
            let name = quoted(&attribute.name);
            if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(&attribute.name)) {
                let all = RESERVED.join(", ");
                return Err(InvalidExtension(format!(
                    "{name} is a name of the protocol's own; an attribute may be called anything but {all}"
                )));
            }
            if (attribute.kind == Type::Complex) == attribute.sub_attributes.is_empty() {
                return Err(InvalidExtension(format!(
                    "{name}: an attribute has subAttributes if its type is complex, and only then"
                )));
            }
            check_all(&attribute.sub_attributes, &name, is_sub_name)?;
            let mut parts = attribute.sub_attributes.iter();
            if let Some(part) = parts.find(|part| part.kind == Type::Complex || !part.sub_attributes.is_empty()) {
                let part = quoted(&part.name);
                return Err(InvalidExtension(format!("{name}: its part {part} can't be complex itself")));
            }
        }
        Ok(())
    }
}

/// A URN that can stand before the name of an attribute, and in no other's place.
fn check_urn(urn: &str) -> Result<(), InvalidExtension> {
    let fits = urn.len() <= MAX_NAME
        && AttrPath::parse(urn).is_some_and(|path| path.urn.is_some() && path.sub.is_none())
        && AttrPath::parse(&format!("{urn}:a")).is_some_and(|path| path.urn.as_deref() == Some(urn));
    if fits {
        return Ok(());
    }
    Err(InvalidExtension(format!(
        "its id {} must be a URN of at most {MAX_NAME} bytes that ends in a name, like \
         urn:ietf:params:scim:schemas:extension:Acme:2.0:User",
        quoted(urn)
    )))
}

fn check_all(attributes: &[AttributeDefinition], of: &str, is_name: fn(&str) -> bool) -> Result<(), InvalidExtension> {
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(InvalidExtension(format!("{of} has more than {MAX_ATTRIBUTES} attributes")));
    }
    for (n, attribute) in attributes.iter().enumerate() {
        let name = quoted(&attribute.name);
        if !is_name(&attribute.name) || attribute.name.len() > MAX_NAME {
            return Err(InvalidExtension(format!(
                "{name} is no name of an attribute: a letter, then letters, digits, - and _, {MAX_NAME} at most"
            )));
        }
        if attributes[..n].iter().any(|other| other.name.eq_ignore_ascii_case(&attribute.name)) {
            return Err(InvalidExtension(format!("{of} has two attributes called {name}")));
        }
        attribute.check(&name)?;
    }
    Ok(())
}

fn check_description(of: &str, description: &str) -> Result<(), InvalidExtension> {
    if description.len() > MAX_DESCRIPTION {
        return Err(InvalidExtension(format!("the description of {of} is longer than {MAX_DESCRIPTION} bytes")));
    }
    Ok(())
}

impl AttributeDefinition {
    fn check(&self, name: &str) -> Result<(), InvalidExtension> {
        let must = |what: &str| Err(InvalidExtension(format!("{name}: {what}")));
        check_description(name, &self.description)?;
        if self.required {
            return must("required must be false: an identity provider that does not know it could make nobody");
        }
        if self.mutability != Mutability::ReadWrite {
            return must("mutability must be readWrite: nobody but the client writes it, as often as it likes");
        }
        if !matches!(self.returned, Returned::Default | Returned::Always) {
            return must("returned must be default or always: nothing is kept that is not given back");
        }
        if self.uniqueness != Uniqueness::None {
            return must("uniqueness must be none: only userName and a group's displayName are unique");
        }
        let listed = self.canonical_values.iter().chain(&self.reference_types);
        if self.canonical_values.len().max(self.reference_types.len()) > MAX_CANONICAL
            || listed.clone().any(|value| value.is_empty() || value.len() > MAX_NAME)
        {
            return must("it may list at most 200 canonicalValues and referenceTypes, each of 1 to 200 bytes");
        }
        if !self.canonical_values.is_empty() && !matches!(self.kind, Type::String | Type::Reference) {
            return must("only an attribute of type string or reference can have canonicalValues");
        }
        Ok(())
    }
}
