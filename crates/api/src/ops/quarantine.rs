//! `quarantine.*`: what could not be understood, and what is done about it.
//!
//! `retry` sends the same bytes through the same validator again; a success releases the row with
//! its position, and a second retry records nothing twice. `discard` needs a note and drops the
//! bytes. Bytes are shown only to those who may see personal data.
//!
//! What came in for a tenant that did not exist is looked after by the admins of the server. A retry
//! records it in the tenant it was sent to, once that exists.

use data_encoding::BASE64;
use events::cloudevents::{self, Sender};
use events::envelope::Incoming;
use events::problem::{Code, Problem};
use events::subject::Ingress;
use events::time::{parse_instant, spell};
use events::wire;
use serde_json::{Map, Value, json};
use store::quarantine::{self, Kept, Settled, Wanted, Whose};

use super::{Handler, Method, Operation, facts};
use crate::answer::{AsOf, Reply, Warned, json as text, missing, page, put, unread, unwritten};
use crate::app::{App, Caller};
use crate::page::List;
use crate::params::Params;
use crate::scope::Scope;

/// Characters of a note.
const NOTE_CHARS_MAX: usize = 1_000;

const LIST: Handler = |app, caller, params| Box::pin(list(app, caller, params));
const GET: Handler = |app, caller, params| Box::pin(get(app, caller, params));
const RETRY: Handler = |app, caller, params| Box::pin(retry(app, caller, params));
const DISCARD: Handler = |app, caller, params| Box::pin(discard(app, caller, params));

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[
    Operation::manage(
        "quarantine.list",
        Method::Get,
        "/v1/quarantine",
        Scope::QuarantineManage,
        &["code", "source", "state", "limit", "cursor"],
        LIST,
    ),
    Operation::manage(
        "quarantine.get",
        Method::Get,
        "/v1/quarantine/{id}",
        Scope::QuarantineManage,
        &["id"],
        GET,
    ),
    Operation::manage(
        "quarantine.retry",
        Method::Post,
        "/v1/quarantine/{id}/retry",
        Scope::QuarantineManage,
        &["id"],
        RETRY,
    ),
    Operation::manage(
        "quarantine.discard",
        Method::Post,
        "/v1/quarantine/{id}/discard",
        Scope::QuarantineManage,
        &["id", "note"],
        DISCARD,
    ),
];

fn told(it: &Kept) -> Value {
    json!({
        "quarantine_id": it.quarantine_id,
        "tenant": it.tenant,
        "code": it.code,
        "errors": it.problem.get("errors").cloned().unwrap_or_else(|| json!([])),
        "face": it.face,
        "subject": it.subject,
        "incarnation": it.incarnation.map(spell),
        "stream_sequence": it.sequence,
        "received_at": spell(it.received_at),
        "source": it.source,
        "event_id": it.event_id,
        "bytes": it.size,
        "sha256": it.sha256,
        "state": it.state,
        "position": it.position,
        "note": it.note,
    })
}

async fn list(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let list = List::new(&caller.tenant, "quarantine.list", params.values(), &app.log_id);
    let mut read = params.read();
    let limit = read.limit();
    let code = read.text("code").map(str::to_owned);
    let source = read.text("source").map(str::to_owned);
    let state = read.word("state", &["open", "released", "discarded"]).map(str::to_owned);
    let cursor = read.text("cursor");
    read.done()?;
    let walk = list.walk(cursor, limit)?;
    let after = |place: Option<&str>| {
        let (at, name) = place?.split_once(' ')?;
        Some((parse_instant(at).ok()?, name.to_owned()))
    };
    let (after_place, back) = (after(walk.place()), walk.is_back());
    let mut wanted = Wanted { code, source, state, after: after_place, back };
    let whose = whose(app, caller);
    let found = quarantine::list(app.db(), whose, &wanted, walk.rows())
        .await
        .map_err(|error| unread(&error))?;
    let place = |it: &Kept| format!("{} {}", spell(it.received_at), it.quarantine_id);
    let (found, mut sides) = walk.page(found, place);
    if let Some((back, place)) = sides.unknown() {
        (wanted.back, wanted.after) = (back, after(place));
        let other = quarantine::list(app.db(), whose, &wanted, 1).await;
        sides.tell(!other.map_err(|error| unread(&error))?.is_empty());
    }
    let head = app.log.head().await.map_err(|error| unread(&error))?;
    let items: Vec<String> = found.iter().map(|it| text(&told(it))).collect();
    Ok(page(&items, walk.cursors(&sides), AsOf::log(head)))
}

/// Whose messages a caller looks after.
fn whose<'a>(app: &App, caller: &'a Caller) -> Whose<'a> {
    Whose { tenant: caller.tenant(), with_unknown: app.is_server_admin(caller) }
}

/// The caller on behalf of the tenant that a message was sent to.
async fn on_behalf(app: &App, caller: &Caller, it: &Kept) -> Result<Caller, Box<Problem>> {
    let found = app.tenants.find(app.db(), &it.tenant).await;
    let tenant = found.map_err(|problem| match problem.code {
        Code::TenantUnknown => {
            let name = &it.tenant;
            Box::new(
                Problem::new(
                    Code::TenantUnknown,
                    format!("This message was sent to the tenant `{name}`, which does not exist."),
                    format!("Pesan ini dikirim ke penyewa `{name}`, yang tidak ada."),
                )
                .hint(
                    format!("Add it with `sapa tenant add {name}` and retry, or discard the message."),
                    format!("Tambahkan dengan `sapa tenant add {name}` lalu ulangi, atau buang pesannya."),
                ),
            )
        }
        _ => problem,
    })?;
    Ok(Caller { tenant, ..caller.clone() })
}

async fn row(app: &App, caller: &Caller, params: &Params) -> Result<Kept, Box<Problem>> {
    let mut read = params.read();
    let id = read.text("id").unwrap_or_default();
    read.done()?;
    quarantine::get(app.db(), whose(app, caller), id)
        .await
        .map_err(|error| unread(&error))?
        .ok_or_else(|| missing("quarantined message", "pesan karantina", "id"))
}

async fn get(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let it = row(app, caller, &params).await?;
    let mut answer = told(&it);
    put(&mut answer, "problem", it.problem);
    if !caller.sees_personal() {
        put(&mut answer, "masked", json!(["/headers", "/payload", "/payload_base64"]));
        return Ok(Reply::ok(&answer));
    }
    put(&mut answer, "headers", it.headers);
    match it.bytes.map(String::from_utf8) {
        None => put(&mut answer, "payload", Value::Null),
        Some(Ok(payload)) => put(&mut answer, "payload", payload),
        Some(Err(bytes)) => put(&mut answer, "payload_base64", BASE64.encode(bytes.as_bytes())),
    }
    put(&mut answer, "masked", json!([]));
    Ok(Reply::ok(&answer))
}

async fn retry(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let it = row(app, caller, &params).await?;
    let caller = &on_behalf(app, caller, &it).await?;
    if let Some(position) = it.position {
        let found = app.log.read_positions(caller.tenant(), &[position]).await;
        let found = found.map_err(|error| unread(&error))?;
        let event =
            found.first().ok_or_else(|| missing("event", "peristiwa", "position"))?.reference();
        let receipt =
            app.log.find(caller.tenant(), &event).await.map_err(|error| unread(&error))?;
        let receipt = receipt.ok_or_else(|| missing("event", "peristiwa", "position"))?;
        return Ok(Reply::ok(&crate::answer::ReceiptOut::found(
            &receipt,
            "duplicate",
            Warned::default(),
        )));
    }
    let bytes = it.bytes.as_deref().ok_or_else(|| gone(&it))?;
    if it.headers.get("table").is_some_and(|it| it == true) {
        return Err(needs_its_map());
    }
    if i64::try_from(bytes.len()).is_ok_and(|kept| kept < it.size) {
        return Err(Box::new(Problem::of(Code::TooLarge)));
    }
    let proven = facts::Proven::of(app, caller).await?;
    let incoming = read_again(&it, bytes, &proven.sender()).map_err(|mut problem| {
        problem.quarantine_id = Some(it.quarantine_id.clone());
        problem
    })?;
    let receipt = facts::record(app, caller, incoming).await?;
    let how = Settled::Released(receipt.position);
    quarantine::settle(app.db(), caller.tenant(), &it.quarantine_id, &how)
        .await
        .map_err(unwritten)?;
    Ok(Reply::ok(&receipt).header("sapa-position", receipt.position.to_string()))
}

/// The same bytes, the same headers, the same subject: and the rules of today. Whoever may look after
/// quarantine vouches for the source, but decides nothing that their own key may not.
fn read_again(it: &Kept, bytes: &[u8], sender: &Sender<'_>) -> Result<Incoming, Box<Problem>> {
    let route = it.subject.as_deref().and_then(|it| Ingress::parse(it).ok());
    let sender = Sender { sources: None, route: route.as_ref(), ..sender.clone() };
    if it.face == "nats" {
        return wire::event(pairs(&it.headers).iter().copied(), bytes, &sender);
    }
    // Over HTTP and request-reply the headers were read before they were kept.
    let attributes = attributes(&it.headers);
    if attributes.contains_key("specversion") {
        cloudevents::binary(attributes, bytes, &sender)
    } else {
        cloudevents::structured(bytes, &sender)
    }
}

/// The kept headers of a message, name by name.
fn pairs(headers: &Value) -> Vec<(&str, &[u8])> {
    fn values(value: &Value) -> Vec<&str> {
        match value {
            Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
            Value::String(text) => vec![text.as_str()],
            _ => Vec::new(),
        }
    }
    let members = headers.as_object().into_iter().flatten();
    let named = members.flat_map(|(name, value)| {
        values(value).into_iter().map(move |it| (name.as_str(), it.as_bytes()))
    });
    named.collect()
}

/// The kept `ce-*` headers as the attributes they were read as.
fn attributes(headers: &Value) -> Map<String, Value> {
    let members = headers.as_object().into_iter().flatten();
    let own = members.filter_map(|(name, value)| Some((name.strip_prefix("ce-")?, value)));
    own.map(|(name, value)| (name.to_owned(), value.clone())).collect()
}

/// A row of a table is an event only where its map is, and that is not here.
fn needs_its_map() -> Box<Problem> {
    let mut problem = Problem::new(
        Code::CommandRefused,
        "This is a row of a table; only its map makes an event of it.",
        "Ini baris sebuah tabel; hanya petanya yang dapat menjadikannya peristiwa.",
    )
    .hint(
        "Correct the row or the map, import the file again, then discard this one.",
        "Perbaiki baris atau petanya, impor lagi berkasnya, lalu buang yang ini.",
    );
    problem.rule = Some("needs_its_map");
    Box::new(problem)
}

fn gone(it: &Kept) -> Box<Problem> {
    Box::new(Problem::new(
        Code::NotFound,
        format!("This message was {}; its bytes are gone.", it.state),
        format!(
            "Pesan ini sudah {}; isinya tidak ada lagi.",
            if it.state == "discarded" { "dibuang" } else { "dilepas" }
        ),
    ))
}

async fn discard(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let mut read = params.read();
    let note = read.text("note");
    let note = read.required("note", note).unwrap_or_default();
    if NOTE_CHARS_MAX < note.chars().count() {
        read.fault(
            "note",
            "too_long",
            "has more than 1,000 characters",
            "lebih dari 1.000 karakter",
        );
    }
    read.done()?;
    let it = row(app, caller, &params).await?;
    let how = Settled::Discarded(note);
    let done = quarantine::settle(app.db(), &it.tenant, &it.quarantine_id, &how)
        .await
        .map_err(unwritten)?;
    if done || it.state == "discarded" { Ok(Reply::nothing()) } else { Err(gone(&it)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_headers_are_read_with_every_value_and_attributes_as_they_were_read() {
        let kept = json!({"CE-specversion": ["1.0"], "a": ["b", "c"], "Nats-Msg-Id": "x", "n": 7});
        let wanted: Vec<(&str, &[u8])> =
            vec![("CE-specversion", b"1.0"), ("Nats-Msg-Id", b"x"), ("a", b"b"), ("a", b"c")];
        assert_eq!(pairs(&kept), wanted);
        let kept = json!({"ce-specversion": "1.0", "ce-id": "100%", "file": "x"});
        assert_eq!(Value::from(attributes(&kept)), json!({"specversion": "1.0", "id": "100%"}));
    }
}
