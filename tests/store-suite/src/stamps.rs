//! What tells that an effective set computed before is still right: stamps, compared by the store or told by the feed.

use std::collections::BTreeMap;

use proto::common::v1::Settings;
use proto::identity::v1::feed_entry::Change;
use proto::identity::v1::user_key::Key;
use proto::identity::v1::{FeedEntry, Holding, KeptSet, MembersChanged};

use crate::Backend;
use crate::documents::{group, user};
use crate::tenant::Tenant;

/// What one keeps who has just read a user.
async fn keep(tenant: &Tenant, id: &str) -> KeptSet {
    let answer = tenant.holdings(vec![Key::Id(id.to_owned())]).await.unwrap();
    let Holding { user_id, groups, .. } = answer.holdings.into_iter().next().unwrap();
    let group_ids = groups.into_iter().map(|group| group.group_id).collect();
    KeptSet { user_id, revision: answer.position.unwrap().revision, group_ids }
}

async fn unchanged(tenant: &Tenant, kept: &KeptSet) -> bool {
    let key = Key::Id(kept.user_id.clone());
    let answer = tenant.holdings_beside(&[key], vec![kept.clone()]).await.unwrap();
    let holding = &answer.holdings[0];
    assert!(!holding.unchanged || (holding.found && holding.user_id == kept.user_id && holding.labels.is_empty()));
    holding.unchanged
}

/// Whatever may change the set is noticed, whatever can't is passed over; the position answered is the head.
pub async fn a_kept_set_is_right_until_what_it_depends_on_changes(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let (ann, bob) = (tenant.user(&user("ann")).await, tenant.user(&user("bob")).await);
    let inner = tenant.group(&group("inner").labels(&["A"]), std::slice::from_ref(&ann)).await;
    let outer = tenant.group(&group("outer"), std::slice::from_ref(&inner)).await;
    let elsewhere = tenant.group(&group("elsewhere"), &[]).await;

    let mut kept = keep(&tenant, &ann).await;
    assert_eq!(kept.group_ids.len(), 2);
    assert!(unchanged(&tenant, &kept).await);
    tenant.replace_user(&bob, 0, &user("bob").labels(&["X"])).await.unwrap();
    tenant.put_group(&elsewhere, &group("elsewhere").labels(&["X"])).await.unwrap();
    tenant.add_members(&outer, std::slice::from_ref(&bob)).await.unwrap();
    assert!(unchanged(&tenant, &kept).await, "others may change as they like");

    let again = async |kept: &mut KeptSet, what: &str| {
        assert!(!unchanged(&tenant, kept).await, "{what}");
        *kept = keep(&tenant, &ann).await;
        assert!(unchanged(&tenant, kept).await, "read again after: {what}");
    };
    tenant.replace_user(&ann, 0, &user("ann").labels(&["B"])).await.unwrap();
    again(&mut kept, "a direct label").await;
    tenant.replace_user(&ann, 0, &user("anna").labels(&["B"])).await.unwrap();
    again(&mut kept, "another name").await;
    tenant.put_group(&outer, &group("outer").labels(&["C"])).await.unwrap();
    again(&mut kept, "a label of a group reached through another").await;
    tenant.add_members(&elsewhere, std::slice::from_ref(&outer)).await.unwrap();
    again(&mut kept, "a group reached joins one more").await;
    tenant.remove_members(&outer, std::slice::from_ref(&inner)).await.unwrap();
    again(&mut kept, "a group reached leaves another").await;
    tenant.put_settings(Settings { account_name: "ACME".into(), ..Settings::default() }).await.unwrap();
    again(&mut kept, "the settings").await;
    tenant.put_catalogue(1, 0, &["STORE"]).await.unwrap();
    again(&mut kept, "the catalogue").await;
    tenant.delete_group(&inner).await.unwrap();
    again(&mut kept, "a group is deleted").await;
    tenant.delete_user(&ann, 0).await.unwrap();
    let gone = tenant.holdings_beside(&[Key::Id(ann.clone())], vec![kept]).await.unwrap();
    assert!(!gone.holdings[0].found, "a deleted user has no set");
    assert_eq!(gone.position.unwrap(), tenant.head().await);
}

/// A name leads to whoever bears it now, and a revision that has not happened is no reason to believe anything.
pub async fn a_kept_set_of_another_user_or_of_the_future_is_read_again(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let ann = tenant.user(&user("ann").labels(&["A"])).await;
    let kept = keep(&tenant, &ann).await;
    let of = async |key: Key, kept: &KeptSet| {
        tenant.holdings_beside(&[key], vec![kept.clone()]).await.unwrap().holdings.remove(0)
    };
    assert!(of(Key::UserName("ANN".into()), &kept).await.unchanged);
    tenant.delete_user(&ann, 0).await.unwrap();
    let other = tenant.user(&user("ann").labels(&["B"])).await;
    let read = of(Key::UserName("ann".into()), &kept).await;
    assert_eq!((read.unchanged, read.user_id.as_str(), read.labels[0].label.as_str()), (false, other.as_str(), "B"));

    let ahead = KeptSet { revision: tenant.head().await.revision + 1, ..keep(&tenant, &other).await };
    assert!(!of(Key::Id(other.clone()), &ahead).await.unchanged);
    let invented = KeptSet { group_ids: vec!["no id".into()], ..keep(&tenant, &other).await };
    assert!(!of(Key::Id(other), &invented).await.unchanged);
    let many = vec![ahead; 1_001];
    assert!(tenant.holdings_beside(&[], many).await.is_err());
}

/// Stamps as one who follows the feed knows them.
#[derive(Default)]
struct Followed {
    stamps: BTreeMap<String, u64>,
    ground: u64,
}

impl Followed {
    fn take(&mut self, entry: FeedEntry) {
        let FeedEntry { revision, change, .. } = entry;
        let stamped = match change.unwrap() {
            Change::UserChanged(user) => vec![user.user_id],
            Change::GroupChanged(group) => vec![group.group_id],
            Change::MembersChanged(MembersChanged { group_id: _, added, removed, unnamed: _ }) => {
                added.into_iter().chain(removed).map(|member| member.id).collect()
            }
            Change::RulesChanged(_) | Change::CatalogueChanged(_) | Change::SettingsChanged(_) => {
                self.ground = revision;
                return;
            }
        };
        self.stamps.extend(stamped.into_iter().map(|id| (id, revision)));
    }
}

/// Who follows the feed knows of no stamp less than the store has.
pub async fn the_feed_tells_every_stamp(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let start = tenant.head().await;
    let ann = tenant.user(&user("ann").labels(&["A"])).await;
    let inner = tenant.group(&group("inner").labels(&["A"]), std::slice::from_ref(&ann)).await;
    let outer = tenant.group(&group("outer"), &[inner.clone(), ann.clone()]).await;
    let (mut followed, mut at) = (Followed::default(), start);
    let mut compare = async |what: &str| {
        for entry in tenant.entries_after(at.clone()).await {
            followed.take(entry);
        }
        at = tenant.head().await;
        let answer = tenant.holdings(vec![Key::Id(ann.clone())]).await.unwrap();
        assert_eq!(followed.ground, answer.ground_version, "{what}");
        let holding = &answer.holdings[0];
        assert_eq!(followed.stamps[&ann], holding.stamp.max(holding.version), "{what}");
        for reached in &holding.groups {
            assert!(followed.stamps[&reached.group_id] >= reached.stamp, "{what}: {}", reached.group_id);
        }
    };
    tenant.put_catalogue(1, 0, &["STORE"]).await.unwrap();
    compare("all is made").await;
    tenant.replace_user(&ann, 0, &user("ann").labels(&["B"]).inactive()).await.unwrap();
    compare("inactive").await;
    tenant.replace_user(&ann, 0, &user("ann").labels(&["B"]).title("Clerk")).await.unwrap();
    compare("active, with a title").await;
    tenant.put_group(&inner, &group("inner").labels(&["B"])).await.unwrap();
    compare("labels of a group").await;
    tenant.remove_members(&outer, &[inner.clone(), ann.clone()]).await.unwrap();
    compare("left, and the nested group too").await;
    tenant.add_members(&outer, &[inner.clone(), ann.clone()]).await.unwrap();
    compare("joined again").await;
    tenant.put_settings(Settings { account_name: "ACME".into(), ..Settings::default() }).await.unwrap();
    compare("settings").await;
    tenant.delete_group(&inner).await.unwrap();
    compare("a group is gone").await;
    let deleted = tenant.head().await.revision;
    assert_eq!(followed.stamps[&inner], deleted, "its stamp outlives it");
}
