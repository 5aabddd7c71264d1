//! The read models as others see them: one consistent snapshot per question, and a bell.
//!
//! Whichever process leads, every process answers: a [`Views`] finds the generation that is live,
//! reads everything of one answer in one transaction, and knows up to which position it speaks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use events::id::Tenant;
use events::policy::PolicyHistory;
use events::time::Clock;
use jiff::Timestamp;
use store::db::{Family, Place};
use store::error::{OpenError, ReadError};
use store::sql::SqlTime;
use store::{Bell, Connections, Db, Log, Tx, generations, on_tx};

use crate::dossier::Dossier;
use crate::dossiers::load_dossiers;
use crate::earlier::Moment;
use crate::folds::{self, Folds};
use crate::policies::{Book, table as policy_table};
use crate::rows::Key;
use crate::runner::CHECKPOINT;

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
    /// Who folded it.
    pub folds: Folds,
    /// The newest effective date of the policies that have taken hold for the rows.
    pub policies_until: Option<Timestamp>,
}

impl Snapshot {
    /// What the rows are made of.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment { position: self.position, policies_until: self.policies_until }
    }

    /// What is remembered of some holders; who has nothing is left out. In a build of another version
    /// this may be written in another form, which would be misread.
    pub async fn dossiers(
        &mut self,
        keys: &BTreeSet<Key>,
    ) -> Result<HashMap<Key, Dossier>, ReadError> {
        if self.folds != Folds::Own {
            return Err(ReadError::Building);
        }
        load_dossiers(&mut self.tx, keys).await
    }

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
    /// Who folded it.
    pub folds: Folds,
}

/// Policies as far as a position, so that they are not read for every question.
#[derive(Debug, Default)]
struct Cached {
    generation: i64,
    newest: i64,
    count: i64,
    policies: Arc<HashMap<Tenant, PolicyHistory>>,
}

/// How far the builds are that this process makes.
#[derive(Debug, Default)]
pub struct Building(Mutex<BTreeMap<i64, i64>>);

impl Building {
    /// A build has come to a position.
    pub fn reach(&self, generation: i64, position: i64) {
        self.0.lock().expect("no holder of this lock can panic").insert(generation, position);
    }

    /// A build is not worked on any more.
    pub fn end(&self, generation: i64) {
        self.0.lock().expect("no holder of this lock can panic").remove(&generation);
    }

    /// Generation and position of each.
    #[must_use]
    pub fn all(&self) -> Vec<(i64, i64)> {
        let all = self.0.lock().expect("no holder of this lock can panic");
        all.iter().map(|(generation, position)| (*generation, *position)).collect()
    }
}

/// The handle for asking. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Views {
    place: Place,
    log: Log,
    clock: Arc<dyn Clock>,
    connections: Connections,
    live: Arc<RwLock<Live>>,
    cached: Arc<Mutex<Cached>>,
    building: Arc<Building>,
    bell: Bell,
}

impl Views {
    /// Opens the live generation, making the first one where there is none.
    pub async fn open(
        place: Place,
        log: Log,
        clock: Arc<dyn Clock>,
        connections: impl Into<Connections>,
    ) -> Result<Self, OpenError> {
        let connections = connections.into();
        let generation = generations::live(log.db(), clock.now()).await.map_err(unreadable)?;
        let live = open(&place, generation, connections).await?;
        Ok(Self {
            place,
            log,
            clock,
            connections,
            live: Arc::new(RwLock::new(live)),
            cached: Arc::default(),
            building: Arc::default(),
            bell: Bell::default(),
        })
    }

    /// Opens the tables of another generation, for a rebuild.
    pub async fn open_generation(&self, generation: i64) -> Result<Live, OpenError> {
        open(&self.place, generation, self.connections).await
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

    /// The builds that are made in this process.
    #[must_use]
    pub fn building(&self) -> &Building {
        &self.building
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
        let live = open(&self.place, generation, self.connections).await?;
        *self.live.write().expect("no holder of this lock can panic") = live;
        Ok(true)
    }

    /// Begins an answer.
    pub async fn snapshot(&self) -> Result<Snapshot, ReadError> {
        let Live { generation, db, folds } = self.live();
        if folds == Folds::Unreadable {
            return Err(ReadError::Building);
        }
        let mut tx = db.begin_read().await?;
        let (position, newest, count, until) = standing(&mut tx).await?;
        let policies = self.policies(&mut tx, generation, newest, count).await?;
        let policies_until = until.map(|it| it.0);
        Ok(Snapshot { tx, position, policies, generation, folds, policies_until })
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

async fn open(place: &Place, generation: i64, connections: Connections) -> Result<Live, OpenError> {
    let db = place.open(Family::Views(generation), connections).await?;
    let folds = folds::prepare(&db, generation).await?;
    Ok(Live { generation, db, folds })
}

pub(crate) fn unreadable(error: ReadError) -> OpenError {
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
           count(*),
           max(CASE WHEN active THEN effective_from END)
      FROM policies";

async fn standing(tx: &mut Tx) -> Result<(i64, i64, i64, Option<SqlTime>), sqlx::Error> {
    Ok(on_tx!(tx, conn => sqlx::query_as(STANDING).bind(CHECKPOINT).fetch_one(conn).await?))
}
