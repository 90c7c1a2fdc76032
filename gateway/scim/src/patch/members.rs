//! What a PATCH does to a group's members, without the members.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Op, at_operation};
use crate::error::Error;
use crate::filter::{Condition, Order, Query, TextTest};
use crate::leniency::{Leniency, Mode};
use crate::resource::member_ids;
use crate::schema::Target;

/// The change to a group's members that all operations of a request amount to, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberDelta {
    /// Some come and some go, none both; everyone else stays.
    Change {
        /// Ids that are members afterwards.
        add: BTreeSet<String>,
        /// Ids that are not members afterwards.
        remove: BTreeSet<String>,
    },
    /// Exactly these are members afterwards.
    Replace(BTreeSet<String>),
}

/// Who must be a member before the request, where its letter is what counts: each filter of a `remove` must select
/// somebody (RFC 7644 section 3.12, `noTarget`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NeededMembers(Vec<(usize, BTreeSet<String>)>);

impl NeededMembers {
    /// Whether nobody must be.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refused with 400 `noTarget` if the filter of an operation selects none of those who are members before.
    pub fn check(&self, is_member: impl Fn(&str) -> bool) -> Result<(), Error> {
        let lacking = self.0.iter().find(|(_, ids)| !ids.iter().any(|id| is_member(id)));
        lacking.map_or(Ok(()), |(operation, _)| Err(at_operation(*operation, no_member())))
    }

    pub(super) fn note(&mut self, operation: usize, ids: BTreeSet<String>) {
        if !ids.is_empty() {
            self.0.push((operation, ids));
        }
    }
}

impl Default for MemberDelta {
    fn default() -> Self {
        Self::Change { add: BTreeSet::new(), remove: BTreeSet::new() }
    }
}

impl MemberDelta {
    /// The members afterwards, where `members` are those before.
    pub fn apply_to(&self, members: &mut BTreeSet<String>) {
        match self {
            Self::Change { add, remove } => {
                members.retain(|id| !remove.contains(id));
                members.extend(add.iter().cloned());
            }
            Self::Replace(all) => members.clone_from(all),
        }
    }

    /// Whether it does nothing to any group.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Change { add, remove } if add.is_empty() && remove.is_empty())
    }

    /// Whether somebody who is a member may be none afterwards.
    #[must_use]
    pub fn takes_away(&self) -> bool {
        !matches!(self, Self::Change { remove, .. } if remove.is_empty())
    }

    fn add(&mut self, id: String) {
        match self {
            Self::Change { add, remove } => {
                remove.remove(&id);
                add.insert(id);
            }
            Self::Replace(all) => {
                all.insert(id);
            }
        }
    }

    fn remove(&mut self, id: String) {
        match self {
            Self::Change { add, remove } => {
                add.remove(&id);
                remove.insert(id);
            }
            Self::Replace(all) => {
                all.remove(&id);
            }
        }
    }

    /// Whether an id is a member after this; `None` if that is as it was before.
    fn says(&self, id: &String) -> Option<bool> {
        match self {
            Self::Change { add, .. } if add.contains(id) => Some(true),
            Self::Change { remove, .. } => remove.contains(id).then_some(false),
            Self::Replace(all) => Some(all.contains(id)),
        }
    }

    /// Adds one operation on `members` to what came before it. Answers the ids of which one must have been a member before
    /// the request, or the operation had nothing to remove; none where that makes no difference.
    pub(super) fn fold(
        &mut self,
        op: Op,
        target: Target,
        select: Option<&Query>,
        value: Option<Value>,
        mode: Mode,
    ) -> Result<BTreeSet<String>, Error> {
        if target.sub.is_some() || (select.is_some() && op != Op::Remove) {
            return Err(Error::mutability("a member can be added and removed, not changed"));
        }
        if let Some(select) = select {
            let ids = selected(select)?;
            let needed = if mode.allows(Leniency::RemoveAbsent) { BTreeSet::new() } else { self.needed(&ids)? };
            for id in ids {
                self.remove(id);
            }
            return Ok(needed);
        }
        let ids = |value| member_ids(target.attribute, value, mode);
        match (op, value) {
            (Op::Remove, None | Some(Value::Null)) => *self = Self::Replace(BTreeSet::new()),
            (Op::Remove, Some(_)) if !mode.allows(Leniency::RemoveListed) => {
                return Err(Error::invalid_syntax("a remove takes no value; select the members by a filter"));
            }
            (Op::Remove, Some(value)) => ids(value)?.into_iter().for_each(|id| self.remove(id)),
            (Op::Add, Some(value)) => ids(value)?.into_iter().for_each(|id| self.add(id)),
            (Op::Replace, Some(value)) => *self = Self::Replace(ids(value)?.into_iter().collect()),
            (Op::Add | Op::Replace, None) => return Err(super::no_value()),
        }
        Ok(BTreeSet::new())
    }

    /// Of which of these one must have been a member before; none if one is by now. Refused with 400 `noTarget` if no one
    /// can be.
    fn needed(&self, ids: &[String]) -> Result<BTreeSet<String>, Error> {
        if ids.iter().any(|id| self.says(id) == Some(true)) {
            return Ok(BTreeSet::new());
        }
        let open: BTreeSet<_> = ids.iter().filter(|id| self.says(id).is_none()).cloned().collect();
        if open.is_empty() { Err(no_member()) } else { Ok(open) }
    }
}

/// 400 `noTarget`: a filter selects none of the members (RFC 7644 sections 3.5.2.2 and 3.12).
fn no_member() -> Error {
    Error::no_target("the filter selects no member")
}

/// The ids a filter on members names: `value eq "…"`, or several of these joined by `or`.
fn selected(filter: &Query) -> Result<Vec<String>, Error> {
    match filter {
        Query::Or(terms) => Ok(terms.iter().map(selected).collect::<Result<Vec<_>, _>>()?.concat()),
        Query::Compare(target, Condition::Text(TextTest::Order(Order::Eq), text))
            if target.sub.is_some_and(|sub| sub.name == "value") =>
        {
            Ok(vec![text.text.clone()])
        }
        _ => Err(Error::invalid_filter("members are removed by 'value eq \"id\"', several of them joined by 'or'")),
    }
}
