//! Lines of a journal, read as `docs/reference/journal.md` describes them.
//!
//! Owns the checksum and the members. Never interprets them; [`super::sessions`] does.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Opening of the checksum, the last member of each line.
const CHECKSUM: &[u8] = b",\"crc\":\"";

/// A record; which members are there depends on its kind.
#[derive(Debug, Deserialize)]
pub(super) struct Record<'a> {
    pub(super) t: &'a str,
    pub(super) v: Option<u32>,
    pub(super) k: Option<&'a str>,
    pub(super) b: Option<&'a str>,
    pub(super) i: Option<u64>,
    pub(super) n: Option<u32>,
    #[serde(borrow)]
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) ok: Option<bool>,
    pub(super) kind: Option<&'a str>,
    #[serde(default)]
    pub(super) billed: bool,
    pub(super) u: Option<[u64; 4]>,
    pub(super) c: Option<i64>,
    pub(super) was: Option<&'a str>,
    #[serde(default)]
    pub(super) copy: bool,
    #[serde(default)]
    pub(super) cached: bool,
    #[serde(default)]
    pub(super) along: bool,
    #[serde(default)]
    pub(super) split: bool,
    pub(super) total: Option<f64>,
    #[serde(borrow)]
    pub(super) row: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
}

/// The settings of a session that matter here.
#[derive(Debug, Deserialize)]
pub(super) struct SessionData<'a> {
    #[serde(borrow)]
    pub(super) endpoint: Option<Cow<'a, str>>,
}

/// The totals of a complete run.
#[derive(Debug, Deserialize)]
pub(super) struct FinishedData {
    pub(super) ok: Option<u64>,
}

/// Reads a line without its line end; `None` when it is torn or was changed.
pub(super) fn parse(line: &[u8]) -> Option<Record<'_>> {
    let digits = line.strip_suffix(b"\"}")?;
    let body = digits.len().checked_sub(8 + CHECKSUM.len())?;
    let (body, tail) = digits.split_at(body);
    let digits = std::str::from_utf8(tail.strip_prefix(CHECKSUM)?).ok()?;
    let wanted = u32::from_str_radix(digits, 16).ok()?;
    if crc32fast::hash(body) != wanted {
        return None;
    }
    serde_json::from_slice(line).ok()
}

#[cfg(test)]
mod tests {
    use super::parse;

    /// A line of a real journal.
    const LINE: &str = concat!(
        r#"{"t":"sent","at":1795253267.594,"k":"a464b6e16e40bcf2c7eb8959d9a2e8e3","#,
        r#""i":0,"n":1,"crc":"55b772d9"}"#
    );

    #[test]
    fn a_line_is_read_and_every_change_of_it_is_noticed() {
        let record = parse(LINE.as_bytes()).unwrap();
        assert_eq!((record.t, record.i, record.n), ("sent", Some(0), Some(1)));
        for at in 0..LINE.len() {
            let mut changed = LINE.as_bytes().to_vec();
            changed[at] ^= 1;
            assert!(parse(&changed).is_none(), "changed at {at}");
            assert!(parse(&LINE.as_bytes()[..at]).is_none(), "cut at {at}");
        }
    }
}
