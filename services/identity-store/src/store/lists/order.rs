//! In which order a list is, and what of that an index knows.

use scim::Mode;
use scim::schema::ResourceType;
use scim::sort::{Key, Sort};
use sql::{Row, Value};

use super::super::filter::Kind;
use super::memberships::of_memberships;
use crate::failure::Failure;
use crate::model::{SortBy, Spot};

/// An order, total: what is equal stands in order of id.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Order {
    pub(super) by: By,
    pub(super) descending: bool,
}

/// What decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum By {
    /// The id.
    Id,
    /// A text column that has an index, is never null, and is equal in no two rows; the table is called `r`.
    Name(&'static str),
    /// An attribute that only documents tell.
    Attribute(Sort),
}

impl Order {
    pub(super) fn of(sort: Option<&SortBy>, kind: Kind, schema: &'static ResourceType) -> Result<Self, Failure> {
        let Some(SortBy { attribute, descending }) = sort else { return Ok(Self { by: By::Id, descending: false }) };
        let invalid = |error: scim::Error| Failure::Invalid { field: "sort", expected: error.detail };
        let sort = Sort::parse(attribute, schema, Mode::Lenient).map_err(invalid)?;
        if of_memberships(&sort.target(), kind) {
            let expected = format!("{} is no order: it is of other resources too", sort.target());
            return Err(Failure::Invalid { field: "sort", expected });
        }
        let by = match (kind, sort.target().key()) {
            (_, (None, "id", None)) => By::Id,
            (Kind::Users, (None, "userName", None)) => By::Name("r.user_name_folded"),
            (Kind::Groups, (None, "displayName", None)) => By::Name("r.display_name_folded"),
            _ => By::Attribute(sort),
        };
        Ok(Self { by, descending: *descending })
    }

    /// The column to select beside a resource's own, so that [`Order::place`] can be read.
    pub(super) fn column(&self) -> Option<&'static str> {
        match self.by {
            By::Name(column) => Some(column),
            By::Id | By::Attribute(_) => None,
        }
    }

    /// The clause that puts rows in this order.
    pub(super) fn clause(&self) -> String {
        let down = if self.descending { " DESC" } else { "" };
        let column = self.column().unwrap_or("r.id");
        format!(" ORDER BY {column}{down}")
    }

    /// The condition that a row comes after a place, beginning with ` AND `. Its values go to `values`.
    pub(super) fn after(&self, place: &Spot, values: &mut Vec<Value>) -> Result<String, Failure> {
        let after = if self.descending { '<' } else { '>' };
        let (column, value) = match (self.by, &place.key) {
            (By::Name(column), Some(Key::Text(key))) => (column, Value::from(key)),
            // A cursor names the order it was made for.
            (By::Name(_), _) => return Err(Failure::Internal),
            (By::Id | By::Attribute(_), _) => ("r.id", Value::from(&place.id)),
        };
        values.push(value);
        Ok(format!(" AND {column} {after} ${}", values.len()))
    }

    /// The place of a row; the column of [`Order::column`] is its last, the id its first.
    pub(super) fn place(&self, row: &Row, last: usize) -> Result<Spot, Failure> {
        let id = row.bytes(0)?.try_into().map_err(|_| Failure::Internal)?;
        let key = match self.by {
            By::Name(_) => Some(Key::Text(row.text(last)?.to_owned())),
            By::Id | By::Attribute(_) => None,
        };
        Ok(Spot { key, id })
    }
}
