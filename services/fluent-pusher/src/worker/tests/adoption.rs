//! Accounts that are not ours yet, or that nobody may touch: adopted, parked, protected, or perhaps being made.

use std::time::Duration;

use fluent_sim::{Effect, Fault, MissingUser, User, UserRole};
use proto::common::v1 as common;
use proto::identity::v1::State;

use super::{CLOSED, STORE, open, standing};
use crate::push::Push;
use crate::store::Decision;
use crate::tenants::{TenantFile, Tenants};
use crate::testing::{Seen, Setup, http, sim_file};

#[tokio::test]
async fn an_account_that_stood_there_is_adopted_and_ends_with_exactly_the_effective_set() {
    let setup = Setup::start().await;
    for missing in [MissingUser::Null, MissingUser::Error] {
        setup.fluent.sim.behave(|behaviour| behaviour.missing_user = missing);
        let name = format!("ada-{missing:?}");
        setup.fluent.sim.change(|world| {
            world.put_user(standing(&name, vec![UserRole::new("STORE_MANAGER", &[("AGENT", "5"), ("GLOBAL", "0")])]));
        });
        let ada = setup.hire(&name, &[STORE]);
        setup.settle().await;
        assert_eq!(setup.account(&name), open(&["STORE@AGENT:1"]));
        assert_eq!(setup.outcome(ada).state(), State::Provisioned);
    }
}

#[tokio::test]
async fn an_account_with_power_is_parked_until_an_operator_decides() {
    let setup = Setup::start().await;
    let power = || vec![UserRole::new("ADMIN", &[("ACCOUNT", "0")])];
    setup.fluent.sim.change(|world| {
        world.put_user(standing("ada", power()));
    });
    let before = setup.account("ada");
    let ada = setup.hire("ada", &[STORE]);
    setup.settle().await;
    assert_eq!(setup.account("ada"), before, "nothing is sent");
    let outcome = setup.outcome(ada);
    assert_eq!((outcome.state(), outcome.reasons), (State::Held, vec!["ACCOUNT_EXISTS".to_owned()]));
    let waiting = setup.store.attention(&setup.tenant.id, 10).await.unwrap();
    assert_eq!((waiting[0].user, waiting[0].reason.as_str()), (ada, "ACCOUNT_EXISTS"));

    assert!(!setup.store.decide(&setup.tenant.id, ada, Decision::Keep).await.unwrap(), "it was not renamed");
    assert!(setup.store.decide(&setup.tenant.id, ada, Decision::Adopt).await.unwrap());
    setup.settle().await;
    assert_eq!(setup.account("ada"), open(&["STORE@AGENT:1"]));
    assert!(setup.store.attention(&setup.tenant.id, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_dismissal_that_meets_a_parked_or_protected_account_leaves_it_alone_and_says_so() {
    let setup = Setup::start().await;
    setup.fluent.sim.change(|world| {
        world.put_user(User { kind: "API".to_owned(), ..standing("robot", Vec::new()) });
        world.put_user(standing("boss@acme.example", vec![UserRole::new("STORE", &[("AGENT", "1")])]));
    });
    for (name, reason) in [("robot", "ACCOUNT_EXISTS"), ("boss@acme.example", "PROTECTED"), ("Rolecall", "PROTECTED")] {
        let id = setup.hire(name, &[STORE]);
        setup.change(id, |user| user.active = false);
        let before = setup.account(name);
        setup.settle().await;
        assert_eq!(setup.account(name), before);
        assert_eq!(setup.outcome(id).reasons, [reason]);
    }
}

#[tokio::test]
async fn a_dismissal_that_was_taken_back_raises_no_alert_for_a_protected_account() {
    let setup = Setup::start().await;
    let boss = setup.hire("boss@acme.example", &[STORE]);
    setup.change(boss, |user| user.active = false);
    setup.follow().await;
    let job = setup.store.claim(&setup.tenant.id, 1, Duration::from_mins(1)).await.unwrap().remove(0);
    assert!(job.gone);
    let Setup { store, tenant, worker, clock, .. } = &setup;
    let push = Push { store, identity: &worker.identity, resolver: &worker.resolver, tenant, job: &job, clock };
    setup.change(boss, |user| user.active = true);
    assert!(!push.run().await.unwrap().alert);
    setup.change(boss, |user| user.active = false);
    assert!(push.run().await.unwrap().alert);
}

#[tokio::test]
async fn one_whose_account_came_under_protection_is_still_shown_with_it() {
    let setup = Setup::start().await;
    let ada = setup.hire("ada", &[STORE]);
    setup.settle().await;
    let id = setup.outcome(ada).fluent_user_id;
    let tenants = Tenants::new(None, http(), setup.clock.clone());
    let file = TenantFile { protected: vec!["ada".to_owned()], ..sim_file(&setup.fluent.url) };
    tenants.put(setup.tenant.id.clone(), file).unwrap();
    setup.change(ada, |_| {});
    setup.follow().await;
    setup.worker.drain(&tenants.get(&setup.tenant.id).unwrap()).await;
    let outcome = setup.outcome(ada);
    assert_eq!((outcome.reasons, outcome.fluent_user_id), (vec!["PROTECTED".to_owned()], id));
}

#[tokio::test]
async fn an_account_whose_name_differs_in_case_alone_is_not_adopted() {
    let setup = Setup::start().await;
    setup.fluent.sim.change(|world| {
        world.put_user(standing("ADA", vec![UserRole::new("STORE_MANAGER", &[("AGENT", "5")])]));
    });
    setup.hire("ada", &[STORE]);
    setup.settle().await;
    assert_eq!(setup.account("ADA"), open(&["STORE_MANAGER@AGENT:5"]));
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_is_found_again_and_never_doubled() {
    for effect in [Effect::LoseAnswerAfterWrite, Effect::Truncated, Effect::WrongUser] {
        let setup = Setup::start().await;
        setup.fluent.sim.fault(Fault::once(effect).on("createUser"));
        let ada = setup.hire("ada", &[STORE]);
        setup.settle().await;
        assert_eq!(setup.account("ada"), open(&["STORE@AGENT:1"]));
        assert_eq!(setup.outcome(ada).state(), State::Provisioned);
        assert_eq!(setup.fluent.sim.read(|world| world.users().len()), 2);
    }
}

#[tokio::test]
async fn an_account_of_power_whose_making_was_doubtful_is_still_ours() {
    let setup = Setup::start().await;
    // The look before it, the making, the look after it: the last two fail, so that only the ledger remembers.
    setup.fluent.sim.fault(Fault::once(Effect::Delay { ms: 0 }).on("user"));
    setup.fluent.sim.fault(Fault::once(Effect::LoseAnswerAfterWrite).on("createUser"));
    setup.fluent.sim.fault(Fault::once(Effect::status(500)).on("user"));
    let eve = setup.hire("eve", &[]);
    setup.change(eve, |user| user.grants = vec![("ADMIN".into(), common::ContextType::Account, "0".into())]);
    setup.settle().await;
    assert_eq!(setup.account("eve"), open(&["ADMIN@ACCOUNT:0"]));
    assert_eq!(setup.outcome(eve).state(), State::Provisioned);
    assert_eq!(setup.fluent.sim.faults(), []);
}

#[tokio::test]
async fn an_account_that_appears_after_its_user_was_dismissed_is_closed() {
    for dismissed in [true, false] {
        let setup = Setup::start().await;
        let ada = setup.hire("ada", &[STORE]);
        setup.follow().await;
        setup.fluent.sim.fault(Fault::once(Effect::status(500)).on("createUser"));
        setup.worker.drain(&setup.tenant).await;
        setup.change(ada, |user| {
            user.active = !dismissed;
            user.grants.clear();
        });
        setup.follow().await;
        setup.worker.drain(&setup.tenant).await;
        assert_eq!(setup.account("ada"), Seen::Absent);
        setup
            .fluent
            .sim
            .change(|world| world.put_user(standing("ada", vec![UserRole::new("STORE", &[("AGENT", "1")])])));
        setup.settle().await;
        assert_eq!(setup.account("ada"), CLOSED, "dismissed: {dismissed}");
    }
}

#[tokio::test]
async fn an_account_of_power_that_appears_while_it_is_asked_for_again_is_ours() {
    let setup = Setup::start().await;
    let eve = setup.hire("eve", &[]);
    setup.change(eve, |user| user.grants = vec![("ADMIN".into(), common::ContextType::Account, "0".into())]);
    setup.follow().await;
    setup.fluent.sim.fault(Fault::once(Effect::status(500)).on("createUser"));
    setup.worker.drain(&setup.tenant).await;
    setup.clock.advance(Duration::from_mins(1));
    let appear = async {
        let power = vec![UserRole::new("ADMIN", &[("ACCOUNT", "0")])];
        setup.fluent.sim.change(|world| world.put_user(standing("eve", power)));
    };
    setup.during("createUser", appear).await;
    setup.settle().await;
    assert_eq!(setup.account("eve"), open(&["ADMIN@ACCOUNT:0"]));
    assert_eq!(setup.outcome(eve).state(), State::Provisioned);
}

#[tokio::test]
async fn an_account_is_not_ours_because_we_once_asked_for_one_in_vain() {
    let setup = Setup::start().await;
    let ada = setup.hire("ada", &[STORE]);
    setup.follow().await;
    setup.fluent.sim.fault(Fault::once(Effect::status(429)).on("createUser"));
    setup.worker.drain(&setup.tenant).await;
    setup.fluent.sim.change(|world| {
        world.put_user(standing("ada", vec![UserRole::new("ADMIN", &[("ACCOUNT", "0")])]));
    });
    setup.settle().await;
    assert_eq!(setup.account("ada"), open(&["ADMIN@ACCOUNT:0"]));
    assert_eq!(setup.outcome(ada).reasons, ["ACCOUNT_EXISTS"]);
}
