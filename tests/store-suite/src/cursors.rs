//! Cursors are attacker input: what this store did not make for this list of this tenant opens nothing.

use std::time::Duration;

use proto::identity::v1::{ListGroupsRequest, ListUsersRequest, Sort};
use runtime::error::{Error, Reason};

use crate::Backend;
use crate::documents::{group, user};
use crate::tenant::Tenant;

fn asking(tenant: &str, cursor: &str) -> ListUsersRequest {
    ListUsersRequest { tenant: tenant.to_owned(), cursor: Some(cursor.to_owned()), count: 2, ..Default::default() }
}

async fn page(tenant: &Tenant, request: ListUsersRequest) -> Result<(Vec<String>, String), Error> {
    let answer = tenant.users().list_users(request).await.map_err(Error::from)?.into_inner();
    Ok((answer.users.into_iter().map(|user| user.id).collect(), answer.next_cursor))
}

/// B04: forged, truncated, of another tenant or another list, with SQL and JSON inside. Each is refused as no
/// cursor of ours before anything is looked up: also where there is no such tenant.
pub async fn a_cursor_that_was_not_made_for_a_list_opens_nothing(backend: &Backend) {
    let (tenant, other) = (Tenant::new(backend).await, Tenant::new(backend).await);
    let mut all = Vec::new();
    for n in 0..5 {
        all.push(tenant.user(&user(&format!("u{n}"))).await);
        other.user(&user(&format!("u{n}"))).await;
    }
    tenant.group(&group("g"), &[]).await;
    let (first, cursor) = page(&tenant, asking(&tenant.name, "")).await.unwrap();
    assert_eq!(first, all[..2]);

    let mut forged: Vec<_> = (0..cursor.len())
        .map(|at| {
            let mut changed = cursor.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            String::from_utf8(changed).unwrap()
        })
        .collect();
    forged.extend((1..cursor.len()).map(|length| cursor[..length].to_owned()));
    let junk = ["x", "' OR 1=1 --", "1; DROP TABLE users", "{\"id\":null}", "[]", "\0", "ü", "%00", "AAAA"];
    forged.extend(junk.map(str::to_owned));
    forged.extend([format!("{cursor}{cursor}"), format!("{cursor} "), "A".repeat(100_000)]);
    // PostgreSQL would have to be asked each time, had the cursor not been looked at first.
    for name in [&*tenant.name, "nobody-has-this-name"] {
        for cursor in &forged {
            let refused = page(&tenant, asking(name, cursor)).await.unwrap_err();
            assert_eq!(refused.reason(), Reason::INVALID_CURSOR, "{cursor}");
            assert!(!refused.to_string().contains("DROP"), "nothing of it is repeated");
        }
    }
    let good = asking(&tenant.name, &cursor);
    let by_name = |descending| Some(Sort { attribute: "userName".into(), descending });
    for elsewhere in [
        asking(&other.name, &cursor),
        ListUsersRequest { filter: "active eq true".into(), ..good.clone() },
        ListUsersRequest { sort: by_name(false), ..good.clone() },
        ListUsersRequest { sort: by_name(true), ..good.clone() },
    ] {
        assert_eq!(page(&tenant, elsewhere).await.unwrap_err().reason(), Reason::INVALID_CURSOR);
    }
    let groups =
        ListGroupsRequest { tenant: tenant.name.clone(), cursor: Some(cursor), count: 2, ..Default::default() };
    let refused = Error::from(tenant.groups().list_groups(groups).await.unwrap_err());
    assert_eq!(refused.reason(), Reason::INVALID_CURSOR);

    let (second, last) = page(&tenant, good.clone()).await.unwrap();
    assert_eq!(
        (&second[..], page(&tenant, asking(&tenant.name, &last)).await.unwrap().0),
        (&all[2..4], all[4..].to_vec())
    );
    backend.insider.pass_time(Duration::from_mins(61)).await;
    assert_eq!(page(&tenant, good).await.unwrap_err().reason(), Reason::EXPIRED_CURSOR);
}
