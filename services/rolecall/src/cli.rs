//! What can be typed.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use crate::ground::GroundAction;
use crate::held_back::HeldBackAction;
use crate::rules::RulesAction;
use crate::settings::SettingsArgs;

/// Joins an identity provider to Fluent Order Management: the IdP speaks SCIM, Fluent holds exactly the roles that follow.
#[derive(Debug, Parser)]
#[command(name = "rolecall", version)]
pub(crate) struct Program {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs all four parts in this process on a `SQLite` file, beside a simulated Fluent.
    #[cfg(feature = "dev")]
    Dev(Box<crate::dev::DevArgs>),
    /// Plays a story over real HTTP against such a set-up, and shows what Fluent holds at its end.
    #[cfg(feature = "dev")]
    Demo,
    /// Runs the gateway: the IdP's SCIM endpoint.
    Gateway(RunArgs),
    /// Runs the identity-store: tenants, users, groups, the feed.
    #[command(args_conflicts_with_subcommands = true)]
    IdentityStore {
        #[command(subcommand)]
        action: Option<StoreAction>,
        #[command(flatten)]
        run: RunArgs,
    },
    /// Runs the role-resolver: who may do what.
    RoleResolver(RunArgs),
    /// Runs the fluent-pusher: makes Fluent hold exactly that.
    FluentPusher(RunArgs),
    /// Makes and lists tenants, and sets what they choose.
    Tenant {
        #[command(subcommand)]
        action: TenantAction,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Issues, lists and revokes bearer tokens.
    Token {
        #[command(subcommand)]
        action: TokenAction,
        #[command(flatten)]
        store: StoreArgs,
    },
}

/// How a part is run.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    /// The configuration file. Variables such as `ROLECALL_GATEWAY__LISTEN` win over it.
    #[arg(long, env = "ROLECALL_CONFIG", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Checks the configuration and stops.
    #[arg(long)]
    pub(crate) check_config: bool,
    /// Written once the part serves: JSON with the addresses it listens on.
    #[arg(long)]
    pub(crate) ready_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreAction {
    /// Begins a new epoch: to be run once after the database was restored from a backup, before the store is started.
    Restored,
}

/// Which identity-store a command speaks to.
#[derive(Clone, Debug, Args)]
pub(crate) struct StoreArgs {
    /// Where its gRPC is.
    #[arg(long, env = "ROLECALL_STORE", default_value = "http://127.0.0.1:9091", global = true)]
    pub(crate) store: String,
    /// The file that holds the secret the parts share.
    #[arg(long, env = "ROLECALL_PEER_SECRET_FILE", global = true)]
    pub(crate) peer_secret_file: Option<PathBuf>,
    /// The file of the authorities that sign the parts' certificates, where identity-store listens with TLS (`https`).
    #[arg(long, env = "ROLECALL_STORE_CA_FILE", global = true)]
    pub(crate) ca_file: Option<PathBuf>,
    /// The name identity-store's certificate bears, where it is not the address's host.
    #[arg(long, env = "ROLECALL_STORE_SERVER_NAME", requires = "ca_file", global = true)]
    pub(crate) server_name: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TenantAction {
    /// Makes a tenant.
    Create {
        /// Its name: 1 to 63 of a-z, 0-9 and -, beginning with a letter.
        name: String,
        /// What it chooses.
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Changes what a tenant chooses; what is not named stays.
    Settings {
        /// The tenant.
        name: String,
        /// What it chooses.
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Labels for groups whose identity provider can't give them any.
    GroupLabels {
        #[command(subcommand)]
        action: GroupLabelsAction,
    },
    /// Lists all tenants.
    List,
    /// Defines, lists and removes the tenant's own extensions of users and groups.
    Schema {
        #[command(subcommand)]
        action: SchemaAction,
    },
    /// Shows, previews and decides the changes of catalogue, rules and settings that wait.
    Ground {
        #[command(subcommand)]
        action: GroundAction,
    },
    /// Shows and releases those who left in a crowd and are held back.
    HeldBack {
        #[command(subcommand)]
        action: HeldBackAction,
    },
    /// Shows a tenant's role rules, and changes its own.
    Rules {
        #[command(subcommand)]
        action: RulesAction,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SchemaAction {
    /// Defines an extension, or defines it anew.
    Put {
        /// The tenant.
        tenant: String,
        /// What it extends, and the file that holds the schema in the JSON of RFC 7643 section 7: `user=FILE` or
        /// `group=FILE`.
        extension: ExtensionFile,
    },
    /// Lists what a tenant defines: what it extends, and its URN.
    List {
        /// The tenant.
        tenant: String,
        /// Prints the whole definitions, one a line.
        #[arg(long)]
        json: bool,
    },
    /// Takes an extension away. What resources hold of it stays, as of an extension nobody defined.
    Remove {
        /// The tenant.
        tenant: String,
        /// Its URN.
        urn: String,
    },
}

/// A file that defines an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExtensionFile {
    /// `user` or `group`.
    resource_type: String,
    file: PathBuf,
}

impl std::str::FromStr for ExtensionFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (resource_type, file) = text.split_once('=').ok_or("it must be user=FILE or group=FILE")?;
        Ok(Self { resource_type: resource_type.to_owned(), file: file.into() })
    }
}

impl ExtensionFile {
    /// The extension in the file, for the contract.
    pub(crate) fn read(&self) -> anyhow::Result<proto::admin::v1::Extension> {
        let Self { resource_type, file } = self;
        let schema = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        Ok(proto::admin::v1::Extension { resource_type: resource_type.clone(), schema })
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum GroupLabelsAction {
    /// Gives the groups of a key these labels, and no others.
    Set {
        /// The tenant.
        name: String,
        #[command(flatten)]
        key: GroupKeyArgs,
        /// A label; may be given several times.
        #[arg(long = "label", required = true)]
        labels: Vec<String>,
    },
    /// Takes the labels of a key away.
    Remove {
        /// The tenant.
        name: String,
        #[command(flatten)]
        key: GroupKeyArgs,
    },
    /// Lists the whole table.
    List {
        /// The tenant.
        name: String,
    },
}

/// Which groups. Of several entries that name a group, the first of these counts.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct GroupKeyArgs {
    /// Those with this externalId.
    #[arg(long)]
    pub(crate) external_id: Option<String>,
    /// The one with this SCIM id.
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// The one with this displayName, in any case; it need not be there yet.
    #[arg(long)]
    pub(crate) display_name: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenAction {
    /// Issues a token and prints it: it is shown this once.
    Issue {
        /// The tenant.
        tenant: String,
        /// What its holder may do: `scim`, `scim:read` (only read), `roles:read`.
        #[arg(long = "scope", default_value = "scim")]
        scopes: Vec<String>,
        /// How many days it lives, 1 to 365.
        #[arg(long, default_value_t = 180)]
        days: u32,
        /// A note, for example which IdP uses it.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Lists a tenant's tokens, never their secrets.
    List {
        /// The tenant.
        tenant: String,
    },
    /// Ends a token at once.
    Revoke {
        /// The tenant.
        tenant: String,
        /// Its public id, as `list` shows it.
        id: String,
    },
}
