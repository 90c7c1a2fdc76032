//! Tenants: made once, and strangers to each other.

use proto::admin::v1::ListTenantsRequest;
use proto::identity::v1::user_key::Key;
use runtime::error::Reason;
use serde_json::{Value, json};

use crate::Backend;
use crate::documents::{group, user};
use crate::tenant::Tenant;
use crate::together::at_once;

/// A tenant's name is given once, and lists are in order.
pub async fn a_tenant_is_made_once(backend: &Backend) {
    let (first, second) = (Tenant::new(backend).await, Tenant::new(backend).await);
    assert_eq!(first.make().await.unwrap_err().reason(), Reason::TENANT_EXISTS);
    let listed = first.admin().list_tenants(ListTenantsRequest {}).await.unwrap().into_inner().tenants;
    assert!(listed.is_sorted());
    assert!(listed.contains(&first.name) && listed.contains(&second.name));
}

/// Nothing is read from, written to or made for a tenant that does not exist.
pub async fn one_who_names_no_tenant_there_is_finds_nothing(backend: &Backend) {
    let tenant = Tenant::unmade(backend);
    let id = uuid::Uuid::new_v4().to_string();
    let reasons = [
        tenant.add_user(&user("ann")).await.map(drop),
        tenant.get_user(&id).await.map(drop),
        tenant.list_users("", 1, 1).await.map(drop),
        tenant.delete_user(&id, 0).await.map(drop),
        tenant.add_group(&group("staff"), &[]).await.map(drop),
        tenant.list_groups("").await.map(drop),
        tenant.holdings(vec![Key::UserName("ann".into())]).await.map(drop),
        tenant.ground(0).await.map(drop),
        tenant.put_catalogue(1, 0, &["STORE"]).await.map(drop),
    ]
    .map(|answer| answer.unwrap_err().reason());
    assert_eq!(reasons, [Reason::TENANT_NOT_FOUND; 9]);
}

/// What one tenant has is not there for another: not by id, not by name, not as a member, not in the feed.
pub async fn nothing_of_one_tenant_is_seen_or_touched_by_another(backend: &Backend) {
    let (ours, theirs) = (Tenant::new(backend).await, Tenant::new(backend).await);
    let ann = theirs.user(&user("ann").external_id("7")).await;
    let staff = theirs.group(&group("staff"), std::slice::from_ref(&ann)).await;
    let mine = ours.group(&group("mine"), &[]).await;
    let (before, ours_before) = (theirs.trace(backend).await, ours.trace(backend).await);

    let missing = [
        ours.get_user(&ann).await.map(drop),
        ours.replace_user(&ann, 0, &user("ann")).await.map(drop),
        ours.delete_user(&ann, 0).await.map(drop),
    ];
    assert_eq!(missing.map(|answer| answer.unwrap_err().reason()), [Reason::USER_NOT_FOUND; 3]);
    let missing = [
        ours.get_group(&staff).await.map(drop),
        ours.put_group(&staff, &group("staff")).await.map(drop),
        ours.add_members(&staff, &[]).await.map(drop),
        ours.delete_group(&staff).await.map(drop),
        ours.members_after(&staff, "").await.map(drop),
    ];
    assert_eq!(missing.map(|answer| answer.unwrap_err().reason()), [Reason::GROUP_NOT_FOUND; 5]);
    for member in [&ann, &staff] {
        let added = ours.add_members(&mine, std::slice::from_ref(member)).await;
        assert_eq!(added.unwrap_err().reason(), Reason::MEMBER_NOT_FOUND);
    }
    let keys = vec![Key::Id(ann.clone()), Key::UserName("ann".into()), Key::ExternalId("7".into())];
    assert!(ours.holdings(keys).await.unwrap().holdings.iter().all(|holding| !holding.found));
    assert_eq!(ours.list_users("", 1, 10).await.unwrap().total_results, 0);
    assert_eq!(ours.list_users("userName eq \"ann\"", 1, 10).await.unwrap().total_results, 0);
    assert_eq!(theirs.trace(backend).await, before);
    assert_eq!(ours.trace(backend).await, ours_before);

    // The same names are free here.
    ours.user(&user("ann").external_id("7")).await;
    ours.group(&group("staff"), &[]).await;
}

const BADGES: &str = "urn:ietf:params:scim:schemas:extension:Badges:2.0:User";

fn badges(attributes: &[&str]) -> Value {
    let attributes: Vec<_> = attributes.iter().map(|name| json!({"name": name, "caseExact": true})).collect();
    json!({"id": BADGES, "name": "Badges", "attributes": attributes})
}

/// An extension is what its last definition says, for its tenant alone; none takes a revision.
pub async fn a_tenants_extensions_are_its_own_and_are_filtered_by(backend: &Backend) {
    let (ours, theirs) = (Tenant::new(backend).await, Tenant::new(backend).await);
    let ann = ours.user(&user("ann").extension(BADGES, json!({"badge": "7"}))).await;
    let head = ours.head().await;
    let found = async |tenant: &Tenant, filter: &str| {
        tenant
            .list_users(filter, 1, 10)
            .await
            .map(|page| page.users.into_iter().map(|user| user.id).collect::<Vec<_>>())
    };
    let by_badge = format!("{BADGES}:badge eq \"7\"");
    assert_eq!(found(&ours, &by_badge).await.unwrap_err().reason(), Reason::INVALID_FILTER);

    assert_eq!(ours.put_extension("User", &badges(&["other"])).await.unwrap(), BADGES);
    assert_eq!(found(&ours, &by_badge).await.unwrap_err().reason(), Reason::INVALID_FILTER);
    ours.put_extension("user", &badges(&["other", "badge"])).await.unwrap();
    assert_eq!(found(&ours, &by_badge).await.unwrap(), std::slice::from_ref(&ann));
    assert_eq!(found(&ours, "badge eq \"8\"").await.unwrap(), [""; 0]);
    assert_eq!(found(&theirs, &by_badge).await.unwrap_err().reason(), Reason::INVALID_FILTER);
    assert!(theirs.extensions().await.unwrap().is_empty());
    let stored = ours.extensions().await.unwrap();
    assert_eq!((stored.len(), stored[0].resource_type.as_str()), (1, "User"));
    assert_eq!(serde_json::from_str::<Value>(&stored[0].schema).unwrap(), badges(&["other", "badge"]));

    let entries = backend.insider.audit_entries(&ours.name).await;
    ours.put_extension("User", &badges(&["other", "badge"])).await.unwrap();
    assert_eq!(backend.insider.audit_entries(&ours.name).await, entries, "nothing changed");
    let core = json!({"id": "urn:ietf:params:scim:schemas:core:2.0:User", "name": "x", "attributes": []});
    for refused in [core, json!({}), json!({"id": BADGES, "name": "x", "attributes": [{"name": "a b"}]})] {
        assert_eq!(
            ours.put_extension("User", &refused).await.unwrap_err().reason(),
            Reason::FIELD_INVALID,
            "{refused}"
        );
    }
    assert_eq!(ours.put_extension("Robot", &badges(&["a"])).await.unwrap_err().reason(), Reason::FIELD_INVALID);
    assert_eq!(theirs.remove_extension(BADGES).await.unwrap_err().reason(), Reason::SCHEMA_NOT_FOUND);
    ours.remove_extension(&BADGES.to_uppercase()).await.unwrap();
    assert!(ours.extensions().await.unwrap().is_empty());
    assert_eq!(found(&ours, &by_badge).await.unwrap_err().reason(), Reason::INVALID_FILTER);
    assert_eq!(ours.head().await, head, "schemas take no revision");
}

/// Two operators at once undo nothing of each other's, and there are never more than ten.
pub async fn extensions_put_at_once_are_all_kept(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let put = |n: usize| {
        let tenant = tenant.clone();
        let schema = json!({"id": format!("urn:example:e{n}:Group"), "name": "x", "attributes": [{"name": "a"}]});
        async move { tenant.put_extension("Group", &schema).await }
    };
    let answers = at_once((0..12).map(put)).await;
    let kept = tenant.extensions().await.unwrap().len();
    assert_eq!((kept, answers.iter().filter(|answer| answer.is_ok()).count()), (10, 10));
}
