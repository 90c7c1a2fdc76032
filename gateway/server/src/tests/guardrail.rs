//! The guardrail from request to answer: every row of its table.

use proto::common::v1 as common;
use runtime::error::Reason;
use serde_json::{Value, json};

use super::fake::provisioned;
use super::{Answer, Face, eventually};
use crate::{Config, Limits};

const GOOD: &str = "AGENT_1_STORE";
const GOOD_TOO: &str = "RETAILER_2_BUYER";
const BAD: &str = "AGENT_1_STOER";

fn face(change: impl FnOnce(&mut common::Settings)) -> Face {
    let face = Face::new();
    face.world.knows(&[GOOD, GOOD_TOO]);
    change(&mut face.world.lock().settings);
    face
}

fn hold(settings: &mut common::Settings) {
    settings.set_guardrail(common::Guardrail::Hold);
}

fn body(labels: &[&str], active: bool) -> Value {
    let roles: Vec<_> = labels.iter().map(|label| json!({ "value": label })).collect();
    json!({"userName": "alice", "active": active, "roles": roles})
}

async fn create(face: &Face, labels: &[&str], active: bool) -> Answer {
    face.call("POST", "/Users", &body(labels, active)).await
}

async fn replace(face: &Face, id: &str, labels: &[&str], active: bool) -> Answer {
    face.call("PUT", &format!("/Users/{id}"), &body(labels, active)).await
}

#[tokio::test]
async fn a_new_active_user_needs_labels_that_mean_something() {
    let face = face(|_| {});
    let refused = create(&face, &[GOOD, BAD, "nonsense"], true).await;
    refused.is_error(400, Some("invalidValue"));
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("AGENT_1_STOER (UNKNOWN_ROLE, did you mean AGENT_1_STORE?)"), "{detail}");
    assert!(detail.contains("nonsense (MALFORMED)") && !detail.contains("AGENT_1_STORE ("), "{detail}");
    assert_eq!(face.world.users(), 0, "nothing is stored");
    assert_eq!(create(&face, &[GOOD], true).await.status, 201);
}

#[tokio::test]
async fn under_hold_a_new_user_is_stored_whatever_its_labels() {
    let face = face(hold);
    assert_eq!(create(&face, &[BAD], true).await.status, 201);
    assert_eq!(face.world.count("AwaitCatalogue"), 0);
}

#[tokio::test]
async fn a_new_user_without_labels_is_as_the_tenant_wants() {
    assert_eq!(create(&face(|_| {}), &[], true).await.status, 201);
    let strict = face(|settings| settings.set_without_labels(common::WithoutLabels::Reject));
    create(&strict, &[], true).await.is_error(400, Some("invalidValue"));
    assert_eq!(create(&strict, &[], false).await.status, 201);
}

#[tokio::test]
async fn an_inactive_user_may_have_any_labels_and_nobody_is_asked() {
    let face = face(|_| {});
    face.world.lock().ailing.insert("MatchLabels", Reason::UNAVAILABLE);
    assert_eq!(create(&face, &[BAD], false).await.status, 201);
    assert_eq!(face.world.count("MatchLabels"), 0);
}

#[tokio::test]
async fn a_change_that_only_adds_an_unmatched_label_is_refused() {
    let face = face(|_| {});
    let id = face.user("alice", &[GOOD]).await;
    replace(&face, &id, &[GOOD, BAD], true).await.is_error(400, Some("invalidValue"));
    assert_eq!(face.world.document(&id)["roles"], json!([{"value": GOOD}]));
    assert_eq!(replace(&face, &id, &[GOOD, GOOD_TOO], true).await.status, 200);
}

#[tokio::test]
async fn a_change_that_also_takes_something_away_is_accepted_and_nobody_is_asked() {
    let face = face(|_| {});
    let id = face.user("alice", &[GOOD, GOOD_TOO]).await;
    face.world.lock().ailing.insert("MatchLabels", Reason::UNAVAILABLE);
    assert_eq!(replace(&face, &id, &[GOOD, BAD], true).await.status, 200);
    assert_eq!(replace(&face, &id, &[GOOD, BAD], true).await.status, 200, "stored labels may be sent again");
    assert_eq!(replace(&face, &id, &[], true).await.status, 200);
    assert_eq!(replace(&face, &id, &[BAD], false).await.status, 200, "deactivation is never refused");
    assert_eq!(face.world.document(&id)["roles"], json!([{"value": BAD}]), "its labels are stored");
    assert_eq!(replace(&face, &id, &[BAD], true).await.status, 200, "remembered labels are not judged again");
}

#[tokio::test]
async fn if_nobody_can_say_only_requests_that_add_labels_wait() {
    let face = face(|_| {});
    let id = face.user("alice", &[GOOD]).await;
    for reason in [Reason::UNAVAILABLE, Reason::CATALOGUE_MISSING, Reason::DEADLINE_EXCEEDED, Reason::UNIMPLEMENTED] {
        face.world.lock().ailing.insert("MatchLabels", reason);
        let refused = replace(&face, &id, &[GOOD, GOOD_TOO], true).await;
        refused.is_error(503, None);
        assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    }
    let title = json!({"Operations": [{"op": "add", "path": "title", "value": "T"}]});
    assert_eq!(face.call("PATCH", &format!("/Users/{id}"), &title).await.status, 200);
    assert_eq!(replace(&face, &id, &[GOOD], false).await.status, 200);
    assert_eq!(face.delete(&format!("/Users/{id}")).await.status, 204);
}

#[tokio::test]
async fn a_name_is_refused_only_after_a_newer_read_of_fluent() {
    let face = face(|_| {});
    face.world.lock().news.insert("AGENT_9_STORE".to_owned());
    assert_eq!(create(&face, &["AGENT_9_STORE"], true).await.status, 201);
    assert_eq!(face.world.lock().reads, 1);
    let refused = face.call("POST", "/Users", &json!({"userName": "bob", "roles": ["AGENT_8_STORE"]})).await;
    refused.is_error(400, Some("invalidValue"));
    assert_eq!(face.world.lock().reads, 2);
    let malformed = face.call("POST", "/Users", &json!({"userName": "bob", "roles": ["nonsense"]})).await;
    malformed.is_error(400, Some("invalidValue"));
    assert_eq!(face.world.lock().reads, 2, "no read can mend what is malformed");
    face.world.lock().ailing.insert("AwaitCatalogue", Reason::DEADLINE_EXCEEDED);
    let waiting = face.call("POST", "/Users", &json!({"userName": "bob", "roles": ["AGENT_8_STORE"]})).await;
    waiting.is_error(503, None);
    assert!(waiting.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn who_waits_for_a_newer_read_holds_up_nobody_who_takes_away() {
    let limits = Limits { tenant_concurrency: 1, ..Limits::default() };
    let face = Face::with(&Config { limits, ..Config::default() });
    let id = face.user("bob", &[]).await;
    face.world.lock().slow = true;
    face.world.lock().news.insert("AGENT_9_STORE".to_owned());
    let waiting = tokio::spawn({
        let face = face.clone();
        async move { create(&face, &["AGENT_9_STORE"], true).await }
    });
    eventually(|| face.world.count("AwaitCatalogue") == 1).await;
    assert_eq!(face.delete(&format!("/Users/{id}")).await.status, 204);
    face.world.read();
    assert_eq!(waiting.await.unwrap().status, 201);
}

#[tokio::test]
async fn a_rename_is_refused_where_the_tenant_says_so_and_an_account_exists() {
    let face = face(|settings| settings.set_rename(common::Rename::Refuse));
    let id = face.user("alice", &[GOOD]).await;
    let path = format!("/Users/{id}");
    let rename = async |to: &str, active: bool, roles: Value| {
        face.call("PUT", &path, &json!({"userName": to, "active": active, "roles": roles})).await
    };
    let kept = || json!([{"value": GOOD}]);
    assert_eq!(rename("bob", true, kept()).await.status, 200, "there is no account yet");
    face.world.report(&id, provisioned(1));
    rename("carol", true, kept()).await.is_error(400, Some("mutability"));
    assert_eq!(rename("BOB", true, kept()).await.status, 200, "only the case differs");
    assert_eq!(rename("carol", true, json!([])).await.status, 200, "it takes a label away");
    assert_eq!(rename("dave", false, json!([])).await.status, 200, "it deactivates");
}

#[tokio::test]
async fn a_groups_labels_are_judged_like_a_users() {
    let face = face(|_| {});
    let labels = |roles: Value| json!({"displayName": "G", "roles": roles});
    face.call("POST", "/Groups", &labels(json!([BAD]))).await.is_error(400, Some("invalidValue"));
    let member = face.user("alice", &[]).await;
    let group = json!({"displayName": "G", "roles": [GOOD], "members": [{"value": member}]});
    let id = face.call("POST", "/Groups", &group).await.body["id"].as_str().unwrap().to_owned();
    let path = format!("/Groups/{id}");
    face.call("PUT", &path, &labels(json!([GOOD, BAD]))).await.is_error(400, Some("invalidValue"));
    let absent = json!({"Operations": [
        {"op": "add", "path": "roles", "value": [BAD]},
        {"op": "remove", "path": "members[value eq \"nobody\"]"}]});
    face.call("PATCH", &path, &absent).await.is_error(400, Some("invalidValue"));
    let removing = json!({"Operations": [
        {"op": "add", "path": "roles", "value": [BAD]},
        {"op": "remove", "path": format!("members[value eq \"{member}\"]")}]});
    assert_eq!(face.call("PATCH", &path, &removing).await.status, 200);
    let joining = json!({"Operations": [{"op": "add", "path": "members", "value": [{"value": member}]}]});
    assert_eq!(face.call("PATCH", &path, &joining).await.status, 200, "members may join a group with such a label");
}
