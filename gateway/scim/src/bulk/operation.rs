//! One operation of a bulk request: how it is read, and how it is answered.

use serde_json::{Map, Value, json};

use super::references::take_references;
use super::{Done, Verb};
use crate::error::Error;
use crate::patch::members_of;
use crate::schema::{ResourceType, Schemas};

/// An operation as it was sent.
pub(super) struct Operation {
    method: String,
    path: String,
    pub(super) bulk_id: Option<String>,
    pub(super) version: Option<String>,
    pub(super) action: Result<Action, Error>,
}

/// What it is to do.
pub(super) struct Action {
    pub(super) kind: &'static ResourceType,
    pub(super) verb: Verb,
    /// The id or `bulkId:…` in the path; empty for `Create`.
    pub(super) id: String,
    pub(super) data: Option<Map<String, Value>>,
    /// What the resource is made without, to be added once it can be.
    pub(super) later: Option<Map<String, Value>>,
}

impl Operation {
    pub(super) fn read(operation: Value, schemas: Schemas) -> Self {
        let nothing = |error| Self {
            method: String::new(),
            path: String::new(),
            bulk_id: None,
            version: None,
            action: Err(error),
        };
        let Value::Object(operation) = operation else {
            return nothing(Error::invalid_syntax("an operation must be an object"));
        };
        let [method, path, bulk_id, version, data] =
            match members_of(operation, ["method", "path", "bulkId", "version", "data"]) {
                Ok(members) => members,
                Err(error) => return nothing(error),
            };
        let text = |name: &str, value: Option<Value>| match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
            Some(_) => Err(Error::invalid_syntax(format!("{name} must be text"))),
        };
        let (method, path) = (text("method", method), text("path", path));
        let (bulk_id, version) = (text("bulkId", bulk_id), text("version", version));
        let shown = |text: &Result<Option<String>, Error>| text.clone().ok().flatten();
        let (shown_method, shown_path) = (shown(&method).unwrap_or_default(), shown(&path).unwrap_or_default());
        let (shown_bulk_id, shown_version) = (shown(&bulk_id), shown(&version));
        let action = (|| {
            let (method, path) = (method?, path?);
            let (has_bulk_id, _) = (bulk_id?.is_some(), version?);
            let method = method.ok_or_else(|| Error::invalid_syntax("an operation must have a method"))?;
            let path = path.ok_or_else(|| Error::invalid_syntax("an operation must have a path"))?;
            Action::read(&method, &path, has_bulk_id, data, schemas)
        })();
        Self { method: shown_method, path: shown_path, bulk_id: shown_bulk_id, version: shown_version, action }
    }

    /// What the answer says of it.
    pub(super) fn answer(self, result: Result<Done, Error>, base: &str) -> Value {
        let Self { method, path, bulk_id, version: _, action } = self;
        let mut answer = Map::new();
        answer.insert("method".into(), method.into());
        if let Some(bulk_id) = bulk_id {
            answer.insert("bulkId".into(), bulk_id.into());
        }
        match result {
            Ok(Done { status, id, version }) => {
                let endpoint = action.as_ref().map_or("", |action| action.kind.endpoint);
                answer.insert("location".into(), format!("{base}{endpoint}/{id}").into());
                if let Some(version) = version {
                    answer.insert("version".into(), version.into());
                }
                answer.insert("status".into(), status.to_string().into());
            }
            Err(error) => {
                // A resource that was not made is nowhere.
                if action.is_ok_and(|action| action.verb != Verb::Create) {
                    answer.insert("location".into(), format!("{base}{path}").into());
                }
                answer.insert("status".into(), error.status.to_string().into());
                answer.insert("response".into(), error.to_json());
            }
        }
        json!(answer)
    }
}

impl Action {
    fn read(method: &str, path: &str, has_bulk_id: bool, data: Option<Value>, schemas: Schemas) -> Result<Self, Error> {
        let verb = match method.to_ascii_uppercase().as_str() {
            "POST" => Verb::Create,
            "PUT" => Verb::Replace,
            "PATCH" => Verb::Patch,
            "DELETE" => Verb::Delete,
            _ => return Err(Error::invalid_syntax("method must be one of POST, PUT, PATCH, DELETE")),
        };
        let (kind, id) = [schemas.users, schemas.groups]
            .into_iter()
            .find_map(|kind| {
                let rest = path.strip_prefix(kind.endpoint)?;
                Some((kind, if rest.is_empty() { "" } else { rest.strip_prefix('/')? }))
            })
            .filter(|(_, id)| !id.contains(['/', '?', '#']))
            .ok_or_else(|| Error::not_found("endpoint; the path of an operation is /Users or /Groups, and an id"))?;
        if id.is_empty() != (verb == Verb::Create) {
            return Err(Error::new(405, "POST goes to an endpoint, every other method to a resource"));
        }
        if verb == Verb::Create && !has_bulk_id {
            return Err(Error::invalid_syntax("a POST must have a bulkId"));
        }
        let data = match (verb, data) {
            (Verb::Delete, _) => None,
            (_, Some(Value::Object(data))) => Some(data),
            _ => return Err(Error::invalid_syntax("the operation must have data, an object")),
        };
        Ok(Self { kind, verb, id: id.to_owned(), data, later: None })
    }

    /// Takes out what refers to others, to be added later.
    pub(super) fn split(&mut self) {
        if let Some(data) = &mut self.data {
            self.later = Some(take_references(self.kind, data));
        }
    }
}
