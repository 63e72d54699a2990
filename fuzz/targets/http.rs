//! What a connection brings: answers of HTTP/1.1, one after another.

use forebay::transport::{AnswerReader, Piece, Wrong};

/// What a reader makes of a connection's bytes.
#[derive(Debug, Default, PartialEq)]
struct Read {
    /// Status, length that the head tells, and body.
    answers: Vec<(u16, Option<u64>, Vec<u8>)>,
    wrong: Option<Wrong>,
    may_serve_again: bool,
}

/// Reads answers in pieces, of a size that the first byte tells.
///
/// The way in which bytes are cut makes no difference, no answer is made of more bytes than came,
/// and a body is as long as its head tells.
pub fn http_answer(input: &[u8]) {
    let Some((size, bytes)) = input.split_first() else {
        return;
    };
    let whole = read(bytes, bytes.len().max(1));
    assert_eq!(read(bytes, usize::from(*size).max(1)), whole);
    let total: usize = whole.answers.iter().map(|(_, _, body)| body.len()).sum();
    assert!(total <= bytes.len());
    for (status, length, body) in &whole.answers {
        assert!((200..1_000).contains(status), "{status} ends no exchange");
        if let Some(length) = length {
            assert_eq!(*length, body.len() as u64);
        }
    }
    if whole.may_serve_again {
        assert_eq!(whole.wrong, None);
    }
}

fn read(bytes: &[u8], size: usize) -> Read {
    let mut reader = AnswerReader::default();
    let mut read = Read::default();
    let mut under_way = None;
    for piece in bytes.chunks(size) {
        reader.push(piece);
        if let Err(wrong) = step(&mut reader, &mut read, &mut under_way) {
            read.wrong = Some(wrong);
            return read;
        }
    }
    read.may_serve_again = reader.is_between() && under_way.is_none();
    if reader.ended() {
        read.answers.extend(under_way);
    }
    assert!(
        !reader.is_between(),
        "a connection that has ended serves nobody"
    );
    read
}

fn step(
    reader: &mut AnswerReader,
    read: &mut Read,
    under_way: &mut Option<(u16, Option<u64>, Vec<u8>)>,
) -> Result<(), Wrong> {
    loop {
        let Some((_, _, body)) = under_way else {
            let Some(head) = reader.head()? else {
                return Ok(());
            };
            *under_way = Some((head.status.as_u16(), reader.rest(), Vec::new()));
            continue;
        };
        match reader.piece()? {
            Piece::Bytes(bytes) => body.extend_from_slice(&bytes),
            Piece::More => return Ok(()),
            Piece::End => read.answers.extend(under_way.take()),
        }
    }
}
