//! A database: which engine, where, and how to run work in it.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::error::Error;
use crate::migration::Migration;
use crate::tx::Tx;
use crate::value::{Row, Value};
use crate::{Work, postgres, sqlite};

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// A file, in the process.
    Sqlite,
    /// A server.
    Postgres,
}

/// Where the database is: `sqlite:PATH` or `postgres://…`. It may hold a password, so it does not print.
#[derive(Clone)]
pub struct Url(Location);

#[derive(Clone)]
enum Location {
    Sqlite(PathBuf),
    Postgres(Box<tokio_postgres::Config>),
}

/// A text that names no database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a database URL: it must be sqlite:PATH or postgres://USER@HOST/DATABASE")]
pub struct InvalidUrl;

impl FromStr for Url {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        match text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => {
                Ok(Self(Location::Sqlite(path.strip_prefix("//").unwrap_or(path).into())))
            }
            Some(("postgres" | "postgresql", _)) => {
                text.parse().map(|config| Self(Location::Postgres(Box::new(config)))).map_err(|_| InvalidUrl)
            }
            _ => Err(InvalidUrl),
        }
    }
}

impl Url {
    /// Whether it holds a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        match &self.0 {
            Location::Sqlite(_) => false,
            Location::Postgres(config) => config.get_password().is_some(),
        }
    }
}

impl std::fmt::Debug for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Location::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Location::Postgres(_) => f.write_str("postgres://…"),
        }
    }
}

/// When a commit has reached the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasting {
    /// Before it is answered.
    AtOnce,
    /// With the next that is, or a little later.
    Soon,
}

/// How many connections, and how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Connections for reading (SQLite) or for everything (PostgreSQL).
    pub connections: usize,
    /// How long to wait for a free connection.
    pub wait: Duration,
    /// How long one statement may run, its wait for a lock included (PostgreSQL): so it is longer than `lock`.
    pub statement: Duration,
    /// How long a write waits for another's lock: longer than the largest write takes, so that a small one beside it
    /// waits and is not refused.
    pub lock: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: 16,
            wait: Duration::from_secs(5),
            statement: Duration::from_secs(30),
            lock: Duration::from_secs(20),
        }
    }
}

/// An open database. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Database(Inner);

#[derive(Clone, Debug)]
enum Inner {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
}

impl Database {
    /// Opens a database and brings its schema up to date. `owner` names the part whose tables they are: parts may share
    /// a database, each with its own history of migrations.
    pub async fn open(
        url: &Url,
        options: Options,
        owner: &'static str,
        migrations: &'static [Migration],
    ) -> Result<Self, Error> {
        let database = match &url.0 {
            Location::Sqlite(path) => Self(Inner::Sqlite(sqlite::Sqlite::open(path, options).await?)),
            Location::Postgres(config) => Self(Inner::Postgres(postgres::Postgres::open(config, options)?)),
        };
        database.write(move |tx| Box::pin(async move { crate::migration::run(tx, owner, migrations).await })).await?;
        Ok(database)
    }

    /// Which engine it is.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match &self.0 {
            Inner::Sqlite(_) => Engine::Sqlite,
            Inner::Postgres(_) => Engine::Postgres,
        }
    }

    /// Runs `work` on one read-only snapshot: every statement in it sees the same state. It runs to its end even if the
    /// caller goes away: what it holds is free again only then.
    ///
    /// `work` may await nothing but the methods of its [`Tx`].
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx<'_>) -> Work<'a, T, E> + Send + 'static,
    {
        match &self.0 {
            Inner::Sqlite(sqlite) => sqlite.read(work).await,
            Inner::Postgres(postgres) => postgres.read(work).await,
        }
    }

    /// Makes one look-up by key: a statement that answers a handful of rows by an index. It is a snapshot by itself, so it
    /// costs no transaction; on SQLite it costs no change of threads either.
    pub async fn point(&self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>, Error> {
        let rows = match &self.0 {
            Inner::Sqlite(sqlite) => match sqlite.point(sql, &values) {
                Some(rows) => rows?,
                None => self.read(move |tx| Box::pin(async move { tx.rows(sql, values).await })).await?,
            },
            Inner::Postgres(postgres) => postgres.point(sql, &values).await?,
        };
        Ok(rows.into_iter().next())
    }

    /// Runs `work` in one transaction: committed if it answers `Ok`, undone if it answers `Err`. It runs to its end even
    /// if the caller goes away.
    ///
    /// `work` may await nothing but the methods of its [`Tx`].
    pub fn write<T, E, F>(&self, work: F) -> impl Future<Output = Result<T, E>> + Send
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx<'_>) -> Work<'a, T, E> + Send + 'static,
    {
        self.write_lasting(Lasting::AtOnce, work)
    }

    /// The same for what can be done again: its answer does not wait for the disk. Every later read sees it, also after a
    /// crash of the program; a crash of the machine may undo it, with all that was written after it. So it suits a
    /// transaction that holds everything needed to find out what was lost, such as a place in a feed with what came of
    /// it, and none that was told to somebody else.
    pub fn write_soon<T, E, F>(&self, work: F) -> impl Future<Output = Result<T, E>> + Send
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx<'_>) -> Work<'a, T, E> + Send + 'static,
    {
        self.write_lasting(Lasting::Soon, work)
    }

    /// The same for what means nothing to anybody once the machine that holds the database has gone down, such as a lease:
    /// whoever uses a SQLite file goes down with it, so that its answer does not wait for the disk either. Those who use
    /// PostgreSQL live on, so there it is a [`Self::write`].
    pub fn write_while_up<T, E, F>(&self, work: F) -> impl Future<Output = Result<T, E>> + Send
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx<'_>) -> Work<'a, T, E> + Send + 'static,
    {
        let lasting = match self.engine() {
            Engine::Sqlite => Lasting::Soon,
            Engine::Postgres => Lasting::AtOnce,
        };
        self.write_lasting(lasting, work)
    }

    async fn write_lasting<T, E, F>(&self, lasting: Lasting, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx<'_>) -> Work<'a, T, E> + Send + 'static,
    {
        match &self.0 {
            // In boxes, so that the futures of all who write stay small.
            Inner::Sqlite(sqlite) => Box::pin(sqlite.write(lasting, work)).await,
            Inner::Postgres(postgres) => Box::pin(postgres.write(lasting, work)).await,
        }
    }
}
