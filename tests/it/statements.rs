//! Every statement in the code is found, not listed, and prepared on both databases: a column that
//! was renamed in one dialect, or a type that only one of them guesses, fails here.

use std::path::{Path, PathBuf};

use projections::VIEWS_STEPS;
use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};
use store::Db;
use store::db::{Family, Place};

use crate::support::files::{files_of, shown};
use crate::support::{database, postgres, sqlite};

/// The generation of read models that is made here.
const VIEWS: Family = Family::Views(1);

/// What only the tests beside the code run: it may write where the code must not.
const FOR_TESTS: [&str; 2] = ["tests.rs", "given.rs"];

/// PostgreSQL resolved every name and could not guess the type of a value that is only compared with
/// NULL first. At run time the driver sends the types of what is bound.
const TYPE_NOT_GUESSED: &str = "42P08";

/// One constant of the code.
struct Statement {
    file: PathBuf,
    name: String,
    text: String,
}

/// The texts of `const NAME: &str = "…";` below a folder that are whole statements. A name that
/// ends in `_HEAD` or `_TAIL` is a part that is put together at run time.
fn statements(folder: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    for file in files_of(folder, "rs") {
        if FOR_TESTS.iter().any(|it| file.ends_with(it)) {
            continue;
        }
        let source = std::fs::read_to_string(&file).unwrap();
        for constant in source.split("const ").skip(1) {
            let Some((name, rest)) = constant.split_once(": &str =") else { continue };
            let Some(text) = rest.trim_start().strip_prefix('"') else { continue };
            let text = text.split("\";").next().unwrap_or_default().trim();
            let is_name = name.bytes().all(|it| it.is_ascii_uppercase() || it == b'_');
            let is_whole = !name.ends_with("_HEAD") && !name.ends_with("_TAIL");
            let verb = text.split_whitespace().next().unwrap_or_default();
            let is_sql = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].contains(&verb);
            if is_name && is_whole && is_sql {
                assert!(!text.contains('\\'), "{name}: write SQL without escapes");
                let (name, text) = (name.to_owned(), text.to_owned());
                found.push(Statement { file: file.clone(), name, text });
            }
        }
    }
    found
}

/// Prepares every statement of a folder on a database, and says all that fail at once.
async fn prepare(folder: &str, db: &Db, least: usize) {
    let statements = statements(folder);
    assert!(least <= statements.len(), "only {} statements in {folder}", statements.len());
    let mut failures = Vec::new();
    for it in statements {
        if is_of_another(db, &it.file) {
            continue;
        }
        let text = AssertSqlSafe(it.text.clone()).into_sql_str();
        let prepared = match db {
            Db::Sqlite { reads, .. } => reads.prepare(text).await.map(drop),
            Db::Postgres { reads, .. } => reads.prepare(text).await.map(drop),
        };
        let Err(error) = prepared else { continue };
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        if code.as_deref() != Some(TYPE_NOT_GUESSED) {
            failures.push(format!("{} {}: {error}", shown(&it.file), it.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// `sqlite.rs` and `postgres.rs` hold what only one database needs.
fn is_of_another(db: &Db, file: &Path) -> bool {
    file.ends_with(match db {
        Db::Sqlite { .. } => "postgres.rs",
        Db::Postgres { .. } => "sqlite.rs",
    })
}

async fn views(place: &Place) -> Db {
    let db = place.open(VIEWS, 2).await.unwrap();
    db.migrate(VIEWS, VIEWS_STEPS).await.unwrap();
    db
}

#[tokio::test]
async fn every_statement_of_the_store_prepares_on_sqlite() {
    let it = sqlite().await;
    prepare("crates/store/src", it.log.db(), 30).await;
}

#[tokio::test]
async fn every_statement_of_the_store_prepares_on_postgres() {
    prepare("crates/store/src", postgres().await.log.db(), 30).await;
}

#[tokio::test]
async fn every_statement_of_the_read_models_prepares_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let db = views(&Place::Folder(folder.path().to_owned())).await;
    prepare("crates/projections/src", &db, 15).await;
}

#[tokio::test]
async fn every_statement_of_the_read_models_prepares_on_postgres() {
    let db = views(&Place::Server(database().await)).await;
    prepare("crates/projections/src", &db, 15).await;
}
