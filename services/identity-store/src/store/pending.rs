//! Changes of the ground: whoever reads Fluent or operates the tenant proposes one. One that would take access from more
//! people than the tenant's limit, or hold them, waits beside the ground that stays, until an operator says.

use std::sync::Arc;

use async_trait::async_trait;
use domain::id::TenantId;
use domain::rules::Rules;
use domain::settings::Settings;
use serde_json::{Value, json};
use sql::{Statement, Tx, params};

use super::audit::Record;
use super::catalogue::{self, Document, ReadNote};
use super::commit::{Applied, Scope, Write};
use super::ground::{self, Inputs};
use super::preview::Preview;
use super::{Standing, Store, standing, tenants, time};
use crate::failure::Failure;
use crate::model::{Actor, FluentRules, GroundSource, PendingGround, RulesRead, Written};

/// How often a change is looked at anew because the ground moved meanwhile.
const TRIES: usize = 5;

impl Store {
    /// Makes a change of the ground, or lets it wait.
    pub(super) async fn propose(
        &self,
        tenant: &TenantId,
        edit: Edit,
        read: Option<ReadNote>,
    ) -> Result<Written<Proposed>, Failure> {
        let edit = Arc::new(edit);
        let mut answer = Err(Failure::VersionMismatch);
        for _ in 0..TRIES {
            let (at, waits) = match self.look(tenant, &edit).await {
                Err(Failure::Moved) => continue,
                looked => looked?,
            };
            let propose = Propose { edit: Arc::clone(&edit), read, at, waits };
            answer = self.committer.write(tenant, propose).await;
            if !matches!(answer, Err(Failure::VersionMismatch)) {
                break;
            }
        }
        answer
    }

    /// The ground as it is, and whether the change would hit more than the tenant's limit.
    async fn look(&self, tenant: &TenantId, edit: &Edit) -> Result<(Inputs, bool), Failure> {
        let (old, stands) = self.inputs(tenant).await?;
        let new = edit.apply(&old);
        // Most choices of a tenant mean nothing for labels, though everyone is to be looked at again after some.
        if old.catalogue.is_none() || old.means_the_same_as(&new) {
            return Ok((old, false));
        }
        let most = old.settings.change_limit.most(stands.users);
        let mut hit = 0_u64;
        let mut preview = self.preview(tenant, (&old, stands.ground_version), &new).await?;
        while let Some(differing) = self.more_differences(&mut preview).await? {
            hit += differing.value.iter().map(|user| u64::from(user.difference.hits())).sum::<u64>();
            if hit > most {
                return Ok((old, true));
            }
        }
        Ok((old, false))
    }

    /// What the ground is made from, and where the tenant stands.
    async fn inputs(&self, tenant: &TenantId) -> Result<(Inputs, Standing), Failure> {
        let tenant = tenant.clone();
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    let stands = standing(tx, &tenant).await?;
                    Ok((Inputs::read(tx, &tenant).await?, stands))
                })
            })
            .await
    }

    /// The changes that wait, in the order of their sources.
    pub async fn pending_grounds(&self, tenant: &TenantId) -> Result<Vec<PendingGround>, Failure> {
        let tenant = tenant.clone();
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    standing(tx, &tenant).await?;
                    let old = Inputs::read(tx, &tenant).await?;
                    let mut waiting = Vec::new();
                    for Row { id, edit, since, dismissed, .. } in rows(tx, &tenant).await? {
                        if !dismissed {
                            let touched = old.touched(&edit.apply(&old));
                            waiting.push(PendingGround { id, source: edit.source(), since, touched });
                        }
                    }
                    Ok(waiting)
                })
            })
            .await
    }

    /// What a change that waits would do.
    pub(crate) async fn preview_pending(&self, tenant: &TenantId, id: &str) -> Result<Preview, Failure> {
        let (owner, wanted) = (tenant.clone(), id.to_owned());
        let read = self.database.read(move |tx| {
            Box::pin(async move {
                let ground = standing(tx, &owner).await?.ground_version;
                Ok::<_, Failure>((Inputs::read(tx, &owner).await?, ground, waiting(tx, &owner, &wanted).await?.edit))
            })
        });
        let (old, ground, edit) = read.await?;
        self.preview(tenant, (&old, ground), &edit.apply(&old)).await
    }

    /// What the tenant's own rules would do if they became these.
    pub(crate) async fn preview_rules(&self, tenant: &TenantId, rules: Rules) -> Result<Preview, Failure> {
        let (old, stands) = self.inputs(tenant).await?;
        self.preview(tenant, (&old, stands.ground_version), &Edit::Rules(Some(rules)).apply(&old)).await
    }

    /// Makes a change that waits, whomever it hits.
    pub async fn confirm_ground(&self, tenant: &TenantId, id: String) -> Result<Written<()>, Failure> {
        self.committer.write(tenant, Decide { id, confirmed: true }).await
    }

    /// Drops a change that waits. One read in Fluent is not proposed again until another is read there.
    pub async fn dismiss_ground(&self, tenant: &TenantId, id: String) -> Result<Written<()>, Failure> {
        self.committer.write(tenant, Decide { id, confirmed: false }).await
    }
}

/// What became of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Proposed {
    /// What the newest read of the catalogue that is kept has served.
    pub(super) served: u64,
    /// Whether it waits for an operator.
    pub(super) waits: bool,
}

/// A part of the ground, and what it is to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// What was read in Fluent.
    Read { catalogue: Document, rules: RulesRead },
    /// The tenant's own rules.
    Rules(Option<Rules>),
    /// What the tenant chose.
    Settings(Settings),
}

impl Edit {
    fn source(&self) -> GroundSource {
        match self {
            Self::Read { .. } => GroundSource::Read,
            Self::Rules(_) => GroundSource::Rules,
            Self::Settings(_) => GroundSource::Settings,
        }
    }

    fn operation(&self) -> &'static str {
        match self {
            Self::Read { .. } => "catalogue.replace",
            Self::Rules(_) => "rules.replace",
            Self::Settings(_) => "settings.replace",
        }
    }

    fn apply(&self, old: &Inputs) -> Inputs {
        match self {
            Self::Read { catalogue, rules } => Inputs {
                catalogue: Some(catalogue.clone()),
                fluent: rules.kept(old.fluent.as_ref()),
                own: old.own.clone(),
                settings: old.settings.clone(),
            },
            Self::Rules(own) => Inputs { own: own.clone(), ..old.clone() },
            Self::Settings(settings) => Inputs { settings: settings.clone(), ..old.clone() },
        }
    }

    fn to_db(&self) -> String {
        match self {
            Self::Read { catalogue, rules } => {
                let rules = match rules {
                    RulesRead::Unasked | RulesRead::Fault(_) => json!("kept"),
                    RulesRead::Absent => json!("none"),
                    RulesRead::Found(FluentRules { setting_id, rules }) => {
                        json!({ "setting_id": setting_id, "rules": rules.to_json().to_string() })
                    }
                };
                json!({ "catalogue": catalogue.to_db(), "rules": rules }).to_string()
            }
            Self::Rules(own) => json!({ "rules": own.as_ref().map(|rules| rules.to_json().to_string()) }).to_string(),
            Self::Settings(settings) => json!({ "settings": tenants::to_db(settings) }).to_string(),
        }
    }

    fn from_db(source: &str, text: &str) -> Result<Self, Failure> {
        let broken = || {
            tracing::error!("a change that waits can't be read");
            Failure::Internal
        };
        let stored: Value = serde_json::from_str(text).map_err(|_| broken())?;
        let text = |name: &str| stored.get(name).and_then(Value::as_str);
        let rules = |text: &str| Rules::parse(text).map_err(|_| broken());
        Ok(match GroundSource::named(source).ok_or_else(broken)? {
            GroundSource::Read => {
                let fluent = stored.get("rules").ok_or_else(broken)?;
                let field = |name: &str| fluent.get(name).and_then(Value::as_str).ok_or_else(broken);
                let fluent = match fluent.as_str() {
                    Some("kept") => RulesRead::Unasked,
                    Some(_) => RulesRead::Absent,
                    None => RulesRead::Found(FluentRules {
                        setting_id: field("setting_id")?.to_owned(),
                        rules: rules(field("rules")?)?,
                    }),
                };
                let catalogue = Document::from_db(text("catalogue").ok_or_else(broken)?)?;
                Self::Read { catalogue, rules: fluent }
            }
            GroundSource::Rules => Self::Rules(text("rules").map(rules).transpose()?),
            GroundSource::Settings => Self::Settings(tenants::from_db(text("settings").ok_or_else(broken)?)?),
        })
    }
}

struct Row {
    id: String,
    document: String,
    edit: Edit,
    since: domain::clock::Timestamp,
    dismissed: bool,
}

async fn rows(tx: &mut Tx<'_>, tenant: &TenantId) -> Result<Vec<Row>, Failure> {
    const ROWS: &str = "SELECT id, source, document, since, dismissed FROM pending_grounds WHERE tenant = $1 \
         ORDER BY source";
    let rows = tx.rows(ROWS, params![tenant.as_str()]).await?;
    let row = |row: &sql::Row| {
        let (document, edit) = (row.text(2)?.to_owned(), Edit::from_db(row.text(1)?, row.text(2)?)?);
        Ok(Row { id: row.text(0)?.to_owned(), document, edit, since: time(row, 3)?, dismissed: row.flag(4)? })
    };
    rows.iter().map(row).collect()
}

async fn waiting(tx: &mut Tx<'_>, tenant: &TenantId, id: &str) -> Result<Row, Failure> {
    let row = rows(tx, tenant).await?.into_iter().find(|row| row.id == id && !row.dismissed);
    row.ok_or(Failure::GroundNotFound)
}

fn forget(tenant: &TenantId, source: GroundSource) -> Statement {
    const FORGET: &str = "DELETE FROM pending_grounds WHERE tenant = $1 AND source = $2";
    Statement::new(FORGET, params![tenant.as_str(), source.as_str()])
}

fn record(scope: &Scope<'_, '_>, operation: &'static str, id: &str) -> Statement {
    let actor = &Actor::default();
    let object = id.to_owned();
    Record { tenant: scope.tenant, at: scope.now, revision: None, actor, operation, object }.write([])
}

struct Propose {
    edit: Arc<Edit>,
    read: Option<ReadNote>,
    /// The ground it was looked at over.
    at: Inputs,
    /// Whether it hits more than the limit there.
    waits: bool,
}

#[async_trait]
impl Write for Propose {
    type Answer = Proposed;

    async fn apply(&self, scope: &mut Scope<'_, '_>) -> Result<Applied<Proposed>, Failure> {
        const WAIT: &str = "INSERT INTO pending_grounds (tenant, source, id, document, since, dismissed) \
             VALUES ($1, $2, $3, $4, $5, 0) ON CONFLICT (tenant, source) DO UPDATE SET id = excluded.id, \
             document = excluded.document, since = excluded.since, dismissed = 0";
        let Self { edit, read, at, waits } = self;
        let tenant = scope.tenant;
        let served = match (read, &**edit) {
            (Some(note), Edit::Read { rules, .. }) => catalogue::note(scope, *note, rules).await?,
            _ => 0,
        };
        let old = Inputs::read(scope.tx, tenant).await?;
        let new = edit.apply(&old);
        if old != new && old != *at {
            return Err(Failure::VersionMismatch);
        }
        let source = edit.source();
        let kept = rows(scope.tx, tenant).await?.into_iter().find(|row| row.edit.source() == source);
        if old != new && *waits {
            let document = edit.to_db();
            let same = kept.filter(|kept| kept.document == document);
            let Some(same) = same else {
                let id = uuid::Uuid::new_v4().to_string();
                let wait = params![tenant.as_str(), source.as_str(), id.as_str(), document, scope.now.0];
                let proposed = record(scope, "ground.propose", &id);
                scope.tx.batch(vec![Statement::new(WAIT, wait), proposed]).await?;
                return Ok(Applied::Unchanged(Proposed { served, waits: true }));
            };
            return Ok(Applied::Unchanged(Proposed { served, waits: !same.dismissed }));
        }
        if let Some(Row { id, .. }) = kept {
            let withdrawn = record(scope, "ground.withdraw", &id);
            scope.tx.batch(vec![forget(tenant, source), withdrawn]).await?;
        }
        let proposed = Proposed { served, waits: false };
        let changed = ground::change(scope, &old, &new, edit.operation()).await?;
        Ok(if changed { Applied::Changed(proposed) } else { Applied::Unchanged(proposed) })
    }
}

struct Decide {
    id: String,
    confirmed: bool,
}

#[async_trait]
impl Write for Decide {
    type Answer = ();

    async fn apply(&self, scope: &mut Scope<'_, '_>) -> Result<Applied<()>, Failure> {
        const DISMISS: &str = "UPDATE pending_grounds SET dismissed = 1 WHERE tenant = $1 AND source = $2";
        let Self { id, confirmed } = self;
        let tenant = scope.tenant;
        let Row { edit, .. } = waiting(scope.tx, tenant, id).await?;
        let source = edit.source();
        if !confirmed {
            let dismiss = match source {
                GroundSource::Read => Statement::new(DISMISS, params![tenant.as_str(), source.as_str()]),
                GroundSource::Rules | GroundSource::Settings => forget(tenant, source),
            };
            let dismissed = record(scope, "ground.dismiss", id);
            scope.tx.batch(vec![dismiss, dismissed]).await?;
            return Ok(Applied::Unchanged(()));
        }
        let confirmed = record(scope, "ground.confirm", id);
        scope.tx.batch(vec![forget(tenant, source), confirmed]).await?;
        let old = Inputs::read(scope.tx, tenant).await?;
        let changed = ground::change(scope, &old, &edit.apply(&old), edit.operation()).await?;
        Ok(if changed { Applied::Changed(()) } else { Applied::Unchanged(()) })
    }
}
