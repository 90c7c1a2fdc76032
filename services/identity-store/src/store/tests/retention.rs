//! Forgetting takes small steps: changes wait for none of them for long.

use domain::id::GroupId;
use sql::{Statement, Value, params};

use super::fixture::each;
use crate::Failure;
use crate::store::retention::Past;

#[tokio::test]
async fn what_is_forgotten_at_a_time_is_bounded_by_rows() {
    const LEFT: &str = "INSERT INTO members (tenant, group_id, member_id, added, removed, is_group) \
         SELECT $1, $2, ids.value, 1, 2, 0 FROM {ids:$3} AS ids";
    const GONE: &str = "INSERT INTO deleted_users (tenant, id, user_name, revision) \
         SELECT $1, ids.value, 'u', 2 FROM {ids:$2} AS ids";
    each(async |f| {
        let (tenant, group) = (f.tenant.as_str().to_owned(), GroupId::new());
        let fill = f.store.database.write(move |tx| {
            Box::pin(async move {
                let ids: Vec<_> = (0..7_000_u128).map(u128::to_be_bytes).collect();
                let ids = Value::ids(ids.iter().map(|id| &id[..]));
                let mut values = params![tenant.as_str(), group.as_bytes()];
                values.push(ids.clone());
                let mut names = params![tenant.as_str()];
                names.push(ids);
                let floor = Statement::new("UPDATE tenants SET feed_floor = 2 WHERE id = $1", params![tenant.as_str()]);
                tx.batch(vec![Statement::new(LEFT, values), Statement::new(GONE, names), floor]).await?;
                Ok::<_, Failure>(())
            })
        });
        fill.await.unwrap();
        for past in [Past::Members, Past::Names] {
            for rows in [5_000, 2_000, 0] {
                assert_eq!(f.store.forget_past(&f.tenant, past).await, Ok(rows), "{past:?}");
            }
        }
    })
    .await;
}
