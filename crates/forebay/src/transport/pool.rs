//! Idle connections of one origin, the last used first.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::connection::Connection;

/// How long a plain-text connection may idle: below the five seconds after which Node and
/// uvicorn servers close.
const PLAIN_IDLE: Duration = Duration::from_secs(4);
/// How long a TLS connection may idle: public front ends keep them for minutes.
const TLS_IDLE: Duration = Duration::from_secs(55);
/// Connects under way at once: enough to be quick, few enough not to overrun a listen queue.
const CONNECTS: usize = 128;

/// A stack of idle connections.
#[derive(Debug)]
pub(super) struct Pool {
    idle: Mutex<Vec<Connection>>,
    connects: Semaphore,
    max_idle: Duration,
}

impl Pool {
    pub(super) fn new(tls: bool) -> Pool {
        Pool {
            idle: Mutex::new(Vec::new()),
            connects: Semaphore::new(CONNECTS),
            max_idle: if tls { TLS_IDLE } else { PLAIN_IDLE },
        }
    }

    /// The connection that was used last, if it did not idle for too long.
    pub(super) fn take(&self) -> Option<Connection> {
        let mut idle = self.lock();
        let connection = idle.pop()?;
        if connection.idle_since().elapsed() > self.max_idle {
            // All others have idled for longer.
            idle.clear();
            return None;
        }
        Some(connection)
    }

    /// Keeps a connection for later, unless it cannot be used again.
    pub(super) fn put(&self, connection: Connection) {
        if connection.is_reusable() {
            self.lock().push(connection);
        }
    }

    /// Drops the connections that were last used no later than one that turned out closed: what
    /// closed it, such as a restart or a forgetful NAT, has most likely closed them too.
    pub(super) fn distrust(&self, closed: Instant) {
        self.lock().retain(|c| c.idle_since() > closed);
    }

    /// Drops the connections that have idled for too long.
    pub(super) fn sweep(&self) {
        let mut idle = self.lock();
        // The one used last is the last.
        let expired = idle.partition_point(|c| c.idle_since().elapsed() > self.max_idle);
        idle.drain(..expired);
    }

    /// A place among the connects under way.
    pub(super) async fn connect_place(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.connects.acquire().await.ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // The guarded operations cannot panic halfway.
        self.idle
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
