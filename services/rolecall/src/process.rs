//! What every process of the program does around its part: telemetry first, listeners bound early, readiness told, and on
//! a signal a drain with a deadline.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use runtime::admin::{Admin, Readiness};
use runtime::config::ConfigErrors;
use runtime::drain::Shutdown;
use runtime::grpc::Server;
use runtime::http_server::{self, HttpLimits};
use runtime::telemetry::{self, Metrics};
use runtime::tls::ServerTls;
use tokio::net::TcpListener;

use crate::config::Config;

/// The exit code for a configuration that can't be used (`EX_USAGE` of sysexits).
const CONFIGURATION: u8 = 64;

/// A runtime with a thread for each core.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")
}

/// Prints an error with its causes. Mistakes in the configuration have an exit code of their own.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let mut text = String::from("rolecall: ");
    for (depth, cause) in error.chain().enumerate() {
        let _ = write!(text, "{}{cause}", if depth > 0 { ": " } else { "" });
    }
    eprintln!("{text}");
    if error.is::<ConfigErrors>() { ExitCode::from(CONFIGURATION) } else { ExitCode::FAILURE }
}

/// A process that runs one part, or all of them.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
    pub(crate) shutdown: Shutdown,
    drain: std::time::Duration,
    admin: Option<Admin>,
    _telemetry: telemetry::Guard,
}

impl Process {
    /// Starts telemetry and the admin listener, and begins to hear signals. Not ready yet.
    pub(crate) fn start(name: &'static str, config: &Config) -> Result<Self> {
        let telemetry = telemetry::init(&config.telemetry, name)?;
        let (metrics, readiness) = (Metrics::new(), Readiness::default());
        readiness.set("started", false, "starting");
        let admin = match config.process.admin_listen {
            Some(address) => {
                let listener = std::net::TcpListener::bind(address).with_context(|| cannot_listen(address))?;
                Some(
                    Admin::start(listener, readiness.clone(), metrics.clone())
                        .context("starting the admin listener")?,
                )
            }
            None => None,
        };
        let shutdown = Shutdown::new(readiness.clone());
        shutdown.listen_for_signals().context("listening for signals")?;
        Ok(Self { metrics, readiness, shutdown, drain: config.process.drain, admin, _telemetry: telemetry })
    }

    /// Where the admin listener is.
    pub(crate) fn admin(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(Admin::address)
    }

    /// Serves gRPC on `listener` until shutdown.
    pub(crate) fn serve_grpc(
        &self,
        listener: TcpListener,
        server: &Server,
        limits: HttpLimits,
        tls: Option<&ServerTls>,
    ) -> Result<()> {
        let tls = tls.map(ServerTls::load).transpose()?;
        let (service, metrics, token) = (server.network(), self.metrics.clone(), self.shutdown.token());
        self.shutdown.spawn(async move { http_server::serve(listener, service, limits, tls, &metrics, token).await });
        Ok(())
    }

    /// Keeps an identity-store until shutdown; then its endless streams end, so that connections can close.
    pub(crate) fn run_store(&self, store: identity_store::App) {
        let token = self.shutdown.token();
        self.shutdown.spawn(async move {
            token.cancelled().await;
            store.stop();
        });
    }

    /// Tells that everything is up, waits until a stop is asked for, and drains; that at once where who waits for it could
    /// not be told.
    pub(crate) async fn until_stopped(self, announced: Result<()>) -> Result<()> {
        if announced.is_ok() {
            self.readiness.set("started", true, "serving");
            self.shutdown.requested().await;
        }
        announced.and(self.shutdown.drain(self.drain).await.context("stopping"))
    }
}

/// Binds early, so that a port that is taken is known before anything else is done.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| cannot_listen(address))
}

fn cannot_listen(address: SocketAddr) -> String {
    format!("can't listen on {address}")
}
