//! SCIM filters over stored resources. The evaluator of `scim` decides what matches; what SQL can say of a filter only
//! narrows down which rows it looks at. So a filter has one meaning, whatever the engine and whichever index helps.

use std::fmt::Write as _;

use domain::id::UserId;
use scim::Mode;
use scim::filter::{Condition, Named, Query, Reach};
use scim::schema::ResourceType;
use sql::Value;

use super::document;
use crate::failure::Failure;

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Users,
    Groups,
}

/// What a filter says, for the database and for the evaluator.
#[derive(Clone, Debug)]
pub(super) struct Criterion {
    query: Option<Query>,
    only_active: Option<bool>,
    reach: Reach,
    among: Option<String>,
    sql: String,
    values: Vec<Value>,
}

impl Criterion {
    /// Reads a filter in its canonical print; an empty one is met by all.
    pub(super) fn parse(text: &str, kind: Kind, schema: &'static ResourceType) -> Result<Self, Failure> {
        if text.is_empty() {
            let (reach, sql, values) = (Reach::All, String::new(), Vec::new());
            return Ok(Self { query: None, only_active: None, reach, among: None, sql, values });
        }
        let query = Query::parse(text, schema, Mode::Lenient).map_err(|error| Failure::InvalidFilter(error.detail))?;
        let named = Named::of(&query, schema);
        let mut values = vec![Value::from("")];
        let among = named.as_ref().and_then(|named| ids(named, kind, &mut values));
        values.remove(0);
        let sql = match (&named, &among) {
            (Some(_), Some(among)) => format!(" AND r.id IN ({among})"),
            (Some(_), None) => " AND 1 = 0".into(),
            (None, _) => active(&query, kind).map(in_sql).unwrap_or_default().into(),
        };
        let reach = named.map_or(Reach::All, |named| named.reach());
        Ok(Self { only_active: exactly_active(&query, kind), reach, among, sql, values, query: Some(query) })
    }

    /// The filter as the evaluator has it.
    pub(super) fn query(&self) -> Option<&Query> {
        self.query.as_ref()
    }

    /// Whether there is no filter.
    pub(super) fn is_empty(&self) -> bool {
        self.query.is_none()
    }

    /// Whether it is the active users that match, or the inactive ones, if the filter says that and nothing else.
    pub(super) fn only_active(&self) -> Option<bool> {
        self.only_active
    }

    /// Whether the database alone decides: a row that it answers matches.
    pub(super) fn is_exact(&self) -> bool {
        self.query.is_none() || self.only_active.is_some()
    }

    /// Among how many rows those are that match.
    pub(super) fn reach(&self) -> Reach {
        self.reach
    }

    /// The select of the ids, in a column `id`, among which all that match are, if an index names any; `$1` and the
    /// values are as in [`Criterion::sql`].
    pub(super) fn among(&self) -> Option<&str> {
        self.among.as_deref()
    }

    /// What every row that matches meets, beginning with ` AND ` if there is anything; `$1` is the tenant, the values
    /// come after it, the table is called `r`.
    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    /// The values, from `$2` on.
    pub(super) fn values(&self) -> &[Value] {
        &self.values
    }

    /// Whether a row that the database answered matches.
    pub(super) fn matches(&self, whole: &serde_json::Map<String, serde_json::Value>) -> bool {
        self.query.as_ref().is_none_or(|query| query.matches(whole))
    }
}

/// Whether only active users match, or only inactive ones, if the filter says so.
fn active(query: &Query, kind: Kind) -> Option<bool> {
    match query {
        Query::And(terms) => terms.iter().find_map(|term| active(term, kind)),
        query => exactly_active(query, kind),
    }
}

/// Whether it is the active users that match, or the inactive ones, if the filter says that and nothing else: then no
/// evaluator is needed.
fn exactly_active(query: &Query, kind: Kind) -> Option<bool> {
    match query {
        Query::Compare(target, Condition::Boolean(wanted))
            if kind == Kind::Users && target.key() == (None, "active", None) =>
        {
            Some(*wanted)
        }
        _ => None,
    }
}

/// The condition on the column, written out: the index of inactive users helps no other.
fn in_sql(active: bool) -> &'static str {
    if active { " AND r.active = 1" } else { " AND r.active = 0" }
}

/// The select of the ids, in a column `id`, of the resources that a filter names; `None` if it names nobody. Its values go
/// to `values`.
///
/// However long the filter, there are few different texts of statements: each is prepared on every connection.
fn ids(named: &Named, kind: Kind, values: &mut Vec<Value>) -> Option<String> {
    let selects = selects(named, kind, values);
    (!selects.is_empty()).then(|| selects.join(" UNION "))
}

fn selects(named: &Named, kind: Kind, values: &mut Vec<Value>) -> Vec<String> {
    let Named { ids, names, prefixes, external_ids, emails, labels, groups, members } = named;
    let (table, name) = match kind {
        Kind::Users => ("users", "user_name_folded"),
        Kind::Groups => ("groups", "display_name_folded"),
    };
    let mut selects = Vec::new();
    if let Some(ids) = list_of(ids, values) {
        selects.push(format!("SELECT ids.value AS id FROM {ids} AS ids"));
    }
    for (column, texts) in [(name, names), ("external_id", external_ids)] {
        if let Some(test) = one_of(texts, values) {
            selects.push(format!("SELECT c.id FROM {table} c WHERE c.tenant = $1 AND c.{column} {test}"));
        }
    }
    for prefix in prefixes {
        values.push(Value::from(prefix));
        let from = values.len();
        let mut select = format!("SELECT c.id FROM {table} c WHERE c.tenant = $1 AND c.{name} >= ${from}");
        if let Some(end) = after_all(prefix) {
            values.push(Value::from(&end));
            let _ = write!(select, " AND c.{name} < ${}", values.len());
        }
        selects.push(select);
    }
    let emails: Vec<_> = emails.iter().map(|email| document::email(email)).collect();
    if let Some(test) = one_of(&emails, values) {
        selects.push(format!("SELECT c.user_id AS id FROM user_emails c WHERE c.tenant = $1 AND c.folded {test}"));
    }
    let labels: Vec<_> = labels.iter().map(|label| document::label(label)).collect();
    if let Some(test) = one_of(&labels, values) {
        selects.push(format!(
            "SELECT c.holder AS id FROM labels c WHERE c.tenant = $1 AND c.label {test} AND c.holder_kind = 0"
        ));
    }
    if let Some(groups) = list_of(groups, values) {
        selects.push(format!(
            "SELECT d.id FROM (WITH RECURSIVE inside (id, is_group) AS (SELECT roots.value, CAST(1 AS BIGINT) FROM {groups} AS roots \
             UNION SELECT m.member_id, m.is_group FROM inside i CROSS JOIN {{each:members m \
             WHERE i.is_group = 1 AND m.tenant = $1 AND m.group_id = i.id AND COALESCE(m.removed, 0) = 0}}) \
             SELECT id FROM inside WHERE is_group = 0) AS d"
        ));
    }
    if let Some(members) = list_of(members, values) {
        selects.push(format!(
            "SELECT m.group_id AS id FROM {members} AS named CROSS JOIN {{each:members m WHERE m.tenant = $1 \
             AND m.member_id = named.value AND m.removed IS NULL}}"
        ));
    }
    selects
}

/// The least text that comes after every text which begins with `prefix`, in order of code points; `None` if there is
/// none.
fn after_all(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

/// The select of the ids, if there are any.
fn list_of(ids: &[UserId], values: &mut Vec<Value>) -> Option<String> {
    if ids.is_empty() {
        return None;
    }
    values.push(Value::ids(ids.iter().map(|id| &id.as_bytes()[..])));
    Some(format!("{{ids:${}}}", values.len()))
}

fn one_of(texts: &[String], values: &mut Vec<Value>) -> Option<String> {
    let value = match texts {
        [] => return None,
        [only] => Value::from(only),
        several => Value::texts(several.iter().map(String::as_str)),
    };
    values.push(value);
    let number = values.len();
    Some(if texts.len() == 1 { format!("= ${number}") } else { format!("IN {{texts:${number}}}") })
}

#[cfg(test)]
mod tests {
    use super::{Criterion, Kind};
    use scim::schema::USERS;

    #[test]
    fn names_that_begin_alike_are_a_range() {
        use super::after_all;
        assert_eq!(after_all("ab").unwrap(), "ac");
        assert_eq!(after_all("a\u{10FFFF}").unwrap(), "b");
        assert_eq!(after_all("\u{D7FF}").unwrap(), "\u{E000}");
        assert_eq!(after_all("\u{10FFFF}"), None);
        let (sql, values) = narrowed(r#"userName sw "Ann""#);
        assert!(sql.contains("c.user_name_folded >= $2 AND c.user_name_folded < $3") && values == 3, "{sql}");
    }

    fn narrowed(filter: &str) -> (String, usize) {
        let condition = Criterion::parse(filter, Kind::Users, &USERS).unwrap();
        (condition.sql.clone(), condition.values.len() + 1)
    }

    #[test]
    fn what_has_an_index_narrows_and_the_rest_does_not() {
        let by_name = " AND r.id IN (SELECT c.id FROM users c WHERE c.tenant = $1 AND c.user_name_folded = $2)";
        for narrows in [r#"userName eq "A""#, r#"title co "x" and userName eq "A""#] {
            assert_eq!(narrowed(narrows), (by_name.into(), 2), "all must hold, so one that can be looked up is enough");
        }
        for too_wide in [r#"userName eq "a" or title co "x""#, r#"not (userName eq "a")"#, "not (active eq true)"] {
            assert_eq!(narrowed(too_wide), (String::new(), 1), "{too_wide}");
        }
        assert_eq!(narrowed(r#"title co "x" and active eq false"#), (" AND r.active = 0".into(), 1));
        assert_eq!(narrowed(r#"id eq "nobody""#).0, " AND 1 = 0");
        let (element, _) = narrowed(r#"emails[type eq "work" and value eq "A@x"]"#);
        assert!(element.contains("user_emails"));
    }

    #[test]
    fn a_long_filter_makes_no_longer_text() {
        let many = |n: usize| {
            let names: Vec<_> = (0..n).map(|n| format!("userName eq \"{n}\" or emails.value eq \"{n}\"")).collect();
            narrowed(&names.join(" or "))
        };
        assert_eq!(many(2), many(50));
    }

    #[test]
    fn nonsense_is_no_filter() {
        for filter in ["userName", "userName eq", "nothing eq \"x\"", "((((", "userName eq \"a\" and"] {
            assert!(Criterion::parse(filter, Kind::Users, &USERS).is_err(), "{filter}");
        }
    }
}
