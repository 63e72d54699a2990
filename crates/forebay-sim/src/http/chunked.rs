//! Decodes a chunked body.
//!
//! Owns the state between two reads. Never reads from the connection.

use httparse::Status;

/// The most bytes a chunk's size line or a trailer line may have.
const MAX_LINE: usize = 4096;

/// What the decoder expects next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Size,
    Data(usize),
    DataEnd,
    Trailer,
    Nothing,
}

/// A decoder for one body.
#[derive(Debug)]
pub(crate) struct Decoder {
    expect: Expect,
}

/// The body is not in chunked form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadChunk;

impl Decoder {
    pub(crate) fn new() -> Decoder {
        Decoder {
            expect: Expect::Size,
        }
    }

    /// Whether the whole body was decoded.
    pub(crate) fn is_done(&self) -> bool {
        self.expect == Expect::Nothing
    }

    /// Decodes what it can into `body` and returns how many bytes of `input` that took.
    pub(crate) fn decode(&mut self, input: &[u8], body: &mut Vec<u8>) -> Result<usize, BadChunk> {
        let mut taken = 0;
        loop {
            let rest = &input[taken..];
            let step = match self.expect {
                Expect::Size => self.size(rest)?,
                Expect::Data(left) => {
                    let part = &rest[..left.min(rest.len())];
                    body.extend_from_slice(part);
                    self.expect = match left - part.len() {
                        0 => Expect::DataEnd,
                        left => Expect::Data(left),
                    };
                    part.len()
                }
                Expect::DataEnd => self
                    .line(rest, Expect::Size)?
                    .map_or(Ok(0), |line| if line == 2 { Ok(2) } else { Err(BadChunk) })?,
                Expect::Trailer => self.trailer(rest)?,
                Expect::Nothing => 0,
            };
            if step == 0 {
                return Ok(taken);
            }
            taken += step;
        }
    }

    fn size(&mut self, rest: &[u8]) -> Result<usize, BadChunk> {
        match httparse::parse_chunk_size(rest) {
            Ok(Status::Complete((line, size))) => {
                let size = usize::try_from(size).map_err(|_| BadChunk)?;
                self.expect = match size {
                    0 => Expect::Trailer,
                    size => Expect::Data(size),
                };
                Ok(line)
            }
            Ok(Status::Partial) if rest.len() <= MAX_LINE => Ok(0),
            Ok(Status::Partial) | Err(_) => Err(BadChunk),
        }
    }

    /// Takes trailer lines up to the empty one.
    fn trailer(&mut self, rest: &[u8]) -> Result<usize, BadChunk> {
        let line = self.line(rest, Expect::Trailer)?;
        if line == Some(2) {
            self.expect = Expect::Nothing;
        }
        Ok(line.unwrap_or(0))
    }

    /// Takes one line, its end included, and then expects `next`.
    fn line(&mut self, rest: &[u8], next: Expect) -> Result<Option<usize>, BadChunk> {
        let found = rest.windows(2).position(|pair| pair == b"\r\n");
        if found.is_some() {
            self.expect = next;
        } else if rest.len() > MAX_LINE {
            return Err(BadChunk);
        }
        Ok(found.map(|at| at + 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] = b"5;ext=1\r\nhello\r\n7\r\n, world\r\n0\r\ntrailer: x\r\n\r\nGET";

    #[test]
    fn decodes_however_the_bytes_are_split() {
        for step in 1..WHOLE.len() {
            let (mut decoder, mut body) = (Decoder::new(), Vec::new());
            let (mut at, mut seen) = (0, 0);
            while !decoder.is_done() {
                seen = (seen + step).min(WHOLE.len());
                at += decoder.decode(&WHOLE[at..seen], &mut body).unwrap();
            }
            assert_eq!(body, b"hello, world", "in steps of {step}");
            assert_eq!(&WHOLE[at..], b"GET");
        }
    }

    #[test]
    fn nonsense_is_bad() {
        let decode = |bytes: &[u8]| Decoder::new().decode(bytes, &mut Vec::new());
        assert_eq!(decode(b"zz\r\n"), Err(BadChunk));
        assert_eq!(decode(b"1\r\nab\r\n"), Err(BadChunk));
    }
}
