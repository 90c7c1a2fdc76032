//! PATCH (RFC 7644 section 3.5.2), in every dialect that identity providers speak.
//!
//! A body is read once, against its resource type, into steps: paths are resolved, path-less values are taken apart
//! into one step per attribute, and what changes a group's members is folded into one `MemberDelta`, so that a group of
//! fifty thousand is never read to add one to it. `PatchRequest::apply` is pure: all steps, or an error and nothing; only
//! a request that `PatchRequest::parse_possible` read does what it can.

mod apply;
mod members;

use std::fmt;

use serde_json::{Map, Value};

pub use self::apply::RolesPatch;
pub use self::members::{MemberDelta, NeededMembers};
use crate::error::{Error, quoted};
use crate::filter::{Query, resolve_element};
use crate::flaws::Flaws;
use crate::leniency::{Leniency, Mode};
use crate::path::{AttrPath, Locator, Path};
use crate::put::Outcome;
use crate::resource::Resource;
use crate::schema::{Mutability, ResourceType, Schema, Target};
use crate::value;

/// The `schemas` value of a PATCH body.
pub const PATCH_URN: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// The most operations in one request.
pub const MAX_OPERATIONS: usize = 1_000;
/// The most values in one operation.
pub const MAX_OPERATION_VALUES: usize = 50_000;

/// A PATCH body, read and resolved.
#[derive(Clone, PartialEq)]
pub struct PatchRequest {
    kind: &'static ResourceType,
    mode: Mode,
    flaws: Flaws,
    steps: Vec<Step>,
    members: Option<MemberDelta>,
    needed: NeededMembers,
}

/// Without values: they are personal data, which must not reach a log by accident.
impl fmt::Debug for PatchRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self.members.is_some();
        f.debug_struct("PatchRequest")
            .field("steps", &self.steps.len())
            .field("members", &members)
            .finish_non_exhaustive()
    }
}

/// One change to one place.
#[derive(Clone, Debug, PartialEq)]
struct Step {
    /// Which operation it came from, counted from 1.
    operation: usize,
    op: Op,
    place: Place,
    /// The operation's value; `None` if it has no such member.
    value: Option<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Add,
    Remove,
    Replace,
}

impl Op {
    fn parse(text: &str, mode: Mode) -> Option<Self> {
        let ops = [("add", Self::Add), ("remove", Self::Remove), ("replace", Self::Replace)];
        let any_case = mode.allows(Leniency::OpInAnyCase);
        ops.into_iter().find(|(name, _)| *name == text || any_case && name.eq_ignore_ascii_case(text)).map(|(_, op)| op)
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Place {
    /// An attribute or sub-attribute; with `select`, of those values that meet it.
    Known { target: Target, select: Option<Query> },
    /// An attribute, or everything, of an extension nobody registered here.
    Foreign { urn: String, name: Option<String> },
}

impl PatchRequest {
    /// Reads a body.
    ///
    /// Refused with 400: `invalidSyntax` if it is not a PATCH, `invalidPath` for a path that can't be read or names
    /// nothing, `noTarget` for a `remove` without a path, `mutability` for a path to what only the server writes; 413
    /// for too many operations or values.
    pub fn parse(kind: &'static ResourceType, body: Map<String, Value>, mode: Mode) -> Result<Self, Error> {
        Self::read(kind, body, mode, Flaws::Refuse)
    }

    /// Reads what can be read of a body that `parse` refuses; `apply` then does what can be done.
    ///
    /// Refused with 400 `invalidSyntax` if it is not a PATCH at all.
    pub fn parse_possible(kind: &'static ResourceType, body: Map<String, Value>, mode: Mode) -> Result<Self, Error> {
        Self::read(kind, body, mode, Flaws::LeaveOut)
    }

    fn read(kind: &'static ResourceType, body: Map<String, Value>, mode: Mode, flaws: Flaws) -> Result<Self, Error> {
        let [operations, schemas] = members_of(body, ["Operations", "schemas"])?;
        if !mode.allows(Leniency::AnySchemas) && !names_patch(schemas.as_ref()) {
            flaws.pass(Err(Error::invalid_syntax(format!("schemas must hold {PATCH_URN}"))))?;
        }
        let Some(Value::Array(operations)) = operations else {
            return Err(Error::invalid_syntax("a PATCH must have Operations, an array"));
        };
        if operations.len() > MAX_OPERATIONS {
            flaws.pass(Err(Error::too_large(format!("a PATCH may have at most {MAX_OPERATIONS} operations"))))?;
        }
        if operations.is_empty() && !mode.allows(Leniency::EmptyPatch) {
            return Err(Error::invalid_syntax("Operations must not be empty"));
        }
        let (steps, needed) = (Vec::new(), NeededMembers::default());
        let mut request = Self { kind, mode, flaws, steps, members: None, needed };
        for (n, operation) in operations.into_iter().enumerate() {
            flaws.pass(request.operation(n + 1, operation).map_err(|error| at_operation(n + 1, error)))?;
        }
        Ok(request)
    }

    /// What becomes of a group's members; `None` if the request does not mention them.
    #[must_use]
    pub fn members(&self) -> Option<&MemberDelta> {
        self.members.as_ref()
    }

    /// The same, by value.
    #[must_use]
    pub fn take_members(&mut self) -> Option<MemberDelta> {
        self.members.take()
    }

    /// Who must be a member before, by value.
    #[must_use]
    pub fn take_needed(&mut self) -> NeededMembers {
        std::mem::take(&mut self.needed)
    }

    /// Whether it changes nothing but a group's members.
    #[must_use]
    pub fn is_members_only(&self) -> bool {
        self.steps.is_empty()
    }

    /// The resource after all operations, or an error if one of them fails. A group's members are left to `members`.
    ///
    /// Of a request that `parse_possible` read, what fails is left out; if no resource that may be stored comes of it, the
    /// attributes that give access change alone.
    ///
    /// Refused with 400: `noTarget` if a value filter selects nothing and describes nothing that could be made,
    /// `invalidValue` for a value of the wrong type, `mutability` if a required attribute would be gone.
    pub fn apply(&self, resource: &Resource, roles: RolesPatch) -> Result<Outcome, Error> {
        apply::apply(self, resource, roles)
    }

    fn operation(&mut self, number: usize, operation: Value) -> Result<(), Error> {
        let Value::Object(operation) = operation else {
            return Err(Error::invalid_syntax("it must be an object"));
        };
        let [op, path, value] = members_of(operation, ["op", "path", "value"])?;
        let op = op
            .as_ref()
            .and_then(Value::as_str)
            .and_then(|op| Op::parse(op, self.mode))
            .ok_or_else(|| Error::invalid_syntax("op must be one of add, remove, replace"))?;
        if value.as_ref().and_then(Value::as_array).is_some_and(|values| values.len() > MAX_OPERATION_VALUES) {
            return Err(Error::too_large(format!("it may have at most {MAX_OPERATION_VALUES} values")));
        }
        let path = match path {
            None | Some(Value::Null) => None,
            Some(Value::String(path)) => Some(path).filter(|path| !path.is_empty()),
            Some(_) => return Err(Error::invalid_path("path must be text")),
        };
        match (path, op) {
            (Some(path), _) => self.with_path(number, op, &path, value),
            (None, Op::Remove) => Err(Error::no_target("a remove must have a path")),
            (None, Op::Add | Op::Replace) => match value {
                Some(Value::Object(values)) => values.into_iter().try_for_each(|(key, value)| {
                    let part = self.with_key(number, op, &key, value);
                    self.flaws.pass(part)
                }),
                _ => Err(Error::invalid_value("without a path, value must be an object")),
            },
        }
    }

    /// An operation with a path: what it names must exist and be the client's to write.
    fn with_path(&mut self, number: usize, op: Op, text: &str, value: Option<Value>) -> Result<(), Error> {
        let path = Path::parse(text, self.mode)?;
        match Locator::find(&path.attribute, self.kind, self.mode)? {
            Locator::Known(target) => {
                let (target, select) = self.select(target, &path)?;
                if is_dropped(target) {
                    return Ok(());
                }
                if is_read_only(target) {
                    return Err(Error::mutability(format!("{target} is read-only")));
                }
                self.push(Step { operation: number, op, place: Place::Known { target, select }, value })
            }
            Locator::Schema(schema) => match (op, value) {
                (Op::Remove, _) | (Op::Replace, Some(Value::Null)) => self.remove_all(number, schema),
                (_, Some(value)) => self.with_schema(number, op, schema, value),
                (_, None) => Err(no_value()),
            },
            Locator::Foreign { urn, name } if path.filter.is_none() => {
                self.push(Step { operation: number, op, place: Place::Foreign { urn, name }, value })
            }
            Locator::Foreign { .. } => Err(Error::invalid_path("an unregistered extension can't be filtered")),
        }
    }

    /// One member of a path-less value, whose key may be a path.
    fn with_key(&mut self, number: usize, op: Op, key: &str, value: Value) -> Result<(), Error> {
        let path = match Path::parse(key, self.mode) {
            Ok(path) => path,
            Err(_) if self.mode.allows(Leniency::UnknownAttribute) => return Ok(()),
            Err(_) => return Err(value::unknown(key)),
        };
        let is_name = path.attribute.sub.is_none() && path.filter.is_none();
        if !is_name && !self.mode.allows(Leniency::PathAsKey) {
            return Err(value::unknown(key));
        }
        self.with_member(number, op, &path, value)
    }

    /// An object of a schema's attributes, under the schema's URN.
    fn with_schema(&mut self, number: usize, op: Op, schema: &Schema, value: Value) -> Result<(), Error> {
        let Value::Object(members) = value else {
            return Err(Error::invalid_value(format!("{} must be an object", schema.id)));
        };
        for (key, value) in members {
            if schema.is_named_by(&key, &value) {
                continue;
            }
            match AttrPath::parse(&key) {
                Some(AttrPath { urn: None, name, sub }) => {
                    let attribute = AttrPath { urn: Some(schema.id.to_owned()), name, sub };
                    let part = self.with_member(number, op, &Path { attribute, filter: None, sub: None }, value);
                    self.flaws.pass(part)?;
                }
                _ if self.mode.allows(Leniency::UnknownAttribute) => {}
                _ => self.flaws.pass(Err(value::unknown(&key)))?,
            }
        }
        Ok(())
    }

    /// What a value object says about one attribute: read like a body, so what is unknown or read-only is left out.
    fn with_member(&mut self, number: usize, op: Op, path: &Path, value: Value) -> Result<(), Error> {
        let place = match Locator::find(&path.attribute, self.kind, self.mode) {
            Ok(Locator::Known(target)) => {
                let (target, select) = self.select(target, path)?;
                if is_dropped(target) || (is_read_only(target) && self.mode.allows(Leniency::ReadOnlyInPatch)) {
                    return Ok(());
                }
                if is_read_only(target) {
                    return Err(Error::mutability(format!("{target} is read-only")));
                }
                Place::Known { target, select }
            }
            Ok(Locator::Schema(schema)) => {
                return match (op, value) {
                    (Op::Replace, Value::Null) => self.remove_all(number, schema),
                    (_, Value::Null) => Ok(()),
                    (_, value) => self.with_schema(number, op, schema, value),
                };
            }
            Ok(Locator::Foreign { urn, name }) => Place::Foreign { urn, name },
            Err(_) if self.mode.allows(Leniency::UnknownAttribute) => return Ok(()),
            Err(error) => return Err(error),
        };
        self.push(Step { operation: number, op, place, value: Some(value) })
    }

    /// Everything a client may write in a schema is to go.
    fn remove_all(&mut self, operation: usize, schema: &'static Schema) -> Result<(), Error> {
        let extension = (schema.id != self.kind.schema.id).then_some(schema);
        if extension.is_none() {
            return Err(Error::mutability(format!("everything in {} can't be removed", schema.id)));
        }
        for attribute in schema.attributes {
            let target = Target { extension, attribute, sub: None };
            if !is_read_only(target) {
                let place = Place::Known { target, select: None };
                self.push(Step { operation, op: Op::Remove, place, value: None })?;
            }
        }
        Ok(())
    }

    /// Resolves the filter and the sub-attribute behind it.
    fn select(&self, target: Target, path: &Path) -> Result<(Target, Option<Query>), Error> {
        let Some(filter) = &path.filter else { return Ok((target, None)) };
        if !target.attribute.multi_valued || target.attribute.sub_attributes.is_empty() {
            return Err(Error::invalid_path(format!("{target} has no values to filter")));
        }
        let query = resolve_element(filter, target, self.kind, self.mode)?;
        let Some(name) = &path.sub else { return Ok((target, Some(query))) };
        match target.attribute.sub(name) {
            Some(sub) => Ok((target.with_sub(sub), Some(query))),
            None => Err(Error::invalid_path(format!("{target} has no sub-attribute {}", quoted(name)))),
        }
    }

    fn push(&mut self, step: Step) -> Result<(), Error> {
        if let Place::Known { target, select } = &step.place
            && target.attribute.name == "members"
        {
            let delta = self.members.get_or_insert_default();
            let needed = delta.fold(step.op, *target, select.as_ref(), step.value, self.mode)?;
            self.needed.note(step.operation, needed);
            return Ok(());
        }
        self.steps.push(step);
        Ok(())
    }
}

fn is_read_only(target: Target) -> bool {
    target.attribute.mutability == Mutability::ReadOnly || target.leaf().mutability == Mutability::ReadOnly
}

/// Accepted and thrown away: passwords, and `schemas`, which the server works out.
fn is_dropped(target: Target) -> bool {
    target.attribute.mutability == Mutability::WriteOnly || target.attribute.name == "schemas"
}

fn no_value() -> Error {
    Error::invalid_value("an add or replace must have a value")
}

fn at_operation(number: usize, mut error: Error) -> Error {
    error.detail = format!("operation {number}: {}", error.detail);
    error
}

fn names_patch(schemas: Option<&Value>) -> bool {
    let listed = schemas.and_then(Value::as_array).into_iter().flatten();
    listed.filter_map(Value::as_str).any(|urn| urn.eq_ignore_ascii_case(PATCH_URN))
}

/// The members called `names`, in any case; others are ignored, the same name in two spellings is refused.
pub(crate) fn members_of<const N: usize>(
    map: Map<String, Value>,
    names: [&str; N],
) -> Result<[Option<Value>; N], Error> {
    let mut found = [const { None }; N];
    for (key, value) in map {
        if let Some(n) = names.iter().position(|name| name.eq_ignore_ascii_case(&key))
            && found[n].replace(value).is_some()
        {
            return Err(value::twice(names[n]));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
