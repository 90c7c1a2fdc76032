//! The groups users are in, where they are many.

use domain::id::UserId;
use sql::{Engine, Statement, Value, params};

use super::fixture::{Fixture, each, many_users, wanted};
use crate::Failure;
use crate::model::{ListRequest, Start};
use crate::store::user_groups::of_all;

/// Puts every user into as many new groups, by their rows alone.
async fn join(f: &Fixture, users: &[UserId], groups: usize) {
    const GROUPS: &str = "INSERT INTO groups (tenant, id, display_name, display_name_folded, document, member_count, \
         created_at, modified_at, version, stamp) SELECT $1, g.value, 'g', {hex:g.value}, $3, 0, 0, 0, 0, 0 \
         FROM {ids:$2} AS g";
    const MEMBERS: &str = "INSERT INTO members (tenant, group_id, member_id, added, removed, is_group) \
         SELECT $1, g.value, u.value, 0, NULL, 0 FROM {ids:$2} AS g CROSS JOIN {ids:$3} AS u";
    let ids = |ids: &[UserId]| Value::ids(ids.iter().map(|id| &id.as_bytes()[..]));
    let groups: Vec<_> = (0..groups).map(|_| UserId::new()).collect();
    let tenant = f.tenant.as_str();
    let statements = vec![
        Statement::new(GROUPS, params![tenant, ids(&groups), b"{}".as_slice()]),
        Statement::new(MEMBERS, params![tenant, ids(&groups), ids(users)]),
    ];
    let fill = f.store.database.write(move |tx| {
        Box::pin(async move {
            tx.batch(statements).await?;
            // PostgreSQL plans by what it knows of the rows, and learns of so many at once only in a while.
            if tx.engine() == Engine::Postgres {
                tx.script("ANALYZE members; ANALYZE groups").await?;
            }
            Ok::<_, Failure>(())
        })
    });
    fill.await.unwrap();
}

#[tokio::test]
async fn a_user_in_very_many_groups_shows_a_thousand_and_a_page_of_such_users_ends_early() {
    each(async |f| {
        let users = many_users(f, 40).await;
        join(f, &users, 1_001).await;
        let one = f.store.get_user(&f.tenant, &users[0].to_string(), true).await.unwrap().value;
        assert_eq!(one.groups.len(), 1_000);
        let page = async |start| {
            let wanted = ListRequest { start, ..wanted("", 1, 40) };
            f.store.list_users(&f.tenant, &wanted, true).await.unwrap().value
        };
        let first = page(Start::Index(1)).await;
        assert!((1..20).contains(&first.items.len()), "{}", first.items.len());
        assert!(first.items.iter().all(|user| user.groups.len() == 1_000));
        let next = u32::try_from(first.items.len() + 1).unwrap();
        assert!(
            page(Start::Index(next)).await.items[0].id == users[first.items.len()],
            "the next page goes on from there"
        );
        let by_place = page(Start::After(None)).await;
        assert_eq!(by_place.items, first.items);
        let next = page(Start::After(by_place.next)).await;
        assert!(next.items[0].id == users[first.items.len()], "so it does by place");
    })
    .await;
}

#[tokio::test]
async fn of_several_users_no_more_groups_are_held_at_once_than_of_one() {
    each(async |f| {
        let users = many_users(f, 3).await;
        join(f, &users, 4).await;
        let (tenant, users) = (f.tenant.clone(), users.clone());
        let read = f.store.database.read(move |tx| {
            Box::pin(async move {
                let mut found = Vec::new();
                for (users, most) in
                    [(&users[..1], 3), (&users[..1], 4), (&users[..2], 8), (&users[..], 8), (&users[..], 12)]
                {
                    found.push(of_all(tx, &tenant, users, most).await?.is_some());
                }
                Ok::<_, Failure>(found)
            })
        });
        assert_eq!(read.await.unwrap(), [false, true, true, false, true]);
    })
    .await;
}
