//! Rows of the read models, and the one way in which they get into tables.
//!
//! What a fold shows of a holder is a pure function of the dossier and the policies: a [`Table`]. Its
//! rows are computed before and after a segment, and only what differs is written, each row in its
//! place, so that an index is touched only where its columns changed. Statements keep their text
//! however many rows there are, so that each is prepared once: PostgreSQL is handed arrays, SQLite
//! chunks of a few sizes.

use std::collections::{HashMap, HashSet};

use events::id::{EventRef, Tenant};
use jiff::Timestamp;
use sqlx::{Postgres, QueryBuilder, Sqlite};
use store::Tx;
use store::sql::{SqlTime, prepared_chunks};

use crate::dossier::{Dossier, Holder};
use crate::policies::Rules;
use crate::{agenda, alerts, card, loyalty, neglect, promises};

/// Whose rows.
pub type Key = (Tenant, Holder);
/// The values of a row, in the order of the columns.
pub(crate) type Row = Vec<Cell>;
/// The rows of one holder, table by table.
pub(crate) type Shown = Vec<Vec<Row>>;

/// Everything that is a function of dossiers.
const TABLES: &[Table] = &[
    neglect::table::CLOCKS,
    neglect::table::OBLIGATIONS,
    alerts::table::ALERTS,
    agenda::AGENDA,
    card::table::CARDS,
    card::table::IDENTIFIERS,
    loyalty::table::LOYALTY,
    loyalty::table::REFERRALS,
    promises::table::PROMISES,
    promises::table::ANSWERS,
];

/// Rows of one statement on PostgreSQL: long before it is given up for the time it takes.
const POSTGRES_ROWS_MAX: usize = 4_096;

/// A table of a fold. Its first columns are `holder` and `tenant`; those that tell the rows of one
/// holder apart follow, and all of them are text.
pub(crate) struct Table {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its primary key.
    pub(crate) key: &'static [&'static str],
    /// How many columns tell the rows of one holder apart: at most two.
    pub(crate) apart: usize,
    /// Its columns.
    pub(crate) columns: &'static [&'static str],
    /// What it shows of a holder.
    pub(crate) rows: fn(&Key, &Dossier, &Rules<'_>) -> Vec<Row>,
}

/// One value. A column holds one kind of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Text(Option<String>),
    Bytes(Vec<u8>),
    Int(Option<i64>),
    Real(f64),
    Bool(bool),
    Time(Option<Timestamp>),
}

impl From<&str> for Cell {
    fn from(it: &str) -> Self {
        Self::Text(Some(it.to_owned()))
    }
}

impl From<String> for Cell {
    fn from(it: String) -> Self {
        Self::Text(Some(it))
    }
}

impl From<Option<&str>> for Cell {
    fn from(it: Option<&str>) -> Self {
        Self::Text(it.map(str::to_owned))
    }
}

impl From<Option<String>> for Cell {
    fn from(it: Option<String>) -> Self {
        Self::Text(it)
    }
}

impl From<Vec<u8>> for Cell {
    fn from(it: Vec<u8>) -> Self {
        Self::Bytes(it)
    }
}

impl From<i64> for Cell {
    fn from(it: i64) -> Self {
        Self::Int(Some(it))
    }
}

impl From<Option<i64>> for Cell {
    fn from(it: Option<i64>) -> Self {
        Self::Int(it)
    }
}

impl From<f64> for Cell {
    fn from(it: f64) -> Self {
        Self::Real(it)
    }
}

impl From<bool> for Cell {
    fn from(it: bool) -> Self {
        Self::Bool(it)
    }
}

impl From<Timestamp> for Cell {
    fn from(it: Timestamp) -> Self {
        Self::Time(Some(it))
    }
}

impl From<Option<Timestamp>> for Cell {
    fn from(it: Option<Timestamp>) -> Self {
        Self::Time(it)
    }
}

/// A row that begins with its holder and tenant.
macro_rules! row {
    ($key:expr $(, $value:expr)* $(,)?) => {
        vec![
            $crate::rows::Cell::from($key.1.as_str()),
            $crate::rows::Cell::from($key.0.as_str()),
            $($crate::rows::Cell::from($value)),*
        ]
    };
}
pub(crate) use row;

/// Event references as one column.
pub(crate) fn text_of(because: &[EventRef]) -> String {
    serde_json::to_string(because).expect("event references are text")
}

/// What all tables show of a holder.
pub(crate) fn shown(key: &Key, dossier: &Dossier, rules: &Rules<'_>) -> Shown {
    TABLES.iter().map(|table| (table.rows)(key, dossier, rules)).collect()
}

/// What is known of the rows that a holder has now.
#[derive(Clone, Copy)]
pub(crate) enum Before<'a> {
    /// There are none.
    Nothing,
    /// They are these.
    Rows(&'a Shown),
    /// There may be any.
    Unknown,
}

/// A holder whose rows may have changed.
pub(crate) struct Touched<'a> {
    pub(crate) key: &'a Key,
    pub(crate) dossier: &'a Dossier,
    pub(crate) rules: Rules<'a>,
    pub(crate) before: Before<'a>,
}

/// Brings every table up to date with the dossiers of some holders.
pub(crate) async fn replace(tx: &mut Tx, touched: &[Touched<'_>]) -> Result<(), sqlx::Error> {
    for (index, table) in TABLES.iter().enumerate() {
        let (mut cleared, mut gone, mut new) = (Vec::new(), Vec::new(), Vec::new());
        for it in touched {
            let rows = (table.rows)(it.key, it.dossier, &it.rules);
            match it.before {
                Before::Nothing => new.extend(rows),
                Before::Unknown => {
                    cleared.push(row![it.key]);
                    new.extend(rows);
                }
                Before::Rows(shown) => {
                    let before = shown.get(index).map_or(&[][..], Vec::as_slice);
                    if before != rows {
                        table.differ(before, rows, &mut gone, &mut new);
                    }
                }
            }
        }
        let own = table.columns.get(..2 + table.apart).unwrap_or_default();
        delete(tx, table.name, &["holder", "tenant"], &cleared).await?;
        delete(tx, table.name, own, &gone).await?;
        insert(tx, table.name, table.columns, &new, &table.tail()).await?;
    }
    Ok(())
}

impl Table {
    /// What has to be written so that the rows of one holder become others: the keys of those that are
    /// gone, and those that are new or say something else.
    fn differ(&self, before: &[Row], after: Vec<Row>, gone: &mut Vec<Row>, new: &mut Vec<Row>) {
        let left: HashMap<[&str; 2], &Row> = before.iter().map(|it| (self.place(it), it)).collect();
        let kept: HashSet<[&str; 2]> = after.iter().map(|it| self.place(it)).collect();
        let is_gone = |it: &&Row| !kept.contains(&self.place(it));
        let key = |it: &Row| it.iter().take(2 + self.apart).cloned().collect();
        gone.extend(before.iter().filter(is_gone).map(key));
        let differs: Vec<bool> =
            after.iter().map(|it| left.get(&self.place(it)) != Some(&it)).collect();
        new.extend(after.into_iter().zip(differs).filter(|it| it.1).map(|it| it.0));
    }

    /// Whose row it is, and which of them.
    pub(crate) fn identity(&self, key: &Key, row: &Row) -> (String, [String; 2]) {
        (key.1.as_str().to_owned(), self.place(row).map(str::to_owned))
    }

    /// Which row of its holder it is.
    fn place<'a>(&self, row: &'a Row) -> [&'a str; 2] {
        let text = |place: usize| match row.get(2 + place).filter(|_| place < self.apart) {
            Some(Cell::Text(Some(it))) => it.as_str(),
            _ => "",
        };
        [text(0), text(1)]
    }

    /// What happens to a row whose key is there: it is written over.
    fn tail(&self) -> String {
        let key = self.key.join(", ");
        let others = self.columns.iter().filter(|it| !self.key.contains(it));
        let set: Vec<String> = others.map(|it| format!("{it} = excluded.{it}")).collect();
        if set.is_empty() {
            return format!(" ON CONFLICT ({key}) DO NOTHING");
        }
        format!(" ON CONFLICT ({key}) DO UPDATE SET {}", set.join(", "))
    }
}

/// Deletes the rows that have some values in some columns.
async fn delete(
    tx: &mut Tx,
    table: &str,
    columns: &[&str],
    keys: &[Row],
) -> Result<(), sqlx::Error> {
    let names = columns.join(", ");
    match tx {
        Tx::Sqlite(tx) => {
            for chunk in prepared_chunks(keys) {
                let mut query = QueryBuilder::<Sqlite>::new("DELETE FROM ");
                query.push(table).push(format_args!(" WHERE ({names}) IN ("));
                push_rows(&mut query, chunk);
                query.push(")").build().execute(&mut **tx).await?;
            }
        }
        Tx::Postgres(tx) => {
            let same: Vec<String> = columns.iter().map(|it| format!("t.{it} = k.{it}")).collect();
            let same = same.join(" AND ");
            for chunk in keys.chunks(POSTGRES_ROWS_MAX) {
                let mut query = QueryBuilder::<Postgres>::new("DELETE FROM ");
                query.push(table).push(" AS t USING ");
                push_arrays(&mut query, chunk);
                query.push(format_args!(" AS k ({names}) WHERE {same}"));
                query.build().execute(&mut **tx).await?;
            }
        }
    }
    Ok(())
}

/// Inserts rows; `tail` says what happens to one that is there.
pub(crate) async fn insert(
    tx: &mut Tx,
    table: &str,
    columns: &[&str],
    rows: &[Row],
    tail: &str,
) -> Result<(), sqlx::Error> {
    let columns = columns.join(", ");
    match tx {
        Tx::Sqlite(tx) => {
            for chunk in prepared_chunks(rows) {
                let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO ");
                query.push(table).push(format_args!(" ({columns}) "));
                push_rows(&mut query, chunk);
                query.push(tail).build().execute(&mut **tx).await?;
            }
        }
        Tx::Postgres(tx) => {
            for chunk in rows.chunks(POSTGRES_ROWS_MAX) {
                let mut query = QueryBuilder::<Postgres>::new("INSERT INTO ");
                query.push(table).push(format_args!(" ({columns}) SELECT {columns} FROM "));
                push_arrays(&mut query, chunk);
                query.push(format_args!(" AS r ({columns}) ")).push(tail);
                query.build().execute(&mut **tx).await?;
            }
        }
    }
    Ok(())
}

fn push_rows(query: &mut QueryBuilder<Sqlite>, rows: &[Row]) {
    query.push_values(rows, |mut values, row| {
        for cell in row {
            match cell {
                Cell::Text(it) => values.push_bind(it.clone()),
                Cell::Bytes(it) => values.push_bind(it.clone()),
                Cell::Int(it) => values.push_bind(*it),
                Cell::Real(it) => values.push_bind(*it),
                Cell::Bool(it) => values.push_bind(*it),
                Cell::Time(it) => values.push_bind(it.map(SqlTime)),
            };
        }
    });
}

/// `unnest($1::text[], …)`: an array a column, of the kind of its first cell.
fn push_arrays(query: &mut QueryBuilder<Postgres>, rows: &[Row]) {
    query.push("unnest(");
    let mut arrays = query.separated(", ");
    for (column, first) in rows.first().into_iter().flatten().enumerate() {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let kind = match first {
            Cell::Text(_) => {
                let text = |it: &Cell| if let Cell::Text(it) = it { it.clone() } else { None };
                arrays.push_bind(cells.map(text).collect::<Vec<_>>());
                "::text[]"
            }
            Cell::Bytes(_) => {
                let bytes =
                    |it: &Cell| if let Cell::Bytes(it) = it { Some(it.clone()) } else { None };
                arrays.push_bind(cells.map(bytes).collect::<Vec<_>>());
                "::bytea[]"
            }
            Cell::Int(_) => {
                let int = |it: &Cell| if let Cell::Int(it) = it { *it } else { None };
                arrays.push_bind(cells.map(int).collect::<Vec<_>>());
                "::bigint[]"
            }
            Cell::Real(_) => {
                let real = |it: &Cell| if let Cell::Real(it) = it { Some(*it) } else { None };
                arrays.push_bind(cells.map(real).collect::<Vec<_>>());
                "::float8[]"
            }
            Cell::Bool(_) => {
                let bool = |it: &Cell| if let Cell::Bool(it) = it { Some(*it) } else { None };
                arrays.push_bind(cells.map(bool).collect::<Vec<_>>());
                "::boolean[]"
            }
            Cell::Time(_) => {
                let time = |it: &Cell| if let Cell::Time(it) = it { it.map(SqlTime) } else { None };
                arrays.push_bind(cells.map(time).collect::<Vec<_>>());
                "::timestamptz[]"
            }
        };
        arrays.push_unseparated(kind);
    }
    query.push(")");
}
