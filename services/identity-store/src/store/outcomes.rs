//! What the pusher made of users, kept beside them: no change of the tenant, so outside revision, feed and version.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::clock::Timestamp;
use domain::grant::Grant;
use domain::id::{TenantId, UserId};
use domain::revision::{Epoch, Revision};
use serde::{Deserialize, Serialize};
use sql::{Row, Value, params};

use super::commit::{Applied, Scope, Write};
use super::{Store, epoch_of, list_from_db, list_to_db};
use crate::failure::Failure;
use crate::model::{Outcome, State};

/// The most reports in one call.
const REPORTS: usize = 1_000;

impl Store {
    /// Keeps what became of users. A report older than the one kept, of another epoch, or of a user who is gone is passed
    /// over.
    pub async fn report_outcomes(
        &self,
        tenant: &TenantId,
        epoch: Epoch,
        outcomes: Vec<(UserId, Outcome)>,
    ) -> Result<(), Failure> {
        if outcomes.len() > REPORTS {
            return Err(Failure::TooLarge { what: "one call may report at most 1,000 outcomes".into() });
        }
        self.committer.write(tenant, Report { epoch, outcomes }).await?;
        Ok(())
    }
}

/// It waits in the queue with the tenant's changes: so it never meets a deletion half way, and shares their commit.
struct Report {
    epoch: Epoch,
    outcomes: Vec<(UserId, Outcome)>,
}

#[async_trait]
impl Write for Report {
    type Answer = ();

    async fn apply(&self, scope: &mut Scope<'_, '_>) -> Result<Applied<()>, Failure> {
        let Self { epoch, outcomes } = self;
        if epoch_of(scope.tx).await? != *epoch {
            return Ok(Applied::Unchanged(()));
        }
        let records = Value::records(newest(outcomes).into_iter().map(|(user, outcome)| {
            let Outcome { state, reasons, fluent_user_id, pushed_at, effective_roles, revision } = outcome;
            params![
                user.as_bytes(),
                revision.to_db(),
                state.as_str(),
                list_to_db(reasons.iter().map(String::as_str)),
                fluent_user_id,
                pushed_at.0,
                grants_to_db(effective_roles),
            ]
        }));
        scope.tx.execute(PUT, params![scope.tenant.as_str(), epoch.as_bytes(), records]).await?;
        Ok(Applied::Unchanged(()))
    }
}

/// The outcomes of those users who are there.
pub(super) const PUT: &str = "INSERT INTO outcomes (tenant, user_id, epoch, revision, state, reasons, fluent_user_id, \
     pushed_at, effective_roles) \
     SELECT u.tenant, u.id, $2, {int:r.record 1}, {text:r.record 2}, {text:r.record 3}, {text:r.record 4}, \
     {int:r.record 5}, {text:r.record 6} \
     FROM (SELECT r.record, {bytes:r.record 0} AS id FROM {records:$3} AS r) AS r \
     CROSS JOIN {each:users u WHERE u.tenant = $1 AND u.id = r.id} \
     ON CONFLICT (tenant, user_id) DO UPDATE SET epoch = excluded.epoch, revision = excluded.revision, \
     state = excluded.state, reasons = excluded.reasons, fluent_user_id = excluded.fluent_user_id, \
     pushed_at = excluded.pushed_at, effective_roles = excluded.effective_roles \
     WHERE outcomes.epoch <> excluded.epoch OR outcomes.revision <= excluded.revision";

/// One outcome a user: the newest, and of two that are as new the last. In order of user, so that two reports do not
/// wait for each other.
fn newest(outcomes: &[(UserId, Outcome)]) -> BTreeMap<UserId, &Outcome> {
    let mut newest = BTreeMap::<_, &Outcome>::new();
    for (user, outcome) in outcomes {
        let kept = newest.entry(*user).or_insert(outcome);
        if kept.revision <= outcome.revision {
            *kept = outcome;
        }
    }
    newest
}

/// The outcome in six columns from `first` on, if there is one.
pub(super) fn maybe(row: &Row, first: usize) -> Result<Option<Outcome>, Failure> {
    let Some(state) = row.maybe_text(first)? else { return Ok(None) };
    Ok(Some(Outcome {
        state: State::named(state).ok_or(Failure::Internal)?,
        reasons: list_from_db(row.text(first + 1)?)?,
        fluent_user_id: row.text(first + 2)?.to_owned(),
        pushed_at: Timestamp(row.int(first + 3)?),
        effective_roles: grants_from_db(row.text(first + 4)?)?,
        revision: Revision::from_db(row.int(first + 5)?),
    }))
}

#[derive(Serialize, Deserialize)]
struct GrantRow<'a> {
    role: std::borrow::Cow<'a, str>,
    context_type: std::borrow::Cow<'a, str>,
    context_id: std::borrow::Cow<'a, str>,
}

fn grants_to_db(grants: &[Grant]) -> String {
    let rows: Vec<_> = grants
        .iter()
        .map(|Grant { role, context_type, context_id }| GrantRow {
            role: (&**role).into(),
            context_type: context_type.as_str().into(),
            context_id: (&**context_id).into(),
        })
        .collect();
    serde_json::to_string(&rows).unwrap_or_default()
}

fn grants_from_db(text: &str) -> Result<Vec<Grant>, Failure> {
    let rows: Vec<GrantRow<'_>> = serde_json::from_str(text).map_err(|error| {
        tracing::error!(%error, "a row holds no list of grants");
        Failure::Internal
    })?;
    rows.iter()
        .map(|GrantRow { role, context_type, context_id }| {
            let context_type = context_type.parse().map_err(|_| Failure::Internal)?;
            Ok(Grant { role: (&**role).into(), context_type, context_id: (&**context_id).into() })
        })
        .collect()
}
