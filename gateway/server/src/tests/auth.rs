//! Who may ask: a good token alone, however one is presented, and what short-lived ones are got with.

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::token::BearerToken;
use http::Request;
use proto::common::v1 as common;
use runtime::error::Reason;
use serde_json::json;

use super::{Answer, Face, stranger};
use crate::{Config, Limits};

async fn bare(face: &Face, method: &str, uri: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = Request::builder().method(method).uri(uri).header("host", "scim.test");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    face.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn every_route_in_the_table_and_every_other_path_needs_a_good_token() {
    let limits = Limits { strangers_per_second: 0, ..Limits::default() };
    let face = Face::with(&Config { limits, ..Config::default() });
    let (wrong, scheme) = (format!("Bearer {}", stranger()), format!("Token {}", face.token));
    let foreign = format!("Bearer {}", face.world.token("acme", &["roles:read"]));
    let mut paths: Vec<_> = crate::routes().into_iter().map(|(path, _)| path.replace("{id}", "x")).collect();
    paths.extend([String::new(), "/Nowhere".into(), "/Users/x/y".into()]);
    for path in paths {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            for authorization in [None, Some(&wrong), Some(&scheme), Some(&foreign)] {
                let headers: Vec<_> =
                    authorization.into_iter().map(|value| ("authorization", value.as_str())).collect();
                let refused = bare(&face, method, &format!("/scim/v2{path}"), &headers, "").await;
                refused.is_error(401, None);
                assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"scim\"", "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn a_token_counts_in_the_authorization_header_alone() {
    let face = Face::new();
    let good = format!("Bearer {}", face.token);
    let with = async |headers: &[(&str, &str)], query: &str| {
        bare(&face, "GET", &format!("/scim/v2/Users{query}"), headers, "").await.status.as_u16()
    };
    assert_eq!(with(&[("authorization", &good)], "").await, 200);
    assert_eq!(with(&[("authorization", &format!("bEARER {}", face.token))], "").await, 200);
    for (headers, query) in [
        (&[("authorization", good.as_str())][..], format!("?access_token={}", face.token)),
        (&[], format!("?access_token={}", face.token)),
        (&[("cookie", &*format!("access_token={}", face.token))], String::new()),
        (&[("x-access-token", &face.token)], String::new()),
        (&[("authorization", &good), ("authorization", &good)], String::new()),
        (&[("authorization", &*format!("{good} "))], String::new()),
        (&[("authorization", &face.token)], String::new()),
        (&[("authorization", &*format!("Basic {}", STANDARD.encode(format!("x:{}", face.token))))], String::new()),
    ] {
        assert_eq!(with(headers, &query).await, 401, "{query}");
    }
}

#[tokio::test]
async fn a_token_for_reading_reads_and_changes_nothing() {
    let mut face = Face::new();
    let id = face.user("ann", &[]).await;
    face.token = face.world.token("acme", &["scim:read"]);
    assert_eq!(face.get(&format!("/Users/{id}")).await.status, 200);
    assert_eq!(face.call("POST", "/Users/.search", &json!({})).await.status, 200);
    let refused = face.delete(&format!("/Users/{id}")).await;
    refused.is_error(403, None);
    assert!(refused.header("www-authenticate").contains("insufficient_scope"));
    face.call("POST", "/Users", &json!({"userName": "bob"})).await.is_error(403, None);
    assert_eq!(face.world.users(), 1);
}

#[tokio::test]
async fn basic_opens_a_tenant_in_development_where_the_process_allows_it() {
    let try_basic = async |basic, environment| {
        let face = Face::with(&Config { basic, ..Config::default() });
        face.world.lock().settings.set_environment(environment);
        let line = format!("Basic {}", STANDARD.encode(format!("anyone:{}", face.token)));
        bare(&face, "GET", "/scim/v2/Users", &[("authorization", &line)], "").await
    };
    assert_eq!(try_basic(true, common::Environment::Development).await.status, 200);
    let refused = try_basic(true, common::Environment::Production).await;
    refused.is_error(401, None);
    let challenges: Vec<_> = refused.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(challenges, ["Bearer realm=\"scim\"", "Basic realm=\"scim\", charset=\"UTF-8\""]);
    try_basic(false, common::Environment::Development).await.is_error(401, None);
}

async fn token(face: &Face, authorization: Option<&str>, form: &str) -> Answer {
    let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
    headers.extend(authorization.map(|line| ("authorization", line)));
    bare(face, "POST", "/oauth/token", &headers, form).await
}

#[tokio::test]
async fn a_client_gets_a_short_lived_token_for_its_secret() {
    let mut face = Face::new();
    let id = face.token.split('_').nth(1).unwrap().to_owned();
    let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{}", face.token)));
    let form = format!("client_id={id}&client_secret={}", face.token);
    for (authorization, form) in [
        (Some(basic.as_str()), "grant_type=client_credentials".to_owned()),
        (None, format!("grant_type=client_credentials&scope=scim&{form}")),
    ] {
        let issued = token(&face, authorization, &form).await;
        assert_eq!(issued.status, 200, "{issued:?}");
        assert_eq!((issued.header("cache-control"), issued.header("content-type")), ("no-store", "application/json"));
        assert_eq!((&issued.body["token_type"], &issued.body["scope"]), (&json!("Bearer"), &json!("scim")));
        assert!((3_590..=3_600).contains(&issued.body["expires_in"].as_u64().unwrap()), "{issued:?}");
        face.token = issued.body["access_token"].as_str().unwrap().to_owned();
        assert_eq!(face.get("/Users").await.status, 200);
    }
}

#[tokio::test]
async fn a_token_request_is_refused_as_the_rfc_says() {
    let face = Face::new();
    let id = face.token.split('_').nth(1).unwrap().to_owned();
    let form = |id: &str, secret: &str| format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let refused = async |form: &str, status: u16, error: &str| {
        let answer = token(&face, None, form).await;
        assert_eq!((answer.status.as_u16(), &answer.body["error"]), (status, &json!(error)), "{form}");
        assert_eq!(answer.header("cache-control"), "no-store");
        answer
    };
    refused("", 400, "invalid_request").await;
    refused("grant_type=password", 400, "unsupported_grant_type").await;
    refused(&format!("{}&scope=admin", form(&id, &face.token)), 400, "invalid_scope").await;
    refused(&format!("{}&scope=", "x".repeat(9_000)), 400, "invalid_request").await;
    let other = BearerToken::generate();
    let mut answers = Vec::new();
    for bad in [
        form(&id, &stranger()),
        form(&stranger()[4..16], &face.token),
        form(other.id().as_str(), &other.expose()),
        form(&id, "x"),
        "grant_type=client_credentials".to_owned(),
    ] {
        let answer = refused(&bad, 401, "invalid_client").await;
        assert_eq!(answer.header("www-authenticate"), "Basic realm=\"oauth\"");
        answers.push(answer.body);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "all in the same words");
    face.world.lock().ailing.insert("IssueAccessToken", Reason::STORE_UNAVAILABLE);
    let later = refused(&form(&id, &face.token), 503, "temporarily_unavailable").await;
    assert!(later.header("retry-after").parse::<u64>().unwrap() > 0);
    assert_eq!(bare(&face, "GET", "/oauth/token", &[], "").await.status, 405);
    let json = [("content-type", "application/json")];
    let wrong = bare(&face, "POST", "/oauth/token", &json, "{}").await;
    assert_eq!((wrong.status.as_u16(), &wrong.body["error"]), (400, &json!("invalid_request")));
}

#[tokio::test]
async fn the_metadata_document_finds_the_token_endpoint() {
    let metadata = "/.well-known/oauth-authorization-server";
    let found = bare(&Face::new(), "GET", metadata, &[], "").await;
    assert_eq!(found.status, 200);
    assert_eq!(found.body["issuer"], "http://scim.test");
    assert_eq!(found.body["token_endpoint"], "http://scim.test/oauth/token");
    assert_eq!(found.body["grant_types_supported"], json!(["client_credentials"]));
    let named = Face::with(&Config { public_url: "https://r.example/".into(), ..Config::default() });
    let found = bare(&named, "GET", metadata, &[], "").await;
    assert_eq!(found.body["token_endpoint"], "https://r.example/oauth/token");
}

#[tokio::test(start_paused = true)]
async fn guesses_are_throttled_and_those_who_are_known_go_on() {
    let limits = Limits { strangers_per_second: 1, ..Limits::default() };
    let face = Face::with(&Config { limits, ..Config::default() });
    assert_eq!(face.get("/Users").await.status, 200);
    let guess = async || {
        let line = format!("Bearer {}", stranger());
        bare(&face, "GET", "/scim/v2/Users", &[("authorization", &line)], "").await
    };
    let mut throttled = 0;
    for _ in 0..20 {
        let answer = guess().await;
        if answer.status == 429 {
            throttled += 1;
            answer.is_error(429, None);
            assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
        } else {
            answer.is_error(401, None);
        }
    }
    assert_eq!(throttled, 17, "the one who is known came as a stranger too");
    assert_eq!(face.get("/Users").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn answers_say_what_is_left_of_the_rate() {
    let limits = Limits { reads_per_second: 10, writes_per_second: 0, ..Limits::default() };
    let face = Face::with(&Config { limits, ..Config::default() });
    let answer = face.get("/Users?filter=userName+eq+%22a%22").await;
    assert_eq!((answer.header("x-rate-limit-limit"), answer.header("x-rate-limit-remaining")), ("40", "39"));
    assert_eq!(answer.header("x-rate-limit-reset"), "1");
    let missing = face.get("/Users/x").await;
    missing.is_error(404, None);
    assert_eq!(missing.header("x-rate-limit-remaining"), "38");
    let unlimited = face.call("POST", "/Users", &json!({"userName": "a"})).await;
    assert!(!unlimited.headers.contains_key("x-rate-limit-limit"));
}
