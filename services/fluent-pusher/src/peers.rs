//! The other parts, as the pusher asks them: identity-store and role-resolver, over their contracts.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use domain::catalogue::Place;
use domain::clock::Timestamp;
use domain::id::{TenantId, UserId};
use domain::revision::{Epoch, Position, Revision};
use domain::rules::Rules;
use domain::settings::{Adoption, DisplayNames, Rename};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use parking_lot::Mutex;
use proto::common::v1 as common;
use proto::identity::v1 as identity;
use proto::identity::v1::access_service_client::AccessServiceClient;
use proto::identity::v1::feed_service_client::FeedServiceClient;
use proto::roles::v1 as roles;
use proto::roles::v1::label_service_client::LabelServiceClient;
use proto::roles::v1::role_service_client::RoleServiceClient;
use runtime::error::Error;
use runtime::grpc::{MAX_MESSAGE_BYTES, Transport};

use crate::account::Roles;
use crate::convert::{self, Malformed};
use crate::store::{Change, Presence};
use crate::together::{Question, Together};

/// The most labels of one question.
const LABELS: usize = 1_000;

/// Where a tenant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) revision: Revision,
    /// The newest of its revisions that can take access away.
    pub(crate) taken_away: Revision,
    pub(crate) catalogue_wanted: u64,
    pub(crate) catalogue_served: u64,
}

/// What one message of the heartbeat says.
#[derive(Clone, Debug)]
pub(crate) struct Heads {
    pub(crate) epoch: Epoch,
    pub(crate) tenants: Vec<(TenantId, Head)>,
    pub(crate) complete: bool,
}

/// Some of the feed.
#[derive(Clone, Debug)]
pub(crate) struct FeedPage {
    pub(crate) entries: Vec<FeedEntry>,
    /// How far it reaches: the next one begins there.
    pub(crate) through: Position,
}

/// One entry of it.
#[derive(Clone, Debug)]
pub(crate) struct FeedEntry {
    pub(crate) revision: Revision,
    pub(crate) at: Timestamp,
    pub(crate) takes_away: bool,
    pub(crate) concerned: Concerned,
}

/// Whom an entry concerns.
#[derive(Clone, Debug)]
pub(crate) enum Concerned {
    /// The user it is about.
    User(Subject),
    /// Members of a group, as they were when it was committed: they are asked for.
    Members,
    /// Whoever has labels that may mean something else now: they are asked for too.
    Ground,
}

/// A user whose account is to be looked at.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) user: UserId,
    pub(crate) user_name: String,
    pub(crate) presence: Presence,
}

impl Subject {
    /// That its account is to be looked at as of `position`.
    pub(crate) fn changed(self, position: Position, at: Timestamp, takes_away: bool) -> Change {
        let Self { user, user_name, presence } = self;
        Change { user, user_name, presence, takes_away, at, position }
    }
}

/// How a user stands in identity-store now.
#[derive(Clone, Debug)]
pub(crate) enum Present {
    /// It is active.
    Active(Person),
    /// It is deleted or inactive.
    Gone,
    /// It is deleted or inactive, and held back: nobody has released it yet.
    HeldBack(Labels),
}

/// The labels a user holds, or held when it was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Labels {
    /// Those it holds as such.
    pub(crate) stated: Vec<String>,
    /// Those that are just the names of groups: what they give, the tenant's settings say.
    pub(crate) names: Vec<String>,
}

/// A user as identity-store now has it.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) user_name: String,
    pub(crate) document: Bytes,
}

/// An effective set.
#[derive(Clone, Debug)]
pub(crate) struct Effective {
    pub(crate) active: bool,
    pub(crate) held: bool,
    pub(crate) roles: Roles,
    /// Reason and label.
    pub(crate) unmatched: Vec<(&'static str, String)>,
    pub(crate) has_labels: bool,
}

/// What a tenant chose, as far as it concerns the push.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Policies {
    pub(crate) rename: Rename,
    pub(crate) adoption: Adoption,
    pub(crate) display_names: DisplayNames,
}

/// The catalogue, as read or as kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CatalogueCopy {
    pub(crate) roles: Vec<String>,
    pub(crate) retailers: Vec<Place>,
    pub(crate) locations: Vec<Place>,
}

/// A tenant's ground.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    pub(crate) version: u64,
    pub(crate) catalogue: Option<CatalogueCopy>,
    pub(crate) policies: Option<Policies>,
    /// Fluent's id of the setting that the rules kept were read from.
    pub(crate) rules_setting_id: Option<String>,
}

/// A look at Fluent's setting of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RulesRead {
    /// There is no such setting.
    Absent,
    /// A rule set.
    Found {
        /// Fluent's id of the setting.
        setting_id: String,
        rules: Rules,
    },
    /// It is malformed, or Fluent does not show it. What is wrong and where, without its content.
    Fault(String),
}

/// identity-store.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    access: AccessServiceClient<Transport>,
    present: Together<HowPresent>,
    feed: FeedServiceClient<Transport>,
    policies: Arc<Mutex<BTreeMap<TenantId, (u64, Policies)>>>,
}

/// role-resolver.
#[derive(Clone, Debug)]
pub(crate) struct Resolver {
    effective: Together<HowEffective>,
    labels: LabelServiceClient<Transport>,
}

fn nonsense(error: Malformed) -> Error {
    Error::internal("reading another part's answer", &error)
}

/// What became of a read of the catalogue and the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CatalogueKept {
    /// It says what the one before said.
    Same,
    /// It took the place of the one before.
    Changed,
    /// It would hit too many people, and waits for an operator.
    Waits,
}

impl Identity {
    pub(crate) fn new(transport: Transport) -> Self {
        let access = AccessServiceClient::new(transport.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Self {
            present: Together::new(HowPresent(access.clone())),
            access,
            feed: FeedServiceClient::new(transport).max_decoding_message_size(MAX_MESSAGE_BYTES),
            policies: Arc::default(),
        }
    }

    /// How the user stands now. What is urgent is asked at once, and not together with others.
    pub(crate) async fn present(&self, tenant: &TenantId, user: UserId, urgent: bool) -> Result<Present, Error> {
        if urgent { self.present.ask_alone(tenant, user).await } else { self.present.ask(tenant, user).await }
    }

    /// What the tenant chose.
    pub(crate) async fn policies(&self, tenant: &TenantId) -> Result<Policies, Error> {
        let known = self.policies.lock().get(tenant).copied();
        let ground = self.ground(tenant, known.map_or(0, |(version, _)| version)).await?;
        match (known, ground.policies) {
            (Some((version, policies)), _) if version == ground.version => Ok(policies),
            (_, policies) => {
                let policies = policies.unwrap_or_default();
                self.policies.lock().insert(tenant.clone(), (ground.version, policies));
                Ok(policies)
            }
        }
    }

    /// What is kept of the ground.
    pub(crate) async fn kept(&self, tenant: &TenantId) -> Result<Ground, Error> {
        self.ground(tenant, 0).await
    }

    async fn ground(&self, tenant: &TenantId, known_version: u64) -> Result<Ground, Error> {
        let request = identity::GetGroundRequest { tenant: tenant.to_string(), known_version };
        Ok(convert::ground(self.access.clone().get_ground(request).await?.into_inner()))
    }

    /// Keeps a complete read of the catalogue and the rules.
    pub(crate) async fn put_catalogue(
        &self,
        tenant: &TenantId,
        fence: u64,
        wanted_seen: u64,
        catalogue: CatalogueCopy,
        rules: RulesRead,
    ) -> Result<CatalogueKept, Error> {
        let (catalogue, rules) = (Some(convert::catalogue_out(catalogue)), Some(convert::rules_out(rules)));
        let request =
            identity::PutCatalogueRequest { tenant: tenant.to_string(), fence, wanted_seen, catalogue, rules };
        let identity::PutCatalogueResponse { changed, position: _, waits } =
            self.access.clone().put_catalogue(request).await?.into_inner();
        Ok(if waits {
            CatalogueKept::Waits
        } else if changed {
            CatalogueKept::Changed
        } else {
            CatalogueKept::Same
        })
    }

    /// Tells what became of users.
    pub(crate) async fn report(&self, request: identity::ReportOutcomesRequest) -> Result<(), Error> {
        let identity::ReportOutcomesResponse {} = self.access.clone().report_outcomes(request).await?.into_inner();
        Ok(())
    }

    /// The heartbeat.
    pub(crate) async fn watch(&self) -> Result<impl Stream<Item = Result<Heads, Error>> + use<>, Error> {
        let answers = self.feed.clone().watch_heads(identity::WatchHeadsRequest {}).await?.into_inner();
        Ok(answers.map(|answer| {
            let identity::WatchHeadsResponse { epoch, heads, complete } = answer?;
            let tenants = heads.into_iter().map(convert::head).collect::<Result<_, _>>().map_err(nonsense)?;
            Ok(Heads { epoch: convert::epoch(&epoch).map_err(nonsense)?, tenants, complete })
        }))
    }

    /// The feed after a position; `taking_away`: of it, what can take access away.
    pub(crate) async fn read_feed(
        &self,
        tenant: &TenantId,
        after: Position,
        limit: u32,
        taking_away: bool,
    ) -> Result<FeedPage, Error> {
        let after = Some(convert::position_out(after));
        let request = identity::ReadFeedRequest { tenant: tenant.to_string(), after, limit, taking_away };
        let answer = self.feed.clone().read_feed(request).await?.into_inner();
        convert::feed_page(answer).map_err(nonsense)
    }

    /// The users whose effective set an entry may change, in portions.
    pub(crate) async fn affected(
        &self,
        tenant: &TenantId,
        position: Position,
    ) -> Result<impl Stream<Item = Result<Vec<Subject>, Error>> + use<>, Error> {
        let position = Some(convert::position_out(position));
        let request = identity::ListAffectedUsersRequest { tenant: tenant.to_string(), position };
        let answers = self.feed.clone().list_affected_users(request).await?.into_inner();
        Ok(answers.map_err(Error::from).map(|answer| {
            let identity::ListAffectedUsersResponse { users } = answer?;
            convert::subjects(users).map_err(nonsense)
        }))
    }

    /// All users, in portions, each with the position the list was begun at.
    pub(crate) async fn everyone(
        &self,
        tenant: &TenantId,
    ) -> Result<impl Stream<Item = Result<(Position, Vec<Subject>), Error>> + use<>, Error> {
        let request = identity::ListAllUsersRequest { tenant: tenant.to_string() };
        let answers = self.feed.clone().list_all_users(request).await?.into_inner();
        Ok(answers.map_err(Error::from).map(|answer| {
            let identity::ListAllUsersResponse { position, users } = answer?;
            let position = convert::position(position).map_err(nonsense)?;
            Ok((position, convert::subjects(users).map_err(nonsense)?))
        }))
    }
}

impl Resolver {
    pub(crate) fn new(transport: Transport) -> Self {
        Self {
            effective: Together::new(HowEffective(
                RoleServiceClient::new(transport.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES),
            )),
            labels: LabelServiceClient::new(transport).max_decoding_message_size(MAX_MESSAGE_BYTES),
        }
    }

    /// What labels give together, whoever holds them; those that give nothing are passed over.
    pub(crate) async fn given_by(&self, tenant: &TenantId, labels: &[String]) -> Result<Roles, Error> {
        let mut given = Roles::default();
        for labels in labels.chunks(LABELS) {
            let request =
                roles::MatchLabelsRequest { tenant: tenant.to_string(), labels: labels.to_vec(), with_grants: true };
            let answer = self.labels.clone().match_labels(request).await?.into_inner();
            convert::add_given(&mut given, answer).map_err(nonsense)?;
        }
        Ok(given)
    }

    /// The user's effective set as of now; `None` if there is no such user. "As of now" is later than whatever made the
    /// account due. What is urgent is asked at once, and not together with others.
    pub(crate) async fn effective(
        &self,
        tenant: &TenantId,
        user: UserId,
        urgent: bool,
    ) -> Result<Option<Effective>, Error> {
        if urgent { self.effective.ask_alone(tenant, user).await } else { self.effective.ask(tenant, user).await }
    }
}

/// How users stand in identity-store.
#[derive(Clone, Debug)]
struct HowPresent(AccessServiceClient<Transport>);

impl Question for HowPresent {
    type Answer = Present;

    async fn ask(&self, tenant: &TenantId, users: &[UserId]) -> Result<Vec<Present>, Error> {
        let key = |user: &UserId| identity::UserKey { key: Some(identity::user_key::Key::Id(user.to_string())) };
        let request = identity::GetHoldingsRequest {
            tenant: tenant.to_string(),
            users: users.iter().map(key).collect(),
            with_documents: true,
            with_held_back: true,
            ..identity::GetHoldingsRequest::default()
        };
        let answer = self.0.clone().get_holdings(request).await?.into_inner();
        convert::presents(answer, users).map_err(nonsense)
    }
}

/// What users may do.
#[derive(Clone, Debug)]
struct HowEffective(RoleServiceClient<Transport>);

impl Question for HowEffective {
    type Answer = Option<Effective>;

    async fn ask(&self, tenant: &TenantId, users: &[UserId]) -> Result<Vec<Option<Effective>>, Error> {
        let requirement = common::consistency::Requirement::FullyConsistent(true);
        let by_id = |user: &UserId| roles::UserRef { r#ref: Some(roles::user_ref::Ref::Id(user.to_string())) };
        let request = roles::BatchGetEffectiveRolesRequest {
            tenant: tenant.to_string(),
            users: users.iter().map(by_id).collect(),
            consistency: Some(common::Consistency { requirement: Some(requirement) }),
        };
        let answer = self.0.clone().batch_get_effective_roles(request).await?.into_inner();
        convert::effective_sets(answer, users).map_err(nonsense)
    }
}
