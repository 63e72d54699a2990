//! The parts of a request's body that OpenAI's and Anthropic's dialects share.
//!
//! Owns reading messages without copying their text, and the estimate of tokens. Never
//! validates; each dialect complains in its own words.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

/// A string that borrows from the body when it has no escapes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

/// A message's content: a string, or parts of which the text counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Content<'a>(pub(super) Cow<'a, str>);

/// One message.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) role: Text<'a>,
    #[serde(borrow, default)]
    pub(super) content: Content<'a>,
}

/// One part of a message's content; other fields than text count nothing.
#[derive(serde::Deserialize)]
struct Part<'a> {
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
}

/// Estimates tokens: a quarter of the characters, rounded up, at least one.
pub(crate) fn tokens(text: &str) -> u64 {
    tokens_of_chars(text.chars().count() as u64)
}

/// Estimates the tokens of several texts together.
pub(super) fn tokens_of_chars(chars: u64) -> u64 {
    chars.div_ceil(4).max(1)
}

/// The characters of all messages' texts.
pub(super) fn chars(messages: &[Message<'_>]) -> u64 {
    let chars = |message: &Message<'_>| message.content.0.chars().count() as u64;
    messages.iter().map(chars).sum()
}

/// The model's own messages.
pub(super) fn answers(messages: &[Message<'_>]) -> u32 {
    let own = messages
        .iter()
        .filter(|message| message.role.0 == "assistant");
    u32::try_from(own.count()).unwrap_or(u32::MAX)
}

/// Takes the last user message's text.
pub(super) fn last_user<'a>(messages: &mut [Message<'a>]) -> Cow<'a, str> {
    let mut users = messages.iter_mut().rev().filter(|m| m.role.0 == "user");
    users
        .next()
        .map(|m| std::mem::take(&mut m.content.0))
        .unwrap_or_default()
}

/// Takes the texts of all messages that still have one.
pub(super) fn others<'a>(messages: &mut [Message<'a>]) -> Vec<Cow<'a, str>> {
    messages
        .iter_mut()
        .map(|message| std::mem::take(&mut message.content.0))
        .filter(|text| !text.is_empty())
        .collect()
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor).map(Text)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor).map(Content)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
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

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array of content parts")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Cow::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
        let mut whole: Cow<'de, str> = Cow::default();
        while let Some(part) = parts.next_element::<Part<'de>>()? {
            let Some(Text(text)) = part.text else {
                continue;
            };
            if whole.is_empty() {
                whole = text;
            } else {
                whole.to_mut().push('\n');
                whole.to_mut().push_str(&text);
            }
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(json: &str) -> Cow<'_, str> {
        serde_json::from_str::<Content<'_>>(json).unwrap().0
    }

    #[test]
    fn content_is_a_string_parts_or_null() {
        assert!(matches!(content(r#""plain""#), Cow::Borrowed("plain")));
        assert_eq!(content(r#""with\nescape""#), "with\nescape");
        assert_eq!(content("null"), "");
        let parts = r#"[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"x"}},{"type":"text","text":"b"}]"#;
        assert_eq!(content(parts), "a\nb");
    }

    #[test]
    fn tokens_are_a_quarter_of_the_characters() {
        assert_eq!(
            [tokens(""), tokens("abcd"), tokens("abcde"), tokens("ääää")],
            [1, 1, 2, 1]
        );
    }
}
