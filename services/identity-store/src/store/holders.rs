//! Who holds labels that can be read in some way, themselves or through groups: a page at a time, in order of id, each
//! page from a snapshot of its own.

use domain::id::{TenantId, UserId};
use sql::{Value, params};

use super::labels::{ANYTHING, Holder};
use super::{Store, standing, user_id};
use crate::failure::Failure;
use crate::model::{HoldersWanted, Read};

/// The most users of one page.
const PAGE: u32 = 5_000;
/// The most names one call may give.
const NAMES: usize = 20_000;

impl Store {
    /// The next page of the holders; the last has fewer than were wanted.
    pub async fn label_holders(&self, tenant: &TenantId, wanted: HoldersWanted) -> Result<Read<Vec<UserId>>, Failure> {
        let HoldersWanted { context_type, contexts, roles, labels, after, limit } = wanted;
        if contexts.len() + roles.len() + labels.len() > NAMES {
            return Err(Failure::TooLarge {
                what: format!("one call may name at most {NAMES} contexts, roles and labels"),
            });
        }
        // No label holds a NUL, and no database takes one.
        let texts = |all: &[String]| Value::texts(all.iter().map(String::as_str).filter(|text| !text.contains('\0')));
        let after = after.map_or_else(Vec::new, |id| id.as_bytes().to_vec());
        let limit = if limit == 0 { PAGE } else { limit.min(PAGE) };
        let values = params![
            tenant.as_str(),
            context_type.as_str(),
            texts(&contexts),
            texts(&roles),
            texts(&labels),
            ANYTHING,
            after,
            i64::from(limit),
            Holder::User.to_db()
        ];
        let tenant = tenant.clone();
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    let position = standing(tx, &tenant).await?.position;
                    let rows = tx.rows(HOLDERS, values).await?;
                    Ok(Read { value: rows.iter().map(|row| user_id(row, 0)).collect::<Result<_, _>>()?, position })
                })
            })
            .await
    }
}

/// Who bears such a label, then the users among them and in the groups among them. `UNION` ends it even if groups were
/// nested in a circle.
pub(super) const HOLDERS: &str = "WITH RECURSIVE roles (value) AS (SELECT value FROM {texts:$4} AS named), bearers (id, kind) AS (\
     SELECT r.holder, r.holder_kind FROM {texts:$3} AS contexts CROSS JOIN {each:label_readings r \
     WHERE r.tenant = $1 AND r.context_type = $2 AND r.context = contexts.value AND r.role IN (SELECT value FROM roles)} \
     UNION SELECT l.holder, l.holder_kind FROM {texts:$5} AS texts \
     CROSS JOIN {each:labels l WHERE l.tenant = $1 AND l.label = texts.value} \
     UNION SELECT holder, holder_kind FROM label_readings WHERE tenant = $1 AND role = $6), \
     inside (id) AS (SELECT id FROM bearers WHERE kind <> $9 \
     UNION SELECT m.member_id FROM inside i \
     CROSS JOIN {each:members m WHERE m.tenant = $1 AND m.group_id = i.id AND m.is_group = 1 AND m.removed IS NULL}) \
     SELECT id FROM bearers WHERE kind = $9 AND id > $7 \
     UNION SELECT m.member_id FROM inside i CROSS JOIN {each:members m \
     WHERE m.tenant = $1 AND m.group_id = i.id AND m.is_group = 0 AND COALESCE(m.removed, 0) = 0 AND m.member_id > $7} \
     ORDER BY 1 LIMIT $8";
