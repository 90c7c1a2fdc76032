//! The targets. Each reads bytes as the gateway would, and checks what must hold of whatever was accepted.

use std::sync::{Arc, LazyLock};

use domain::catalogue::{self, Catalogue};
use domain::clock::Timestamp;
use domain::cursor::{CursorKey, LIFETIME};
use domain::id::TenantId;
use domain::label::Label;
use domain::offer::{Listing, Offer, Place, Wanted};
use domain::revision::RevisionKey;
use domain::rules::Rules;
use domain::token::BearerToken;
use identity_store::model::Spot;
use scim::bulk::{Done, Job, Verb};
use scim::filter::{Filter, MAX_LENGTH};
use scim::json::{Limits, read_object};
use scim::list::{SearchRequest, Start};
use scim::patch::{PatchRequest, RolesPatch};
use scim::path::{MAX_PATH, Path};
use scim::project::Projection;
use scim::put::{Unmentioned, put};
use scim::resource::{Meta, normalise};
use scim::schema::{GROUPS, ResourceType, Schemas, USERS};
use scim::{Error, Mode, Resource};
use serde_json::{Map, Value, json};

const MODES: [Mode; 2] = [Mode::Lenient, Mode::Strict];
const KINDS: [&ResourceType; 2] = [&USERS, &GROUPS];

/// A refusal is the client's doing and says what is wrong.
fn fair<T>(read: Result<T, Error>) -> Option<T> {
    read.inspect_err(|error| assert!((400..500).contains(&error.status) && !error.detail.is_empty(), "{error}")).ok()
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(map) = value { map } else { Map::new() }
}

fn sample(kind: &'static ResourceType) -> Resource {
    let body = json!({"userName": "a", "displayName": "A", "roles": [{"value": "AGENT_1_R"}], "emails": [
        {"value": "a@x", "type": "work", "primary": true}], "name": {"givenName": "G"}, "manager": "m"});
    let read = normalise(kind, object(body), Mode::Lenient).and_then(|incoming| incoming.created(kind));
    fair(read).map(|(resource, _)| resource).unwrap_or_default()
}

fn whole(kind: &'static ResourceType, resource: &Resource) -> Map<String, Value> {
    let meta = Meta { id: "1", created: "2026-01-01T00:00:00Z", last_modified: "", location: "", version: "W/\"1\"" };
    resource.complete(kind, &meta, Map::new())
}

/// A filter that is accepted prints as one that means the same, and can be matched.
pub(crate) fn filter(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for mode in MODES {
        let Ok(filter) = Filter::parse(text, mode) else { continue };
        let printed = filter.to_string();
        if printed.len() <= MAX_LENGTH {
            assert_eq!(Filter::parse(&printed, Mode::Lenient).as_ref(), Ok(&filter), "{printed}");
        }
        for kind in KINDS {
            let _scope = filter.scope(kind, mode);
            if let Some(query) = fair(filter.resolve(kind, mode)) {
                let _met = query.matches(&whole(kind, &sample(kind)));
            }
        }
    }
}

/// A path that is accepted prints as the same path.
pub(crate) fn path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for mode in MODES {
        let Some(path) = fair(Path::parse(text, mode)) else { continue };
        let printed = path.to_string();
        if printed.len() <= MAX_PATH {
            assert_eq!(Path::parse(&printed, Mode::Lenient).as_ref(), Ok(&path), "{printed}");
        }
    }
}

/// What a PATCH leaves is as sound as what a POST makes.
pub(crate) fn patch(bytes: &[u8]) {
    let Some(body) = fair(read_object(bytes, &Limits::default())) else { return };
    for (kind, mode) in KINDS.into_iter().flat_map(|kind| MODES.map(|mode| (kind, mode))) {
        let Some(patch) = fair(PatchRequest::parse(kind, body.clone(), mode)) else { continue };
        for roles in [RolesPatch::AsSent, RolesPatch::Overwrite] {
            if let Some(outcome) = fair(patch.apply(&sample(kind), roles)) {
                sound(kind, &outcome.resource);
            }
        }
    }
}

/// What a body makes is sound, and can be put over what is there.
pub(crate) fn resource(bytes: &[u8]) {
    let Some(body) = fair(read_object(bytes, &Limits::default())) else { return };
    for (kind, mode) in KINDS.into_iter().flat_map(|kind| MODES.map(|mode| (kind, mode))) {
        let Some(incoming) = fair(normalise(kind, body.clone(), mode)) else { continue };
        for unmentioned in [Unmentioned::Clear, Unmentioned::Keep] {
            if let Some(outcome) = fair(put(kind, &sample(kind), incoming.clone(), unmentioned)) {
                sound(kind, &outcome.resource);
            }
        }
        if let Some((resource, _)) = fair(incoming.created(kind)) {
            sound(kind, &resource);
        }
    }
}

/// It has what is required, and nothing that the server owns; what is cut out of it keeps its id.
fn sound(kind: &'static ResourceType, resource: &Resource) {
    let required = if kind.name == USERS.name { "userName" } else { "displayName" };
    assert!(resource.text(required).is_some_and(|text| !text.is_empty()));
    for never in ["id", "meta", "schemas", "groups", "members", "password"] {
        assert!(!resource.as_map().contains_key(never), "{never}");
    }
    let mut answer = whole(kind, resource);
    Projection::parse(kind, Some("emails.value,roles"), Some("roles.type")).apply(&mut answer);
    assert!(answer.contains_key("id"));
}

/// A bulk request comes to an end, each of its operations with at most one result.
pub(crate) fn bulk(bytes: &[u8]) {
    let Some(body) = fair(read_object(bytes, &scim::bulk::limits())) else { return };
    for mode in MODES {
        let Some(mut job) = fair(Job::plan(body.clone(), Schemas::BUILT_IN, mode)) else { continue };
        let operations = body.values().filter_map(Value::as_array).map(Vec::len).sum::<usize>();
        let mut tasks = 0;
        while let Some(task) = job.next_task() {
            tasks += 1;
            assert!(tasks <= 3 * operations, "it does not end");
            let text = json!(task.data).to_string();
            job.finish(if text.len() % 5 == 0 {
                Err(Error::invalid_value("no"))
            } else {
                let id = if task.verb == Verb::Create { format!("id{tasks}") } else { task.id };
                Ok(Done { status: 200, id, version: None })
            });
        }
        let results = job.response("http://h")["Operations"].as_array().map_or(0, Vec::len);
        assert!(results <= operations);
    }
}

/// A search asks for a page within bounds.
pub(crate) fn search(bytes: &[u8]) {
    let Some(body) = fair(read_object(bytes, &Limits::default())) else { return };
    if let Some(search) = fair(SearchRequest::parse(body)) {
        assert!(!matches!(search.page.start, Start::Index(0)) && search.page.count <= scim::list::MAX_COUNT);
    }
}

/// A token that is accepted has one spelling.
pub(crate) fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(token) = text.parse::<BearerToken>() {
        assert_eq!(token.expose(), text);
    }
}

/// A label has at most as many readings as underscores.
pub(crate) fn label(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let label = Label::new(text);
    assert!(label.readings().len() <= text.matches('_').count());
}

/// Whose cursors the seeds are, when they were made, and of which list.
static CURSORS: LazyLock<(CursorKey, Option<TenantId>)> =
    LazyLock::new(|| (RevisionKey::derive(b"seeds").cursor_key(), "acme".parse().ok()));
const MADE: Timestamp = Timestamp(1_800_000_000_000_000);
const LIST: &[u8] = b"users";
/// The longest place of a cursor: what a name of two thousand bytes needs, and more.
const LONGEST_PLACE: usize = 2_500;

/// A place comes back as it was sealed; a text is a cursor only in the one spelling that was given out.
pub(crate) fn cursor(bytes: &[u8]) {
    let (key, Some(tenant)) = &*CURSORS else { return };
    let place = &bytes[..bytes.len().min(LONGEST_PLACE)];
    let sealed = key.seal(tenant, LIST, place, MADE);
    assert_eq!(key.open(tenant, LIST, &sealed, MADE.plus(LIFETIME)).as_deref(), Ok(place));
    assert!(key.open(tenant, b"groups", &sealed, MADE).is_err());
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(place) = key.open(tenant, LIST, text, MADE) {
        assert_eq!(key.seal(tenant, LIST, &place, MADE), text);
    }
}

static OFFER: LazyLock<Offer> = LazyLock::new(|| {
    let location = catalogue::Place { id: "7".into(), reference: Some("NYC-05".into()) };
    let roles = ["STORE", "BUYER", "Fulfillment_Associate"].map(Arc::from);
    Offer::new(&Catalogue::new("ACME", roles, [], [location]), &Rules::default())
});

/// What is read as a place in a list of resources, or of labels, is written as the same bytes; a list goes on behind it,
/// whatever it holds.
pub(crate) fn place(bytes: &[u8]) {
    if let Some(spot) = Spot::from_bytes(bytes) {
        assert_eq!(spot.to_bytes(), bytes);
    }
    // As they are, and with a length of the head that may be right.
    let short = bytes.split_first().map(|(first, rest)| [&[0, first % 64], rest].concat());
    for bytes in [Some(bytes), short.as_deref()].into_iter().flatten() {
        let Some(place) = Place::from_bytes(bytes) else { continue };
        assert_eq!(place.to_bytes(), bytes);
        let wanted = Wanted { prefixes: vec![String::new()], locations: true };
        let listing = Listing::new(&OFFER, &wanted, [Label::new("x")]);
        assert!(listing.behind(&place) <= listing.count());
    }
}
