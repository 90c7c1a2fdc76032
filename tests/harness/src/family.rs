//! The family: all parts together, in one process or in four.

mod backups;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output};

use anyhow::{Context as _, Result, ensure};
use proto::identity::v1::AwaitCatalogueRequest;
use proto::identity::v1::access_service_client::AccessServiceClient;
use serde_json::Value;
use servers::{Port, Postgres, Redis, fresh_database_on};
use tonic::Code;
use tonic::metadata::{Ascii, MetadataValue};

use crate::certificates::Certificates;
use crate::program::{self, Program};
use crate::{Fluent, Scim, eventually};

/// How the parts run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// All in one process, on SQLite: `rolecall dev`.
    Single,
    /// Each in a process of its own, on PostgreSQL, with Redis.
    Processes,
}

/// A part of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The IdP's SCIM endpoint.
    Gateway,
    /// Tenants, users, the feed.
    IdentityStore,
    /// Who may do what.
    RoleResolver,
    /// Makes Fluent hold exactly that.
    FluentPusher,
}

impl Part {
    /// In the order they start: each needs only those before it.
    const ALL: [Self; 4] = [Self::IdentityStore, Self::RoleResolver, Self::FluentPusher, Self::Gateway];

    /// The subcommand that runs it.
    fn command(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::IdentityStore => "identity-store",
            Self::RoleResolver => "role-resolver",
            Self::FluentPusher => "fluent-pusher",
        }
    }
}

/// What a family is started with, where the defaults won't do.
#[derive(Clone, Debug, Default)]
pub struct Dial {
    /// Flags of what the tenant chooses, as `rolecall tenant create` and `rolecall dev` take them.
    pub settings: Vec<&'static str>,
    /// Variables for every process, such as `ROLECALL_FLUENT_PUSHER__…`.
    pub environment: Vec<(&'static str, String)>,
    /// The URL of another Redis than the family's own.
    pub redis: Option<String>,
    /// Whether a family in several processes has a PostgreSQL server to itself, which can be killed.
    pub own_postgres: bool,
    /// Whether the parts of a family in several processes speak TLS to each other, and operators' commands to them.
    pub tls: bool,
}

impl Dial {
    /// The variable that gives each process an admin listener on a free port.
    pub const ADMIN: (&str, &str) = ("ROLECALL_PROCESS__ADMIN_LISTEN", ANYWHERE);

    /// A family whose tenant chooses these.
    #[must_use]
    pub fn settings(flags: &[&'static str]) -> Self {
        Self { settings: flags.to_vec(), ..Self::default() }
    }
}

/// A running family. Dropping it kills what is left of it.
#[derive(Debug)]
pub struct Family {
    /// SCIM with a good token.
    pub scim: Scim,
    /// The simulated Fluent.
    pub fluent: Fluent,
    /// Where the role-resolver's gRPC is: `host:port`.
    pub grpc: String,
    /// A bearer token that internal systems would use there.
    pub reader_token: String,
    /// The tenant's name.
    pub tenant: &'static str,
    shape: Shape,
    dial: Dial,
    programs: BTreeMap<Part, Program>,
    /// Where each part listens, kept for it while it is down.
    ports: BTreeMap<Part, Port>,
    /// Where parts of a family in several processes tell their metrics, of those that do.
    admins: BTreeMap<Part, String>,
    folder: tempfile::TempDir,
    server: Option<String>,
    /// Where the parts of a family in several processes keep their data.
    databases: BTreeMap<Part, String>,
    sim: Option<Sim>,
    redis: Option<Redis>,
    replicas: Vec<Program>,
    postgres: Option<Postgres>,
    certificates: Option<Certificates>,
}

/// The simulator of a family in several processes runs here, on a runtime of its own.
#[derive(Debug)]
struct Sim {
    url: String,
    _handle: fluent_sim::SimHandle,
}

/// Waiting tests look as often as they can, and a machine that stands still for a while is no reason to refuse anything;
/// a test of a limit sets its own.
const LIMITS: [(&str, &str); 6] = [
    ("ROLECALL_GATEWAY__LIMITS__READS_PER_SECOND", "0"),
    ("ROLECALL_GATEWAY__LIMITS__WRITES_PER_SECOND", "0"),
    ("ROLECALL_GATEWAY__LIMITS__HEAVY_LISTS_PER_SECOND", "0"),
    ("ROLECALL_GATEWAY__LIMITS__STRANGERS_PER_SECOND", "0"),
    ("ROLECALL_GATEWAY__LIMITS__CATALOGUE_WAIT", "1m"),
    ("ROLECALL_GATEWAY__LIMITS__REQUEST_TIME", "2m"),
];
/// The ways from part to part: whom they lead to, and the variables of where that is and of whom to trust there.
const WAYS: [(Part, &str, &str); 5] = [
    (
        Part::IdentityStore,
        "ROLECALL_ROLE_RESOLVER__IDENTITY_STORE__URI",
        "ROLECALL_ROLE_RESOLVER__IDENTITY_STORE__TLS__CA_FILE",
    ),
    (
        Part::IdentityStore,
        "ROLECALL_FLUENT_PUSHER__IDENTITY_STORE__URI",
        "ROLECALL_FLUENT_PUSHER__IDENTITY_STORE__TLS__CA_FILE",
    ),
    (Part::IdentityStore, "ROLECALL_GATEWAY__IDENTITY_STORE__URI", "ROLECALL_GATEWAY__IDENTITY_STORE__TLS__CA_FILE"),
    (
        Part::RoleResolver,
        "ROLECALL_FLUENT_PUSHER__ROLE_RESOLVER__URI",
        "ROLECALL_FLUENT_PUSHER__ROLE_RESOLVER__TLS__CA_FILE",
    ),
    (Part::RoleResolver, "ROLECALL_GATEWAY__ROLE_RESOLVER__URI", "ROLECALL_GATEWAY__ROLE_RESOLVER__TLS__CA_FILE"),
];
const ANYWHERE: &str = "127.0.0.1:0";
/// What the names of databases begin with.
const FAMILY: &str = "family";
const SECRET: &str = "a-secret-of-the-test-families-long-enough-to-be-one";

impl Family {
    /// Starts a family with the defaults.
    pub async fn start(shape: Shape) -> Result<Self> {
        Self::start_with(shape, Dial::default()).await
    }

    /// Starts a family.
    pub async fn start_with(shape: Shape, mut dial: Dial) -> Result<Self> {
        for (limit, value) in LIMITS {
            if !dial.environment.iter().any(|(name, _)| *name == limit) {
                dial.environment.push((limit, value.to_owned()));
            }
        }
        match shape {
            Shape::Single => Self::start_single(dial).await,
            Shape::Processes => Self::start_processes(dial).await,
        }
    }

    async fn start_single(dial: Dial) -> Result<Self> {
        let (folder, ports) = (tempfile::tempdir()?, ports()?);
        let arguments = dev_arguments(&dial, folder.path(), &ports, None);
        let mut program = Program::spawn("dev", folder.path(), &arguments, &dial.environment)?;
        let ready = program.ready().await?;
        let text = |key: &str| ready[key].as_str().map(str::to_owned).with_context(|| format!("{key} in {ready}"));
        Ok(Self {
            scim: Scim::new(&text("scim")?, &text("token")?),
            fluent: Fluent::new(&text("fluent")?),
            grpc: text("grpc")?,
            reader_token: text("token")?,
            tenant: "dev",
            shape: Shape::Single,
            dial,
            // The one process plays all parts; it is filed under the first.
            programs: BTreeMap::from([(Part::Gateway, program)]),
            ports,
            admins: BTreeMap::new(),
            folder,
            server: None,
            databases: BTreeMap::new(),
            sim: None,
            redis: None,
            replicas: Vec::new(),
            postgres: None,
            certificates: None,
        })
    }

    async fn start_processes(dial: Dial) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let given = std::env::var("ROLECALL_TEST_POSTGRES").ok().filter(|_| !dial.own_postgres);
        let postgres = if given.is_none() { Some(Postgres::start()?) } else { None };
        let server = given.or_else(|| postgres.as_ref().map(Postgres::url)).unwrap_or_default();
        let sim = Sim::start().await?;
        let certificates = if dial.tls { Some(Certificates::make(folder.path())?) } else { None };
        let mut family = Self {
            scim: Scim::new("", ""),
            fluent: Fluent::new(&sim.url),
            grpc: String::new(),
            reader_token: String::new(),
            tenant: "dev",
            shape: Shape::Processes,
            dial,
            programs: BTreeMap::new(),
            ports: ports()?,
            admins: BTreeMap::new(),
            folder,
            server: Some(server.clone()),
            databases: BTreeMap::from([
                (Part::IdentityStore, fresh_database_on(&server, FAMILY).await?),
                (Part::FluentPusher, fresh_database_on(&server, FAMILY).await?),
            ]),
            sim: None,
            redis: Some(Redis::start()?),
            replicas: Vec::new(),
            postgres,
            certificates,
        };
        family.write_configuration(&sim.url)?;
        family.sim = Some(sim);

        family.run(Part::IdentityStore).await?;
        let flags = family.dial.settings.clone();
        family.operate(&[&["tenant", "create", "dev", "--account-name", "DEV"], &flags[..]].concat())?;
        let issue = |family: &Self, scope| -> Result<String> {
            let printed = family.operate(&["token", "issue", "dev", "--scope", scope])?;
            Ok(String::from_utf8(printed.stdout)?.trim().to_owned())
        };
        let token = issue(&family, "scim")?;
        family.reader_token = issue(&family, "roles:read")?;
        for part in &Part::ALL[1..] {
            family.run(*part).await?;
        }
        family.first_copy().await?;
        family.grpc = family.address(Part::RoleResolver);
        family.scim = Scim::new(&format!("http://{}/scim/v2", family.address(Part::Gateway)), &token);
        Ok(family)
    }

    /// Waits until Fluent's catalogue has been read: before that, nothing that adds labels is accepted.
    async fn first_copy(&self) -> Result<()> {
        let mut endpoint = tonic::transport::Endpoint::from_shared(self.url(Part::IdentityStore))?;
        if let Some(Certificates { ca, .. }) = &self.certificates {
            let ca = tonic::transport::Certificate::from_pem(std::fs::read(ca)?);
            endpoint = endpoint.tls_config(tonic::transport::ClientTlsConfig::new().ca_certificate(ca))?;
        }
        let channel = endpoint.connect().await?;
        let secret: MetadataValue<Ascii> = format!("Bearer {SECRET}").parse()?;
        let mut client = AccessServiceClient::new(channel);
        // One call waits for less long than a read takes that fails at first.
        eventually("Fluent's catalogue has been read", async || {
            let mut request = tonic::Request::new(AwaitCatalogueRequest { tenant: self.tenant.to_owned() });
            request.metadata_mut().insert("authorization", secret.clone());
            match client.await_catalogue(request).await {
                Err(status) if [Code::DeadlineExceeded, Code::Unavailable].contains(&status.code()) => None,
                answer => Some(answer),
            }
        })
        .await??;
        Ok(())
    }

    /// One file for all parts, and the secrets beside it.
    fn write_configuration(&self, fluent: &str) -> Result<()> {
        let folder = self.folder.path();
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).context("writing configuration");
        write("peers.secret", SECRET)?;
        write("revision.secret", "the secret under which test families seal their revisions")?;
        write("pepper.secret", "the pepper of the test families, which is long enough too")?;
        write("cache.secret", "the secret under which test families keep effective sets")?;
        let redis = self.dial.redis.clone().or_else(|| self.redis.as_ref().map(Redis::url));
        write("redis.url", &redis.context("several processes share a Redis")?)?;
        write("identity.database", self.data(Part::IdentityStore)?)?;
        write("pusher.database", self.data(Part::FluentPusher)?)?;
        let at = folder.display();
        let tls = self.certificates.as_ref().map_or_else(String::new, |Certificates { certificate, key, .. }| {
            format!(r#"tls = {{ certificate_file = "{}", key_file = "{}" }}"#, certificate.display(), key.display())
        });
        write(
            "rolecall.toml",
            &format!(
                r#"
[peers]
secret = {{ file = "{at}/peers.secret" }}

[revisions]
secret = {{ file = "{at}/revision.secret" }}

[identity_store]
listen = "{ANYWHERE}"
{tls}
database = {{ file = "{at}/identity.database" }}
pepper = {{ file = "{at}/pepper.secret" }}

[role_resolver]
listen = "{ANYWHERE}"
{tls}
redis = {{ url = {{ file = "{at}/redis.url" }}, secret = {{ file = "{at}/cache.secret" }} }}

[fluent_pusher]
listen = "{ANYWHERE}"
{tls}
database = {{ file = "{at}/pusher.database" }}
tenants = "{at}/tenants"
# Tests change the catalogue as often as they like.
pushing = {{ catalogue_min_interval = "50ms" }}

[gateway]
listen = "{ANYWHERE}"
"#
            ),
        )?;
        std::fs::create_dir(folder.join("tenants"))?;
        write("fluent.secret", "dev-secret")?;
        write("fluent.password", "dev-password")?;
        write(
            "tenants/dev.toml",
            &format!(
                r#"
url = "{fluent}"
account = "DEV"
client_id = "DEV"
client_secret = {{ file = "{at}/fluent.secret" }}
username = "rolecall"
password = {{ file = "{at}/fluent.password" }}
"#
            ),
        )
    }

    /// Starts a part, always where it was before, and waits until it serves.
    pub async fn run(&mut self, part: Part) -> Result<()> {
        if self.shape == Shape::Single {
            return self.run_single().await;
        }
        let (program, _, admin) = self.spawn(part, part.command(), Some(self.address(part))).await?;
        self.admins.extend(admin.map(|admin| (part, admin)));
        self.programs.insert(part, program);
        Ok(())
    }

    /// Starts one more replica of a part of a family in several processes; answers where it listens.
    pub async fn replica(&mut self, part: Part) -> Result<String> {
        ensure!(self.shape == Shape::Processes, "one process has no replicas");
        let name = format!("{}-{}", part.command(), self.replicas.len() + 2);
        let (program, listen, _) = self.spawn(part, &name, None).await?;
        self.replicas.push(program);
        Ok(listen)
    }

    /// The Redis that a family in several processes shares.
    pub fn redis(&mut self) -> Result<&mut Redis> {
        self.redis.as_mut().context("one process has no Redis")
    }

    /// Starts a process; answers where it serves, and where it tells its metrics, if it does.
    async fn spawn(&self, part: Part, name: &str, listen: Option<String>) -> Result<(Program, String, Option<String>)> {
        let mut environment = self.dial.environment.clone();
        if let Some(listen) = listen {
            environment.push((listen_variable(part), listen));
        }
        for (needed, uri, ca_file) in WAYS {
            environment.push((uri, self.url(needed)));
            if let Some(Certificates { ca, .. }) = &self.certificates {
                environment.push((ca_file, ca.display().to_string()));
            }
        }
        let config = self.folder.path().join("rolecall.toml");
        let arguments = [part.command().to_owned(), "--config".to_owned(), config.display().to_string()];
        let mut program = Program::spawn(name, self.folder.path(), &arguments, &environment)?;
        let ready = program.ready().await.with_context(|| part.command())?;
        let listen = ready["listen"].as_str().with_context(|| format!("listen in {ready}"))?;
        let listen = listen.to_owned();
        Ok((program, listen, ready["admin"].as_str().map(str::to_owned)))
    }

    async fn run_single(&mut self) -> Result<()> {
        let arguments = dev_arguments(&self.dial, self.folder.path(), &self.ports, Some(self.scim.token()));
        let mut program = Program::spawn("dev", self.folder.path(), &arguments, &self.dial.environment)?;
        let ready = program.ready().await?;
        self.fluent = Fluent::new(ready["fluent"].as_str().context("the simulator's address")?);
        self.programs.insert(Part::Gateway, program);
        Ok(())
    }

    /// Kills a part without warning. In one process, all parts.
    pub fn kill(&mut self, part: Part) -> Result<()> {
        self.program(part)?.kill()
    }

    /// Asks a part to stop and waits until it has. In one process, all parts.
    pub async fn stop(&mut self, part: Part) -> Result<ExitStatus> {
        self.ask_to_stop(part)?;
        self.stopped(part).await
    }

    /// Asks a part to stop (SIGTERM), once. In one process, all parts.
    pub fn ask_to_stop(&mut self, part: Part) -> Result<()> {
        self.program(part)?.ask_to_stop()
    }

    /// Waits until a part that was asked to stop has.
    pub async fn stopped(&mut self, part: Part) -> Result<ExitStatus> {
        self.program(part)?.stopped().await
    }

    /// The process that runs a part.
    pub fn pid(&self, part: Part) -> Result<u32> {
        let program = self.programs.get(&part).with_context(|| format!("{} does not run", part.command()))?;
        Ok(program.pid())
    }

    /// The processes that run now.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.programs.values().chain(&self.replicas).map(Program::pid).collect()
    }

    /// Where the family keeps its files, databases of a single process among them.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What a part says of itself, as text. The family's [`Dial`] must give it an admin listener.
    pub async fn metrics(&self, part: Part) -> Result<String> {
        Ok(self.admin(part, "metrics").await?.error_for_status()?.text().await?)
    }

    /// Whether a part says that it is ready, and its checks. The family's [`Dial`] must give it an admin listener.
    pub async fn readiness(&self, part: Part) -> Result<(bool, Value)> {
        let answer = self.admin(part, "readyz").await?;
        let status = answer.status().as_u16();
        ensure!([200, 503].contains(&status), "{} answers {status}", part.command());
        let report: Value = serde_json::from_slice(&answer.bytes().await?)?;
        ensure!(report["ready"] == (status == 200), "{status}, but {report}");
        Ok((status == 200, report["checks"].clone()))
    }

    async fn admin(&self, part: Part, path: &str) -> Result<reqwest::Response> {
        let admin = self.admins.get(&part).with_context(|| format!("{} has no admin listener", part.command()))?;
        Ok(reqwest::get(format!("http://{admin}/{path}")).await?)
    }

    /// Where a part listens: `host:port`.
    #[must_use]
    pub fn address(&self, part: Part) -> String {
        self.ports[&part].address()
    }

    /// The URL of a part's gRPC, as the other parts are told it.
    fn url(&self, part: Part) -> String {
        let scheme = if self.certificates.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address(part))
    }

    /// Where a part keeps its data.
    fn data(&self, part: Part) -> Result<&str> {
        let url = self.databases.get(&part).with_context(|| format!("{} has no database", part.command()))?;
        Ok(url)
    }

    /// Everything all parts have printed.
    #[must_use]
    pub fn logs(&self) -> String {
        self.programs.values().chain(&self.replicas).map(Program::log).collect()
    }

    /// Runs an operator's command against the family's identity-store, which must carry it out.
    pub fn operate(&self, arguments: &[&str]) -> Result<Output> {
        let mut arguments = arguments.to_vec();
        let ca = self.certificates.as_ref().map(|certificates| certificates.ca.display().to_string());
        arguments.extend(ca.iter().flat_map(|ca| ["--ca-file", ca]));
        let output = self.try_to_operate(&arguments)?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(output)
    }

    /// Runs an operator's command against the family's identity-store, which may refuse it. Whom to trust the arguments
    /// say.
    pub fn try_to_operate(&self, arguments: &[&str]) -> Result<Output> {
        let mut all: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        all.push("--store".into());
        all.push(self.url(Part::IdentityStore));
        all.push("--peer-secret-file".into());
        let folder =
            if self.shape == Shape::Single { self.folder.path().join("data") } else { self.folder.path().into() };
        all.push(folder.join("peers.secret").display().to_string());
        program::run(&all)
    }

    fn program(&mut self, part: Part) -> Result<&mut Program> {
        let part = if self.shape == Shape::Single { Part::Gateway } else { part };
        self.programs.get_mut(&part).with_context(|| format!("{} does not run", part.command()))
    }
}

impl Sim {
    async fn start() -> Result<Self> {
        let listener = tokio::net::TcpListener::bind(ANYWHERE).await?;
        let handle = fluent_sim::Sim::start(listener, fluent_sim::SimConfig::dev()).await?;
        Ok(Self { url: handle.url.clone(), _handle: handle })
    }
}

/// A port for each part.
fn ports() -> Result<BTreeMap<Part, Port>> {
    Part::ALL.into_iter().map(|part| Ok((part, Port::take()?))).collect()
}

/// The first start makes a token; later ones are told it.
fn dev_arguments(dial: &Dial, folder: &Path, ports: &BTreeMap<Part, Port>, token: Option<&str>) -> Vec<String> {
    let data: PathBuf = folder.join("data");
    let mut all =
        ["dev", "--fluent-listen", ANYWHERE, "--data", &data.display().to_string()].map(str::to_owned).to_vec();
    for (part, flag) in
        [(Part::Gateway, "--listen"), (Part::RoleResolver, "--grpc-listen"), (Part::IdentityStore, "--store-listen")]
    {
        all.extend([flag.to_owned(), ports[&part].address()]);
    }
    all.extend(token.into_iter().flat_map(|token| ["--token".to_owned(), token.to_owned()]));
    all.extend(dial.settings.iter().map(ToString::to_string));
    all
}

fn listen_variable(part: Part) -> &'static str {
    match part {
        Part::Gateway => "ROLECALL_GATEWAY__LISTEN",
        Part::IdentityStore => "ROLECALL_IDENTITY_STORE__LISTEN",
        Part::RoleResolver => "ROLECALL_ROLE_RESOLVER__LISTEN",
        Part::FluentPusher => "ROLECALL_FLUENT_PUSHER__LISTEN",
    }
}
