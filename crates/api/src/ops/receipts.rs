//! `receipts.get`: whether an event was recorded, refused and kept, or has not come in yet.
//!
//! This is how a publisher finds out what became of a message that was `accepted`, and a client what
//! became of a request whose answer was lost.

use std::time::Duration;

use events::id::EventRef;
use events::problem::{Code, Problem};
use serde_json::json;
use store::quarantine;
use tokio::time::Instant;

use super::facts::newcomers;
use super::{Handler, Operation};
use crate::answer::{ReceiptOut, Reply, Warned, unread};
use crate::app::{App, Caller};
use crate::params::Params;
use crate::scope::Scope;

/// What another instance records rings no bell here, so it is looked for this often.
const LOOK_EVERY: Duration = Duration::from_millis(200);

const GET: Handler = |app, caller, params| Box::pin(get(app, caller, params));

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[Operation::read(
    "receipts.get",
    "/v1/receipts",
    Scope::EventsAppend,
    &["source", "id", "wait"],
    GET,
)];

async fn get(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let mut read = params.read();
    let source = read.parsed("source");
    let source = read.required("source", source);
    let id = read.parsed("id");
    let id = read.required("id", id);
    let wait = read.wait(Duration::ZERO);
    read.done()?;
    let (Some(source), Some(id)) = (source, id) else { return Err(nothing_known()) };
    let event = EventRef { source, id };
    let until = Instant::now() + wait;
    loop {
        // Listen first: what is recorded while we look must not be slept through.
        let rung = app.bell.listen();
        if let Some(reply) = look(app, caller, &event).await? {
            return Ok(reply);
        }
        if until <= Instant::now() {
            return Err(nothing_known());
        }
        let next = until.min(Instant::now() + LOOK_EVERY);
        tokio::select! {
            () = rung => (),
            () = tokio::time::sleep_until(next) => (),
        }
    }
}

async fn look(app: &App, caller: &Caller, event: &EventRef) -> Result<Option<Reply>, Box<Problem>> {
    let found = app.log.find(caller.tenant(), event).await.map_err(|error| unread(&error))?;
    if let Some(receipt) = found {
        let recorded = app.log.read_positions(caller.tenant(), &[receipt.position]).await;
        let recorded = recorded.map_err(|error| unread(&error))?;
        let warned = match recorded.first() {
            Some(it) => newcomers::of_recorded(app, caller, it).await,
            None => Warned::default(),
        };
        let out = ReceiptOut::found(&receipt, "recorded", warned);
        return Ok(Some(Reply::ok(&out).header("sapa-position", receipt.position.to_string())));
    }
    let (source, id) = (event.source.as_str(), event.id.as_str());
    let kept = quarantine::of_event(app.db(), caller.tenant(), source, id)
        .await
        .map_err(|error| unread(&error))?;
    Ok(kept.map(|(name, code)| {
        Reply::ok(&json!({"outcome": "quarantined", "code": code, "quarantine_id": name}))
    }))
}

fn nothing_known() -> Box<Problem> {
    Box::new(
        Problem::new(
            Code::NotFound,
            "No event with this source and id was recorded or kept in quarantine.",
            "Tidak ada peristiwa dengan source dan id ini yang tercatat atau dikarantina.",
        )
        .hint(
            "Check both, or ask again with `wait`: a message may still be on its way.",
            "Periksa keduanya, atau tanyakan lagi dengan `wait`: pesan mungkin masih di jalan.",
        ),
    )
}
