//! Every fault as a client meets it.

use fluent_sim::{Effect, Fault};
use serde_json::{Value, json};

use crate::client::{Client, credentials, json_of, role};

const RENAME: &str =
    "mutation { updateUser(input: {id: 1, title: \"changed\"}) { username title roles { role { name } } } }";

fn title(client: &Client) -> Option<String> {
    client.sim().user("rolecall").unwrap().title
}

#[tokio::test]
async fn a_status_fault_answers_with_retry_after_and_does_nothing() {
    let client = Client::new().await;
    let effect = Effect::Status { status: 429, retry_after: Some("7".into()), after_write: false };
    client.sim().fault(Fault::once(effect));
    let response = client.request(RENAME, json!({})).send().await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &"7".parse().unwrap()));
    assert_eq!(title(&client), None);
    client.data(RENAME, json!({})).await;

    client.sim().fault(Fault::once(Effect::Status { status: 503, retry_after: None, after_write: true }));
    let query = "mutation { updateUser(input: {id: 1, title: \"again\"}) { id } }";
    assert_eq!(client.request(query, json!({})).send().await.unwrap().status(), 503);
    assert_eq!(title(&client).as_deref(), Some("again"));
}

#[tokio::test]
async fn a_fault_hits_the_operation_and_the_user_it_names() {
    let client = Client::new().await;
    client.create("ann", json!({})).await;
    client.sim().fault(Fault::once(Effect::status(500)).on("updateUser").about("ann").forever());
    client.data(RENAME, json!({})).await;
    client.data("{ user(username: \"ann\") { id } }", json!({})).await;
    let id = client.sim().user("ann").unwrap().id;
    let query = "mutation($id: ID!) { u: updateUser(input: {id: $id}) { id } }";
    for _ in 0..2 {
        assert_eq!(client.request(query, json!({"id": id})).send().await.unwrap().status(), 500);
    }
    client.sim().clear_faults();
    client.data(query, json!({"id": id})).await;
}

#[tokio::test]
async fn a_lost_answer_and_a_truncated_one_have_written() {
    let client = Client::new().await;
    client.sim().fault(Fault::once(Effect::LoseAnswerAfterWrite));
    assert!(client.request(RENAME, json!({})).send().await.is_err());
    assert_eq!(title(&client).as_deref(), Some("changed"));
    let entry = client.sim().log_since(0).pop().unwrap();
    assert_eq!((entry.request.status, entry.request.applied), (None, true));
    assert_eq!(entry.request.fault.as_deref(), Some("lose_answer_after_write"));

    client.sim().fault(Fault::once(Effect::Truncated));
    let query = "mutation { updateUser(input: {id: 1, title: \"cut\"}) { id } }";
    let response = client.request(query, json!({})).send().await.unwrap();
    assert!(response.bytes().await.is_err());
    assert_eq!(title(&client).as_deref(), Some("cut"));
}

#[tokio::test]
async fn a_timeout_holds_the_connection_until_the_simulator_stops() {
    let client = Client::new().await;
    client.sim().fault(Fault::once(Effect::Timeout));
    let seen = client.sim().last_logged();
    let request = tokio::spawn(client.request(RENAME, json!({})).send());
    client.sim().wait_for_request(seen, |entry| entry.request.fault.as_deref() == Some("timeout")).await;
    assert!(!request.is_finished());
    assert_eq!(title(&client), None);
    client.handle.shutdown().await;
    assert!(request.await.unwrap().is_err());
}

#[tokio::test]
async fn errors_come_with_status_200_and_do_nothing() {
    let client = Client::new().await;
    client.sim().fault(Fault::once(Effect::Errors { code: "S0009E".into(), message: "Try later".into() }));
    let answer = client.ask(RENAME, json!({})).await;
    let error = json!({"message": "Try later", "extensions": {"code": "S0009E"}});
    assert_eq!(answer, json!({"data": null, "errors": [error]}));
    assert_eq!(title(&client), None);
}

#[tokio::test]
async fn partial_errors_come_with_the_rest_of_the_data() {
    let client = Client::new().await;
    let fault = |path: &[&str]| Effect::PartialErrors {
        code: "S0009E".into(),
        message: "Try later".into(),
        path: path.iter().map(ToString::to_string).collect(),
    };
    client.sim().fault(Fault::once(fault(&[])));
    let answer = client.ask(RENAME, json!({})).await;
    assert_eq!(answer["data"]["updateUser"], json!({"username": "rolecall", "title": "changed", "roles": null}));
    assert_eq!(answer["errors"][0]["path"], json!(["updateUser", "roles"]));
    client.sim().fault(Fault::once(fault(&["updateUser", "title"])));
    let answer = client.ask(RENAME, json!({})).await;
    assert_eq!(answer["data"]["updateUser"]["title"], Value::Null);
    assert_eq!(answer["data"]["updateUser"]["username"], "rolecall");
}

#[tokio::test]
async fn html_redirects_and_huge_answers_are_no_graphql_answers() {
    let client = Client::new().await;
    client.sim().fault(Fault::once(Effect::Html { status: 200 }));
    let response = client.request(RENAME, json!({})).send().await.unwrap();
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/html"));

    client.sim().fault(Fault::once(Effect::Redirect { status: 307, location: "/login".into() }));
    let response = client.request(RENAME, json!({})).send().await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["location"]), (307, &"/login".parse().unwrap()));

    client.sim().fault(Fault::once(Effect::Huge { bytes: 200_001 }));
    let body = client.request(RENAME, json!({})).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(body.len(), 200_001);
    serde_json::from_slice::<Value>(&body).unwrap();
    assert_eq!(title(&client), None);
}

#[tokio::test]
async fn the_wrong_user_is_shown_but_the_right_one_is_changed() {
    let client = Client::new().await;
    client.create("ann", json!({"roles": [role("STORE", "ACCOUNT", &["0"])]})).await;
    client.sim().fault(Fault::once(Effect::WrongUser));
    let answer = client.data(RENAME, json!({})).await;
    assert_eq!(answer["updateUser"]["username"], "ann");
    assert_eq!(title(&client).as_deref(), Some("changed"));
}

#[tokio::test]
async fn a_delayed_request_is_carried_out_later() {
    let client = Client::new().await;
    client.sim().fault(Fault::once(Effect::Delay { ms: 1 }));
    client.data(RENAME, json!({})).await;
    assert_eq!(title(&client).as_deref(), Some("changed"));
    assert!(client.sim().faults().is_empty());
    assert_eq!(client.sim().log_since(0).pop().unwrap().request.fault.as_deref(), Some("delay"));
}

#[tokio::test]
async fn the_token_endpoint_has_faults_of_its_own() {
    let client = Client::new().await;
    client.sim().fault(Fault::once(Effect::status(500)).at_token());
    client.data(RENAME, json!({})).await;
    assert_eq!(client.ask_token(&credentials()).await.status(), 500);
    let answer = json_of(client.ask_token(&credentials()).await).await;
    assert!(answer["access_token"].is_string());
}
