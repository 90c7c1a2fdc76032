//! `/Users` (RFC 7644 sections 3.2 to 3.6).

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::settings::{PutOmitted, RolesPatch};
use http::{Method, StatusCode};
use runtime::error::Reason;
use scim::list::SearchRequest;
use scim::patch::PatchRequest;
use scim::put::{Unmentioned, put as put_over};
use scim::resource::normalise;
use scim::schema::USERS;
use scim::{Resource, etag};

use crate::Gateway;
use crate::admission::Cost;
use crate::call::{Call, object};
use crate::convert::User;
use crate::guard::Guard;
use crate::guardrail::{self, Label, Settings, Standing};
use crate::list::List;
use crate::query::Query;
use crate::reply::Reply;
use crate::resource;
use crate::respond::{self, Headers as _};
use crate::scim_error::Refusal;
use crate::tenant::mode;

/// How often a change is made anew when others change the same user meanwhile. One that takes access away is made anew until
/// the request's time is over: each time it came too late, somebody else's change was made.
pub(crate) const TRIES: usize = 16;

/// `GET /Users`.
pub(crate) async fn list(State(gateway): State<Arc<Gateway>>, call: Call) -> Result<Response, Refusal> {
    let query = Query::parse(call.query())?;
    Ok(page(&gateway, &call, &query).await?.respond(query.start()))
}

/// `POST /Users/.search` (RFC 7644 section 3.4.3).
pub(crate) async fn search(State(gateway): State<Arc<Gateway>>, mut call: Call) -> Result<Response, Refusal> {
    let body = call.body(gateway.limits.user_body).await?;
    let query = Query::of_search(SearchRequest::parse(object(&body)?)?);
    Ok(page(&gateway, &call, &query).await?.respond(query.start()))
}

/// The page of users that a query asks for.
pub(crate) async fn page(gateway: &Gateway, call: &Call, query: &Query) -> Result<List, Refusal> {
    let users = gateway.schemas(call, query).await?.users;
    let (base, projection) = (gateway.base(call), query.projection(users));
    let (wanted, heavy) = query.selection(users, gateway.mode(call, query).await?, &base)?;
    if heavy {
        gateway.admission.count(&call.caller.tenant, Cost::HeavyList)?;
    }
    let with_groups = projection.as_ref().is_none_or(|projection| projection.wants("groups"));
    let (page, revision) = gateway.upstream.list_users(&call.caller, wanted, with_groups).await?;
    let users = page.items.iter().map(|user| resource::user(user, &base, projection.as_ref()));
    let resources = users.collect::<Result<Vec<_>, _>>()?;
    Ok(List { resources, total: page.total, next_cursor: page.next_cursor, revision })
}

/// `GET /Users/{id}`.
pub(crate) async fn get(State(gateway): State<Arc<Gateway>>, call: Call) -> Result<Response, Refusal> {
    let query = Query::parse(call.query())?;
    let reply = Reply::to_read(&query, gateway.schemas(&call, &query).await?.users);
    let (user, revision) = gateway.upstream.get_user(&call.caller, &call.id, reply.wants("groups")).await?;
    let tag = resource::tag(&user.stored);
    if etag::if_none_match(call.conditions().if_none_match.as_deref(), &tag) {
        return Ok(respond::empty(StatusCode::NOT_MODIFIED).etag(&tag).revision(&revision));
    }
    answer(&gateway, &call, StatusCode::OK, &user, &revision, &reply)
}

/// `POST /Users`.
pub(crate) async fn create(State(gateway): State<Arc<Gateway>>, mut call: Call) -> Result<Response, Refusal> {
    let body = call.body(gateway.limits.user_body).await?;
    let tenant = gateway.tenant(&call).await?;
    let users = tenant.schemas.users;
    let reply = Reply::to_create(&call, users)?;
    let (resource, _) = normalise(users, object(&body)?, mode(&tenant.settings))?.created(users)?;
    let mut guard = Guard::new(&gateway, &call).await?;
    let after = standing(&resource);
    let change = guardrail::User { before: None, after: &after, has_account: false };
    guard.pass(change.judge(&guard.settings)).await?;
    let (user, revision) = gateway.upstream.create_user(&call.caller, resource::document(resource)).await?;
    answer(&gateway, &call, StatusCode::CREATED, &user, &revision, &reply)
}

/// `PUT /Users/{id}`.
pub(crate) async fn put(State(gateway): State<Arc<Gateway>>, mut call: Call) -> Result<Response, Refusal> {
    let body = call.body(gateway.limits.user_body).await?;
    let users = gateway.tenant(&call).await?.schemas.users;
    change(&gateway, &call, |stored, settings| {
        let new = normalise(users, object(&body)?, mode(settings))?;
        Ok(put_over(users, stored, new, unmentioned(settings))?.resource)
    })
    .await
}

/// `PATCH /Users/{id}`.
pub(crate) async fn patch(State(gateway): State<Arc<Gateway>>, mut call: Call) -> Result<Response, Refusal> {
    let body = call.body(gateway.limits.user_body).await?;
    let users = gateway.tenant(&call).await?.schemas.users;
    change(&gateway, &call, |stored, settings| {
        let patch = PatchRequest::parse(users, object(&body)?, mode(settings))?;
        Ok(patch.apply(stored, roles_patch(settings))?.resource)
    })
    .await
}

/// `DELETE /Users/{id}`.
pub(crate) async fn delete(State(gateway): State<Arc<Gateway>>, call: Call) -> Result<Response, Refusal> {
    let conditions = call.conditions();
    if !conditions.any() {
        let revision = gateway.upstream.delete_user(&call.caller, &call.id, 0).await?;
        return Ok(respond::empty(StatusCode::NO_CONTENT).revision(&revision));
    }
    loop {
        let (user, _) = gateway.upstream.get_user(&call.caller, &call.id, false).await?;
        conditions.check(&resource::tag(&user.stored))?;
        match gateway.upstream.delete_user(&call.caller, &call.id, user.stored.version).await {
            Ok(revision) => return Ok(respond::empty(StatusCode::NO_CONTENT).revision(&revision)),
            Err(error) if error.reason() == Reason::VERSION_MISMATCH => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads the user, edits it, lets the guardrail judge the difference, and writes it back if nobody else has written
/// meanwhile; else all of that again. So a change is judged and made against what it replaces.
///
/// The body is read by `edit`, after the user was found: a user that is not there is 404 whatever the body says.
async fn change(
    gateway: &Gateway,
    call: &Call,
    edit: impl Fn(&Resource, &Settings) -> Result<Resource, Refusal>,
) -> Result<Response, Refusal> {
    let reply = Reply::to_change(call, gateway.tenant(call).await?.schemas.users)?;
    let conditions = call.conditions();
    let mut guard = Guard::new(gateway, call).await?;
    for tries in 1.. {
        // No change of a user changes its groups, so those read now are shown afterwards.
        let (user, revision) = gateway.upstream.get_user(&call.caller, &call.id, reply.wants("groups")).await?;
        conditions.check(&resource::tag(&user.stored))?;
        let stored = resource::parse(&user.stored)?;
        let new = edit(&stored, &guard.settings)?;
        if new == stored {
            return answer(gateway, call, StatusCode::OK, &user, &revision, &reply);
        }
        let has_account = user.outcome.as_ref().is_some_and(|outcome| outcome.fluent_user_id.is_some());
        let (before, after) = (standing(&stored), standing(&new));
        let change = guardrail::User { before: Some(&before), after: &after, has_account };
        guard.pass(change.judge(&guard.settings)).await?;
        let document = resource::document(new);
        match gateway.upstream.replace_user(&call.caller, &call.id, user.stored.version, document).await {
            Ok((changed, revision)) => {
                if call.method == Method::PATCH {
                    gateway.add_only.note(&call.caller.tenant, &guard.settings, &before.labels, &after.labels);
                }
                let user = User { groups: user.groups, ..changed };
                return answer(gateway, call, StatusCode::OK, &user, &revision, &reply);
            }
            Err(error) if error.reason() == Reason::VERSION_MISMATCH => {
                if tries >= TRIES && !change.takes_away() {
                    break;
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(contended())
}

fn answer(
    gateway: &Gateway,
    call: &Call,
    status: StatusCode,
    user: &User,
    revision: &str,
    reply: &Reply,
) -> Result<Response, Refusal> {
    let base = gateway.base(call);
    let body = reply.has_body().then(|| resource::user(user, &base, reply.projection())).transpose()?;
    let location = resource::location(&USERS, &user.stored, &base);
    Ok(reply.response(status, body).etag(&resource::tag(&user.stored)).location(&location).revision(revision))
}

fn standing(user: &Resource) -> Standing {
    Standing {
        active: user.active(),
        labels: labels(user),
        user_name: user.text("userName").unwrap_or_default().to_owned(),
    }
}

/// The labels a document gives, each once.
pub(crate) fn labels(resource: &Resource) -> BTreeSet<Label> {
    resource.labels().map(Label::new).collect()
}

pub(crate) fn unmentioned(settings: &Settings) -> Unmentioned {
    match settings.put_omitted {
        PutOmitted::Clear => Unmentioned::Clear,
        PutOmitted::Keep => Unmentioned::Keep,
    }
}

pub(crate) fn roles_patch(settings: &Settings) -> scim::patch::RolesPatch {
    match settings.roles_patch {
        RolesPatch::AsSent => scim::patch::RolesPatch::AsSent,
        RolesPatch::Overwrite => scim::patch::RolesPatch::Overwrite,
    }
}

pub(crate) fn contended() -> Refusal {
    let detail = "the resource changes too often to be changed now; try again later";
    Refusal::unavailable(detail, std::time::Duration::from_secs(1))
}
