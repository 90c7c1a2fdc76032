//! The layer all replicas share, in Redis. It is not trusted: what it answers is checked by MAC and rule, and it may be
//! empty, old, wrong, slow or gone.
//!
//! One connection, kept by a task of its own. A command that takes too long or fails costs the connection, so that no late
//! answer can be taken for another's, and until there is a new one that answers in time everything is a miss at once:
//! that is the breaker. No request waits for a connection.

use std::sync::Arc;
use std::time::Duration;

use domain::id::{TenantId, UserId};
use parking_lot::RwLock;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisResult};
use runtime::admin::Readiness;
use runtime::backoff::Backoff;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::counts::{Counts, Fill};
use super::entry::{CacheKey, Entry};
use super::near::Kept;
use super::seal::{FORMAT, HEAD, open, seal};
use crate::RedisConfig;

/// How long a command may take, unless a test says otherwise.
pub(crate) const COMMAND: Duration = Duration::from_millis(100);
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_millis(500);
/// The waits between attempts to connect.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(5) };
/// The largest value that is kept or read, in bytes.
const LARGEST: usize = 1 << 20;
/// Sets that wait to be kept; more are dropped.
const WAITING: usize = 4_096;
/// Sets sent together.
const TOGETHER: usize = 64;
/// What the process tells of this layer.
const CHECK: &str = "shared_cache";

/// Keeps a value unless a newer one of the same epoch is kept. Format and epoch come first, then the revision, its most
/// significant byte first. Arguments: the value, its time to live in milliseconds, the length of that head.
const KEEP: &str = "
local head = tonumber(ARGV[3])
local old = redis.call('GETRANGE', KEYS[1], 0, head - 1)
if #old == head and string.sub(old, 1, head - 8) == string.sub(ARGV[1], 1, head - 8) then
  for at = head - 7, head do
    local was, is = string.byte(old, at), string.byte(ARGV[1], at)
    if was > is then return 0 end
    if was < is then break end
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1";

/// Keeps a value whatever was kept.
#[cfg(test)]
const SET: &str = "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1";

/// The layer. Dropping it ends its tasks.
#[derive(Debug)]
pub(crate) struct Shared {
    link: Arc<Link>,
    key: CacheKey,
    fills: mpsc::Sender<Job>,
    counts: Counts,
    _stop: DropGuard,
}

#[derive(Debug)]
enum Job {
    Keep(TenantId, Kept),
    /// What is kept there is no entry of ours.
    Drop(TenantId, UserId),
}

/// The connection, if there is one that answers in time.
struct Link {
    connection: RwLock<Option<(u64, MultiplexedConnection)>>,
    lost: Notify,
    /// How long a command may take.
    command: Duration,
    counts: Counts,
    readiness: Readiness,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("connected", &self.connection.read().is_some()).finish_non_exhaustive()
    }
}

impl Shared {
    /// A layer in the server that `config` names, if it names one, whose entries are dropped after `ttl` at the latest.
    pub(crate) fn new(
        config: &RedisConfig,
        key: CacheKey,
        ttl: Duration,
        counts: Counts,
        readiness: Readiness,
    ) -> Option<Self> {
        let (client, command) = (config.client()?, config.command);
        let (connection, lost) = (RwLock::default(), Notify::new());
        let link = Arc::new(Link { connection, lost, command, counts: counts.clone(), readiness });
        let (fills, jobs) = mpsc::channel(WAITING);
        let stop = CancellationToken::new();
        let (keeper, stopped) = (Arc::clone(&link), stop.clone());
        tokio::spawn(async move { stopped.run_until_cancelled(keeper.keep(client)).await });
        let filler = Filler { link: Arc::clone(&link), key: key.clone(), ttl, counts: counts.clone() };
        let stopped = stop.clone();
        tokio::spawn(async move { stopped.run_until_cancelled(filler.run(jobs)).await });
        Some(Self { link, key, fills, counts, _stop: stop.drop_guard() })
    }

    /// What is kept of some users, in that order. Any failure is a miss, and so is what is no entry of ours.
    pub(crate) async fn get(&self, tenant: &TenantId, users: &[UserId]) -> Vec<Option<Entry>> {
        let mut command = redis::cmd("MGET");
        for user in users {
            command.arg(place(tenant, *user));
        }
        let Some(values) = self.link.call::<Vec<Option<Vec<u8>>>>(&command).await else { return Vec::new() };
        let read = |(user, value): (&UserId, Option<Vec<u8>>)| {
            let value = value?;
            let entry = (value.len() <= LARGEST).then(|| open(&self.key, tenant, *user, &value).ok()).flatten();
            if entry.is_none() {
                self.counts.forged();
                let _ = self.fills.try_send(Job::Drop(tenant.clone(), *user));
            }
            entry
        };
        users.iter().zip(values).map(read).collect()
    }

    /// Keeps a set, soon. It does not wait, and what can't be kept is dropped.
    pub(crate) fn put(&self, tenant: &TenantId, kept: &Kept) {
        if self.fills.try_send(Job::Keep(tenant.clone(), kept.clone())).is_err() {
            self.counts.filled(Fill::Dropped);
        }
    }
}

/// Where a user's entry is kept. The tenant in braces puts all its entries on one node of a cluster, so that several can
/// be asked for at once.
fn place(tenant: &TenantId, user: UserId) -> String {
    format!("rolecall:{FORMAT}:{{{tenant}}}:{user}")
}

impl Link {
    /// What a command answers; nothing if it fails, takes too long, or there is no connection.
    async fn call<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Option<T> {
        self.on(async |mut connection| command.query_async(&mut connection).await).await
    }

    async fn on<T>(&self, ask: impl AsyncFnOnce(MultiplexedConnection) -> RedisResult<T>) -> Option<T> {
        let (number, connection) = self.connection.read().clone()?;
        match tokio::time::timeout(self.command, ask(connection)).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => self.give_up(number, &error.to_string()),
            Err(_) => self.give_up(number, "no answer in time"),
        }
    }

    /// Lets go of a connection; what it may yet say is heard by nobody.
    fn give_up<T>(&self, number: u64, why: &str) -> Option<T> {
        let mut connection = self.connection.write();
        if connection.as_ref().is_some_and(|(current, _)| *current == number) {
            *connection = None;
            drop(connection);
            self.counts.lost();
            tracing::warn!(why, "Redis is given up for now: answers come from the store");
            self.readiness.set(CHECK, true, "degraded: Redis does not answer in time");
            self.lost.notify_one();
        }
        None
    }

    /// Sees to it that there is a connection whenever there can be.
    async fn keep(&self, client: Client) {
        let (mut number, mut failures) = (0, 0);
        loop {
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT))
                .set_response_timeout(Some(self.command));
            let connected = tokio::time::timeout(CONNECT, async {
                let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
                redis::cmd("PING").exec_async(&mut connection).await?;
                Ok::<_, redis::RedisError>(connection)
            });
            match connected.await {
                Ok(Ok(connection)) => {
                    (number, failures) = (number + 1, 0);
                    *self.connection.write() = Some((number, connection));
                    self.readiness.set(CHECK, true, "connected");
                    self.lost.notified().await;
                }
                Ok(Err(error)) => tracing::debug!(%error, "Redis can't be reached"),
                Err(_) => tracing::debug!("Redis does not answer in time"),
            }
            failures += 1;
            self.readiness.set(CHECK, true, "degraded: Redis does not answer in time");
            let wait = BACKOFF.delay(failures, &mut rand::rng());
            tokio::time::sleep(wait).await;
        }
    }
}

/// The one who keeps what was put.
struct Filler {
    link: Arc<Link>,
    key: CacheKey,
    ttl: Duration,
    counts: Counts,
}

impl Filler {
    async fn run(self, mut jobs: mpsc::Receiver<Job>) {
        let mut some = Vec::with_capacity(TOGETHER);
        while jobs.recv_many(&mut some, TOGETHER).await > 0 {
            let mut pipeline = redis::pipe();
            for job in some.drain(..) {
                self.add(&mut pipeline, job);
            }
            let sent = pipeline.len();
            let answers = self.link.on(async |mut to| pipeline.query_async::<Vec<u8>>(&mut to).await).await;
            let answers = answers
                .map(|answers| answers.into_iter().map(|kept| if kept == 1 { Fill::Stored } else { Fill::Older }));
            match answers {
                Some(answers) => answers.for_each(|outcome| self.counts.filled(outcome)),
                None => (0..sent).for_each(|_| self.counts.filled(Fill::Dropped)),
            }
        }
    }

    fn add(&self, pipeline: &mut redis::Pipeline, job: Job) {
        match job {
            Job::Keep(tenant, kept) => {
                let entry = Entry { right_at: kept.right_at(), ..kept.entry().clone() };
                let value = seal(&self.key, &tenant, &entry);
                if value.len() <= LARGEST {
                    let millis = u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX);
                    // Up to a tenth less, so that what came together does not go together.
                    let millis = millis - rand::random_range(0..=millis / 10);
                    let script = KEEP;
                    #[cfg(test)]
                    let script = if self.key.without == Some(super::Defence::NeverLower) { SET } else { script };
                    let keep = pipeline.cmd("EVAL").arg(script).arg(1).arg(place(&tenant, entry.user));
                    keep.arg(value).arg(millis).arg(HEAD);
                }
            }
            Job::Drop(tenant, user) => {
                pipeline.cmd("UNLINK").arg(place(&tenant, user)).ignore();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::effective::EffectiveSet;
    use domain::revision::{Epoch, Position, Revision};
    use runtime::telemetry::Metrics;
    use servers::Redis;

    use super::*;
    use crate::cache::Defence;

    /// The revision that is kept of somebody after one set was kept, and then another.
    async fn kept_of(first: u64, second: u64, without: Option<Defence>) -> u64 {
        let redis = Redis::start().unwrap();
        let (metrics, readiness) = (Metrics::new(), Readiness::default());
        let mut key = CacheKey::derive(b"key");
        key.without = without;
        let (url, command, ttl) = (redis.url(), Duration::from_secs(8), Duration::from_hours(1));
        let config = RedisConfig { url: Some(url.as_str().into()), command, ..RedisConfig::default() };
        let shared = Shared::new(&config, key.clone(), ttl, Counts::new(&metrics), readiness).unwrap();
        let (acme, ann, epoch) = ("acme".parse().unwrap(), UserId::new(), Epoch::new());
        let name = key.name(&acme, "ann");
        let entry = |revision| Entry {
            user: ann,
            name,
            right_at: Position { epoch, revision: Revision(revision) },
            groups: Box::default(),
            set: EffectiveSet::default(),
        };
        let filled = |text: &str| {
            let count = |line: &str| {
                let rest = line.strip_prefix("rolecall_resolver_shared_fills_total")?;
                rest.rsplit_once(' ')?.1.parse::<u64>().ok()
            };
            text.lines().filter_map(count).sum::<u64>()
        };
        crate::tests::until(async || shared.link.connection.read().is_some()).await;
        for (number, revision) in (1..).zip([first, second]) {
            shared.put(&acme, &Kept::new(entry(revision), 0));
            crate::tests::until(async || filled(&metrics.encode()) == number).await;
        }
        let mut connection = Client::open(url).unwrap().get_connection().unwrap();
        let value: Vec<u8> = redis::cmd("GET").arg(place(&acme, ann)).query(&mut connection).unwrap();
        u64::from_be_bytes(value[17..HEAD].try_into().unwrap())
    }

    #[tokio::test]
    async fn a_late_fill_never_replaces_a_later_set_and_without_the_defence_would() {
        assert_eq!(kept_of(3, 5, None).await, 5);
        assert_eq!(kept_of(5, 3, None).await, 5);
        assert_eq!(kept_of(5, 3, Some(Defence::NeverLower)).await, 3);
    }
}
