//! The client against a simulated Fluent: signing in, hostile answers, and whether a failure leaves a doubt.

use std::time::{Duration, Instant};

use domain::clock::Clock;
use fluent_sim::{Effect, Fault, SimHandle};

use super::token::PACE;
use super::{Access, Cause, Client, Error, Http};
use crate::account::Status;
use crate::plan::Update;
use crate::testing::{clock, http, sim};

fn client(sim: &SimHandle, clock: &Clock, password: &str) -> Client {
    client_over(http(), sim, clock, password)
}

fn client_over(http: Http, sim: &SimHandle, clock: &Clock, password: &str) -> Client {
    Client::new(access(sim, password), http, clock.clone())
}

fn access(sim: &SimHandle, password: &str) -> Access {
    Access {
        url: sim.url.parse().unwrap(),
        account: "DEV".to_owned(),
        client_id: "DEV".to_owned(),
        client_secret: "dev-secret".into(),
        username: "rolecall".to_owned(),
        password: password.into(),
    }
}

async fn signed_in() -> (SimHandle, Clock, Client) {
    let (sim, clock) = (sim().await, clock());
    let client = client(&sim, &clock, "dev-password");
    (sim, clock, client)
}

fn grants(sim: &SimHandle) -> Vec<String> {
    let log = sim.sim.log_since(0).into_iter();
    log.filter(|entry| entry.request.kind == fluent_sim::Kind::Token)
        .filter_map(|entry| entry.request.operation)
        .collect()
}

#[tokio::test]
async fn many_calls_at_once_sign_in_once() {
    let (sim, _, client) = signed_in().await;
    let calls = (0..16).map(|_| client.account("rolecall"));
    for found in futures_util::future::join_all(calls).await {
        assert_eq!(found.unwrap().unwrap().status, Status::Active);
    }
    assert_eq!(grants(&sim).len(), 1);
}

#[tokio::test]
async fn a_token_is_replaced_a_minute_before_its_end_and_once_it_is_refused() {
    let (sim, clock, client) = signed_in().await;
    sim.sim.behave(|behaviour| (behaviour.token_seconds, behaviour.refresh_tokens) = (600, true));
    client.account("rolecall").await.unwrap();
    clock.advance(Duration::from_secs(539));
    client.account("rolecall").await.unwrap();
    assert_eq!(grants(&sim), ["password"]);
    clock.advance(Duration::from_secs(1));
    client.account("rolecall").await.unwrap();
    assert_eq!(grants(&sim), ["password", "refresh_token"]);
    sim.sim.expire_tokens();
    client.account("rolecall").await.unwrap();
    assert_eq!(
        grants(&sim),
        ["password", "refresh_token", "refresh_token", "password"],
        "whatever is refused is dropped"
    );
}

/// P15.
#[tokio::test]
async fn refused_passwords_are_not_tried_more_than_three_times_a_minute() {
    let (sim, clock) = (sim().await, clock());
    let client = client(&sim, &clock, "wrong");
    for _ in 0..3 {
        assert_eq!(client.account("x").await, Err(Error::Retry { after: None, cause: Cause::SignIn }));
    }
    let minute = Some(Duration::from_mins(1));
    assert_eq!(client.account("x").await, Err(Error::Retry { after: minute, cause: Cause::SignInLimit }));
    assert_eq!(grants(&sim).len(), 3);
    clock.advance(Duration::from_mins(1));
    assert_eq!(client.account("x").await, Err(Error::Retry { after: None, cause: Cause::SignIn }));
}

/// P15.
#[tokio::test]
async fn those_who_wait_for_a_sign_in_share_its_refusal() {
    let (sim, clock) = (sim().await, clock());
    let client = client(&sim, &clock, "wrong");
    for result in futures_util::future::join_all((0..16).map(|_| client.account("x"))).await {
        assert_eq!(result, Err(Error::Retry { after: None, cause: Cause::SignIn }));
    }
    assert_eq!(grants(&sim).len(), 1);
}

/// P15, P16.
#[tokio::test]
async fn what_is_no_refusal_does_not_end_signing_in() {
    let (sim, clock) = (sim().await, clock());
    let client = client_over(http().with_timeout(Duration::from_millis(500)), &sim, &clock, "dev-password");
    for effect in [Effect::Timeout, Effect::LoseAnswerAfterWrite, Effect::status(500), Effect::Truncated] {
        sim.sim.fault(Fault::once(effect.clone()).times(4).at_token());
        for _ in 0..4 {
            let Err(Error::Retry { after: None, cause }) = client.account("x").await else { panic!("{effect:?}") };
            assert!(matches!(cause, Cause::Timeout | Cause::Broken | Cause::Status(500)), "{effect:?}: {cause:?}");
            clock.advance(PACE);
        }
    }
    let signed_in = async {
        while client.account("x").await.is_err() {
            clock.advance(PACE);
        }
    };
    tokio::time::timeout(Duration::from_secs(30), signed_in).await.expect("it signs in in the end");

    // One that reaches nobody is not even waited for.
    let url = "http://127.0.0.1:1".parse().unwrap();
    let client = Client::new(Access { url, ..access(&sim, "dev-password") }, http(), clock.clone());
    let begun = Instant::now();
    for _ in 0..10 {
        assert_eq!(client.account("x").await, Err(Error::Retry { after: None, cause: Cause::Connect }));
    }
    assert!(begun.elapsed() < PACE);
}

/// P15.
#[tokio::test]
async fn tokens_that_are_refused_are_replaced_however_often_at_a_slow_pace() {
    let (sim, clock, client) = signed_in().await;
    for _ in 0..6 {
        client.account("rolecall").await.unwrap();
        sim.sim.expire_tokens();
        clock.advance(PACE);
    }
    clock.advance(Duration::from_mins(1));
    let begun = Instant::now();
    for _ in 0..4 {
        client.account("rolecall").await.unwrap();
        sim.sim.expire_tokens();
    }
    assert!(begun.elapsed() >= PACE);
    sim.sim.fault(Fault::once(Effect::status(401)).forever());
    assert_eq!(client.account("x").await, Err(Error::Retry { after: None, cause: Cause::Token }));
}

#[tokio::test]
async fn a_read_that_fails_may_be_repeated_and_a_write_that_fails_leaves_a_doubt() {
    let (sim, clock, patient) = signed_in().await;
    sim.sim
        .change(|world| world.put_user(fluent_sim::User { username: "other".into(), ..fluent_sim::User::default() }));
    let id = patient.account("rolecall").await.unwrap().unwrap().id;
    let impatient = client_over(http().with_timeout(Duration::from_millis(500)), &sim, &clock, "dev-password");
    // It may give up signing in too.
    while impatient.account("rolecall").await.is_err() {
        clock.advance(Duration::from_mins(1));
    }
    for (effect, cause) in [
        (Effect::LoseAnswerAfterWrite, Cause::Broken),
        (Effect::status(500), Cause::Status(500)),
        (Effect::Html { status: 200 }, Cause::Malformed),
        (Effect::Huge { bytes: 2 << 20 }, Cause::TooLarge),
        (Effect::WrongUser, Cause::Malformed),
        (Effect::Timeout, Cause::Timeout),
    ] {
        let client = if effect == Effect::Timeout { &impatient } else { &patient };
        sim.sim.fault(Fault::once(effect.clone()));
        let read = client.account_by_id(&id).await;
        assert_eq!(read, Err(Error::Retry { after: None, cause: cause.clone() }), "{effect:?}");
        sim.sim.fault(Fault::once(effect.clone()));
        assert_eq!(client.update(&id, &Update::default()).await, Err(Error::Unknown { cause }), "{effect:?}");
    }
}

#[tokio::test]
async fn a_secret_never_follows_a_redirect() {
    let (sim, _, client) = signed_in().await;
    let (elsewhere, _, _) = signed_in().await;
    let location = format!("{}/graphql", elsewhere.url);
    sim.sim.fault(Fault::once(Effect::Redirect { status: 307, location: location.clone() }));
    assert_eq!(client.account("x").await, Err(Error::Retry { after: None, cause: Cause::Status(307) }));
    sim.sim.expire_tokens();
    sim.sim.fault(Fault::once(Effect::Redirect { status: 307, location }).at_token());
    assert_eq!(client.account("x").await, Err(Error::Retry { after: None, cause: Cause::Status(307) }));
    assert_eq!(elsewhere.sim.last_logged(), 0);
}

#[tokio::test]
async fn a_name_is_never_a_pattern() {
    let (sim, _, client) = signed_in().await;
    sim.sim.change(|world| {
        world.put_user(fluent_sim::User { username: "a%b_c\"}{".to_owned(), ..fluent_sim::User::default() });
    });
    for (name, there) in [("%", false), ("rolecal_", false), ("a%b_c\"}{", true), ("", false)] {
        assert_eq!(client.account(name).await.unwrap().is_some(), there, "{name:?}");
    }
}

#[tokio::test]
async fn fluents_wish_to_be_left_alone_is_read() {
    let (sim, _, client) = signed_in().await;
    for (text, seconds) in [("7", Some(7)), ("-1", None), ("1000000", Some(600))] {
        sim.sim.fault(Fault::once(Effect::Status {
            status: 429,
            retry_after: Some(text.to_owned()),
            after_write: false,
        }));
        let after = seconds.map(Duration::from_secs);
        assert_eq!(client.account("x").await, Err(Error::Retry { after, cause: Cause::Throttled }));
    }
}

#[tokio::test]
async fn no_error_repeats_what_fluent_wrote() {
    let (sim, _, client) = signed_in().await;
    let effect = Effect::Errors { code: "C0111E".to_owned(), message: "canary@acme.example is taken".to_owned() };
    sim.sim.fault(Fault::once(effect));
    let error = client.account("canary@acme.example").await.unwrap_err();
    assert!(!format!("{error} {error:?} {error:#?}").contains("canary"));
}
