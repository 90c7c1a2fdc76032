//! A tenant's own role rules: one logical role stands for several Fluent roles.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A rule set, whole: it was accepted as one and is replaced as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    targets: BTreeMap<Arc<str>, Vec<Arc<str>>>,
}

/// Why a rule set was refused. A malformed set is refused whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedRules {
    /// Two rules for one logical role: which is meant can't be known.
    #[error("two rules stand for the logical role {0:?}; there may be one")]
    Duplicate(String),
    /// A rule without a name, or one that gives nothing.
    #[error("the rule for {0:?} names no logical role or no target role")]
    Empty(String),
}

impl Rules {
    /// A rule set from pairs of a logical role and its target roles. Names are exact.
    pub fn new(rules: impl IntoIterator<Item = (Arc<str>, Vec<Arc<str>>)>) -> Result<Self, MalformedRules> {
        let mut targets = BTreeMap::new();
        for (logical, mut roles) in rules {
            if logical.is_empty() || roles.is_empty() || roles.iter().any(|role| role.is_empty()) {
                return Err(MalformedRules::Empty(logical.to_string()));
            }
            roles.sort();
            roles.dedup();
            if targets.insert(Arc::clone(&logical), roles).is_some() {
                return Err(MalformedRules::Duplicate(logical.to_string()));
            }
        }
        Ok(Self { targets })
    }

    /// The target roles of a logical role, if a rule stands for it.
    #[must_use]
    pub fn targets(&self, logical: &str) -> Option<&[Arc<str>]> {
        self.targets.get(logical).map(Vec::as_slice)
    }

    /// Every rule, in order of its logical role.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &[Arc<str>])> {
        self.targets.iter().map(|(logical, roles)| (logical, roles.as_slice()))
    }
}
