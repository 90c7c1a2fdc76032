//! The queries that are asked all the time use the index they were written for.

use sql::{Engine, Value, params};

use super::fixture::{Fixture, each};
use crate::Failure;
use crate::store::{
    affected, crowd, feed, held_back, holders, holdings, labels_in_use, members, outcomes, user_groups, users,
};

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
    INSERT INTO groups SELECT 't', id, 'g', 'g' || n, NULL, id, 0, 0, 0, 0, 0 FROM numbers WHERE n % 10 = 0;
    INSERT INTO members SELECT 't', decode(lpad(to_hex(n % 1000), 32, '0'), 'hex'), id, 0, NULL, 0 FROM numbers;
    INSERT INTO members SELECT 't', decode(lpad(to_hex(n / 2 + 1), 32, '0'), 'hex'), id, 1, NULL, 1 FROM numbers
        WHERE n <= 1000;
    INSERT INTO labels SELECT 't', id, 'l' || n % 100, 0 FROM numbers;
    INSERT INTO label_readings SELECT 't', id, 'AGENT', 'c' || n, 'r' || n, 0 FROM numbers;
    INSERT INTO deleted_users SELECT 't', id, 'u', 0 FROM numbers WHERE n % 10 = 0;
    INSERT INTO held_back SELECT 't', id, 0, 0, NULL, '[]' FROM numbers WHERE n % 10 = 0;
    INSERT INTO feed SELECT 't', n, 0, 0, CASE WHEN n % 100 = 0 THEN 1 ELSE 0 END, 'rules', '' FROM numbers;
    ANALYZE;
"
    )
}

/// A statement, its values, and the index that PostgreSQL and SQLite find its rows by. PostgreSQL names the index of a
/// primary key after its table; SQLite says which key it searches by.
type Plan = (&'static str, Vec<Value>, [&'static str; 2]);

/// What is asked about one thing.
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

/// What goes through memberships and labels, of as many as `ids` are.
fn through_memberships(ids: impl Fn() -> Value) -> Vec<Plan> {
    let text = || Value::texts(["x"]);
    let id = [1_u8; 16];
    vec![
        (
            holdings::FIND,
            params!["t", ids(), text(), text(), 0, ids()],
            ["users_by_external_id", "users_by_external_id"],
        ),
        (holdings::REACH, params!["t", ids()], ["members_by_member", "members_by_member"]),
        (holdings::EDGES, params!["t", ids()], ["members_by_member", "members_by_member"]),
        (holdings::LABELS, params!["t", ids()], ["labels_pkey", "holder=?"]),
        (held_back::AMONG, params!["t", ids()], ["held_back_pkey", "user_id=?"]),
        (affected::STATES, params!["t", ids()], ["deleted_users_pkey", "id=?"]),
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
        (crowd::ACTIVE_INSIDE, params!["t", ids(), 10], ["users_pkey", "group_id=?"]),
        (
            holders::HOLDERS,
            params!["t", "AGENT", text(), text(), text(), "x", Vec::<u8>::new(), 10, 0],
            ["labels_by_text", "labels_by_text"],
        ),
        (members::ABOVE, params!["t", ids(), ids()], ["members_by_member", "members_by_member"]),
        (members::AMONG, params!["t", &id, ids()], ["Index", "member_id=?"]),
        (members::KINDS, params!["t", ids()], ["users_pkey", "id=?"]),
    ]
}

/// What changes several at once.
fn changes(ids: impl Fn() -> Value) -> Vec<Plan> {
    let (id, text) = ([1_u8; 16], || Value::texts(["x"]));
    let outcome = params!["01", 1, "held", "[]", "", 0, "[]"];
    vec![
        (members::LEAVE, params!["t", &id, 9, ids()], ["members_pkey", "member_id=?"]),
        (members::STAMP_USERS, params!["t", 9, ids()], ["users_pkey", "id=?"]),
        (members::STAMP_GROUPS, params!["t", 9, ids()], ["groups_pkey", "id=?"]),
        (users::FORGET_EMAILS, params!["t", &id, text()], ["user_emails_pkey", "user_id=?"]),
        (outcomes::PUT, params!["t", &id, Value::records([outcome])], ["users_pkey", "id=?"]),
    ]
}

/// All of them, of one and of a thousand.
fn hot() -> Vec<Plan> {
    let one = || Value::ids([&[1_u8; 16][..]]);
    let many = || {
        let ids: Vec<_> = (0..1_000_u128).map(u128::to_be_bytes).collect();
        Value::ids(ids.iter().map(<[u8; 16]>::as_slice))
    };
    let all = [alone(), through_memberships(one), through_memberships(many), changes(one), changes(many)];
    all.into_iter().flatten().collect()
}

/// With a hundred thousand memberships PostgreSQL would rather read them all, for it guesses that a list in a parameter or a
/// recursive part has very many: what goes through them must not leave it the choice.
#[tokio::test]
async fn hot_queries_use_their_index() {
    each(async |f| check(f, &fill(100_000), Wanted::Index).await).await;
}

/// While an import runs PostgreSQL knows nothing of the tables yet but their size, and takes a tenant for one of two hundred:
/// what is looked up by a list is not found by going through the tenant.
#[tokio::test]
async fn hot_queries_use_their_index_where_nothing_is_known_of_the_tables() {
    each(async |f| check(f, &fill(30_000).replace("ANALYZE;", ""), Wanted::Index).await).await;
}

/// A plan is kept with its statement, and nothing says that tables have grown.
#[tokio::test]
async fn hot_queries_use_their_index_where_the_tables_were_small() {
    each(async |f| check(f, &fill(100), Wanted::Some).await).await;
}

/// What rows are to be found by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// By the index that the statement was written for.
    Index,
    /// By any of their keys: of a hundred rows each will do.
    Some,
}

/// Explains all of them beside these rows, in their transaction: nobody else sees them and makes statistics of them.
async fn check(f: &Fixture, fill: &str, by: Wanted) {
    let engine = f.store.database.engine();
    let fill = fill.to_owned();
    let explained = f.store.database.write(move |tx| {
        Box::pin(async move {
            if engine == Engine::Postgres {
                tx.script(&fill).await?;
            }
            let mut explained = Vec::new();
            for (sql, values, index) in hot() {
                explained.push((sql, index, tx.explain(sql, values).await?));
            }
            Ok::<_, Failure>(explained)
        })
    });
    let mut wrong = Vec::new();
    for (sql, index, lines) in explained.await.unwrap() {
        let wanted = if by == Wanted::Index { index[usize::from(engine == Engine::Sqlite)] } else { "" };
        // The database's own table has one row, and is read as fast whole.
        let plan = lines.join("\n").replace("Seq Scan on meta", "");
        let whole = ["SCAN users", "SCAN members", "SCAN labels", "SCAN m\n", "Seq Scan", "Cond: (tenant = "];
        if !plan.contains(wanted) || whole.iter().any(|whole| plan.contains(whole)) {
            wrong.push(format!("{sql}\nshould use {wanted} and nothing whole:\n{plan}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
