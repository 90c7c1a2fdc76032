//! A transaction, the same on both engines.

use crate::database::Engine;
use crate::dialect::{known, translate};
use crate::error::Error;
use crate::value::{Row, Value};
use crate::{postgres, sqlite};

/// An open transaction or snapshot.
#[derive(Debug)]
pub struct Tx<'c>(pub(crate) Inner<'c>);

#[derive(Debug)]
pub(crate) enum Inner<'c> {
    Sqlite(sqlite::Session<'c>),
    Postgres(postgres::Session<'c>),
}

/// A statement with its values, for [`Tx::batch`].
#[derive(Clone, Debug)]
pub struct Statement {
    pub(crate) sql: &'static str,
    pub(crate) values: Vec<Value>,
}

impl Statement {
    /// A statement in the shared dialect, with a value for each of its `$n`.
    #[must_use]
    pub fn new(sql: &'static str, values: Vec<Value>) -> Self {
        Self { sql, values }
    }
}

impl Tx<'_> {
    /// Which engine it runs on.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match &self.0 {
            Inner::Sqlite(_) => Engine::Sqlite,
            Inner::Postgres(_) => Engine::Postgres,
        }
    }

    /// Runs a statement; answers how many rows it changed.
    pub async fn execute(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64, Error> {
        match &mut self.0 {
            Inner::Sqlite(session) => session.execute(&known(Engine::Sqlite, sql), &values),
            Inner::Postgres(session) => session.execute(&known(Engine::Postgres, sql), &values).await,
        }
    }

    /// Runs statements that do not depend on one another's answers, in order, in as few round trips as the engine
    /// allows; answers how many rows each changed.
    pub async fn batch(&mut self, statements: Vec<Statement>) -> Result<Vec<u64>, Error> {
        match &mut self.0 {
            Inner::Sqlite(session) => statements
                .iter()
                .map(|statement| session.execute(&known(Engine::Sqlite, statement.sql), &statement.values))
                .collect(),
            Inner::Postgres(session) => session.batch(&statements).await,
        }
    }

    /// Runs the transaction's last statements: on PostgreSQL they travel with the commit.
    pub async fn last(&mut self, statements: Vec<Statement>) -> Result<(), Error> {
        match &mut self.0 {
            Inner::Sqlite(_) => self.batch(statements).await.map(|_| ()),
            Inner::Postgres(session) => {
                session.last(statements);
                Ok(())
            }
        }
    }

    /// Runs a query; answers all its rows. Bound them in the query.
    pub async fn rows(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, Error> {
        self.translated(&known(self.engine(), sql), &values).await
    }

    /// Runs a query and hands its rows over one after another: they are never together in memory. For answers as long as
    /// a tenant, of which the caller keeps less.
    pub async fn each<E: From<Error>>(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
        take: impl FnMut(Row) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        match &mut self.0 {
            Inner::Sqlite(session) => session.each(&known(Engine::Sqlite, sql), &values, take),
            Inner::Postgres(session) => session.each(&known(Engine::Postgres, sql), &values, take).await,
        }
    }

    /// Runs a query; answers its first row, if it has one.
    pub async fn row(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>, Error> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// Runs a query whose text was put together from `&'static str` pieces: for compilers of filters alone. Values never
    /// belong in the text.
    pub async fn composed(&mut self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, Error> {
        self.translated(&translate(self.engine(), sql), &values).await
    }

    async fn translated(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, Error> {
        match &mut self.0 {
            Inner::Sqlite(session) => session.rows(sql, values),
            Inner::Postgres(session) => session.rows(sql, values).await,
        }
    }

    /// Runs a text of several statements without values: for schemas and savepoints.
    pub async fn script(&mut self, sql: &str) -> Result<(), Error> {
        match &mut self.0 {
            Inner::Sqlite(session) => session.script(sql),
            Inner::Postgres(session) => session.script(sql).await,
        }
    }

    /// The engine's plan for a query, a line each: for tests that a query uses the index it was written for.
    pub async fn explain(&mut self, sql: &str, values: Vec<Value>) -> Result<Vec<String>, Error> {
        let (prefix, column) = match self.engine() {
            Engine::Sqlite => ("EXPLAIN QUERY PLAN ", 3),
            Engine::Postgres => ("EXPLAIN ", 0),
        };
        let rows = self.composed(&format!("{prefix}{sql}"), values).await?;
        rows.iter().map(|row| row.text(column).map(str::to_owned)).collect()
    }

    /// Begins a part of the transaction that can be undone by itself.
    pub fn savepoint(&mut self) -> Result<(), Error> {
        self.soon("SAVEPOINT part")
    }

    /// Keeps what was done since the savepoint.
    pub fn release(&mut self) -> Result<(), Error> {
        self.soon("RELEASE SAVEPOINT part")
    }

    /// Undoes what was done since the savepoint.
    pub async fn undo(&mut self) -> Result<(), Error> {
        self.script("ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part").await
    }

    /// Runs a statement that nothing depends on but those after it: on PostgreSQL it travels with the next.
    fn soon(&mut self, sql: &'static str) -> Result<(), Error> {
        match &mut self.0 {
            Inner::Sqlite(session) => session.execute(&known(Engine::Sqlite, sql), &[]).map(drop),
            Inner::Postgres(session) => {
                session.ahead(sql);
                Ok(())
            }
        }
    }
}
