//! The broker of a process: one that it starts itself, one that somebody else runs, or none.
//! A managed server asks for a token in `serve` and for none in the demo, and listens on this
//! machine only.

use crate::config::{Config, NatsMode};
use crate::exit::Failure;
use crate::servers::Guard;
use crate::servers::nats::{NatsOptions, NatsServer, PortChoice, Search, locate};

/// Where the broker is and how it is reached.
#[derive(Debug)]
pub struct Broker {
    /// The server that this process runs, if it does.
    pub server: Option<NatsServer>,
    /// Where clients connect.
    pub url: String,
    /// What they present to a managed server.
    pub token: Option<String>,
    /// Where it says how it is configured.
    pub monitor_url: Option<String>,
}

impl Broker {
    /// Whether streams may be made and repaired here.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.server.is_some()
    }
}

/// Starts or names the broker; `None` when there is none.
pub async fn broker(config: &Config, with_token: bool) -> Result<Option<Broker>, Failure> {
    match (config.nats.mode, &config.nats.url) {
        (NatsMode::Off, _) => Ok(None),
        (NatsMode::External, Some(url)) => Ok(Some(Broker {
            server: None,
            url: url.clone(),
            token: None,
            monitor_url: config.nats.monitor_url.clone(),
        })),
        _ => managed(config, with_token).await.map(Some),
    }
}

async fn managed(config: &Config, with_token: bool) -> Result<Broker, Failure> {
    let search = Search {
        configured: config.nats.server_bin.clone(),
        fetch: config.nats.fetch,
        quiet: false,
    };
    let program =
        tokio::task::spawn_blocking(move || locate(&search)).await.map_err(Failure::internal)??;
    let token = if with_token { Some(super::first::nats_token(&config.data_dir)?) } else { None };
    // The server runs inside its own folder.
    let folder = std::path::absolute(&config.data_dir)
        .map_err(|error| Failure::file("find", &config.data_dir, &error))?;
    let options = NatsOptions {
        port: PortChoice::Fixed(config.nats.managed_port),
        token: token.clone(),
        guard: Guard::default(),
        ..NatsOptions::new(folder)
    };
    let server = NatsServer::start(&program, options).await?;
    tracing::info!(url = %server.url(), program = %program.display(), "nats-server started");
    Ok(Broker {
        url: server.url(),
        monitor_url: Some(server.monitor_url()),
        token,
        server: Some(server),
    })
}
