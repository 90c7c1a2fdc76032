//! What an index is promised for is found by it: the plans of lists, on each engine, with enough rows that the planner
//! has a choice, which is left to it.

use scim::sort::Key;
use sql::{Engine, Value, params};

use super::fixture::{each, wanted};
use super::plans::fill;
use crate::Failure;
use crate::model::{ListRequest, SortBy, Spot, Start};
use crate::store::filter::Kind;
use crate::store::{lists, user_groups};

/// A list, and the index that PostgreSQL and SQLite find its first rows by.
struct Shape {
    kind: Kind,
    request: ListRequest,
    index: [&'static str; 2],
    /// Whether it reads the tenant's rows one after the other, in the index's order, as many as are wanted.
    in_order: bool,
}

fn id(n: u8) -> String {
    format!("00000000-0000-0000-0000-0000000000{n:02x}")
}

fn filtered(kind: Kind, filter: &str, index: [&'static str; 2]) -> Shape {
    Shape { kind, request: wanted(filter, 1, 100), index, in_order: false }
}

fn ordered(kind: Kind, sort: Option<(&str, bool)>, start: Start, index: [&'static str; 2]) -> Shape {
    let sort = sort.map(|(attribute, descending)| SortBy { attribute: attribute.into(), descending });
    Shape { kind, request: ListRequest { sort, start, ..wanted("", 1, 100) }, index, in_order: true }
}

fn inactive_by_name(start: Start) -> Shape {
    let index = "users_inactive_by_name";
    let mut shape = ordered(Kind::Users, Some(("userName", false)), start, [index, index]);
    "active eq false".clone_into(&mut shape.request.filter);
    shape
}

/// A page after one that ended there.
fn after(key: Option<&str>) -> Start {
    Start::After(Some(Spot { key: key.map(|key| Key::Text(key.into())), id: [7; 16] }))
}

fn shapes() -> Vec<Shape> {
    use Kind::{Groups, Users};
    let both = |name| [name, name];
    let one = id(9);
    let users = [
        (format!(r#"id eq "{one}""#), ["users_pkey", "id=?"]),
        (r#"userName eq "U7""#.into(), both("users_by_name")),
        (r#"externalId eq "x7""#.into(), both("users_by_external_id")),
        (r#"emails.value eq "u7""#.into(), ["user_emails_pkey", "folded=?"]),
        (r#"emails[type eq "work" and value eq "u7"]"#.into(), ["user_emails_pkey", "folded=?"]),
        (r#"userName eq "u7" or userName eq "u8""#.into(), both("users_by_name")),
        (r#"title co "x" and (userName eq "u7" or externalId eq "x9")"#.into(), both("users_by_external_id")),
        (r#"userName sw "u77""#.into(), both("users_by_name")),
        (r#"roles.value eq "l7""#.into(), both("labels_by_text")),
        (format!(r#"groups.value eq "{one}""#), ["members_pkey", "group_id=?"]),
        ("active eq false".into(), both("users_inactive")),
        (r#"active eq false and title co "x""#.into(), both("users_inactive")),
    ];
    let groups = [
        (r#"displayName eq "G7""#.into(), both("groups_by_name")),
        (r#"displayName sw "g77""#.into(), both("groups_by_name")),
        (r#"externalId eq "x7""#.into(), both("groups_by_external_id")),
        (format!(r#"members.value eq "{one}""#), both("members_by_member")),
        (format!(r#"members[value eq "{one}" and type eq "User"]"#), both("members_by_member")),
    ];
    let users = users.into_iter().map(|(filter, index)| {
        // The index holds nobody else.
        let in_order = index == both("users_inactive");
        Shape { in_order, ..filtered(Users, &filter, index) }
    });
    let groups = groups.into_iter().map(|(filter, index)| filtered(Groups, &filter, index));
    let by_id = ["users_pkey", "sqlite_autoindex_users_1"];
    let ordered = [
        ordered(Users, None, Start::Index(1), by_id),
        ordered(Users, None, Start::Index(10_001), by_id),
        ordered(Users, None, after(None), by_id),
        ordered(Users, Some(("id", true)), after(None), by_id),
        ordered(Users, Some(("userName", false)), Start::Index(1), both("users_by_name")),
        ordered(Users, Some(("userName", true)), after(Some("u7")), both("users_by_name")),
        inactive_by_name(Start::Index(1)),
        inactive_by_name(Start::Index(501)),
        inactive_by_name(after(Some("u7"))),
        ordered(Groups, None, after(None), ["groups_pkey", "sqlite_autoindex_groups_1"]),
        ordered(Groups, Some(("displayName", false)), after(Some("g7")), both("groups_by_name")),
    ];
    users.chain(groups).chain(ordered).collect()
}

#[tokio::test]
async fn lists_are_found_by_the_index_that_is_promised() {
    each(async |f| {
        let engine = f.store.database.engine();
        if engine == Engine::Postgres {
            f.store.database.write(|tx| Box::pin(async move { tx.script(&fill(100_000)).await })).await.unwrap();
        }
        let tenant = "t".parse().unwrap();
        let which = usize::from(engine == Engine::Sqlite);
        for Shape { kind, request, index, in_order } in shapes() {
            let plan = match kind {
                Kind::Users => f.store.plan_users(&tenant, &request).await.unwrap(),
                Kind::Groups => f.store.plan_groups(&tenant, &request).await.unwrap(),
            };
            check(engine, &format!("{request:?}"), &plan, index[which], in_order);
        }
        // What is told of those that were found: the members of groups, the groups of users.
        let ids = || Value::ids([&[0_u8; 16][..], &[9; 16]]);
        for (sql, values, index) in [
            (lists::MEMBERS, params!["t", ids(), 10], ["members_pkey", "group_id=?"]),
            (lists::WITNESSES, params!["t", ids(), ids()], ["members_pkey", "group_id=?"]),
            (user_groups::OF_MANY, params!["t", ids(), 10], ["members_by_member", "members_by_member"]),
        ] {
            let plan = f.store.database.read(move |tx| Box::pin(async move { tx.explain(sql, values).await }));
            check(engine, sql, &plan.await.map_err(Failure::from).unwrap(), index[which], false);
        }
    })
    .await;
}

/// While an import runs PostgreSQL takes a tenant's outcomes for a handful, and would go through all of them for each user.
#[tokio::test]
async fn the_outcome_of_each_user_is_looked_up_also_where_nothing_is_known_of_the_tables() {
    each(async |f| {
        if f.store.database.engine() == Engine::Sqlite {
            return;
        }
        let fill = fill(30_000).replace("ANALYZE;", "");
        f.store.database.write(move |tx| Box::pin(async move { tx.script(&fill).await })).await.unwrap();
        for (filter, start) in [("", Start::Index(1)), ("", after(None)), (r#"userName eq "u7""#, Start::Index(1))] {
            let request = ListRequest { start, ..wanted(filter, 1, 100) };
            let plan = f.store.plan_users(&"t".parse().unwrap(), &request).await.unwrap().join("\n");
            assert!(plan.contains("Cond: ((tenant = r.tenant) AND (user_id = r.id))"), "{request:?}\n{plan}");
        }
    })
    .await;
}

fn check(engine: Engine, asked: &str, plan: &[String], index: &str, in_order: bool) {
    let text = plan.join("\n");
    assert!(text.contains(index), "{asked}\nshould use {index}:\n{text}");
    for line in plan.iter().map(|line| line.trim_end()) {
        let everything = match engine {
            // The lists that are sent with a statement are scanned, and what a part of it has found.
            Engine::Sqlite => {
                let tables = ["users", "groups", "members", "labels", "user_emails", "c", "m", "g"];
                // Elsewhere it is what a recursive part has found.
                let listed = asked.starts_with("ListRequest").then_some("r");
                tables.into_iter().chain(listed).any(|table| line == format!("SCAN {table}"))
                    || (!in_order && line.ends_with("(tenant=?)"))
            }
            Engine::Postgres => {
                line.contains("Seq Scan on") || (!in_order && line.ends_with("Cond: (tenant = 't'::text)"))
            }
        };
        assert!(!everything, "{asked}\nreads everything:\n{text}");
    }
}
