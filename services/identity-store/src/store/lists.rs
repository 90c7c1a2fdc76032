//! Lists of users and groups, in order of id, which is the order in which they were made.

use domain::clock::Timestamp;
use domain::grant::Grant;
use domain::id::TenantId;
use scim::Resource;
use scim::filter::Query;
use scim::resource::Meta;
use scim::schema::{FLUENT_USER_URN, ResourceType, Schemas};
use serde_json::{Map, Value as Json, json};
use sql::{Row, Tx, Value, params};

use super::filter::{self, Kind};
use super::{Store, extensions, groups, standing, user_groups, users};
use crate::failure::Failure;
use crate::model::{Group, Outcome, Page, Read, State, User, Window};

/// The largest page.
const LARGEST: u32 = 1_000;
/// About how much one page holds, in bytes of documents: what fits in a message with room to spare.
const BYTES: usize = 8 << 20;
/// How many rows are fetched at a time.
const ROWS: usize = 250;
/// The most rows a filter without an index looks at.
const SCANNED: usize = 100_000;

impl Store {
    /// A page of the users that match a filter, of all users for an empty one; with the groups they are in if those are
    /// wanted, which may end the page earlier.
    pub async fn list_users(
        &self,
        tenant: &TenantId,
        filter: &str,
        window: Window,
        with_groups: bool,
    ) -> Result<Read<Page<User>>, Failure> {
        self.list(tenant, filter, window, with_groups).await
    }

    /// A page of the groups that match a filter; of all groups for an empty one.
    pub async fn list_groups(
        &self,
        tenant: &TenantId,
        filter: &str,
        window: Window,
    ) -> Result<Read<Page<Group>>, Failure> {
        self.list(tenant, filter, window, false).await
    }

    async fn list<T: Listed>(
        &self,
        tenant: &TenantId,
        filter: &str,
        window: Window,
        with_groups: bool,
    ) -> Result<Read<Page<T>>, Failure> {
        if window.count > LARGEST {
            let expected = format!("it must be at most {LARGEST}");
            return Err(Failure::Invalid { field: "count", expected });
        }
        // What the built-in schemas can read, a tenant's read alike.
        let parsed = filter::parse(filter, T::schema(Schemas::BUILT_IN));
        let (tenant, filter) = (tenant.clone(), filter.to_owned());
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    let stands = standing(tx, &tenant).await?;
                    let query = match parsed {
                        _ if filter.is_empty() => None,
                        Ok(query) => Some(query),
                        Err(_) => Some(filter::parse(&filter, T::schema(extensions::schemas(tx, &tenant).await?))?),
                    };
                    let mut value = match query {
                        None => {
                            let total = match T::KIND {
                                Kind::Users => stands.users,
                                Kind::Groups => stands.groups,
                            };
                            Page { items: all(tx, &tenant, "", window).await?, total }
                        }
                        Some(query) => match filter::exactly_active(&query, T::KIND) {
                            Some(active) => {
                                let inactive = inactive(tx, &tenant).await?;
                                let total = if active { stands.users.saturating_sub(inactive) } else { inactive };
                                Page { items: all(tx, &tenant, filter::in_sql(active), window).await?, total }
                            }
                            None => matching(tx, &tenant, &query, window).await?,
                        },
                    };
                    if with_groups {
                        T::add_groups(tx, &tenant, &mut value.items).await?;
                    }
                    Ok(Read { value, position: stands.position })
                })
            })
            .await
    }
}

async fn inactive(tx: &mut Tx<'_>, tenant: &TenantId) -> Result<u64, Failure> {
    const INACTIVE: &str = "SELECT COUNT(*) FROM users WHERE tenant = $1 AND active = 0";
    let row = tx.row(INACTIVE, params![tenant.as_str()]).await?.ok_or(Failure::Internal)?;
    Ok(u64::try_from(row.int(0)?).unwrap_or(0))
}

/// A page of all that meet a condition of SQL, without counting the rest: the tenant's row says how many there are.
async fn all<T: Listed>(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    condition: &'static str,
    window: Window,
) -> Result<Vec<T>, Failure> {
    let sql = format!("SELECT {} WHERE r.tenant = $1{condition} ORDER BY r.id LIMIT $2 OFFSET $3", T::SELECT);
    let (mut items, mut bytes) = (Vec::<T>::new(), 0);
    let count = window.count as usize;
    while items.len() < count && bytes < BYTES {
        let some = ROWS.min(count - items.len());
        let offset = i64::from(window.start.saturating_sub(1)) + i64::try_from(items.len()).unwrap_or(i64::MAX);
        let values = params![tenant.as_str(), i64::try_from(some).unwrap_or(i64::MAX), offset];
        let rows = tx.composed(&sql, values).await?;
        for row in &rows {
            let item = T::read(row)?;
            bytes += item.document().len();
            items.push(item);
        }
        if rows.len() < some {
            break;
        }
    }
    Ok(items)
}

/// A page of those that match, and how many do in all.
async fn matching<T: Listed>(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    query: &Query,
    window: Window,
) -> Result<Page<T>, Failure> {
    let mut values = params![tenant.as_str(), Vec::<u8>::new(), i64::try_from(ROWS).unwrap_or(i64::MAX)];
    let narrowed = filter::narrow(query, T::KIND, &mut values);
    let sql = format!("SELECT {} WHERE r.tenant = $1 AND r.id > $2{narrowed} ORDER BY r.id LIMIT $3", T::SELECT);
    let (mut items, mut bytes, mut total, mut scanned) = (Vec::<T>::new(), 0, 0_u64, 0);
    loop {
        let rows = tx.composed(&sql, values.clone()).await?;
        for row in &rows {
            let item = T::read(row)?;
            if !query.matches(&item.whole()?) {
                continue;
            }
            total += 1;
            let on_page = total >= u64::from(window.start.max(1)) && items.len() < window.count as usize;
            // A page that was cut short stays so: what comes after it belongs to the next.
            if on_page && bytes < BYTES {
                bytes += item.document().len();
                items.push(item);
            }
        }
        scanned += rows.len();
        let Some(last) = rows.last().filter(|_| rows.len() == ROWS) else { return Ok(Page { items, total }) };
        if scanned >= SCANNED {
            let what = format!("the filter would have to look at more than {SCANNED} resources; narrow it down");
            // RFC 7644, section 3.4.2: too many results are the filter's fault, a 400.
            return Err(Failure::InvalidFilter(what));
        }
        values[1] = Value::from(last.bytes(0)?);
    }
}

/// A resource that can be listed. In its SQL the table is called `r`.
trait Listed: Sized + Send + 'static {
    const KIND: Kind;
    /// Columns and tables, the id first.
    const SELECT: &'static str;
    fn schema(schemas: Schemas) -> &'static ResourceType;
    fn read(row: &Row) -> Result<Self, Failure>;
    fn document(&self) -> &[u8];
    /// The resource as a client sees it, for the evaluator.
    fn whole(&self) -> Result<Map<String, Json>, Failure>;

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
    const SELECT: &'static str =
        concat!(users::columns!(r), " FROM users r LEFT JOIN outcomes o ON o.tenant = r.tenant AND o.user_id = r.id");

    fn schema(schemas: Schemas) -> &'static ResourceType {
        schemas.users
    }

    fn read(row: &Row) -> Result<Self, Failure> {
        users::user(row)
    }

    fn document(&self) -> &[u8] {
        &self.document
    }

    fn whole(&self) -> Result<Map<String, Json>, Failure> {
        let Self { id, document, created_at, modified_at, version, outcome, groups: _ } = self;
        let mut server = Map::new();
        if let Some(outcome) = outcome {
            server.insert(FLUENT_USER_URN.into(), extension(outcome, outcome.revision < *version));
        }
        whole(
            Self::schema(Schemas::BUILT_IN),
            &id.to_string(),
            document,
            [*created_at, *modified_at],
            version.0,
            server,
        )
    }
    async fn add_groups(tx: &mut Tx<'_>, tenant: &TenantId, page: &mut Vec<Self>) -> Result<(), Failure> {
        user_groups::add(tx, tenant, page).await
    }
}

impl Listed for Group {
    const KIND: Kind = Kind::Groups;
    const SELECT: &'static str = concat!(groups::columns!(), " FROM groups r");

    fn schema(schemas: Schemas) -> &'static ResourceType {
        schemas.groups
    }

    fn read(row: &Row) -> Result<Self, Failure> {
        groups::group(row)
    }

    fn document(&self) -> &[u8] {
        &self.document
    }

    fn whole(&self) -> Result<Map<String, Json>, Failure> {
        let Self { id, document, created_at, modified_at, version, member_count: _ } = self;
        whole(
            Self::schema(Schemas::BUILT_IN),
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
    // Only the gateway knows where the resource is.
    let location = "";
    let meta = Meta { id, created: &created, last_modified: &last_modified, location, version: &version };
    Ok(Resource::from_stored(attributes).complete(kind, &meta, server))
}

/// The Fluent extension of a user. One that has changed since is pending, whatever was reported before.
fn extension(outcome: &Outcome, changed_since: bool) -> Json {
    let Outcome { state, reasons, fluent_user_id, pushed_at, effective_roles, revision: _ } = outcome;
    let state = if changed_since { State::Pending } else { *state };
    let mut extension = Map::new();
    extension.insert("state".into(), state.as_str().into());
    extension.insert("reasons".into(), reasons.as_slice().into());
    if !fluent_user_id.is_empty() {
        extension.insert("fluentUserId".into(), fluent_user_id.as_str().into());
    }
    if *pushed_at != Timestamp(0) {
        extension.insert("pushedAt".into(), pushed_at.rfc3339().into());
    }
    let role = |Grant { role, context_type, context_id }: &Grant| json!({ "value": &**role, "contextType": context_type.as_str(), "contextId": &**context_id });
    extension.insert("effectiveRoles".into(), effective_roles.iter().map(role).collect());
    extension.into()
}
