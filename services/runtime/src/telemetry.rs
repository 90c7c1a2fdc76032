//! What a process tells about itself: log lines, traces and metrics.
//!
//! Personal data and secrets never go into any of them: no query of a URI, no name, no body, no label value that a
//! request chose.

mod metrics;

use std::fmt;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use serde::Deserialize;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::{Problems, Validate};

pub use metrics::{Label, Metrics, Recorder, RequestMetrics, RouteMetrics};

/// Which spans are those of gRPC calls. There are very many, and a log line seldom needs to name its call: so lines do only
/// where the operator asks for it, and without an exporter nothing is spent on them. Traces are of little else.
const CALLS: &str = "runtime::grpc=debug";
/// How long the last spans may take to leave, at the end.
const FLUSH: Duration = Duration::from_secs(5);

/// The section `telemetry`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// How log lines look. They go to standard error.
    pub format: LogFormat,
    /// Which log lines and spans are kept, in `tracing`'s directive syntax. With `runtime::grpc=debug` log lines name the
    /// gRPC call they belong to; exported are calls in any case.
    pub filter: String,
    /// Where spans are sent over OTLP/gRPC, for example `http://collector:4317`; nowhere if absent. It is not encrypted:
    /// a collector elsewhere is reached through an agent on this machine.
    pub otlp_endpoint: Option<String>,
    /// The share of traces begun here that is kept, 0 to 1. A trace begun by the caller follows the caller.
    pub sample_ratio: f64,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { format: LogFormat::Plain, filter: "info".to_owned(), otlp_endpoint: None, sample_ratio: 1.0 }
    }
}

impl Validate for TelemetryConfig {
    fn validate(&self, problems: &mut Problems) {
        problems.require(
            EnvFilter::builder().parse(&self.filter).is_ok(),
            "filter",
            "it cannot be read",
            "directives such as \"info,gateway=debug\"",
        );
        problems.require(
            (0.0..=1.0).contains(&self.sample_ratio),
            "sample_ratio",
            "it is not a share",
            "a number from 0 to 1",
        );
        if let Some(endpoint) = &self.otlp_endpoint {
            let uri = endpoint.parse::<http::Uri>().ok().filter(|uri| uri.authority().is_some());
            let right = "an address such as \"http://collector:4317\"";
            match uri.as_ref().and_then(http::Uri::scheme_str) {
                Some("http") => {}
                Some("https") => problems.add(
                    "otlp_endpoint",
                    "spans are not sent over TLS",
                    format!("{right}; an agent on this machine can encrypt"),
                ),
                _ => problems.add("otlp_endpoint", "it is not an address", right),
            }
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// One line of text, for people.
    Plain,
}

/// Telemetry could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter's directives cannot be read.
    #[error("the log filter cannot be read")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The OTLP exporter cannot be built.
    #[error("the OTLP exporter cannot be built")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Another subscriber is installed.
    #[error("log lines already go elsewhere")]
    Installed(#[from] TryInitError),
}

/// Keeps telemetry running; sends what is left, for a bounded time, when dropped.
#[must_use = "telemetry ends when this is dropped"]
pub struct Guard {
    provider: Option<SdkTracerProvider>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("exporting", &self.provider.is_some()).finish()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.provider.take().map(|provider| provider.shutdown_with_timeout(FLUSH)) {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}

/// Starts log lines and, where an endpoint is configured, the export of spans; `service` names the process in them.
///
/// Once a process. When spans are exported: inside a multi-threaded Tokio runtime, which must still run when the guard
/// is dropped.
pub fn init(config: &TelemetryConfig, service: &str) -> Result<Guard, TelemetryError> {
    install_propagator();
    let provider = match &config.otlp_endpoint {
        Some(endpoint) => Some(provider(endpoint, config.sample_ratio, service)?),
        None => None,
    };
    let read = || EnvFilter::builder().parse(&config.filter);
    let exported = read()?.add_directive(CALLS.parse()?);
    let spans = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("rolecall"))
            .with_location(false)
            .with_threads(false)
            .with_filter(filter_fn(|metadata| !below_us(metadata.target())).and(exported))
    });
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match config.format {
        LogFormat::Json => lines.json().with_current_span(true).with_span_list(false).boxed(),
        LogFormat::Plain => lines.compact().with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
    };
    tracing_subscriber::registry().with(spans).with(lines.with_filter(read()?)).try_init()?;
    if config.format == LogFormat::Json {
        log_panics();
    }
    Ok(Guard { provider })
}

/// Whether a span is the transport's own. Exporting those would make every export cause the next.
fn below_us(target: &str) -> bool {
    let krate = target.split("::").next().unwrap_or_default();
    ["h2", "hyper", "hyper_util", "tonic", "tower", "opentelemetry", "opentelemetry_otlp", "rustls"].contains(&krate)
}

/// In JSON a panic must not break the lines, and its message may hold data: only its place is logged.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, thread = std::thread::current().name(), "a thread panicked");
    }));
}

/// Makes W3C trace context the one that is read from and written to headers, in this process.
pub fn install_propagator() {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
}

fn provider(endpoint: &str, ratio: f64, service: &str) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(FLUSH).build()?;
    let resource = Resource::builder()
        .with_service_name(service.to_owned())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
        .with_resource(resource)
        .build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_reached_without_tls_or_not_at_all() {
        let problems = |endpoint: &str| {
            let config = TelemetryConfig { otlp_endpoint: Some(endpoint.to_owned()), ..TelemetryConfig::default() };
            let mut problems = Problems::default();
            config.validate(&mut problems);
            problems.into_errors().0
        };
        assert!(problems("http://collector:4317").is_empty());
        for (endpoint, wrong) in
            [("https://collector:4317", "TLS"), ("grpc://collector:4317", "address"), ("collector", "address")]
        {
            let found = problems(endpoint);
            assert!(found.len() == 1 && found[0].key == "otlp_endpoint" && found[0].wrong.contains(wrong), "{found:?}");
        }
    }
}
