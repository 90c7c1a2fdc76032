//! What holds for every route: tokens, methods, media types, ids, and what is no route at all.

use axum::body::Body;
use runtime::error::Reason;
use serde_json::json;

use super::{Face, stranger};

const ROUTES: &[(&str, &[&str])] = &[
    ("/Users", &["GET", "POST"]),
    ("/Users/.search", &["POST"]),
    ("/Users/some-id", &["GET", "PUT", "PATCH", "DELETE"]),
    ("/Groups", &["GET", "POST"]),
    ("/Groups/.search", &["POST"]),
    ("/Groups/some-id", &["GET", "PUT", "PATCH", "DELETE"]),
    ("/ServiceProviderConfig", &["GET"]),
    ("/ResourceTypes", &["GET"]),
    ("/ResourceTypes/User", &["GET"]),
    ("/Schemas", &["GET"]),
    ("/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", &["GET"]),
    ("/.search", &["POST"]),
    ("/Bulk", &["POST"]),
    ("/Me", &["GET", "POST", "PUT", "PATCH", "DELETE"]),
    ("/Nowhere", &["GET", "POST"]),
    ("", &["GET"]),
];

#[tokio::test]
async fn no_route_answers_without_a_good_token_and_all_refuse_alike() {
    let face = Face::new();
    let unscoped = face.world.token("acme", &["roles:read"]);
    let credentials = [
        None,
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
        Some("Bearer x".to_owned()),
        Some(format!("Bearer {}", stranger())),
        Some(format!("Bearer {unscoped}")),
        Some(format!("Basic {}", face.token)),
        Some(face.token.clone()),
        Some(format!("Bearer {}x", face.token)),
    ];
    for (path, methods) in ROUTES {
        for method in *methods {
            for credential in &credentials {
                let mut request = http::Request::builder().method(*method).uri(format!("/scim/v2{path}"));
                if let Some(credential) = credential {
                    request = request.header("authorization", credential);
                }
                let answer = face.send(request.body(Body::from("{")).unwrap()).await;
                answer.is_error(401, None);
                assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"scim\"", "{method} {path}");
                assert_eq!(answer.body["detail"], "a valid bearer token is required in the Authorization header");
            }
        }
    }
    assert!(face.world.lock().calls.iter().all(|call| *call == "VerifyToken"));
}

#[tokio::test]
async fn a_token_counts_once_in_the_header_alone() {
    let face = Face::new();
    let twice = face.request("GET", "/Users").header("authorization", format!("Bearer {}", face.token));
    face.send(twice.body(Body::empty()).unwrap()).await.is_error(401, None);
    face.get(&format!("/Users?access_token={}", face.token)).await.is_error(401, None);
    let request =
        http::Request::builder().uri("/scim/v2/Users").header("authorization", format!("bEARER {}", face.token));
    assert_eq!(face.send(request.body(Body::empty()).unwrap()).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_asked_about_once_in_a_while_and_junk_never() {
    let face = Face::new();
    for _ in 0..5 {
        face.get("/Users").await;
    }
    assert_eq!(face.world.count("VerifyToken"), 1);
    let junk = http::Request::builder().uri("/scim/v2/Users").header("authorization", "Bearer rlc_a_b_c");
    face.send(junk.body(Body::empty()).unwrap()).await.is_error(401, None);
    assert_eq!(face.world.count("VerifyToken"), 1);
}

#[tokio::test]
async fn a_store_that_cannot_answer_is_503_and_no_401() {
    let face = Face::new();
    face.world.lock().ailing.insert("VerifyToken", Reason::STORE_UNAVAILABLE);
    let answer = face.get("/Users").await;
    answer.is_error(503, None);
    assert!(answer.headers.contains_key("retry-after"));
    face.world.lock().ailing.clear();
    assert_eq!(face.get("/Users").await.status, 200, "the failure was not kept");
}

#[tokio::test]
async fn every_other_method_is_405_and_names_those_there_are() {
    let face = Face::new();
    for (path, methods) in ROUTES.iter().take(13) {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE"] {
            if methods.contains(&method) {
                continue;
            }
            let answer = face.send(face.request(method, path).body(Body::empty()).unwrap()).await;
            answer.is_error(405, None);
            for allowed in *methods {
                assert!(answer.header("allow").contains(allowed), "{path}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_route_is_404_and_me_is_501() {
    let face = Face::new();
    for path in ["", "/", "/Nowhere", "/Users/a/b", "/users"] {
        face.get(path).await.is_error(404, None);
    }
    face.get("/Me").await.is_error(501, None);
    face.call("PATCH", "/Me", &json!({})).await.is_error(501, None);
    assert_eq!(face.get("/Users/").await.status, 200, "a slash at the end does no harm");
}

/// B09: compressed bodies and foreign encodings.
#[tokio::test]
async fn a_body_must_be_json_uncompressed_and_of_a_fair_size() {
    let face = Face::new();
    let post = |header: &'static str, value: &'static str, body: String| {
        face.send(face.request("POST", "/Users").header(header, value).body(Body::from(body)).unwrap())
    };
    let user = || json!({"userName": "alice"}).to_string();
    post("content-type", "text/xml", user()).await.is_error(415, None);
    post("content-type", "application/json; charset=utf-16", user()).await.is_error(415, None);
    let gzip = post("content-encoding", "gzip", user()).await;
    gzip.is_error(415, None);
    assert_eq!(gzip.header("accept-encoding"), "identity");
    post("content-type", "application/scim+json", " ".repeat((1 << 20) + 1)).await.is_error(413, None);
    post("content-length", "99999999", String::new()).await.is_error(413, None);
    for bad in ["", "{", "[]", "null", "{\"userName\":\"a\",\"userName\":\"b\"}"] {
        post("content-type", "application/scim+json", bad.to_owned()).await.is_error(400, Some("invalidSyntax"));
    }
    post("content-type", "application/scim+json", "{}".to_owned()).await.is_error(400, Some("invalidValue"));
    assert_eq!(post("content-encoding", "identity", user()).await.status, 201);
}

#[tokio::test]
async fn the_requests_id_is_kept_or_made_and_reaches_the_audit() {
    let face = Face::new();
    let send = |id: &'static str| {
        let body = Body::from(json!({"userName": format!("u{}", id.len())}).to_string());
        face.send(face.request("POST", "/Users").header("x-request-id", id).body(body).unwrap())
    };
    assert_eq!(send("abc-123").await.header("x-request-id"), "abc-123");
    let actor = face.world.lock().actor.clone().unwrap();
    assert_eq!((actor.request_id.as_str(), actor.token_id.as_str()), ("abc-123", "the-token-id"));
    let made = send("no spaces, please").await;
    assert_eq!(made.header("x-request-id").len(), 36);
    let unauthorized = http::Request::builder().uri("/scim/v2/Users").body(Body::empty()).unwrap();
    assert_eq!(face.send(unauthorized).await.header("x-request-id").len(), 36);
}

#[tokio::test]
async fn a_panic_is_a_500_that_says_nothing() {
    let face = Face::new();
    face.world.lock().ailing.insert("GetUser", Reason::INTERNAL);
    let answer = face.get("/Users/x").await;
    answer.is_error(500, None);
    assert!(!answer.body.to_string().contains("panic"));
    assert_eq!(face.get("/Users").await.status, 200, "the next one is served");
}
