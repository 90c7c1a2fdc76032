//! `UserService`.

use proto::identity::v1::user_service_server::UserService;
use proto::identity::v1::{
    CreateUserRequest, CreateUserResponse, DeleteUserRequest, DeleteUserResponse, GetUserRequest, GetUserResponse,
    ListUsersRequest, ListUsersResponse, ReplaceUserRequest, ReplaceUserResponse,
};
use tonic::{Request, Response, Status};

use super::{Service, asked};
use crate::convert;
use crate::model::{Page, Window};

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
        let ListUsersRequest { tenant, filter, start_index, count, with_groups } = asked(request)?;
        let tenant = convert::tenant(&tenant)?;
        let window = Window { start: start_index, count };
        let read = self.store.list_users(&tenant, &filter, window, with_groups).await?;
        let revision_token = self.seal(&tenant, read.position);
        let Page { items, total } = read.value;
        let users = items.into_iter().map(convert::user).collect();
        Ok(Response::new(ListUsersResponse { users, total_results: total, revision_token }))
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
