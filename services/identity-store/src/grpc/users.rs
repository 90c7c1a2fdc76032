//! `UserService`.

use proto::identity::v1::user_service_server::UserService;
use proto::identity::v1::{
    CreateUserRequest, CreateUserResponse, DeleteUserRequest, DeleteUserResponse, GetUserRequest, GetUserResponse,
    ListUsersRequest, ListUsersResponse, ReplaceUserRequest, ReplaceUserResponse,
};
use tonic::{Request, Response, Status};

use super::{Service, asked};
use crate::convert::{self, Listing};
use crate::model::Page;

#[tonic::async_trait]
impl UserService for Service {
    async fn create_user(&self, request: Request<CreateUserRequest>) -> Result<Response<CreateUserResponse>, Status> {
        let CreateUserRequest { tenant, actor, document } = asked(request)?;
        let tenant = convert::tenant(&tenant)?;
        let made = self.store.create_user(&tenant, convert::actor(actor), document.into()).await?;
        let revision_token = self.seal(&tenant, made.position);
        Ok(Response::new(CreateUserResponse { user: Some(convert::user(made.value)), revision_token }))
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<GetUserResponse>, Status> {
        let GetUserRequest { tenant, id, with_groups } = asked(request)?;
        let tenant = convert::tenant(&tenant)?;
        let read = self.store.get_user(&tenant, &id, with_groups).await?;
        let revision_token = self.seal(&tenant, read.position);
        Ok(Response::new(GetUserResponse { user: Some(convert::user(read.value)), revision_token }))
    }

    async fn list_users(&self, request: Request<ListUsersRequest>) -> Result<Response<ListUsersResponse>, Status> {
        let ListUsersRequest { tenant, filter, start_index, count, with_groups, sort, cursor, base_url } =
            asked(request)?;
        let tenant = convert::tenant(&tenant)?;
        let listing = Listing { kind: "Users", tenant: &tenant, key: &self.cursor_key, now: self.store.now() };
        let wanted = listing.request(filter, start_index, count, sort, cursor.as_deref(), base_url)?;
        let read = self.store.list_users(&tenant, &wanted, with_groups).await?;
        let Page { items, total, next } = read.value;
        Ok(Response::new(ListUsersResponse {
            users: items.into_iter().map(convert::user).collect(),
            total_results: total.unwrap_or_default(),
            total_unknown: total.is_none(),
            next_cursor: next.map(|place| listing.cursor(&wanted, &place)).unwrap_or_default(),
            revision_token: self.seal(&tenant, read.position),
        }))
    }

    async fn replace_user(
        &self,
        request: Request<ReplaceUserRequest>,
    ) -> Result<Response<ReplaceUserResponse>, Status> {
        let ReplaceUserRequest { tenant, actor, id, expected_version, document } = asked(request)?;
        let (tenant, expected) = (convert::tenant(&tenant)?, convert::revision(expected_version));
        let actor = convert::actor(actor);
        let stands = self.store.replace_user(&tenant, actor, &id, expected, document.into()).await?;
        Ok(Response::new(ReplaceUserResponse {
            revision_token: self.seal(&tenant, stands.position),
            changed: stands.changed,
            user: Some(convert::user(stands.value)),
        }))
    }

    async fn delete_user(&self, request: Request<DeleteUserRequest>) -> Result<Response<DeleteUserResponse>, Status> {
        let DeleteUserRequest { tenant, actor, id, expected_version } = asked(request)?;
        let (tenant, expected) = (convert::tenant(&tenant)?, convert::revision(expected_version));
        let gone = self.store.delete_user(&tenant, convert::actor(actor), &id, expected).await?;
        Ok(Response::new(DeleteUserResponse { revision_token: self.seal(&tenant, gone.position) }))
    }
}
