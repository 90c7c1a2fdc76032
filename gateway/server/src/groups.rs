//! `/Groups` (RFC 7644 sections 3.2 to 3.6).
//!
//! A group's members are rows, not a part of its document: a request becomes a change of the document, a change of the
//! members, or both in one commit, and a group of fifty thousand is never read to add one to it.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::StatusCode;
use runtime::error::{Error, Reason};
use scim::list::{SearchRequest, Start};
use scim::patch::{MemberDelta, NeededMembers, PatchRequest};
use scim::project::Projection;
use scim::put::put as put_over;
use scim::resource::normalise;
use scim::schema::GROUPS;
use scim::{Resource, etag};

use crate::Gateway;
use crate::admission::Cost;
use crate::call::{Call, object};
use crate::contention::Tries;
use crate::convert::{Group, Member};
use crate::guard::Guard;
use crate::guardrail::{self, Settings, Verdict};
use crate::list::List;
use crate::query::Query;
use crate::reply::Reply;
use crate::resource;
use crate::respond::{self, Headers as _};
use crate::scim_error::Refusal;
use crate::tenant::mode;
use crate::upstream::{Fresh, GroupChange};
use crate::users::{labels, roles_patch, unmentioned};

/// A changed group with more members than this is answered without a body, unless attributes are asked for.
const MOST_ANSWERED: u64 = 1_000;
/// The most members on one page of groups; a page with more of them ends earlier.
const MOST_LISTED: u64 = 50_000;
/// How many groups' members are read at once.
const READS_AT_ONCE: usize = 4;

/// What a request makes of a group.
struct Edit {
    resource: Resource,
    members: MemberDelta,
    needed: NeededMembers,
}

/// `GET /Groups`.
pub(crate) async fn list(State(gateway): State<Arc<Gateway>>, call: Call) -> Result<Response, Refusal> {
    let query = Query::parse(call.query())?;
    Ok(page(&gateway, &call, &query).await?.respond(query.start()))
}

/// `POST /Groups/.search` (RFC 7644 section 3.4.3).
pub(crate) async fn search(State(gateway): State<Arc<Gateway>>, mut call: Call) -> Result<Response, Refusal> {
    let body = call.body(gateway.limits.user_body).await?;
    let query = Query::of_search(SearchRequest::parse(object(&body)?)?);
    Ok(page(&gateway, &call, &query).await?.respond(query.start()))
}

/// The page of groups that a query asks for.
pub(crate) async fn page(gateway: &Gateway, call: &Call, query: &Query) -> Result<List, Refusal> {
    let groups = gateway.schemas(call, query).await?.groups;
    let base = gateway.base(call);
    let (mut wanted, heavy) = query.selection(groups, gateway.mode(call, query).await?, &base)?;
    if heavy {
        gateway.admission.count(&call.caller.tenant, Cost::HeavyList)?;
    }
    let projection = query.projection(groups);
    let projection = projection.as_ref();
    let (mut page, mut revision) = gateway.upstream.list_groups(&call.caller, wanted.clone()).await?;
    let fits = if wants_members(projection) { fitting(&page.items) } else { page.items.len() };
    if fits < page.items.len() {
        if matches!(wanted.start, Start::Cursor(_)) {
            // The next page begins after the last group of this one, which only the store can say.
            wanted.count = u32::try_from(fits).unwrap_or(1);
            (page, revision) = gateway.upstream.list_groups(&call.caller, wanted).await?;
        }
        page.items.truncate(fits);
    }
    let mut bodies = Vec::with_capacity(page.items.len());
    for group in &page.items {
        bodies.push(body(gateway, call, group, &base, projection));
    }
    let resources: Vec<_> = stream::iter(bodies).buffered(READS_AT_ONCE).try_collect().await?;
    Ok(List { resources, total: page.total, next_cursor: page.next_cursor, revision })
}

/// How many of these groups have room on one page with their members; the first always has.
fn fitting(groups: &[Group]) -> usize {
    let mut listed = 0;
    let fits = groups.iter().take_while(|group| {
        let first = listed == 0;
        listed += group.member_count;
        first || listed <= MOST_LISTED
    });
    fits.count()
}

/// `GET /Groups/{id}`.
pub(crate) async fn get(State(gateway): State<Arc<Gateway>>, call: Call) -> Result<Response, Refusal> {
    let query = Query::parse(call.query())?;
    let reply = Reply::to_read(&query, gateway.schemas(&call, &query).await?.groups);
    let (group, revision) = gateway.upstream.get_group(&call.caller, &call.id).await?;
    let tag = resource::tag(&group.stored);
    if etag::if_none_match(call.conditions().if_none_match.as_deref(), &tag) {
        return Ok(respond::empty(StatusCode::NOT_MODIFIED).etag(&tag).revision(&revision));
    }
    answer(&gateway, &call, StatusCode::OK, &group, &revision, &reply).await
}

/// `POST /Groups`.
pub(crate) async fn create(State(gateway): State<Arc<Gateway>>, mut call: Call) -> Result<Response, Refusal> {
    let body = call.body(gateway.limits.group_body).await?;
    let tenant = gateway.tenant(&call).await?;
    let groups = tenant.schemas.groups;
    let reply = Reply::to_create(&call, groups)?;
    let (resource, members) = normalise(groups, object(&body)?, mode(&tenant.settings))?.created(groups)?;
    let mut guard = Guard::new(&gateway, &call).await?;
    let change = guardrail::Group { before: &BTreeSet::new(), after: &labels(&resource), loses_members: false }.judge();
    let adds_unmatched = guard.pass(change).await?;
    let document = resource::document(resource);
    let created = gateway.upstream.create_group(&call.caller, document, members, adds_unmatched).await;
    let (group, revision) = created?;
    answer(&gateway, &call, StatusCode::CREATED, &group, &revision, &reply).await
}

/// `PUT /Groups/{id}`.
pub(crate) async fn put(State(gateway): State<Arc<Gateway>>, mut call: Call) -> Result<Response, Refusal> {
    let body = call.body(gateway.limits.group_body).await?;
    let groups = gateway.tenant(&call).await?.schemas.groups;
    change(&gateway, &call, false, |stored, settings| {
        let new = normalise(groups, object(&body)?, mode(settings))?;
        let members = new.members.clone().map(|ids| MemberDelta::Replace(ids.into_iter().collect()));
        let resource = put_over(groups, stored, new, unmentioned(settings))?.resource;
        Ok(Edit { resource, members: members.unwrap_or_default(), needed: NeededMembers::default() })
    })
    .await
}

/// `PATCH /Groups/{id}`.
pub(crate) async fn patch(State(gateway): State<Arc<Gateway>>, mut call: Call) -> Result<Response, Refusal> {
    let body = call.body(gateway.limits.group_body).await?;
    let groups = gateway.tenant(&call).await?.schemas.groups;
    change(&gateway, &call, true, |stored, settings| {
        let mut patch = PatchRequest::parse(groups, object(&body)?, mode(settings))?;
        let (members, needed) = (patch.take_members().unwrap_or_default(), patch.take_needed());
        let resource = patch.apply(stored, roles_patch(settings))?.resource;
        Ok(Edit { resource, members, needed })
    })
    .await
}

/// `DELETE /Groups/{id}`.
pub(crate) async fn delete(State(gateway): State<Arc<Gateway>>, call: Call) -> Result<Response, Refusal> {
    let conditions = call.conditions();
    if !conditions.any() {
        let revision = gateway.upstream.delete_group(&call.caller, &call.id, 0).await?;
        return Ok(respond::empty(StatusCode::NO_CONTENT).revision(&revision));
    }
    let mut tries = Tries::default();
    loop {
        let (group, _) = gateway.upstream.get_group(&call.caller, &call.id).await?;
        conditions.check(&resource::tag(&group.stored))?;
        match gateway.upstream.delete_group(&call.caller, &call.id, group.stored.version).await {
            Ok(revision) => return Ok(respond::empty(StatusCode::NO_CONTENT).revision(&revision)),
            Err(error) if error.reason() == Reason::VERSION_MISMATCH => tries.again(&call, true).await?,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads the group, edits it, lets the guardrail judge the difference, and writes it back if nobody else has written
/// meanwhile; else all of that again. Members alone are deltas, which need no version unless the client names one.
async fn change(
    gateway: &Gateway,
    call: &Call,
    may_be_terse: bool,
    edit: impl Fn(&Resource, &Settings) -> Result<Edit, Refusal>,
) -> Result<Response, Refusal> {
    let reply = Reply::to_change(call, gateway.tenant(call).await?.schemas.groups)?;
    let conditions = call.conditions();
    let mut guard = Guard::new(gateway, call).await?;
    let mut tries = Tries::default();
    loop {
        let (group, revision) = gateway.upstream.get_group(&call.caller, &call.id).await?;
        conditions.check(&resource::tag(&group.stored))?;
        let stored = resource::parse(&group.stored)?;
        let Edit { resource, members, needed } = edit(&stored, &guard.settings)?;
        if !needed.is_empty() {
            let there = gateway.upstream.members(&call.caller, &call.id).await?;
            let there: BTreeSet<_> = there.iter().map(|member| &*member.id).collect();
            needed.check(|id| there.contains(id))?;
        }
        let (before, after) = (labels(&stored), labels(&resource));
        let loses_members = !after.is_subset(&before) && loses_members(gateway, call, &members).await?;
        let verdict = guardrail::Group { before: &before, after: &after, loses_members }.judge();
        let keys_change = ["externalId", "displayName"].iter().any(|name| stored.text(name) != resource.text(name));
        let changed = resource != stored;
        let takes_away = !before.is_subset(&after) || members.takes_away();
        let written = if changed || !members.is_empty() {
            let expected = if changed || conditions.any() || !needed.is_empty() { group.stored.version } else { 0 };
            let document = changed.then(|| resource::document(resource));
            let change = group_change(document, members);
            write(gateway, call, &mut guard, expected, change, verdict, keys_change).await?
        } else {
            Ok((group, revision))
        };
        match written {
            Ok((group, revision)) => {
                if may_be_terse && reply.has_body() && group.member_count > MOST_ANSWERED && !reply.names_attributes() {
                    let terse = respond::empty(StatusCode::NO_CONTENT);
                    return Ok(terse.etag(&resource::tag(&group.stored)).revision(&revision));
                }
                return answer(gateway, call, StatusCode::OK, &group, &revision, &reply).await;
            }
            Err(error) if error.reason() == Reason::VERSION_MISMATCH => tries.again(call, takes_away).await?,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Stores a change that the guardrail lets pass. Where the name or the `externalId` changes, labels may have come by it:
/// the store knows, and who takes away waits for no catalogue.
async fn write(
    gateway: &Gateway,
    call: &Call,
    guard: &mut Guard<'_>,
    expected: u64,
    change: GroupChange,
    verdict: Verdict,
    keys_change: bool,
) -> Result<Result<Fresh<Group>, Error>, Refusal> {
    let update = |change| gateway.upstream.update_group(&call.caller, &call.id, expected, change);
    if keys_change && matches!(verdict, Verdict::DependsOn(_)) {
        let only = GroupChange { adds_unmatched: true, only_if_it_takes_away: true, ..change.clone() };
        let written = update(only).await;
        if !written.as_ref().is_err_and(|error| error.reason() == Reason::LABEL_UNMATCHED) {
            return Ok(written);
        }
    }
    let adds_unmatched = guard.pass(verdict).await?;
    Ok(update(GroupChange { adds_unmatched, ..change }).await)
}

fn group_change(document: Option<bytes::Bytes>, members: MemberDelta) -> GroupChange {
    match members {
        MemberDelta::Change { add, remove } => GroupChange {
            document,
            replace_members: false,
            add: add.into_iter().collect(),
            remove: remove.into_iter().collect(),
            adds_unmatched: false,
            only_if_it_takes_away: false,
        },
        MemberDelta::Replace(all) => {
            let add = all.into_iter().collect();
            let (remove, adds_unmatched, only_if_it_takes_away) = (Vec::new(), false, false);
            GroupChange { document, replace_members: true, add, remove, adds_unmatched, only_if_it_takes_away }
        }
    }
}

/// Whether someone who is a member would be none.
async fn loses_members(gateway: &Gateway, call: &Call, delta: &MemberDelta) -> Result<bool, Refusal> {
    let stays: Box<dyn Fn(&String) -> bool + Send + Sync> = match delta {
        MemberDelta::Change { remove, .. } if remove.is_empty() => return Ok(false),
        MemberDelta::Change { remove, .. } => Box::new(|id| !remove.contains(id)),
        MemberDelta::Replace(all) => Box::new(|id| all.contains(id)),
    };
    let members = gateway.upstream.members(&call.caller, &call.id).await?;
    Ok(members.iter().any(|member| !stays(&member.id)))
}

async fn answer(
    gateway: &Gateway,
    call: &Call,
    status: StatusCode,
    group: &Group,
    revision: &str,
    reply: &Reply,
) -> Result<Response, Refusal> {
    let base = gateway.base(call);
    let body = if reply.has_body() { Some(body(gateway, call, group, &base, reply.projection()).await?) } else { None };
    let location = resource::location(&GROUPS, &group.stored, &base);
    Ok(reply.response(status, body).etag(&resource::tag(&group.stored)).location(&location).revision(revision))
}

/// A group as it is answered; its members are read only if they are wanted.
async fn body(
    gateway: &Gateway,
    call: &Call,
    group: &Group,
    base: &str,
    projection: Option<&Projection>,
) -> Result<String, Error> {
    let members: Option<Vec<Member>> = match (wants_members(projection), group.member_count) {
        (false, _) => None,
        (true, 0) => Some(Vec::new()),
        (true, _) => Some(gateway.upstream.members(&call.caller, &group.stored.id).await?),
    };
    resource::group(group, members.as_deref(), base, projection)
}

fn wants_members(projection: Option<&Projection>) -> bool {
    projection.is_none_or(|projection| projection.wants("members"))
}
