//! Idle HTTP/1.1 connections of one origin, the last used first.
//!
//! Owns who uses which of them next, and how long they may idle. Never opens one.
//!
//! Each core has a stack of its own, so that threads do not meet at a lock; a thread whose stack
//! is empty looks at the others' before it opens a connection.

use std::time::Duration;

use tokio::time::Instant;

use super::connection::Connection;
use super::shards::Shards;

/// How long a plain-text connection may idle: below the five seconds after which Node and
/// uvicorn servers close.
const PLAIN_IDLE: Duration = Duration::from_secs(4);
/// How long a TLS connection may idle: below the sixty seconds of Amazon's load balancers, the
/// shortest among public front ends.
pub(super) const TLS_IDLE: Duration = Duration::from_secs(55);

/// Stacks of idle connections.
#[derive(Debug)]
pub(super) struct Pool {
    idle: Shards<Vec<Connection>>,
    max_idle: Duration,
}

impl Pool {
    pub(super) fn new(tls: bool) -> Pool {
        Pool {
            idle: Shards::new(),
            max_idle: if tls { TLS_IDLE } else { PLAIN_IDLE },
        }
    }

    /// The connection that this core used last, or another one, if it did not idle for too long
    /// until now.
    pub(super) fn take(&self, now: Instant) -> Option<Connection> {
        self.idle.each().find_map(|mut idle| {
            let connection = idle.pop()?;
            if now.saturating_duration_since(connection.idle_since()) > self.max_idle {
                // All others of this stack have idled for longer.
                idle.clear();
                return None;
            }
            Some(connection)
        })
    }

    /// Keeps a connection for later, unless it cannot be used again.
    pub(super) fn put(&self, connection: Connection) {
        if connection.is_reusable() {
            self.idle.own().push(connection);
        }
    }

    /// Drops the connections that were last used no later than one that turned out closed: what
    /// closed it, such as a restart or a forgetful NAT, has most likely closed them too.
    pub(super) fn distrust(&self, closed: Instant) {
        for mut idle in self.idle.each() {
            idle.retain(|c| c.idle_since() > closed);
        }
    }

    /// Drops the connections that have idled for too long.
    pub(super) fn sweep(&self) {
        for mut idle in self.idle.each() {
            // The one used last is the last.
            let expired = idle.partition_point(|c| c.idle_since().elapsed() > self.max_idle);
            idle.drain(..expired);
        }
    }
}
