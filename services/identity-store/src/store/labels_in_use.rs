//! Which labels users and groups hold: each once, in order, found by jumps from one to the next in their index, so that a
//! label that a hundred thousand people hold costs as much as one that nobody else does.

use domain::id::TenantId;
use domain::label::Label;
use domain::offer::apart;
use domain::revision::Revision;
use sql::params;

use super::{Standing, Store, document, standing};
use crate::failure::Failure;
use crate::model::Read;

/// The most labels in one answer.
const MOST: u32 = 20_000;
/// The most ways for them to begin.
const PREFIXES: usize = 33;
/// The most bytes that the labels of one answer may have: half of what a message may, for it holds more than letters.
const MOST_BYTES: usize = 8 << 20;

impl Store {
    /// The first labels in use that begin with one of `prefixes`, at most `limit`, 0 for as many as one answer may hold; and
    /// the version of the ground beside them. The name of a group is none, and neither is what stands for a text that no
    /// index can hold.
    pub async fn labels_in_use(
        &self,
        tenant: &TenantId,
        prefixes: &[String],
        limit: u32,
    ) -> Result<Read<(Vec<Label>, Revision)>, Failure> {
        if prefixes.len() > PREFIXES {
            return Err(Failure::TooLarge {
                what: format!("labels may be asked for by at most {PREFIXES} beginnings"),
            });
        }
        let limit = if limit == 0 { MOST } else { limit.min(MOST) } as usize;
        // No label holds a NUL, and no database takes one; and nothing that begins with the prefix comes after the end.
        let begins = |prefix: &str| (prefix.to_owned(), format!("{prefix}{}", char::MAX));
        let ranges: Vec<_> = apart(prefixes).into_iter().filter(|prefix| !prefix.contains('\0')).map(begins).collect();
        let tenant = tenant.clone();
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    let Standing { position, ground_version, .. } = standing(tx, &tenant).await?;
                    let (mut labels, mut looked, mut bytes) = (Vec::new(), 0, 0);
                    'all: for (first, end) in ranges {
                        let rest = i64::try_from(limit - looked).unwrap_or(i64::MAX);
                        let rows = tx.rows(IN_USE, params![tenant.as_str(), first, end, rest]).await?;
                        looked += rows.len();
                        for row in &rows {
                            let label = row.text(0)?;
                            bytes += label.len();
                            if bytes > MOST_BYTES {
                                break 'all;
                            }
                            if !document::is_brief(label) {
                                labels.push(Label::new(label));
                            }
                        }
                    }
                    Ok(Read { value: (labels, ground_version), position })
                })
            })
            .await
    }
}

/// The labels from one text up to, not including, another.
pub(super) const IN_USE: &str = "WITH RECURSIVE used (label) AS (\
     SELECT (SELECT MIN(label) FROM labels WHERE tenant = $1 AND label >= $2 AND label < $3 AND named = 0) \
     UNION ALL SELECT (SELECT MIN(l.label) FROM labels l \
     WHERE l.tenant = $1 AND l.label > used.label AND l.label < $3 AND l.named = 0) \
     FROM used WHERE used.label IS NOT NULL) \
     SELECT label FROM used WHERE label IS NOT NULL LIMIT $4";
