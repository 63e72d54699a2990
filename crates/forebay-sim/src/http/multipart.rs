//! Reads the fields of a form with files (RFC 7578).
//!
//! Owns the form's outer shape. Never decodes a field, and takes no nested or encoded parts.

use memchr::memmem;

/// The most fields of a form; uploads have four.
const MOST_FIELDS: usize = 32;

/// One field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field<'a> {
    pub(crate) name: String,
    pub(crate) filename: Option<String>,
    pub(crate) value: &'a [u8],
}

/// Reads the fields of a body, or says what is wrong with it.
pub(crate) fn fields<'a>(
    content_type: &str,
    body: &'a [u8],
) -> Result<Vec<Field<'a>>, &'static str> {
    let boundary = boundary(content_type).ok_or("expected multipart/form-data with a boundary")?;
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter may stand at the very start, without its line break.
    let mut rest = body
        .strip_prefix(&delimiter.as_bytes()[2..])
        .or_else(|| after(body, delimiter.as_bytes()))
        .ok_or("the form does not begin with its boundary")?;
    let mut fields = Vec::new();
    let end = memmem::Finder::new(delimiter.as_bytes());
    loop {
        if rest.starts_with(b"--") {
            return Ok(fields);
        }
        let part = rest
            .strip_prefix(b"\r\n")
            .ok_or("malformed boundary in the form")?;
        let len = end.find(part).ok_or("the form does not end")?;
        fields.push(field(&part[..len])?);
        if fields.len() > MOST_FIELDS {
            return Err("too many fields in the form");
        }
        rest = &part[len + delimiter.len()..];
    }
}

fn field(part: &[u8]) -> Result<Field<'_>, &'static str> {
    let end = memmem::find(part, b"\r\n\r\n").ok_or("a part of the form has no head")?;
    let head = std::str::from_utf8(&part[..end]).map_err(|_| "a part's head is not UTF-8")?;
    let disposition = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-disposition"))
        .map(|(_, value)| value.trim())
        .ok_or("a part of the form has no content-disposition")?;
    Ok(Field {
        name: parameter(disposition, "name").ok_or("a part of the form has no name")?,
        filename: parameter(disposition, "filename"),
        value: &part[end + 4..],
    })
}

fn boundary(content_type: &str) -> Option<String> {
    let (kind, _) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    parameter(content_type, "boundary").filter(|boundary| (1..=70).contains(&boundary.len()))
}

/// A parameter of a header's value, quoted or not.
fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value;
    while let Some((_, after)) = rest.split_once(';') {
        let (key, after) = after.split_once('=')?;
        let after = after.trim_start();
        let (text, left) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim_end().to_owned(), &after[end..])
            }
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(text);
        }
        rest = left;
    }
    None
}

/// The text up to the closing quote, and what follows it.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((text, &quoted[at + 1..])),
            '\\' => text.push(characters.next()?.1),
            other => text.push(other),
        }
    }
    None
}

fn after<'a>(bytes: &'a [u8], part: &[u8]) -> Option<&'a [u8]> {
    Some(&bytes[memmem::find(bytes, part)? + part.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "multipart/form-data; boundary=\"x-1\"";

    #[test]
    fn fields_come_with_names_and_bytes() {
        let body = b"--x-1\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
            --x-1\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a;\\\"b.jsonl\"\r\n\
            Content-Type: application/octet-stream\r\n\r\n{}\r\n--x\r\n\xff\r\n--x-1--\r\n";
        let fields = fields(KIND, body).unwrap();
        assert_eq!(fields.len(), 2);
        assert_eq!(
            (&*fields[0].name, fields[0].value),
            ("purpose", &b"batch"[..])
        );
        assert_eq!(fields[0].filename, None);
        assert_eq!(fields[1].filename.as_deref(), Some("a;\"b.jsonl"));
        assert_eq!(fields[1].value, b"{}\r\n--x\r\n\xff");
    }

    #[test]
    fn a_form_that_is_none_is_refused() {
        for (kind, body) in [
            ("application/json", "{}"),
            ("multipart/form-data", "--x\r\n"),
            (KIND, ""),
            (KIND, "--x-1\r\n"),
            (KIND, "--x-1\r\nno head\r\n--x-1--"),
            (
                KIND,
                "--x-1\r\ncontent-disposition: form-data\r\n\r\n\r\n--x-1--",
            ),
            (
                KIND,
                "--x-1\r\ncontent-disposition: form-data; name=\"a\r\n\r\n\r\n--x-1--",
            ),
            (
                KIND,
                "--x-1\r\ncontent-disposition: form-data; name=a\r\n\r\nunended",
            ),
        ] {
            assert!(fields(kind, body.as_bytes()).is_err(), "{body:?}");
        }
    }
}
