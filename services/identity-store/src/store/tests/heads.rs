//! What consumers are told of the heads while the database is silent.

use std::time::Duration;

use domain::revision::RevisionKey;
use proto::identity::v1::WatchHeadsRequest;
use proto::identity::v1::feed_service_client::FeedServiceClient;
use runtime::peer::PeerSecret;
use runtime::telemetry::Metrics;
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::fixture::each;
use crate::grpc;
use crate::store::SILENCE;

#[tokio::test]
async fn heads_that_nobody_has_read_for_long_end_the_stream() {
    each(async |f| {
        let service = grpc::Service::new(f.store.clone(), RevisionKey::derive(b"tests"), CancellationToken::new());
        let server =
            grpc::server(service, PeerSecret::new("a secret that all parts share"), &Metrics::new()).await.unwrap();
        let mut feed = FeedServiceClient::new(server.in_process());
        let mut heads = feed.watch_heads(WatchHeadsRequest {}).await.unwrap().into_inner();
        assert!(heads.next().await.unwrap().unwrap().complete);
        // Nobody polls this store: its board is as old as the stream.
        tokio::time::pause();
        tokio::time::advance(SILENCE + Duration::from_millis(1)).await;
        let told = heads.next().await.unwrap();
        tokio::time::resume();
        assert_eq!(told.unwrap_err().code(), tonic::Code::Unavailable);
        assert!(heads.next().await.is_none());

        let mut heads = feed.watch_heads(WatchHeadsRequest {}).await.unwrap().into_inner();
        assert!(heads.next().await.unwrap().is_ok(), "a new stream asks the database first");
    })
    .await;
}
