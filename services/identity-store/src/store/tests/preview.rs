//! A preview of so many that they are looked at in several reads: what it compares stands still, or it ends.

use domain::id::GroupId;
use domain::revision::Revision;

use super::fixture::{Fixture, each, many_users};
use crate::Failure;
use crate::model::{Actor, CatalogueRead, GroupUpdate, RulesRead};
use crate::store::preview::Preview;

/// A preview of other labels for a group of 1,500, of whom 1,000 were looked at.
async fn begun(f: &Fixture) -> (GroupId, Vec<String>, Preview) {
    let read = CatalogueRead {
        fence: 1,
        wanted_seen: 0,
        roles: ["A", "B"].map(String::from).into(),
        retailers: vec![],
        locations: vec![],
        rules: RulesRead::Unasked,
    };
    f.store.put_catalogue(&f.tenant, read).await.unwrap();
    let members: Vec<_> = many_users(f, 1_500).await.iter().map(ToString::to_string).collect();
    let document = serde_json::json!({ "displayName": "staff", "roles": ["ACCOUNT_0_A"] }).to_string();
    let staff = f.store.create_group(&f.tenant, Actor::default(), document.into(), &members, false).await.unwrap();
    let labels = ["ACCOUNT_0_B".to_owned()];
    let mut preview = f.store.preview_labels(&f.tenant, staff.value.id, &labels).await.unwrap();
    assert_eq!(f.store.more_differences(&mut preview).await.unwrap().unwrap().value.len(), 1_000);
    (staff.value.id, members, preview)
}

#[tokio::test]
async fn a_preview_of_a_group_that_is_deleted_meanwhile_does_not_end_as_if_it_were_whole() {
    each(async |f| {
        let (staff, _, mut preview) = begun(f).await;
        f.store.delete_group(&f.tenant, Actor::default(), &staff.to_string(), Revision(0)).await.unwrap();
        assert_eq!(f.store.more_differences(&mut preview).await.err(), Some(Failure::Moved));
    })
    .await;
}

#[tokio::test]
async fn a_group_that_is_deleted_before_its_members_are_listed_has_moved_too() {
    each(async |f| {
        let (staff, _, mut preview) = begun(f).await;
        assert_eq!(f.store.more_differences(&mut preview).await.unwrap().unwrap().value.len(), 500);
        f.store.delete_group(&f.tenant, Actor::default(), &staff.to_string(), Revision(0)).await.unwrap();
        assert_eq!(f.store.more_differences(&mut preview).await.err(), Some(Failure::Moved));
    })
    .await;
}

#[tokio::test]
async fn who_leaves_a_group_while_it_is_previewed_is_left_out() {
    each(async |f| {
        let (staff, members, mut preview) = begun(f).await;
        let update = GroupUpdate { replace_members: true, add: members[..1].to_vec(), ..GroupUpdate::default() };
        f.store.update_group(&f.tenant, Actor::default(), &staff.to_string(), update).await.unwrap();
        assert!(f.store.more_differences(&mut preview).await.unwrap().unwrap().value.len() <= 1);
        assert!(f.store.more_differences(&mut preview).await.unwrap().is_none());
    })
    .await;
}
