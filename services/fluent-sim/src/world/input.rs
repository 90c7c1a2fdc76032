//! What the inputs of mutations have in common: fields that may be absent, null or set, and limits of length.

use serde::{Deserialize, Deserializer};

use super::Refusal;
use crate::behaviour::Behaviour;
use crate::model::Attribute;

/// The longest string where Fluent states no other limit, in characters.
pub(crate) const LONGEST: usize = 255;

/// A field of an update.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Patch<T> {
    /// Not given.
    #[default]
    Absent,
    /// Given as `null`.
    Null,
    /// Given with a value.
    Set(T),
}

// === impl Patch ===

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::Set))
    }
}

impl<T> Patch<T> {
    /// The value, if one is given.
    pub(crate) fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// The same patch of another type.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Self::Absent => Patch::Absent,
            Self::Null => Patch::Null,
            Self::Set(value) => Patch::Set(change(value)),
        }
    }

    /// Changes `field` as an update with this patch does.
    pub(crate) fn apply(self, field: &mut Option<T>, behaviour: &Behaviour) {
        match self {
            Self::Set(value) => *field = Some(value),
            Self::Null if behaviour.null_clears => *field = None,
            Self::Absent | Self::Null => {}
        }
    }

    /// Changes a field which every entity has: null leaves it alone.
    pub(crate) fn apply_required(self, field: &mut T) {
        if let Self::Set(value) = self {
            *field = value;
        }
    }
}

/// Refuses a value of more than `limit` characters.
pub(crate) fn check_length(
    name: &str,
    value: Option<&String>,
    limit: usize,
    behaviour: &Behaviour,
) -> Result<(), Refusal> {
    match value {
        Some(value) if value.chars().count() > limit => Err(Refusal::new(
            &behaviour.invalid_input_code,
            format!("`{name}` is longer than {limit} characters, the most it may have"),
        )),
        _ => Ok(()),
    }
}

/// Refuses a value that is given but blank.
pub(crate) fn check_not_blank(name: &str, value: Option<&String>, behaviour: &Behaviour) -> Result<(), Refusal> {
    match value {
        Some(value) if value.trim().is_empty() => {
            Err(Refusal::new(&behaviour.invalid_input_code, format!("`{name}` must not be blank")))
        }
        _ => Ok(()),
    }
}

/// Changes attributes by name: known ones get the new value, others are added.
pub(crate) fn upsert_attributes(held: &mut Vec<Attribute>, given: Vec<Attribute>) {
    for attribute in given {
        match held.iter_mut().find(|known| known.name == attribute.name) {
            Some(known) => *known = attribute,
            None => held.push(attribute),
        }
    }
}
