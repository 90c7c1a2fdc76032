//! Whatever refuses, fails or is away: nothing is lost, and what takes away is never given up.

use std::time::Duration;

use fluent_sim::{Effect, Fault, UserRole};
use proto::identity::v1::State;

use super::{CLERK, CLOSED, STORE, open, standing};
use crate::convert::report;
use crate::outcome::{Outcome, Standing};
use crate::store::{Ending, Finished, Take};
use crate::testing::{Seen, Setup, agents, http};
use crate::worker::REPORTS;

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
            let setup = match effect {
                Effect::Timeout => Setup::with(http().with_timeout(Duration::from_millis(500))).await,
                _ => Setup::start().await,
            };
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

/// P15, R01.
#[tokio::test]
async fn tokens_that_are_refused_do_not_keep_a_dismissal_waiting() {
    let setup = Setup::start().await;
    let ada = setup.hire("ada", &[STORE]);
    setup.settle().await;
    let begun = setup.clock.now();
    setup.fluent.sim.fault(Fault::once(Effect::status(401)).times(5));
    setup.change(ada, |user| user.active = false);
    setup.settle().await;
    assert_eq!(setup.account("ada"), CLOSED);
    let took = setup.clock.now().since(begun);
    assert!(took < Duration::from_secs(10), "{took:?}");
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

/// P10, P15, P16.
#[tokio::test]
async fn a_fluent_that_fails_as_a_whole_is_shown_and_tried_again() {
    let at_call = "FLUENT_UNAVAILABLE: Fluent answers with HTTP status 500";
    let at_token = "FLUENT_SIGN_IN: Fluent refuses the sign-in with the user name, password and client configured";
    let with_token = "FLUENT_SIGN_IN: Fluent grants tokens and refuses calls that come with them (HTTP status 401)";
    for (fault, reason) in [
        (Fault::once(Effect::status(500)), at_call),
        (Fault::once(Effect::status(401)).at_token(), at_token),
        (Fault::once(Effect::status(401)), with_token),
    ] {
        let setup = Setup::start().await;
        setup.fluent.sim.fault(fault.forever());
        let ada = setup.hire("ada", &[STORE]);
        setup.follow().await;
        for tried in 1..=3 {
            assert!(!setup.is_told(ada), "tried {} times", tried - 1);
            setup.clock.advance(Duration::from_mins(1));
            assert_eq!(setup.worker.drain(&setup.tenant).await, 1);
        }
        let outcome = setup.outcome(ada);
        assert_eq!((outcome.state(), outcome.reasons), (State::Failed, vec![reason.to_owned()]));
        assert_eq!(setup.store.backlog(&setup.tenant.id).await.unwrap().failed, 0, "nobody has to decide anything");

        setup.fluent.sim.clear_faults();
        setup.settle().await;
        let outcome = setup.outcome(ada);
        assert_eq!((outcome.state(), outcome.reasons), (State::Provisioned, Vec::new()));
    }
}

/// P10.
#[tokio::test]
async fn those_who_are_tried_while_fluent_is_down_see_it_at_once_and_it_is_asked_twice_a_minute() {
    let setup = Setup::start().await;
    setup.fluent.sim.fault(Fault::once(Effect::status(500)).forever());
    let users: Vec<_> = (0..20).map(|n| setup.hire(&format!("u{n}"), &[STORE])).collect();
    setup.follow().await;
    for _ in 0..20 {
        setup.worker.drain(&setup.tenant).await;
        let paused = setup.tenant.breaker.until().since(setup.clock.now());
        assert!(paused <= Duration::from_secs(30), "{paused:?}");
        setup.clock.advance(Duration::from_secs(30));
    }
    assert!(users.into_iter().filter(|user| setup.is_told(*user)).count() > 3);
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
