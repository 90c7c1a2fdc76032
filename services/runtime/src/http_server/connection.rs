//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response, StatusCode, Version};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tower::{BoxError, Service, ServiceExt};

use super::activity::{Activity, Chunk, InFlight, Phase, Watched};
use super::{HttpLimits, PeerAddress};

pub(super) fn builder(limits: &HttpLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_headers(limits.header_count)
        .max_buf_size(limits.header_bytes as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(limits.header_bytes)
        .max_concurrent_streams(limits.concurrent_streams)
        .max_pending_accept_reset_streams(limits.pending_resets)
        .keep_alive_interval(limits.ping_interval)
        .keep_alive_timeout(limits.ping_timeout)
        .adaptive_window(true);
    builder
}

/// Serves the connection until it closes, or goes beyond its limits, or `shutdown` finds it idle.
pub(super) async fn serve<IO, S, B>(
    io: IO,
    peer: SocketAddr,
    service: S,
    builder: &Builder<TokioExecutor>,
    limits: &HttpLimits,
    shutdown: CancellationToken,
) where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let activity = Activity::new();
    let io = TokioIo::new(Watched { io, activity: activity.clone() });
    let requests = Requests { service, peer, activity: activity.clone(), header_count: limits.header_count };
    let mut connection = pin!(builder.serve_connection(io, requests));
    let mut shutdown = pin!(shutdown.cancelled_owned());
    let mut clock = pin!(sleep_until(Instant::now() + limits.header_timeout));
    let mut closing: Option<Instant> = None;
    poll_fn(|cx| {
        loop {
            if closing.is_none() && shutdown.as_mut().poll(cx).is_ready() {
                closing = Some(Instant::now());
                connection.as_mut().graceful_shutdown();
            }
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended with an error");
                }
                return Poll::Ready(());
            }
            let phase = activity.phase();
            let end = match (phase, closing) {
                // Nothing tells this task that a request has ended elsewhere, so it looks again when the clock rings.
                (Phase::Busy, _) => None,
                (Phase::Header(since), _) => Some(since + limits.header_timeout),
                (Phase::Stalled(since), _) | (Phase::Idle(since), None) => Some(since + limits.idle_timeout),
                (Phase::Idle(since), Some(closing)) => Some(since.max(closing) + limits.header_timeout),
            };
            // A clock that rings early costs one more look; setting it anew for every request would cost more.
            if let Some(end) = end.filter(|end| *end < clock.deadline()) {
                clock.as_mut().reset(end);
            }
            if clock.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            // Answers are looked through only when the clock rings. That it does at least once while one may be left where it
            // is, and then once more at the end of that time.
            let left = || activity.left().map(|since| since + limits.idle_timeout);
            let end = if phase == Phase::Busy { left() } else { end };
            if end.is_some_and(|end| end <= now) {
                if !matches!(phase, Phase::Idle(_)) || closing.is_some() {
                    return Poll::Ready(());
                }
                closing = Some(now);
                connection.as_mut().graceful_shutdown();
            }
            clock.as_mut().reset(end.filter(|end| *end > now).unwrap_or(now + limits.idle_timeout));
        }
    })
    .await;
}

/// The service as hyper calls it: every request knows its peer, and counts as under way until its answer is taken.
struct Requests<S> {
    service: S,
    peer: SocketAddr,
    activity: Activity,
    header_count: usize,
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Requests<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    type Response = Response<Tracked<B>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let in_flight = self.activity.begin(request.version() == Version::HTTP_2);
        // hyper counts them over HTTP/1 only.
        if request.headers().len() > self.header_count {
            let mut response = Response::new(Tracked { body: None, in_flight });
            *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            return Box::pin(std::future::ready(Ok(response)));
        }
        request.extensions_mut().insert(PeerAddress(self.peer));
        // A panic in a handler is a fault of ours, and must cost neither the connection nor the others on it.
        let answer = AssertUnwindSafe(self.service.clone().oneshot(request)).catch_unwind();
        Box::pin(async move {
            let Ok(response) = answer.await else {
                let mut response = Response::new(Tracked { body: None, in_flight });
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                return Ok(response);
            };
            Ok(response?.map(|body| Tracked { body: Some(body), in_flight }))
        })
    }
}

/// A body whose request is under way until its last byte has left, or it is dropped.
struct Tracked<B> {
    body: Option<B>,
    in_flight: Arc<InFlight>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Tracked<B> {
    type Data = Chunk;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Chunk>, B::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(cx);
        polled.map_ok(|frame| frame.map_data(|bytes| self.in_flight.chunk(bytes)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
