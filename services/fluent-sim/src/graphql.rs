//! `POST /graphql`: any document that is valid against the schema, executed on the world.

mod mutation;
mod objects;
mod page;
mod plan;
mod query;
mod search;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use apollo_compiler::introspection::check_max_depth;
use apollo_compiler::parser::Parser;
use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::resolvers::Execution;
use apollo_compiler::response::{GraphQLError, JsonMap};
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{ExecutableDocument, Schema};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::behaviour::{Behaviour, ErrorCode};
use crate::log::{self, Field, Kind, Request};
use crate::model::User;
use crate::world::{Refusal, World};
use objects::{MARK, Object, Scope, Thing};

/// The schema as it is served.
const SCHEMA: &str = include_str!("../schema.graphql");

/// How many parsed documents are kept. Clients send few different ones.
const DOCUMENTS: usize = 1_000;

/// The longest document that is kept, in bytes.
const LONGEST_KEPT: usize = 16 * 1024;

/// The parsed schema and the documents parsed against it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    schema: Valid<Schema>,
    documents: Mutex<HashMap<String, Arc<Valid<ExecutableDocument>>>>,
}

/// The JSON body of a request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    query: String,
    #[serde(default)]
    variables: Option<JsonMap>,
    #[serde(default)]
    operation_name: Option<String>,
}

/// A request that was understood: it may be executed.
#[derive(Debug)]
pub(crate) struct Prepared {
    document: Arc<Valid<ExecutableDocument>>,
    operation_name: Option<String>,
    variables: Valid<JsonMap>,
    fields: Vec<plan::TopField>,
    complexity: u64,
    is_mutation: bool,
}

/// What a request is answered with.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) data: Option<JsonMap>,
    pub(crate) errors: Vec<Value>,
    /// Whether a mutation was carried out.
    pub(crate) applied: bool,
}

/// Why a request was not understood.
#[derive(Debug)]
pub(crate) enum Misunderstood {
    /// The body is no GraphQL request: status 400.
    Body(String),
    /// The document or the variables do not fit the schema: status 200 with these errors.
    Document(Vec<Value>),
}

// === impl Endpoint ===

impl Endpoint {
    /// # Panics
    /// Never: the schema is part of the program, and a test parses it.
    #[expect(clippy::expect_used, reason = "the schema is part of the program")]
    pub(crate) fn new() -> Self {
        let schema = Schema::parse_and_validate(SCHEMA, "schema.graphql").expect("the built-in schema is valid");
        Self { schema, documents: Mutex::default() }
    }

    /// Parses and validates a request, and works out what it asks for.
    pub(crate) fn prepare(&self, body: &[u8]) -> Result<Prepared, Misunderstood> {
        let Body { query, variables, operation_name } =
            serde_json::from_slice(body).map_err(|error| Misunderstood::Body(error.to_string()))?;
        let document = self.document(query)?;
        let request_error = |error: apollo_compiler::request::RequestError| {
            Misunderstood::Document(vec![invalid(error.to_graphql_error(&document.sources))])
        };
        let operation = document.operations.get(operation_name.as_deref()).map_err(request_error)?;
        check_max_depth(&document, operation).map_err(request_error)?;
        let variables =
            coerce_variable_values(&self.schema, operation, &variables.unwrap_or_default()).map_err(request_error)?;
        let fields = plan::top_fields(&document, operation, &variables);
        let complexity = plan::complexity(&document, operation, &variables);
        let is_mutation = operation.is_mutation();
        Ok(Prepared { operation_name, variables, fields, complexity, is_mutation, document: document.clone() })
    }

    fn document(&self, query: String) -> Result<Arc<Valid<ExecutableDocument>>, Misunderstood> {
        if let Some(document) = self.documents.lock().get(&query) {
            return Ok(document.clone());
        }
        let refused = |errors: DiagnosticList| {
            Misunderstood::Document(errors.iter().map(|error| invalid(error.to_json())).collect())
        };
        let parsed = Parser::new().recursion_limit(100).parse_executable(&self.schema, query.as_str(), "request");
        let parsed = parsed.map_err(|error| refused(error.errors))?;
        let document = Arc::new(parsed.validate(&self.schema).map_err(|error| refused(error.errors))?);
        if query.len() <= LONGEST_KEPT {
            let mut documents = self.documents.lock();
            if documents.len() >= DOCUMENTS {
                documents.clear();
            }
            documents.insert(query, document.clone());
        }
        Ok(document)
    }

    /// Executes a prepared request for `caller`. A mutation that fails changes nothing.
    pub(crate) fn execute(
        &self,
        prepared: &Prepared,
        world: &mut World,
        behaviour: &Behaviour,
        caller: Arc<User>,
        wrong_user: bool,
    ) -> Answer {
        if prepared.complexity > behaviour.complexity_limit {
            let Prepared { complexity, .. } = prepared;
            let limit = behaviour.complexity_limit;
            let message = format!("The query's complexity is {complexity}, and {limit} is the most it may be");
            return Answer::refused(&Refusal::new("C0001E", message), behaviour);
        }
        let root = if prepared.is_mutation { Thing::Mutation } else { Thing::Query };
        let result = {
            let failed = Cell::new(false);
            let scope = Scope { world: RefCell::new(&mut *world), behaviour, caller, wrong_user, failed };
            let execution = Execution::new(&self.schema, &prepared.document)
                .operation_name(prepared.operation_name.as_deref())
                .map(|execution| {
                    execution
                        .coerced_variable_values(&prepared.variables)
                        .enable_schema_introspection(behaviour.introspection)
                });
            execution.and_then(|execution| execution.execute_sync(&Object { thing: root, scope: &scope }))
        };
        let answer = match result {
            Ok(response) => {
                let errors: Vec<_> = response.errors.into_iter().map(|error| shown(error, behaviour)).collect();
                let data = response.data.filter(|_| errors.is_empty() || !prepared.is_mutation);
                Answer { data, errors, applied: false }
            }
            Err(error) => {
                let error = invalid(error.to_graphql_error(&prepared.document.sources));
                Answer { data: None, errors: vec![error], applied: false }
            }
        };
        if answer.errors.is_empty() {
            Answer { applied: world.commit(), ..answer }
        } else {
            world.roll_back();
            answer
        }
    }
}

// === impl Prepared ===

impl Prepared {
    /// What the log says about this request.
    pub(crate) fn describe(&self, world: &World) -> Request {
        let mut request = Request::new(Kind::Graphql, self.operation_name());
        for plan::TopField { name, key, arguments } in &self.fields {
            let user = concerned(arguments, world);
            let username = user.as_ref().map(|(name, _)| name.clone());
            let user_id = user.and_then(|(_, id)| id);
            if request.username.is_none() {
                (request.username, request.user_id) = (username.clone(), user_id);
            }
            let arguments = log::redacted(Value::Object(arguments.clone()));
            request.fields.push(Field { name: name.clone(), key: key.clone(), arguments, username, user_id });
        }
        request
    }

    fn operation_name(&self) -> Option<String> {
        let operation = self.document.operations.get(self.operation_name.as_deref()).ok()?;
        operation.name.as_ref().map(ToString::to_string)
    }
}

/// The user whom a field with these arguments concerns: named by `username` or `id`, plainly or in its input.
fn concerned(arguments: &Map<String, Value>, world: &World) -> Option<(String, Option<crate::model::Id>)> {
    let text = |value: &Value| match value {
        Value::Array(values) if values.len() == 1 => values[0].as_str().map(str::to_owned),
        value => value.as_str().map(str::to_owned).or_else(|| value.as_u64().map(|number| number.to_string())),
    };
    let input = arguments.get("input").and_then(Value::as_object);
    let user = input.and_then(|input| input.get("user")).and_then(Value::as_object);
    let place = user.or(input).unwrap_or(arguments);
    if let Some(name) = place.get("username").and_then(text) {
        let id = world.user(&name).map(|user| user.id);
        return Some((name, id));
    }
    let user = world.user_by_id(place.get("id").and_then(text)?.parse().ok()?)?;
    Some((user.username.clone(), Some(user.id)))
}

// === impl Answer ===

impl Answer {
    /// An answer that consists of one error.
    pub(crate) fn refused(refusal: &Refusal, behaviour: &Behaviour) -> Self {
        Self { data: None, errors: vec![coded(refusal, json!({}), behaviour)], applied: false }
    }

    /// Makes the value at `path` null and adds an error that says so.
    pub(crate) fn spoil(&mut self, path: &[String], refusal: &Refusal, behaviour: &Behaviour) {
        let path = if path.is_empty() { self.weak_point() } else { path.to_vec() };
        if let Some((last, parents)) = path.split_last() {
            let mut place = self.data.as_mut();
            for key in parents {
                place = place.and_then(|map| map.get_mut(key.as_str())).and_then(|value| value.as_object_mut());
            }
            if let Some(map) = place {
                map.insert(last.as_str(), apollo_compiler::response::JsonValue::Null);
            }
        }
        self.errors.push(coded(refusal, json!({"path": path}), behaviour));
    }

    /// `roles` of the first field if it was asked for, else the last field.
    fn weak_point(&self) -> Vec<String> {
        let Some(data) = &self.data else { return Vec::new() };
        let first = data.iter().next().filter(|(_, value)| value.get("roles").is_some());
        match (first, data.keys().last()) {
            (Some((key, _)), _) => vec![key.as_str().to_owned(), "roles".to_owned()],
            (None, Some(key)) => vec![key.as_str().to_owned()],
            (None, None) => Vec::new(),
        }
    }

    /// The JSON body.
    pub(crate) fn body(&self) -> Vec<u8> {
        #[derive(serde::Serialize)]
        struct Shown<'a> {
            data: &'a Option<JsonMap>,
            #[serde(skip_serializing_if = "<[Value]>::is_empty")]
            errors: &'a [Value],
        }
        let Self { data, errors, applied: _ } = self;
        serde_json::to_vec(&Shown { data, errors }).unwrap_or_default()
    }

    /// The codes of the errors, for the log.
    pub(crate) fn codes(&self) -> Vec<String> {
        let code = |error: &Value| {
            let inside = error["extensions"]["code"].as_str();
            let before = error["message"].as_str().and_then(|message| message.split_once(": ")).map(|(code, _)| code);
            let before = before.filter(|code| !code.contains(' '));
            inside.or(before).unwrap_or("GRAPHQL").to_owned()
        };
        self.errors.iter().map(code).collect()
    }
}

// === errors ===

/// An error of the executor, with the code of a refusal where the account's switches want it.
fn shown(error: GraphQLError, behaviour: &Behaviour) -> Value {
    let marked = error.message.split_once(MARK).and_then(|(_, marked)| marked.split_once(MARK));
    let refusal = marked.map(|(code, message)| Refusal::new(code, message));
    let json = serde_json::to_value(error).unwrap_or_default();
    match refusal {
        Some(refusal) => coded(&refusal, json, behaviour),
        None => json,
    }
}

/// `error`, an object, with the refusal's message and code.
fn coded(refusal: &Refusal, mut error: Value, behaviour: &Behaviour) -> Value {
    let Refusal { code, message } = refusal;
    match behaviour.error_code {
        ErrorCode::Extensions => {
            error["message"] = Value::from(message.as_str());
            error["extensions"]["code"] = Value::from(code.as_str());
        }
        ErrorCode::Message => error["message"] = Value::from(format!("{code}: {message}")),
    }
    error
}

/// An error about the document itself, classified as Fluent's GraphQL library does.
fn invalid(error: GraphQLError) -> Value {
    let mut error = serde_json::to_value(error).unwrap_or_default();
    error["extensions"]["classification"] = Value::from("ValidationError");
    error
}

#[cfg(test)]
mod tests;
