//! What loading promises, on small files.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use super::*;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    gateway: Gateway,
    store: Store,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Gateway {
    listen: SocketAddr,
    workers: u16,
    strict: bool,
    #[serde(with = "humantime_serde")]
    timeout: Duration,
    pepper: Option<Secret>,
    key: Option<SecretBytes>,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            workers: 2,
            strict: true,
            timeout: Duration::from_secs(30),
            pepper: None,
            key: None,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Store {
    path: String,
}

impl Validate for Config {
    fn validate(&self, problems: &mut Problems) {
        problems.within("gateway", |problems| {
            problems.require(self.gateway.workers > 0, "workers", "there are none", "at least 1");
        });
        problems.within("store", |problems| {
            problems.require(!self.store.path.is_empty(), "path", "it is missing", "the path of the database");
        });
    }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn load_text(text: &str, env: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load(Some(file(text).path()), "ROLECALL_", env)
}

fn keys(result: Result<Config, ConfigErrors>) -> Vec<String> {
    let mut keys: Vec<_> = result.unwrap_err().0.into_iter().map(|problem| problem.key).collect();
    keys.sort();
    keys
}

#[test]
fn the_environment_overrides_the_file_and_the_file_the_defaults() {
    let config = load_text(
        "[gateway]\nlisten = \"0.0.0.0:1\"\nworkers = 3\n[store]\npath = \"a.db\"",
        &[
            ("ROLECALL_GATEWAY__WORKERS", "8"),
            ("ROLECALL_GATEWAY__STRICT", "false"),
            ("ROLECALL_GATEWAY__TIMEOUT", "1m 5s"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.gateway.listen.port(), 1);
    assert_eq!(config.gateway.workers, 8);
    assert!(!config.gateway.strict);
    assert_eq!(config.gateway.timeout, Duration::from_secs(65));
    assert_eq!(config.store.path, "a.db");
}

#[test]
fn the_environment_alone_is_enough() {
    let env = [("ROLECALL_STORE__PATH".to_owned(), "5".to_owned())];
    assert_eq!(load::<Config>(None, "ROLECALL_", env).unwrap().store.path, "5");
}

#[test]
fn all_mistakes_of_all_kinds_are_reported_at_once() {
    let text = "colour = 1\n[gateway]\nlisten = \"here\"\nworkers = \"many\"\ntimeout = 5\ntimout = \"5s\"\n\
                [stoer]\npath = \"x\"";
    let result = load_text(text, &[("ROLECALL_GATEWAY__STRICT", "maybe"), ("ROLECALL_NOBODY", "1")]);
    assert_eq!(
        keys(result),
        [
            "colour",
            "gateway.listen",
            "gateway.strict",
            "gateway.timeout",
            "gateway.timout",
            "gateway.workers",
            "nobody",
            "stoer",
            "store.path"
        ]
    );
}

#[test]
fn a_message_says_what_would_be_right_and_where_the_mistake_came_from() {
    let errors = load_text("[store]\npath = \"x\"\n[gateway]\nlisten = \"here\"", &[("ROLECALL_GATEWAY__X", "1")]);
    let text = errors.unwrap_err().to_string();
    assert!(text.starts_with("the configuration has 2 mistakes:"), "{text}");
    assert!(text.contains("gateway.listen: ") && text.contains("(file "), "{text}");
    assert!(text.contains("gateway.x: no such key (environment); expected one of `listen`, `workers`"), "{text}");
}

#[test]
fn what_is_checked_is_also_reported_beside_what_could_not_be_read() {
    assert_eq!(
        keys(load_text("[gateway]\nworkers = 0\nlisten = 3", &[])),
        ["gateway.listen", "gateway.workers", "store.path"]
    );
}

#[test]
fn a_file_that_is_missing_or_not_toml_is_named() {
    let missing = load::<Config>(Some(Path::new("/nowhere/rolecall.toml")), "ROLECALL_", []).unwrap_err();
    assert_eq!(missing.0[0].key, "/nowhere/rolecall.toml");
    let broken = load_text("[store]\npath = \"x\"\n[gateway\n", &[]).unwrap_err();
    assert!(broken.0[0].key.ends_with(", line 3"), "{broken}");
}

#[test]
fn secrets_come_from_a_file_or_the_environment_and_are_never_printed() {
    let (secret, key) = (file("hunter2\n"), file(&"0a".repeat(32)));
    let text = |pepper: &str| {
        let key = key.path().display();
        format!("[store]\npath = \"x\"\n[gateway]\npepper = {pepper}\nkey = {{ file = \"{key}\" }}")
    };
    let config = load_text(&text(&format!("{{ file = \"{}\" }}", secret.path().display())), &[]).unwrap();
    assert_eq!(config.gateway.pepper.as_ref().unwrap().expose(), "hunter2");
    // A variable that every test has.
    let named = load_text(&text("{ env = \"CARGO_PKG_NAME\" }"), &[]).unwrap();
    assert_eq!(named.gateway.pepper.unwrap().expose(), env!("CARGO_PKG_NAME"));
    let missing = load_text(&text("{ env = \"ROLECALL_TEST_NOBODY_SETS_THIS\" }"), &[]).unwrap_err();
    assert!(missing.to_string().contains("no variable ROLECALL_TEST_NOBODY_SETS_THIS"), "{missing}");
    assert_eq!(config.gateway.key.as_ref().unwrap().expose(), &[10; 32]);
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(!format!("{config:?}").contains("10, 10"));
}

#[test]
fn a_text_of_digits_in_the_environment_stays_as_it_is() {
    let env = [("ROLECALL_STORE__PATH", "0012345678901234567890")];
    assert_eq!(load_text("", &env).unwrap().store.path, "0012345678901234567890");
}

#[test]
fn a_secret_never_stands_in_the_configuration_itself() {
    let literal = "[store]\npath = \"x\"\n[gateway]\npepper = { value = \"hunter2\" }\nkey = \"hunter2\"";
    let errors = load_text(literal, &[]).unwrap_err();
    assert_eq!(errors.0.len(), 2, "{errors}");
    for problem in &errors.0 {
        assert!(problem.right.contains("{ file = \"/run/secrets/x\" } or { env = \"NAME\" }"), "{problem}");
    }
    assert!(errors.to_string().contains("gateway.pepper: the secret stands in the configuration itself"), "{errors}");
    let env = [("ROLECALL_STORE__PATH", "x"), ("ROLECALL_GATEWAY__PEPPER__VALUE", "hunter2")];
    assert_eq!(keys(load_text("", &env)), ["gateway.pepper"]);
}

#[test]
fn no_message_repeats_a_value_since_it_may_be_a_secret_in_the_wrong_place() {
    let text = "[store]\npath = \"x\"\n[gateway]\npepper = \"hunter2\"\nworkers = \"hunter2\"\nlisten = \"hunter2\"\n\
                timeout = \"hunter2\"\nkey = { value = \"hunter2\" }";
    let errors = load_text(text, &[("ROLECALL_GATEWAY__STRICT", "hunter2")]).unwrap_err();
    assert_eq!(errors.0.len(), 6, "{errors}");
    assert!(!errors.to_string().contains("hunter2"), "{errors}");
    let torn = load_text("[store]\npath = \"hunter2\nx = 1", &[]).unwrap_err();
    assert!(!torn.to_string().contains("hunter2"), "{torn}");
}

#[test]
fn a_secret_without_or_with_two_places_is_refused() {
    let both = "[store]\npath = \"x\"\n[gateway]\npepper = { file = \"/x\", env = \"PATH\" }";
    assert_eq!(keys(load_text(both, &[])), ["gateway.pepper"]);
    assert_eq!(keys(load_text("[store]\npath = \"x\"\n[gateway]\npepper = {}", &[])), ["gateway.pepper"]);
    let empty = file("\n");
    let empty = format!("[store]\npath = \"x\"\n[gateway]\npepper = {{ file = \"{}\" }}", empty.path().display());
    assert_eq!(keys(load_text(&empty, &[])), ["gateway.pepper"]);
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Strict {
    left: Volume,
    right: Volume,
}

#[derive(Debug, Deserialize)]
struct Volume {
    path: String,
    size: u32,
}

impl Validate for Strict {
    fn validate(&self, problems: &mut Problems) {
        problems.require(self.left.size < self.right.size, "left.size", "it is not smaller", "less than the right");
        problems.require(self.left.path != self.right.path, "left.path", "it is taken", "another path");
    }
}

#[test]
fn sections_without_defaults_report_at_least_one_mistake_each() {
    let load = |text: &str| load::<Strict>(Some(file(text).path()), "ROLECALL_", []).map(|_| ()).unwrap_err();
    let keys = |errors: ConfigErrors| errors.0.into_iter().map(|problem| problem.key).collect::<Vec<_>>();
    assert_eq!(keys(load("[left]\nsize = 1\n[right]\npath = 3\nsize = 2")), ["left.path", "right.path"]);
    assert_eq!(keys(load("[left]\npath = \"x\"\nsize = 1")), ["right"]);
    assert_eq!(keys(load("")), ["left"]);
}
