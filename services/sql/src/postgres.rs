//! PostgreSQL: a pool of connections, statements prepared once each, independent statements sent together.
//!
//! All statements look rows up by keys, and the server is told so: a plan is kept with its statement, and was often made
//! while the tables were empty or nothing was known of them. One that reads whole tables, right for a hundred rows, would
//! still be followed when there are a hundred thousand.
//!
//! What opens, divides or ends a transaction is not waited for by itself: it travels with the statement after it, or with
//! the last one. So a round trip is spent only on answers that something depends on.

use std::error::Error as StdError;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use deadpool_postgres::{Client, Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use futures_util::future::try_join_all;
use futures_util::{FutureExt as _, TryStreamExt as _, try_join};
use tokio::sync::oneshot;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Config, Statement as Prepared};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::Work;
use crate::database::{Engine, Lasting, Options};
use crate::dialect::known;
use crate::error::Error;
use crate::tx::{Inner, Statement, Tx};
use crate::value::{Row, Value};

/// How the server is to find rows: one by one, by indexes. It guesses that a list in a parameter or a recursive part has
/// very many rows, and would rather read a table than look a thousand up.
const BY_INDEXES: &str = "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off";

/// After so many uses of a connection the plans of its statements are made anew, and more often while it is young. Until the
/// server has statistics of a table it plans by its size, and nothing tells it that the table has grown: with a few rows,
/// one index is as good as another.
pub(crate) const PLANS_LAST: usize = 256;

/// A pool of connections to a PostgreSQL server.
#[derive(Clone)]
pub(crate) struct Postgres(Pool);

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Postgres(…)")
    }
}

/// A transaction on one of them.
pub(crate) struct Session<'c> {
    client: &'c Client,
    /// What is sent ahead of the next statement.
    ahead: Vec<&'static str>,
    /// What is sent with the commit.
    last: Vec<Statement>,
    /// Whether the server knows of the transaction.
    begun: bool,
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session(…)")
    }
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Read,
    Write(Lasting),
}

impl Postgres {
    pub(crate) fn open(config: &Config, options: Options) -> Result<Self, Error> {
        let mut config = config.clone();
        config.options(format!(
            "-c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout=10000 -c jit=off {BY_INDEXES} {}",
            options.statement.as_millis(),
            options.lock.as_millis(),
            config.get_options().unwrap_or_default(),
        ));
        config.connect_timeout(options.wait);
        let manager = Manager::from_config(config, tls()?, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let pool = Pool::builder(manager)
            .max_size(options.connections)
            .wait_timeout(Some(options.wait))
            .create_timeout(Some(options.wait))
            .post_recycle(Hook::async_fn(|client, metrics| {
                Box::pin(async move {
                    let uses = metrics.recycle_count + 1;
                    if uses.is_power_of_two() || uses.is_multiple_of(PLANS_LAST) {
                        client.batch_execute("DISCARD PLANS").await.map_err(HookError::Backend)?;
                    }
                    Ok(())
                })
            }))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(Error::defect)?;
        Ok(Self(pool))
    }

    pub(crate) async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx<'_>) -> Work<'a, T, E> + Send + 'static,
    {
        self.run(Purpose::Read, work).await
    }

    /// One look-up by key, in one round trip.
    pub(crate) async fn point(&self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, Error> {
        let client = self.0.get().await?;
        let statement = client.prepare_cached(&known(Engine::Postgres, sql)).await?;
        rows(&client.query(&statement, &bound(values)).await?)
    }

    pub(crate) async fn write<T, E, F>(&self, lasting: Lasting, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx<'_>) -> Work<'a, T, E> + Send + 'static,
    {
        self.run(Purpose::Write(lasting), work).await
    }

    async fn run<T, E, F>(&self, purpose: Purpose, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx<'_>) -> Work<'a, T, E> + Send + 'static,
    {
        let client = self.0.get().await.map_err(Error::from)?;
        let (done, answer) = oneshot::channel();
        // On a task of its own: a caller that goes away can't leave it half done, nor the connection busy for the next.
        tokio::spawn(transact(client, purpose, work, done));
        answer.await.map_err(|stopped| E::from(Error::unavailable(stopped)))?
    }
}

/// Runs `work` in a transaction, ends that, and says so: of a read as soon as it has its answer, of a write once it is
/// committed.
async fn transact<T, E, F>(client: Client, purpose: Purpose, work: F, done: oneshot::Sender<Result<T, E>>)
where
    E: From<Error>,
    F: for<'a> FnOnce(&'a mut Tx<'_>) -> Work<'a, T, E>,
{
    let begin = match purpose {
        Purpose::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        Purpose::Write(Lasting::AtOnce) => "BEGIN",
        Purpose::Write(Lasting::Soon) => "BEGIN; SET LOCAL synchronous_commit = off",
    };
    let mut tx = Tx(Inner::Postgres(Session::new(&client, begin)));
    let answer = AssertUnwindSafe(work(&mut tx)).catch_unwind().await;
    let Tx(Inner::Postgres(session)) = tx else { return };
    // A caller that went away does not hear the answer; the work is done all the same.
    let ended = match answer {
        Ok(Ok(answer)) if purpose != Purpose::Read => {
            let committed = session.commit().await;
            let ended = committed.is_ok();
            let _ = done.send(committed.map(|()| answer).map_err(E::from));
            ended
        }
        Ok(answer) => {
            let _ = done.send(answer);
            session.roll_back().await.is_ok()
        }
        Err(_) => false,
    };
    if !ended {
        // Nobody may meet what it left open.
        drop(Client::take(client));
    }
}

/// TLS as the connection's `sslmode` asks for it, trusting the machine's certificate authorities.
fn tls() -> Result<MakeRustlsConnect, Error> {
    let mut roots = rustls::RootCertStore::empty();
    let (_, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::defect)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn bound(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

impl<'c> Session<'c> {
    fn new(client: &'c Client, begin: &'static str) -> Self {
        Self { client, ahead: vec![begin], last: Vec::new(), begun: false }
    }

    /// Has a statement without values sent ahead of the next one.
    pub(crate) fn ahead(&mut self, sql: &'static str) {
        self.ahead.push(sql);
    }

    /// Has statements sent with the commit.
    pub(crate) fn last(&mut self, statements: Vec<Statement>) {
        self.last.extend(statements);
    }

    /// Sends `what`, and before it what is to be sent ahead of it.
    async fn send<T>(&mut self, what: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Error> {
        if self.ahead.is_empty() {
            return Ok(what.await?);
        }
        self.begun = true;
        let ahead = std::mem::take(&mut self.ahead).join("; ");
        // Polled in order, so sent in order; the server runs them one after another.
        let ((), answer) = try_join!(self.client.batch_execute(&ahead), what)?;
        Ok(answer)
    }

    pub(crate) async fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, Error> {
        let client = self.client;
        let statement = client.prepare_cached(sql).await?;
        self.send(client.execute(&statement, &bound(values))).await
    }

    pub(crate) async fn batch(&mut self, statements: &[Statement]) -> Result<Vec<u64>, Error> {
        let client = self.client;
        let prepared = self.prepared(statements).await?;
        self.send(all(client, &prepared, statements)).await
    }

    async fn prepared(&self, statements: &[Statement]) -> Result<Vec<Prepared>, Error> {
        let mut prepared = Vec::with_capacity(statements.len());
        for statement in statements {
            prepared.push(self.client.prepare_cached(&known(Engine::Postgres, statement.sql)).await?);
        }
        Ok(prepared)
    }

    pub(crate) async fn rows(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, Error> {
        let client = self.client;
        let statement = client.prepare_cached(sql).await?;
        rows(&self.send(client.query(&statement, &bound(values))).await?)
    }

    pub(crate) async fn each<E: From<Error>>(
        &mut self,
        sql: &str,
        values: &[Value],
        mut take: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<(), E> {
        let client = self.client;
        let statement = client.prepare_cached(sql).await.map_err(Error::from)?;
        let mut rows = std::pin::pin!(self.send(client.query_raw(&statement, values)).await?);
        while let Some(row) = rows.try_next().await.map_err(Error::from)? {
            take(whole(&row)?)?;
        }
        Ok(())
    }

    pub(crate) async fn script(&mut self, sql: &str) -> Result<(), Error> {
        let client = self.client;
        self.send(client.batch_execute(sql)).await
    }

    async fn commit(mut self) -> Result<(), Error> {
        let last = std::mem::take(&mut self.last);
        if !self.begun && last.is_empty() {
            return Ok(());
        }
        let client = self.client;
        let prepared = self.prepared(&last).await?;
        // After a statement that failed the server takes a commit for a rollback, so neither waits for the other.
        let both = async { try_join!(all(client, &prepared, &last), client.batch_execute("COMMIT")) };
        self.send(both).await.map_err(Error::in_commit)?;
        Ok(())
    }

    async fn roll_back(self) -> Result<(), Error> {
        if self.begun { Ok(self.client.batch_execute("ROLLBACK").await?) } else { Ok(()) }
    }
}

/// Runs statements together.
async fn all(
    client: &Client,
    prepared: &[Prepared],
    statements: &[Statement],
) -> Result<Vec<u64>, tokio_postgres::Error> {
    let bound: Vec<_> = statements.iter().map(|statement| bound(&statement.values)).collect();
    let running = prepared.iter().zip(&bound).map(|(statement, values)| client.execute(statement, values));
    try_join_all(running).await
}

fn rows(rows: &[tokio_postgres::Row]) -> Result<Vec<Row>, Error> {
    rows.iter().map(whole).collect()
}

fn whole(row: &tokio_postgres::Row) -> Result<Row, Error> {
    Ok(Row((0..row.len()).map(|column| cell(row, column)).collect::<Result<_, Error>>()?))
}

fn cell(row: &tokio_postgres::Row, column: usize) -> Result<Value, Error> {
    Ok(match *row.columns()[column].type_() {
        Type::INT8 => Value::Int(row.try_get(column)?),
        Type::INT4 => Value::Int(row.try_get::<_, Option<i32>>(column)?.map(i64::from)),
        Type::BOOL => Value::Int(row.try_get::<_, Option<bool>>(column)?.map(i64::from)),
        Type::TEXT | Type::VARCHAR => Value::Text(row.try_get(column)?),
        Type::BYTEA => Value::Bytes(row.try_get(column)?),
        ref other => return Err(Error::defect(format!("column {column} is of type {other}"))),
    })
}

impl ToSql for Value {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut tokio_postgres::types::private::BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            // A parameter the server takes for a smaller integer (a LIMIT is not one) is sent as that.
            Self::Int(Some(value)) if *ty == Type::INT4 => i32::try_from(*value)?.to_sql(ty, out),
            Self::Int(value) => value.to_sql(ty, out),
            Self::Text(value) => value.to_sql(ty, out),
            Self::Bytes(value) => value.to_sql(ty, out),
        }
    }

    fn accepts(ty: &Type) -> bool {
        [Type::INT8, Type::INT4, Type::TEXT, Type::VARCHAR, Type::BYTEA].contains(ty)
    }

    to_sql_checked!();
}
