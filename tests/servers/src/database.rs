//! A database of its own for a test, on a server that others use too.

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
    let name = format!("{what}_{:016x}", rand::random::<u64>());
    let (admin, connection) = tokio_postgres::connect(server, tokio_postgres::NoTls).await?;
    let driver = tokio::spawn(connection);
    admin.batch_execute(&format!("CREATE DATABASE {name}")).await?;
    drop(admin);
    driver.await??;
    let (base, _) = server.rsplit_once('/').context("a server's URL ends in a database")?;
    Ok(format!("{base}/{name}"))
}
