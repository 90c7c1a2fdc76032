//! Benchmarks: the program `bench` in release mode, beside real servers.

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
    stage::run(
        std::process::Command::new(program).arg(name).args(arguments).env("ROLECALL_TEST_POSTGRES", postgres.url()),
    )
}
