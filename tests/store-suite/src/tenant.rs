//! A tenant of a behaviour's own, with the calls of the contract in the shape that behaviours need them.

use std::collections::BTreeMap;

use proto::admin::v1::admin_service_client::AdminServiceClient;
use proto::admin::v1::preview_ground_request::Change;
use proto::admin::v1::release_held_back_request::Which;
use proto::admin::v1::{
    ConfirmGroundRequest, CreateTenantRequest, DismissGroundRequest, Extension, GetRulesRequest, GetRulesResponse,
    GetSettingsRequest, HeldBack, ListHeldBackRequest, ListPendingGroundsRequest, PreviewGroundRequest,
    PutExtensionRequest, PutRulesRequest, PutSettingsRequest, ReleaseHeldBackRequest, ReleaseHeldBackResponse,
    RemoveExtensionRequest, RemoveRulesRequest, UserDifference,
};
use proto::common::v1::{Actor, Position, Settings};
use proto::identity::v1::access_service_client::AccessServiceClient;
use proto::identity::v1::feed_service_client::FeedServiceClient;
use proto::identity::v1::group_service_client::GroupServiceClient;
use proto::identity::v1::token_service_client::TokenServiceClient;
use proto::identity::v1::user_service_client::UserServiceClient;
use proto::identity::v1::{
    Catalogue, CreateGroupRequest, CreateGroupResponse, CreateUserRequest, CreateUserResponse, DeleteGroupRequest,
    DeleteGroupResponse, DeleteUserRequest, DeleteUserResponse, FeedEntry, GetGroundRequest, GetGroundResponse,
    GetGroupRequest, GetHoldingsRequest, GetHoldingsResponse, GetUserRequest, Group, Head, Holding, KeptSet,
    ListAffectedUsersRequest, ListAllUsersRequest, ListAllUsersResponse, ListGroupsRequest, ListGroupsResponse,
    ListMembersRequest, ListUsersRequest, ListUsersResponse, Outcome, Place, PutCatalogueRequest, PutCatalogueResponse,
    ReadFeedRequest, ReadFeedResponse, ReplaceUserRequest, ReplaceUserResponse, ReportOutcomesRequest, RulesRead,
    UpdateGroupRequest, UpdateGroupResponse, User, UserKey, UserOutcome, WatchHeadsRequest, WatchHeadsResponse,
    rules_read, user_key,
};
use runtime::error::Error;
use runtime::grpc::{MAX_MESSAGE_BYTES, Transport};
use serde_json::Value;
use tokio_stream::StreamExt as _;
use tonic::{Response, Status, Streaming};

use crate::Backend;
use crate::documents::Document;

/// A tenant.
#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    pub(crate) name: String,
    transport: Transport,
}

/// What a write that does nothing must leave as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    revision: u64,
    feed_entries: usize,
    audit_entries: u64,
}

fn answered<T>(answer: Result<Response<T>, Status>) -> Result<T, Error> {
    answer.map(Response::into_inner).map_err(Error::from)
}

/// All of a stream.
async fn collected<T>(answer: Result<Response<Streaming<T>>, Status>) -> Result<Vec<T>, Error> {
    let mut stream = answered(answer)?;
    let mut all = Vec::new();
    while let Some(message) = stream.next().await {
        all.push(message.map_err(Error::from)?);
    }
    Ok(all)
}

impl Tenant {
    /// A new tenant with default settings.
    pub(crate) async fn new(backend: &Backend) -> Self {
        let tenant = Self::unmade(backend);
        tenant.make().await.unwrap();
        tenant
    }

    /// The name of a tenant that does not exist.
    pub(crate) fn unmade(backend: &Backend) -> Self {
        Self { name: format!("t-{}", uuid::Uuid::new_v4()), transport: backend.transport.clone() }
    }

    /// The same tenant, called another way.
    pub(crate) fn over(self, transport: Transport) -> Self {
        Self { transport, ..self }
    }

    pub(crate) async fn make(&self) -> Result<(), Error> {
        let settings = Some(Settings::default());
        let request = CreateTenantRequest { tenant: self.name.clone(), settings };
        answered(self.admin().create_tenant(request).await).map(drop)
    }

    pub(crate) fn users(&self) -> UserServiceClient<Transport> {
        UserServiceClient::new(self.transport.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    pub(crate) fn groups(&self) -> GroupServiceClient<Transport> {
        GroupServiceClient::new(self.transport.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    pub(crate) fn access(&self) -> AccessServiceClient<Transport> {
        AccessServiceClient::new(self.transport.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    pub(crate) fn feed(&self) -> FeedServiceClient<Transport> {
        FeedServiceClient::new(self.transport.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    pub(crate) fn tokens(&self) -> TokenServiceClient<Transport> {
        TokenServiceClient::new(self.transport.clone())
    }

    pub(crate) fn admin(&self) -> AdminServiceClient<Transport> {
        AdminServiceClient::new(self.transport.clone())
    }

    fn actor() -> Actor {
        Actor { token_id: String::new(), request_id: "store-suite".to_owned() }
    }

    // Users.

    pub(crate) async fn add_user(&self, document: &Document) -> Result<CreateUserResponse, Error> {
        let request =
            CreateUserRequest { tenant: self.name.clone(), actor: Some(Self::actor()), document: document.bytes() };
        answered(self.users().create_user(request).await)
    }

    /// A new user's id.
    pub(crate) async fn user(&self, document: &Document) -> String {
        self.add_user(document).await.unwrap().user.unwrap().id
    }

    pub(crate) async fn get_user(&self, id: &str) -> Result<User, Error> {
        self.read_user(id, false).await
    }

    /// The groups a user is in, as (id, name, whether directly).
    pub(crate) async fn groups_of(&self, id: &str) -> Vec<(String, String, bool)> {
        let groups = self.read_user(id, true).await.unwrap().groups;
        groups.into_iter().map(|group| (group.id, group.display_name, group.direct)).collect()
    }

    async fn read_user(&self, id: &str, with_groups: bool) -> Result<User, Error> {
        let request = GetUserRequest { tenant: self.name.clone(), id: id.to_owned(), with_groups };
        Ok(answered(self.users().get_user(request).await)?.user.unwrap())
    }

    pub(crate) async fn replace_user(
        &self,
        id: &str,
        expected_version: u64,
        document: &Document,
    ) -> Result<ReplaceUserResponse, Error> {
        let request = ReplaceUserRequest {
            tenant: self.name.clone(),
            actor: Some(Self::actor()),
            id: id.to_owned(),
            expected_version,
            document: document.bytes(),
        };
        answered(self.users().replace_user(request).await)
    }

    pub(crate) async fn delete_user(&self, id: &str, expected_version: u64) -> Result<DeleteUserResponse, Error> {
        let request = DeleteUserRequest {
            tenant: self.name.clone(),
            actor: Some(Self::actor()),
            id: id.to_owned(),
            expected_version,
        };
        answered(self.users().delete_user(request).await)
    }

    pub(crate) async fn list_users(&self, filter: &str, start: u32, count: u32) -> Result<ListUsersResponse, Error> {
        let request = ListUsersRequest {
            tenant: self.name.clone(),
            filter: filter.to_owned(),
            start_index: start,
            count,
            with_groups: true,
            ..Default::default()
        };
        answered(self.users().list_users(request).await)
    }

    // Groups.

    pub(crate) async fn add_group(
        &self,
        document: &Document,
        member_ids: &[String],
    ) -> Result<CreateGroupResponse, Error> {
        let request = CreateGroupRequest {
            tenant: self.name.clone(),
            actor: Some(Self::actor()),
            document: document.bytes(),
            member_ids: member_ids.to_vec(),
            adds_unmatched: false,
        };
        answered(self.groups().create_group(request).await)
    }

    /// A new group's id.
    pub(crate) async fn group(&self, document: &Document, member_ids: &[String]) -> String {
        self.add_group(document, member_ids).await.unwrap().group.unwrap().id
    }

    pub(crate) async fn get_group(&self, id: &str) -> Result<Group, Error> {
        let request = GetGroupRequest { tenant: self.name.clone(), id: id.to_owned() };
        Ok(answered(self.groups().get_group(request).await)?.group.unwrap())
    }

    /// Changes a group; `request` says how, without tenant, actor and id.
    pub(crate) async fn update_group(
        &self,
        id: &str,
        request: UpdateGroupRequest,
    ) -> Result<UpdateGroupResponse, Error> {
        let request =
            UpdateGroupRequest { tenant: self.name.clone(), actor: Some(Self::actor()), id: id.to_owned(), ..request };
        answered(self.groups().update_group(request).await)
    }

    pub(crate) async fn add_members(&self, id: &str, members: &[String]) -> Result<UpdateGroupResponse, Error> {
        self.update_group(id, UpdateGroupRequest { add_member_ids: members.to_vec(), ..Default::default() }).await
    }

    pub(crate) async fn remove_members(&self, id: &str, members: &[String]) -> Result<UpdateGroupResponse, Error> {
        self.update_group(id, UpdateGroupRequest { remove_member_ids: members.to_vec(), ..Default::default() }).await
    }

    pub(crate) async fn put_group(&self, id: &str, document: &Document) -> Result<UpdateGroupResponse, Error> {
        self.update_group(id, UpdateGroupRequest { document: Some(document.bytes()), ..Default::default() }).await
    }

    pub(crate) async fn delete_group(&self, id: &str) -> Result<DeleteGroupResponse, Error> {
        let request = DeleteGroupRequest {
            tenant: self.name.clone(),
            actor: Some(Self::actor()),
            id: id.to_owned(),
            expected_version: 0,
        };
        answered(self.groups().delete_group(request).await)
    }

    pub(crate) async fn list_groups(&self, filter: &str) -> Result<ListGroupsResponse, Error> {
        let request = ListGroupsRequest {
            tenant: self.name.clone(),
            filter: filter.to_owned(),
            start_index: 1,
            count: 100,
            ..Default::default()
        };
        answered(self.groups().list_groups(request).await)
    }

    /// The direct members' ids, in the order answered.
    pub(crate) async fn members_after(&self, id: &str, after_id: &str) -> Result<Vec<String>, Error> {
        let request =
            ListMembersRequest { tenant: self.name.clone(), id: id.to_owned(), after_id: after_id.to_owned() };
        let messages = collected(self.groups().list_members(request).await).await?;
        assert!(messages.iter().all(|message| message.members.len() <= 5_000));
        Ok(messages.into_iter().flat_map(|message| message.members).map(|member| member.id).collect())
    }

    pub(crate) async fn members(&self, id: &str) -> Vec<String> {
        self.members_after(id, "").await.unwrap()
    }

    // Access.

    pub(crate) async fn holdings(&self, users: Vec<user_key::Key>) -> Result<GetHoldingsResponse, Error> {
        let users = users.into_iter().map(|key| UserKey { key: Some(key) }).collect();
        let request =
            GetHoldingsRequest { tenant: self.name.clone(), users, with_held_back: true, ..Default::default() };
        answered(self.access().get_holdings(request).await)
    }

    /// What is told of users by one who keeps sets of them.
    pub(crate) async fn holdings_beside(
        &self,
        users: &[user_key::Key],
        kept: Vec<KeptSet>,
    ) -> Result<GetHoldingsResponse, Error> {
        let users = users.iter().map(|key| UserKey { key: Some(key.clone()) }).collect();
        let request = GetHoldingsRequest { tenant: self.name.clone(), users, kept, ..Default::default() };
        answered(self.access().get_holdings(request).await)
    }

    pub(crate) async fn holding(&self, id: &str) -> Holding {
        let answer = self.holdings(vec![user_key::Key::Id(id.to_owned())]).await.unwrap();
        answer.holdings.into_iter().next().unwrap()
    }

    /// The labels a user holds, in order.
    pub(crate) async fn labels(&self, id: &str) -> Vec<String> {
        let mut labels: Vec<_> = self.holding(id).await.labels.into_iter().map(|held| held.label).collect();
        labels.sort();
        labels
    }

    pub(crate) async fn ground(&self, known_version: u64) -> Result<GetGroundResponse, Error> {
        let request = GetGroundRequest { tenant: self.name.clone(), known_version };
        answered(self.access().get_ground(request).await)
    }

    pub(crate) async fn put_settings(&self, settings: Settings) -> Result<(), Error> {
        let request = PutSettingsRequest { tenant: self.name.clone(), settings: Some(settings) };
        answered(self.admin().put_settings(request).await).map(drop)
    }

    pub(crate) async fn put_extension(&self, resource_type: &str, schema: &Value) -> Result<String, Error> {
        let extension = Extension { resource_type: resource_type.to_owned(), schema: schema.to_string() };
        let request = PutExtensionRequest { tenant: self.name.clone(), extension: Some(extension) };
        Ok(answered(self.admin().put_extension(request).await)?.urn)
    }

    pub(crate) async fn remove_extension(&self, urn: &str) -> Result<(), Error> {
        let request = RemoveExtensionRequest { tenant: self.name.clone(), urn: urn.to_owned() };
        answered(self.admin().remove_extension(request).await).map(drop)
    }

    pub(crate) async fn extensions(&self) -> Result<Vec<Extension>, Error> {
        let request = GetSettingsRequest { tenant: self.name.clone() };
        Ok(answered(self.admin().get_settings(request).await)?.extensions)
    }

    pub(crate) async fn put_catalogue(
        &self,
        fence: u64,
        wanted_seen: u64,
        roles: &[&str],
    ) -> Result<PutCatalogueResponse, Error> {
        self.put_read(fence, wanted_seen, roles, None).await
    }

    /// A read of the catalogue, and of Fluent's rules with it.
    pub(crate) async fn put_read(
        &self,
        fence: u64,
        wanted_seen: u64,
        roles: &[&str],
        of_rules: Option<rules_read::Read>,
    ) -> Result<PutCatalogueResponse, Error> {
        let catalogue = Catalogue {
            roles: roles.iter().map(ToString::to_string).collect(),
            retailers: vec![Place { id: "1".into(), r#ref: "MAIN".into() }],
            locations: vec![
                Place { id: "77".into(), r#ref: "CHIC-01".into() },
                Place { id: "78".into(), r#ref: String::new() },
            ],
        };
        let request = PutCatalogueRequest {
            tenant: self.name.clone(),
            fence,
            wanted_seen,
            catalogue: Some(catalogue),
            rules: of_rules.map(|read| RulesRead { read: Some(read) }),
        };
        answered(self.access().put_catalogue(request).await)
    }

    /// Puts rules, in their JSON format, into the tenant's own table.
    pub(crate) async fn put_rules(&self, rules: &str) -> Result<(), Error> {
        let request = PutRulesRequest { tenant: self.name.clone(), rules: rules.to_owned() };
        answered(self.admin().put_rules(request).await).map(drop)
    }

    pub(crate) async fn remove_rules(&self) -> Result<(), Error> {
        let request = RemoveRulesRequest { tenant: self.name.clone() };
        answered(self.admin().remove_rules(request).await).map(drop)
    }

    /// The ids of the changes of the ground that wait.
    pub(crate) async fn pending(&self) -> Vec<String> {
        let request = ListPendingGroundsRequest { tenant: self.name.clone() };
        let pending = answered(self.admin().list_pending_grounds(request).await).unwrap().pending;
        pending.into_iter().map(|pending| pending.id).collect()
    }

    /// What a change would do, by userName.
    pub(crate) async fn preview(&self, change: Change) -> Result<BTreeMap<String, UserDifference>, Error> {
        let request = PreviewGroundRequest { tenant: self.name.clone(), change: Some(change) };
        let pages = collected(self.admin().preview_ground(request).await).await?;
        let users = pages.into_iter().flat_map(|page| page.users);
        Ok(users.map(|user| (user.user_name.clone(), user)).collect())
    }

    pub(crate) async fn confirm_ground(&self, id: &str) -> Result<(), Error> {
        let request = ConfirmGroundRequest { tenant: self.name.clone(), id: id.to_owned() };
        answered(self.admin().confirm_ground(request).await).map(drop)
    }

    pub(crate) async fn dismiss_ground(&self, id: &str) -> Result<(), Error> {
        let request = DismissGroundRequest { tenant: self.name.clone(), id: id.to_owned() };
        answered(self.admin().dismiss_ground(request).await).map(drop)
    }

    /// Those who are held back, all pages of them; and how many the tenant says there are.
    pub(crate) async fn held_back(&self) -> (Vec<HeldBack>, u64) {
        let (mut all, mut after_id) = (Vec::<HeldBack>::new(), String::new());
        loop {
            let request = ListHeldBackRequest { tenant: self.name.clone(), after_id };
            let page = answered(self.admin().list_held_back(request).await).unwrap();
            assert_eq!(page.position, Some(self.head().await));
            let Some(last) = page.users.last() else { return (all, page.total) };
            after_id = last.user_id.clone();
            all.extend(page.users);
        }
    }

    pub(crate) async fn release(&self, which: Which) -> Result<ReleaseHeldBackResponse, Error> {
        let request = ReleaseHeldBackRequest { tenant: self.name.clone(), which: Some(which) };
        answered(self.admin().release_held_back(request).await)
    }

    pub(crate) async fn rules(&self) -> Result<GetRulesResponse, Error> {
        answered(self.admin().get_rules(GetRulesRequest { tenant: self.name.clone() }).await)
    }

    pub(crate) async fn report(&self, epoch: &[u8], user_id: &str, outcome: Outcome) -> Result<(), Error> {
        self.report_all(epoch, [(user_id.to_owned(), outcome)]).await
    }

    pub(crate) async fn report_all(
        &self,
        epoch: &[u8],
        outcomes: impl IntoIterator<Item = (String, Outcome)>,
    ) -> Result<(), Error> {
        let outcome = |(user_id, outcome)| UserOutcome { user_id, outcome: Some(outcome) };
        let request = ReportOutcomesRequest {
            tenant: self.name.clone(),
            epoch: epoch.to_vec().into(),
            outcomes: outcomes.into_iter().map(outcome).collect(),
        };
        answered(self.access().report_outcomes(request).await).map(drop)
    }

    // The feed.

    /// Where the tenant stands.
    pub(crate) async fn head(&self) -> Position {
        self.ground(0).await.unwrap().position.unwrap()
    }

    pub(crate) async fn read_feed(&self, after: Position, limit: u32) -> Result<ReadFeedResponse, Error> {
        let request = ReadFeedRequest { tenant: self.name.clone(), after: Some(after), limit, taking_away: false };
        answered(self.feed().read_feed(request).await)
    }

    /// What takes access away after a position, of at most `limit` revisions.
    pub(crate) async fn read_taking_away(&self, after: Position, limit: u32) -> ReadFeedResponse {
        let request = ReadFeedRequest { tenant: self.name.clone(), after: Some(after), limit, taking_away: true };
        answered(self.feed().read_feed(request).await).unwrap()
    }

    /// Every entry after a position, up to the head.
    pub(crate) async fn entries_after(&self, mut after: Position) -> Vec<FeedEntry> {
        let mut all = Vec::new();
        loop {
            let ReadFeedResponse { entries, head, through: _ } = self.read_feed(after.clone(), 0).await.unwrap();
            match entries.last() {
                Some(last) => after.revision = last.revision,
                None => return all,
            }
            all.extend(entries);
            if after == head.unwrap() {
                return all;
            }
        }
    }

    /// Every entry of the tenant's life.
    pub(crate) async fn entries(&self) -> Vec<FeedEntry> {
        let beginning = Position { revision: 0, ..self.head().await };
        self.entries_after(beginning).await
    }

    /// The ids of those whose access the entry of `revision` may change, in order.
    pub(crate) async fn affected(&self, revision: u64) -> Vec<String> {
        let position = Some(Position { revision, ..self.head().await });
        let request = ListAffectedUsersRequest { tenant: self.name.clone(), position };
        let messages = collected(self.feed().list_affected_users(request).await).await.unwrap();
        let mut ids: Vec<_> = messages.into_iter().flat_map(|message| message.users).map(|user| user.user_id).collect();
        ids.sort();
        ids
    }

    pub(crate) async fn all_users(&self) -> Vec<ListAllUsersResponse> {
        let request = ListAllUsersRequest { tenant: self.name.clone() };
        collected(self.feed().list_all_users(request).await).await.unwrap()
    }

    /// Watches the heads until this tenant's is as wanted, and answers it.
    pub(crate) async fn watched_head(&self, mut wanted: impl FnMut(&Head) -> bool) -> Head {
        let mut stream = self.feed().watch_heads(WatchHeadsRequest {}).await.unwrap().into_inner();
        let mut first = true;
        loop {
            let WatchHeadsResponse { epoch, heads, complete } = stream.message().await.unwrap().unwrap();
            assert_eq!(epoch.len(), 16);
            assert!(complete || !first, "the first message has all heads");
            first = false;
            if let Some(head) = heads.into_iter().find(|head| head.tenant == self.name)
                && wanted(&head)
            {
                return head;
            }
        }
    }

    /// What is to be the same before and after.
    pub(crate) async fn trace(&self, backend: &Backend) -> Trace {
        Trace {
            revision: self.head().await.revision,
            feed_entries: self.entries().await.len(),
            audit_entries: backend.insider.audit_entries(&self.name).await,
        }
    }
}

/// The ids in order, to compare with an answer in order.
pub(crate) fn sorted(ids: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut ids: Vec<_> = ids.into_iter().collect();
    ids.sort();
    ids
}
