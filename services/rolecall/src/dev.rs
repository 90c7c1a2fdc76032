//! `rolecall dev`: all parts in this process, on SQLite files, beside a simulated Fluent.
//!
//! The parts are the very ones that run in processes of their own. Their generated clients stand directly on their
//! servers, so no network lies between them.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use domain::clock::Clock;
use domain::id::TenantId;
use domain::token::FixedToken;
use fluent_sim::{Sim, SimConfig, SimHandle};
use proto::admin::v1 as admin;
use proto::admin::v1::admin_service_client::AdminServiceClient;
use runtime::config::Secret;
use runtime::grpc::Transport;
use runtime::peer::PeerSecret;
use serde::Serialize;

use crate::cli::ExtensionFile;
use crate::config::{self, Checked as _, Config};
use crate::part::revision_key;
use crate::process::{Process, bind};
use crate::ready;
use crate::settings::SettingsArgs;

/// The one tenant of a development set-up.
const TENANT: &str = "dev";
/// How long the first copy of the catalogue may take.
const FIRST_COPY: Duration = Duration::from_secs(30);

/// The flags of `rolecall dev`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DevArgs {
    /// Where SCIM is served.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Where the role-resolver's gRPC is served.
    #[arg(long, default_value = "127.0.0.1:9092")]
    pub(crate) grpc_listen: SocketAddr,
    /// Where the simulated Fluent is served.
    #[arg(long, default_value = "127.0.0.1:8090")]
    pub(crate) fluent_listen: SocketAddr,
    /// Where identity-store's gRPC is served to operators' commands, with the secret in `peers.secret` of the data folder;
    /// nowhere without it.
    #[arg(long)]
    pub(crate) store_listen: Option<SocketAddr>,
    /// Where metrics and health are served; nowhere without it.
    #[arg(long)]
    pub(crate) admin_listen: Option<SocketAddr>,
    /// Where the databases are kept.
    #[arg(long, default_value = "rolecall-data")]
    pub(crate) data: PathBuf,
    /// Fixes the bearer token, instead of a new one at each start.
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) token: Option<String>,
    /// How often the catalogue is read from Fluent.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "5m")]
    pub(crate) catalogue_refresh: Duration,
    /// What the tenant chooses.
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// An extension of the tenant's users or groups: the file that holds its schema, in the JSON of RFC 7643 section 7,
    /// as `user=FILE` or `group=FILE`. May be given several times.
    #[arg(long = "extension")]
    pub(crate) extensions: Vec<ExtensionFile>,
    /// No simulated Fluent: a real account, named by the flags below and `ROLECALL_FLUENT_…` secrets in the environment.
    #[arg(long, requires = "fluent_url")]
    pub(crate) no_sim: bool,
    /// The real account's API root.
    #[arg(long, requires = "no_sim")]
    pub(crate) fluent_url: Option<String>,
    /// The real account's id.
    #[arg(long, env = "ROLECALL_FLUENT_ACCOUNT", default_value = "DEV")]
    pub(crate) fluent_account: String,
    /// Written once everything serves: JSON with `scim`, `token`, `grpc` and `fluent`.
    #[arg(long)]
    pub(crate) ready_file: Option<PathBuf>,
}

/// A running set-up.
#[derive(Debug)]
pub(crate) struct Running {
    /// The SCIM base URL.
    pub(crate) scim: String,
    /// The bearer token, good for SCIM and for the role-resolver.
    pub(crate) token: String,
    /// Where the role-resolver's gRPC is.
    pub(crate) grpc: SocketAddr,
    /// Fluent's API root.
    pub(crate) fluent: String,
    /// Where operators' commands are answered, if anywhere.
    store: Option<SocketAddr>,
    process: Process,
    simulated: Option<SimHandle>,
    /// Whom the line to try hires: at later starts the first is there already.
    first_hire: String,
    /// Held as long as the data folder is used.
    _lock: File,
}

/// What the ready file says.
#[derive(Serialize)]
struct Addresses<'a> {
    scim: &'a str,
    token: &'a str,
    grpc: String,
    fluent: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    admin: Option<String>,
}

pub(crate) async fn run(arguments: DevArgs) -> Result<()> {
    let begun = Instant::now();
    let ready_file = arguments.ready_file.clone();
    let running = Running::start(arguments).await?;
    let took = begun.elapsed();
    let Running { scim, token, grpc, fluent, store, process, .. } = &running;
    let admin = process.admin().map(|address| address.to_string());
    let (grpc, store) = (grpc.to_string(), store.map(|address| address.to_string()));
    let announced = ready::write(ready_file.as_deref(), &Addresses { scim, token, grpc, fluent, store, admin });
    if announced.is_ok() {
        running.print(took);
    }
    running.process.until_stopped(announced).await
}

impl DevArgs {
    /// The set-up of the demo: anywhere, in `folder`.
    pub(crate) fn demo(folder: &Path) -> Self {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen: anywhere,
            grpc_listen: anywhere,
            fluent_listen: anywhere,
            store_listen: None,
            admin_listen: None,
            data: folder.to_owned(),
            token: None,
            catalogue_refresh: Duration::from_mins(5),
            settings: SettingsArgs::default(),
            extensions: Vec::new(),
            no_sim: false,
            fluent_url: None,
            fluent_account: "DEV".to_owned(),
            ready_file: None,
        }
    }
}

impl Running {
    /// Starts everything; answers once the first copy of the catalogue is in.
    pub(crate) async fn start(arguments: DevArgs) -> Result<Self> {
        std::fs::create_dir_all(&arguments.data).context("making the data folder")?;
        let lock = lock(&arguments.data)?;
        let config = configuration(&arguments)?;
        let process = Process::start("rolecall", &config)?;
        let face = bind(arguments.listen).await?;
        let grpc = bind(arguments.grpc_listen).await?;
        let face_address = face.local_addr()?;
        let grpc_address = grpc.local_addr()?;
        let mut simulated = None;
        if !arguments.no_sim {
            simulated = Some(Sim::start(bind(arguments.fluent_listen).await?, SimConfig::dev()).await?);
            // It begins empty, so nothing that was known of an earlier one is true: everyone is pushed anew.
            for file in ["pusher.db", "pusher.db-wal", "pusher.db-shm"] {
                remove(&arguments.data.join(file))?;
            }
        }

        // Parts in one process need no secret between them. The listeners have one that only operators' commands know.
        let peers = PeerSecret::new(kept_secret(&arguments.data.join("peers.secret"))?.expose());
        let revision_key = revision_key(&config)?;
        let tenant: TenantId = TENANT.parse()?;
        let fixed_token = arguments.token.as_ref().map(|text| FixedToken::new(text, tenant));
        let parts = identity_store::Parts {
            revision_key: revision_key.clone(),
            peers: peers.clone(),
            metrics: process.metrics.clone(),
            readiness: process.readiness.clone(),
            clock: Clock::System,
        };
        let store = identity_store::build(&config.identity_store, parts).await?;
        let identity = store.server().in_process();
        let parts = role_resolver::Parts {
            identity_store: identity.clone(),
            revision_key,
            peers: peers.clone(),
            metrics: process.metrics.clone(),
            readiness: process.readiness.clone(),
            clock: Clock::System,
            fixed_token: fixed_token.clone(),
            stop: process.shutdown.token(),
        };
        let resolver = role_resolver::build(&config.role_resolver, parts).await?;
        let roles = resolver.in_process();
        let parts = fluent_pusher::Parts {
            identity_store: identity.clone(),
            role_resolver: roles.clone(),
            peers,
            metrics: process.metrics.clone(),
            readiness: process.readiness.clone(),
            clock: Clock::System,
        };
        let url = simulated.as_ref().map(|handle| handle.url.clone()).or_else(|| arguments.fluent_url.clone());
        let fluent = url.unwrap_or_default();
        tenant_file(&arguments, &fluent)?;
        let pusher = fluent_pusher::build(&config.fluent_pusher, parts).await?;
        let parts = gateway::Parts {
            identity_store: identity.clone(),
            role_resolver: roles,
            metrics: process.metrics.clone(),
            fixed_token,
            clock: Clock::System,
        };
        let gateway = gateway::build(&config.gateway, parts);

        let (token, is_first) = set_up_tenant(identity.clone(), &arguments).await?;
        let first_hire = if is_first { "ada".to_owned() } else { format!("ada-{}", Clock::System.now().0 / 1_000_000) };
        let mut store_address = None;
        if let Some(address) = arguments.store_listen {
            let listener = bind(address).await?;
            store_address = Some(listener.local_addr()?);
            process.serve_grpc(listener, store.server(), config.identity_store.limits.clone(), None)?;
        }
        process.run_store(store);
        process.shutdown.spawn(pusher.run(process.shutdown.token()));
        process.serve_grpc(grpc, &resolver, config.role_resolver.limits.clone(), None)?;
        first_copy(identity).await?;
        let stop = process.shutdown.token();
        process.shutdown.spawn(async move {
            if let Err(error) = gateway.run(face, stop).await {
                tracing::error!(%error, "the gateway can't serve");
            }
        });
        let scim = format!("http://{face_address}{}", gateway::BASE_PATH);
        let (grpc, store) = (grpc_address, store_address);
        Ok(Self { scim, token, grpc, fluent, store, process, simulated, first_hire, _lock: lock })
    }

    /// The simulated Fluent, if there is one.
    pub(crate) fn sim(&self) -> Option<&Sim> {
        self.simulated.as_ref().map(|handle| &handle.sim)
    }

    /// Stops everything.
    pub(crate) async fn stop(self) -> Result<()> {
        self.process.shutdown.request();
        self.process.until_stopped(Ok(())).await
    }

    fn print(&self, took: Duration) {
        let Self { scim, token, grpc, fluent, first_hire: name, .. } = self;
        println!("Rolecall is ready after {} ms.", took.as_millis());
        println!();
        println!("  SCIM base URL   {scim}");
        println!("  bearer token    {token}");
        println!("  role-resolver   {grpc} (gRPC, the same token)");
        println!("  Fluent          {fluent}{}", if self.simulated.is_some() { " (simulated)" } else { "" });
        println!();
        println!("Hire somebody, then look at what Fluent holds:");
        println!();
        println!(
            "  curl -sS -X POST {scim}/Users -H 'Authorization: Bearer {token}' -H 'Content-Type: application/scim+json' \
             -d '{{\"userName\":\"{name}@example.com\",\"active\":true,\"name\":{{\"givenName\":\"Ada\",\"familyName\":\"Byron\"}},\
             \"emails\":[{{\"value\":\"{name}@example.com\",\"type\":\"work\"}}],\
             \"roles\":[{{\"value\":\"AGENT_CHIC-01_Fulfillment_Associate\"}}]}}'"
        );
        if self.simulated.is_some() {
            println!("  curl -sS {fluent}/_sim/users/{name}@example.com");
        } else {
            println!(
                "  curl -sS '{scim}/Users?filter=userName%20eq%20%22{name}@example.com%22' -H 'Authorization: Bearer {token}'"
            );
        }
    }
}

/// What a set-up needs beside the flags: the environment may change limits and times; the rest is decided here.
fn configuration(arguments: &DevArgs) -> Result<Config> {
    let mut config = config::Dev::read(None)?;
    let data = arguments.data.display();
    let secret = |name: &str| -> Result<Option<Secret>> { Ok(Some(kept_secret(&arguments.data.join(name))?)) };
    config.process.admin_listen = config.process.admin_listen.or(arguments.admin_listen);
    let is_set = |name: &str| std::env::var_os(name).is_some();
    if !is_set("ROLECALL_TELEMETRY__FILTER") {
        "warn".clone_into(&mut config.telemetry.filter);
    }
    // One tenant has no neighbours to be protected from; whoever wants to see a limit sets it.
    let limits = &mut config.gateway.limits;
    for (name, rate) in [
        ("READS", &mut limits.reads_per_second),
        ("WRITES", &mut limits.writes_per_second),
        ("HEAVY_LISTS", &mut limits.heavy_lists_per_second),
        ("STRANGERS", &mut limits.strangers_per_second),
    ] {
        if !is_set(&format!("ROLECALL_GATEWAY__LIMITS__{name}_PER_SECOND")) {
            *rate = 0;
        }
    }
    config.gateway.basic = arguments.listen.ip().is_loopback();
    config.revisions.secret = secret("revisions.secret")?;
    config.identity_store.database = Some(format!("sqlite:{data}/identity.db").as_str().into());
    config.identity_store.pepper = secret("pepper.secret")?;
    config.fluent_pusher.database = Some(Secret::new(format!("sqlite:{data}/pusher.db")));
    config.fluent_pusher.tenants = Some(arguments.data.join("tenants"));
    config.fluent_pusher.instance = Some(TENANT.to_owned());
    config.fluent_pusher.pushing.catalogue_refresh = arguments.catalogue_refresh;
    // A developer who adds a role wants it known at once.
    config.fluent_pusher.pushing.catalogue_min_interval = Duration::from_millis(100);
    Ok(config)
}

/// Takes the data folder for this process alone, until the lock is dropped or the process ends, however it does.
fn lock(folder: &Path) -> Result<File> {
    let lock = File::create(folder.join("lock")).context("locking the data folder")?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            bail!("another `rolecall dev` uses this data folder: stop it, or give --data another")
        }
        Err(TryLockError::Error(error)) => Err(error).context("locking the data folder"),
    }
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).context("clearing what was known of Fluent"),
        _ => Ok(()),
    }
}

/// A secret of this data folder: made at the first start, for its owner alone, and read at later ones.
fn kept_secret(path: &Path) -> Result<Secret> {
    match File::options().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => file.write_all(random_secret().as_bytes()).context("keeping a secret in the data folder")?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).context("keeping a secret in the data folder"),
    }
    Ok(Secret::new(std::fs::read_to_string(path).context("reading a secret in the data folder")?))
}

fn random_secret() -> String {
    domain::token::BearerToken::generate().expose()
}

/// The pusher's settings for the one tenant, in the folder it reads.
fn tenant_file(arguments: &DevArgs, url: &str) -> Result<()> {
    let folder = arguments.data.join("tenants");
    std::fs::create_dir_all(&folder).context("making the folder of Fluent settings")?;
    let account = &arguments.fluent_account;
    // The simulated Fluent's, which protect nothing; kept in files all the same, as secrets are.
    let kept = |name: &str, secret: &str| -> Result<String> {
        let file = arguments.data.join(name);
        std::fs::write(&file, secret).context("keeping a secret in the data folder")?;
        Ok(format!("{{ file = {:?} }}", file.display().to_string()))
    };
    let (secret, username, password) = if arguments.no_sim {
        (
            "{ env = \"ROLECALL_FLUENT_CLIENT_SECRET\" }".to_owned(),
            std::env::var("ROLECALL_FLUENT_USERNAME")
                .context("ROLECALL_FLUENT_USERNAME names the user to sign in as")?,
            "{ env = \"ROLECALL_FLUENT_PASSWORD\" }".to_owned(),
        )
    } else {
        (kept("fluent.secret", "dev-secret")?, "rolecall".to_owned(), kept("fluent.password", "dev-password")?)
    };
    let text = format!(
        "url = {url:?}\naccount = {account:?}\nclient_id = {account:?}\nclient_secret = {secret}\n\
         username = {username:?}\npassword = {password}\n"
    );
    std::fs::write(folder.join(format!("{TENANT}.toml")), text).context("writing the Fluent settings")
}

/// Makes the tenant at the first start, sets what the flags choose, and answers a token that is good, and whether this is
/// the first start.
async fn set_up_tenant(identity: Transport, arguments: &DevArgs) -> Result<(String, bool)> {
    let mut client = AdminServiceClient::new(identity);
    let known = client.list_tenants(admin::ListTenantsRequest {}).await?.into_inner().tenants;
    let tenant = || TENANT.to_owned();
    let is_first = known.iter().all(|name| name != TENANT);
    let mut settings = if is_first {
        let mut first =
            proto::common::v1::Settings { account_name: arguments.fluent_account.clone(), ..Default::default() };
        first.set_environment(proto::common::v1::Environment::Development);
        let request = admin::CreateTenantRequest { tenant: tenant(), settings: Some(first.clone()) };
        client.create_tenant(request).await?;
        first
    } else {
        let known = client.get_settings(admin::GetSettingsRequest { tenant: tenant() }).await?;
        known.into_inner().settings.unwrap_or_default()
    };
    arguments.settings.clone().apply(&mut settings);
    client.put_settings(admin::PutSettingsRequest { tenant: tenant(), settings: Some(settings) }).await?;
    for extension in &arguments.extensions {
        let request = admin::PutExtensionRequest { tenant: tenant(), extension: Some(extension.read()?) };
        client.put_extension(request).await?;
    }
    if let Some(token) = &arguments.token {
        return Ok((token.clone(), is_first));
    }
    // Tokens of earlier starts would pile up to the limit.
    let old = client.list_tokens(admin::ListTokensRequest { tenant: tenant() }).await?.into_inner().tokens;
    for token in old.into_iter().filter(|token| token.revoked_at_us == 0) {
        client.revoke_token(admin::RevokeTokenRequest { tenant: tenant(), token_id: token.token_id }).await?;
    }
    let scopes = vec!["scim".to_owned(), "roles:read".to_owned()];
    let request = admin::IssueTokenRequest { tenant: tenant(), scopes, days: 365, note: "rolecall dev".to_owned() };
    Ok((client.issue_token(request).await?.into_inner().token, is_first))
}

/// Waits for the first copy of the catalogue: before it, no label could be recognised.
async fn first_copy(identity: Transport) -> Result<()> {
    use proto::identity::v1 as pb;
    let mut client = pb::access_service_client::AccessServiceClient::new(identity.with_timeout(FIRST_COPY));
    let copied = async {
        loop {
            match client.await_catalogue(pb::AwaitCatalogueRequest { tenant: TENANT.to_owned() }).await {
                // One call waits for less long than the first copy may take.
                Err(status) if status.code() == tonic::Code::DeadlineExceeded => {}
                answer => return answer.map(drop),
            }
        }
    };
    let copied = tokio::time::timeout(FIRST_COPY, copied).await.map_err(anyhow::Error::from);
    copied.and_then(|answer| Ok(answer?)).context("Fluent's catalogue could not be read")
}
