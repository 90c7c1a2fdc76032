//! What a group's labels are: those of its document, those of the tenant's own table, and perhaps its name. And that
//! table: labels that operators give to groups which their provider can't give any.

use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::fold::fold;
use domain::grant::ContextType;
use domain::id::{GroupId, TenantId};
use domain::label::{LONGEST, Label};
use domain::matching::Unmatched;
use domain::settings::{DisplayNames, Guardrail};
use sql::{Row, Statement, Tx, params};

use super::audit::Record;
use super::commit::{Applied, Scope, Write};
use super::document::GroupDocument;
use super::labels::{self, Holder, Labels};
use super::{Store, crowd, feed, group_id, list_from_db, list_to_db, rules, standing, tenants};
use crate::failure::Failure;
use crate::model::{Actor, Change, GroupKey, GroupLabels, Read, Written};

/// The most labels of one entry.
const LABELS: usize = 100;
/// The most entries one answer holds.
const PAGE: i64 = 200;
/// The longest key, in characters.
const LONGEST_KEY: usize = 500;

/// The labels of a group with this document. Of the table's entries the first counts that is there: by `externalId`, by
/// id, by folded `displayName`.
pub(super) async fn of(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    id: GroupId,
    document: &GroupDocument,
) -> Result<Labels, Failure> {
    const ENTRY: &str = "SELECT labels FROM group_labels WHERE tenant = $1 AND ((key_kind = 0 AND key = $2) \
         OR (key_kind = 1 AND key = $3) OR (key_kind = 2 AND key = $4)) ORDER BY key_kind LIMIT 1";
    let keys = params![tenant.as_str(), document.external_id.as_deref(), id.to_string(), document.folded_name()];
    let mut stated = document.labels.clone();
    if let Some(row) = tx.row(ENTRY, keys).await? {
        stated.extend(read_labels(row.text(0)?)?);
    }
    let name = name_label(&document.display_name).filter(|name| !stated.contains(name));
    Ok(Labels { stated, name })
}

/// Whether something that gives access in this tenant is no longer a label in `new`. A name that is read as before, for it
/// changed in the case of its context type alone, gives what it gave.
pub(super) async fn loses(tx: &mut Tx<'_>, tenant: &TenantId, old: &Labels, new: &Labels) -> Result<bool, Failure> {
    if old.loses_stated(new) {
        return Ok(true);
    }
    let Some(name) = old.name.as_ref().filter(|_| old.loses(new)) else { return Ok(false) };
    if tenants::settings(tx, tenant).await?.display_names != DisplayNames::Labels {
        return Ok(false);
    }
    let reads_as_before = new.name.iter().chain(&new.stated).any(|other| name.reads_like(other));
    Ok(!reads_as_before || rules::is_named(tx, tenant, name).await?)
}

/// A name as a label, if it can come to mean anything; a name gives nothing for the whole account.
fn name_label(name: &str) -> Option<Label> {
    let label = Label::new(name);
    let kind = label.readings().first()?.context_type.parse::<ContextType>().ok()?;
    (kind != ContextType::Account).then_some(label)
}

fn read_labels(text: &str) -> Result<BTreeSet<Label>, Failure> {
    Ok(list_from_db(text)?.iter().map(|label| Label::new(label)).collect())
}

/// A key as the database keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct DbKey {
    kind: i64,
    text: String,
}

impl From<&GroupKey> for DbKey {
    fn from(key: &GroupKey) -> Self {
        let (kind, text) = match key {
            GroupKey::ExternalId(id) => (0, id.clone()),
            GroupKey::Id(id) => (1, id.to_string()),
            GroupKey::DisplayName(name) => (2, fold(name)),
        };
        Self { kind, text }
    }
}

/// An entry from kind, key and labels in the first three columns. A name comes back folded.
fn entry(row: &Row) -> Result<GroupLabels, Failure> {
    let text = row.text(1)?;
    let key = match row.int(0)? {
        0 => GroupKey::ExternalId(text.to_owned()),
        1 => GroupKey::Id(text.parse()?),
        _ => GroupKey::DisplayName(text.to_owned()),
    };
    Ok(GroupLabels { key, labels: read_labels(row.text(2)?)?.into_iter().collect() })
}

impl Store {
    /// The entries of the tenant's own table after a key, at most 200; the first ones if there is no key.
    pub async fn list_group_labels(
        &self,
        tenant: &TenantId,
        after: Option<GroupKey>,
    ) -> Result<Read<Vec<GroupLabels>>, Failure> {
        const LIST: &str = "SELECT key_kind, key, labels FROM group_labels \
             WHERE tenant = $1 AND (key_kind, key) > ($2, $3) ORDER BY key_kind, key LIMIT $4";
        let tenant = tenant.clone();
        let DbKey { kind, text } = after.as_ref().map_or(DbKey { kind: -1, text: String::new() }, DbKey::from);
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    let position = standing(tx, &tenant).await?.position;
                    let rows = tx.rows(LIST, params![tenant.as_str(), kind, text, PAGE]).await?;
                    Ok(Read { value: rows.iter().map(entry).collect::<Result<_, _>>()?, position })
                })
            })
            .await
    }

    /// What the table says of exactly this key.
    pub(crate) async fn group_labels_of(&self, tenant: &TenantId, key: &GroupKey) -> Result<BTreeSet<Label>, Failure> {
        let (tenant, key) = (tenant.clone(), DbKey::from(key));
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    standing(tx, &tenant).await?;
                    stored(tx, &tenant, &key).await
                })
            })
            .await
    }

    /// Gives the groups of a key these labels, and no others from the table; none ends the entry. `unmatched` are those
    /// it adds that give nothing: with any, it is stored only if it takes something away, or the tenant holds rather than
    /// refuses and few enough are held.
    pub(crate) async fn put_group_labels(
        &self,
        tenant: &TenantId,
        entry: GroupLabels,
        unmatched: Vec<(Label, Unmatched)>,
    ) -> Result<Written<u64>, Failure> {
        let GroupLabels { key, labels } = entry;
        let labels = labels.into_iter().collect();
        self.committer.write(tenant, Put { key: DbKey::from(&key), labels, unmatched }).await
    }
}

/// Refuses a key that no index can hold, and labels that can mean nothing however Fluent changes.
pub(crate) fn sound(entry: &GroupLabels) -> Result<(), Failure> {
    let GroupLabels { key, labels } = entry;
    if let GroupKey::ExternalId(text) | GroupKey::DisplayName(text) = key
        && (text.is_empty() || text.chars().count() > LONGEST_KEY || text.chars().any(char::is_control))
    {
        let expected = "it must be 1 to 500 characters, none of them a control character".into();
        return Err(Failure::Invalid { field: "key", expected });
    }
    if labels.len() > LABELS {
        return Err(Failure::TooLarge { what: format!("a group gets at most {LABELS} labels from the table") });
    }
    let unsound = |label: &Label| {
        let text = label.as_str();
        text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control)
    };
    if labels.iter().any(unsound) {
        let expected = format!("each must be 1 to {LONGEST} bytes, without control characters");
        return Err(Failure::Invalid { field: "labels", expected });
    }
    Ok(())
}

async fn stored(tx: &mut Tx<'_>, tenant: &TenantId, key: &DbKey) -> Result<BTreeSet<Label>, Failure> {
    const STORED: &str = "SELECT labels FROM group_labels WHERE tenant = $1 AND key_kind = $2 AND key = $3";
    let row = tx.row(STORED, params![tenant.as_str(), key.kind, &key.text]).await?;
    row.map_or_else(|| Ok(BTreeSet::new()), |row| read_labels(row.text(0)?))
}

/// The groups an entry may concern, with their documents.
async fn groups(tx: &mut Tx<'_>, tenant: &TenantId, key: &DbKey) -> Result<Vec<(GroupId, GroupDocument)>, Failure> {
    macro_rules! select {
        ($condition:literal) => {
            concat!("SELECT id, document FROM groups WHERE tenant = $1 AND ", $condition)
        };
    }
    let (sql, value) = match key.kind {
        0 => (select!("external_id = $2"), sql::Value::from(&key.text)),
        1 => (select!("id = $2"), sql::Value::from(key.text.parse::<GroupId>()?.as_bytes())),
        _ => (select!("display_name_folded = $2"), sql::Value::from(&key.text)),
    };
    let rows = tx.rows(sql, vec![tenant.as_str().into(), value]).await?;
    rows.iter().map(|row| Ok((group_id(row, 0)?, GroupDocument::parse(row.bytes(1)?.to_vec())?))).collect()
}

struct Put {
    key: DbKey,
    labels: BTreeSet<Label>,
    unmatched: Vec<(Label, Unmatched)>,
}

#[async_trait]
impl Write for Put {
    /// How many groups' labels changed.
    type Answer = u64;

    async fn apply(&self, scope: &mut Scope<'_, '_>) -> Result<Applied<u64>, Failure> {
        const STAMP: &str = "UPDATE groups SET stamp = $3 WHERE tenant = $1 AND id = $2";
        let Self { key, labels, unmatched } = self;
        let tenant = scope.tenant;
        let before = stored(scope.tx, tenant, key).await?;
        if before == *labels {
            return Ok(Applied::Unchanged(0));
        }
        let mut takes_away = !before.is_subset(labels);
        scope.tx.batch(vec![set(tenant, key, labels)]).await?;
        let mut changed = Vec::new();
        let mut statements = Vec::new();
        for (id, document) in groups(scope.tx, tenant, key).await? {
            let old = labels::rows(scope.tx, tenant, id.as_bytes()).await?;
            let new = of(scope.tx, tenant, id, &document).await?;
            if old == new {
                continue;
            }
            takes_away |= loses(scope.tx, tenant, &old, &new).await?;
            let part = i64::try_from(changed.len()).unwrap_or(i64::MAX);
            statements.extend(labels::change(tenant, id.as_bytes(), Holder::Group, &old, &new));
            let stamp = params![tenant.as_str(), id.as_bytes(), scope.revision.to_db()];
            statements.push(Statement::new(STAMP, stamp));
            let change = Change::Group { group: id, exists: true };
            statements.push(feed::write(scope, part, old.loses(&new), &change));
            changed.push(id);
        }
        if !unmatched.is_empty() && !takes_away {
            match tenants::settings(scope.tx, tenant).await?.guardrail {
                Guardrail::Reject => return Err(Failure::LabelsUnmatched { labels: unmatched.clone() }),
                Guardrail::Hold => crowd::check(scope.tx, tenant, &changed).await?,
            }
        }
        // An entry that concerns no group yet changes nothing that the revision counts.
        let revision = (!changed.is_empty()).then_some(scope.revision);
        let actor = &Actor::default();
        let object = ["externalId", "id", "displayName"].get(usize::try_from(key.kind).unwrap_or(0)).copied();
        let object = format!("{} {}", object.unwrap_or_default(), blake3::hash(key.text.as_bytes()).to_hex());
        let record = Record { tenant, at: scope.now, revision, actor, operation: "group_labels.put", object };
        statements.push(record.write([]));
        scope.tx.batch(statements).await?;
        let count = changed.len() as u64;
        Ok(if changed.is_empty() { Applied::Unchanged(count) } else { Applied::Changed(count) })
    }
}

fn set(tenant: &TenantId, key: &DbKey, labels: &BTreeSet<Label>) -> Statement {
    const SET: &str = "INSERT INTO group_labels (tenant, key_kind, key, labels) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant, key_kind, key) DO UPDATE SET labels = excluded.labels";
    const END: &str = "DELETE FROM group_labels WHERE tenant = $1 AND key_kind = $2 AND key = $3";
    let mut values = params![tenant.as_str(), key.kind, &key.text];
    if labels.is_empty() {
        return Statement::new(END, values);
    }
    values.push(list_to_db(labels.iter().map(Label::as_str)).into());
    Statement::new(SET, values)
}

#[cfg(test)]
mod tests {
    use super::name_label;

    #[test]
    fn a_name_is_a_label_only_where_it_can_come_to_mean_something() {
        for name in ["AGENT_1_STORE", "Retailer_MAIN_Buyer", "agent_5000299_SYD_STORE"] {
            assert!(name_label(name).is_some(), "{name}");
        }
        for name in ["Warehouse staff", "AGENT", "AGENT_1", "TEAM_1_STORE", "ACCOUNT_0_ADMIN", "account_ACME_ADMIN", ""]
        {
            assert!(name_label(name).is_none(), "{name}");
        }
    }
}
