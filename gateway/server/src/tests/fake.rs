//! The other parts, in memory: what they store, what they recognise, and what ails them.

mod groups;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use domain::token::BearerToken;
use parking_lot::Mutex;
use proto::admin::v1 as admin;
use proto::admin::v1::admin_service_server::{AdminService, AdminServiceServer};
use proto::common::v1 as common;
use proto::identity::v1 as identity;
use proto::identity::v1::access_service_server::{AccessService, AccessServiceServer};
use proto::identity::v1::group_service_server::GroupServiceServer;
use proto::identity::v1::token_service_server::{TokenService, TokenServiceServer};
use proto::identity::v1::user_service_server::{UserService, UserServiceServer};
use proto::roles::v1 as roles;
use proto::roles::v1::label_service_server::{LabelService, LabelServiceServer};
use runtime::error::{Error, Reason};
use runtime::grpc::Transport;
use runtime::telemetry::Metrics;
use scim::schema::{ROLES, ResourceType, USERS};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use crate::Parts;

/// Everything, shared with the services.
#[derive(Clone, Default)]
pub(super) struct World(Arc<Mutex<State>>, Arc<Notify>);

#[derive(Default)]
pub(super) struct State {
    revision: u64,
    users: BTreeMap<(String, String), identity::User>,
    groups: BTreeMap<(String, String), (identity::Group, BTreeSet<String>)>,
    tokens: BTreeMap<String, (String, Vec<String>)>,
    pub(super) settings: common::Settings,
    /// The extensions of every tenant.
    pub(super) extensions: Vec<admin::Extension>,
    /// Labels that are recognised.
    pub(super) known: BTreeSet<String>,
    /// Labels that will be, once Fluent is read again.
    pub(super) news: BTreeSet<String>,
    /// How often Fluent was read again.
    pub(super) reads: usize,
    /// Whether reading Fluent again waits for [`World::read`].
    pub(super) slow: bool,
    /// Every call, by method.
    pub(super) calls: Vec<&'static str>,
    /// Methods that fail, and why.
    pub(super) ailing: BTreeMap<&'static str, Reason>,
    /// How many writes yet find that somebody else was first.
    pub(super) races: usize,
    /// How many replacements of users yet hold what no store could.
    pub(super) unholdable: usize,
    /// Every list of labels that was asked for.
    pub(super) labels_asked: Vec<roles::ListLabelsRequest>,
    /// The last actor.
    pub(super) actor: Option<common::Actor>,
}

impl World {
    pub(super) fn lock(&self) -> parking_lot::MutexGuard<'_, State> {
        self.0.lock()
    }

    pub(super) fn token(&self, tenant: &str, scopes: &[&str]) -> String {
        let token = BearerToken::generate().expose();
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self.lock().tokens.insert(token.clone(), (tenant.to_owned(), scopes));
        token
    }

    pub(super) fn knows(&self, labels: &[&str]) {
        self.lock().known.extend(labels.iter().map(|label| (*label).to_owned()));
    }

    /// Lets one slow read of Fluent end.
    pub(super) fn read(&self) {
        self.1.notify_one();
    }

    pub(super) fn count(&self, method: &str) -> usize {
        self.lock().calls.iter().filter(|call| **call == method).count()
    }

    pub(super) fn report(&self, id: &str, outcome: identity::Outcome) {
        self.lock().users.get_mut(&("acme".to_owned(), id.to_owned())).unwrap().outcome = Some(outcome);
    }

    pub(super) fn document(&self, id: &str) -> Value {
        serde_json::from_slice(&self.lock().users[&("acme".to_owned(), id.to_owned())].document).unwrap()
    }

    pub(super) fn users(&self) -> usize {
        self.lock().users.len()
    }

    pub(super) fn identity(&self) -> Transport {
        let routes = Routes::new(UserServiceServer::new(self.clone()))
            .add_service(GroupServiceServer::new(self.clone()))
            .add_service(AccessServiceServer::new(self.clone()))
            .add_service(TokenServiceServer::new(self.clone()))
            .add_service(AdminServiceServer::new(self.clone()));
        Transport::in_process(routes.prepare())
    }

    /// What a gateway over this world is put together from.
    pub(super) fn parts(&self, metrics: &Metrics) -> Parts {
        Parts {
            identity_store: self.identity(),
            role_resolver: self.roles(),
            metrics: metrics.clone(),
            fixed_token: None,
            clock: domain::clock::Clock::System,
        }
    }

    fn roles(&self) -> Transport {
        Transport::in_process(Routes::new(LabelServiceServer::new(self.clone())).prepare())
    }

    /// Notes a call, and fails or panics if that method ails.
    fn enter(&self, method: &'static str) -> Result<parking_lot::MutexGuard<'_, State>, Status> {
        let mut state = self.lock();
        state.calls.push(method);
        match state.ailing.get(method).copied() {
            Some(Reason::INTERNAL) => {
                drop(state);
                panic!("{method} panics")
            }
            Some(reason) => Err(Error::new(reason, "it ails").into()),
            None => Ok(state),
        }
    }
}

impl State {
    fn next(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }

    /// The groups a user is in directly.
    fn groups_of(&self, tenant: &str, id: &str) -> Vec<identity::UserGroup> {
        let has = |((t, _), (_, members)): &(&(String, String), &(identity::Group, BTreeSet<String>))| {
            t == tenant && members.contains(id)
        };
        let group = |(group, _): &(identity::Group, BTreeSet<String>)| identity::UserGroup {
            id: group.id.clone(),
            display_name: parse(&group.document)["displayName"].as_str().unwrap().to_owned(),
            direct: true,
        };
        self.groups.iter().filter(has).map(|(_, stored)| group(stored)).collect()
    }

    fn race(&mut self) -> Result<(), Status> {
        if self.races > 0 {
            self.races -= 1;
            return Err(Error::new(Reason::VERSION_MISMATCH, "somebody was first").into());
        }
        Ok(())
    }
}

fn token(revision: u64) -> String {
    format!("r{revision}")
}

fn parse(document: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(document).unwrap()
}

fn text(document: &[u8], name: &str) -> String {
    domain::fold::fold(parse(document)[name].as_str().unwrap())
}

fn matches(kind: &ResourceType, filter: &str, id: &str, document: &[u8]) -> bool {
    let mut whole = parse(document);
    whole.insert("id".into(), id.into());
    filter.is_empty() || scim::filter::Query::parse(filter, kind, scim::Mode::Lenient).unwrap().matches(&whole)
}

#[tonic::async_trait]
impl UserService for World {
    async fn create_user(
        &self,
        request: Request<identity::CreateUserRequest>,
    ) -> Result<Response<identity::CreateUserResponse>, Status> {
        let mut state = self.enter("CreateUser")?;
        let identity::CreateUserRequest { tenant, actor, document } = request.into_inner();
        state.actor = actor;
        let name = text(&document, "userName");
        if state.users.iter().any(|((t, _), user)| *t == tenant && text(&user.document, "userName") == name) {
            return Err(Error::new(Reason::UNIQUENESS, "another user has this userName").into());
        }
        let version = state.next();
        let id = uuid::Uuid::now_v7().to_string();
        let user = identity::User {
            id: id.clone(),
            document,
            created_at_us: 1_000_000,
            modified_at_us: 1_000_000,
            version,
            outcome: None,
            groups: Vec::new(),
        };
        state.users.insert((tenant, id), user.clone());
        Ok(Response::new(identity::CreateUserResponse { user: Some(user), revision_token: token(version) }))
    }

    async fn get_user(
        &self,
        request: Request<identity::GetUserRequest>,
    ) -> Result<Response<identity::GetUserResponse>, Status> {
        let state = self.enter("GetUser")?;
        let identity::GetUserRequest { tenant, id, with_groups } = request.into_inner();
        let user = state.users.get(&(tenant.clone(), id)).cloned();
        let mut user = user.ok_or_else(|| Error::new(Reason::USER_NOT_FOUND, "no"))?;
        if with_groups {
            user.groups = state.groups_of(&tenant, &user.id);
        }
        Ok(Response::new(identity::GetUserResponse { user: Some(user), revision_token: token(state.revision) }))
    }

    async fn list_users(
        &self,
        request: Request<identity::ListUsersRequest>,
    ) -> Result<Response<identity::ListUsersResponse>, Status> {
        let state = self.enter("ListUsers")?;
        let identity::ListUsersRequest { tenant, filter, start_index, count, with_groups, .. } = request.into_inner();
        let all: Vec<_> = state
            .users
            .iter()
            .filter(|((t, id), user)| *t == tenant && matches(&USERS, &filter, id, &user.document))
            .map(|(_, user)| user.clone())
            .collect();
        let total_results = all.len() as u64;
        let mut users: Vec<_> = all.into_iter().skip(start_index as usize - 1).take(count as usize).collect();
        for user in users.iter_mut().filter(|_| with_groups) {
            user.groups = state.groups_of(&tenant, &user.id);
        }
        let revision_token = token(state.revision);
        Ok(Response::new(identity::ListUsersResponse { users, total_results, revision_token, ..Default::default() }))
    }

    async fn replace_user(
        &self,
        request: Request<identity::ReplaceUserRequest>,
    ) -> Result<Response<identity::ReplaceUserResponse>, Status> {
        let mut state = self.enter("ReplaceUser")?;
        state.race()?;
        if state.unholdable > 0 {
            state.unholdable -= 1;
            return Err(Error::new(Reason::FIELD_INVALID, "it must be at most 500 characters").into());
        }
        let identity::ReplaceUserRequest { tenant, actor, id, expected_version, document } = request.into_inner();
        state.actor = actor;
        let name = text(&document, "userName");
        let taken = |((t, other), user): (&(String, String), &identity::User)| {
            *t == tenant && *other != id && text(&user.document, "userName") == name
        };
        if state.users.iter().any(taken) {
            return Err(Error::new(Reason::UNIQUENESS, "another user has this userName").into());
        }
        let version = state.next();
        let user = state.users.get_mut(&(tenant, id)).ok_or_else(|| Error::new(Reason::USER_NOT_FOUND, "no"))?;
        assert_eq!(user.version, expected_version, "races are announced");
        user.document = document;
        user.version = version;
        let user = Some(user.clone());
        Ok(Response::new(identity::ReplaceUserResponse { user, revision_token: token(version), changed: true }))
    }

    async fn delete_user(
        &self,
        request: Request<identity::DeleteUserRequest>,
    ) -> Result<Response<identity::DeleteUserResponse>, Status> {
        let mut state = self.enter("DeleteUser")?;
        state.race()?;
        let identity::DeleteUserRequest { tenant, id, .. } = request.into_inner();
        state.users.remove(&(tenant, id)).ok_or_else(|| Error::new(Reason::USER_NOT_FOUND, "no"))?;
        let revision_token = token(state.next());
        Ok(Response::new(identity::DeleteUserResponse { revision_token }))
    }
}

#[tonic::async_trait]
impl TokenService for World {
    async fn verify_token(
        &self,
        request: Request<identity::VerifyTokenRequest>,
    ) -> Result<Response<identity::VerifyTokenResponse>, Status> {
        let state = self.enter("VerifyToken")?;
        let found = state.tokens.get(&request.into_inner().token).cloned();
        let (tenant, scopes) = found.ok_or_else(|| Error::new(Reason::TOKEN_INVALID, "no"))?;
        let token_id = "the-token-id".to_owned();
        Ok(Response::new(identity::VerifyTokenResponse { token_id, tenant, scopes, expires_at_us: i64::MAX }))
    }

    async fn issue_access_token(
        &self,
        request: Request<identity::IssueAccessTokenRequest>,
    ) -> Result<Response<identity::IssueAccessTokenResponse>, Status> {
        let mut state = self.enter("IssueAccessToken")?;
        let identity::IssueAccessTokenRequest { token, scopes, lifetime_seconds } = request.into_inner();
        let (tenant, has) = state.tokens.get(&token).cloned().ok_or_else(|| Error::new(Reason::TOKEN_INVALID, "no"))?;
        if scopes.iter().any(|scope| !has.contains(scope)) {
            return Err(Error::new(Reason::FIELD_INVALID, "no").into());
        }
        let scopes = if scopes.is_empty() { has } else { scopes };
        let access_token = BearerToken::generate().expose();
        state.tokens.insert(access_token.clone(), (tenant, scopes.clone()));
        let lifetime = std::time::Duration::from_secs(lifetime_seconds.into());
        let expires_at_us = domain::clock::Clock::System.now().plus(lifetime).0;
        Ok(Response::new(identity::IssueAccessTokenResponse { access_token, scopes, expires_at_us }))
    }
}

#[tonic::async_trait]
impl LabelService for World {
    async fn match_labels(
        &self,
        request: Request<roles::MatchLabelsRequest>,
    ) -> Result<Response<roles::MatchLabelsResponse>, Status> {
        let state = self.enter("MatchLabels")?;
        let labels = request.into_inner().labels.into_iter();
        let unknown = labels.filter(|label| !state.known.contains(label));
        let unmatched = unknown.map(|label| common::UnmatchedLabel {
            reason: if label.contains('_') {
                common::UnmatchedReason::UnknownRole.into()
            } else {
                common::UnmatchedReason::Malformed.into()
            },
            suggestion: if label.ends_with("STOER") { "AGENT_1_STORE".to_owned() } else { String::new() },
            label,
        });
        Ok(Response::new(roles::MatchLabelsResponse { unmatched: unmatched.collect(), grants: Vec::new() }))
    }

    /// Those that are known, each recognised unless it says nothing of a context; by `eq` and `sw` on the id alone.
    async fn list_labels(
        &self,
        request: Request<roles::ListLabelsRequest>,
    ) -> Result<Response<roles::ListLabelsResponse>, Status> {
        let mut state = self.enter("ListLabels")?;
        let request = request.into_inner();
        state.labels_asked.push(request.clone());
        let roles::ListLabelsRequest { filter, start_index, count, all_locations, .. } = request;
        let query = |filter: &str| scim::filter::Query::parse(filter, &ROLES, scim::Mode::Lenient).unwrap();
        let query = (!filter.is_empty()).then(|| query(&filter));
        let offered = |label: &String| roles::OfferedLabel { recognised: label.contains('_'), label: label.clone() };
        let is_listed = |label: &roles::OfferedLabel| match &query {
            None => all_locations || !label.label.starts_with("AGENT_"),
            Some(query) => query.matches(
                &scim::role::Role { label: &label.label, recognised: label.recognised }.resource(&request.base_url),
            ),
        };
        let all: Vec<_> = state.known.iter().map(offered).filter(is_listed).collect();
        let total_results = all.len() as u64;
        let labels = all.into_iter().skip(start_index.saturating_sub(1) as usize).take(count as usize).collect();
        let (next_cursor, revision_token) = (String::new(), token(state.revision));
        Ok(Response::new(roles::ListLabelsResponse { labels, total_results, next_cursor, revision_token }))
    }
}

#[tonic::async_trait]
impl AccessService for World {
    async fn get_holdings(
        &self,
        _: Request<identity::GetHoldingsRequest>,
    ) -> Result<Response<identity::GetHoldingsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_label_holders(
        &self,
        _: Request<identity::ListLabelHoldersRequest>,
    ) -> Result<Response<identity::ListLabelHoldersResponse>, Status> {
        unreachable!("the gateway never asks who holds a label")
    }

    async fn list_labels_in_use(
        &self,
        _: Request<identity::ListLabelsInUseRequest>,
    ) -> Result<Response<identity::ListLabelsInUseResponse>, Status> {
        unreachable!("the gateway never asks which labels are in use")
    }

    async fn get_ground(
        &self,
        _: Request<identity::GetGroundRequest>,
    ) -> Result<Response<identity::GetGroundResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn put_catalogue(
        &self,
        _: Request<identity::PutCatalogueRequest>,
    ) -> Result<Response<identity::PutCatalogueResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn await_catalogue(
        &self,
        _: Request<identity::AwaitCatalogueRequest>,
    ) -> Result<Response<identity::AwaitCatalogueResponse>, Status> {
        let slow = self.enter("AwaitCatalogue")?.slow;
        if slow {
            self.1.notified().await;
        }
        let mut state = self.lock();
        state.reads += 1;
        let news = std::mem::take(&mut state.news);
        state.known.extend(news);
        Ok(Response::new(identity::AwaitCatalogueResponse { position: None }))
    }

    async fn report_outcomes(
        &self,
        _: Request<identity::ReportOutcomesRequest>,
    ) -> Result<Response<identity::ReportOutcomesResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

macro_rules! not_here {
    ($($name:ident: $request:ident -> $response:ident,)*) => {
        #[tonic::async_trait]
        impl AdminService for World {
            async fn get_settings(
                &self,
                _: Request<admin::GetSettingsRequest>,
            ) -> Result<Response<admin::GetSettingsResponse>, Status> {
                let state = self.enter("GetSettings")?;
                let (settings, extensions) = (Some(state.settings.clone()), state.extensions.clone());
                Ok(Response::new(admin::GetSettingsResponse { settings, extensions }))
            }

            type PreviewGroundStream = tonic::Streaming<admin::PreviewGroundResponse>;

            async fn preview_ground(
                &self,
                _: Request<admin::PreviewGroundRequest>,
            ) -> Result<Response<Self::PreviewGroundStream>, Status> {
                Err(Status::unimplemented(""))
            }

            $(async fn $name(&self, _: Request<admin::$request>) -> Result<Response<admin::$response>, Status> {
                Err(Status::unimplemented(""))
            })*
        }
    };
}

not_here! {
    create_tenant: CreateTenantRequest -> CreateTenantResponse,
    list_tenants: ListTenantsRequest -> ListTenantsResponse,
    put_settings: PutSettingsRequest -> PutSettingsResponse,
    put_group_labels: PutGroupLabelsRequest -> PutGroupLabelsResponse,
    list_group_labels: ListGroupLabelsRequest -> ListGroupLabelsResponse,
    put_extension: PutExtensionRequest -> PutExtensionResponse,
    remove_extension: RemoveExtensionRequest -> RemoveExtensionResponse,
    put_rules: PutRulesRequest -> PutRulesResponse,
    remove_rules: RemoveRulesRequest -> RemoveRulesResponse,
    get_rules: GetRulesRequest -> GetRulesResponse,
    list_pending_grounds: ListPendingGroundsRequest -> ListPendingGroundsResponse,
    confirm_ground: ConfirmGroundRequest -> ConfirmGroundResponse,
    dismiss_ground: DismissGroundRequest -> DismissGroundResponse,
    list_held_back: ListHeldBackRequest -> ListHeldBackResponse,
    release_held_back: ReleaseHeldBackRequest -> ReleaseHeldBackResponse,
    issue_token: IssueTokenRequest -> IssueTokenResponse,
    list_tokens: ListTokensRequest -> ListTokensResponse,
    revoke_token: RevokeTokenRequest -> RevokeTokenResponse,
}

/// A stored document.
pub(super) fn bytes(value: &Value) -> Bytes {
    value.to_string().into()
}

/// A report that the push for the user's version is done.
pub(super) fn provisioned(revision: u64) -> identity::Outcome {
    identity::Outcome {
        state: identity::State::Provisioned.into(),
        reasons: Vec::new(),
        fluent_user_id: "77".to_owned(),
        pushed_at_us: 2_000_000,
        effective_roles: vec![common::Grant {
            role: "STORE".to_owned(),
            context_type: common::ContextType::Agent.into(),
            context_id: "1".to_owned(),
        }],
        revision,
    }
}

/// The version of a user, from its entity tag.
pub(super) fn version(body: &Value) -> u64 {
    let tag = body["meta"]["version"].as_str().unwrap();
    tag.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
}

#[test]
fn documents_are_json() {
    assert_eq!(parse(&bytes(&json!({"a": 1})))["a"], 1);
}
