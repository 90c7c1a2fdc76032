//! From names and literals to schema attributes and typed comparisons.

use super::{Comparison, Filter, Literal, Operator, Query};
use crate::error::{Error, quoted};
use crate::leniency::{Leniency, Mode};
use crate::path::AttrPath;
use crate::schema::{ResourceType, Returned, Target, Type};

/// A comparison typed by its attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Of text, a reference, or base64.
    Text(TextTest, Text),
    /// Equal to this.
    Boolean(bool),
    /// Of moments.
    Time(Order, jiff::Timestamp),
    /// Of numbers.
    Number(Order, f64),
}

/// How texts are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextTest {
    /// By order of code points.
    Order(Order),
    /// The attribute contains the text.
    Contains,
    /// The attribute begins with the text.
    StartsWith,
    /// The attribute ends with the text.
    EndsWith,
}

/// How ordered values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Equal.
    Eq,
    /// Greater than.
    Gt,
    /// Greater than or equal.
    Ge,
    /// Less than.
    Lt,
    /// Less than or equal.
    Le,
}

impl Order {
    pub(super) fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Self::Eq => ordering.is_eq(),
            Self::Gt => ordering.is_gt(),
            Self::Ge => ordering.is_ge(),
            Self::Lt => ordering.is_lt(),
            Self::Le => ordering.is_le(),
        }
    }
}

/// Text to compare with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The text, folded by `domain::fold::fold` if `folded`.
    pub text: String,
    /// Whether case does not matter, so that the attribute's value is to be folded too.
    pub folded: bool,
}

pub(super) fn resolve(filter: &Filter, kind: &ResourceType, mode: Mode) -> Result<Query, Error> {
    Resolver { kind, mode, element: None }.resolve(filter)
}

/// Resolves a filter whose names are sub-attributes of `element`.
pub(crate) fn resolve_element(
    filter: &Filter,
    element: Target,
    kind: &ResourceType,
    mode: Mode,
) -> Result<Query, Error> {
    Resolver { kind, mode, element: Some(element) }.resolve(filter)
}

/// The attribute a path names, as a comparison sees it: of a complex one its `value`. Refused as in a filter.
pub(crate) fn resolve_comparable(path: &AttrPath, kind: &ResourceType, mode: Mode) -> Result<Target, Error> {
    let resolver = Resolver { kind, mode, element: None };
    resolver.comparable(resolver.target(path)?)
}

struct Resolver<'a> {
    kind: &'a ResourceType,
    mode: Mode,
    /// The attribute whose brackets we are in.
    element: Option<Target>,
}

impl Resolver<'_> {
    fn resolve(&self, filter: &Filter) -> Result<Query, Error> {
        Ok(match filter {
            Filter::And(terms) => Query::And(self.each(terms)?),
            Filter::Or(terms) => Query::Or(self.each(terms)?),
            Filter::Not(inner) => Query::Not(Box::new(self.resolve(inner)?)),
            Filter::Present(path) => Query::Present(self.target(path)?),
            Filter::Compare(path, comparison) => self.compare(self.target(path)?, comparison)?,
            Filter::Element(path, inner) => {
                let target = self.target(path)?;
                if target.leaf().kind != Type::Complex {
                    return Err(Error::invalid_filter(format!("{target} has no sub-attributes to filter by")));
                }
                let inside = Resolver { element: Some(target), ..*self };
                Query::Element(target, Box::new(inside.resolve(inner)?))
            }
        })
    }

    fn each(&self, terms: &[Filter]) -> Result<Vec<Query>, Error> {
        terms.iter().map(|term| self.resolve(term)).collect()
    }

    fn target(&self, path: &AttrPath) -> Result<Target, Error> {
        let found = match self.element {
            None => self.kind.resolve(path, self.mode),
            Some(element) if path.urn.is_none() && path.sub.is_none() => {
                element.attribute.sub(&path.name).map(|sub| element.with_sub(sub))
            }
            Some(_) => None,
        };
        let target = found.ok_or_else(|| {
            let name = quoted(&path.to_string());
            Error::invalid_filter(match self.element {
                None => format!("{} has no attribute {name}", self.kind.name),
                Some(element) => format!("{element} has no sub-attribute {name}"),
            })
        })?;
        if target.attribute.returned == Returned::Never || target.leaf().returned == Returned::Never {
            return Err(Error::sensitive(format!("{target} can't be filtered by: it is never returned")));
        }
        Ok(target)
    }

    fn compare(&self, target: Target, comparison: &Comparison) -> Result<Query, Error> {
        let target = self.comparable(target)?;
        let Comparison { operator, literal } = comparison;
        let refuse = || {
            let (kind, operator) = (target.leaf().kind.as_str(), operator.as_str());
            Error::invalid_filter(format!(
                "{target} is of type {kind}, which '{operator}' with this value can't compare"
            ))
        };
        if *literal == Literal::Null {
            return match operator {
                Operator::Eq => Ok(Query::Not(Box::new(Query::Present(target)))),
                Operator::Ne => Ok(Query::Present(target)),
                _ => Err(refuse()),
            };
        }
        if *operator == Operator::Ne {
            let condition = self.condition(target, TextTest::Order(Order::Eq), literal).ok_or_else(refuse)?;
            return Ok(Query::Not(Box::new(Query::Compare(target, condition))));
        }
        let how = match operator {
            Operator::Eq | Operator::Ne => TextTest::Order(Order::Eq),
            Operator::Gt => TextTest::Order(Order::Gt),
            Operator::Ge => TextTest::Order(Order::Ge),
            Operator::Lt => TextTest::Order(Order::Lt),
            Operator::Le => TextTest::Order(Order::Le),
            Operator::Co => TextTest::Contains,
            Operator::Sw => TextTest::StartsWith,
            Operator::Ew => TextTest::EndsWith,
        };
        Ok(Query::Compare(target, self.condition(target, how, literal).ok_or_else(refuse)?))
    }

    /// A complex attribute stands for its `value`.
    fn comparable(&self, target: Target) -> Result<Target, Error> {
        if target.leaf().kind != Type::Complex {
            return Ok(target);
        }
        match target.attribute.sub("value") {
            Some(value) if self.mode.allows(Leniency::ComplexCompared) => Ok(target.with_sub(value)),
            _ => Err(Error::invalid_filter(format!("{target} is complex: name the sub-attribute to compare"))),
        }
    }

    fn condition(&self, target: Target, how: TextTest, literal: &Literal) -> Option<Condition> {
        let attribute = target.leaf();
        match attribute.kind {
            Type::String | Type::Reference | Type::Binary => {
                if attribute.kind == Type::Binary && how != TextTest::Order(Order::Eq) {
                    return None;
                }
                let text = match literal {
                    Literal::Text(text) => text.clone(),
                    Literal::Number(number) if self.mode.allows(Leniency::NumberForText) => number.clone(),
                    Literal::Boolean(value) if self.mode.allows(Leniency::BareText) => value.to_string(),
                    _ => return None,
                };
                let folded = !attribute.case_exact;
                let text = if folded { domain::fold::fold(&text) } else { text };
                Some(Condition::Text(how, Text { text, folded }))
            }
            Type::Boolean => match (how, literal) {
                (TextTest::Order(Order::Eq), Literal::Boolean(value)) => Some(Condition::Boolean(*value)),
                (TextTest::Order(Order::Eq), Literal::Text(text)) if self.mode.allows(Leniency::TextForBoolean) => {
                    crate::value::boolean(text).map(Condition::Boolean)
                }
                _ => None,
            },
            Type::DateTime => match (how, literal) {
                (TextTest::Order(order), Literal::Text(text)) => Some(Condition::Time(order, text.parse().ok()?)),
                _ => None,
            },
            Type::Decimal | Type::Integer => match (how, literal) {
                (TextTest::Order(order), Literal::Number(number)) => {
                    Some(Condition::Number(order, number.parse().ok()?))
                }
                _ => None,
            },
            Type::Complex => None,
        }
    }
}
