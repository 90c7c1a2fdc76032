//! The labels to pick from.

use proto::roles::v1::{ListLabelsRequest, ListLabelsResponse, OfferedLabel};
use runtime::error::Reason;
use scim::schema::DRAFT_ROLE_URN;

use super::fake::World;
use super::{UNMATCHED, why};

fn all() -> ListLabelsRequest {
    ListLabelsRequest { tenant: "acme".into(), count: 100, ..Default::default() }
}

fn filtered(filter: &str) -> ListLabelsRequest {
    ListLabelsRequest { filter: filter.to_owned(), ..all() }
}

async fn page(world: &World, request: ListLabelsRequest) -> ListLabelsResponse {
    world.labels().list_labels(request).await.unwrap().into_inner()
}

async fn listed(world: &World, request: ListLabelsRequest) -> Vec<String> {
    let page = page(world, request).await;
    assert_eq!(page.total_results, page.labels.len() as u64);
    page.labels.into_iter().map(|offered| offered.label).collect()
}

const ACCOUNT: [&str; 2] = ["ACCOUNT_0_CLERK", "ACCOUNT_0_STORE"];
const AGENT: [&str; 2] = ["AGENT_CHIC-01_CLERK", "AGENT_CHIC-01_STORE"];
const RETAILER: [&str; 2] = ["RETAILER_MAIN_CLERK", "RETAILER_MAIN_STORE"];

#[tokio::test]
async fn catalogue_and_rules_are_offered_and_what_is_in_use_besides() {
    let world = World::new().await;
    world.add_user("ann", true, &["AGENT_77_STORE", UNMATCHED, ACCOUNT[0]]);
    let first = page(&world, all()).await;
    let told: Vec<_> = first.labels.iter().map(|it| (&*it.label, it.recognised)).collect();
    let offered = [ACCOUNT, RETAILER].concat().into_iter().map(|label| (label, true));
    let wanted: Vec<_> = offered.chain([("AGENT_77_STORE", true), (UNMATCHED, false)]).collect();
    assert_eq!(told, wanted);
    assert_eq!(first.revision_token, world.revision_token("acme", 10));
    let everything = ListLabelsRequest { all_locations: true, ..all() };
    let names = [&ACCOUNT[..], &AGENT, &RETAILER, &["AGENT_77_STORE", UNMATCHED]].concat();
    assert_eq!(listed(&world, everything).await, names);
}

#[tokio::test]
async fn locations_are_listed_under_a_filter_on_how_a_label_begins() {
    let world = World::new().await;
    for filter in
        [r#"value sw "AGENT_""#, r#"id sw "AG" and type eq "agent""#, r#"value sw "AGENT" or display eq "AGENT""#]
    {
        assert_eq!(listed(&world, filtered(filter)).await, AGENT, "{filter}");
    }
    for filter in
        [r#"type eq "AGENT""#, r#"value co "AGENT""#, r#"value sw "agent""#, r#"value eq "AGENT_CHIC-01_STORES""#]
    {
        assert!(listed(&world, filtered(filter)).await.is_empty(), "{filter}");
    }
    assert_eq!(listed(&world, filtered(&format!(r#"displayName eq "{}""#, AGENT[1]))).await, [AGENT[1]]);
    assert!(listed(&world, filtered(&format!(r#"id eq "{}" and supported eq false"#, AGENT[1]))).await.is_empty());
}

#[tokio::test]
async fn other_filters_and_orders_look_at_each_label() {
    let world = World::new().await;
    world.add_user("ann", true, &[UNMATCHED]);
    assert_eq!(listed(&world, filtered(r#"value ew "STORE" and not (type eq "RETAILER")"#)).await, [ACCOUNT[1]]);
    assert_eq!(listed(&world, filtered("supported eq false")).await, [UNMATCHED]);
    let downwards = ListLabelsRequest { sort_by: "displayName".into(), descending: true, ..all() };
    let wanted = [RETAILER[1], RETAILER[0], UNMATCHED, ACCOUNT[1], ACCOUNT[0]];
    assert_eq!(listed(&world, downwards).await, wanted);
    let by_location = filtered(&format!(r#"meta.location eq "b/Roles/{}""#, ACCOUNT[0]));
    assert_eq!(listed(&world, ListLabelsRequest { base_url: "b".into(), ..by_location }).await, [ACCOUNT[0]]);
}

/// By index and by cursor, in every order, whatever the size of the pages.
#[tokio::test]
async fn pages_go_through_a_list_once() {
    let world = World::new().await;
    world.add_user("ann", true, &["AGENT_77_STORE", UNMATCHED, "x"]);
    let value = format!("{DRAFT_ROLE_URN}:value");
    for (filter, sort_by, descending) in [
        ("", "", false),
        ("", &*value, true),
        ("", "type", false),
        (r#"value sw "A""#, "", false),
        ("id pr", "", false),
    ] {
        let request = ListLabelsRequest { sort_by: sort_by.into(), descending, ..filtered(filter) };
        let whole = listed(&world, request.clone()).await;
        assert!(whole.len() > 4);
        for count in 1..4 {
            let (mut by_index, mut by_cursor, mut cursor) = (Vec::new(), Vec::new(), String::new());
            for start_index in (1..=7).step_by(count as usize) {
                let page = page(&world, ListLabelsRequest { start_index, count, ..request.clone() }).await;
                assert_eq!((page.total_results, &*page.next_cursor), (whole.len() as u64, ""));
                by_index.extend(page.labels);
            }
            loop {
                let page = page(&world, ListLabelsRequest { cursor: Some(cursor), count, ..request.clone() }).await;
                by_cursor.extend(page.labels);
                cursor = page.next_cursor;
                if cursor.is_empty() {
                    break;
                }
            }
            let texts = |labels: Vec<OfferedLabel>| labels.into_iter().map(|it| it.label).collect::<Vec<_>>();
            assert_eq!(texts(by_index), whole[..whole.len().min(7)], "{filter} {sort_by}");
            assert_eq!(texts(by_cursor), whole, "{filter} {sort_by}");
        }
    }
}

/// The ground changes after the labels in use were read: they are read again, and nothing is told of two states.
#[tokio::test]
async fn labels_in_use_and_what_is_offered_are_of_one_state() {
    let world = World::new().await;
    world.add_user("ann", true, &["ACCOUNT_0_LATE"]);
    let mut once = true;
    world.store().meanwhile = Some(Box::new(move |state| {
        if std::mem::take(&mut once) {
            state.change_ground(&["LATE"]);
        }
    }));
    let listed = page(&world, all()).await;
    let late: Vec<_> = listed.labels.iter().filter(|it| it.label == "ACCOUNT_0_LATE").map(|it| it.recognised).collect();
    assert_eq!(late, [true]);
    assert_eq!(world.store().asked.in_use, 2);
    let head = world.store().revision;
    assert_eq!(listed.revision_token, world.revision_token("acme", head));
}

/// B04: a cursor that is none of this list's is refused before anything is looked up.
#[tokio::test]
async fn a_cursor_of_another_list_or_of_nobody_asks_nothing() {
    let world = World::new().await;
    let first = ListLabelsRequest { cursor: Some(String::new()), count: 1, ..all() };
    let cursor = page(&world, first.clone()).await.next_cursor;
    let asked = world.store().asked;
    let with = |cursor: &str| ListLabelsRequest { cursor: Some(cursor.to_owned()), ..first.clone() };
    let mut refused = vec![
        ListLabelsRequest { tenant: "other".into(), ..with(&cursor) },
        ListLabelsRequest { sort_by: "id".into(), ..with(&cursor) },
        ListLabelsRequest { filter: "id pr".into(), ..with(&cursor) },
        ListLabelsRequest { descending: true, ..with(&cursor) },
    ];
    refused.extend(["x", "' OR 1=1 --", "{}", &cursor[1..], &cursor[..cursor.len() - 1]].map(with));
    for request in refused {
        assert_eq!(why(world.labels().list_labels(request.clone()).await), Reason::INVALID_CURSOR, "{request:?}");
    }
    assert_eq!(world.store().asked, asked);
    assert_eq!(page(&world, with(&cursor)).await.labels[0].label, ACCOUNT[1]);
}

#[tokio::test]
async fn what_can_not_be_listed_is_refused_with_its_reason() {
    let world = World::new().await;
    let asking = async |request| why(world.labels().list_labels(request).await);
    assert_eq!(asking(filtered("userName eq")).await, Reason::INVALID_FILTER);
    assert_eq!(asking(ListLabelsRequest { sort_by: "userName".into(), ..all() }).await, Reason::FIELD_INVALID);
    assert_eq!(asking(ListLabelsRequest { count: 1_001, ..all() }).await, Reason::FIELD_INVALID);
    assert_eq!(asking(ListLabelsRequest { tenant: "nobody".into(), ..all() }).await, Reason::TENANT_NOT_FOUND);
    assert_eq!(why(world.labels_from_outside().list_labels(all()).await), Reason::UNAUTHENTICATED);
    let many: Vec<_> = (0..6_000).map(|n| format!("ROLE_{n}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    world.change(|state| state.change_ground(&many));
    assert_eq!(page(&world, all()).await.total_results, 12_000, "in two contexts, without the rule that is broken");
    assert_eq!(asking(filtered(r#"value co "9""#)).await, Reason::TOO_MANY);
    assert_eq!(page(&world, filtered(r#"value sw "RETAILER_" and value co "9""#)).await.labels.len(), 100);
    let either = r#"value sw "RETAILER_MAIN_ROLE_59" or value sw "ACCOUNT_0_ROLE_5999""#;
    assert_eq!(
        page(&world, filtered(either)).await.total_results,
        111 + 1,
        "what either leaves, not all that both share"
    );
    world.store().catalogue = None;
    world.store().ground_version += 1;
    assert_eq!(asking(all()).await, Reason::CATALOGUE_MISSING);
}
