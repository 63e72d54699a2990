//! Where the text stands in a request's body, and how several bodies become one.
//!
//! A packed body is the first one with a list of texts in place of its text. So whoever has it
//! finds each item's own body again, byte by byte, by putting one text in place of the list.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::fields;

/// A request's body, cut at its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputOf<'a> {
    before: &'a [u8],
    /// The input as JSON.
    input: &'a str,
    after: &'a [u8],
}

#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    input: &'a RawValue,
}

impl<'a> InputOf<'a> {
    /// Looks for the input; `None` when the body is no request for embeddings.
    pub fn find(body: &'a [u8]) -> Option<InputOf<'a>> {
        let asked: Asked<'a> = serde_json::from_slice(body).ok()?;
        let input = asked.input.get();
        // The value borrows from the body, so its place is known.
        let start = (input.as_ptr() as usize).checked_sub(body.as_ptr() as usize)?;
        Some(InputOf {
            before: body.get(..start)?,
            input,
            after: body.get(start + input.len()..)?,
        })
    }

    /// Whether the input is one text.
    pub fn is_text(&self) -> bool {
        self.input.starts_with('"')
    }

    /// Whether both may travel in one request: each is one text, and all else is the same.
    pub fn fits(&self, other: &InputOf<'_>) -> bool {
        self.is_text()
            && other.is_text()
            && self.before == other.before
            && self.after == other.after
    }

    /// How many vectors are asked for: one for each text of a list, and one for anything else. A
    /// list of numbers is one text, as tokens.
    pub(super) fn count(&self) -> usize {
        let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(self.input) else {
            return 1;
        };
        match list.first() {
            Some(first) if first.get().starts_with(['"', '[']) => list.len(),
            Some(_) | None => 1,
        }
    }
}

/// Puts requests that fit each other together, as one that asks for all of their embeddings in
/// this order.
pub fn pack<'a>(parts: impl IntoIterator<Item = InputOf<'a>>) -> Vec<u8> {
    let parts: Vec<InputOf<'a>> = parts.into_iter().collect();
    let Some(first) = parts.first() else {
        return Vec::new();
    };
    let inputs: usize = parts.iter().map(|part| part.input.len() + 1).sum();
    let mut body = Vec::with_capacity(first.before.len() + inputs + 1 + first.after.len());
    body.extend_from_slice(first.before);
    for (n, part) in parts.iter().enumerate() {
        body.push(if n == 0 { b'[' } else { b',' });
        body.extend_from_slice(part.input.as_bytes());
    }
    body.push(b']');
    body.extend_from_slice(first.after);
    body
}

/// The text whose embedding a body asks for, when it is one text.
pub fn text_of(body: &[u8]) -> Option<String> {
    let input = InputOf::find(body)?;
    let raw: &RawValue = serde_json::from_str(input.input).ok()?;
    fields::as_str(raw).map(|text| text.into_owned())
}
