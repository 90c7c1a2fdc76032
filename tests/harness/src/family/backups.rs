//! The databases of a family in several processes: copied, put back, lost and found again.

use anyhow::{Context as _, Result, ensure};
use servers::{Postgres, fresh_database_on};
use tokio_postgres::error::SqlState;

use super::{FAMILY, Family, Part};
use crate::{eventually, program};

impl Family {
    /// The PostgreSQL server that a family has to itself, if its [`Dial`](super::Dial) says so.
    pub fn postgres(&mut self) -> Result<&mut Postgres> {
        self.postgres.as_mut().context("this family has no PostgreSQL of its own")
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
