//! The bodies and filters that identity providers really send, each with what the provider relies on afterwards.
//!
//! The cases are data. They run against a server of maps that holds nothing but what this crate gives it, so that every
//! answer is the crate's. Labels are not judged here.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

use std::collections::{BTreeMap, BTreeSet};

use scim::error::Error;
use scim::filter::Query;
use scim::list::{Page, SearchRequest, Start, response};
use scim::patch::{MemberDelta, PatchRequest, RolesPatch};
use scim::project::Projection;
use scim::put::{Unmentioned, put};
use scim::resource::{Meta, Resource, normalise};
use scim::schema::discovery::{resource_type_body, schema_body};
use scim::schema::{GROUPS, ResourceType, Schemas, USERS};
use scim::{Mode, etag};
use serde_json::{Map, Value, json};

const BASE: &str = "https://host.example/scim/v2";

struct Stored {
    resource: Resource,
    members: BTreeSet<String>,
    version: u64,
}

#[derive(Default)]
struct Server {
    users: BTreeMap<String, Stored>,
    groups: BTreeMap<String, Stored>,
    made: u64,
}

type Answer = Result<(u16, Value), Error>;

impl Server {
    fn handle(&mut self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query = Parameters::parse(query);
        let mut parts = path.trim_matches('/').split('/');
        let (endpoint, id) = (parts.next().unwrap_or_default(), parts.next());
        // What is sent passes through the reader, as it would from a socket.
        let body =
            body.map(|body| scim::json::read_object(body.to_string().as_bytes(), &scim::json::Limits::default()));
        let answer = match (endpoint, body.transpose()) {
            (_, Err(error)) => Err(error),
            ("Users", Ok(body)) => self.resources(&USERS, method, id, &query, body),
            ("Groups", Ok(body)) => self.resources(&GROUPS, method, id, &query, body),
            ("ResourceTypes", _) => {
                Ok((200, all(Schemas::BUILT_IN.resource_types().into_iter().map(|it| resource_type_body(it, BASE)))))
            }
            ("Schemas", _) => Ok((200, all(Schemas::BUILT_IN.all().map(|it| schema_body(it, BASE))))),
            _ => Err(Error::not_found("endpoint")),
        };
        answer.unwrap_or_else(|error| (error.status, error.to_json()))
    }

    fn table(&mut self, kind: &ResourceType) -> &mut BTreeMap<String, Stored> {
        if kind.name == "User" { &mut self.users } else { &mut self.groups }
    }

    fn resources(
        &mut self,
        kind: &'static ResourceType,
        method: &str,
        id: Option<&str>,
        query: &Parameters,
        body: Option<Map<String, Value>>,
    ) -> Answer {
        let body = body.unwrap_or_default();
        match (method, id) {
            ("POST", None) => self.create(kind, body),
            ("POST", Some(".search")) => {
                let search = SearchRequest::parse(body)?;
                let names = |names: &Option<Vec<String>>| names.clone().map(|names| names.join(","));
                let projection = Projection::parse(
                    kind,
                    names(&search.attributes).as_deref(),
                    names(&search.excluded_attributes).as_deref(),
                );
                self.list(kind, search.filter.as_deref(), &search.page, &projection)
            }
            ("GET", None) => {
                let page = Page::parse(query.get("startIndex"), query.get("cursor"), query.get("count"))?;
                self.list(kind, query.get("filter"), &page, &query.projection(kind))
            }
            ("GET", Some(id)) => {
                let mut whole = self.whole(kind, id)?;
                query.projection(kind).apply(&mut whole);
                Ok((200, whole.into()))
            }
            ("PUT", Some(id)) => {
                self.whole(kind, id)?;
                let incoming = normalise(kind, body, Mode::Lenient)?;
                let members = incoming.members.clone();
                let resource = put(kind, &self.table(kind)[id].resource, incoming, Unmentioned::Clear)?.resource;
                self.store(kind, id, resource, |old| members.map_or(old, |members| members.into_iter().collect()))
            }
            ("PATCH", Some(id)) => {
                self.whole(kind, id)?;
                let request = PatchRequest::parse(kind, body, Mode::Lenient)?;
                let resource = request.apply(&self.table(kind)[id].resource, RolesPatch::AsSent)?.resource;
                let delta = request.members().cloned().unwrap_or_else(MemberDelta::default);
                self.store(kind, id, resource, |mut members| {
                    delta.apply_to(&mut members);
                    members
                })
            }
            ("DELETE", Some(id)) => match self.table(kind).remove(id) {
                Some(_) => Ok((204, Value::Null)),
                None => Err(Error::not_found(kind.name)),
            },
            _ => Err(Error::new(405, "no such method")),
        }
    }

    fn create(&mut self, kind: &'static ResourceType, body: Map<String, Value>) -> Answer {
        let (resource, members) = normalise(kind, body, Mode::Lenient)?.created(kind)?;
        self.made += 1;
        let id = format!("id-{}", self.made);
        let (status, body) = self.store(kind, &id, resource, |_| members.into_iter().collect())?;
        assert_eq!(status, 200);
        Ok((201, body))
    }

    fn store(
        &mut self,
        kind: &'static ResourceType,
        id: &str,
        resource: Resource,
        members: impl FnOnce(BTreeSet<String>) -> BTreeSet<String>,
    ) -> Answer {
        let name = if kind.name == "User" { "userName" } else { "displayName" };
        let folded = |resource: &Resource| resource.text(name).map(domain::fold::fold);
        let table = self.table(kind);
        if table.iter().any(|(other, it)| other != id && folded(&it.resource) == folded(&resource)) {
            return Err(Error::uniqueness(name));
        }
        let (before, version) = table.remove(id).map_or_else(Default::default, |it| (it.members, it.version));
        table.insert(id.to_owned(), Stored { resource, members: members(before), version: version + 1 });
        Ok((200, self.whole(kind, id)?.into()))
    }

    fn whole(&mut self, kind: &'static ResourceType, id: &str) -> Result<Map<String, Value>, Error> {
        let it = self.table(kind).get(id).ok_or_else(|| Error::not_found(kind.name))?;
        let members: Vec<_> = it.members.iter().map(|id| json!({ "value": id })).collect();
        let server = if kind.name == "Group" { object(json!({ "members": members })) } else { Map::new() };
        let meta = Meta {
            id,
            created: "2026-01-01T00:00:00Z",
            last_modified: "2026-01-01T00:00:00Z",
            location: &format!("{BASE}{}/{id}", kind.endpoint),
            version: &etag::weak(it.version),
        };
        Ok(it.resource.complete(kind, &meta, server))
    }

    fn list(
        &mut self,
        kind: &'static ResourceType,
        filter: Option<&str>,
        page: &Page,
        projection: &Projection,
    ) -> Answer {
        let query = filter.map(|filter| Query::parse(filter, kind, Mode::Lenient)).transpose()?;
        let ids: Vec<_> = self.table(kind).keys().cloned().collect();
        let mut found = ids.iter().map(|id| self.whole(kind, id)).collect::<Result<Vec<_>, _>>()?;
        found.retain(|whole| query.as_ref().is_none_or(|query| query.matches(whole)));
        let total = u64::try_from(found.len()).unwrap();
        let Start::Index(start) = page.start else { panic!("no provider sends a cursor") };
        let offset = usize::try_from(start - 1).unwrap();
        let resources = found.into_iter().skip(offset).take(usize::try_from(page.count).unwrap()).map(|mut whole| {
            projection.apply(&mut whole);
            whole.into()
        });
        Ok((200, response(resources.collect(), total, start)))
    }
}

fn all(bodies: impl Iterator<Item = Value>) -> Value {
    let bodies: Vec<_> = bodies.collect();
    let total = u64::try_from(bodies.len()).unwrap();
    response(bodies, total, 1)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("an object, not {other}"),
    }
}

struct Parameters(BTreeMap<String, String>);

impl Parameters {
    fn parse(query: &str) -> Self {
        let decode = |text: &str| if query.contains(' ') { text.to_owned() } else { decode(text) };
        Self(query.split('&').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.to_owned(), decode(v))).collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn projection(&self, kind: &'static ResourceType) -> Projection {
        Projection::parse(kind, self.get("attributes"), self.get("excludedAttributes"))
    }
}

fn decode(text: &str) -> String {
    let mut parts = text.split('%');
    let mut decoded = parts.next().unwrap_or_default().replace('+', " ");
    for part in parts {
        let (code, rest) = part.split_at(2);
        decoded.push(char::from(u8::from_str_radix(code, 16).unwrap()));
        decoded.push_str(&rest.replace('+', " "));
    }
    decoded
}

/// A case in the making: its server, and what `{u1.id}` and the like stand for.
#[derive(Default)]
struct Run {
    server: Server,
    ids: BTreeMap<String, String>,
}

impl Run {
    fn fixture(&mut self, fixtures: &Value, name: &str) {
        if self.ids.contains_key(name) {
            return;
        }
        for needed in fixtures[name]["needs"].as_array().unwrap() {
            self.fixture(fixtures, needed.as_str().unwrap());
        }
        let body = self.fill(&fixtures[name]["body"]);
        let (status, made) = self.server.handle("POST", fixtures[name]["path"].as_str().unwrap(), Some(&body));
        assert_eq!(status, 201, "{name}: {made}");
        self.ids.insert(name.to_owned(), made["id"].as_str().unwrap().to_owned());
    }

    fn fill(&self, value: &Value) -> Value {
        serde_json::from_str(&self.fill_text(&value.to_string())).unwrap()
    }

    fn fill_text(&self, text: &str) -> String {
        let filled = text.replace("{run}", "r1");
        self.ids.iter().fold(filled, |text, (name, id)| text.replace(&format!("{{{name}.id}}"), id))
    }
}

/// Walks `emails[type=work]/value`; a missing step gives null.
fn at(value: &Value, path: &str) -> Value {
    let mut value = value.clone();
    for step in steps(path) {
        let (name, index) = match step.split_once('[') {
            Some((name, index)) => (name, Some(index.trim_end_matches(']'))),
            None => (step, None),
        };
        value = value.get(name).cloned().unwrap_or_default();
        let elements = value.as_array().cloned().unwrap_or_default();
        value = match index.map(|index| (index.parse::<usize>(), index.split_once('='))) {
            None => value,
            Some((Ok(index), _)) => elements.get(index).cloned().unwrap_or_default(),
            Some((_, Some((key, wanted)))) => {
                let text = |it: &Value| it.as_str().map_or_else(|| it.to_string(), ToOwned::to_owned);
                elements.into_iter().find(|it| it.get(key).is_some_and(|it| text(it) == wanted)).unwrap_or_default()
            }
            Some(_) => panic!("{path}"),
        };
    }
    value
}

/// Slashes separate steps, but not within brackets.
fn steps(path: &str) -> Vec<&str> {
    let mut depth = 0;
    path.split(|c| {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        c == '/' && depth == 0
    })
    .filter(|step| !step.is_empty())
    .collect()
}

fn holds(check: &Value, value: &Value) -> bool {
    let is_empty = || match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    let list = || value.as_array().cloned().unwrap_or_default();
    let check = check.as_object().unwrap();
    let (kind, wanted) = check
        .iter()
        .find(|(key, _)| !matches!(key.as_str(), "response" | "at" | "get" | "header" | "method" | "path" | "body"))
        .unwrap_or_else(|| panic!("nothing to check in {check:?}"));
    match kind.as_str() {
        "eq" => value == wanted,
        "absent" => value.is_null() || *value == json!([]),
        "present" => !is_empty(),
        "empty" => is_empty(),
        "len" => value.is_array() && json!(list().len()) == *wanted,
        "contains" => list().contains(wanted),
        "values" => {
            let sorted = |list: Vec<Value>| list.into_iter().map(|it| it.to_string()).collect::<BTreeSet<_>>();
            sorted(list().iter().map(|it| it["value"].clone()).collect()) == sorted(wanted.as_array().unwrap().clone())
        }
        "type" => value.is_number(),
        "isarray" => value.is_array(),
        "min" => value.as_i64() >= wanted.as_i64(),
        other => panic!("unknown check {other}"),
    }
}

#[test]
fn every_provider_gets_what_it_relies_on() {
    let fixtures: Value = serde_json::from_str(include_str!("data/fixtures.json")).unwrap();
    let mut failures = Vec::new();
    let mut cases = 0;
    for line in include_str!("data/providers.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        cases += 1;
        let mut run = Run::default();
        for name in case["given"].as_array().unwrap() {
            run.fixture(&fixtures, name.as_str().unwrap());
        }
        let mut fail = |what: String| failures.push(format!("{}: {what}", case["case"]));
        let body = case.get("body").map(|body| run.fill(body));
        let path = run.fill_text(case["path"].as_str().unwrap());
        let (status, answer) = run.server.handle(case["method"].as_str().unwrap(), &path, body.as_ref());
        if !case["status"].as_array().unwrap().contains(&json!(status)) {
            fail(format!("{status} {answer}"));
            continue;
        }
        for check in case["check"].as_array().into_iter().flatten() {
            let check = run.fill(check);
            if check.get("header").is_some() {
                continue;
            }
            if let Some(method) = check["method"].as_str() {
                let (status, _) = run.server.handle(method, check["path"].as_str().unwrap(), check.get("body"));
                if !check["status"].as_array().unwrap().contains(&json!(status)) {
                    fail(format!("{check} gave {status}"));
                }
                continue;
            }
            let source = match check["get"].as_str() {
                Some(path) => run.server.handle("GET", path, None).1,
                None => answer.clone(),
            };
            let value = at(&source, check["at"].as_str().unwrap());
            if !holds(&check, &value) {
                fail(format!("{check} found {value}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {cases} cases:\n{}", failures.len(), failures.join("\n"));
    assert!(cases > 100, "only {cases} cases were read");
}
