//! A database of its own for a test, on a server that others use too.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result};

/// The variable that names the PostgreSQL server of the tests.
const SERVER: &str = "ROLECALL_TEST_POSTGRES";

/// A new, empty database on the PostgreSQL server of the tests; answers its URL. Its name begins with `what`.
pub async fn fresh_database(what: &str) -> Result<String> {
    let server = std::env::var(SERVER)
        .with_context(|| format!("this test needs PostgreSQL: set {SERVER}, or run `cargo xtask test`"))?;
    fresh_database_on(&server, what).await
}

/// The same on a server whose URL, that of one of its databases, is given.
pub async fn fresh_database_on(server: &str, what: &str) -> Result<String> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("{what}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let (admin, connection) = tokio_postgres::connect(server, tokio_postgres::NoTls).await?;
    let driver = tokio::spawn(connection);
    // A process of the same number may have left one behind.
    admin.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
    admin.batch_execute(&format!("CREATE DATABASE {name}")).await?;
    drop(admin);
    driver.await??;
    let (base, _) = server.rsplit_once('/').context("a server's URL ends in a database")?;
    Ok(format!("{base}/{name}"))
}
