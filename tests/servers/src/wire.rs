//! A wire to a server, which passes on what is asked at once and what is answered as late as it is told to.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The wire, on a thread and with a clock of its own. Dropping it cuts it.
#[derive(Debug)]
pub struct Wire {
    port: u16,
    state: Arc<State>,
    _end: tokio::sync::oneshot::Sender<()>,
}

#[derive(Debug)]
struct State {
    /// The least and the most that an answer is late, in milliseconds.
    lateness: [AtomicU64; 2],
    counted: &'static str,
    count: AtomicUsize,
}

impl Wire {
    /// A wire to where `to` (`host:port`) is. How often the text `counted` is asked is counted.
    pub fn start(to: &str, counted: &'static str) -> Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(State { lateness: Default::default(), counted, count: AtomicUsize::new(0) });
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let (to, passing) = (to.to_owned(), Arc::clone(&state));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = ended => {}
                    _ = serve(listener, to, passing) => {}
                }
            });
        };
        std::thread::Builder::new().name("wire".to_owned()).spawn(run).context("starting a wire")?;
        Ok(Self { port, state, _end: end })
    }

    /// Where its near end is: `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// How late answers are from now on: by something between the two.
    pub fn answer_late(&self, least: Duration, most: Duration) {
        for (kept, wanted) in self.state.lateness.iter().zip([least, most]) {
            kept.store(u64::try_from(wanted.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// How often the text that is counted was asked.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state.count.load(Ordering::Relaxed)
    }
}

async fn serve(listener: std::net::TcpListener, to: String, state: Arc<State>) -> Result<()> {
    let listener = TcpListener::from_std(listener)?;
    while let Ok((near, _)) = listener.accept().await {
        let Ok(far) = TcpStream::connect(&to).await else { continue };
        let ((asked, answers), (from, into)) = (near.into_split(), far.into_split());
        let counting = Arc::clone(&state);
        // The end of what came before: a text may come in two parts.
        let mut before = Vec::new();
        let count = move |bytes: &[u8]| {
            before.extend_from_slice(bytes);
            let found = before.windows(counting.counted.len()).filter(|part| *part == counting.counted.as_bytes());
            counting.count.fetch_add(found.count(), Ordering::Relaxed);
            before.drain(..before.len().saturating_sub(counting.counted.len().saturating_sub(1)));
            Duration::ZERO
        };
        tokio::spawn(pass(asked, into, count));
        let state = Arc::clone(&state);
        let late = move |_: &[u8]| {
            let [least, most] = [0, 1].map(|at: usize| state.lateness[at].load(Ordering::Relaxed));
            Duration::from_millis(if least < most { rand::random_range(least..most) } else { least })
        };
        tokio::spawn(pass(from, answers, late));
    }
    Ok(())
}

/// Passes bytes on until either end is closed, each part after a wait.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut wait: impl FnMut(&[u8]) -> Duration,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let wait = wait(&buffer[..read]);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
