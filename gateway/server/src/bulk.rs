//! `POST /Bulk` (RFC 7644 section 3.7): `scim::bulk` says what comes next, and each operation goes through the handler
//! that a request of its own would. So it is read, judged and stored like one.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::header::{ETAG, LOCATION};
use http::{Method, StatusCode};
use scim::Error;
use scim::bulk::{Done, Job, Task, Verb};
use scim::schema::USERS;
use serde_json::Value;

use crate::call::Call;
use crate::respond::{self, Headers as _, REVISION};
use crate::scim_error::Refusal;
use crate::tenant::mode;
use crate::{Gateway, groups, users};

/// What must be left of the request's time for one more operation to begin.
const RESERVE: Duration = Duration::from_secs(3);

/// `POST /Bulk`.
pub(crate) async fn bulk(State(gateway): State<Arc<Gateway>>, mut call: Call) -> Result<Response, Refusal> {
    let body = call.body(gateway.limits.bulk_body).await?;
    let tenant = gateway.tenant(&call).await?;
    let body = scim::json::read_object(&body, &scim::bulk::limits())?;
    let mut job = Job::plan(body, tenant.schemas, mode(&tenant.settings))?;
    let mut revision = String::new();
    while let Some(task) = job.next_task() {
        let result = paced(&gateway, &call, task).await.map_err(Refusal::into_error);
        job.finish(result.map(|(done, newer)| {
            revision = newer;
            done
        }));
    }
    let answer = job.response(&gateway.base(&call));
    Ok(respond::json(StatusCode::OK, answer.to_string()).revision(&revision))
}

/// Carries out one operation when its tenant's rate has a place for it. While it waits, others have its turn. Refused
/// with 503 if it has none, or too little time is left of the whole request.
async fn paced(gateway: &Arc<Gateway>, call: &Call, task: Task) -> Result<(Done, String), Refusal> {
    call.slot.resume(&gateway.admission, &call.caller).await?;
    loop {
        if call.time_left() < RESERVE {
            return Err(Error::unavailable("the time of the whole request is over; send this operation again").into());
        }
        let pace = gateway.admission.pace(&call.caller.tenant);
        let (Ok(wait) | Err(wait)) = pace;
        if !wait.is_zero() {
            call.slot.aside(&gateway.admission, &call.caller, tokio::time::sleep(wait)).await?;
        }
        if pace.is_ok() {
            break;
        }
    }
    perform(gateway, call, task).await
}

/// Carries out one operation; answers what came of it, and the token that proves it.
async fn perform(gateway: &Arc<Gateway>, call: &Call, task: Task) -> Result<(Done, String), Refusal> {
    let Task { kind, verb, id, version, data } = task;
    let body = data.map(|data| Bytes::from(Value::Object(data).to_string())).unwrap_or_default();
    let method = match verb {
        Verb::Create => Method::POST,
        Verb::Replace => Method::PUT,
        Verb::Patch => Method::PATCH,
        Verb::Delete => Method::DELETE,
    };
    let part = call.part(method, id.clone(), version.as_deref(), body)?;
    let state = State(Arc::clone(gateway));
    let response = match (verb, kind.name == USERS.name) {
        (Verb::Create, true) => users::create(state, part).await,
        (Verb::Create, false) => groups::create(state, part).await,
        (Verb::Replace, true) => users::put(state, part).await,
        (Verb::Replace, false) => groups::put(state, part).await,
        (Verb::Patch, true) => users::patch(state, part).await,
        (Verb::Patch, false) => groups::patch(state, part).await,
        (Verb::Delete, true) => users::delete(state, part).await,
        (Verb::Delete, false) => groups::delete(state, part).await,
    }?;
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let made = header(LOCATION).and_then(|uri| uri.rsplit('/').next().map(str::to_owned));
    let done = Done {
        status: response.status().as_u16(),
        id: if verb == Verb::Create { made.unwrap_or_default() } else { id },
        version: header(ETAG),
    };
    Ok((done, header(REVISION).unwrap_or_default()))
}
