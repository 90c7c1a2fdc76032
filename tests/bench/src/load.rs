//! The load: requests over connections that are kept alive, one task each, no client in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::stats::{millis, number};

/// A server, and who asks it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    base: String,
    host: HeaderValue,
    authorization: HeaderValue,
    json: HeaderValue,
}

/// A request that can be sent.
pub(crate) type Ask = Request<Full<Bytes>>;

/// The `n`th request.
pub(crate) type Asks = Arc<dyn Fn(usize) -> Ask + Send + Sync>;

/// What became of many requests.
#[derive(Debug)]
pub(crate) struct Load {
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// Of each request, in milliseconds.
    pub(crate) latencies: Vec<f64>,
}

impl Load {
    /// Requests in a second.
    pub(crate) fn rate(&self) -> f64 {
        number(self.latencies.len()) / self.took.as_secs_f64()
    }
}

impl Target {
    /// The server at the base URL; requests carry this bearer token.
    pub(crate) fn new(url: &str, token: &str, content: &'static str) -> Result<Self> {
        let url: Uri = url.parse().context("a base URL")?;
        let host = url.authority().context("a base URL names a host")?;
        Ok(Self {
            base: url.path().trim_end_matches('/').to_owned(),
            host: host.as_str().try_into()?,
            authorization: format!("Bearer {token}").try_into()?,
            json: HeaderValue::from_static(content),
        })
    }

    /// A request to a path below the base URL, with a JSON body unless that is empty.
    pub(crate) fn ask(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Ask {
        let body = body.into();
        let has_body = !body.is_empty();
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = format!("{}{path}", self.base).parse().unwrap_or_default();
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(AUTHORIZATION, self.authorization.clone());
        if has_body {
            headers.insert(CONTENT_TYPE, self.json.clone());
        }
        request
    }
}

/// A connection that is kept alive.
#[derive(Debug)]
pub(crate) struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    pub(crate) async fn open(target: &Target) -> Result<Self> {
        let stream = TcpStream::connect(target.host.to_str()?).await.context("connecting")?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// Sends a request and reads its answer, which must have this status.
    pub(crate) async fn send(&mut self, request: Ask, expected: StatusCode) -> Result<Bytes> {
        self.0.ready().await.context("the connection was closed")?;
        let answer = self.0.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        ensure!(status == expected, "the answer is {status}: {}", String::from_utf8_lossy(&body));
        Ok(body)
    }
}

/// Sends `count` requests over so many connections as fast as they are answered.
pub(crate) async fn run(
    target: &Target,
    connections: usize,
    count: usize,
    expected: StatusCode,
    asks: Asks,
) -> Result<Load> {
    let (load, _) = all(target, connections, count, expected, asks, false).await?;
    Ok(load)
}

/// The same, with the answers' bodies in the order of the requests.
pub(crate) async fn answers(
    target: &Target,
    connections: usize,
    count: usize,
    expected: StatusCode,
    asks: Asks,
) -> Result<Vec<Bytes>> {
    let (_, mut bodies) = all(target, connections, count, expected, asks, true).await?;
    bodies.sort_by_key(|(index, _)| *index);
    Ok(bodies.into_iter().map(|(_, body)| body).collect())
}

async fn all(
    target: &Target,
    connections: usize,
    count: usize,
    expected: StatusCode,
    asks: Asks,
    keep: bool,
) -> Result<(Load, Vec<(usize, Bytes)>)> {
    let (next, start) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(connections + 1)));
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let mut connection = Connection::open(target).await?;
        let (next, start, asks) = (Arc::clone(&next), Arc::clone(&start), Arc::clone(&asks));
        tasks.spawn(async move {
            let (mut latencies, mut bodies) = (Vec::with_capacity(count / connections + 1), Vec::new());
            start.wait().await;
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count {
                    return Ok::<_, anyhow::Error>((latencies, bodies));
                }
                let ask = asks(index);
                let sent = Instant::now();
                let body = connection.send(ask, expected).await?;
                latencies.push(millis(sent.elapsed()));
                if keep {
                    bodies.push((index, body));
                }
            }
        });
    }
    // Taken before the tasks are let go: this task may be the last to be woken.
    let began = Instant::now();
    start.wait().await;
    let (mut latencies, mut bodies) = (Vec::with_capacity(count), Vec::new());
    while let Some(ended) = tasks.join_next().await {
        let (mut its_latencies, mut its_bodies) = ended??;
        latencies.append(&mut its_latencies);
        bodies.append(&mut its_bodies);
    }
    Ok((Load { took: began.elapsed(), latencies }, bodies))
}

/// Requests at a steady rate, until stopped.
#[derive(Debug)]
pub(crate) struct Steady {
    began: Instant,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Result<usize>>,
}

impl Steady {
    /// Begins to send `rate` requests a second over so many connections.
    pub(crate) async fn start(
        target: &Target,
        connections: usize,
        rate: u32,
        expected: StatusCode,
        asks: Asks,
    ) -> Result<Self> {
        let (next, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (began, mut tasks) = (Instant::now(), JoinSet::new());
        for _ in 0..connections {
            let mut connection = Connection::open(target).await?;
            let (next, stop, asks) = (Arc::clone(&next), Arc::clone(&stop), Arc::clone(&asks));
            tasks.spawn(async move {
                let mut sent = 0;
                while !stop.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let due = began + Duration::from_secs_f64(number(index) / f64::from(rate));
                    tokio::time::sleep_until(due.into()).await;
                    connection.send(asks(index), expected).await?;
                    sent += 1;
                }
                Ok(sent)
            });
        }
        Ok(Self { began, stop, tasks })
    }

    /// Stops; answers how many were answered in a second.
    pub(crate) async fn stop(mut self) -> Result<f64> {
        self.stop.store(true, Ordering::Relaxed);
        let lasted = self.began.elapsed();
        let mut sent = 0;
        while let Some(ended) = self.tasks.join_next().await {
            sent += ended??;
        }
        Ok(number(sent) / lasted.as_secs_f64())
    }
}
