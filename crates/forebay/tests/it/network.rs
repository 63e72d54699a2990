//! Faults of the transport, the network, the operating system and time.

/// Something between engine and simulator that spoils the bytes of answers.
mod between;

/// Connections that are refused, reset or cut.
mod broken;

/// Answers that are not what they should be, byte for byte.
mod bytes;

/// Answers that come late or never, and clocks that leap.
mod deadlines;

/// The transport without an engine.
mod direct;

/// HTTP/2.
mod http2;

/// Names that do not resolve.
mod names;

/// Servers that are old, odd, elsewhere or in a hurry.
mod odd;

/// Proxies between transport and provider.
mod proxies;

/// What the operating system does for a connection, and does not.
mod sockets;

/// Certificates and handshakes.
mod tls;
