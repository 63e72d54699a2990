//! Readers for JSON that may not be what it should be.
//!
//! Compatible servers leave members out, write `null`, numbers for strings and lists for texts.
//! These types take any JSON value and say what is useful in it, so that one odd member never
//! spoils an answer.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::fields;

/// The most tokens that are believed of one answer; far above any context window.
pub(super) const MAX_COUNT: u64 = 1_000_000_000_000;

/// Reads a value that is an object; a list would be taken for the object's members in order.
pub(super) fn object<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    let is_object = raw.get().starts_with('{');
    is_object.then(|| fields::decode(raw).ok()).flatten()
}

/// Any JSON value, of which only strings and numbers are kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Scalar<'a> {
    /// The member is missing or `null`.
    #[default]
    Absent,
    /// A string.
    Text(Cow<'a, str>),
    /// A number.
    Number(f64),
    /// Another value.
    Other,
}

impl<'a> Scalar<'a> {
    /// The string, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Scalar::Text(text) => Some(text),
            Scalar::Absent | Scalar::Number(_) | Scalar::Other => None,
        }
    }

    /// The string itself, if it is one.
    pub(super) fn into_text(self) -> Option<Cow<'a, str>> {
        match self {
            Scalar::Text(text) => Some(text),
            Scalar::Absent | Scalar::Number(_) | Scalar::Other => None,
        }
    }

    /// The number as a count of tokens; `None` for what cannot be one.
    pub(super) fn count(&self) -> Option<u64> {
        match self {
            Scalar::Number(number) if (0.0..=MAX_COUNT as f64).contains(number) => {
                Some(*number as u64)
            }
            Scalar::Absent | Scalar::Text(_) | Scalar::Number(_) | Scalar::Other => None,
        }
    }

    /// The number, or the number that the string spells.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Scalar::Number(number) => Some(*number),
            Scalar::Text(text) => text.parse().ok(),
            Scalar::Absent | Scalar::Other => None,
        }
    }

    /// The number, or the number that the string spells, as an HTTP status.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Scalar::Number(number) if (100.0..600.0).contains(number) => Some(*number as u16),
            Scalar::Text(text) if text.len() == 3 => text.parse().ok().filter(|n| *n >= 100),
            Scalar::Absent | Scalar::Text(_) | Scalar::Number(_) | Scalar::Other => None,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Other)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Absent)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

/// The text of an answer: a string, or a list of parts of which the texts are joined.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Content<'a>(pub(super) Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(ContentVisitor).map(Content)
    }
}

/// One member of a list of parts.
#[derive(Default, serde::Deserialize)]
struct Part<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Scalar<'a>,
    #[serde(borrow, default)]
    text: Scalar<'a>,
}

impl<'a> Part<'a> {
    fn into_text(self) -> Option<Cow<'a, str>> {
        // Other kinds with a text are the model's thoughts, not its answer.
        match self.kind.text() {
            None | Some("text" | "output_text") => self.text.into_text(),
            Some(_) => None,
        }
    }
}

/// Reads a text, or a list of parts, or one part; anything else holds no text.
struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of parts")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut joined: Option<Cow<'de, str>> = None;
        while let Some(Content(part)) = seq.next_element::<Content<'de>>()? {
            joined = match (joined, part) {
                (Some(have), Some(more)) => Some(have + more),
                (have, more) => have.or(more),
            };
        }
        Ok(joined)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Part::deserialize(MapAccessDeserializer::new(map)).map(Part::into_text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_value_is_a_scalar() {
        for (json, text, count) in [
            ("null", None, None),
            ("\"a\\n\"", Some("a\n"), None),
            ("7", None, Some(7)),
            ("7.0", None, Some(7)),
            ("-1", None, None),
            ("1e300", None, None),
            ("true", None, None),
            ("[1,[2]]", None, None),
            ("{\"a\":{}}", None, None),
        ] {
            let scalar: Scalar<'_> = serde_json::from_str(json).unwrap();
            assert_eq!((scalar.text(), scalar.count()), (text, count), "{json}");
        }
    }

    #[test]
    fn a_status_is_a_number_or_spells_one() {
        for (json, status) in [
            ("429", Some(429)),
            ("\"429\"", Some(429)),
            ("\"abc\"", None),
            ("\"-12\"", None),
            ("70000", None),
            ("null", None),
        ] {
            let scalar: Scalar<'_> = serde_json::from_str(json).unwrap();
            assert_eq!(scalar.status(), status, "{json}");
        }
    }

    #[test]
    fn content_is_a_text_or_parts() {
        for (json, text) in [
            ("\"a\"", Some("a")),
            ("null", None),
            ("3", None),
            ("[]", None),
            (
                r#"[{"type":"text","text":"a"},{"type":"text","text":"b"}]"#,
                Some("ab"),
            ),
            (
                r#"[{"type":"thinking","thinking":[{"text":"no"}]},{"text":"b"}]"#,
                Some("b"),
            ),
            (r#"["a","b"]"#, Some("ab")),
            (r#"{"type":"text","text":"a"}"#, Some("a")),
            (r#"{"type":"reasoning","text":"a"}"#, None),
        ] {
            let content: Content<'_> = serde_json::from_str(json).unwrap();
            assert_eq!(content.0.as_deref(), text, "{json}");
        }
    }
}
