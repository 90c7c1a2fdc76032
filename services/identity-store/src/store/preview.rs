//! Whom a change of the ground would hit, and how, before it is made: a page at a time, each from a snapshot of its own, in
//! the order in which those concerned are listed.

use std::collections::BTreeSet;

use domain::difference::{Difference, Meanings};
use domain::effective::{Holding, Source};
use domain::id::TenantId;
use domain::settings::DisplayNames;

use super::Store;
use super::affected::Affected;
use super::ground::Inputs;
use crate::failure::Failure;
use crate::model::{self, Differing, Held, HeldThrough, Include, UserKey, UserState};

/// How many users are looked at in one read.
const CHUNK: usize = 1_000;

/// A preview under way.
#[derive(Debug)]
pub(crate) struct Preview {
    tenant: TenantId,
    affected: Affected,
    before: Meanings,
    after: Meanings,
    /// Those of the page being looked at who are yet to be.
    waiting: Vec<UserState>,
}

impl Store {
    /// Begins to compare what people have under `old` with what they would have under `new`. Nobody has anything before
    /// the first complete copy of the catalogue.
    pub(super) async fn preview(&self, tenant: &TenantId, old: &Inputs, new: &Inputs) -> Result<Preview, Failure> {
        let affected = self.would_be_affected(tenant, old.touched(new)).await?;
        let (before, after) = (meanings(old)?, meanings(new)?);
        Ok(Preview { tenant: tenant.clone(), affected, before, after, waiting: Vec::new() })
    }

    /// Those of the next users for whom something differs; `None` after the last.
    pub(crate) async fn more_differences(&self, preview: &mut Preview) -> Result<Option<Vec<Differing>>, Failure> {
        let Preview { tenant, affected, before, after, waiting } = preview;
        if waiting.is_empty() {
            let Some(page) = self.more_affected(affected).await? else { return Ok(None) };
            *waiting = page.into_iter().filter(|user| user.active).collect();
        }
        let chunk = waiting.split_off(waiting.len().saturating_sub(CHUNK));
        let keys = chunk.iter().map(|user| UserKey::Id(user.id.to_string())).collect();
        let read = self.get_holdings(tenant, keys, Vec::new(), Include::default()).await?;
        let mut differing = Vec::new();
        for held in read.value.users.into_iter().flatten() {
            let Held::Read(model::Holding { id, user_name, active, labels, .. }) = held else { continue };
            let labels = labels.into_iter().map(|(label, through)| (label, sources(through))).collect();
            let holding = Holding { active, labels };
            let difference = Difference::between(&before.resolve(&holding), &after.resolve(&holding));
            if !difference.is_empty() {
                differing.push(Differing { id, user_name, difference });
            }
        }
        Ok(Some(differing))
    }
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
