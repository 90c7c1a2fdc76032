//! What overtakes the feed: it reaches Fluent first, and the feed, when it comes to it, changes nothing about that.

use std::time::Duration;

use proto::identity::v1::feed_entry::Change;
use proto::identity::v1::{GroupChanged, RulesChanged};

use crate::feed::Step;
use crate::overtake::Ahead;
use crate::testing::{Seen, Setup, agents};

const STORE: (&str, &str) = ("STORE", "1");
const CLERK: (&str, &str) = ("STORE_ASSISTANT", "1");
const CLOSED: Seen = Seen::Closed(Vec::new());

fn open(grants: &[&str]) -> Seen {
    Seen::Open(grants.iter().map(|&grant| grant.to_owned()).collect())
}

/// So many people hired, whom nobody has looked at yet.
fn hire_many(setup: &Setup, count: usize) {
    for n in 0..count {
        setup.hire(&format!("many{n}"), &[STORE]);
    }
}

#[tokio::test]
async fn a_dismissal_reaches_fluent_before_thousands_that_came_before_it() {
    let setup = Setup::start().await;
    let ada = setup.hire("ada", &[STORE]);
    setup.settle().await;
    let followed = setup.store.position(&setup.tenant.id).await.unwrap();
    hire_many(&setup, 5_000);
    setup.change(ada, |user| user.active = false);
    hire_many(&setup, 1_000);
    // The follower does not get on at all: nothing but this pass runs.
    setup.overtake(&mut Ahead::default()).await;
    assert_eq!(setup.worker.drain(&setup.tenant).await, 1, "nothing else is due");
    assert_eq!(setup.account("ada"), CLOSED);
    assert_eq!(
        setup.store.position(&setup.tenant.id).await.unwrap(),
        followed,
        "the place in the feed is the follower's"
    );
}

#[tokio::test]
async fn what_was_overtaken_changes_nothing_when_its_turn_comes() {
    let setup = Setup::start().await;
    let ada = setup.hire("ada", &[STORE]);
    setup.settle().await;
    // Undigested: she gets more, then is dismissed.
    setup.fakes.change(|world| world.put(ada, false, |user| user.grants = agents(&[STORE, CLERK])));
    setup.change(ada, |user| user.deleted = true);
    let mut ahead = Ahead::default();
    setup.overtake(&mut ahead).await;
    setup.worker.drain(&setup.tenant).await;
    assert_eq!(setup.account("ada"), CLOSED);
    let before = setup.fluent.sim.last_logged();
    setup.overtake(&mut ahead).await;
    setup.settle().await;
    assert_eq!((setup.account("ada"), setup.sent(before)), (CLOSED, Vec::new()), "it is not even looked at again");
}

#[tokio::test]
async fn a_label_lost_through_a_group_is_taken_from_its_members_first() {
    let setup = Setup::start().await;
    let ids: Vec<_> = (0..5).map(|n| setup.hire(&format!("u{n}"), &[STORE, CLERK])).collect();
    setup.settle().await;
    hire_many(&setup, 50);
    setup.fakes.change(|world| {
        for id in &ids {
            world.users.get_mut(id).unwrap().grants = agents(&[CLERK]);
        }
        world.append(true, Change::GroupChanged(GroupChanged { group_id: "g".to_owned(), exists: true }));
    });
    setup.overtake(&mut Ahead::default()).await;
    assert_eq!(setup.worker.drain(&setup.tenant).await, ids.len(), "those who are new have nothing to lose");
    for n in 0..5 {
        assert_eq!(setup.account(&format!("u{n}")), open(&["STORE_ASSISTANT@AGENT:1"]));
    }
    setup.settle().await;
    assert_eq!(setup.account("many7"), open(&["STORE@AGENT:1"]));
}

#[tokio::test]
async fn a_dismissal_waits_for_one_portion_of_a_large_group_at_most() {
    let setup = Setup::start().await;
    hire_many(&setup, 1_200);
    let ada = setup.hire("ada", &[STORE]);
    setup.follow().await;
    setup.fakes.change(|world| {
        world.append(true, Change::GroupChanged(GroupChanged { group_id: "g".to_owned(), exists: false }));
    });
    let mut ahead = Ahead::default();
    assert_eq!(setup.look(&mut ahead).await, Step::More);
    setup.change(ada, |user| user.active = false);
    assert_eq!(setup.look(&mut ahead).await, Step::More, "the group is not yet through");
    let next = setup.store.claim(&setup.tenant.id, 1, Duration::from_mins(1)).await.unwrap();
    assert_eq!((next[0].account.as_str(), next[0].gone), ("ada", true));
}

#[tokio::test]
async fn one_who_was_hired_and_dismissed_unseen_loses_the_account_that_stood_there() {
    let setup = Setup::start().await;
    setup.settle().await;
    setup.fluent.sim.change(|world| {
        let roles = vec![fluent_sim::UserRole::new("STORE", &[("AGENT", "1")])];
        let status = Some("ACTIVE".to_owned());
        world.put_user(fluent_sim::User { username: "ada".to_owned(), status, roles, ..fluent_sim::User::default() });
    });
    hire_many(&setup, 10);
    let ada = setup.hire("ada", &[STORE]);
    setup.change(ada, |user| user.active = false);
    setup.overtake(&mut Ahead::default()).await;
    setup.worker.drain(&setup.tenant).await;
    assert_eq!(setup.account("ada"), CLOSED);
    setup.settle().await;
    assert_eq!(setup.account("ada"), CLOSED);
}

#[tokio::test]
async fn a_new_bearer_of_the_name_is_not_dismissed_with_the_old_one() {
    let setup = Setup::start().await;
    let first = setup.hire("ada", &[STORE]);
    setup.settle().await;
    setup.change(first, |user| user.deleted = true);
    let second = setup.hire("ada", &[CLERK]);
    let mut ahead = Ahead::default();
    setup.overtake(&mut ahead).await;
    setup.worker.drain(&setup.tenant).await;
    setup.settle().await;
    assert_eq!(setup.account("ada"), open(&["STORE_ASSISTANT@AGENT:1"]));
    setup.change(second, |user| user.active = false);
    setup.overtake(&mut ahead).await;
    setup.worker.drain(&setup.tenant).await;
    assert_eq!(setup.account("ada"), CLOSED);
}

#[tokio::test]
async fn a_change_of_ground_does_not_overtake() {
    let setup = Setup::start().await;
    setup.hire("ada", &[STORE]);
    setup.settle().await;
    setup.fakes.change(|world| world.append(true, Change::RulesChanged(RulesChanged {})));
    setup.overtake(&mut Ahead::default()).await;
    assert_eq!(setup.store.next_due(&setup.tenant.id).await.unwrap(), None);
}

#[tokio::test]
async fn a_dismissal_overtakes_a_follower_that_has_to_start_over() {
    for restored in [true, false] {
        let setup = Setup::start().await;
        let (ada, bob) = (setup.hire("ada", &[STORE]), setup.hire("bob", &[STORE]));
        setup.settle().await;
        let mut ahead = Ahead::default();
        setup.overtake(&mut ahead).await;
        setup.fakes.change(|world| {
            if restored {
                world.epoch = domain::revision::Epoch::new();
            } else {
                world.put(ada, true, |_| {});
                world.floor = world.revision;
            }
        });
        setup.overtake(&mut ahead).await;
        setup.change(bob, |user| user.active = false);
        setup.overtake(&mut ahead).await;
        setup.worker.drain(&setup.tenant).await;
        assert_eq!(setup.account("bob"), CLOSED);
        setup.settle().await;
        assert_eq!((setup.account("ada"), setup.account("bob")), (open(&["STORE@AGENT:1"]), CLOSED));
    }
}

#[tokio::test]
async fn a_restart_begins_where_the_follower_stands() {
    let setup = Setup::start().await;
    let (ada, bob) = (setup.hire("ada", &[STORE]), setup.hire("bob", &[STORE]));
    setup.settle().await;
    setup.change(ada, |user| user.active = false);
    setup.overtake(&mut Ahead::default()).await;
    setup.change(bob, |user| user.active = false);
    setup.overtake(&mut Ahead::default()).await;
    setup.worker.drain(&setup.tenant).await;
    assert_eq!((setup.account("ada"), setup.account("bob")), (CLOSED, CLOSED));
}
