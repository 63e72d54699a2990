//! The simulator's handle: what users start, connect to and read.
//!
//! Owns the state all connections share. Never reads or writes a connection's bytes.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::batching::Engine;
use crate::config::{Config, Faults};
use crate::connection;
use crate::faults::{Strikes, is_fault_model};
use crate::limits::Limiter;
use crate::log::{Log, LogRecord};
use crate::resource::{Files, MessageBatches, OpenAiBatches};
use crate::seen::Seen;
use crate::stats::{Counters, Stats};

/// The buffer of each direction of an in-memory connection, in bytes; a socket's usual order.
const PIPE_BUFFER: usize = 64 * 1024;

/// How long to wait when a connection cannot be accepted, say for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A simulated provider; clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Sim {
    shared: Arc<Shared>,
}

impl Sim {
    /// Starts a provider; its time begins now.
    ///
    /// In paused tokio time call this inside the runtime. With a log file it starts one thread,
    /// which ends when the last handle is dropped.
    pub fn new(config: Config) -> Sim {
        Sim {
            shared: Arc::new(Shared::new(config)),
        }
    }

    /// Opens an in-memory connection and serves its other end on a task of its own.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn connect(&self) -> DuplexStream {
        let (client, server) = tokio::io::duplex(PIPE_BUFFER);
        let sim = self.clone();
        tokio::spawn(async move { sim.serve_connection(server).await });
        client
    }

    /// Serves one connection until either side closes it: HTTP/2 if the client begins like that,
    /// be it by prior knowledge or because TLS has told it to, else HTTP/1.1.
    ///
    /// A reset drops `io`. Dropping the future drops the connection; a request in flight is
    /// then logged as dropped.
    pub async fn serve_connection<IO>(&self, io: IO)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send,
    {
        connection::serve(&self.shared, io, |_| {}).await;
    }

    /// Accepts connections for ever and serves each on a task of its own.
    ///
    /// A reset sends a true RST. Dropping the future closes the listener and all connections.
    ///
    /// # Errors
    ///
    /// None at present: a connection that cannot be accepted is tried again.
    pub async fn serve(&self, listener: TcpListener) -> io::Result<()> {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((socket, _)) => {
                        let sim = self.clone();
                        connections.spawn(async move { sim.serve_socket(socket).await });
                    }
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }

    /// Reads the counters.
    pub fn stats(&self) -> Stats {
        self.shared.counters.read()
    }

    /// Returns how many sequences a batching engine runs and how many wait; `None` without one.
    pub fn queue(&self) -> Option<(usize, usize)> {
        self.shared.engine.as_ref().map(Engine::queue)
    }

    /// Returns the log so far, in the order it was written; empty unless `keep_log` is set.
    pub fn log(&self) -> Vec<LogRecord> {
        self.shared.log.records()
    }

    /// Writes the records that still wait for the log file.
    ///
    /// # Errors
    ///
    /// The first fault in writing the file since the last call.
    pub fn flush_log(&self) -> io::Result<()> {
        self.shared.log.flush()
    }

    /// Returns the time since the simulator started.
    pub fn since_start(&self) -> Duration {
        self.shared.since_start()
    }

    async fn serve_socket(&self, socket: TcpStream) {
        // Both can fail only on a socket that is already dead; reading it will tell.
        let _ = socket.set_nodelay(true);
        let abort = |socket: &TcpStream| {
            let _ = socket.set_zero_linger();
        };
        connection::serve(&self.shared, socket, abort).await;
    }
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) limiter: Limiter,
    pub(crate) counters: Counters,
    pub(crate) seen: Seen,
    /// The back end, where it batches.
    pub(crate) engine: Option<Engine>,
    pub(crate) strikes: Strikes,
    pub(crate) log: Log,
    pub(crate) files: Files,
    pub(crate) batches: OpenAiBatches,
    pub(crate) message_batches: MessageBatches,
    started: Instant,
    started_wall: Duration,
}

impl Shared {
    fn new(config: Config) -> Shared {
        Shared {
            limiter: Limiter::new(&config),
            counters: Counters::default(),
            seen: Seen::default(),
            engine: config.batching.clone().map(Engine::new),
            strikes: Strikes::of(&config.rules),
            log: Log::new(&config),
            files: Files::default(),
            batches: OpenAiBatches::default(),
            message_batches: MessageBatches::default(),
            started: Instant::now(),
            started_wall: SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default(),
            config,
        }
    }

    pub(crate) fn since_start(&self) -> Duration {
        self.started.elapsed()
    }

    /// The wall clock at a time since the start, as time since the Unix epoch.
    pub(crate) fn wall(&self, since_start: Duration) -> Duration {
        self.started_wall + since_start
    }

    /// A number for ids, different in each simulator with another seed.
    pub(crate) fn id(&self, number: u64) -> u64 {
        self.config.seed.rotate_right(16) ^ number
    }

    /// A generator of its own for each time a body is received and each purpose, so that the same
    /// rows are struck whatever the order in which they arrive.
    pub(crate) fn luck(&self, key: u128, seen: u32, purpose: u64) -> fastrand::Rng {
        // Odd multipliers of SplitMix64 and its golden ratio spread small numbers over all seeds.
        let seed = self.config.seed
            ^ key as u64
            ^ (key >> 64) as u64
            ^ u64::from(seen).wrapping_mul(0x9E37_79B9_7F4A_7C15)
            ^ purpose.wrapping_mul(0xBF58_476D_1CE4_E5B9);
        fastrand::Rng::with_seed(seed)
    }

    /// Whether anybody asks for the key of a body with this model.
    pub(crate) fn needs_key(&self, model: &str) -> bool {
        let config = &self.config;
        config.script.is_some()
            || self.log.is_on()
            || !config.rules.is_empty()
            || config.faults != Faults::default()
            || is_fault_model(model)
    }

    /// A generator of its own for each request, so that the order of tasks changes nothing.
    pub(crate) fn rng(&self, seq: u64) -> fastrand::Rng {
        // The 64-bit golden ratio spreads neighbouring numbers over all seeds.
        fastrand::Rng::with_seed(self.config.seed ^ seq.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}
