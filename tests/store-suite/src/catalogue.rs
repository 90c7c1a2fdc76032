//! The ground: catalogue and settings, who may write the catalogue, and who waits for a newer one.

use std::time::Duration;

use proto::admin::v1::GetSettingsRequest;
use proto::common::v1::{
    Adoption, DisplayNames, Environment, Guardrail, MassDepartures, Protocol, PutOmitted, Rename, RoleLocations,
    RolesPatch, RulesFrom, Settings, WithoutLabels,
};
use proto::identity::v1::feed_entry::Change;
use proto::identity::v1::{AwaitCatalogueRequest, AwaitCatalogueResponse};
use runtime::error::{Error, Reason};
use tonic::Request;

use crate::Backend;
use crate::documents::user;
use crate::tenant::Tenant;

/// All of it to one who holds no version or another; position and version alone to one who holds this one.
pub async fn a_ground_is_sent_whole_to_one_who_does_not_hold_it(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let empty = tenant.ground(0).await.unwrap();
    assert!(empty.catalogue.is_none() && empty.settings.is_some());

    let put = tenant.put_catalogue(1, 0, &["STORE", "CLERK_2"]).await.unwrap();
    assert!(put.changed);
    tenant.user(&user("ann")).await;
    let whole = tenant.ground(0).await.unwrap();
    assert_eq!(whole.version, put.position.unwrap().revision);
    assert_eq!(whole.position.as_ref().unwrap().revision, whole.version + 1);
    let catalogue = whole.catalogue.clone().unwrap();
    assert_eq!(crate::tenant::sorted(catalogue.roles), ["CLERK_2", "STORE"]);
    let places = |places: Vec<proto::identity::v1::Place>| {
        let mut places: Vec<_> = places.into_iter().map(|place| (place.id, place.r#ref)).collect();
        places.sort();
        places
    };
    assert_eq!(places(catalogue.retailers), [("1".to_owned(), "MAIN".to_owned())]);
    let locations = [("77".to_owned(), "CHIC-01".to_owned()), ("78".to_owned(), String::new())];
    assert_eq!(places(catalogue.locations), locations);
    assert_eq!(tenant.ground(empty.version + 1_000).await.unwrap(), whole);

    let known = tenant.ground(whole.version).await.unwrap();
    assert_eq!((known.position, known.version), (whole.position, whole.version));
    assert!(known.catalogue.is_none() && known.settings.is_none() && known.rules.is_empty());
}

/// Settings are kept as given; the same ones again change nothing.
pub async fn settings_read_back_and_are_part_of_the_ground(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let settings = Settings {
        account_name: "ACME".into(),
        guardrail: Guardrail::Hold.into(),
        without_labels: WithoutLabels::Reject.into(),
        rename: Rename::Replace.into(),
        adoption: Adoption::ParkAll.into(),
        put_omitted: PutOmitted::Keep.into(),
        roles_patch: RolesPatch::Overwrite.into(),
        display_names: DisplayNames::Labels.into(),
        protocol: Protocol::Strict.into(),
        role_locations: RoleLocations::Listed.into(),
        environment: Environment::Development.into(),
        rules_from: RulesFrom::Fluent.into(),
        change_limit: 30,
        mass_departures: MassDepartures::Hold.into(),
    };
    let before = tenant.head().await;
    tenant.put_settings(settings.clone()).await.unwrap();
    let request = GetSettingsRequest { tenant: tenant.name.clone() };
    assert_eq!(tenant.admin().get_settings(request).await.unwrap().into_inner().settings, Some(settings.clone()));
    let ground = tenant.ground(0).await.unwrap();
    assert_eq!(ground.version, before.revision + 1);
    assert_eq!(ground.settings, Some(settings.clone()));
    let entries = tenant.entries_after(before).await;
    assert!(matches!(&entries[..], [entry] if matches!(entry.change, Some(Change::SettingsChanged(_)))));
    let after = tenant.trace(backend).await;
    tenant.put_settings(settings).await.unwrap();
    assert_eq!(tenant.trace(backend).await, after);
}

/// The same names in another order only get a new date.
pub async fn a_catalogue_equal_in_content_changes_nothing(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    tenant.put_catalogue(1, 0, &["A", "B"]).await.unwrap();
    let before = tenant.trace(backend).await;
    let again = tenant.put_catalogue(1, 0, &["B", "A", "B"]).await.unwrap();
    assert!(!again.changed);
    assert_eq!(again.position.unwrap(), tenant.head().await);
    assert_eq!(tenant.trace(backend).await, before);
    assert!(tenant.put_catalogue(1, 0, &["A"]).await.unwrap().changed);
}

/// Whoever has lost the lease writes nothing any more, not even what is equal.
pub async fn a_reader_with_an_older_fence_is_refused(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    tenant.put_catalogue(5, 0, &["A"]).await.unwrap();
    tenant.put_catalogue(7, 0, &["A"]).await.unwrap();
    let before = tenant.trace(backend).await;
    for roles in [&["A"][..], &["B"]] {
        for fence in [0, 5, 6] {
            let refused = tenant.put_catalogue(fence, 0, roles).await;
            assert_eq!(refused.unwrap_err().reason(), Reason::FENCED, "fence {fence}");
        }
    }
    assert_eq!(tenant.trace(backend).await, before);
    assert!(tenant.put_catalogue(7, 0, &["B"]).await.unwrap().changed);
}

/// A read that had begun before the call does not serve it; one that began after serves all who wait, though nothing has
/// changed.
pub async fn who_awaits_a_catalogue_is_served_by_a_read_that_began_after(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let before = tenant.watched_head(|_| true).await;
    let first = tokio::spawn(wait_for_catalogue(tenant.clone(), None));
    let asked = tenant.watched_head(|head| head.catalogue_wanted > before.catalogue_wanted).await;

    tenant.put_catalogue(1, before.catalogue_wanted, &["A"]).await.unwrap();
    assert!(tenant.watched_head(|_| true).await.catalogue_served < asked.catalogue_wanted);
    assert!(!first.is_finished());

    let second = tokio::spawn(wait_for_catalogue(tenant.clone(), None));
    let asked = tenant.watched_head(|head| head.catalogue_wanted > asked.catalogue_wanted).await;
    let put = tenant.put_catalogue(1, asked.catalogue_wanted, &["A"]).await.unwrap();
    assert!(!put.changed);
    for waiting in [first, second] {
        assert_eq!(waiting.await.unwrap().unwrap().position, put.position);
    }
    assert_eq!(tenant.watched_head(|_| true).await.catalogue_served, asked.catalogue_wanted);
}

/// One who waits longer than it may is told so.
pub async fn who_awaits_a_catalogue_in_vain_is_told_in_time(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let answer = wait_for_catalogue(tenant, Some(Duration::from_millis(50))).await;
    assert_eq!(answer.unwrap_err().reason(), Reason::DEADLINE_EXCEEDED);
}

async fn wait_for_catalogue(tenant: Tenant, at_most: Option<Duration>) -> Result<AwaitCatalogueResponse, Error> {
    let mut request = Request::new(AwaitCatalogueRequest { tenant: tenant.name.clone() });
    if let Some(at_most) = at_most {
        request.set_timeout(at_most);
    }
    Ok(tenant.access().await_catalogue(request).await?.into_inner())
}
