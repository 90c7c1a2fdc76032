//! Changes of users, and what a reader, the feed and the holdings show of them.

use std::collections::BTreeSet;

use domain::revision::{Position, Revision};
use tokio::task::JoinSet;

use super::fixture::{document, each};
use crate::Failure;
use crate::model::{Actor, Change, Held, Include, UserKey, Wanted};

#[tokio::test]
async fn a_user_is_read_as_it_was_stored() {
    each(async |f| {
        let made = f.create(r#"{"userName":"Ann","emails":[{"value":"a@x"}]}"#).await.unwrap();
        let read = f.store.get_user(&f.tenant, &made.value.id.to_string(), false).await.unwrap();
        assert_eq!((read.value, read.position), (made.value, made.position));
        assert_eq!(made.position.revision, Revision(1));
    })
    .await;
}

#[tokio::test]
async fn a_name_is_unique_in_every_case_and_free_after_a_deletion() {
    each(async |f| {
        let first = f.user("Élodie", &[]).await;
        let taken = Err(Failure::NameTaken { attribute: "userName" });
        assert_eq!(f.create(&document("E\u{301}LODIE", &[])).await, taken);
        let second = f.user("other", &[]).await;
        assert_eq!(f.replace(second, 0, &document("éLODIE", &[])).await, taken);
        f.store.delete_user(&f.tenant, Actor::default(), &first.to_string(), Revision(0)).await.unwrap();
        f.replace(second, 0, &document("éLODIE", &[])).await.unwrap();
        assert_eq!(f.head().await.revision, Revision(4), "what is refused takes no revision");
    })
    .await;
}

#[tokio::test]
async fn what_changes_nothing_leaves_revision_and_feed_alone() {
    each(async |f| {
        let id = f.user("ann", &["AGENT_1_A"]).await;
        let again = r#"{"roles":[{"value":"AGENT_1_A"}], "active":true, "userName":"ann"}"#;
        let answer = f.replace(id, 1, again).await.unwrap();
        assert_eq!((answer.changed, answer.position.revision, answer.value.version), (false, Revision(1), Revision(1)));
        assert_eq!(f.feed().await.len(), 1);
        assert_eq!(f.replace(id, 2, again).await, Err(Failure::VersionMismatch));
    })
    .await;
}

#[tokio::test]
async fn the_stamp_moves_with_access_alone() {
    each(async |f| {
        let id = f.user("ann", &["AGENT_1_A"]).await;
        f.replace(id, 0, r#"{"userName":"ann","active":true,"title":"x","roles":[{"value":"AGENT_1_A"}]}"#)
            .await
            .unwrap();
        let holding = f.holding(id).await.unwrap();
        assert_eq!((holding.version, holding.stamp), (Revision(2), Revision(1)));
        f.replace(id, 0, r#"{"userName":"ann","active":false}"#).await.unwrap();
        let holding = f.holding(id).await.unwrap();
        assert_eq!((holding.active, holding.stamp, holding.labels.len()), (false, Revision(3), 0));
        let takes: Vec<_> = f.feed().await.iter().map(|entry| entry.takes_away).collect();
        assert_eq!(takes, [false, false, true]);
    })
    .await;
}

#[tokio::test]
async fn users_are_found_by_id_name_and_external_id() {
    each(async |f| {
        let id = f.create(r#"{"userName":"Ann","externalId":"7","roles":["A_1_B"]}"#).await.unwrap().value.id;
        for (name, n) in [("b", 8), ("c", 8)] {
            f.create(&format!(r#"{{"userName":"{name}","externalId":"{n}"}}"#)).await.unwrap();
        }
        let keys = vec![
            UserKey::UserName("ANN".into()),
            UserKey::ExternalId("7".into()),
            UserKey::Id("nobody".into()),
            UserKey::UserName("a\0\"\\".into()),
            UserKey::ExternalId("8".into()),
            UserKey::Id(id.to_string()),
        ];
        let include = Include { documents: true, ..Include::default() };
        let found = f.store.get_holdings(&f.tenant, keys, vec![], include).await.unwrap().value.users;
        let read = |held: &Option<Held>| match held {
            Some(Held::Read(holding)) => Some(holding.clone()),
            _ => None,
        };
        let ids: Vec<_> = found.iter().map(|held| read(held).map(|holding| holding.id)).collect();
        assert_eq!(ids, [Some(id), Some(id), None, None, None, Some(id)], "two have the externalId 8");
        let holding = read(&found[0]).unwrap();
        assert!(holding.document.is_some() && holding.labels.values().all(|through| through.direct));
    })
    .await;
}

#[tokio::test]
async fn changes_at_one_time_each_take_a_revision_of_their_own_in_the_order_of_the_feed() {
    each(async |f| {
        let mut writers = JoinSet::new();
        for n in 0..200 {
            let (store, tenant) = (f.store.clone(), f.tenant.clone());
            // Every second name is taken by its neighbour: failures among the successes of one transaction.
            let document = document(&format!("user{}", n / 2), &["AGENT_1_A"]);
            writers.spawn(async move { store.create_user(&tenant, Actor::default(), document.into()).await });
        }
        let answers = writers.join_all().await;
        let revisions: BTreeSet<_> = answers.iter().flatten().map(|answer| answer.position.revision.0).collect();
        assert_eq!(revisions, (1..=100).collect());
        assert_eq!(answers.iter().filter(|a| matches!(a, Err(Failure::NameTaken { .. }))).count(), 100);
        let feed: Vec<_> = f.feed().await.iter().map(|entry| entry.revision.0).collect();
        assert_eq!(feed, (1..=100).collect::<Vec<_>>());
        for answer in answers.into_iter().flatten() {
            assert_eq!(answer.value.version, answer.position.revision);
        }
    })
    .await;
}

#[tokio::test]
async fn a_consumer_is_told_what_it_can_no_longer_follow() {
    each(async |f| {
        f.user("ann", &[]).await;
        let head = f.head().await;
        let ahead = Position { revision: Revision(2), ..head };
        assert_eq!(f.store.read_feed(&f.tenant, ahead, Wanted::All, 0).await.unwrap_err(), Failure::EpochMismatch);
        f.store.renew_epoch().await.unwrap();
        assert_eq!(f.store.read_feed(&f.tenant, head, Wanted::All, 0).await.unwrap_err(), Failure::EpochMismatch);
        let nobody = "nobody".parse().unwrap();
        assert_eq!(f.store.read_feed(&nobody, head, Wanted::All, 0).await.unwrap_err(), Failure::TenantNotFound);
        assert_eq!(
            f.store.create_user(&nobody, Actor::default(), document("a", &[]).into()).await.unwrap_err(),
            Failure::TenantNotFound
        );
    })
    .await;
}

#[tokio::test]
async fn a_deletion_is_told_with_the_last_name() {
    each(async |f| {
        let id = f.user("Ann", &[]).await;
        f.store.delete_user(&f.tenant, Actor::default(), &id.to_string(), Revision(1)).await.unwrap();
        let feed = f.feed().await;
        let Change::User { user, access_changed } = &feed[1].change else { panic!("{feed:?}") };
        assert_eq!((user.user_name.as_str(), user.exists, user.active, *access_changed), ("Ann", false, false, true));
        assert!(feed[1].takes_away);
        assert_eq!(f.holding(id).await, None);
    })
    .await;
}
