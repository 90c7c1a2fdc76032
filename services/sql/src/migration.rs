//! Bringing a schema up to date: each migration once, in order, all in one transaction, so that a crash leaves the old
//! schema or the new one.

use crate::database::Engine;
use crate::dialect::translate;
use crate::error::Error;
use crate::params;
use crate::tx::Tx;

/// One step of a schema's history. Steps are only ever added.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Counts from 1 without gaps.
    pub version: i64,
    /// The statements, in the shared dialect.
    pub sql: &'static str,
}

pub(crate) async fn run(tx: &mut Tx<'_>, owner: &'static str, migrations: &[Migration]) -> Result<(), Error> {
    if tx.engine() == Engine::Postgres {
        // Replicas that start together wait for one another.
        tx.script("SELECT pg_advisory_xact_lock(727265536)").await?;
    }
    tx.script("CREATE TABLE IF NOT EXISTS migrations (owner TEXT NOT NULL, version BIGINT NOT NULL, PRIMARY KEY (owner, version))")
        .await?;
    let row = tx.row("SELECT COALESCE(MAX(version), 0) FROM migrations WHERE owner = $1", params![owner]).await?;
    let current = row.map_or(Ok(0), |row| row.int(0))?;
    let newest = migrations.last().map_or(0, |migration| migration.version);
    if current > newest {
        return Err(Error::defect(format!("the schema of {owner} is at {current}, newer than this build's {newest}")));
    }
    for migration in migrations.iter().filter(|migration| migration.version > current) {
        let sql = translate(tx.engine(), migration.sql);
        tx.script(&sql).await?;
        tx.execute("INSERT INTO migrations (owner, version) VALUES ($1, $2)", params![owner, migration.version])
            .await?;
    }
    Ok(())
}
