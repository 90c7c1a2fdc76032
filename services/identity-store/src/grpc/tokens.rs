//! `TokenService`.

use std::time::Duration;

use proto::identity::v1::token_service_server::TokenService;
use proto::identity::v1::{IssueAccessTokenRequest, IssueAccessTokenResponse, VerifyTokenRequest, VerifyTokenResponse};
use tonic::{Request, Response, Status};

use super::{Service, asked};
use crate::convert;
use crate::model::{IssuedAccessToken, VerifiedToken};

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
            scopes: convert::scope_names(&scopes),
            expires_at_us: expires_at.0,
        }))
    }

    async fn issue_access_token(
        &self,
        request: Request<IssueAccessTokenRequest>,
    ) -> Result<Response<IssueAccessTokenResponse>, Status> {
        let IssueAccessTokenRequest { token, scopes, lifetime_seconds } = asked(request)?;
        let lifetime = Duration::from_secs(lifetime_seconds.into());
        let IssuedAccessToken { token, scopes, expires_at } =
            self.store.issue_access_token(&token, &scopes, lifetime).await?;
        Ok(Response::new(IssueAccessTokenResponse {
            access_token: token.expose(),
            scopes: convert::scope_names(&scopes),
            expires_at_us: expires_at.0,
        }))
    }
}
