//! What becomes of a Redis that is not to be trusted: it is killed, frozen, emptied, filled with what it held long ago or
//! with junk, and answers late.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedMutRandom as _, SliceRandom as _};
use rand::{Rng as _, SeedableRng as _};
use servers::{Redis, Wire};

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
    pub(crate) fn start() -> Self {
        let redis = Redis::start().unwrap();
        let wire = Wire::start(&redis.address(), "MGET").unwrap();
        Self { redis, wire, state: State::Well, dump: Vec::new() }
    }

    /// Where replicas reach it.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}/", self.wire.address())
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
            8..12 => self.wire.answer_late(Duration::ZERO, Duration::from_millis(random.random_range(1..200))),
            12..20 => self.wire.answer_late(Duration::ZERO, Duration::ZERO),
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
