//! `sapa event export`: the log as JSON Lines, page by page, in bounded memory. A file that was
//! begun is continued by giving the last position of it as `--after`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::Value;

use crate::client::Call;
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};
use crate::say;

/// Events of one page.
const PAGE: u16 = 500;

/// Writes every event after a position.
pub(super) async fn export(session: &Session, after: u64, to: &Path) -> Result<Exit, Failure> {
    let mut file = match to {
        it if it == Path::new("-") => None,
        it => Some(BufWriter::new(
            File::create(it).map_err(|error| Failure::file("write", it, &error))?,
        )),
    };
    let client = session.client()?;
    let mut call =
        Call::get(&["v1", "events"]).with("after", Some(after)).with("limit", Some(PAGE));
    let (mut written, mut last) = (0_u64, after);
    loop {
        let answer = client.call(&call).await?;
        if answer.exit() != Exit::Done {
            return session.output.answer(&answer, &[]);
        }
        let page = answer.json();
        for event in page.get("items").and_then(Value::as_array).into_iter().flatten() {
            match &mut file {
                Some(file) => {
                    writeln!(file, "{event}")
                        .map_err(|error| Failure::file("write", to, &error))?;
                }
                None => session.output.text(&event.to_string())?,
            }
            written += 1;
            last = position(event).unwrap_or(last);
        }
        if file.is_some() {
            session.output.note(&say!(
                "{written} events, position {last}",
                "{written} peristiwa, posisi {last}"
            ));
        }
        let Some(cursor) = page.get("next_cursor").and_then(Value::as_str) else { break };
        call = Call::get(&["v1", "events"]).with("cursor", Some(cursor)).with("limit", Some(PAGE));
    }
    if let Some(mut file) = file {
        file.flush().map_err(|error| Failure::file("write", to, &error))?;
    }
    Ok(Exit::Done)
}

fn position(event: &Value) -> Option<u64> {
    event.get("position")?.as_str()?.parse().ok()
}
