//! `sapa serve`: the service, until a signal.

use clap::Args;

use crate::commands::session::Session;
use crate::exit::{Exit, Failure};
use crate::lifecycle::Signals;
use crate::say;
use crate::serve::service::{Mode, Service};

/// Its arguments.
#[derive(Debug, Args)]
pub struct Serve {
    /// What this process does: all, or some of ingest, project, react, deliver, api
    #[arg(long, value_delimiter = ',')]
    pub role: Vec<String>,
    /// Where to listen [default: http.addr]
    #[arg(long, value_name = "ADDRESS")]
    pub addr: Option<String>,
    /// Databases, managed NATS, keys [default: ./sapa-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// The database [default: database.url]
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
}

impl Serve {
    /// The settings among its arguments.
    #[must_use]
    pub fn flags(&self) -> Vec<(&'static str, String, &'static str)> {
        let roles = (!self.role.is_empty()).then(|| self.role.join(","));
        [
            ("roles", roles, "--role"),
            ("http.addr", self.addr.clone(), "--addr"),
            ("data_dir", self.data_dir.clone(), "--data-dir"),
            ("database.url", self.database.clone(), "--database"),
        ]
        .into_iter()
        .filter_map(|(key, value, flag)| Some((key, value?, flag)))
        .collect()
    }

    /// Serves.
    pub async fn run(self, session: Session) -> Result<Exit, Failure> {
        let mut signals = Signals::listen().map_err(Failure::internal)?;
        let service = tokio::select! {
            service = Service::start(session.config.clone(), Mode::Serve) => service?,
            () = signals.next() => return Ok(Exit::Done),
        };
        if let Some(path) = &service.new_key {
            let path = path.display();
            session.output.note(&say!(
                "the admin key is in {path}; keep it safe",
                "kunci admin ada di {path}; simpan baik-baik"
            ));
        }
        tracing::info!(
            http = %service.http,
            nats = service.nats.as_deref().unwrap_or("off"),
            database = %service.base.config.database.place.shown(),
            version = env!("CARGO_PKG_VERSION"),
            "serving"
        );
        Ok(service.run(async move { signals.next().await }).await)
    }
}
