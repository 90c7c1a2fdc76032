//! identity-store and role-resolver as small fakes behind their real contracts: what they know is a test's to change.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;

use domain::id::UserId;
use domain::revision::{Epoch, Position, Revision};
use futures_util::{Stream, StreamExt as _, stream};
use parking_lot::Mutex;
use proto::common::v1 as common;
use proto::identity::v1 as identity;
use proto::identity::v1::access_service_server::{AccessService, AccessServiceServer};
use proto::identity::v1::feed_service_server::{FeedService, FeedServiceServer};
use proto::roles::v1 as roles;
use proto::roles::v1::label_service_server::{LabelService, LabelServiceServer};
use proto::roles::v1::role_service_server::{RoleService, RoleServiceServer};
use runtime::error::{Error, Reason};
use runtime::grpc::Server;
use runtime::peer::PeerSecret;
use runtime::telemetry::Metrics;
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status};

use crate::peers::Head;

/// A user as the fakes know it.
#[derive(Clone, Debug, Default)]
pub(crate) struct FakeUser {
    pub(crate) name: String,
    pub(crate) active: bool,
    pub(crate) deleted: bool,
    /// Whether it is held back, where it is gone.
    pub(crate) held_back: bool,
    /// Role and location.
    pub(crate) grants: Vec<(String, common::ContextType, String)>,
    pub(crate) unmatched: Vec<String>,
    pub(crate) document: serde_json::Value,
    /// Every name it has borne.
    pub(crate) names: BTreeSet<String>,
}

impl FakeUser {
    /// Labels that give its grants, and those that give nothing.
    fn labels(&self) -> Vec<identity::HeldLabel> {
        let given = self.grants.iter().map(|(role, _, id)| format!("AGENT_{id}_{role}"));
        let labels = given.chain(self.unmatched.iter().cloned());
        labels.map(|label| identity::HeldLabel { label, direct: true, ..Default::default() }).collect()
    }
}

/// Everything the fakes know.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) epoch: Epoch,
    pub(crate) revision: u64,
    /// Entries before this one are forgotten.
    pub(crate) floor: u64,
    pub(crate) users: BTreeMap<UserId, FakeUser>,
    pub(crate) entries: Vec<identity::FeedEntry>,
    pub(crate) catalogue: Option<identity::Catalogue>,
    pub(crate) rules: Option<identity::rules_read::Read>,
    pub(crate) fence: u64,
    pub(crate) settings: common::Settings,
    pub(crate) outcomes: BTreeMap<UserId, identity::Outcome>,
    pub(crate) resolver_down: bool,
    /// Leaves with a crowd and is held back once it has been asked for.
    pub(crate) leave_after_next: Option<UserId>,
    pub(crate) store_down: bool,
}

/// identity-store and role-resolver.
#[derive(Clone, Debug)]
pub(crate) struct Fakes(Arc<Mutex<World>>, watch::Sender<()>);

impl Fakes {
    pub(crate) fn new() -> Self {
        let world = Arc::new(Mutex::new(World {
            epoch: Epoch::new(),
            revision: 0,
            floor: 0,
            users: BTreeMap::new(),
            entries: Vec::new(),
            catalogue: None,
            rules: None,
            fence: 0,
            settings: common::Settings::default(),
            outcomes: BTreeMap::new(),
            resolver_down: false,
            leave_after_next: None,
            store_down: false,
        }));
        Self(world, watch::Sender::new(()))
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let result = change(&mut self.0.lock());
        self.1.send_replace(());
        result
    }

    /// Makes a user who is to hold these roles on locations.
    pub(crate) fn hire(&self, name: &str, grants: &[(&str, &str)]) -> UserId {
        let id = UserId::new();
        self.change(|world| {
            world.put(id, false, |user| {
                name.clone_into(&mut user.name);
                user.active = true;
                user.grants = agents(grants);
                user.document = serde_json::json!({ "userName": name, "name": { "givenName": "Ada" } });
            });
        });
        id
    }

    pub(crate) async fn server(&self) -> Server {
        Server::builder(PeerSecret::new("0123456789abcdef0123456789abcdef"), &Metrics::new())
            .service(AccessServiceServer::new(self.clone()))
            .service(FeedServiceServer::new(self.clone()))
            .service(RoleServiceServer::new(self.clone()))
            .service(LabelServiceServer::new(self.clone()))
            .build()
            .await
            .unwrap()
    }
}

impl World {
    /// Changes a user (or makes it) and writes the feed's entry.
    pub(crate) fn put(&mut self, id: UserId, takes_away: bool, change: impl FnOnce(&mut FakeUser)) {
        let user = self.users.entry(id).or_default();
        change(user);
        user.names.insert(user.name.clone());
        let changed = identity::UserChanged {
            user_id: id.to_string(),
            user_name: user.name.clone(),
            exists: !user.deleted,
            active: user.active,
            access_changed: true,
        };
        self.append(takes_away, identity::feed_entry::Change::UserChanged(changed));
    }

    pub(crate) fn append(&mut self, takes_away: bool, change: identity::feed_entry::Change) {
        self.revision += 1;
        self.append_part(takes_away, change);
    }

    /// A further entry of the same revision.
    pub(crate) fn append_part(&mut self, takes_away: bool, change: identity::feed_entry::Change) {
        let change = Some(change);
        self.entries.push(identity::FeedEntry { revision: self.revision, at_us: 0, takes_away, change });
    }

    pub(crate) fn head(&self) -> Position {
        Position { epoch: self.epoch, revision: Revision(self.revision) }
    }

    /// What the heartbeat says.
    pub(crate) fn told(&self) -> Head {
        let (revision, taken_away) = (Revision(self.revision), Revision(self.taken_away()));
        Head { revision, taken_away, catalogue_wanted: 1, catalogue_served: u64::from(self.catalogue.is_some()) }
    }

    fn taken_away(&self) -> u64 {
        self.entries.iter().rev().find(|entry| entry.takes_away).map_or(0, |entry| entry.revision)
    }

    fn states(&self) -> Vec<identity::UserState> {
        let state = |(id, user): (&UserId, &FakeUser)| identity::UserState {
            user_id: id.to_string(),
            user_name: user.name.clone(),
            exists: !user.deleted,
            active: user.active,
        };
        self.users.iter().filter(|(_, user)| !user.deleted).map(state).collect()
    }

    fn position(&self) -> common::Position {
        crate::convert::position_out(self.head())
    }

    fn up(&self) -> Result<(), Status> {
        if self.store_down { Err(Error::new(Reason::STORE_UNAVAILABLE, "down").into()) } else { Ok(()) }
    }
}

type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn streamed<T: Send + 'static>(items: Vec<T>) -> Response<Streamed<T>> {
    Response::new(Box::pin(stream::iter(items.into_iter().map(Ok))))
}

#[tonic::async_trait]
impl AccessService for Fakes {
    async fn get_holdings(
        &self,
        request: Request<identity::GetHoldingsRequest>,
    ) -> Result<Response<identity::GetHoldingsResponse>, Status> {
        let (mut world, request) = (self.0.lock(), request.into_inner());
        world.up()?;
        let holding = |key: &identity::UserKey| {
            let Some(identity::user_key::Key::Id(id)) = &key.key else { return identity::Holding::default() };
            let Some(user) = world.users.get(&id.parse().unwrap()) else { return identity::Holding::default() };
            let held_back = user.held_back && request.with_held_back;
            if user.deleted {
                let labels = if held_back { user.labels() } else { Vec::new() };
                return identity::Holding { user_id: id.clone(), labels, held_back, ..identity::Holding::default() };
            }
            identity::Holding {
                found: true,
                user_id: id.clone(),
                user_name: user.name.clone(),
                active: user.active,
                labels: user.labels(),
                document: if request.with_documents { user.document.to_string().into() } else { "".into() },
                held_back,
                ..identity::Holding::default()
            }
        };
        let (holdings, position) = (request.users.iter().map(holding).collect(), Some(world.position()));
        if let Some(id) = world.leave_after_next.take() {
            world.put(id, true, |user| (user.active, user.held_back) = (false, true));
        }
        Ok(Response::new(identity::GetHoldingsResponse { position, ground_version: 1, holdings }))
    }

    async fn list_label_holders(
        &self,
        _: Request<identity::ListLabelHoldersRequest>,
    ) -> Result<Response<identity::ListLabelHoldersResponse>, Status> {
        unreachable!("the pusher never asks who holds a label")
    }

    async fn list_labels_in_use(
        &self,
        _: Request<identity::ListLabelsInUseRequest>,
    ) -> Result<Response<identity::ListLabelsInUseResponse>, Status> {
        unreachable!("the pusher never asks which labels are in use")
    }

    async fn get_ground(
        &self,
        _: Request<identity::GetGroundRequest>,
    ) -> Result<Response<identity::GetGroundResponse>, Status> {
        let world = self.0.lock();
        world.up()?;
        Ok(Response::new(identity::GetGroundResponse {
            position: Some(world.position()),
            version: world.revision,
            catalogue: world.catalogue.clone(),
            rules: Vec::new(),
            settings: Some(world.settings.clone()),
            rules_setting_id: match &world.rules {
                Some(identity::rules_read::Read::Found(found)) => found.setting_id.clone(),
                _ => String::new(),
            },
        }))
    }

    async fn put_catalogue(
        &self,
        request: Request<identity::PutCatalogueRequest>,
    ) -> Result<Response<identity::PutCatalogueResponse>, Status> {
        let (mut world, request) = (self.0.lock(), request.into_inner());
        if request.fence < world.fence {
            return Err(Error::new(Reason::FENCED, "a later reader has written").into());
        }
        world.fence = request.fence;
        let changed = world.catalogue != request.catalogue;
        world.catalogue = request.catalogue;
        world.rules = request.rules.and_then(|rules| rules.read);
        Ok(Response::new(identity::PutCatalogueResponse { changed, position: Some(world.position()), waits: false }))
    }

    async fn await_catalogue(
        &self,
        _: Request<identity::AwaitCatalogueRequest>,
    ) -> Result<Response<identity::AwaitCatalogueResponse>, Status> {
        Err(Status::unimplemented("not asked by the pusher"))
    }

    async fn report_outcomes(
        &self,
        request: Request<identity::ReportOutcomesRequest>,
    ) -> Result<Response<identity::ReportOutcomesResponse>, Status> {
        let mut world = self.0.lock();
        world.up()?;
        for identity::UserOutcome { user_id, outcome } in request.into_inner().outcomes {
            world.outcomes.insert(user_id.parse().unwrap(), outcome.unwrap());
        }
        Ok(Response::new(identity::ReportOutcomesResponse {}))
    }
}

#[tonic::async_trait]
impl FeedService for Fakes {
    type WatchHeadsStream = Streamed<identity::WatchHeadsResponse>;
    type ListAffectedUsersStream = Streamed<identity::ListAffectedUsersResponse>;
    type ListAllUsersStream = Streamed<identity::ListAllUsersResponse>;

    async fn watch_heads(
        &self,
        _: Request<identity::WatchHeadsRequest>,
    ) -> Result<Response<Self::WatchHeadsStream>, Status> {
        let world = Arc::clone(&self.0);
        let heads = WatchStream::new(self.1.subscribe()).map(move |()| {
            let world = world.lock();
            let head = identity::Head {
                tenant: "acme".to_owned(),
                revision: world.revision,
                catalogue_wanted: 1,
                catalogue_served: u64::from(world.catalogue.is_some()),
                taken_away: world.taken_away(),
            };
            let epoch = world.epoch.as_bytes().to_vec().into();
            Ok(identity::WatchHeadsResponse { epoch, heads: vec![head], complete: true })
        });
        Ok(Response::new(Box::pin(heads)))
    }

    async fn read_feed(
        &self,
        request: Request<identity::ReadFeedRequest>,
    ) -> Result<Response<identity::ReadFeedResponse>, Status> {
        let world = self.0.lock();
        world.up()?;
        let identity::ReadFeedRequest { tenant: _, after, limit: _, taking_away } = request.into_inner();
        let after = crate::convert::position(after).unwrap();
        if after.epoch != world.epoch || after.revision.0 > world.revision {
            return Err(Error::new(Reason::EPOCH_MISMATCH, "another life").into());
        }
        if after.revision.0 < world.floor {
            return Err(Error::new(Reason::FEED_TRUNCATED, "forgotten").into());
        }
        // Two revisions a page, so that paging is met in every test.
        let wanted =
            |entry: &&identity::FeedEntry| entry.revision > after.revision.0 && (entry.takes_away || !taking_away);
        let mut page: Vec<_> = world.entries.iter().filter(wanted).map(|entry| entry.revision).collect();
        page.dedup();
        let through = if page.len() > 2 { page[1] } else { world.revision };
        let entries = world.entries.iter().filter(wanted).filter(|entry| entry.revision <= through).cloned().collect();
        Ok(Response::new(identity::ReadFeedResponse { entries, head: Some(world.position()), through }))
    }

    async fn list_affected_users(
        &self,
        _: Request<identity::ListAffectedUsersRequest>,
    ) -> Result<Response<Self::ListAffectedUsersStream>, Status> {
        let users = self.0.lock().states();
        Ok(streamed(vec![identity::ListAffectedUsersResponse { users }]))
    }

    async fn list_all_users(
        &self,
        _: Request<identity::ListAllUsersRequest>,
    ) -> Result<Response<Self::ListAllUsersStream>, Status> {
        let world = self.0.lock();
        world.up()?;
        Ok(streamed(vec![identity::ListAllUsersResponse { position: Some(world.position()), users: world.states() }]))
    }
}

/// What a user may do, whose SCIM id is `id`.
fn effective(user: &FakeUser, id: String) -> roles::EffectiveSet {
    let grants = |(role, kind, context_id): &(String, common::ContextType, String)| roles::SourcedGrant {
        grant: Some(common::Grant { role: role.clone(), context_type: (*kind).into(), context_id: context_id.clone() }),
        labels: Vec::new(),
    };
    let unmatched = |label: &String| common::UnmatchedLabel {
        label: label.clone(),
        reason: common::UnmatchedReason::UnknownRole.into(),
        suggestion: String::new(),
    };
    let has_labels = !(user.grants.is_empty() && user.unmatched.is_empty());
    roles::EffectiveSet {
        user_id: id,
        active: user.active,
        held: user.active && (!has_labels || !user.unmatched.is_empty()),
        grants: if user.active { user.grants.iter().map(grants).collect() } else { Vec::new() },
        unmatched: user.unmatched.iter().map(unmatched).collect(),
        has_labels,
    }
}

#[tonic::async_trait]
impl RoleService for Fakes {
    async fn get_effective_roles(
        &self,
        _: Request<roles::GetEffectiveRolesRequest>,
    ) -> Result<Response<roles::GetEffectiveRolesResponse>, Status> {
        Err(Status::unimplemented("the pusher asks for several at once"))
    }

    async fn batch_get_effective_roles(
        &self,
        request: Request<roles::BatchGetEffectiveRolesRequest>,
    ) -> Result<Response<roles::BatchGetEffectiveRolesResponse>, Status> {
        let world = self.0.lock();
        if world.resolver_down {
            return Err(Error::new(Reason::UNAVAILABLE, "down").into());
        }
        let result = |user: roles::UserRef| {
            let Some(roles::user_ref::Ref::Id(id)) = user.r#ref else {
                return Err(Status::invalid_argument("the pusher asks by id"));
            };
            let user = world.users.get(&id.parse().unwrap()).filter(|user| !user.deleted);
            Ok(roles::BatchResult { effective: user.map(|user| effective(user, id)) })
        };
        Ok(Response::new(roles::BatchGetEffectiveRolesResponse {
            results: request.into_inner().users.into_iter().map(result).collect::<Result<_, _>>()?,
            revision_token: String::new(),
            position: Some(world.position()),
        }))
    }

    async fn check_role(
        &self,
        _: Request<roles::CheckRoleRequest>,
    ) -> Result<Response<roles::CheckRoleResponse>, Status> {
        Err(Status::unimplemented("not asked by the pusher"))
    }

    async fn batch_check_role(
        &self,
        _: Request<roles::BatchCheckRoleRequest>,
    ) -> Result<Response<roles::BatchCheckRoleResponse>, Status> {
        Err(Status::unimplemented("not asked by the pusher"))
    }

    async fn explain_roles(
        &self,
        _: Request<roles::ExplainRolesRequest>,
    ) -> Result<Response<roles::ExplainRolesResponse>, Status> {
        Err(Status::unimplemented("not asked by the pusher"))
    }

    type ListRoleHoldersStream = Streamed<roles::ListRoleHoldersResponse>;

    async fn list_role_holders(
        &self,
        _: Request<roles::ListRoleHoldersRequest>,
    ) -> Result<Response<Self::ListRoleHoldersStream>, Status> {
        Err(Status::unimplemented("not asked by the pusher"))
    }

    type WatchRolesStream = Streamed<roles::WatchRolesResponse>;

    async fn watch_roles(
        &self,
        _: Request<roles::WatchRolesRequest>,
    ) -> Result<Response<Self::WatchRolesStream>, Status> {
        Err(Status::unimplemented("not asked by the pusher"))
    }

    type PreviewChangeStream = Streamed<roles::PreviewChangeResponse>;

    async fn preview_change(
        &self,
        _: Request<roles::PreviewChangeRequest>,
    ) -> Result<Response<Self::PreviewChangeStream>, Status> {
        Err(Status::unimplemented("not asked by the pusher"))
    }
}

#[tonic::async_trait]
impl LabelService for Fakes {
    async fn match_labels(
        &self,
        request: Request<roles::MatchLabelsRequest>,
    ) -> Result<Response<roles::MatchLabelsResponse>, Status> {
        if self.0.lock().resolver_down {
            return Err(Error::new(Reason::UNAVAILABLE, "down").into());
        }
        let given = |label: &String| {
            let (id, role) = label.strip_prefix("AGENT_")?.split_once('_')?;
            let context_type = common::ContextType::Agent.into();
            Some(common::Grant { role: role.to_owned(), context_type, context_id: id.to_owned() })
        };
        let grants = request.into_inner().labels.iter().filter_map(given).collect();
        Ok(Response::new(roles::MatchLabelsResponse { unmatched: Vec::new(), grants }))
    }

    async fn list_labels(
        &self,
        _: Request<roles::ListLabelsRequest>,
    ) -> Result<Response<roles::ListLabelsResponse>, Status> {
        Err(Status::unimplemented("not asked by the pusher"))
    }
}

/// Grants on locations.
pub(crate) fn agents(grants: &[(&str, &str)]) -> Vec<(String, common::ContextType, String)> {
    grants.iter().map(|(role, id)| ((*role).to_owned(), common::ContextType::Agent, (*id).to_owned())).collect()
}
