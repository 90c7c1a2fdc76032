//! The control endpoints below `/_sim`: everything a [`Sim`] can do, as JSON over HTTP.

use std::time::Duration;

use axum::extract::{FromRequest, Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::faults::Fault;
use crate::model::{Id, Location, Retailer, Role, Setting, User};
use crate::sim::Sim;
use crate::world::World;

/// The longest a request may wait.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// From where on, and how long to wait for something to be there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Since {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    wait_ms: u64,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Value>),
    One(Value),
}

/// A JSON body under any content type, with a JSON error.
struct Body<T>(T);

/// Why a control request was refused.
#[derive(Debug)]
struct Problem(StatusCode, String);

pub(crate) fn router() -> Router<Sim> {
    Router::new()
        .route("/log", get(read_log).delete(clear_log))
        .route("/changes", get(read_changes))
        .route("/state", get(read_state))
        .route("/behaviour", get(read_behaviour).put(put_behaviour))
        .route("/faults", get(read_faults).post(post_faults).delete(clear_faults))
        .route("/tokens", delete(expire_tokens))
        .route("/users", post(post_user))
        .route("/users/{username}", get(read_user).put(put_user).delete(delete_user))
        .route("/roles/{name}", put(put_role).delete(delete_role))
        .route("/retailers/{id}", put(put_retailer).delete(delete_retailer))
        .route("/locations/{id}", put(put_location).delete(delete_location))
        .route("/settings/{id}", put(put_setting).delete(delete_setting))
}

// === log and changes ===

async fn read_log(State(sim): State<Sim>, Query(since): Query<Since>) -> Json<Value> {
    let waited = tokio::time::timeout(since.wait(), sim.wait_log(since.after)).await;
    let entries = waited.unwrap_or_else(|_| sim.log_since(since.after));
    Json(json!(entries))
}

async fn clear_log(State(sim): State<Sim>) -> StatusCode {
    sim.clear_log();
    StatusCode::NO_CONTENT
}

async fn read_changes(State(sim): State<Sim>, Query(since): Query<Since>) -> Json<Value> {
    let waited = tokio::time::timeout(since.wait(), sim.wait_past(since.after)).await;
    Json(json!({"changes": waited.unwrap_or_else(|_| sim.changes())}))
}

// === state ===

async fn read_state(State(sim): State<Sim>) -> Json<Value> {
    let mut state = sim.read(|world| {
        json!({
            "changes": world.changes(),
            "users": values(world.users()),
            "roles": values(world.roles()),
            "retailers": values(world.retailers()),
            "locations": values(world.locations()),
            "settings": values(world.settings()),
        })
    });
    state["behaviour"] = json!(sim.behaviour());
    Json(state)
}

fn values<K, V: serde::Serialize>(map: &std::collections::BTreeMap<K, std::sync::Arc<V>>) -> Vec<Value> {
    map.values().map(|value| json!(**value)).collect()
}

// === switches, faults, tokens ===

async fn read_behaviour(State(sim): State<Sim>) -> Json<Value> {
    Json(json!(sim.behaviour()))
}

async fn put_behaviour(State(sim): State<Sim>, Body(changes): Body<Value>) -> Result<Json<Value>, Problem> {
    let behaviour = sim.with(|state| {
        state.behaviour = state.behaviour.with(changes).map_err(|error| Problem::invalid(&error))?;
        Ok(state.behaviour.clone())
    })?;
    Ok(Json(json!(behaviour)))
}

async fn read_faults(State(sim): State<Sim>) -> Json<Value> {
    Json(json!(sim.faults()))
}

async fn post_faults(State(sim): State<Sim>, Body(faults): Body<OneOrMany>) -> Result<StatusCode, Problem> {
    let faults = match faults {
        OneOrMany::Many(faults) => faults,
        OneOrMany::One(fault) => vec![fault],
    };
    let faults: Result<Vec<Fault>, _> = faults.into_iter().map(serde_json::from_value).collect();
    for fault in faults.map_err(|error| Problem::invalid(&error))? {
        sim.fault(fault);
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn clear_faults(State(sim): State<Sim>) -> StatusCode {
    sim.clear_faults();
    StatusCode::NO_CONTENT
}

async fn expire_tokens(State(sim): State<Sim>) -> StatusCode {
    sim.expire_tokens();
    StatusCode::NO_CONTENT
}

// === users ===

async fn read_user(State(sim): State<Sim>, Path(username): Path<String>) -> Result<Json<Value>, Problem> {
    sim.user(&username).map(|user| Json(json!(user))).ok_or_else(Problem::not_found)
}

async fn post_user(State(sim): State<Sim>, Body(user): Body<User>) -> Result<(StatusCode, Json<Value>), Problem> {
    if user.username.is_empty() {
        return Err(Problem::invalid(&"`username` is required"));
    }
    let user = sim.change(|world| world.put_user(user));
    Ok((StatusCode::CREATED, Json(json!(*user))))
}

async fn put_user(
    State(sim): State<Sim>,
    Path(username): Path<String>,
    Body(changes): Body<serde_json::Map<String, Value>>,
) -> Result<Json<Value>, Problem> {
    let user = sim.change(|world| {
        let known = world.user(&username).ok_or_else(Problem::not_found)?;
        let password = known.password.clone();
        let mut fields = json!(**known);
        for (name, value) in changes {
            fields[name.as_str()] = value;
        }
        if fields.get("password").is_none() {
            fields["password"] = Value::from(password);
        }
        let user = serde_json::from_value(fields).map_err(|error| Problem::invalid(&error))?;
        Ok(world.put_user(user))
    })?;
    Ok(Json(json!(*user)))
}

async fn delete_user(State(sim): State<Sim>, Path(username): Path<String>) -> Result<StatusCode, Problem> {
    gone(&sim, |world| world.remove_user(&username).is_some())
}

// === catalogue ===

async fn put_role(State(sim): State<Sim>, Path(name): Path<String>, Body(role): Body<Role>) -> StatusCode {
    sim.change(|world| world.put_role(Role { name, ..role }));
    StatusCode::NO_CONTENT
}

async fn delete_role(State(sim): State<Sim>, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    gone(&sim, |world| world.remove_role(&name))
}

async fn put_retailer(State(sim): State<Sim>, Path(id): Path<u64>, Body(entity): Body<Retailer>) -> StatusCode {
    sim.change(|world| world.put_retailer(Retailer { id: Id(id), ..entity }));
    StatusCode::NO_CONTENT
}

async fn delete_retailer(State(sim): State<Sim>, Path(id): Path<u64>) -> Result<StatusCode, Problem> {
    gone(&sim, |world| world.remove_retailer(Id(id)))
}

async fn put_location(State(sim): State<Sim>, Path(id): Path<u64>, Body(entity): Body<Location>) -> StatusCode {
    sim.change(|world| world.put_location(Location { id: Id(id), ..entity }));
    StatusCode::NO_CONTENT
}

async fn delete_location(State(sim): State<Sim>, Path(id): Path<u64>) -> Result<StatusCode, Problem> {
    gone(&sim, |world| world.remove_location(Id(id)))
}

async fn put_setting(State(sim): State<Sim>, Path(id): Path<u64>, Body(entity): Body<Setting>) -> StatusCode {
    sim.change(|world| world.put_setting(Setting { id: Id(id), ..entity }));
    StatusCode::NO_CONTENT
}

async fn delete_setting(State(sim): State<Sim>, Path(id): Path<u64>) -> Result<StatusCode, Problem> {
    gone(&sim, |world| world.remove_setting(Id(id)))
}

fn gone(sim: &Sim, remove: impl FnOnce(&mut World) -> bool) -> Result<StatusCode, Problem> {
    if sim.change(remove) { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found()) }
}

// === impl Since ===

impl Since {
    fn wait(&self) -> Duration {
        Duration::from_millis(self.wait_ms).min(LONGEST_WAIT)
    }
}

// === impl Body ===

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|rejection| Problem(rejection.status(), rejection.body_text()))?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| Problem::invalid(&error))
    }
}

// === impl Problem ===

impl Problem {
    fn invalid(error: &impl ToString) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
    }

    fn not_found() -> Self {
        Self(StatusCode::NOT_FOUND, "there is no such thing".to_owned())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(status, message) = self;
        (status, Json(json!({"error": message}))).into_response()
    }
}
