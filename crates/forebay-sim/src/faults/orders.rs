//! What rules may order, as their files write it.
//!
//! Owns the forms of replies and shapes. Never chooses one.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Probability, Seconds};
use crate::script::Shape;

/// The bytes of a drip that names none.
const ONE_BYTE: usize = 1;

/// An answer, exactly as it is.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers; `content-length` and `content-type: application/json` are added if absent.
    #[serde(default)]
    pub headers: HeaderLines,
    /// The body.
    #[serde(default)]
    pub body: String,
}

/// Headers by name: a table, with a list of values for a header that comes more than once.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "BTreeMap<String, OneOrMore>")]
pub struct HeaderLines(pub Vec<(String, String)>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl From<BTreeMap<String, OneOrMore>> for HeaderLines {
    fn from(headers: BTreeMap<String, OneOrMore>) -> HeaderLines {
        let mut lines = Vec::new();
        for (name, values) in headers {
            let values = match values {
                OneOrMore::One(value) => vec![value],
                OneOrMore::More(values) => values,
            };
            lines.extend(values.into_iter().map(|value| (name.clone(), value)));
        }
        HeaderLines(lines)
    }
}

/// A [`Shape`] as rules write it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Shaping {
    /// Closes after so many bytes, head included.
    pub cut_after: Option<usize>,
    /// Closes after so many frames of a streamed answer.
    pub cut_after_frames: Option<u64>,
    /// Closes after this share of the body.
    pub cut_body: Option<Probability>,
    /// Resets the connection where it would close.
    pub reset: bool,
    /// Writes nothing more after so many bytes.
    pub stall_after: Option<usize>,
    /// Writes nothing more after this share of the body.
    pub stall_body: Option<Probability>,
    /// Writes nothing more after so many frames of a streamed answer.
    pub stall_after_frames: Option<u64>,
    /// Writes so many bytes at a time; 1 if only `drip-every` is given.
    pub drip_bytes: Option<usize>,
    /// Waits so long between two writes.
    pub drip_every: Option<Seconds>,
}

impl Shaping {
    pub(super) fn shape(&self) -> Shape {
        Shape {
            cut_after: self.cut_after,
            cut_after_frames: self.cut_after_frames,
            cut_body: self.cut_body.map(Probability::get),
            reset: self.reset,
            stall_after: self.stall_after,
            stall_body: self.stall_body.map(Probability::get),
            stall_after_frames: self.stall_after_frames,
            drip: self
                .drip_every
                .map(|every| (self.drip_bytes.unwrap_or(ONE_BYTE), every.0)),
            drip_first: None,
        }
    }
}
