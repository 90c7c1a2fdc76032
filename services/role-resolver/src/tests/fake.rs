//! An identity-store of a few lines: what it holds is set by the test, what it was asked is counted.

use std::sync::Arc;
use std::time::Duration;

use domain::clock::{Clock, Timestamp};
use domain::id::{GroupId, TenantId, UserId};
use domain::revision::{Epoch, Position, Revision, RevisionKey};
use domain::token::BearerToken;
use parking_lot::Mutex;
use proto::common::v1 as common;
use proto::identity::v1::access_service_server::{AccessService, AccessServiceServer};
use proto::identity::v1::feed_service_server::{FeedService, FeedServiceServer};
use proto::identity::v1::token_service_server::{TokenService, TokenServiceServer};
use proto::identity::v1::*;
use proto::roles::v1::label_service_client::LabelServiceClient;
use proto::roles::v1::role_service_client::RoleServiceClient;
use runtime::admin::Readiness;
use runtime::error::{Error, Reason};
use runtime::grpc::{MAX_MESSAGE_BYTES, Server, Transport};
use runtime::peer::PeerSecret;
use runtime::telemetry::Metrics;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{CacheConfig, Config, Parts, build};

/// Something that happens inside the store whenever it is asked for holdings, holders or the ground, before it reads.
type Meanwhile = Box<dyn FnMut(&mut State) + Send>;

/// What the store holds.
pub(super) struct State {
    pub(super) epoch: Epoch,
    pub(super) revision: u64,
    pub(super) ground_version: u64,
    pub(super) catalogue: Option<Catalogue>,
    pub(super) users: Vec<(String, Holding)>,
    /// What took which revision; one that nothing is said of counts as somebody else's.
    pub(super) changes: Vec<FeedEntry>,
    /// Up to where the feed is forgotten.
    pub(super) floor: u64,
    /// Whether the feed is cut off: a consumer hears and reads nothing.
    pub(super) cut: bool,
    pub(super) tokens: Vec<(String, VerifyTokenResponse)>,
    pub(super) silent: bool,
    /// How often it was asked something while it was silent.
    pub(super) unheard: usize,
    /// How long it takes to list the next hundred of those whom a change concerns.
    pub(super) slowness: Duration,
    pub(super) meanwhile: Option<Meanwhile>,
    pub(super) asked: Asked,
}

/// How often the store was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) holdings: usize,
    /// Users whose kept sets were found right.
    pub(super) unchanged: usize,
    pub(super) grounds: usize,
    pub(super) holders: usize,
    /// Lists of whom a change concerns.
    pub(super) affected: usize,
    pub(super) in_use: usize,
    pub(super) tokens: usize,
}

#[derive(Clone)]
pub(super) struct Fake(Arc<Mutex<State>>, watch::Sender<()>);

impl Fake {
    fn state(&self, tenant: &str) -> Result<parking_lot::MutexGuard<'_, State>, Status> {
        if tenant != "acme" && tenant != "other" {
            return Err(Error::new(Reason::TENANT_NOT_FOUND, "no such tenant").into());
        }
        Ok(self.0.lock())
    }

    async fn speak(&self) {
        let silent = {
            let mut state = self.0.lock();
            state.unheard += usize::from(state.silent);
            state.silent
        };
        if silent {
            std::future::pending::<()>().await;
        }
    }
}

impl State {
    fn position(&self) -> common::Position {
        common::Position { epoch: self.epoch.as_bytes().to_vec().into(), revision: self.revision }
    }

    /// Takes the next revision for a change.
    pub(super) fn commit(&mut self, change: feed_entry::Change) {
        self.revision += 1;
        self.changes.push(FeedEntry { revision: self.revision, change: Some(change), ..Default::default() });
    }

    /// Takes the next revision for a change of the ground.
    pub(super) fn change_ground(&mut self, roles: &[&str]) {
        self.commit(feed_entry::Change::CatalogueChanged(CatalogueChanged {}));
        self.ground_version = self.revision;
        self.catalogue = Some(catalogue(roles));
    }

    /// Takes the next revision for a change of a user's labels.
    pub(super) fn relabel(&mut self, name: &str, labels: &[&str]) {
        let revision = self.revision + 1;
        let (_, holding) = self.users.iter_mut().find(|(_, holding)| holding.user_name == name).unwrap();
        (holding.labels, holding.stamp, holding.version) = (direct(labels), revision, revision);
        let (user_id, user_name) = (holding.user_id.clone(), name.to_owned());
        let change = UserChanged { user_id, user_name, exists: true, active: holding.active, access_changed: true };
        self.commit(feed_entry::Change::UserChanged(change));
    }

    /// Puts a group of one label over a user, or gives the group of that id another label.
    pub(super) fn group(&mut self, name: &str, group_id: &str, labels: &[&str]) {
        let revision = self.revision + 1;
        let (_, holding) = self.users.iter_mut().find(|(_, holding)| holding.user_name == name).unwrap();
        let group_ids = vec![group_id.to_owned()];
        let held =
            |label: &&str| HeldLabel { label: (*label).into(), group_ids: group_ids.clone(), ..HeldLabel::default() };
        holding.labels = labels.iter().map(held).collect();
        holding.groups = vec![GroupStamp { group_id: group_id.to_owned(), stamp: revision, ..Default::default() }];
        self.commit(feed_entry::Change::GroupChanged(GroupChanged { group_id: group_id.to_owned(), exists: true }));
    }

    /// Whether a kept set is still right, as the stamps say.
    fn stands(&self, kept: &KeptSet, holding: &Holding) -> bool {
        let stamp = |id: &String| holding.groups.iter().find(|group| group.group_id == *id).map(|group| group.stamp);
        let mut stamps = vec![Some(self.ground_version), Some(holding.stamp), Some(holding.version)];
        stamps.extend(kept.group_ids.iter().map(stamp));
        kept.revision <= self.revision && stamps.iter().all(|stamp| stamp.is_some_and(|stamp| stamp <= kept.revision))
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

fn direct(labels: &[&str]) -> Vec<HeldLabel> {
    let direct = |label: &&str| HeldLabel { label: (*label).to_owned(), direct: true, ..HeldLabel::default() };
    labels.iter().map(direct).collect()
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
        // Long enough for others to come and ask for the same.
        tokio::task::yield_now().await;
        let GetHoldingsRequest { tenant, users, with_documents: _, kept, with_nesting: _, with_held_back: _ } =
            request.into_inner();
        let mut state = self.state(&tenant)?;
        state.happen();
        // Who asks for nobody asks for the head.
        state.asked.holdings += usize::from(!users.is_empty());
        let mut holdings: Vec<_> = users.iter().map(|key| state.find(key).cloned().unwrap_or_default()).collect();
        for holding in &mut holdings {
            let of = kept.iter().find(|kept| kept.user_id == holding.user_id);
            if of.is_some_and(|kept| state.stands(kept, holding)) {
                state.asked.unchanged += 1;
                let user_id = holding.user_id.clone();
                *holding = Holding { found: true, unchanged: true, user_id, ..Default::default() };
            }
        }
        let (position, ground_version) = (Some(state.position()), state.ground_version);
        Ok(Response::new(GetHoldingsResponse { position, ground_version, holdings }))
    }

    /// Whoever holds a label that reads as one asked for, in whatever type of context: the resolver must decide.
    async fn list_label_holders(
        &self,
        request: Request<ListLabelHoldersRequest>,
    ) -> Result<Response<ListLabelHoldersResponse>, Status> {
        self.speak().await;
        let ListLabelHoldersRequest { tenant, contexts, roles, labels, after_id, limit, .. } = request.into_inner();
        let mut state = self.state(&tenant)?;
        state.asked.holders += 1;
        state.happen();
        let reads = |label: &str| {
            let mut readings =
                contexts.iter().flat_map(|context| roles.iter().map(move |role| format!("_{context}_{role}")));
            readings.any(|reading| label.ends_with(&reading)) || labels.iter().any(|whole| whole == label)
        };
        let held = state.users.iter().filter(|(_, holding)| holding.labels.iter().any(|held| reads(&held.label)));
        let mut user_ids: Vec<_> = held.map(|(_, holding)| holding.user_id.clone()).collect();
        user_ids.retain(|id| *id > after_id);
        user_ids.sort();
        user_ids.truncate(limit as usize);
        Ok(Response::new(ListLabelHoldersResponse { user_ids, position: Some(state.position()) }))
    }

    async fn list_labels_in_use(
        &self,
        request: Request<ListLabelsInUseRequest>,
    ) -> Result<Response<ListLabelsInUseResponse>, Status> {
        let ListLabelsInUseRequest { tenant, starts_with, limit, or_starts_with } = request.into_inner();
        let mut state = self.state(&tenant)?;
        state.asked.in_use += 1;
        let begins = |label: &String| {
            label.starts_with(&starts_with) || or_starts_with.iter().any(|prefix| label.starts_with(prefix))
        };
        let held = state.users.iter().flat_map(|(_, holding)| &holding.labels).map(|held| held.label.clone());
        let held: std::collections::BTreeSet<_> = held.filter(begins).collect();
        let limit = if limit == 0 { usize::MAX } else { limit as usize };
        let (labels, position) = (held.into_iter().take(limit).collect(), Some(state.position()));
        let ground_version = state.ground_version;
        state.happen();
        Ok(Response::new(ListLabelsInUseResponse { labels, position, ground_version }))
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
        Ok(Response::new(GetGroundResponse {
            position,
            version,
            catalogue: state.catalogue.clone(),
            rules,
            settings,
            rules_setting_id: String::new(),
        }))
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

type Answers<T> = ReceiverStream<Result<T, Status>>;

#[tonic::async_trait]
impl FeedService for Fake {
    type WatchHeadsStream = Answers<WatchHeadsResponse>;
    type ListAffectedUsersStream = Answers<ListAffectedUsersResponse>;
    type ListAllUsersStream = Answers<ListAllUsersResponse>;

    async fn watch_heads(&self, _: Request<WatchHeadsRequest>) -> Result<Response<Self::WatchHeadsStream>, Status> {
        let (sender, receiver) = mpsc::channel(1);
        let (fake, mut bell) = (self.clone(), self.1.subscribe());
        tokio::spawn(async move {
            loop {
                let heads = {
                    let state = fake.0.lock();
                    let heads = vec![Head { tenant: "acme".into(), revision: state.revision, ..Default::default() }];
                    let epoch = state.epoch.as_bytes().to_vec().into();
                    (!state.cut).then_some(WatchHeadsResponse { epoch, heads, complete: true })
                };
                if let Some(heads) = heads
                    && sender.send(Ok(heads)).await.is_err()
                {
                    return;
                }
                let _ = bell.changed().await;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn read_feed(&self, request: Request<ReadFeedRequest>) -> Result<Response<ReadFeedResponse>, Status> {
        self.speak().await;
        let ReadFeedRequest { tenant, after, limit, taking_away: _ } = request.into_inner();
        let state = self.state(&tenant)?;
        if state.cut {
            return Err(Error::new(Reason::UNAVAILABLE, "cut off").into());
        }
        let (after, head) = (after.unwrap(), state.position());
        if after.epoch != head.epoch || after.revision > head.revision {
            return Err(Error::new(Reason::EPOCH_MISMATCH, "another history").into());
        }
        if after.revision < state.floor {
            return Err(Error::new(Reason::FEED_TRUNCATED, "forgotten").into());
        }
        let entry = |revision| {
            let told = state.changes.iter().find(|entry| entry.revision == revision).cloned();
            let member = Member { id: UserId::new().to_string(), is_group: false };
            let members = MembersChanged { added: vec![member], ..MembersChanged::default() };
            let change = Some(feed_entry::Change::MembersChanged(members));
            told.unwrap_or(FeedEntry { revision, change, ..Default::default() })
        };
        let most = if limit == 0 { 1_000 } else { u64::from(limit) };
        let through = head.revision.min(after.revision + most);
        let entries = (after.revision + 1..=through).map(entry).collect();
        Ok(Response::new(ReadFeedResponse { entries, through, head: Some(head) }))
    }

    /// Those who are in the group that changed, or everyone; in messages of no particular size.
    async fn list_affected_users(
        &self,
        request: Request<ListAffectedUsersRequest>,
    ) -> Result<Response<Self::ListAffectedUsersStream>, Status> {
        let ListAffectedUsersRequest { tenant, position } = request.into_inner();
        let mut state = self.state(&tenant)?;
        state.asked.affected += 1;
        let revision = position.unwrap().revision;
        let changed = state.changes.iter().find(|entry| entry.revision == revision).cloned();
        let concerned = |holding: &Holding| match changed.as_ref().and_then(|entry| entry.change.as_ref()) {
            Some(feed_entry::Change::GroupChanged(changed)) => {
                holding.groups.iter().any(|group| group.group_id == changed.group_id)
            }
            _ => true,
        };
        let user = |(_, holding): &(String, Holding)| {
            let Holding { user_id, user_name, active, .. } = holding.clone();
            concerned(holding).then_some(UserState { user_id, user_name, exists: true, active })
        };
        let users: Vec<_> = state.users.iter().filter_map(user).collect();
        let (slowness, size) = (state.slowness, if state.slowness.is_zero() { 700 } else { 100 });
        let messages: Vec<_> =
            users.chunks(size).map(|users| ListAffectedUsersResponse { users: users.to_vec() }).collect();
        let (sender, receiver) = mpsc::channel(messages.len().max(1));
        tokio::spawn(async move {
            for message in messages {
                tokio::time::sleep(slowness).await;
                let _ = sender.send(Ok(message)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn list_all_users(
        &self,
        _: Request<ListAllUsersRequest>,
    ) -> Result<Response<Self::ListAllUsersStream>, Status> {
        unreachable!("the resolver asks for nobody's list")
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

    async fn issue_access_token(
        &self,
        _: Request<IssueAccessTokenRequest>,
    ) -> Result<Response<IssueAccessTokenResponse>, Status> {
        unreachable!("the resolver makes no tokens")
    }
}

/// The resolver over a fake store, called as a part of Rolecall and as an internal system.
pub(super) struct World {
    store: Fake,
    peer: Transport,
    network: Transport,
    pub(super) key: RevisionKey,
    pub(super) metrics: Metrics,
    pub(super) readiness: Readiness,
    pub(super) stop: CancellationToken,
}

impl World {
    /// A tenant with a catalogue of the role STORE, and nobody in it. Every question reaches the store.
    pub(super) async fn new() -> Self {
        let cache = CacheConfig { confirmed_within: Duration::ZERO, ..CacheConfig::default() };
        Self::keeping(Config { cache, ..Config::default() }).await
    }

    /// The same, kept as `config` says.
    pub(super) async fn keeping(config: Config) -> Self {
        let state = Arc::new(Mutex::new(State {
            epoch: Epoch::new(),
            revision: 10,
            ground_version: 3,
            catalogue: Some(catalogue(&["STORE"])),
            users: Vec::new(),
            changes: Vec::new(),
            floor: 0,
            cut: false,
            tokens: Vec::new(),
            silent: false,
            unheard: 0,
            slowness: Duration::ZERO,
            meanwhile: None,
            asked: Asked::default(),
        }));
        Self::over(Fake(state, watch::Sender::new(())), config).await
    }

    /// Another replica over the same store.
    pub(super) async fn replica(&self, config: Config) -> Self {
        Self::over(self.store.clone(), config).await
    }

    async fn over(store: Fake, config: Config) -> Self {
        let peers = PeerSecret::new("0123456789abcdef0123456789abcdef");
        let metrics = Metrics::new();
        let server = Server::builder(peers.clone(), &metrics)
            .service(AccessServiceServer::new(store.clone()).max_encoding_message_size(MAX_MESSAGE_BYTES))
            .service(FeedServiceServer::new(store.clone()))
            .service(TokenServiceServer::new(store.clone()))
            .build()
            .await
            .unwrap();
        let (key, readiness) = (RevisionKey::derive(b"revision secret"), Readiness::default());
        let stop = CancellationToken::new();
        let parts = Parts {
            identity_store: server.in_process().with_timeout(Duration::from_millis(50)),
            revision_key: key.clone(),
            peers,
            metrics: metrics.clone(),
            readiness: readiness.clone(),
            clock: Clock::manual(Timestamp(1_000)),
            fixed_token: None,
            stop: stop.clone(),
        };
        let resolver = build(&config, parts).await.unwrap();
        let (peer, network) = (resolver.in_process(), Transport::in_process(resolver.network()));
        Self { store, peer, network, key, metrics, readiness, stop }
    }

    pub(super) fn store(&self) -> parking_lot::MutexGuard<'_, State> {
        self.store.0.lock()
    }

    /// Changes the store, and tells those who follow it.
    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.store());
        self.store.1.send_replace(());
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
        let holding = Holding {
            found: true,
            user_id: user_id.clone(),
            user_name: name.to_owned(),
            active,
            labels: direct(labels),
            ..Default::default()
        };
        self.store().users.push((name.to_uppercase(), holding));
        user_id
    }

    /// Puts a user into a group that is in another, which bears a label; the ids of both.
    pub(super) fn put_into_nested_groups(&self, name: &str, label: &str) -> [String; 2] {
        let [inner, outer] = [GroupId::new(), GroupId::new()].map(|id| id.to_string());
        let mut state = self.store();
        let (_, holding) = state.users.iter_mut().find(|(_, holding)| holding.user_name == name).unwrap();
        holding.groups.push(GroupStamp { group_id: inner.clone(), direct: true, ..Default::default() });
        let nested_ids = vec![inner.clone()];
        holding.groups.push(GroupStamp { group_id: outer.clone(), nested_ids, ..Default::default() });
        if let Some(held) = holding.labels.iter_mut().find(|held| held.label == label) {
            held.group_ids.push(outer.clone());
        } else {
            let (label, group_ids) = (label.to_owned(), vec![outer.clone()]);
            holding.labels.push(HeldLabel { label, group_ids, ..Default::default() });
        }
        [inner, outer]
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
