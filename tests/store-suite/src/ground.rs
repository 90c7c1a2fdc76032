//! Changes of catalogue and rules that would hit a crowd wait for an operator.

use proto::admin::v1::group_key::Key;
use proto::admin::v1::preview_ground_request::Change;
use proto::admin::v1::{GroupKey, LabelsOfGroup, PutGroupLabelsRequest, Turn};
use proto::common::v1::Grant;
use runtime::error::Reason;

use crate::Backend;
use crate::documents::{group, user};
use crate::tenant::Tenant;

/// Labels of six people each: directly, and through a group.
async fn crowd(backend: &Backend) -> Tenant {
    let tenant = Tenant::new(backend).await;
    tenant.put_catalogue(1, 0, &["A", "B", "C"]).await.unwrap();
    let mut members = Vec::new();
    for n in 0..6 {
        tenant.user(&user(&format!("direct-{n}")).labels(&["ACCOUNT_0_A"])).await;
        members.push(tenant.user(&user(&format!("member-{n}")).labels(&["ACCOUNT_0_C"])).await);
    }
    let inner = tenant.group(&group("inner"), &members).await;
    tenant.group(&group("outer").labels(&["ACCOUNT_0_B"]), &[inner]).await;
    tenant
}

async fn roles(tenant: &Tenant) -> Vec<String> {
    let mut roles = tenant.ground(0).await.unwrap().catalogue.unwrap().roles;
    roles.sort();
    roles
}

/// Until then nothing of it is in force, and no entry of the feed speaks of it.
pub async fn a_change_that_would_hit_a_crowd_waits_until_it_is_confirmed(backend: &Backend) {
    let tenant = crowd(backend).await;
    let before = tenant.head().await;
    let put = tenant.put_catalogue(1, 0, &["A", "C", "D"]).await.unwrap();
    assert!(put.waits && !put.changed);
    assert_eq!(roles(&tenant).await, ["A", "B", "C"]);
    assert_eq!(tenant.head().await, before);
    let pending = tenant.pending().await;
    assert_eq!(pending.len(), 1);
    assert!(tenant.put_catalogue(1, 0, &["A", "C", "D"]).await.unwrap().waits);
    assert_eq!(tenant.pending().await, pending, "the same read again is the same change");

    let unknown = tenant.confirm_ground("another").await.unwrap_err();
    assert_eq!(unknown.reason(), Reason::GROUND_NOT_FOUND);
    tenant.confirm_ground(&pending[0]).await.unwrap();
    assert_eq!(roles(&tenant).await, ["A", "C", "D"]);
    assert!(tenant.pending().await.is_empty());
    let entries = tenant.entries_after(before).await;
    assert!(matches!(&entries[..], [entry] if entry.takes_away));
    assert_eq!(tenant.affected(tenant.head().await.revision).await.len(), 6);
    assert!(!tenant.put_catalogue(1, 0, &["A", "C", "D"]).await.unwrap().waits);
    let again = tenant.confirm_ground(&pending[0]).await.unwrap_err();
    assert_eq!(again.reason(), Reason::GROUND_NOT_FOUND);
}

/// Those and only those: inactive people have nothing to lose.
pub async fn a_preview_says_what_then_happens(backend: &Backend) {
    let tenant = crowd(backend).await;
    tenant.user(&user("asleep").labels(&["ACCOUNT_0_B"]).inactive()).await;
    tenant.put_catalogue(1, 0, &["A", "C"]).await.unwrap();
    let pending = tenant.pending().await;
    let told = tenant.preview(Change::PendingId(pending[0].clone())).await.unwrap();
    assert_eq!(told.len(), 6);
    for (name, difference) in told {
        assert!(name.starts_with("member-"), "{name}");
        let lost: Vec<_> = difference.lost.iter().map(|grant| grant.role.as_str()).collect();
        assert_eq!((lost, difference.gained.len(), difference.turn()), (vec!["B"], 0, Turn::Held));
    }
    let rules = r#"{"rules": [{"condition": {"type": "HAS_APP_ROLE", "appRole": "A"},
        "action": {"type": "MAPPING_ROLE_ASSIGNMENT", "sourceAppRole": "A", "targetRoles": ["A", "B"]}}]}"#;
    let told = tenant.preview(Change::Rules(rules.to_owned())).await.unwrap();
    assert_eq!(told.len(), 6);
    for (name, difference) in told {
        assert!(name.starts_with("direct-"), "{name}");
        let gained: Vec<_> = difference.gained.iter().map(|grant| grant.role.as_str()).collect();
        assert_eq!((gained, difference.lost.len(), difference.turn()), (vec!["B"], 0, Turn::Unspecified));
    }
    assert!(tenant.rules().await.unwrap().own.is_none(), "a preview stores nothing");
}

/// What the operators' table says of the group stays, and so does what reaches a member by other ways.
pub async fn a_preview_of_a_groups_labels_says_what_then_happens(backend: &Backend) {
    let tenant = crowd(backend).await;
    let both = tenant.user(&user("both").labels(&["ACCOUNT_0_A"])).await;
    let nested = tenant.user(&user("nested")).await;
    let asleep = tenant.user(&user("asleep").inactive()).await;
    let inner = tenant.group(&group("nested"), &[nested, asleep]).await;
    let outer = tenant.group(&group("around").labels(&["ACCOUNT_0_A"]), &[both.clone(), inner]).await;
    let table = PutGroupLabelsRequest {
        tenant: tenant.name.clone(),
        key: Some(GroupKey { key: Some(Key::DisplayName("around".into())) }),
        labels: vec!["ACCOUNT_0_B".into()],
    };
    tenant.admin().put_group_labels(table).await.unwrap();
    let labels = |labels: &[&str]| {
        let labels = labels.iter().map(ToString::to_string).collect();
        Change::LabelsOfGroup(LabelsOfGroup { group_id: outer.clone(), labels })
    };
    let roles = |grants: &[Grant]| grants.iter().map(|grant| grant.role.clone()).collect::<Vec<_>>();
    let told = tenant.preview(labels(&["ACCOUNT_0_NOBODY"])).await.unwrap();
    assert_eq!(told.keys().collect::<Vec<_>>(), ["both", "nested"]);
    assert_eq!((roles(&told["both"].lost), told["both"].turn()), (vec![], Turn::Held), "it has A itself too");
    assert_eq!((roles(&told["nested"].lost), told["nested"].turn()), (vec!["A".to_owned()], Turn::Held));
    let told = tenant.preview(labels(&["ACCOUNT_0_A", "ACCOUNT_0_C"])).await.unwrap();
    assert_eq!((roles(&told["both"].gained), told["both"].turn()), (vec!["C".to_owned()], Turn::Unspecified));
    assert!(tenant.preview(labels(&["ACCOUNT_0_A"])).await.unwrap().is_empty(), "nothing differs");
    let unknown = LabelsOfGroup { group_id: both, labels: vec![] };
    let refused = tenant.preview(Change::LabelsOfGroup(unknown)).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::GROUP_NOT_FOUND);
}

/// What waits is always what was read last.
pub async fn a_newer_read_replaces_or_withdraws_the_one_that_waits(backend: &Backend) {
    let tenant = crowd(backend).await;
    tenant.put_catalogue(1, 0, &["A", "C"]).await.unwrap();
    let first = tenant.pending().await;
    tenant.put_catalogue(1, 0, &["C"]).await.unwrap();
    let second = tenant.pending().await;
    assert!(second.len() == 1 && second != first);
    let gone = tenant.confirm_ground(&first[0]).await.unwrap_err();
    assert_eq!(gone.reason(), Reason::GROUND_NOT_FOUND);
    let put = tenant.put_catalogue(1, 0, &["A", "B", "C"]).await.unwrap();
    assert!(!put.waits && !put.changed);
    assert!(tenant.pending().await.is_empty());
    tenant.put_catalogue(1, 0, &["C"]).await.unwrap();
    assert!(tenant.put_catalogue(1, 0, &["A", "B", "C", "D"]).await.unwrap().changed);
    assert!(tenant.pending().await.is_empty());
}

/// An operator need not say the same every few minutes.
pub async fn a_dismissed_read_is_not_proposed_again_until_another_is_read(backend: &Backend) {
    let tenant = crowd(backend).await;
    tenant.put_catalogue(1, 0, &["A", "C"]).await.unwrap();
    tenant.dismiss_ground(&tenant.pending().await[0]).await.unwrap();
    assert!(!tenant.put_catalogue(1, 0, &["A", "C"]).await.unwrap().waits);
    assert!(tenant.pending().await.is_empty());
    assert_eq!(roles(&tenant).await, ["A", "B", "C"]);
    assert!(tenant.put_catalogue(1, 0, &["B", "C"]).await.unwrap().waits);
    assert_eq!(tenant.pending().await.len(), 1);
}

/// A limit is for the harm that is done.
pub async fn what_hits_few_or_only_gives_does_not_wait(backend: &Backend) {
    let tenant = crowd(backend).await;
    tenant.user(&user("alone").labels(&["ACCOUNT_0_D"])).await;
    assert!(tenant.put_catalogue(1, 0, &["A", "B", "C", "D"]).await.unwrap().changed);
    assert!(tenant.put_catalogue(1, 0, &["A", "B", "C"]).await.unwrap().changed, "one is no crowd");
    let settings = proto::common::v1::Settings { change_limit: 100, ..Default::default() };
    tenant.put_settings(settings).await.unwrap();
    assert!(tenant.put_catalogue(1, 0, &["C"]).await.unwrap().changed, "the tenant may lift the limit");
}
