//! The statements of the work list use the index they were written for, however much history lies beside what is due.
//! `L10`

use sql::{Engine, Value, params};

use super::each;
use crate::store::{enqueue, work};

/// Mostly history. PostgreSQL plans by what is there.
const HISTORY: &str = "
    INSERT INTO push_work SELECT 'TENANT', 'u' || n, decode(lpad(to_hex(n), 32, '0'), 'hex'), 'u', '\\x00', n, 0, 0,
        CASE WHEN n % 1000 = 0 THEN n / 1000 % 3 ELSE 0 END, NULL, CASE WHEN n % 1000 = 0 THEN n END, 0, '', 0, 0,
        NULL, NULL, NULL FROM generate_series(1, 20000) AS n;
    INSERT INTO push_ledger SELECT 'TENANT', 'u' || n, decode(lpad(to_hex(n), 32, '0'), 'hex'), 'u', 'f' || n, 'ours',
        0, NULL, NULL, NULL FROM generate_series(1, 20000) AS n;
    ANALYZE push_work; ANALYZE push_ledger;
";

#[tokio::test]
async fn what_is_due_is_found_without_a_look_at_what_is_done() {
    each(async |store, tenant| {
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
                    tx.script(&HISTORY.replace("TENANT", &name)).await?;
                    // Such small tables are read as fast whole.
                    tx.script("SET LOCAL enable_seqscan = off").await?;
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
            assert!(!plan.contains("(tenant=?)"), "a look at all of a tenant:\n{sql}\n{plan}");
        }
    })
    .await;
}
