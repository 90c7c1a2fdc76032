//! The catalogue: the newest complete copy of what Fluent recognises, who may write it, and who waits for a newer one.

use std::collections::BTreeSet;

use domain::catalogue::{Catalogue, Place};
use domain::id::TenantId;
use domain::revision::Position;
use serde::{Deserialize, Serialize};
use sql::{Statement, params};

use super::Store;
use super::commit::Scope;
use super::ground::Names;
use super::pending::{Edit, Proposed};
use super::rules;
use crate::failure::Failure;
use crate::model::{CatalogueRead, Head, RulesRead, Written};

/// The most roles, retailers and locations of one catalogue together.
const ITEMS: usize = 200_000;

impl Store {
    /// Stores a complete read of the catalogue, and of Fluent's rules with it. One equal in content to what is kept only
    /// gives it a new date. Answers whether the change waits for an operator.
    pub async fn put_catalogue(&self, tenant: &TenantId, read: CatalogueRead) -> Result<Written<bool>, Failure> {
        if read.roles.len() + read.retailers.len() + read.locations.len() > ITEMS {
            return Err(Failure::TooLarge { what: format!("a catalogue has at most {ITEMS} items") });
        }
        let CatalogueRead { fence, wanted_seen, .. } = read;
        let edit = Edit::Read { catalogue: Document::new(&read)?, rules: read.rules };
        let written = self.propose(tenant, edit, Some(ReadNote { fence, wanted_seen })).await?;
        let Written { value: Proposed { served, waits }, position, changed } = written;
        let head = Head { catalogue_served: served, revision: position.revision, ..Head::default() };
        self.board.announce(tenant, head);
        Ok(Written { value: waits, position, changed })
    }

    /// Asks for a read of the catalogue that begins from now on, and waits until it is stored. The caller's deadline
    /// bounds the wait: dropping this ends it.
    pub async fn await_catalogue(&self, tenant: &TenantId) -> Result<Position, Failure> {
        let mut watch = self.watch_heads();
        let wanted = self.want_catalogue(tenant).await?;
        self.board.announce(tenant, Head { catalogue_wanted: wanted, ..Head::default() });
        loop {
            if let Some((epoch, head)) = self.known_head(tenant)
                && head.catalogue_served >= wanted
            {
                return Ok(Position { epoch, revision: head.revision });
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

/// Who read a catalogue, and for whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadNote {
    fence: u64,
    wanted_seen: u64,
}

/// Notes a read, whatever becomes of its content; answers what the newest one kept has served. Refused with
/// [`Failure::Fenced`] if a later reader has written.
pub(super) async fn note(scope: &mut Scope<'_, '_>, read: ReadNote, rules: &RulesRead) -> Result<u64, Failure> {
    const STANDS: &str = "SELECT catalogue_fence, catalogue_served, catalogue_wanted FROM tenants WHERE id = $1";
    const DATE: &str = "UPDATE tenants SET catalogue_fence = $2, catalogue_served = $3, catalogue_read_at = $4 \
         WHERE id = $1";
    let ReadNote { fence, wanted_seen } = read;
    let tenant = scope.tenant;
    let row = scope.tx.row(STANDS, params![tenant.as_str()]).await?.ok_or(Failure::TenantNotFound)?;
    let fence = i64::try_from(fence).unwrap_or(i64::MAX);
    if fence < row.int(0)? {
        return Err(Failure::Fenced);
    }
    // Nobody has seen a number that was not given out: one beyond it would answer calls that are yet to come.
    let seen = i64::try_from(wanted_seen).unwrap_or(i64::MAX).min(row.int(2)?);
    let served = seen.max(row.int(1)?);
    let mut statements = vec![Statement::new(DATE, params![tenant.as_str(), fence, served, scope.now.0])];
    statements.extend(rules::note_fault(scope, rules));
    scope.tx.batch(statements).await?;
    Ok(u64::try_from(served).unwrap_or(0))
}
