//! JSON read forward, as long as it is as plain as most JSON is.
//!
//! Owns a reader that builds nothing and copies nothing. Never takes what `serde_json` would not
//! take: what is not plain gives `None`, and the caller reads the whole with `serde_json`, which
//! then says what it is or what is wrong with it.

use std::borrow::Cow;

/// The deepest nesting that is plain; deeper JSON is for others to judge.
const DEEP: usize = 32;
/// Digits of a number that certainly fits 64 bits.
const DIGITS: usize = 18;
/// Bytes that are looked at together in long stretches: two of the least vector registers.
const STRIDE: usize = 32;
/// A word of bytes that are all one.
const ONES: u64 = u64::from_ne_bytes([1; 8]);

/// How many bytes from the start stand for themselves in a JSON string: neither a quote, nor a
/// backslash, nor a control character.
pub(crate) fn plain_len(bytes: &[u8]) -> usize {
    let mut len = 0;
    // Names and short values end within the first words; the others have a long way to go.
    while let Some(word) = bytes[len..].first_chunk() {
        let special = special_in(u64::from_le_bytes(*word));
        if special != 0 {
            return len + special.trailing_zeros() as usize / 8;
        }
        len += word.len();
        if len % STRIDE == 0 {
            len += plain_strides(&bytes[len..]);
        }
    }
    let rest = &bytes[len..];
    let end = rest.iter().position(|byte| is_special(*byte));
    len + end.unwrap_or(rest.len())
}

/// The same in whole strides.
fn plain_strides(bytes: &[u8]) -> usize {
    let (strides, _) = bytes.as_chunks::<STRIDE>();
    let plain = strides.iter().take_while(|stride| {
        // In a form of which the compiler makes vectors.
        let special = |found, byte: &u8| {
            found | u8::from(*byte < b' ') | u8::from(*byte == b'"') | u8::from(*byte == b'\\')
        };
        stride.iter().fold(0, special) == 0
    });
    STRIDE * plain.count()
}

/// The highest bit of each special byte in a word; those above the lowest that is set are not to
/// be trusted, as the subtractions borrow.
fn special_in(word: u64) -> u64 {
    let high = ONES << 7;
    let quote = word ^ (ONES * u64::from(b'"'));
    let slash = word ^ (ONES * u64::from(b'\\'));
    let control = word.wrapping_sub(ONES * u64::from(b' ')) & !word;
    let quote = quote.wrapping_sub(ONES) & !quote;
    let slash = slash.wrapping_sub(ONES) & !slash;
    (control | quote | slash) & high
}

fn is_special(byte: u8) -> bool {
    (byte < b' ') | (byte == b'"') | (byte == b'\\')
}

/// A place in a JSON text.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    /// At the start of a text.
    pub(crate) fn new(text: &'a str) -> Scan<'a> {
        Scan { text, at: 0 }
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Goes over this byte, when it is the next one.
    pub(crate) fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Whether nothing but space is left.
    pub(crate) fn is_over(&mut self) -> bool {
        self.peek().is_none()
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.peek()?;
        self.text[self.at..]
            .starts_with(word)
            .then(|| self.at += word.len())
    }

    /// Goes over `null`.
    pub(crate) fn null(&mut self) -> Option<()> {
        self.word("null")
    }

    /// A boolean.
    pub(crate) fn boolean(&mut self) -> Option<bool> {
        match self.peek()? {
            b't' => self.word("true").map(|()| true),
            _ => self.word("false").map(|()| false),
        }
    }

    /// A string without escapes.
    pub(crate) fn plain(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let len = plain_len(&self.text.as_bytes()[self.at..]);
        let end = self.at + len;
        if self.text.as_bytes().get(end) != Some(&b'"') {
            return None;
        }
        let plain = self.text.get(self.at..end)?;
        self.at = end + 1;
        Some(plain)
    }

    /// A string, decoded.
    pub(crate) fn string(&mut self) -> Option<Cow<'a, str>> {
        self.peek()?;
        let start = self.at;
        if let Some(plain) = self.plain() {
            return Some(Cow::Borrowed(plain));
        }
        self.at = start;
        let written = self.over_string()?;
        serde_json::from_str(written).ok().map(Cow::Owned)
    }

    /// Goes over a string; its escapes are not looked at.
    fn over_string(&mut self) -> Option<&'a str> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        self.take(b'"')?;
        loop {
            self.at += plain_len(&bytes[self.at..]);
            match bytes.get(self.at)? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => return None,
            }
            if self.at > bytes.len() {
                return None;
            }
        }
        self.at += 1;
        self.text.get(start..self.at)
    }

    /// A number as it is written.
    pub(crate) fn number(&mut self) -> Option<&'a str> {
        self.peek()?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        if bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        let first = *bytes.get(self.at)?;
        let whole = self.digits()?;
        if first == b'0' && whole > 1 {
            return None;
        }
        if bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        // Exponents are for others.
        if matches!(bytes.get(self.at), Some(b'e' | b'E')) {
            return None;
        }
        self.text.get(start..self.at)
    }

    fn digits(&mut self) -> Option<usize> {
        let rest = &self.text.as_bytes()[self.at..];
        let n = rest
            .iter()
            .position(|byte| !byte.is_ascii_digit())
            .unwrap_or(rest.len());
        self.at += n;
        (n > 0).then_some(n)
    }

    /// A whole number from 0 on.
    pub(crate) fn count(&mut self) -> Option<u64> {
        let written = self.number()?;
        if written.len() > DIGITS {
            return None;
        }
        let mut count = 0;
        for byte in written.bytes() {
            if !byte.is_ascii_digit() {
                return None;
            }
            count = count * 10 + u64::from(byte - b'0');
        }
        Some(count)
    }

    /// Goes over an object; `see` gets each member's name and goes over its value.
    pub(crate) fn object(
        &mut self,
        see: impl FnMut(&mut Scan<'a>, &'a str) -> Option<()>,
    ) -> Option<()> {
        self.take(b'{')?;
        if self.take(b'}').is_some() {
            return Some(());
        }
        self.members(see)?;
        self.take(b'}')
    }

    /// Goes over the members of an object, at least one, up to what is no comma.
    pub(crate) fn members(
        &mut self,
        mut see: impl FnMut(&mut Scan<'a>, &'a str) -> Option<()>,
    ) -> Option<()> {
        loop {
            let name = self.plain()?;
            self.take(b':')?;
            see(self, name)?;
            if self.take(b',').is_none() {
                return Some(());
            }
        }
    }

    /// Goes over a list; `see` goes over each value.
    pub(crate) fn list(&mut self, mut see: impl FnMut(&mut Scan<'a>) -> Option<()>) -> Option<()> {
        self.take(b'[')?;
        if self.take(b']').is_some() {
            return Some(());
        }
        loop {
            see(self)?;
            if self.take(b',').is_none() {
                return self.take(b']');
            }
        }
    }

    /// Goes over any value.
    pub(crate) fn skip(&mut self) -> Option<()> {
        self.skip_within(DEEP)
    }

    fn skip_within(&mut self, deep: usize) -> Option<()> {
        let deep = deep.checked_sub(1)?;
        match self.peek()? {
            b'"' => self.plain().map(drop),
            b'{' => self.object(|scan, _| scan.skip_within(deep)),
            b'[' => self.list(|scan| scan.skip_within(deep)),
            b't' | b'f' => self.boolean().map(drop),
            b'n' => self.null(),
            _ => self.number().map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn skips(json: &str) -> bool {
        let mut scan = Scan::new(json);
        scan.skip().is_some() && scan.is_over()
    }

    #[test]
    fn plain_json_is_passed_over() {
        for json in [
            "null",
            " [ ] ",
            "{}",
            "-0.25",
            "0",
            "true",
            r#" {"a" : [1, "é", {"b":null}], "c": false } "#,
        ] {
            assert!(skips(json), "{json}");
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_others() {
        for json in [
            "",
            "nul",
            "01",
            "1.",
            "-",
            ".5",
            "1e3",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "[",
            "\"a",
            "\"\\n\"",
            "\"\n\"",
            "{\"a\":1,}",
            "+1",
            "tru",
            "1 2",
            "'a'",
        ] {
            assert!(!skips(json), "{json}");
        }
        assert!(!skips(&format!("{}1{}", "[".repeat(40), "]".repeat(40))));
    }

    #[test]
    fn strings_are_decoded() {
        let string = |json| Scan::new(json).string();
        assert_eq!(string("\"a b\"").as_deref(), Some("a b"));
        assert_eq!(string(r#" "a\n\"\u00e9\\""#).as_deref(), Some("a\n\"é\\"));
        for wrong in ["\"a\\", "\"a\\\"", "\"\\x\"", "\"a\nb\"", "a"] {
            assert_eq!(string(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn counts_are_whole_numbers() {
        for (json, count) in [("7", Some(7)), ("0", Some(0)), ("-1", None), ("1.5", None)] {
            assert_eq!(Scan::new(json).count(), count, "{json}");
        }
        assert_eq!(Scan::new("9999999999999999999").count(), None);
    }

    proptest! {
        /// Whatever is taken here is JSON.
        #[test]
        fn nothing_is_taken_that_is_not_json(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "{", "}", "[", "]", ",", ":", "\"a\"", "\"\\n\"", "1", "-", "0.5", "null", "true",
                " ", "é", "\"", "\\", "false",
            ]), 0..12),
        ) {
            let json = pieces.concat();
            if skips(&json) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{}", json);
            }
            if let Some(string) = Scan::new(&json).string() {
                let mut read = serde_json::Deserializer::from_str(&json).into_iter::<String>();
                prop_assert_eq!(read.next().unwrap().unwrap(), string);
            }
        }

        #[test]
        fn a_plain_stretch_ends_at_the_first_special_byte(text in "[a\"\\\\\n\u{1f}\u{7f}é]{0,100}") {
            let bytes = text.as_bytes();
            let len = plain_len(bytes);
            prop_assert!(bytes[..len].iter().all(|byte| !is_special(*byte)));
            prop_assert!(bytes.get(len).is_none_or(|byte| is_special(*byte)));
        }
    }
}
