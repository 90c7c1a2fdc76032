//! Lists: what is asked for, and cursors, which are places in a list sealed for a client.

use domain::clock::Timestamp;
use domain::cursor::{CursorKey, InvalidCursor};
use domain::id::TenantId;
use proto::identity::v1 as pb;
use runtime::error::{Error, Reason};

use crate::model::{ListRequest, SortBy, Spot, Start};

/// Whose list of what, and what its cursors are made with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listing<'a> {
    pub(crate) kind: &'static str,
    pub(crate) tenant: &'a TenantId,
    pub(crate) key: &'a CursorKey,
    pub(crate) now: Timestamp,
}

impl Listing<'_> {
    /// Reads a request. A cursor that is none of this list's is refused here, before anything is looked up.
    pub(crate) fn request(
        &self,
        filter: String,
        start_index: u32,
        count: u32,
        sort: Option<pb::Sort>,
        cursor: Option<&str>,
        base_url: String,
    ) -> Result<ListRequest, Error> {
        let sort = sort.map(|pb::Sort { attribute, descending }| SortBy { attribute, descending });
        let start = match cursor {
            None => Start::Index(start_index),
            Some("") => Start::After(None),
            Some(cursor) => {
                let list = self.name(&filter, sort.as_ref());
                let bytes = self.key.open(self.tenant, &list, cursor, self.now).map_err(refused)?;
                Start::After(Some(Spot::from_bytes(&bytes).ok_or_else(|| refused(InvalidCursor::Forged))?))
            }
        };
        Ok(ListRequest { filter, sort, start, count, base_url })
    }

    /// The cursor for a place in the list that was asked for.
    pub(crate) fn cursor(&self, request: &ListRequest, place: &Spot) -> String {
        let list = self.name(&request.filter, request.sort.as_ref());
        self.key.seal(self.tenant, &list, &place.to_bytes(), self.now)
    }

    /// All that makes a list this one and no other.
    fn name(&self, filter: &str, sort: Option<&SortBy>) -> Vec<u8> {
        let sort = sort.map(|SortBy { attribute, descending }| (attribute.to_ascii_lowercase(), descending));
        serde_json::json!([self.kind, filter, sort]).to_string().into_bytes()
    }
}

fn refused(why: InvalidCursor) -> Error {
    let reason = match why {
        InvalidCursor::Forged => Reason::INVALID_CURSOR,
        InvalidCursor::Expired => Reason::EXPIRED_CURSOR,
    };
    Error::new(reason, why.to_string())
}
