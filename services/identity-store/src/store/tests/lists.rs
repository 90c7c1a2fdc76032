//! A filter means the same whether an index helps or not.

use scim::filter::Query;
use scim::schema::USERS;
use sql::params;
use tokio::sync::oneshot;

use super::fixture::{Fixture, each, many_users, wanted};
use crate::Failure;

async fn found(f: &Fixture, filter: &str) -> Vec<String> {
    let page = f.store.list_users(&f.tenant, &wanted(filter, 1, 1_000), false).await.unwrap().value;
    assert_eq!(Some(page.items.len() as u64), page.total);
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
async fn active_users_are_found_however_many_there_are() {
    const USERS: u64 = 100_002;
    each(async |f| {
        let bob = f.create(r#"{"userName":"bob","active":false}"#).await.unwrap().value.id;
        many_users(f, 100_001).await;
        let (tenant, count) = (f.tenant.as_str().to_owned(), i64::try_from(USERS).unwrap());
        let counted = f.store.database.write(move |tx| {
            Box::pin(async move {
                const COUNT: &str = "UPDATE tenants SET user_count = $2 WHERE id = $1";
                Ok::<_, Failure>(tx.execute(COUNT, params![tenant, count]).await?)
            })
        });
        counted.await.unwrap();
        let list = async |filter: &str| f.store.list_users(&f.tenant, &wanted(filter, 1, 3), false).await;
        let active = list("active eq true").await.unwrap().value;
        assert_eq!((active.items.len(), active.total), (3, Some(USERS - 1)));
        assert!(active.items.iter().all(|user| user.id != bob));
        let inactive = list("active eq false").await.unwrap().value;
        assert_eq!((inactive.items[0].id, inactive.items.len(), inactive.total), (bob, 1, Some(1)));
        assert_eq!(list("active eq false and title pr").await.unwrap().value.total, Some(0));
        assert!(matches!(list("title pr").await, Err(Failure::TooMany(_))));
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
            let page = f.store.list_users(&f.tenant, &wanted(filter, start, count), false).await.unwrap().value;
            (page.items.len(), page.total)
        };
        for filter in ["", "active eq true"] {
            assert_eq!(page(filter, 0, 3).await, (3, Some(7)));
            assert_eq!(page(filter, 6, 3).await, (2, Some(7)));
            assert_eq!(page(filter, 8, 3).await, (0, Some(7)));
            assert_eq!(page(filter, 1, 0).await, (0, Some(7)));
        }
        let large = f.store.list_users(&f.tenant, &wanted("", 1, 1_001), false).await;
        assert!(matches!(large, Err(Failure::Invalid { field: "count", .. })));
    })
    .await;
}

#[tokio::test]
async fn who_looks_at_everything_while_others_do_is_asked_to_come_back_and_an_index_answers_all_the_same() {
    each(async |f| {
        f.user("ann", &["AGENT_1_X"]).await;
        let list = async |filter: &str| f.store.list_users(&f.tenant, &wanted(filter, 1, 3), false).await;
        let others = [f.store.scans.turn(&f.tenant).await.unwrap(), f.store.scans.turn(&f.tenant).await.unwrap()];
        let (title, label, name, all) = tokio::join!(
            list(r#"title co "x""#),
            list(r#"roles.value eq "AGENT_1_X""#),
            list(r#"userName eq "ann""#),
            list("")
        );
        assert!(matches!(title, Err(Failure::Busy)), "{title:?}");
        assert!(matches!(label, Err(Failure::Busy)), "they may be many: {label:?}");
        assert_eq!((name.unwrap().value.items.len(), all.unwrap().value.items.len()), (1, 1));
        drop(others);
        assert_eq!(list(r#"roles.value eq "AGENT_1_X""#).await.unwrap().value.items.len(), 1);
        assert_eq!(list(r#"title co "x""#).await.unwrap().value.items.len(), 0);
    })
    .await;
}

/// A read goes on when its caller goes away, and so it keeps its turn. Shown where a statement can be made to wait.
#[tokio::test]
async fn a_list_whose_caller_goes_away_keeps_its_turn_while_it_is_read() {
    const WAITING: &str = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    each(async |f| {
        if f.store.database.engine() == sql::Engine::Sqlite {
            return;
        }
        let (locked, is_locked) = oneshot::channel();
        let (release, released) = oneshot::channel::<()>();
        let database = f.store.database.clone();
        let holder = tokio::spawn(async move {
            let held = database.write(move |tx| {
                Box::pin(async move {
                    tx.script("LOCK TABLE users IN ACCESS EXCLUSIVE MODE").await?;
                    let _ = locked.send(());
                    let _ = released.await;
                    Ok::<_, Failure>(())
                })
            });
            held.await
        });
        is_locked.await.unwrap();
        for lists in 1..=2 {
            let request = wanted(r#"title co "x""#, 1, 10);
            let list = f.store.list_users(&f.tenant, &request, false);
            let waits = async {
                while f.store.database.point(WAITING, params![]).await.unwrap().unwrap().int(0).unwrap() < lists {}
            };
            tokio::select! {
                list = list => panic!("it does not wait: {list:?}"),
                () = waits => {}
            }
        }
        assert!(matches!(f.store.scans.turn(&f.tenant).await, Err(Failure::Busy)), "both are still read");
        release.send(()).unwrap();
        holder.await.unwrap().unwrap();
        while f.store.scans.turn(&f.tenant).await.is_err() {}
    })
    .await;
}
