//! What the accept loop promises. Connections run over in-memory pipes on a paused clock, so every timeout is exact.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Body as _, Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::service_fn;

use super::*;

mod http2;

/// A body fed by the test.
struct Fed(mpsc::UnboundedReceiver<&'static str>);

impl Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|text| text.map(|text| Ok(Frame::data(Bytes::from_static(text.as_bytes())))))
    }
}

/// The client's end of a connection whose requests are all answered with `hello`.
fn connect(shutdown: &CancellationToken) -> DuplexStream {
    connect_to(
        service_fn(async |_: Request<Incoming>| Ok(Response::new(Full::new(Bytes::from_static(b"hello"))))),
        shutdown,
    )
}

fn connect_to<S, B>(service: S, shutdown: &CancellationToken) -> DuplexStream
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    connect_within(HttpLimits::default(), service, shutdown)
}

fn connect_within<S, B>(limits: HttpLimits, service: S, shutdown: &CancellationToken) -> DuplexStream
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let (client, server) = tokio::io::duplex(64 * 1024);
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        let peer = SocketAddr::from(([192, 0, 2, 1], 5));
        connection::serve(server, peer, service, &connection::builder(&limits), &limits, shutdown).await;
    });
    client
}

/// Reads until the server closes, and says what came and how long that took.
async fn until_closed(client: &mut DuplexStream) -> (String, Duration) {
    let begun = Instant::now();
    let mut text = Vec::new();
    client.read_to_end(&mut text).await.unwrap();
    (String::from_utf8_lossy(&text).into_owned(), begun.elapsed())
}

/// Reads one answer of [`connect`].
async fn one_answer(client: &mut DuplexStream) {
    let mut text = Vec::new();
    while !text.ends_with(b"hello") {
        assert_ne!(client.read_buf(&mut text).await.unwrap(), 0, "closed early");
    }
}

fn seconds(count: u64) -> std::ops::Range<Duration> {
    Duration::from_secs(count)..Duration::from_secs(count) + Duration::from_millis(50)
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_or_half_a_header_is_closed_after_the_header_timeout() {
    for beginning in ["", "GET / HTTP/1.1\r\nhost:", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PRI * HT"] {
        let mut client = connect(&CancellationToken::new());
        client.write_all(beginning.as_bytes()).await.unwrap();
        let (_, waited) = until_closed(&mut client).await;
        assert!(seconds(10).contains(&waited), "{beginning:?} stayed open for {waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_header_that_trickles_in_gets_no_more_time() {
    let client = connect(&CancellationToken::new());
    let (mut read, mut write) = tokio::io::split(client);
    tokio::spawn(async move {
        for byte in b"GET /a-very-long-path-that-never-ends".iter().cycle() {
            if write.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let begun = Instant::now();
    read.read_to_end(&mut Vec::new()).await.unwrap();
    assert!(seconds(10).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_kept_alive_connection_may_rest_longer_than_a_header_may_take() {
    let mut client = connect(&CancellationToken::new());
    for _ in 0..3 {
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        one_answer(&mut client).await;
        tokio::time::sleep(Duration::from_secs(55)).await;
    }
    let (_, waited) = until_closed(&mut client).await;
    assert!(seconds(5).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn the_second_header_of_a_connection_gets_no_more_time_than_the_first() {
    let mut client = connect(&CancellationToken::new());
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    one_answer(&mut client).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    client.write_all(b"GET / HT").await.unwrap();
    let (_, waited) = until_closed(&mut client).await;
    assert!(seconds(10).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn too_many_header_fields_are_refused_over_both_protocols() {
    let fields = "x-a: 1\r\n".repeat(200);
    let mut client = connect(&CancellationToken::new());
    client.write_all(format!("GET / HTTP/1.1\r\nhost: x\r\n{fields}\r\n").as_bytes()).await.unwrap();
    let (answer, _) = until_closed(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");

    let mut sender = http2(connect(&CancellationToken::new())).await;
    let mut request = Request::get("http://x/").body(Empty::<Bytes>::new()).unwrap();
    for n in 0..200 {
        request.headers_mut().append("x-a", n.into());
    }
    assert_eq!(sender.send_request(request).await.unwrap().status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[tokio::test(start_paused = true)]
async fn header_bytes_are_bounded() {
    let mut client = connect(&CancellationToken::new());
    let (mut read, mut write) = tokio::io::split(&mut client);
    let ((), answer) = tokio::join!(
        async {
            // The server may close before all of it has been taken.
            let _ = write.write_all(format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(100_000)).as_bytes()).await;
        },
        async {
            let mut answer = Vec::new();
            let _ = read.read_to_end(&mut answer).await;
            String::from_utf8_lossy(&answer).into_owned()
        }
    );
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

async fn http2(client: DuplexStream) -> hyper::client::conn::http2::SendRequest<Empty<Bytes>> {
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client));
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    sender
}

#[tokio::test(start_paused = true)]
async fn an_http2_connection_rests_as_long_as_any_other_and_is_then_closed() {
    let mut sender = http2(connect(&CancellationToken::new())).await;
    let begun = Instant::now();
    let answer = sender.send_request(Request::get("http://x/").body(Empty::new()).unwrap()).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert!(sender.ready().await.is_ok(), "closed while it may still rest");
    while !sender.is_closed() {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(begun.elapsed() < Duration::from_secs(75), "still open");
    }
    assert!(begun.elapsed() >= Duration::from_mins(1));
}

#[tokio::test(start_paused = true)]
async fn a_request_may_take_longer_than_a_connection_may_rest() {
    let slow = service_fn(async |_: Request<Incoming>| {
        tokio::time::sleep(Duration::from_mins(10)).await;
        Ok(Response::new(Full::new(Bytes::from_static(b"hello"))))
    });
    let mut client = connect_to(slow, &CancellationToken::new());
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    one_answer(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_of_its_answer_is_let_go() {
    let (dropped, mut noticed) = mpsc::unbounded_channel::<()>();
    let service = service_fn(move |_: Request<Incoming>| {
        let kept_by_body = dropped.clone();
        let frames = futures_util::stream::repeat_with(move || {
            let _kept_by_body = &kept_by_body;
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[b'x'; 4096])))
        });
        std::future::ready(Ok(Response::new(http_body_util::StreamBody::new(frames))))
    });
    let mut client = connect_to(service, &CancellationToken::new());
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let begun = Instant::now();
    assert_eq!(noticed.recv().await, None, "the body and the service are gone");
    assert!(seconds(60).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_its_answer_slowly_gets_all_of_it() {
    const LENGTH: usize = 1_000_000;
    let service =
        service_fn(async |_: Request<Incoming>| Ok(Response::new(Full::new(Bytes::from(vec![b'x'; LENGTH])))));
    let mut client = connect_to(service, &CancellationToken::new());
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let (mut read, mut part) = (0, vec![0; 32 * 1024]);
    while read < LENGTH {
        tokio::time::sleep(Duration::from_secs(50)).await;
        let some = client.read(&mut part).await.unwrap();
        assert_ne!(some, 0, "closed after {read} bytes");
        read += some;
    }
}

#[tokio::test(start_paused = true)]
async fn draining_closes_idle_connections_at_once() {
    let shutdown = CancellationToken::new();
    let mut client = connect(&shutdown);
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    one_answer(&mut client).await;
    let mut fresh = connect(&shutdown);
    tokio::task::yield_now().await;
    shutdown.cancel();
    for client in [&mut client, &mut fresh] {
        let (_, waited) = until_closed(client).await;
        assert_eq!(waited, Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn draining_does_not_cut_an_answer_that_is_under_way() {
    let (feed, body) = mpsc::unbounded_channel();
    let body = Arc::new(parking_lot::Mutex::new(Some(body)));
    let service = service_fn(move |_: Request<Incoming>| {
        let body = body.lock().take().unwrap();
        std::future::ready(Ok(Response::new(Fed(body))))
    });
    let shutdown = CancellationToken::new();
    let mut client = connect_to(service, &shutdown);
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    feed.send("first,").unwrap();
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains("first,") {
        assert_ne!(client.read_buf(&mut text).await.unwrap(), 0);
    }
    shutdown.cancel();
    tokio::time::sleep(Duration::from_secs(20)).await;
    feed.send("last").unwrap();
    drop(feed);
    let (rest, waited) = until_closed(&mut client).await;
    assert!(rest.contains("last\r\n0\r\n\r\n"), "{rest}");
    assert_eq!(waited, Duration::ZERO);
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_on_arrival_and_serving_ends_with_the_last() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let metrics = Metrics::new();
    let limits = HttpLimits { connections_per_address: 1, ..HttpLimits::default() };
    let service = service_fn(async |request: Request<Incoming>| {
        let PeerAddress(peer) = request.extensions().get().copied().unwrap();
        Ok(Response::new(Full::new(Bytes::from(peer.to_string()))))
    });
    let serving = tokio::spawn({
        let (metrics, shutdown) = (metrics.clone(), shutdown.clone());
        async move { serve(listener, service, limits, None, &metrics, shutdown).await }
    });

    let stream = TcpStream::connect(address).await.unwrap();
    let mine = stream.local_addr().unwrap().to_string();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let ask = |sender: &mut hyper::client::conn::http1::SendRequest<Empty<Bytes>>| {
        sender.send_request(Request::get("/").header("host", "x").body(Empty::new()).unwrap())
    };
    let answer = ask(&mut sender).await.unwrap().into_body();
    assert!(!answer.is_end_stream());
    assert_eq!(answer.collect().await.unwrap().to_bytes(), mine);

    let mut second = TcpStream::connect(address).await.unwrap();
    assert!(matches!(second.read(&mut [0; 1]).await, Ok(0) | Err(_)));
    assert!(metrics.encode().contains("rolecall_http_connections_refused_total 1"));
    assert!(ask(&mut sender).await.is_ok(), "the first is not disturbed");

    shutdown.cancel();
    serving.await.unwrap();
    // Closed by the server, which may look like an error to the client.
    let _ = connection.await.unwrap();
    assert!(metrics.encode().contains("rolecall_http_connections 0"));
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_handler_answers_500_and_keeps_the_connection() {
    let service = service_fn(async |request: Request<Incoming>| {
        assert_ne!(request.uri().path(), "/panic", "as the test wants it");
        Ok(Response::new(Full::new(Bytes::from_static(b"hello"))))
    });
    let mut sender = http2(connect_to(service, &CancellationToken::new())).await;
    let mut ask = async |path: &str| {
        let request = Request::get(format!("http://x{path}")).body(Empty::new()).unwrap();
        sender.send_request(request).await.unwrap().status()
    };
    assert_eq!(ask("/panic").await, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(ask("/").await, StatusCode::OK);
}
