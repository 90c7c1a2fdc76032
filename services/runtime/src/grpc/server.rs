//! The server side: services with health and reflection, behind one stack that says who calls, continues the trace,
//! keeps the deadline and counts how each call ended.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use axum::response::IntoResponse;
use bytes::Bytes;
use http::{Extensions, HeaderMap};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::{Code, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tower::Service;
use tracing::{Instrument, Span, field};

use super::{Request, Response, Within, deadline, transport::Transport};
use crate::error::{Error, Reason};
use crate::peer::{Caller, PeerSecret};
use crate::propagation::continue_trace;
use crate::telemetry::{Label, Metrics, Recorder, RequestMetrics, RouteMetrics};

/// Stands for every path that is not a method of ours: callers must not be able to invent label values.
const UNKNOWN: &str = "unknown";

/// A server could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A file descriptor set is not one.
    #[error("a file descriptor set cannot be read")]
    Descriptors(#[from] prost::DecodeError),
    /// Reflection refuses the descriptors.
    #[error("the descriptors cannot be reflected")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Puts a service, with what surrounds its calls, among those that are called in the process.
type Placing = Box<dyn FnOnce(Within, &mut Extensions) + Send>;

/// Puts a [`Server`] together.
pub struct ServerBuilder {
    routes: Routes,
    here: Vec<Placing>,
    names: Vec<&'static str>,
    descriptors: Vec<&'static [u8]>,
    secret: PeerSecret,
    metrics: Metrics,
}

/// A part's gRPC services, ready to be served on a listener and to be called within the process.
#[derive(Clone, Debug)]
pub struct Server {
    routes: Routes,
    here: Extensions,
    health: HealthReporter,
    names: Arc<[&'static str]>,
    methods: Arc<Methods>,
    secret: PeerSecret,
    metrics: Metrics,
}

impl Server {
    /// Begins a server whose peers are known by `secret`.
    #[must_use]
    pub fn builder(secret: PeerSecret, metrics: &Metrics) -> ServerBuilder {
        ServerBuilder {
            routes: Routes::default(),
            here: Vec::new(),
            names: Vec::new(),
            descriptors: vec![tonic_health::pb::FILE_DESCRIPTOR_SET],
            secret,
            metrics: metrics.clone(),
        }
    }

    /// What [`crate::http_server::serve`] serves.
    #[must_use]
    pub fn network(&self) -> ServerStack<Routes> {
        self.stack(Trust::Secret(self.secret.clone()))
    }

    /// The same services for clients in this process: no network, and every caller is a peer.
    #[must_use]
    pub fn in_process(&self) -> Transport {
        Transport::in_process(self.stack(Trust::Everyone)).with_services(self.here.clone())
    }

    /// Tells health checks whether the services are served; they are from the start.
    pub async fn set_serving(&self, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for name in self.names.iter().copied().chain([""]) {
            self.health.set_service_status(name, status).await;
        }
    }

    fn stack(&self, trust: Trust) -> ServerStack<Routes> {
        ServerStack {
            inner: self.routes.clone(),
            trust: Arc::new(trust),
            methods: Arc::clone(&self.methods),
            metrics: self.metrics.server().clone(),
        }
    }
}

impl fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder").field("names", &self.names).finish_non_exhaustive()
    }
}

impl ServerBuilder {
    /// Adds a generated service, its health included. Its message limits are [`super::MAX_MESSAGE_BYTES`] only if it was
    /// told so.
    #[must_use]
    pub fn service<S>(mut self, service: S) -> Self
    where
        S: Service<Request, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
        S::Response: IntoResponse,
        S::Future: Send + 'static,
    {
        self.routes = self.routes.add_service(service);
        self.names.push(S::NAME);
        self
    }

    /// Has a service called through its trait by those in this process: see [`Transport::here`].
    #[must_use]
    pub fn here<S: ?Sized + Send + Sync + 'static>(
        mut self,
        service: impl FnOnce(Within) -> Arc<S> + Send + 'static,
    ) -> Self {
        self.here.push(Box::new(move |within, here| drop(here.insert(service(within)))));
        self
    }

    /// Adds an encoded file descriptor set, for reflection and for the names of methods in metrics.
    #[must_use]
    pub fn descriptors(mut self, set: &'static [u8]) -> Self {
        self.descriptors.push(set);
        self
    }

    /// The finished server, serving.
    pub async fn build(self) -> Result<Server, BuildError> {
        let Self { routes, here: placing, names, descriptors, secret, metrics } = self;
        let mut methods = Methods::default();
        // Most clients still ask by the older of the two names.
        let mut reflection = [(); 2].map(|()| tonic_reflection::server::Builder::configure());
        for encoded in descriptors {
            let set = FileDescriptorSet::decode(encoded)?;
            methods.add(&set);
            reflection = reflection.map(|reflection| reflection.register_file_descriptor_set(set.clone()));
        }
        // The descriptors are those of all parts; what is listed is what is served here.
        for name in names.iter().copied().chain([HealthServer::<HealthService>::NAME]) {
            reflection = reflection.map(|reflection| reflection.with_service_name(name));
        }
        let [newer, older] = reflection;
        let health = HealthReporter::new();
        let routes = routes
            .add_service(HealthServer::new(HealthService::from_health_reporter(health.clone())))
            .add_service(newer.build_v1()?)
            .add_service(older.build_v1alpha()?)
            .prepare();
        let methods = Arc::new(methods);
        let within = Within::new(Arc::clone(&methods), metrics.server().clone());
        let mut here = Extensions::new();
        for place in placing {
            place(within.clone(), &mut here);
        }
        let server = Server { routes, here, health, names: names.into(), methods, secret, metrics };
        server.set_serving(true).await;
        Ok(server)
    }
}

/// The methods that exist, by path.
#[derive(Debug, Default)]
pub(super) struct Methods(HashMap<String, Method>);

/// One method: its labels, and its counts once it was called.
#[derive(Debug)]
struct Method {
    service: Label,
    name: Label,
    metrics: OnceLock<RouteMetrics>,
}

impl Methods {
    fn add(&mut self, set: &FileDescriptorSet) {
        for file in &set.file {
            for service in &file.service {
                let name = format!("{}.{}", file.package(), service.name());
                let label = Label::from(name.as_str());
                for method in &service.method {
                    let path = format!("/{name}/{}", method.name());
                    let (service, name) = (label.clone(), Label::from(method.name()));
                    self.0.insert(path, Method { service, name, metrics: OnceLock::new() });
                }
            }
        }
    }

    /// The span and the count of a call that begins.
    pub(super) fn begin(&self, path: &str, metrics: &RequestMetrics) -> (Span, Recorder) {
        let Some((path, method)) = self.0.get_key_value(path) else {
            return (call_span(UNKNOWN, "server"), metrics.start(UNKNOWN.into(), UNKNOWN.into()));
        };
        let of_method = || metrics.route(method.service.clone(), method.name.clone());
        (call_span(&path[1..], "server"), method.metrics.get_or_init(of_method).start())
    }
}

/// Whom a server believes.
#[derive(Debug)]
enum Trust {
    /// Whoever presents the secret is a peer.
    Secret(PeerSecret),
    /// Whoever can call is in this process.
    Everyone,
}

/// What surrounds every call, on the network and in the process.
#[derive(Clone, Debug)]
pub struct ServerStack<S> {
    inner: S,
    trust: Arc<Trust>,
    methods: Arc<Methods>,
    metrics: RequestMetrics,
}

impl<S, B> Service<http::Request<B>> for ServerStack<S>
where
    S: Service<http::Request<B>, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        let (span, recorder) = self.methods.begin(request.uri().path(), &self.metrics);
        let caller = match &*self.trust {
            Trust::Everyone => Caller::Peer,
            Trust::Secret(secret) => {
                continue_trace(&span, request.headers());
                secret.identify(request.headers())
            }
        };
        request.extensions_mut().insert(caller);
        let timeout = deadline::of(request.headers());
        let answer = span.in_scope(|| self.inner.call(request));
        let of_call = span.clone();
        Box::pin(
            async move {
                let response = match timeout {
                    None => answer.await?,
                    Some(timeout) => match tokio::time::timeout(timeout, answer).await {
                        Ok(answer) => answer?,
                        Err(_) => Status::from(too_late()).into_http(),
                    },
                };
                Ok(record(response, recorder, &of_call))
            }
            .instrument(span),
        )
    }
}

pub(super) fn too_late() -> Error {
    Error::new(Reason::DEADLINE_EXCEEDED, "the call took longer than its caller allowed")
}

pub(super) fn call_span(name: &str, kind: &'static str) -> Span {
    tracing::debug_span!(
        "call",
        otel.name = name,
        otel.kind = kind,
        rpc.system = "grpc",
        rpc.grpc.status_code = field::Empty,
        otel.status_code = field::Empty,
    )
}

/// Sees to it that the call is recorded when its status is known: at once, or with the last frame of its body.
pub(super) fn record(response: Response, recorder: Recorder, span: &Span) -> Response {
    if let Some(code) = status_of(response.headers()) {
        finish(recorder, span, code);
        return response;
    }
    let call = Some((recorder, span.clone()));
    response.map(|body| Body::new(RecordedBody { body, call }))
}

fn status_of(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|status| Code::from_bytes(status.as_bytes()))
}

pub(super) fn finish(recorder: Recorder, span: &Span, code: Code) {
    span.record("rpc.grpc.status_code", i32::from(code));
    if matches!(code, Code::Internal | Code::Unknown | Code::Unavailable | Code::DataLoss | Code::DeadlineExceeded) {
        span.record("otel.status_code", "ERROR");
    }
    recorder.finish(code_name(code));
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// A body that records its call when the trailers pass; dropped before, the call counts as cancelled.
struct RecordedBody {
    body: Body,
    call: Option<(Recorder, Span)>,
}

impl HttpBody for RecordedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let code = match &polled {
            Poll::Ready(Some(Ok(frame))) => frame.trailers_ref().and_then(status_of),
            Poll::Ready(Some(Err(status))) => Some(status.code()),
            Poll::Ready(None) => Some(Code::Unknown),
            Poll::Pending => None,
        };
        if let Some(code) = code
            && let Some((recorder, span)) = self.call.take()
        {
            finish(recorder, &span, code);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
