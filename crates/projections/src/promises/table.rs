//! Promises and answers: rows in.

use events::id::{About, Ident, Slug};
use events::policy::Policies;
use jiff::{SignedDuration, Timestamp};

use super::fold::{Answer, Promise};
use crate::dossier::Dossier;
use crate::policies::Rules;
use crate::rows::{Key, Row, Table, row};

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

/// One row a promise.
pub(crate) const PROMISES: Table = Table {
    name: "promises",
    key: &["holder", "promise", "tenant"],
    apart: 1,
    columns: &[
        "holder",
        "tenant",
        "promise",
        "customer",
        "recipient",
        "what",
        "owner",
        "team",
        "topic",
        "about",
        "made_at",
        "warn_at",
        "due_at",
        "first_due_at",
        "rounds",
        "state",
        "fulfilled_at",
        "fulfilled_by",
        "beaten",
        "version",
    ],
    rows: promises,
};

/// One row an answer in time or late.
pub(crate) const ANSWERS: Table = Table {
    name: "answers",
    key: &["holder", "inquiry", "tenant"],
    apart: 1,
    columns: &["holder", "tenant", "inquiry", "topic", "answered_at", "minutes"],
    rows: |key, dossier, _| {
        let row =
            |it: &Answer| row![key, it.inquiry.as_str(), it.topic.as_str(), it.at, it.minutes];
        dossier.promises.answers().map(row).collect()
    },
};

fn promises(key: &Key, dossier: &Dossier, rules: &Rules<'_>) -> Vec<Row> {
    let row = |(id, it): (&Ident, &Promise)| {
        let done = it.fulfilled.as_ref();
        row![
            key,
            id.as_str(),
            key.1.as_customer().map(|it| it.to_string()),
            it.to.as_ref().map(Ident::as_str),
            it.what.as_str(),
            it.owner.as_str(),
            dossier.neglect.team.as_ref().map(Slug::as_str),
            it.topic.as_ref().map(Slug::as_str),
            it.about.as_ref().map(About::as_str),
            it.made_at,
            warn_at(it, rules.active),
            it.due_at,
            it.first_due_at,
            it.rounds,
            it.standing().as_str(),
            done.map(|it| it.at),
            done.map(|it| it.by.to_string()),
            it.is_beaten(),
            it.version,
        ]
    };
    dossier.promises.iter().map(row).collect()
}
