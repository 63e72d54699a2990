//! JSON objects as flat lists of members, without building trees.

use std::borrow::Cow;
use std::fmt;

use memchr::{memchr2, memchr2_iter};
use serde::Deserializer as _;
use serde::de::{Deserialize, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::scan::plain_len;

/// One member of a JSON object: its name, decoded, and its value as written.
pub type Member<'a> = (Cow<'a, str>, &'a RawValue);

/// The deepest nesting of arrays and objects that is taken from outside.
///
/// `serde_json` reads 127 levels and Python's reader about 1,000; what is only passed on would
/// otherwise come out in rows that nobody can read. A row and a journal add a few levels of their
/// own.
pub const MAX_DEPTH: usize = 100;

/// What is said of a value that is nested deeper than [`MAX_DEPTH`].
pub const TOO_DEEP: &str = "nested more than 100 levels deep";

/// Whether arrays and objects are nested deeper than [`MAX_DEPTH`]; brackets in strings do not
/// count.
pub fn is_too_deep(json: &[u8]) -> bool {
    // Most texts have fewer brackets than that altogether.
    memchr2_iter(b'[', b'{', json).nth(MAX_DEPTH).is_some() && depth(json) > MAX_DEPTH
}

fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut at) = (0usize, 0, 0);
    while let Some(byte) = json.get(at) {
        at += 1;
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => at += string_len(&json[at..]),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// The length of a string whose opening quote was read, with its closing quote.
fn string_len(rest: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr2(b'"', b'\\', &rest[at..]) {
        at += found + 1;
        match rest[at - 1] {
            b'"' => return at,
            // The escaped character; the text may end before it.
            _ => at = rest.len().min(at + 1),
        }
    }
    rest.len()
}

/// The members of a JSON object in the order they are written.
///
/// # Errors
/// When the text is not exactly one JSON object.
pub fn members(json: &str) -> Result<Vec<Member<'_>>, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let members = reader.deserialize_map(Members)?;
    reader.end()?;
    Ok(members)
}

/// Decodes a JSON string value; `None` when the value is of another type.
pub fn as_str(value: &RawValue) -> Option<Cow<'_, str>> {
    if !value.get().starts_with('"') {
        return None;
    }
    serde_json::from_str::<Text<'_>>(value.get())
        .ok()
        .map(|text| text.0)
}

/// Bytes as text, when they are UTF-8.
pub(crate) fn as_text(bytes: &[u8]) -> Option<&str> {
    simdutf8::basic::from_utf8(bytes).ok()
}

/// Appends `text` as a JSON string, quotes included.
pub fn push_json_str(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, after) = rest.split_at(plain_len(rest));
        out.extend_from_slice(plain);
        let Some((special, after)) = after.split_first() else {
            break;
        };
        push_escaped(out, *special);
        rest = after;
    }
    out.push(b'"');
}

/// Appends a byte that does not stand for itself in a JSON string.
fn push_escaped(out: &mut Vec<u8>, byte: u8) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            out.extend_from_slice(b"\\u00");
            push_hex(out, u128::from(byte), 2);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}

/// Appends the lowest `digits` hexadecimal digits of a number, at most 32.
pub fn push_hex(out: &mut Vec<u8>, number: u128, digits: usize) {
    if digits == 8 {
        return out.extend_from_slice(&eight_hex(number as u32));
    }
    let mut written = [0; 32];
    for (at, part) in [96, 64, 32, 0].into_iter().enumerate() {
        written[8 * at..8 * at + 8].copy_from_slice(&eight_hex((number >> part) as u32));
    }
    out.extend_from_slice(&written[written.len() - digits..]);
}

/// Eight hexadecimal digits, all at once: each byte of a word takes one.
fn eight_hex(number: u32) -> [u8; 8] {
    let each = |byte: u8| u64::from_ne_bytes([byte; 8]);
    let word = u64::from(number);
    let word = (word & 0xffff_0000) << 16 | word & 0xffff;
    let word = (word & 0x0000_ff00_0000_ff00) << 8 | word & 0x0000_00ff_0000_00ff;
    let word = (word & 0x00f0_00f0_00f0_00f0) << 4 | word & 0x000f_000f_000f_000f;
    // 6 more than a digit that is a letter reach the upper half of the byte.
    let letters = (word + each(6)) >> 4 & each(1);
    let letter = u64::from(b'a' - b'0' - 10);
    (word + each(b'0') + letters * letter).to_be_bytes()
}

/// Appends a number in decimal digits.
pub fn push_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<Member<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(8);
        while let Some((Text(name), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            members.push((name, value));
        }
        Ok(members)
    }
}

/// A string that borrows from the input unless it holds escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow, deserialize_with = "borrowed")] Cow<'a, str>);

fn borrowed<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Cow<'de, str>, D::Error> {
    struct Borrow;
    impl<'de> Visitor<'de> for Borrow {
        type Value = Cow<'de, str>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }
        fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
            Ok(Cow::Borrowed(text))
        }
        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Cow::Owned(text.to_owned()))
        }
    }
    reader.deserialize_str(Borrow)
}

/// Decodes a JSON value into any type; shorthand for one member.
///
/// # Errors
/// When the value is of another type.
pub fn decode<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Result<T, serde_json::Error> {
    serde_json::from_str(value.get())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn members_keep_order_and_the_written_form() {
        let json = r#"{"b": 1.0e3, "a": {"x": [1]}, "c\n": "é"}"#;
        let members = members(json).unwrap();
        let shown: Vec<_> = members.iter().map(|(k, v)| (&**k, v.get())).collect();
        assert_eq!(
            shown,
            [("b", "1.0e3"), ("a", r#"{"x": [1]}"#), ("c\n", r#""é""#)]
        );
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for text in ["", "[1]", "{}x", "{\"a\":}", "\"s\"", "null"] {
            assert!(members(text).is_err(), "{text}");
        }
    }

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        let nested = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
        assert!(!is_too_deep(nested(MAX_DEPTH).as_bytes()));
        assert!(is_too_deep(nested(MAX_DEPTH + 1).as_bytes()));
        assert!(is_too_deep("{\"a\":".repeat(100_000).as_bytes()));
        let wide = format!("[{}[]]", "[],{},".repeat(1_000));
        assert!(!is_too_deep(wide.as_bytes()));
        let text = format!(
            r#"["\\\"{}", "{}", "\\"]"#,
            "[".repeat(500),
            "{".repeat(500)
        );
        assert!(!is_too_deep(text.as_bytes()), "{text}");
        let open = format!(r#"{}"\"#, "[".repeat(MAX_DEPTH));
        assert!(!is_too_deep(open.as_bytes()));
    }

    proptest! {
        #[test]
        fn strings_are_written_as_serde_json_does(text in "[\\x00-\\x7fé\u{1F600}]{0,80}") {
            let mut out = Vec::new();
            push_json_str(&mut out, &text);
            prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
        }

        #[test]
        fn numbers_are_written_as_they_are_printed(small in 0..1_000u64, any: u64, hex: u128) {
            let mut out = Vec::new();
            push_number(&mut out, small);
            out.push(b' ');
            push_number(&mut out, any);
            out.push(b' ');
            push_hex(&mut out, hex, 32);
            push_hex(&mut out, u128::from(any), 8);
            let low = any as u32;
            let printed = format!("{small} {any} {hex:032x}{low:08x}");
            prop_assert_eq!(String::from_utf8(out).unwrap(), printed);
        }
    }

    #[test]
    fn strings_are_decoded_and_others_are_not() {
        let json = r#"{"a": "x\"y", "b": 3}"#;
        let members = members(json).unwrap();
        assert_eq!(as_str(members[0].1).as_deref(), Some("x\"y"));
        assert_eq!(as_str(members[1].1), None);
    }
}
