//! Answers that never end.
//!
//! Owns their bytes. Never keeps more of them than one piece.

use tokio::io::{AsyncRead, AsyncWrite};

use super::wire::Wire;
use super::{Connection, Flow};
use crate::log::DropReason;
use crate::script::{Endless, Shape};
use crate::ticket::Ticket;

/// The bytes written at a time: a socket buffer's usual order.
const PIECE: usize = 64 * 1024;

/// Where even an endless answer ends, so that a client without any limit ends too: 1 GiB.
const END: usize = 1 << 30;

impl<'s, IO> Connection<'s, IO>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// Writes for as long as the client reads, and ends the answer after a GiB.
    pub(super) async fn endless(&mut self, mut ticket: Ticket<'s>, endless: Endless) -> Flow {
        let sent = self.pour(endless).await;
        ticket.settle(self.shared.since_start());
        match sent {
            Ok(()) => ticket.answered(200),
            Err(reason) => ticket.dropped(reason),
        }
        Flow::Close
    }

    async fn pour(&mut self, endless: Endless) -> Result<(), DropReason> {
        let (kind, first, filler, chunked) = match endless {
            Endless::Body => ("application/json", "{\"id\":\"", "a", true),
            Endless::Line => ("text/event-stream", "data: {\"id\":\"", "a", true),
            Endless::Headers => (
                "application/json",
                "",
                "x-filler: aaaaaaaaaaaaaaaaaaaa\r\n",
                false,
            ),
        };
        let shape = Shape::default();
        let mut wire = Wire::new(&mut self.input, &mut self.io, &shape);
        let wall = self.shared.wall(self.shared.since_start());
        let output = self
            .output
            .start(200, wall)
            .header_text("content-type", kind);
        if chunked {
            output.header_text("transfer-encoding", "chunked").body(b"");
        }
        wire.send(output.bytes()).await?;
        if chunked {
            wire.frame(first.as_bytes(), true).await?;
        }
        let piece = filler.repeat(PIECE / filler.len());
        let mut left = END / piece.len();
        while left > 0 {
            match chunked {
                true => wire.frame(piece.as_bytes(), true).await?,
                false => wire.send(piece.as_bytes()).await?,
            }
            left -= 1;
        }
        let end: &[u8] = match endless {
            Endless::Body => b"2\r\n\"}\r\n0\r\n\r\n",
            Endless::Line => b"4\r\n\"}\n\n\r\n0\r\n\r\n",
            Endless::Headers => b"content-length: 2\r\n\r\n{}",
        };
        wire.send(end).await
    }
}
