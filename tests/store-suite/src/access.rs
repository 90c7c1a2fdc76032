//! What effective sets are computed from: labels with their sources, stamps, and all of it from one revision.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use proto::common::v1::Settings;
use proto::identity::v1::GetHoldingsRequest;
use proto::identity::v1::UserKey;
use proto::identity::v1::user_key::Key;
use runtime::error::Reason;

use crate::Backend;
use crate::documents::{group, user};
use crate::tenant::{Tenant, sorted};

/// A label held twice counts once and names every source; losing one source leaves the others.
pub async fn labels_come_directly_and_through_nested_groups(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let ann = tenant.user(&user("ann").labels(&["A", "B", "A"])).await;
    let inner = tenant.group(&group("inner").labels(&["B", "C"]), std::slice::from_ref(&ann)).await;
    let outer = tenant.group(&group("outer").labels(&["C", "D"]), std::slice::from_ref(&inner)).await;
    let held = async || -> BTreeMap<String, (bool, Vec<String>)> {
        let labels = tenant.holding(&ann).await.labels;
        labels.into_iter().map(|held| (held.label, (held.direct, sorted(held.group_ids)))).collect()
    };
    let through = |groups: &[&String]| sorted(groups.iter().map(ToString::to_string));
    let label = |name: &str, direct, groups| (name.to_owned(), (direct, groups));
    assert_eq!(
        held().await,
        BTreeMap::from([
            label("A", true, vec![]),
            label("B", true, through(&[&inner])),
            label("C", false, through(&[&inner, &outer])),
            label("D", false, through(&[&outer])),
        ])
    );
    tenant.replace_user(&ann, 0, &user("ann").inactive()).await.unwrap();
    assert_eq!(tenant.labels(&ann).await, ["B", "C", "D"], "labels are remembered of one who is inactive");
    tenant.delete_group(&inner).await.unwrap();
    assert!(held().await.is_empty());
    assert!(tenant.members(&outer).await.is_empty(), "a deleted group is a member of nothing");
}

/// By id, by name in any case, by exact externalId; answers come in the order of the questions, with documents if wanted.
pub async fn users_are_named_in_three_ways(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let document = user("Ann").external_id("X1").labels(&["A"]);
    let ann = tenant.user(&document).await;
    let keys = [
        Key::ExternalId("x1".into()),
        Key::ExternalId("X1".into()),
        Key::UserName("nobody".into()),
        Key::UserName("aNN".into()),
        Key::Id("no id".into()),
        Key::Id(ann.clone()),
    ];
    let answer = tenant.holdings(keys.to_vec()).await.unwrap();
    let found: Vec<_> = answer.holdings.iter().map(|holding| holding.found.then_some(&*holding.user_id)).collect();
    assert_eq!(found, [None, Some(&*ann), None, Some(&*ann), None, Some(&*ann)]);
    assert_eq!(answer.position.unwrap(), tenant.head().await);
    assert_eq!(answer.holdings[1].user_name, "Ann");
    assert!(answer.holdings[1].document.is_empty());
    let users = vec![UserKey { key: Some(Key::Id(ann.clone())) }];
    let request = GetHoldingsRequest { tenant: tenant.name.clone(), users, with_documents: true, ..Default::default() };
    let answer = tenant.access().get_holdings(request).await.unwrap().into_inner();
    assert!(document.is(&answer.holdings[0].document));
    let many = tenant.holdings(vec![Key::Id(ann); 1_001]).await;
    assert_eq!(many.unwrap_err().reason(), Reason::TOO_LARGE);
}

/// Labels stamp who bears them, joining and leaving stamp the member and never the group, and a profile stamps nobody.
pub async fn a_change_of_access_stamps_its_own_holder_alone(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let ann = tenant.user(&user("ann")).await;
    let inner = tenant.group(&group("inner"), std::slice::from_ref(&ann)).await;
    let outer = tenant.group(&group("outer"), std::slice::from_ref(&inner)).await;
    let stamps = async || {
        let holding = tenant.holding(&ann).await;
        let of = |id: &str| holding.groups.iter().find(|group| group.group_id == id).map(|group| group.stamp);
        (holding.stamp, of(&inner), of(&outer))
    };
    let head = async || tenant.head().await.revision;

    let (user_stamp, inner_stamp, _) = stamps().await;
    tenant.put_group(&outer, &group("outer").labels(&["A"])).await.unwrap();
    let outer_stamp = Some(head().await);
    assert_eq!(stamps().await, (user_stamp, inner_stamp, outer_stamp));

    tenant.replace_user(&ann, 0, &user("ann").title("Clerk")).await.unwrap();
    assert_eq!(stamps().await, (user_stamp, inner_stamp, outer_stamp));
    assert_eq!(tenant.holding(&ann).await.version, head().await);

    tenant.replace_user(&ann, 0, &user("ann").labels(&["A"])).await.unwrap();
    let user_stamp = head().await;
    assert_eq!(stamps().await, (user_stamp, inner_stamp, outer_stamp));

    tenant.replace_user(&ann, 0, &user("ann").labels(&["A"]).inactive()).await.unwrap();
    let user_stamp = head().await;
    assert_eq!(stamps().await, (user_stamp, inner_stamp, outer_stamp));

    tenant.remove_members(&outer, std::slice::from_ref(&inner)).await.unwrap();
    let inner_stamp = Some(head().await);
    assert_eq!(stamps().await, (user_stamp, inner_stamp, None));

    tenant.add_members(&outer, std::slice::from_ref(&ann)).await.unwrap();
    let user_stamp = head().await;
    assert_eq!(stamps().await, (user_stamp, inner_stamp, outer_stamp));
}

/// For each group reached: whether the user itself is a member, and which of its other groups are.
pub async fn it_is_told_how_a_user_is_in_its_groups(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let [ann, bob] = [tenant.user(&user("ann")).await, tenant.user(&user("bob")).await];
    let left = tenant.group(&group("left"), &[ann.clone(), bob.clone()]).await;
    let right = tenant.group(&group("right"), std::slice::from_ref(&ann)).await;
    let apart = tenant.group(&group("apart"), std::slice::from_ref(&bob)).await;
    let outer = tenant.group(&group("outer"), &[left.clone(), right.clone(), apart, ann.clone()]).await;
    let users = vec![UserKey { key: Some(Key::Id(ann.clone())) }];
    let request = GetHoldingsRequest { tenant: tenant.name.clone(), users, with_nesting: true, ..Default::default() };
    let answer = tenant.access().get_holdings(request).await.unwrap().into_inner();
    let told: BTreeMap<_, _> = answer.holdings[0]
        .groups
        .iter()
        .map(|group| (group.group_id.clone(), (group.direct, sorted(group.nested_ids.clone()))))
        .collect();
    assert_eq!(
        told,
        BTreeMap::from([
            (left.clone(), (true, vec![])),
            (right.clone(), (true, vec![])),
            (outer, (true, sorted([left, right]))),
        ])
    );
    assert!(tenant.holding(&ann).await.groups.iter().all(|group| !group.direct && group.nested_ids.is_empty()));
}

/// Two members of a group whose label changes all the time are read with the same label, and with that of the position.
pub async fn what_is_read_together_is_of_one_revision(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let members = [tenant.user(&user("ann")).await, tenant.user(&user("bob")).await];
    let staff = tenant.group(&group("staff").labels(&["L"]), &members).await;
    let first = tenant.head().await.revision;
    let mut written = BTreeMap::from([(first, "L".to_owned())]);
    let reads = beside_readers(&tenant, &members, async |n| {
        let label = format!("L{n}");
        let answer = tenant.put_group(&staff, &group("staff").labels(&[&label])).await.unwrap();
        written.insert(answer.group.unwrap().version, label);
    })
    .await;
    for read in reads {
        let (_, label) = written.range(..=read.revision).next_back().unwrap();
        assert_eq!(read.labels, [vec![label.clone()], vec![label.clone()]], "revision {}", read.revision);
    }
}

/// The ground version that comes with holdings is that of their own revision, however ground and labels change.
pub async fn holdings_and_their_ground_belong_to_one_revision(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let ann = tenant.user(&user("ann").labels(&["L"])).await;
    let (mut ground, mut label) = (tenant.ground(0).await.unwrap().version, "L".to_owned());
    let mut written = BTreeMap::from([(tenant.head().await.revision, (ground, label.clone()))]);
    let reads = beside_readers(&tenant, std::slice::from_ref(&ann), async |n| {
        if n % 2 == 0 {
            label = format!("L{n}");
            tenant.replace_user(&ann, 0, &user("ann").labels(&[&label])).await.unwrap();
        } else {
            let settings = Settings { account_name: format!("A{n}"), ..Default::default() };
            tenant.put_settings(settings).await.unwrap();
            ground = tenant.head().await.revision;
        }
        written.insert(tenant.head().await.revision, (ground, label.clone()));
    })
    .await;
    for read in reads {
        let (_, (ground, label)) = written.range(..=read.revision).next_back().unwrap();
        assert_eq!((read.ground, &read.labels[0][0]), (*ground, label), "revision {}", read.revision);
    }
}

/// What a reader saw in one answer.
struct Seen {
    revision: u64,
    ground: u64,
    labels: Vec<Vec<String>>,
}

/// Lets four readers read the holdings of `users` beside changes, of which each is told its number: forty, and as many more
/// as it takes until each reader has read on both sides of some.
async fn beside_readers(tenant: &Tenant, users: &[String], mut change: impl AsyncFnMut(usize)) -> Vec<Seen> {
    const CHANGES: usize = 40;
    const READERS: usize = 4;
    const SIDES: usize = 4;
    let done = Arc::new(AtomicBool::new(false));
    let well_read = Arc::new(AtomicUsize::new(0));
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let (tenant, done, well_read) = (tenant.clone(), Arc::clone(&done), Arc::clone(&well_read));
            let keys: Vec<_> = users.iter().cloned().map(Key::Id).collect();
            tokio::spawn(async move {
                let mut seen: Vec<Seen> = Vec::new();
                let mut sides = 0;
                while !done.load(Ordering::SeqCst) {
                    let answer = tenant.holdings(keys.clone()).await.unwrap();
                    let labels = |holding: proto::identity::v1::Holding| {
                        holding.labels.into_iter().map(|held| held.label).collect()
                    };
                    let read = Seen {
                        revision: answer.position.unwrap().revision,
                        ground: answer.ground_version,
                        labels: answer.holdings.into_iter().map(labels).collect(),
                    };
                    let last = seen.last().map(|last| last.revision);
                    assert!(last.is_none_or(|last| last <= read.revision), "time runs forward");
                    if last.is_none_or(|last| last < read.revision) {
                        sides += 1;
                        well_read.fetch_add(usize::from(sides == SIDES), Ordering::SeqCst);
                    }
                    seen.push(read);
                }
                seen
            })
        })
        .collect();
    let mut changes = 0;
    let failed = || readers.iter().any(tokio::task::JoinHandle::is_finished);
    while !failed() && (changes < CHANGES || well_read.load(Ordering::SeqCst) < READERS) {
        change(changes).await;
        changes += 1;
    }
    done.store(true, Ordering::SeqCst);
    let mut all = Vec::new();
    for reader in readers {
        all.extend(reader.await.unwrap());
    }
    all
}
