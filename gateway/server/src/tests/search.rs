//! `/.search` at the root: users and groups in one list.

use serde_json::{Value, json};

use super::Face;
use crate::{Config, Limits};

async fn found(face: &Face, search: Value) -> (u64, Vec<String>) {
    let answer = face.call("POST", "/.search", &search).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let resources = answer.body["Resources"].as_array().unwrap();
    assert_eq!(answer.body["itemsPerPage"], resources.len());
    let name = |it: &Value| {
        let name = if it["meta"]["resourceType"] == "User" { &it["userName"] } else { &it["displayName"] };
        name.as_str().unwrap().to_owned()
    };
    (answer.body["totalResults"].as_u64().unwrap(), resources.iter().map(name).collect())
}

#[tokio::test]
async fn both_types_are_found_in_one_list_and_pages_go_through_it_once() {
    let limits = Limits { heavy_lists_per_second: 0, ..Limits::default() };
    let face = Face::with(&Config { limits, ..Config::default() });
    for name in ["ann", "bob", "cid"] {
        face.user(name, &[]).await;
    }
    for name in ["Staff", "Bob"] {
        face.call("POST", "/Groups", &json!({ "displayName": name })).await;
    }
    let all = ["ann", "bob", "cid", "Staff", "Bob"];
    assert_eq!(found(&face, json!({})).await, (5, all.map(str::to_owned).to_vec()));
    for count in 1..=5 {
        let mut walked = Vec::new();
        while walked.len() < 5 {
            let (total, page) = found(&face, json!({"startIndex": walked.len() + 1, "count": count})).await;
            assert!(total == 5 && !page.is_empty() && page.len() <= count);
            walked.extend(page);
        }
        assert_eq!(walked, all);
    }
    assert_eq!(found(&face, json!({"startIndex": 9})).await, (5, vec![]));
    assert_eq!(found(&face, json!({"count": 0})).await, (5, vec![]));
    let either = json!({"filter": "userName eq \"bob\" or displayName eq \"bob\""});
    assert_eq!(found(&face, either).await, (2, vec!["bob".into(), "Bob".into()]));
    assert_eq!(found(&face, json!({"filter": "userName eq \"staff\""})).await, (0, vec![]));
    assert_eq!(found(&face, json!({"filter": "not (userName pr)"})).await.0, 2);
    let refused = face.call("POST", "/.search", &json!({"filter": "nonsense eq \"x\""})).await;
    refused.is_error(400, Some("invalidFilter"));
}

#[tokio::test]
async fn a_cursor_that_is_no_such_list_is_refused_and_a_position_beside_it_too() {
    let face = Face::with(&Config::default());
    for body in [json!({"cursor": "x"}), json!({"cursor": "", "startIndex": 1})] {
        let refused = face.call("POST", "/.search", &body).await;
        refused.is_error(400, Some("invalidCursor"));
    }
}
