//! In-memory pipes instead of sockets, so that hours of provider time pass in milliseconds.

use std::fmt;
use std::sync::Arc;

use tokio::io::DuplexStream;

/// Bytes that a pipe holds in each direction; about a socket's buffer.
const PIPE: usize = 64 << 10;

/// Opens a pipe per connection and hands its other end to a server.
#[derive(Clone)]
pub struct MemoryConnector {
    accept: Arc<dyn Fn(DuplexStream) + Send + Sync>,
}

impl MemoryConnector {
    /// A connector whose connections are given to `accept`, which spawns their service.
    pub fn new(accept: impl Fn(DuplexStream) + Send + Sync + 'static) -> MemoryConnector {
        MemoryConnector {
            accept: Arc::new(accept),
        }
    }

    pub(super) fn open(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        (self.accept)(theirs);
        ours
    }
}

impl fmt::Debug for MemoryConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryConnector")
    }
}
