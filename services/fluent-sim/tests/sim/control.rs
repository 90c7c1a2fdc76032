//! The control endpoints, and the log.

use std::time::Duration;

use fluent_sim::{Kind, Role};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, json_of};

impl Client {
    async fn control(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = self.http.request(method, self.url(&format!("/_sim{path}")));
        let response = if body.is_null() { request } else { request.json(&body) }.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::from(text)))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.control(Method::GET, path, Value::Null).await;
        assert_eq!(status, 200, "{path} {body}");
        body
    }
}

#[tokio::test]
async fn the_log_tells_who_was_concerned_and_hides_secrets() {
    let client = Client::new().await;
    client.create("ann", json!({"apiKey": "hidden-key"})).await;
    client.update("ann", json!({"status": "INACTIVE", "password": "hidden-word"})).await;
    let log = client.get("/log").await;
    let kinds: Vec<_> = log.as_array().unwrap().iter().map(|entry| entry["kind"].clone()).collect();
    assert_eq!(kinds, ["token", "graphql", "graphql"]);
    assert_eq!((&log[0]["operation"], &log[0]["username"]), (&json!("password"), &json!("rolecall")));

    let id = client.sim().user("ann").unwrap().id.to_string();
    let update = &log[2];
    assert_eq!((&update["username"], &update["user_id"]), (&json!("ann"), &json!(id)));
    assert_eq!((&update["applied"], &update["status"]), (&json!(true), &json!(200)));
    assert_eq!(update["fields"][0]["name"], "updateUser");
    let input = json!({"id": id, "status": "INACTIVE", "password": "***"});
    assert_eq!(update["fields"][0]["arguments"]["input"], input);
    assert_eq!(log[1]["user_id"], json!(id));
    for secret in ["hidden", "secret-word", "dev-password"] {
        assert!(!log.to_string().contains(secret), "{secret}");
    }
    let times: Vec<_> = log.as_array().unwrap().iter().map(|entry| entry["at_us"].as_u64().unwrap()).collect();
    assert!(times.is_sorted());
    assert!(log[0]["wall_us"].as_u64().unwrap() > 1_700_000_000_000_000);
}

#[tokio::test]
async fn the_log_can_be_waited_for() {
    let client = Client::new().await;
    assert_eq!(client.get("/log?after=1&wait_ms=1").await, json!([]));
    let (log, _) = tokio::join!(client.get("/log?after=1&wait_ms=60000"), client.create("ann", json!({})));
    assert_eq!(log[0]["seq"], 2);
    let entry = client.sim().wait_for_request(0, |entry| entry.concerns("ann")).await;
    assert_eq!((entry.seq, entry.request.kind), (2, Kind::Graphql));
    assert_eq!(entry.fields("createUser").count(), 1);
    assert_eq!(client.control(Method::DELETE, "/log", Value::Null).await.0, 204);
    assert_eq!(client.get("/log").await, json!([]));
}

#[tokio::test]
async fn changes_can_be_waited_for() {
    let client = Client::new().await;
    let now = client.get("/changes").await["changes"].as_u64().unwrap();
    assert_eq!(client.get(&format!("/changes?after={now}&wait_ms=1")).await["changes"], now);
    let path = format!("/changes?after={now}&wait_ms=60000");
    let (later, _) = tokio::join!(client.get(&path), client.create("ann", json!({})));
    assert_eq!(later["changes"], now + 1);

    let waiting = tokio::spawn({
        let sim = client.sim().clone();
        async move { sim.wait_for_user("ann", |user| !user.is_active()).await }
    });
    client.update("ann", json!({"status": "INACTIVE"})).await;
    let user = tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap().unwrap();
    assert_eq!(user.username, "ann");
}

#[tokio::test]
async fn the_state_shows_everything_but_passwords() {
    let client = Client::new().await;
    let state = client.get("/state").await;
    assert_eq!(state["users"][0]["username"], "rolecall");
    assert_eq!(state["users"][0]["roles"][0]["contexts"][0]["contextType"], "ACCOUNT");
    assert_eq!(state["retailers"].as_array().unwrap().len(), 2);
    assert_eq!(state["behaviour"]["created_status"], "ACTIVE");
    assert!(!state.to_string().contains("dev-password"));
    assert_eq!(client.get("/users/rolecall").await, state["users"][0]);
    assert_eq!(client.control(Method::GET, "/users/nobody", Value::Null).await.0, 404);
}

#[tokio::test]
async fn switches_and_faults_are_set_over_http() {
    let client = Client::new().await;
    let (status, behaviour) = client.control(Method::PUT, "/behaviour", json!({"created_status": "CREATED"})).await;
    assert_eq!((status, &behaviour["created_status"]), (200, &json!("CREATED")));
    assert_eq!(client.create("ann", json!({})).await["data"]["createUser"]["status"], "CREATED");
    let (status, error) = client.control(Method::PUT, "/behaviour", json!({"contexts": "both"})).await;
    assert_eq!(status, 422);
    assert!(error["error"].as_str().unwrap().contains("merge"), "{error}");

    let fault =
        json!({"kind": "status", "status": 503, "retry_after": 1, "match": {"operation": "user"}, "times": null});
    assert_eq!(client.control(Method::POST, "/faults", json!([fault, {"kind": "html"}])).await.0, 204);
    let status = async || client.request("{ user(id: 1) { id } }", json!({})).send().await.unwrap().status().as_u16();
    assert_eq!((status().await, status().await), (503, 503));
    assert_eq!(client.get("/faults").await[0]["match"]["operation"], "user");
    assert_eq!(client.control(Method::DELETE, "/faults", Value::Null).await.0, 204);
    assert_eq!(status().await, 200);
    let (status, error) = client.control(Method::POST, "/faults", json!({"kind": "explode"})).await;
    assert_eq!(status, 422);
    assert!(error["error"].as_str().unwrap().contains("lose_answer_after_write"));
}

#[tokio::test]
async fn accounts_and_the_catalogue_change_over_http() {
    let client = Client::new().await;
    let ann = json!({"id": "77", "username": "ann", "status": "INACTIVE", "type": "API", "password": "word",
        "roles": [{"role": "STORE", "contexts": [{"contextType": "RETAILER", "contextId": "134"}]}]});
    assert_eq!(client.control(Method::POST, "/users", ann).await.0, 201);
    let (status, ann) = client.control(Method::PUT, "/users/ann", json!({"status": "ACTIVE", "title": "Dr"})).await;
    assert_eq!(
        (status, &ann["id"], &ann["type"], &ann["status"]),
        (200, &json!("77"), &json!("API"), &json!("ACTIVE"))
    );
    assert_eq!(client.sim().user("ann").unwrap().password, "word");
    assert_eq!(client.control(Method::POST, "/users", json!({"username": "x", "nick": 1})).await.0, 422);
    assert_eq!(client.control(Method::DELETE, "/users/ann", Value::Null).await.0, 204);
    assert_eq!(client.control(Method::DELETE, "/users/ann", Value::Null).await.0, 404);

    let put = [
        ("/roles/New_Role", json!({"permissions": ["USER_VIEW"]})),
        ("/retailers/900", json!({"ref": "NEW", "status": "ACTIVE"})),
        ("/locations/901", json!({"ref": "NEW-01", "type": "STORE", "retailer": 900})),
        (
            "/settings/902",
            json!({"name": "s", "context": "ACCOUNT", "contextId": 0, "valueType": "JSON", "lobValue": {}}),
        ),
    ];
    for (path, body) in &put {
        assert_eq!(client.control(Method::PUT, path, body.clone()).await, (204, json!("")), "{path}");
    }
    client.sim().read(|world| {
        let wanted =
            Role { id: world.roles()["New_Role"].id, name: "New_Role".into(), permissions: vec!["USER_VIEW".into()] };
        assert_eq!(*world.roles()["New_Role"], wanted);
        assert_eq!(world.locations().len(), 8);
    });
    for (path, _) in &put {
        assert_eq!(client.control(Method::DELETE, path, Value::Null).await.0, 204, "{path}");
        assert_eq!(client.control(Method::DELETE, path, Value::Null).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn tokens_expire_on_command() {
    let client = Client::new().await;
    assert_eq!(client.control(Method::DELETE, "/tokens", Value::Null).await.0, 204);
    let response = client.request("{ me { id } }", json!({})).send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(json_of(response).await["error"], "invalid_token");
}
