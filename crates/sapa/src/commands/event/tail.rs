//! Following the live stream: each event as it is recorded, resumed after a lost connection from
//! the last position seen, so that nothing is missed or repeated.

use std::time::Duration;

use reqwest::Response;
use serde_json::Value;

use crate::cli::Format;
use crate::client::{Answer, Call, Client};
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};
use crate::output::{member, words};
use crate::say;

/// Pause before a lost connection is made again.
const AGAIN: Duration = Duration::from_secs(2);

/// Follows until the pipe closes or a signal comes.
pub(crate) async fn tail(
    session: &Session,
    wanted: &[(&'static str, String)],
) -> Result<Exit, Failure> {
    let client = session.client()?;
    let mut seen: Option<String> = None;
    loop {
        let mut call = Call::get(&["v1", "stream"]);
        for (name, value) in wanted {
            let is_start = *name == "after" && seen.is_some();
            call = call.with(name, (!is_start).then_some(value));
        }
        call = call.with("after", seen.as_ref());
        match client.send(&call).await {
            Ok(response) if response.status() == 200 => {
                follow(session, response, &mut seen).await?;
            }
            Ok(response) => return refused(session, response).await,
            Err(failure) if seen.is_none() => return Err(failure),
            Err(failure) => session.output.note(&failure.what),
        }
        resume(session, &client).await;
    }
}

async fn resume(session: &Session, client: &Client) {
    let server = client.server();
    session.output.note(&say!(
        "{server}: connection lost; trying again",
        "{server}: koneksi terputus; mencoba lagi"
    ));
    tokio::time::sleep(AGAIN).await;
}

async fn refused(session: &Session, response: Response) -> Result<Exit, Failure> {
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap_or_default().to_vec();
    session.output.answer(&Answer { status, body }, &[])
}

/// Prints what comes until the connection ends.
async fn follow(
    session: &Session,
    mut response: Response,
    seen: &mut Option<String>,
) -> Result<(), Failure> {
    let mut waiting: Vec<u8> = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        waiting.extend_from_slice(&chunk);
        while let Some(end) = waiting.windows(2).position(|it| it == b"\n\n") {
            let rest = waiting.split_off(end + 2);
            let message = std::mem::replace(&mut waiting, rest);
            tell(session, &String::from_utf8_lossy(&message), seen)?;
        }
    }
    Ok(())
}

/// Prints one message of the stream, if it is an event.
fn tell(session: &Session, message: &str, seen: &mut Option<String>) -> Result<(), Failure> {
    let field = |name: &str| {
        message
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim_start))
    };
    if let Some(id) = field("id") {
        *seen = Some(id.to_owned());
    }
    let Some(data) = field("data").filter(|_| field("event").is_some_and(|it| it.contains('.')))
    else {
        return Ok(());
    };
    if session.output.format != Format::Table {
        return session.output.text(data);
    }
    let event: Value = serde_json::from_str(data).unwrap_or_default();
    let text = |name: &str| member(&event, name).and_then(Value::as_str).unwrap_or("-").to_owned();
    let time = text("time");
    let time = time.parse::<jiff::Timestamp>().map_or(time, |it| {
        it.to_zoned(session.output.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
    });
    let kind = text("type");
    let kind = words::of_kind(&kind, session.output.language).unwrap_or(kind);
    let data = event.get("data").map(|it| session.output.line(it)).unwrap_or_default();
    session.output.text(&format!(
        "{time}  {:>8}  {kind}  {}  {data}",
        text("position"),
        text("subject")
    ))
}
