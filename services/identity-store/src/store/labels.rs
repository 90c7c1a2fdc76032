//! Labels as rows: each with its holder, and every way it can be read, so that the holders of labels that name a role, a
//! retailer or a location are found without reading any document.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use domain::grant::ContextType;
use domain::id::TenantId;
use domain::label::{Label, Reading};
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

/// The most readings that are kept of one holder. Of one with more, a single row says so.
const MOST_READINGS: usize = 5_000;

/// What stands where a role would, for a holder with more readings than are kept: it may hold a label that names
/// anything. No label has such a reading.
pub(super) const ANYTHING: &str = "\u{1}";

/// The statements that turn a holder's `old` labels into the `new` ones; none if they are the same. They are as many for
/// one label as for thousands: the database's only writer has others waiting.
pub(super) fn change(
    tenant: &TenantId,
    holder: &[u8; 16],
    kind: Holder,
    old: &BTreeSet<Label>,
    new: &BTreeSet<Label>,
) -> Vec<Statement> {
    const DELETE: &str = "DELETE FROM labels WHERE tenant = $1 AND holder = $2 AND label IN {texts:$3}";
    const FORGET: &str = "DELETE FROM label_readings WHERE tenant = $1 AND holder = $2";
    const INSERT: &str = "INSERT INTO labels (tenant, holder, label, holder_kind) \
         SELECT $1, $2, new.value, $3 FROM {texts:$4} AS new";
    const READ: &str = "INSERT INTO label_readings (tenant, holder, context_type, context, role, holder_kind) \
         SELECT $1, $2, new.a, new.b, new.c, $3 FROM {triples:$4} AS new WHERE 1 = 1 ON CONFLICT DO NOTHING";
    if old == new {
        return Vec::new();
    }
    let tenant = tenant.as_str();
    let mut statements = Vec::new();
    let gone: Vec<_> = old.difference(new).map(Label::as_str).collect();
    let added: BTreeSet<_> = new.difference(old).cloned().collect();
    let all = readings(new);
    let kept = |readings: &Readings<'_>| readings.len() <= MOST_READINGS;
    // Two labels may share a reading: where one goes, all readings are written anew. And where there are too many, or
    // were.
    let anew = !gone.is_empty() || !kept(&all) || !kept(&readings(old));
    if !gone.is_empty() {
        statements.push(Statement::new(DELETE, params![tenant, holder, Value::texts(gone)]));
    }
    if anew {
        statements.push(Statement::new(FORGET, params![tenant, holder]));
    }
    if !added.is_empty() {
        let labels = Value::texts(added.iter().map(Label::as_str));
        statements.push(Statement::new(INSERT, params![tenant, holder, kind.to_db(), labels]));
    }
    let unread = if !kept(&all) {
        BTreeSet::from([["", "", ANYTHING]])
    } else if anew {
        all
    } else {
        readings(&added)
    };
    if !unread.is_empty() {
        statements.push(Statement::new(READ, params![tenant, holder, kind.to_db(), Value::triples(unread)]));
    }
    statements
}

/// Context type, context and role of each.
type Readings<'a> = BTreeSet<[&'a str; 3]>;

/// Every meaning the labels may have. One of an unknown context type has none, whatever Fluent comes to hold.
fn readings(labels: &BTreeSet<Label>) -> Readings<'_> {
    let meant = |reading: Reading<'_>| ContextType::from_str(reading.context_type).ok();
    let all = labels.iter().flat_map(Label::readings);
    all.filter_map(|reading| Some([meant(reading)?.as_str(), reading.context, reading.role])).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::label::Label;

    use super::{Holder, change};

    #[test]
    fn thousands_of_labels_are_as_many_statements_as_one() {
        let tenant = "acme".parse().unwrap();
        let labels = |n: u32| -> BTreeSet<Label> { (0..n).map(|n| Label::new(&format!("AGENT_{n}_A"))).collect() };
        let statements = |old, new| change(&tenant, &[1; 16], Holder::User, &labels(old), &labels(new)).len();
        assert_eq!((statements(0, 1), statements(0, 5_000), statements(5_000, 0)), (2, 2, 2));
    }
}
