//! To and from the contract of the labels to pick: which are asked for, and cursors, which are places in a list sealed for
//! a client.

use domain::clock::Timestamp;
use domain::cursor::{CursorKey, InvalidCursor};
use domain::id::TenantId;
use domain::offer::Place;
use domain::revision::RevisionKey;
use proto::roles::v1 as roles;
use runtime::error::{Error, Reason};
use scim::Mode;
use scim::filter::Query;
use scim::schema::ROLES;
use scim::sort::Sort;

use super::invalid;
use crate::offered::{Asked, Page, Start};

/// The largest page.
const LARGEST: u32 = 1_000;

/// A list of labels, and what its cursors are made with.
#[derive(Debug)]
pub(crate) struct List<'a> {
    tenant: &'a TenantId,
    key: &'a RevisionKey,
    now: Timestamp,
    /// All that makes it this list and no other.
    name: Vec<u8>,
}

impl<'a> List<'a> {
    /// Reads a request. A cursor that is none of this list's is refused here, before anything is looked up.
    pub(crate) fn asked(
        request: roles::ListLabelsRequest,
        tenant: &'a TenantId,
        key: &'a RevisionKey,
        now: Timestamp,
    ) -> Result<(Self, Asked), Error> {
        let roles::ListLabelsRequest {
            tenant: _,
            filter,
            sort_by,
            descending,
            start_index,
            count,
            cursor,
            base_url,
            all_locations,
        } = request;
        if count > LARGEST {
            return Err(invalid("count", format!("it must be at most {LARGEST}")));
        }
        let name = format!("roles\0{filter}\0{}\0{descending}", sort_by.to_ascii_lowercase()).into_bytes();
        let list = Self { tenant, key, now, name };
        let start = match cursor.as_deref() {
            None => Start::Index(start_index.saturating_sub(1) as usize),
            Some("") => Start::Behind(None),
            Some(cursor) => Start::Behind(Some(list.open(cursor)?)),
        };
        let query = (!filter.is_empty()).then(|| Query::parse(&filter, &ROLES, Mode::Lenient)).transpose();
        let filter = query.map_err(|error| Error::new(Reason::INVALID_FILTER, error.detail))?;
        let sort = (!sort_by.is_empty()).then(|| Sort::parse(&sort_by, &ROLES, Mode::Lenient)).transpose();
        let sort = sort.map_err(|error| invalid("sort_by", error.detail))?.map(|sort| (sort, descending));
        Ok((list, Asked { filter, sort, start, count: count as usize, base_url, all_locations }))
    }

    /// The answer.
    pub(crate) fn answer(&self, page: Page) -> roles::ListLabelsResponse {
        let Page { labels, total, next, position } = page;
        let label = |(label, recognised)| roles::OfferedLabel { label, recognised };
        let seal = |place: Place| self.cursors().seal(self.tenant, &self.name, &place.to_bytes(), self.now);
        roles::ListLabelsResponse {
            labels: labels.into_iter().map(label).collect(),
            total_results: total as u64,
            next_cursor: next.map(seal).unwrap_or_default(),
            revision_token: self.key.seal(self.tenant, position),
        }
    }

    fn open(&self, cursor: &str) -> Result<Place, Error> {
        let bytes = self.cursors().open(self.tenant, &self.name, cursor, self.now).map_err(refused)?;
        Place::from_bytes(&bytes).ok_or_else(|| refused(InvalidCursor::Forged))
    }

    fn cursors(&self) -> CursorKey {
        self.key.cursor_key()
    }
}

fn refused(why: InvalidCursor) -> Error {
    let reason = match why {
        InvalidCursor::Forged => Reason::INVALID_CURSOR,
        InvalidCursor::Expired => Reason::EXPIRED_CURSOR,
    };
    Error::new(reason, why.to_string())
}
