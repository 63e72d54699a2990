//! How long the steps of an exchange took.

use std::time::Duration;

/// The steps to an open connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Opening {
    /// Finding the host's addresses; those who ask at the same time share the time.
    pub dns: Duration,
    /// Opening a socket to one of them.
    pub connect: Duration,
    /// The TLS handshake; zero without TLS.
    pub tls: Duration,
}

/// The steps of one exchange, up to the head of its answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// The opening of its connection; `None` when it had served an exchange before.
    pub opening: Option<Opening>,
    /// From sending the request to the head of the answer.
    pub first_byte: Duration,
    /// Whether HTTP/2 was spoken.
    pub http2: bool,
}
