//! A client of one simulator of its own.

use fluent_sim::{Behaviour, Sim, SimConfig, SimHandle};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(crate) struct Client {
    pub(crate) handle: SimHandle,
    pub(crate) http: reqwest::Client,
    pub(crate) token: String,
}

impl Client {
    /// Signed in to a fresh development account.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// The same, with switches set before the first request.
    pub(crate) async fn with(switch: impl FnOnce(&mut Behaviour)) -> Self {
        let mut config = SimConfig::dev();
        switch(&mut config.behaviour);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let handle = Sim::start(listener, config).await.unwrap();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let mut client = Self { handle, http, token: String::new() };
        client.sign_in().await;
        client
    }

    pub(crate) fn sim(&self) -> &Sim {
        &self.handle.sim
    }

    pub(crate) async fn sign_in(&mut self) {
        let answer = self.ask_token(&credentials()).await;
        json_of(answer).await["access_token"].as_str().unwrap().clone_into(&mut self.token);
    }

    pub(crate) async fn ask_token(&self, parameters: &[(&str, &str)]) -> Response {
        let body = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
        let request = self.http.post(self.url("/oauth/token"));
        request.header("content-type", "application/x-www-form-urlencoded").body(body).send().await.unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.handle.url)
    }

    /// A GraphQL request, not yet sent.
    pub(crate) fn request(&self, query: &str, variables: Value) -> RequestBuilder {
        let body = json!({"query": query, "variables": variables});
        self.http.post(self.url("/graphql")).bearer_auth(&self.token).json(&body)
    }

    /// The whole JSON answer to a GraphQL request that is answered with 200.
    pub(crate) async fn ask(&self, query: &str, variables: Value) -> Value {
        let response = self.request(query, variables).send().await.unwrap();
        assert_eq!(response.status(), 200);
        json_of(response).await
    }

    /// The data of a GraphQL request that goes well.
    pub(crate) async fn data(&self, query: &str, variables: Value) -> Value {
        let mut answer = self.ask(query, variables).await;
        assert_eq!(answer.get("errors"), None, "{answer}");
        answer["data"].take()
    }

    /// The code of the first error of a GraphQL request that is refused as a whole.
    pub(crate) async fn refusal(&self, query: &str, variables: Value) -> String {
        let answer = self.ask(query, variables).await;
        let is_empty = match &answer["data"] {
            Value::Object(fields) => fields.values().all(Value::is_null),
            data => data.is_null(),
        };
        assert!(is_empty, "{answer}");
        answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_else(|| panic!("no code: {answer}")).to_owned()
    }

    /// Creates a user; the fields given are added to the required ones.
    pub(crate) async fn create(&self, username: &str, more: Value) -> Value {
        self.ask(
            "mutation($input: CreateUserInput) { createUser(input: $input) { id status username } }",
            json!({"input": new_user(username, more)}),
        )
        .await
    }

    /// Updates a user.
    pub(crate) async fn update(&self, username: &str, mut input: Value) -> Value {
        input["id"] = json!(self.sim().user(username).unwrap().id);
        self.ask("mutation($input: UpdateUserInput) { updateUser(input: $input) { id status roles { role { name } contexts { contextType contextId } } } }", json!({"input": input})).await
    }
}

pub(crate) fn credentials() -> Vec<(&'static str, &'static str)> {
    vec![
        ("grant_type", "password"),
        ("username", "rolecall"),
        ("password", "dev-password"),
        ("client_id", "DEV"),
        ("client_secret", "dev-secret"),
        ("scope", "api"),
    ]
}

/// The input of `createUser` with the fields given added to the required ones.
pub(crate) fn new_user(username: &str, more: Value) -> Value {
    let mut input = json!({
        "ref": username, "username": username, "password": "secret-word", "primaryEmail": "a@b.example",
        "type": "LOCATION", "timezone": "UTC",
    });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    input
}

pub(crate) fn role(name: &str, kind: &str, ids: &[&str]) -> Value {
    let contexts: Vec<_> = ids.iter().map(|id| json!({"contextType": kind, "contextId": id})).collect();
    json!({"role": {"name": name}, "contexts": contexts})
}

pub(crate) async fn json_of(response: Response) -> Value {
    response.json().await.unwrap()
}
