//! Promises and answers: rows in.

use events::id::{About, Ident, Slug};
use events::policy::Policies;
use jiff::{SignedDuration, Timestamp};
use sqlx::QueryBuilder;
use store::sql::{ROWS_PER_STATEMENT_MAX, SqlTime};
use store::{Tx, on_tx};

use super::fold::{Answer, Promise};
use crate::dossier::Dossier;
use crate::policies::Rules;
use crate::rows::{self, Key};

/// Both tables as one column of text, in the order of their keys.
pub(crate) const AS_TEXT: &str = "
    SELECT line FROM (
        SELECT 'p|' || holder || '|' || promise || '|' || tenant || '|' || coalesce(customer, '')
               || '|' || coalesce(recipient, '') || '|' || what || '|' || owner || '|'
               || coalesce(team, '') || '|' || coalesce(topic, '') || '|' || coalesce(about, '')
               || '|' || CAST(made_at AS TEXT) || '|' || CAST(warn_at AS TEXT) || '|'
               || CAST(due_at AS TEXT) || '|' || CAST(first_due_at AS TEXT) || '|'
               || CAST(rounds AS TEXT) || '|' || state || '|'
               || coalesce(CAST(fulfilled_at AS TEXT), '') || '|' || coalesce(fulfilled_by, '')
               || '|' || CAST(beaten AS TEXT) || '|' || CAST(version AS TEXT) AS line
          FROM promises
        UNION ALL
        SELECT 'a|' || holder || '|' || inquiry || '|' || tenant || '|' || topic || '|'
               || CAST(answered_at AS TEXT) || '|' || CAST(minutes AS TEXT)
          FROM answers
    ) AS both_tables
    ORDER BY line";

/// When the wanted part of the time between making and due is used up.
pub(crate) fn warn_at(promise: &Promise, policies: &Policies) -> Timestamp {
    let whole = promise.due_at.duration_since(promise.made_at).as_millis();
    let part = whole.saturating_mul(i128::from(policies.owe.warn_percent)) / 100;
    let part = SignedDuration::from_millis(i64::try_from(part).unwrap_or(i64::MAX));
    promise.made_at.checked_add(part).unwrap_or(promise.due_at)
}

const DELETE_HEAD: &str = "DELETE FROM promises WHERE (holder, tenant) IN (";
const INSERT_HEAD: &str = "INSERT INTO promises (holder, tenant, promise, customer, recipient,
    what, owner, team, topic, about, made_at, warn_at, due_at, first_due_at, rounds, state,
    fulfilled_at, fulfilled_by, beaten, version) ";
const DELETE_ANSWERS_HEAD: &str = "DELETE FROM answers WHERE (holder, tenant) IN (";
const INSERT_ANSWERS_HEAD: &str =
    "INSERT INTO answers (holder, tenant, inquiry, topic, answered_at, minutes) ";

/// A promise on its way into the table.
#[derive(Debug)]
struct New<'a> {
    key: &'a Key,
    id: &'a str,
    it: &'a Promise,
    team: Option<&'a str>,
    warn_at: Timestamp,
}

/// Replaces the rows of some holders; those in `known` may have some.
pub(crate) async fn write(
    tx: &mut Tx,
    known: &[&Key],
    touched: &[(&Key, &Dossier, Rules<'_>)],
) -> Result<(), sqlx::Error> {
    rows::delete(tx, DELETE_HEAD, known).await?;
    rows::delete(tx, DELETE_ANSWERS_HEAD, known).await?;
    let mut promises = Vec::new();
    let mut answers: Vec<(&Key, &Answer)> = Vec::new();
    for (key, dossier, rules) in touched {
        let team = dossier.neglect.team.as_ref().map(Slug::as_str);
        promises.extend(dossier.promises.iter().map(|(id, it)| New {
            key,
            id: id.as_str(),
            it,
            team,
            warn_at: warn_at(it, rules.active),
        }));
        answers.extend(dossier.promises.answers().map(|it| (*key, it)));
    }
    insert(tx, &promises).await?;
    for chunk in answers.chunks(ROWS_PER_STATEMENT_MAX) {
        on_tx!(tx, conn => {
            QueryBuilder::new(INSERT_ANSWERS_HEAD)
                .push_values(chunk, |mut row, ((tenant, holder), it)| {
                    row.push_bind(holder.as_str())
                        .push_bind(tenant.as_str())
                        .push_bind(it.inquiry.as_str())
                        .push_bind(it.topic.as_str())
                        .push_bind(SqlTime(it.at))
                        .push_bind(it.minutes);
                })
                .build()
                .persistent(false)
                .execute(conn)
                .await?;
        });
    }
    Ok(())
}

async fn insert(tx: &mut Tx, all: &[New<'_>]) -> Result<(), sqlx::Error> {
    for chunk in all.chunks(ROWS_PER_STATEMENT_MAX) {
        on_tx!(tx, conn => {
            QueryBuilder::new(INSERT_HEAD)
                .push_values(chunk, |mut row, new| {
                    let New { key: (tenant, holder), id, it, team, warn_at } = new;
                    let done = it.fulfilled.as_ref();
                    row.push_bind(holder.as_str())
                        .push_bind(tenant.as_str())
                        .push_bind(*id)
                        .push_bind(holder.as_customer().map(|it| it.to_string()))
                        .push_bind(it.to.as_ref().map(Ident::as_str))
                        .push_bind(&it.what)
                        .push_bind(it.owner.as_str())
                        .push_bind(*team)
                        .push_bind(it.topic.as_ref().map(Slug::as_str))
                        .push_bind(it.about.as_ref().map(About::as_str))
                        .push_bind(SqlTime(it.made_at))
                        .push_bind(SqlTime(*warn_at))
                        .push_bind(SqlTime(it.due_at))
                        .push_bind(SqlTime(it.first_due_at))
                        .push_bind(it.rounds)
                        .push_bind(it.standing().as_str())
                        .push_bind(done.map(|it| SqlTime(it.at)))
                        .push_bind(done.map(|it| it.by.to_string()))
                        .push_bind(it.is_beaten())
                        .push_bind(it.version);
                })
                .build()
                .persistent(false)
                .execute(conn)
                .await?;
        });
    }
    Ok(())
}
