//! B11: suites and clients that nobody here wrote, against the running product.
//!
//! `scim2-cli` brings the suite of `scim2-tester` and a client; `scim-sanity` is a probe of its own; `grpcio` calls
//! role-resolver, of which it knows what reflection tells, as `peers/roles.py` says. Any failure fails
//! the run, except for those in [`LIMITS`]: what `scim2-tester` can't be satisfied in, each with its reason.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::dev::Dev;
use crate::packages;
use crate::stage::{Stages, cargo, root, run};

/// What is installed, from `PyPI`.
const PACKAGES: [&str; 7] = [
    "scim2-cli==0.6.0",
    "scim2-tester==0.5.2",
    "scim2-client==0.13.2",
    "scim2-models==0.12.3",
    "scim-sanity==0.7.4",
    "grpcio==1.85.1",
    "grpcio-reflection==1.85.1",
];

/// A check of `scim2-tester` that fails for a reason of the suite's own.
struct Limit {
    check: &'static str,
    /// What its explanation holds.
    says: &'static str,
    why: &'static str,
}

const READ_ONLY: &str = "every attribute of the extension is read-only, but the suite writes an empty object to its URN \
                         and expects to read that back";

const NOBODY_WRITES: &str = "roles are what Fluent and the rules make of them; the suite begins each check of a resource \
                             type by creating a resource";

/// A check of the resource type that nobody writes, which ends at its first step.
const fn of_roles(check: &'static str) -> Limit {
    Limit { check, says: "this endpoint does not have that method", why: NOBODY_WRITES }
}

/// Each stands for one failure.
const LIMITS: [Limit; 15] = [
    Limit { check: "check_add_attribute", says: "extension:fluent:2.0:User'", why: READ_ONLY },
    Limit { check: "check_replace_attribute", says: "extension:fluent:2.0:User'", why: READ_ONLY },
    Limit { check: "check_remove_attribute", says: "extension:fluent:2.0:User'", why: READ_ONLY },
    Limit {
        check: "check_add_attribute",
        says: "extension:fluent:2.0:Group:roles'",
        why: "the suite adds a value to a list it has already added one to, and expects only the second",
    },
    of_roles("object_creation"),
    of_roles("object_query"),
    of_roles("object_query_without_id"),
    of_roles("object_query_with_attributes"),
    of_roles("object_list_with_attributes"),
    of_roles("search_with_attributes"),
    of_roles("object_replacement"),
    of_roles("object_deletion"),
    of_roles("check_add_attribute"),
    of_roles("check_remove_attribute"),
    of_roles("check_replace_attribute"),
];

/// Builds the program they are run against.
pub(crate) fn build(stages: &mut Stages) -> Result<()> {
    stages.run("build", || run(&mut cargo(&["build", "-p", "rolecall", "--bins", "--locked"])))
}

/// Runs all of them.
pub(crate) fn run_all(stages: &mut Stages) -> Result<()> {
    let tools = stages.run("foreign suites", installed)?;
    let dev = stages.run("rolecall dev", Dev::start)?;
    stages.run("scim2-tester", || tester(&tools, &dev))?;
    stages.run("scim-sanity", || sanity(&tools, &dev))?;
    stages.run("scim2-client", || client(&tools, &dev))?;
    stages.run("grpcio", || grpcio(&tools, &dev))?;
    stages.run("the developers' page", || page(&dev))
}

/// The folder of the installed programs.
fn installed() -> Result<PathBuf> {
    let folder = root().join("target/tools/peers");
    let (programs, mark) = (folder.join("bin"), folder.join("installed"));
    let wanted = PACKAGES.join("\n");
    if std::fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(programs);
    }
    packages::python()?;
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    run(Command::new(programs.join("pip")).args(["install", "--quiet", "--disable-pip-version-check"]).args(PACKAGES))?;
    std::fs::write(mark, wanted)?;
    Ok(programs)
}

/// `scim …`, the program of `scim2-cli`; the token is not on the command line.
fn scim(tools: &std::path::Path, dev: &Dev, arguments: &[&str]) -> Command {
    let mut command = Command::new(tools.join("scim"));
    command
        .args(arguments)
        .env("SCIM_CLI_URL", &dev.scim)
        .env("SCIM_CLI_HEADERS", format!("Authorization: Bearer {}", dev.token))
        .stdin(Stdio::null());
    command
}

fn tester(tools: &std::path::Path, dev: &Dev) -> Result<()> {
    let output = scim(tools, dev, &["test"]).output().context("starting scim test")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (passed, failures) = outcomes(&text);
    let mut limits: Vec<_> = LIMITS.iter().collect();
    let is = |limit: &Limit, failure: &str| failure.lines().next() == Some(limit.check) && failure.contains(limit.says);
    let mut is_known = |failure: &String| {
        let at = limits.iter().position(|limit| is(limit, failure));
        at.map(|at| limits.swap_remove(at)).is_some()
    };
    let unknown: Vec<_> = failures.iter().filter(|failure| !is_known(failure)).collect();
    ensure!(unknown.is_empty(), "{} checks fail:\n{}", unknown.len(), join(&unknown));
    for gone in limits {
        println!("{} of {} no longer fails: take it out of the list", gone.check, gone.says);
    }
    ensure!(passed > 100, "only {passed} checks ran:\n{text}\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{passed} checks pass; {} can't:", LIMITS.len());
    for Limit { check, says, why } in LIMITS {
        println!("  {check} of {}: {why}", says.trim_end_matches('\''));
    }
    Ok(())
}

fn join(failures: &[&String]) -> String {
    failures.iter().map(|failure| failure.as_str()).collect::<Vec<_>>().join("\n")
}

/// How many checks passed, and what is said of each that did not: its name, then its explanation.
fn outcomes(text: &str) -> (usize, Vec<String>) {
    let (mut passed, mut failures) = (0, Vec::<String>::new());
    let mut failing = false;
    for line in text.lines() {
        if line.starts_with("SUCCESS ") {
            (passed, failing) = (passed + 1, false);
        } else if let Some((status, check)) = line.split_once(' ').filter(|(status, _)| is_status(status)) {
            failing = status != "SKIPPED" && status != "ACCEPTABLE";
            if failing {
                failures.push(check.to_owned());
            }
        } else if let Some(failure) = failures.last_mut().filter(|_| failing) {
            failure.push('\n');
            failure.push_str(line);
        }
    }
    (passed, failures)
}

fn is_status(word: &str) -> bool {
    ["ERROR", "CRITICAL", "COMPLIANT", "DEVIATION", "SKIPPED", "ACCEPTABLE"].contains(&word)
}

fn sanity(tools: &std::path::Path, dev: &Dev) -> Result<()> {
    run(Command::new(tools.join("scim-sanity"))
        .args(["probe", &dev.scim, "--token", &dev.token, "--i-accept-side-effects"])
        .stdin(Stdio::null()))
}

/// A day in the life of a user and a group, by a client that reads our schemas and believes them.
fn client(tools: &std::path::Path, dev: &Dev) -> Result<()> {
    let call = |arguments: &[&str]| -> Result<Value> {
        let output = scim(tools, dev, arguments).output().context("starting scim")?;
        let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "scim {arguments:?}: {said}{wrong}");
        if said.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&said).with_context(|| format!("scim {arguments:?} prints no JSON: {said}"))
    };
    let id = |resource: &Value| resource["id"].as_str().map(str::to_owned).context("a resource has no id");
    let emails = r#"[{"value": "bo@example.com", "type": "work", "primary": true}]"#;
    let label = r#"[{"value": "AGENT_CHIC-01_WAREHOUSE_ASSOCIATE"}]"#;
    let user = id(&call(&["create", "user", "--user-name", "bo@example.com", "--emails", emails, "--roles", label])?)?;
    let again = scim(tools, dev, &["create", "user", "--user-name", "BO@example.com"]).output()?;
    ensure!(String::from_utf8_lossy(&again.stdout).contains("409"), "a name is given twice");
    let found = call(&["query", "user", "--filter", r#"emails[type eq "work"].value eq "BO@EXAMPLE.COM""#])?;
    ensure!(found["totalResults"] == 1, "the user is not found by its address: {found}");
    let changed =
        call(&["modify", "user", &user, "replace", "title", "Picker", "remove", r#"emails[type eq "work"]"#])?;
    ensure!(changed["title"] == "Picker" && changed.get("emails").is_none(), "the PATCH did not do it: {changed}");
    let replaced = call(&["replace", "user", "--id", &user, "--user-name", "bo@example.com", "--nick-name", "Bo"])?;
    ensure!(replaced.get("title").is_none() && replaced["roles"][0]["value"].is_string(), "{replaced}");

    let members = format!(r#"[{{"value": "{user}"}}]"#);
    let group = id(&call(&["create", "group", "--display-name", "Foreign peers", "--members", &members])?)?;
    let read = call(&["query", "group", &group])?;
    ensure!(read["members"][0]["value"] == user.as_str(), "the member is missing: {read}");
    let empty = call(&["modify", "group", &group, "remove", &format!(r#"members[value eq "{user}"]"#)])?;
    ensure!(empty["members"].as_array().is_none_or(Vec::is_empty), "the member stayed: {empty}");
    for (kind, id) in [("group", &group), ("user", &user)] {
        call(&["delete", kind, id])?;
        let gone = scim(tools, dev, &["query", kind, id]).output()?;
        ensure!(String::from_utf8_lossy(&gone.stdout).contains("404"), "the {kind} is still there");
    }
    Ok(())
}

/// Every method of role-resolver, called by a client that learns all of it by reflection.
fn grpcio(tools: &std::path::Path, dev: &Dev) -> Result<()> {
    run(Command::new(tools.join("python"))
        .arg(root().join("xtask/peers/roles.py"))
        .env("SCIM", &dev.scim)
        .env("TOKEN", &dev.token)
        .env("GRPC", &dev.grpc)
        .stdin(Stdio::null()))
}

/// Runs the `sh` blocks of `docs/try-it.md` as one script, so that the page is true.
fn page(dev: &Dev) -> Result<()> {
    let text = std::fs::read_to_string(root().join("docs/try-it.md")).context("reading docs/try-it.md")?;
    let script = blocks(&text);
    ensure!(script.matches("call ").count() > 20, "docs/try-it.md has lost its calls");
    let output = Command::new("bash")
        .args(["-eu", "-o", "pipefail", "-c", &script])
        .env("SCIM", &dev.scim)
        .env("TOKEN", &dev.token)
        .env("FLUENT", &dev.fluent)
        .stdin(Stdio::null())
        .output()
        .context("starting bash")?;
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "docs/try-it.md stops: {said}\n{wrong}");
    Ok(())
}

/// What stands between "```sh" and "```", in order.
fn blocks(markdown: &str) -> String {
    let mut inside = false;
    let mut script = String::new();
    for line in markdown.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            line if inside => {
                script.push_str(line);
                script.push('\n');
            }
            _ => {}
        }
    }
    script
}

#[cfg(test)]
mod tests {
    use super::{blocks, outcomes};

    #[test]
    fn only_blocks_for_the_shell_are_run() {
        assert_eq!(blocks("a\n```sh\nb\nc\n```\n```\nd\n```\n```sh\ne\n```\n"), "b\nc\ne\n");
    }

    #[test]
    fn what_fails_is_told_from_what_passes_and_what_is_left_out() {
        let text =
            "Performing a check\nSUCCESS a\n  fine\nERROR b\n  because\n  of this\nSKIPPED c\n  no need\nSUCCESS d\n";
        assert_eq!(outcomes(text), (2, vec!["b\n  because\n  of this".to_owned()]));
    }
}
