//! The two rule sets a tenant may have: its own table, and the last good reading of Fluent's setting.

use domain::clock::Timestamp;
use domain::id::TenantId;
use domain::label::Label;
use domain::rules::Rules;
use sql::{Statement, Tx, params};

use super::commit::Scope;
use super::ground::Inputs;
use super::pending::Edit;
use super::{Store, standing, time};
use crate::failure::Failure;
use crate::model::{FluentRules, RuleSet, RuleSets, RulesRead, Written};

const OWN: &str = "own";
const FLUENT: &str = "fluent";
/// The longest account of a fault that is kept, in characters.
const FAULT: usize = 500;

impl Store {
    /// Puts a rule set into the tenant's own table, in the place of the one there; `None` takes it out. Answers whether the
    /// change waits for an operator.
    pub async fn put_rules(&self, tenant: &TenantId, rules: Option<Rules>) -> Result<Written<bool>, Failure> {
        let Written { value, position, changed } = self.propose(tenant, Edit::Rules(rules), None).await?;
        Ok(Written { value: value.waits, position, changed })
    }

    /// Both rule sets, which is in force, and what is wrong with Fluent's.
    pub async fn get_rules(&self, tenant: &TenantId) -> Result<RuleSets, Failure> {
        const FAULT: &str = "SELECT fault, since FROM rule_faults WHERE tenant = $1";
        let tenant = tenant.clone();
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    standing(tx, &tenant).await?;
                    let inputs = Inputs::read(tx, &tenant).await?;
                    let in_force = inputs.in_force().map(|(from, _)| from);
                    let (mut own, mut fluent) = (None, None);
                    for Row { source, rules, setting_id: _, changed_at } in rows(tx, &tenant).await? {
                        let set = Some(RuleSet { rules, changed_at });
                        if source == OWN { own = set } else { fluent = set }
                    }
                    let fault = match tx.row(FAULT, params![tenant.as_str()]).await? {
                        Some(row) => Some((row.text(0)?.to_owned(), time(&row, 1)?)),
                        None => None,
                    };
                    Ok(RuleSets { own, fluent, in_force, fault })
                })
            })
            .await
    }
}

impl RulesRead {
    /// Fluent's rules that are to be kept after this look at them.
    pub(super) fn kept(&self, before: Option<&FluentRules>) -> Option<FluentRules> {
        match self {
            Self::Found(found) => Some(found.clone()),
            Self::Absent => None,
            Self::Unasked | Self::Fault(_) => before.cloned(),
        }
    }
}

/// The statements that note or clear what is wrong with Fluent's setting.
pub(super) fn note_fault(scope: &Scope<'_, '_>, read: &RulesRead) -> Option<Statement> {
    const NOTE: &str = "INSERT INTO rule_faults (tenant, fault, since) VALUES ($1, $2, $3) \
         ON CONFLICT (tenant) DO UPDATE SET fault = excluded.fault";
    const CLEAR: &str = "DELETE FROM rule_faults WHERE tenant = $1";
    let tenant = scope.tenant.as_str();
    match read {
        RulesRead::Unasked => None,
        RulesRead::Found(_) | RulesRead::Absent => Some(Statement::new(CLEAR, params![tenant])),
        RulesRead::Fault(fault) => {
            let fault: String = fault.chars().filter(|c| !c.is_control()).take(FAULT).collect();
            Some(Statement::new(NOTE, params![tenant, fault, scope.now.0]))
        }
    }
}

/// The statements that put the rule sets of `new` in the place of those of `old`.
pub(super) fn replace(scope: &Scope<'_, '_>, old: &Inputs, new: &Inputs) -> Vec<Statement> {
    const PUT: &str = "INSERT INTO rule_sets (tenant, source, document, setting_id, changed_at) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, source) DO UPDATE SET document = excluded.document, \
         setting_id = excluded.setting_id, changed_at = excluded.changed_at";
    const REMOVE: &str = "DELETE FROM rule_sets WHERE tenant = $1 AND source = $2";
    let tenant = scope.tenant.as_str();
    let put = |source: &str, set: Option<(&Rules, &str)>| match set {
        None => Statement::new(REMOVE, params![tenant, source]),
        Some((rules, setting_id)) => {
            Statement::new(PUT, params![tenant, source, rules.to_json().to_string(), setting_id, scope.now.0])
        }
    };
    let mut statements = Vec::new();
    if old.own != new.own {
        statements.push(put(OWN, new.own.as_ref().map(|rules| (rules, ""))));
    }
    if old.fluent != new.fluent {
        let fluent = new.fluent.as_ref().map(|fluent| (&fluent.rules, fluent.setting_id.as_str()));
        statements.push(put(FLUENT, fluent));
    }
    statements
}

/// The rule sets kept: the tenant's own, and Fluent's.
pub(super) async fn kept(tx: &mut Tx<'_>, tenant: &TenantId) -> Result<(Option<Rules>, Option<FluentRules>), Failure> {
    let (mut own, mut fluent) = (None, None);
    for Row { source, rules, setting_id, changed_at: _ } in rows(tx, tenant).await? {
        if source == OWN {
            own = Some(rules);
        } else {
            fluent = Some(FluentRules { setting_id, rules });
        }
    }
    Ok((own, fluent))
}

/// Whether a rule, in force or not, is named after the whole of this label, to the letter.
pub(super) async fn is_named(tx: &mut Tx<'_>, tenant: &TenantId, label: &Label) -> Result<bool, Failure> {
    Ok(rows(tx, tenant).await?.iter().any(|row| row.rules.rule(label.as_str()).is_some()))
}

struct Row {
    source: String,
    rules: Rules,
    setting_id: String,
    changed_at: Timestamp,
}

async fn rows(tx: &mut Tx<'_>, tenant: &TenantId) -> Result<Vec<Row>, Failure> {
    const SETS: &str = "SELECT source, document, setting_id, changed_at FROM rule_sets WHERE tenant = $1";
    let rows = tx.rows(SETS, params![tenant.as_str()]).await?;
    let row = |row: &sql::Row| {
        let rules = Rules::parse(row.text(1)?).map_err(|error| {
            tracing::error!(%error, "the stored rules are malformed");
            Failure::Internal
        })?;
        let (source, setting_id) = (row.text(0)?.to_owned(), row.text(2)?.to_owned());
        Ok(Row { source, rules, setting_id, changed_at: time(row, 3)? })
    };
    rows.iter().map(row).collect()
}
