//! Asks a gRPC server, by reflection, which services it has.

use anyhow::{Context as _, Result};
use tonic::transport::Channel;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

/// The names of the services at `address` (`host:port`).
pub async fn reflected_services(address: &str) -> Result<Vec<String>> {
    let channel = Channel::from_shared(format!("http://{address}"))?.connect().await?;
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(channel);
    let mut answers = client.server_reflection_info(tokio_stream::iter([ask])).await?.into_inner();
    let answer = answers.message().await?.and_then(|answer| answer.message_response).context("an answer")?;
    match answer {
        MessageResponse::ListServicesResponse(list) => {
            Ok(list.service.into_iter().map(|service| service.name).collect())
        }
        other => anyhow::bail!("reflection answers {other:?}"),
    }
}
