//! What a developer types: `cargo xtask …`.
#![allow(clippy::print_stdout, reason = "a command talks to its user")]

mod bench;
mod check;
mod contracts;
mod dev;
mod fuzz;
mod packages;
mod peers;
mod stage;
mod test;

use anyhow::Result;
use clap::Parser;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Everything that is done to this repository")]
enum Task {
    /// Installs what tests need, starts servers of its own on free ports and runs every test.
    Test {
        /// Passed on to `cargo test`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Checks form, lints, contracts, licences and dependencies.
    Check,
    /// Runs suites and clients that nobody here wrote against `rolecall dev`, and the `curl` lines of the developers' page.
    Peers,
    /// Everything a change must pass: check, then test, peers included. Prints how long each stage took.
    Ci,
    /// Feeds what reads a stranger's bytes with garbled seeds, in release mode.
    Fuzz {
        /// Passed on: `--seconds N` for each target (60), `--target NAME` for one alone.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Runs a benchmark, in release mode.
    Bench {
        /// Which: `spine`, `resolver` or `scim`.
        name: String,
        /// Passed on to the benchmark.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> Result<()> {
    let mut stages = stage::Stages::default();
    let done = match Task::parse() {
        Task::Test { arguments } => test::run(&mut stages, &arguments),
        Task::Check => check::run(&mut stages),
        Task::Peers => peers::build(&mut stages).and_then(|()| peers::run_all(&mut stages)),
        Task::Ci => check::run(&mut stages).and_then(|()| test::run(&mut stages, &[])),
        Task::Fuzz { arguments } => fuzz::run(&arguments),
        Task::Bench { name, arguments } => bench::run(&name, &arguments),
    };
    stages.print();
    done
}
