//! A connection's bytes, with a word of its own between two frames.
//!
//! Owns the `GOAWAY` of a server that names the last stream it looked at: a server written with
//! the `h2` crate looks at all that arrive. Never knows any other frame.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use h2::Reason;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The bytes of a frame's head: length, type, flags, stream (RFC 9113, section 4.1).
const FRAME_HEAD: usize = 9;

/// Nothing is to be said.
const NOTHING: u32 = u32::MAX;

/// The last stream that was looked at, once it is to be told.
#[derive(Clone, Debug)]
pub(super) struct Last(Arc<AtomicU32>);

impl Default for Last {
    fn default() -> Self {
        Last(Arc::new(AtomicU32::new(NOTHING)))
    }
}

impl Last {
    /// Tells the client before the next frame.
    pub(super) fn say(&self, stream: u32) {
        self.0.store(stream, Ordering::Relaxed);
    }
}

/// A connection that begins with bytes that were read already.
#[derive(Debug)]
pub(super) struct Goodbye<IO> {
    io: IO,
    begun: Vec<u8>,
    last: Last,
    reason: Reason,
    said: bool,
    /// The rest of a `GOAWAY`.
    own: Vec<u8>,
    /// The head of the frame that is being written, as far as it is known.
    head: Vec<u8>,
    /// What is missing of its payload.
    payload: usize,
}

impl<IO> Goodbye<IO> {
    pub(super) fn new(io: IO, begun: Vec<u8>, last: Last, reason: Reason) -> Self {
        Goodbye {
            io,
            begun,
            last,
            reason,
            said: false,
            own: Vec::new(),
            head: Vec::new(),
            payload: 0,
        }
    }

    /// Follows the frames of bytes that were written.
    fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.payload > 0 {
                let part = self.payload.min(bytes.len());
                self.payload -= part;
                bytes = &bytes[part..];
                continue;
            }
            let part = (FRAME_HEAD - self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..part]);
            bytes = &bytes[part..];
            if self.head.len() == FRAME_HEAD {
                let length = [0, self.head[0], self.head[1], self.head[2]];
                self.payload = u32::from_be_bytes(length) as usize;
                self.head.clear();
            }
        }
    }

    fn is_between_frames(&self) -> bool {
        self.head.is_empty() && self.payload == 0
    }
}

impl<IO: AsyncWrite + Unpin> Goodbye<IO> {
    /// Writes the `GOAWAY` when it is due.
    fn poll_own(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let last = self.last.0.load(Ordering::Relaxed);
        if last != NOTHING && !self.said && self.is_between_frames() {
            self.said = true;
            // Length 8, type 7, no flags, stream 0; the last stream; why.
            self.own = [
                &[0, 0, 8, 7, 0, 0, 0, 0, 0],
                &last.to_be_bytes()[..],
                &u32::from(self.reason).to_be_bytes(),
            ]
            .concat();
        }
        while !self.own.is_empty() {
            let n = ready!(Pin::new(&mut self.io).poll_write(cx, &self.own))?;
            self.own.drain(..n);
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Goodbye<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.begun.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buffer);
        }
        let n = self.begun.len().min(buffer.remaining());
        buffer.put_slice(&self.begun[..n]);
        self.begun.drain(..n);
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Goodbye<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_own(cx))?;
        let n = ready!(Pin::new(&mut self.io).poll_write(cx, bytes))?;
        self.follow(&bytes[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_own(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn the_word_comes_between_two_frames_and_once() {
        let frame = [0, 0, 3, 0, 0, 0, 0, 0, 1, b'a', b'b', b'c'];
        let last = Last::default();
        let reason = Reason::HTTP_1_1_REQUIRED;
        let mut goodbye = Goodbye::new(Vec::new(), Vec::new(), last.clone(), reason);
        goodbye.write_all(&frame[..10]).await.unwrap();
        last.say(5);
        goodbye.write_all(&frame[10..]).await.unwrap();
        goodbye.write_all(&frame).await.unwrap();
        goodbye.flush().await.unwrap();
        let own = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 13];
        assert_eq!(goodbye.io, [&frame[..], &own, &frame].concat());
    }
}
