//! `rolecall tenant rules`: a tenant's role rules, from a shell.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Subcommand;
use proto::admin::v1 as pb;
use proto::common::v1::RulesFrom;

use crate::ground::WAITS;
use crate::operate::{Admin, said, when};

#[derive(Debug, Subcommand)]
pub(crate) enum RulesAction {
    /// Puts a rule set into the tenant's own table, in the place of the one there.
    Put {
        /// The tenant.
        name: String,
        /// The file, in the JSON format of Fluent's own setting; `-` for standard input.
        file: PathBuf,
    },
    /// Shows the rule set in force, where it comes from, and what is wrong with Fluent's setting.
    Show {
        /// The tenant.
        name: String,
    },
    /// Takes the rule set out of the tenant's own table.
    Remove {
        /// The tenant.
        name: String,
    },
}

/// The text of a file of rules; `-` for standard input.
pub(crate) fn read(file: &Path) -> Result<String> {
    if file.as_os_str() == "-" {
        return std::io::read_to_string(std::io::stdin()).context("reading standard input");
    }
    std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
}

pub(crate) async fn run(admin: &mut Admin, action: RulesAction) -> Result<()> {
    match action {
        RulesAction::Put { name, file } => {
            let request = pb::PutRulesRequest { tenant: name.clone(), rules: read(&file)? };
            if admin.put_rules(request).await.map_err(said)?.into_inner().waits {
                eprintln!("{WAITS}");
                return Ok(());
            }
            let answer = admin.get_rules(pb::GetRulesRequest { tenant: name.clone() }).await.map_err(said)?;
            if answer.get_ref().in_force() != RulesFrom::Own {
                eprintln!(
                    "stored, but Fluent's rules are in force: `rolecall tenant settings {name} --rules-from own`"
                );
            }
        }
        RulesAction::Show { name } => {
            let answer = admin.get_rules(pb::GetRulesRequest { tenant: name }).await.map_err(said)?.into_inner();
            let from = answer.in_force();
            let pb::GetRulesResponse { own, fluent, in_force: _, fault, fault_since_us } = answer;
            if !fault.is_empty() {
                eprintln!("Fluent's setting is not taken since {}: {fault}", when(fault_since_us));
            }
            let (source, set) = match from {
                RulesFrom::Own => ("the tenant's own", own),
                RulesFrom::Fluent => ("Fluent's setting", fluent),
                RulesFrom::Unspecified => ("no", None),
            };
            eprintln!("in force: {source} rules");
            if let Some(pb::RuleSet { rules, changed_at_us }) = set {
                eprintln!("changed:  {}", when(changed_at_us));
                let rules: serde_json::Value = serde_json::from_str(&rules).context("reading the rules")?;
                println!("{rules:#}");
            }
        }
        RulesAction::Remove { name } => {
            if admin.remove_rules(pb::RemoveRulesRequest { tenant: name }).await.map_err(said)?.into_inner().waits {
                eprintln!("{WAITS}");
            }
        }
    }
    Ok(())
}
