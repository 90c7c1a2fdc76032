//! All services behind one stack.

use std::sync::Arc;

use proto::admin::v1::admin_service_server::AdminServiceServer;
use proto::anywhere::Surrounded;
use proto::identity::v1::access_service_server::AccessServiceServer;
use proto::identity::v1::feed_service_server::FeedServiceServer;
use proto::identity::v1::group_service_server::GroupServiceServer;
use proto::identity::v1::token_service_server::TokenServiceServer;
use proto::identity::v1::user_service_server::{UserService, UserServiceServer};
use runtime::grpc::{BuildError, MAX_MESSAGE_BYTES, Server};
use runtime::peer::PeerSecret;
use runtime::telemetry::Metrics;

use super::Service;

macro_rules! sized {
    ($server:ident, $service:expr) => {
        $server::new($service.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    };
}

pub(crate) async fn server(service: Service, peers: PeerSecret, metrics: &Metrics) -> Result<Server, BuildError> {
    let users = service.clone();
    Server::builder(peers, metrics)
        // What IdPs ask most.
        .here::<dyn UserService>(|around| Arc::new(Surrounded { service: users, around }))
        .service(sized!(UserServiceServer, service))
        .service(sized!(GroupServiceServer, service))
        .service(sized!(AccessServiceServer, service))
        .service(sized!(FeedServiceServer, service))
        .service(sized!(TokenServiceServer, service))
        .service(sized!(AdminServiceServer, service))
        .descriptors(proto::DESCRIPTORS)
        .build()
        .await
}
