//! SQLite: one writer, a pool of readers, a write-ahead log that is synced at every commit.
//!
//! Who writes and finds the writer free does the work where it stands: two changes of threads cost as much as a small
//! transaction. Whoever comes meanwhile waits in the queue of a thread of its own, in order.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt as _;
use parking_lot::{Mutex, MutexGuard};
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, ToSql};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::Work;
use crate::database::{Engine, Lasting, Options};
use crate::dialect::known;

use crate::error::Error;
use crate::tx::{Inner, Tx};
use crate::value::{Row, Value};

type Job = Box<dyn FnOnce(&mut Writer) + Send>;

/// An open SQLite file.
#[derive(Clone, Debug)]
pub(crate) struct Sqlite {
    writer: Arc<Turns>,
    queue: mpsc::UnboundedSender<Job>,
    readers: Arc<Readers>,
    /// Connections for single look-ups, which are made where they are asked for.
    points: Arc<Mutex<Vec<Connection>>>,
    wait: std::time::Duration,
}

/// The writer, and who waits for it.
#[derive(Debug)]
struct Turns {
    writer: Mutex<Writer>,
    /// Jobs that are in the queue. Nobody overtakes them.
    waiting: AtomicUsize,
}

/// The one connection that writes.
#[derive(Debug)]
struct Writer {
    connection: Connection,
    /// How it commits now.
    lasting: Lasting,
}

impl Writer {
    fn write<T, E, F>(&mut self, lasting: Lasting, work: F) -> Result<T, E>
    where
        E: From<Error>,
        F: for<'a> FnOnce(&'a mut Tx<'_>) -> Work<'a, T, E>,
    {
        if !self.connection.is_autocommit() {
            // An end of the work before that failed is tried once more.
            self.connection.execute_batch("ROLLBACK").map_err(Error::from)?;
        }
        if self.lasting != lasting {
            let synchronous = match lasting {
                Lasting::AtOnce => "FULL",
                // In the log's order: a later commit that is synced takes this one with it.
                Lasting::Soon => "NORMAL",
            };
            self.connection.pragma_update(None, "synchronous", synchronous).map_err(Error::from)?;
            self.lasting = lasting;
        }
        // A panic in one piece of work ends that piece: its caller hears that nobody answered, and the next finds the
        // connection without an open transaction.
        let work = || transact(&mut self.connection, "BEGIN IMMEDIATE", work);
        std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            let _ = self.connection.execute_batch("ROLLBACK");
            Err(Error::unavailable("the work panicked").into())
        })
    }
}

#[derive(Debug)]
struct Readers {
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

/// A reader on loan. Its permit ends after it is back: who has a permit finds a reader.
struct Reader {
    connection: Option<Connection>,
    readers: Arc<Readers>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            if !connection.is_autocommit() {
                // Its work panicked.
                let _ = connection.execute_batch("ROLLBACK");
            }
            self.readers.idle.lock().push(connection);
        }
    }
}

/// A connection with a transaction open on it.
#[derive(Debug)]
pub(crate) struct Session<'c>(&'c mut Connection);

/// Connections for single look-ups: more than there are threads that could make one at a time.
const POINTS: usize = 8;

/// Statements each connection keeps prepared. More than the product has.
const PREPARED: usize = 256;

impl Sqlite {
    pub(crate) async fn open(path: &Path, options: Options) -> Result<Self, Error> {
        let path = path.to_owned();
        let lock = options.lock;
        let readers = options.connections.clamp(1, 16);
        let (writer, mut idle) = blocking(move || {
            let writer = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE, lock)?;
            // The log survives a crash of the process by itself and of the machine by the sync at each commit.
            let mode = writer.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
            if mode != "wal" {
                return Err(Error::defect(
                    "SQLite can keep no write-ahead log here: its file must be on a disk of this machine",
                ));
            }
            writer.pragma_update(None, "synchronous", "FULL")?;
            let read = || connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE, lock);
            let idle = (0..readers + POINTS).map(|_| read()).collect::<Result<Vec<_>, _>>()?;
            for reader in &idle {
                reader.pragma_update(None, "query_only", true)?;
            }
            Ok::<_, Error>((writer, idle))
        })
        .await?;
        let points = idle.split_off(readers);
        let writer = Writer { connection: writer, lasting: Lasting::AtOnce };
        let writer = Arc::new(Turns { writer: Mutex::new(writer), waiting: AtomicUsize::new(0) });
        Ok(Self {
            points: Arc::new(Mutex::new(points)),
            queue: spawn_queue(Arc::clone(&writer))?,
            writer,
            readers: Arc::new(Readers { idle: Mutex::new(idle), permits: Arc::new(Semaphore::new(readers)) }),
            wait: options.wait,
        })
    }

    pub(crate) async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx<'_>) -> Work<'a, T, E> + Send + 'static,
    {
        let permit = tokio::time::timeout(self.wait, Arc::clone(&self.readers.permits).acquire_owned())
            .await
            .map_err(|late| E::from(Error::unavailable(late)))?
            .map_err(|closed| E::from(Error::unavailable(closed)))?;
        let connection = self.readers.idle.lock().pop();
        let mut reader = Reader { connection, readers: Arc::clone(&self.readers), _permit: permit };
        // It runs to its end even if the caller goes away, and keeps the reader as long.
        blocking(move || {
            let connection = reader.connection.as_mut().ok_or_else(|| E::from(Error::defect("no idle reader")))?;
            transact(connection, "BEGIN", work)
        })
        .await
    }

    /// One look-up by key, made on the spot: it takes microseconds, less than handing it to another thread. `None` if
    /// all connections for that are in use.
    pub(crate) fn point(&self, sql: &'static str, values: &[Value]) -> Option<Result<Vec<Row>, Error>> {
        let mut connection = self.points.lock().pop()?;
        let rows = Session(&mut connection).rows(&known(Engine::Sqlite, sql), values);
        self.points.lock().push(connection);
        Some(rows)
    }

    pub(crate) async fn write<T, E, F>(&self, lasting: Lasting, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx<'_>) -> Work<'a, T, E> + Send + 'static,
    {
        if let Some(mut writer) = self.writer.free() {
            return on_the_spot(|| writer.write(lasting, work));
        }
        let (done, answer) = oneshot::channel();
        let job: Job = Box::new(move |writer| {
            // A caller that went away does not hear the answer; the work is done all the same.
            let _ = done.send(writer.write(lasting, work));
        });
        self.writer.waiting.fetch_add(1, Ordering::SeqCst);
        self.queue.send(job).map_err(|_| E::from(Error::unavailable("the writer has stopped")))?;
        answer.await.map_err(|_| E::from(Error::unavailable("the writer has stopped")))?
    }
}

impl Turns {
    /// The writer, if nobody has it and nobody waits for it.
    fn free(&self) -> Option<MutexGuard<'_, Writer>> {
        let writer = self.writer.try_lock()?;
        (self.waiting.load(Ordering::SeqCst) == 0).then_some(writer)
    }
}

/// Does on this thread what waits for the disk, and has another look after the tasks of this one meanwhile.
fn on_the_spot<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        // There is no other.
        _ => work(),
    }
}

fn connect(path: &PathBuf, flags: OpenFlags, lock: std::time::Duration) -> Result<Connection, Error> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(lock)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    // Plans do not depend on the values bound: else a statement is prepared again whenever they change.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    Ok(connection)
}

fn spawn_queue(turns: Arc<Turns>) -> Result<mpsc::UnboundedSender<Job>, Error> {
    let (sender, mut jobs) = mpsc::unbounded_channel::<Job>();
    std::thread::Builder::new()
        .name("sqlite-writer".into())
        .spawn(move || {
            while let Some(job) = jobs.blocking_recv() {
                let mut writer = turns.writer.lock();
                turns.waiting.fetch_sub(1, Ordering::SeqCst);
                job(&mut writer);
            }
        })
        .map_err(Error::unavailable)?;
    Ok(sender)
}

async fn blocking<T, E, F>(work: F) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Error> + Send + 'static,
    F: FnOnce() -> Result<T, E> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer,
        Err(stopped) => Err(Error::unavailable(stopped).into()),
    }
}

/// Runs `work` between `begin` and the commit. Its future never waits: every statement is a function call.
fn transact<T, E, F>(connection: &mut Connection, begin: &str, work: F) -> Result<T, E>
where
    E: From<Error>,
    F: for<'a> FnOnce(&'a mut Tx<'_>) -> Work<'a, T, E>,
{
    let mut session = Session(connection);
    session.execute(begin, &[])?;
    let mut tx = Tx(Inner::Sqlite(session));
    let answer =
        work(&mut tx).now_or_never().unwrap_or_else(|| Err(Error::defect("work awaited something else").into()));
    let Tx(Inner::Sqlite(mut session)) = tx else { return Err(Error::defect("not a SQLite session").into()) };
    match answer {
        Ok(answer) => match session.execute("COMMIT", &[]) {
            Ok(_) => Ok(answer),
            Err(error) => {
                // SQLite has undone nothing yet: a commit it refuses leaves the transaction open.
                let _ = session.script("ROLLBACK");
                Err(error.into())
            }
        },
        Err(error) => {
            let _ = session.script("ROLLBACK");
            Err(error)
        }
    }
}

impl Session<'_> {
    pub(crate) fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, Error> {
        let mut statement = self.0.prepare_cached(sql)?;
        let changed = statement.execute(rusqlite::params_from_iter(values))?;
        Ok(changed as u64)
    }

    pub(crate) fn rows(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, Error> {
        let mut all = Vec::new();
        self.each(sql, values, |row| {
            all.push(row);
            Ok::<_, Error>(())
        })?;
        Ok(all)
    }

    pub(crate) fn each<E: From<Error>>(
        &mut self,
        sql: &str,
        values: &[Value],
        mut take: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut statement = self.0.prepare_cached(sql).map_err(Error::from)?;
        let columns = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(values)).map_err(Error::from)?;
        while let Some(row) = rows.next().map_err(Error::from)? {
            let cells = (0..columns).map(|column| cell(row.get_ref(column)?));
            take(Row(cells.collect::<Result<_, Error>>()?))?;
        }
        Ok(())
    }

    pub(crate) fn script(&mut self, sql: &str) -> Result<(), Error> {
        Ok(self.0.execute_batch(sql)?)
    }
}

fn cell(value: ValueRef<'_>) -> Result<Value, Error> {
    Ok(match value {
        ValueRef::Null => Value::Int(None),
        ValueRef::Integer(value) => Value::Int(Some(value)),
        ValueRef::Text(bytes) => Value::Text(Some(String::from_utf8(bytes.to_vec()).map_err(Error::defect)?)),
        ValueRef::Blob(bytes) => Value::Bytes(Some(bytes.to_vec())),
        ValueRef::Real(_) => return Err(Error::defect("a column holds a fraction")),
    })
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Self::Int(value) => value.to_sql(),
            Self::Text(value) => value.to_sql(),
            Self::Bytes(value) => value.to_sql(),
        }
    }
}
