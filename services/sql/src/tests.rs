//! Both engines, one behaviour each test. PostgreSQL takes part where `ROLECALL_TEST_POSTGRES` names a server; the
//! project's test command always starts one. Without it each test is SQLite's alone.

use std::time::Duration;

use crate::{Database, Engine, Error, ErrorKind, Migration, Options, Row, Statement, Url, Value, params};

const SCHEMA: &[Migration] = &[
    Migration {
        version: 1,
        sql: "CREATE TABLE things (id {blob} NOT NULL, name TEXT {binary} NOT NULL, n BIGINT, PRIMARY KEY (id)) {rows by key}",
    },
    Migration { version: 2, sql: "CREATE UNIQUE INDEX things_name ON things (name)" },
];

/// A database of its own, dropped with the guard.
struct Fresh {
    database: Database,
    url: Url,
    _file: Option<tempfile::TempDir>,
}

async fn each(test: impl AsyncFn(&Fresh)) {
    each_with(Options::default(), test).await;
}

async fn each_with(options: Options, test: impl AsyncFn(&Fresh)) {
    let folder = tempfile::tempdir().unwrap();
    let url: Url = format!("sqlite:{}", folder.path().join("test.db").display()).parse().unwrap();
    test(&open(url, options, Some(folder)).await).await;
    if let Ok(server) = std::env::var("ROLECALL_TEST_POSTGRES") {
        let name = format!("sql_{:x}", u64::from(std::process::id()) * 1_000_003 + unique());
        let (admin, connection) = tokio_postgres::connect(&server, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        admin.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        let (base, _) = server.rsplit_once('/').unwrap();
        test(&open(format!("{base}/{name}").parse().unwrap(), options, None).await).await;
    }
}

fn unique() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

async fn open(url: Url, options: Options, file: Option<tempfile::TempDir>) -> Fresh {
    let database = Database::open(&url, options, "test", SCHEMA).await.unwrap();
    Fresh { database, url, _file: file }
}

async fn insert(database: &Database, id: u8, name: &'static str) -> Result<u64, Error> {
    database
        .write(move |tx| {
            Box::pin(async move {
                tx.execute("INSERT INTO things (id, name, n) VALUES ($1, $2, $3)", params![vec![id], name, None::<i64>])
                    .await
            })
        })
        .await
}

async fn all(database: &Database) -> Vec<Row> {
    database
        .read(|tx| Box::pin(async move { tx.rows("SELECT id, name, n FROM things ORDER BY name", vec![]).await }))
        .await
        .unwrap()
}

#[tokio::test]
async fn what_is_written_is_read_with_its_nulls() {
    each(async |fresh| {
        insert(&fresh.database, 7, "Ünï \"x\"").await.unwrap();
        let rows = all(&fresh.database).await;
        assert_eq!((rows[0].bytes(0).unwrap(), rows[0].text(1).unwrap()), (&[7][..], "Ünï \"x\""));
        assert_eq!(rows[0].maybe_int(2).unwrap(), None);
        assert_eq!(rows[0].int(2).unwrap_err().kind(), ErrorKind::Defect);
    })
    .await;
}

/// In order, and no further than they are wanted; the transaction goes on.
#[tokio::test]
async fn rows_are_handed_over_one_after_another() {
    const NAMES: &str = "SELECT name FROM things WHERE name >= $1 ORDER BY name";
    each(async |fresh| {
        for (id, name) in [(1, "a"), (2, "b"), (3, "c"), (4, "d")] {
            insert(&fresh.database, id, name).await.unwrap();
        }
        let told = fresh.database.read(|tx| {
            Box::pin(async move {
                let mut told = Vec::new();
                let mut take = |row: Row| {
                    told.push(row.text(0)?.to_owned());
                    if told.len() == 2 { Err(Error::defect("enough")) } else { Ok(()) }
                };
                assert!(tx.each(NAMES, params!["b"], &mut take).await.is_err());
                tx.each(NAMES, params!["d"], &mut take).await?;
                Ok::<_, Error>(told)
            })
        });
        assert_eq!(told.await.unwrap(), ["b", "c", "d"]);
    })
    .await;
}

#[tokio::test]
async fn an_error_undoes_the_whole_transaction() {
    each(async |fresh| {
        let refused = fresh.database.write(|tx| {
            Box::pin(async move {
                tx.execute("INSERT INTO things (id, name) VALUES ($1, $2)", params![vec![1], "a"]).await?;
                Err::<(), Error>(Error::defect("changed my mind"))
            })
        });
        assert!(refused.await.is_err());
        assert_eq!(insert(&fresh.database, 1, "b").await.unwrap(), 1);
        assert_eq!(insert(&fresh.database, 2, "b").await.unwrap_err().kind(), ErrorKind::Defect);
        assert_eq!(all(&fresh.database).await.len(), 1);
    })
    .await;
}

/// What is said of commits is true of this mode alone, and SQLite stays in another without an error where it can't have it.
#[tokio::test]
async fn sqlite_has_its_write_ahead_log_or_is_not_opened() {
    each(async |Fresh { database, .. }| {
        if database.engine() == Engine::Sqlite {
            const MODE: &str = "SELECT journal_mode FROM pragma_journal_mode";
            let mode = database.read(|tx| Box::pin(async move { tx.row(MODE, vec![]).await })).await;
            assert_eq!(mode.unwrap().unwrap().text(0).unwrap(), "wal");
        }
    })
    .await;
    let in_memory: Url = "sqlite::memory:".parse().unwrap();
    let refused = Database::open(&in_memory, Options::default(), "test", SCHEMA).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Defect);
}

#[tokio::test]
async fn what_is_to_last_soon_is_there_at_once_and_changes_nothing_for_others() {
    const INSERT: &str = "INSERT INTO things (id, name) VALUES ($1, $2)";
    each(async |fresh| {
        let database = &fresh.database;
        let synchronous = async || {
            let asked = database.write(|tx| {
                Box::pin(async move {
                    let sql = match tx.engine() {
                        Engine::Sqlite => "SELECT synchronous = 2 FROM pragma_synchronous",
                        Engine::Postgres => "SELECT (current_setting('synchronous_commit') <> 'off')::INT",
                    };
                    tx.row(sql, vec![]).await?.unwrap().flag(0)
                })
            });
            asked.await.unwrap()
        };
        let soon = database.write_soon(|tx| Box::pin(async move { tx.execute(INSERT, params![vec![1], "a"]).await }));
        assert_eq!(soon.await.unwrap(), 1);
        assert!(synchronous().await, "the next waits for the disk");
        let undone = database.write_soon(|tx| {
            Box::pin(async move {
                tx.execute(INSERT, params![vec![2], "b"]).await?;
                Err::<(), Error>(Error::defect("changed my mind"))
            })
        });
        assert!(undone.await.is_err());
        assert!(synchronous().await);
        assert_eq!(all(database).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn the_last_statements_are_committed_or_undo_the_rest() {
    const INSERT: &str = "INSERT INTO things (id, name) VALUES ($1, $2)";
    each(async |fresh| {
        let both = async |first: u8, last: u8, name: &'static str| {
            let write = fresh.database.write(move |tx| {
                Box::pin(async move {
                    tx.execute(INSERT, params![vec![first], format!("first {first}")]).await?;
                    tx.last(vec![Statement::new(INSERT, params![vec![last], name])]).await
                })
            });
            write.await
        };
        both(1, 2, "last").await.unwrap();
        assert_eq!(both(3, 4, "last").await.unwrap_err().kind(), ErrorKind::Defect, "the name is taken");
        assert_eq!(all(&fresh.database).await.len(), 2);
        both(3, 4, "another").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_part_can_be_undone_by_itself() {
    each(async |fresh| {
        fresh
            .database
            .write(|tx| {
                Box::pin(async move {
                    for (id, keep) in [(1, true), (2, false), (3, true)] {
                        tx.savepoint()?;
                        let name = format!("n{id}");
                        let insert =
                            Statement::new("INSERT INTO things (id, name) VALUES ($1, $2)", params![vec![id], name]);
                        assert_eq!(tx.batch(vec![insert]).await?, [1]);
                        if keep { tx.release()? } else { tx.undo().await? }
                    }
                    Ok::<_, Error>(())
                })
            })
            .await
            .unwrap();
        let names: Vec<_> = all(&fresh.database).await.iter().map(|row| row.text(1).unwrap().to_owned()).collect();
        assert_eq!(names, ["n1", "n3"]);
    })
    .await;
}

#[tokio::test]
async fn lists_travel_as_one_parameter() {
    each(async |fresh| {
        for (id, name) in [(1, "a\"\\\u{1}"), (2, "b"), (3, "B")] {
            insert(&fresh.database, id, name).await.unwrap();
        }
        let found = fresh.database.read(|tx| {
            Box::pin(async move {
                let ids = Value::ids([&[1_u8][..], &[3][..]]);
                let by_id = tx.rows("SELECT name FROM things WHERE id IN {ids:$1} ORDER BY name", vec![ids]).await?;
                let texts = Value::texts(["a\"\\\u{1}", "b", "c"]);
                let by_text = tx.rows("SELECT name FROM things WHERE name IN {texts:$1}", vec![texts]).await?;
                Ok::<_, Error>((by_id, by_text))
            })
        });
        let (by_id, by_text) = found.await.unwrap();
        assert_eq!(by_id.iter().map(|row| row.text(0).unwrap()).collect::<Vec<_>>(), ["B", "a\"\\\u{1}"]);
        assert_eq!(by_text.len(), 2);
        let copied = fresh.database.write(|tx| {
            Box::pin(async move {
                const COPY: &str = "INSERT INTO things (id, name, n) \
                     SELECT t.id, new.b || new.c, 1 FROM {triples:$1} AS new JOIN things t ON t.name = new.a \
                     WHERE 1 = 1 ON CONFLICT (id) DO UPDATE SET name = excluded.name, n = excluded.n";
                tx.execute(COPY, vec![Value::triples([["b", "1", "\""], ["B", "\u{1}", "\\"], ["none", "", ""]])]).await
            })
        });
        assert_eq!(copied.await.unwrap(), 2);
        let names: Vec<_> = all(&fresh.database).await.iter().map(|row| row.text(1).unwrap().to_owned()).collect();
        assert_eq!(names, ["\u{1}\\", "1\"", "a\"\\\u{1}"]);
    })
    .await;
}

#[tokio::test]
async fn a_snapshot_does_not_move() {
    each(async |fresh| {
        insert(&fresh.database, 1, "a").await.unwrap();
        let (begun, wait_begun) = std::sync::mpsc::channel();
        let (go, wait_go) = std::sync::mpsc::channel::<()>();
        let database = fresh.database.clone();
        let counts = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let counted = database.read(move |tx| {
                Box::pin(async move {
                    let count = "SELECT COUNT(*) FROM things";
                    let before = tx.row(count, vec![]).await?.unwrap().int(0)?;
                    begun.send(()).unwrap();
                    wait_go.recv().unwrap();
                    Ok::<_, Error>((before, tx.row(count, vec![]).await?.unwrap().int(0)?))
                })
            });
            runtime.block_on(counted).unwrap()
        });
        tokio::task::spawn_blocking(move || wait_begun.recv().unwrap()).await.unwrap();
        insert(&fresh.database, 2, "b").await.unwrap();
        go.send(()).unwrap();
        assert_eq!(counts.await.unwrap(), (1, 1));
        assert_eq!(all(&fresh.database).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn opening_again_migrates_no_further_and_a_newer_schema_is_refused() {
    each(async |fresh| {
        insert(&fresh.database, 1, "a").await.unwrap();
        let again = Database::open(&fresh.url, Options::default(), "test", SCHEMA).await.unwrap();
        assert_eq!(all(&again).await.len(), 1);
        let older = Database::open(&fresh.url, Options::default(), "test", &SCHEMA[..1]).await;
        assert_eq!(older.unwrap_err().kind(), ErrorKind::Defect);
    })
    .await;
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_says_why() {
    each(async |fresh| {
        let (url, why): (Url, _) = match fresh.database.engine() {
            Engine::Sqlite => ("sqlite:/nowhere/at/all.db".parse().unwrap(), "unable to open database file"),
            Engine::Postgres => {
                let server = std::env::var("ROLECALL_TEST_POSTGRES").unwrap();
                let (base, _) = server.rsplit_once('/').unwrap();
                (format!("{base}/nodb").parse().unwrap(), "database \"nodb\" does not exist")
            }
        };
        let error = Database::open(&url, Options::default(), "test", SCHEMA).await.unwrap_err();
        assert!(error.of_opening().contains(why), "{}", error.of_opening());
    })
    .await;
}

#[tokio::test]
async fn a_panic_ends_one_write_and_no_other() {
    each(async |fresh| {
        let broken = fresh.database.write(|tx| {
            Box::pin(async move {
                tx.execute("INSERT INTO things (id, name) VALUES ($1, $2)", params![vec![1], "a"]).await?;
                let rows = tx.rows("SELECT id FROM things", vec![]).await?;
                rows[0].int(0).unwrap();
                Ok::<_, Error>(())
            })
        });
        assert_eq!(broken.await.unwrap_err().kind(), ErrorKind::Unavailable);
        // Whoever else has the file finds no lock left behind.
        let other = Database::open(&fresh.url, Options::default(), "test", SCHEMA).await.unwrap();
        assert_eq!(insert(&other, 1, "a").await.unwrap(), 1);
        assert_eq!(insert(&fresh.database, 2, "b").await.unwrap(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_writes_keeps_no_other_task_from_its_work() {
    each(async |fresh| {
        let (begun, wait_begun) = tokio::sync::oneshot::channel();
        let (go, wait_go) = std::sync::mpsc::channel::<()>();
        let database = fresh.database.clone();
        let writer = tokio::spawn(async move {
            let write = database.write(move |tx| {
                Box::pin(async move {
                    begun.send(()).unwrap();
                    // On PostgreSQL a wait of this kind would be the thread's; there nothing is done on the spot.
                    if tx.engine() == Engine::Sqlite {
                        wait_go.recv().unwrap();
                    }
                    Ok::<_, Error>(())
                })
            });
            write.await
        });
        tokio::spawn(async move {
            wait_begun.await.unwrap();
            let _ = go.send(());
        });
        writer.await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_while_another_writes_waits_and_nobody_overtakes_it() {
    each(async |fresh| {
        let (begun, wait_begun) = tokio::sync::oneshot::channel();
        let (go, wait_go) = tokio::sync::oneshot::channel::<()>();
        let database = fresh.database.clone();
        let first = tokio::spawn(async move {
            let write = database.write(move |tx| {
                Box::pin(async move {
                    begun.send(()).unwrap();
                    if tx.engine() == Engine::Sqlite {
                        wait_go.blocking_recv().unwrap();
                    }
                    tx.execute("INSERT INTO things (id, name) VALUES ($1, $2)", params![vec![1], "a"]).await
                })
            });
            write.await
        });
        wait_begun.await.unwrap();
        let mut second = std::pin::pin!(insert(&fresh.database, 2, "b"));
        let waits = futures_util::poll!(second.as_mut()).is_pending();
        assert!(waits, "the writer is busy");
        let _ = go.send(());
        first.await.unwrap().unwrap();
        // Whoever comes now finds the one before it done, in whatever order their answers are read.
        insert(&fresh.database, 3, "c").await.unwrap();
        if fresh.database.engine() == Engine::Sqlite {
            assert_eq!(all(&fresh.database).await.len(), 3);
        }
        second.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_look_up_sees_what_is_committed() {
    each(async |fresh| {
        let look_up = || fresh.database.point("SELECT name FROM things WHERE id = $1", params![vec![1]]);
        assert_eq!(look_up().await.unwrap(), None);
        insert(&fresh.database, 1, "a").await.unwrap();
        assert_eq!(look_up().await.unwrap().unwrap().text(0).unwrap(), "a");
    })
    .await;
}

/// One connection, which is soon waited for in vain.
const SCARCE: Options = Options {
    connections: 1,
    wait: Duration::from_millis(100),
    statement: Duration::from_secs(30),
    lock: Duration::from_secs(20),
};

async fn is_read(database: &Database) -> Result<i64, ErrorKind> {
    let read = database.read(|tx| Box::pin(async move { tx.row("SELECT COUNT(*) FROM things", vec![]).await }));
    read.await.map_err(|error| error.kind()).map(|row| row.unwrap().int(0).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_whose_caller_went_away_keeps_its_connection_to_its_end() {
    each_with(SCARCE, async |fresh| {
        let (begun, wait_begun) = tokio::sync::oneshot::channel();
        let (go, wait_go) = std::sync::mpsc::channel::<()>();
        let database = fresh.database.clone();
        let caller = tokio::spawn(async move {
            let read = database.read(move |tx| {
                Box::pin(async move {
                    begun.send(()).unwrap();
                    if tx.engine() == Engine::Sqlite {
                        wait_go.recv().unwrap();
                    } else {
                        tx.script("SELECT pg_sleep(2)").await?;
                    }
                    Ok::<_, Error>(())
                })
            });
            read.await
        });
        wait_begun.await.unwrap();
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        assert_eq!(is_read(&fresh.database).await, Err(ErrorKind::Unavailable), "the connection is not free");
        let _ = go.send(());
        while is_read(&fresh.database).await.is_err() {}
    })
    .await;
}

#[tokio::test]
async fn a_panic_ends_one_read_and_no_other() {
    each_with(SCARCE, async |fresh| {
        let broken = fresh.database.read(|tx| {
            Box::pin(async move {
                tx.row("SELECT COUNT(*) FROM things", vec![]).await?.unwrap().int(7).unwrap();
                Ok::<_, Error>(())
            })
        });
        assert_eq!(broken.await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(is_read(&fresh.database).await, Ok(0));
    })
    .await;
}

#[test]
fn a_wait_for_a_lock_ends_as_such_and_not_as_a_statement_that_took_too_long() {
    let options = Options::default();
    assert!(options.lock < options.statement);
}

/// Which rows an index finds is not known of tables without statistics, and a plan made while there were few is kept: it
/// goes through all of `a` once there are many.
#[tokio::test]
async fn plans_are_made_anew_as_tables_grow() {
    const FIND: &str = "SELECT w FROM wide WHERE a = $1 AND b = $2";
    // As long as their texts, which none holds, each row counts for hundreds of bytes: a tenth of them are one row.
    const WIDE: &str = "CREATE TABLE wide (a TEXT NOT NULL, b TEXT NOT NULL, c TEXT NOT NULL, d TEXT, e TEXT, f TEXT, \
         g TEXT, h TEXT, i TEXT, w BIGINT NOT NULL, PRIMARY KEY (a, b)); CREATE INDEX wide_c ON wide (a, c); \
         ALTER TABLE wide SET (autovacuum_enabled = false)";
    const GROW: &str =
        "INSERT INTO wide SELECT 'x', n, n, '', '', '', '', '', '', n FROM generate_series(1, 30000) AS n";
    async fn script(database: &Database, sql: &'static str) {
        database.write(move |tx| Box::pin(async move { tx.script(sql).await })).await.unwrap();
    }
    async fn find(database: &Database) -> Vec<Row> {
        database.read(|tx| Box::pin(async move { tx.rows(FIND, params!["x", "7"]).await })).await.unwrap()
    }
    let options = Options { connections: 1, ..Options::default() };
    each_with(options, async |Fresh { database, .. }| {
        if database.engine() == Engine::Sqlite {
            return;
        }
        script(database, WIDE).await;
        for _ in 0..10 {
            assert!(find(database).await.is_empty());
        }
        script(database, GROW).await;
        for _ in 0..crate::postgres::PLANS_LAST {
            assert_eq!(find(database).await[0].int(0).unwrap(), 7);
        }
        let plan = database.read(|tx| {
            Box::pin(async move {
                let name =
                    tx.rows("SELECT name FROM pg_prepared_statements WHERE statement = $1", params![FIND]).await?;
                let sql = format!("EXPLAIN EXECUTE {}('x', '7')", name[0].text(0)?);
                tx.composed(&sql, vec![]).await
            })
        });
        let plan: Vec<_> = plan.await.unwrap().iter().map(|row| row.text(0).unwrap().to_owned()).collect();
        assert!(plan.iter().any(|line| line.contains("Cond: ((a = $1) AND (b = $2))")), "{}", plan.join("\n"));
    })
    .await;
}

/// Right for a hundred rows of which much is known, wrong for the hundred thousand that come next.
#[tokio::test]
async fn few_rows_are_found_by_their_key_like_many() {
    each(async |Fresh { database, .. }| {
        insert(database, 1, "a").await.unwrap();
        let plan = database.write(|tx| {
            Box::pin(async move {
                if tx.engine() == Engine::Postgres {
                    tx.script("ANALYZE things").await?;
                }
                tx.explain("SELECT n FROM things WHERE id = $1", params![vec![1]]).await
            })
        });
        let plan = plan.await.unwrap().join("\n");
        assert!(plan.contains("things_pkey") || plan.contains("id=?"), "{plan}");
    })
    .await;
}
