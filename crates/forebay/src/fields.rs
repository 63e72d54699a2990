//! JSON objects as flat lists of members, without building trees.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{Deserialize, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One member of a JSON object: its name, decoded, and its value as written.
pub type Member<'a> = (Cow<'a, str>, &'a RawValue);

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
    fn strings_are_decoded_and_others_are_not() {
        let json = r#"{"a": "x\"y", "b": 3}"#;
        let members = members(json).unwrap();
        assert_eq!(as_str(members[0].1).as_deref(), Some("x\"y"));
        assert_eq!(as_str(members[1].1), None);
    }
}
