//! Named steps, timed, each announced before it runs.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

/// The stages run so far.
#[derive(Debug, Default)]
pub(crate) struct Stages(Vec<(String, Duration)>);

impl Stages {
    /// Runs one stage.
    pub(crate) fn run<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("== {name}");
        let begun = Instant::now();
        let done = work().with_context(|| format!("stage {name}"));
        self.0.push((name.to_owned(), begun.elapsed()));
        done
    }

    /// Prints how long each took.
    pub(crate) fn print(&self) {
        for (name, took) in &self.0 {
            println!("{:>7.1} s  {name}", took.as_secs_f64());
        }
    }
}

/// Runs a command to its end; it must succeed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {}", command.get_program().display()))?;
    ensure!(status.success(), "{} {status}", command.get_program().display());
    Ok(())
}

/// `cargo` with these arguments, in the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// The workspace's folder.
pub(crate) fn root() -> std::path::PathBuf {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
