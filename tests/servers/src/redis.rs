//! A Redis server that writes nothing down unless it is told to.

use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::{Port, await_port};

/// A running Redis server.
#[derive(Debug)]
pub struct Redis {
    child: Child,
    port: Port,
    folder: tempfile::TempDir,
}

impl Redis {
    /// Starts a server on a free port.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = Port::take()?;
        let mut child = spawn(port.number(), folder.path())?;
        await_port(&mut child, "redis-server", port.number())?;
        Ok(Self { child, port, folder })
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}/", self.address())
    }

    /// Where it listens: `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.port.address()
    }

    /// Kills it without warning (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Stops it in the middle of whatever it does (SIGSTOP): it answers late, if ever.
    pub fn freeze(&self) -> Result<()> {
        self.signal("STOP")
    }

    /// Lets it go on, beginning with what it was asked meanwhile.
    pub fn thaw(&self) -> Result<()> {
        self.signal("CONT")
    }

    fn signal(&self, name: &str) -> Result<()> {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status()?;
        ensure!(sent.success(), "the server does not take SIG{name}");
        Ok(())
    }

    /// Starts it again on the same port, with what it held when it was last told `SAVE`, else empty.
    pub fn restart(&mut self) -> Result<()> {
        self.child = spawn(self.port.number(), self.folder.path())?;
        await_port(&mut self.child, "redis-server", self.port.number())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn spawn(port: u16, folder: &std::path::Path) -> Result<Child> {
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no", "--dir"])
        .arg(folder)
        .stdout(Stdio::null())
        .spawn()
        .context("starting redis-server (Debian package redis-server)")
}
