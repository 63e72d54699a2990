//! JSON objects as flat lists of members, without building trees.

use std::borrow::Cow;
use std::fmt;

use memchr::{memchr2, memchr2_iter};
use serde::Deserializer as _;
use serde::de::{Deserialize, MapAccess, Visitor};
use serde_json::value::RawValue;

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

/// Appends `text` as a JSON string, quotes included.
pub fn push_json_str(out: &mut Vec<u8>, text: &str) {
    // Writing a string into memory cannot fail.
    let _ = serde_json::to_writer(out, text);
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

    #[test]
    fn strings_are_decoded_and_others_are_not() {
        let json = r#"{"a": "x\"y", "b": 3}"#;
        let members = members(json).unwrap();
        assert_eq!(as_str(members[0].1).as_deref(), Some("x\"y"));
        assert_eq!(as_str(members[1].1), None);
    }
}
