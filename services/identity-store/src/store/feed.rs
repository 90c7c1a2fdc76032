//! The feed: one entry for each committed change, in order of revision. How entries are kept, and how they are read.

mod payload;

use domain::id::TenantId;
use domain::revision::{Position, Revision};
use sql::{Row, Statement, Tx, params};

use super::commit::Scope;
use super::{Store, standing, time};
use crate::failure::Failure;
use crate::model::{Change, Entry, FeedPage, Read, Wanted};

/// The most members in one entry; a change of more is split into parts.
pub(super) const MEMBERS: usize = 5_000;
/// The most revisions one read answers with.
const REVISIONS: u32 = 1_000;
/// About how much one read answers with, in bytes of payload.
const BYTES: usize = 4 << 20;
/// The most bytes of payload of one revision: of one with more, no further members are named, so that an answer stays
/// far below the 16 MiB of a message.
const NAMED: usize = 2 * BYTES;
/// How many rows are fetched at a time.
const ROWS: i64 = 64;

/// The statement that writes an entry, or the `part`th of a change's several.
pub(super) fn write(scope: &mut Scope<'_, '_>, part: i64, takes_away: bool, change: &Change) -> Statement {
    const INSERT: &str = "INSERT INTO feed (tenant, revision, part, at, takes_away, kind, payload) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)";
    scope.counts.takes_away |= takes_away;
    let (kind, payload) = payload::to_db(change);
    Statement::new(
        INSERT,
        params![scope.tenant.as_str(), scope.revision.to_db(), part, scope.now.0, takes_away, kind, payload],
    )
}

impl Store {
    /// The entries after a position that are wanted; of at most `limit` revisions, 0 for as many as fit in an answer.
    pub async fn read_feed(
        &self,
        tenant: &TenantId,
        after: Position,
        wanted: Wanted,
        limit: u32,
    ) -> Result<Read<FeedPage>, Failure> {
        let tenant = tenant.clone();
        let limit = if limit == 0 { REVISIONS } else { limit.min(REVISIONS) };
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    let stands = standing(tx, &tenant).await?;
                    let head = stands.position;
                    if after.epoch != head.epoch || after.revision > head.revision {
                        return Err(Failure::EpochMismatch);
                    }
                    if after.revision < stands.feed_floor {
                        return Err(Failure::FeedTruncated);
                    }
                    let value = page(tx, &tenant, (after.revision, head.revision), wanted, limit).await?;
                    Ok(Read { value, position: head })
                })
            })
            .await
    }
}

/// In order of revision, by the feed's key.
pub(super) const NEXT: &str = "SELECT revision, part, at, takes_away, kind, payload FROM feed \
     WHERE tenant = $1 AND (revision, part) > ($2, $3) AND revision <= $4 ORDER BY revision, part LIMIT $5";
/// The same of what takes away, by an index of that alone: however much lies between, it is not looked at.
pub(super) const NEXT_TAKING_AWAY: &str = "SELECT revision, part, at, takes_away, kind, payload FROM feed \
     WHERE tenant = $1 AND takes_away = 1 AND (revision, part) > ($2, $3) AND revision <= $4 \
     ORDER BY revision, part LIMIT $5";

async fn page(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    (after, head): (Revision, Revision),
    wanted: Wanted,
    limit: u32,
) -> Result<FeedPage, Failure> {
    let (sql, until) = match wanted {
        // Each revision has an entry, so that these are all that can be answered.
        Wanted::All => (NEXT, head.min(Revision(after.0.saturating_add(u64::from(limit))))),
        Wanted::TakingAway => (NEXT_TAKING_AWAY, head),
    };
    let (mut at, mut bytes, mut of_revision, mut revisions) = ((after.to_db(), i64::MAX), 0, 0, 0);
    let mut entries = Vec::<Entry>::new();
    loop {
        let rows = tx.rows(sql, params![tenant.as_str(), at.0, at.1, until.to_db(), ROWS]).await?;
        let last = rows.len() < usize::try_from(ROWS).unwrap_or(usize::MAX);
        for row in rows {
            let mut entry = entry(&row)?;
            let previous = entries.last().map(|entry| entry.revision);
            if previous != Some(entry.revision) {
                // What is full may still finish the revision it is in.
                if let Some(through) = previous.filter(|_| bytes >= BYTES || revisions == limit) {
                    return Ok(FeedPage { entries, through });
                }
                revisions += 1;
                of_revision = 0;
            }
            let length = row.text(5)?.len();
            (bytes, of_revision) = (bytes + length, of_revision + length);
            if let Change::Members { group: _, added, removed } = &mut entry.change
                && of_revision > NAMED
            {
                (*added, *removed) = (Vec::new(), Vec::new());
                entry.unnamed = true;
            }
            at = (row.int(0)?, row.int(1)?);
            entries.push(entry);
        }
        if last {
            return Ok(FeedPage { entries, through: until });
        }
    }
}

/// All parts of the change that took a revision.
pub(super) async fn of_revision(tx: &mut Tx<'_>, tenant: &TenantId, revision: Revision) -> Result<Vec<Entry>, Failure> {
    const PARTS: &str = "SELECT revision, part, at, takes_away, kind, payload FROM feed \
         WHERE tenant = $1 AND revision = $2 ORDER BY part";
    tx.rows(PARTS, params![tenant.as_str(), revision.to_db()]).await?.iter().map(entry).collect()
}

fn entry(row: &Row) -> Result<Entry, Failure> {
    Ok(Entry {
        revision: Revision::from_db(row.int(0)?),
        at: time(row, 2)?,
        takes_away: row.flag(3)?,
        change: payload::from_db(row.text(4)?, row.text(5)?)?,
        unnamed: false,
    })
}
