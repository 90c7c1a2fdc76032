//! Trace context between processes: W3C `traceparent` and `tracestate`, the same over HTTP and gRPC; and the layer that
//! opens a span for, and counts, every request an HTTP router answers.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::MatchedPath;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use opentelemetry::global;
use opentelemetry::propagation::{Extractor, Injector};
use tower::{Layer, Service};
use tracing::{Instrument, Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::telemetry::{Label, Metrics, RequestMetrics};

const TRACEPARENT: &str = "traceparent";

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

/// Makes the trace context in `headers`, if there is one, the parent of `span`.
pub fn continue_trace(span: &Span, headers: &HeaderMap) {
    if !span.is_disabled() && headers.contains_key(TRACEPARENT) {
        let parent = global::get_text_map_propagator(|propagator| propagator.extract(&Headers(headers)));
        // Fails only where nothing records traces, and then there is nothing to continue.
        let _ = span.set_parent(parent);
    }
}

/// Writes the trace context of `span` into `headers`; nothing, if nothing records traces.
pub fn inject_trace(span: &Span, headers: &mut HeaderMap) {
    if !span.is_disabled() {
        let context = span.context();
        global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut HeadersMut(headers)));
    }
}

/// For an axum router, through `Router::layer`: a span and a count for each request, by method and matched route.
///
/// The path itself and its query are never written anywhere: they hold names and filters.
#[derive(Clone, Debug)]
pub struct TraceLayer {
    service: Label,
    metrics: RequestMetrics,
}

impl TraceLayer {
    /// Counts requests in `metrics` as answered by `service`.
    #[must_use]
    pub fn new(service: &'static str, metrics: &Metrics) -> Self {
        Self { service: Label::from(service), metrics: metrics.server().clone() }
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Trace { inner, layer: self.clone() }
    }
}

/// The service of [`TraceLayer`].
#[derive(Clone, Debug)]
pub struct Trace<S> {
    inner: S,
    layer: TraceLayer,
}

impl<S, A, B> Service<Request<A>> for Trace<S>
where
    S: Service<Request<A>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let matched = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str);
        let route = format!("{} {matched}", known_method(request.method()));
        let span = tracing::info_span!(
            "request",
            otel.name = route.as_str(),
            otel.kind = "server",
            http.response.status_code = field::Empty,
            otel.status_code = field::Empty,
        );
        continue_trace(&span, request.headers());
        let recorder = self.layer.metrics.start(self.layer.service.clone(), Label::from(route.as_str()));
        let answer = span.in_scope(|| self.inner.call(request));
        let of_call = span.clone();
        Box::pin(
            async move {
                let response = answer.await?;
                let status = response.status();
                of_call.record("http.response.status_code", status.as_u16());
                if status.is_server_error() {
                    of_call.record("otel.status_code", "ERROR");
                }
                recorder.finish(status.as_str().to_owned());
                Ok(response)
            }
            .instrument(span),
        )
    }
}

/// Methods are free text, so only those that are known become label values.
fn known_method(method: &http::Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known,
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn requests_are_counted_by_matched_route_and_never_by_what_the_caller_wrote() {
        let metrics = Metrics::new();
        let router = Router::new()
            .route("/Users/{id}", get(async || http::StatusCode::NOT_FOUND))
            .fallback(async || http::StatusCode::NOT_FOUND)
            .layer(TraceLayer::new("gateway", &metrics));
        for (method, uri) in [("GET", "/Users/jane?filter=a"), ("BREW", "/coffee/for/jane"), ("GET", "/x")] {
            let request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
            router.clone().oneshot(request).await.unwrap();
        }
        let text = metrics.encode();
        for route in ["GET /Users/{id}", "OTHER unmatched", "GET unmatched"] {
            let line = format!(r#"rolecall_server_requests_total{{service="gateway",route="{route}",code="404"}} 1"#);
            assert!(text.contains(&line), "{text}");
        }
        assert!(!text.contains("jane"), "{text}");
    }

    #[test]
    fn without_a_recorder_nothing_is_injected_and_a_broken_context_does_no_harm() {
        crate::telemetry::install_propagator();
        let mut headers = HeaderMap::new();
        inject_trace(&tracing::info_span!("x"), &mut headers);
        assert!(headers.is_empty());
        headers.insert(TRACEPARENT, HeaderValue::from_static("00-zz-zz-zz"));
        continue_trace(&tracing::info_span!("x"), &headers);
    }
}
