//! Bytes in, records out.

use super::*;
use proptest::prelude::*;

/// Gives out at most a few bytes at a time.
struct Drip<'a>(&'a [u8], usize);

impl Read for Drip<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.1.min(self.0.len()).min(out.len());
        out[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

type Cuts = Vec<(u64, Result<String, Unfit>)>;

fn cuts(bytes: &[u8], shape: Shape, drip: usize, max_line: usize) -> Cuts {
    let mut splitter = Splitter::new(Drip(bytes, drip), shape);
    splitter.max_line = max_line;
    let mut cuts = Vec::new();
    while let Some(piece) = splitter.next().unwrap() {
        let text = piece
            .bytes
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        cuts.push((piece.line, text));
    }
    cuts
}

fn ok(line: u64, text: &str) -> (u64, Result<String, Unfit>) {
    (line, Ok(text.to_owned()))
}

const CSV: Shape = Shape::Csv { delimiter: b',' };

#[test]
fn lines_lose_their_ends_blanks_and_the_mark() {
    for drip in [1, 2, 3, 1000] {
        let text = b"\xef\xbb\xbfone\r\n\n  \t\r\n two \n\nthree";
        let wanted = [ok(1, "one"), ok(4, " two "), ok(6, "three")];
        assert_eq!(cuts(text, Shape::Lines, drip, MAX_LINE), wanted);
        assert_eq!(
            cuts(b"\xef\xbb", Shape::Lines, drip, MAX_LINE),
            [ok(1, "\u{fffd}")]
        );
        assert_eq!(cuts(b"", Shape::Lines, drip, MAX_LINE), []);
        assert_eq!(cuts(b"\n\r\n", Shape::Lines, drip, MAX_LINE), []);
    }
}

#[test]
fn a_line_that_is_too_long_is_skipped() {
    for drip in [1, 7, 1000] {
        let text = b"12345678\n123456789\n1\n123456789012345678901234567890\n2\nabcdefghijkl";
        assert_eq!(
            cuts(text, Shape::Lines, drip, 8),
            [
                ok(1, "12345678"),
                (2, Err(Unfit::TooLong)),
                ok(3, "1"),
                (4, Err(Unfit::TooLong)),
                ok(5, "2"),
                (6, Err(Unfit::TooLong)),
            ]
        );
    }
}

#[test]
fn a_very_long_line_does_not_fill_the_memory() {
    let input = io::repeat(b'x')
        .take(3 * MAX_LINE as u64)
        .chain(&b"\nend\n"[..]);
    let mut splitter = Splitter::new(input, Shape::Lines);
    let piece = splitter.next().unwrap().unwrap();
    assert_eq!(piece.bytes, Err(Unfit::TooLong));
    assert_eq!(splitter.next().unwrap().unwrap().bytes, Ok(&b"end"[..]));
    assert!(splitter.next().unwrap().is_none());
    assert!(splitter.buffer.len() <= MAX_LINE + CHUNK);
}

#[test]
fn csv_records_end_outside_quotes() {
    for drip in [1, 2, 1000] {
        let text = b"a,\"b\nc\"\"\n\",d\r\n\r\ne\"f,g\nh\ri";
        assert_eq!(
            cuts(text, CSV, drip, MAX_LINE),
            [
                ok(1, "a,\"b\nc\"\"\n\",d"),
                ok(5, "e\"f,g"),
                ok(6, "h"),
                ok(7, "i"),
            ]
        );
    }
}

#[test]
fn a_quote_left_open_is_told() {
    assert_eq!(
        cuts(b"a\nb,\"c\nd\n", CSV, 1000, MAX_LINE),
        [ok(1, "a"), (2, Err(Unfit::OpenQuote))]
    );
    for drip in [1, 1000] {
        assert_eq!(
            cuts(b"a\nb,\"cccc\ndddd\neeee\",\"\n\nf\"\ng", CSV, drip, 8),
            [ok(1, "a"), (2, Err(Unfit::TooLong)), ok(7, "g")],
        );
    }
}

proptest! {
    #[test]
    fn the_size_of_reads_makes_no_difference(
        bytes in proptest::collection::vec(
            prop_oneof![Just(b'"'), Just(b','), Just(b'\n'), Just(b'\r'), Just(b'a'), any::<u8>()],
            0..60,
        ),
        drip in 1usize..9,
        csv: bool,
    ) {
        let shape = if csv { CSV } else { Shape::Lines };
        prop_assert_eq!(cuts(&bytes, shape, drip, 20), cuts(&bytes, shape, 1000, 20));
    }

    #[test]
    fn lines_agree_with_the_standard_library(text in "[ab \r\n]{0,40}") {
        let wanted: Vec<String> = text
            .split('\n')
            .map(|line| line.strip_suffix('\r').unwrap_or(line).to_owned())
            .filter(|line| !line.trim().is_empty())
            .collect();
        let found: Vec<String> = cuts(text.as_bytes(), Shape::Lines, 1000, MAX_LINE)
            .into_iter()
            .map(|(_, text)| text.unwrap())
            .collect();
        prop_assert_eq!(found, wanted);
    }
}
