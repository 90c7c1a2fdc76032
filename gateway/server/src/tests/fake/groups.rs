//! Groups, in memory.

use std::collections::BTreeSet;
use std::pin::Pin;

use futures_util::{Stream, stream};
use proto::identity::v1 as identity;
use proto::identity::v1::group_service_server::GroupService;
use runtime::error::{Error, Reason};
use scim::schema::GROUPS;
use tonic::{Request, Response, Status};

use super::{World, matches, text, token};

type Members = Pin<Box<dyn Stream<Item = Result<identity::ListMembersResponse, Status>> + Send>>;

#[tonic::async_trait]
impl GroupService for World {
    async fn create_group(
        &self,
        request: Request<identity::CreateGroupRequest>,
    ) -> Result<Response<identity::CreateGroupResponse>, Status> {
        let mut state = self.enter("CreateGroup")?;
        let identity::CreateGroupRequest { tenant, document, member_ids, .. } = request.into_inner();
        let name = text(&document, "displayName");
        if state.groups.iter().any(|((t, _), (group, _))| *t == tenant && text(&group.document, "displayName") == name)
        {
            return Err(Error::new(Reason::UNIQUENESS, "another group has this displayName").into());
        }
        let version = state.next();
        let id = uuid::Uuid::now_v7().to_string();
        let members: BTreeSet<_> = member_ids.into_iter().collect();
        let group = identity::Group {
            id: id.clone(),
            document,
            created_at_us: 1_000_000,
            modified_at_us: 1_000_000,
            version,
            member_count: members.len() as u64,
        };
        state.groups.insert((tenant, id), (group.clone(), members));
        Ok(Response::new(identity::CreateGroupResponse { group: Some(group), revision_token: token(version) }))
    }

    async fn get_group(
        &self,
        request: Request<identity::GetGroupRequest>,
    ) -> Result<Response<identity::GetGroupResponse>, Status> {
        let state = self.enter("GetGroup")?;
        let identity::GetGroupRequest { tenant, id } = request.into_inner();
        let group = state.groups.get(&(tenant, id)).map(|(group, _)| group.clone());
        let group = group.ok_or_else(|| Error::new(Reason::GROUP_NOT_FOUND, "no"))?;
        Ok(Response::new(identity::GetGroupResponse { group: Some(group), revision_token: token(state.revision) }))
    }

    async fn list_groups(
        &self,
        request: Request<identity::ListGroupsRequest>,
    ) -> Result<Response<identity::ListGroupsResponse>, Status> {
        let state = self.enter("ListGroups")?;
        let identity::ListGroupsRequest { tenant, filter, start_index, count, .. } = request.into_inner();
        let all: Vec<_> = state
            .groups
            .iter()
            .filter(|((t, id), (group, _))| *t == tenant && matches(&GROUPS, &filter, id, &group.document))
            .map(|(_, (group, _))| group.clone())
            .collect();
        let total_results = all.len() as u64;
        let groups = all.into_iter().skip(start_index as usize - 1).take(count as usize).collect();
        let revision_token = token(state.revision);
        Ok(Response::new(identity::ListGroupsResponse { groups, total_results, revision_token, ..Default::default() }))
    }

    async fn update_group(
        &self,
        request: Request<identity::UpdateGroupRequest>,
    ) -> Result<Response<identity::UpdateGroupResponse>, Status> {
        let mut state = self.enter("UpdateGroup")?;
        let request = request.into_inner();
        if request.expected_version != 0 {
            state.race()?;
        }
        let version = state.next();
        let (group, members) = state
            .groups
            .get_mut(&(request.tenant, request.id))
            .ok_or_else(|| Error::new(Reason::GROUP_NOT_FOUND, "no"))?;
        if let Some(document) = request.document {
            assert_eq!(group.version, request.expected_version, "a document is replaced at a known version");
            group.document = document;
        }
        if request.replace_members {
            members.clear();
        }
        members.retain(|id| !request.remove_member_ids.contains(id));
        members.extend(request.add_member_ids);
        group.member_count = members.len() as u64;
        group.version = version;
        let group = Some(group.clone());
        Ok(Response::new(identity::UpdateGroupResponse { group, revision_token: token(version), changed: true }))
    }

    async fn delete_group(
        &self,
        request: Request<identity::DeleteGroupRequest>,
    ) -> Result<Response<identity::DeleteGroupResponse>, Status> {
        let mut state = self.enter("DeleteGroup")?;
        let identity::DeleteGroupRequest { tenant, id, expected_version, .. } = request.into_inner();
        if expected_version != 0 {
            state.race()?;
        }
        state.groups.remove(&(tenant, id)).ok_or_else(|| Error::new(Reason::GROUP_NOT_FOUND, "no"))?;
        let revision_token = token(state.next());
        Ok(Response::new(identity::DeleteGroupResponse { revision_token }))
    }

    type ListMembersStream = Members;

    async fn list_members(&self, request: Request<identity::ListMembersRequest>) -> Result<Response<Members>, Status> {
        let state = self.enter("ListMembers")?;
        let identity::ListMembersRequest { tenant, id, .. } = request.into_inner();
        let members = state.groups.get(&(tenant, id)).map(|(_, members)| members.clone());
        let members = members.ok_or_else(|| Error::new(Reason::GROUP_NOT_FOUND, "no"))?;
        let one = |id| identity::Member { id, is_group: false };
        let parts: Vec<_> =
            members.into_iter().map(|id| Ok(identity::ListMembersResponse { members: vec![one(id)] })).collect();
        Ok(Response::new(Box::pin(stream::iter(parts))))
    }
}
