//! `GroupService`.

use proto::identity::v1::group_service_server::GroupService;
use proto::identity::v1::{
    CreateGroupRequest, CreateGroupResponse, DeleteGroupRequest, DeleteGroupResponse, GetGroupRequest,
    GetGroupResponse, ListGroupsRequest, ListGroupsResponse, ListMembersRequest, ListMembersResponse,
    UpdateGroupRequest, UpdateGroupResponse,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{Service, asked};
use crate::convert::{self, Listing};
use crate::model::Page;

#[tonic::async_trait]
impl GroupService for Service {
    type ListMembersStream = ReceiverStream<Result<ListMembersResponse, Status>>;

    async fn create_group(
        &self,
        request: Request<CreateGroupRequest>,
    ) -> Result<Response<CreateGroupResponse>, Status> {
        let CreateGroupRequest { tenant, actor, document, member_ids, adds_unmatched } = asked(request)?;
        let tenant = convert::tenant(&tenant)?;
        let (actor, document) = (convert::actor(actor), document.into());
        let made = self.store.create_group(&tenant, actor, document, &member_ids, adds_unmatched).await?;
        let revision_token = self.seal(&tenant, made.position);
        Ok(Response::new(CreateGroupResponse { group: Some(convert::group(made.value)), revision_token }))
    }

    async fn get_group(&self, request: Request<GetGroupRequest>) -> Result<Response<GetGroupResponse>, Status> {
        let GetGroupRequest { tenant, id } = asked(request)?;
        let tenant = convert::tenant(&tenant)?;
        let read = self.store.get_group(&tenant, &id).await?;
        let revision_token = self.seal(&tenant, read.position);
        Ok(Response::new(GetGroupResponse { group: Some(convert::group(read.value)), revision_token }))
    }

    async fn list_groups(&self, request: Request<ListGroupsRequest>) -> Result<Response<ListGroupsResponse>, Status> {
        let ListGroupsRequest { tenant, filter, start_index, count, sort, cursor, base_url } = asked(request)?;
        let tenant = convert::tenant(&tenant)?;
        let listing = Listing { kind: "Groups", tenant: &tenant, key: &self.cursor_key, now: self.store.now() };
        let wanted = listing.request(filter, start_index, count, sort, cursor.as_deref(), base_url)?;
        let read = self.store.list_groups(&tenant, &wanted).await?;
        let Page { items, total, next } = read.value;
        Ok(Response::new(ListGroupsResponse {
            groups: items.into_iter().map(convert::group).collect(),
            total_results: total.unwrap_or_default(),
            total_unknown: total.is_none(),
            next_cursor: next.map(|place| listing.cursor(&wanted, &place)).unwrap_or_default(),
            revision_token: self.seal(&tenant, read.position),
        }))
    }

    async fn update_group(
        &self,
        request: Request<UpdateGroupRequest>,
    ) -> Result<Response<UpdateGroupResponse>, Status> {
        let (tenant, actor, id, update) = convert::group_update(asked(request)?);
        let tenant = convert::tenant(&tenant)?;
        let stands = self.store.update_group(&tenant, convert::actor(actor), &id, update).await?;
        Ok(Response::new(UpdateGroupResponse {
            revision_token: self.seal(&tenant, stands.position),
            changed: stands.changed,
            group: Some(convert::group(stands.value)),
        }))
    }

    async fn delete_group(
        &self,
        request: Request<DeleteGroupRequest>,
    ) -> Result<Response<DeleteGroupResponse>, Status> {
        let DeleteGroupRequest { tenant, actor, id, expected_version } = asked(request)?;
        let (tenant, expected) = (convert::tenant(&tenant)?, convert::revision(expected_version));
        let gone = self.store.delete_group(&tenant, convert::actor(actor), &id, expected).await?;
        Ok(Response::new(DeleteGroupResponse { revision_token: self.seal(&tenant, gone.position) }))
    }

    async fn list_members(
        &self,
        request: Request<ListMembersRequest>,
    ) -> Result<Response<Self::ListMembersStream>, Status> {
        let ListMembersRequest { tenant, id, after_id } = asked(request)?;
        let tenant = convert::tenant(&tenant)?;
        let mut list = self.store.members_of(&tenant, &id, &after_id).await?;
        let (sender, receiver) = mpsc::channel(2);
        let store = self.store.clone();
        tokio::spawn(async move {
            loop {
                let answer = match store.more_members(&mut list).await {
                    Ok(None) => return,
                    Ok(Some(members)) => {
                        Ok(ListMembersResponse { members: members.iter().map(convert::member).collect() })
                    }
                    Err(failure) => Err(failure.into()),
                };
                let failed = answer.is_err();
                if sender.send(answer).await.is_err() || failed {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}
