//! Reads what follows a path's question mark.
//!
//! Owns its decoding. Never knows what a parameter means.

use std::borrow::Cow;

/// A parameter's value, decoded; `None` if it is missing or empty.
pub(crate) fn param<'q>(query: &'q str, name: &str) -> Option<Cow<'q, str>> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    let value = match value.contains('+') {
        true => Cow::Owned(unescape(&value.replace('+', " ")).into_owned()),
        false => unescape(value),
    };
    Some(value).filter(|value| !value.is_empty())
}

/// Undoes percent encoding, in a path as well; what is not encoded right stays as it is.
pub(crate) fn unescape(value: &str) -> Cow<'_, str> {
    if !value.contains('%') {
        return Cow::Borrowed(value);
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let hex = || std::str::from_utf8(after.get(..2)?).ok();
        match (
            first,
            hex().and_then(|hex| u8::from_str_radix(hex, 16).ok()),
        ) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (other, _) => bytes.push(*other),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_and_decoded() {
        let query = "alt=sse&key=a%2Fb+c%&none=&alt=json";
        assert_eq!(param(query, "alt").as_deref(), Some("sse"));
        assert_eq!(param(query, "key").as_deref(), Some("a/b c%"));
        assert_eq!(unescape("ft:a%2Fb+c"), "ft:a/b+c");
        assert_eq!((param(query, "none"), param(query, "ke")), (None, None));
    }
}
