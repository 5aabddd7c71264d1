//! Pages of lists whose order can change while somebody reads them.
//!
//! A reader who goes from page to page gets each item that was there at the first page, and still
//! belongs to the list, exactly once. So the cursor fixes the order it began with: the [`Moment`] of the
//! first page. Whoever has no newer facts stands where they stood; the others are folded as they were at
//! that moment ([`crate::earlier`]), and their present rows are shown in their former places. Rows that
//! came later belong to no former place and are left to the next reading.
//!
//! A page of a quiet log is one statement. Otherwise it costs as many short histories as customers got
//! facts since the first page, folded `BATCH` at a time.

use std::collections::HashMap;

use events::id::Tenant;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, QueryBuilder};
use store::error::ReadError;
use store::sql::{SqlTime, lists};
use store::{Log, Tx, on_tx};

use crate::dossier::Holder;
use crate::dossiers::holders_after;
use crate::earlier::{Changed, Earlier, Moment};
use crate::rows::{Cell, Key, Table};
use crate::views::Snapshot;

/// Holders that are folded together.
const BATCH: usize = 500;
/// Rows of one holder that a statement is expected to find.
const ALL: i64 = i64::MAX;

/// One value of a place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Part {
    /// A number.
    #[serde(rename = "n")]
    Number(i64),
    /// An instant.
    #[serde(rename = "t")]
    Time(Timestamp),
    /// A text.
    #[serde(rename = "s")]
    Text(String),
}

/// Where an item stands in the order of its list: what it is sorted by, and what tells it from others.
pub type Place = Vec<Part>;

/// Which page of a list is read.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// The moment of the first page; now, if this is the first.
    pub began: Option<Moment>,
    /// Only behind this place; from the end at which the way begins if there is none.
    pub after: Option<Place>,
    /// Towards the beginning.
    pub back: bool,
    /// At most so many rows.
    pub rows: i64,
}

impl Window {
    /// The first rows of a list.
    #[must_use]
    pub fn first(rows: i64) -> Self {
        Self { rows, ..Self::default() }
    }
}

/// A statement in the making: pieces of text, and values between them.
#[derive(Clone, Default)]
pub(crate) struct Question(Vec<Piece>);

#[derive(Clone)]
enum Piece {
    Sql(&'static str),
    Value(Cell),
}

impl Question {
    /// Begins with a text.
    pub(crate) fn new(head: &'static str) -> Self {
        Self(vec![Piece::Sql(head)])
    }

    /// Adds a text.
    pub(crate) fn sql(&mut self, text: &'static str) -> &mut Self {
        self.0.push(Piece::Sql(text));
        self
    }

    /// Adds a value.
    pub(crate) fn value(&mut self, value: impl Into<Cell>) -> &mut Self {
        self.0.push(Piece::Value(value.into()));
        self
    }

    /// Adds a condition, if there is something to compare with.
    pub(crate) fn and(&mut self, condition: &'static str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.sql(condition).value(value);
        }
        self
    }

    fn place(&mut self, place: &[Part]) {
        for (at, part) in place.iter().enumerate() {
            self.sql(if at == 0 { "(" } else { ", " });
            match part {
                Part::Number(it) => self.value(*it),
                Part::Time(it) => self.value(*it),
                Part::Text(it) => self.value(it.as_str()),
            };
        }
        self.sql(")");
    }

    /// The rows it finds.
    pub(crate) async fn fetch<R>(&self, tx: &mut Tx) -> Result<Vec<R>, ReadError>
    where
        R: Send + Unpin,
        R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow>,
    {
        Ok(on_tx!(tx, conn => {
            let mut query = QueryBuilder::new("");
            for piece in &self.0 {
                match piece {
                    Piece::Sql(text) => query.push(text),
                    Piece::Value(Cell::Text(it)) => query.push_bind(it.clone()),
                    Piece::Value(Cell::Bytes(it)) => query.push_bind(it.clone()),
                    Piece::Value(Cell::Int(it)) => query.push_bind(*it),
                    Piece::Value(Cell::Real(it)) => query.push_bind(*it),
                    Piece::Value(Cell::Bool(it)) => query.push_bind(*it),
                    Piece::Value(Cell::Time(it)) => query.push_bind(it.map(SqlTime)),
                };
            }
            query.build_query_as().persistent(false).fetch_all(conn).await?
        }))
    }
}

/// A row of a list.
pub(crate) trait Listed {
    /// Whose it is.
    fn holder(&self) -> &str;
    /// What tells it from other rows of its holder, as the key of its table does.
    fn apart(&self) -> [&str; 2];
    /// Where it stands now.
    fn place(&self) -> Place;
}

/// A list: its table, and what it is sorted by.
pub(crate) struct Order {
    /// Its rows, as a function of dossiers.
    pub(crate) table: &'static Table,
    /// The columns of a place.
    pub(crate) columns: &'static [&'static str],
    /// The same, as they are compared: `(a, b)`.
    pub(crate) compared: &'static str,
    /// The same, as they are sorted by: upwards and downwards.
    pub(crate) sorted: [&'static str; 2],
    /// The greatest place comes first.
    pub(crate) descending: bool,
}

/// One page of a list; `base` is its statement with every condition but the place.
pub(crate) async fn page<R>(
    snapshot: &mut Snapshot,
    log: &Log,
    tenant: &Tenant,
    order: &Order,
    window: &Window,
    base: &Question,
) -> Result<Vec<(Place, R)>, ReadError>
where
    R: Listed + Send + Unpin,
    R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow>,
{
    let began = window.began.filter(|it| *it != snapshot.moment());
    let Some(began) = began else {
        let found = order.rows(snapshot, window, window.after.as_deref(), base).await?;
        return Ok(found.into_iter().map(|it: R| (it.place(), it)).collect());
    };
    let earlier = Earlier::at(snapshot, log, began).await?;
    let changed = earlier.changed(snapshot, log, tenant).await?;
    let mut found = order.moved(snapshot, log, tenant, &earlier, &changed, window, base).await?;
    found.extend(order.unmoved(snapshot, &changed, window, base).await?);
    order.sort(&mut found, window);
    Ok(found)
}

impl Order {
    fn is_upwards(&self, window: &Window) -> bool {
        self.descending == window.back
    }

    fn is_behind(&self, place: &[Part], window: &Window) -> bool {
        let Some(after) = window.after.as_deref() else { return true };
        if self.is_upwards(window) { after < place } else { place < after }
    }

    fn sort<R>(&self, found: &mut Vec<(Place, R)>, window: &Window) {
        found.sort_by(|a, b| a.0.cmp(&b.0));
        if !self.is_upwards(window) {
            found.reverse();
        }
        found.truncate(usize::try_from(window.rows).unwrap_or(usize::MAX));
    }

    /// Rows as they stand now, the nearest first.
    async fn rows<R>(
        &self,
        snapshot: &mut Snapshot,
        window: &Window,
        after: Option<&[Part]>,
        base: &Question,
    ) -> Result<Vec<R>, ReadError>
    where
        R: Send + Unpin,
        R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow>,
    {
        let upwards = self.is_upwards(window);
        let mut question = base.clone();
        if let Some(after) = after {
            question.sql(" AND ").sql(self.compared).sql(if upwards { " > " } else { " < " });
            question.place(after);
        }
        let [up, down] = self.sorted;
        question.sql(" ORDER BY ").sql(if upwards { up } else { down });
        question.sql(" LIMIT ").value(window.rows);
        question.fetch(&mut snapshot.tx).await
    }

    /// Rows of those who stand where they stood.
    async fn unmoved<R>(
        &self,
        snapshot: &mut Snapshot,
        changed: &Changed,
        window: &Window,
        base: &Question,
    ) -> Result<Vec<(Place, R)>, ReadError>
    where
        R: Listed + Send + Unpin,
        R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow>,
    {
        let (mut kept, mut after) = (Vec::new(), window.after.clone());
        if matches!(changed, Changed::Anybody) {
            return Ok(kept);
        }
        let wanted = usize::try_from(window.rows).unwrap_or(usize::MAX);
        loop {
            let found: Vec<R> = self.rows(snapshot, window, after.as_deref(), base).await?;
            let is_last = found.len() < wanted;
            after = found.last().map(Listed::place).or(after);
            let unmoved = found.into_iter().filter(|it| !changed.has(it.holder()));
            kept.extend(unmoved.map(|it| (it.place(), it)));
            if is_last || wanted <= kept.len() {
                return Ok(kept);
            }
        }
    }

    /// Rows of those who may stand elsewhere now, in the places where they stood.
    #[expect(clippy::too_many_arguments, reason = "all of it is one question")]
    async fn moved<R>(
        &self,
        snapshot: &mut Snapshot,
        log: &Log,
        tenant: &Tenant,
        earlier: &Earlier,
        changed: &Changed,
        window: &Window,
        base: &Question,
    ) -> Result<Vec<(Place, R)>, ReadError>
    where
        R: Listed + Send + Unpin,
        R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow>,
    {
        let mut kept = Vec::new();
        let mut after = String::new();
        loop {
            let batch = match changed {
                Changed::Some(holders) => {
                    let from = Holder::stored(&after);
                    let more = holders.range(from..).filter(|it| it.as_str() != after);
                    more.take(BATCH).cloned().collect()
                }
                Changed::Anybody => holders_after(&mut snapshot.tx, tenant, &after).await?,
            };
            let Some(last) = batch.last() else { return Ok(kept) };
            last.as_str().clone_into(&mut after);
            let then = earlier.dossiers(snapshot, log, tenant, &batch).await?;
            let mut places = HashMap::new();
            for (key, dossier) in &then {
                let rules = earlier.book.rules(&key.0);
                for row in (self.table.rows)(key, dossier, &rules) {
                    let place = self.place_of(&row);
                    if let Some(place) = place.filter(|it| self.is_behind(it, window)) {
                        places.insert(self.table.identity(key, &row), place);
                    }
                }
            }
            let holders: Vec<&Key> = then.keys().collect();
            for chunk in lists(&holders) {
                let mut question = base.clone();
                question.sql(" AND holder IN (");
                for (at, key) in chunk.iter().enumerate() {
                    question.sql(if at == 0 { "" } else { ", " }).value(key.1.as_str());
                }
                question.sql(") LIMIT ").value(ALL);
                for row in question.fetch::<R>(&mut snapshot.tx).await? {
                    let identity = (row.holder().to_owned(), row.apart().map(str::to_owned));
                    // Each is found once, also in a list that was filled up.
                    if let Some(place) = places.remove(&identity) {
                        kept.push((place, row));
                    }
                }
            }
            self.sort(&mut kept, window);
        }
    }

    /// The place that a row of the table had; none if it stood in no order.
    fn place_of(&self, row: &[Cell]) -> Option<Place> {
        let part = |name: &&str| {
            let at = self.table.columns.iter().position(|it| it == name)?;
            Some(match row.get(at)? {
                Cell::Text(it) => Part::Text(it.clone()?),
                Cell::Int(it) => Part::Number((*it)?),
                Cell::Time(it) => Part::Time((*it)?),
                _ => return None,
            })
        };
        self.columns.iter().map(part).collect()
    }
}
