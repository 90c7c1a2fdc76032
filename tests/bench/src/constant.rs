//! The floor of GET, and the least that a POST can cost: a server in a process of its own that answers everything with
//! one body, through the same HTTP stack.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG};
use runtime::http_server::{self, HttpLimits};
use runtime::telemetry::Metrics;
use tokio_util::sync::CancellationToken;

/// The server as a child process; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Constant {
    /// The base URL at which it stands in for the gateway's.
    pub(crate) url: String,
    child: Child,
}

impl Constant {
    /// Starts a server that answers `body`.
    pub(crate) fn start(body: &[u8]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("constant")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the constant server")?;
        let mut input = child.stdin.take().context("its input")?;
        input.write_all(body)?;
        drop(input);
        let output = child.stdout.take().context("its output")?;
        let mut constant = Self { url: String::new(), child };
        BufReader::new(output).read_line(&mut constant.url).context("the constant server says where it is")?;
        constant.url.truncate(constant.url.trim_end().len());
        Ok(constant)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Constant {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the child does: serves what it read, and says where.
pub(crate) async fn serve() -> Result<()> {
    let mut body = Vec::new();
    std::io::stdin().read_to_end(&mut body)?;
    let body = Bytes::from(body);
    let answer = async move || ([(CONTENT_TYPE, "application/scim+json"), (ETAG, "W/\"1\"")], body.clone());
    let router: Router = Router::new().route("/scim/v2/Users/{id}", any(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}/scim/v2", listener.local_addr()?);
    let forever = CancellationToken::new();
    http_server::serve(listener, router, HttpLimits::default(), None, &Metrics::new(), forever).await;
    Ok(())
}
