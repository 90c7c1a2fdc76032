//! Lists of users and groups: filtered, ordered, in pages by position or by place.
//!
//! Without a sort a list is in order of id, which is the order in which the resources were made.

mod memberships;
mod order;
mod plan;
mod scans;
mod walk;

use domain::clock::Timestamp;
use domain::grant::Grant;
use domain::id::TenantId;
use domain::revision::Revision;
use scim::Resource;
use scim::filter::Reach;
use scim::resource::Meta;
use scim::schema::{FLUENT_USER_URN, ResourceType, Schemas};
use serde_json::{Map, Value as Json, json};
use sql::{Row, Tx};

#[cfg(test)]
pub(super) use self::memberships::{MEMBERS, WITNESSES};
use self::order::Order;
pub(super) use self::scans::Scans;
use self::walk::Walk;
use super::filter::{Criterion, Kind};
use super::{Standing, Store, extensions, groups, standing, user_groups, users};
use crate::failure::Failure;
use crate::model::{Group, ListRequest, Outcome, Page, Read, State, User};

/// The largest page.
const LARGEST: u32 = 1_000;

impl Store {
    /// A page of the users that match a filter, of all users for an empty one; with the groups they are in if those are
    /// wanted, which may end the page earlier.
    pub async fn list_users(
        &self,
        tenant: &TenantId,
        wanted: &ListRequest,
        with_groups: bool,
    ) -> Result<Read<Page<User>>, Failure> {
        self.list(tenant, wanted, with_groups).await
    }

    /// A page of the groups that match a filter; of all groups for an empty one.
    pub async fn list_groups(&self, tenant: &TenantId, wanted: &ListRequest) -> Result<Read<Page<Group>>, Failure> {
        self.list(tenant, wanted, false).await
    }

    async fn list<T: Listed>(
        &self,
        tenant: &TenantId,
        wanted: &ListRequest,
        with_groups: bool,
    ) -> Result<Read<Page<T>>, Failure> {
        if wanted.count > LARGEST {
            let expected = format!("it must be at most {LARGEST}");
            return Err(Failure::Invalid { field: "count", expected });
        }
        if let Some(page) = self.read_page(tenant, wanted, with_groups, false).await? {
            return Ok(page);
        }
        self.read_page(tenant, wanted, with_groups, true).await?.ok_or(Failure::Internal)
    }

    /// A page; `None` if those whom the filter names should be few and are not: they are a `crowd`, to be read as one among
    /// many.
    async fn read_page<T: Listed>(
        &self,
        tenant: &TenantId,
        wanted: &ListRequest,
        with_groups: bool,
        crowd: bool,
    ) -> Result<Option<Read<Page<T>>>, Failure> {
        let ListRequest { filter, sort, start, count, base_url } = wanted.clone();
        let read = move |schemas: Schemas| -> Result<_, Failure> {
            let schema = T::schema(schemas);
            Ok((Order::of(sort.as_ref(), T::KIND, schema)?, Criterion::parse(&filter, T::KIND, schema)?))
        };
        // What the built-in schemas can read, a tenant's read alike.
        let parsed = read(Schemas::BUILT_IN);
        let looks = crowd || parsed.as_ref().map_or(true, |(order, criterion)| scans::looks(order, criterion));
        let turn = if looks { Some(self.scans.turn(tenant).await?) } else { None };
        let tenant = tenant.clone();
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    // Given back when the read ends, which is not when its caller goes away.
                    let _turn = turn;
                    let stands = standing(tx, &tenant).await?;
                    let (order, criterion) = match parsed {
                        Ok(parsed) => parsed,
                        Err(_) => read(extensions::schemas(tx, &tenant).await?)?,
                    };
                    let reach = if crowd { Reach::Many } else { criterion.reach() };
                    let kept = kept(T::KIND, &criterion, &stands);
                    let (tenant, start, base_url, count) = (&tenant, &start, &*base_url, count as usize);
                    let walk = Walk { tenant, criterion, reach, order, start, count, base_url, kept, with_groups };
                    let page = walk.page(tx).await?;
                    Ok(page.map(|value| Read { value, position: stands.position }))
                })
            })
            .await
    }
}

/// How many match, where the tenant's row says so.
fn kept(kind: Kind, criterion: &Criterion, stands: &Standing) -> Option<u64> {
    let Standing { users, inactive, groups, .. } = *stands;
    match (kind, criterion.only_active()) {
        (Kind::Users, Some(true)) => Some(users.saturating_sub(inactive)),
        (Kind::Users, Some(false)) => Some(inactive),
        (Kind::Users, None) => criterion.is_empty().then_some(users),
        (Kind::Groups, _) => criterion.is_empty().then_some(groups),
    }
}

/// A resource that can be listed. In its SQL the table is called `r`.
trait Listed: Sized + Send + Sync + 'static {
    const KIND: Kind;
    /// The columns that [`Listed::read`] reads, the id first.
    const COLUMNS: &'static str;
    /// How many columns that is.
    const WIDTH: usize;
    /// The table.
    const TABLE: &'static str;
    /// The table with what belongs to each row of it, beginning with ` FROM `.
    const FROM: &'static str;
    fn schema(schemas: Schemas) -> &'static ResourceType;
    fn read(row: &Row) -> Result<Self, Failure>;
    fn document(&self) -> &[u8];
    fn id(&self) -> [u8; 16];
    /// The resource as a client sees it, for the evaluator; without what memberships tell.
    fn whole(&self, base_url: &str) -> Result<Map<String, Json>, Failure>;

    /// How many members it has.
    fn members(&self) -> u64 {
        0
    }

    /// Adds to each the groups it is in. Where that would be too much for one page, the page ends earlier.
    fn add_groups(
        _tx: &mut Tx<'_>,
        _tenant: &TenantId,
        _page: &mut Vec<Self>,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        std::future::ready(Ok(()))
    }
}

impl Listed for User {
    const KIND: Kind = Kind::Users;
    const COLUMNS: &'static str = users::columns!(r);
    const WIDTH: usize = users::COLUMNS;
    const TABLE: &'static str = "users";
    const FROM: &'static str =
        " FROM users r LEFT JOIN {each or none:outcomes o ON o.tenant = r.tenant AND o.user_id = r.id}";

    fn schema(schemas: Schemas) -> &'static ResourceType {
        schemas.users
    }

    fn read(row: &Row) -> Result<Self, Failure> {
        users::user(row)
    }

    fn document(&self) -> &[u8] {
        &self.document
    }

    fn id(&self) -> [u8; 16] {
        *self.id.as_bytes()
    }

    fn whole(&self, base_url: &str) -> Result<Map<String, Json>, Failure> {
        let Self { id, document, created_at, modified_at, version, outcome, groups: _ } = self;
        let server = Map::from_iter([(FLUENT_USER_URN.to_owned(), extension(outcome.as_ref(), *version))]);
        let mut whole = whole(
            Self::schema(Schemas::BUILT_IN),
            base_url,
            &id.to_string(),
            document,
            [*created_at, *modified_at],
            version.0,
            server,
        )?;
        // Who does not say so is not active, and is found by that.
        whole.entry("active").or_insert(false.into());
        Ok(whole)
    }

    async fn add_groups(tx: &mut Tx<'_>, tenant: &TenantId, page: &mut Vec<Self>) -> Result<(), Failure> {
        user_groups::add(tx, tenant, page).await
    }
}

impl Listed for Group {
    const KIND: Kind = Kind::Groups;
    const COLUMNS: &'static str = groups::columns!();
    const WIDTH: usize = groups::COLUMNS;
    const TABLE: &'static str = "groups";
    const FROM: &'static str = " FROM groups r";

    fn schema(schemas: Schemas) -> &'static ResourceType {
        schemas.groups
    }

    fn read(row: &Row) -> Result<Self, Failure> {
        groups::group(row)
    }

    fn document(&self) -> &[u8] {
        &self.document
    }

    fn id(&self) -> [u8; 16] {
        *self.id.as_bytes()
    }

    fn members(&self) -> u64 {
        self.member_count
    }

    fn whole(&self, base_url: &str) -> Result<Map<String, Json>, Failure> {
        let Self { id, document, created_at, modified_at, version, member_count: _ } = self;
        whole(
            Self::schema(Schemas::BUILT_IN),
            base_url,
            &id.to_string(),
            document,
            [*created_at, *modified_at],
            version.0,
            Map::new(),
        )
    }
}

fn whole(
    kind: &ResourceType,
    base_url: &str,
    id: &str,
    document: &[u8],
    [created, modified]: [Timestamp; 2],
    version: u64,
    server: Map<String, Json>,
) -> Result<Map<String, Json>, Failure> {
    let attributes = serde_json::from_slice(document).map_err(|error| {
        tracing::error!(id, %error, "a stored document can't be read");
        Failure::Internal
    })?;
    let (created, last_modified) = (created.rfc3339(), modified.rfc3339());
    let version = scim::etag::weak(version);
    let location = format!("{base_url}{}/{id}", kind.endpoint);
    let meta = Meta { id, created: &created, last_modified: &last_modified, location: &location, version: &version };
    Ok(Resource::from_stored(attributes).complete(kind, &meta, server))
}

/// The Fluent extension of a user, as the gateway answers it: one that has changed since the last report, or has none, is
/// pending.
fn extension(outcome: Option<&Outcome>, version: Revision) -> Json {
    let mut extension = Map::new();
    let due = outcome.is_none_or(|outcome| outcome.revision < version);
    let state = outcome.filter(|_| !due).map_or(State::Pending, |outcome| outcome.state);
    extension.insert("state".into(), state.as_str().into());
    let Some(outcome) = outcome else { return extension.into() };
    let Outcome { state: _, reasons, fluent_user_id, pushed_at, effective_roles, revision: _ } = outcome;
    if !due && !reasons.is_empty() {
        extension.insert("reasons".into(), reasons.as_slice().into());
    }
    if !fluent_user_id.is_empty() {
        extension.insert("fluentUserId".into(), fluent_user_id.as_str().into());
    }
    if *pushed_at != Timestamp(0) {
        extension.insert("pushedAt".into(), pushed_at.rfc3339().into());
    }
    let role = |Grant { role, context_type, context_id }: &Grant| json!({ "value": &**role, "contextType": context_type.as_str(), "contextId": &**context_id });
    if !effective_roles.is_empty() {
        extension.insert("effectiveRoles".into(), effective_roles.iter().map(role).collect());
    }
    extension.into()
}
