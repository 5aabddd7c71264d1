//! Customers nobody has heard of: a receipt warns of them, and a key may refuse to make them.
//!
//! Whoever is named by an event exists from then on, so a slip of the hand makes a customer. A
//! `customer.registered` makes one on purpose and is neither warned of nor refused.

use std::collections::HashSet;

use events::envelope::{Incoming, LATE_AFTER, Recorded};
use events::id::CustomerId;
use events::kind::Kind;
use events::problem::{Code, Problem};
use events::schema;
use events::warning::{Warning, WarningAt};
use store::{AppendError, Appended};

use crate::answer::{ReceiptOut, Warned, unread};
use crate::app::{App, Caller};

/// Refuses events about unknown customers where the key asks for that; with the index of the first.
pub(crate) async fn admit(
    app: &App,
    caller: &Caller,
    events: &[Incoming],
) -> Result<(), (usize, Box<Problem>)> {
    let refused = refused(app, caller, events).await.map_err(|problem| (0, problem))?;
    match events.iter().zip(refused).enumerate().find(|(_, (_, is_refused))| *is_refused) {
        Some((index, (event, _))) => Err((index, Box::new(unknown_customer(event)))),
        None => Ok(()),
    }
}

/// Which events the key may not send because it makes no customers.
pub(crate) async fn refused(
    app: &App,
    caller: &Caller,
    events: &[Incoming],
) -> Result<Vec<bool>, Box<Problem>> {
    if !caller.refuses_unknown_customers {
        return Ok(vec![false; events.len()]);
    }
    let mut known = known(app, caller, events).await?;
    let is_refused = |it: &Incoming| match &it.customer {
        Some(customer) if it.kind == Kind::CustomerRegistered => {
            known.insert(customer.clone());
            false
        }
        Some(customer) => !known.contains(customer),
        None => false,
    };
    Ok(events.iter().map(is_refused).collect())
}

/// Which events would be the first about their customer.
pub(crate) async fn unknown(
    app: &App,
    caller: &Caller,
    events: &[Incoming],
) -> Result<Vec<bool>, Box<Problem>> {
    let mut known = known(app, caller, events).await?;
    let is_first = |it: &Incoming| {
        let is_first = it.customer.as_ref().is_some_and(|it| known.insert(it.clone()));
        is_first && it.kind != Kind::CustomerRegistered
    };
    Ok(events.iter().map(is_first).collect())
}

async fn known(
    app: &App,
    caller: &Caller,
    events: &[Incoming],
) -> Result<HashSet<CustomerId>, Box<Problem>> {
    let named: HashSet<&CustomerId> = events.iter().filter_map(|it| it.customer.as_ref()).collect();
    let named: Vec<&CustomerId> = named.into_iter().collect();
    let found = app.log.first_positions(caller.tenant(), &named).await;
    Ok(found.map_err(|error| unread(&error))?.into_keys().collect())
}

/// The answer to an event that would make a customer, where the key may not.
#[must_use]
pub(crate) fn unknown_customer(it: &Incoming) -> Problem {
    let mut problem = Problem::at(
        Code::CustomerUnknown,
        "/subject",
        "Nothing is recorded about this customer, and this key may not add customers.",
        "Belum ada yang tercatat tentang pelanggan ini, dan kunci ini tidak boleh menambah pelanggan.",
    )
    .hint(
        "Check the id for a slip; a new customer begins with `customer.registered`.",
        "Periksa apakah id salah ketik; pelanggan baru dimulai dengan `customer.registered`.",
    );
    problem.event_id = Some(it.id.to_string());
    problem
}

/// What was seen before, and whether the customer is new besides.
pub(crate) fn with_new(seen: &[WarningAt], is_new: bool) -> Vec<WarningAt> {
    let mut warnings = seen.to_vec();
    if is_new {
        warnings.push(Warning::CustomerNew.at("/subject"));
    }
    warnings
}

/// What a receipt of each event will say, kept while the events themselves are in the writer's hands.
#[derive(Debug, Default)]
pub(crate) struct Notes(Vec<Note>);

#[derive(Debug)]
struct Note {
    id: String,
    warnings: Vec<WarningAt>,
    /// It makes a customer on purpose.
    is_registration: bool,
}

impl Notes {
    /// Takes the warnings out of events that are about to be appended.
    pub(crate) fn take(events: &mut [Incoming]) -> Self {
        let note = |it: &mut Incoming| Note {
            id: it.id.to_string(),
            warnings: std::mem::take(&mut it.warnings),
            is_registration: it.kind == Kind::CustomerRegistered,
        };
        Self(events.iter_mut().map(note).collect())
    }

    /// The id of the first event.
    pub(crate) fn first_id(&self) -> Option<String> {
        self.0.first().map(|it| it.id.clone())
    }

    /// The receipts of events that were appended together.
    pub(crate) fn receipts(self, caller: &Caller, appended: &[Appended]) -> Vec<ReceiptOut> {
        appended.iter().zip(self.0).map(|(it, note)| note.receipt(it, caller)).collect()
    }

    /// The same of events that were appended each by itself.
    pub(crate) fn receipts_of_each(
        self,
        caller: &Caller,
        appended: Vec<Result<Appended, AppendError>>,
    ) -> Vec<Result<ReceiptOut, AppendError>> {
        let out = appended.into_iter().zip(self.0);
        out.map(|(it, note)| Ok(note.receipt(&it?, caller))).collect()
    }
}

impl Note {
    fn receipt(self, it: &Appended, caller: &Caller) -> ReceiptOut {
        let is_made = matches!(it, Appended::RecordedFirst(_)) && !self.is_registration;
        let warnings = with_new(&self.warnings, is_made);
        ReceiptOut::of(it, Warned::of(warnings, caller.language))
    }
}

/// What can be said of an event that was recorded by another way, such as the ingress stream.
pub(crate) async fn of_recorded(app: &App, caller: &Caller, it: &Recorded) -> Warned {
    let mut warnings = Vec::new();
    if it.is_clock_suspect() {
        warnings.push(Warning::ClockSuspect.at("/time"));
    }
    if !it.attributes.imported && LATE_AFTER < it.recorded_at.duration_since(it.occurred_at) {
        warnings.push(Warning::Late.at("/time"));
    }
    let data = serde_json::from_str(&it.data).unwrap_or_default();
    let unknown = schema::unknown_fields(it.kind, it.schema_version, &data);
    warnings.extend(unknown.iter().map(|it| Warning::UnknownField.at(format!("/data/{it}"))));
    if let Some(customer) = it.customer.as_ref().filter(|_| it.kind != Kind::CustomerRegistered) {
        let firsts = app.log.first_positions(caller.tenant(), &[customer]).await;
        let first = firsts.ok().and_then(|it| it.get(customer).copied());
        warnings = with_new(&warnings, first == Some(it.position));
    }
    Warned::of(warnings, caller.language)
}
