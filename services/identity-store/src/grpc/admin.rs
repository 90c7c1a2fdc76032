//! `AdminService`.

use proto::admin::v1::admin_service_server::AdminService;
use proto::admin::v1::preview_ground_request::Change as Previewed;
use proto::admin::v1::{
    ConfirmGroundRequest, ConfirmGroundResponse, CreateTenantRequest, CreateTenantResponse, DismissGroundRequest,
    DismissGroundResponse, Extension, GetRulesRequest, GetRulesResponse, GetSettingsRequest, GetSettingsResponse,
    IssueTokenRequest, IssueTokenResponse, LabelsOfGroup, ListGroupLabelsRequest, ListGroupLabelsResponse,
    ListHeldBackRequest, ListHeldBackResponse, ListPendingGroundsRequest, ListPendingGroundsResponse,
    ListTenantsRequest, ListTenantsResponse, ListTokensRequest, ListTokensResponse, PreviewGroundRequest,
    PreviewGroundResponse, PutExtensionRequest, PutExtensionResponse, PutGroupLabelsRequest, PutGroupLabelsResponse,
    PutRulesRequest, PutRulesResponse, PutSettingsRequest, PutSettingsResponse, ReleaseHeldBackRequest,
    ReleaseHeldBackResponse, RemoveExtensionRequest, RemoveExtensionResponse, RemoveRulesRequest, RemoveRulesResponse,
    RevokeTokenRequest, RevokeTokenResponse,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{Service, asked};
use crate::convert;
use crate::failure::Failure;
use crate::judge;
use crate::model::{IssuedToken, Read, Released};
use crate::store::extensions;

/// Pages made ahead of a slow reader.
const AHEAD: usize = 2;

#[tonic::async_trait]
impl AdminService for Service {
    async fn create_tenant(
        &self,
        request: Request<CreateTenantRequest>,
    ) -> Result<Response<CreateTenantResponse>, Status> {
        let CreateTenantRequest { tenant, settings } = asked(request)?;
        self.store.create_tenant(&convert::new_tenant(&tenant)?, convert::settings(settings)?).await?;
        Ok(Response::new(CreateTenantResponse {}))
    }

    async fn list_tenants(
        &self,
        request: Request<ListTenantsRequest>,
    ) -> Result<Response<ListTenantsResponse>, Status> {
        let ListTenantsRequest {} = asked(request)?;
        let tenants = self.store.list_tenants().await?.iter().map(ToString::to_string).collect();
        Ok(Response::new(ListTenantsResponse { tenants }))
    }

    async fn get_settings(
        &self,
        request: Request<GetSettingsRequest>,
    ) -> Result<Response<GetSettingsResponse>, Status> {
        let GetSettingsRequest { tenant } = asked(request)?;
        let tenant = convert::tenant(&tenant)?;
        let settings = self.store.get_settings(&tenant).await?;
        let extensions = self.store.extensions(&tenant).await?;
        Ok(Response::new(GetSettingsResponse {
            settings: Some(convert::settings_to_proto(settings)),
            extensions: extensions.iter().map(convert::extension).collect(),
        }))
    }

    async fn put_extension(
        &self,
        request: Request<PutExtensionRequest>,
    ) -> Result<Response<PutExtensionResponse>, Status> {
        let PutExtensionRequest { tenant, extension } = asked(request)?;
        let Extension { resource_type, schema } = extension.unwrap_or_default();
        let extension = extensions::parse(&resource_type, &schema)?;
        let urn = extension.urn().to_owned();
        self.store.put_extension(&convert::tenant(&tenant)?, extension).await?;
        Ok(Response::new(PutExtensionResponse { urn }))
    }

    async fn remove_extension(
        &self,
        request: Request<RemoveExtensionRequest>,
    ) -> Result<Response<RemoveExtensionResponse>, Status> {
        let RemoveExtensionRequest { tenant, urn } = asked(request)?;
        self.store.remove_extension(&convert::tenant(&tenant)?, &urn).await?;
        Ok(Response::new(RemoveExtensionResponse {}))
    }

    async fn put_settings(
        &self,
        request: Request<PutSettingsRequest>,
    ) -> Result<Response<PutSettingsResponse>, Status> {
        let PutSettingsRequest { tenant, settings } = asked(request)?;
        let tenant = convert::tenant(&tenant)?;
        let put = self.store.put_settings(&tenant, convert::settings(settings)?).await?;
        Ok(Response::new(PutSettingsResponse { revision_token: self.seal(&tenant, put.position), waits: put.value }))
    }

    async fn put_group_labels(
        &self,
        request: Request<PutGroupLabelsRequest>,
    ) -> Result<Response<PutGroupLabelsResponse>, Status> {
        let (tenant, entry) = convert::read_group_labels(asked(request)?)?;
        let tenant = convert::tenant(&tenant)?;
        let put = judge::put_group_labels(&self.store, &tenant, entry).await?;
        let revision_token = self.seal(&tenant, put.position);
        Ok(Response::new(PutGroupLabelsResponse { revision_token, groups_changed: put.value }))
    }

    async fn list_group_labels(
        &self,
        request: Request<ListGroupLabelsRequest>,
    ) -> Result<Response<ListGroupLabelsResponse>, Status> {
        let ListGroupLabelsRequest { tenant, after } = asked(request)?;
        let (tenant, after) = (convert::tenant(&tenant)?, convert::group_key(after)?);
        let entries = self.store.list_group_labels(&tenant, after).await?.value;
        let entries = entries.into_iter().map(convert::group_labels).collect();
        Ok(Response::new(ListGroupLabelsResponse { entries }))
    }

    async fn put_rules(&self, request: Request<PutRulesRequest>) -> Result<Response<PutRulesResponse>, Status> {
        let PutRulesRequest { tenant, rules } = asked(request)?;
        let tenant = convert::tenant(&tenant)?;
        let put = self.store.put_rules(&tenant, Some(convert::rules(&rules)?)).await?;
        Ok(Response::new(PutRulesResponse { revision_token: self.seal(&tenant, put.position), waits: put.value }))
    }

    async fn remove_rules(
        &self,
        request: Request<RemoveRulesRequest>,
    ) -> Result<Response<RemoveRulesResponse>, Status> {
        let RemoveRulesRequest { tenant } = asked(request)?;
        let tenant = convert::tenant(&tenant)?;
        let put = self.store.put_rules(&tenant, None).await?;
        Ok(Response::new(RemoveRulesResponse { revision_token: self.seal(&tenant, put.position), waits: put.value }))
    }

    async fn get_rules(&self, request: Request<GetRulesRequest>) -> Result<Response<GetRulesResponse>, Status> {
        let GetRulesRequest { tenant } = asked(request)?;
        let sets = self.store.get_rules(&convert::tenant(&tenant)?).await?;
        Ok(Response::new(convert::rule_sets(sets)))
    }

    async fn list_pending_grounds(
        &self,
        request: Request<ListPendingGroundsRequest>,
    ) -> Result<Response<ListPendingGroundsResponse>, Status> {
        let ListPendingGroundsRequest { tenant } = asked(request)?;
        let pending = self.store.pending_grounds(&convert::tenant(&tenant)?).await?;
        let pending = pending.into_iter().map(convert::pending_ground).collect();
        Ok(Response::new(ListPendingGroundsResponse { pending }))
    }

    type PreviewGroundStream = ReceiverStream<Result<PreviewGroundResponse, Status>>;

    async fn preview_ground(
        &self,
        request: Request<PreviewGroundRequest>,
    ) -> Result<Response<Self::PreviewGroundStream>, Status> {
        let PreviewGroundRequest { tenant, change } = asked(request)?;
        let tenant = convert::tenant(&tenant)?;
        let missing = || Failure::Invalid { field: "change", expected: "it must say what would change".into() };
        let mut preview = match change.ok_or_else(missing)? {
            Previewed::PendingId(id) => self.store.preview_pending(&tenant, &id).await?,
            Previewed::Rules(rules) => self.store.preview_rules(&tenant, convert::rules(&rules)?).await?,
            Previewed::LabelsOfGroup(LabelsOfGroup { group_id, labels }) => {
                let group = group_id.parse().map_err(|_| Failure::GroupNotFound)?;
                self.store.preview_labels(&tenant, group, &labels).await?
            }
        };
        let (sender, receiver) = mpsc::channel(AHEAD);
        let store = self.store.clone();
        tokio::spawn(async move {
            loop {
                let pages = match store.more_differences(&mut preview).await {
                    Ok(None) => return,
                    Ok(Some(read)) => convert::differences(read).into_iter().map(Ok).collect(),
                    Err(failure) => vec![Err(failure.into())],
                };
                for page in pages {
                    let failed = page.is_err();
                    if sender.send(page).await.is_err() || failed {
                        return;
                    }
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn confirm_ground(
        &self,
        request: Request<ConfirmGroundRequest>,
    ) -> Result<Response<ConfirmGroundResponse>, Status> {
        let ConfirmGroundRequest { tenant, id } = asked(request)?;
        let tenant = convert::tenant(&tenant)?;
        let confirmed = self.store.confirm_ground(&tenant, id).await?;
        Ok(Response::new(ConfirmGroundResponse { revision_token: self.seal(&tenant, confirmed.position) }))
    }

    async fn dismiss_ground(
        &self,
        request: Request<DismissGroundRequest>,
    ) -> Result<Response<DismissGroundResponse>, Status> {
        let DismissGroundRequest { tenant, id } = asked(request)?;
        self.store.dismiss_ground(&convert::tenant(&tenant)?, id).await?;
        Ok(Response::new(DismissGroundResponse {}))
    }

    async fn list_held_back(
        &self,
        request: Request<ListHeldBackRequest>,
    ) -> Result<Response<ListHeldBackResponse>, Status> {
        let ListHeldBackRequest { tenant, after_id } = asked(request)?;
        let (tenant, after) = (convert::tenant(&tenant)?, convert::after_user(&after_id)?);
        Ok(Response::new(convert::held_back(self.store.held_back(&tenant, after).await?)))
    }

    async fn release_held_back(
        &self,
        request: Request<ReleaseHeldBackRequest>,
    ) -> Result<Response<ReleaseHeldBackResponse>, Status> {
        let (tenant, release) = convert::release(asked(request)?)?;
        let tenant = convert::tenant(&tenant)?;
        let Read { value: Released { released, more, left }, position } = self.store.release(&tenant, release).await?;
        let revision_token = self.seal(&tenant, position);
        Ok(Response::new(ReleaseHeldBackResponse { released, more, left, revision_token }))
    }

    async fn issue_token(&self, request: Request<IssueTokenRequest>) -> Result<Response<IssueTokenResponse>, Status> {
        let IssueTokenRequest { tenant, scopes, days, note } = asked(request)?;
        let IssuedToken { token, expires_at } =
            self.store.issue_token(&convert::tenant(&tenant)?, &scopes, days, &note).await?;
        Ok(Response::new(IssueTokenResponse {
            token_id: token.id().to_string(),
            token: token.expose(),
            expires_at_us: expires_at.0,
        }))
    }

    async fn list_tokens(&self, request: Request<ListTokensRequest>) -> Result<Response<ListTokensResponse>, Status> {
        let ListTokensRequest { tenant } = asked(request)?;
        let records = self.store.list_tokens(&convert::tenant(&tenant)?).await?;
        let tokens = records.into_iter().map(convert::token_record).collect();
        Ok(Response::new(ListTokensResponse { tokens }))
    }

    async fn revoke_token(
        &self,
        request: Request<RevokeTokenRequest>,
    ) -> Result<Response<RevokeTokenResponse>, Status> {
        let RevokeTokenRequest { tenant, token_id } = asked(request)?;
        let id = token_id.parse().map_err(|_| Failure::TokenNotFound)?;
        self.store.revoke_token(&convert::tenant(&tenant)?, &id).await?;
        Ok(Response::new(RevokeTokenResponse {}))
    }
}
