//! The suite of `scim2-tester`, by `scim test`, and the faults of its own for which some of its checks can't pass.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::scim;
use crate::dev::Dev;

/// The types of resources that clients write. The suite begins each check of a type by creating a resource of it, which
/// nobody can of the roles that are there to pick from; those are read by [`super::roles`].
pub(super) const WRITTEN: [&str; 2] = ["User", "Group"];

/// A fault of the suite: where it is, and the check that fails by it.
struct Fault {
    check: &'static str,
    /// What the explanation of the failure holds.
    says: &'static str,
    /// The file, below the folder of the installed packages, and its line.
    at: (&'static str, usize),
    /// What stands there.
    text: &'static str,
    why: &'static str,
}

/// A check of the extension that holds what became of a user, of which clients write nothing.
const fn of_the_extension_nobody_writes(check: &'static str) -> Fault {
    Fault {
        check,
        says: "extension:fluent:2.0:User'",
        at: ("scim2_models/path/path.py", 597),
        text: "if not matches_filters(target_model, field_name):",
        why: "of an extension only its place in the resource is asked whether it can be written, never its attributes: so \
              one whose attributes are all readOnly is written to as an empty object, which is to be read back as one",
    }
}

/// Each stands for one failure.
const FAULTS: [Fault; 4] = [
    of_the_extension_nobody_writes("check_add_attribute"),
    of_the_extension_nobody_writes("check_replace_attribute"),
    of_the_extension_nobody_writes("check_remove_attribute"),
    Fault {
        check: "check_add_attribute",
        says: "extension:fluent:2.0:Group:roles'",
        at: ("scim2_tester/checkers/patch_add.py", 83),
        text: "base_resource = context.resource_manager.create_and_register(model)",
        why: "one resource serves for all paths: with the extension as a whole its list has got a value, and when \
              another is added to the list, that alone is to be read back; RFC 7644 section 3.5.2.1 has both",
    },
];

/// Runs the suite against all types the tenant has, or against the `types` named.
pub(super) fn run(tools: &Path, dev: &Dev, types: &[&str]) -> Result<()> {
    let mut arguments = Vec::new();
    let file;
    if !types.is_empty() {
        file = resource_types(dev, types)?;
        arguments.extend(["--resource-types", file.to_str().context("a path that is no text")?]);
    }
    arguments.push("test");
    let output = scim(tools, dev, &arguments).output().context("starting scim test")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (passed, failures) = outcomes(&text);
    let mut faults: Vec<_> = FAULTS.iter().collect();
    let is = |fault: &Fault, failure: &str| failure.lines().next() == Some(fault.check) && failure.contains(fault.says);
    let mut is_known = |failure: &String| {
        let at = faults.iter().position(|fault| is(fault, failure));
        at.map(|at| faults.swap_remove(at)).is_some()
    };
    let unknown: Vec<_> = failures.iter().filter(|failure| !is_known(failure)).map(String::as_str).collect();
    ensure!(unknown.is_empty(), "{} checks fail:\n{}", unknown.len(), unknown.join("\n"));
    let wrong = String::from_utf8_lossy(&output.stderr);
    ensure!(passed > 100 && !wrong.contains("Traceback"), "only {passed} checks ran:\n{text}\n{wrong}");
    let met: Vec<_> = faults.iter().map(|Fault { check, says, .. }| format!("{check} of {says}")).collect();
    ensure!(met.is_empty(), "no longer failing, or not reached: {met:?}; take out of the list what passes");
    println!("{passed} checks pass; {} can't, for faults of the suite:", FAULTS.len());
    FAULTS.iter().try_for_each(|fault| stands(tools, fault))
}

/// Prints a fault of the suite; refused if the line that has it is another by now.
fn stands(tools: &Path, fault: &Fault) -> Result<()> {
    let Fault { check, says, at: (path, line), text, why } = fault;
    let library = tools.parent().context("programs are in a folder")?.join("lib");
    let pythons = std::fs::read_dir(&library)?.collect::<Result<Vec<_>, _>>()?;
    let files = pythons.iter().map(|python| python.path().join("site-packages").join(path));
    let file = files.into_iter().find(|file| file.exists()).with_context(|| format!("{path} is not installed"))?;
    let source = std::fs::read_to_string(file)?;
    let found = source.lines().nth(line - 1).unwrap_or_default();
    ensure!(found.trim() == *text, "{path}:{line} is {found}, not {text}: look at the fault again");
    println!("  {check} of {}: {why} ({path}:{line})", says.trim_end_matches('\''));
    Ok(())
}

/// A file with those of the tenant's resource types that are named, as `scim --resource-types` reads it.
fn resource_types(dev: &Dev, named: &[&str]) -> Result<PathBuf> {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--fail", &format!("{}/ResourceTypes", dev.scim)])
        .args(["--header", &format!("Authorization: Bearer {}", dev.token)])
        .stdin(Stdio::null())
        .output()
        .context("starting curl")?;
    ensure!(output.status.success(), "/ResourceTypes: {}", String::from_utf8_lossy(&output.stderr));
    let body: Value = serde_json::from_slice(&output.stdout)?;
    let all = body["Resources"].as_array().context("/ResourceTypes lists nothing")?;
    let is_named = |kind: &&Value| named.iter().any(|name| kind["name"] == *name);
    let kinds: Vec<_> = all.iter().filter(is_named).collect();
    ensure!(kinds.len() == named.len(), "some of {named:?} are not in {body}");
    let file = dev.folder.join("resource-types.json");
    std::fs::write(&file, serde_json::to_vec(&kinds)?)?;
    Ok(file)
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

#[cfg(test)]
mod tests {
    use super::outcomes;

    #[test]
    fn what_fails_is_told_from_what_passes_and_what_is_left_out() {
        let text =
            "Performing a check\nSUCCESS a\n  fine\nERROR b\n  because\n  of this\nSKIPPED c\n  no need\nSUCCESS d\n";
        assert_eq!(outcomes(text), (2, vec!["b\n  because\n  of this".to_owned()]));
    }
}
