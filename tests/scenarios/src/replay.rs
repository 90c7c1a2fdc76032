//! Replays what real identity providers send, and checks what they need back.
//!
//! `data/requests.jsonl` holds one case a line: the resources it starts from (`given`, made from `data/fixtures.json`),
//! one request, and what must be true of the answer and of what is read afterwards. Every case has its own resources.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use harness::{Answer, Scim};
use serde_json::Value;

/// How much an IdP minds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It may be answered either way.
    Optional,
    /// Some set-ups stumble.
    Should,
    /// Provisioning breaks.
    Must,
}

/// What came of one case.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// `idp/name`.
    pub case: String,
    /// How much it matters.
    pub level: Level,
    /// What was wrong; empty if nothing was.
    pub faults: Vec<String>,
}

/// Replays every case against `scim`, one after another.
pub async fn replay(scim: &Scim) -> Result<Vec<Outcome>> {
    let fixtures: Value = serde_json::from_str(include_str!("../data/fixtures.json"))?;
    let mut outcomes = Vec::new();
    for (number, line) in include_str!("../data/requests.jsonl").lines().enumerate() {
        let case: Value = serde_json::from_str(line)?;
        let names = BTreeMap::from([("run".to_owned(), format!("r{number}"))]);
        let mut run = Run { scim, fixtures: &fixtures, names, made: Vec::new(), faults: Vec::new() };
        run.case(&case).await?;
        run.clean_up().await?;
        outcomes.push(Outcome {
            case: format!("{}/{}", text(&case["idp"]), text(&case["name"])),
            level: match text(&case["level"]) {
                "must" => Level::Must,
                "should" => Level::Should,
                _ => Level::Optional,
            },
            faults: run.faults,
        });
    }
    Ok(outcomes)
}

struct Run<'a> {
    scim: &'a Scim,
    fixtures: &'a Value,
    /// What `{run}` and `{name.id}` stand for in this case.
    names: BTreeMap<String, String>,
    made: Vec<String>,
    faults: Vec<String>,
}

impl Run<'_> {
    async fn case(&mut self, case: &Value) -> Result<()> {
        for name in case["given"].as_array().into_iter().flatten() {
            self.fixture(text(name)).await?;
        }
        let path = self.fill_text(text(&case["path"]));
        let body = self.fill(&case["body"]);
        let answer = self.send(text(&case["method"]), &path, Some(&case["headers"]), &body).await?;
        if answer.status == 201 && !answer.id().is_empty() {
            self.made.push(format!("{path}/{}", answer.id()));
        }
        let expected = case["expect"]["status"].as_array().cloned().unwrap_or_default();
        if answer.status >= 500 || !expected.contains(&answer.status.into()) {
            self.faults.push(format!("status {}, not one of {expected:?}: {}", answer.status, answer.body));
            return Ok(());
        }
        for check in case["expect"]["check"].as_array().into_iter().flatten() {
            let check = self.fill(check);
            self.check(&check, &answer).await?;
        }
        Ok(())
    }

    /// Makes a resource, those it needs first.
    async fn fixture(&mut self, name: &str) -> Result<()> {
        let mut wanted = vec![name.to_owned()];
        while let Some(name) = wanted.last().cloned() {
            let fixture = &self.fixtures[&name];
            let known = |name: &str| self.names.contains_key(&format!("{name}.id"));
            let missing: Vec<_> =
                fixture["needs"].as_array().into_iter().flatten().map(text).filter(|need| !known(need)).collect();
            if !missing.is_empty() {
                wanted.extend(missing.into_iter().map(str::to_owned));
                continue;
            }
            wanted.pop();
            if !known(&name) {
                let path = text(&fixture["path"]);
                let made = self.scim.post(path, &self.fill(&fixture["body"])).await?;
                ensure!(made.status == 201, "fixture {name}: {} {}", made.status, made.body);
                self.made.push(format!("{path}/{}", made.id()));
                self.names.insert(format!("{name}.id"), made.id().to_owned());
            }
        }
        Ok(())
    }

    async fn check(&mut self, check: &Value, answer: &Answer) -> Result<()> {
        if let Some(header) = check["header"].as_str() {
            let found = answer.header(header);
            if found.is_empty() || !found.starts_with(check["prefix"].as_str().unwrap_or_default()) {
                self.faults.push(format!("header {header} is {found:?}"));
            }
        } else if let Some(method) = check["method"].as_str() {
            let path = text(&check["path"]);
            let then = self.send(method, path, None, &check["body"]).await?;
            if method == "POST" && then.status == 201 {
                self.made.push(format!("{path}/{}", then.id()));
            }
            if !check["status"].as_array().is_some_and(|wanted| wanted.contains(&then.status.into())) {
                self.faults.push(format!("{method} {path} answers {}: {}", then.status, then.body));
            }
        } else {
            let read = match check["get"].as_str() {
                Some(path) => Some(self.send("GET", path, None, &Value::Null).await?),
                None => None,
            };
            let body = &read.as_ref().unwrap_or(answer).body;
            let found = select(body, text(&check["at"]));
            if !holds(check, found) {
                self.faults.push(format!("{check} but found {}", found.unwrap_or(&Value::Null)));
            }
        }
        Ok(())
    }

    async fn send(&self, method: &str, path: &str, headers: Option<&Value>, body: &Value) -> Result<Answer> {
        let headers: Vec<(&str, &str)> = headers
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
            .collect();
        let body = (!body.is_null()).then_some(body);
        self.scim.send(method.parse()?, &encode(path), &headers, body).await.with_context(|| format!("{method} {path}"))
    }

    async fn clean_up(&mut self) -> Result<()> {
        for path in self.made.drain(..).rev() {
            self.scim.delete(&path).await?;
        }
        Ok(())
    }

    fn fill_text(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    fn fill(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.fill_text(text)),
            Value::Array(items) => items.iter().map(|item| self.fill(item)).collect(),
            Value::Object(map) => {
                Value::Object(map.iter().map(|(key, value)| (self.fill_text(key), self.fill(value))).collect())
            }
            other => other.clone(),
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Percent-encodes a query that was written for people to read.
fn encode(path: &str) -> String {
    let Some((path, query)) = path.split_once('?') else { return path.to_owned() };
    let mut out = format!("{path}?");
    let plain = !query.contains([' ', '"', '[']);
    for byte in query.bytes() {
        if plain || byte.is_ascii_alphanumeric() || b"=&_.-~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// `Resources[0]/id`, `emails[type=work]/value`: a step for each name, `[n]` or `[key=value]` picks an element. A `/`
/// inside brackets is part of the value.
fn select<'a>(value: &'a Value, selector: &str) -> Option<&'a Value> {
    let mut steps = vec![String::new()];
    let mut depth = 0;
    for c in selector.chars() {
        match c {
            '/' if depth == 0 => steps.push(String::new()),
            c => {
                depth += i32::from(c == '[') - i32::from(c == ']');
                if let Some(step) = steps.last_mut() {
                    step.push(c);
                }
            }
        }
    }
    steps.iter().filter(|step| !step.is_empty()).try_fold(value, |value, step| {
        let Some((name, pick)) = step.strip_suffix(']').and_then(|step| step.split_once('[')) else {
            return value.get(step);
        };
        let items = value.get(name)?.as_array()?;
        if let Ok(index) = pick.parse::<usize>() {
            return items.get(index);
        }
        let (key, wanted) = pick.split_once('=')?;
        items.iter().find(|item| match &item[key] {
            Value::String(text) => text == wanted,
            Value::Null => false,
            other => serde_json::from_str(wanted).is_ok_and(|wanted: Value| *other == wanted),
        })
    })
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn holds(check: &Value, found: Option<&Value>) -> bool {
    let has = |key: &str| check.get(key).is_some();
    let items = found.and_then(Value::as_array);
    match found {
        _ if has("eq") => found == Some(&check["eq"]),
        _ if has("absent") => found.is_none_or(|value| value.is_null() || *value == Value::Array(Vec::new())),
        _ if has("present") => found.is_some_and(|value| !is_blank(value)),
        _ if has("empty") => found.is_none_or(is_blank),
        _ if has("len") => items.is_some_and(|items| Some(items.len() as u64) == check["len"].as_u64()),
        _ if has("contains") => items.is_some_and(|items| items.contains(&check["contains"])),
        _ if has("values") => {
            let mut found: Vec<String> = items.into_iter().flatten().map(|item| item["value"].to_string()).collect();
            let mut wanted: Vec<String> =
                check["values"].as_array().into_iter().flatten().map(ToString::to_string).collect();
            found.sort();
            wanted.sort();
            found == wanted
        }
        _ if has("type") => found.is_some_and(Value::is_number),
        _ if has("isarray") => items.is_some(),
        _ if has("min") => found.and_then(Value::as_i64) >= check["min"].as_i64(),
        _ => false,
    }
}
