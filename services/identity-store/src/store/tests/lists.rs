//! A filter means the same whether an index helps or not.

use scim::filter::Query;
use scim::schema::USERS;

use super::fixture::{Fixture, each};
use crate::Failure;
use crate::model::Window;

async fn found(f: &Fixture, filter: &str) -> Vec<String> {
    let window = Window { start: 1, count: 1_000 };
    let page = f.store.list_users(&f.tenant, filter, window).await.unwrap().value;
    assert_eq!(page.items.len() as u64, page.total);
    let name = |document: &[u8]| {
        let document: serde_json::Value = serde_json::from_slice(document).unwrap();
        document["userName"].as_str().unwrap().to_owned()
    };
    page.items.iter().map(|user| name(&user.document)).collect()
}

#[tokio::test]
async fn what_an_index_finds_is_what_the_evaluator_says() {
    each(async |f| {
        let documents = [
            r#"{"userName":"Ann","active":true,"externalId":"X","emails":[{"value":"A@x","type":"work"}]}"#,
            r#"{"userName":"bob","active":false,"externalId":"x","emails":[{"value":"a@X","type":"home"}]}"#,
            r#"{"userName":"Ünï","active":true,"title":"Ann"}"#,
        ];
        for document in documents {
            f.create(document).await.unwrap();
        }
        for filter in [
            r#"userName eq "aNN""#,
            r#"userName eq "ÜNÏ""#,
            r#"externalId eq "x""#,
            r#"emails.value eq "a@x""#,
            r#"emails[type eq "work" and value eq "a@x"]"#,
            r#"userName eq "ann" or externalId eq "x""#,
            r#"userName eq "ann" or userName eq "bob" or userName eq "nobody""#,
            r#"userName eq "ann" and active eq false"#,
            r#"emails.value eq "a@x" and not (active eq true)"#,
            "active eq true",
            r#"title eq "ann" or userName eq "bob""#,
            r#"userName sw "a" or userName ew "ï""#,
        ] {
            let query = Query::parse(filter, &USERS, scim::Mode::Lenient).unwrap();
            let expected: Vec<_> = documents
                .iter()
                .map(|document| serde_json::from_str::<serde_json::Map<_, _>>(document).unwrap())
                .filter(|document| query.matches(document))
                .map(|document| document["userName"].as_str().unwrap().to_owned())
                .collect();
            assert_eq!(found(f, filter).await, expected, "{filter}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_page_has_its_bounds() {
    each(async |f| {
        for n in 0..7 {
            f.user(&format!("u{n}"), &[]).await;
        }
        let page = async |filter: &str, start, count| {
            let page = f.store.list_users(&f.tenant, filter, Window { start, count }).await.unwrap().value;
            (page.items.len(), page.total)
        };
        for filter in ["", "active eq true"] {
            assert_eq!(page(filter, 0, 3).await, (3, 7));
            assert_eq!(page(filter, 6, 3).await, (2, 7));
            assert_eq!(page(filter, 8, 3).await, (0, 7));
            assert_eq!(page(filter, 1, 0).await, (0, 7));
        }
        let large = f.store.list_users(&f.tenant, "", Window { start: 1, count: 1_001 }).await;
        assert!(matches!(large, Err(Failure::Invalid { field: "count", .. })));
    })
    .await;
}
