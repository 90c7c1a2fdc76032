//! The family: all parts together, in one process or in four.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output};

use anyhow::{Context as _, Result, ensure};
use proto::identity::v1::AwaitCatalogueRequest;
use proto::identity::v1::access_service_client::AccessServiceClient;
use servers::{Port, Postgres, Redis, fresh_database_on};
use tokio_postgres::error::SqlState;
use tonic::Code;
use tonic::metadata::{Ascii, MetadataValue};

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
    _postgres: Option<Postgres>,
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
            _postgres: None,
        })
    }

    async fn start_processes(dial: Dial) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let given = std::env::var("ROLECALL_TEST_POSTGRES").ok();
        let postgres = if given.is_none() { Some(Postgres::start()?) } else { None };
        let server = given.or_else(|| postgres.as_ref().map(Postgres::url)).unwrap_or_default();
        let sim = Sim::start().await?;
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
            _postgres: postgres,
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
        let address = format!("http://{}", self.address(Part::IdentityStore));
        let channel = tonic::transport::Channel::from_shared(address)?.connect().await?;
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
        let identity = self.data(Part::IdentityStore)?;
        write("pusher.database", self.data(Part::FluentPusher)?)?;
        let at = folder.display();
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
database = "{identity}"
pepper = {{ file = "{at}/pepper.secret" }}

[role_resolver]
listen = "{ANYWHERE}"
redis = {{ url = {{ file = "{at}/redis.url" }}, secret = {{ file = "{at}/cache.secret" }} }}

[fluent_pusher]
listen = "{ANYWHERE}"
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
        for (needed, key) in [
            (Part::IdentityStore, "ROLECALL_ROLE_RESOLVER__IDENTITY_STORE__URI"),
            (Part::IdentityStore, "ROLECALL_FLUENT_PUSHER__IDENTITY_STORE__URI"),
            (Part::IdentityStore, "ROLECALL_GATEWAY__IDENTITY_STORE__URI"),
            (Part::RoleResolver, "ROLECALL_FLUENT_PUSHER__ROLE_RESOLVER__URI"),
            (Part::RoleResolver, "ROLECALL_GATEWAY__ROLE_RESOLVER__URI"),
        ] {
            environment.push((key, format!("http://{}", self.address(needed))));
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
        self.program(part)?.stop().await
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
        let admin = self.admins.get(&part).with_context(|| format!("{} tells no metrics", part.command()))?;
        Ok(reqwest::get(format!("http://{admin}/metrics")).await?.error_for_status()?.text().await?)
    }

    /// Makes an empty database on the PostgreSQL server of a family in several processes; answers its URL.
    pub async fn database(&self) -> Result<String> {
        let server = self.server.as_deref().context("one process has no PostgreSQL")?;
        fresh_database_on(server, FAMILY).await
    }

    /// Copies a part's database, as it is now that the part does not run; answers the copy's URL.
    pub async fn back_up(&self, part: Part) -> Result<String> {
        copy(self.server.as_deref().context("one process has no PostgreSQL")?, self.data(part)?, None).await
    }

    /// Puts a copy in the place of a part's database, which does not run.
    pub async fn put_back(&self, part: Part, backup: &str) -> Result<()> {
        let server = self.server.as_deref().context("one process has no PostgreSQL")?;
        copy(server, backup, Some(self.data(part)?)).await?;
        Ok(())
    }

    /// Puts a copy in the place of identity-store's database, which does not run, and begins its new life.
    pub async fn restore(&self, backup: &str) -> Result<()> {
        self.put_back(Part::IdentityStore, backup).await?;
        let config = self.folder.path().join("rolecall.toml").display().to_string();
        let output = program::run(&["identity-store", "restored", "--config", &config].map(str::to_owned))?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Where a part listens: `host:port`.
    fn address(&self, part: Part) -> String {
        self.ports[&part].address()
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

    /// Runs an operator's command against the family's identity-store.
    pub fn operate(&self, arguments: &[&str]) -> Result<Output> {
        let mut all: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        all.push("--store".into());
        all.push(format!("http://{}", self.address(Part::IdentityStore)));
        all.push("--peer-secret-file".into());
        let folder =
            if self.shape == Shape::Single { self.folder.path().join("data") } else { self.folder.path().into() };
        all.push(folder.join("peers.secret").display().to_string());
        let output = program::run(&all)?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(output)
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

/// Copies a database of the server to another, which is replaced, or to a new one; answers that one's URL.
async fn copy(server: &str, from: &str, to: Option<&str>) -> Result<String> {
    let to = match to {
        Some(to) => to.to_owned(),
        None => fresh_database_on(server, FAMILY).await?,
    };
    let name = |url: &str| url.rsplit_once('/').map(|(_, name)| name.to_owned()).context("a URL ends in a database");
    let (from, into) = (name(from)?, name(&to)?);
    let (admin, connection) = tokio_postgres::connect(server, tokio_postgres::NoTls).await?;
    let driver = tokio::spawn(connection);
    // A process that was killed may have left connections behind.
    let left = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{from}'");
    admin.batch_execute(&left).await?;
    for statement in
        [format!("DROP DATABASE IF EXISTS {into} WITH (FORCE)"), format!("CREATE DATABASE {into} TEMPLATE {from}")]
    {
        // A connection that is ended is gone a little later, and the server waits a few seconds for it.
        eventually("nobody uses the databases any more", async || match admin.batch_execute(&statement).await {
            Err(error) if error.code() == Some(&SqlState::OBJECT_IN_USE) => None,
            done => Some(done),
        })
        .await??;
    }
    drop(admin);
    driver.await??;
    Ok(to)
}
