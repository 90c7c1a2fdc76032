//! A PostgreSQL server with a fresh cluster.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::{Port, await_port, pause};

/// A running PostgreSQL server. It trusts every local connection: it holds test data alone.
#[derive(Debug)]
pub struct Postgres {
    child: Child,
    port: Port,
    data: PathBuf,
    user: Option<User>,
    // Dropped last: the server lives in it.
    _folder: tempfile::TempDir,
}

/// Whom to run it as: PostgreSQL refuses root.
#[derive(Clone, Copy, Debug)]
struct User {
    uid: u32,
    gid: u32,
}

impl Postgres {
    /// Makes a cluster in a temporary folder and starts a server on a free port.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let user = other_user()?;
        if let Some(User { uid, gid }) = user {
            std::os::unix::fs::chown(folder.path(), Some(uid), Some(gid))?;
        }
        let made = command("initdb", user)?
            .args(["-A", "trust", "-U", "postgres", "--locale=C.UTF-8", "--no-sync", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .current_dir(folder.path())
            .status()
            .context("running initdb")?;
        ensure!(made.success(), "initdb failed: {made}");
        let port = Port::take()?;
        let mut child = spawn(port.number(), &data, user)?;
        await_ready(&mut child, port.number())?;
        Ok(Self { child, port, data, user, _folder: folder })
    }

    /// Its maintenance database.
    #[must_use]
    pub fn url(&self) -> String {
        self.database("postgres")
    }

    /// A database of it, by name.
    #[must_use]
    pub fn database(&self, name: &str) -> String {
        format!("postgres://postgres@{}/{name}", self.port.address())
    }

    /// Kills the postmaster without warning (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again on the same port and data; it recovers from its log.
    pub fn restart(&mut self) -> Result<()> {
        self.child = spawn(self.port.number(), &self.data, self.user)?;
        await_ready(&mut self.child, self.port.number())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn other_user() -> Result<Option<User>> {
    let id = |what: &str, of: &[&str]| -> Result<u32> {
        let out = Command::new("id").arg(what).args(of).output().context("running id")?;
        String::from_utf8_lossy(&out.stdout).trim().parse().context("reading a user id")
    };
    if id("-u", &[])? != 0 {
        return Ok(None);
    }
    Ok(Some(User { uid: id("-u", &["postgres"])?, gid: id("-g", &["postgres"])? }))
}

/// A program of the newest installed version.
fn command(program: &str, user: Option<User>) -> Result<Command> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .context("PostgreSQL is not installed (Debian package postgresql)")?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            let path = entry.path().join("bin").join(program);
            path.exists().then_some((version, path))
        })
        .collect();
    versions.sort();
    let (_, path) = versions.pop().with_context(|| format!("no {program} below /usr/lib/postgresql"))?;
    let mut command = Command::new(path);
    if let Some(User { uid, gid }) = user {
        command.uid(uid).gid(gid);
    }
    Ok(command)
}

fn spawn(port: u16, data: &Path, user: Option<User>) -> Result<Child> {
    command("postgres", user)?
        .arg("-D")
        .arg(data)
        .args(["-p", &port.to_string(), "-k", "", "-h", "127.0.0.1"])
        .args(["-c", "max_connections=400", "-c", "logging_collector=off", "-c", "log_min_messages=panic"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/")
        .spawn()
        .context("starting postgres")
}

/// The port opens before recovery ends: ready is when a connection is greeted.
fn await_ready(child: &mut Child, port: u16) -> Result<()> {
    await_port(child, "postgres", port)?;
    let ready = || -> Result<bool> {
        let asked = command("pg_isready", None)?
            .args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])
            .current_dir("/")
            .status()?;
        Ok(asked.success())
    };
    while !ready()? {
        ensure!(child.try_wait()?.is_none(), "postgres stopped while it started");
        pause();
    }
    Ok(())
}
