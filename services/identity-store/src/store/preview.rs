//! Whom a change of the ground, or of a group's labels, would hit, and how, before it is made: a page at a time, each from a
//! snapshot of its own, in the order in which those concerned are listed.
//!
//! What is compared stands still: where the ground or the group changes meanwhile, a preview ends.

use std::collections::BTreeSet;

use domain::difference::{Difference, Meanings};
use domain::effective::{Holding, Source};
use domain::id::{GroupId, TenantId};
use domain::revision::Revision;
use domain::settings::DisplayNames;
use sql::params;

use super::affected::Affected;
use super::document::{GroupDocument, labels_of_group};
use super::ground::Inputs;
use super::labels::Labels;
use super::{Store, group_labels, standing};
use crate::failure::Failure;
use crate::model::{self, Differing, Held, HeldThrough, Include, Read, UserKey, UserState};

/// How many users are looked at in one read.
const CHUNK: usize = 1_000;

/// A preview under way.
#[derive(Debug)]
pub(crate) struct Preview {
    tenant: TenantId,
    affected: Affected,
    /// The version of the ground that stands.
    ground: Revision,
    before: Meanings,
    change: Change,
    /// Those of the page being looked at who are yet to be.
    waiting: Vec<UserState>,
}

/// What would change.
#[derive(Debug)]
enum Change {
    /// What labels mean.
    Ground(Meanings),
    /// The labels of a group, as it is at a revision.
    Labels { group: GroupId, at: Revision, labels: Labels },
}

impl Store {
    /// Begins to compare what people have under `old`, the ground of a version, with what they would have under `new`.
    /// Nobody has anything before the first complete copy of the catalogue.
    pub(super) async fn preview(
        &self,
        tenant: &TenantId,
        (old, ground): (&Inputs, Revision),
        new: &Inputs,
    ) -> Result<Preview, Failure> {
        let affected = self.would_be_affected(tenant, old.touched(new)).await?;
        let (before, change) = (meanings(old)?, Change::Ground(meanings(new)?));
        Ok(Preview { tenant: tenant.clone(), affected, ground, before, change, waiting: Vec::new() })
    }

    /// Begins to compare what people have with what they would have if a group's own labels became these.
    pub(crate) async fn preview_labels(
        &self,
        tenant: &TenantId,
        group: GroupId,
        labels: &[String],
    ) -> Result<Preview, Failure> {
        const GROUP: &str = "SELECT document FROM groups WHERE tenant = $1 AND id = $2";
        let (owner, labels) = (tenant.clone(), labels_of_group(labels)?);
        let read = self.database.read(move |tx| {
            Box::pin(async move {
                let stands = standing(tx, &owner).await?;
                let row = tx.row(GROUP, params![owner.as_str(), group.as_bytes()]).await?;
                let row = row.ok_or(Failure::GroupNotFound)?;
                let document = GroupDocument { labels, ..GroupDocument::parse(row.bytes(0)?.to_vec())? };
                let labels = group_labels::of(tx, &owner, group, &document).await?;
                Ok::<_, Failure>((stands, Inputs::read(tx, &owner).await?, labels))
            })
        });
        let (stands, inputs, labels) = read.await?;
        let affected = self.inside(tenant, group).await?;
        let change = Change::Labels { group, at: stands.position.revision, labels };
        let (ground, before) = (stands.ground_version, meanings(&inputs)?);
        Ok(Preview { tenant: tenant.clone(), affected, ground, before, change, waiting: Vec::new() })
    }

    /// Those of the next users for whom something differs; `None` after the last. [`Failure::Moved`] once the ground or
    /// the group are not what they were at the beginning.
    pub(crate) async fn more_differences(
        &self,
        preview: &mut Preview,
    ) -> Result<Option<Read<Vec<Differing>>>, Failure> {
        if preview.waiting.is_empty() {
            let Some(page) = self.more_affected(&mut preview.affected).await? else {
                self.stands_still(preview).await?;
                return Ok(None);
            };
            preview.waiting = page.into_iter().filter(|user| user.active).collect();
        }
        let Preview { tenant, before, change, waiting, .. } = &mut *preview;
        let chunk = waiting.split_off(waiting.len().saturating_sub(CHUNK));
        let keys = chunk.iter().map(|user| UserKey::Id(user.id.to_string())).collect();
        let Read { value: read, position } = self.get_holdings(tenant, keys, Vec::new(), Include::default()).await?;
        let mut differing = Vec::new();
        for held in read.users.into_iter().flatten() {
            let Held::Read(model::Holding { id, user_name, active, labels, groups, .. }) = held else { continue };
            let labels = labels.into_iter().map(|(label, through)| (label, sources(through))).collect();
            let holding = Holding { active, labels };
            let after = match change {
                Change::Ground(after) => after.resolve(&holding),
                // Who has left the group meanwhile has left what it gives.
                Change::Labels { group, .. } if !groups.contains_key(group) => continue,
                Change::Labels { group, labels, .. } => before.resolve(&relabelled(holding.clone(), *group, labels)),
            };
            let difference = Difference::between(&before.resolve(&holding), &after);
            if !difference.is_empty() {
                differing.push(Differing { id, user_name, difference });
            }
        }
        self.stands_still(preview).await?;
        Ok(Some(Read { value: differing, position }))
    }

    /// [`Failure::Moved`] where the ground or the group are not what they were at the beginning. Versions and stamps only
    /// grow, and no group comes back: so what stands still after a read stood still in it.
    async fn stands_still(&self, preview: &Preview) -> Result<(), Failure> {
        const STAMP: &str = "SELECT stamp FROM groups WHERE tenant = $1 AND id = $2";
        let (tenant, ground) = (preview.tenant.clone(), preview.ground);
        let relabelled = match preview.change {
            Change::Ground(_) => None,
            Change::Labels { group, at, .. } => Some((group, at)),
        };
        let read = self.database.read(move |tx| {
            Box::pin(async move {
                if standing(tx, &tenant).await?.ground_version != ground {
                    return Err(Failure::Moved);
                }
                let Some((group, at)) = relabelled else { return Ok(()) };
                let row = tx.row(STAMP, params![tenant.as_str(), group.as_bytes()]).await?;
                match row.map(|row| row.int(0)).transpose()? {
                    Some(stamp) if stamp <= at.to_db() => Ok(()),
                    _ => Err(Failure::Moved),
                }
            })
        });
        read.await
    }
}

/// What is held if the group bears these labels and no others.
fn relabelled(mut holding: Holding, group: GroupId, labels: &Labels) -> Holding {
    holding.labels.retain(|_, sources| {
        sources.retain(|source| ![Source::Group(group), Source::GroupName(group)].contains(source));
        !sources.is_empty()
    });
    let Labels { stated, name } = labels;
    let stated = stated.iter().map(|label| (label, Source::Group(group)));
    for (label, source) in stated.chain(name.iter().map(|label| (label, Source::GroupName(group)))) {
        holding.labels.entry(label.clone()).or_default().insert(source);
    }
    holding
}

fn meanings(inputs: &Inputs) -> Result<Meanings, Failure> {
    let catalogue = inputs.catalogue().ok_or(Failure::CatalogueMissing)?;
    let names_are_labels = inputs.settings.display_names == DisplayNames::Labels;
    Ok(Meanings::new(catalogue, inputs.rules(), names_are_labels))
}

fn sources(through: HeldThrough) -> BTreeSet<Source> {
    let HeldThrough { direct, groups, named_by } = through;
    let direct = direct.then_some(Source::Direct);
    direct
        .into_iter()
        .chain(groups.into_iter().map(Source::Group))
        .chain(named_by.into_iter().map(Source::GroupName))
        .collect()
}
