//! The headers of an answer.
//!
//! Owns nothing but their bytes as they came: looking one up goes through them in order, which
//! for the twenty or so of an answer costs less than a table would. Never shows their values:
//! some, such as cookies, are secrets.

use std::fmt;

use bytes::Bytes;
use http::HeaderMap;

/// The headers of an answer, in the order they came.
///
/// Names are in lower case. A name may stand several times.
///
/// ```
/// use forebay::headers::Headers;
///
/// let headers: Headers = [("retry-after", "3"), ("server", "x")].into_iter().collect();
/// assert_eq!(headers.text("retry-after"), Some("3"));
/// assert_eq!(headers.get("date"), None);
/// ```
#[derive(Clone, Default)]
pub struct Headers {
    bytes: Bytes,
    places: Vec<Place>,
}

/// Where a header stands: the start and end of its name, and of its value. Heads are far smaller
/// than what 32 bits count.
pub(crate) type Place = [u32; 4];

impl Headers {
    /// Headers at these places; their names are in lower case already.
    pub(crate) fn at(bytes: Bytes, places: Vec<Place>) -> Headers {
        Headers { bytes, places }
    }

    fn part(&self, start: u32, end: u32) -> &[u8] {
        &self.bytes[start as usize..end as usize]
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let places = self.places.iter();
        places.map(|[name, name_end, value, value_end]| {
            (self.part(*name, *name_end), self.part(*value, *value_end))
        })
    }

    /// All values of a name, which is given in lower case.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let same = self
            .iter()
            .filter(move |(have, _)| *have == name.as_bytes());
        same.map(|(_, value)| value)
    }

    /// The first value of a name, which is given in lower case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// The first value of a name as text; `None` also when it is not all printable ASCII.
    pub fn text(&self, name: &str) -> Option<&str> {
        printable(self.get(name)?)
    }
}

/// A header's value as text; `None` when it is not all printable ASCII.
pub fn printable(value: &[u8]) -> Option<&str> {
    let is_printable = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
    let is_text = value.iter().all(is_printable);
    is_text.then(|| str::from_utf8(value).ok()).flatten()
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Headers {
        let (mut bytes, mut places) = (Vec::new(), Vec::new());
        for (name, value) in pairs {
            let start = bytes.len() as u32;
            bytes.extend_from_slice(name.as_ref());
            bytes[start as usize..].make_ascii_lowercase();
            let middle = bytes.len() as u32;
            bytes.extend_from_slice(value.as_ref());
            places.push([start, middle, middle, bytes.len() as u32]);
        }
        Headers::at(bytes.into(), places)
    }
}

impl From<&HeaderMap> for Headers {
    fn from(map: &HeaderMap) -> Headers {
        map.iter().collect()
    }
}

/// Shows names only.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.iter().map(|(name, _)| String::from_utf8_lossy(name));
        f.debug_set().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers() -> Headers {
        let pairs: [(&str, &[u8]); 4] = [
            ("Set-Cookie", b"hush"),
            ("x", b"1"),
            ("X", b"2"),
            ("odd", b"\xe9"),
        ];
        pairs.into_iter().collect()
    }

    #[test]
    fn names_are_found_in_any_case_and_values_in_order() {
        let headers = headers();
        assert_eq!(headers.get("x"), Some(&b"1"[..]));
        assert_eq!(headers.all("x").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!(headers.text("set-cookie"), Some("hush"));
        assert_eq!((headers.text("odd"), headers.text("y")), (None, None));
        assert_eq!(headers.iter().count(), 4);
    }

    #[test]
    fn values_are_not_shown() {
        let shown = format!("{:?}", headers());
        assert!(
            shown.contains("set-cookie") && !shown.contains("hush"),
            "{shown}"
        );
    }

    #[test]
    fn a_map_becomes_the_same() {
        let mut map = HeaderMap::new();
        map.append("a", http::HeaderValue::from_static("1"));
        map.append("a", http::HeaderValue::from_static("2"));
        let headers = Headers::from(&map);
        assert_eq!(headers.all("a").collect::<Vec<_>>(), [b"1", b"2"]);
    }
}
