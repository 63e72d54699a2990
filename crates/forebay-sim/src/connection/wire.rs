//! The way of an answer's bytes to the client.
//!
//! Owns what the network makes of them: cuts, stalls, drips. Never knows what they mean.

use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::log::DropReason;
use crate::script::Shape;

/// Writes one answer's bytes as its shape has it.
#[derive(Debug)]
pub(super) struct Wire<'c, IO> {
    io: &'c mut IO,
    shape: &'c Shape,
    sent: usize,
    frames: u64,
}

impl<'c, IO: AsyncWrite + Unpin> Wire<'c, IO> {
    pub(super) fn new(io: &'c mut IO, shape: &'c Shape) -> Self {
        Wire {
            io,
            shape,
            sent: 0,
            frames: 0,
        }
    }

    /// The connection itself, to read from.
    pub(super) fn io(&mut self) -> &mut IO {
        self.io
    }

    /// Writes bytes, or says why not all of them.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), DropReason> {
        let cut = self.shape.cut_after.map(|at| (at, DropReason::Cut));
        let stall = self.shape.stall_after.map(|at| (at, DropReason::Stalled));
        let halt = [cut, stall].into_iter().flatten().min_by_key(|(at, _)| *at);
        let left = halt.map_or(usize::MAX, |(at, _)| at.saturating_sub(self.sent));
        let part = &bytes[..bytes.len().min(left)];
        if self.write(part).await.is_err() {
            return Err(DropReason::ClientGone);
        }
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
        self.frames += 1;
        if !chunked {
            return self.send(frame).await;
        }
        let mut chunk = format!("{:x}\r\n", frame.len()).into_bytes();
        chunk.extend_from_slice(frame);
        chunk.extend_from_slice(b"\r\n");
        self.send(&chunk).await
    }

    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let Some((size, every)) = self.shape.drip else {
            self.io.write_all(bytes).await?;
            return self.io.flush().await;
        };
        for piece in bytes.chunks(size.max(1)) {
            if self.sent > 0 || !std::ptr::eq(piece.as_ptr(), bytes.as_ptr()) {
                tokio::time::sleep(every).await;
            }
            self.io.write_all(piece).await?;
            self.io.flush().await?;
        }
        Ok(())
    }
}
