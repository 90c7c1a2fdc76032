//! The floor of kept sets: a bare tonic server in a process of its own that gives every call one answer; or one that asks
//! Redis for one key before.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use prost::Message as _;
use proto::roles::v1::role_service_server::{RoleService, RoleServiceServer};
use proto::roles::v1::{
    BatchCheckRoleRequest, BatchCheckRoleResponse, BatchGetEffectiveRolesRequest, BatchGetEffectiveRolesResponse,
    CheckRoleRequest, CheckRoleResponse, ExplainRolesRequest, ExplainRolesResponse, GetEffectiveRolesRequest,
    GetEffectiveRolesResponse, ListRoleHoldersRequest, ListRoleHoldersResponse, PreviewChangeRequest,
    PreviewChangeResponse, WatchRolesRequest, WatchRolesResponse,
};
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

const KEY: &str = "floor";

/// The server as a child process; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Bare {
    pub(crate) url: String,
    child: Child,
}

impl Bare {
    /// Starts a server that answers `body`, an encoded answer.
    pub(crate) fn start(body: &[u8], redis: Option<&str>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("bare").stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(redis) = redis {
            command.args(["--redis", redis]);
        }
        let mut child = command.spawn().context("starting the bare server")?;
        let mut input = child.stdin.take().context("its input")?;
        input.write_all(body)?;
        drop(input);
        let output = child.stdout.take().context("its output")?;
        let mut bare = Self { url: String::new(), child };
        BufReader::new(output).read_line(&mut bare.url).context("the bare server says where it is")?;
        bare.url.truncate(bare.url.trim_end().len());
        Ok(bare)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the child does.
pub(crate) async fn serve(redis: Option<&str>) -> Result<()> {
    let mut body = Vec::new();
    std::io::stdin().read_to_end(&mut body)?;
    let redis = match redis {
        None => None,
        Some(url) => {
            let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
            redis::cmd("SET").arg(KEY).arg(&body).exec_async(&mut connection).await?;
            Some(connection)
        }
    };
    let answer = GetEffectiveRolesResponse::decode(&*body)?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let service = RoleServiceServer::new(Constant { answer, redis });
    tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await?;
    Ok(())
}

struct Constant {
    answer: GetEffectiveRolesResponse,
    redis: Option<redis::aio::MultiplexedConnection>,
}

#[tonic::async_trait]
impl RoleService for Constant {
    async fn get_effective_roles(
        &self,
        _: Request<GetEffectiveRolesRequest>,
    ) -> Result<Response<GetEffectiveRolesResponse>, Status> {
        if let Some(mut redis) = self.redis.clone() {
            let value: Result<Vec<u8>, _> = redis::cmd("GET").arg(KEY).query_async(&mut redis).await;
            value.map_err(|error| Status::unavailable(error.to_string()))?;
        }
        Ok(Response::new(self.answer.clone()))
    }

    async fn batch_get_effective_roles(
        &self,
        _: Request<BatchGetEffectiveRolesRequest>,
    ) -> Result<Response<BatchGetEffectiveRolesResponse>, Status> {
        Err(Status::unimplemented("the floor of one method"))
    }

    async fn check_role(&self, _: Request<CheckRoleRequest>) -> Result<Response<CheckRoleResponse>, Status> {
        Err(Status::unimplemented("the floor of one method"))
    }

    async fn batch_check_role(
        &self,
        _: Request<BatchCheckRoleRequest>,
    ) -> Result<Response<BatchCheckRoleResponse>, Status> {
        Err(Status::unimplemented("the floor of one method"))
    }

    async fn explain_roles(&self, _: Request<ExplainRolesRequest>) -> Result<Response<ExplainRolesResponse>, Status> {
        Err(Status::unimplemented("the floor of one method"))
    }

    type ListRoleHoldersStream = tonic::codegen::tokio_stream::Empty<Result<ListRoleHoldersResponse, Status>>;

    async fn list_role_holders(
        &self,
        _: Request<ListRoleHoldersRequest>,
    ) -> Result<Response<Self::ListRoleHoldersStream>, Status> {
        Err(Status::unimplemented("the floor of one method"))
    }

    type WatchRolesStream = tonic::codegen::tokio_stream::Empty<Result<WatchRolesResponse, Status>>;

    async fn watch_roles(&self, _: Request<WatchRolesRequest>) -> Result<Response<Self::WatchRolesStream>, Status> {
        Err(Status::unimplemented("the floor of one method"))
    }

    type PreviewChangeStream = tonic::codegen::tokio_stream::Empty<Result<PreviewChangeResponse, Status>>;

    async fn preview_change(
        &self,
        _: Request<PreviewChangeRequest>,
    ) -> Result<Response<Self::PreviewChangeStream>, Status> {
        Err(Status::unimplemented("the floor of one method"))
    }
}
