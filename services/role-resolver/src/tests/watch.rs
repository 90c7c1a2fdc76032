//! What is told to those who watch.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::id::GroupId;
use domain::revision::{Epoch, Position, Revision};
use futures_util::FutureExt as _;
use proto::common::v1::consistency::Requirement;
use proto::identity::v1::{UserChanged, feed_entry};
use proto::roles::v1::{BatchGetEffectiveRolesRequest, EffectiveSet, WatchRolesRequest, WatchRolesResponse};
use runtime::error::{Error, Reason};
use tonic::{Status, Streaming};

use super::fake::World;
use super::reports::hoard;
use super::{MATCHED, batch, fresh, why, with_token};
use crate::Config;

const OTHER: &str = "RETAILER_MAIN_STORE";

fn after(token: &str) -> WatchRolesRequest {
    WatchRolesRequest { tenant: "acme".into(), after: token.to_owned() }
}

type Watch = Streaming<WatchRolesResponse>;

async fn watch(world: &World, token: &str) -> Result<Watch, Status> {
    world.roles().watch_roles(after(token)).await.map(tonic::Response::into_inner)
}

/// The next message, which must come.
async fn next(watch: &mut Watch) -> WatchRolesResponse {
    watch.message().await.unwrap().expect("a watch does not end by itself")
}

/// The next message that tells of somebody: between them it is told that nothing is told yet.
async fn next_of_users(watch: &mut Watch) -> WatchRolesResponse {
    loop {
        let message = next(watch).await;
        if !message.users.is_empty() {
            return message;
        }
    }
}

/// What is told until everything up to the world's head has been: the last set of each user, and how many messages of
/// users that took.
async fn told(world: &World, watch: &mut Watch) -> (BTreeMap<String, Option<EffectiveSet>>, usize) {
    let head = world.store().revision;
    let head = world.revision_token("acme", head);
    let (mut sets, mut messages) = (BTreeMap::new(), 0);
    loop {
        let WatchRolesResponse { users, revision_token, position } = next(watch).await;
        assert!(users.len() <= 500);
        assert_eq!(position.is_none(), users.is_empty(), "sets are of some state");
        messages += usize::from(!users.is_empty());
        sets.extend(users.into_iter().map(|user| (user.user_id, user.effective)));
        if revision_token == head {
            return (sets, messages);
        }
    }
}

/// What a watch that must end ends with.
async fn end(watch: &mut Watch) -> Status {
    loop {
        if let Err(ended) = watch.message().await {
            return ended;
        }
    }
}

fn reason(ended: &Status) -> Reason {
    Error::from_status(ended).reason()
}

#[tokio::test]
async fn a_watch_says_where_it_begins_and_tells_each_change_with_the_set_that_follows() {
    let world = World::keeping(Config::default()).await;
    let ann = world.add_user("ann", true, &[MATCHED]);
    let mut watch = watch(&world, "").await.unwrap();
    let WatchRolesResponse { users, revision_token, position } = next(&mut watch).await;
    assert_eq!((users.len(), revision_token, position), (0, world.revision_token("acme", 10), None));
    for labels in [&[OTHER][..], &[], &[MATCHED, OTHER]] {
        world.change(|state| state.relabel("ann", labels));
        let (sets, _) = told(&world, &mut watch).await;
        let set = sets[&ann].as_ref().unwrap();
        assert_eq!((set.grants.len(), set.held), (labels.len(), labels.is_empty()));
    }
}

#[tokio::test]
async fn what_is_told_and_what_is_asked_for_can_be_told_apart_by_age() {
    let world = World::keeping(Config::default()).await;
    let ann = world.add_user("ann", true, &[MATCHED]);
    let mut watch = watch(&world, "").await.unwrap();
    next(&mut watch).await;
    world.change(|state| state.relabel("ann", &[OTHER]));
    let told = next_of_users(&mut watch).await;
    assert_eq!((&told.users[0].user_id, told.position.as_ref().unwrap().revision), (&ann, 11));
    // What is asked for after that is newer, though the message may come after the answer.
    world.change(|state| state.relabel("ann", &[]));
    let surely = fresh("ann", Requirement::FullyConsistent(true));
    let one = world.roles().get_effective_roles(surely.clone()).await.unwrap().into_inner();
    let BatchGetEffectiveRolesRequest { tenant, users, .. } = batch(&["ann"]);
    let surely = BatchGetEffectiveRolesRequest { tenant, users, consistency: surely.consistency };
    let many = world.roles().batch_get_effective_roles(surely).await.unwrap().into_inner();
    for position in [one.position, many.position].map(Option::unwrap) {
        assert_eq!((position.revision, &position.epoch), (12, &told.position.as_ref().unwrap().epoch));
    }
}

#[tokio::test]
async fn what_changed_meanwhile_is_told_as_one_to_whoever_goes_on_from_a_token() {
    let world = World::keeping(Config::default()).await;
    let ann = world.add_user("ann", true, &[MATCHED]);
    let token = next(&mut watch(&world, "").await.unwrap()).await.revision_token;
    for labels in [[OTHER], [MATCHED], [OTHER]].iter().cycle().take(300) {
        world.change(|state| state.relabel("ann", labels));
    }
    let mut watch = watch(&world, &token).await.unwrap();
    let begun = WatchRolesResponse { revision_token: token, ..WatchRolesResponse::default() };
    assert_eq!(next(&mut watch).await, begun);
    let (sets, messages) = told(&world, &mut watch).await;
    assert_eq!((sets.len(), messages), (1, 3), "a hundred changes at a time, so that a call that breaks off loses few");
    assert_eq!(sets[&ann].as_ref().unwrap().grants[0].labels, [OTHER]);
}

#[tokio::test]
async fn a_change_of_a_large_group_is_told_in_parts_and_its_token_comes_with_the_last() {
    let world = World::keeping(Config::default()).await;
    let group = GroupId::new().to_string();
    let names: Vec<_> = (0..1_100).map(|n| format!("u{n}")).collect();
    for name in &names {
        world.add_user(name, true, &[]);
    }
    world.add_user("bob", true, &[MATCHED]);
    for name in &names {
        world.change(|state| state.group(name, &group, &[MATCHED]));
    }
    let mut watch = watch(&world, "").await.unwrap();
    next(&mut watch).await;
    let before = world.store().asked.affected;
    // Several changes of one group concern whom the last concerns.
    world.change(|state| (0..3).for_each(|_| state.group("u0", &group, &[MATCHED])));
    let sizes = [next_of_users(&mut watch).await, next_of_users(&mut watch).await, next_of_users(&mut watch).await]
        .map(|message| (message.users.len(), !message.revision_token.is_empty()));
    assert_eq!(sizes, [(500, false), (500, false), (100, true)]);
    assert_eq!(world.store().asked.affected, before + 1);
}

#[tokio::test]
async fn sets_that_are_too_large_to_be_held_together_are_told_in_smaller_parts() {
    let world = World::keeping(Config::default()).await;
    let names: Vec<_> = (0..70).map(|n| format!("u{n}")).collect();
    for name in &names {
        world.add_user(name, true, &[]);
    }
    let mut watch = watch(&world, "").await.unwrap();
    next(&mut watch).await;
    tokio::time::pause();
    let labels = hoard(1);
    let labels: Vec<_> = labels.iter().map(String::as_str).collect();
    world.change(|state| names.iter().for_each(|name| state.relabel(name, &labels)));
    let (sets, _) = told(&world, &mut watch).await;
    assert_eq!(sets.values().flatten().filter(|set| set.grants.len() == 1).count(), 70);
}

#[tokio::test]
async fn a_change_of_the_ground_is_told_for_everyone_it_concerns() {
    let world = World::keeping(Config::default()).await;
    let ann = world.add_user("ann", true, &[MATCHED]);
    let mut watch = watch(&world, "").await.unwrap();
    next(&mut watch).await;
    world.change(|state| state.change_ground(&["CLERK"]));
    let (sets, _) = told(&world, &mut watch).await;
    let set = sets[&ann].as_ref().unwrap();
    assert!(set.held && set.grants.is_empty());
}

#[tokio::test]
async fn one_who_is_deleted_is_told_without_a_set() {
    let world = World::keeping(Config::default()).await;
    let ann = world.add_user("ann", true, &[MATCHED]);
    let mut watch = watch(&world, "").await.unwrap();
    next(&mut watch).await;
    world.change(|state| {
        state.users.clear();
        let (user_id, user_name) = (ann.clone(), "ann".to_owned());
        let gone = UserChanged { user_id, user_name, exists: false, active: false, access_changed: true };
        state.commit(feed_entry::Change::UserChanged(gone));
    });
    assert_eq!(told(&world, &mut watch).await.0, BTreeMap::from([(ann, None)]));
}

#[tokio::test(start_paused = true)]
async fn silence_is_told_at_least_once_in_ten_seconds() {
    let world = World::keeping(Config::default()).await;
    let mut watch = watch(&world, "").await.unwrap();
    let first = next(&mut watch).await;
    for _ in 0..3 {
        let again = tokio::time::timeout(Duration::from_secs(10), next(&mut watch)).await.unwrap();
        assert_eq!(again, first, "nothing happened");
    }
}

#[tokio::test(start_paused = true)]
async fn that_it_is_alive_is_told_too_while_those_concerned_are_read_slowly() {
    let world = World::keeping(Config::default()).await;
    let group = GroupId::new().to_string();
    let names: Vec<_> = (0..300).map(|n| format!("u{n}")).collect();
    for name in &names {
        world.add_user(name, true, &[]);
        world.change(|state| state.group(name, &group, &[]));
    }
    let mut watch = watch(&world, "").await.unwrap();
    next(&mut watch).await;
    world.store().slowness = Duration::from_secs(9);
    world.change(|state| state.group("u0", &group, &[MATCHED]));
    let (mut waits, mut users) = (0, 0);
    while users < 300 {
        let message = tokio::time::timeout(Duration::from_secs(10), next(&mut watch)).await.unwrap();
        assert_eq!(message.revision_token.is_empty(), message.users.is_empty(), "nothing is told yet");
        (waits, users) = (waits + usize::from(message.users.is_empty()), users + message.users.len());
    }
    assert!(waits >= 3, "{waits}");
}

#[tokio::test]
async fn a_token_that_nothing_can_follow_is_refused() {
    let world = World::keeping(Config::default()).await;
    world.store().floor = 5;
    for (token, expected) in [
        (world.revision_token("acme", 4), Reason::FEED_TRUNCATED),
        (world.revision_token("acme", 11), Reason::REVISION_AHEAD),
        (world.revision_token("other", 7), Reason::REVISION_OF_OTHER_TENANT),
        (
            world.key.seal(&"acme".parse().unwrap(), Position { epoch: Epoch::new(), revision: Revision(7) }),
            Reason::EPOCH_MISMATCH,
        ),
        ("junk".to_owned(), Reason::REVISION_TOKEN_INVALID),
    ] {
        assert_eq!(why(watch(&world, &token).await), expected);
    }
    assert!(watch(&world, &world.revision_token("acme", 5)).await.is_ok());
}

#[tokio::test]
async fn a_feed_that_is_cut_short_under_a_watch_ends_it() {
    let world = World::keeping(Config::default()).await;
    world.add_user("ann", true, &[MATCHED]);
    let mut watch = watch(&world, "").await.unwrap();
    next(&mut watch).await;
    world.change(|state| {
        state.relabel("ann", &[OTHER]);
        state.floor = state.revision;
    });
    assert_eq!(reason(&end(&mut watch).await), Reason::FEED_TRUNCATED);
}

#[tokio::test(start_paused = true)]
async fn another_life_of_the_database_ends_a_watch_and_so_does_a_store_that_went_back() {
    for goes_back in [false, true] {
        let world = World::keeping(Config::default()).await;
        world.add_user("ann", true, &[MATCHED]);
        world.change(|state| (0..5).for_each(|_| state.relabel("ann", &[OTHER])));
        let mut watch = watch(&world, "").await.unwrap();
        next(&mut watch).await;
        world.change(|state| {
            if goes_back {
                state.revision = 12;
                state.changes.truncate(2);
            } else {
                state.epoch = Epoch::new();
            }
        });
        assert_eq!(reason(&end(&mut watch).await), Reason::EPOCH_MISMATCH);
    }
}

#[tokio::test]
async fn a_store_that_went_back_and_caught_up_ends_a_watch() {
    let world = World::keeping(Config::default()).await;
    world.add_user("ann", true, &[MATCHED]);
    let mut watch = watch(&world, "").await.unwrap();
    next(&mut watch).await;
    world.change(|state| state.relabel("ann", &[OTHER]));
    told(&world, &mut watch).await;
    // Noticed by one who asks while the store stands before what was known, and made up for at once.
    world.change(|state| {
        state.revision = 10;
        state.changes.clear();
    });
    super::cache::until(async || {
        super::set_of(&world, "ann").await;
        world.metrics.encode().contains("resolver_restored_total 1")
    })
    .await;
    world.change(|state| (0..3).for_each(|_| state.relabel("ann", &[MATCHED])));
    assert_eq!(reason(&end(&mut watch).await), Reason::EPOCH_MISMATCH);
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_with_the_token_it_was_begun_with() {
    let world = World::keeping(Config::default()).await;
    let token = world.add_token("acme", &["roles:read"]);
    let begun = world.roles_from_outside().watch_roles(with_token(after(""), &token)).await.unwrap();
    let mut watch = begun.into_inner();
    next(&mut watch).await;
    next(&mut watch).await;
    world.store().tokens.clear();
    assert_eq!(reason(&end(&mut watch).await), Reason::TOKEN_INVALID);
}

#[tokio::test]
async fn a_token_of_another_scope_or_tenant_watches_nothing() {
    let world = World::keeping(Config::default()).await;
    let (writer, other) = (world.add_token("acme", &["scim"]), world.add_token("other", &["roles:read"]));
    for (token, expected) in [(writer, Reason::SCOPE_MISSING), (other, Reason::TENANT_MISMATCH)] {
        let refused = world.roles_from_outside().watch_roles(with_token(after(""), &token)).await;
        assert_eq!(reason(&refused.map(drop).unwrap_err()), expected);
    }
}

#[tokio::test]
async fn no_more_watches_are_answered_than_a_tenant_may_have_and_one_that_ends_makes_room() {
    let world = World::keeping(Config { watches: 2, ..Config::default() }).await;
    let (first, _second) = (watch(&world, "").await.unwrap(), watch(&world, "").await.unwrap());
    assert_eq!(why(watch(&world, "").await), Reason::RESOURCE_EXHAUSTED);
    drop(first);
    super::cache::until(async || watch(&world, "").await.is_ok()).await;
}

#[tokio::test]
async fn a_caller_who_takes_nothing_holds_nobody_up_and_misses_nothing() {
    let world = World::keeping(Config::default()).await;
    let ann = world.add_user("ann", true, &[]);
    let (mut slow, mut quick) = (watch(&world, "").await.unwrap(), watch(&world, "").await.unwrap());
    next(&mut quick).await;
    let before = world.store().asked.holdings;
    for _ in 0..100 {
        world.change(|state| state.relabel("ann", &[MATCHED]));
        assert!(told(&world, &mut quick).await.0.contains_key(&ann));
    }
    assert!(world.store().asked.holdings <= before + 100, "nothing is read for one who takes nothing");
    let (sets, messages) = told(&world, &mut slow).await;
    assert_eq!(sets[&ann].as_ref().unwrap().grants.len(), 1);
    assert!(messages <= 2, "what it was slow to take is told as one");
}

#[tokio::test(start_paused = true)]
async fn a_silent_store_ends_a_watch_rather_than_being_taken_for_silence() {
    let world = World::keeping(Config::default()).await;
    let mut watch = watch(&world, "").await.unwrap();
    next(&mut watch).await;
    world.store().silent = true;
    assert_eq!(reason(&end(&mut watch).await), Reason::STORE_UNAVAILABLE);
}

#[tokio::test]
async fn a_process_that_stops_ends_its_watches() {
    let world = World::keeping(Config::default()).await;
    let mut watch = watch(&world, "").await.unwrap();
    next(&mut watch).await;
    assert!(watch.message().now_or_never().is_none());
    world.stop.cancel();
    assert_eq!(reason(&watch.message().await.unwrap_err()), Reason::SHUTTING_DOWN);
}
