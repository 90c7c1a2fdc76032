//! The two endpoints of Fluent as HTTP: authentication, limits, and the faults that change an answer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request as HttpRequest, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::faults::Effect;
use crate::graphql::{Answer, Misunderstood};
use crate::log::{Kind, Request};
use crate::model::User;
use crate::oauth::Parameters;
use crate::server::NoAnswer;
use crate::sim::{Sim, State as SimState};
use crate::world::Refusal;

/// What to do with a request, decided in one critical section.
enum Step {
    Answer(Response),
    /// Wait, then decide again without faults.
    Delay(Duration),
    /// Hold the connection.
    Hold,
}

/// `POST /oauth/token`
pub(crate) async fn token(State(sim): State<Sim>, request: HttpRequest) -> Response {
    let (parts, body) = request.into_parts();
    let Some(body) = read(&sim, &parts.headers, body).await else { return too_large(&sim, Kind::Token) };
    let parameters = Parameters::new(&parts.uri, &body);
    run(&sim, |state, play| {
        let mut request = parameters.describe(&state.world);
        if let Err(refused) = check_account(&sim, &parts.headers) {
            return finish(state, request, Step::Answer(*refused));
        }
        request.fault = delayed(play);
        let fault = play.then(|| state.faults.take(&request)).flatten();
        let answer = |state: &mut SimState| {
            let SimState { world, behaviour, tokens, .. } = state;
            match tokens.grant(&parameters, &sim.shared.client, world, behaviour) {
                Ok(token) => (StatusCode::OK, token),
                Err(denied) => (denied.status, denied.body()),
            }
        };
        let Some(effect) = fault else {
            let (status, body) = answer(state);
            return finish(state, request, Step::Answer(json_response(status, &body)));
        };
        request.fault = Some(effect.name().to_owned());
        let body = if effect.carries_out() { answer(state).1.to_string() } else { String::new() };
        let step = spoilt(effect, body.into_bytes());
        finish(state, request, step)
    })
    .await
}

/// `POST /graphql`
pub(crate) async fn graphql(State(sim): State<Sim>, request: HttpRequest) -> Response {
    let (parts, body) = request.into_parts();
    let Some(body) = read(&sim, &parts.headers, body).await else { return too_large(&sim, Kind::Graphql) };
    let prepared = sim.shared.graphql.prepare(&body);
    run(&sim, |state, play| {
        let mut request = match &prepared {
            Ok(prepared) => prepared.describe(&state.world),
            Err(_) => Request::new(Kind::Graphql, None),
        };
        let caller = match authenticate(&sim, state, &parts.headers) {
            Ok(caller) => caller,
            Err(refused) => return finish(state, request, Step::Answer(*refused)),
        };
        request.fault = delayed(play);
        let fault = play.then(|| state.faults.take(&request)).flatten();
        if let Some(effect) = &fault {
            request.fault = Some(effect.name().to_owned());
            if !effect.carries_out() {
                let body = match effect {
                    Effect::Errors { code, message } => {
                        request.errors.push(code.clone());
                        Answer::refused(&Refusal::new(code, message), &state.behaviour).body()
                    }
                    _ => Vec::new(),
                };
                let step = spoilt(effect.clone(), body);
                return finish(state, request, step);
            }
        }
        let mut answer = match &prepared {
            Ok(prepared) => {
                let wrong_user = fault == Some(Effect::WrongUser);
                let SimState { world, behaviour, .. } = state;
                let answer = sim.shared.graphql.execute(prepared, world, behaviour, caller, wrong_user);
                if answer.applied {
                    // An account that was just made has an id only now.
                    let fault = request.fault.take();
                    request = Request { fault, ..prepared.describe(world) };
                }
                answer
            }
            Err(Misunderstood::Document(errors)) => Answer { data: None, errors: errors.clone(), applied: false },
            Err(Misunderstood::Body(message)) => {
                let body = json!({"error": "bad_request", "error_description": message});
                return finish(state, request, Step::Answer(json_response(StatusCode::BAD_REQUEST, &body)));
            }
        };
        if let Some(Effect::PartialErrors { code, message, path }) = &fault {
            answer.spoil(path, &Refusal::new(code, message), &state.behaviour);
        }
        request.applied = answer.applied;
        request.errors = answer.codes();
        let body = answer.body();
        let step = match fault {
            None => Step::Answer(bytes_response(StatusCode::OK, body)),
            Some(effect) => spoilt(effect, body),
        };
        finish(state, request, step)
    })
    .await
}

/// Runs `decide` in a critical section, with faults at first, and does what it says.
async fn run(sim: &Sim, mut decide: impl FnMut(&mut SimState, bool) -> Step) -> Response {
    let mut step = sim.with(|state| decide(state, true));
    if let Step::Delay(delay) = step {
        tokio::time::sleep(delay).await;
        step = sim.with(|state| decide(state, false));
    }
    match step {
        Step::Answer(response) => response,
        // The server drops this connection when it stops; hyper does so when the client leaves.
        Step::Delay(_) | Step::Hold => std::future::pending().await,
    }
}

/// The fault of a request that no longer takes any: it was delayed.
fn delayed(play: bool) -> Option<String> {
    (!play).then(|| Effect::Delay { ms: 0 }.name().to_owned())
}

/// Logs the request with what becomes of it. A delayed one is logged when it goes on.
fn finish(state: &mut SimState, mut request: Request, step: Step) -> Step {
    match &step {
        Step::Delay(_) => return step,
        Step::Hold => {}
        Step::Answer(response) if response.extensions().get::<NoAnswer>().is_some() => {}
        Step::Answer(response) => request.status = Some(response.status().as_u16()),
    }
    state.log.append(request);
    step
}

/// What a fault makes of an answer whose honest body would be `body`.
fn spoilt(effect: Effect, body: Vec<u8>) -> Step {
    let status = |status| StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let response = match effect {
        Effect::Timeout => return Step::Hold,
        Effect::Delay { ms } => return Step::Delay(Duration::from_millis(ms)),
        Effect::Status { status: code, retry_after, after_write: _ } => {
            let body = json!({"error": "simulated", "error_description": "This answer is a simulated fault"});
            let mut response = json_response(status(code), &body);
            if let Some(value) = retry_after.and_then(|value| HeaderValue::from_str(&value).ok()) {
                response.headers_mut().insert(RETRY_AFTER, value);
            }
            response
        }
        Effect::LoseAnswerAfterWrite => {
            let mut response = StatusCode::OK.into_response();
            response.extensions_mut().insert(NoAnswer);
            response
        }
        Effect::Truncated => truncated(body),
        Effect::Html { status: code } => {
            let page = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in.</body></html>";
            (status(code), [(CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
        }
        Effect::Huge { bytes } => huge(bytes),
        Effect::Redirect { status: code, location } => {
            let mut response = status(code).into_response();
            if let Ok(location) = HeaderValue::from_str(&location) {
                response.headers_mut().insert(LOCATION, location);
            }
            response
        }
        Effect::Errors { .. } | Effect::PartialErrors { .. } | Effect::WrongUser => {
            bytes_response(StatusCode::OK, body)
        }
    };
    Step::Answer(response)
}

/// Half of the body under the length of the whole; then the connection ends.
fn truncated(mut body: Vec<u8>) -> Response {
    let length = body.len();
    body.truncate(length / 2);
    let start = stream::once(async { Ok(Bytes::from(body)) });
    let end = stream::once(async {
        // What is ready by now is sent before the connection ends.
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    let mut response = Response::new(Body::from_stream(start.chain(end)));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A JSON answer of `bytes` bytes (no fewer than it takes to be JSON), made while it is sent.
fn huge(bytes: u64) -> Response {
    const START: &[u8] = br#"{"data":null,"padding":""#;
    const END: &[u8] = br#""}"#;
    static FILL: [u8; 65_536] = [b'x'; 65_536];
    let mut left = bytes.saturating_sub((START.len() + END.len()) as u64);
    let middle = std::iter::from_fn(move || {
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(FILL.len());
        left -= part as u64;
        (part > 0).then(|| Bytes::from_static(&FILL[..part]))
    });
    let parts = [Bytes::from_static(START)].into_iter().chain(middle).chain([Bytes::from_static(END)]);
    let body = Body::from_stream(stream::iter(parts.map(Ok::<_, io::Error>)));
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

// === authentication ===

/// Refuses a request that names another account. It need not name any: the host names one.
fn check_account(sim: &Sim, headers: &HeaderMap) -> Result<(), Box<Response>> {
    match headers.get("fluent.account") {
        Some(account) if account.as_bytes() != sim.shared.account.as_bytes() => {
            let description = format!("The header fluent.account must be {}", sim.shared.account);
            let body = json!({"error": "access_denied", "error_description": description});
            Err(Box::new(json_response(StatusCode::FORBIDDEN, &body)))
        }
        _ => Ok(()),
    }
}

/// The user whose live token the request carries.
fn authenticate(sim: &Sim, state: &SimState, headers: &HeaderMap) -> Result<Arc<User>, Box<Response>> {
    check_account(sim, headers)?;
    let user = bearer(headers).and_then(|token| state.tokens.owner(token)).and_then(|id| state.world.user_by_id(id));
    user.cloned().ok_or_else(|| {
        let body = json!({"error": "invalid_token", "error_description": "Invalid Bearer Token"});
        let mut response = json_response(StatusCode::UNAUTHORIZED, &body);
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
        Box::new(response)
    })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

// === bodies ===

/// The whole body; none if it is larger than the limit or breaks off.
async fn read(sim: &Sim, headers: &HeaderMap, body: Body) -> Option<Bytes> {
    let limit = sim.shared.body_limit;
    let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limit) {
        return None;
    }
    to_bytes(body, limit).await.ok()
}

fn too_large(sim: &Sim, kind: Kind) -> Response {
    let body = json!({"error": "payload_too_large", "error_description": "The request is too large"});
    let response = json_response(StatusCode::PAYLOAD_TOO_LARGE, &body);
    let mut request = Request::new(kind, None);
    request.status = Some(StatusCode::PAYLOAD_TOO_LARGE.as_u16());
    sim.with(|state| state.log.append(request));
    response
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    bytes_response(status, body.to_string().into_bytes())
}

fn bytes_response(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}
