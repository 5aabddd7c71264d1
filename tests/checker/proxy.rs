//! A TCP proxy that lets through, cuts, holds, slows down, or cuts right after a request has gone out,
//! so that its answer is lost. One per instance and server, so that one instance can be cut off alone.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A request of so many bytes is worth losing the answer of: it carries events.
const WORTHWHILE_BYTES: usize = 300;

/// What the proxy does with what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It lets through.
    Pass,
    /// Connections break, and none can be opened.
    Cut,
    /// Nothing passes, and nobody is told: a half-open connection.
    Hold,
    /// Everything takes so much longer, each way.
    Slow(Duration),
    /// The next request with something in it goes out, and the connection breaks before its answer.
    LoseAnswer,
}

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens on this machine.
    pub port: u16,
    mode: watch::Sender<Mode>,
    upstream: watch::Sender<SocketAddr>,
}

impl Proxy {
    /// In front of a server; it lets through.
    pub async fn start(upstream: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let (mode, modes) = watch::channel(Mode::Pass);
        let own = mode.clone();
        let (upstream, pointed) = watch::channel(upstream);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *modes.borrow() != Mode::Cut {
                    let upstream = *pointed.borrow();
                    tokio::spawn(carry(client, upstream, own.clone()));
                }
            }
        });
        Ok(Self { port, mode, upstream })
    }

    /// New connections lead to another server.
    pub fn point(&self, upstream: SocketAddr) {
        self.upstream.send_replace(upstream);
    }

    /// From now on.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn carry(client: TcpStream, upstream: SocketAddr, mode: watch::Sender<Mode>) {
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let out = pump(from_client, to_server, mode.clone(), true);
    let back = pump(from_server, to_client, mode, false);
    // When one side is done, both are: dropping the halves breaks the connection.
    tokio::select! {
        () = out => {}
        () = back => {}
    }
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mode: watch::Sender<Mode>,
    requests: bool,
) {
    let mut modes = mode.subscribe();
    let mut chunk = vec![0; 64 << 10];
    loop {
        let read = tokio::select! {
            read = from.read(&mut chunk) => read,
            changed = modes.changed() => {
                if changed.is_err() || *modes.borrow() == Mode::Cut {
                    return;
                }
                continue;
            }
        };
        let Ok(read @ 1..) = read else { return };
        loop {
            let now = *modes.borrow_and_update();
            match now {
                Mode::Cut => return,
                Mode::Hold => {
                    if modes.changed().await.is_err() {
                        return;
                    }
                }
                Mode::Slow(by) => {
                    tokio::time::sleep(by).await;
                    break;
                }
                Mode::Pass | Mode::LoseAnswer => break,
            }
        }
        if to.write_all(&chunk[..read]).await.is_err() {
            return;
        }
        let loses = *modes.borrow() == Mode::LoseAnswer;
        if loses && requests && WORTHWHILE_BYTES <= read {
            mode.send_replace(Mode::Pass);
            // The server has it; give it the time to act on it before the connection is gone.
            let _ = to.flush().await;
            return;
        }
    }
}
