//! Applies the steps of a PATCH to a draft of the resource.

use serde_json::{Map, Value};

use super::{MAX_OPERATIONS, Op, PatchRequest, Place, Step, at_operation, no_value};
use crate::elements;
use crate::error::Error;
use crate::filter::{Condition, Order, Query, TextTest};
use crate::flaws::Flaws;
use crate::leniency::Leniency;
use crate::put::Outcome;
use crate::resource::Resource;
use crate::schema::{Attribute, Target, Type};
use crate::value::{Parts, assemble, read_list, read_parts, read_single};

/// How the `roles` of a user are patched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RolesPatch {
    /// As the operations say.
    #[default]
    AsSent,
    /// All `roles` values that one PATCH adds or replaces are the whole list: for providers that only ever add.
    Overwrite,
}

/// How many comparisons one value costs that is copied, so that a step can be undone.
const COPY: usize = 8;
/// How many comparisons of values one request may cost.
const MAX_WORK: usize = 5_000_000;

pub(super) fn apply(request: &PatchRequest, resource: &Resource, roles: RolesPatch) -> Result<Outcome, Error> {
    let mut draft = Draft { resource: resource.clone(), request, overwrite: roles, work: 0 };
    for (n, step) in request.steps.iter().enumerate() {
        match request.flaws {
            Flaws::Refuse => draft.step(step).map_err(|error| at_operation(step.operation, error))?,
            Flaws::LeaveOut => draft.possible_step(n, step),
        }
    }
    let mut resource_now = draft.resource;
    resource_now.tidy(request.kind);
    let sound = resource_now.check_size().and_then(|()| resource_now.require(request.kind, Error::mutability));
    if sound.is_err() && request.flaws == Flaws::LeaveOut {
        resource_now = resource.with_access_of(request.kind, &resource_now);
    }
    request.flaws.pass(sound)?;
    Ok(Outcome { changed: resource_now != *resource, resource: resource_now })
}

struct Draft<'a> {
    resource: Resource,
    request: &'a PatchRequest,
    /// `Overwrite` until the stored roles are gone.
    overwrite: RolesPatch,
    work: usize,
}

impl Draft<'_> {
    /// A step, or nothing if it fails. Only steps on lists can fail when something has happened already.
    fn possible_step(&mut self, number: usize, step: &Step) {
        let list = match &step.place {
            Place::Known { target, .. } if target.attribute.multi_valued => Some(*target),
            Place::Known { .. } | Place::Foreign { .. } => None,
        };
        let there = list.and_then(|target| self.resource.get(target));
        let values = there.and_then(Value::as_array).map_or(0, Vec::len);
        if list.is_some() && (number >= MAX_OPERATIONS || self.charge(values * COPY).is_err()) {
            return;
        }
        let before = list.map(|target| (target, self.resource.get(target).cloned(), self.overwrite));
        if let (Err(_), Some((target, value, overwrite))) = (self.step(step), before) {
            self.resource.set(target, value);
            self.overwrite = overwrite;
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), Error> {
        let value = step.value.clone();
        match &step.place {
            Place::Foreign { urn, name } => self.foreign(step.op, urn, name.as_deref(), value),
            Place::Known { target, select } => {
                let is_roles = target.extension.is_none() && target.attribute.name == "roles";
                if is_roles && step.op != Op::Remove && self.overwrite == RolesPatch::Overwrite {
                    self.overwrite_roles(*target);
                }
                match (select, target.sub) {
                    (Some(select), _) => self.selected(step.op, *target, select, value),
                    (None, Some(sub)) => self.part(step.op, *target, sub, value),
                    (None, None) => self.whole(step.op, *target, value),
                }
            }
        }
    }

    /// Before the first `add` or `replace` of roles the stored ones go; the operations then mean what they say.
    fn overwrite_roles(&mut self, roles: Target) {
        self.resource.take(roles);
        self.overwrite = RolesPatch::AsSent;
    }

    /// A step on an attribute as a whole.
    fn whole(&mut self, op: Op, target: Target, given: Option<Value>) -> Result<(), Error> {
        let attribute = target.attribute;
        if op == Op::Remove {
            match given.filter(|given| attribute.multi_valued && !is_nothing(given)) {
                None => self.resource.set(target, None),
                Some(listed) => self.remove_listed(target, listed)?,
            }
            return Ok(());
        }
        let given = given.ok_or_else(no_value)?;
        if attribute.multi_valued {
            let new = read_list(attribute, given, self.request.mode)?;
            let mut list = if op == Op::Replace { Vec::new() } else { self.take_list(target) };
            self.charge(list.len() * new.len().min(elements::INDEX_FROM) + new.len())?;
            elements::add(&mut list, new)?;
            self.resource.set(target, Some(list.into()));
            return Ok(());
        }
        if attribute.kind == Type::Complex {
            if is_nothing(&given) || given == Value::Array(Vec::new()) {
                self.unassign(target);
                return Ok(());
            }
            let parts = read_parts(attribute, given, self.request.mode)?;
            self.merge(target, parts);
            return Ok(());
        }
        match read_single(attribute, None, given, self.request.mode)? {
            None => self.unassign(target),
            value => self.resource.set(target, value),
        }
        Ok(())
    }

    /// A step on one sub-attribute: of the value, or of all values.
    fn part(&mut self, op: Op, target: Target, sub: &'static Attribute, given: Option<Value>) -> Result<(), Error> {
        let part = self.read_part(op, target, sub, given)?;
        if !target.attribute.multi_valued {
            self.merge(target, vec![(sub, part)]);
            return Ok(());
        }
        let mut list = self.take_list(target);
        self.charge(list.len())?;
        if list.is_empty() {
            list.extend(assemble(vec![(sub, part)]));
        } else {
            let places: Vec<_> = (0..list.len()).collect();
            set_parts(&mut list, &places, &vec![(sub, part)]);
        }
        self.resource.set(target, Some(list.into()));
        Ok(())
    }

    /// A step on the values that meet a filter, or on one sub-attribute of them.
    fn selected(&mut self, op: Op, target: Target, select: &Query, given: Option<Value>) -> Result<(), Error> {
        let mut list = self.take_list(target);
        self.charge(list.len() * select.nodes())?;
        let places: Vec<_> = (0..list.len()).filter(|place| select.matches_element(&list[*place])).collect();
        let parts = match (op, target.sub) {
            (Op::Remove, None) => None,
            (_, Some(sub)) => Some(vec![(sub, self.read_part(op, target, sub, given)?)]),
            (Op::Add | Op::Replace, None) => match given.ok_or_else(no_value)? {
                given if is_nothing(&given) || given == Value::Array(Vec::new()) => None,
                given => Some(read_parts(target.attribute, given, self.request.mode)?),
            },
        };
        match parts {
            None if op == Op::Add => {}
            _ if places.is_empty() && op == Op::Remove && !self.request.mode.allows(Leniency::RemoveAbsent) => {
                return Err(no_match(target));
            }
            None => {
                let mut place = 0;
                list.retain(|_| {
                    place += 1;
                    places.binary_search(&(place - 1)).is_err()
                });
            }
            Some(parts) if !places.is_empty() => set_parts(&mut list, &places, &parts),
            Some(parts) if parts.iter().all(|(_, part)| part.is_none()) => {}
            Some(parts) => {
                let described =
                    if self.request.mode.allows(Leniency::CreateFromFilter) { describe(select) } else { None };
                let Some(mut element) = described else {
                    return Err(no_match(target));
                };
                if let Some(Value::Object(parts)) = assemble(parts) {
                    element.extend(parts);
                }
                elements::add(&mut list, vec![element.into()])?;
            }
        }
        self.resource.set(target, Some(list.into()));
        Ok(())
    }

    /// Takes the values of a list that a `remove` names.
    fn remove_listed(&mut self, target: Target, listed: Value) -> Result<(), Error> {
        let attribute = target.attribute;
        if !self.request.mode.allows(Leniency::RemoveListed) {
            return Err(Error::invalid_syntax("a remove takes no value; select the values by a filter"));
        }
        let listed = read_list(attribute, listed, self.request.mode)?;
        let mut list = self.take_list(target);
        self.charge(list.len() * listed.len())?;
        list.retain(|there| !listed.iter().any(|gone| is_meant(attribute, there, gone)));
        self.resource.set(target, Some(list.into()));
        Ok(())
    }

    fn foreign(&mut self, op: Op, urn: &str, name: Option<&str>, given: Option<Value>) -> Result<(), Error> {
        let assigned = |value: Value| (!is_nothing(&value) && value != Value::Array(Vec::new())).then_some(value);
        match (op, name, given) {
            (Op::Remove, None, _) | (Op::Replace, None, Some(Value::Null)) => self.resource.remove_extension(urn),
            (Op::Remove, Some(name), _) => self.resource.set_foreign(urn, name, None),
            (_, Some(name), Some(value)) => self.resource.set_foreign(urn, name, assigned(value)),
            (_, None, Some(Value::Object(members))) => {
                for (name, value) in members {
                    self.resource.set_foreign(urn, &name, assigned(value));
                }
            }
            (_, None, Some(_)) => return Err(Error::invalid_value("the value for an extension must be an object")),
            (_, _, None) => return Err(no_value()),
        }
        Ok(())
    }

    /// Unassigns an attribute that is given as nothing. For `active` that says `false`: what is not said to be true is
    /// false. A `remove` leaves none, which means the same.
    fn unassign(&mut self, target: Target) {
        let value = (target.extension.is_none() && target.attribute.name == "active").then_some(Value::Bool(false));
        self.resource.set(target, value);
    }

    /// Sets the given parts of a single complex value; the others stay.
    fn merge(&mut self, target: Target, parts: Parts) {
        let mut there = match self.resource.take(target) {
            Some(Value::Object(there)) => there,
            _ => Map::new(),
        };
        for (sub, part) in parts {
            match part {
                Some(part) => {
                    there.insert(sub.name.to_owned(), part);
                }
                None => {
                    there.remove(sub.name);
                }
            }
        }
        self.resource.set(target, (!there.is_empty()).then_some(Value::Object(there)));
    }

    fn read_part(
        &self,
        op: Op,
        target: Target,
        sub: &'static Attribute,
        given: Option<Value>,
    ) -> Result<Option<Value>, Error> {
        match op {
            Op::Remove => Ok(None),
            Op::Add | Op::Replace => {
                read_single(sub, Some(target.attribute), given.ok_or_else(no_value)?, self.request.mode)
            }
        }
    }

    fn take_list(&mut self, target: Target) -> Vec<Value> {
        match self.resource.take(target) {
            Some(Value::Array(list)) => list,
            _ => Vec::new(),
        }
    }

    fn charge(&mut self, work: usize) -> Result<(), Error> {
        self.work = self.work.saturating_add(work);
        if self.work > MAX_WORK {
            return Err(Error::too_large("the request compares too many values; send it in several"));
        }
        Ok(())
    }
}

fn no_match(target: Target) -> Error {
    Error::no_target(format!("no value of {} meets the filter", target.attribute.name))
}

/// Sets parts of the elements at `places`, in ascending order. At most one is primary then.
fn set_parts(list: &mut [Value], places: &[usize], parts: &Parts) {
    for place in places {
        let Some(Value::Object(element)) = list.get_mut(*place) else { continue };
        for (sub, part) in parts {
            match part {
                Some(part) => element.insert(sub.name.to_owned(), part.clone()),
                None => element.remove(sub.name),
            };
        }
    }
    let made_primary = parts.iter().any(|(sub, part)| sub.name == "primary" && *part == Some(Value::Bool(true)));
    if let (true, Some(last)) = (made_primary, places.last()) {
        elements::make_only_primary(list, *last);
    }
}

/// Whether a value that a `remove` lists means the one that is there: the same `value`, and the same `type` if both say
/// one; without a `value`, everything it says.
fn is_meant(attribute: &Attribute, there: &Value, gone: &Value) -> bool {
    let same = |sub: &str, a: &Value, b: &Value| match (a, b) {
        (Value::String(a), Value::String(b)) if attribute.sub(sub).is_some_and(|sub| !sub.case_exact) => {
            domain::fold::fold(a) == domain::fold::fold(b)
        }
        _ => a == b,
    };
    let Value::Object(said) = gone else { return there == gone };
    let Some(value) = said.get("value") else {
        return !said.is_empty() && said.iter().all(|(sub, said)| there.get(sub).is_some_and(|it| same(sub, it, said)));
    };
    there.get("value").is_some_and(|it| same("value", it, value))
        && match (there.get("type"), said.get("type")) {
            (Some(a), Some(b)) => same("type", a, b),
            _ => true,
        }
}

/// The value that a filter describes, if all it does is to fix a canonical `type` or `primary`.
fn describe(filter: &Query) -> Option<Map<String, Value>> {
    let terms = match filter {
        Query::And(terms) => terms.as_slice(),
        term => std::slice::from_ref(term),
    };
    let mut element = Map::new();
    for term in terms {
        let Query::Compare(target, condition) = term else { return None };
        let sub = target.sub?;
        let value = match (sub.name, condition) {
            ("type", Condition::Text(TextTest::Order(Order::Eq), text)) => {
                let canonical = sub.canonical_values.iter();
                let matching = canonical
                    .copied()
                    .find(|it| if text.folded { domain::fold::fold(it) == text.text } else { *it == text.text });
                Value::from(matching?)
            }
            ("primary", Condition::Boolean(primary)) => Value::from(*primary),
            _ => return None,
        };
        if element.get(sub.name).is_some_and(|there| *there != value) {
            return None;
        }
        element.insert(sub.name.to_owned(), value);
    }
    Some(element)
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}
