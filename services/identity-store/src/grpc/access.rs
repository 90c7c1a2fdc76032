//! `AccessService`.

use std::time::Duration;

use proto::identity::v1::access_service_server::AccessService;
use proto::identity::v1::{
    AwaitCatalogueRequest, AwaitCatalogueResponse, GetGroundRequest, GetGroundResponse, GetHoldingsRequest,
    GetHoldingsResponse, ListLabelHoldersRequest, ListLabelHoldersResponse, ListLabelsInUseRequest,
    ListLabelsInUseResponse, PutCatalogueRequest, PutCatalogueResponse, ReportOutcomesRequest, ReportOutcomesResponse,
};
use tonic::{Request, Response, Status};

use super::{Service, asked};
use crate::convert;
use crate::failure::Failure;
use crate::model::{Include, Read};

/// How long a call waits for a catalogue at most; its own deadline may be shorter.
const PATIENCE: Duration = Duration::from_secs(20);

#[tonic::async_trait]
impl AccessService for Service {
    async fn get_holdings(
        &self,
        request: Request<GetHoldingsRequest>,
    ) -> Result<Response<GetHoldingsResponse>, Status> {
        let GetHoldingsRequest { tenant, users, with_documents, kept, with_nesting, with_held_back } = asked(request)?;
        let (tenant, keys) = (convert::tenant(&tenant)?, convert::user_keys(users)?);
        let include = Include { documents: with_documents, nesting: with_nesting, held_back: with_held_back };
        let read = self.store.get_holdings(&tenant, keys, convert::kept_sets(kept), include).await?;
        Ok(Response::new(convert::holdings(read)))
    }

    async fn list_label_holders(
        &self,
        request: Request<ListLabelHoldersRequest>,
    ) -> Result<Response<ListLabelHoldersResponse>, Status> {
        let (tenant, wanted) = convert::holders_wanted(asked(request)?)?;
        let Read { value, position } = self.store.label_holders(&convert::tenant(&tenant)?, wanted).await?;
        let user_ids = value.iter().map(ToString::to_string).collect();
        Ok(Response::new(ListLabelHoldersResponse { user_ids, position: Some(convert::position(position)) }))
    }

    async fn list_labels_in_use(
        &self,
        request: Request<ListLabelsInUseRequest>,
    ) -> Result<Response<ListLabelsInUseResponse>, Status> {
        let ListLabelsInUseRequest { tenant, starts_with, limit, or_starts_with } = asked(request)?;
        let prefixes = [vec![starts_with], or_starts_with].concat();
        let Read { value: (labels, ground_version), position } =
            self.store.labels_in_use(&convert::tenant(&tenant)?, &prefixes, limit).await?;
        Ok(Response::new(ListLabelsInUseResponse {
            labels: labels.iter().map(|label| label.as_str().to_owned()).collect(),
            position: Some(convert::position(position)),
            ground_version: ground_version.0,
        }))
    }

    async fn get_ground(&self, request: Request<GetGroundRequest>) -> Result<Response<GetGroundResponse>, Status> {
        let GetGroundRequest { tenant, known_version } = asked(request)?;
        let read = self.store.get_ground(&convert::tenant(&tenant)?, convert::revision(known_version)).await?;
        Ok(Response::new(convert::ground(read)))
    }

    async fn put_catalogue(
        &self,
        request: Request<PutCatalogueRequest>,
    ) -> Result<Response<PutCatalogueResponse>, Status> {
        let (tenant, read) = convert::catalogue_read(asked(request)?)?;
        let put = self.store.put_catalogue(&convert::tenant(&tenant)?, read).await?;
        let position = Some(convert::position(put.position));
        Ok(Response::new(PutCatalogueResponse { changed: put.changed, position, waits: put.value }))
    }

    async fn await_catalogue(
        &self,
        request: Request<AwaitCatalogueRequest>,
    ) -> Result<Response<AwaitCatalogueResponse>, Status> {
        let AwaitCatalogueRequest { tenant } = asked(request)?;
        let tenant = convert::tenant(&tenant)?;
        let awaited = tokio::time::timeout(PATIENCE, self.store.await_catalogue(&tenant)).await;
        let position = awaited.map_err(|_| Failure::TooLate)??;
        Ok(Response::new(AwaitCatalogueResponse { position: Some(convert::position(position)) }))
    }

    async fn report_outcomes(
        &self,
        request: Request<ReportOutcomesRequest>,
    ) -> Result<Response<ReportOutcomesResponse>, Status> {
        let (tenant, epoch, outcomes) = convert::user_outcomes(asked(request)?)?;
        let tenant = convert::tenant(&tenant)?;
        if let Some(epoch) = epoch {
            self.store.report_outcomes(&tenant, epoch, outcomes).await?;
        }
        Ok(Response::new(ReportOutcomesResponse {}))
    }
}
