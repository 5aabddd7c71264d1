//! `timeline.list`: everything that happened with one customer, newest first, without end.

use events::envelope::Channel;
use events::kind::{Direction, Kind};
use events::problem::Problem;
use events::time::{parse_instant, spell};
use projections::timeline::{self, Filter, Phase};
use serde_json::Value;

use super::view::{customer, look};
use super::{Handler, Operation};
use crate::answer::{Reply, unread};
use crate::app::{App, Caller};
use crate::page::List;
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
    }
}

async fn list(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let customer = customer(&params)?;
    let list = List::new(&caller.tenant, "timeline.list", params.values(), &app.log_id);
    let mut read = params.read();
    let limit = read.limit();
    let filter = filter(&mut read);
    let cursor = read.text("cursor");
    read.done()?;
    let before = match cursor {
        None => None,
        Some(cursor) => list
            .place(cursor)?
            .split_once(' ')
            .and_then(|(at, position)| Some((parse_instant(at).ok()?, position.parse().ok()?))),
    };
    let mut look = look(app, caller, &params).await?;
    let (tenant, pii) = (caller.tenant(), caller.sees_personal());
    let snapshot = &mut look.snapshot;
    let page = timeline::page(snapshot, &app.log, tenant, &customer, &filter, before, limit, pii)
        .await
        .map_err(|error| unread(&error))?;
    if page.entries.is_empty() && before.is_none() {
        look.dossier(tenant, &customer).await?;
    }
    let items: Vec<Value> =
        page.entries.iter().map(|it| serde_json::to_value(it).unwrap_or_default()).collect();
    let next = page.next.map(|(at, position)| list.cursor(&format!("{} {position}", spell(at))));
    Ok(look.page(&items, next.as_deref()))
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
