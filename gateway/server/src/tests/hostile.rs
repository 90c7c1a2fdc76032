//! Whatever a client sends, it is answered as the client's own doing; and nothing of it is written down.

use std::io::Write;
use std::sync::Arc;

use axum::body::Body;
use parking_lot::Mutex;
use proptest::prelude::*;
use runtime::error::Reason;
use serde_json::{Value, json};
use tracing_subscriber::filter::LevelFilter;

use super::Face;

/// Operations that look like PATCH, with anything in the places that matter.
fn any_body() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "add",
        "remove",
        "replace",
        "active",
        "roles",
        "members",
        "emails[type eq \"work\"].value",
        "userName",
        "meta",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
        "members[value eq \"x\"]",
        "",
        "\u{0}",
        "[",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word.clone().prop_map(Value::from)
    ];
    let value = leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z.:\\[\\]]{0,8}|roles|active|value|userName|members", inner, 0..4)
                .prop_map(|map| json!(map)),
        ]
    });
    let operation = (word.clone(), word, value.clone())
        .prop_map(|(op, path, value)| json!({"op": op, "path": path, "value": value}));
    prop_oneof![
        prop::collection::vec(operation, 0..4).prop_map(|operations| json!({ "Operations": operations }).to_string()),
        value.clone().prop_map(|value| json!({"userName": "x", "displayName": "x", "roles": value}).to_string()),
        value.prop_map(|value| value.to_string()),
        "\\PC{0,40}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_body_and_no_path_is_answered_with_a_500(body in any_body(), id in "[!-~]{0,20}", filter in "\\PC{0,40}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let face = Face::new();
            let user = face.user("alice", &[]).await;
            let made = face.call("POST", "/Groups", &json!({"displayName": "G"})).await;
            let group = made.body["id"].as_str().unwrap().to_owned();
            let filter: String = form_urlencoded::byte_serialize(filter.as_bytes()).collect();
            let targets = [
                ("PATCH", format!("/Users/{user}")), ("PUT", format!("/Users/{user}")), ("POST", "/Users".into()),
                ("PATCH", format!("/Groups/{group}")), ("PUT", format!("/Groups/{group}")), ("POST", "/Groups".into()),
                ("POST", "/Users/.search".into()), ("GET", format!("/Users?filter={filter}&attributes={filter}")),
                ("GET", format!("/Groups?startIndex={filter}")), ("GET", format!("/Users/{id}")), ("DELETE", format!("/Groups/{id}")),
            ];
            for (method, path) in targets {
                // Some texts are no URI; no server would ever see them.
                let Ok(request) = face.request(method, &path).body(Body::from(body.clone())) else { continue };
                let answer = face.send(request).await;
                prop_assert!(answer.status.as_u16() < 500, "{method} {path} {body}: {answer:?}");
            }
            Ok(())
        })?;
    }
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_name_and_no_token_is_ever_logged() {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .finish();
    // For all threads: what one thread alone listens to may be switched off by the others. So this sees every test's log.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let face = Face::new();
    let canary = "canary@example.com";
    let id = face.user(canary, &[]).await;
    face.get(&format!("/Users?filter=userName+eq+%22{canary}%22")).await;
    face.call("PATCH", &format!("/Users/{id}"), &json!({"Operations": [{"op": canary}]}))
        .await
        .is_error(400, Some("invalidSyntax"));
    face.get(&format!("/Users/{canary}")).await.is_error(404, None);
    for reason in [Reason::STORE_UNAVAILABLE, Reason::UNIQUENESS] {
        face.world.lock().ailing.insert("CreateUser", reason);
        face.call("POST", "/Users", &json!({ "userName": canary })).await;
    }
    let log = String::from_utf8_lossy(&written.0.lock()).into_owned();
    assert!(log.contains("/scim/v2/Users/{id}"), "the log names routes");
    assert!(!log.contains("canary") && !log.contains(&face.token) && !log.contains("rlc_"));
}
