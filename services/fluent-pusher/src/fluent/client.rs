//! The calls: what the pusher asks of one tenant's Fluent.

use std::sync::Arc;

use bytes::Bytes;
use domain::catalogue::Place;
use domain::clock::Clock;
use domain::fold::fold;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::access::Access;
use super::documents::{self, Document};
use super::error::{Cause, Code, Error, Refusal};
use super::http::{Answer, Http};
use super::retry_after::retry_after;
use super::token::{Token, Tokens};
use super::wire::{Done, Edge, Page, PlaceNode, RoleName, SettingNode, read, refusal_in};
use crate::account::{Account, Profile, Roles};
use crate::plan::Update;

const MAX_ANSWER: usize = 1 << 20;
const MAX_PAGE: usize = 16 << 20;
/// Roles and places a page: shallow selections, far below Fluent's bound on complexity (11,111).
const ROLES_PAGE: u32 = 1000;
const PLACES_PAGE: u32 = 500;
/// More pages than any account has. A list that goes on beyond it is not a list.
const MAX_PAGES: usize = 10_000;

/// A new account.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The name it is looked up by. It can't be changed afterwards.
    pub username: String,
    /// Fluent recommends that it be unique.
    pub reference: String,
    /// Nobody is told it: people sign in through their own identity provider.
    pub password: SecretString,
    /// The type.
    pub kind: String,
    /// Required by Fluent, so not left to the profile.
    pub primary_email: String,
    /// Required by Fluent.
    pub timezone: String,
    /// Required by older versions of Fluent.
    pub first_name: String,
    /// The rest.
    pub profile: Profile,
    /// Its first roles.
    pub roles: Roles,
}

impl NewAccount {
    /// All that it says of its user.
    #[must_use]
    pub fn whole_profile(&self) -> Profile {
        Profile {
            primary_email: Some(self.primary_email.clone()),
            timezone: Some(self.timezone.clone()),
            first_name: Some(self.first_name.clone()),
            ..self.profile.clone()
        }
    }
}

/// Where a setting is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SettingAt {
    /// Its name.
    pub name: String,
    /// The type of its context.
    pub context: String,
    /// The id of its context; 0 for the account's.
    pub context_id: i32,
}

/// A setting's value, in each of the places where it may be.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Fluent's id.
    pub id: String,
    /// `value`, where it holds anything.
    pub text: Option<String>,
    /// `lobValue`, where it holds anything.
    pub json: Option<serde_json::Value>,
}

/// One tenant's Fluent.
#[derive(Debug)]
pub struct Client {
    access: Arc<Access>,
    http: Http,
    tokens: Tokens,
    clock: Clock,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a, V> {
    operation_name: &'a str,
    query: &'a str,
    variables: V,
}

impl Client {
    /// A client that signs in at its first call.
    #[must_use]
    pub fn new(access: Access, http: Http, clock: Clock) -> Self {
        let access = Arc::new(access);
        let tokens = Tokens::new(Arc::clone(&access), http.clone(), clock.clone());
        Self { access, http, tokens, clock }
    }

    /// The account of exactly this name, or one whose name differs only in case where Fluent does not tell them apart:
    /// compare before adopting.
    pub async fn account(&self, username: &str) -> Result<Option<Account>, Error> {
        let variables = json!({ "username": username });
        let account: Option<Account> = absent(self.call(documents::USER, "user", variables, MAX_ANSWER).await)?;
        check(account, documents::USER, |account| fold(&account.username) == fold(username))
    }

    /// The account of this id.
    pub async fn account_by_id(&self, id: &str) -> Result<Option<Account>, Error> {
        let variables = json!({ "id": id });
        let account: Option<Account> =
            absent(self.call(documents::USER_BY_ID, "userById", variables, MAX_ANSWER).await)?;
        check(account, documents::USER_BY_ID, |account| account.id == id)
    }

    /// Makes an account. After any error, look whether it is there: the answer may have been lost.
    pub async fn create(&self, new: &NewAccount) -> Result<Account, Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Input<'a> {
            r#ref: &'a str,
            username: &'a str,
            password: &'a str,
            r#type: &'a str,
            #[serde(flatten)]
            profile: Profile,
            #[serde(skip_serializing_if = "Roles::is_empty")]
            roles: &'a Roles,
        }
        let NewAccount { username, reference, password, kind, roles, .. } = new;
        let profile = new.whole_profile();
        let password = password.expose_secret();
        let input = Input { r#ref: reference, username, password, r#type: kind, profile, roles };
        let document = documents::CREATE_USER;
        let created = self.call(document, "createUser", WithInput { input }, MAX_ANSWER).await?;
        check(created, document, |account: &Account| account.username == *username)?.ok_or_else(|| malformed(document))
    }

    /// Changes an account; answers it as it then stands. Roles are added, never taken off.
    pub async fn update(&self, id: &str, update: &Update) -> Result<Account, Error> {
        #[derive(Serialize)]
        struct Input<'a> {
            id: &'a str,
            #[serde(flatten)]
            update: &'a Update,
        }
        let document = documents::UPDATE_USER;
        let input = Input { id, update };
        let updated = self.call(document, "updateUser", WithInput { input }, MAX_ANSWER).await?;
        check(updated, document, |account: &Account| account.id == id)?.ok_or_else(|| malformed(document))
    }

    /// Takes off every (role, context) pair named. What it answers is not documented, so read back.
    pub async fn remove(&self, id: &str, roles: &Roles) -> Result<(), Error> {
        let variables = json!({ "input": { "user": { "id": id }, "roles": roles } });
        let document = documents::REMOVE_ROLES;
        let _: Option<Done> = self.call(document, "removeUserRolesFromUser", variables, MAX_ANSWER).await?;
        Ok(())
    }

    /// All role names.
    pub async fn roles(&self) -> Result<Vec<String>, Error> {
        let roles: Vec<RoleName> = self.list(documents::ROLES, ROLES_PAGE).await?;
        Ok(roles.into_iter().map(|role| role.name).collect())
    }

    /// All retailers.
    pub async fn retailers(&self) -> Result<Vec<Place>, Error> {
        let nodes: Vec<PlaceNode> = self.list(documents::RETAILERS, PLACES_PAGE).await?;
        Ok(nodes.into_iter().map(place).collect())
    }

    /// All locations.
    pub async fn locations(&self) -> Result<Vec<Place>, Error> {
        let nodes: Vec<PlaceNode> = self.list(documents::LOCATIONS, PLACES_PAGE).await?;
        Ok(nodes.into_iter().map(place).collect())
    }

    /// Whether there is a role of exactly this name.
    pub async fn role_exists(&self, name: &str) -> Result<bool, Error> {
        let document = documents::ROLE;
        let role: Option<RoleName> = absent(self.call(document, "item", json!({ "name": name }), MAX_ANSWER).await)?;
        Ok(check(role, document, |role| role.name == name)?.is_some())
    }

    /// The retailer of this id.
    pub async fn retailer(&self, id: &str) -> Result<Option<Place>, Error> {
        self.place(documents::RETAILER_BY_ID, id).await
    }

    /// The location of this id.
    pub async fn location(&self, id: &str) -> Result<Option<Place>, Error> {
        self.place(documents::LOCATION_BY_ID, id).await
    }

    /// The setting of this name in this context. `known` is the id of the one that was there before: that it is gone, its
    /// own query must say too.
    pub async fn setting(&self, at: &SettingAt, known: Option<&str>) -> Result<Option<Setting>, Error> {
        /// A name in a context is given once; others may be found with it where Fluent takes the name for a pattern.
        const FIRST: u32 = 100;
        let SettingAt { name, context, context_id } = at;
        let is_it = |node: &SettingNode| {
            node.name.as_ref() == Some(name) && node.context == *context && node.context_id == i64::from(*context_id)
        };
        let variables = json!({ "name": name, "context": context, "contextId": context_id, "first": FIRST });
        let document = documents::SETTINGS;
        let page: Option<Page<SettingNode>> = self.call(document, "page", variables, MAX_PAGE).await?;
        let Page { edges, page_info: _ } = page.ok_or_else(|| malformed(document))?;
        let mut found = edges.into_iter().map(|Edge { node, cursor: _ }| node).filter(is_it);
        if let Some(node) = found.next() {
            return if found.next().is_some() { Err(malformed(document)) } else { Ok(Some(setting(node))) };
        }
        let Some(id) = known else { return Ok(None) };
        let document = documents::SETTING_BY_ID;
        let node: Option<SettingNode> = absent(self.call(document, "item", json!({ "id": id }), MAX_PAGE).await)?;
        Ok(check(node, document, |node| node.id == id)?.filter(is_it).map(setting))
    }

    async fn place(&self, document: Document, id: &str) -> Result<Option<Place>, Error> {
        let node: Option<PlaceNode> = absent(self.call(document, "item", json!({ "id": id }), MAX_ANSWER).await)?;
        Ok(check(node, document, |node| node.id == id)?.map(place))
    }

    /// Walks a connection to its end. A cursor that does not move would be an endless list.
    async fn list<T: DeserializeOwned>(&self, document: Document, first: u32) -> Result<Vec<T>, Error> {
        let mut items = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let variables = json!({ "first": first, "after": after });
            let page: Option<Page<T>> = self.call(document, "page", variables, MAX_PAGE).await?;
            let Page { edges, page_info } = page.ok_or_else(|| malformed(document))?;
            let last = edges.last().map(|edge| edge.cursor.clone());
            items.extend(edges.into_iter().map(|Edge { node, cursor: _ }| node));
            if !page_info.has_next_page {
                return Ok(items);
            }
            if last.is_none() || last == after {
                break;
            }
            after = last;
        }
        Err(malformed(document))
    }

    /// Sends a document. A token that Fluent no longer accepts is replaced once.
    async fn call<T: DeserializeOwned>(
        &self,
        document: Document,
        field: &str,
        variables: impl Serialize,
        limit: usize,
    ) -> Result<Option<T>, Error> {
        let body = Body { operation_name: document.name, query: document.text, variables };
        let body = Bytes::from(serde_json::to_vec(&body).map_err(|_| malformed(document))?);
        for _ in 0..2 {
            let token = self.tokens.get().await?;
            let request = self.request(&token, body.clone())?;
            let answer = self.http.send(request, limit).await.map_err(|cause| lost(document, cause))?;
            if answer.status == StatusCode::UNAUTHORIZED {
                self.tokens.refused(&token).await;
                continue;
            }
            return self.answer(document, field, &answer);
        }
        Err(Error::Retry { after: None, cause: Cause::Token })
    }

    fn request(&self, token: &Token, body: Bytes) -> Result<Request<Full<Bytes>>, Error> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose()))
            .map_err(|_| Error::Retry { after: None, cause: Cause::SignIn })?;
        bearer.set_sensitive(true);
        Request::builder()
            .method(Method::POST)
            .uri(self.access.url.join("/graphql"))
            .header("fluent.account", &self.access.account)
            .header(AUTHORIZATION, bearer)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|_| Error::Retry { after: None, cause: Cause::Malformed })
    }

    fn answer<T: DeserializeOwned>(
        &self,
        document: Document,
        field: &str,
        answer: &Answer,
    ) -> Result<Option<T>, Error> {
        let Answer { status, headers, body } = answer;
        let after = retry_after(headers, self.clock.now());
        match *status {
            StatusCode::OK => read(body, field, document.writes),
            StatusCode::TOO_MANY_REQUESTS => Err(Error::Retry { after, cause: Cause::Throttled }),
            StatusCode::SERVICE_UNAVAILABLE if after.is_some() => Err(Error::Retry { after, cause: Cause::Throttled }),
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                let plain = || Refusal { code: None, message: format!("HTTP {}", status.as_u16()) };
                Err(Error::Permanent(refusal_in(body).unwrap_or_else(plain)))
            }
            // Before anything is carried out: wrong address, a proxy in the way, no permission for the endpoint at all.
            status
                if status.is_redirection() || (status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT) =>
            {
                Err(Error::Retry { after, cause: Cause::Status(status.as_u16()) })
            }
            status => Err(lost(document, Cause::Status(status.as_u16()))),
        }
    }
}

#[derive(Serialize)]
struct WithInput<I> {
    input: I,
}

fn place(node: PlaceNode) -> Place {
    let PlaceNode { id, reference } = node;
    Place { id: id.into(), reference: reference.filter(|text| !text.is_empty()).map(Into::into) }
}

fn setting(node: SettingNode) -> Setting {
    let SettingNode { id, name: _, value, lob_value, context: _, context_id: _ } = node;
    let text = value.filter(|text| !text.trim().is_empty());
    let json = lob_value.filter(|json| !json.is_null() && json.as_str().is_none_or(|text| !text.trim().is_empty()));
    Setting { id, text, json }
}

/// A call of which no answer came: after a write that leaves a doubt, unless it never left.
fn lost(document: Document, cause: Cause) -> Error {
    if document.writes && cause != Cause::Connect {
        Error::Unknown { cause }
    } else {
        Error::Retry { after: None, cause }
    }
}

fn malformed(document: Document) -> Error {
    lost(document, Cause::Malformed)
}

/// Fluent may say that there is none with a null or with an error.
fn absent<T>(result: Result<Option<T>, Error>) -> Result<Option<T>, Error> {
    match result {
        Err(Error::Permanent(Refusal { code: Some(Code::NOT_FOUND), .. })) => Ok(None),
        other => other,
    }
}

/// An answer about something else than was asked is no answer.
fn check<T>(item: Option<T>, document: Document, is_right: impl Fn(&T) -> bool) -> Result<Option<T>, Error> {
    if item.as_ref().is_none_or(is_right) { Ok(item) } else { Err(malformed(document)) }
}
