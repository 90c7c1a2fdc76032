//! The client of identity-store. A store that does not answer is an error here, never a guess.

use std::time::Duration;

use domain::holders::Candidates;
use domain::id::{TenantId, UserId};
use domain::revision::Position;
use proto::admin::v1::PreviewGroundResponse;
use proto::admin::v1::admin_service_client::AdminServiceClient;
use proto::identity::v1::access_service_client::AccessServiceClient;
use proto::identity::v1::feed_service_client::FeedServiceClient;
use proto::identity::v1::token_service_client::TokenServiceClient;
use proto::identity::v1::{ListAffectedUsersResponse, WatchHeadsResponse};
use runtime::error::{Error, Kind, Reason};
use runtime::grpc::{MAX_MESSAGE_BYTES, Transport};
use tonic::{Code, Response, Status, Streaming};

use crate::authorise::Credential;
use crate::cache::{FeedPage, Heads, Kept};
use crate::convert::identity;
use crate::explanation::Nested;
use crate::ground::GroundRead;
use crate::offered::InUse;
use crate::preview::{Change, Differences};
use crate::resolver::{Holdings, Who};

/// When to ask a silent store again.
const SOON: Duration = Duration::from_secs(1);
/// How long the next part of a list may take.
const SILENCE: Duration = Duration::from_secs(10);

/// The calls this service makes. The transport's own timeout bounds each.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    access: AccessServiceClient<Transport>,
    feed: FeedServiceClient<Transport>,
    tokens: TokenServiceClient<Transport>,
    admin: AdminServiceClient<Transport>,
}

impl Store {
    pub(crate) fn new(transport: Transport) -> Self {
        Self {
            access: AccessServiceClient::new(transport.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
            feed: FeedServiceClient::new(transport.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES),
            tokens: TokenServiceClient::new(transport.clone()),
            admin: AdminServiceClient::new(transport).max_decoding_message_size(MAX_MESSAGE_BYTES),
        }
    }

    /// What `users` hold, from one snapshot; of those whose set among `kept` is still right, only that.
    pub(crate) async fn holdings<'a>(
        &self,
        tenant: &TenantId,
        users: &[Who],
        kept: impl Iterator<Item = &'a Kept>,
    ) -> Result<Holdings, Error> {
        let request = identity::holdings_request(tenant, users, kept);
        let answer = held(self.access.clone().get_holdings(request).await)?;
        identity::holdings(answer, users.len()).map_err(|error| nonsense(&error))
    }

    /// Where the tenant stands.
    pub(crate) async fn head(&self, tenant: &TenantId) -> Result<Position, Error> {
        Ok(self.holdings(tenant, &[], std::iter::empty()).await?.position)
    }

    /// The feed after a position; at most `limit` revisions of it, or as many as the contract allows where that is 0.
    pub(crate) async fn read_feed(&self, tenant: &TenantId, after: Position, limit: u32) -> Result<FeedPage, Error> {
        let answer = self.feed.clone().read_feed(identity::feed_request(tenant, after, limit)).await;
        identity::feed_page(answered(answer)?).map_err(|error| nonsense(&error))
    }

    /// Whose set the change that took a revision may have changed.
    pub(crate) async fn affected(&self, tenant: &TenantId, change: Position) -> Result<UserStream, Error> {
        let answer = self.feed.clone().list_affected_users(identity::affected_request(tenant, change)).await;
        Ok(UserStream(answered(answer)?))
    }

    /// What a change would do to people.
    pub(crate) async fn preview(&self, tenant: &TenantId, change: Change) -> Result<DifferenceStream, Error> {
        let answer = self.admin.clone().preview_ground(identity::preview_request(tenant, change)).await;
        Ok(DifferenceStream(answered(answer)?))
    }

    /// The heartbeat.
    pub(crate) async fn watch_heads(&self) -> Result<HeadStream, Error> {
        Ok(HeadStream(answered(self.feed.clone().watch_heads(identity::watch_request()).await)?))
    }

    /// What one user holds, and how it is in its groups.
    pub(crate) async fn nested_holding(&self, tenant: &TenantId, user: &Who) -> Result<Nested, Error> {
        let answer = held(self.access.clone().get_holdings(identity::nested_request(tenant, user)).await)?;
        identity::nested_holding(answer).map_err(|error| nonsense(&error))
    }

    /// The next users in order of id, after `after`, who hold one of the labels; at most `limit`.
    pub(crate) async fn label_holders(
        &self,
        tenant: &TenantId,
        labels: &Candidates,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<UserId>, Error> {
        let request = identity::holders_request(tenant, labels, after, limit);
        let answer = self.access.clone().list_label_holders(request).await;
        identity::holders(answered(answer)?).map_err(|error| nonsense(&error))
    }

    /// The first labels in use that begin with a text; `limit` as the contract has it.
    pub(crate) async fn labels_in_use(
        &self,
        tenant: &TenantId,
        prefixes: &[String],
        limit: u32,
    ) -> Result<InUse, Error> {
        let answer = self.access.clone().list_labels_in_use(identity::in_use_request(tenant, prefixes, limit)).await;
        identity::in_use(answered(answer)?).map_err(|error| nonsense(&error))
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

/// The heartbeat as it comes.
#[derive(Debug)]
pub(crate) struct HeadStream(Streaming<WatchHeadsResponse>);

impl HeadStream {
    /// The next message; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Heads>, Error> {
        let message = self.0.message().await.map_err(Error::from)?;
        message.map(identity::heads).transpose().map_err(|error| nonsense(&error))
    }
}

/// Users as they are listed.
#[derive(Debug)]
pub(crate) struct UserStream(Streaming<ListAffectedUsersResponse>);

impl UserStream {
    /// The next of them; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<UserId>>, Error> {
        next(&mut self.0).await?.map(identity::affected).transpose().map_err(|error| nonsense(&error))
    }
}

/// Those for whom a change would make a difference, as they are found.
#[derive(Debug)]
pub(crate) struct DifferenceStream(Streaming<PreviewGroundResponse>);

impl DifferenceStream {
    /// The next of them, maybe none; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Differences>, Error> {
        next(&mut self.0).await?.map(identity::differences).transpose().map_err(|error| nonsense(&error))
    }
}

/// The next message of a stream that ends. One that stands still is given up.
async fn next<T>(stream: &mut Streaming<T>) -> Result<Option<T>, Error> {
    let message = tokio::time::timeout(SILENCE, stream.message()).await.map_err(|_| silent())?;
    message.map_err(|status| passed_on(status.into()))
}

/// The answer, or what our own caller is told instead: the store's reason where it is about the request, and no more
/// than "not now" or "our fault" where it is between us and the store.
fn answered<T>(answer: Result<Response<T>, Status>) -> Result<T, Error> {
    answer.map(Response::into_inner).map_err(|status| passed_on(status.into()))
}

fn passed_on(error: Error) -> Error {
    match (error.kind(), error.reason()) {
        (Kind::DeadlineExceeded, _) | (_, Reason::UNAVAILABLE) => {
            tracing::warn!(error = %error, "identity-store does not answer");
            silent()
        }
        (Kind::InvalidArgument | Kind::NotFound | Kind::Unavailable | Kind::ResourceExhausted, _)
        | (_, Reason::TOKEN_INVALID | Reason::ABORTED | Reason::EPOCH_MISMATCH | Reason::FEED_TRUNCATED) => error,
        _ => Error::internal("asking identity-store", &error),
    }
}

fn silent() -> Error {
    Error::new(Reason::STORE_UNAVAILABLE, "identity-store does not answer").retry_after(SOON)
}

/// The answer to a question for what is held.
fn held<T>(answer: Result<Response<T>, Status>) -> Result<T, Error> {
    match answer {
        // What tonic says of a message larger than may be sent or taken.
        Err(status) if status.code() == Code::OutOfRange => Err(too_large()),
        answer => answered(answer),
    }
}

/// More is held than can be told or kept in mind at a time.
pub(crate) fn too_large() -> Error {
    Error::new(Reason::TOO_LARGE, "what is held is more than can be answered at once: ask about fewer users")
}

fn nonsense(error: &identity::Malformed) -> Error {
    Error::internal("reading identity-store's answer", error)
}
