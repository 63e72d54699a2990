//! Changes one member of an encoded body; every other byte stays as it is.
//!
//! Owns the places of a body's members. Builds no tree.

use serde_json::value::RawValue;

use crate::fields::{self, Member, push_json_str};

/// A JSON object whose members can be looked at and replaced.
pub(super) struct Edit<'b> {
    text: &'b str,
    members: Vec<Member<'b>>,
}

impl<'b> Edit<'b> {
    /// Reads an object; `None` when it is something else.
    pub(super) fn of(body: &'b [u8]) -> Option<Edit<'b>> {
        let text = std::str::from_utf8(body).ok()?;
        let members = fields::members(text).ok()?;
        Some(Edit { text, members })
    }

    /// The value of a member; of a repeated one the last, as in most readers of JSON.
    pub(super) fn get(&self, name: &str) -> Option<&'b RawValue> {
        let mut members = self.members.iter().rev();
        members.find(|(have, _)| have == name).map(|(_, raw)| *raw)
    }

    /// The object with another value in this member's place, or with the member at its end.
    pub(super) fn with(&self, name: &str, value: &[u8]) -> Vec<u8> {
        let text = self.text.as_bytes();
        let mut out = Vec::with_capacity(text.len() + name.len() + value.len() + 8);
        if let Some(old) = self.get(name) {
            let start = old.get().as_ptr() as usize - text.as_ptr() as usize;
            out.extend_from_slice(&text[..start]);
            out.extend_from_slice(value);
            out.extend_from_slice(&text[start + old.get().len()..]);
            return out;
        }
        let end = self.text.rfind('}').unwrap_or(text.len());
        out.extend_from_slice(&text[..end]);
        if !self.members.is_empty() {
            out.push(b',');
        }
        push_json_str(&mut out, name);
        out.push(b':');
        out.extend_from_slice(value);
        out.extend_from_slice(&text[end..]);
        out
    }
}

/// An array with further elements at its end; `None` when the value is no array.
pub(super) fn longer(array: &RawValue, elements: &[u8]) -> Option<Vec<u8>> {
    let inside = array.get().trim().strip_prefix('[')?.strip_suffix(']')?;
    let mut out = Vec::with_capacity(inside.len() + elements.len() + 3);
    out.push(b'[');
    out.extend_from_slice(inside.as_bytes());
    if !inside.trim().is_empty() {
        out.push(b',');
    }
    out.extend_from_slice(elements);
    out.push(b']');
    Some(out)
}

/// An array with a further element before all others; `None` when the value is no array.
pub(super) fn led_by(array: &RawValue, element: &[u8]) -> Option<Vec<u8>> {
    let inside = array.get().trim().strip_prefix('[')?.strip_suffix(']')?;
    let mut out = Vec::with_capacity(inside.len() + element.len() + 3);
    out.push(b'[');
    out.extend_from_slice(element);
    if !inside.trim().is_empty() {
        out.push(b',');
    }
    out.extend_from_slice(inside.as_bytes());
    out.push(b']');
    Some(out)
}
