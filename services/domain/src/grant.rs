//! What Fluent can give: a role in a context.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The kinds of context Rolecall provisions. Fluent's other kinds (`CUSTOMER`, `GLOBAL`) are not for staff.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContextType {
    /// The whole account; its only context id is `0`.
    Account,
    /// One retailer, by its numeric id.
    Retailer,
    /// One location (a store, a warehouse), by its numeric id. Fluent calls the type `AGENT`.
    Agent,
}

impl ContextType {
    /// Every kind, widest first.
    pub const ALL: [Self; 3] = [Self::Account, Self::Retailer, Self::Agent];

    /// As Fluent spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Account => "ACCOUNT",
            Self::Retailer => "RETAILER",
            Self::Agent => "AGENT",
        }
    }
}

impl fmt::Display for ContextType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no context type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown context type: it must be ACCOUNT, RETAILER or AGENT")]
pub struct UnknownContextType;

impl FromStr for ContextType {
    type Err = UnknownContextType;

    /// Context types are compared without regard to (ASCII) case.
    fn from_str(text: &str) -> Result<Self, UnknownContextType> {
        Self::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(text)).ok_or(UnknownContextType)
    }
}

/// One Fluent role in one context. The unit of everything that is given and taken away.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grant {
    /// The role's name, exactly as Fluent spells it: Fluent keys roles by name.
    pub role: Arc<str>,
    /// The kind of context.
    pub context_type: ContextType,
    /// Fluent's id of the context; `0` for the account.
    pub context_id: Arc<str>,
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} {}", self.role, self.context_type, self.context_id)
    }
}
