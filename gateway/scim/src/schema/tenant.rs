//! The schemas of one tenant: the built-in ones, and the extensions it defines.
//!
//! Whatever reads a body, a path or a filter points at schemas as it goes, and expects them to live as long as the
//! process. So do a tenant's: they are few and small, change a few times in a tenant's life and are often the same for
//! many tenants. What was once put together is kept under its text and never given back, up to a bound.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::discovery::{built_in, is_schema};
use super::extension::{AttributeDefinition, Definition, InvalidExtension};
use super::{Attribute, GROUPS, Mutability, ResourceType, Schema, Type, USERS, Uniqueness};
use crate::error::quoted;

/// The most extensions a tenant may define.
pub const MAX_EXTENSIONS: usize = 10;
/// How much may be kept, in bytes of definitions. They take a few times that.
const MAX_KEPT: usize = 64 << 20;

/// An extension as a tenant defines it: checked, and otherwise the text it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    resource_type: &'static str,
    urn: String,
    json: String,
}

impl Extension {
    /// Reads a schema in the JSON of RFC 7643 section 7 as an extension of `resource_type`, `User` or `Group`.
    pub fn parse(resource_type: &str, json: &str) -> Result<Self, InvalidExtension> {
        let kind = [&USERS, &GROUPS].into_iter().find(|kind| kind.name.eq_ignore_ascii_case(resource_type));
        let kind = kind.ok_or_else(|| InvalidExtension("the resource type must be User or Group".into()))?;
        let Definition { id, .. } = Definition::parse(json)?;
        Ok(Self { resource_type: kind.name, urn: id, json: json.to_owned() })
    }

    /// `User` or `Group`.
    #[must_use]
    pub fn resource_type(&self) -> &'static str {
        self.resource_type
    }

    /// The URN that names it.
    #[must_use]
    pub fn urn(&self) -> &str {
        &self.urn
    }

    /// Its definition.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Whether it goes by this URN, in any case.
    #[must_use]
    pub fn is(&self, urn: &str) -> bool {
        self.urn.eq_ignore_ascii_case(urn)
    }

    /// Whether these can be the extensions of one tenant: not too many, and no two names in each other's way.
    pub fn check_together(extensions: &[Self]) -> Result<(), InvalidExtension> {
        if extensions.len() > MAX_EXTENSIONS {
            return Err(InvalidExtension(format!("a tenant may define at most {MAX_EXTENSIONS} extensions")));
        }
        for (n, extension) in extensions.iter().enumerate() {
            let urn = extension.urn();
            if is_schema(urn) {
                return Err(InvalidExtension(format!("{} is a schema of the protocol or of Rolecall", quoted(urn))));
            }
            let built_in = built_in().map(|schema| schema.id);
            let others = built_in.chain(extensions[..n].iter().map(Self::urn));
            for other in others {
                if extension.is(other) || is_below(urn, other) || is_below(other, urn) {
                    let (urn, other) = (quoted(urn), quoted(other));
                    return Err(InvalidExtension(format!("{urn} can't be told from an attribute of {other}")));
                }
            }
        }
        Ok(())
    }
}

/// Whether `urn` reads as the name of an attribute of the schema `other`.
fn is_below(urn: &str, other: &str) -> bool {
    let start = urn.get(..other.len()).is_some_and(|start| start.eq_ignore_ascii_case(other));
    start && urn.as_bytes().get(other.len()) == Some(&b':')
}

/// What the resources of one tenant are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schemas {
    /// Users.
    pub users: &'static ResourceType,
    /// Groups.
    pub groups: &'static ResourceType,
}

impl Schemas {
    /// The schemas of a tenant that defines none.
    pub const BUILT_IN: Self = Self { users: &USERS, groups: &GROUPS };

    /// The built-in schemas with these extensions behind them.
    ///
    /// A name without a URN means the built-in attribute if there is one, so what is read without the extensions is
    /// read alike with them.
    pub fn with(extensions: &[Extension]) -> Result<Self, InvalidExtension> {
        static KEPT: Mutex<BTreeMap<String, Schemas>> = Mutex::new(BTreeMap::new());
        if extensions.is_empty() {
            return Ok(Self::BUILT_IN);
        }
        let texts = extensions.iter().map(|extension| format!("{} {}", extension.resource_type, extension.json));
        let text = texts.collect::<Vec<_>>().join("\0");
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(schemas) = kept.get(&text) {
            return Ok(*schemas);
        }
        Extension::check_together(extensions)?;
        if kept.keys().map(String::len).sum::<usize>() + text.len() > MAX_KEPT {
            let full = "too many different definitions were read since the process began; start it anew";
            return Err(InvalidExtension(full.into()));
        }
        let schemas = Self { users: extended(&USERS, extensions)?, groups: extended(&GROUPS, extensions)? };
        kept.insert(text, schemas);
        Ok(schemas)
    }

    /// All resource types that clients write, in the order they are listed.
    #[must_use]
    pub const fn resource_types(self) -> [&'static ResourceType; 2] {
        [self.users, self.groups]
    }

    /// All schemas of these, in the order they are listed.
    pub fn all(self) -> impl Iterator<Item = &'static Schema> {
        self.resource_types().into_iter().flat_map(ResourceType::schemas)
    }
}

fn extended(kind: &'static ResourceType, extensions: &[Extension]) -> Result<&'static ResourceType, InvalidExtension> {
    let own = extensions.iter().filter(|extension| extension.resource_type == kind.name);
    let own = own.map(|extension| Ok(keep(Definition::parse(&extension.json)?))).collect::<Result<Vec<_>, _>>()?;
    if own.is_empty() {
        return Ok(kind);
    }
    let all = kind.extensions.iter().copied().chain(own).collect();
    Ok(Box::leak(Box::new(ResourceType { extensions: keep_list(all), ..*kind })))
}

fn keep(definition: Definition) -> &'static Schema {
    let Definition { id, name, description, attributes, .. } = definition;
    let attributes = attributes.into_iter().map(attribute).collect();
    let schema = Schema {
        description: keep_text(if description.is_empty() { name.clone() } else { description }),
        id: keep_text(id),
        name: keep_text(name),
        attributes: keep_list(attributes),
    };
    Box::leak(Box::new(schema))
}

/// What a definition may not say is as the checks have it.
fn attribute(definition: AttributeDefinition) -> Attribute {
    let AttributeDefinition {
        name,
        kind,
        multi_valued,
        description,
        case_exact,
        returned,
        canonical_values,
        reference_types,
        sub_attributes,
        ..
    } = definition;
    Attribute {
        description: keep_text(if description.is_empty() { name.clone() } else { description }),
        name: keep_text(name),
        kind,
        multi_valued,
        required: false,
        case_exact: case_exact.unwrap_or(!matches!(kind, Type::String | Type::Complex)),
        mutability: Mutability::ReadWrite,
        returned,
        uniqueness: Uniqueness::None,
        canonical_values: keep_list(canonical_values.into_iter().map(keep_text).collect()),
        reference_types: keep_list(reference_types.into_iter().map(keep_text).collect()),
        sub_attributes: keep_list(sub_attributes.into_iter().map(attribute).collect()),
    }
}

fn keep_text(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn keep_list<T>(list: Vec<T>) -> &'static [T] {
    Box::leak(list.into_boxed_slice())
}

#[cfg(test)]
mod tests;
