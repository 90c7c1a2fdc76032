//! Lists: filters over what is indexed, and pages.

use runtime::error::Reason;

use crate::Backend;
use crate::documents::{group, user};
use crate::tenant::Tenant;

/// `eq` on each attribute that may be asked for, alone and joined by `and`; case counts where SCIM says so.
pub async fn users_are_found_by_what_the_filter_names(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let ann = tenant.user(&user("Ann").external_id("X1").email("Ann@Example.com")).await;
    let bob = tenant.user(&user("bob").external_id("x1").email("bob@example.com").inactive()).await;
    let both: &[&str] = &[&ann, &bob];
    let cases: [(String, &[&str]); 14] = [
        (String::new(), both),
        ("userName eq \"ANN\"".into(), &[&ann]),
        ("userName eq \"An\"".into(), &[]),
        ("userName eq \"A%\"".into(), &[]),
        ("externalId eq \"X1\"".into(), &[&ann]),
        ("externalId eq \"x1\"".into(), &[&bob]),
        (format!("id eq \"{bob}\""), &[&bob]),
        ("id eq \"no id\"".into(), &[]),
        ("emails.value eq \"ANN@example.com\"".into(), &[&ann]),
        ("active eq true".into(), &[&ann]),
        ("active eq false".into(), &[&bob]),
        ("active eq false and userName eq \"BOB\"".into(), &[&bob]),
        ("active eq true and userName eq \"bob\"".into(), &[]),
        (format!("externalId eq \"X1\" and emails.value eq \"ann@example.com\" and id eq \"{ann}\""), &[&ann]),
    ];
    for (filter, expected) in cases {
        let page = tenant.list_users(&filter, 1, 10).await.unwrap();
        let mut found: Vec<_> = page.users.iter().map(|user| &*user.id).collect();
        found.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "{filter}");
        assert_eq!(page.total_results, expected.len() as u64, "{filter}");
    }
}

/// The same for groups.
pub async fn groups_are_found_by_what_the_filter_names(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let staff = tenant.group(&group("Staff").external_id("X1"), &[]).await;
    let other = tenant.group(&group("Other"), &[]).await;
    let cases: [(String, Vec<&String>); 5] = [
        ("displayName eq \"STAFF\"".into(), vec![&staff]),
        ("externalId eq \"X1\"".into(), vec![&staff]),
        ("externalId eq \"x1\"".into(), vec![]),
        (format!("id eq \"{other}\""), vec![&other]),
        ("displayName eq \"staff\" and externalId eq \"X2\"".into(), vec![]),
    ];
    for (filter, expected) in cases {
        let page = tenant.list_groups(&filter).await.unwrap();
        let found: Vec<_> = page.groups.iter().map(|group| &group.id).collect();
        assert_eq!(found, expected, "{filter}");
        assert_eq!(page.total_results, expected.len() as u64, "{filter}");
    }
    assert_eq!(tenant.list_groups("").await.unwrap().total_results, 2);
}

/// Pages of any size, put together, are the list; `startIndex` counts from 1, and a page past the end is empty.
pub async fn pages_cover_the_list_once(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    for n in 0..7 {
        tenant.user(&user(&format!("u{n}"))).await;
    }
    let whole: Vec<_> = tenant.list_users("", 1, 10).await.unwrap().users.into_iter().map(|user| user.id).collect();
    for filter in ["", "active eq true"] {
        let mut paged = Vec::new();
        for start in [1, 4, 7] {
            let page = tenant.list_users(filter, start, 3).await.unwrap();
            assert_eq!(page.total_results, 7);
            paged.extend(page.users.into_iter().map(|user| user.id));
        }
        assert_eq!(paged, whole);
        for (start, count, found) in [(8, 3, 0), (1, 0, 0), (0, 2, 2), (u32::MAX, 1_000, 0)] {
            let page = tenant.list_users(filter, start, count).await.unwrap();
            assert_eq!((page.users.len(), page.total_results), (found, 7));
        }
    }
}

/// A filter that is none is refused; it never means all.
pub async fn a_filter_that_cannot_be_read_finds_nobody_but_an_error(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    tenant.user(&user("ann")).await;
    for filter in ["userName", "userName eq", "userName eq \"ann\" or", "(", "nothing eq \"x\"", "'; DROP TABLE users"]
    {
        let answer = tenant.list_users(filter, 1, 10).await;
        assert_eq!(answer.unwrap_err().reason(), Reason::INVALID_FILTER, "{filter}");
    }
}
