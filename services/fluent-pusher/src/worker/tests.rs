//! The whole push, from the feed to the simulated Fluent: what each rule promises, and that it holds whatever fails on
//! the way.

mod held_back;

use std::time::Duration;

use fluent_sim::{Contexts, Effect, Fault, MissingUser, User, UserRole};
use proto::common::v1 as common;
use proto::identity::v1::State;

use crate::convert::report;
use crate::outcome::{Outcome, Standing};
use crate::push::Push;
use crate::store::{Decision, Ending, Finished, Take};
use crate::tenants::{TenantFile, Tenants};
use crate::testing::{Seen, Setup, agents, http, sim_file};
use crate::worker::REPORTS;

const STORE: (&str, &str) = ("STORE", "1");
const CLERK: (&str, &str) = ("STORE_ASSISTANT", "1");

const CLOSED: Seen = Seen::Closed(Vec::new());

fn open(grants: &[&str]) -> Seen {
    Seen::Open(grants.iter().map(|&grant| grant.to_owned()).collect())
}

fn standing(name: &str, roles: Vec<UserRole>) -> User {
    User { username: name.to_owned(), status: Some("ACTIVE".to_owned()), roles, ..User::default() }
}

#[tokio::test]
async fn a_hired_user_gets_an_account_with_exactly_its_grants() {
    let setup = Setup::start().await;
    let ada = setup.hire("ada@acme.example", &[STORE, CLERK]);
    setup.settle().await;
    assert_eq!(setup.account("ada@acme.example"), open(&["STORE@AGENT:1", "STORE_ASSISTANT@AGENT:1"]));
    let outcome = setup.outcome(ada);
    assert_eq!(outcome.state(), State::Provisioned);
    assert_eq!((outcome.effective_roles.len(), outcome.revision), (2, 1));
    let made = setup.fluent.sim.user("ada@acme.example").unwrap();
    assert_eq!(outcome.fluent_user_id, made.id.0.to_string());
    assert_eq!((made.kind.as_str(), made.timezone.as_deref()), ("LOCATION", Some("UTC")));

    let before = setup.fluent.sim.last_logged();
    setup.change(ada, |_| {});
    setup.settle().await;
    assert_eq!(setup.sent(before), ["userById"], "what is as it should be is read and left alone");
}

#[tokio::test]
async fn what_was_left_untold_is_told_at_once_however_much_it_is() {
    const LEFT: usize = 2 * REPORTS + 1;
    let setup = Setup::start().await;
    let users: Vec<_> = (0..LEFT).map(|n| setup.hire(&format!("user-{n}"), &[STORE])).collect();
    setup.follow().await;
    let jobs = setup.store.claim(&setup.tenant.id, LEFT, Duration::from_mins(1)).await.unwrap();
    let outcome = || Outcome::without_account(Standing::Held, Vec::new());
    let finished = jobs.into_iter().map(|job| {
        let report = Some(report::encode(outcome(), &job));
        Finished { job, ending: Ending::Done { attention: None }, report }
    });
    let (nothing, term) = (Vec::new(), Duration::from_mins(1));
    setup.store.turn(&setup.tenant.id, finished.collect(), nothing, Take::Nothing, term).await.unwrap();
    setup.tenant.outbox.look_up();
    setup.worker.report(&setup.tenant).await;
    assert!(users.into_iter().all(|user| setup.outcome(user).state() == State::Held));
}

#[tokio::test]
async fn an_account_that_fluent_makes_in_another_state_is_opened() {
    let setup = Setup::start().await;
    setup.fluent.sim.behave(|behaviour| behaviour.created_status = "CREATED".to_owned());
    setup.hire("ada", &[STORE]);
    setup.settle().await;
    assert_eq!(setup.account("ada"), open(&["STORE@AGENT:1"]));
}

#[tokio::test]
async fn what_goes_is_sent_before_what_comes_however_fluent_combines_contexts() {
    for contexts in [Contexts::Merge, Contexts::Replace] {
        let setup = Setup::start().await;
        setup.fluent.sim.behave(|behaviour| behaviour.contexts = contexts);
        let ada = setup.hire("ada", &[("STORE", "1"), ("STORE", "2"), CLERK]);
        setup.settle().await;
        let before = setup.fluent.sim.last_logged();
        setup.change(ada, |user| user.grants = agents(&[("STORE", "2"), ("STORE", "3")]));
        setup.settle().await;
        assert_eq!(setup.account("ada"), open(&["STORE@AGENT:2", "STORE@AGENT:3"]));
        assert_eq!(setup.sent(before), ["userById", "removeUserRolesFromUser", "updateUser"]);
    }
}

#[tokio::test]
async fn a_dismissed_user_is_closed_first_by_id_then_emptied_without_the_resolver() {
    let setup = Setup::start().await;
    let ada = setup.hire("ada", &[STORE]);
    setup.settle().await;
    setup.fakes.change(|world| world.resolver_down = true);
    let before = setup.fluent.sim.last_logged();
    setup.change(ada, |user| user.active = false);
    setup.settle().await;
    assert_eq!(setup.account("ada"), CLOSED);
    assert_eq!(setup.sent(before), ["updateUser", "removeUserRolesFromUser", "userById"]);
    assert_eq!(setup.outcome(ada).state(), State::Inactive);

    setup.fakes.change(|world| world.resolver_down = false);
    setup.change(ada, |user| user.active = true);
    setup.settle().await;
    assert_eq!(setup.account("ada"), open(&["STORE@AGENT:1"]));
}

#[tokio::test]
async fn a_deleted_user_is_closed_and_one_hired_again_takes_the_account_over() {
    let setup = Setup::start().await;
    let first = setup.hire("ada", &[STORE]);
    setup.settle().await;
    let id = setup.outcome(first).fluent_user_id;
    setup.change(first, |user| user.deleted = true);
    setup.settle().await;
    assert_eq!(setup.account("ada"), CLOSED);
    // Deleted and hired again before anything was pushed, or after: the account is the new user's.
    let second = setup.hire("ada", &[CLERK]);
    setup.settle().await;
    setup.change(second, |user| user.deleted = true);
    let third = setup.hire("Ada", &[STORE]);
    setup.settle().await;
    assert_eq!(setup.account("ada"), open(&["STORE@AGENT:1"]));
    assert_eq!(setup.outcome(third).fluent_user_id, id);
}

#[tokio::test]
async fn a_new_inactive_user_gets_no_account() {
    let setup = Setup::start().await;
    let ada = setup.hire("ada", &[STORE]);
    setup.change(ada, |user| user.active = false);
    setup.settle().await;
    assert_eq!(setup.account("ada"), Seen::Absent);
    assert_eq!(setup.outcome(ada).state(), State::Inactive);
}

#[tokio::test]
async fn one_who_is_held_gets_nothing_new_and_loses_what_the_matched_labels_do_not_give() {
    let setup = Setup::start().await;
    let ada = setup.hire("ada", &[STORE, CLERK]);
    setup.settle().await;
    setup.change(ada, |user| {
        user.grants = agents(&[STORE, ("STORE", "9")]);
        user.unmatched = vec!["AGENT_1_TYPO".to_owned()];
        user.document = serde_json::json!({ "title": "Boss" });
    });
    setup.settle().await;
    assert_eq!(setup.account("ada"), open(&["STORE@AGENT:1"]));
    assert_eq!(setup.fluent.sim.user("ada").unwrap().title, None, "no profile is written");
    let outcome = setup.outcome(ada);
    assert_eq!((outcome.state(), outcome.reasons), (State::Held, vec!["UNKNOWN_ROLE: AGENT_1_TYPO".to_owned()]));

    setup.change(ada, |user| user.grants.clear());
    setup.settle().await;
    assert_eq!(setup.account("ada"), CLOSED);

    let new = setup.hire("new", &[]);
    setup.settle().await;
    assert_eq!((setup.account("new"), setup.outcome(new).reasons), (Seen::Absent, vec!["NO_LABELS".to_owned()]));
}

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
async fn a_new_inactive_user_with_the_name_of_a_deleted_one_is_shown_as_inactive() {
    let setup = Setup::start().await;
    let first = setup.hire("ada", &[STORE]);
    setup.settle().await;
    setup.change(first, |user| user.deleted = true);
    setup.settle().await;
    let second = domain::id::UserId::new();
    setup.change(second, |user| user.name = "ada".to_owned());
    setup.settle().await;
    assert_eq!((setup.outcome(second).state(), setup.account("ada")), (State::Inactive, CLOSED));
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
        setup.fluent.sim.fault(Fault::once(Effect::Timeout).on("createUser"));
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
    setup.fluent.sim.fault(Fault::once(Effect::Timeout).on("createUser"));
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

#[tokio::test]
async fn whatever_fails_once_the_end_is_the_same() {
    let effects = [
        Effect::status(401),
        Effect::status(403),
        Effect::status(500),
        Effect::Status { status: 502, retry_after: None, after_write: true },
        Effect::Status { status: 429, retry_after: Some("2".to_owned()), after_write: false },
        Effect::Errors { code: "S0001E".to_owned(), message: "down".to_owned() },
        Effect::PartialErrors { code: "S0001E".to_owned(), message: "half".to_owned(), path: Vec::new() },
        Effect::LoseAnswerAfterWrite,
        Effect::Truncated,
        Effect::Html { status: 200 },
        Effect::Huge { bytes: 3 << 20 },
        Effect::WrongUser,
        Effect::Redirect { status: 302, location: "http://127.0.0.1:1/".to_owned() },
        Effect::Timeout,
    ];
    for effect in effects {
        for operation in ["updateUser", "removeUserRolesFromUser", "userById"] {
            let setup = Setup::start().await;
            let ada = setup.hire("ada", &[STORE, CLERK]);
            setup.settle().await;
            setup.fluent.sim.fault(Fault::once(effect.clone()).on(operation));
            setup.change(ada, |user| user.grants = agents(&[CLERK, ("STORE", "2")]));
            setup.settle().await;
            assert_eq!(setup.account("ada"), open(&["STORE@AGENT:2", "STORE_ASSISTANT@AGENT:1"]), "{effect:?}");
            setup.fluent.sim.fault(Fault::once(effect.clone()).on(operation));
            setup.change(ada, |user| user.deleted = true);
            setup.settle().await;
            assert_eq!(setup.account("ada"), CLOSED, "{effect:?} at {operation}");
        }
    }
}

#[tokio::test]
async fn a_refusal_is_shown_with_fluents_own_words_and_tried_again_when_asked() {
    let setup = Setup::start().await;
    let refusal = Effect::Errors { code: "C0020E".to_owned(), message: "USER_CREATE is missing".to_owned() };
    setup.fluent.sim.fault(Fault::once(refusal).on("createUser"));
    let ada = setup.hire("ada", &[STORE]);
    setup.settle().await;
    let outcome = setup.outcome(ada);
    assert_eq!(outcome.state(), State::Failed);
    assert_eq!(outcome.reasons, ["FLUENT_REFUSED: C0020E: USER_CREATE is missing"]);
    assert_eq!(setup.store.backlog(&setup.tenant.id).await.unwrap().failed, 1);
    assert!(setup.store.retry(&setup.tenant.id, ada).await.unwrap());
    setup.settle().await;
    assert_eq!(setup.account("ada"), open(&["STORE@AGENT:1"]));
}

#[tokio::test]
async fn a_refused_dismissal_is_never_given_up() {
    let setup = Setup::start().await;
    let ada = setup.hire("ada", &[STORE]);
    setup.settle().await;
    let refusal = Effect::Errors { code: "C0020E".to_owned(), message: "no".to_owned() };
    setup.fluent.sim.fault(Fault::once(refusal).times(3).on("updateUser"));
    setup.change(ada, |user| user.active = false);
    setup.settle().await;
    assert_eq!(setup.account("ada"), CLOSED);
}

#[tokio::test]
async fn a_refused_removal_is_never_given_up_whoever_told_of_it() {
    let setup = Setup::start().await;
    let ada = setup.hire("ada", &[STORE, CLERK]);
    setup.settle().await;
    let refusal = Effect::Errors { code: "C0020E".to_owned(), message: "no".to_owned() };
    setup.fluent.sim.fault(Fault::once(refusal).times(3).on("removeUserRolesFromUser"));
    // Nobody says any more that this took something away.
    setup.change(ada, |user| user.grants = agents(&[CLERK]));
    setup.fakes.change(|world| (world.floor, world.entries) = (world.revision, Vec::new()));
    setup.settle().await;
    assert_eq!(setup.account("ada"), open(&["STORE_ASSISTANT@AGENT:1"]));
}

#[tokio::test]
async fn an_account_that_fluent_will_not_close_is_emptied() {
    let setup = Setup::start().await;
    let ada = setup.hire("ada", &[STORE]);
    setup.settle().await;
    let refusal = Effect::Errors { code: "C0020E".to_owned(), message: "no".to_owned() };
    setup.fluent.sim.fault(Fault::once(refusal).forever().on("updateUser"));
    setup.change(ada, |user| user.active = false);
    setup.follow().await;
    setup.worker.drain(&setup.tenant).await;
    assert_eq!(setup.account("ada"), open(&[]));
    assert_eq!(setup.outcome(ada).state(), State::Failed);
    setup.fluent.sim.clear_faults();
    setup.settle().await;
    assert_eq!(setup.account("ada"), CLOSED);
}

#[tokio::test]
async fn a_refused_removal_does_not_keep_the_others_from_being_sent() {
    let setup = Setup::start().await;
    // So many that their removal takes more than one request.
    let places: Vec<_> = (0..5_000).map(|number| number.to_string()).collect();
    setup.fluent.sim.change(|world| {
        let contexts: Vec<_> = places.iter().map(|place| ("AGENT", place.as_str())).collect();
        world.put_user(standing("ada", vec![UserRole::new(&"R".repeat(200), &contexts)]));
    });
    let refusal = Effect::Errors { code: "C0020E".to_owned(), message: "no".to_owned() };
    setup.fluent.sim.fault(Fault::once(refusal).on("removeUserRolesFromUser"));
    let ada = setup.hire("ada", &[]);
    setup.change(ada, |user| user.active = false);
    setup.follow().await;
    setup.worker.drain(&setup.tenant).await;
    let Seen::Closed(left) = setup.account("ada") else { panic!("it is open") };
    assert!(!left.is_empty() && left.len() < places.len(), "{} are left", left.len());
}

#[tokio::test]
async fn a_renamed_user_is_held_until_an_operator_decides() {
    for decision in [Decision::Keep, Decision::Replace] {
        let setup = Setup::start().await;
        let ada = setup.hire("ada", &[STORE, CLERK]);
        setup.settle().await;
        setup.change(ada, |user| {
            user.name = "lovelace".to_owned();
            user.grants = agents(&[STORE, ("STORE", "2")]);
        });
        setup.settle().await;
        assert_eq!(setup.account("ada"), open(&["STORE@AGENT:1"]), "it only shrinks");
        assert_eq!(setup.account("lovelace"), Seen::Absent);
        assert_eq!(setup.outcome(ada).reasons, ["RENAMED"]);
        assert!(setup.store.decide(&setup.tenant.id, ada, decision).await.unwrap());
        setup.settle().await;
        let all = open(&["STORE@AGENT:1", "STORE@AGENT:2"]);
        let expected = if decision == Decision::Keep { (all, Seen::Absent) } else { (CLOSED, all) };
        assert_eq!((setup.account("ada"), setup.account("lovelace")), expected);
        // Whichever it bears: dismissed, nothing stays open.
        setup.change(ada, |user| user.deleted = true);
        setup.settle().await;
        for name in ["ada", "lovelace"] {
            assert!(!matches!(setup.account(name), Seen::Open(_)));
        }
    }
}

#[tokio::test]
async fn a_renamed_user_whose_old_name_is_taken_still_waits_for_an_operator() {
    let setup = Setup::start().await;
    let first = setup.hire("bob", &[STORE]);
    setup.settle().await;
    setup.change(first, |user| user.name = "rob".to_owned());
    setup.settle().await;
    setup.hire("bob", &[CLERK]);
    setup.settle().await;
    assert_eq!(setup.account("bob"), open(&["STORE_ASSISTANT@AGENT:1"]), "it is the new bearer's");
    assert_eq!((setup.account("rob"), setup.outcome(first).reasons), (Seen::Absent, vec!["RENAMED".to_owned()]));
    // Another name does not free it either.
    setup.change(first, |user| user.name = "robert".to_owned());
    setup.settle().await;
    assert_eq!((setup.account("robert"), setup.outcome(first).reasons), (Seen::Absent, vec!["RENAMED".to_owned()]));
    assert!(!setup.store.decide(&setup.tenant.id, first, Decision::Keep).await.unwrap(), "there is none to keep");
    assert!(setup.store.decide(&setup.tenant.id, first, Decision::Replace).await.unwrap());
    setup.settle().await;
    assert_eq!((setup.account("rob"), setup.account("robert")), (Seen::Absent, open(&["STORE@AGENT:1"])));
}

#[tokio::test]
async fn a_name_borne_only_before_there_was_an_account_is_left_alone() {
    let setup = Setup::start().await;
    setup.fluent.sim.change(|world| {
        world.put_user(standing("old", vec![UserRole::new("STORE", &[("AGENT", "5")])]));
    });
    let ada = setup.hire("old", &[]);
    setup.change(ada, |user| user.name = "new".to_owned());
    setup.change(ada, |user| user.deleted = true);
    setup.settle().await;
    assert_eq!(setup.account("old"), open(&["STORE@AGENT:5"]));
}

#[tokio::test]
async fn names_that_go_from_hand_to_hand_end_with_each_accounts_own_user() {
    let setup = Setup::start().await;
    setup.fakes.change(|world| world.settings.rename = common::Rename::Replace.into());
    let (ada, eve) = (setup.hire("ada", &[STORE]), setup.hire("eve", &[CLERK]));
    setup.settle().await;
    setup.change(eve, |user| user.name = "tmp".to_owned());
    setup.change(ada, |user| user.name = "eve".to_owned());
    setup.change(eve, |user| user.name = "ada".to_owned());
    setup.settle().await;
    assert_eq!(
        (setup.account("eve"), setup.account("ada")),
        (open(&["STORE@AGENT:1"]), open(&["STORE_ASSISTANT@AGENT:1"]))
    );
    for id in [ada, eve] {
        setup.change(id, |user| user.deleted = true);
    }
    setup.settle().await;
    assert_eq!((setup.account("ada"), setup.account("eve")), (CLOSED, CLOSED));
}

#[tokio::test]
async fn a_tenant_may_have_renamed_accounts_replaced_and_a_change_of_case_is_no_rename() {
    let setup = Setup::start().await;
    setup.fakes.change(|world| world.settings.rename = common::Rename::Replace.into());
    let ada = setup.hire("ada", &[STORE]);
    setup.settle().await;
    setup.change(ada, |user| user.name = "Ada".to_owned());
    setup.settle().await;
    assert_eq!((setup.account("ada"), setup.account("Ada")), (open(&["STORE@AGENT:1"]), Seen::Absent));
    setup.change(ada, |user| user.name = "lovelace".to_owned());
    // The old name is taken by somebody else at once.
    setup.hire("ada", &[CLERK]);
    setup.settle().await;
    assert_eq!(setup.account("lovelace"), open(&["STORE@AGENT:1"]));
    assert_eq!(setup.account("ada"), open(&["STORE_ASSISTANT@AGENT:1"]));
}

#[tokio::test]
async fn one_renamed_while_its_account_is_looked_up_ends_with_one_account() {
    let setup = Setup::start().await;
    let id = setup.hire("anna", &[STORE]);
    setup.follow().await;
    let rename = async {
        setup.change(id, |user| user.name = "zoe".to_owned());
        setup.follow().await;
    };
    setup.during("user", rename).await;
    setup.settle().await;
    assert_eq!((setup.account("anna"), setup.account("zoe")), (Seen::Absent, open(&["STORE@AGENT:1"])));
    setup.change(id, |user| user.active = false);
    setup.settle().await;
    assert_eq!(setup.account("zoe"), CLOSED);
}

#[tokio::test]
async fn an_account_made_for_one_who_lost_the_name_meanwhile_is_the_next_bearers() {
    let setup = Setup::start().await;
    setup.fakes.change(|world| world.settings.rename = common::Rename::Replace.into());
    let first = setup.hire("bob", &[STORE]);
    setup.follow().await;
    let renamed = async {
        setup.change(first, |user| user.name = "rob".to_owned());
        setup.hire("bob", &[CLERK]);
        setup.follow().await;
    };
    setup.during("createUser", renamed).await;
    setup.settle().await;
    let bob = open(&["STORE_ASSISTANT@AGENT:1"]);
    assert_eq!((setup.account("bob"), setup.account("rob")), (bob.clone(), open(&["STORE@AGENT:1"])));
    setup.change(first, |user| user.active = false);
    setup.settle().await;
    assert_eq!((setup.account("bob"), setup.account("rob")), (bob, CLOSED));
}

#[tokio::test]
async fn a_restored_database_is_noticed_and_everything_is_pushed_again() {
    let setup = Setup::start().await;
    let kept = setup.hire("kept", &[STORE]);
    let lost = setup.hire("lost", &[STORE]);
    setup.settle().await;
    // An older backup: one user is not in it, the other held more.
    setup.fakes.change(|world| {
        world.users.remove(&lost);
        world.users.get_mut(&kept).unwrap().grants = agents(&[STORE, CLERK]);
        (world.epoch, world.revision) = (domain::revision::Epoch::new(), 1);
        world.entries.clear();
    });
    setup.settle().await;
    assert_eq!(setup.account("kept"), open(&["STORE@AGENT:1", "STORE_ASSISTANT@AGENT:1"]));
    assert_eq!(setup.account("lost"), CLOSED);
}

#[tokio::test]
async fn one_that_has_fallen_behind_the_feed_starts_over() {
    let setup = Setup::start().await;
    let ada = setup.hire("ada", &[STORE]);
    setup.settle().await;
    setup.change(ada, |user| user.deleted = true);
    setup.fakes.change(|world| (world.floor, world.entries) = (world.revision, Vec::new()));
    setup.settle().await;
    assert_eq!(setup.account("ada"), CLOSED);
}

#[tokio::test]
async fn a_change_that_concerns_many_is_asked_for_and_reaches_each() {
    let setup = Setup::start().await;
    let ids: Vec<_> = (0..5).map(|n| setup.hire(&format!("u{n}"), &[STORE])).collect();
    setup.settle().await;
    setup.fakes.change(|world| {
        for id in &ids {
            world.users.get_mut(id).unwrap().grants = agents(&[CLERK]);
        }
        let gone = proto::identity::v1::GroupChanged { group_id: "g".to_owned(), exists: false };
        world.append(true, proto::identity::v1::feed_entry::Change::GroupChanged(gone));
    });
    setup.settle().await;
    for n in 0..5 {
        assert_eq!(setup.account(&format!("u{n}")), open(&["STORE_ASSISTANT@AGENT:1"]));
    }
}

#[tokio::test]
async fn what_any_part_of_a_revision_takes_away_is_urgent_for_all_it_concerns() {
    let setup = Setup::start().await;
    setup.hire("ada", &[STORE]);
    setup.settle().await;
    setup.fakes.change(|world| {
        let changed = || proto::identity::v1::GroupChanged { group_id: "g".to_owned(), exists: true };
        world.append(false, proto::identity::v1::feed_entry::Change::GroupChanged(changed()));
        world.append_part(true, proto::identity::v1::feed_entry::Change::GroupChanged(changed()));
    });
    setup.follow().await;
    assert_eq!(setup.store.backlog(&setup.tenant.id).await.unwrap().due_revocations, 1);
}

#[tokio::test]
async fn outcomes_wait_for_an_identity_store_that_is_away() {
    let setup = Setup::start().await;
    let ada = setup.hire("ada", &[STORE]);
    setup.follow().await;
    setup.worker.drain(&setup.tenant).await;
    setup.change(ada, |user| user.active = false);
    setup.follow().await;
    setup.fakes.change(|world| world.store_down = true);
    setup.worker.drain(&setup.tenant).await;
    assert!(matches!(setup.account("ada"), Seen::Open(_)), "a dismissal is confirmed before it is acted on");
    setup.fakes.change(|world| world.store_down = false);
    setup.settle().await;
    assert_eq!((setup.account("ada"), setup.outcome(ada).state()), (CLOSED, State::Inactive));
}

#[tokio::test]
async fn a_fluent_that_is_down_is_left_alone_and_nothing_is_lost() {
    let setup = Setup::start().await;
    setup.fluent.sim.fault(Fault::once(Effect::status(503)).times(10));
    for n in 0..6 {
        setup.hire(&format!("u{n}"), &[STORE]);
    }
    setup.settle().await;
    for n in 0..6 {
        assert_eq!(setup.account(&format!("u{n}")), open(&["STORE@AGENT:1"]));
    }
}
