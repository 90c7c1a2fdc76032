//! What memberships tell the evaluator: the groups of a user, the members of a group.
//!
//! A group's members may be fifty thousand, and no filter has to see them all. Members of one type whom it does not name
//! by their ids are alike to it, so it is shown those it names and one other of each type. Only a filter that looks into
//! ids, as `members.value sw "01"` does, sees everyone, within bounds.

use std::collections::BTreeMap;

use domain::id::{TenantId, UserId};
use scim::filter::{Condition, Order, Query, TextTest};
use scim::schema::{GROUPS, Target, USERS};
use serde_json::{Map, Value as Json, json};
use sql::{Tx, Value, params};

use super::super::filter::Kind;
use super::super::user_groups;
use crate::failure::Failure;
use crate::model::UserGroup;

/// The most memberships seen at once: of several groups together, or of one resource.
pub(super) const MOST: usize = 100_000;

/// Which memberships a filter speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Memberships {
    /// None.
    #[default]
    Unasked,
    /// The groups of users.
    Groups,
    /// The members of groups; it names these by their ids, and all others are alike to it.
    Named(Vec<[u8; 16]>),
    /// The members of groups, each of whom may matter.
    Members,
}

impl Memberships {
    pub(super) fn of(query: Option<&Query>, kind: Kind) -> Self {
        let mut found = Self::default();
        if let Some(query) = query {
            found.add(query, kind);
        }
        found
    }

    fn add(&mut self, query: &Query, kind: Kind) {
        match query {
            Query::And(terms) | Query::Or(terms) => terms.iter().for_each(|term| self.add(term, kind)),
            Query::Not(inner) => self.add(inner, kind),
            Query::Element(target, inner) => {
                self.mention(target, kind, None);
                self.add(inner, kind);
            }
            Query::Present(target) => self.mention(target, kind, None),
            Query::Compare(target, condition) => self.mention(target, kind, Some(condition)),
        }
    }

    fn mention(&mut self, target: &Target, kind: Kind, condition: Option<&Condition>) {
        if !of_memberships(target, kind) {
            return;
        }
        if kind == Kind::Users {
            *self = Self::Groups;
            return;
        }
        if *self == Self::Unasked {
            *self = Self::Named(Vec::new());
        }
        let by_id = matches!(target.key().2, Some("value" | "$ref"));
        match (self, condition) {
            (Self::Named(ids), Some(Condition::Text(TextTest::Order(Order::Eq), text))) if by_id => {
                // A location ends with the id.
                let id = text.text.rsplit('/').next().and_then(|id| id.parse::<UserId>().ok());
                ids.extend(id.map(|id| *id.as_bytes()));
            }
            (this, Some(_)) if by_id => *this = Self::Members,
            _ => {}
        }
    }

    /// Adds to each resource what the filter has to see. Answers how many members that took, where it may be many; `None` if
    /// they have too many together.
    pub(super) async fn tell(
        &self,
        tx: &mut Tx<'_>,
        tenant: &TenantId,
        base_url: &str,
        ids: &[[u8; 16]],
        wholes: &mut [Map<String, Json>],
    ) -> Result<Option<usize>, Failure> {
        let (attribute, told) = match self {
            Self::Unasked => return Ok(Some(0)),
            _ if ids.is_empty() => return Ok(Some(0)),
            Self::Groups => ("groups", groups(tx, tenant, base_url, ids).await?.map(|told| (told, 0))),
            Self::Named(named) => {
                let told = members(tx, tenant, base_url, ids, Some(named)).await?;
                ("members", told.map(|(told, _)| (told, 0)))
            }
            Self::Members => ("members", members(tx, tenant, base_url, ids, None).await?),
        };
        let Some((mut told, read)) = told else { return Ok(None) };
        for (id, whole) in ids.iter().zip(wholes) {
            if let Some(values) = told.remove(id) {
                whole.insert(attribute.to_owned(), values.into());
            }
        }
        Ok(Some(read))
    }
}

/// Whether an attribute's values are memberships.
pub(super) fn of_memberships(target: &Target, kind: Kind) -> bool {
    let (extension, attribute, _) = target.key();
    let memberships = match kind {
        Kind::Users => "groups",
        Kind::Groups => "members",
    };
    extension.is_none() && attribute == memberships
}

type Told = BTreeMap<[u8; 16], Vec<Json>>;

/// All groups of users, not only those that are shown: who is found by a group is found by any.
async fn groups(tx: &mut Tx<'_>, tenant: &TenantId, base_url: &str, ids: &[[u8; 16]]) -> Result<Option<Told>, Failure> {
    let users = ids.iter().map(|id| Ok(UserId::from_slice(id)?)).collect::<Result<Vec<_>, Failure>>()?;
    let Some(groups) = user_groups::of_all(tx, tenant, &users, MOST).await? else { return Ok(None) };
    let value = |UserGroup { id, display_name, direct }: UserGroup| {
        json!({
            "value": id.to_string(),
            "$ref": format!("{base_url}{}/{id}", GROUPS.endpoint),
            "display": display_name,
            "type": if direct { "direct" } else { "indirect" },
        })
    };
    let told = |(id, groups): (UserId, Vec<_>)| (*id.as_bytes(), groups.into_iter().map(value).collect());
    Ok(Some(groups.into_iter().map(told).collect()))
}

/// The members of the groups `$2`; at most `$3` of them.
pub(in super::super) const MEMBERS: &str = "SELECT m.group_id, m.member_id, m.is_group FROM {ids:$2} AS ids \
     CROSS JOIN {each:members m WHERE m.tenant = $1 AND m.group_id = ids.value AND COALESCE(m.removed, 0) = 0} LIMIT $3";

/// Of the groups `$2`, the members `$3`, and of each one other user and one other group.
pub(in super::super) const WITNESSES: &str = "\
     SELECT m.group_id, m.member_id, m.is_group FROM {ids:$2} AS ids CROSS JOIN {ids:$3} AS named \
     CROSS JOIN {each:members m \
     WHERE m.tenant = $1 AND m.group_id = ids.value AND m.member_id = named.value AND m.removed IS NULL} \
     UNION ALL SELECT w.group_id, w.member_id, 0 FROM (SELECT g.value AS group_id, (SELECT m.member_id FROM members m \
     WHERE m.tenant = $1 AND m.group_id = g.value AND m.is_group = 0 AND COALESCE(m.removed, 0) = 0 \
     AND m.member_id NOT IN {ids:$3} ORDER BY m.member_id LIMIT 1) AS member_id FROM {ids:$2} AS g) w \
     WHERE w.member_id IS NOT NULL \
     UNION ALL SELECT w.group_id, w.member_id, 1 FROM (SELECT g.value AS group_id, (SELECT m.member_id FROM members m \
     WHERE m.tenant = $1 AND m.group_id = g.value AND m.is_group = 1 AND COALESCE(m.removed, 0) = 0 \
     AND m.member_id NOT IN {ids:$3} ORDER BY m.member_id LIMIT 1) AS member_id FROM {ids:$2} AS g) w \
     WHERE w.member_id IS NOT NULL";

/// The members of groups: those named and a witness of each type, or all. Answers how many there were, too; `None` for too
/// many.
async fn members(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    base_url: &str,
    groups: &[[u8; 16]],
    named: Option<&[[u8; 16]]>,
) -> Result<Option<(Told, usize)>, Failure> {
    let ids = |ids: &[[u8; 16]]| Value::ids(ids.iter().map(<[u8; 16]>::as_slice));
    let rows = if let Some(named) = named {
        tx.rows(WITNESSES, params![tenant.as_str(), ids(groups), ids(named)]).await?
    } else {
        let most = i64::try_from(MOST + 1).unwrap_or(i64::MAX);
        tx.rows(MEMBERS, params![tenant.as_str(), ids(groups), most]).await?
    };
    if rows.len() > MOST {
        return Ok(None);
    }
    let mut told = Told::new();
    for row in &rows {
        let group = row.bytes(0)?.try_into().map_err(|_| Failure::Internal)?;
        let member = UserId::from_slice(row.bytes(1)?)?;
        let kind = if row.flag(2)? { &GROUPS } else { &USERS };
        told.entry(group).or_default().push(json!({
            "value": member.to_string(),
            "$ref": format!("{base_url}{}/{member}", kind.endpoint),
            "type": kind.name,
        }));
    }
    Ok(Some((told, rows.len())))
}

#[cfg(test)]
mod tests {
    use super::{Kind, Memberships};
    use scim::filter::Query;
    use scim::schema::{GROUPS, USERS};

    #[test]
    fn a_filter_sees_no_more_members_than_it_can_tell_apart() {
        let of = |filter: &str| {
            let query = Query::parse(filter, &GROUPS, scim::Mode::Lenient).unwrap();
            Memberships::of(Some(&query), Kind::Groups)
        };
        let id = "0199a1b2-0000-7000-8000-000000000001";
        let named = Memberships::Named(vec![id.parse::<domain::id::UserId>().map(|id| *id.as_bytes()).unwrap()]);
        assert_eq!(of(r#"displayName co "x" and not (externalId pr)"#), Memberships::Unasked);
        assert_eq!(of(&format!(r#"members eq "{id}""#)), named);
        assert_eq!(of(&format!(r#"not (members[type eq "User" and not (value eq "{id}")])"#)), named);
        assert_eq!(of(&format!(r#"members.$ref eq "https://host/Users/{id}""#)), named);
        assert_eq!(of("members pr"), Memberships::Named(vec![]));
        assert_eq!(of(r#"members.value eq "nobody""#), Memberships::Named(vec![]));
        assert_eq!(of(r#"members.value sw "01" or members pr"#), Memberships::Members);
        let users = Query::parse("groups pr", &USERS, scim::Mode::Lenient).unwrap();
        assert_eq!(Memberships::of(Some(&users), Kind::Users), Memberships::Groups);
    }
}
