//! `rolecall tenant held-back`: who left beyond the guard against mass deactivation and waits for an operator, from a shell.

use anyhow::Result;
use clap::{Args, Subcommand};
use proto::admin::v1 as pb;
use proto::admin::v1::release_held_back_request::Which;

use crate::operate::{Admin, said, when};

#[derive(Debug, Subcommand)]
pub(crate) enum HeldBackAction {
    /// Lists those who were deactivated or deleted in a crowd and whose accounts are kept.
    List {
        /// The tenant.
        name: String,
    },
    /// Releases them: their accounts become inactive and lose their roles. Cut short, it goes on when it is run again.
    Release {
        /// The tenant.
        name: String,
        #[command(flatten)]
        which: WhichArgs,
    },
}

/// Who is to be released.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct WhichArgs {
    /// Everyone who is held back now; nobody who comes to be while it runs.
    #[arg(long)]
    all: bool,
    /// The user with this SCIM id; may be given several times.
    #[arg(long = "user")]
    users: Vec<String>,
}

/// The most users named in one call.
const NAMED: usize = 1_000;

pub(crate) async fn run(admin: &mut Admin, action: HeldBackAction) -> Result<()> {
    let (released, left) = match action {
        HeldBackAction::List { name } => return list(admin, name).await,
        HeldBackAction::Release { name, which: WhichArgs { all: true, users: _ } } => release_all(admin, &name).await?,
        HeldBackAction::Release { name, which: WhichArgs { all: false, users } } => {
            let (mut released, mut left) = (0, 0);
            for user_ids in users.chunks(NAMED).map(<[String]>::to_vec) {
                let answer = release(admin, &name, Which::Named(pb::NamedUsers { user_ids })).await?;
                (released, left) = (released + answer.released, answer.left);
            }
            (released, left)
        }
    };
    println!("{released} released; {left} held back");
    Ok(())
}

/// Told where the guard is not to hold any more, and some are held back.
pub(crate) async fn remind(admin: &mut Admin, name: &str) -> Result<()> {
    let total = page(admin, name, String::new()).await?.total;
    if total > 0 {
        eprintln!("{total} stay held back until they are released: `rolecall tenant held-back release {name} --all`");
    }
    Ok(())
}

async fn list(admin: &mut Admin, name: String) -> Result<()> {
    let mut after = Some(String::new());
    while let Some(after_id) = after {
        let answer = page(admin, &name, after_id).await?;
        after = answer.users.last().map(|last| last.user_id.clone());
        if after.is_none() {
            eprintln!("{} held back", answer.total);
        }
        for pb::HeldBack { user_id, user_name, deleted, since_us } in answer.users {
            let how = if deleted { "deleted" } else { "inactive" };
            println!("{user_id}  {how:<8}  since {}  {user_name}", when(since_us));
        }
    }
    Ok(())
}

async fn page(admin: &mut Admin, name: &str, after_id: String) -> Result<pb::ListHeldBackResponse> {
    let request = pb::ListHeldBackRequest { tenant: name.to_owned(), after_id };
    Ok(admin.list_held_back(request).await.map_err(said)?.into_inner())
}

async fn release(admin: &mut Admin, name: &str, which: Which) -> Result<pb::ReleaseHeldBackResponse> {
    let request = pb::ReleaseHeldBackRequest { tenant: name.to_owned(), which: Some(which) };
    Ok(admin.release_held_back(request).await.map_err(said)?.into_inner())
}

/// Releases all who are held back now; answers how many that were, and how many are left.
async fn release_all(admin: &mut Admin, name: &str) -> Result<(u64, u64)> {
    let revision = page(admin, name, String::new()).await?.position.unwrap_or_default().revision;
    let mut released = 0;
    loop {
        let answer = release(admin, name, Which::ThroughRevision(revision)).await?;
        released += answer.released;
        if !answer.more {
            return Ok((released, answer.left));
        }
    }
}
