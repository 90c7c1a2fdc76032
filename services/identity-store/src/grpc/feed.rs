//! `FeedService`.

use proto::identity::v1::feed_service_server::FeedService;
use proto::identity::v1::{
    ListAffectedUsersRequest, ListAffectedUsersResponse, ListAllUsersRequest, ListAllUsersResponse, ReadFeedRequest,
    ReadFeedResponse, WatchHeadsRequest, WatchHeadsResponse,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{Service, asked};
use crate::convert;
use crate::model::Wanted;
use crate::store::SILENCE;

/// Messages made ahead of a slow reader.
const AHEAD: usize = 2;

type Answers<T> = ReceiverStream<Result<T, Status>>;

#[tonic::async_trait]
impl FeedService for Service {
    type WatchHeadsStream = Answers<WatchHeadsResponse>;
    type ListAffectedUsersStream = Answers<ListAffectedUsersResponse>;
    type ListAllUsersStream = Answers<ListAllUsersResponse>;

    async fn watch_heads(
        &self,
        request: Request<WatchHeadsRequest>,
    ) -> Result<Response<Self::WatchHeadsStream>, Status> {
        let WatchHeadsRequest {} = asked(request)?;
        let (sender, receiver) = mpsc::channel(AHEAD);
        let mut watch = self.store.watch_heads();
        self.store.refresh_heads().await?;
        let (store, stop) = (self.store.clone(), self.stop.clone());
        tokio::spawn(async move {
            loop {
                let answer = match store.news(&mut watch) {
                    Ok(news) => news.map(|heads| Ok(convert::heads(heads))),
                    Err(failure) => Some(Err(failure.into())),
                };
                if let Some(answer) = answer {
                    let failed = answer.is_err();
                    if sender.send(answer).await.is_err() || failed {
                        return;
                    }
                }
                tokio::select! {
                    () = sender.closed() => return,
                    () = stop.cancelled() => return,
                    moved = tokio::time::timeout(SILENCE, watch.moved()) => {
                        // Nothing new is news too: these are still the heads.
                        if moved.is_err() {
                            watch.forget();
                        }
                    }
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn read_feed(&self, request: Request<ReadFeedRequest>) -> Result<Response<ReadFeedResponse>, Status> {
        let ReadFeedRequest { tenant, after, limit, taking_away } = asked(request)?;
        let (tenant, after) = (convert::tenant(&tenant)?, convert::read_position(after)?);
        let wanted = if taking_away { Wanted::TakingAway } else { Wanted::All };
        Ok(Response::new(convert::page(self.store.read_feed(&tenant, after, wanted, limit).await?)))
    }

    async fn list_affected_users(
        &self,
        request: Request<ListAffectedUsersRequest>,
    ) -> Result<Response<Self::ListAffectedUsersStream>, Status> {
        let ListAffectedUsersRequest { tenant, position } = asked(request)?;
        let (tenant, position) = (convert::tenant(&tenant)?, convert::read_position(position)?);
        let mut affected = self.store.affected_users(&tenant, position).await?;
        let (sender, receiver) = mpsc::channel(AHEAD);
        let store = self.store.clone();
        tokio::spawn(async move {
            loop {
                let answer = match store.more_affected(&mut affected).await {
                    Ok(None) => return,
                    Ok(Some(users)) => {
                        Ok(ListAffectedUsersResponse { users: users.into_iter().map(convert::user_state).collect() })
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

    async fn list_all_users(
        &self,
        request: Request<ListAllUsersRequest>,
    ) -> Result<Response<Self::ListAllUsersStream>, Status> {
        let ListAllUsersRequest { tenant } = asked(request)?;
        let tenant = convert::tenant(&tenant)?;
        let (sender, receiver) = mpsc::channel(AHEAD);
        let store = self.store.clone();
        let mut all = store.all_users(&tenant).await?;
        let position = Some(convert::position(all.position));
        tokio::spawn(async move {
            let mut first = true;
            loop {
                let answer = match store.more_affected(&mut all.value).await {
                    // The position is told even where there is nobody.
                    Ok(None) if !first => return,
                    Ok(users) => {
                        let users = users.unwrap_or_default().into_iter().map(convert::user_state).collect();
                        Ok(ListAllUsersResponse { position: position.clone(), users })
                    }
                    Err(failure) => Err(failure.into()),
                };
                first = false;
                let failed = answer.is_err();
                if sender.send(answer).await.is_err() || failed {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}
