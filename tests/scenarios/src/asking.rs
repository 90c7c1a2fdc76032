//! An internal system that asks role-resolver, with a token of its own.

use anyhow::Result;
use harness::Family;
use proto::common::v1::Consistency;
use proto::common::v1::consistency::Requirement;
use proto::roles::v1::role_service_client::RoleServiceClient;
use proto::roles::v1::user_ref::Ref;
use proto::roles::v1::{GetEffectiveRolesRequest, GetEffectiveRolesResponse, UserRef};
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

/// A client of role-resolver with the token of an internal system.
#[derive(Clone, Debug)]
pub struct Resolver {
    /// The generated client.
    pub client: RoleServiceClient<Channel>,
    /// The bearer token it presents.
    pub token: String,
}

impl Resolver {
    /// One that asks where the family's role-resolver is now.
    pub async fn of(family: &Family) -> Result<Self> {
        let channel = Channel::from_shared(format!("http://{}", family.grpc))?.connect().await?;
        Ok(Self { client: RoleServiceClient::new(channel), token: family.reader_token.clone() })
    }

    /// A message with the token.
    pub fn request<T>(&self, message: T) -> Result<Request<T>> {
        let mut request = Request::new(message);
        let value = MetadataValue::try_from(format!("Bearer {}", self.token))?;
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    }

    /// One user's effective set, as fresh as is required.
    pub async fn roles(
        &mut self,
        user: Ref,
        requirement: Option<Requirement>,
    ) -> Result<GetEffectiveRolesResponse, Status> {
        let message = GetEffectiveRolesRequest {
            tenant: String::new(),
            user: Some(UserRef { r#ref: Some(user) }),
            consistency: requirement.map(|requirement| Consistency { requirement: Some(requirement) }),
        };
        let request = self.request(message).map_err(|error| Status::internal(error.to_string()))?;
        self.client.get_effective_roles(request).await.map(Response::into_inner)
    }
}
