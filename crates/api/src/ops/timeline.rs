//! `timeline.list`: everything that happened with one customer, newest first, without end.

use events::envelope::Channel;
use events::kind::{Direction, Kind};
use events::problem::Problem;
use events::time::{parse_instant, spell};
use projections::timeline::{self, Filter, Phase};

use super::view::{customer, look};
use super::{Handler, Operation};
use crate::answer::{Reply, unread};
use crate::app::{App, Caller};
use crate::page::{Cursors, List};
use crate::params::{Params, Reader};

const LIST: Handler = |app, caller, params| Box::pin(list(app, caller, params));

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[Operation::view(
    "timeline.list",
    "/v1/customers/{id}/timeline",
    &[
        "id",
        "type",
        "topic",
        "phase",
        "direction",
        "actor",
        "channel",
        "about",
        "venue",
        "from",
        "to",
        "search",
        "include_voided",
        "known_at",
        "limit",
        "cursor",
    ],
    LIST,
)];

/// A kind by its name or by a type with or without a version.
fn kind(text: &str) -> Option<Kind> {
    let name = text.strip_prefix("sapa.").unwrap_or(text);
    name.parse().ok().or_else(|| Kind::parse_type(text).ok().map(|(kind, _)| kind))
}

fn filter(read: &mut Reader<'_>) -> Filter {
    let mut types = Vec::new();
    for it in read.texts("type") {
        match kind(it) {
            Some(kind) => types.push(kind),
            None => read.fault(
                "type",
                "type",
                "there is no such type; see /schemas",
                "tidak ada jenis itu; lihat /schemas",
            ),
        }
    }
    let directions = ["in", "out", "internal"];
    let channels = ["desk", "phone", "whatsapp", "email", "web", "visit", "other"];
    Filter {
        types,
        topics: read.texts("topic").into_iter().map(str::to_owned).collect(),
        phase: read.word("phase", &["before", "during", "after"]).and_then(Phase::from_word),
        direction: read.word("direction", &directions).map(|it| match it {
            "in" => Direction::In,
            "out" => Direction::Out,
            _ => Direction::Internal,
        }),
        actor: read.text("actor").map(str::to_owned),
        channel: read.word("channel", &channels).and_then(Channel::parse),
        about: read.parsed("about"),
        venue: read.parsed("venue"),
        from: read.instant("from"),
        to: read.instant("to"),
        search: read.text("search").map(str::to_owned),
        include_voided: read.truth("include_voided").unwrap_or_default(),
        known_at: read.position("known_at"),
        back: false,
    }
}

async fn list(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let customer = customer(&params)?;
    let list = List::new(&caller.tenant, "timeline.list", params.values(), &app.log_id);
    let mut read = params.read();
    let limit = read.limit();
    let mut filter = filter(&mut read);
    let cursor = read.text("cursor");
    read.done()?;
    let walk = list.walk(cursor, limit)?;
    let before = walk.place().and_then(|place| {
        let (at, position) = place.split_once(' ')?;
        Some((parse_instant(at).ok()?, position.parse::<i64>().ok()?))
    });
    filter.back = walk.is_back();
    let mut look = look(app, caller, &params).await?;
    super::facts::reached(look.as_of.head, filter.known_at)?;
    let (tenant, pii) = (caller.tenant(), caller.sees_personal());
    let snapshot = &mut look.snapshot;
    let page = timeline::page(snapshot, &app.log, tenant, &customer, &filter, before, limit, pii)
        .await
        .map_err(|error| unread(&error))?;
    if page.entries.is_empty() && before.is_none() {
        look.dossier(tenant, &customer).await?;
    }
    // What was not walked begins beside the page; beside the place itself, if nothing was found.
    let here = page.entries.first().zip(page.entries.last()).map(|(newest, oldest)| {
        let edge = if filter.back { oldest } else { newest };
        (edge.occurred_at, edge.position)
    });
    let aside = if filter.back { 1 } else { -1 };
    let other = here.or(before.map(|(at, position)| (at, position + aside)));
    filter.back = !filter.back;
    let has_other = match other.filter(|_| cursor.is_some()) {
        None => false,
        other => timeline::is_past(&mut look.snapshot, tenant, &customer, &filter, other)
            .await
            .map_err(|error| unread(&error))?,
    };
    let spelled = |(at, position): timeline::Place| format!("{} {position}", spell(at));
    let (on, other) = (page.next.map(spelled), other.filter(|_| has_other).map(spelled));
    let (next, prev) = if walk.is_back() { (other, on) } else { (on, other) };
    let cursors = Cursors {
        next: next.map(|it| walk.on_from(&it)),
        prev: prev.map(|it| walk.back_from(&it)),
    };
    Ok(look.page(&page.entries, cursors))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_may_be_named_with_or_without_prefix_and_version() {
        for text in ["booking.requested", "sapa.booking.requested", "sapa.booking.requested.v1"] {
            assert_eq!(kind(text), Some(Kind::BookingRequested), "{text}");
        }
        assert_eq!(kind("booking.dreamt"), None);
    }
}
