//! What one tenant and one request may use.

use std::time::Duration;

use axum::body::Body;
use futures_util::stream;
use serde_json::json;

use super::Face;
use crate::{Config, Limits};

fn face(limits: Limits) -> Face {
    Face::with(&Config { limits, ..Config::default() })
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_writes_too_fast_is_told_when_to_come_back_and_may_still_read() {
    let face = face(Limits { writes_per_second: 1, ..Limits::default() });
    for n in 0..4 {
        face.user(&format!("u{n}"), &[]).await;
    }
    let refused = face.call("POST", "/Users", &json!({"userName": "x"})).await;
    refused.is_error(429, None);
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("x-rate-limit-remaining"), "0");
    assert_eq!(face.call("POST", "/Users/.search", &json!({})).await.status, 200, "a search is a read");
}

#[tokio::test(start_paused = true)]
async fn lists_without_an_exact_filter_have_a_limit_of_their_own() {
    let face = face(Limits { heavy_lists_per_second: 1, ..Limits::default() });
    for _ in 0..4 {
        assert_eq!(face.get("/Users").await.status, 200);
    }
    face.get("/Groups?startIndex=1").await.is_error(429, None);
    assert_eq!(face.get("/Users?filter=userName+eq+%22a%22").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let face = face(Limits { request_time: Duration::from_secs(30), ..Limits::default() });
    let never = stream::pending::<Result<bytes::Bytes, std::convert::Infallible>>();
    let request = face.request("POST", "/Users").body(Body::from_stream(never)).unwrap();
    face.send(request).await.is_error(408, None);
}
