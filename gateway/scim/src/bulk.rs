//! Bulk requests (RFC 7644 section 3.7): many operations in one body, which may refer to what others of them make.
//!
//! Pure: a [`Job`] says which operation is to be carried out next, as if it were a request of its own, and is told what
//! came of it. Who carries it out decides about each as about any other request; nothing here is a way around that.
//!
//! * Operations run in the order they are sent, except that what makes a resource runs before the first that refers to
//!   it by `bulkId:…`.
//! * Users who are each other's managers are made without, and get their managers once those are there. If that fails,
//!   the user is unmade again: an operation happens or does not.
//! * Groups that contain each other, and a `bulkId:…` that names nothing made here, are 409 for the operations concerned.

mod operation;
mod order;
mod references;

use std::collections::{HashMap, VecDeque};
use std::fmt;

use serde_json::{Map, Value, json};

use self::operation::{Action, Operation};
use self::references::{Site, bulk_id_in, visit};
use crate::error::{Error, quoted};
use crate::json::Limits;
use crate::leniency::{Leniency, Mode};
use crate::patch::{PATCH_URN, members_of};
use crate::schema::{ResourceType, Schemas, USERS};

/// The `schemas` value of a bulk request.
pub const REQUEST_URN: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
/// The `schemas` value of the answer.
pub const RESPONSE_URN: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";
/// The most operations in one request.
pub const MAX_OPERATIONS: u32 = 1_000;

/// What a bulk body may hold: as much as another, three levels further in. Each `data` is read again when its turn comes;
/// so a text that is too long is the fault of one operation, and hinders no other.
#[must_use]
pub fn limits() -> Limits {
    let one = Limits::default();
    Limits { depth: one.depth + 3, text: usize::MAX, ..one }
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// POST.
    Create,
    /// PUT.
    Replace,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

/// An operation to be carried out now, like a request of its own.
#[derive(Clone, PartialEq)]
pub struct Task {
    /// What it is about.
    pub kind: &'static ResourceType,
    /// What it does.
    pub verb: Verb,
    /// The id of the resource; empty for `Create`.
    pub id: String,
    /// The version the resource must be at, as `If-Match` has it.
    pub version: Option<String>,
    /// The body, with ids for references; none for `Delete`.
    pub data: Option<Map<String, Value>>,
}

/// Without the body: it is personal data, which must not reach a log by accident.
impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, verb, id, version, data: _ } = self;
        write!(f, "{verb:?} {}/{id} {version:?}", kind.endpoint)
    }
}

/// What came of a task that went well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The HTTP status.
    pub status: u16,
    /// The id of the resource.
    pub id: String,
    /// Its entity tag, where there is one.
    pub version: Option<String>,
}

/// A bulk request under way.
pub struct Job {
    operations: Vec<Operation>,
    /// What each has come to; nothing for one that was not begun.
    results: Vec<Option<Result<Done, Error>>>,
    steps: VecDeque<Step>,
    /// The step whose task is out.
    current: Option<Step>,
    /// Which operation makes what a bulkId names.
    makers: HashMap<String, usize>,
    /// How many more operations may fail before the rest is left.
    patience: Option<usize>,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("operations", &self.operations.len()).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Run(usize),
    /// Gives a user that was made the manager it was made without.
    Complete(usize),
    /// Unmakes a user that did not get its manager, for this reason.
    Undo(usize, Error),
}

impl Job {
    /// Reads a body and puts its operations in order.
    ///
    /// Refused as a whole: 400 `invalidSyntax` if it is not a bulk request or gives a bulkId twice, 413 for too many
    /// operations. What is wrong with one operation is that operation's result.
    pub fn plan(body: Map<String, Value>, schemas: Schemas, mode: Mode) -> Result<Self, Error> {
        let [operations, fail_on_errors, urns] = members_of(body, ["Operations", "failOnErrors", "schemas"])?;
        let mut listed = urns.iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str);
        if !mode.allows(Leniency::AnySchemas) && !listed.any(|urn| urn.eq_ignore_ascii_case(REQUEST_URN)) {
            return Err(Error::invalid_syntax(format!("schemas must hold {REQUEST_URN}")));
        }
        let Some(Value::Array(operations)) = operations else {
            return Err(Error::invalid_syntax("a bulk request must have Operations, an array"));
        };
        if operations.len() > MAX_OPERATIONS as usize {
            return Err(Error::too_large(format!("a bulk request may have at most {MAX_OPERATIONS} operations")));
        }
        let patience = match fail_on_errors {
            None | Some(Value::Null) => None,
            Some(count) => {
                let count =
                    count.as_u64().ok_or_else(|| Error::invalid_value("failOnErrors must be a whole number"))?;
                Some(usize::try_from(count).unwrap_or(usize::MAX).max(1))
            }
        };
        let operations: Vec<_> = operations.into_iter().map(|it| Operation::read(it, schemas)).collect();
        let mut makers = HashMap::new();
        for (number, operation) in operations.iter().enumerate() {
            let is_post = operation.action.as_ref().is_ok_and(|action| action.verb == Verb::Create);
            if let (true, Some(bulk_id)) = (is_post, &operation.bulk_id)
                && makers.insert(bulk_id.clone(), number).is_some()
            {
                return Err(Error::invalid_syntax(format!("the bulkId {} is given twice", quoted(bulk_id))));
            }
        }
        let results = operations.iter().map(|_| None).collect();
        let mut job = Self { operations, results, steps: VecDeque::new(), current: None, makers, patience };
        job.order();
        Ok(job)
    }

    /// The next task. [`Self::finish`] must be told what came of it before the one after it is asked for.
    pub fn next_task(&mut self) -> Option<Task> {
        while let Some(step) = self.steps.pop_front() {
            let task = match step {
                Step::Run(number) => self.run(number),
                Step::Complete(number) => match self.complete(number) {
                    Some(task) => task,
                    // It was not made after all.
                    None => continue,
                },
                Step::Undo(number, _) => Ok(self.undo(number)),
            };
            self.current = Some(step);
            match task {
                Ok(task) => return Some(task),
                Err(error) => self.finish(Err(error)),
            }
        }
        None
    }

    /// Takes what came of the task that [`Self::next_task`] gave.
    pub fn finish(&mut self, result: Result<Done, Error>) {
        let (number, result) = match (self.current.take(), result) {
            (None, _) => return,
            (Some(Step::Run(number)), result) => (number, result),
            (Some(Step::Complete(number)), Ok(Done { version, .. })) => {
                // What was made is what it was; only its version is another.
                if let Some(Ok(made)) = &mut self.results[number] {
                    made.version = version;
                }
                return;
            }
            (Some(Step::Complete(number)), Err(why)) => {
                self.steps.push_front(Step::Undo(number, why));
                return;
            }
            (Some(Step::Undo(number, why)), _) => (number, Err(why)),
        };
        if result.is_err()
            && let Some(patience) = &mut self.patience
        {
            *patience = patience.saturating_sub(1);
            if *patience == 0 {
                // The rest is left, but nothing is left half made.
                self.steps.retain(|step| !matches!(step, Step::Run(_)));
            }
        }
        self.results[number] = Some(result);
    }

    /// The body of the answer; `base` is the base URL without a trailing slash. Operations that were not begun are not
    /// in it.
    #[must_use]
    pub fn response(self, base: &str) -> Value {
        let results = self.operations.into_iter().zip(self.results);
        let results: Vec<_> = results.filter_map(|(operation, result)| Some(operation.answer(result?, base))).collect();
        json!({ "schemas": [RESPONSE_URN], "Operations": results })
    }

    fn run(&self, number: usize) -> Result<Task, Error> {
        let Operation { version, action, .. } = &self.operations[number];
        let Action { kind, verb, id, data, later: _ } = action.as_ref().map_err(Error::clone)?;
        let id = match bulk_id_in(id) {
            Some(bulk_id) => self.made(bulk_id, &[kind.name])?.to_owned(),
            None => id.clone(),
        };
        let mut data = data.clone();
        if let Some(data) = &mut data {
            self.resolve(kind, *verb, data)?;
        }
        Ok(Task { kind, verb: *verb, id, version: version.clone(), data })
    }

    fn complete(&self, number: usize) -> Option<Result<Task, Error>> {
        let Some(Ok(Done { id, .. })) = &self.results[number] else { return None };
        let Action { kind, later, .. } = self.operations[number].action.as_ref().ok()?;
        let mut later = later.clone()?;
        Some(self.resolve(kind, Verb::Create, &mut later).map(|()| {
            let operations = json!([{ "op": "add", "value": later }]);
            let data =
                Map::from_iter([("schemas".to_owned(), json!([PATCH_URN])), ("Operations".to_owned(), operations)]);
            Task { kind, verb: Verb::Patch, id: id.clone(), version: None, data: Some(data) }
        }))
    }

    fn undo(&self, number: usize) -> Task {
        let id = match &self.results[number] {
            Some(Ok(Done { id, .. })) => id.clone(),
            _ => String::new(),
        };
        let kind = self.operations[number].action.as_ref().map_or(&USERS, |action| action.kind);
        Task { kind, verb: Verb::Delete, id, version: None, data: None }
    }

    /// Puts ids where `data` refers to what was made here.
    fn resolve(&self, kind: &'static ResourceType, verb: Verb, data: &mut Map<String, Value>) -> Result<(), Error> {
        visit(kind, verb, data, &mut |Site { text, kinds }| {
            if let Some(bulk_id) = bulk_id_in(text) {
                *text = self.made(bulk_id, kinds)?.to_owned();
            }
            Ok(())
        })
    }

    /// The id of what an operation made, if it is of one of these kinds.
    fn made(&self, bulk_id: &str, kinds: &[&str]) -> Result<&str, Error> {
        let of_kind = |number: &&usize| {
            self.operations[**number].action.as_ref().is_ok_and(|action| kinds.contains(&action.kind.name))
        };
        match self.makers.get(bulk_id).filter(of_kind).map(|number| &self.results[*number]) {
            Some(Some(Ok(Done { id, .. }))) => Ok(id),
            Some(Some(Err(_))) => Err(Error::new(409, format!("what {} refers to could not be made", quoted(bulk_id)))),
            Some(None) | None => {
                Err(Error::new(409, format!("no operation here makes what the bulkId {} names", quoted(bulk_id))))
            }
        }
    }
}

#[cfg(test)]
mod tests;
