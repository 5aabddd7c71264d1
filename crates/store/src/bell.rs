//! "Something was appended": a hint to look again. Polling is the truth.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;

/// Rings with the newest position that is known to be committed.
#[derive(Clone, Debug)]
pub struct Bell(Arc<watch::Sender<i64>>);

impl Default for Bell {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Bell {
    /// Tells everybody who listens that positions up to `position` are there.
    pub fn ring(&self, position: i64) {
        self.0.send_if_modified(|it| {
            let newer = *it < position;
            *it = position.max(*it);
            newer
        });
    }

    /// The newest position that was rung.
    #[must_use]
    pub fn position(&self) -> i64 {
        *self.0.borrow()
    }

    /// Starts to listen now; the future ends at the first ring after this call, awaited or not.
    pub fn listen(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut rings = self.0.subscribe();
        async move {
            // The bell outlives its listeners; if it is gone, the poll interval still turns the loop.
            if rings.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
