//! The body of an answer, piece by piece.

use bytes::{Bytes, BytesMut};
use memchr::memchr;

use super::Wrong;

/// The longest line between chunks, and the most that all trailers may have: as much as hyper
/// takes.
const MAX_LINE: usize = 16 << 10;

/// A body as far as it was read.
#[derive(Debug, Default)]
pub(super) enum Body {
    /// None is under way.
    #[default]
    Over,
    /// So many bytes are left.
    Sized(u64),
    Chunked(Chunks),
    /// It ends with the connection.
    ToClose,
}

/// Where a body of chunks was read to.
#[derive(Debug)]
pub(super) enum Chunks {
    /// Before a chunk's size.
    Size,
    /// Inside of a chunk: so many bytes are left.
    Data(u64),
    /// Before the line end that follows a chunk.
    DataEnd,
    /// After the last chunk: so many bytes of trailers were read.
    Trailers(usize),
}

/// What a body brings next.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Some of it.
    Bytes(Bytes),
    /// Nothing, until more bytes have arrived.
    More,
    /// The end.
    End,
}

impl Body {
    pub(super) fn chunked() -> Body {
        Body::Chunked(Chunks::Size)
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self, Body::Over)
    }

    pub(super) fn rest(&self) -> Option<u64> {
        match self {
            Body::Over => Some(0),
            Body::Sized(left) => Some(*left),
            Body::Chunked(_) | Body::ToClose => None,
        }
    }

    /// The connection has ended; `true` when that is how this body ends.
    pub(super) fn ended(&mut self) -> bool {
        let is_end = matches!(self, Body::Over | Body::ToClose);
        *self = Body::Over;
        is_end
    }

    pub(super) fn piece(&mut self, buffer: &mut BytesMut) -> Result<Piece, Wrong> {
        let piece = match self {
            Body::Over => return Ok(Piece::End),
            Body::Sized(left) => {
                let piece = take(buffer, left);
                if *left == 0 {
                    *self = Body::Over;
                }
                piece
            }
            Body::ToClose => {
                let mut endless = u64::MAX;
                take(buffer, &mut endless)
            }
            Body::Chunked(chunks) => match chunks.piece(buffer) {
                Ok(Piece::End) => {
                    *self = Body::Over;
                    Piece::End
                }
                other => return other,
            },
        };
        Ok(piece)
    }
}

/// Takes what is there of so many bytes.
fn take(buffer: &mut BytesMut, left: &mut u64) -> Piece {
    if buffer.is_empty() {
        return Piece::More;
    }
    let n = usize::try_from(*left).map_or(buffer.len(), |left| left.min(buffer.len()));
    *left -= n as u64;
    Piece::Bytes(buffer.split_to(n).freeze())
}

impl Chunks {
    fn piece(&mut self, buffer: &mut BytesMut) -> Result<Piece, Wrong> {
        loop {
            match self {
                Chunks::Size => {
                    let Some(line) = line(buffer)? else {
                        return Ok(Piece::More);
                    };
                    *self = match size(&line)? {
                        0 => Chunks::Trailers(0),
                        size => Chunks::Data(size),
                    };
                }
                Chunks::Data(left) => {
                    let piece = take(buffer, left);
                    if *left == 0 {
                        *self = Chunks::DataEnd;
                    }
                    return Ok(piece);
                }
                Chunks::DataEnd => match buffer.first_chunk() {
                    Some(b"\r\n") => {
                        let _ = buffer.split_to(2);
                        *self = Chunks::Size;
                    }
                    None if b"\r\n".starts_with(buffer) => return Ok(Piece::More),
                    Some(_) | None => return Err("Invalid chunk body CRLF"),
                },
                Chunks::Trailers(read) => {
                    let Some(line) = line(buffer)? else {
                        return Ok(Piece::More);
                    };
                    if line.is_empty() {
                        return Ok(Piece::End);
                    }
                    *read += line.len();
                    if *read > MAX_LINE {
                        return Err("chunk trailers bytes over limit");
                    }
                }
            }
        }
    }
}

/// Takes a line off the front, without its end; `None` when it is not whole.
fn line(buffer: &mut BytesMut) -> Result<Option<BytesMut>, Wrong> {
    let end = memchr(b'\n', buffer);
    if end.unwrap_or(buffer.len()) > MAX_LINE {
        return Err("a line between chunks is too long");
    }
    let Some(end) = end else { return Ok(None) };
    let mut line = buffer.split_to(end + 1);
    match line.strip_suffix(b"\r\n").map(<[u8]>::len) {
        Some(len) => line.truncate(len),
        None => return Err("Invalid chunk size LF"),
    }
    Ok(Some(line))
}

/// The size that a line before a chunk says; what follows a semicolon is an extension.
fn size(line: &[u8]) -> Result<u64, Wrong> {
    const WRONG: Wrong = "Invalid chunk size line";
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let digits = digits.trim_ascii_end();
    // Sixteen digits are 64 bits.
    if digits.is_empty() || digits.len() > 16 {
        return Err(WRONG);
    }
    let mut size = 0u64;
    for byte in digits {
        let digit = char::from(*byte).to_digit(16).ok_or(WRONG)?;
        size = size << 4 | u64::from(digit);
    }
    Ok(size)
}
