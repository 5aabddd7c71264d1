//! Connections: HTTP/1.1 with a deadline for the head, a cap on their number and an orderly end.
//!
//! `axum::serve` sets no timer, so a head that never ends would stay for ever; hyper is driven here.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::proxy::admits;
use super::router::router;
use crate::app::App;

/// How long a head may take to arrive, and how long an idle connection is kept.
pub const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Bytes hyper buffers of a head: more than we accept, so that it is we who refuse, in words.
const BUFFER_BYTES: usize = 64 * 1024;
/// Headers hyper reads, for the same reason.
const HEADERS_READ: usize = 128;
/// Pause after the listener failed, so that running out of sockets does not burn a core.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// Serves until asked to stop; then finishes what was begun, within the grace of the settings.
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    stop: CancellationToken,
) -> io::Result<()> {
    serve_with(app, Router::new(), listener, stop).await
}

/// The same with routes of other parts beside ours.
pub async fn serve_with(
    app: Arc<App>,
    extra: Router,
    listener: TcpListener,
    stop: CancellationToken,
) -> io::Result<()> {
    let router = router(&app, extra, &stop);
    let outsiders = super::router::outsiders(&app, &stop);
    let places = Arc::new(Semaphore::new(app.settings.connections_max));
    let graceful = GracefulShutdown::new();
    loop {
        // A place first: whoever does not get one waits in the queue of the operating system.
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            () = stop.cancelled() => break,
        };
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let router =
                    if admits(&app.settings.proxies, peer.ip()) { &router } else { &outsiders };
                let connection = graceful.watch(connection(stream, router));
                app.tracker.spawn(async move {
                    // Clients that vanish are no news.
                    if let Err(error) = connection.await {
                        tracing::debug!(error = %error, "a connection ended early");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(error = %error, "a connection was not accepted");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
    app.health.stopping();
    drop(listener);
    let ended = async {
        graceful.shutdown().await;
        app.tracker.close();
        app.tracker.wait().await;
    };
    if tokio::time::timeout(app.settings.grace, ended).await.is_err() {
        tracing::warn!("connections were still open at the end of the grace");
    }
    Ok(())
}

fn connection(
    stream: TcpStream,
    router: &Router,
) -> http1::Connection<TokioIo<TcpStream>, TowerToHyperService<Router>> {
    // Answers are written at once; waiting for more would only make them late.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = %error, "TCP_NODELAY was not set");
    }
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(BUFFER_BYTES)
        .max_headers(HEADERS_READ)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()))
}
