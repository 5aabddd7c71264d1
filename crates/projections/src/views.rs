//! The read models as others see them: one consistent snapshot per question, and a bell.
//!
//! Whichever process leads, every process answers: a [`Views`] finds the generation that is live,
//! reads everything of one answer in one transaction, and knows up to which position it speaks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use events::id::Tenant;
use events::policy::PolicyHistory;
use events::time::Clock;
use store::db::{Family, Place};
use store::error::{OpenError, ReadError};
use store::{Bell, Db, Log, Tx, generations, on_tx};

use crate::policies::{Book, table as policy_table};
use crate::runner::{CHECKPOINT, VIEWS_STEPS};

/// How often a waiting reader looks again without having heard the bell.
pub const POLL_EVERY: Duration = Duration::from_millis(50);

/// Everything one answer is made of: one read transaction over all read models, at one position.
#[derive(Debug)]
pub struct Snapshot {
    /// The transaction; read only. Query with `store::on_tx!(&mut snapshot.tx, conn => …)`.
    pub tx: Tx,
    /// The position up to which everything is folded.
    pub position: i64,
    /// Policies by tenant, as far as they are folded.
    pub policies: Arc<HashMap<Tenant, PolicyHistory>>,
    /// Which build answers.
    pub generation: i64,
}

impl Snapshot {
    /// A tenant's policies; the defaults where it has published none.
    #[must_use]
    pub fn policies_of(&self, tenant: &Tenant) -> PolicyHistory {
        self.policies.get(tenant).cloned().unwrap_or_default()
    }
}

/// The build that answers, and its database.
#[derive(Clone, Debug)]
pub struct Live {
    /// Its number.
    pub generation: i64,
    /// Its tables.
    pub db: Db,
}

/// Policies as far as a position, so that they are not read for every question.
#[derive(Debug, Default)]
struct Cached {
    generation: i64,
    newest: i64,
    count: i64,
    policies: Arc<HashMap<Tenant, PolicyHistory>>,
}

/// The handle for asking. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Views {
    place: Place,
    log: Log,
    clock: Arc<dyn Clock>,
    reads_max: u32,
    live: Arc<RwLock<Live>>,
    cached: Arc<Mutex<Cached>>,
    bell: Bell,
}

impl Views {
    /// Opens the live generation, making the first one where there is none.
    pub async fn open(
        place: Place,
        log: Log,
        clock: Arc<dyn Clock>,
        reads_max: u32,
    ) -> Result<Self, OpenError> {
        let generation = generations::live(log.db(), clock.now()).await.map_err(unreadable)?;
        let live = open(&place, generation, reads_max).await?;
        Ok(Self {
            place,
            log,
            clock,
            reads_max,
            live: Arc::new(RwLock::new(live)),
            cached: Arc::default(),
            bell: Bell::default(),
        })
    }

    /// Opens the tables of another generation, for a rebuild.
    pub async fn open_generation(&self, generation: i64) -> Result<Live, OpenError> {
        open(&self.place, generation, self.reads_max).await
    }

    /// Where everything lives.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The log beneath.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The clock that was handed in.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Rings when the read models have come further.
    #[must_use]
    pub fn bell(&self) -> &Bell {
        &self.bell
    }

    /// The build that answers now.
    #[must_use]
    pub fn live(&self) -> Live {
        self.live.read().expect("no holder of this lock can panic").clone()
    }

    /// Follows a swap that another process or a rebuild has made; `true` if there was one.
    pub async fn refresh(&self) -> Result<bool, OpenError> {
        let generation =
            generations::live(self.log.db(), self.clock.now()).await.map_err(unreadable)?;
        if generation == self.live().generation {
            return Ok(false);
        }
        let live = open(&self.place, generation, self.reads_max).await?;
        *self.live.write().expect("no holder of this lock can panic") = live;
        Ok(true)
    }

    /// Begins an answer.
    pub async fn snapshot(&self) -> Result<Snapshot, ReadError> {
        let Live { generation, db } = self.live();
        let mut tx = db.begin_read().await?;
        let (position, newest, count) = standing(&mut tx).await?;
        let policies = self.policies(&mut tx, generation, newest, count).await?;
        Ok(Snapshot { tx, position, policies, generation })
    }

    async fn policies(
        &self,
        tx: &mut Tx,
        generation: i64,
        newest: i64,
        count: i64,
    ) -> Result<Arc<HashMap<Tenant, PolicyHistory>>, ReadError> {
        {
            let cached = self.cached.lock().expect("no holder of this lock can panic");
            if (cached.generation, cached.newest, cached.count) == (generation, newest, count) {
                return Ok(cached.policies.clone());
            }
        }
        let book = Book::stored(&policy_table::load(tx).await?);
        let policies = Arc::new(book.histories().clone());
        let cached = Cached { generation, newest, count, policies: policies.clone() };
        *self.cached.lock().expect("no holder of this lock can panic") = cached;
        Ok(policies)
    }

    /// Waits until the read models have reached a position; `false` if they have not in time.
    ///
    /// Only what is stored counts. The bell may have rung for commits that a killed server forgot,
    /// and a decision on those would be a decision on half the truth.
    pub async fn wait_for(&self, position: i64, wait: Duration) -> Result<bool, ReadError> {
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let rung = self.bell.listen();
            if position <= self.position().await? {
                return Ok(true);
            }
            tokio::select! {
                () = rung => (),
                () = tokio::time::sleep(POLL_EVERY) => (),
                () = tokio::time::sleep_until(deadline) => return Ok(false),
            }
        }
    }

    /// The position up to which everything is folded.
    pub async fn position(&self) -> Result<i64, ReadError> {
        Ok(store::checkpoint::load(&self.live().db, CHECKPOINT).await?.position)
    }
}

async fn open(place: &Place, generation: i64, reads_max: u32) -> Result<Live, OpenError> {
    let family = Family::Views(generation);
    let db = place.open(family, reads_max).await?;
    db.migrate(family, VIEWS_STEPS).await?;
    Ok(Live { generation, db })
}

fn unreadable(error: ReadError) -> OpenError {
    match error {
        ReadError::Unavailable(error) => OpenError::Check(error),
        other => {
            OpenError::Unsafe { found: other.to_string(), remedy: "Run `sapa doctor`.".to_owned() }
        }
    }
}

const STANDING: &str = "
    SELECT CAST(coalesce((SELECT position FROM checkpoints WHERE name = $1), 0) AS BIGINT),
           CAST(coalesce(max(position), 0) AS BIGINT),
           count(*)
      FROM policies";

async fn standing(tx: &mut Tx) -> Result<(i64, i64, i64), sqlx::Error> {
    Ok(on_tx!(tx, conn => sqlx::query_as(STANDING).bind(CHECKPOINT).fetch_one(conn).await?))
}
