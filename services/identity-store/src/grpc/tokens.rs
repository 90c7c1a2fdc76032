//! `TokenService`.

use proto::identity::v1::token_service_server::TokenService;
use proto::identity::v1::{VerifyTokenRequest, VerifyTokenResponse};
use tonic::{Request, Response, Status};

use super::{Service, asked};
use crate::model::VerifiedToken;

#[tonic::async_trait]
impl TokenService for Service {
    async fn verify_token(
        &self,
        request: Request<VerifyTokenRequest>,
    ) -> Result<Response<VerifyTokenResponse>, Status> {
        let VerifyTokenRequest { token } = asked(request)?;
        let VerifiedToken { id, tenant, scopes, expires_at } = self.store.verify_token(&token).await?;
        Ok(Response::new(VerifyTokenResponse {
            token_id: id.to_string(),
            tenant: tenant.to_string(),
            scopes,
            expires_at_us: expires_at.0,
        }))
    }
}
