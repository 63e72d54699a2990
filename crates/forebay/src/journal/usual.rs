//! Reads the two records that nearly all of a journal consists of, as this program writes them.
//!
//! Owns their form: which members there are, in which order, without space. Never judges: what
//! looks otherwise, if only by a member more, gives `None` and is read by the general parser.

use super::record::{Key, Record};
use crate::fields::as_text;

/// Digits of a number that certainly fits 64 bits.
const DIGITS: usize = 18;
/// Digits of a time that a 64-bit float holds exactly without its point.
const TIME_DIGITS: usize = 15;
/// Bytes of a word that are all one.
const ONES: u64 = u64::from_ne_bytes([1; 8]);

/// Reads what comes before the checksum of an attempt that begins, or of a row.
pub(super) fn read(body: &[u8]) -> Option<Record<'_>> {
    let mut rest = Rest(body);
    rest.over(b"{\"t\":\"")?;
    let is_done = match rest.over(b"sent\",\"at\":") {
        Some(()) => false,
        None => rest.over(b"done\",\"at\":").map(|()| true)?,
    };
    let at = rest.time()?;
    rest.over(b",\"k\":\"")?;
    let k = rest.key()?;
    rest.over(b"\",\"i\":")?;
    let i = rest.count()?;
    let record = Record {
        t: if is_done { "done" } else { "sent" },
        at: Some(at),
        k: Some(k),
        i: Some(i),
        ..Record::default()
    };
    match is_done {
        true => rest.done(record),
        false => rest.sent(record),
    }
}

/// What of a record was not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn sent(mut self, mut record: Record<'a>) -> Option<Record<'a>> {
        self.over(b",\"n\":")?;
        record.n = Some(self.count()?.try_into().ok()?);
        if self.over(b",\"w\":").is_some() {
            record.w = Some(self.count()?.try_into().ok()?);
        }
        self.0.is_empty().then_some(record)
    }

    /// The members of a row that succeeded at the first attempt, with or without a key of its own.
    fn done(mut self, mut record: Record<'a>) -> Option<Record<'a>> {
        self.over(b",\"ok\":true,\"f\":")?;
        record.ok = Some(true);
        record.f = Some(self.count()?.try_into().ok()?);
        if self.over(b",\"id\":\"").is_some() {
            record.id = Some(self.text()?.into());
        }
        if self.over(b",\"u\":[").is_some() {
            let mut tokens = [self.count()?, 0, 0, 0];
            for tokens in &mut tokens[1..] {
                self.over(b",")?;
                *tokens = self.count()?;
            }
            self.over(b"]")?;
            record.u = Some(tokens);
        }
        if self.over(b",\"c\":").is_some() {
            record.c = Some(self.count()?.try_into().ok()?);
        }
        self.over(b",\"row\":")?;
        let row = as_text(self.0)?;
        record.row = Some(row);
        (row.starts_with('{') && row.ends_with('}')).then_some(record)
    }

    /// Goes over these bytes, when they are the next ones.
    #[inline]
    fn over<const N: usize>(&mut self, bytes: &[u8; N]) -> Option<()> {
        let (next, rest) = self.0.split_first_chunk()?;
        (next == bytes).then(|| self.0 = rest)
    }

    /// A whole number without zeros before it.
    fn count(&mut self) -> Option<u64> {
        let (number, digits) = digits(self.0, 0);
        let has_zero = digits > 1 && self.0[0] == b'0';
        if digits == 0 || digits > DIGITS || has_zero {
            return None;
        }
        self.0 = &self.0[digits..];
        Some(number)
    }

    /// A time in seconds with three digits behind the point.
    fn time(&mut self) -> Option<f64> {
        let (whole, before) = digits(self.0, 0);
        let rest = self.0.get(before..)?.strip_prefix(b".")?;
        let (number, behind) = digits(rest, whole);
        let has_zero = before > 1 && self.0[0] == b'0';
        if before == 0 || behind != 3 || before + behind > TIME_DIGITS || has_zero {
            return None;
        }
        self.0 = &rest[behind..];
        // The quotient of two numbers that are exact is the float next to what is written.
        Some(number as f64 / 1e3)
    }

    /// A key up to its closing quote.
    fn key(&mut self) -> Option<Key> {
        let (digits, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        key(digits)
    }

    /// A string without escapes, and its closing quote.
    fn text(&mut self) -> Option<&'a str> {
        let len = crate::scan::plain_len(self.0);
        let text = as_text(&self.0[..len])?;
        self.0 = self.0[len..].strip_prefix(b"\"")?;
        Some(text)
    }
}

/// The number that the digits at the start say, with others before them, and how many there are;
/// it is only right when these are few.
fn digits(bytes: &[u8], before: u64) -> (u64, usize) {
    let mut number = before;
    for (n, byte) in bytes.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit >= 10 {
            return (number, n);
        }
        number = number.wrapping_mul(10).wrapping_add(digit.into());
    }
    (number, bytes.len())
}

/// The key that these digits say, as they are written.
pub(super) fn key(digits: &[u8; 32]) -> Option<Key> {
    let (words, _) = digits.as_chunks::<8>();
    let number = words.iter().try_fold(0, |number, word| {
        Some(number << 32 | u128::from(hex(*word)?))
    });
    number.map(Key)
}

/// The number that eight hexadecimal digits say, as they are written: a sign or a capital is a
/// change too.
pub(super) fn hex(digits: [u8; 8]) -> Option<u32> {
    let word = u64::from_le_bytes(digits);
    // 1 for letters, whose low bits count from 1.
    let letter = (word >> 6) & ONES;
    let values = (word & (ONES * 0xf)) + letter * 9;
    // What is no digit gives another value, or is written otherwise.
    let is_ten = (values + ONES * 6) >> 4 & ONES;
    let written = values + ONES * u64::from(b'0') + letter * u64::from(b'a' - b'0' - 10);
    if values & (ONES * 0xf0) != 0 || is_ten != letter || written != word {
        return None;
    }
    let pairs = (values << 4 | values >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs << 8 | pairs >> 16) & 0x0000_ffff_0000_ffff;
    Some((fours << 16 | fours >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_that_is_no_digit_is_noticed() {
        for at in 0..8 {
            for byte in 0..=u8::MAX {
                let mut digits = *b"01289abf";
                digits[at] = byte;
                let text = std::str::from_utf8(&digits).unwrap_or("none");
                let is_capital = byte.is_ascii_uppercase() || byte == b'+';
                let wanted = u32::from_str_radix(text, 16).ok().filter(|_| !is_capital);
                assert_eq!(hex(digits), wanted, "{byte} at {at}");
            }
        }
        assert_eq!(key(b"0123456789abcdef0f1e2d3c4b5a6978").unwrap().0, {
            0x0123_4567_89ab_cdef_0f1e_2d3c_4b5a_6978
        });
    }

    /// Lines as rows and attempts leave them, and such as hardly differ from them.
    fn similar() -> Vec<String> {
        let heads = [
            r#"{"t":"sent","at":1790000000.123,"k":"KEY","i":12,"n":1"#,
            r#"{"t":"sent","at":1790000000.123,"k":"KEY","i":12,"n":1,"w":77"#,
            r#"{"t":"done","at":1790000000.123,"k":"KEY","i":0,"ok":true,"f":4294967295,"u":[6,1,0,0],"c":15,"row":{"a":"é"}"#,
            r#"{"t":"done","at":1790000000.123,"k":"KEY","i":1,"ok":true,"f":1,"id":"x é","row":{"a":"}"}"#,
            r#"{"t":"done","at":1790000000.123,"k":"KEY","i":1,"ok":true,"f":1,"id":"\"","u":[6,1,0,0],"row":{}"#,
            r#"{"t":"done","at":1790000000.123,"k":"KEY","i":2,"ok":false,"f":1,"kind":"auth","row":{}"#,
            r#"{"t":"done","at":1790000000.123,"k":"KEY","i":2,"ok":true,"copy":true,"f":1,"row":{}"#,
            r#"{"t":"done","at":1790000000.123,"k":"KEY","i":2,"ok":true,"f":1,"u":[1,2,3,4],"c":-5,"row":{}"#,
            r#"{"t":"sent","at":1790000000.123,"k":"KEY","i":12,"n":1,"along":true"#,
        ];
        let key = "0123456789abcdef0f1e2d3c4b5a6978";
        let heads = heads.map(|head| head.replace("KEY", key));
        let changes = [
            (".123", ".1234"),
            (".123", ""),
            ("17900", "0"),
            ("17900", "-17900"),
            ("0123", "012"),
            ("0123", "012g"),
            ("\"i\":1", "\"i\":01"),
            ("\"i\":1", "\"i\":+1"),
            ("\"i\":1", "\"i\":1234567890123456789"),
            ("\"f\":1", "\"f\":4294967296"),
            ("\"f\":", "\"f\": "),
            ("[6,1,0,0]", "[6,1,0]"),
            ("[6,1,0,0]", "[6,1,0,0,0]"),
            ("[6,1,0,0]", "null"),
            ("\"row\":{}", "\"row\":[]"),
            ("\"row\":{}", "\"row\":{"),
            ("\"n\":1", "\"n\":4294967296"),
            ("\"n\":1", "\"n\":1 "),
            ("\"t\"", "\"T\""),
        ];
        let changed = heads
            .iter()
            .flat_map(|head| changes.map(|(from, to)| head.replacen(from, to, 1)));
        heads.iter().cloned().chain(changed).collect()
    }

    #[test]
    fn what_is_read_by_position_is_what_is_written() {
        let (lines, mut usual_ones) = (similar(), 0);
        for line in lines {
            let whole = format!("{line}}}");
            let Some(found) = read(line.as_bytes()) else {
                continue;
            };
            usual_ones += 1;
            let wanted: Record<'_> = serde_json::from_str(&whole).expect(&whole);
            assert_eq!(format!("{found:?}"), format!("{wanted:?}"), "{whole}");
        }
        assert!(usual_ones > 30, "{usual_ones}");
        for line in similar().iter().take(4) {
            assert!(read(line.as_bytes()).is_some(), "{line}");
        }
        let broken = [similar()[3].as_bytes(), b"\xff}"].concat();
        assert!(read(&broken).is_none());
    }
}
