//! The rows of timelines: one per event of a holder.
//!
//! A row that is there is replaced: the facts before it may have changed, or it was voided.

use events::envelope::Channel;
use events::id::{About, Ident};
use sqlx::QueryBuilder;
use store::sql::{ROWS_PER_STATEMENT_MAX, SqlTime};
use store::{Tx, on_tx};

use super::fold::direction_word;

pub(crate) use super::fold::Row;

const UPSERT_HEAD: &str = "
    INSERT INTO timeline (holder, occurred_at, position, tenant, kind, topic, phase, direction,
                          channel, actor, actorkind, about, venue, visit, booking, out_of_order,
                          dangling, voided_by) ";

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
           voided_by = excluded.voided_by";

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
pub(crate) async fn upsert(tx: &mut Tx, lines: &[Row]) -> Result<(), sqlx::Error> {
    for chunk in lines.chunks(ROWS_PER_STATEMENT_MAX) {
        on_tx!(tx, conn => {
            QueryBuilder::new(UPSERT_HEAD)
                .push_values(chunk, |mut row, it| {
                    row.push_bind(it.holder.as_str())
                        .push_bind(SqlTime(it.occurred_at))
                        .push_bind(it.position)
                        .push_bind(it.tenant.as_str())
                        .push_bind(it.kind.name())
                        .push_bind(it.kind.topic())
                        .push_bind(it.phase.as_str())
                        .push_bind(direction_word(it.direction))
                        .push_bind(it.channel.map(Channel::as_str))
                        .push_bind(it.actor.as_str())
                        .push_bind(it.actor.kind().as_str())
                        .push_bind(it.about.as_ref().map(About::as_str))
                        .push_bind(it.venue.as_ref().map(Ident::as_str))
                        .push_bind(it.visit.as_ref().map(Ident::as_str))
                        .push_bind(it.booking.as_ref().map(Ident::as_str))
                        .push_bind(it.out_of_order)
                        .push_bind(it.dangling)
                        .push_bind(it.voided_by.as_ref().map(ToString::to_string));
                })
                .push(UPSERT_TAIL)
                .build()
                .persistent(false)
                .execute(conn)
                .await?;
        });
    }
    Ok(())
}
