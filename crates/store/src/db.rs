//! An open database, a write transaction, and how one text of SQL runs on either.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{PgPool, Pool, Postgres, SqlSafeStr, Sqlite, SqlitePool, Transaction};

use crate::error::OpenError;
use crate::{postgres, sqlite};

/// An open database. Two variants, and no third anywhere else in the workspace.
///
/// Questions go to `reads`, which the database itself keeps from writing.
#[derive(Clone, Debug)]
pub enum Db {
    /// One file in this process.
    Sqlite {
        /// Several connections that cannot write.
        reads: SqlitePool,
        /// One connection that writes.
        writes: SqlitePool,
    },
    /// One schema of a server.
    Postgres {
        /// Several connections that cannot write.
        reads: PgPool,
        /// One connection that writes.
        writes: PgPool,
    },
}

/// A write transaction. On SQLite it holds the write lock from its first moment.
#[derive(Debug)]
pub enum Tx {
    /// On SQLite.
    Sqlite(Transaction<'static, Sqlite>),
    /// On PostgreSQL.
    Postgres(Transaction<'static, Postgres>),
}

/// What a commit is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// On disk before the answer: the log.
    Full,
    /// A lost tail is derived again: the read models.
    Rebuildable,
    /// Worth nothing when the power goes: the log in tests and under `--unsafe-durability`.
    Unsafe,
}

/// How many connections there are, and how long they may be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Connections for reading.
    pub reads_max: u32,
    /// How long a question waits for a connection.
    pub acquire_timeout: Duration,
    /// How long a statement that somebody waits for may run. A file has one process that writes, so
    /// there it is how long a statement waits for a lock that another process holds.
    pub statement_timeout: Duration,
}

impl From<u32> for Connections {
    /// So many for reading, with the patience of a command that a person runs.
    fn from(reads_max: u32) -> Self {
        Self {
            reads_max,
            acquire_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(30),
        }
    }
}

/// Where the log lives, and beside it the read models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `log.db` in this folder, read models in `views-<generation>.db` beside it.
    Folder(PathBuf),
    /// Schemas `log` and `views_<generation>` of this server.
    Server(String),
}

/// A family of tables that lives and dies together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// The log and what stands around it.
    Log,
    /// One generation of read models.
    Views(i64),
}

/// One migration, in both dialects.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Order; never reused.
    pub version: i64,
    /// File name without its ending.
    pub name: &'static str,
    /// The SQLite text.
    pub sqlite: &'static str,
    /// The PostgreSQL text.
    pub postgres: &'static str,
}

/// A migration out of `schemas/sql/{sqlite,postgres}`: one that is missing in one dialect does not
/// compile.
#[macro_export]
macro_rules! step {
    ($version:literal, $name:literal) => {
        $crate::db::Step {
            version: $version,
            name: $name,
            sqlite: include_str!(concat!("../../../schemas/sql/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../../../schemas/sql/postgres/", $name, ".sql")),
        }
    };
}

/// The tables of the log.
pub const LOG_STEPS: &[Step] = &[
    step!(1, "0001_log_events"),
    step!(2, "0002_log_around"),
    step!(3, "0003_log_append"),
    step!(4, "0004_log_quarantined_rows"),
    step!(5, "0005_log_keys"),
    step!(6, "0006_log_generations"),
];

const LAST_STEP: &str = "
    SELECT CAST(max(version) AS BIGINT)
      FROM _sqlx_migrations";

const STEPS: &str = "
    SELECT version, checksum
      FROM _sqlx_migrations
     ORDER BY version";

/// Nothing where the table of migrations is missing: a database that was never used by us.
fn if_there<T>(answer: Result<T, sqlx::Error>) -> Result<Option<T>, sqlx::Error> {
    match answer {
        Err(sqlx::Error::Database(it)) if it.message().contains("_sqlx_migrations") => Ok(None),
        answer => answer.map(Some),
    }
}

/// Runs one piece of code on whichever database is open.
///
/// The body is expanded once per driver and each copy is checked against a concrete sqlx type,
/// so no `DB: sqlx::Database` bounds leak into the code that asks questions.
#[macro_export]
macro_rules! on_db {
    ($db:expr, $pool:ident => $body:expr) => {
        match $db {
            $crate::db::Db::Sqlite { reads: $pool, .. } => $body,
            $crate::db::Db::Postgres { reads: $pool, .. } => $body,
        }
    };
}

/// The same inside a write transaction: `$conn` is a `&mut` connection of the concrete driver.
#[macro_export]
macro_rules! on_tx {
    ($tx:expr, $conn:ident => $body:expr) => {
        match $tx {
            $crate::db::Tx::Sqlite(tx) => {
                let $conn = &mut **tx;
                $body
            }
            $crate::db::Tx::Postgres(tx) => {
                let $conn = &mut **tx;
                $body
            }
        }
    };
}

impl Place {
    /// Reads `sqlite:<path of log.db>` or `postgres://…`.
    #[must_use]
    pub fn parse(url: &str) -> Option<Self> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Some(Self::Server(url.to_owned()));
        }
        let path = url.strip_prefix("sqlite:")?.trim_start_matches("//");
        let folder = Path::new(path).parent()?;
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        Some(Self::Folder(folder.to_owned()))
    }

    /// For messages: without a password.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Folder(folder) => folder.join("log.db").display().to_string(),
            Self::Server(url) => match (url.find("://"), url.rfind('@')) {
                (Some(scheme), Some(at)) if scheme < at => {
                    let (head, tail) = (url.get(..scheme), url.get(at..));
                    format!("{}://***{}", head.unwrap_or_default(), tail.unwrap_or_default())
                }
                _ => url.clone(),
            },
        }
    }

    /// Opens one family of tables there, creating what is missing.
    pub async fn open(
        &self,
        family: Family,
        connections: impl Into<Connections>,
    ) -> Result<Db, OpenError> {
        let durability = match family {
            Family::Log => Durability::Full,
            Family::Views(_) => Durability::Rebuildable,
        };
        self.open_as(family, durability, connections.into()).await
    }

    pub(crate) async fn open_as(
        &self,
        family: Family,
        durability: Durability,
        connections: Connections,
    ) -> Result<Db, OpenError> {
        let opened = match self {
            Self::Folder(folder) => {
                let file = match family {
                    Family::Log => "log.db".to_owned(),
                    Family::Views(generation) => format!("views-{generation}.db"),
                };
                sqlite::open(&folder.join(file), durability, connections).await
            }
            Self::Server(url) => {
                postgres::open(url, &family.schema(), durability, connections).await
            }
        };
        let db = opened.map_err(|source| OpenError::Unreachable { url: self.shown(), source })?;
        match &db {
            Db::Sqlite { writes, .. } => sqlite::check(writes, durability).await?,
            Db::Postgres { reads, writes } => {
                postgres::check(reads, writes, &family.schema(), durability).await?;
            }
        }
        Ok(db)
    }
}

impl Family {
    /// Its schema on PostgreSQL.
    #[must_use]
    pub fn schema(self) -> String {
        match self {
            Self::Log => "log".to_owned(),
            Self::Views(generation) => format!("views_{generation}"),
        }
    }
}

/// Begins a transaction on PostgreSQL that ends, whoever stops waiting for it.
///
/// sqlx 0.9.0 counts a transaction when the server has answered, and rolls back what it has counted
/// (transact-rs/sqlx#4393). Had its asker gone before, the connection would return to the pool inside
/// a transaction: the next answer would be one of long ago, and the next append would never be
/// committed. So a task that nobody can drop halfway waits for the answer.
#[expect(clippy::disallowed_methods, reason = "it ends with the answer to one statement")]
async fn begin(
    pool: &PgPool,
    statement: &'static str,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { pool.begin_with(statement).await });
    begun.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

impl Db {
    /// Starts a write. Never `begin()`: on SQLite a deferred transaction that reads first can
    /// fail at once with "database is locked", without waiting for the busy timeout.
    pub async fn begin_write(&self) -> Result<Tx, sqlx::Error> {
        match self {
            Self::Sqlite { writes, .. } => {
                writes.begin_with("BEGIN IMMEDIATE").await.map(Tx::Sqlite)
            }
            Self::Postgres { writes, .. } => begin(writes, "BEGIN").await.map(Tx::Postgres),
        }
    }

    /// Starts an answer: all its questions see the same rows.
    #[expect(clippy::disallowed_methods, reason = "a read transaction has nothing to upgrade")]
    pub async fn begin_read(&self) -> Result<Tx, sqlx::Error> {
        match self {
            Self::Sqlite { reads, .. } => reads.begin().await.map(Tx::Sqlite),
            Self::Postgres { reads, .. } => {
                let statement = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
                begin(reads, statement).await.map(Tx::Postgres)
            }
        }
    }

    /// Brings one family of tables up to date.
    pub async fn migrate(&self, family: Family, steps: &[Step]) -> Result<(), MigrateError> {
        match self {
            Self::Sqlite { writes, .. } => migrator(steps, |it| it.sqlite).run(writes).await,
            Self::Postgres { writes, .. } => {
                // A step over a long log takes as long as it takes.
                let mut unhurried = postgres::unhurried(writes).await?;
                let mut migrator = migrator(steps, |it| it.postgres);
                migrator.create_schema(family.schema());
                // `run` asks for more of a connection's lifetime than a future that is sent can give.
                let done = migrator.run_direct(None, &mut *unhurried, false).await;
                unhurried.close().await?;
                done
            }
        }
    }

    /// The last migration step of these tables; `None` where there are none yet.
    pub async fn last_step(&self) -> Result<Option<i64>, sqlx::Error> {
        let step = on_db!(self, pool => sqlx::query_scalar(LAST_STEP).fetch_one(pool).await);
        Ok(if_there(step)?.flatten())
    }

    /// Whether the tables were made by exactly these steps; `None` where there are none yet.
    ///
    /// Asked before [`Db::migrate`] where another version may have made them: on PostgreSQL sqlx 0.9.0
    /// keeps its advisory lock on a connection of the pool when it refuses a step that has changed, and
    /// the next migration waits for it.
    pub async fn is_made_by(&self, steps: &[Step]) -> Result<Option<bool>, sqlx::Error> {
        let found = on_db!(self, pool => sqlx::query_as(STEPS).fetch_all(pool).await);
        let Some(found): Option<Vec<(i64, Vec<u8>)>> = if_there(found)? else { return Ok(None) };
        let wanted = match self {
            Self::Sqlite { .. } => migrator(steps, |it| it.sqlite),
            Self::Postgres { .. } => migrator(steps, |it| it.postgres),
        };
        let wanted = wanted.iter().map(|it| (it.version, it.checksum.to_vec()));
        Ok(Some(wanted.eq(found)))
    }

    /// Connections that are open: idle ones, and those in use.
    #[must_use]
    pub fn open_connections(&self) -> (usize, usize) {
        match self {
            Self::Sqlite { reads, writes } => both(standing(reads), standing(writes)),
            Self::Postgres { reads, writes } => both(standing(reads), standing(writes)),
        }
    }

    /// Closes both pools and waits for their connections.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { reads, writes } => {
                reads.close().await;
                writes.close().await;
            }
            Self::Postgres { reads, writes } => {
                reads.close().await;
                writes.close().await;
            }
        }
    }
}

impl Tx {
    /// Makes it so.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
        }
    }

    /// Leaves nothing behind; dropping would only queue it.
    pub async fn rollback(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await,
            Self::Postgres(tx) => tx.rollback().await,
        }
    }
}

/// Idle connections of a pool, and those in use.
fn standing<DB: sqlx::Database>(pool: &Pool<DB>) -> (usize, usize) {
    let idle = pool.num_idle();
    (idle, usize::try_from(pool.size()).unwrap_or(usize::MAX).saturating_sub(idle))
}

fn both(one: (usize, usize), other: (usize, usize)) -> (usize, usize) {
    (one.0 + other.0, one.1 + other.1)
}

fn migrator(steps: &[Step], dialect: impl Fn(&Step) -> &'static str) -> Migrator {
    let migrations = steps.iter().map(|it| {
        let text = dialect(it).into_sql_str();
        Migration::new(it.version, it.name.into(), MigrationType::Simple, text, false)
    });
    Migrator::with_migrations(migrations.collect())
}
