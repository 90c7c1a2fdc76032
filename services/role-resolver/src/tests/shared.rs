//! Redis may be empty, old, wrong, slow or gone: that costs speed and never truth.

use std::time::Duration;

use proto::common::v1::consistency::Requirement;
use proto::roles::v1::{EffectiveSet, GetEffectiveRolesRequest};
use redis::TypedCommands as _;
use servers::{Redis, Wire};
use tokio::time::Instant;

use super::cache::{asked, follows, until, warm};
use super::fake::World;
use super::{MATCHED, fresh, get};
use crate::cache::{COMMAND, Defence};
use crate::{CacheConfig, Config, RedisConfig};

const SECRET: &str = "the secret of the shared cache of these tests";

/// How long others are waited for: a machine that stands still for a while is no slow Redis.
const PATIENCE: Duration = Duration::from_secs(8);

fn shared(redis: &Redis) -> Config {
    shared_at(&redis.address())
}

fn shared_at(address: &str) -> Config {
    let url = format!("redis://{address}/");
    let redis = RedisConfig { url: Some(url.as_str().into()), secret: Some(SECRET.into()), command: PATIENCE };
    Config { redis, cache: CacheConfig { lease: PATIENCE, ..CacheConfig::default() }, ..Config::default() }
}

fn client(redis: &Redis) -> redis::Connection {
    redis::Client::open(redis.url()).unwrap().get_connection().unwrap()
}

fn place(id: &str) -> String {
    format!("rolecall:1:{{acme}}:{id}")
}

fn by_id(id: &str) -> GetEffectiveRolesRequest {
    use proto::roles::v1::{UserRef, user_ref::Ref};
    GetEffectiveRolesRequest { user: Some(UserRef { r#ref: Some(Ref::Id(id.to_owned())) }), ..get("") }
}

fn at_head(world: &World, id: &str) -> GetEffectiveRolesRequest {
    let head = world.store().revision;
    let token = world.revision_token("acme", head);
    GetEffectiveRolesRequest { consistency: fresh("", Requirement::AtLeastAsFresh(token)).consistency, ..by_id(id) }
}

fn counted(world: &World, name: &str) -> u64 {
    let text = world.metrics.encode();
    let line =
        text.lines().find_map(|line| line.strip_prefix(&format!("rolecall_resolver_{name} ")).map(str::to_owned));
    line.map_or(0, |count| count.parse().unwrap())
}

async fn connected(world: &World) {
    until(async || format!("{:?}", world.readiness).contains("\"connected\"")).await;
}

/// Waits until a question reaches Redis and is answered.
async fn reconnected(world: &World) {
    let nobody = domain::id::UserId::new().to_string();
    until(async || {
        let lost = counted(world, "shared_lost_total");
        let _ = world.roles().get_effective_roles(by_id(&nobody)).await;
        lost == counted(world, "shared_lost_total") && format!("{:?}", world.readiness).contains("\"connected\"")
    })
    .await;
}

/// Ann is kept in Redis by one replica; another, which keeps nothing, follows the feed. Answers her id.
async fn two_replicas(redis: &Redis, without: Option<Defence>) -> (World, World, String) {
    let config = shared(redis);
    let one = World::keeping(config.clone()).await;
    connected(&one).await;
    let id = one.add_user("ann", true, &[MATCHED]);
    one.add_user("bob", true, &[]);
    until(async || {
        asked(&one, fresh("ann", Requirement::FullyConsistent(true))).await;
        counted(&one, "shared_fills_total{outcome=\"Stored\"}") > 0
    })
    .await;
    let cache = CacheConfig { without, ..config.cache };
    let two = one.replica(Config { cache, ..config }).await;
    connected(&two).await;
    warm(&two, "bob").await;
    (one, two, id)
}

#[tokio::test]
async fn what_one_replica_learnt_another_need_not_ask() {
    let redis = Redis::start().unwrap();
    let (_one, two, id) = two_replicas(&redis, None).await;
    let before = two.store().asked.holdings;
    until(async || asked(&two, by_id(&id)).await.grants.len() == 1).await;
    assert_eq!(two.store().asked.holdings, before);
    assert_eq!(counted(&two, "answers_total{source=\"Shared\"}"), 1);
    let names: Vec<String> = client(&redis).keys("*").unwrap();
    assert!(names.iter().all(|name| name.starts_with("rolecall:1:{acme}:")), "{names:?}");
    for name in names {
        let value: Vec<u8> = redis::cmd("GET").arg(&name).query(&mut client(&redis)).unwrap();
        assert!(!value.windows(3).any(|part| part == b"ann" || part == b"bob"), "no name is kept there");
    }
}

/// A fill that was read before a revocation and lands after it; an old snapshot that is restored; an entry that is
/// replayed: in each case Redis answers with what was once true.
async fn old_entry_is_answered(without: Option<Defence>) -> bool {
    let mut redis = Redis::start().unwrap();
    let (_one, two, id) = two_replicas(&redis, without).await;
    redis::cmd("SAVE").exec(&mut client(&redis)).unwrap();
    two.change(|store| store.relabel("ann", &[]));
    warm(&two, "bob").await;
    redis.kill().unwrap();
    redis.restart().unwrap();
    let kept: i64 = redis::cmd("EXISTS").arg(place(&id)).query(&mut client(&redis)).unwrap();
    assert_eq!(kept, 1, "the old entry is back");
    follows(&two, "bob").await;
    reconnected(&two).await;
    !asked(&two, at_head(&two, &id)).await.grants.is_empty()
}

/// K08.
#[tokio::test]
async fn an_old_snapshot_of_redis_gives_no_grant_back_and_without_the_stamps_would() {
    assert!(!old_entry_is_answered(None).await);
    assert!(old_entry_is_answered(Some(Defence::Stamps)).await);
}

#[tokio::test]
async fn whatever_is_written_into_redis_by_others_is_a_miss_and_is_noticed() {
    let redis = Redis::start().unwrap();
    let (_one, two, ann) = two_replicas(&redis, None).await;
    let mut client = client(&redis);
    let right: Vec<u8> = redis::cmd("GET").arg(place(&ann)).query(&mut client).unwrap();
    let mut tampered = right.clone();
    *tampered.last_mut().unwrap() ^= 1;
    let mut later = right.clone();
    later[24] += 1;
    let poison: [Vec<u8>; 5] = [tampered, later, b"junk".to_vec(), Vec::new(), right[..60].to_vec()];
    for (number, value) in (1..).zip(poison) {
        redis::cmd("SET").arg(place(&ann)).arg(value).exec(&mut client).unwrap();
        let before = two.store().asked.holdings;
        let fresh = two.replica(shared(&redis)).await;
        connected(&fresh).await;
        warm(&fresh, "bob").await;
        assert_eq!(asked(&fresh, by_id(&ann)).await.grants.len(), 1, "poison {number}");
        assert!(fresh.store().asked.holdings > before);
        assert_eq!(counted(&fresh, "shared_forged_total"), 1, "poison {number}");
    }
    // Ann's own entry under bob's key, and under another tenant's.
    let bob = two.store().users[1].1.user_id.clone();
    for key in [place(&bob), format!("rolecall:1:{{other}}:{ann}")] {
        redis::cmd("SET").arg(key).arg(&right).exec(&mut client).unwrap();
    }
    let third = two.replica(shared(&redis)).await;
    connected(&third).await;
    assert!(asked(&third, at_head(&third, &bob)).await.grants.is_empty());
}

/// Somebody who can write into Redis passes an old entry of ann's off as one of now.
async fn forged_entry_is_answered(without: Option<Defence>) -> bool {
    let redis = Redis::start().unwrap();
    let (_one, two, ann) = two_replicas(&redis, without).await;
    let mut old: Vec<u8> = redis::cmd("GET").arg(place(&ann)).query(&mut client(&redis)).unwrap();
    two.change(|store| store.relabel("ann", &[]));
    follows(&two, "bob").await;
    old[17..25].copy_from_slice(&two.store().revision.to_be_bytes());
    redis::cmd("SET").arg(place(&ann)).arg(old).exec(&mut client(&redis)).unwrap();
    !asked(&two, at_head(&two, &ann)).await.grants.is_empty()
}

#[tokio::test]
async fn what_is_forged_gives_no_grant_back_and_without_the_mac_would() {
    assert!(!forged_entry_is_answered(None).await);
    assert!(forged_entry_is_answered(Some(Defence::Mac)).await);
}

#[tokio::test]
async fn a_value_is_never_replaced_by_an_older_one() {
    let redis = Redis::start().unwrap();
    let (one, two, ann) = two_replicas(&redis, None).await;
    let mut client = client(&redis);
    let revision = |client: &mut redis::Connection| -> u64 {
        let value: Vec<u8> = redis::cmd("GET").arg(place(&ann)).query(client).unwrap();
        u64::from_be_bytes(value[17..25].try_into().unwrap())
    };
    // Revisions on both sides of what one byte holds.
    let mut newest = 0;
    for _ in 0..300 {
        two.change(|store| store.relabel("ann", &[MATCHED]));
        asked(if newest % 2 == 0 { &one } else { &two }, at_head(&two, &ann)).await;
        let now = revision(&mut client);
        assert!(now >= newest, "{now} after {newest}");
        newest = now;
    }
    let head = two.store().revision;
    until(async || revision(&mut self::client(&redis)) == head).await;
}

/// Revoked, given back, revoked again, with Redis in every state it can be in.
async fn right_throughout(world: &World, id: &str, rounds: usize) {
    for _ in 0..rounds {
        for labels in [&[][..], &[MATCHED]] {
            world.change(|store| store.relabel("ann", labels));
            let set: EffectiveSet = asked(world, at_head(world, id)).await;
            assert_eq!(set.grants.len(), labels.len());
        }
    }
}

/// K07.
#[tokio::test]
async fn redis_is_killed_ten_times_and_no_answer_is_wrong() {
    let mut redis = Redis::start().unwrap();
    let (_one, two, ann) = two_replicas(&redis, None).await;
    for _ in 0..10 {
        right_throughout(&two, &ann, 3).await;
        redis.kill().unwrap();
        right_throughout(&two, &ann, 3).await;
        redis.restart().unwrap();
    }
    connected(&two).await;
}

/// P01.
#[tokio::test]
async fn redis_may_be_down_at_the_start_and_join_later() {
    let mut redis = Redis::start().unwrap();
    redis.kill().unwrap();
    let world = World::keeping(shared(&redis)).await;
    let ann = world.add_user("ann", true, &[MATCHED]);
    right_throughout(&world, &ann, 3).await;
    until(async || format!("{:?}", world.readiness).contains("degraded")).await;
    world.readiness.set("started", true, "serving");
    assert!(world.readiness.is_ready(), "without Redis it is slower, and ready");
    redis.restart().unwrap();
    connected(&world).await;
}

/// P02.
#[tokio::test]
async fn redis_is_down_only_while_a_revocation_is_committed() {
    let mut redis = Redis::start().unwrap();
    let (_one, two, ann) = two_replicas(&redis, None).await;
    redis::cmd("SAVE").exec(&mut client(&redis)).unwrap();
    redis.kill().unwrap();
    two.change(|store| store.relabel("ann", &[]));
    redis.restart().unwrap();
    connected(&two).await;
    for _ in 0..10 {
        assert!(asked(&two, at_head(&two, &ann)).await.grants.is_empty());
    }
}

/// P04.
#[tokio::test]
async fn a_redis_that_answers_too_late_is_asked_no_more_and_what_it_says_then_is_heard_by_nobody() {
    let redis = Redis::start().unwrap();
    let (_one, two, ann) = two_replicas(&redis, None).await;
    redis.freeze().unwrap();
    // Redis says nothing more, so time goes on when all wait for it.
    tokio::time::pause();
    // Many at once find out; from then on nobody waits.
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (mut roles, request) = (two.roles(), by_id(&ann));
        readers.spawn(async move { roles.get_effective_roles(request).await.unwrap().into_inner().effective.unwrap() });
    }
    while let Some(set) = readers.join_next().await {
        assert_eq!(set.unwrap().grants.len(), 1);
    }
    assert_eq!(counted(&two, "shared_lost_total"), 1);
    assert!(format!("{:?}", two.readiness).contains("degraded"));
    right_throughout(&two, &ann, 20).await;
    assert_eq!(counted(&two, "shared_lost_total"), 1, "no command was tried meanwhile");
    redis.thaw().unwrap();
    tokio::time::resume();
    connected(&two).await;
    right_throughout(&two, &ann, 20).await;
}

/// P03: every command takes Redis two seconds.
#[tokio::test]
async fn a_slow_redis_costs_the_first_one_deadline_and_then_nobody_waits_and_nothing_piles_up() {
    let redis = Redis::start().unwrap();
    let (one, _two, ann) = two_replicas(&redis, None).await;
    let wire = Wire::start(&redis.address(), "MGET").unwrap();
    // Nothing is kept in the process: whoever looks, looks into Redis.
    let mut config = shared_at(&wire.address());
    (config.cache.near_bytes, config.redis.command) = (0, COMMAND);
    let slow = one.replica(config).await;
    connected(&slow).await;
    until(async || {
        let before = counted(&slow, "answers_total{source=\"Shared\"}");
        asked(&slow, by_id(&ann)).await;
        counted(&slow, "answers_total{source=\"Shared\"}") > before
    })
    .await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let (looked, lost, alive) = (wire.count(), counted(&slow, "shared_lost_total"), tasks());
    wire.answer_late(Duration::from_secs(2), Duration::from_secs(2));
    // The wire has a clock of its own; here time goes on when all wait for it.
    tokio::time::pause();
    let begun = Instant::now();
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (mut roles, request) = (slow.roles(), by_id(&ann));
        readers.spawn(async move { roles.get_effective_roles(request).await.unwrap().into_inner().effective.unwrap() });
    }
    while let Some(set) = readers.join_next().await {
        assert_eq!(set.unwrap().grants.len(), 1);
    }
    assert!(begun.elapsed() < 2 * COMMAND, "a command has its deadline: {:?}", begun.elapsed());
    assert_eq!(counted(&slow, "shared_lost_total"), lost + 1, "the first that is late opens the breaker");
    for _ in 0..1_000 {
        let begun = Instant::now();
        assert_eq!(asked(&slow, by_id(&ann)).await.grants.len(), 1);
        assert!(begun.elapsed() < Duration::from_millis(1), "nobody waits any more: {:?}", begun.elapsed());
    }
    // The wire counts beside this thread.
    while wire.count() == looked {
        std::thread::yield_now();
    }
    let tried = wire.count() - looked;
    assert!(tried <= 50, "each of the first asks it once, and then nobody: {tried}");
    assert!(tasks() <= alive + 2, "{} tasks for {alive} before", tasks());
}

/// L08.
#[tokio::test]
async fn a_flush_at_full_load_is_not_felt_by_the_store() {
    let redis = Redis::start().unwrap();
    let (_one, two, ann) = two_replicas(&redis, None).await;
    until(async || asked(&two, by_id(&ann)).await.grants.len() == 1).await;
    let before = two.store().asked.holdings;
    redis::cmd("FLUSHALL").exec(&mut client(&redis)).unwrap();
    // Another replica, cold, beside the warm one.
    let cold = two.replica(shared(&redis)).await;
    let mut readers = tokio::task::JoinSet::new();
    for n in 0..400 {
        let (mut roles, request) = (if n % 2 == 0 { two.roles() } else { cold.roles() }, at_head(&two, &ann));
        readers.spawn(async move { roles.get_effective_roles(request).await.unwrap() });
    }
    while let Some(answer) = readers.join_next().await {
        answer.unwrap();
    }
    let asked = two.store().asked.holdings - before;
    assert!(asked <= 4, "{asked} questions for 400 readers");
}
