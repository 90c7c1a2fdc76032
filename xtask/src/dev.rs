//! `rolecall dev` as a child, on free ports and a fresh folder, for what is tried against the running product.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::stage::root;

/// How long it may take to serve.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running set-up. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Dev {
    child: Child,
    /// Where it keeps what it writes, its log among it.
    pub(crate) folder: PathBuf,
    /// The SCIM base URL.
    pub(crate) scim: String,
    /// A good token.
    pub(crate) token: String,
    /// The simulated Fluent.
    pub(crate) fluent: String,
    /// Where role-resolver's gRPC is: `host:port`.
    pub(crate) grpc: String,
}

impl Dev {
    /// Starts it, for a tenant that is read `protocol`: `lenient` or `strict`. Foreign suites make up roles, so labels that
    /// nobody knows are held, not refused.
    pub(crate) fn start(protocol: &str) -> Result<Self> {
        let folder = root().join("target/tools/dev").join(protocol);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let ready = folder.join("ready.json");
        let log = std::fs::File::create(folder.join("log"))?;
        let child = Command::new(root().join("target/debug/rolecall"))
            .args(["dev", "--guardrail", "hold", "--protocol", protocol])
            .args(["--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0", "--fluent-listen", "127.0.0.1:0"])
            .arg("--data")
            .arg(folder.join("data"))
            .arg("--ready-file")
            .arg(&ready)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("starting `rolecall dev`")?;
        let (scim, token, fluent, grpc) = Default::default();
        let mut dev = Self { child, folder, scim, token, fluent, grpc };
        let said = dev.until_ready(&ready)?;
        let text = |name: &str| said[name].as_str().map(str::to_owned).with_context(|| format!("{name} is missing"));
        (dev.scim, dev.token, dev.fluent) = (text("scim")?, text("token")?, text("fluent")?);
        dev.grpc = text("grpc")?;
        Ok(dev)
    }

    fn until_ready(&mut self, ready: &Path) -> Result<Value> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                bail!("`rolecall dev` stopped: {status}; see {}", self.folder.join("log").display());
            }
            if let Some(said) = std::fs::read_to_string(ready).ok().and_then(|text| serde_json::from_str(&text).ok()) {
                return Ok(said);
            }
            std::thread::yield_now();
        }
        let log = self.folder.join("log");
        bail!("`rolecall dev` was not ready within {} s; see {}", PATIENCE.as_secs(), log.display())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
