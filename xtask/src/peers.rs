//! B11: suites and clients that nobody here wrote, against the running product.
//!
//! `scim2-cli` brings the suite of `scim2-tester` and a client; `scim-sanity` is a probe of its own; `grpcio` calls
//! role-resolver, of which it knows what reflection tells, as `peers/roles.py` says. The two suites meet a tenant that is
//! read leniently and one that is read by the letter. Any failure fails the run; what of `scim2-tester` can't pass is a
//! fault of its own, and [`tester`] names it.

mod tester;

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

/// Builds the program they are run against.
pub(crate) fn build(stages: &mut Stages) -> Result<()> {
    stages.run("build", || run(&mut cargo(&["build", "-p", "rolecall", "--bins", "--locked"])))
}

/// Runs all of them.
pub(crate) fn run_all(stages: &mut Stages) -> Result<()> {
    let tools = stages.run("foreign suites", installed)?;
    let strict = stages.run("rolecall dev, strict", || Dev::start("strict"))?;
    stages.run("scim2-tester, strict", || tester::run(&tools, &strict, &[]))?;
    stages.run("scim-sanity, strict", || sanity(&tools, &strict))?;
    drop(strict);
    let dev = stages.run("rolecall dev, lenient", || Dev::start("lenient"))?;
    stages.run("scim2-tester, lenient", || tester::run(&tools, &dev, &tester::WRITTEN))?;
    stages.run("scim-sanity, lenient", || sanity(&tools, &dev))?;
    stages.run("scim2-client", || client(&tools, &dev))?;
    stages.run("scim2-client, roles", || roles(&tools, &dev))?;
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

fn sanity(tools: &std::path::Path, dev: &Dev) -> Result<()> {
    run(Command::new(tools.join("scim-sanity"))
        .args(["probe", &dev.scim, "--token", &dev.token, "--i-accept-side-effects"])
        .stdin(Stdio::null()))
}

/// What the client prints as JSON; null for nothing.
fn call(tools: &std::path::Path, dev: &Dev, arguments: &[&str]) -> Result<Value> {
    let output = scim(tools, dev, arguments).output().context("starting scim")?;
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "scim {arguments:?}: {said}{wrong}");
    if said.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&said).with_context(|| format!("scim {arguments:?} prints no JSON: {said}"))
}

/// A day in the life of a user and a group, by a client that reads our schemas and believes them.
fn client(tools: &std::path::Path, dev: &Dev) -> Result<()> {
    let call = |arguments: &[&str]| call(tools, dev, arguments);
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

/// The roles to pick from, read by the same client: found, listed, and written by nobody.
fn roles(tools: &std::path::Path, dev: &Dev) -> Result<()> {
    let label = "AGENT_CHIC-01_WAREHOUSE_ASSOCIATE";
    let found = call(tools, dev, &["query", "role", "--filter", r#"id sw "AGENT_CHIC-01_""#])?;
    let listed = found["Resources"].as_array().context("no roles are listed")?;
    ensure!(listed.iter().any(|role| role["id"] == label), "{label} is not among {found}");
    let role = call(tools, dev, &["query", "role", label])?;
    ensure!(role["displayName"] == label, "{role}");
    let short = call(tools, dev, &["query", "role", label, "--excluded-attribute", "description"])?;
    ensure!(short["displayName"] == label && short.get("description").is_none(), "{short}");
    let made = scim(tools, dev, &["create", "role", "--external-id", "x"]).output()?;
    let answer = String::from_utf8_lossy(&made.stdout);
    let status = serde_json::from_str::<Value>(&answer).map(|error| error["status"].clone());
    ensure!(
        status.is_ok_and(|status| status == "405"),
        "a role can be created, or nobody says that it can't: {answer}"
    );
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
    use super::blocks;

    #[test]
    fn only_blocks_for_the_shell_are_run() {
        assert_eq!(blocks("a\n```sh\nb\nc\n```\n```\nd\n```\n```sh\ne\n```\n"), "b\nc\ne\n");
    }
}
