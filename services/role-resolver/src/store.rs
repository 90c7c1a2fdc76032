//! The client of identity-store. A store that does not answer is an error here, never a guess.

use std::time::Duration;

use proto::identity::v1::access_service_client::AccessServiceClient;
use proto::identity::v1::token_service_client::TokenServiceClient;
use runtime::error::{Error, Kind, Reason};
use runtime::grpc::{MAX_MESSAGE_BYTES, Transport};
use tonic::{Response, Status};

use crate::authorise::Credential;
use crate::convert::identity;
use crate::ground::GroundRead;
use crate::resolver::{Holdings, Who};

/// When to ask a silent store again.
const SOON: Duration = Duration::from_secs(1);

/// The calls this service makes. The transport's own timeout bounds each.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    access: AccessServiceClient<Transport>,
    tokens: TokenServiceClient<Transport>,
}

impl Store {
    pub(crate) fn new(transport: Transport) -> Self {
        Self {
            access: AccessServiceClient::new(transport.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES),
            tokens: TokenServiceClient::new(transport),
        }
    }

    /// What `users` hold, from one snapshot.
    pub(crate) async fn holdings(&self, tenant: &str, users: &[Who]) -> Result<Holdings, Error> {
        let answer = self.access.clone().get_holdings(identity::holdings_request(tenant, users)).await;
        identity::holdings(answered(answer)?, users.len()).map_err(|error| nonsense(&error))
    }

    /// The ground. `known` is the version the caller holds already.
    pub(crate) async fn ground(&self, tenant: &str, known: Option<u64>) -> Result<GroundRead, Error> {
        let answer = self.access.clone().get_ground(identity::ground_request(tenant, known)).await;
        identity::ground(answered(answer)?, known).map_err(|error| nonsense(&error))
    }

    /// What a bearer token is good for; `TOKEN_INVALID` if it is not.
    pub(crate) async fn verify(&self, token: &str) -> Result<Credential, Error> {
        let answer = self.tokens.clone().verify_token(identity::verify_request(token)).await;
        identity::credential(answered(answer)?).map_err(|error| nonsense(&error))
    }
}

/// The answer, or what our own caller is told instead: the store's reason where it is about the request, and no more
/// than "not now" or "our fault" where it is between us and the store.
fn answered<T>(answer: Result<Response<T>, Status>) -> Result<T, Error> {
    let error = match answer {
        Ok(answer) => return Ok(answer.into_inner()),
        Err(status) => Error::from(status),
    };
    Err(match (error.kind(), error.reason()) {
        (Kind::DeadlineExceeded, _) | (_, Reason::UNAVAILABLE) => {
            tracing::warn!(error = %error, "identity-store does not answer");
            Error::new(Reason::STORE_UNAVAILABLE, "identity-store does not answer").retry_after(SOON)
        }
        (Kind::InvalidArgument | Kind::NotFound | Kind::Unavailable | Kind::ResourceExhausted, _)
        | (_, Reason::TOKEN_INVALID) => error,
        _ => Error::internal("asking identity-store", &error),
    })
}

fn nonsense(error: &identity::Malformed) -> Error {
    Error::internal("reading identity-store's answer", error)
}
