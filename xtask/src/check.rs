//! The checks that need no running product: form, lints, contracts, dependencies.

use std::process::Command;

use anyhow::Result;

use crate::stage::{self, Stages, cargo, root};
use crate::{contracts, packages};

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
        contracts::breaking()
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
