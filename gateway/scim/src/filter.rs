//! Filters (RFC 7644 section 3.4.2.2): what is written, and what it means for a resource type.
//!
//! A text becomes a `Filter`, which knows the grammar alone. `Filter::resolve` looks every name up in the schemas,
//! types every comparison and gives a `Query`, the one form that the evaluator and a database share. Both are the same
//! tree with other leaves, so nothing is said twice.
//!
//! Accepted beyond the RFC's grammar, each a `Leniency`: `userName eq foo@bar` without quotation marks,
//! `emails[type eq "work"].value eq "x"`, and `manager eq "id"` for the complex value's `value`. `not(a pr)` needs no
//! space and `members.$ref` is a name: the RFC has both, though its grammar lacks the second.
//!
//! A database matches on the tree; what it can't express it leaves to `Query::matches`:
//!
//! ```
//! use scim::Mode;
//! use scim::filter::{Condition, Order, Query, TextTest};
//! use scim::schema::USERS;
//!
//! fn sql(query: &Query, parameters: &mut Vec<String>) -> Option<String> {
//!     let column = match query {
//!         Query::And(terms) => {
//!             let terms: Option<Vec<_>> = terms.iter().map(|term| sql(term, parameters)).collect();
//!             return Some(terms?.join(" AND "));
//!         }
//!         Query::Compare(target, Condition::Text(TextTest::Order(Order::Eq), text)) => {
//!             let column = match target.key() {
//!                 (None, "userName", None) => "user_name_folded",
//!                 (None, "externalId", None) => "external_id",
//!                 _ => return None,
//!             };
//!             parameters.push(text.text.clone());
//!             column
//!         }
//!         _ => return None,
//!     };
//!     Some(format!("{column} = ?"))
//! }
//!
//! let query = Query::parse("userName Eq \"BOB\" and externalId eq \"X1\"", &USERS, Mode::Lenient)?;
//! let mut parameters = Vec::new();
//! assert_eq!(sql(&query, &mut parameters).as_deref(), Some("user_name_folded = ? AND external_id = ?"));
//! assert_eq!(parameters, ["bob", "X1"]);
//! # Ok::<(), scim::Error>(())
//! ```
//!
//! Depth and size are limited while reading (32 levels of brackets, 200 comparisons and groups, 8 KiB), the parser
//! keeps its own stack, and everything that walks the finished tree goes at most that deep.

mod eval;
mod lexer;
mod named;
mod parser;
mod resolve;
mod scope;

use std::fmt;
use std::ops::Range;

pub use self::named::{Named, Reach};
pub use self::resolve::{Condition, Order, Text, TextTest};
pub(crate) use self::resolve::{resolve_comparable, resolve_element};
pub use self::scope::Scope;
use crate::error::Error;
use crate::leniency::Mode;
use crate::path::{AttrPath, Path};
use crate::schema::{ResourceType, Target};

/// The longest filter, in bytes.
pub const MAX_LENGTH: usize = 8 << 10;
/// The deepest nesting of parentheses and brackets.
pub const MAX_DEPTH: usize = 32;
/// The most comparisons and groups in one filter.
pub const MAX_NODES: usize = 200;

/// A tree of conditions over names `P` with comparisons `C`.
///
/// `And` and `Or` hold two or more, and never directly one of their own kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr<P, C> {
    /// All of these.
    And(Vec<Self>),
    /// At least one of these.
    Or(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
    /// The attribute has a value.
    Present(P),
    /// A value of the attribute compares so.
    Compare(P, C),
    /// At least one value of the complex attribute meets all of this at once; names within are sub-attributes.
    Element(P, Box<Self>),
}

/// A filter as written.
pub type Filter = Expr<AttrPath, Comparison>;

/// A filter as the schemas understand it.
///
/// Names within an `Element` are whole: the element's attribute with the sub-attribute. There is no `ne` and no
/// `null`: `x ne y` is `Not(x eq y)`, which an absent `x` meets, and `x eq null` is `Not(Present(x))`.
pub type Query = Expr<Target, Condition>;

/// An operator with what it compares to.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The operator.
    pub operator: Operator,
    /// The value after it.
    pub literal: Literal,
}

/// The operators that take a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Contains.
    Co,
    /// Starts with.
    Sw,
    /// Ends with.
    Ew,
    /// Greater than.
    Gt,
    /// Greater than or equal.
    Ge,
    /// Less than.
    Lt,
    /// Less than or equal.
    Le,
}

impl Operator {
    fn parse(word: &str) -> Option<Self> {
        let &[first, second] = word.as_bytes() else { return None };
        Some(match &[first.to_ascii_lowercase(), second.to_ascii_lowercase()] {
            b"eq" => Self::Eq,
            b"ne" => Self::Ne,
            b"co" => Self::Co,
            b"sw" => Self::Sw,
            b"ew" => Self::Ew,
            b"gt" => Self::Gt,
            b"ge" => Self::Ge,
            b"lt" => Self::Lt,
            b"le" => Self::Le,
            _ => return None,
        })
    }

    /// The operator's canonical spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Co => "co",
            Self::Sw => "sw",
            Self::Ew => "ew",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }
}

/// A value in a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// Text, with its escapes read.
    Text(String),
    /// A JSON number, as written.
    Number(String),
    /// `true` or `false`.
    Boolean(bool),
    /// `null`.
    Null,
}

/// Why a text is not a filter: where, what stands there, and what could. Never holds what a value says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {}: found {found}, expected {expected}", span.start)]
pub struct InvalidFilter {
    /// The bytes at fault.
    pub span: Range<usize>,
    /// What stands there.
    pub found: &'static str,
    /// What could.
    pub expected: &'static str,
}

impl From<InvalidFilter> for Error {
    fn from(error: InvalidFilter) -> Self {
        Self::invalid_filter(format!("the filter can't be read: {error}"))
    }
}

impl Filter {
    /// Reads a filter.
    pub fn parse(text: &str, mode: Mode) -> Result<Self, InvalidFilter> {
        parser::filter(text, mode)
    }

    /// Looks the names up in the schemas and types the comparisons.
    ///
    /// Refused: 400 `invalidFilter` for an unknown name or a comparison its type does not have, 403 `sensitive` for an
    /// attribute that is never returned.
    pub fn resolve(&self, kind: &ResourceType, mode: Mode) -> Result<Query, Error> {
        resolve::resolve(self, kind, mode)
    }
}

impl Query {
    /// Reads and resolves a filter.
    pub fn parse(text: &str, kind: &ResourceType, mode: Mode) -> Result<Self, Error> {
        Filter::parse(text, mode)?.resolve(kind, mode)
    }

    /// Whether a whole resource, with `id`, `meta` and canonical names, meets the filter.
    #[must_use]
    pub fn matches(&self, resource: &serde_json::Map<String, serde_json::Value>) -> bool {
        eval::resource(self, resource)
    }

    /// Whether one value of the attribute an `Element` is about meets its inner filter.
    pub(crate) fn matches_element(&self, element: &serde_json::Value) -> bool {
        eval::element(self, element)
    }
}

impl<P, C> Expr<P, C> {
    /// This and that.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::And(mut terms), Self::And(more)) => {
                terms.extend(more);
                Self::And(terms)
            }
            (Self::And(mut terms), other) => {
                terms.push(other);
                Self::And(terms)
            }
            (first, Self::And(mut more)) => {
                more.insert(0, first);
                Self::And(more)
            }
            (first, other) => Self::And(vec![first, other]),
        }
    }

    /// This or that.
    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Or(mut terms), Self::Or(more)) => {
                terms.extend(more);
                Self::Or(terms)
            }
            (Self::Or(mut terms), other) => {
                terms.push(other);
                Self::Or(terms)
            }
            (first, Self::Or(mut more)) => {
                more.insert(0, first);
                Self::Or(more)
            }
            (first, other) => Self::Or(vec![first, other]),
        }
    }

    /// How many comparisons and groups there are.
    #[must_use]
    pub fn nodes(&self) -> usize {
        match self {
            Self::And(terms) | Self::Or(terms) => 1 + terms.iter().map(Self::nodes).sum::<usize>(),
            Self::Not(inner) | Self::Element(_, inner) => 1 + inner.nodes(),
            Self::Present(_) | Self::Compare(..) => 1,
        }
    }
}

pub(crate) fn parse_path(text: &str, mode: Mode) -> Result<Path, InvalidFilter> {
    parser::path(text, mode)
}

/// The canonical text: lower-case operators, quoted values, parentheses only where they are needed.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(terms) => {
                for (n, term) in terms.iter().enumerate() {
                    f.write_str(if n == 0 { "" } else { " and " })?;
                    if matches!(term, Self::Or(_)) { write!(f, "({term})")? } else { term.fmt(f)? }
                }
                Ok(())
            }
            Self::Or(terms) => {
                for (n, term) in terms.iter().enumerate() {
                    write!(f, "{}{term}", if n == 0 { "" } else { " or " })?;
                }
                Ok(())
            }
            Self::Not(inner) => write!(f, "not ({inner})"),
            Self::Present(path) => write!(f, "{path} pr"),
            Self::Compare(path, Comparison { operator, literal }) => {
                write!(f, "{path} {} {literal}", operator.as_str())
            }
            Self::Element(path, inner) => write!(f, "{path}[{inner}]"),
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{}", serde_json::Value::from(text.as_str())),
            Self::Number(number) => f.write_str(number),
            Self::Boolean(value) => value.fmt(f),
            Self::Null => f.write_str("null"),
        }
    }
}

#[cfg(test)]
mod tests;
