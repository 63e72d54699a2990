//! A proxy that stands between a client and a server and makes the network bad.
//!
//! Owns two streams and passes bytes from each to the other as its toxics have it. Never knows
//! what the bytes mean, and never speaks TLS or HTTP of its own.
//!
//! The toxics are those of Toxiproxy: latency with jitter, bandwidth, slicer, limit_data,
//! reset_peer, timeout, down and slow_close, each in one direction or both, with a toxicity.
//!
//! ```
//! use std::time::Duration;
//! use forebay_sim::proxy::{End, Proxy, ProxyConfig};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let proxy = Proxy::new(ProxyConfig {
//!     limit_data: Some(5),
//!     ..ProxyConfig::default()
//! });
//! let ((mut client, near), (far, mut server)) = (duplex(64), duplex(64));
//! let passing = tokio::spawn(async move { proxy.splice(near, far).await });
//! client.write_all(b"hello, world").await?;
//! let mut received = Vec::new();
//! server.read_to_end(&mut received).await?;
//! assert_eq!(received, b"hello");
//! assert_eq!(passing.await?.end, End::Limit);
//! # Ok(())
//! # }
//! ```

mod pipe;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use pipe::Pipe;

/// How long to wait when a connection cannot be accepted, say for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What is done to connections; the default does nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct ProxyConfig {
    /// Seeds jitter, slices and toxicity. Default 0.
    pub seed: u64,
    /// Each byte comes so much later. Default 0.
    pub latency: Duration,
    /// The latency varies by up to so much in both directions. Default 0.
    pub jitter: Duration,
    /// The bytes that pass in a second. Default `None`: all.
    pub bandwidth: Option<u64>,
    /// Bytes come in small pieces. Default `None`.
    pub slice: Option<Slice>,
    /// Resets the connection once so many bytes have passed in one direction. Default `None`.
    pub reset_after: Option<u64>,
    /// Closes the connection once so many bytes have passed in one direction. Default `None`.
    pub limit_data: Option<u64>,
    /// No byte passes, and the connection closes after this time; zero: never. Default `None`.
    pub timeout: Option<Duration>,
    /// Each connection is reset at once. Default `false`.
    pub down: bool,
    /// How much later than its other end a connection closes. Default 0.
    pub slow_close: Duration,
    /// Which way the toxics act. Default [`Direction::Both`].
    pub direction: Direction,
    /// The probability that a connection is struck at all. Default 1.
    pub toxicity: f64,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        ProxyConfig {
            seed: 0,
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            bandwidth: None,
            slice: None,
            reset_after: None,
            limit_data: None,
            timeout: None,
            down: false,
            slow_close: Duration::ZERO,
            direction: Direction::Both,
            toxicity: 1.0,
        }
    }
}

/// Pieces of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The bytes of a piece; each is between half of it and one and a half times it.
    pub size: usize,
    /// The wait between two pieces.
    pub delay: Duration,
}

/// Which way toxics act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
    /// Both ways.
    Both,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Both ends closed it.
    Closed,
    /// One end was gone.
    Gone,
    /// So many bytes had passed that it was closed.
    Limit,
    /// It was reset on purpose.
    Reset,
    /// It was held back until its time was over, and closed.
    TimedOut,
}

/// What passed through a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Bytes handed to the server.
    pub up: u64,
    /// Bytes handed to the client.
    pub down: u64,
    /// How it ended.
    pub end: End,
}

/// A proxy.
#[derive(Debug)]
pub struct Proxy {
    config: ProxyConfig,
    connections: AtomicU64,
}

impl Proxy {
    /// Makes a proxy.
    pub fn new(config: ProxyConfig) -> Proxy {
        Proxy {
            config,
            connections: AtomicU64::new(0),
        }
    }

    /// Passes bytes between a client and a server until the connection ends, and drops both.
    ///
    /// In paused tokio time all waits take none.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops both streams, with the bytes that were on their way.
    pub async fn splice<C, S>(&self, mut client: C, mut server: S) -> Passed
    where
        C: AsyncRead + AsyncWrite + Unpin,
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.pass(&mut client, &mut server).await
    }

    /// Accepts connections for ever and connects each to the target.
    ///
    /// A reset sends a true RST both ways. Dropping the future closes the listener and all
    /// connections.
    ///
    /// # Errors
    ///
    /// None at present: a connection that cannot be accepted is tried again, and one whose
    /// target cannot be reached is reset.
    pub async fn serve(
        self: std::sync::Arc<Self>,
        listener: TcpListener,
        target: SocketAddr,
    ) -> io::Result<()> {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((client, _)) => {
                        let proxy = std::sync::Arc::clone(&self);
                        connections.spawn(async move { proxy.carry(client, target).await });
                    }
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }

    async fn carry(&self, mut client: TcpStream, target: SocketAddr) {
        // These can fail only on sockets that are already dead; passing bytes will tell.
        let _ = client.set_nodelay(true);
        if self.config.down {
            let _ = client.set_zero_linger();
            return;
        }
        let Ok(mut server) = TcpStream::connect(target).await else {
            let _ = client.set_zero_linger();
            return;
        };
        let _ = server.set_nodelay(true);
        if self.pass(&mut client, &mut server).await.end == End::Reset {
            let _ = client.set_zero_linger();
            let _ = server.set_zero_linger();
        }
    }

    async fn pass<C, S>(&self, client: &mut C, server: &mut S) -> Passed
    where
        C: AsyncRead + AsyncWrite + Unpin,
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let number = self.connections.fetch_add(1, Relaxed) + 1;
        // The 64-bit golden ratio spreads neighbouring numbers over all seeds.
        let seed = self.config.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut rng = fastrand::Rng::with_seed(seed);
        let toxic = rng.f64() < self.config.toxicity;
        if toxic && self.config.down {
            let (up, down) = (0, 0);
            return Passed {
                up,
                down,
                end: End::Reset,
            };
        }
        let harmless = ProxyConfig::default();
        let of = |direction| match toxic && self.acts(direction) {
            true => &self.config,
            false => &harmless,
        };
        let (from_client, to_client) = split(client);
        let (from_server, to_server) = split(server);
        let (mut up, mut down) = (0, 0);
        let upwards = Pipe::new(of(Direction::Up), rng.fork(), &mut up);
        let downwards = Pipe::new(of(Direction::Down), rng.fork(), &mut down);
        let ends = {
            let upwards = upwards.run(from_client, to_server);
            let downwards = downwards.run(from_server, to_client);
            tokio::try_join!(upwards, downwards)
        };
        let end = match ends {
            Ok(_) => End::Closed,
            Err(end) => end,
        };
        Passed { up, down, end }
    }

    fn acts(&self, direction: Direction) -> bool {
        let told = self.config.direction;
        told == Direction::Both || told == direction
    }
}
