//! The statements of the work list use the index they were written for, however much history lies beside what is due.
//! `L10`

use sql::{Engine, Value, params};

use super::each_of_its_own;
use crate::store::{enqueue, work};

/// Mostly history. PostgreSQL plans by what is there.
const HISTORY: &str = "
    INSERT INTO push_work SELECT 'TENANT', 'u' || n, decode(lpad(to_hex(n), 32, '0'), 'hex'), 'u', '\\x00', n, 0, 0,
        CASE WHEN n % 1000 = 0 THEN n / 1000 % 3 ELSE 0 END, NULL, CASE WHEN n % 1000 = 0 THEN n END, 0, '', 0, 0,
        NULL, NULL, NULL FROM generate_series(1, COUNT) AS n;
    INSERT INTO push_ledger SELECT 'TENANT', 'u' || n, decode(lpad(to_hex(n), 32, '0'), 'hex'), 'u', 'f' || n, 'ours',
        0, NULL, NULL, NULL FROM generate_series(1, COUNT) AS n;
";

#[tokio::test]
async fn what_is_due_is_found_without_a_look_at_what_is_done() {
    check(20_000, "ANALYZE").await;
}

/// While a tenant is new PostgreSQL knows nothing of the tables but their size.
#[tokio::test]
async fn what_is_due_is_found_without_it_where_nothing_is_known_of_the_tables() {
    check(20_000, "").await;
}

/// A plan is kept with its statement, and nothing says that tables have grown.
#[tokio::test]
async fn what_is_due_is_found_without_it_where_the_tables_were_small() {
    check(100, "ANALYZE").await;
}

/// Explains what is asked all the time beside the history, in its transaction: nobody else sees it and makes statistics of
/// it.
async fn check(count: u32, known: &'static str) {
    each_of_its_own(async |store, tenant| {
        let name = tenant.as_str().to_owned();
        let ids = || Value::ids([&[1_u8; 16][..]]);
        let plans: Vec<(&'static str, Vec<Value>, &[&str])> = vec![
            (work::CLAIM, params![&name, 9, 4, 4, 99, "one"], &["push_work_due"]),
            (work::NEXT_DUE, params![&name, 9], &["push_work_due"]),
            (enqueue::WORK, params![&name, Value::texts(["u"]), ids()], &["push_work_user", "push_ledger_user"]),
            (enqueue::LEDGER, params![&name, Value::texts(["u"]), ids()], &["push_ledger_user"]),
            (enqueue::DELETE, params![&name, Value::texts(["u"])], &[]),
        ];
        let plans = store.database.write(move |tx| {
            Box::pin(async move {
                if tx.engine() == Engine::Postgres {
                    tx.script(&HISTORY.replace("TENANT", &name).replace("COUNT", &count.to_string())).await?;
                    tx.script(known).await?;
                }
                let mut explained = Vec::new();
                for (sql, values, wanted) in plans {
                    explained.push((sql, wanted, tx.explain(sql, values).await?.join("\n")));
                }
                Ok::<_, sql::Error>(explained)
            })
        });
        for (sql, wanted, plan) in plans.await.unwrap() {
            for index in wanted {
                assert!(plan.contains(index), "{sql}\nshould use {index}:\n{plan}");
            }
            for whole in ["Seq Scan on push", "SCAN push", "SCAN w", "SCAN l"] {
                assert!(!plan.contains(whole), "{sql}\n{plan}");
            }
            for all in ["(tenant=?)", "Cond: (tenant = "] {
                assert!(!plan.contains(all), "a look at all of a tenant:\n{sql}\n{plan}");
            }
        }
    })
    .await;
}
