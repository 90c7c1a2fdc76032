//! `rolecall tenant ground`: changes of catalogue, rules and settings that wait for an operator, from a shell.

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;
use proto::admin::v1 as pb;
use proto::admin::v1::preview_ground_request::Change;
use proto::common::v1::{ContextType, Grant};

use crate::operate::{Admin, said, when};
use crate::rules;

#[derive(Debug, Subcommand)]
pub(crate) enum GroundAction {
    /// Lists the changes that wait because they would hit more users than the tenant's limit.
    Pending {
        /// The tenant.
        name: String,
    },
    /// Shows what a change would do to each user: one that waits, or a rule set that is not put in yet.
    Preview {
        /// The tenant.
        name: String,
        /// The change that waits.
        #[arg(required_unless_present = "rules", conflicts_with = "rules")]
        id: Option<String>,
        /// A rule set for the tenant's own table, in the JSON format of Fluent's own setting; `-` for standard input.
        #[arg(long)]
        rules: Option<PathBuf>,
    },
    /// Makes a change that waits.
    Confirm {
        /// The tenant.
        name: String,
        /// The change.
        id: String,
    },
    /// Drops a change that waits. One read in Fluent is proposed again only once Fluent says something else.
    Dismiss {
        /// The tenant.
        name: String,
        /// The change.
        id: String,
    },
}

/// Told where a command's change was not made.
pub(crate) const WAITS: &str = "the change would hit more users than the tenant's limit, and waits: \
     `rolecall tenant ground pending` names it";

pub(crate) async fn run(admin: &mut Admin, action: GroundAction) -> Result<()> {
    match action {
        GroundAction::Pending { name } => {
            let request = pb::ListPendingGroundsRequest { tenant: name };
            for pending in admin.list_pending_grounds(request).await.map_err(said)?.into_inner().pending {
                let source = match pending.source() {
                    pb::GroundSource::Read => "read in Fluent",
                    pb::GroundSource::Rules => "rules",
                    pb::GroundSource::Settings => "settings",
                    pb::GroundSource::Unspecified => "unknown",
                };
                let pb::PendingGround { id, source: _, since_us, names } = pending;
                let names = if names.is_empty() { "everything".to_owned() } else { names.join(", ") };
                println!("{id}  {source}  since {}  {names}", when(since_us));
            }
        }
        GroundAction::Preview { name, id, rules } => {
            let change = match (id, rules) {
                (Some(id), _) => Change::PendingId(id),
                (None, Some(file)) => Change::Rules(rules::read(&file)?),
                (None, None) => anyhow::bail!("name a change that waits, or a file of rules"),
            };
            let request = pb::PreviewGroundRequest { tenant: name, change: Some(change) };
            let mut pages = admin.preview_ground(request).await.map_err(said)?.into_inner();
            let (mut hit, mut better) = (0_u64, 0_u64);
            while let Some(page) = pages.message().await.map_err(said)? {
                for user in page.users {
                    if !user.lost.is_empty() || user.turn() == pb::Turn::Held {
                        hit += 1;
                    } else {
                        better += 1;
                    }
                    println!("{}", told(&user));
                }
            }
            eprintln!("{hit} lose something or are held; {better} only gain or are freed");
        }
        GroundAction::Confirm { name, id } => {
            admin.confirm_ground(pb::ConfirmGroundRequest { tenant: name, id }).await.map_err(said)?;
        }
        GroundAction::Dismiss { name, id } => {
            admin.dismiss_ground(pb::DismissGroundRequest { tenant: name, id }).await.map_err(said)?;
        }
    }
    Ok(())
}

/// One user, on one line.
fn told(user: &pb::UserDifference) -> String {
    let grants = |sign: char, grants: &[Grant]| -> Vec<String> {
        let context = |grant: &Grant| match grant.context_type() {
            ContextType::Account => "ACCOUNT",
            ContextType::Retailer => "RETAILER",
            ContextType::Agent => "AGENT",
            ContextType::Unspecified => "",
        };
        grants.iter().map(|grant| format!("{sign}{} in {} {}", grant.role, context(grant), grant.context_id)).collect()
    };
    let turn = match user.turn() {
        pb::Turn::Held => vec!["held".to_owned()],
        pb::Turn::Freed => vec!["freed".to_owned()],
        pb::Turn::Unspecified => Vec::new(),
    };
    let all = [turn, grants('-', &user.lost), grants('+', &user.gained)].concat();
    format!("{}  {}", user.user_name, all.join(", "))
}
