//! One CSV record is taken apart into cells.
//!
//! Owns unquoting. Never decides where a record ends; the splitter does that.

use memchr::memchr;

/// The cells of one record, in one buffer that is used again for the next record.
#[derive(Debug, Default)]
pub(super) struct Cells {
    text: String,
    /// Where each cell ends in `text`.
    ends: Vec<usize>,
}

impl Cells {
    /// Takes a record apart, replacing the cells of the one before.
    ///
    /// A quote counts only where a cell begins, and text after a closing quote belongs to the
    /// cell, as in the `csv` crate. The delimiter is an ASCII byte.
    pub(super) fn fill(&mut self, record: &str, delimiter: u8) {
        self.text.clear();
        self.ends.clear();
        let mut rest = record;
        loop {
            if let Some(quoted) = rest.strip_prefix('"') {
                rest = self.unquote(quoted);
            }
            match memchr(delimiter, rest.as_bytes()) {
                Some(at) => {
                    self.text.push_str(&rest[..at]);
                    self.ends.push(self.text.len());
                    rest = &rest[at + 1..];
                }
                None => {
                    self.text.push_str(rest);
                    self.ends.push(self.text.len());
                    return;
                }
            }
        }
    }

    /// Copies up to the closing quote and returns what follows it.
    fn unquote<'a>(&mut self, mut rest: &'a str) -> &'a str {
        while let Some(at) = memchr(b'"', rest.as_bytes()) {
            self.text.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            match rest.strip_prefix('"') {
                Some(more) => {
                    self.text.push('"');
                    rest = more;
                }
                None => return rest,
            }
        }
        self.text.push_str(rest);
        ""
    }

    /// The number of cells.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// A cell by its place, from 0.
    pub(super) fn get(&self, n: usize) -> Option<&str> {
        let end = *self.ends.get(n)?;
        let start = if n == 0 { 0 } else { self.ends[n - 1] };
        Some(&self.text[start..end])
    }

    /// The cells in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|n| self.get(n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::split::{Shape, Splitter};
    use proptest::prelude::*;

    fn cells(record: &str) -> Vec<String> {
        let mut cells = Cells::default();
        cells.fill("old,ones", b',');
        cells.fill(record, b',');
        cells.iter().map(str::to_owned).collect()
    }

    #[test]
    fn cells_are_unquoted() {
        assert_eq!(cells("a,b"), ["a", "b"]);
        assert_eq!(cells("a,"), ["a", ""]);
        assert_eq!(cells(",\"\","), ["", "", ""]);
        assert_eq!(cells("\"a,\"\"b\"\"\nc\",d"), ["a,\"b\"\nc", "d"]);
        assert_eq!(cells("a\"b\", \"c\""), ["a\"b\"", " \"c\""]);
        assert_eq!(cells("\"a\"b\"c,d"), ["ab\"c", "d"]);
    }

    /// Records by the splitter and `Cells`; without the last when a quote is left open.
    fn ours(text: &str) -> Vec<Vec<String>> {
        let mut splitter = Splitter::new(text.as_bytes(), Shape::Csv { delimiter: b',' });
        let mut records = Vec::new();
        while let Some(piece) = splitter.next().unwrap() {
            if let Ok(bytes) = piece.bytes {
                records.push(cells(std::str::from_utf8(bytes).unwrap()));
            }
        }
        records
    }

    fn theirs(text: &str) -> Vec<Vec<String>> {
        csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(text.as_bytes())
            .records()
            .map(|record| record.unwrap().iter().map(str::to_owned).collect())
            .collect()
    }

    proptest! {
        #[test]
        fn records_and_cells_agree_with_the_csv_crate(text in "[\",\n\raé]{0,40}") {
            let ours = ours(&text);
            let theirs = theirs(&text);
            // Only a record with an open quote may be missing, and only at the end.
            prop_assert!(ours.len() == theirs.len() || ours.len() + 1 == theirs.len());
            prop_assert_eq!(&ours[..], &theirs[..ours.len()]);
        }
    }
}
