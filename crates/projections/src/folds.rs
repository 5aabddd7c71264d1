//! Which version of the code folded a build of the read models.
//!
//! Rows follow from the log and from the code that folds it. [`VERSION`] is a fingerprint of that
//! code, and every build remembers the one that made it. A build of another version is never folded
//! further, and never compared with one of this version: `replace` builds a new one beside it.

use store::Db;
use store::checkpoint::{self, Checkpoint, MoveError};
use store::db::Family;
use store::error::OpenError;

use crate::runner::{CHECKPOINT, VIEWS_STEPS};
use crate::views::unreadable;

/// The version of the folds in this program.
pub const VERSION: &str = env!("SAPA_FOLDS");

/// Beside which checkpoint of a build its version stands.
const NAME: &str = "folds";

/// Who folded a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folds {
    /// This version: it can be folded further.
    Own,
    /// Another version with the same tables: it can be asked, and answers as of where it stands.
    Other,
    /// Another version with other tables: it cannot be asked.
    Unreadable,
}

/// Makes the tables of a build where there are none, and says who folded it.
pub(crate) async fn prepare(db: &Db, generation: i64) -> Result<Folds, OpenError> {
    match db.is_made_by(VIEWS_STEPS).await? {
        Some(true) => {}
        Some(false) => return Ok(Folds::Unreadable),
        None => db.migrate(Family::Views(generation), VIEWS_STEPS).await?,
    }
    match checkpoint::load(db, NAME).await.map_err(unreadable)?.detail.as_deref() {
        Some(VERSION) => return Ok(Folds::Own),
        Some(_) => return Ok(Folds::Other),
        None => {}
    }
    let stands = checkpoint::load(db, CHECKPOINT).await.map_err(unreadable)?;
    if stands.position != 0 || stands.detail.is_some() {
        // Folded before versions were remembered.
        return Ok(Folds::Other);
    }
    sign(db).await.map_err(|error| match error {
        MoveError::Unavailable(error) => OpenError::Check(error),
        other => OpenError::Unsafe { found: other.to_string(), remedy: "Start again.".to_owned() },
    })?;
    Ok(Folds::Own)
}

/// Writes our version into a build that is empty.
async fn sign(db: &Db) -> Result<(), MoveError> {
    let mut tx = db.begin_write().await?;
    checkpoint::claim(&mut tx, NAME, 0).await?;
    let from = Checkpoint::default();
    let to = Checkpoint { detail: Some(VERSION.to_owned()), ..from.clone() };
    checkpoint::advance(&mut tx, NAME, &from, &to).await?;
    Ok(tx.commit().await?)
}
