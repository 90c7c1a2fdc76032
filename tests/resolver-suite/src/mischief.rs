//! What becomes of a Redis that is not to be trusted: it is killed, frozen, emptied, filled with what it held long ago or
//! with junk, and answers late.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedMutRandom as _, SliceRandom as _};
use rand::{Rng as _, SeedableRng as _};
use servers::Redis;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A Redis behind a wire that may be slow.
pub(crate) struct Mischief {
    redis: Redis,
    wire: Wire,
    state: State,
    /// What it held at some time.
    dump: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Well,
    Killed,
    Frozen,
}

impl Mischief {
    pub(crate) async fn start() -> Self {
        let redis = Redis::start().unwrap();
        let wire = Wire::start(redis.url().trim_start_matches("redis://").trim_end_matches('/')).await;
        Self { redis, wire, state: State::Well, dump: Vec::new() }
    }

    /// Where replicas reach it.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.wire.port)
    }

    /// Something becomes of it; most often little.
    pub(crate) fn happen(&mut self, roll: u64) {
        let mut random = StdRng::seed_from_u64(roll);
        match self.state {
            State::Well => {}
            State::Killed => self.redis.restart().unwrap(),
            State::Frozen => self.redis.thaw().unwrap(),
        }
        self.state = State::Well;
        match random.random_range(0..100) {
            0..4 => {
                self.redis.kill().unwrap();
                self.state = State::Killed;
            }
            4..8 => {
                self.redis.freeze().unwrap();
                self.state = State::Frozen;
            }
            8..12 => self.wire.slowness.store(random.random_range(0..200), Ordering::Relaxed),
            12..20 => self.wire.slowness.store(0, Ordering::Relaxed),
            20..35 => self.dump = self.all(),
            35..50 => self.put(self.dump.clone()),
            50..60 => {
                let mut all = self.all();
                for (_, value) in &mut all {
                    if let Some(byte) = value.choose_mut(&mut random) {
                        *byte ^= 1;
                    }
                }
                self.put(all);
            }
            60..70 => {
                // Each under another's key.
                let (keys, mut values): (Vec<_>, Vec<_>) = self.all().into_iter().unzip();
                values.shuffle(&mut random);
                self.put(keys.into_iter().zip(values));
            }
            70..73 => redis::cmd("FLUSHALL").exec(&mut self.client()).unwrap(),
            _ => {}
        }
    }

    fn client(&self) -> redis::Connection {
        redis::Client::open(self.redis.url()).unwrap().get_connection().unwrap()
    }

    fn all(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut client = self.client();
        let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(&mut client).unwrap();
        let mut all = Vec::new();
        for key in keys {
            let value: Option<Vec<u8>> = redis::cmd("GET").arg(&key).query(&mut client).unwrap();
            all.extend(value.map(|value| (key, value)));
        }
        all
    }

    fn put(&self, values: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) {
        let mut client = self.client();
        for (key, value) in values {
            redis::cmd("SET").arg(key).arg(value).exec(&mut client).unwrap();
        }
    }
}

/// A wire that passes on what is asked at once, and what is answered up to so many milliseconds late.
struct Wire {
    port: u16,
    slowness: Arc<AtomicU64>,
}

impl Wire {
    async fn start(to: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (to, slowness) = (to.to_owned(), Arc::new(AtomicU64::new(0)));
        let slow = Arc::clone(&slowness);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(&to).await else { continue };
                let ((asked, answers), (from, into)) = (near.into_split(), far.into_split());
                tokio::spawn(pass(asked, into, Arc::default()));
                tokio::spawn(pass(from, answers, Arc::clone(&slow)));
            }
        });
        Self { port, slowness }
    }
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, slowness: Arc<AtomicU64>) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let slowness = slowness.load(Ordering::Relaxed);
        if slowness > 0 {
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..slowness))).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
