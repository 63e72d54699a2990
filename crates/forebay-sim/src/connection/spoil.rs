//! Spoils a correct answer: its first bytes, its headers, its body.
//!
//! Owns the bytes that a correct server would not send. Never decides which answer they strike.

use std::io::Write as _;
use std::time::Duration;

use flate2::write::GzEncoder;
use flate2::{Compress, Compression, Crc, FlushCompress};

use crate::http::{Output, reason_phrase};
use crate::plan::Answer;
use crate::script::Spoil;

/// The spaces of each block of a bomb; a block is as many bytes as all of them compress to.
const BOMB_BLOCK: usize = 1 << 20;

/// RFC 1952: magic, deflate, no flags, no time, no extra flags, an unknown system.
const GZIP_HEAD: [u8; 10] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF];

/// RFC 1951: an empty last block with fixed codes.
const LAST_BLOCK: [u8; 2] = [3, 0];

/// Starts an answer's head as its spoil has it.
pub(super) fn start<'o>(output: &'o mut Output, answer: &Answer, wall: Duration) -> &'o mut Output {
    let status = answer.status;
    let reason = reason_phrase(status);
    let output = match &answer.spoil {
        Some(Spoil::Http10) => {
            output.start_with(format!("HTTP/1.0 {status} {reason}\r\n").as_bytes())
        }
        Some(Spoil::NoReason) => output.start_with(format!("HTTP/1.1 {status}\r\n").as_bytes()),
        Some(Spoil::Before(before)) => {
            let line = format!("HTTP/1.1 {status} {reason}\r\n");
            output.start_with(&[before, line.as_bytes()].concat())
        }
        _ if answer.has("date") => {
            return output.start_with(format!("HTTP/1.1 {status} {reason}\r\n").as_bytes());
        }
        _ => return output.start(status, wall),
    };
    output.date(wall)
}

/// Whether nothing but the connection's end tells where the body ends.
pub(super) fn ends_with_connection(answer: &Answer) -> bool {
    matches!(answer.spoil, Some(Spoil::Http10 | Spoil::ToClose))
}

/// Spoils an answer whose body is whole.
pub(super) fn spoil(answer: &mut Answer, body: &mut Vec<u8>) {
    let mut set = |name: &str, value: String| {
        let headers = &mut answer.headers;
        headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        headers.push((name.to_owned(), value));
    };
    match &answer.spoil {
        None => {}
        Some(Spoil::ContentType(kind)) => set("content-type", kind.clone()),
        Some(Spoil::Body {
            content_type,
            bytes,
        }) => {
            set("content-type", content_type.clone());
            body.clone_from(bytes);
        }
        Some(Spoil::Truncated(share)) => body.truncate(part(body.len(), *share)),
        Some(Spoil::Gzip(share)) => {
            set("content-encoding", "gzip".to_owned());
            *body = gzip(body);
            body.truncate(part(body.len(), *share));
        }
        Some(Spoil::GzipBomb(spaces)) => {
            set("content-encoding", "gzip".to_owned());
            *body = gzip_bomb(*spaces);
        }
        Some(Spoil::Length(by)) => {
            let length = body.len().saturating_add_signed(*by as isize);
            set("content-length", length.to_string());
        }
        Some(Spoil::BadChunk) => {
            set("transfer-encoding", "chunked".to_owned());
            let (first, second) = body.split_at(body.len() / 2);
            let mut chunks = format!("{:x}\r\n", first.len()).into_bytes();
            for bytes in [first, b"\r\nno-size\r\n", second, b"\r\n0\r\n\r\n"] {
                chunks.extend_from_slice(bytes);
            }
            *body = chunks;
        }
        Some(
            Spoil::ToClose
            | Spoil::Http10
            | Spoil::NoReason
            | Spoil::Before(_)
            | Spoil::RateHeaders(_)
            | Spoil::Streamed(_),
        ) => {}
    }
}

fn part(len: usize, share: f64) -> usize {
    (len as f64 * share) as usize
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to a Vec cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// One gzip member of so many spaces, in whole blocks.
///
/// A block ends at a byte and refers to nothing before it, so that the same bytes serve for all.
fn gzip_bomb(spaces: u64) -> Vec<u8> {
    let plain = vec![b' '; BOMB_BLOCK];
    let mut block = Vec::with_capacity(BOMB_BLOCK);
    let mut compress = Compress::new(Compression::best(), false);
    // The buffer is larger than any compressed form of the block.
    let _ = compress.compress_vec(&plain, &mut block, FlushCompress::Full);
    let mut block_sum = Crc::new();
    block_sum.update(&plain);
    let mut sum = Crc::new();
    let mut bomb = GZIP_HEAD.to_vec();
    for _ in 0..spaces.div_ceil(BOMB_BLOCK as u64) {
        bomb.extend_from_slice(&block);
        sum.combine(&block_sum);
    }
    bomb.extend_from_slice(&LAST_BLOCK);
    bomb.extend_from_slice(&sum.sum().to_le_bytes());
    bomb.extend_from_slice(&sum.amount().to_le_bytes());
    bomb
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_bomb_is_one_sound_member_of_so_many_spaces() {
        let spaces = 5 << 20;
        let bomb = gzip_bomb(spaces);
        assert!(bomb.len() < 10_000, "{}", bomb.len());
        let mut plain = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(&*bomb);
        decoder.read_to_end(&mut plain).unwrap();
        assert_eq!(plain.len() as u64, spaces);
        assert!(plain.iter().all(|byte| *byte == b' '));
    }
}
