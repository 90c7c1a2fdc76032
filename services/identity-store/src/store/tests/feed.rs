//! The feed: how large changes are told, whom they concern, and what is forgotten.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::catalogue::Place;
use domain::id::{GroupId, UserId};
use domain::revision::{Position, Revision};
use sql::params;

use super::fixture::{Fixture, document, each, many_users};
use crate::Failure;
use crate::model::{Actor, CatalogueRead, Change, GroupUpdate, RulesRead, Wanted};
use crate::store::retention::Past;

async fn group(f: &Fixture, name: &str, labels: &[&str], members: &[String]) -> GroupId {
    let document = serde_json::json!({ "displayName": name, "roles": labels }).to_string();
    f.store.create_group(&f.tenant, Actor::default(), document.into(), members, false).await.unwrap().value.id
}

async fn affected(f: &Fixture, revision: u64) -> Vec<(UserId, bool)> {
    let position = Position { revision: Revision(revision), ..f.head().await };
    let mut list = f.store.affected_users(&f.tenant, position).await.unwrap();
    let mut all = Vec::new();
    while let Some(page) = f.store.more_affected(&mut list).await.unwrap() {
        assert!(page.len() <= 5_000);
        all.extend(page.into_iter().map(|user| (user.id, user.exists)));
    }
    all
}

#[tokio::test]
async fn fifty_thousand_members_are_one_change_in_parts() {
    each(async |f| {
        let ids = many_users(f, 50_000).await;
        let names: Vec<_> = ids.iter().map(ToString::to_string).collect();
        let staff = group(f, "staff", &["ACCOUNT_0_A"], &names).await;
        let feed = f.feed().await;
        assert!(feed.iter().all(|entry| entry.revision == Revision(1)));
        let told: Vec<_> = feed
            .iter()
            .filter_map(|entry| match &entry.change {
                Change::Members { added, .. } => Some(added.len()),
                _ => None,
            })
            .collect();
        assert_eq!(told, [5_000; 10]);
        assert_eq!(affected(f, 1).await.len(), 50_000);
        assert_eq!(f.holding(ids[7]).await.unwrap().stamp, Revision(1));

        let update = GroupUpdate { replace_members: true, add: names[..1].to_vec(), ..GroupUpdate::default() };
        let left = f.store.update_group(&f.tenant, Actor::default(), &staff.to_string(), update).await.unwrap();
        assert_eq!(left.value.member_count, 1);
        assert!(f.holding(ids[7]).await.unwrap().labels.is_empty());
        let gone: BTreeSet<_> = affected(f, 2).await.into_iter().map(|(id, _)| id).collect();
        assert_eq!(gone, ids[1..].iter().copied().collect());
    })
    .await;
}

#[tokio::test]
async fn a_list_of_those_concerned_whose_entry_is_forgotten_meanwhile_does_not_end_as_if_it_were_whole() {
    const FORGET: &str = "UPDATE tenants SET feed_floor = 2 WHERE id = $1";
    each(async |f| {
        let ids = many_users(f, 6_000).await;
        let names: Vec<_> = ids.iter().map(ToString::to_string).collect();
        let staff = group(f, "staff", &["ACCOUNT_0_A"], &names).await;
        let left = GroupUpdate { replace_members: true, ..GroupUpdate::default() };
        f.store.update_group(&f.tenant, Actor::default(), &staff.to_string(), left).await.unwrap();
        let position = Position { revision: Revision(2), ..f.head().await };
        let mut list = f.store.affected_users(&f.tenant, position).await.unwrap();
        assert_eq!(f.store.more_affected(&mut list).await.unwrap().unwrap().len(), 5_000);
        // The rest left at the revision, which only the memberships that are forgotten with it tell.
        let tenant = f.tenant.clone();
        let forget = f.store.database.write(move |tx| {
            Box::pin(async move { Ok::<_, Failure>(tx.execute(FORGET, params![tenant.as_str()]).await?) })
        });
        forget.await.unwrap();
        while f.store.forget_past(&f.tenant, Past::Members).await.unwrap() > 0 {}
        assert_eq!(f.store.more_affected(&mut list).await.err(), Some(Failure::FeedTruncated));
    })
    .await;
}

#[tokio::test]
async fn of_more_members_than_an_answer_can_name_no_more_are_named() {
    each(async |f| {
        let ids = many_users(f, 50_000).await;
        let names: Vec<_> = ids.iter().map(ToString::to_string).collect();
        let staff = group(f, "staff", &["ACCOUNT_0_A"], &names).await;
        // As many parts of one revision as a group has that grew to millions.
        let grow = "INSERT INTO feed (tenant, revision, part, at, takes_away, kind, payload) \
                      SELECT tenant, revision, part + 100 * $2, at, takes_away, kind, payload FROM feed \
                      WHERE tenant = $1 AND kind = 'members' AND part < 100";
        let tenant = f.tenant.clone();
        let grown = f.store.database.write(move |tx| {
            Box::pin(async move {
                for copy in 1..=5_i64 {
                    tx.execute(grow, params![tenant.as_str(), copy]).await?;
                }
                Ok::<_, Failure>(())
            })
        });
        grown.await.unwrap();
        let feed = f.feed().await;
        let (mut told, mut untold) = (0, 0);
        for entry in &feed {
            if let Change::Members { group, added, removed: _ } = &entry.change {
                assert_eq!((*group, added.is_empty()), (staff, entry.unnamed));
                *(if entry.unnamed { &mut untold } else { &mut told }) += 1;
            }
        }
        assert_eq!((told, told + untold), (42, 60), "8 MiB of names are told");
    })
    .await;
}

#[tokio::test]
async fn a_catalogue_concerns_the_holders_of_labels_that_name_what_changed() {
    each(async |f| {
        let store_1 = Place { id: "1".into(), reference: Some("CHIC-01".into()) };
        let read = |roles: &[&str], locations: Vec<Place>| CatalogueRead {
            fence: 1,
            wanted_seen: 0,
            roles: roles.iter().map(ToString::to_string).collect(),
            retailers: vec![],
            locations,
            rules: RulesRead::Unasked,
        };
        f.store.put_catalogue(&f.tenant, read(&["A", "B"], vec![])).await.unwrap();
        let by_role = f.user("by-role", &["ACCOUNT_0_C"]).await;
        let by_ref = f.user("by-ref", &["agent_CHIC-01_A"]).await;
        let through_group = f.user("through-group", &[]).await;
        f.user("other", &["ACCOUNT_0_A", "RETAILER_1_B"]).await;
        group(f, "staff", &["AGENT_1_B"], &[through_group.to_string()]).await;
        let put = f.store.put_catalogue(&f.tenant, read(&["A", "B", "C"], vec![store_1])).await.unwrap();
        let concerned: BTreeSet<_> = affected(f, put.position.revision.0).await.into_iter().map(|(id, _)| id).collect();
        assert_eq!(concerned, [by_role, by_ref, through_group].into());
        assert_eq!(affected(f, 1).await.len(), 4, "the first catalogue concerns everyone");
    })
    .await;
}

#[tokio::test]
async fn who_holds_more_labels_than_can_be_read_is_concerned_by_every_catalogue() {
    each(async |f| {
        let read = |roles: &[&str]| CatalogueRead {
            fence: 1,
            wanted_seen: 0,
            roles: roles.iter().map(ToString::to_string).collect(),
            retailers: vec![],
            locations: vec![],
            rules: RulesRead::Unasked,
        };
        f.store.put_catalogue(&f.tenant, read(&["A"])).await.unwrap();
        let many: Vec<_> = (0..4_900).map(|n| format!("AGENT_{n}_X_Y")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let ann = f.user("ann", &many).await;
        f.user("bob", &["AGENT_1_A"]).await;
        let kept = |statement: &'static str| async move {
            let row = f
                .store
                .database
                .read(move |tx| Box::pin(async move { Ok::<_, Failure>(tx.row(statement, vec![]).await?) }));
            row.await.unwrap().unwrap().int(0).unwrap()
        };
        assert_eq!(kept("SELECT COUNT(*) FROM label_readings").await, 2, "one that says there are too many");
        let put = f.store.put_catalogue(&f.tenant, read(&["A", "B"])).await.unwrap().position.revision.0;
        assert_eq!(affected(f, put).await, [(ann, true)]);
        f.replace(ann, 0, &document("ann", &many[..1])).await.unwrap();
        assert_eq!(kept("SELECT COUNT(*) FROM label_readings").await, 3);
        let put = f.store.put_catalogue(&f.tenant, read(&["A", "B", "C"])).await.unwrap().position.revision.0;
        assert!(affected(f, put).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_group_concerns_who_was_in_it_even_when_both_are_gone() {
    each(async |f| {
        let (ann, bob) = (f.user("ann", &[]).await, f.user("bob", &[]).await);
        let inner = group(f, "inner", &[], &[ann.to_string()]).await;
        let outer = group(f, "outer", &["ACCOUNT_0_A"], &[inner.to_string(), bob.to_string()]).await;
        let gone = f.store.delete_group(&f.tenant, Actor::default(), &outer.to_string(), Revision(0)).await.unwrap();
        f.store.delete_user(&f.tenant, Actor::default(), &ann.to_string(), Revision(0)).await.unwrap();
        assert_eq!(affected(f, gone.position.revision.0).await, [(ann, false), (bob, true)]);
        let inner = f.store.get_group(&f.tenant, &inner.to_string()).await.unwrap();
        assert_eq!((inner.value.member_count, inner.value.version), (0, inner.position.revision));
    })
    .await;
}

#[tokio::test]
async fn what_is_older_than_seven_days_is_forgotten() {
    each(async |f| {
        let ann = f.user("ann", &[]).await;
        group(f, "staff", &[], &[ann.to_string()]).await;
        f.store.delete_user(&f.tenant, Actor::default(), &ann.to_string(), Revision(0)).await.unwrap();
        f.clock.advance(Duration::from_hours(24 * 7));
        f.user("bob", &[]).await;
        f.store.forget_old().await.unwrap();
        assert_eq!(f.feed().await.len(), 5, "seven days are not over");
        f.clock.advance(Duration::from_micros(1));
        f.store.forget_old().await.unwrap();
        let head = f.head().await;
        let read = |revision| {
            let at = Position { revision: Revision(revision), ..head };
            async move { f.store.read_feed(&f.tenant, at, Wanted::All, 0).await.map(|read| read.value.entries.len()) }
        };
        assert_eq!((read(2).await, read(3).await), (Err(Failure::FeedTruncated), Ok(1)));
        let left = f.store.database.read(|tx| {
            Box::pin(async move { Ok::<_, Failure>(tx.row("SELECT COUNT(*) FROM members", vec![]).await?) })
        });
        assert_eq!(left.await.unwrap().unwrap().int(0).unwrap(), 0);
    })
    .await;
}
