//! PostgreSQL: a pool of connections, statements prepared once each, independent statements sent together.

use std::error::Error as StdError;
use std::sync::Arc;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Transaction};
use futures_util::future::try_join_all;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Config, IsolationLevel};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::Work;
use crate::database::{Engine, Options};
use crate::dialect::translate;
use crate::error::Error;
use crate::tx::{Inner, Statement, Tx};
use crate::value::{Row, Value};

/// A pool of connections to a PostgreSQL server.
#[derive(Clone)]
pub(crate) struct Postgres(Pool);

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Postgres(…)")
    }
}

/// A transaction open on one of them.
pub(crate) struct Session<'c>(Transaction<'c>);

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session(…)")
    }
}

impl Postgres {
    pub(crate) fn open(config: &Config, options: Options) -> Result<Self, Error> {
        let mut config = config.clone();
        config.options(format!(
            "-c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout=10000 -c jit=off {}",
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
        let mut client = self.0.get().await.map_err(Error::from)?;
        // On a task of its own: were it dropped with its caller, the next would get a connection that is still busy.
        let task = tokio::spawn(async move {
            let transaction = client
                .build_transaction()
                .isolation_level(IsolationLevel::RepeatableRead)
                .read_only(true)
                .start()
                .await
                .map_err(Error::from)?;
            let mut tx = Tx(Inner::Postgres(Session(transaction)));
            let answer = work(&mut tx).await;
            if let Tx(Inner::Postgres(Session(transaction))) = tx {
                match &answer {
                    Ok(_) => transaction.commit().await.map_err(Error::from)?,
                    Err(_) => drop(transaction.rollback().await),
                }
            }
            answer
        });
        task.await.map_err(|stopped| E::from(Error::unavailable(stopped)))?
    }

    /// One look-up by key, in one round trip.
    pub(crate) async fn point(&self, sql: &str, values: &[Value]) -> Result<Vec<Row>, Error> {
        let client = self.0.get().await?;
        let statement = client.prepare_cached(&translate(Engine::Postgres, sql)).await?;
        rows(&client.query(&statement, &bound(values)).await?)
    }

    pub(crate) async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx<'_>) -> Work<'a, T, E> + Send + 'static,
    {
        let pool = self.0.clone();
        // On a task of its own: a caller that goes away can't leave it half done.
        let task = tokio::spawn(async move {
            let mut client = pool.get().await.map_err(Error::from)?;
            let transaction = client.transaction().await.map_err(Error::from)?;
            let mut tx = Tx(Inner::Postgres(Session(transaction)));
            let answer = work(&mut tx).await;
            let Tx(Inner::Postgres(Session(transaction))) = tx else {
                return Err(Error::defect("not a PostgreSQL session").into());
            };
            match answer {
                Ok(answer) => {
                    transaction.commit().await.map_err(|error| Error::from(error).in_commit())?;
                    Ok(answer)
                }
                Err(error) => {
                    let _ = transaction.rollback().await;
                    Err(error)
                }
            }
        });
        task.await.map_err(|stopped| E::from(Error::unavailable(stopped)))?
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

impl Session<'_> {
    pub(crate) async fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, Error> {
        let statement = self.0.prepare_cached(&translate(Engine::Postgres, sql)).await?;
        Ok(self.0.execute(&statement, &bound(values)).await?)
    }

    pub(crate) async fn batch(&mut self, statements: &[Statement]) -> Result<Vec<u64>, Error> {
        let mut prepared = Vec::with_capacity(statements.len());
        for statement in statements {
            prepared.push(self.0.prepare_cached(&translate(Engine::Postgres, statement.sql)).await?);
        }
        let bound: Vec<_> = statements.iter().map(|statement| bound(&statement.values)).collect();
        // Polled in order, so sent in order; the server runs them one after another.
        let running = prepared.iter().zip(&bound).map(|(statement, values)| self.0.execute(statement, values));
        Ok(try_join_all(running).await?)
    }

    pub(crate) async fn rows(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, Error> {
        let statement = self.0.prepare_cached(&translate(Engine::Postgres, sql)).await?;
        rows(&self.0.query(&statement, &bound(values)).await?)
    }

    pub(crate) async fn script(&mut self, sql: &str) -> Result<(), Error> {
        Ok(self.0.batch_execute(sql).await?)
    }
}

fn rows(rows: &[tokio_postgres::Row]) -> Result<Vec<Row>, Error> {
    rows.iter()
        .map(|row| Ok(Row((0..row.len()).map(|column| cell(row, column)).collect::<Result<_, Error>>()?)))
        .collect()
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
