//! The checks that need no running product: form, lints, contracts, dependencies.

use std::process::Command;

use anyhow::Result;

use crate::packages;
use crate::stage::{self, Stages, cargo, root};

fn buf(arguments: &[&str]) -> Result<()> {
    stage::run(Command::new(packages::buf()?).args(arguments).current_dir(root()))
}

/// Runs all checks.
pub(crate) fn run(stages: &mut Stages) -> Result<()> {
    stages.run("format", || stage::run(&mut cargo(&["fmt", "--all", "--check"])))?;
    stages.run("lints", || {
        stage::run(
            cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
                .env_remove("RUSTFLAGS"),
        )
    })?;
    stages.run("lints without the development feature", || {
        stage::run(&mut cargo(&[
            "clippy",
            "-p",
            "rolecall",
            "--no-default-features",
            "--locked",
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    stages.run("contracts", || {
        buf(&["lint"])?;
        buf(&["format", "-d", "--exit-code"])?;
        breaking()
    })?;
    stages.run("dependencies", || {
        let deny = packages::deny()?;
        // It also looks at what other systems would be built with, which nothing before this has fetched.
        stage::run(&mut cargo(&["fetch", "--quiet", "--locked"]))?;
        // Its database of advisories is a clone from elsewhere; bans, licences and sources need no network.
        stage::run(
            Command::new(deny)
                .args(["--offline", "--log-level", "error", "check", "bans", "licenses", "sources"])
                .current_dir(root()),
        )
    })?;
    Ok(())
}

/// The contracts may only grow. What a change is compared with is the commit before it.
fn breaking() -> Result<()> {
    let parent =
        Command::new("git").args(["rev-parse", "--verify", "--quiet", "HEAD~1:proto"]).current_dir(root()).output()?;
    if !parent.status.success() {
        println!("no earlier contracts to compare with");
        return Ok(());
    }
    buf(&["breaking", "--against", ".git#ref=HEAD~1"])
}
