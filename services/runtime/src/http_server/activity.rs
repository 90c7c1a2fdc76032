//! What one connection is doing, and until when it may go on so: the basis of the header and idle timeouts.
//!
//! hyper's own header timeout also runs between two requests of a kept-alive connection, and does not run before the
//! protocol is known or over HTTP/2; so the bytes and the requests are watched here, the same way for both protocols.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Shared by the connection's socket, its requests and its watchdog.
#[derive(Clone)]
pub(super) struct Activity(Arc<Mutex<State>>);

struct State {
    requests: usize,
    /// What it does once no request is under way.
    quiet: Phase,
    /// Since when the client has taken nothing of what is waiting to be written.
    stalled: Option<Instant>,
    /// Over HTTP/2 bytes also answer pings, so after the first request they no longer mean that a header has begun.
    http2: bool,
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
            requests: 0,
            quiet: Phase::Header(Instant::now()),
            stalled: None,
            http2: false,
        })))
    }

    pub(super) fn phase(&self) -> Phase {
        let state = self.0.lock();
        match state.stalled {
            Some(since) => Phase::Stalled(since),
            None if state.requests > 0 => Phase::Busy,
            None => state.quiet,
        }
    }

    /// A request's header is whole. The request lasts until what is returned is dropped.
    pub(super) fn begin(&self, http2: bool) -> InFlight {
        let mut state = self.0.lock();
        state.requests += 1;
        state.http2 |= http2;
        InFlight(self.clone())
    }

    fn bytes_arrived(&self) {
        let mut state = self.0.lock();
        if state.requests == 0 && !state.http2 && matches!(state.quiet, Phase::Idle(_)) {
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
pub(super) struct InFlight(Activity);

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        state.requests -= 1;
        if state.requests == 0 {
            state.quiet = Phase::Idle(Instant::now());
        }
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
