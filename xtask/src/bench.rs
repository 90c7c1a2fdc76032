//! Benchmarks: the program `bench` in release mode, beside real servers.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use servers::Postgres;

use crate::packages;
use crate::stage::{self, cargo};

/// Runs one benchmark.
pub(crate) fn run(name: &str, arguments: &[String]) -> Result<()> {
    packages::servers()?;
    stage::run(&mut cargo(&["build", "--release", "--locked", "-p", "rolecall", "-p", "bench"]))?;
    let postgres = Postgres::start()?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| stage::root().join("target"), Into::into);
    let program = target.join("release/bench");
    let mut command = Command::new(program);
    command.arg(name).args(arguments).env("ROLECALL_TEST_POSTGRES", postgres.url());
    if name == "scim" {
        command.env("ROLECALL_BENCH_PARSERS", parsers(&target)?);
    }
    stage::run(&mut command)
}

/// The program with parsers that others wrote, which is no part of the workspace.
fn parsers(target: &Path) -> Result<PathBuf> {
    let folder = target.join("parsers");
    let manifest = stage::root().join("tests/bench/parsers/Cargo.toml");
    let arguments = ["build", "--release", "--locked", "--quiet", "--manifest-path"];
    stage::run(cargo(&arguments).arg(manifest).arg("--target-dir").arg(&folder))?;
    Ok(folder.join("release/parsers"))
}
