//! Random histories: whatever users and Fluent do, and whenever the pusher looks, once it has caught up every active
//! user's account holds exactly the user's grants, and no other account is open, but for those of users who are held back,
//! which hold no more than the labels of one who bore their name give.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::id::UserId;
use fluent_sim::{Contexts, Effect, Fault};
use proptest::prelude::*;
use proto::common::v1 as common;

use crate::testing::{Seen, Setup, agents};

const NAMES: [&str; 3] = ["ada", "eve", "kim"];
const GRANTS: [(&str, &str); 4] = [("STORE", "1"), ("STORE", "2"), ("STORE_ASSISTANT", "1"), ("Inventory_Viewer", "3")];

#[derive(Clone, Debug)]
enum Step {
    Hire(usize, Vec<usize>),
    Rename(usize, usize),
    Assign(usize, Vec<usize>),
    Switch(usize),
    Fire(usize),
    /// Leaves with a crowd and is held back, inactive or deleted.
    Leave(usize, bool),
    Release(usize),
    Fault(usize, &'static str),
    Follow,
    /// Work on some accounts, then let time pass.
    Work(usize),
    /// Work on one, and while Fluent is asked this, other things happen and the feed is followed.
    During(&'static str, Vec<Step>),
}

fn step() -> impl Strategy<Value = Step> {
    let asked = || prop_oneof![Just("user"), Just("userById"), Just("createUser"), Just("updateUser")];
    prop_oneof![
        17 => event(),
        3 => (asked(), prop::collection::vec(event(), 1..4)).prop_map(|(asked, events)| Step::During(asked, events)),
    ]
}

fn event() -> impl Strategy<Value = Step> {
    let grants = || prop::collection::vec(0..GRANTS.len(), 0..4);
    prop_oneof![
        3 => (0..NAMES.len(), grants()).prop_map(|(name, grants)| Step::Hire(name, grants)),
        5 => (0..8_usize, 0..NAMES.len()).prop_map(|(user, name)| Step::Rename(user, name)),
        2 => (0..8_usize, grants()).prop_map(|(user, grants)| Step::Assign(user, grants)),
        2 => (0..8_usize).prop_map(Step::Switch),
        1 => (0..8_usize).prop_map(Step::Fire),
        2 => (0..8_usize, any::<bool>()).prop_map(|(user, deletes)| Step::Leave(user, deletes)),
        1 => (0..8_usize).prop_map(Step::Release),
        2 => (0..4_usize, prop_oneof![Just("createUser"), Just("updateUser"), Just("removeUserRolesFromUser")])
            .prop_map(|(fault, field)| Step::Fault(fault, field)),
        2 => Just(Step::Follow),
        2 => (1..4_usize).prop_map(Step::Work),
    ]
}

fn fault(number: usize) -> Effect {
    match number {
        0 => Effect::LoseAnswerAfterWrite,
        1 => Effect::status(500),
        2 => Effect::Truncated,
        _ => Effect::Errors { code: "S0001E".to_owned(), message: String::new() },
    }
}

async fn live(setup: &Setup, users: &mut Vec<UserId>, step: Step) {
    let known = |user: usize| users.get(user % users.len().max(1)).copied();
    let pick = |numbers: &[usize]| agents(&numbers.iter().map(|&number| GRANTS[number]).collect::<Vec<_>>());
    let is_free =
        |name: &str| setup.fakes.change(|world| world.users.values().all(|user| user.deleted || user.name != name));
    let exists = |id: UserId| setup.fakes.change(|world| !world.users[&id].deleted);
    match step {
        Step::Hire(name, grants) if is_free(NAMES[name]) => {
            let id = setup.hire(NAMES[name], &[]);
            setup.change(id, |user| user.grants = pick(&grants));
            users.push(id);
        }
        Step::Rename(user, name) if is_free(NAMES[name]) => {
            if let Some(id) = known(user).filter(|id| exists(*id)) {
                setup.change(id, |user| NAMES[name].clone_into(&mut user.name));
            }
        }
        Step::Assign(user, grants) => {
            if let Some(id) = known(user).filter(|id| exists(*id)) {
                setup.change(id, |user| user.grants = pick(&grants));
            }
        }
        Step::Switch(user) => {
            if let Some(id) = known(user).filter(|id| exists(*id)) {
                setup.change(id, |user| {
                    user.active = !user.active;
                    user.held_back &= !user.active;
                });
            }
        }
        Step::Fire(user) => {
            if let Some(id) = known(user).filter(|id| exists(*id)) {
                setup.change(id, |user| user.deleted = true);
            }
        }
        Step::Leave(user, deletes) => {
            if let Some(id) = known(user).filter(|id| exists(*id)) {
                setup.change(id, |user| {
                    user.held_back |= user.active;
                    user.active = false;
                    user.deleted = deletes;
                });
            }
        }
        Step::Release(user) => {
            if let Some(id) = known(user).filter(|id| setup.fakes.change(|world| world.users[id].held_back)) {
                setup.change(id, |user| user.held_back = false);
            }
        }
        Step::Fault(number, field) => setup.fluent.sim.fault(Fault::once(fault(number)).on(field)),
        Step::Follow => setup.follow().await,
        Step::Work(count) => {
            for job in setup.store.claim(&setup.tenant.id, count, Duration::from_mins(1)).await.unwrap() {
                setup.worker.work(&setup.tenant, &job).await;
            }
            setup.clock.advance(Duration::from_secs(1));
        }
        Step::During(asked, events) => {
            let meanwhile = async {
                for event in events {
                    Box::pin(live(setup, users, event)).await;
                }
                setup.follow().await;
            };
            setup.during(asked, meanwhile).await;
        }
        Step::Hire(..) | Step::Rename(..) => {}
    }
}

fn check(setup: &Setup) -> Result<(), TestCaseError> {
    let (mut expected, mut held_back) = (BTreeMap::new(), Vec::new());
    for user in setup.fakes.change(|world| world.users.clone()).into_values() {
        let mut grants: Vec<_> = user.grants.iter().map(|(role, _, id)| format!("{role}@AGENT:{id}")).collect();
        grants.sort();
        grants.dedup();
        if user.held_back {
            held_back.push((user.names, grants));
        } else if user.active && !user.deleted && !grants.is_empty() {
            expected.insert(user.name, grants);
        }
    }
    for name in NAMES {
        let seen = setup.account(name);
        if let Some(grants) = expected.get(name) {
            prop_assert_eq!(seen, Seen::Open(grants.clone()), "{}", name);
            continue;
        }
        let bore = held_back.iter().filter(|(names, _)| names.contains(name));
        let kept = |held: &[String]| bore.clone().any(|(_, most)| held.iter().all(|grant| most.contains(grant)));
        let right = match &seen {
            Seen::Absent => true,
            // It was being emptied when its user was held back.
            Seen::Closed(held) => held.is_empty() || kept(held),
            Seen::Open(held) => kept(held),
        };
        prop_assert!(right, "{name}: {seen:?}, held back: {held_back:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_history_ends_with_fluent_as_the_users_are(steps in prop::collection::vec(step(), 1..40), replaced: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let setup = Setup::start().await;
            setup.fakes.change(|world| world.settings.rename = common::Rename::Replace.into());
            if replaced {
                setup.fluent.sim.behave(|behaviour| behaviour.contexts = Contexts::Replace);
            }
            let mut users = Vec::new();
            for step in steps {
                live(&setup, &mut users, step).await;
            }
            setup.fluent.sim.clear_faults();
            setup.settle().await;
            check(&setup)?;
            for id in users {
                live(&setup, &mut vec![id], Step::Release(0)).await;
            }
            setup.settle().await;
            check(&setup)
        })?;
    }
}
