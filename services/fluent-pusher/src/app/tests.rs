//! The whole pusher at work by itself: heartbeat, follower, workers, catalogue, and its end.

use std::time::Duration;

use domain::clock::Clock;
use proto::identity::v1::State;
use proto::push::v1::push_service_client::PushServiceClient;
use proto::push::v1::{DecideRequest, Decision, GetBacklogRequest, ListAttentionRequest, RetryRequest};
use runtime::admin::Readiness;
use runtime::config::Secret;
use runtime::error::{Error, Reason};
use runtime::peer::PeerSecret;
use runtime::telemetry::Metrics;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{App, Config, Parts, build};
use crate::testing::{Fakes, sim, sim_file};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

async fn app(fakes: &Fakes, folder: &tempfile::TempDir, metrics: &Metrics) -> App {
    let database = Secret::new(format!("sqlite:{}", folder.path().join("push.db").display()));
    let transport = fakes.server().await.in_process();
    let parts = Parts {
        identity_store: transport.clone(),
        role_resolver: transport,
        peers: PeerSecret::new("0123456789abcdef0123456789abcdef"),
        metrics: metrics.clone(),
        readiness: Readiness::default(),
        clock: Clock::System,
    };
    build(&Config { database: Some(database), ..Config::default() }, parts).await.unwrap()
}

/// Looks until the fakes are as they should be.
async fn eventually(fakes: &Fakes, mut holds: impl FnMut(&crate::testing::World) -> bool) {
    let wait = async {
        while !fakes.change(|world| holds(world)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("it does not come about");
}

#[tokio::test]
async fn hired_at_work_dismissed_gone_and_nothing_is_left_running() {
    let (fakes, fluent, metrics) = (Fakes::new(), sim().await, Metrics::new());
    let folder = tempfile::tempdir().unwrap();
    let app = app(&fakes, &folder, &metrics).await;
    app.tenants().put("acme".parse().unwrap(), sim_file(&fluent.url)).unwrap();
    let mut operator = PushServiceClient::new(app.server().in_process());
    let stop = CancellationToken::new();
    let running = tokio::spawn(app.run(stop.clone()));
    eventually(&fakes, |world| world.catalogue.is_some()).await;

    let ada = fakes.hire("ada", &[("STORE", "1")]);
    let open = fluent.sim.wait_for_user("ada", |user| user.is_active() && user.grants().len() == 1);
    timeout(PATIENCE, open).await.unwrap();
    fakes.change(|world| world.put(ada, true, |user| user.deleted = true));
    let closed = fluent.sim.wait_for_user("ada", |user| !user.is_active() && user.grants().is_empty());
    timeout(PATIENCE, closed).await.unwrap();
    eventually(&fakes, |world| world.outcomes.get(&ada).is_some_and(|outcome| outcome.state() == State::Inactive))
        .await;

    let backlog = operator.get_backlog(GetBacklogRequest { tenant: "acme".into() }).await.unwrap().into_inner();
    assert_eq!((backlog.due, backlog.failed, backlog.oldest_revocation_age_ms), (0, 0, 0));
    assert!(metrics.encode().contains(r#"rolecall_pusher_pushes_total{tenant="acme",kind="inactive"} 1"#));
    stop.cancel();
    timeout(PATIENCE, running).await.unwrap().unwrap();
}

#[tokio::test]
async fn operators_see_what_waits_for_them_and_are_told_what_makes_no_sense() {
    let (fakes, fluent, metrics) = (Fakes::new(), sim().await, Metrics::new());
    fluent.sim.change(|world| {
        world.put_user(fluent_sim::User { username: "ada".into(), kind: "API".into(), ..fluent_sim::User::default() });
    });
    let folder = tempfile::tempdir().unwrap();
    let app = app(&fakes, &folder, &metrics).await;
    app.tenants().put("acme".parse().unwrap(), sim_file(&fluent.url)).unwrap();
    let mut operator = PushServiceClient::new(app.server().in_process());
    let _running = tokio::spawn(app.run(CancellationToken::new()));
    let ada = fakes.hire("ada", &[("STORE", "1")]);
    eventually(&fakes, |world| world.outcomes.contains_key(&ada)).await;
    let waiting = operator.list_attention(ListAttentionRequest { tenant: "acme".into() }).await.unwrap().into_inner();
    assert_eq!(
        (waiting.accounts[0].user_id.clone(), waiting.accounts[0].reason.as_str()),
        (ada.to_string(), "ACCOUNT_EXISTS")
    );

    let decide = |user_id: &str, decision: Decision| DecideRequest {
        tenant: "acme".into(),
        user_id: user_id.into(),
        decision: decision.into(),
    };
    let id = ada.to_string();
    for (request, reason) in [
        (decide(&id, Decision::Keep), Reason::STATE_CONFLICT),
        (decide(&id, Decision::Unspecified), Reason::FIELD_INVALID),
        (decide("nobody", Decision::Adopt), Reason::FIELD_INVALID),
        (DecideRequest { tenant: "../acme".into(), ..decide(&id, Decision::Adopt) }, Reason::FIELD_INVALID),
    ] {
        assert_eq!(Error::from(operator.decide(request).await.unwrap_err()).reason(), reason);
    }
    let unknown = RetryRequest { tenant: "acme".into(), user_id: domain::id::UserId::new().to_string() };
    assert_eq!(Error::from(operator.retry(unknown).await.unwrap_err()).reason(), Reason::ACCOUNT_NOT_FOUND);

    operator.decide(decide(&id, Decision::Adopt)).await.unwrap();
    timeout(PATIENCE, fluent.sim.wait_for_user("ada", |user| user.grants().len() == 1)).await.unwrap();
}
