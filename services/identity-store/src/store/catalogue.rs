//! The ground that labels are matched against: the catalogue's newest copy, the rules, the settings.

use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::catalogue::{Catalogue, Place};
use domain::id::TenantId;
use domain::revision::{Position, Revision};
use domain::rules::Rules;
use serde::{Deserialize, Serialize};
use sql::{Statement, Tx, params};

use super::audit::Record;
use super::commit::{Applied, Scope, Write};
use super::{Store, feed, list_from_db, standing, tenants};
use crate::failure::Failure;
use crate::model::{Actor, CatalogueRead, Change, Ground, GroundContent, Head, Read, Touched, Written};

/// More changed names than this are not listed: everyone is affected.
const LISTED: usize = 500;
/// The most roles, retailers and locations of one catalogue together.
const ITEMS: usize = 200_000;

impl Store {
    /// The tenant's ground; only its version if the caller holds that version already.
    pub async fn get_ground(&self, tenant: &TenantId, known: Revision) -> Result<Read<Ground>, Failure> {
        let tenant = tenant.clone();
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    let stands = standing(tx, &tenant).await?;
                    let version = stands.ground_version;
                    let content =
                        if known == version && known != Revision(0) { None } else { Some(content(tx, &tenant).await?) };
                    Ok(Read { value: Ground { version, content }, position: stands.position })
                })
            })
            .await
    }

    /// Stores a complete read of the catalogue. One equal in content to the copy kept only gives it a new date.
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

async fn content(tx: &mut Tx<'_>, tenant: &TenantId) -> Result<GroundContent, Failure> {
    const CONTENT: &str = "SELECT t.settings, c.document FROM tenants t \
         LEFT JOIN catalogues c ON c.tenant = t.id WHERE t.id = $1";
    let row = tx.row(CONTENT, params![tenant.as_str()]).await?.ok_or(Failure::TenantNotFound)?;
    let settings = tenants::from_db(row.text(0)?)?;
    let catalogue = match row.maybe_text(1)? {
        None => None,
        Some(document) => Some(Document::from_db(document)?.catalogue(&settings.account_name)),
    };
    Ok(GroundContent { catalogue, rules: rules(tx, tenant).await?, settings })
}

async fn rules(tx: &mut Tx<'_>, tenant: &TenantId) -> Result<Rules, Failure> {
    const RULES: &str = "SELECT logical_role, target_roles FROM rules WHERE tenant = $1 ORDER BY logical_role";
    let mut pairs = Vec::new();
    for row in tx.rows(RULES, params![tenant.as_str()]).await? {
        let targets = list_from_db(row.text(1)?)?.into_iter().map(Into::into).collect();
        pairs.push((row.text(0)?.into(), targets));
    }
    Rules::new(pairs).map_err(|error| {
        tracing::error!(%error, "the stored rules are malformed");
        Failure::Internal
    })
}

/// The catalogue as the database keeps it: sorted, so that equal content is equal text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Document {
    roles: BTreeSet<String>,
    retailers: BTreeSet<Item>,
    locations: BTreeSet<Item>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Item {
    id: String,
    #[serde(rename = "ref")]
    reference: Option<String>,
}

impl Document {
    fn new(read: &CatalogueRead) -> Result<Self, Failure> {
        let CatalogueRead { fence: _, wanted_seen: _, roles, retailers, locations } = read;
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

    fn from_db(text: &str) -> Result<Self, Failure> {
        serde_json::from_str(text).map_err(|error| {
            tracing::error!(%error, "a stored catalogue can't be read");
            Failure::Internal
        })
    }

    fn catalogue(&self, account_name: &str) -> Catalogue {
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

    /// What differs between two catalogues, with the logical roles whose rules name a role that differs.
    fn touched(&self, new: &Self, of: &Rules) -> Touched {
        let mut roles: BTreeSet<&str> = self.roles.symmetric_difference(&new.roles).map(String::as_str).collect();
        let logical = of.iter().filter(|(_, targets)| targets.iter().any(|target| roles.contains(&**target)));
        let logical: Vec<&str> = logical.map(|(name, _)| &**name).collect();
        roles.extend(logical);
        let places = |old: &BTreeSet<Item>, new: &BTreeSet<Item>| -> BTreeSet<String> {
            old.symmetric_difference(new).flat_map(Item::names).map(str::to_owned).collect()
        };
        let (retailers, locations) = (places(&self.retailers, &new.retailers), places(&self.locations, &new.locations));
        if roles.len() + retailers.len() + locations.len() > LISTED {
            return Touched::Everything;
        }
        Touched::Names {
            roles: roles.into_iter().map(str::to_owned).collect(),
            retailers: retailers.into_iter().collect(),
            locations: locations.into_iter().collect(),
        }
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
        const KEPT: &str = "SELECT t.catalogue_fence, t.catalogue_served, t.catalogue_wanted, c.document \
             FROM tenants t LEFT JOIN catalogues c ON c.tenant = t.id WHERE t.id = $1";
        const DATE: &str = "UPDATE tenants SET catalogue_fence = $2, catalogue_served = $3, catalogue_read_at = $4 \
             WHERE id = $1";
        const STORE: &str = "INSERT INTO catalogues (tenant, document) VALUES ($1, $2) \
             ON CONFLICT (tenant) DO UPDATE SET document = excluded.document";
        let Self(read) = self;
        let tenant = scope.tenant;
        let new = Document::new(read)?;
        let row = scope.tx.row(KEPT, params![tenant.as_str()]).await?.ok_or(Failure::TenantNotFound)?;
        let fence = i64::try_from(read.fence).unwrap_or(i64::MAX);
        if fence < row.int(0)? {
            return Err(Failure::Fenced);
        }
        // Nobody has seen a number that was not given out: one beyond it would answer calls that are yet to come.
        let seen = i64::try_from(read.wanted_seen).unwrap_or(i64::MAX).min(row.int(2)?);
        let served = seen.max(row.int(1)?);
        let mut statements = vec![Statement::new(DATE, params![tenant.as_str(), fence, served, scope.now.0])];
        let old = row.maybe_text(3)?.map(Document::from_db).transpose()?;
        let served = u64::try_from(served).unwrap_or(0);
        if old.as_ref() == Some(&new) {
            scope.tx.batch(statements).await?;
            return Ok(Applied::Unchanged(served));
        }
        let touched = match &old {
            None => Touched::Everything,
            Some(old) => old.touched(&new, &rules(scope.tx, tenant).await?),
        };
        let record = Record {
            tenant,
            at: scope.now,
            revision: Some(scope.revision),
            actor: &Actor::default(),
            operation: "catalogue.replace",
            object: tenant.to_string(),
        };
        let document = serde_json::to_string(&new).unwrap_or_default();
        statements.push(Statement::new(STORE, params![tenant.as_str(), document]));
        // What is new can take away too: it may give a label a second meaning.
        statements.push(feed::write(scope, 0, old.is_some(), &Change::Catalogue(touched)));
        statements.push(record.write([]));
        scope.tx.batch(statements).await?;
        scope.counts.ground = true;
        Ok(Applied::Changed(served))
    }
}
