//! The token endpoint, and what a token is good for.

use serde_json::json;

use crate::client::{Client, credentials, json_of};

fn replaced<'a>(name: &str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut parameters: Vec<(&str, &str)> = credentials();
    parameters.iter_mut().find(|parameter| parameter.0 == name).unwrap().1 = value;
    parameters
}

#[tokio::test]
async fn a_password_gets_a_bearer_token_by_form_and_by_query_string() {
    let client = Client::new().await;
    let answer = json_of(client.ask_token(&credentials()).await).await;
    assert_eq!(answer["token_type"], "bearer");
    assert_eq!(answer["expires_in"], 86_400);
    assert_eq!((&answer["scope"], &answer["Retailer_id"]), (&json!("api"), &json!(134)));
    assert_eq!(answer.get("refresh_token"), None);

    let query: Vec<_> = credentials().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let url = format!("{}?{}", client.url("/oauth/token"), query.join("&"));
    assert_eq!(client.http.post(url).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn bad_credentials_are_an_invalid_grant_under_the_switched_status() {
    let client = Client::new().await;
    let refused = client.ask_token(&replaced("password", "wrong")).await;
    assert_eq!(refused.status(), 400);
    assert_eq!(json_of(refused).await["error"], "invalid_grant");

    client.sim().behave(|behaviour| behaviour.invalid_grant_status = 401);
    let refused = client.ask_token(&replaced("client_secret", "wrong")).await;
    assert_eq!(refused.status(), 401);
    assert_eq!(json_of(refused).await["error"], "invalid_client");
}

#[tokio::test]
async fn an_inactive_user_and_one_without_a_password_cannot_sign_in() {
    let client = Client::new().await;
    client.sim().change(|world| world.put_user(fluent_sim::User { username: "ann".into(), ..Default::default() }));
    let mut parameters = replaced("username", "ann");
    parameters.iter_mut().find(|parameter| parameter.0 == "password").unwrap().1 = "";
    assert_eq!(client.ask_token(&parameters).await.status(), 400);

    let mut user = client.sim().user("rolecall").unwrap();
    user.status = Some("INACTIVE".into());
    client.sim().change(|world| world.put_user(user));
    assert_eq!(client.ask_token(&credentials()).await.status(), 400);
}

#[tokio::test]
async fn a_refresh_token_works_once() {
    let client = Client::with(|behaviour| behaviour.refresh_tokens = true).await;
    let token = json_of(client.ask_token(&credentials()).await).await["refresh_token"].as_str().unwrap().to_owned();
    let parameters = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &token),
        ("client_id", "DEV"),
        ("client_secret", "dev-secret"),
    ];
    let renewed = json_of(client.ask_token(&parameters).await).await;
    assert!(renewed["access_token"].is_string() && renewed["refresh_token"].is_string(), "{renewed}");
    let again = json_of(client.ask_token(&parameters).await).await;
    assert_eq!(again, json!({"error": "invalid_grant", "error_description": "Invalid refresh token"}));
}

#[tokio::test]
async fn client_credentials_are_served_by_switch_only() {
    let client = Client::new().await;
    let parameters = [("grant_type", "client_credentials"), ("client_id", "DEV"), ("client_secret", "dev-secret")];
    let refused = json_of(client.ask_token(&parameters).await).await;
    assert_eq!(refused["error"], "unsupported_grant_type");
    client.sim().behave(|behaviour| behaviour.client_credentials = true);
    assert_eq!(client.ask_token(&parameters).await.status(), 200);
}

#[tokio::test]
async fn missing_bad_and_expired_tokens_are_refused_with_401() {
    let mut client = Client::new().await;
    let url = client.url("/graphql");
    let missing = client.http.post(&url).json(&json!({"query": "{ me { id } }"})).send().await.unwrap();
    assert_eq!(missing.status(), 401);
    let good = std::mem::replace(&mut client.token, "made-up".into());
    assert_eq!(client.request("{ me { id } }", json!({})).send().await.unwrap().status(), 401);
    client.token = good;
    assert_eq!(client.data("{ me { username } }", json!({})).await, json!({"me": {"username": "rolecall"}}));
    client.sim().expire_tokens();
    assert_eq!(client.request("{ me { id } }", json!({})).send().await.unwrap().status(), 401);

    client.sim().behave(|behaviour| behaviour.token_seconds = 0);
    client.sign_in().await;
    assert_eq!(client.request("{ me { id } }", json!({})).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn another_account_in_the_header_is_refused() {
    let client = Client::new().await;
    let with = |account| client.request("{ me { id } }", json!({})).header("fluent.account", account).send();
    assert_eq!(with("DEV").await.unwrap().status(), 200);
    assert_eq!(with("OTHER").await.unwrap().status(), 403);
    let token = client.http.post(client.url("/oauth/token")).header("fluent.account", "OTHER");
    assert_eq!(token.send().await.unwrap().status(), 403);
}
