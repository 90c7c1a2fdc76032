//! An identity-store of a few lines: what it holds is set by the test, what it was asked is counted.

use std::sync::Arc;
use std::time::Duration;

use domain::clock::{Clock, Timestamp};
use domain::id::{TenantId, UserId};
use domain::revision::{Epoch, Position, Revision, RevisionKey};
use domain::token::BearerToken;
use parking_lot::Mutex;
use proto::common::v1 as common;
use proto::identity::v1::access_service_server::{AccessService, AccessServiceServer};
use proto::identity::v1::token_service_server::{TokenService, TokenServiceServer};
use proto::identity::v1::*;
use proto::roles::v1::label_service_client::LabelServiceClient;
use proto::roles::v1::role_service_client::RoleServiceClient;
use runtime::error::{Error, Reason};
use runtime::grpc::{Server, Transport};
use runtime::peer::PeerSecret;
use runtime::telemetry::Metrics;
use tonic::{Request, Response, Status};

use crate::{Config, Parts, build};

/// Something that happens inside the store whenever it is asked for holdings or the ground, before it reads.
type Meanwhile = Box<dyn FnMut(&mut State) + Send>;

/// What the store holds.
pub(super) struct State {
    pub(super) epoch: Epoch,
    pub(super) revision: u64,
    pub(super) ground_version: u64,
    pub(super) catalogue: Option<Catalogue>,
    pub(super) users: Vec<(String, Holding)>,
    pub(super) tokens: Vec<(String, VerifyTokenResponse)>,
    pub(super) silent: bool,
    pub(super) meanwhile: Option<Meanwhile>,
    pub(super) asked: Asked,
}

/// How often the store was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) holdings: usize,
    pub(super) grounds: usize,
    pub(super) tokens: usize,
}

#[derive(Clone)]
pub(super) struct Fake(Arc<Mutex<State>>);

impl Fake {
    fn state(&self, tenant: &str) -> Result<parking_lot::MutexGuard<'_, State>, Status> {
        if tenant != "acme" && tenant != "other" {
            return Err(Error::new(Reason::TENANT_NOT_FOUND, "no such tenant").into());
        }
        Ok(self.0.lock())
    }

    async fn speak(&self) {
        let silent = self.0.lock().silent;
        if silent {
            std::future::pending::<()>().await;
        }
    }
}

impl State {
    fn position(&self) -> common::Position {
        common::Position { epoch: self.epoch.as_bytes().to_vec().into(), revision: self.revision }
    }

    /// Takes the next revision for a change of the ground.
    pub(super) fn change_ground(&mut self, roles: &[&str]) {
        self.revision += 1;
        self.ground_version = self.revision;
        self.catalogue = Some(catalogue(roles));
    }

    fn happen(&mut self) {
        if let Some(mut meanwhile) = self.meanwhile.take() {
            meanwhile(self);
            self.meanwhile = Some(meanwhile);
        }
    }

    fn find(&self, key: &UserKey) -> Option<&Holding> {
        use user_key::Key;
        let found = self.users.iter().find(|(external_id, holding)| match key.key.as_ref().unwrap() {
            Key::Id(id) => holding.user_id == *id,
            Key::UserName(name) => holding.user_name == name.to_lowercase(),
            Key::ExternalId(id) => external_id == id,
        });
        found.map(|(_, holding)| holding)
    }
}

pub(super) fn catalogue(roles: &[&str]) -> Catalogue {
    Catalogue {
        roles: roles.iter().map(ToString::to_string).collect(),
        retailers: vec![Place { id: "1".into(), r#ref: "MAIN".into() }],
        locations: vec![Place { id: "77".into(), r#ref: "CHIC-01".into() }],
    }
}

#[tonic::async_trait]
impl AccessService for Fake {
    async fn get_holdings(
        &self,
        request: Request<GetHoldingsRequest>,
    ) -> Result<Response<GetHoldingsResponse>, Status> {
        self.speak().await;
        let GetHoldingsRequest { tenant, users, with_documents: _, kept: _ } = request.into_inner();
        let mut state = self.state(&tenant)?;
        state.happen();
        state.asked.holdings += 1;
        Ok(Response::new(GetHoldingsResponse {
            position: Some(state.position()),
            ground_version: state.ground_version,
            holdings: users.iter().map(|key| state.find(key).cloned().unwrap_or_default()).collect(),
        }))
    }

    async fn get_ground(&self, request: Request<GetGroundRequest>) -> Result<Response<GetGroundResponse>, Status> {
        self.speak().await;
        // Long enough for others to come and ask for the same.
        tokio::task::yield_now().await;
        let GetGroundRequest { tenant, known_version } = request.into_inner();
        let mut state = self.state(&tenant)?;
        state.happen();
        state.asked.grounds += 1;
        let (position, version) = (Some(state.position()), state.ground_version);
        if known_version == version {
            return Ok(Response::new(GetGroundResponse { position, version, ..Default::default() }));
        }
        let rules = vec![Rule { logical_role: "CLERK".into(), target_roles: vec!["STORE".into()] }];
        let settings = Some(common::Settings { account_name: "ACME".into(), ..Default::default() });
        Ok(Response::new(GetGroundResponse { position, version, catalogue: state.catalogue.clone(), rules, settings }))
    }

    async fn put_catalogue(&self, _: Request<PutCatalogueRequest>) -> Result<Response<PutCatalogueResponse>, Status> {
        unreachable!("the resolver never writes")
    }

    async fn await_catalogue(
        &self,
        _: Request<AwaitCatalogueRequest>,
    ) -> Result<Response<AwaitCatalogueResponse>, Status> {
        unreachable!("the resolver never waits for a catalogue")
    }

    async fn report_outcomes(
        &self,
        _: Request<ReportOutcomesRequest>,
    ) -> Result<Response<ReportOutcomesResponse>, Status> {
        unreachable!("the resolver never writes")
    }
}

#[tonic::async_trait]
impl TokenService for Fake {
    async fn verify_token(
        &self,
        request: Request<VerifyTokenRequest>,
    ) -> Result<Response<VerifyTokenResponse>, Status> {
        self.speak().await;
        let mut state = self.0.lock();
        state.asked.tokens += 1;
        let VerifyTokenRequest { token } = request.into_inner();
        let found = state.tokens.iter().find(|(known, _)| *known == token).map(|(_, good)| good.clone());
        found.map(Response::new).ok_or_else(|| Error::new(Reason::TOKEN_INVALID, "no").into())
    }
}

/// The resolver over a fake store, called as a part of Rolecall and as an internal system.
pub(super) struct World {
    store: Fake,
    peer: Transport,
    network: Transport,
    pub(super) key: RevisionKey,
}

impl World {
    /// A tenant with a catalogue of the role STORE, and nobody in it.
    pub(super) async fn new() -> Self {
        let store = Fake(Arc::new(Mutex::new(State {
            epoch: Epoch::new(),
            revision: 10,
            ground_version: 3,
            catalogue: Some(catalogue(&["STORE"])),
            users: Vec::new(),
            tokens: Vec::new(),
            silent: false,
            meanwhile: None,
            asked: Asked::default(),
        })));
        let peers = PeerSecret::new("0123456789abcdef0123456789abcdef");
        let metrics = Metrics::new();
        let server = Server::builder(peers.clone(), &metrics)
            .service(AccessServiceServer::new(store.clone()))
            .service(TokenServiceServer::new(store.clone()))
            .build()
            .await
            .unwrap();
        let key = RevisionKey::derive(b"revision secret");
        let parts = Parts {
            identity_store: server.in_process().with_timeout(Duration::from_millis(50)),
            revision_key: key.clone(),
            peers,
            metrics,
            clock: Clock::manual(Timestamp(1_000)),
            fixed_token: None,
        };
        let resolver = build(&Config::default(), parts).await.unwrap();
        Self { store, peer: resolver.in_process(), network: Transport::in_process(resolver.network()), key }
    }

    pub(super) fn store(&self) -> parking_lot::MutexGuard<'_, State> {
        self.store.0.lock()
    }

    /// The services as a part of Rolecall calls them.
    pub(super) fn roles(&self) -> RoleServiceClient<Transport> {
        RoleServiceClient::new(self.peer.clone())
    }

    pub(super) fn labels(&self) -> LabelServiceClient<Transport> {
        LabelServiceClient::new(self.peer.clone())
    }

    /// The services as everyone else calls them.
    pub(super) fn roles_from_outside(&self) -> RoleServiceClient<Transport> {
        RoleServiceClient::new(self.network.clone())
    }

    pub(super) fn labels_from_outside(&self) -> LabelServiceClient<Transport> {
        LabelServiceClient::new(self.network.clone())
    }

    /// A user with direct labels; its `userName` is `name`, its `externalId` `name` in capitals.
    pub(super) fn add_user(&self, name: &str, active: bool, labels: &[&str]) -> String {
        let user_id = UserId::new().to_string();
        let direct = |label: &&str| HeldLabel { label: (*label).to_owned(), direct: true, ..HeldLabel::default() };
        let holding = Holding {
            found: true,
            user_id: user_id.clone(),
            user_name: name.to_owned(),
            active,
            labels: labels.iter().map(direct).collect(),
            ..Default::default()
        };
        self.store().users.push((name.to_uppercase(), holding));
        user_id
    }

    /// A bearer token of `tenant`.
    pub(super) fn add_token(&self, tenant: &str, scopes: &[&str]) -> String {
        let token = BearerToken::generate();
        let good = VerifyTokenResponse {
            token_id: token.id().to_string(),
            tenant: tenant.to_owned(),
            scopes: scopes.iter().map(ToString::to_string).collect(),
            expires_at_us: 2_000,
        };
        self.store().tokens.push((token.expose(), good));
        token.expose()
    }

    /// The revision token of `revision` in the store's epoch.
    pub(super) fn revision_token(&self, tenant: &str, revision: u64) -> String {
        let tenant: TenantId = tenant.parse().unwrap();
        self.key.seal(&tenant, Position { epoch: self.store().epoch, revision: Revision(revision) })
    }
}
