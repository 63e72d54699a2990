//! One input record, decoded into named fields.
//!
//! Owns the three ways a record names its fields, and what is wrong with a record that cannot be
//! decoded. Never decides what the fields are for.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::cells::Cells;
use super::format::Format;
use super::split::{MAX_LINE, Piece, Unfit};
use crate::fields::{self, Member};
use crate::row::field_name;

/// The one field of a record that names none.
pub(super) const TEXT: &str = "text";

/// The field that holds an item's key unless another one is named.
pub(super) const CUSTOM_ID: &str = "custom_id";

/// A decoded record.
#[derive(Debug)]
pub(super) enum Record<'a> {
    /// A line of text.
    Text(&'a str),
    /// A line of JSON: an object's members, or a string as the one member `text`.
    Json {
        members: Vec<Member<'a>>,
        /// The members as they are written, without braces; empty for a string.
        written: &'a str,
        /// The whole object as it is written; empty for a string.
        text: &'a str,
    },
    /// A CSV record. Cells beyond the header, or missing ones, count as a fault elsewhere.
    Csv {
        header: &'a [String],
        cells: &'a Cells,
    },
}

/// The value of a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field<'a> {
    /// Text as it is.
    Text(&'a str),
    /// A JSON value as it is written.
    Json(&'a RawValue),
}

/// A field's value as plain text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plain<'a> {
    /// A string, or a number or boolean as it is written.
    Text(Cow<'a, str>),
    /// `null`.
    Null,
    /// An array or an object.
    Compound,
    /// A string that is no Unicode text.
    LoneSurrogate,
}

/// Decodes the records of one place.
#[derive(Debug)]
pub(super) struct Decoder {
    format: Format,
    delimiter: u8,
    /// The column names of a CSV input.
    header: Vec<String>,
    cells: Cells,
}

impl Decoder {
    /// A decoder for records of this format; `header` names the columns of a CSV input.
    pub(super) fn new(format: Format, delimiter: u8, header: Vec<String>) -> Decoder {
        Decoder {
            format,
            delimiter,
            header,
            cells: Cells::default(),
        }
    }

    /// Decodes what the splitter cut out.
    ///
    /// # Errors
    /// What is wrong with the record; it never repeats any of its text.
    pub(super) fn decode<'a>(&'a mut self, piece: &Piece<'a>) -> Result<Record<'a>, String> {
        let text = text_of(piece)?;
        match self.format {
            Format::Text => Ok(Record::Text(text)),
            Format::JsonLines | Format::Requests(_) => json(text),
            // Its rows arrive as JSON.
            #[cfg(feature = "parquet")]
            Format::Parquet => json(text),
            Format::Csv => {
                self.cells.fill(text, self.delimiter);
                Ok(Record::Csv {
                    header: &self.header,
                    cells: &self.cells,
                })
            }
        }
    }
}

impl<'a> Record<'a> {
    /// The field of this name; of several the last, as JSON readers have it.
    pub(super) fn field(&self, name: &str) -> Option<Field<'_>> {
        match self {
            Record::Text(text) => (name == TEXT).then_some(Field::Text(text)),
            Record::Json { members, .. } => members
                .iter()
                .rfind(|(member, _)| member == name)
                .map(|(_, value)| Field::Json(value)),
            Record::Csv { header, cells } => {
                let n = header.iter().position(|column| column == name)?;
                cells.get(n).map(Field::Text)
            }
        }
    }

    /// The names of its fields, in order.
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Record::Text(_) => vec![TEXT],
            Record::Json { members, .. } => members.iter().map(|(name, _)| &**name).collect(),
            Record::Csv { header, .. } => header.iter().map(String::as_str).collect(),
        }
    }

    /// The member `messages` when it is a JSON array.
    pub(super) fn messages(&self) -> Option<&'a RawValue> {
        let Record::Json { members, .. } = self else {
            return None;
        };
        let (_, value) = members.iter().rfind(|(name, _)| name == "messages")?;
        value.get().starts_with('[').then_some(value)
    }

    /// The fields as JSON members without braces, under the names that a row repeats them,
    /// without the field `without`.
    pub(super) fn written(&self, without: Option<&str>) -> String {
        let mut out = Vec::new();
        match self {
            Record::Text(text) => {
                out.reserve(text.len() + text.len() / 16 + TEXT.len() + 8);
                push_text(&mut out, TEXT, text);
            }
            Record::Json {
                members, written, ..
            } => {
                let is_kept = |name: &str| {
                    Some(name) != without && matches!(field_name(name), Cow::Borrowed(_))
                };
                // A carriage return between values is whitespace to JSON but a line end to many
                // readers of lines.
                let is_one_line = !written.is_empty() && !written.contains('\r');
                if is_one_line && members.iter().all(|(name, _)| is_kept(name)) {
                    return (*written).to_owned();
                }
                for (name, value) in members.iter().filter(|(n, _)| Some(&**n) != without) {
                    push_name(&mut out, name);
                    out.extend(value.get().bytes().filter(|byte| *byte != b'\r'));
                }
            }
            Record::Csv { header, cells } => {
                for (name, text) in header.iter().zip(cells.iter()) {
                    if Some(name.as_str()) != without {
                        push_text(&mut out, name, text);
                    }
                }
            }
        }
        // Only whole strings and ASCII were written.
        String::from_utf8(out).unwrap_or_default()
    }
}

impl<'a> Field<'a> {
    /// The value as plain text.
    pub(super) fn plain(self) -> Plain<'a> {
        let value = match self {
            Field::Text(text) => return Plain::Text(Cow::Borrowed(text)),
            Field::Json(value) => value,
        };
        match value.get().as_bytes().first() {
            Some(b'"') => match fields::as_str(value) {
                Some(text) => Plain::Text(text),
                None => Plain::LoneSurrogate,
            },
            Some(b'n') => Plain::Null,
            Some(b'[' | b'{') => Plain::Compound,
            _ => Plain::Text(Cow::Borrowed(value.get())),
        }
    }
}

/// The text of a record.
///
/// # Errors
/// Why it has none.
pub(super) fn text_of<'a>(piece: &Piece<'a>) -> Result<&'a str, String> {
    let bytes = piece.bytes.map_err(|unfit| match unfit {
        Unfit::TooLong => format!("longer than {} MiB", MAX_LINE >> 20),
        Unfit::OpenQuote => "a quote is left open up to the end of the input".to_owned(),
    })?;
    simdutf8::compat::from_utf8(bytes)
        .map_err(|error| format!("not UTF-8 at byte offset {}", error.valid_up_to()))
}

fn json(line: &str) -> Result<Record<'_>, String> {
    let text = line.trim_ascii();
    let malformed = |error: serde_json::Error| malformed(line, text, &error);
    if fields::is_too_deep(text.as_bytes()) {
        return Err(fields::TOO_DEEP.to_owned());
    }
    match text.as_bytes().first() {
        Some(b'{') => Ok(Record::Json {
            members: fields::members(text).map_err(malformed)?,
            written: text[1..text.len() - 1].trim_ascii(),
            text,
        }),
        Some(b'"') => Ok(Record::Json {
            members: vec![(
                Cow::Borrowed(TEXT),
                serde_json::from_str(text).map_err(malformed)?,
            )],
            written: "",
            text: "",
        }),
        _ => match serde_json::from_str::<&RawValue>(text) {
            Ok(_) => Err("neither a JSON object nor a JSON string".to_owned()),
            Err(error) => Err(malformed(error)),
        },
    }
}

/// What is malformed and in which column of the line; columns count bytes, from 1.
fn malformed(line: &str, text: &str, error: &serde_json::Error) -> String {
    let before = line.len() - line.trim_ascii_start().len();
    let column = before + error.column().min(text.len());
    format!("malformed JSON at column {column}: {}", reason(error))
}

/// What a JSON reader says, without the place.
pub(super) fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

fn push_name(out: &mut Vec<u8>, name: &str) {
    if !out.is_empty() {
        out.push(b',');
    }
    fields::push_json_str(out, &field_name(name));
    out.push(b':');
}

fn push_text(out: &mut Vec<u8>, name: &str, text: &str) {
    push_name(out, name);
    fields::push_json_str(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Record<'_>, String> {
        json(line)
    }

    fn plain(json: &str) -> Plain<'_> {
        Field::Json(serde_json::from_str(json).unwrap()).plain()
    }

    #[test]
    fn json_values_as_plain_text() {
        assert_eq!(plain(r#""a\u00e9\n""#), Plain::Text("aé\n".into()));
        assert_eq!(plain("1.50e3"), Plain::Text("1.50e3".into()));
        assert_eq!(plain("true"), Plain::Text("true".into()));
        assert_eq!(plain("null"), Plain::Null);
        assert_eq!(plain("[1]"), Plain::Compound);
        assert_eq!(plain("{}"), Plain::Compound);
        assert_eq!(plain(r#""\ud800""#), Plain::LoneSurrogate);
    }

    #[test]
    fn members_are_repeated_as_they_are_written() {
        let record = of(r#" { "a": 1.0e3,"b" : "\ud800" }  "#).unwrap();
        assert_eq!(record.written(None), r#""a": 1.0e3,"b" : "\ud800""#);
        assert_eq!(record.written(Some("a")), r#""b":"\ud800""#);
        assert_eq!(record.written(Some("c")), r#""a": 1.0e3,"b" : "\ud800""#);
        assert_eq!(of("{ }").unwrap().written(None), "");
        assert_eq!(of(r#" "x\ty""#).unwrap().written(None), r#""text":"x\ty""#);
    }

    #[test]
    fn members_that_clash_with_a_row_are_renamed() {
        let record = of(r#"{"output": 1, "custom_id": "x", "z": [1]}"#).unwrap();
        assert_eq!(
            record.written(None),
            r#""input_output":1,"input_custom_id":"x","z":[1]"#
        );
        assert_eq!(
            record.written(Some(CUSTOM_ID)),
            r#""input_output":1,"z":[1]"#
        );
    }

    #[test]
    fn fields_stay_on_one_line() {
        let record = of("{\"a\":\r[1,\r2]}").unwrap();
        assert_eq!(record.written(None), r#""a":[1,2]"#);
    }

    #[test]
    fn what_is_not_a_record_says_why() {
        let reason = |line| of(line).unwrap_err();
        assert_eq!(
            reason(r#"{"a": secret}"#),
            "malformed JSON at column 7: expected value"
        );
        assert_eq!(
            reason(r#"  {"a": 1"#),
            "malformed JSON at column 9: EOF while parsing an object"
        );
        assert_eq!(
            reason("{} {}"),
            "malformed JSON at column 4: trailing characters"
        );
        assert_eq!(
            reason("hello"),
            "malformed JSON at column 1: expected value"
        );
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        assert_eq!(reason(&deep), "nested more than 100 levels deep");
        for line in ["[1]", "17", "null", "true"] {
            assert_eq!(reason(line), "neither a JSON object nor a JSON string");
        }
    }

    #[test]
    fn the_last_of_equal_names_counts() {
        let record = of(r#"{"a": 1, "a": 2}"#).unwrap();
        let Some(Field::Json(value)) = record.field("a") else {
            panic!("a is a field")
        };
        assert_eq!(value.get(), "2");
    }
}
