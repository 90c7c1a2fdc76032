//! The catalogue: the newest complete copy of what Fluent recognises, who may write it, and who waits for a newer one.

use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::catalogue::{Catalogue, Place};
use domain::id::TenantId;
use domain::revision::Position;
use serde::{Deserialize, Serialize};
use sql::{Statement, params};

use super::Store;
use super::commit::{Applied, Scope, Write};
use super::ground::{self, Inputs, Names};
use super::rules;
use crate::failure::Failure;
use crate::model::{CatalogueRead, Head, Written};

/// The most roles, retailers and locations of one catalogue together.
const ITEMS: usize = 200_000;

impl Store {
    /// Stores a complete read of the catalogue, and of Fluent's rules with it. One equal in content to what is kept only
    /// gives it a new date.
    pub async fn put_catalogue(&self, tenant: &TenantId, read: CatalogueRead) -> Result<Written<()>, Failure> {
        if read.roles.len() + read.retailers.len() + read.locations.len() > ITEMS {
            return Err(Failure::TooLarge { what: format!("a catalogue has at most {ITEMS} items") });
        }
        let Written { value: served, position, changed } = self.committer.write(tenant, Put(read)).await?;
        let head = Head { catalogue_served: served, revision: position.revision, ..Head::default() };
        self.board.announce(tenant, head);
        Ok(Written { value: (), position, changed })
    }

    /// Asks for a read of the catalogue that begins from now on, and waits until it is stored. The caller's deadline
    /// bounds the wait: dropping this ends it.
    pub async fn await_catalogue(&self, tenant: &TenantId) -> Result<Position, Failure> {
        let mut watch = self.watch_heads();
        let wanted = self.want_catalogue(tenant).await?;
        self.board.announce(tenant, Head { catalogue_wanted: wanted, ..Head::default() });
        loop {
            let known = self.known_heads();
            if let Some(head) = known.heads.get(tenant)
                && head.catalogue_served >= wanted
            {
                return Ok(Position { epoch: known.epoch, revision: head.revision });
            }
            watch.moved().await;
        }
    }

    async fn want_catalogue(&self, tenant: &TenantId) -> Result<u64, Failure> {
        const WANT: &str = "UPDATE tenants SET catalogue_wanted = catalogue_wanted + 1 WHERE id = $1";
        const WANTED: &str = "SELECT catalogue_wanted FROM tenants WHERE id = $1";
        let tenant = tenant.clone();
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    tx.execute(WANT, params![tenant.as_str()]).await?;
                    let row = tx.row(WANTED, params![tenant.as_str()]).await?.ok_or(Failure::TenantNotFound)?;
                    Ok(u64::try_from(row.int(0)?).unwrap_or(0))
                })
            })
            .await
    }
}

/// The catalogue as the database keeps it: sorted, so that equal content is equal text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Document {
    roles: BTreeSet<String>,
    retailers: BTreeSet<Item>,
    locations: BTreeSet<Item>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Item {
    id: String,
    #[serde(rename = "ref")]
    reference: Option<String>,
}

impl Document {
    fn new(read: &CatalogueRead) -> Result<Self, Failure> {
        let CatalogueRead { fence: _, wanted_seen: _, roles, retailers, locations, rules: _ } = read;
        let document = Self {
            roles: roles.iter().cloned().collect(),
            retailers: retailers.iter().map(Item::new).collect(),
            locations: locations.iter().map(Item::new).collect(),
        };
        if document.names().any(|name| name.is_empty() || name.contains('\0')) {
            let expected = "a name or id in it is empty or holds the character U+0000".into();
            return Err(Failure::Invalid { field: "catalogue", expected });
        }
        Ok(document)
    }

    pub(super) fn from_db(text: &str) -> Result<Self, Failure> {
        serde_json::from_str(text).map_err(|error| {
            tracing::error!(%error, "a stored catalogue can't be read");
            Failure::Internal
        })
    }

    pub(super) fn to_db(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn catalogue(&self, account_name: &str) -> Catalogue {
        let roles = self.roles.iter().map(|role| role.as_str().into());
        Catalogue::new(
            account_name,
            roles,
            self.retailers.iter().map(Item::place),
            self.locations.iter().map(Item::place),
        )
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let places = self.retailers.iter().chain(&self.locations).flat_map(Item::names);
        self.roles.iter().map(String::as_str).chain(places)
    }

    /// Adds what differs between two catalogues.
    pub(super) fn differing(&self, new: &Self, names: &mut Names) {
        let places = |old: &BTreeSet<Item>, new: &BTreeSet<Item>| -> BTreeSet<String> {
            old.symmetric_difference(new).flat_map(Item::names).map(str::to_owned).collect()
        };
        names.roles.extend(self.roles.symmetric_difference(&new.roles).cloned());
        names.retailers.extend(places(&self.retailers, &new.retailers));
        names.locations.extend(places(&self.locations, &new.locations));
    }
}

impl Item {
    fn new(place: &Place) -> Self {
        let Place { id, reference } = place;
        Self { id: id.to_string(), reference: reference.as_deref().map(str::to_owned) }
    }

    fn place(&self) -> Place {
        Place { id: self.id.as_str().into(), reference: self.reference.as_deref().map(Into::into) }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        [Some(self.id.as_str()), self.reference.as_deref()].into_iter().flatten()
    }
}

struct Put(CatalogueRead);

#[async_trait]
impl Write for Put {
    /// What the newest read kept has served.
    type Answer = u64;

    async fn apply(&self, scope: &mut Scope<'_, '_>) -> Result<Applied<u64>, Failure> {
        const STANDS: &str = "SELECT catalogue_fence, catalogue_served, catalogue_wanted FROM tenants WHERE id = $1";
        const DATE: &str = "UPDATE tenants SET catalogue_fence = $2, catalogue_served = $3, catalogue_read_at = $4 \
             WHERE id = $1";
        let Self(read) = self;
        let tenant = scope.tenant;
        let document = Document::new(read)?;
        let row = scope.tx.row(STANDS, params![tenant.as_str()]).await?.ok_or(Failure::TenantNotFound)?;
        let fence = i64::try_from(read.fence).unwrap_or(i64::MAX);
        if fence < row.int(0)? {
            return Err(Failure::Fenced);
        }
        // Nobody has seen a number that was not given out: one beyond it would answer calls that are yet to come.
        let seen = i64::try_from(read.wanted_seen).unwrap_or(i64::MAX).min(row.int(2)?);
        let served = seen.max(row.int(1)?);
        let mut statements = vec![Statement::new(DATE, params![tenant.as_str(), fence, served, scope.now.0])];
        statements.extend(rules::note_fault(scope, &read.rules));
        scope.tx.batch(statements).await?;
        let old = Inputs::read(scope.tx, tenant).await?;
        let new = Inputs { catalogue: Some(document), fluent: read.rules.kept(old.fluent.as_ref()), ..old.clone() };
        let served = u64::try_from(served).unwrap_or(0);
        let changed = ground::change(scope, &old, &new, "catalogue.replace").await?;
        Ok(if changed { Applied::Changed(served) } else { Applied::Unchanged(served) })
    }
}
