//! The three ways labels come to a group: its own document, the operators' table, and its name.

use proto::admin::v1::group_key::Key;
use proto::admin::v1::{GroupKey, ListGroupLabelsRequest, PutGroupLabelsRequest, PutGroupLabelsResponse};
use proto::common::v1::{DisplayNames, Guardrail, Settings};
use proto::identity::v1::UpdateGroupRequest;
use proto::identity::v1::feed_entry::Change;
use runtime::error::{Error, Reason};

use crate::Backend;
use crate::documents::{group, user};
use crate::rules::set;
use crate::tenant::{Tenant, sorted};

const A: &str = "ACCOUNT_0_A";
const B: &str = "RETAILER_MAIN_B";
const UNKNOWN: &str = "RETAILER_MAIN_NOBODY";
const MALFORMED: &str = "nonsense";

fn external(id: &str) -> Key {
    Key::ExternalId(id.into())
}

fn named(name: &str) -> Key {
    Key::DisplayName(name.into())
}

async fn put(tenant: &Tenant, key: Key, labels: &[&str]) -> Result<PutGroupLabelsResponse, Error> {
    let request = PutGroupLabelsRequest {
        tenant: tenant.name.clone(),
        key: Some(GroupKey { key: Some(key) }),
        labels: labels.iter().map(ToString::to_string).collect(),
    };
    tenant.admin().put_group_labels(request).await.map(tonic::Response::into_inner).map_err(Error::from)
}

async fn knowing(backend: &Backend) -> Tenant {
    let tenant = Tenant::new(backend).await;
    tenant.put_catalogue(1, 0, &["A", "B"]).await.unwrap();
    tenant
}

/// By `externalId`, else by id, else by folded `displayName`; before the group is there or after.
pub async fn the_table_gives_a_group_the_labels_of_its_first_key(backend: &Backend) {
    let tenant = knowing(backend).await;
    let ann = tenant.user(&user("ann")).await;
    put(&tenant, named("WAREHOUSE"), &[A]).await.unwrap();
    assert_eq!(tenant.labels(&ann).await.len(), 0);
    let document = group("Warehouse").external_id("X1").labels(&["OWN"]);
    let id = tenant.group(&document, std::slice::from_ref(&ann)).await;
    assert_eq!(tenant.labels(&ann).await, [A, "OWN"], "an entry may be there before its group");
    let answer = put(&tenant, Key::Id(id.clone()), &[A, B]).await.unwrap();
    assert_eq!((answer.groups_changed, tenant.labels(&ann).await), (1, sorted([A, "OWN", B].map(str::to_owned))));
    put(&tenant, external("X1"), &[B]).await.unwrap();
    assert_eq!(tenant.labels(&ann).await, ["OWN", B], "the externalId's comes first");
    assert_eq!(put(&tenant, external("x1"), &[A]).await.unwrap().groups_changed, 0, "an externalId is exact");

    let renumbered = group("Warehouse").external_id("X2").labels(&["OWN"]);
    tenant.put_group(&id, &renumbered).await.unwrap();
    assert_eq!(tenant.labels(&ann).await, [A, "OWN", B], "then the id's");
    put(&tenant, Key::Id(id.clone()), &[]).await.unwrap();
    assert_eq!(tenant.labels(&ann).await, [A, "OWN"], "then the name's");
    tenant.put_group(&id, &group("Store").labels(&["OWN"])).await.unwrap();
    assert_eq!(tenant.labels(&ann).await, ["OWN"], "what came by the old name went with it");
    tenant.delete_group(&id).await.unwrap();
    assert!(tenant.labels(&ann).await.is_empty());

    let request = ListGroupLabelsRequest { tenant: tenant.name.clone(), after: None };
    let entries = tenant.admin().list_group_labels(request.clone()).await.unwrap().into_inner().entries;
    let keys: Vec<_> = entries.iter().map(|entry| entry.key.clone().unwrap().key.unwrap()).collect();
    assert_eq!(keys, [external("X1"), external("x1"), named("warehouse")]);
    let request = ListGroupLabelsRequest { after: entries[0].key.clone(), ..request };
    assert_eq!(tenant.admin().list_group_labels(request).await.unwrap().into_inner().entries, entries[1..]);
}

/// A change of the table is a change of the labels of the groups concerned: it stamps them and is in the feed.
pub async fn a_change_of_the_table_stamps_and_tells_the_groups_concerned(backend: &Backend) {
    let tenant = knowing(backend).await;
    let (ann, bob) = (tenant.user(&user("ann")).await, tenant.user(&user("bob")).await);
    let inner = tenant.group(&group("inner"), std::slice::from_ref(&ann)).await;
    let one = tenant.group(&group("one").external_id("X"), std::slice::from_ref(&inner)).await;
    let two = tenant.group(&group("two").external_id("X"), std::slice::from_ref(&bob)).await;
    let other = tenant.group(&group("other"), &[]).await;
    let before = tenant.head().await;
    let trace = tenant.trace(backend).await;
    put(&tenant, external("nobody's"), &[A]).await.unwrap();
    assert_eq!(tenant.head().await, before, "what concerns no group takes no revision");
    assert_eq!(put(&tenant, external("X"), &[A]).await.unwrap().groups_changed, 2);
    let head = tenant.head().await;
    assert_eq!(head.revision, before.revision + 1);
    let told = async |after| {
        let entries = tenant.entries_after(after).await.into_iter();
        let groups = entries.map(|entry| match entry.change {
            Some(Change::GroupChanged(change)) => (change.group_id, entry.takes_away),
            change => panic!("nothing else changed: {change:?}"),
        });
        let mut groups: Vec<_> = groups.collect();
        groups.sort();
        groups
    };
    let both = |takes_away| {
        let mut both = vec![(one.clone(), takes_away), (two.clone(), takes_away)];
        both.sort();
        both
    };
    assert_eq!(told(before.clone()).await, both(false));
    assert_eq!(tenant.affected(head.revision).await, sorted([ann.clone(), bob]));
    let stamps = tenant.holding(&ann).await.groups;
    assert!(stamps.iter().all(|group| (group.group_id == one) == (group.stamp == head.revision)), "{stamps:?}");
    assert!(tenant.get_group(&one).await.unwrap().version < head.revision, "the resource is as it was");
    put(&tenant, external("X"), &[]).await.unwrap();
    assert_eq!(told(head).await, both(true));
    assert_ne!(tenant.trace(backend).await, trace);
    let trace = tenant.trace(backend).await;
    put(&tenant, external("X"), &[]).await.unwrap();
    put(&tenant, Key::Id(other), &[]).await.unwrap();
    assert_eq!(tenant.trace(backend).await, trace, "what changes nothing leaves no trace");
}

/// An entry that adds a label which gives nothing is refused or held as the tenant wants; what takes away is stored.
pub async fn an_entry_is_judged_by_the_labels_it_adds(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    assert_eq!(put(&tenant, named("G"), &[A]).await.unwrap_err().reason(), Reason::CATALOGUE_MISSING);
    tenant.put_catalogue(1, 0, &["A", "B"]).await.unwrap();
    let ids = users(&tenant, 6).await;
    let id = tenant.group(&group("G"), &ids).await;
    let refused = put(&tenant, named("g"), &[A, MALFORMED]).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::LABEL_UNMATCHED);
    assert!(refused.message().contains("nonsense (MALFORMED)"), "{}", refused.message());
    assert!(tenant.labels(&ids[0]).await.is_empty());
    put(&tenant, named("g"), &[A]).await.unwrap();
    put(&tenant, named("g"), &[B, MALFORMED]).await.unwrap();
    assert_eq!(tenant.labels(&ids[0]).await, [B, MALFORMED], "it takes A away");
    put(&tenant, named("g"), &[MALFORMED, UNKNOWN]).await.unwrap();
    put(&tenant, named("g"), &[B, MALFORMED]).await.unwrap();
    assert_eq!(tenant.watched_head(|_| true).await.catalogue_wanted, 0, "no newer read of the catalogue is waited for");
    put(&tenant, named("g"), &[A, B, MALFORMED]).await.unwrap();
    for bad in [vec![""], vec!["a\u{1}"], vec![A; 101]] {
        assert!(matches!(
            put(&tenant, named("g"), &bad).await.unwrap_err().reason(),
            Reason::FIELD_INVALID | Reason::TOO_LARGE
        ));
    }
    assert_eq!(put(&tenant, named(""), &[A]).await.unwrap_err().reason(), Reason::FIELD_INVALID);
    assert_eq!(put(&tenant, Key::Id("x".into()), &[A]).await.unwrap_err().reason(), Reason::FIELD_INVALID);

    tenant.put_settings(Settings { guardrail: Guardrail::Hold.into(), ..Settings::default() }).await.unwrap();
    let crowd = put(&tenant, Key::Id(id.clone()), &[A, B, MALFORMED, UNKNOWN]).await;
    assert_eq!(crowd.unwrap_err().reason(), Reason::TOO_MANY_HELD);
    tenant.remove_members(&id, &ids[..1]).await.unwrap();
    put(&tenant, Key::Id(id), &[A, B, MALFORMED, UNKNOWN]).await.unwrap();
}

async fn users(tenant: &Tenant, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..count {
        ids.push(tenant.user(&user(&format!("u{n}"))).await);
    }
    ids
}

/// Labels that give nothing are not given to more people than one change may hold, whoever's groups they are in; a
/// change that takes something away is.
pub async fn no_change_of_group_labels_holds_a_crowd(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let ids = users(&tenant, 8).await;
    tenant.replace_user(&ids[7], 0, &user("u7").inactive()).await.unwrap();
    let inner = tenant.group(&group("inner"), &ids[..4]).await;
    let rest = [&[inner], &ids[3..8]].concat();
    let outer = tenant.group(&group("outer").labels(&["OLD"]), &rest).await;
    let change = |labels: &[&str]| UpdateGroupRequest {
        document: Some(group("outer").labels(labels).bytes()),
        adds_unmatched: true,
        ..Default::default()
    };
    let refused = tenant.update_group(&outer, change(&["OLD", "BAD"])).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::TOO_MANY_HELD);
    assert_eq!(tenant.labels(&ids[0]).await, ["OLD"], "nothing is stored");
    tenant.update_group(&outer, change(&["BAD"])).await.unwrap();
    assert_eq!(tenant.labels(&ids[0]).await, ["BAD"]);
    let leaving = UpdateGroupRequest { remove_member_ids: ids[4..5].to_vec(), ..change(&["BAD", "WORSE"]) };
    tenant.update_group(&outer, leaving).await.unwrap();
    tenant.remove_members(&outer, &ids[5..6]).await.unwrap();
    tenant.update_group(&outer, change(&["BAD", "WORSE", "WORST"])).await.unwrap();
}

/// Where names are labels, a name that goes is something taken away.
pub async fn a_change_that_takes_a_name_away_is_never_refused(backend: &Backend) {
    let tenant = knowing(backend).await;
    let crowd = users(&tenant, 6).await;
    let named_group = tenant.group(&group("AGENT_77_A"), &crowd).await;
    tenant.group(&group("Taken"), &[]).await;
    let change = |name: &str| UpdateGroupRequest {
        document: Some(group(name).labels(&["BAD"]).bytes()),
        adds_unmatched: true,
        ..Default::default()
    };
    let refused = tenant.update_group(&named_group, change("Other")).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::TOO_MANY_HELD, "a name that is no label gives nothing");
    let names = DisplayNames::Labels.into();
    tenant.put_settings(Settings { display_names: names, ..Settings::default() }).await.unwrap();
    let only = |name: &str| UpdateGroupRequest { only_if_it_takes_away: true, ..change(name) };
    let plain = tenant.group(&group("Plain"), &crowd).await;
    let nothing = tenant.update_group(&plain, only("Plainer")).await.unwrap_err();
    assert_eq!(nothing.reason(), Reason::LABEL_UNMATCHED, "its name gave nothing");
    let taken = tenant.update_group(&named_group, only("Taken")).await.unwrap_err();
    assert_eq!(taken.reason(), Reason::UNIQUENESS, "the name would have to stay, and with it what it gives");
    tenant.update_group(&named_group, only("Other")).await.unwrap();
    assert_eq!(tenant.labels(&crowd[0]).await, ["BAD"]);
}

/// A name that changes in the case of its context type alone is read as before; in the case of anything else it is another
/// label, and so it is where a rule is named after the whole of it.
pub async fn a_name_is_taken_away_where_it_is_read_otherwise(backend: &Backend) {
    let tenant = knowing(backend).await;
    let names = DisplayNames::Labels.into();
    tenant.put_settings(Settings { display_names: names, ..Settings::default() }).await.unwrap();
    let only = |name: &str, labels: &[&str]| UpdateGroupRequest {
        document: Some(group(name).labels(labels).bytes()),
        adds_unmatched: true,
        only_if_it_takes_away: true,
        ..Default::default()
    };
    let id = tenant.group(&group("AGENT_77_A"), &[]).await;
    let kept = tenant.update_group(&id, only("Agent_77_A", &["BAD"])).await.unwrap_err();
    assert_eq!(kept.reason(), Reason::LABEL_UNMATCHED, "it gives what it gave");
    tenant.update_group(&id, only("AGENT_77_a", &["BAD"])).await.unwrap();
    let kept = tenant.update_group(&id, only("agent_77_a", &["BAD", "WORSE"])).await.unwrap_err();
    assert_eq!(kept.reason(), Reason::LABEL_UNMATCHED);
    tenant.put_rules(&set(&[("AGENT_77_a", &["A"])])).await.unwrap();
    tenant.update_group(&id, only("agent_77_a", &["BAD", "WORSE"])).await.unwrap();
}

/// A name that can be read as a label is told apart from one: whether it counts is for the reader of the settings.
pub async fn a_groups_name_is_held_as_a_name(backend: &Backend) {
    let tenant = knowing(backend).await;
    let ann = tenant.user(&user("ann")).await;
    let one = tenant.group(&group("AGENT_77_A"), std::slice::from_ref(&ann)).await;
    let two = tenant.group(&group("two").labels(&["AGENT_77_A"]), std::slice::from_ref(&ann)).await;
    tenant.group(&group("ACCOUNT_0_A"), std::slice::from_ref(&ann)).await;
    tenant.group(&group("Night shift"), std::slice::from_ref(&ann)).await;
    let held = async || -> Vec<(String, Vec<String>, Vec<String>)> {
        let labels = tenant.holding(&ann).await.labels.into_iter();
        labels.map(|held| (held.label, held.group_ids, held.named_by_group_ids)).collect()
    };
    let label = |text: &str| text.to_owned();
    assert_eq!(held().await, [(label("AGENT_77_A"), vec![two.clone()], vec![one.clone()])]);
    tenant.delete_group(&two).await.unwrap();
    assert_eq!(held().await, [(label("AGENT_77_A"), vec![], vec![one.clone()])]);
    let before = tenant.head().await;
    tenant.put_group(&one, &group("Agent_78_B").labels(&["AGENT_77_A"])).await.unwrap();
    assert_eq!(
        held().await,
        [(label("AGENT_77_A"), vec![one.clone()], vec![]), (label("Agent_78_B"), vec![], vec![one.clone()])]
    );
    assert!(!tenant.entries_after(before).await[0].takes_away, "the old name is a label now");
    let before = tenant.head().await;
    tenant.put_group(&one, &group("plain").labels(&["AGENT_77_A"])).await.unwrap();
    assert_eq!(held().await, [(label("AGENT_77_A"), vec![one.clone()], vec![])]);
    assert!(tenant.entries_after(before).await[0].takes_away);

    // What it names is found like what a label names.
    tenant.put_group(&one, &group("Agent_CHIC-01_C")).await.unwrap();
    tenant.put_catalogue(2, 0, &["A", "B", "C"]).await.unwrap();
    assert_eq!(tenant.affected(tenant.head().await.revision).await, [ann]);
}

/// A group between two others is deleted: what came through it goes, what came otherwise stays.
pub async fn what_came_through_a_group_between_goes_with_it(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let (ann, bob) = (tenant.user(&user("ann")).await, tenant.user(&user("bob")).await);
    let inner = tenant.group(&group("inner").labels(&["I"]), std::slice::from_ref(&ann)).await;
    let middle = tenant.group(&group("middle").labels(&["M"]), &[inner.clone(), bob.clone()]).await;
    let outer = tenant.group(&group("outer").labels(&["O"]), std::slice::from_ref(&middle)).await;
    let aside = tenant.group(&group("aside").labels(&["S"]), std::slice::from_ref(&inner)).await;
    assert_eq!(tenant.labels(&ann).await, ["I", "M", "O", "S"]);
    tenant.delete_group(&middle).await.unwrap();
    assert_eq!(tenant.affected(tenant.head().await.revision).await, sorted([ann.clone(), bob.clone()]));
    assert_eq!((tenant.labels(&ann).await, tenant.labels(&bob).await), (vec!["I".to_owned(), "S".into()], vec![]));
    assert!(tenant.members(&outer).await.is_empty());
    assert_eq!(tenant.members(&aside).await, [inner]);
}
