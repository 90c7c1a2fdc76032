//! Who left beyond the guard against mass deactivation: the account stays, however often it is looked at, until it is
//! released; and gains nothing meanwhile.

use std::time::Duration;

use domain::id::UserId;
use fluent_sim::{Effect, Fault};
use proto::identity::v1::State;

use super::{CLERK, CLOSED, STORE, open};
use crate::overtake::Ahead;
use crate::testing::{FakeUser, Seen, Setup, agents};

fn deactivated(user: &mut FakeUser) {
    (user.active, user.held_back) = (false, true);
}

fn deleted(user: &mut FakeUser) {
    (user.deleted, user.held_back) = (true, true);
}

fn released(user: &mut FakeUser) {
    user.held_back = false;
}

/// Two who work, and then left with a crowd.
async fn two() -> (Setup, UserId, UserId) {
    let setup = Setup::start().await;
    let (ada, eve) = (setup.hire("ada", &[STORE, CLERK]), setup.hire("eve", &[STORE]));
    setup.settle().await;
    setup.change(ada, deactivated);
    setup.change(eve, deleted);
    (setup, ada, eve)
}

fn as_they_were(setup: &Setup) {
    assert_eq!(setup.account("ada"), open(&["STORE@AGENT:1", "STORE_ASSISTANT@AGENT:1"]));
    assert_eq!(setup.account("eve"), open(&["STORE@AGENT:1"]));
}

/// S31: nothing is sent, it is told why, and a release takes everything away.
#[tokio::test]
async fn who_is_held_back_keeps_its_account_until_it_is_released() {
    let (setup, ada, eve) = two().await;
    let before = setup.fluent.sim.last_logged();
    setup.settle().await;
    as_they_were(&setup);
    assert_eq!(setup.sent(before), ["userById", "userById"], "they are looked at, once");
    let outcome = setup.outcome(ada);
    assert_eq!((outcome.state(), outcome.reasons), (State::Held, vec!["MASS_DEPARTURE".to_owned()]));
    assert_eq!(outcome.effective_roles.len(), 2, "what it still holds");
    assert_eq!(setup.store.next_due(&setup.tenant.id).await.unwrap(), None, "nothing is tried again");

    setup.change(ada, released);
    setup.settle().await;
    assert_eq!((setup.account("ada"), setup.outcome(ada).state()), (CLOSED, State::Inactive));
    assert_eq!(setup.account("eve"), open(&["STORE@AGENT:1"]), "the other still waits");
    setup.change(eve, released);
    setup.settle().await;
    assert_eq!(setup.account("eve"), CLOSED);
}

/// Looking ahead, starting over, a resolver that does not answer: none of it closes an account that is to stay.
#[tokio::test]
async fn who_is_held_back_is_so_for_whoever_comes_to_the_account() {
    let (setup, ada, _) = two().await;
    setup.overtake(&mut Ahead::default()).await;
    setup.fakes.change(|world| world.resolver_down = true);
    setup.worker.drain(&setup.tenant).await;
    as_they_were(&setup);
    setup.fakes.change(|world| world.resolver_down = false);
    setup.settle().await;
    as_they_were(&setup);
    setup.fakes.change(|world| {
        world.floor = world.revision + 1;
        world.put(ada, false, |_| {});
    });
    setup.settle().await;
    as_they_were(&setup);
}

/// While one is held back the others are dismissed as ever, and a Fluent that does not show its account keeps nobody waiting.
#[tokio::test]
async fn who_is_held_back_is_in_nobodys_way() {
    let (setup, ada, _) = two().await;
    let kim = setup.hire("kim", &[STORE]);
    setup.settle().await;
    setup.fluent.sim.fault(Fault::once(Effect::status(500)).on("userById"));
    setup.change(ada, |_| {});
    setup.change(kim, |user| user.active = false);
    setup.settle().await;
    assert_eq!(setup.account("kim"), CLOSED);
    as_they_were(&setup);
}

/// What was taken away before the departure, or is besides, is not held: also where Fluent has not been told of it.
#[tokio::test]
async fn an_account_that_is_held_back_only_shrinks() {
    let setup = Setup::start().await;
    let (ada, eve) = (setup.hire("ada", &[STORE, CLERK]), setup.hire("eve", &[STORE, CLERK]));
    setup.settle().await;
    setup.change(ada, |user| user.grants = agents(&[STORE]));
    setup.change(ada, deactivated);
    setup.change(eve, |user| user.grants = agents(&[CLERK, ("STORE", "2")]));
    setup.change(eve, deleted);
    setup.settle().await;
    assert_eq!(setup.account("ada"), open(&["STORE@AGENT:1"]));
    assert_eq!(setup.account("eve"), open(&["STORE_ASSISTANT@AGENT:1"]));
    setup.change(ada, |user| user.grants = agents(&[STORE, CLERK]));
    setup.settle().await;
    assert_eq!(setup.account("ada"), open(&["STORE@AGENT:1"]), "nothing is given");
    setup.change(ada, |user| user.grants.clear());
    setup.settle().await;
    assert_eq!(setup.account("ada"), CLOSED);
    let kim = setup.hire("kim", &[STORE]);
    setup.change(kim, deactivated);
    setup.settle().await;
    assert_eq!((setup.account("kim"), setup.outcome(kim).state()), (Seen::Absent, State::Held), "none is made");
}

#[tokio::test]
async fn who_returns_has_what_it_had() {
    let (setup, ada, _) = two().await;
    setup.settle().await;
    setup.change(ada, |user| (user.active, user.held_back) = (true, false));
    setup.settle().await;
    as_they_were(&setup);
    assert_eq!(setup.outcome(ada).state(), State::Provisioned);
}

/// The account is that of the user who now bears the name, whose own state decides; nothing of the other is left to it.
#[tokio::test]
async fn a_new_user_of_the_name_has_the_account_and_what_is_its_own() {
    let (setup, _, eve) = two().await;
    setup.settle().await;
    let second = setup.hire("eve", &[CLERK]);
    setup.settle().await;
    assert_eq!(setup.account("eve"), open(&["STORE_ASSISTANT@AGENT:1"]));
    setup.change(eve, released);
    setup.settle().await;
    assert_eq!(setup.account("eve"), open(&["STORE_ASSISTANT@AGENT:1"]), "the first has no account any more");
    setup.change(second, |user| user.active = false);
    setup.settle().await;
    assert_eq!(setup.account("eve"), CLOSED);
}

/// Between the store's word that a user is active and the resolver's that it is not, it left with a crowd.
#[tokio::test]
async fn who_leaves_with_a_crowd_while_it_is_looked_at_is_held_back() {
    let setup = Setup::start().await;
    let ada = setup.hire("ada", &[STORE]);
    setup.settle().await;
    setup.change(ada, |_| {});
    setup.follow().await;
    setup.fakes.change(|world| world.leave_after_next = Some(ada));
    let jobs = setup.store.claim(&setup.tenant.id, 1, Duration::from_mins(1)).await.unwrap();
    setup.worker.work(&setup.tenant, &jobs[0]).await;
    assert!(setup.fakes.change(|world| world.users[&ada].held_back));
    assert_eq!(setup.account("ada"), open(&["STORE@AGENT:1"]));
}

/// Another comes to bear the name of a user whose account has an older one: that account is still the first user's, and a
/// release closes it.
#[tokio::test]
async fn an_account_under_an_older_name_is_closed_by_the_release() {
    let setup = Setup::start().await;
    let ada = setup.hire("ada", &[STORE]);
    setup.settle().await;
    setup.change(ada, |user| "eve".clone_into(&mut user.name));
    setup.change(ada, deleted);
    setup.settle().await;
    setup.hire("eve", &[CLERK]);
    setup.settle().await;
    let eves = open(&["STORE_ASSISTANT@AGENT:1"]);
    assert_eq!((setup.account("ada"), setup.account("eve")), (open(&["STORE@AGENT:1"]), eves.clone()));
    setup.change(ada, released);
    setup.settle().await;
    assert_eq!((setup.account("ada"), setup.account("eve")), (CLOSED, eves));
}

/// A deleted user bears no name. However often it is heard of, as with every change of the ground, it comes to no account
/// of another who bore the name after it: that one's dismissal takes its course, and so does its being held back.
#[tokio::test]
async fn who_is_deleted_and_held_back_is_in_the_way_of_nobody_who_bore_its_name_since() {
    let (setup, _, eve) = two().await;
    setup.settle().await;
    let both = open(&["STORE@AGENT:1", "STORE_ASSISTANT@AGENT:1"]);
    let second = setup.hire("eve", &[STORE, CLERK]);
    setup.settle().await;
    setup.change(second, |user| user.active = false);
    setup.change(eve, |_| {});
    setup.settle().await;
    assert_eq!(setup.account("eve"), CLOSED);

    setup.change(second, |user| user.active = true);
    setup.settle().await;
    assert_eq!(setup.account("eve"), both);
    setup.change(second, deactivated);
    setup.change(eve, |_| {});
    setup.settle().await;
    assert_eq!(setup.account("eve"), both, "it only shrinks by what its own user has no more");
    setup.change(eve, released);
    setup.settle().await;
    assert_eq!(setup.account("eve"), both, "the second is not released");
    setup.change(second, released);
    setup.settle().await;
    assert_eq!(setup.account("eve"), CLOSED);
}
