//! What lists look at is bounded, and whom the bounds concern is found all the same.

use std::collections::BTreeSet;

use domain::id::{GroupId, UserId};
use sql::{Statement, Value, params};

use super::fixture::{Fixture, alike, each, wanted};
use crate::Failure;
use crate::model::{ListRequest, SortBy, Start};

async fn run(f: &Fixture, statements: Vec<Statement>) {
    let run = f.store.database.write(|tx| Box::pin(async move { Ok::<_, Failure>(tx.batch(statements).await?) }));
    run.await.unwrap();
}

/// A group's row, and those of its members.
fn group(f: &Fixture, n: usize, members: &[UserId]) -> (GroupId, Vec<Statement>) {
    const GROUP: &str = "INSERT INTO groups (tenant, id, display_name, display_name_folded, document, member_count, \
         created_at, modified_at, version, stamp) VALUES ($1, $2, $3, $3, $4, $5, 0, 0, 0, 0)";
    const MEMBERS: &str = "INSERT INTO members (tenant, group_id, member_id, added, is_group) \
         SELECT $1, $2, ids.value, 1, 0 FROM {ids:$3} AS ids";
    let (id, name) = (GroupId::new(), format!("g{n}"));
    let document = format!(r#"{{"displayName":"{name}"}}"#).into_bytes();
    let (tenant, count) = (f.tenant.as_str(), i64::try_from(members.len()).unwrap());
    let members = Value::ids(members.iter().map(|id| &id.as_bytes()[..]));
    let group = Statement::new(GROUP, params![tenant, id.as_bytes(), &name, document.as_slice(), count]);
    (id, vec![group, Statement::new(MEMBERS, params![tenant, id.as_bytes(), members])])
}

async fn found(f: &Fixture, filter: &str) -> Result<(usize, Option<u64>), Failure> {
    let page = f.store.list_users(&f.tenant, &wanted(filter, 1, 1_000), false).await?.value;
    Ok((page.items.len(), page.total))
}

/// D08: an address or an external id names one user as a rule, but nothing keeps very many from sharing it.
#[tokio::test]
async fn whom_very_many_share_a_mark_with_is_read_as_one_of_many_and_takes_a_turn() {
    const CROWD: usize = 700;
    const MARKS: &str =
        "INSERT INTO user_emails (tenant, folded, user_id) SELECT $1, 'box@x', ids.value FROM {ids:$2} AS ids";
    const EXTERNAL: &str = "UPDATE users SET external_id = 'X' WHERE tenant = $1 AND id IN {ids:$2}";
    each(async |f| {
        f.create(r#"{"userName":"ann","active":true,"externalId":"A","emails":[{"value":"ann@x"}]}"#).await.unwrap();
        let document = r#"{"userName":"u","externalId":"X","emails":[{"value":"Box@x"}]}"#;
        let crowd = alike(f, CROWD, document).await;
        let ids = || Value::ids(crowd.iter().map(|id| &id.as_bytes()[..]));
        let marks = [MARKS, EXTERNAL].map(|sql| Statement::new(sql, params![f.tenant.as_str(), ids()]));
        run(f, marks.into()).await;
        let (few, many) = (
            [r#"emails.value eq "ann@x""#, r#"externalId eq "A""#],
            [r#"emails.value eq "box@X""#, r#"externalId eq "X""#],
        );
        for filter in many {
            assert_eq!(found(f, filter).await.unwrap(), (CROWD, Some(CROWD as u64)), "{filter}");
            for attribute in [None, Some("userName"), Some("title")] {
                let sort = attribute.map(|name| SortBy { attribute: name.into(), descending: true });
                let mut request = ListRequest { sort, start: Start::After(None), ..wanted(filter, 1, 300) };
                let mut seen = Vec::new();
                loop {
                    let page = f.store.list_users(&f.tenant, &request, false).await.unwrap().value;
                    seen.extend(page.items.into_iter().map(|user| user.id));
                    let Some(next) = page.next else { break };
                    request.start = Start::After(Some(next));
                }
                assert_eq!(seen.len(), CROWD, "{filter} by {attribute:?}");
                assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), crowd.iter().copied().collect());
            }
        }
        let _turns = [f.store.scans.turn(&f.tenant).await.unwrap(), f.store.scans.turn(&f.tenant).await.unwrap()];
        for (filter, waits) in few.into_iter().map(|few| (few, false)).chain(many.map(|many| (many, true))) {
            let answer = found(f, filter).await;
            assert_eq!(matches!(answer, Err(Failure::Busy)), waits, "{filter}");
            assert!(waits || answer.unwrap().0 == 1, "{filter}");
        }
    })
    .await;
}

/// Groups with more members together than may be seen at once are looked at in smaller parts; only one that alone has more
/// is too many.
#[tokio::test]
async fn a_filter_that_must_see_every_member_sees_as_many_groups_at_once_as_it_may() {
    const UNKNOWN: &str = "UPDATE groups SET member_count = 0 WHERE tenant = $1";
    each(async |f| {
        let members: Vec<_> = (0..100_001).map(|_| UserId::new()).collect();
        let mut groups = BTreeSet::new();
        for n in 0..3 {
            let (id, statements) = group(f, n, &members[..40_000]);
            groups.insert(id);
            run(f, statements).await;
        }
        let filter = r#"members.value sw "01""#;
        let walk = async || {
            let mut request = ListRequest { start: Start::After(None), ..wanted(filter, 1, 100) };
            let mut seen = BTreeSet::new();
            loop {
                let page = f.store.list_groups(&f.tenant, &request).await?.value;
                seen.extend(page.items.into_iter().map(|group| group.id));
                let Some(next) = page.next else { return Ok::<_, Failure>(seen) };
                request.start = Start::After(Some(next));
            }
        };
        assert_eq!(walk().await.unwrap(), groups);
        // Even if their number were not known.
        run(f, vec![Statement::new(UNKNOWN, params![f.tenant.as_str()])]).await;
        assert_eq!(walk().await.unwrap(), groups);
        let by_position = f.store.list_groups(&f.tenant, &wanted(filter, 1, 100)).await;
        assert!(matches!(by_position, Err(Failure::TooMany(_))), "120,000 members are looked at for one page");
        run(f, group(f, 3, &members).1).await;
        assert!(matches!(walk().await, Err(Failure::TooMany(_))));
    })
    .await;
}

/// A user shows a thousand groups, and is found by each that it is in.
#[tokio::test]
async fn one_who_is_in_more_groups_than_are_shown_is_found_by_all_of_them() {
    each(async |f| {
        let ann = f.user("ann", &[]).await;
        let mut last = None;
        for n in 0..1_005 {
            let (id, statements) = group(f, n, &[ann]);
            last = Some(id);
            run(f, statements).await;
        }
        let last = last.unwrap();
        for filter in [format!(r#"groups.value eq "{last}""#), r#"groups.display eq "g1004""#.into()] {
            assert_eq!(found(f, &filter).await.unwrap(), (1, Some(1)), "{filter}");
        }
        let shown = f.store.get_user(&f.tenant, &ann.to_string(), true).await.unwrap().value;
        assert_eq!(shown.groups.len(), 1_000);
    })
    .await;
}

/// How many are active and how many are not is known without counting, whatever becomes of them.
#[tokio::test]
async fn the_active_and_the_inactive_are_counted_as_they_come_and_go() {
    const MISCOUNTED: &str = "UPDATE tenants SET inactive_count = inactive_count + 7 WHERE id = $1";
    each(async |f| {
        let counts = async || {
            let count = async |filter| found(f, filter).await.unwrap();
            (count("active eq true").await, count("active eq false").await)
        };
        let both = |active: usize, inactive: usize| ((active, Some(active as u64)), (inactive, Some(inactive as u64)));
        let user = |name: &str, active: bool| format!(r#"{{"userName":"{name}","active":{active}}}"#);
        let ann = f.create(&user("ann", true)).await.unwrap().value.id;
        let bob = f.create(&user("bob", false)).await.unwrap().value.id;
        f.create(r#"{"userName":"cyd"}"#).await.unwrap();
        assert_eq!(counts().await, both(1, 2));
        f.replace(ann, 0, &user("ann", false)).await.unwrap();
        f.replace(ann, 0, &user("anna", false)).await.unwrap();
        assert_eq!(counts().await, both(0, 3));
        f.replace(bob, 0, &user("bob", true)).await.unwrap();
        assert_eq!(counts().await, both(1, 2));
        assert!(f.create(&user("BOB", false)).await.is_err(), "the name is taken, and nobody is counted");
        let sort = Some(SortBy { attribute: "userName".into(), descending: true });
        let request = ListRequest { sort, ..wanted("active eq false", 1, 10) };
        let page = f.store.list_users(&f.tenant, &request, false).await.unwrap().value;
        assert_eq!((page.items[1].id, page.total), (ann, Some(2)));
        for id in [ann, bob] {
            let version = f.store.get_user(&f.tenant, &id.to_string(), false).await.unwrap().value.version;
            f.store.delete_user(&f.tenant, crate::model::Actor::default(), &id.to_string(), version).await.unwrap();
        }
        assert_eq!(counts().await, both(0, 1));
        // A replica that does not count them has written meanwhile.
        run(f, vec![Statement::new(MISCOUNTED, params![f.tenant.as_str()])]).await;
        assert_eq!(found(f, "active eq false").await.unwrap().1, Some(8));
        f.store.recount().await.unwrap();
        assert_eq!(counts().await, both(0, 1));
    })
    .await;
}
