//! Calls of `GetEffectiveRoles`: as fast as answers come, or at a rate of their own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use proto::roles::v1::role_service_client::RoleServiceClient;
use proto::roles::v1::user_ref::Ref;
use proto::roles::v1::{GetEffectiveRolesRequest, GetEffectiveRolesResponse, UserRef};
use tokio::task::JoinSet;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::stats::{Summary, millis, number};

/// Connections that calls are spread over.
const CONNECTIONS: usize = 4;

/// A server, who asks it, and about whom.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    channels: Vec<Channel>,
    token: MetadataValue<Ascii>,
    ids: Arc<Vec<String>>,
}

impl Target {
    pub(crate) async fn connect(url: &str, token: &str, ids: Arc<Vec<String>>) -> Result<Self> {
        let mut channels = Vec::new();
        for _ in 0..CONNECTIONS {
            channels.push(Channel::from_shared(url.to_owned())?.tcp_nodelay(true).connect().await?);
        }
        Ok(Self { channels, token: format!("Bearer {token}").parse()?, ids })
    }

    /// Asks about the `n`th user.
    pub(crate) async fn ask(&self, n: usize) -> Result<GetEffectiveRolesResponse, Status> {
        let user = Some(UserRef { r#ref: Some(Ref::Id(self.ids[n % self.ids.len()].clone())) });
        let mut request = Request::new(GetEffectiveRolesRequest { tenant: String::new(), user, consistency: None });
        request.metadata_mut().insert("authorization", self.token.clone());
        let channel = self.channels[n % self.channels.len()].clone();
        RoleServiceClient::new(channel).get_effective_roles(request).await.map(tonic::Response::into_inner)
    }

    /// Asks about everybody a few times, so that whatever can be kept is; answers one of the answers.
    pub(crate) async fn warm(&self) -> Result<GetEffectiveRolesResponse> {
        let mut last = None;
        for n in 0..4 * self.ids.len() {
            let answer = self.ask(n).await?;
            ensure!(super::same(&answer, &self.ids[n % self.ids.len()]), "an answer about somebody else");
            last = Some(answer);
        }
        last.context("somebody is asked about")
    }

    /// Calls, each caller's next after its last was answered; calls in a second.
    pub(crate) async fn closed(&self, callers: usize, count: usize) -> Result<f64> {
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        for caller in 0..callers {
            let target = self.clone();
            tasks.spawn(async move {
                for n in (caller..count).step_by(callers) {
                    target.ask(n).await?;
                }
                Ok::<_, Status>(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        Ok(number(count) / begun.elapsed().as_secs_f64())
    }

    /// Calls at a rate, whether or not earlier ones are answered; each is timed from when it was due.
    pub(crate) async fn open(&self, rate: f64, count: usize) -> Result<Summary> {
        let (begun, pace) = (Instant::now(), Duration::from_secs_f64(1.0 / rate));
        let mut tasks = JoinSet::new();
        for n in 0..count {
            let due = begun + pace * u32::try_from(n)?;
            tokio::time::sleep_until(due.into()).await;
            let target = self.clone();
            tasks.spawn(async move {
                target.ask(n).await?;
                Ok::<_, Status>(millis(due.elapsed()))
            });
        }
        let mut times = Vec::with_capacity(count);
        while let Some(time) = tasks.join_next().await {
            times.push(time??);
        }
        Ok(Summary::of(times))
    }
}
