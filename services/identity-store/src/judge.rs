//! Judges labels that an operator gives to groups, as the gateway judges those of an identity provider: only what is added
//! counts, and a name is unknown only after a read of the catalogue newer than the request.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::id::TenantId;
use domain::label::Label;
use domain::matching::{Matching, Unmatched};
use domain::revision::Revision;
use domain::settings::Guardrail;

use crate::failure::Failure;
use crate::model::{GroundContent, GroupLabels, Written};
use crate::store::{Store, sound_group_labels};

/// How long a read of the catalogue is waited for.
const WAIT: Duration = Duration::from_secs(15);

/// Stores an entry of the tenant's own table if it may stand there: see [`Store::put_group_labels`]. Answers how many
/// groups have other labels now.
pub(crate) async fn put_group_labels(
    store: &Store,
    tenant: &TenantId,
    entry: GroupLabels,
) -> Result<Written<u64>, Failure> {
    sound_group_labels(&entry)?;
    let known = store.group_labels_of(tenant, &entry.key).await?;
    let labels: BTreeSet<Label> = entry.labels.iter().cloned().collect();
    // What takes something away is stored whatever it adds, and waits for nothing.
    let unmatched = if known.is_subset(&labels) {
        unmatched(store, tenant, labels.difference(&known).cloned().collect()).await?
    } else {
        Vec::new()
    };
    store.put_group_labels(tenant, entry, unmatched).await
}

/// Those of the labels that give nothing, each with why.
async fn unmatched(
    store: &Store,
    tenant: &TenantId,
    labels: BTreeSet<Label>,
) -> Result<Vec<(Label, Unmatched)>, Failure> {
    if labels.is_empty() {
        return Ok(Vec::new());
    }
    let (guardrail, first) = look(store, tenant, labels.clone()).await?;
    let may_be_new = !first.is_empty() && first.iter().all(|(_, why)| why.reason.may_be_new());
    if guardrail == Guardrail::Hold || !may_be_new {
        return Ok(first);
    }
    tokio::time::timeout(WAIT, store.await_catalogue(tenant)).await.map_err(|_| Failure::TooLate)??;
    Ok(look(store, tenant, labels).await?.1)
}

async fn look(
    store: &Store,
    tenant: &TenantId,
    labels: BTreeSet<Label>,
) -> Result<(Guardrail, Vec<(Label, Unmatched)>), Failure> {
    let ground = store.get_ground(tenant, Revision(0)).await?.value.content.ok_or(Failure::Internal)?;
    let GroundContent { catalogue, rules, rules_setting_id: _, settings } = ground;
    let catalogue = catalogue.ok_or(Failure::CatalogueMissing)?;
    // A suggestion compares a label with the whole catalogue: not among those who answer others.
    let matching = tokio::task::spawn_blocking(move || Matching::new(&catalogue, &rules).unmatched(labels));
    Ok((settings.guardrail, matching.await.map_err(|_| Failure::Internal)?))
}
