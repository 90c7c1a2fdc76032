//! Configuration: one typed TOML file plus the environment, with all mistakes reported at once.
//!
//! `[gateway] listen = "…"` in the file and `ROLECALL_GATEWAY__LISTEN=…` in the environment are the same key; the
//! environment wins. A configuration type is plain serde: give every struct `#[serde(default, deny_unknown_fields)]`, so
//! that one bad value leaves the rest readable, and check what must be there in [`Validate`].

mod problems;
mod secret;

use std::collections::BTreeSet;
use std::path::Path;

use figment::error::Kind;
use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde::de::DeserializeOwned;

pub use problems::{ConfigErrors, Problem, Problems, Validate};
pub use secret::{Secret, SecretBytes};

/// More mistakes than anybody reads at once; also what bounds the work on a hostile file.
const MAX_PROBLEMS: usize = 100;

/// Reads the file (if one is named) and those variables of `env` that start with `prefix`, and checks the whole.
///
/// `env` is usually [`std::env::vars`] without the variables that are not configuration (such as the one that names the
/// file). A value that starts with `[`, `{` or `"` is read as TOML would; anything else is taken as it stands.
///
/// # Errors
///
/// Every mistake: unknown keys, values of a wrong type, and what [`Validate`] finds in what could be read. No value is
/// ever repeated in a message, since it may be a secret in the wrong place.
pub fn load<C>(
    path: Option<&Path>,
    prefix: &str,
    env: impl IntoIterator<Item = (String, String)>,
) -> Result<C, ConfigErrors>
where
    C: DeserializeOwned + Validate,
{
    let mut problems = Problems::default();
    let file = path.and_then(|path| read_file(path, &mut problems)).unwrap_or_default();
    let merged = Figment::new()
        .merge(Layer { name: path.map_or_else(String::new, |path| format!("file {}", path.display())), data: file })
        .merge(Layer { name: "environment".to_owned(), data: read_env(prefix, env, &mut problems) });
    let data = merged.data().ok().and_then(|mut profiles| profiles.remove(&Profile::Default)).unwrap_or_default();
    if let Some(config) = extract::<C>(data, &merged, &mut problems) {
        let mut found = Problems::default();
        config.validate(&mut found);
        // A value that could not be read was replaced by its default: what is wrong with that is nobody's mistake.
        problems.extend(found.into_iter().filter(|new| !problems.covers(&new.key)).collect::<Vec<_>>());
        if problems.is_empty() {
            return Ok(config);
        }
    }
    Err(problems.into_errors())
}

fn read_file(path: &Path, problems: &mut Problems) -> Option<Dict> {
    let key = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            problems.add(key, format!("the file cannot be read: {error}"), "the path of a readable TOML file");
            return None;
        }
    };
    match Toml::from_str::<Dict>(&text) {
        Ok(data) => Some(data),
        Err(error) => {
            let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            let place = line.map(|line| format!(", line {line}")).unwrap_or_default();
            problems.add(key + &place, format!("it is not TOML: {}", error.message()), "valid TOML");
            None
        }
    }
}

fn read_env(prefix: &str, env: impl IntoIterator<Item = (String, String)>, problems: &mut Problems) -> Dict {
    let mut data = Dict::new();
    let mut keys = BTreeSet::new();
    for (name, text) in env {
        let Some(key) = name.strip_prefix(prefix) else { continue };
        let key = key.to_ascii_lowercase();
        let path: Vec<&str> = key.split("__").collect();
        if path.iter().any(|part| part.is_empty()) {
            problems.add(name, "it names no key", format!("{prefix}SECTION__KEY"));
            continue;
        }
        if !keys.insert(key.clone()) {
            problems.add(&name, "two variables set the same key", "one variable for each key");
        }
        let value = match text.trim_start().as_bytes().first() {
            Some(b'[' | b'{' | b'"') => text.parse().unwrap_or_else(|never| match never {}),
            _ => Value::from(text),
        };
        insert(&mut data, &path, value);
    }
    data
}

fn insert(data: &mut Dict, path: &[&str], value: Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        data.insert((*first).to_owned(), value);
        return;
    }
    let inner = data.entry((*first).to_owned()).or_insert_with(|| Value::from(Dict::new()));
    if !matches!(inner, Value::Dict(..)) {
        *inner = Value::from(Dict::new());
    }
    if let Value::Dict(_, inner) = inner {
        insert(inner, rest, value);
    }
}

/// Deserialises `data`; at each mistake notes it, takes the offending key out, and tries again with the rest.
fn extract<C: DeserializeOwned>(mut data: Dict, source: &Figment, problems: &mut Problems) -> Option<C> {
    loop {
        let layer = Layer { name: String::new(), data: data.clone() };
        let error = match Figment::from(layer).extract_lossy::<C>() {
            Ok(config) => return Some(config),
            Err(error) => error,
        };
        let mut path = error.path.clone();
        // The path leads to what is there; what is missing lies one step further.
        if let Kind::MissingField(field) = &error.kind {
            path.push(field.to_string());
        }
        let key = path.join(".");
        if !problems.covers(&key) {
            let (wrong, right) = problems::explain(&error.kind);
            let origin = source.find_metadata(&key).map(|metadata| format!(" ({})", metadata.name)).unwrap_or_default();
            problems.add(key, wrong + &origin, right);
        }
        // What cannot be cut out where it stands takes its section with it; with nothing left to cut, that is all.
        while !remove(&mut data, &path) {
            path.pop()?;
        }
        if problems.len() >= MAX_PROBLEMS {
            return None;
        }
    }
}

fn remove(data: &mut Dict, path: &[String]) -> bool {
    match path {
        [] => false,
        [last] => data.remove(last).is_some(),
        [first, rest @ ..] => match data.get_mut(first) {
            Some(Value::Dict(_, inner)) => remove(inner, rest),
            _ => false,
        },
    }
}

/// One layer of configuration, already read.
struct Layer {
    name: String,
    data: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.data.clone()))
    }
}

#[cfg(test)]
mod tests;
