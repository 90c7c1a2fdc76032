//! Who holds labels that can be read in some way.

use proto::identity::v1::ListLabelHoldersRequest;
use runtime::error::{Error, Reason};

use crate::Backend;
use crate::documents::{group, user};
use crate::tenant::{Tenant, sorted};

fn reads(tenant: &Tenant, contexts: &[&str], roles: &[&str]) -> ListLabelHoldersRequest {
    let texts = |all: &[&str]| all.iter().map(ToString::to_string).collect();
    ListLabelHoldersRequest {
        tenant: tenant.name.clone(),
        context_type: "AGENT".into(),
        contexts: texts(contexts),
        roles: texts(roles),
        ..Default::default()
    }
}

async fn holders(tenant: &Tenant, request: ListLabelHoldersRequest) -> Result<Vec<String>, Error> {
    let answer = tenant.access().list_label_holders(request).await.map_err(Error::from)?;
    Ok(answer.into_inner().user_ids)
}

/// By every reading, in any case of the context type, by the whole text; on the user and through nested groups.
pub async fn a_label_is_looked_for_in_every_way_it_can_be_read(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let ann = tenant.user(&user("ann").labels(&["agent_A_B_C"])).await;
    let bob = tenant.user(&user("bob")).await;
    let eve = tenant.user(&user("eve").labels(&["RETAILER_A_C", "AGENT_X_Y"])).await;
    let inner = tenant.group(&group("inner"), std::slice::from_ref(&bob)).await;
    tenant.group(&group("outer").labels(&["AGENT_A_C"]), &[inner]).await;
    let asked =
        async |contexts: &[&str], roles: &[&str]| holders(&tenant, reads(&tenant, contexts, roles)).await.unwrap();
    assert_eq!(asked(&["A"], &["B_C", "C"]).await, sorted([ann.clone(), bob.clone()]));
    assert_eq!(asked(&["A_B"], &["C"]).await, std::slice::from_ref(&ann));
    assert_eq!(asked(&["A", "\0"], &["C"]).await, [bob]);
    assert!(asked(&["A"], &["B"]).await.is_empty());
    let whole = ListLabelHoldersRequest { labels: vec!["RETAILER_A_C".into()], ..reads(&tenant, &[], &[]) };
    assert_eq!(holders(&tenant, whole).await.unwrap(), [eve]);
    tenant.delete_user(&ann, 0).await.unwrap();
    assert!(asked(&["A_B"], &["C"]).await.is_empty());
}

/// In order of id, after any of them, each once however many ways there are to it.
pub async fn holders_are_listed_once_a_page_at_a_time(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let mut users = Vec::new();
    for n in 0..7 {
        users.push(tenant.user(&user(&format!("u{n}")).labels(&["AGENT_A_C"])).await);
    }
    tenant.group(&group("one").labels(&["AGENT_A_C"]), &users).await;
    let mut listed = Vec::new();
    loop {
        let after_id = listed.last().cloned().unwrap_or_default();
        let page = ListLabelHoldersRequest { after_id, limit: 3, ..reads(&tenant, &["A"], &["C"]) };
        let page = holders(&tenant, page).await.unwrap();
        let full = page.len() == 3;
        listed.extend(page);
        if !full {
            break;
        }
    }
    assert_eq!(listed, sorted(users));
    let nonsense = ListLabelHoldersRequest { context_type: "CITY".into(), ..reads(&tenant, &[], &[]) };
    assert_eq!(holders(&tenant, nonsense).await.unwrap_err().reason(), Reason::FIELD_INVALID);
}

/// Of one holder with thousands of readings none is kept, so that it may hold anything.
pub async fn who_holds_very_many_labels_is_listed_whatever_is_asked(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let labels: Vec<_> = (0..3_000).map(|n| format!("AGENT_{n}_B_C")).collect();
    let labels: Vec<_> = labels.iter().map(String::as_str).collect();
    let ann = tenant.user(&user("ann").labels(&labels)).await;
    assert_eq!(holders(&tenant, reads(&tenant, &["nowhere"], &["C"])).await.unwrap(), [ann]);
}
