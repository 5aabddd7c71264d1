//! Rows of cards, one a customer, and the words they are found by.

use std::collections::BTreeSet;

use events::fact::customer::IdKind;
use events::id::{Ident, Slug};
use jiff::Timestamp;
use serde_json::json;

use super::fold::{Move, State};
use super::words::{self, key};
use crate::dossier::{Dossier, Holder};
use crate::policies::Rules;
use crate::rows::{Key, Row, Table, row};

/// Every row as one text, for the comparison of two builds.
pub(crate) const AS_TEXT: &str = "
    SELECT holder || '|' || tenant || '|' || name_key || '|' || tier || '|' || coalesce(owner, '')
           || '|' || coalesce(team, '') || '|' || CAST(last_in_at AS TEXT) || '|'
           || CAST(last_out_at AS TEXT) || '|' || coalesce(CAST(arrived_at AS TEXT), '')
           || '|' || card
      FROM cards
     ORDER BY holder, tenant";

/// The same of the words.
pub(crate) const IDENTIFIERS_AS_TEXT: &str = "
    SELECT value_key || '|' || holder || '|' || tenant
      FROM identifiers
     ORDER BY value_key, holder, tenant";

/// One row a customer.
pub(crate) const CARDS: Table = Table {
    name: "cards",
    key: &["holder", "tenant"],
    apart: 0,
    columns: &[
        "holder",
        "tenant",
        "name_key",
        "tier",
        "owner",
        "team",
        "last_in_at",
        "last_out_at",
        "arrived_at",
        "card",
    ],
    rows: cards,
};

/// What a customer is found by, one row a word.
pub(crate) const IDENTIFIERS: Table = Table {
    name: "identifiers",
    key: &["value_key", "holder", "tenant"],
    apart: 1,
    columns: &["holder", "tenant", "value_key"],
    rows: |key, dossier, _| {
        if key.1.as_customer().is_none() {
            return Vec::new();
        }
        words_of(&key.1, &dossier.card).into_iter().map(|it| row![key, it]).collect()
    },
};

fn cards(key: &Key, dossier: &Dossier, _: &Rules<'_>) -> Vec<Row> {
    if key.1.as_customer().is_none() {
        return Vec::new();
    }
    let it = &dossier.card;
    let last = |it: Option<&Move>| it.map_or(Timestamp::UNIX_EPOCH, |it| it.at);
    vec![row![
        key,
        name_key(it),
        it.tier_name(),
        it.owner.as_ref().map(Ident::as_str),
        it.team.as_ref().map(Slug::as_str),
        last(it.last_in.as_ref()),
        last(it.last_out.as_ref()),
        dossier.seen.arrived_at,
        short(&key.1, it),
    ]]
}

/// What a list by name is sorted by; who has no name comes last.
fn name_key(state: &State) -> String {
    state.name.as_deref().map_or_else(|| char::MAX.to_string(), key)
}

/// What a customer is found by: the id, every word of a name, and every mark.
fn words_of(holder: &Holder, state: &State) -> BTreeSet<String> {
    let mut words = BTreeSet::from([key(holder.as_str())]);
    words.extend(state.name.iter().flat_map(|it| words::of_name(it)));
    for it in &state.identifiers {
        match it.kind {
            IdKind::Name => words.extend(words::of_name(&it.value)),
            IdKind::Phone => words.extend(words::of_number(&it.value)),
            _ => {
                words.insert(key(&it.value));
            }
        }
    }
    words.remove("");
    words
}

/// The short card of a list, as JSON.
fn short(holder: &Holder, it: &State) -> String {
    let came = |it: &Move| json!({ "at": events::time::spell(it.at), "type": it.r#type });
    let went = |it: &Move| json!({ "at": events::time::spell(it.at), "type": it.r#type, "actor": it.actor });
    json!({
        "customer": holder.as_str(),
        "name": it.name,
        "kind": it.kind,
        "language": it.language,
        "owner": it.owner,
        "team": it.team,
        "tier": it.tier_name(),
        "last_in": it.last_in.as_ref().map(came),
        "last_out": it.last_out.as_ref().map(went),
        "visits": it.visits,
    })
    .to_string()
}
