//! SCIM filters over stored resources. The evaluator of `scim` decides what matches; what SQL can say of a filter only
//! narrows down which rows it looks at. So a filter has one meaning, whatever the engine and whichever index helps.

use domain::fold::fold;
use domain::id::UserId;
use scim::Mode;
use scim::filter::{Condition, Order, Query, TextTest};
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
    sql: String,
    values: Vec<Value>,
}

impl Criterion {
    /// Reads a filter in its canonical print; an empty one is met by all.
    pub(super) fn parse(text: &str, kind: Kind, schema: &'static ResourceType) -> Result<Self, Failure> {
        if text.is_empty() {
            return Ok(Self { query: None, only_active: None, sql: String::new(), values: Vec::new() });
        }
        let query = Query::parse(text, schema, Mode::Lenient).map_err(|error| Failure::InvalidFilter(error.detail))?;
        let mut values = vec![Value::from("")];
        let sql = narrow(&query, kind, &mut values);
        values.remove(0);
        Ok(Self { only_active: exactly_active(&query, kind), sql, values, query: Some(query) })
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

/// A condition that every row which matches `query` meets, beginning with ` AND `; empty where SQL can't help. Its
/// values go to `values`; `$1` is the tenant, the table is called `r`.
///
/// However long the filter, there are few different texts: each is prepared on every connection.
fn narrow(query: &Query, kind: Kind, values: &mut Vec<Value>) -> String {
    let Some(candidates) = Candidates::of(query, kind) else {
        return active(query, kind).map(in_sql).unwrap_or_default().into();
    };
    let selects: Vec<_> = candidates.selects(kind, values);
    match selects.as_slice() {
        [] => " AND 1 = 0".into(),
        selects => format!(" AND r.id IN ({})", selects.join(" UNION ")),
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

/// Rows that have one of these ids, names, external ids or addresses.
#[derive(Debug, Default)]
struct Candidates {
    ids: Vec<UserId>,
    names: Vec<String>,
    external_ids: Vec<String>,
    emails: Vec<String>,
}

impl Candidates {
    /// The rows among which all that match are, if the filter names any.
    fn of(query: &Query, kind: Kind) -> Option<Self> {
        match query {
            // All must hold, so those of one term will do: the one with the fewest.
            Query::And(terms) => terms.iter().filter_map(|term| Self::of(term, kind)).min_by_key(Self::len),
            Query::Or(terms) => terms.iter().map(|term| Self::of(term, kind)).try_fold(Self::default(), Self::or),
            // One element that meets all of it meets each part of it.
            Query::Element(_, inner) => Self::of(inner, kind),
            Query::Compare(target, Condition::Text(TextTest::Order(Order::Eq), text)) => {
                let (exact, folded) = (text.text.clone(), fold(&text.text));
                let mut only = Self::default();
                match (kind, target.key()) {
                    // No database holds such a text.
                    _ if exact.contains('\0') => {}
                    (_, (None, "id", None)) => only.ids.extend(exact.parse::<UserId>().ok()),
                    (_, (None, "externalId", None)) if !text.folded => only.external_ids.push(exact),
                    (Kind::Users, (None, "emails", Some("value"))) => only.emails.push(document::email(&exact)),
                    (Kind::Users, (None, "userName", None)) | (Kind::Groups, (None, "displayName", None)) => {
                        only.names.push(folded);
                    }
                    _ => return None,
                }
                Some(only)
            }
            Query::Compare(..) | Query::Not(_) | Query::Present(_) => None,
        }
    }

    fn len(&self) -> usize {
        self.ids.len() + self.names.len() + self.external_ids.len() + self.emails.len()
    }

    fn or(mut self, other: Option<Self>) -> Option<Self> {
        let Self { ids, names, external_ids, emails } = other?;
        self.ids.extend(ids);
        self.names.extend(names);
        self.external_ids.extend(external_ids);
        self.emails.extend(emails);
        Some(self)
    }

    fn selects(&self, kind: Kind, values: &mut Vec<Value>) -> Vec<String> {
        let Self { ids, names, external_ids, emails } = self;
        let (table, name) = match kind {
            Kind::Users => ("users", "user_name_folded"),
            Kind::Groups => ("groups", "display_name_folded"),
        };
        let mut selects = Vec::new();
        if !ids.is_empty() {
            values.push(Value::ids(ids.iter().map(|id| &id.as_bytes()[..])));
            selects.push(format!("SELECT ids.value FROM {{ids:${}}} AS ids", values.len()));
        }
        for (column, texts) in [(name, names), ("external_id", external_ids)] {
            if let Some(test) = one_of(texts, values) {
                selects.push(format!("SELECT c.id FROM {table} c WHERE c.tenant = $1 AND c.{column} {test}"));
            }
        }
        if let Some(test) = one_of(emails, values) {
            selects.push(format!("SELECT c.user_id FROM user_emails c WHERE c.tenant = $1 AND c.folded {test}"));
        }
        selects
    }
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
