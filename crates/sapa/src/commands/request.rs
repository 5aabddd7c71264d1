//! `sapa request`: one request over NATS, and its answer as it came.

use async_nats::HeaderMap;
use clap::Args;

use super::json_argument;
use crate::broker;
use crate::client::Answer;
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};
use crate::say;

/// Its arguments.
#[derive(Debug, Args)]
pub struct Request {
    /// RESOURCE.VERB, such as customers.get
    pub operation: String,
    /// The parameters and the body, as one JSON object
    #[arg(default_value = "{}")]
    pub body: String,
}

impl Request {
    /// Asks.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let is_word = |it: &str| {
            !it.is_empty()
                && it.bytes().all(|it| it.is_ascii_lowercase() || it == b'_' || it == b'-')
        };
        let fits = self.operation.split_once('.').is_some_and(|(a, b)| is_word(a) && is_word(b));
        if !fits {
            return Err(Failure::new(
                Exit::Usage,
                say!("the operation is not RESOURCE.VERB", "operasinya bukan RESOURCE.VERB"),
                say!(
                    "Write one such as customers.get or alerts.list.",
                    "Tulis misalnya customers.get atau alerts.list."
                ),
            ));
        }
        let body = json_argument("the body", &self.body)?;
        let client = broker::of_command_line(session).await?;
        let mut headers = HeaderMap::new();
        headers.insert("Accept-Language", session.config.lang.tag());
        if let Some(key) = session.key()? {
            headers.insert("Authorization", format!("Bearer {key}"));
        }
        if let Some(actor) = &session.globals.actor {
            headers.insert("Sapa-Actor", actor.as_str());
        }
        if let Some(position) = session.globals.at_least {
            headers.insert("Sapa-At-Least", position.to_string());
        }
        let (tenant, operation) = (&session.config.tenant, &self.operation);
        let subject = format!("sapa.v1.{tenant}.api.{operation}");
        let message = client
            .request_with_headers(subject, headers, body.to_string().into())
            .await
            .map_err(|error| match error.kind() {
                async_nats::RequestErrorKind::NoResponders => Failure::new(
                    Exit::NotFound,
                    say!(
                        "no server answers `{operation}` of the tenant `{tenant}`",
                        "tidak ada server yang menjawab `{operation}` untuk penyewa `{tenant}`"
                    ),
                    say!(
                        "Check the operation and the tenant; `sapa health` shows whether a server runs.",
                        "Periksa operasi dan penyewanya; `sapa health` menunjukkan apakah server berjalan."
                    ),
                ),
                _ => Failure::new(
                    Exit::Later,
                    say!("no answer: {error}", "tidak ada jawaban: {error}"),
                    say!("Try again; look at `sapa doctor`.", "Coba lagi; lihat `sapa doctor`."),
                ),
            })?;
        let status = message.headers.as_ref().and_then(|it| it.get("Sapa-Status"));
        let status = status.and_then(|it| it.as_str().parse().ok()).unwrap_or(500);
        session.output.answer(&Answer { status, body: message.payload.to_vec() }, &[])
    }
}
