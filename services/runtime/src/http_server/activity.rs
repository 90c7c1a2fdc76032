//! What one connection is doing, and until when it may go on so: the basis of the header and idle timeouts.
//!
//! hyper's own header timeout also runs between two requests of a kept-alive connection, and does not run before the
//! protocol is known or over HTTP/2; so the bytes and the requests are watched here, the same way for both protocols.
//!
//! Over HTTP/2 a client can also leave an answer where it is while the socket takes bytes: it gives the stream no window.
//! So each answer is watched by itself, down to its last byte ([`Chunk`]).

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Shared by the connection's socket, its requests and its watchdog.
#[derive(Clone)]
pub(super) struct Activity(Arc<Mutex<State>>);

struct State {
    /// Requests under way, by number.
    requests: BTreeMap<u64, Answer>,
    /// The next request's number.
    next: u64,
    /// What it does once no request is under way.
    quiet: Phase,
    /// Since when the client has taken nothing of what is waiting to be written.
    stalled: Option<Instant>,
    /// Over HTTP/2 bytes also answer pings, so after the first request they no longer mean that a header has begun.
    http2: bool,
}

/// The answer of a request under way.
struct Answer {
    /// Pieces that are there for the client and have not left whole.
    chunks: usize,
    /// When some of them last came or left.
    moved: Instant,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// At least one request is under way.
    Busy,
    /// The client takes nothing of its answer, since then.
    Stalled(Instant),
    /// A request's header is awaited or arriving, since then.
    Header(Instant),
    /// Nothing, since then.
    Idle(Instant),
}

impl Activity {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            requests: BTreeMap::new(),
            next: 0,
            quiet: Phase::Header(Instant::now()),
            stalled: None,
            http2: false,
        })))
    }

    pub(super) fn phase(&self) -> Phase {
        let state = self.0.lock();
        match state.stalled {
            Some(since) => Phase::Stalled(since),
            None if !state.requests.is_empty() => Phase::Busy,
            None => state.quiet,
        }
    }

    /// Since when the client has left an answer where it is, of those the one for longest. An answer of which the service
    /// has nothing more to send yet is none of them.
    pub(super) fn left(&self) -> Option<Instant> {
        let state = self.0.lock();
        state.requests.values().filter(|answer| answer.chunks > 0).map(|answer| answer.moved).min()
    }

    /// A request's header is whole. The request lasts until what is returned is dropped.
    pub(super) fn begin(&self, http2: bool) -> Arc<InFlight> {
        let mut state = self.0.lock();
        let number = state.next;
        state.next += 1;
        state.requests.insert(number, Answer { chunks: 0, moved: Instant::now() });
        state.http2 |= http2;
        Arc::new(InFlight { activity: self.clone(), number })
    }

    fn bytes_arrived(&self) {
        let mut state = self.0.lock();
        if state.requests.is_empty() && !state.http2 && matches!(state.quiet, Phase::Idle(_)) {
            state.quiet = Phase::Header(Instant::now());
        }
    }

    /// Notes whether the socket took something; hands the answer on.
    fn wrote<T>(&self, written: Poll<T>) -> Poll<T> {
        let mut state = self.0.lock();
        state.stalled = if written.is_pending() { state.stalled.or_else(|| Some(Instant::now())) } else { None };
        written
    }
}

/// A request under way.
pub(super) struct InFlight {
    activity: Activity,
    number: u64,
}

impl InFlight {
    /// A piece of the answer, on its way to the client.
    pub(super) fn chunk(self: &Arc<Self>, bytes: Bytes) -> Chunk {
        self.update(|answer| {
            answer.chunks += 1;
            answer.moved = Instant::now();
        });
        Chunk { bytes, request: Arc::clone(self) }
    }

    fn update(&self, change: impl FnOnce(&mut Answer)) {
        if let Some(answer) = self.activity.0.lock().requests.get_mut(&self.number) {
            change(answer);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.activity.0.lock();
        state.requests.remove(&self.number);
        if state.requests.is_empty() {
            state.quiet = Phase::Idle(Instant::now());
        }
    }
}

/// Bytes of an answer that are noticed as they leave; the request is under way until the last has. hyper takes them out of
/// the body long before: when the client may have none of them yet.
pub(super) struct Chunk {
    bytes: Bytes,
    request: Arc<InFlight>,
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if count > 0 {
            self.request.update(|answer| answer.moved = Instant::now());
        }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.request.update(|answer| answer.chunks -= 1);
    }
}

/// A socket whose bytes are noticed as they come and go.
pub(super) struct Watched<IO> {
    pub(super) io: IO,
    pub(super) activity: Activity,
}

impl<IO: AsyncRead + Unpin> AsyncRead for Watched<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.bytes_arrived();
        }
        read
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Watched<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.activity.wrote(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.activity.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
