//! The rows of timelines: one per event of a holder.
//!
//! A row that is there is replaced: the facts before it may have changed, or it was voided.

use events::envelope::Channel;
use events::id::{About, Ident};
use store::Tx;

use super::fold::direction_word;
use crate::rows;

pub(crate) use super::fold::Row;

const COLUMNS: &[&str] = &[
    "holder",
    "tenant",
    "occurred_at",
    "position",
    "kind",
    "topic",
    "phase",
    "direction",
    "channel",
    "actor",
    "actorkind",
    "about",
    "venue",
    "visit",
    "booking",
    "out_of_order",
    "dangling",
    "voided_by",
];

/// A row that says the same stays untouched: most rows of a history that is replayed do.
const UPSERT_TAIL: &str = "
    ON CONFLICT (holder, occurred_at, position, tenant) DO UPDATE
       SET phase = excluded.phase,
           direction = excluded.direction,
           about = excluded.about,
           venue = excluded.venue,
           visit = excluded.visit,
           booking = excluded.booking,
           out_of_order = excluded.out_of_order,
           dangling = excluded.dangling,
           voided_by = excluded.voided_by
     WHERE timeline.phase <> excluded.phase
        OR timeline.direction <> excluded.direction
        OR timeline.about IS DISTINCT FROM excluded.about
        OR timeline.venue IS DISTINCT FROM excluded.venue
        OR timeline.visit IS DISTINCT FROM excluded.visit
        OR timeline.booking IS DISTINCT FROM excluded.booking
        OR timeline.out_of_order <> excluded.out_of_order
        OR timeline.dangling <> excluded.dangling
        OR timeline.voided_by IS DISTINCT FROM excluded.voided_by";

/// Every row as one text, for the comparison of two builds.
pub(crate) const AS_TEXT: &str = "
    SELECT holder || '|' || CAST(occurred_at AS TEXT) || '|' || CAST(position AS TEXT) || '|'
           || tenant || '|' || kind || '|' || topic || '|' || phase || '|' || direction || '|'
           || coalesce(channel, '') || '|' || actor || '|' || actorkind || '|'
           || coalesce(about, '') || '|' || coalesce(venue, '') || '|' || coalesce(visit, '') || '|'
           || coalesce(booking, '') || '|' || CAST(out_of_order AS TEXT) || '|'
           || CAST(dangling AS TEXT) || '|' || coalesce(voided_by, '')
      FROM timeline
     ORDER BY holder, occurred_at, position, tenant";

/// Writes rows, at most one of each event.
pub(crate) async fn upsert(
    tx: &mut Tx,
    lines: impl Iterator<Item = &Row>,
) -> Result<(), sqlx::Error> {
    let row = |it: &Row| {
        vec![
            it.holder.as_str().into(),
            it.tenant.as_str().into(),
            it.occurred_at.into(),
            it.position.into(),
            it.kind.name().into(),
            it.kind.topic().into(),
            it.phase.as_str().into(),
            direction_word(it.direction).into(),
            it.channel.map(Channel::as_str).into(),
            it.actor.as_str().into(),
            it.actor.kind().as_str().into(),
            it.about.as_ref().map(About::as_str).into(),
            it.venue.as_ref().map(Ident::as_str).into(),
            it.visit.as_ref().map(Ident::as_str).into(),
            it.booking.as_ref().map(Ident::as_str).into(),
            it.out_of_order.into(),
            it.dangling.into(),
            it.voided_by.as_ref().map(ToString::to_string).into(),
        ]
    };
    let rows: Vec<rows::Row> = lines.map(row).collect();
    rows::insert(tx, "timeline", COLUMNS, &rows, UPSERT_TAIL).await
}
