//! Labels as rows: each with its holder, and every way it can be read, so that the holders of labels that name a role, a
//! retailer or a location are found without reading any document.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use domain::grant::ContextType;
use domain::id::TenantId;
use domain::label::{Label, Reading};
use sql::{Statement, Tx, Value, params};

use crate::failure::Failure;

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

/// What a holder's rows say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Labels {
    /// Its labels.
    pub(super) stated: BTreeSet<Label>,
    /// A group's `displayName`, where it can be read as a label and is not one of those anyway. Whether it counts, the
    /// tenant's settings say when it is used: so turning that on or off rewrites nothing.
    pub(super) name: Option<Label>,
}

impl Labels {
    fn all(&self) -> BTreeSet<Label> {
        self.stated.iter().chain(&self.name).cloned().collect()
    }

    /// Whether something is no longer a label in `new`.
    pub(super) fn loses_stated(&self, new: &Self) -> bool {
        !self.stated.is_subset(&new.stated)
    }

    /// Whether something that gave access in any tenant may give none in `new`.
    pub(super) fn loses(&self, new: &Self) -> bool {
        let name_stays = |name: &Label| new.name.as_ref() == Some(name) || new.stated.contains(name);
        self.loses_stated(new) || !self.name.iter().all(name_stays)
    }
}

impl From<BTreeSet<Label>> for Labels {
    fn from(stated: BTreeSet<Label>) -> Self {
        Self { stated, name: None }
    }
}

/// The most readings that are kept of one holder. Of one with more, a single row says so.
const MOST_READINGS: usize = 5_000;

/// What stands where a role would, for a holder with more readings than are kept: it may hold a label that names
/// anything. No label has such a reading.
pub(super) const ANYTHING: &str = "\u{1}";

/// The statements that turn a user's `old` labels into the `new` ones.
pub(super) fn of_user(
    tenant: &TenantId,
    user: &[u8; 16],
    old: &BTreeSet<Label>,
    new: &BTreeSet<Label>,
) -> Vec<Statement> {
    if old == new {
        return Vec::new();
    }
    change(tenant, user, Holder::User, &old.clone().into(), &new.clone().into())
}

/// The statements that turn a holder's `old` labels into the `new` ones; none if they are the same. They are as many for
/// one label as for thousands: the database's only writer has others waiting.
pub(super) fn change(tenant: &TenantId, holder: &[u8; 16], kind: Holder, old: &Labels, new: &Labels) -> Vec<Statement> {
    const DELETE: &str = "DELETE FROM labels WHERE tenant = $1 AND holder = $2 AND label IN {texts:$3}";
    const FORGET: &str = "DELETE FROM label_readings WHERE tenant = $1 AND holder = $2";
    const INSERT: &str = "INSERT INTO labels (tenant, holder, label, holder_kind, named) \
         SELECT $1, $2, new.value, $3, $4 FROM {texts:$5} AS new";
    const READ: &str = "INSERT INTO label_readings (tenant, holder, context_type, context, role, holder_kind) \
         SELECT $1, $2, new.a, new.b, new.c, $3 FROM {triples:$4} AS new WHERE 1 = 1 ON CONFLICT DO NOTHING";
    if old == new {
        return Vec::new();
    }
    let tenant = tenant.as_str();
    let mut statements = Vec::new();
    let (was, is) = (old.all(), new.all());
    // A name that becomes a label, or the other way round, is another row.
    let turned = |label: &&Label| old.stated.contains(*label) != new.stated.contains(*label);
    let gone: BTreeSet<_> = was.iter().filter(|label| !is.contains(*label)).chain(was.iter().filter(turned)).collect();
    let added: BTreeSet<_> = is.difference(&was).cloned().collect();
    let all = readings(&is);
    let kept = |readings: &Readings<'_>| readings.len() <= MOST_READINGS;
    // Two labels may share a reading: where one goes, all readings are written anew. And where there are too many, or
    // were.
    let anew = !gone.is_empty() || !kept(&all) || !kept(&readings(&was));
    if !gone.is_empty() {
        let gone = Value::texts(gone.into_iter().map(Label::as_str));
        statements.push(Statement::new(DELETE, params![tenant, holder, gone]));
    }
    if anew {
        statements.push(Statement::new(FORGET, params![tenant, holder]));
    }
    let unstored = |label: &&Label| added.contains(*label) || turned(label);
    for named in [false, true] {
        let labels: Vec<_> = if named { new.name.iter().collect() } else { new.stated.iter().collect() };
        let labels: Vec<_> = labels.into_iter().filter(unstored).map(Label::as_str).collect();
        if !labels.is_empty() {
            let labels = Value::texts(labels);
            statements.push(Statement::new(INSERT, params![tenant, holder, kind.to_db(), named, labels]));
        }
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

/// What a holder's rows say now.
pub(super) async fn rows(tx: &mut Tx<'_>, tenant: &TenantId, holder: &[u8; 16]) -> Result<Labels, Failure> {
    const ROWS: &str = "SELECT label, named FROM labels WHERE tenant = $1 AND holder = $2";
    let mut labels = Labels::default();
    for row in tx.rows(ROWS, params![tenant.as_str(), holder]).await? {
        let label = Label::new(row.text(0)?);
        if row.flag(1)? {
            labels.name = Some(label);
        } else {
            labels.stated.insert(label);
        }
    }
    Ok(labels)
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

    use super::{Labels, of_user};

    #[test]
    fn thousands_of_labels_are_as_many_statements_as_one() {
        let tenant = "acme".parse().unwrap();
        let labels = |n: u32| -> BTreeSet<Label> { (0..n).map(|n| Label::new(&format!("AGENT_{n}_A"))).collect() };
        let statements = |old, new| of_user(&tenant, &[1; 16], &labels(old), &labels(new)).len();
        assert_eq!((statements(0, 1), statements(0, 5_000), statements(5_000, 0)), (2, 2, 2));
    }

    #[test]
    fn a_name_is_lost_with_its_group_and_not_where_it_becomes_a_label() {
        let label = |text: &str| Label::new(text);
        let named = Labels { stated: BTreeSet::new(), name: Some(label("AGENT_1_A")) };
        let stated = Labels::from(BTreeSet::from([label("AGENT_1_A")]));
        assert!(named.loses(&Labels::default()) && !named.loses_stated(&Labels::default()));
        assert!(!named.loses(&stated) && !named.loses(&named));
        assert!(stated.loses(&named), "what counted everywhere counts only where the tenant turns it on");
    }
}
