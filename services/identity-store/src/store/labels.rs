//! Labels as rows: each with its holder, and every way it can be read, so that the holders of labels that name a role, a
//! retailer or a location are found without reading any document.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use domain::grant::ContextType;
use domain::id::TenantId;
use domain::label::Label;
use sql::{Statement, Value, params};

/// Who holds labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    User,
    Group,
}

impl Holder {
    pub(super) fn to_db(self) -> i64 {
        match self {
            Self::User => 0,
            Self::Group => 1,
        }
    }
}

/// The statements that turn a holder's `old` labels into the `new` ones; none if they are the same.
pub(super) fn change(
    tenant: &TenantId,
    holder: &[u8; 16],
    kind: Holder,
    old: &BTreeSet<Label>,
    new: &BTreeSet<Label>,
) -> Vec<Statement> {
    const DELETE: &str = "DELETE FROM labels WHERE tenant = $1 AND holder = $2 AND label IN {texts:$3}";
    const FORGET: &str = "DELETE FROM label_readings WHERE tenant = $1 AND holder = $2";
    const INSERT: &str = "INSERT INTO labels (tenant, holder, label, holder_kind) VALUES ($1, $2, $3, $4)";
    const READ: &str = "INSERT INTO label_readings (tenant, holder, context_type, context, role, holder_kind) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
    if old == new {
        return Vec::new();
    }
    let tenant = tenant.as_str();
    let mut statements = Vec::new();
    let gone: Vec<_> = old.difference(new).map(Label::as_str).collect();
    let added: BTreeSet<_> = new.difference(old).cloned().collect();
    // Two labels may share a reading: where one goes, all readings are written anew.
    let unread = if gone.is_empty() { &added } else { new };
    if !gone.is_empty() {
        statements.push(Statement::new(DELETE, params![tenant, holder, Value::texts(gone)]));
        statements.push(Statement::new(FORGET, params![tenant, holder]));
    }
    for label in &added {
        statements.push(Statement::new(INSERT, params![tenant, holder, label.as_str(), kind.to_db()]));
    }
    for (context_type, context, role) in readings(unread) {
        let context_type = context_type.as_str();
        statements.push(Statement::new(READ, params![tenant, holder, context_type, context, role, kind.to_db()]));
    }
    statements
}

/// Every meaning the labels may have. One of an unknown context type has none, whatever Fluent comes to hold.
fn readings(labels: &BTreeSet<Label>) -> BTreeSet<(ContextType, &str, &str)> {
    labels
        .iter()
        .flat_map(Label::readings)
        .filter_map(|reading| Some((ContextType::from_str(reading.context_type).ok()?, reading.context, reading.role)))
        .collect()
}
