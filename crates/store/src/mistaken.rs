//! The mistake of this crate that needs a statement of its own, in a build with the feature `faults`.

use sqlx::{AssertSqlSafe, PgPool};

use crate::db::{Db, LOG_STEPS};

/// What is said otherwise in the function that appends. Whoever changes the function sees that the
/// mistake is no longer found.
const INSTEAD: [(&str, &str); 5] = [
    ("CREATE FUNCTION", "CREATE SEQUENCE positions_ahead; CREATE OR REPLACE FUNCTION"),
    (" FROM log_head FOR UPDATE;", " FROM log_head;"),
    // Where nothing has to be judged, numbers are not taken one by one: everything is judged instead.
    ("IF -1 = ALL (_expected) AND", "IF false AND"),
    ("_head := _head + 1;", "_head := nextval('positions_ahead');"),
    ("SET position = _head,", "SET position = greatest(position, _head),"),
];

/// `Mistake::PositionOutsideLock`: numbers come from a sequence, so whoever commits first need not have
/// the lower one, and a rollback leaves a hole. On SQLite nobody can write beside us, so there it is none.
pub(crate) async fn number_outside_lock(db: &Db) -> Result<(), sqlx::Error> {
    let Db::Postgres { writes, .. } = db else { return Ok(()) };
    if is_there(writes).await? {
        return Ok(());
    }
    let mut text = String::new();
    for step in LOG_STEPS.iter().filter(|it| it.postgres.contains("CREATE FUNCTION append_events"))
    {
        text.push_str(step.postgres);
    }
    for (said, instead) in INSTEAD {
        text = text.replace(said, instead);
    }
    sqlx::raw_sql(AssertSqlSafe(text)).execute(writes).await?;
    Ok(())
}

async fn is_there(writes: &PgPool) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT to_regclass('positions_ahead') IS NOT NULL").fetch_one(writes).await
}
