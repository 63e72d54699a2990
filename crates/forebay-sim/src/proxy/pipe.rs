//! One direction of a connection.
//!
//! Owns the bytes on their way and when each is due. Never looks at the other direction.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep, sleep_until};

use super::{End, ProxyConfig};

/// The bytes read at a time.
const CHUNK: usize = 16 * 1024;

/// The chunks on their way at the same time: 1 MiB, a generous socket buffer.
const ON_THE_WAY: usize = 64;

/// One direction and what is done to it.
pub(super) struct Pipe<'p> {
    config: &'p ProxyConfig,
    rng: fastrand::Rng,
    /// Bytes that were handed over.
    passed: &'p mut u64,
}

/// Bytes that were read, and when they are due.
struct Chunk {
    due: Instant,
    bytes: Vec<u8>,
}

impl<'p> Pipe<'p> {
    pub(super) fn new(config: &'p ProxyConfig, rng: fastrand::Rng, passed: &'p mut u64) -> Self {
        Pipe {
            config,
            rng,
            passed,
        }
    }

    /// Passes bytes until the sender closes; an error ends both directions.
    pub(super) async fn run<R, W>(mut self, from: R, to: W) -> Result<(), End>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        if let Some(timeout) = self.config.timeout {
            return swallow(from, timeout).await;
        }
        let (sender, receiver) = channel(ON_THE_WAY);
        let config = self.config;
        let reader = read(from, sender, config, self.rng.fork());
        let writer = self.write(receiver, to);
        tokio::try_join!(reader, writer)?;
        Ok(())
    }

    async fn write<W>(&mut self, mut chunks: Receiver<Chunk>, mut to: W) -> Result<(), End>
    where
        W: AsyncWrite + Unpin,
    {
        while let Some(Chunk { due, bytes }) = chunks.recv().await {
            sleep_until(due).await;
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(self.piece(rest.len()));
                let end = self.send(piece, &mut to).await;
                if end.is_err() {
                    // What was written before must arrive; a failure says no more than the end.
                    let _ = to.flush().await;
                    return end;
                }
                rest = after;
                if let Some(slice) = self.config.slice.filter(|_| !rest.is_empty()) {
                    sleep(slice.delay).await;
                }
            }
        }
        if !self.config.slow_close.is_zero() {
            sleep(self.config.slow_close).await;
        }
        to.shutdown().await.map_err(|_| End::Gone)
    }

    /// The bytes of the next piece of so many.
    fn piece(&mut self, left: usize) -> usize {
        match self.config.slice {
            None => left,
            Some(slice) => {
                let size = slice.size.max(1);
                self.rng.usize(size.div_ceil(2)..=size + size / 2).min(left)
            }
        }
    }

    /// Hands over one piece, as much of it as may pass.
    async fn send<W>(&mut self, piece: &[u8], to: &mut W) -> Result<(), End>
    where
        W: AsyncWrite + Unpin,
    {
        let reset = self.config.reset_after.map(|at| (at, End::Reset));
        let limit = self.config.limit_data.map(|at| (at, End::Limit));
        let end = [reset, limit].into_iter().flatten().min_by_key(|e| e.0);
        let left = end.map_or(u64::MAX, |(at, _)| at.saturating_sub(*self.passed));
        let part = &piece[..piece.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
        to.write_all(part).await.map_err(|_| End::Gone)?;
        to.flush().await.map_err(|_| End::Gone)?;
        *self.passed += part.len() as u64;
        if let Some((_, end)) = end.filter(|(at, _)| *self.passed >= *at) {
            return Err(end);
        }
        if let Some(bandwidth) = self.config.bandwidth {
            let took = part.len() as f64 / bandwidth.max(1) as f64;
            sleep(Duration::from_secs_f64(took)).await;
        }
        Ok(())
    }
}

/// Reads chunks and stamps each with the time at which it is due.
async fn read<R>(
    mut from: R,
    chunks: Sender<Chunk>,
    config: &ProxyConfig,
    mut rng: fastrand::Rng,
) -> Result<(), End>
where
    R: AsyncRead + Unpin,
{
    let mut last = Instant::now();
    loop {
        let mut bytes = vec![0; CHUNK];
        let read = from.read(&mut bytes).await.map_err(|_| End::Gone)?;
        if read == 0 {
            return Ok(());
        }
        bytes.truncate(read);
        let jitter = config.jitter.as_secs_f64() * (rng.f64() * 2.0 - 1.0);
        let delay = (config.latency.as_secs_f64() + jitter).max(0.0);
        // Bytes never overtake those before them.
        last = last.max(Instant::now() + Duration::from_secs_f64(delay));
        if chunks.send(Chunk { due: last, bytes }).await.is_err() {
            return Err(End::Gone);
        }
    }
}

/// Takes all bytes and passes none, until the time is over or the sender closes.
async fn swallow<R: AsyncRead + Unpin>(mut from: R, timeout: Duration) -> Result<(), End> {
    let mut void = vec![0; CHUNK];
    let hole = async {
        loop {
            match from.read(&mut void).await {
                Ok(0) | Err(_) => return Err(End::Gone),
                Ok(_) => {}
            }
        }
    };
    match timeout.is_zero() {
        true => hole.await,
        false => tokio::time::timeout(timeout, hole)
            .await
            .unwrap_or(Err(End::TimedOut)),
    }
}
