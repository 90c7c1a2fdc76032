//! Beside identity-store in one process: users are asked for through the service's trait, and nothing is encoded.

use std::sync::Arc;

use proto::admin::v1::admin_service_server::AdminServiceServer;
use proto::anywhere::Surrounded;
use proto::identity::v1::token_service_server::TokenServiceServer;
use proto::identity::v1::user_service_server::{UserService, UserServiceServer};
use runtime::grpc::Server;
use runtime::peer::PeerSecret;
use runtime::telemetry::Metrics;

use super::Face;
use super::fake::World;
use crate::{Config, Parts, build};

#[tokio::test]
async fn users_are_asked_for_through_the_trait_of_a_service_in_this_process() {
    let (face, metrics) = (Face::new(), Metrics::new());
    let id = face.user("ann", &[]).await;
    // Whoever asks over the stack finds nobody.
    let (here, empty) = (face.world.clone(), World::default());
    let server = Server::builder(PeerSecret::new("0123456789abcdef0123456789abcdef"), &metrics)
        .descriptors(proto::DESCRIPTORS)
        .here::<dyn UserService>(|around| Arc::new(Surrounded { service: here, around }))
        .service(UserServiceServer::new(empty))
        .service(TokenServiceServer::new(face.world.clone()))
        .service(AdminServiceServer::new(face.world.clone()));
    let transport = server.build().await.unwrap().in_process();
    let beside = |identity_store| {
        let parts = Parts { identity_store, ..face.world.parts(&metrics) };
        Face { router: build(&Config::default(), parts).router(), ..face.clone() }
    };
    let path = format!("/Users/{id}");
    assert_eq!(beside(transport.clone()).get(&path).await.status, 200);
    let late = transport.with_timeout(std::time::Duration::from_secs(1));
    assert_eq!(beside(late).get(&path).await.status, 404, "the way over the stack is another");
}
