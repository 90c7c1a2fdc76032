//! SCIM filters over stored resources. The evaluator of `scim` decides what matches; what SQL can say of a filter only
//! narrows down which rows it looks at. So a filter has one meaning, whatever the engine and whichever index helps.

use domain::fold::fold;
use domain::id::UserId;
use scim::Mode;
use scim::filter::{Condition, Order, Query, TextTest};
use scim::schema::ResourceType;
use sql::Value;

use crate::failure::Failure;

/// Which columns and tables the narrowing conditions name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Users,
    Groups,
}

/// Reads a filter in its canonical print.
pub(super) fn parse(text: &str, kind: &'static ResourceType) -> Result<Query, Failure> {
    Query::parse(text, kind, Mode::Lenient).map_err(|error| Failure::InvalidFilter(error.to_string()))
}

/// A condition that every row which matches `query` meets, or `None` where SQL can't help. Values go to `values`; `$1` is
/// the tenant.
pub(super) fn narrow(query: &Query, kind: Kind, values: &mut Vec<Value>) -> Option<String> {
    match query {
        Query::And(terms) => {
            let conditions: Vec<_> = terms.iter().filter_map(|term| narrow(term, kind, values)).collect();
            (!conditions.is_empty()).then(|| conditions.join(" AND "))
        }
        Query::Or(terms) => {
            let kept = values.len();
            let conditions: Option<Vec<_>> = terms.iter().map(|term| narrow(term, kind, values)).collect();
            if conditions.is_none() {
                // What an earlier term left behind is not in the text.
                values.truncate(kept);
            }
            conditions.map(|conditions| format!("({})", conditions.join(" OR ")))
        }
        // One element that meets all of it meets each part of it.
        Query::Element(_, inner) => narrow(inner, kind, values),
        Query::Compare(target, condition) => compare(target.key(), condition, kind, values),
        Query::Not(_) | Query::Present(_) => None,
    }
}

type Key = (Option<&'static str>, &'static str, Option<&'static str>);

fn compare(key: Key, condition: &Condition, kind: Kind, values: &mut Vec<Value>) -> Option<String> {
    let mut with = |value: Value, before: &str, after: &str| {
        values.push(value);
        Some(format!("{before}${}{after}", values.len()))
    };
    match (kind, key, condition) {
        (_, (None, "id", None), Condition::Text(TextTest::Order(Order::Eq), id)) => match id.text.parse::<UserId>() {
            Ok(id) => with(id.as_bytes().into(), "r.id = ", ""),
            Err(_) => Some("1 = 0".into()),
        },
        (_, (None, "externalId", None), Condition::Text(TextTest::Order(Order::Eq), id)) if !id.folded => {
            with(sound(&id.text)?, "r.external_id = ", "")
        }
        (Kind::Users, (None, "userName", None), Condition::Text(TextTest::Order(Order::Eq), name)) => {
            with(sound(&fold(&name.text))?, "r.user_name_folded = ", "")
        }
        (Kind::Users, (None, "emails", Some("value")), Condition::Text(TextTest::Order(Order::Eq), email)) => with(
            sound(&fold(&email.text))?,
            "r.id IN (SELECT e.user_id FROM user_emails e WHERE e.tenant = $1 AND e.folded = ",
            ")",
        ),
        (Kind::Users, (None, "active", None), Condition::Boolean(active)) => {
            with(i64::from(*active).into(), "r.active = ", "")
        }
        (Kind::Groups, (None, "displayName", None), Condition::Text(TextTest::Order(Order::Eq), name)) => {
            with(sound(&fold(&name.text))?, "r.display_name_folded = ", "")
        }
        _ => None,
    }
}

/// A text that every engine takes as a parameter; the evaluator alone deals with others.
fn sound(text: &str) -> Option<Value> {
    (!text.contains('\0')).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::{Kind, narrow, parse};
    use scim::schema::USERS;

    fn narrowed(filter: &str) -> (Option<String>, usize) {
        let mut values = vec!["tenant".into()];
        let sql = narrow(&parse(filter, &USERS).unwrap(), Kind::Users, &mut values);
        (sql, values.len())
    }

    #[test]
    fn what_has_an_index_narrows_and_the_rest_does_not() {
        assert_eq!(narrowed(r#"userName eq "A""#), (Some("r.user_name_folded = $2".into()), 2));
        assert_eq!(
            narrowed(r#"title co "x" and active eq true"#),
            (Some("r.active = $2".into()), 2),
            "all must hold, so one that can be asked for is enough"
        );
        assert_eq!(narrowed(r#"userName eq "a" or title co "x""#), (None, 1), "either may hold, so all must be known");
        assert_eq!(narrowed(r#"not (userName eq "a")"#), (None, 1));
        assert_eq!(narrowed(r#"id eq "nobody""#), (Some("1 = 0".into()), 1));
        let (element, _) = narrowed(r#"emails[type eq "work" and value eq "A@x"]"#);
        assert!(element.unwrap().contains("user_emails"));
    }

    #[test]
    fn nonsense_is_no_filter() {
        for filter in ["userName", "userName eq", "nothing eq \"x\"", "((((", "userName eq \"a\" and"] {
            assert!(parse(filter, &USERS).is_err(), "{filter}");
        }
    }
}
