//! What the accept loop promises of HTTP/2, to a client that sends what frames it likes (RFC 9113 section 6).

use super::*;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const INITIAL_WINDOW_SIZE: u16 = 4;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

#[derive(Debug, PartialEq, Eq)]
struct Received {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

/// A client of HTTP/2, frame by frame. Settings it acknowledges by itself.
struct Frames {
    received: mpsc::UnboundedReceiver<Received>,
    send: mpsc::UnboundedSender<Vec<u8>>,
}

impl Frames {
    /// Begins a connection on which each stream has a window of so many bytes. Only who is `alive` answers pings.
    fn begin(client: DuplexStream, window: u32, alive: bool) -> Self {
        let (mut read, mut write) = tokio::io::split(client);
        let (send, mut to_send) = mpsc::unbounded_channel::<Vec<u8>>();
        tokio::spawn(async move {
            while let Some(bytes) = to_send.recv().await {
                if write.write_all(&bytes).await.is_err() {
                    break;
                }
            }
        });
        let (receive, received) = mpsc::unbounded_channel();
        let answer = send.clone();
        tokio::spawn(async move {
            let mut head = [0; 9];
            while read.read_exact(&mut head).await.is_ok() {
                let [a, b, c, kind, flags, stream @ ..] = head;
                let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
                read.read_exact(&mut payload).await.unwrap();
                if kind == SETTINGS && flags & ACK == 0 {
                    let _ = answer.send(frame(SETTINGS, ACK, 0, &[]));
                } else if kind == PING && flags & ACK == 0 {
                    if alive {
                        let _ = answer.send(frame(PING, ACK, 0, &payload));
                    }
                } else if receive.send(Received { kind, flags, stream: u32::from_be_bytes(stream), payload }).is_err() {
                    break;
                }
            }
        });
        let window = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &window.to_be_bytes()].concat();
        send.send([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, &window)[..]].concat()).unwrap();
        Self { received, send }
    }

    fn send(&self, frames: &[Vec<u8>]) {
        // A connection that is gone says so to whoever reads.
        let _ = self.send.send(frames.concat());
    }

    /// The next frame but acknowledged settings; none when the connection is closed.
    async fn next(&mut self) -> Option<Received> {
        loop {
            let next = self.received.recv().await?;
            if next.kind != SETTINGS {
                return Some(next);
            }
        }
    }

    /// What comes before the server answers a ping.
    async fn so_far(&mut self) -> Vec<Received> {
        self.send(&[frame(PING, 0, 0, b"so far..")]);
        let mut before = Vec::new();
        loop {
            let next = self.next().await.expect("the connection is open");
            if next.kind == PING {
                return before;
            }
            before.push(next);
        }
    }

    /// How long it stays open.
    async fn until_closed(&mut self) -> Duration {
        let begun = Instant::now();
        while self.next().await.is_some() {}
        begun.elapsed()
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET http://x/`: three entries of the static table, and an authority (RFC 7541 appendix A).
fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &[0x82, 0x86, 0x84, 0x41, 1, b'x'])
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())
}

fn window(stream: u32, more: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &more.to_be_bytes())
}

/// The first so many streams of a client.
fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|n| 2 * n + 1)
}

type Never = std::future::Pending<Result<Response<Empty<Bytes>>, Infallible>>;

/// Never answers, and tells of each request.
fn silent() -> (
    impl Service<Request<Incoming>, Response = Response<Empty<Bytes>>, Error = Infallible, Future = Never>
    + Clone
    + Send
    + Sync
    + 'static,
    mpsc::UnboundedReceiver<()>,
) {
    let (tell, told) = mpsc::unbounded_channel();
    let service = service_fn(move |_: Request<Incoming>| {
        let _ = tell.send(());
        std::future::pending()
    });
    (service, told)
}

/// D05: ten thousand streams.
#[tokio::test(start_paused = true)]
async fn a_stream_beyond_the_limit_is_refused_and_costs_the_others_nothing() {
    let (service, mut told) = silent();
    let limits = HttpLimits { concurrent_streams: 100, ..HttpLimits::default() };
    let mut client = Frames::begin(connect_within(limits, service, &CancellationToken::new()), 0, true);
    client.send(&streams(101).map(get).collect::<Vec<_>>());
    let refused =
        |stream| Received { kind: RST_STREAM, flags: 0, stream, payload: REFUSED_STREAM.to_be_bytes().to_vec() };
    assert_eq!(client.so_far().await, [refused(201)]);
    client.send(&[reset(1), get(203), get(205)]);
    assert_eq!(client.so_far().await, [refused(205)], "one was free");
    for _ in 0..101 {
        told.recv().await.unwrap();
    }
    assert!(told.try_recv().is_err(), "what was refused did not get through");
}

/// D05: rapid reset. Streams that end before anyone looked at them are not counted as under way.
#[tokio::test(start_paused = true)]
async fn who_resets_streams_faster_than_they_are_looked_at_loses_the_connection() {
    let limits = HttpLimits { pending_resets: 5, ..HttpLimits::default() };
    let connect = |resets| {
        let (service, _) = silent();
        let client = Frames::begin(connect_within(limits.clone(), service, &CancellationToken::new()), 0, true);
        client.send(&streams(resets).map(|stream| [get(stream), reset(stream)].concat()).collect::<Vec<_>>());
        client
    };
    assert_eq!(connect(5).so_far().await, []);
    let mut client = connect(6);
    let last = client.next().await.unwrap();
    assert_eq!((last.kind, &last.payload[4..8]), (GOAWAY, &ENHANCE_YOUR_CALM.to_be_bytes()[..]));
    assert_eq!(client.until_closed().await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn who_answers_no_ping_loses_the_connection_even_with_a_request_under_way() {
    for alive in [false, true] {
        let (service, _told) = silent();
        let mut client = Frames::begin(connect_to(service, &CancellationToken::new()), 0, alive);
        client.send(&[get(1)]);
        let closed = tokio::time::timeout(Duration::from_mins(10), client.until_closed()).await;
        assert_eq!(closed.is_err(), alive, "{closed:?}");
        if let Ok(open) = closed {
            assert!(seconds(30).contains(&open), "{open:?}");
        }
    }
}

/// D05: zero window. Answering pings and being served on other streams does not help.
#[tokio::test(start_paused = true)]
async fn a_client_that_gives_an_answer_no_window_is_let_go() {
    for given in [0, 1, 65_535] {
        let (dropped, mut noticed) = mpsc::unbounded_channel::<()>();
        let service = service_fn(move |_: Request<Incoming>| {
            let kept_by_body = dropped.clone();
            let frames = futures_util::stream::repeat_with(move || {
                let _kept_by_body = &kept_by_body;
                Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[b'x'; 4096])))
            });
            std::future::ready(Ok(Response::new(http_body_util::StreamBody::new(frames))))
        });
        let mut client = Frames::begin(connect_to(service, &CancellationToken::new()), given, true);
        client.send(&[get(1)]);
        let open = tokio::time::timeout(Duration::from_mins(10), client.until_closed()).await;
        assert!(open.as_ref().is_ok_and(|open| seconds(60).contains(open)), "{given}: {open:?}");
        assert_eq!(noticed.recv().await, None, "the body and the service are gone");
    }
    // A body that is whole leaves its handler as soon as one byte of it may go.
    for given in [0, 1] {
        let mut client = Frames::begin(connect(&CancellationToken::new()), given, true);
        let (begun, mut stream) = (Instant::now(), 1);
        client.send(&[get(stream)]);
        while tokio::time::timeout(Duration::from_secs(7), client.until_closed()).await.is_err() {
            stream += 2;
            client.send(&[get(stream), window(stream, 5)]);
            assert!(stream < 50, "it goes on for ever");
        }
        assert!(seconds(60).contains(&begun.elapsed()), "{given}: {:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_gives_an_answer_little_window_at_a_time_gets_all_of_it() {
    let body: &[u8] = b"a word a minute, nearly";
    let service = service_fn(async |_: Request<Incoming>| Ok(Response::new(Full::new(Bytes::from_static(body)))));
    let mut client = Frames::begin(connect_to(service, &CancellationToken::new()), 0, true);
    client.send(&[get(1)]);
    assert_eq!(client.next().await.unwrap().kind, HEADERS);
    let mut taken = Vec::new();
    while taken.len() < body.len() {
        tokio::time::sleep(Duration::from_secs(55)).await;
        client.send(&[window(1, 1)]);
        let next = client.next().await.unwrap();
        assert_eq!((next.kind, next.payload.len()), (DATA, 1));
        taken.extend(next.payload);
    }
    assert_eq!(taken, body);
    assert!(seconds(60).contains(&client.until_closed().await), "it rests like any other");
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_which_nothing_is_there_yet_is_waited_for() {
    let (feed, body) = mpsc::unbounded_channel();
    let body = Arc::new(parking_lot::Mutex::new(Some(body)));
    let service = service_fn(move |_: Request<Incoming>| {
        let body = body.lock().take().unwrap();
        std::future::ready(Ok(Response::new(Fed(body))))
    });
    let mut client = Frames::begin(connect_to(service, &CancellationToken::new()), 5, true);
    client.send(&[get(1)]);
    assert_eq!(client.next().await.unwrap().kind, HEADERS);
    for text in ["first", "later"] {
        tokio::time::sleep(Duration::from_mins(10)).await;
        feed.send(text).unwrap();
        assert_eq!(client.next().await.unwrap().payload, text.as_bytes());
        client.send(&[window(1, 5)]);
    }
}
