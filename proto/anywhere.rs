//! A service called through its trait, wherever it is.
//!
//! tonic generates a trait for each service, which servers implement, and a client that is no implementation of it. Here
//! the client becomes one: so a part holds an `Arc<dyn UserService>`, which is the server itself where both are in one
//! process, and nothing is encoded, and a client elsewhere. Only services whose calls are all unary have that: of others
//! the trait can't be an object.

use std::future::Future;

use tonic::{Request, Response, Status};

/// What surrounds each call that a server in the same process answers: what its stack does on the network.
pub trait Around: Send + Sync + 'static {
    /// Has `service` answer the call of the method at `path`.
    fn call<Q, A, F>(
        &self,
        path: &'static str,
        request: Request<Q>,
        service: impl FnOnce(Request<Q>) -> F + Send,
    ) -> impl Future<Output = Result<Response<A>, Status>> + Send
    where
        Q: Send,
        A: Send,
        F: Future<Output = Result<Response<A>, Status>> + Send;
}

/// A service with what surrounds its calls.
#[derive(Clone, Debug)]
pub struct Surrounded<S, R> {
    /// Who answers.
    pub service: S,
    /// What is around that.
    pub around: R,
}

/// Implements a service's trait for its client and for [`Surrounded`]. What tonic generates for the service is in scope
/// where it is used.
macro_rules! anywhere {
    ($server:ident $service:ident $remote:ident $client:ident {
        $($method:ident($asked:ty) -> $answer:ty = $path:literal;)*
    }) => {
        #[tonic::async_trait]
        impl<T> $server::$service for $remote::$client<T>
        where
            T: tonic::client::GrpcService<tonic::body::Body> + Clone + Send + Sync + 'static,
            T::Error: Into<tonic::codegen::StdError>,
            T::Future: Send,
            T::ResponseBody: tonic::codegen::Body<Data = tonic::codegen::Bytes> + Send + 'static,
            <T::ResponseBody as tonic::codegen::Body>::Error: Into<tonic::codegen::StdError> + Send,
        {
            $(async fn $method(
                &self,
                request: tonic::Request<$asked>,
            ) -> Result<tonic::Response<$answer>, tonic::Status> {
                // The client's own method, which is not the trait's.
                $remote::$client::<T>::$method(&mut self.clone(), request).await
            })*
        }

        #[tonic::async_trait]
        impl<S: $server::$service, R: crate::anywhere::Around> $server::$service for crate::anywhere::Surrounded<S, R> {
            $(async fn $method(
                &self,
                request: tonic::Request<$asked>,
            ) -> Result<tonic::Response<$answer>, tonic::Status> {
                self.around.call($path, request, |request| self.service.$method(request)).await
            })*
        }
    };
}
pub(crate) use anywhere;
