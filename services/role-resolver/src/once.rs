//! The services as they are served, but for the method that is called most: there a set that is kept is written down once,
//! and not for every answer.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use proto::roles::v1::GetEffectiveRolesRequest;
use proto::roles::v1::role_service_server::RoleServiceServer;
use runtime::grpc::MAX_MESSAGE_BYTES;
use tonic::body::Body;
use tonic::codegen::{Service as Called, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};

use crate::convert::once::{Written, WrittenOnce};
use crate::service::Service;

/// The method.
const PATH: &str = "/rolecall.roles.v1.RoleService/GetEffectiveRoles";

/// `RoleService`, with that method of our own.
#[derive(Clone, Debug)]
pub(crate) struct Roles {
    service: Arc<Service>,
    all: RoleServiceServer<Service>,
}

impl Roles {
    pub(crate) fn new(service: Service) -> Self {
        let all = RoleServiceServer::new(service.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Self { service: Arc::new(service), all }
    }
}

impl NamedService for Roles {
    const NAME: &'static str = RoleServiceServer::<Service>::NAME;
}

type Answer<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl Called<http::Request<Body>> for Roles {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != PATH {
            return self.all.call(request);
        }
        let method = Method(Arc::clone(&self.service));
        Box::pin(async move {
            let mut grpc = Grpc::new(WrittenOnce)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES);
            Ok(grpc.unary(method, request).await)
        })
    }
}

struct Method(Arc<Service>);

impl UnaryService<GetEffectiveRolesRequest> for Method {
    type Response = Written;
    type Future = Answer<Response<Written>, Status>;

    fn call(&mut self, request: Request<GetEffectiveRolesRequest>) -> Self::Future {
        let service = Arc::clone(&self.0);
        Box::pin(async move { Ok(Response::new(Written::of(service.effective(request).await?)?)) })
    }
}
