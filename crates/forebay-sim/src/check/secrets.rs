//! Finds secrets in bytes.
//!
//! Owns the values that were told and the shapes that keys have. Never repeats what it found.

use std::fmt;

use memchr::memmem::{Finder, find_iter};

/// The fewest characters of a told secret; shorter ones would be found everywhere.
const SHORTEST: usize = 6;

/// The shapes of keys: how they begin, and how many characters follow at least.
///
/// `sk-`: OpenAI, Anthropic and those who copy them, 32 and more. `AIza`: Google, 35 exactly.
/// `Bearer `: a header that was written out.
const SHAPES: [(&str, usize); 3] = [("sk-", 20), ("AIza", 35), ("Bearer ", 20)];

/// A secret that was found, told without repeating it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The told secret with this number, from 1, at this byte of the line.
    Told(usize, usize),
    /// Something that begins so and looks like a key.
    Shape(&'static str, usize),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Found::Told(number, at) => write!(f, "secret {number} stands at byte {at}"),
            Found::Shape(start, at) => {
                let start = start.trim_end();
                write!(f, "what looks like a key ({start}…) stands at byte {at}")
            }
        }
    }
}

/// What to look for.
#[derive(Debug)]
pub(super) struct Secrets {
    told: Vec<Finder<'static>>,
    shapes: Vec<Finder<'static>>,
}

impl Secrets {
    /// Looks for these values, as they are and as JSON writes them, and for what looks like a
    /// key. Values of fewer than six characters are left out; their number comes back.
    pub(super) fn new(values: &[String]) -> (Secrets, usize) {
        let long: Vec<_> = values.iter().map(|v| v.trim()).collect();
        let too_short = long.iter().filter(|v| v.len() < SHORTEST).count();
        let long = long.into_iter().filter(|value| value.len() >= SHORTEST);
        let told = long.flat_map(|value| {
            let json = serde_json::to_string(value).unwrap_or_default();
            let inner = json.trim_matches('"').to_owned();
            [
                Finder::new(value).into_owned(),
                Finder::new(&inner).into_owned(),
            ]
        });
        let secrets = Secrets {
            told: told.collect(),
            shapes: SHAPES.map(|(start, _)| Finder::new(start)).to_vec(),
        };
        (secrets, too_short)
    }

    /// The number of values that are looked for.
    pub(super) fn told(&self) -> usize {
        self.told.len() / 2
    }

    /// The first secret in these bytes.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<Found> {
        for (n, value) in self.told.iter().enumerate() {
            if let Some(at) = value.find(bytes) {
                return Some(Found::Told(n / 2 + 1, at));
            }
        }
        for (finder, (start, least)) in self.shapes.iter().zip(SHAPES) {
            let mut hits = finder.find_iter(bytes);
            if let Some(at) = hits.find(|at| looks_like_key(bytes, *at, start.len(), least)) {
                return Some(Found::Shape(start, at));
            }
        }
        None
    }
}

/// Whether a word of at least so many characters, digits among them, follows the start; and
/// whether the start begins a word, so that `task-` is none.
fn looks_like_key(bytes: &[u8], at: usize, start: usize, least: usize) -> bool {
    if at > 0 && is_word(bytes[at - 1]) {
        return false;
    }
    let rest = &bytes[at + start..];
    let len = rest.iter().take_while(|byte| is_word(**byte)).count();
    let word = &rest[..len];
    let masked = find_iter(word, "***").next().is_some() || find_iter(word, "...").next().is_some();
    len >= least
        && !masked
        && word.iter().any(u8::is_ascii_digit)
        && word.iter().any(u8::is_ascii_alphabetic)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_values_are_found_as_they_are_and_as_json_writes_them() {
        let (secrets, short) = Secrets::new(&["pa\"ss\\word".into(), "abc".into()]);
        assert_eq!((secrets.told(), short), (1, 1));
        assert_eq!(secrets.find(b"x pa\"ss\\word"), Some(Found::Told(1, 2)));
        assert_eq!(secrets.find(br#""pa\"ss\\word""#), Some(Found::Told(1, 1)));
        assert_eq!(secrets.find(b"password abc"), None);
    }

    #[test]
    fn keys_are_known_by_their_shape_and_masked_ones_are_none() {
        let (secrets, _) = Secrets::new(&[]);
        for key in [
            "sk-proj-0123456789abcdefABCDEF",
            "AIzaSyA1234567890abcdefghijklmnopqrstuv",
            "Bearer abcdefghij0123456789",
        ] {
            let text = format!(r#"{{"error":"Incorrect key: {key}."}}"#);
            assert!(secrets.find(text.as_bytes()).is_some(), "{key}");
        }
        for fine in [
            "sk-…",
            "sk-proj-abc***********************9xyz",
            "the task-0123456789abcdefABCDEF-list",
            "sk-learn-is-a-well-known-library",
            "Bearer tokens are secrets",
        ] {
            assert_eq!(secrets.find(fine.as_bytes()), None, "{fine}");
        }
    }
}
