//! What is kept answers fast, and never for a state it was not right in. Each defence is shown by what happens without it.

use std::time::Duration;

use domain::id::GroupId;
use domain::revision::Epoch;
use proto::common::v1::consistency::Requirement;
use proto::identity::v1::{MembersChanged, feed_entry};
use proto::roles::v1::user_ref::Ref;
use proto::roles::v1::{EffectiveSet, GetEffectiveRolesRequest, UserRef};
use runtime::error::Reason;

use super::fake::World;
use super::{MATCHED, batch, fresh, get, why};
use crate::cache::Defence;
use crate::{CacheConfig, Config};

/// Waits for what happens on other tasks; a minute is as good as never.
pub(crate) async fn until(mut happened: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !happened().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), wait).await.expect("it never happened");
}

pub(super) async fn asked(world: &World, request: GetEffectiveRolesRequest) -> EffectiveSet {
    world.roles().get_effective_roles(request).await.unwrap().into_inner().effective.unwrap()
}

/// Reads until the answer comes without the store: then the feed has been followed up to the head.
pub(super) async fn warm(world: &World, name: &str) {
    until(async || {
        let before = world.store().asked.holdings;
        asked(world, get(name)).await;
        world.store().asked.holdings == before
    })
    .await;
}

fn at_least(world: &World, name: &str) -> GetEffectiveRolesRequest {
    let head = world.store().revision;
    fresh(name, Requirement::AtLeastAsFresh(world.revision_token("acme", head)))
}

/// Waits until the feed has been followed to the head, as the answers about somebody whom nothing concerns show.
pub(super) async fn follows(world: &World, name: &str) {
    let head = world.store().revision;
    until(async || {
        let answer = world.roles().get_effective_roles(get(name)).await.unwrap().into_inner();
        answer.position.unwrap().revision == head
    })
    .await;
}

#[tokio::test]
async fn a_kept_set_answers_by_id_and_by_name_without_the_store() {
    let world = World::keeping(Config::default()).await;
    let id = world.add_user("ann", true, &[MATCHED]);
    warm(&world, "ann").await;
    tokio::time::pause();
    let before = world.store().asked;
    for named in [Ref::Id(id.clone()), Ref::UserName("ANN".into())] {
        let request = GetEffectiveRolesRequest { user: Some(UserRef { r#ref: Some(named) }), ..get("") };
        assert_eq!(asked(&world, request).await.grants.len(), 1);
    }
    let many = world.roles().batch_get_effective_roles(batch(&["ann", "ann"])).await.unwrap().into_inner();
    assert!(many.results.iter().all(|result| result.effective.as_ref().unwrap().user_id == id));
    assert_eq!(many.revision_token, world.revision_token("acme", 10));
    assert_eq!(world.store().asked, before);
    asked(&world, fresh("ann", Requirement::FullyConsistent(true))).await;
    assert_eq!(world.store().asked.holdings, before.holdings + 1, "who wants to be sure has the store asked");
    assert_eq!(world.store().asked.unchanged, before.unchanged + 1, "which finds the kept set right");
}

#[tokio::test]
async fn a_revoked_grant_is_gone_for_whoever_presents_the_token_and_soon_for_all() {
    let world = World::keeping(Config::default()).await;
    world.add_user("ann", true, &[MATCHED]);
    warm(&world, "ann").await;
    for _ in 0..200 {
        world.change(|store| store.relabel("ann", &[]));
        assert!(asked(&world, at_least(&world, "ann")).await.grants.is_empty());
        until(async || asked(&world, get("ann")).await.grants.is_empty()).await;
        world.change(|store| store.relabel("ann", &[MATCHED]));
        assert_eq!(asked(&world, at_least(&world, "ann")).await.grants.len(), 1);
    }
}

/// Whether ann's revoked grant is answered to one with the token of the revocation, after the feed has told of it.
async fn revoked_is_answered(without: Option<Defence>) -> bool {
    let cache = CacheConfig { without, ..CacheConfig::default() };
    let world = World::keeping(Config { cache, ..Config::default() }).await;
    world.add_user("ann", true, &[MATCHED]);
    world.add_user("bob", true, &[]);
    warm(&world, "ann").await;
    warm(&world, "bob").await;
    world.change(|store| store.relabel("ann", &[]));
    follows(&world, "bob").await;
    !asked(&world, at_least(&world, "ann")).await.grants.is_empty()
}

/// C07.
#[tokio::test]
async fn a_stamp_ends_what_was_kept_and_without_the_stamps_a_revoked_grant_would_be_answered() {
    assert!(!revoked_is_answered(None).await);
    assert!(revoked_is_answered(Some(Defence::Stamps)).await);
}

/// Whether a replica that is cut off from the feed answers a revoked grant to one with the token of the revocation.
async fn unheard_is_answered(without: Option<Defence>) -> bool {
    let cache = CacheConfig { without, ..CacheConfig::default() };
    let world = World::keeping(Config { cache, ..Config::default() }).await;
    world.add_user("ann", true, &[MATCHED]);
    warm(&world, "ann").await;
    world.store().cut = true;
    world.change(|store| store.relabel("ann", &[]));
    !asked(&world, at_least(&world, "ann")).await.grants.is_empty()
}

#[tokio::test]
async fn nothing_is_said_of_what_the_feed_has_not_told_and_beyond_the_position_a_revoked_grant_would_be_answered() {
    assert!(!unheard_is_answered(None).await);
    assert!(unheard_is_answered(Some(Defence::Position)).await);
}

/// Ann is taken out of a group, which may have a role; then the group gets another. Answers whether one who has seen the
/// second is ever told that she has either.
async fn enemy_is_let_in(rounds: usize, without: Option<Defence>) -> bool {
    let cache = CacheConfig { without, ..CacheConfig::default() };
    let world = World::keeping(Config { cache, ..Config::default() }).await;
    world.add_user("ann", true, &[]);
    world.add_user("bob", true, &[]);
    let group = GroupId::new().to_string();
    for round in 0..rounds {
        let labels = if round % 2 == 0 { &[MATCHED][..] } else { &[] };
        world.change(|store| store.group("ann", &group, labels));
        match round % 3 {
            0 => warm(&world, "ann").await,
            1 => drop(asked(&world, at_least(&world, "ann")).await),
            _ => {}
        }
        world.change(|store| {
            // She leaves: that stamps her. Then the group's label changes: that stamps the group.
            store.relabel("ann", &[]);
            store.users[0].1.groups.clear();
            let change = proto::identity::v1::GroupChanged { group_id: group.clone(), exists: true };
            store.commit(feed_entry::Change::GroupChanged(change));
        });
        if round % 4 == 0 {
            follows(&world, "bob").await;
        }
        if !asked(&world, at_least(&world, "ann")).await.grants.is_empty() {
            return true;
        }
    }
    false
}

/// C08.
#[tokio::test]
async fn one_who_left_a_group_never_gets_what_the_group_gets_later_and_without_the_stamps_would() {
    assert!(!enemy_is_let_in(300, None).await);
    assert!(enemy_is_let_in(100, Some(Defence::Stamps)).await);
}

#[tokio::test]
async fn a_change_of_a_group_or_of_the_ground_reaches_those_who_depend_on_it() {
    let world = World::keeping(Config::default()).await;
    world.add_user("ann", true, &[]);
    let group = GroupId::new().to_string();
    world.change(|store| store.group("ann", &group, &[]));
    warm(&world, "ann").await;
    world.change(|store| store.group("ann", &group, &[MATCHED]));
    until(async || asked(&world, get("ann")).await.grants.len() == 1).await;
    world.change(|store| store.change_ground(&["OTHER"]));
    until(async || asked(&world, get("ann")).await.grants.is_empty()).await;
    // What concerns others is no reason to read anything again.
    warm(&world, "ann").await;
    tokio::time::pause();
    let before = world.store().asked.holdings;
    let nobody = MembersChanged::default();
    world.change(|store| store.commit(feed_entry::Change::MembersChanged(nobody)));
    follows(&world, "ann").await;
    assert_eq!(world.store().asked.holdings, before);
    let somebody = MembersChanged { unnamed: true, ..MembersChanged::default() };
    world.change(|store| store.commit(feed_entry::Change::MembersChanged(somebody)));
    until(async || {
        asked(&world, get("ann")).await;
        world.store().asked.holdings > before
    })
    .await;
}

/// The replica remembers one stamp. What it has forgotten, it must not speak of.
async fn forgets(without: Option<Defence>) -> bool {
    let cache = CacheConfig { stamps: 1, without, ..CacheConfig::default() };
    let world = World::keeping(Config { cache, ..Config::default() }).await;
    world.add_user("ann", true, &[MATCHED]);
    world.add_user("bob", true, &[MATCHED]);
    warm(&world, "ann").await;
    warm(&world, "bob").await;
    world.change(|store| {
        store.relabel("ann", &[]);
        store.relabel("bob", &[]);
    });
    // Asking for bob alone shows that the feed was followed, and keeps nothing of ann.
    until(async || asked(&world, get("bob")).await.grants.is_empty()).await;
    warm(&world, "bob").await;
    !asked(&world, at_least(&world, "ann")).await.grants.is_empty()
}

/// C07.
#[tokio::test]
async fn what_was_forgotten_is_asked_of_the_store_and_without_the_floor_would_be_answered_wrongly() {
    assert!(!forgets(None).await);
    assert!(forgets(Some(Defence::Floor)).await);
}

#[tokio::test]
async fn a_name_leads_to_its_bearer_of_now() {
    let world = World::keeping(Config::default()).await;
    world.add_user("ann", true, &[MATCHED]);
    warm(&world, "ann").await;
    // Ann becomes anna, and a newcomer is called ann. Neither changes anybody's labels.
    world.change(|store| {
        store.relabel("ann", &[MATCHED]);
        store.users[0].1.user_name = "anna".into();
    });
    world.add_user("ann", true, &[]);
    world.change(|store| store.relabel("ann", &[]));
    assert!(asked(&world, at_least(&world, "ann")).await.grants.is_empty());
    assert_eq!(asked(&world, at_least(&world, "anna")).await.grants.len(), 1);
    warm(&world, "ann").await;
    assert!(asked(&world, get("ann")).await.grants.is_empty());
}

#[tokio::test]
async fn a_batch_is_of_one_state_and_asks_at_most_once() {
    let world = World::keeping(Config::default()).await;
    world.add_user("ann", true, &[MATCHED]);
    world.add_user("bob", true, &[]);
    warm(&world, "ann").await;
    // In one commit the label goes from ann to bob. Whoever is kept and whoever is read must not both have it.
    for round in 0..100 {
        let (from, to) = if round % 2 == 0 { ("ann", "bob") } else { ("bob", "ann") };
        world.change(|store| {
            store.relabel(from, &[]);
            store.relabel(to, &[MATCHED]);
        });
        for _ in 0..5 {
            let before = world.store().asked.holdings;
            let answer = world.roles().batch_get_effective_roles(batch(&["ann", "bob"])).await.unwrap().into_inner();
            let holders = answer.results.iter().filter(|result| !result.effective.as_ref().unwrap().grants.is_empty());
            assert_eq!(holders.count(), 1);
            assert!(world.store().asked.holdings <= before + 1);
        }
    }
}

/// How often the store is asked when many need the same set at one time.
async fn asked_by_many(without: Option<Defence>) -> usize {
    let cache = CacheConfig { without, ..CacheConfig::default() };
    let world = World::keeping(Config { cache, ..Config::default() }).await;
    world.add_user("ann", true, &[MATCHED]);
    warm(&world, "ann").await;
    world.change(|store| store.relabel("ann", &[]));
    let before = world.store().asked.holdings;
    let request = at_least(&world, "ann");
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (mut roles, request) = (world.roles(), request.clone());
        readers.spawn(async move { roles.get_effective_roles(request).await.unwrap().into_inner().effective.unwrap() });
    }
    while let Some(set) = readers.join_next().await {
        assert!(set.unwrap().grants.is_empty());
    }
    world.store().asked.holdings - before
}

#[tokio::test(start_paused = true)]
async fn many_who_need_the_same_ask_once_and_without_a_single_flight_each_would() {
    let asked = asked_by_many(None).await;
    assert!(asked <= 2, "{asked} questions for 100 readers of one set");
    let asked = asked_by_many(Some(Defence::SingleFlight)).await;
    assert!(asked > 10, "{asked} questions for 100 readers of one set");
}

#[tokio::test]
async fn one_who_waited_for_another_that_failed_asks_for_itself() {
    let world = World::keeping(Config::default()).await;
    world.add_user("ann", true, &[MATCHED]);
    warm(&world, "ann").await;
    world.change(|store| store.relabel("ann", &[]));
    tokio::time::pause();
    world.store().silent = true;
    let request = at_least(&world, "ann");
    let (mut first, mut second) = (world.roles(), world.roles());
    let speaks_again = async {
        // The clock stands until both wait: one for the store, the other for that one.
        until(async || world.store().unheard > 0).await;
        world.store().silent = false;
    };
    let (first, second, ()) = tokio::join!(
        first.get_effective_roles(request.clone()),
        second.get_effective_roles(request.clone()),
        speaks_again,
    );
    let (told, failed) = if first.is_ok() { (first, second) } else { (second, first) };
    assert_eq!(why(failed), Reason::STORE_UNAVAILABLE);
    assert!(told.unwrap().into_inner().effective.unwrap().grants.is_empty());
}

#[tokio::test]
async fn a_set_whose_suggestions_others_took_is_not_kept() {
    let world = World::keeping(Config::default()).await;
    let names: Vec<_> = (0..40).map(|n| format!("u{n}")).collect();
    for (n, name) in names.iter().enumerate() {
        world.add_user(name, true, &[&format!("{MATCHED}{n:02}")]);
    }
    warm(&world, "u0").await;
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let answer = world.roles().batch_get_effective_roles(batch(&names)).await.unwrap().into_inner();
    let suggested = |set: &EffectiveSet| !set.unmatched[0].suggestion.is_empty();
    let sets = answer.results.iter().map(|result| result.effective.as_ref().unwrap());
    assert!(sets.filter(|set| suggested(set)).count() < 40, "they share");
    for name in names {
        assert!(suggested(&asked(&world, get(name)).await), "{name}");
    }
}

#[tokio::test]
async fn a_silent_store_is_done_without_for_as_long_as_the_position_counts_and_no_longer() {
    let world = World::keeping(Config::default()).await;
    world.add_user("ann", true, &[MATCHED]);
    warm(&world, "ann").await;
    tokio::time::pause();
    world.store().silent = true;
    assert_eq!(asked(&world, get("ann")).await.grants.len(), 1);
    let surely = world.roles().get_effective_roles(fresh("ann", Requirement::FullyConsistent(true))).await;
    assert_eq!(why(surely), Reason::STORE_UNAVAILABLE);
    tokio::time::advance(CacheConfig::default().confirmed_within).await;
    assert_eq!(why(world.roles().get_effective_roles(get("ann")).await), Reason::STORE_UNAVAILABLE);
    let known = fresh("ann", Requirement::AtLeastAsFresh(world.revision_token("acme", 10)));
    assert_eq!(asked(&world, known).await.grants.len(), 1, "a state that was reached stays reached");
}

#[tokio::test]
async fn another_life_of_the_database_ends_all_that_was_kept() {
    let world = World::keeping(Config::default()).await;
    world.add_user("ann", true, &[MATCHED]);
    warm(&world, "ann").await;
    let old = world.revision_token("acme", 10);
    // A backup is restored: of lower revisions, without the label, under a new epoch.
    world.change(|store| {
        store.epoch = Epoch::new();
        store.revision = 7;
        store.users[0].1.labels.clear();
    });
    let refused = world.roles().get_effective_roles(fresh("ann", Requirement::AtLeastAsFresh(old))).await;
    until(async || asked(&world, get("ann")).await.grants.is_empty()).await;
    assert!(asked(&world, at_least(&world, "ann")).await.grants.is_empty());
    // Kept until the replica hears of it, the old token's state was answered as it was; never afterwards.
    if let Err(status) = refused {
        assert_eq!(why(Err::<(), _>(status)), Reason::EPOCH_MISMATCH);
    }
    let again =
        fresh("ann", Requirement::AtLeastAsFresh(world.key.seal(&"acme".parse().unwrap(), old_position(&world))));
    assert!(world.roles().get_effective_roles(again).await.is_ok());
    assert!(world.metrics.encode().contains("rolecall_resolver_restored_total 1"));
}

fn old_position(world: &World) -> domain::revision::Position {
    domain::revision::Position { epoch: world.store().epoch, revision: domain::revision::Revision(7) }
}

#[tokio::test]
async fn a_store_that_went_back_and_says_nothing_is_noticed() {
    let world = World::keeping(Config::default()).await;
    world.add_user("ann", true, &[MATCHED]);
    warm(&world, "ann").await;
    world.change(|store| {
        store.revision = 7;
        store.ground_version = 3;
        store.users[0].1.labels.clear();
    });
    until(async || asked(&world, get("ann")).await.grants.is_empty()).await;
    assert!(world.metrics.encode().contains("rolecall_resolver_restored_total 1"));
}

#[tokio::test]
async fn a_store_that_went_back_is_noticed_though_it_has_caught_up_when_its_head_is_asked_for() {
    let world = World::keeping(Config::default()).await;
    world.add_user("ann", true, &[MATCHED]);
    warm(&world, "ann").await;
    world.store().meanwhile = Some(Box::new(|state| state.revision = 10));
    world.change(|store| {
        store.revision = 7;
        store.users[0].1.labels.clear();
    });
    until(async || world.metrics.encode().contains("rolecall_resolver_restored_total 1")).await;
    assert!(asked(&world, get("ann")).await.grants.is_empty());
}

#[tokio::test]
async fn the_question_that_finds_the_store_gone_back_is_not_answered_from_its_lost_future() {
    let world = World::keeping(Config::default()).await;
    world.add_user("ann", true, &[MATCHED]);
    let others: Vec<_> = (0..1_000).map(|n| format!("u{n}")).collect();
    for name in &others {
        world.add_user(name, true, &[MATCHED]);
    }
    warm(&world, "ann").await;
    let names: Vec<_> = others.iter().map(String::as_str).collect();
    world.roles().batch_get_effective_roles(batch(&names)).await.unwrap();
    world.change(|store| store.revision = 20);
    // The feed has been followed to there once a set that was kept before answers for there without the store. One that
    // was asked of the store says nothing any more, so each is asked for once.
    let mut names = names.into_iter();
    until(async || {
        let before = world.store().asked.holdings;
        asked(&world, at_least(&world, names.next().unwrap())).await;
        world.store().asked.holdings == before
    })
    .await;
    // Nobody is told: it went back behind what is known, though not behind what is kept of ann.
    {
        let mut store = world.store();
        store.revision = 12;
        store.users[0].1.labels.clear();
    }
    let head = fresh("ann", Requirement::FullyConsistent(true));
    assert!(asked(&world, head).await.grants.is_empty());
}
