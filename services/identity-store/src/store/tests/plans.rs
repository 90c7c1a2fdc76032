//! The queries that are asked all the time use the index they were written for.

use sql::{Engine, Value, params};

use super::fixture::each;
use crate::Failure;
use crate::store::{affected, crowd, feed, holders, holdings, labels_in_use, members, user_groups, users};

/// PostgreSQL plans by what is there: so many users, and enough of everything else that its indexes differ.
pub(super) fn fill(users: u32) -> String {
    format!(
        "
    CREATE TEMP TABLE numbers AS SELECT n, decode(lpad(to_hex(n), 32, '0'), 'hex') AS id
        FROM generate_series(1, {users}) AS n;
    INSERT INTO users SELECT 't', id, 'u', 'u' || n, 'x' || n, CASE WHEN n % 100 = 0 THEN 0 ELSE 1 END, id, 0, 0, 0, 0
        FROM numbers;
    INSERT INTO outcomes SELECT 't', id, id, 0, 'held', '[]', '', 0, '[]' FROM numbers;
    INSERT INTO user_emails SELECT 't', 'u' || n, id FROM numbers;
    INSERT INTO groups SELECT 't', id, 'g', 'g' || n, NULL, id, 0, 0, 0, 0, 0 FROM numbers WHERE n <= 1000;
    INSERT INTO members SELECT 't', decode(lpad(to_hex(n % 1000), 32, '0'), 'hex'), id, 0, NULL, 0 FROM numbers;
    INSERT INTO members SELECT 't', decode(lpad(to_hex(n / 2 + 1), 32, '0'), 'hex'), id, 1, NULL, 1 FROM numbers
        WHERE n <= 1000;
    INSERT INTO labels SELECT 't', id, 'l' || n % 100, 0 FROM numbers;
    INSERT INTO label_readings SELECT 't', id, 'AGENT', 'c' || n, 'r' || n, 0 FROM numbers;
    INSERT INTO feed SELECT 't', n, 0, 0, CASE WHEN n % 100 = 0 THEN 1 ELSE 0 END, 'rules', '' FROM numbers;
    ANALYZE;
"
    )
}

/// A statement, its values, and the index that PostgreSQL and SQLite find its rows by. PostgreSQL names the index of a
/// primary key after its table; SQLite says which key it searches by.
type Plan = (&'static str, Vec<Value>, [&'static str; 2]);

/// What is asked by itself: the planner has its way.
fn alone() -> Vec<Plan> {
    let id = [1_u8; 16];
    vec![
        ("SELECT version FROM users WHERE tenant = $1 AND id = $2", params!["t", &id], ["users_pkey", "id=?"]),
        (
            "SELECT version FROM users WHERE tenant = $1 AND user_name_folded = $2",
            params!["t", "n"],
            ["users_by_name", "users_by_name"],
        ),
        (
            "SELECT version FROM users WHERE tenant = $1 AND external_id = $2",
            params!["t", "n"],
            ["users_by_external_id", "users_by_external_id"],
        ),
        (
            "SELECT user_id FROM user_emails WHERE tenant = $1 AND folded = $2",
            params!["t", "n"],
            ["user_emails_pkey", "folded=?"],
        ),
        (feed::NEXT, params!["t", 1, i64::MAX, 9, 64], ["feed_pkey", "tenant=?"]),
        (feed::NEXT_TAKING_AWAY, params!["t", 1, i64::MAX, 9, 64], ["feed_taking_away", "feed_taking_away"]),
        (users::get(false), params!["t", &id], ["users_pkey", "id=?"]),
        (users::get(true), params!["t", &id], ["members_by_member", "members_by_member"]),
        (labels_in_use::IN_USE, params!["t", "a", "b", 10], ["labels_by_text", "labels_by_text"]),
    ]
}

/// What goes through memberships and labels, of as many as `ids` are: in transactions that find their rows by indexes.
fn through_memberships(ids: impl Fn() -> Value) -> Vec<Plan> {
    let text = || Value::texts(["x"]);
    vec![
        (holdings::REACH, params!["t", ids()], ["members_by_member", "members_by_member"]),
        (holdings::LABELS, params!["t", ids()], ["labels_pkey", "holder=?"]),
        (affected::IN_GROUPS, params!["t", ids(), 1, Vec::<u8>::new(), 10], ["members_pkey", "group_id=?"]),
        (affected::HOLDERS_BY_ROLE, params!["t", text()], ["label_readings_by_role", "label_readings_by_role"]),
        (affected::HOLDERS_BY_LABEL, params!["t", text()], ["labels_by_text", "labels_by_text"]),
        (
            affected::HOLDERS_BY_CONTEXT,
            params!["t", "AGENT", text()],
            ["label_readings_by_context", "label_readings_by_context"],
        ),
        (affected::NESTED, params!["t", ids(), 1], ["members_nested", "members_nested"]),
        (user_groups::OF_MANY, params!["t", ids(), 10], ["members_by_member", "members_by_member"]),
        (crowd::INSIDE, params!["t", ids()], ["members_nested", "members_nested"]),
        (crowd::ACTIVE_INSIDE, params!["t", ids(), 10], ["members_pkey", "group_id=?"]),
        (
            holders::HOLDERS,
            params!["t", "AGENT", text(), text(), text(), "x", Vec::<u8>::new(), 10, 0],
            ["labels_by_text", "labels_by_text"],
        ),
        (members::ABOVE, params!["t", ids(), ids()], ["members_by_member", "members_by_member"]),
    ]
}

/// With a hundred thousand memberships PostgreSQL would rather read them all, for it guesses that a list in a parameter or a
/// recursive part has very many: what goes through them must not leave it the choice.
#[tokio::test]
async fn hot_queries_use_their_index() {
    each(async |f| {
        let engine = f.store.database.engine();
        if engine == Engine::Postgres {
            f.store.database.write(|tx| Box::pin(async move { tx.script(&fill(100_000)).await })).await.unwrap();
        }
        let one = || Value::ids([&[1_u8; 16][..]]);
        let many = || {
            let ids: Vec<_> = (0..1_000_u128).map(u128::to_be_bytes).collect();
            Value::ids(ids.iter().map(<[u8; 16]>::as_slice))
        };
        let through = through_memberships(one).into_iter().chain(through_memberships(many));
        let plans = alone().into_iter().map(|plan| (plan, false)).chain(through.map(|plan| (plan, true)));
        for ((sql, values, index), by_indexes) in plans {
            let explained = f.store.database.read(move |tx| {
                Box::pin(async move {
                    if by_indexes {
                        tx.by_indexes();
                    }
                    Ok::<_, Failure>(tx.explain(sql, values).await?)
                })
            });
            let lines = explained.await.unwrap();
            let wanted = index[usize::from(engine == Engine::Sqlite)];
            // The database's own table has one row, and so has that of tenants; a thousand groups are read as fast whole.
            let small = ["Seq Scan on meta", "Seq Scan on tenants", "Seq Scan on groups"];
            let plan = small.iter().fold(lines.join("\n"), |plan, small| plan.replace(small, ""));
            assert!(plan.contains(wanted), "{sql}\nshould use {wanted}:\n{plan}");
            for whole in ["SCAN users", "SCAN members", "SCAN labels", "SCAN m\n", "Seq Scan"] {
                assert!(!plan.contains(whole), "{sql}\n{plan}");
            }
        }
    })
    .await;
}

/// Right after an import PostgreSQL knows nothing of the tables yet and takes a hundred thousand memberships for one.
#[tokio::test]
async fn groups_are_looked_up_by_member_also_where_nothing_is_known_of_the_tables() {
    each(async |f| {
        if f.store.database.engine() == Engine::Sqlite {
            return;
        }
        let fill = fill(100_000).replace("ANALYZE;", "");
        f.store.database.write(move |tx| Box::pin(async move { tx.script(&fill).await })).await.unwrap();
        let explained = f.store.database.read(|tx| {
            Box::pin(async move {
                tx.by_indexes();
                let one = Value::ids([&[1_u8; 16][..]]);
                Ok::<_, Failure>(tx.explain(holdings::REACH, params!["t", one]).await?)
            })
        });
        let plan = explained.await.unwrap();
        let by_member = plan.iter().filter(|line| line.contains("Index Cond") && line.contains("member_id = "));
        assert_eq!(by_member.count(), 2, "{}", plan.join("\n"));
    })
    .await;
}
