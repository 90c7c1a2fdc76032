//! The other parts, as this one calls them: identity-store for everything stored, role-resolver for what labels give.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proto::admin::v1::GetSettingsRequest;
use proto::admin::v1::admin_service_client::AdminServiceClient;
use proto::identity::v1::access_service_client::AccessServiceClient;
use proto::identity::v1::group_service_client::GroupServiceClient;
use proto::identity::v1::token_service_client::TokenServiceClient;
use proto::identity::v1::user_service_client::UserServiceClient;
use proto::identity::v1::user_service_server::UserService;
use proto::identity::v1::{
    AwaitCatalogueRequest, CreateGroupRequest, CreateUserRequest, DeleteGroupRequest, DeleteUserRequest,
    GetGroupRequest, GetUserRequest, IssueAccessTokenRequest, ListGroupsRequest, ListGroupsResponse,
    ListMembersRequest, ListUsersRequest, ListUsersResponse, ReplaceUserRequest, UpdateGroupRequest,
    VerifyTokenRequest,
};
use proto::roles::v1::label_service_client::LabelServiceClient;
use proto::roles::v1::{ListLabelsRequest, ListLabelsResponse, MatchLabelsRequest};
use runtime::error::Error;
use runtime::grpc::{MAX_MESSAGE_BYTES, Transport};
use scim::list::Start;
use tonic::Request;

use crate::caller::Caller;
use crate::convert::{self, Credential, Group, IssuedAccess, Member, OfferedLabel, User};
use crate::guardrail::{Label, Unmatched};
use crate::tenant::Tenant;

/// How many labels one question to role-resolver may hold.
const LABELS_AT_ONCE: usize = 1_000;

/// What an answer about one resource holds beside it: the token that proves its freshness.
pub(crate) type Fresh<T> = (T, String);

/// One page of resources.
#[derive(Debug)]
pub(crate) struct Page<T> {
    /// The resources of the page.
    pub(crate) items: Vec<T>,
    /// How many match in all, where that is known.
    pub(crate) total: Option<u64>,
    /// The cursor of the next page, if the list is read by cursor and there is one.
    pub(crate) next_cursor: Option<String>,
}

impl<T> Page<T> {
    fn of(items: Vec<T>, total: u64, total_unknown: bool, next_cursor: String) -> Self {
        let next_cursor = Some(next_cursor).filter(|cursor| !cursor.is_empty());
        Self { items, total: (!total_unknown).then_some(total), next_cursor }
    }
}

/// Which page of which resources, in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    /// A filter in its canonical print; empty for all.
    pub(crate) filter: String,
    /// The attribute to sort by, and whether downwards.
    pub(crate) sort: Option<(String, bool)>,
    /// Where the page begins.
    pub(crate) start: Start,
    /// The most results wanted.
    pub(crate) count: u32,
    /// The base URL of the locations that a filter may name.
    pub(crate) base_url: String,
}

/// A change of a group.
#[derive(Clone, Debug, Default)]
pub(crate) struct GroupChange {
    /// The new document, if it changes.
    pub(crate) document: Option<Bytes>,
    /// Takes away every member that is not in `add`.
    pub(crate) replace_members: bool,
    /// Members to add.
    pub(crate) add: Vec<String>,
    /// Members to remove.
    pub(crate) remove: Vec<String>,
    /// Whether labels it adds give nothing.
    pub(crate) adds_unmatched: bool,
    /// Whether it is refused, with `LABEL_UNMATCHED`, unless it takes a label or a member away.
    pub(crate) only_if_it_takes_away: bool,
}

/// Clients of the parts. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Upstream {
    users: Arc<dyn UserService>,
    groups: GroupServiceClient<Transport>,
    access: AccessServiceClient<Transport>,
    tokens: TokenServiceClient<Transport>,
    admin: AdminServiceClient<Transport>,
    labels: LabelServiceClient<Transport>,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upstream(…)")
    }
}

macro_rules! client {
    ($client:ident, $transport:expr) => {
        $client::new($transport)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    };
}

impl Upstream {
    pub(crate) fn new(identity: &Transport, roles: &Transport) -> Self {
        Self {
            // Named, or the compiler would look for the client here.
            users: identity
                .here::<dyn UserService>()
                .unwrap_or_else(|| Arc::new(client!(UserServiceClient, identity.clone()))),
            groups: client!(GroupServiceClient, identity.clone()),
            access: client!(AccessServiceClient, identity.clone()),
            tokens: client!(TokenServiceClient, identity.clone()),
            admin: client!(AdminServiceClient, identity.clone()),
            labels: client!(LabelServiceClient, roles.clone()),
        }
    }

    pub(crate) async fn verify_token(&self, token: String) -> Result<Credential, Error> {
        let answer = self.tokens.clone().verify_token(VerifyTokenRequest { token }).await?;
        convert::credential(answer.into_inner())
    }

    pub(crate) async fn tenant(&self, tenant: String) -> Result<Tenant, Error> {
        let answer = self.admin.clone().get_settings(GetSettingsRequest { tenant }).await?;
        Ok(convert::tenant(answer.into_inner()))
    }

    /// Makes an access token for the holder of a token.
    pub(crate) async fn issue_access_token(
        &self,
        token: String,
        scopes: Vec<String>,
        lifetime: Duration,
    ) -> Result<IssuedAccess, Error> {
        let lifetime_seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
        let request = IssueAccessTokenRequest { token, scopes, lifetime_seconds };
        Ok(convert::access_token(self.tokens.clone().issue_access_token(request).await?.into_inner()))
    }

    /// The labels among these that would give nothing.
    pub(crate) async fn match_labels(
        &self,
        caller: &Caller,
        labels: &[Label],
    ) -> Result<Vec<(Label, Unmatched)>, Error> {
        let mut unmatched = Vec::new();
        for chunk in labels.chunks(LABELS_AT_ONCE) {
            let labels = chunk.iter().map(|label| label.as_str().to_owned()).collect();
            let request = MatchLabelsRequest { tenant: caller.tenant.to_string(), labels, with_grants: false };
            let answer = self.labels.clone().match_labels(request).await?;
            unmatched.extend(answer.into_inner().unmatched.into_iter().map(convert::unmatched));
        }
        Ok(unmatched)
    }

    /// A page of the labels to pick from; those of every location only if they are all wanted or the filter says how they
    /// begin.
    pub(crate) async fn list_labels(
        &self,
        caller: &Caller,
        wanted: Selection,
        all_locations: bool,
    ) -> Result<Fresh<Page<OfferedLabel>>, Error> {
        let Selection { filter, sort, start, count, base_url } = wanted;
        let (start_index, cursor) = convert::start(start);
        let (sort_by, descending) = sort.unwrap_or_default();
        let tenant = caller.tenant.to_string();
        let request = ListLabelsRequest {
            tenant,
            filter,
            sort_by,
            descending,
            start_index,
            count,
            cursor,
            base_url,
            all_locations,
        };
        let answer = self.labels.clone().list_labels(request).await?.into_inner();
        let ListLabelsResponse { labels, total_results, next_cursor, revision_token } = answer;
        let items = labels.into_iter().map(convert::offered_label).collect();
        Ok((Page::of(items, total_results, false, next_cursor), revision_token))
    }

    /// Returns once a read of the catalogue that began after this call is stored; fails if none is within `wait`.
    pub(crate) async fn await_catalogue(&self, caller: &Caller, wait: Duration) -> Result<(), Error> {
        let mut request = Request::new(AwaitCatalogueRequest { tenant: caller.tenant.to_string() });
        request.set_timeout(wait);
        self.access.clone().await_catalogue(request).await?;
        Ok(())
    }

    pub(crate) async fn create_user(&self, caller: &Caller, document: Bytes) -> Result<Fresh<User>, Error> {
        let (tenant, actor) = (caller.tenant.to_string(), Some(convert::actor(caller)));
        let answer =
            self.users.create_user(Request::new(CreateUserRequest { tenant, actor, document })).await?.into_inner();
        Ok((convert::user(answer.user)?, answer.revision_token))
    }

    pub(crate) async fn get_user(&self, caller: &Caller, id: &str, with_groups: bool) -> Result<Fresh<User>, Error> {
        let request = GetUserRequest { tenant: caller.tenant.to_string(), id: id.to_owned(), with_groups };
        let answer = self.users.get_user(Request::new(request)).await?.into_inner();
        Ok((convert::user(answer.user)?, answer.revision_token))
    }

    pub(crate) async fn list_users(
        &self,
        caller: &Caller,
        wanted: Selection,
        with_groups: bool,
    ) -> Result<Fresh<Page<User>>, Error> {
        let Selection { filter, sort, start, count, base_url } = wanted;
        let (start_index, cursor) = convert::start(start);
        let (tenant, sort) = (caller.tenant.to_string(), sort.map(convert::sort));
        let request = ListUsersRequest { tenant, filter, start_index, count, with_groups, sort, cursor, base_url };
        let answer = self.users.list_users(Request::new(request)).await?.into_inner();
        let ListUsersResponse { users, total_results, revision_token, next_cursor, total_unknown } = answer;
        let items = users.into_iter().map(|user| convert::user(Some(user))).collect::<Result<_, _>>()?;
        Ok((Page::of(items, total_results, total_unknown, next_cursor), revision_token))
    }

    pub(crate) async fn replace_user(
        &self,
        caller: &Caller,
        id: &str,
        expected_version: u64,
        document: Bytes,
    ) -> Result<Fresh<User>, Error> {
        let (tenant, actor) = (caller.tenant.to_string(), Some(convert::actor(caller)));
        let request = ReplaceUserRequest { tenant, actor, id: id.to_owned(), expected_version, document };
        let answer = self.users.replace_user(Request::new(request)).await?.into_inner();
        Ok((convert::user(answer.user)?, answer.revision_token))
    }

    pub(crate) async fn delete_user(&self, caller: &Caller, id: &str, expected_version: u64) -> Result<String, Error> {
        let (tenant, actor) = (caller.tenant.to_string(), Some(convert::actor(caller)));
        let request = DeleteUserRequest { tenant, actor, id: id.to_owned(), expected_version };
        Ok(self.users.delete_user(Request::new(request)).await?.into_inner().revision_token)
    }

    pub(crate) async fn create_group(
        &self,
        caller: &Caller,
        document: Bytes,
        member_ids: Vec<String>,
        adds_unmatched: bool,
    ) -> Result<Fresh<Group>, Error> {
        let (tenant, actor) = (caller.tenant.to_string(), Some(convert::actor(caller)));
        let request = CreateGroupRequest { tenant, actor, document, member_ids, adds_unmatched };
        let answer = self.groups.clone().create_group(request).await?.into_inner();
        Ok((convert::group(answer.group)?, answer.revision_token))
    }

    pub(crate) async fn get_group(&self, caller: &Caller, id: &str) -> Result<Fresh<Group>, Error> {
        let request = GetGroupRequest { tenant: caller.tenant.to_string(), id: id.to_owned() };
        let answer = self.groups.clone().get_group(request).await?.into_inner();
        Ok((convert::group(answer.group)?, answer.revision_token))
    }

    pub(crate) async fn list_groups(&self, caller: &Caller, wanted: Selection) -> Result<Fresh<Page<Group>>, Error> {
        let Selection { filter, sort, start, count, base_url } = wanted;
        let (start_index, cursor) = convert::start(start);
        let (tenant, sort) = (caller.tenant.to_string(), sort.map(convert::sort));
        let request = ListGroupsRequest { tenant, filter, start_index, count, sort, cursor, base_url };
        let answer = self.groups.clone().list_groups(request).await?.into_inner();
        let ListGroupsResponse { groups, total_results, revision_token, next_cursor, total_unknown } = answer;
        let items = groups.into_iter().map(|group| convert::group(Some(group))).collect::<Result<_, _>>()?;
        Ok((Page::of(items, total_results, total_unknown, next_cursor), revision_token))
    }

    pub(crate) async fn update_group(
        &self,
        caller: &Caller,
        id: &str,
        expected_version: u64,
        change: GroupChange,
    ) -> Result<Fresh<Group>, Error> {
        let GroupChange { document, replace_members, add, remove, adds_unmatched, only_if_it_takes_away } = change;
        let request = UpdateGroupRequest {
            tenant: caller.tenant.to_string(),
            actor: Some(convert::actor(caller)),
            id: id.to_owned(),
            expected_version,
            document,
            replace_members,
            add_member_ids: add,
            remove_member_ids: remove,
            adds_unmatched,
            only_if_it_takes_away,
        };
        let answer = self.groups.clone().update_group(request).await?.into_inner();
        Ok((convert::group(answer.group)?, answer.revision_token))
    }

    pub(crate) async fn delete_group(&self, caller: &Caller, id: &str, expected_version: u64) -> Result<String, Error> {
        let (tenant, actor) = (caller.tenant.to_string(), Some(convert::actor(caller)));
        let request = DeleteGroupRequest { tenant, actor, id: id.to_owned(), expected_version };
        Ok(self.groups.clone().delete_group(request).await?.into_inner().revision_token)
    }

    /// All direct members of a group, in order of id.
    pub(crate) async fn members(&self, caller: &Caller, id: &str) -> Result<Vec<Member>, Error> {
        let request =
            ListMembersRequest { tenant: caller.tenant.to_string(), id: id.to_owned(), after_id: String::new() };
        let mut stream = self.groups.clone().list_members(request).await?.into_inner();
        let mut members = Vec::new();
        while let Some(part) = stream.message().await? {
            members.extend(part.members.into_iter().map(convert::member));
        }
        Ok(members)
    }
}
