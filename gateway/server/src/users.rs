//! `/Users` (RFC 7644 sections 3.2 to 3.6).

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::settings::{PutOmitted, RolesPatch};
use http::{Method, StatusCode};
use runtime::error::{Kind, Reason};
use scim::flaws::Flaws;
use scim::list::SearchRequest;
use scim::patch::PatchRequest;
use scim::put::{Unmentioned, put as put_over};
use scim::resource::{normalise, normalise_possible};
use scim::schema::USERS;
use scim::{Resource, etag};

use crate::Gateway;
use crate::admission::Cost;
use crate::call::{Call, object, object_of_any_text};
use crate::contention::Tries;
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
    change(&gateway, &call, |stored, settings, flaws| {
        let new = match flaws {
            Flaws::Refuse => normalise(users, object(&body)?, mode(settings))?,
            Flaws::LeaveOut => normalise_possible(users, object_of_any_text(&body)?, mode(settings))?,
        };
        Ok(put_over(users, stored, new, unmentioned(settings))?.resource)
    })
    .await
}

/// `PATCH /Users/{id}`.
pub(crate) async fn patch(State(gateway): State<Arc<Gateway>>, mut call: Call) -> Result<Response, Refusal> {
    let body = call.body(gateway.limits.user_body).await?;
    let users = gateway.tenant(&call).await?.schemas.users;
    change(&gateway, &call, |stored, settings, flaws| {
        let patch = match flaws {
            Flaws::Refuse => PatchRequest::parse(users, object(&body)?, mode(settings))?,
            Flaws::LeaveOut => PatchRequest::parse_possible(users, object_of_any_text(&body)?, mode(settings))?,
        };
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
    let mut tries = Tries::default();
    loop {
        let (user, _) = gateway.upstream.get_user(&call.caller, &call.id, false).await?;
        conditions.check(&resource::tag(&user.stored))?;
        match gateway.upstream.delete_user(&call.caller, &call.id, user.stored.version).await {
            Ok(revision) => return Ok(respond::empty(StatusCode::NO_CONTENT).revision(&revision)),
            Err(error) if error.reason() == Reason::VERSION_MISMATCH => tries.again(&call, true).await?,
            Err(error) => return Err(error.into()),
        }
    }
}

/// How much of a change is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// All of it.
    Whole,
    /// Whether the user is active, and its labels.
    Access,
    /// That the user is not active.
    Deactivation,
}

impl Extent {
    /// What of `new` is written over `stored`.
    fn of(self, stored: &Resource, new: Resource) -> Resource {
        match self {
            Self::Whole => new,
            Self::Access => stored.with_access_of(&USERS, &new),
            Self::Deactivation => stored.with_active(false),
        }
    }

    fn less(self) -> Option<Self> {
        match self {
            Self::Whole => Some(Self::Access),
            Self::Access => Some(Self::Deactivation),
            Self::Deactivation => None,
        }
    }
}

/// Reads the user, edits it, lets the guardrail judge the difference, and writes it back if nobody else has written
/// meanwhile; else all of that again. So a change is judged and made against what it replaces.
///
/// The body is read by `edit`, after the user was found: a user that is not there is 404 whatever the body says. A
/// request that deactivates is never refused for what it says besides: what is wrong is left out, and where identity-store
/// can't hold the rest, everything but access.
async fn change(
    gateway: &Gateway,
    call: &Call,
    edit: impl Fn(&Resource, &Settings, Flaws) -> Result<Resource, Refusal>,
) -> Result<Response, Refusal> {
    let reply = Reply::to_change(call, gateway.tenant(call).await?.schemas.users)?;
    let conditions = call.conditions();
    let mut guard = Guard::new(gateway, call).await?;
    let (mut tries, mut extent) = (Tries::default(), Extent::Whole);
    loop {
        // No change of a user changes its groups, so those read now are shown afterwards.
        let (user, revision) = gateway.upstream.get_user(&call.caller, &call.id, reply.wants("groups")).await?;
        conditions.check(&resource::tag(&user.stored))?;
        let stored = resource::parse(&user.stored)?;
        let new = match edit(&stored, &guard.settings, Flaws::Refuse) {
            Ok(new) => new,
            Err(refusal) => deactivated(&edit, &stored, &guard.settings).ok_or(refusal)?,
        };
        let new = extent.of(&stored, new);
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
            Err(error) if error.reason() == Reason::VERSION_MISMATCH => tries.again(call, change.takes_away()).await?,
            Err(error) => match extent.less() {
                Some(less)
                    if error.kind() == Kind::InvalidArgument
                        && deactivated(&edit, &stored, &guard.settings).is_some() =>
                {
                    extent = less;
                }
                _ => return Err(error.into()),
            },
        }
    }
}

/// The user after what of a request can be carried out, if the request deactivates.
fn deactivated(
    edit: impl Fn(&Resource, &Settings, Flaws) -> Result<Resource, Refusal>,
    stored: &Resource,
    settings: &Settings,
) -> Option<Resource> {
    // Who is inactive already looks the same whether the request says so or not; who is active does not.
    let new = edit(&stored.with_active(true), settings, Flaws::LeaveOut).ok().filter(|new| !new.active())?;
    tracing::warn!("a user is deactivated without what is wrong in the request besides");
    Some(new)
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
