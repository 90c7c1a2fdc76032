//! The program `rolecall`: subcommands, and nothing else. What they run lives in the parts' own crates.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to its user")]

mod cli;
mod config;
#[cfg(feature = "dev")]
mod demo;
#[cfg(feature = "dev")]
mod dev;
mod ground;
mod held_back;
mod operate;
mod part;
mod process;
mod ready;
mod rules;
mod settings;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Command, Program};

/// A request makes and drops many small things; the C library's allocator takes several times as long for each.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Program { command } = Program::parse();
    let done = process::runtime().and_then(|runtime| {
        runtime.block_on(async {
            match command {
                #[cfg(feature = "dev")]
                Command::Dev(arguments) => dev::run(*arguments).await,
                #[cfg(feature = "dev")]
                Command::Demo => demo::run().await,
                Command::Gateway(run) => part::gateway(run).await,
                Command::IdentityStore { action: Some(cli::StoreAction::Restored), run } => part::restored(run).await,
                Command::IdentityStore { action: None, run } => part::identity_store(run).await,
                Command::RoleResolver(run) => part::role_resolver(run).await,
                Command::FluentPusher(run) => part::fluent_pusher(run).await,
                Command::Tenant { action, store } => operate::tenant(action, store).await,
                Command::Token { action, store } => operate::token(action, store).await,
            }
        })
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => process::report(&error),
    }
}
