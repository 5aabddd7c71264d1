//! How our values look in a column.

use events::planted::{Mistake, planted};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef, Postgres};
use sqlx::sqlite::{Sqlite, SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, Encode, Type};

/// Rows of one multi-row statement: times 20 columns this is within the binds of both databases.
pub const ROWS_PER_STATEMENT_MAX: usize = 512;

/// Behind every text that we keep, where a list is read from its end.
pub const END_OF_TEXT: &str = "\u{10FFFF}";

/// Later than anything a policy can compute, and still six digits wide in a column.
#[must_use]
pub fn end_of_time() -> Timestamp {
    "9000-01-01T00:00:00Z".parse().expect("a literal instant")
}

/// Rows of one statement on SQLite. With few sizes a statement has few texts, and each is prepared once:
/// to compile one of hundreds of rows takes longer than to run it.
const PREPARED_SIZES: [usize; 4] = [128, 16, 4, 1];

/// All of them in chunks of few sizes, the largest first.
#[must_use]
pub fn prepared_chunks<T>(all: &[T]) -> Vec<&[T]> {
    let (mut chunks, mut rest) = (Vec::new(), all);
    while let Some(size) = PREPARED_SIZES.into_iter().find(|it| *it <= rest.len()) {
        let (chunk, after) = rest.split_at(size);
        chunks.push(chunk);
        rest = after;
    }
    chunks
}

/// Members of a list on which rows are looked up.
const LISTED_SIZES: [usize; 4] = [1, 8, 64, ROWS_PER_STATEMENT_MAX];

/// All of them in lists of few lengths, each of which is prepared once: the last one is filled up by
/// repeating its last member, which finds nothing twice in `IN (…)`.
#[must_use]
pub fn lists<'a, T>(all: &'a [T]) -> Vec<Vec<&'a T>> {
    let list = |chunk: &'a [T]| {
        let size = LISTED_SIZES.into_iter().find(|it| chunk.len() <= *it).unwrap_or(chunk.len());
        let filling = chunk.last().into_iter().cycle().take(size - chunk.len());
        chunk.iter().chain(filling).collect()
    };
    all.chunks(ROWS_PER_STATEMENT_MAX).map(list).collect()
}

/// An instant in a column: `TIMESTAMPTZ` on PostgreSQL, fixed-width text on SQLite.
///
/// Text is compared letter by letter, so every instant must have the same number of letters:
/// `2026-08-23T09:00:00.000000Z`. `jiff_sqlx` prints as few digits as it needs, and then
/// `09:00:00.5Z` sorts before `09:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SqlTime(pub Timestamp);

impl Type<Sqlite> for SqlTime {
    fn type_info() -> SqliteTypeInfo {
        <str as Type<Sqlite>>::type_info()
    }
}

impl Encode<'_, Sqlite> for SqlTime {
    fn encode_by_ref(&self, buf: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        let digits = if planted(Mistake::RaggedTimes) {
            self.0.to_string()
        } else {
            format!("{:.6}", self.0)
        };
        Encode::<Sqlite>::encode(digits, buf)
    }
}

impl Decode<'_, Sqlite> for SqlTime {
    fn decode(value: SqliteValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(Self(<&str as Decode<Sqlite>>::decode(value)?.parse()?))
    }
}

impl Type<Postgres> for SqlTime {
    fn type_info() -> PgTypeInfo {
        <jiff_sqlx::Timestamp as Type<Postgres>>::type_info()
    }
}

impl PgHasArrayType for SqlTime {
    fn array_type_info() -> PgTypeInfo {
        <jiff_sqlx::Timestamp as PgHasArrayType>::array_type_info()
    }
}

impl Encode<'_, Postgres> for SqlTime {
    fn encode_by_ref(&self, buf: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Postgres>::encode(self.0.to_sqlx(), buf)
    }
}

impl Decode<'_, Postgres> for SqlTime {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(Self(<jiff_sqlx::Timestamp as Decode<Postgres>>::decode(value)?.to_jiff()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_filled_up_with_its_last_member() {
        let all: Vec<usize> = (0..600).collect();
        let lists = lists(&all);
        assert_eq!(lists.iter().map(Vec::len).collect::<Vec<_>>(), [512, 512]);
        assert_eq!(
            (lists[0][511], lists[1][87], lists[1][88], lists[1][511]),
            (&511, &599, &599, &599)
        );
        assert_eq!(super::lists(&[7]), [[&7]]);
        assert!(super::lists::<i64>(&[]).is_empty());
    }
}
