//! A tenant's own role rules: one logical role stands for several Fluent roles. How they are written down, in the JSON
//! format of Fluent's own connector, is in [`Rules::parse`].

mod parse;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The most rules a set may have.
pub const MOST_RULES: usize = 5_000;
/// The most roles one rule may stand for.
pub const MOST_TARGETS: usize = 100;
/// The longest name of a role, in bytes.
pub const LONGEST_NAME: usize = 255;

/// A rule set, whole: it was accepted as one and is replaced as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    targets: BTreeMap<Arc<str>, Vec<Arc<str>>>,
}

/// Why a rule set was refused. A malformed set is refused whole. It says where, and holds nothing of what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedRules {
    /// More text than is read.
    #[error("the text is longer than {} bytes", parse::LONGEST)]
    TooLong,
    /// No JSON.
    #[error("line {line}, column {column}: the text is not JSON")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// Something is not as it must be.
    #[error("{place}: {expected}")]
    Wrong {
        /// Where.
        place: Place,
        /// What would be right.
        expected: String,
    },
    /// Two rules for one logical role: which is meant can't be known.
    #[error("rules {first} and {second} stand for one logical role; only one may")]
    Duplicate {
        /// Counted from 1.
        first: usize,
        /// Counted from 1.
        second: usize,
    },
}

/// A place in a rule set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The rule, counted from 1; `None` for what stands around the rules.
    pub rule: Option<usize>,
    /// The field, such as `action.targetRoles`.
    pub field: &'static str,
}

impl Place {
    fn wrong(self, expected: impl Into<String>) -> MalformedRules {
        MalformedRules::Wrong { place: self, expected: expected.into() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule {
            Some(rule) => write!(f, "rule {rule}, {}", self.field),
            None => f.write_str(self.field),
        }
    }
}

impl Rules {
    /// A rule set from pairs of a logical role and its target roles. Names are exact.
    pub fn new(rules: impl IntoIterator<Item = (Arc<str>, Vec<Arc<str>>)>) -> Result<Self, MalformedRules> {
        let mut targets = BTreeMap::<Arc<str>, Vec<Arc<str>>>::new();
        let mut numbers = BTreeMap::new();
        for (number, (logical, mut roles)) in (1..).zip(rules) {
            let place = |field| Place { rule: Some(number), field };
            if number > MOST_RULES {
                return Err(Place { rule: None, field: "rules" }.wrong(format!("there may be at most {MOST_RULES}")));
            }
            check_name(&logical, place("action.sourceAppRole"))?;
            if roles.is_empty() || roles.len() > MOST_TARGETS {
                let expected = format!("it must be a list of 1 to {MOST_TARGETS} role names");
                return Err(place("action.targetRoles").wrong(expected));
            }
            for role in &roles {
                check_name(role, place("action.targetRoles"))?;
            }
            roles.sort();
            roles.dedup();
            if let Some(first) = numbers.insert(Arc::clone(&logical), number) {
                return Err(MalformedRules::Duplicate { first, second: number });
            }
            targets.insert(logical, roles);
        }
        Ok(Self { targets })
    }

    /// The rule that stands for a logical role, if there is one: the role's name and its target roles.
    #[must_use]
    pub fn rule(&self, logical: &str) -> Option<(&Arc<str>, &[Arc<str>])> {
        self.targets.get_key_value(logical).map(|(logical, targets)| (logical, targets.as_slice()))
    }

    /// Every rule, in order of its logical role.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &[Arc<str>])> {
        self.targets.iter().map(|(logical, roles)| (logical, roles.as_slice()))
    }

    /// The logical roles that do not stand for the same in both sets, in order.
    pub fn differing<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a Arc<str>> {
        let gone_or_changed = self.targets.iter().filter(|(name, roles)| other.targets.get(*name) != Some(*roles));
        let new = other.targets.keys().filter(|name| !self.targets.contains_key(*name));
        gone_or_changed.map(|(name, _)| name).chain(new)
    }
}

fn check_name(name: &str, place: Place) -> Result<(), MalformedRules> {
    if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        let expected = format!("a role's name must be 1 to {LONGEST_NAME} bytes without control characters");
        return Err(place.wrong(expected));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
