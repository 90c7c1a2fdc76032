//! Prometheus metrics: one registry a process, passed down, and the counts every request gets.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use parking_lot::Mutex;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The metrics of this process. Clones are the same metrics.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    server: RequestMetrics,
    client: RequestMetrics,
    connections: Gauge,
    refused_connections: Counter,
}

impl Metrics {
    /// A registry in which every name starts with `rolecall_`.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("rolecall");
        let server = RequestMetrics::register(registry.sub_registry_with_prefix("server"), "answered by this process");
        let client = RequestMetrics::register(registry.sub_registry_with_prefix("client"), "sent to other parts");
        let (connections, refused_connections) = (Gauge::default(), Counter::default());
        registry.register("http_connections", "Connections that are open", connections.clone());
        registry.register(
            "http_connections_refused",
            "Connections closed on arrival because the process or their address had too many",
            refused_connections.clone(),
        );
        Self { registry: Arc::new(Mutex::new(registry)), server, client, connections, refused_connections }
    }

    /// Registers metrics whose names continue with `prefix`.
    pub fn sub_registry<T>(&self, prefix: &str, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(self.registry.lock().sub_registry_with_prefix(prefix))
    }

    /// The requests this process answers.
    #[must_use]
    pub fn server(&self) -> &RequestMetrics {
        &self.server
    }

    /// The requests this process sends to other parts.
    #[must_use]
    pub fn client(&self) -> &RequestMetrics {
        &self.client
    }

    pub(crate) fn connections(&self) -> &Gauge {
        &self.connections
    }

    pub(crate) fn refused_connections(&self) -> &Counter {
        &self.refused_connections
    }

    /// Everything, in the `OpenMetrics` text format.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = String::new();
        if text::encode(&mut out, &self.registry.lock()).is_err() {
            tracing::error!("the metrics cannot be written down");
        }
        out
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics(…)")
    }
}

/// A label value that is cheap to copy. It must come from a bounded set that no caller can extend.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Label(Arc<str>);

impl From<&str> for Label {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl EncodeLabelValue for Label {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        (&*self.0).encode(encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    service: Label,
    route: Label,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    service: Label,
    route: Label,
    code: Cow<'static, str>,
}

/// How many requests ended how, and how long they took.
#[derive(Clone, Debug)]
pub struct RequestMetrics {
    ended: Family<Outcome, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
}

impl RequestMetrics {
    fn register(registry: &mut Registry, which: &str) -> Self {
        let (ended, seconds) = (Family::default(), Family::new_with_constructor(buckets as fn() -> Histogram));
        registry.register("requests", format!("Requests {which}, by how they ended"), ended.clone());
        registry.register(
            "request_duration_seconds",
            format!("Seconds until the end of requests {which}; a high value means the store or a peer is slow"),
            seconds.clone(),
        );
        Self { ended, seconds }
    }

    /// Begins a request; it is counted when the recorder is finished, or as `cancelled` when it is dropped before.
    #[must_use]
    pub fn start(&self, service: Label, route: Label) -> Recorder {
        self.route(service, route).start()
    }

    /// The requests of one route, for whoever begins many.
    #[must_use]
    pub fn route(&self, service: Label, route: Label) -> RouteMetrics {
        let of = Route { service, route };
        let seconds = self.seconds.get_or_create(&of).clone();
        RouteMetrics(Arc::new(Series { of, seconds, usual: OnceLock::new(), ended: self.ended.clone() }))
    }
}

/// The requests of one route. Clones are the same.
#[derive(Clone, Debug)]
pub struct RouteMetrics(Arc<Series>);

#[derive(Debug)]
struct Series {
    of: Route,
    seconds: Histogram,
    /// How the first of them ended, which is how most do: its counter need not be looked up.
    usual: OnceLock<(Cow<'static, str>, Counter)>,
    ended: Family<Outcome, Counter>,
}

impl RouteMetrics {
    /// Begins a request: see [`RequestMetrics::start`].
    #[must_use]
    pub fn start(&self) -> Recorder {
        Recorder { series: Arc::clone(&self.0), begun: Instant::now(), code: Cow::Borrowed("cancelled") }
    }
}

impl Series {
    fn count(&self, code: Cow<'static, str>) {
        let counter = |code| {
            let Route { service, route } = self.of.clone();
            self.ended.get_or_create(&Outcome { service, route, code }).clone()
        };
        let (usual, known) = self.usual.get_or_init(|| (code.clone(), counter(code.clone())));
        if *usual == code {
            known.inc();
        } else {
            counter(code).inc();
        }
    }
}

/// From 0.5 ms to about 16 s.
fn buckets() -> Histogram {
    Histogram::new(prometheus_client::metrics::histogram::exponential_buckets(0.0005, 2.0, 16))
}

/// One request under way.
#[derive(Debug)]
pub struct Recorder {
    series: Arc<Series>,
    begun: Instant,
    code: Cow<'static, str>,
}

impl Recorder {
    /// The request ended with `code`.
    pub fn finish(mut self, code: impl Into<Cow<'static, str>>) {
        self.code = code.into();
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.series.seconds.observe(self.begun.elapsed().as_secs_f64());
        self.series.count(std::mem::take(&mut self.code));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_request_counts_by_its_code_and_a_dropped_one_as_cancelled() {
        let metrics = Metrics::new();
        metrics.server().start(Label::from("gateway"), Label::from("/Users")).finish("201");
        drop(metrics.server().start(Label::from("gateway"), Label::from("/Users")));
        let text = metrics.encode();
        assert!(
            text.contains(r#"rolecall_server_requests_total{service="gateway",route="/Users",code="201"} 1"#),
            "{text}"
        );
        assert!(text.contains(r#"route="/Users",code="cancelled"} 1"#), "{text}");
        assert!(text.contains(r#"rolecall_server_request_duration_seconds_count{service="gateway",route="/Users"} 2"#));
    }

    #[test]
    fn parts_register_their_own_under_their_name() {
        let metrics = Metrics::new();
        let pushes = metrics.sub_registry("pusher", |registry| {
            let pushes = Counter::<u64>::default();
            registry.register("pushes", "Accounts made equal", pushes.clone());
            pushes
        });
        pushes.inc();
        assert!(metrics.encode().contains("rolecall_pusher_pushes_total 1"));
    }
}
