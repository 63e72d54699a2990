//! Events that differ from an earlier one in nothing but their text.
//!
//! Most events of a stream are the same JSON around a few other characters. Owns the recognition
//! of these, so that they need not be read as JSON again. Never guesses: what is recognised would
//! be read just like the earlier event, with the other text.

use memchr::memchr2;

/// What stands before and behind the text of an event.
#[derive(Debug)]
pub(super) struct Pattern {
    before: Vec<u8>,
    behind: Vec<u8>,
}

impl Pattern {
    /// The pattern of an event whose text is a part of its data as it is, without escapes.
    ///
    /// `None` when the text is no part of the data, or is not all of a JSON string.
    pub(super) fn of(data: &[u8], text: &str) -> Option<Pattern> {
        let start = (text.as_ptr() as usize).checked_sub(data.as_ptr() as usize)?;
        let end = start.checked_add(text.len())?;
        let (before, behind) = (data.get(..start)?, data.get(end..)?);
        let is_string = before.ends_with(b"\"") && behind.starts_with(b"\"");
        is_string.then(|| Pattern {
            before: before.to_vec(),
            behind: behind.to_vec(),
        })
    }

    /// The text of an event of this pattern; `None` when it may be another one, or has no text.
    pub(super) fn text_of<'a>(&self, data: &'a [u8]) -> Option<&'a str> {
        let text = data
            .strip_prefix(self.before.as_slice())?
            .strip_suffix(self.behind.as_slice())?;
        // A quote would end the string, an escape would mean another character, and control
        // characters are no JSON.
        let is_plain = memchr2(b'"', b'\\', text).is_none() && text.iter().all(|b| *b >= 0x20);
        if text.is_empty() || !is_plain {
            return None;
        }
        std::str::from_utf8(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern() -> Pattern {
        let data = br#"{"a":"x","t":"one","b":[1]}"#;
        let text = std::str::from_utf8(&data[14..17]).unwrap();
        assert_eq!(text, "one");
        Pattern::of(data, text).unwrap()
    }

    #[test]
    fn only_the_text_may_differ() {
        let pattern = pattern();
        let text = |data: &'static str| pattern.text_of(data.as_bytes());
        assert_eq!(text(r#"{"a":"x","t":"é, two","b":[1]}"#), Some("é, two"));
        for other in [
            r#"{"a":"x","t":"","b":[1]}"#,
            r#"{"a":"y","t":"one","b":[1]}"#,
            r#"{"a":"x","t":"one","b":[2]}"#,
            r#"{"a":"x","t":"o\ne","b":[1]}"#,
            r#"{"a":"x","t":"o","t":"e","b":[1]}"#,
            r#"{"a":"x","t":","b":[1]}"#,
            "{\"a\":\"x\",\"t\":\"o\ne\",\"b\":[1]}",
        ] {
            assert_eq!(text(other), None, "{other}");
        }
        assert!(Pattern::of(b"{\"t\":\"one\"}", "one").is_none());
    }

    proptest! {
        /// Whatever is recognised is JSON with that text.
        #[test]
        fn what_is_recognised_would_be_read_so(middle in ".{0,12}") {
            let data = format!(r#"{{"a":"x","t":"{middle}","b":[1]}}"#);
            if let Some(text) = pattern().text_of(data.as_bytes()) {
                let json: serde_json::Value = serde_json::from_str(&data).unwrap();
                prop_assert_eq!(json["t"].as_str(), Some(text));
            }
        }
    }
}
