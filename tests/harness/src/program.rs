//! The program under test as a child process: started, asked where it listens, killed, stopped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::eventually;

/// Where the program is: `ROLECALL_BIN`, else beside the tests, where the workspace's build puts it.
pub(crate) fn path() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("ROLECALL_BIN") {
        return Ok(path.into());
    }
    let this = std::env::current_exe()?;
    let found = this.ancestors().skip(1).take(3).map(|folder| folder.join("rolecall")).find(|path| path.is_file());
    found.context("the program is not built: run `cargo build --workspace --bins`, or `cargo xtask test`")
}

/// A running process of the program.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    ready: PathBuf,
    log: PathBuf,
}

impl Program {
    /// Starts the program. `folder` gets its ready file and its log.
    pub(crate) fn spawn(
        name: &str,
        folder: &Path,
        arguments: &[String],
        environment: &[(&'static str, String)],
    ) -> Result<Self> {
        let ready = folder.join(format!("{name}.ready"));
        let log = folder.join(format!("{name}.log"));
        let _ = std::fs::remove_file(&ready);
        let output = std::fs::File::options().create(true).append(true).open(&log)?;
        let child = Command::new(path()?)
            .args(arguments)
            .arg("--ready-file")
            .arg(&ready)
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("starting the program")?;
        Ok(Self { child, ready, log })
    }

    /// Waits until it serves; answers what its ready file says.
    pub(crate) async fn ready(&mut self) -> Result<Value> {
        let ready = self.ready.clone();
        let found = eventually("the program is ready", async || {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(Err(status));
            }
            let text = std::fs::read_to_string(&ready).ok()?;
            serde_json::from_str(&text).ok().map(Ok)
        });
        match found.await {
            Ok(Ok(ready)) => Ok(ready),
            Ok(Err(status)) => bail!("the program stopped, {status}:\n{}", self.log_tail()),
            Err(late) => Err(late.context(self.log_tail())),
        }
    }

    /// Kills it without warning (SIGKILL).
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop (SIGTERM). Asked again, it stops at once.
    pub(crate) fn ask_to_stop(&self) -> Result<()> {
        let sent = Command::new("kill").arg(self.child.id().to_string()).status()?;
        ensure!(sent.success(), "the program does not take SIGTERM");
        Ok(())
    }

    /// Waits until it has stopped.
    pub(crate) async fn stopped(&mut self) -> Result<ExitStatus> {
        eventually("the program stops when asked", async || self.child.try_wait().ok().flatten()).await
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has printed.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Runs the program to its end; answers what it prints.
pub(crate) fn run(arguments: &[String]) -> Result<std::process::Output> {
    Command::new(path()?).args(arguments).stdin(Stdio::null()).output().context("running the program")
}
