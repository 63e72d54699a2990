//! The way of an answer's bytes to the client.
//!
//! Owns what the network makes of them: cuts, stalls, drips. Never knows what they mean.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::http::Input;
use crate::log::DropReason;
use crate::script::Shape;

/// Writes one answer's bytes as its shape has it.
#[derive(Debug)]
pub(super) struct Wire<'c, IO> {
    /// Keeps what the client sends meanwhile.
    input: &'c mut Input,
    io: &'c mut IO,
    shape: &'c Shape,
    sent: usize,
    frames: u64,
}

impl<'c, IO: AsyncRead + AsyncWrite + Unpin> Wire<'c, IO> {
    pub(super) fn new(input: &'c mut Input, io: &'c mut IO, shape: &'c Shape) -> Self {
        Wire {
            input,
            io,
            shape,
            sent: 0,
            frames: 0,
        }
    }

    /// Waits for something, or says that the client hung up first.
    pub(super) async fn until<T>(&mut self, due: impl Future<Output = T>) -> Result<T, DropReason> {
        tokio::select! {
            biased;
            done = due => Ok(done),
            () = self.input.hang_up(self.io) => Err(DropReason::ClientGone),
        }
    }

    /// Writes bytes, or says why not all of them.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), DropReason> {
        let cut = self.shape.cut_after.map(|at| (at, DropReason::Cut));
        let stall = self.shape.stall_after.map(|at| (at, DropReason::Stalled));
        let halt = [cut, stall].into_iter().flatten().min_by_key(|(at, _)| *at);
        let left = halt.map_or(usize::MAX, |(at, _)| at.saturating_sub(self.sent));
        let part = &bytes[..bytes.len().min(left)];
        self.write(part).await?;
        self.sent += part.len();
        match halt {
            Some((_, reason)) if part.len() < bytes.len() => Err(reason),
            _ => Ok(()),
        }
    }

    /// Writes one frame of a streamed answer.
    pub(super) async fn frame(&mut self, frame: &[u8], chunked: bool) -> Result<(), DropReason> {
        if self.shape.cut_after_frames == Some(self.frames) {
            return Err(DropReason::Cut);
        }
        if self.shape.stall_after_frames == Some(self.frames) {
            return Err(DropReason::Stalled);
        }
        self.frames += 1;
        if !chunked {
            return self.send(frame).await;
        }
        let mut chunk = format!("{:x}\r\n", frame.len()).into_bytes();
        chunk.extend_from_slice(frame);
        chunk.extend_from_slice(b"\r\n");
        self.send(&chunk).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), DropReason> {
        let Some((size, every)) = self.shape.drip else {
            return self.flush(bytes).await;
        };
        let first = self.shape.drip_first.unwrap_or(usize::MAX);
        let (dripped, rest) = bytes.split_at(bytes.len().min(first.saturating_sub(self.sent)));
        for (n, piece) in dripped.chunks(size.max(1)).enumerate() {
            if self.sent > 0 || n > 0 {
                // A client that hangs up meanwhile is not kept in flight until the next piece.
                self.until(tokio::time::sleep(every)).await?;
            }
            self.flush(piece).await?;
        }
        self.flush(rest).await
    }

    async fn flush(&mut self, bytes: &[u8]) -> Result<(), DropReason> {
        let gone = |_: io::Error| DropReason::ClientGone;
        self.io.write_all(bytes).await.map_err(gone)?;
        self.io.flush().await.map_err(gone)
    }
}

impl Shape {
    /// Where in the body it ends an answer, as a share, and how.
    pub(super) fn body_halt(&self) -> Option<(f64, DropReason)> {
        let cut = self.cut_body.map(|share| (share, DropReason::Cut));
        let stall = self.stall_body.map(|share| (share, DropReason::Stalled));
        cut.or(stall)
    }

    /// The shape of an answer whose lengths are known: shares of its body as bytes.
    pub(super) fn of_whole(&self, head: usize, whole: usize) -> Shape {
        let at = |share: f64| head + (share * (whole - head) as f64) as usize;
        Shape {
            cut_after: self.cut_after.or(self.cut_body.map(at)),
            stall_after: self.stall_after.or(self.stall_body.map(at)),
            ..self.clone()
        }
    }
}
