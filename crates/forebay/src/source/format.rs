//! What a file's name and first bytes say about what is in it.
//!
//! Owns the known extensions and signatures. Never opens a file.

use std::ffi::OsStr;
use std::path::Path;

use crate::error::Error;

/// How items are written in an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One item per line; its field is `text`.
    Text,
    /// One JSON object or string per line.
    JsonLines,
    /// Comma-separated values (tabs in a `.tsv` file) under a header row.
    Csv,
    /// One whole request per line.
    Requests(Requests),
    /// A Parquet file, one item a row.
    #[cfg(feature = "parquet")]
    Parquet,
}

/// How whole requests are written, one per line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requests {
    /// Request bodies by themselves.
    Bodies,
    /// OpenAI Batch: `custom_id`, `method`, `url` and `body`.
    OpenAiBatch,
    /// Anthropic Message Batches: `custom_id` and `params`.
    AnthropicBatch,
    /// OpenAI's cookbook script: bodies with a `metadata` that is not sent.
    Cookbook,
}

impl Requests {
    /// What a file of them is called in messages.
    pub fn described(self) -> &'static str {
        match self {
            Requests::Bodies => "a file of request bodies",
            Requests::OpenAiBatch => "an OpenAI Batch file",
            Requests::AnthropicBatch => "a file of Anthropic batch requests",
            Requests::Cookbook => "a file of the cookbook script",
        }
    }

    /// Whether each request has a key of its own beside its body.
    pub fn is_batch(self) -> bool {
        match self {
            Requests::OpenAiBatch | Requests::AnthropicBatch => true,
            Requests::Bodies | Requests::Cookbook => false,
        }
    }
}

/// The formats of other tools as values of `--format`; no file name announces them.
const TOOLS: [(&str, Format); 3] = [
    ("openai-batch", Format::Requests(Requests::OpenAiBatch)),
    (
        "anthropic-batch",
        Format::Requests(Requests::AnthropicBatch),
    ),
    ("cookbook", Format::Requests(Requests::Cookbook)),
];

/// Every name of a format: as an extension and as the value of `--format`.
const NAMES: &[(&str, Format)] = &[
    ("txt", Format::Text),
    ("text", Format::Text),
    ("md", Format::Text),
    ("jsonl", Format::JsonLines),
    ("ndjson", Format::JsonLines),
    ("json", Format::JsonLines),
    ("csv", Format::Csv),
    ("tsv", Format::Csv),
    #[cfg(feature = "parquet")]
    ("parquet", Format::Parquet),
];

impl Format {
    /// The format of this name, in any case: an extension without its dot, or a tool's.
    pub fn by_name(name: &str) -> Option<Format> {
        Format::among(&TOOLS, name).or_else(|| Format::by_extension(name))
    }

    fn by_extension(name: &str) -> Option<Format> {
        Format::among(NAMES, name)
    }

    fn among(names: &[(&str, Format)], name: &str) -> Option<Format> {
        names
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, format)| *format)
    }

    /// What its records are counted by, for people.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Format::Text | Format::JsonLines | Format::Csv | Format::Requests(_) => "line",
            #[cfg(feature = "parquet")]
            Format::Parquet => "row",
        }
    }
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// The compression whose signature these bytes begin with.
    ///
    /// Signatures: RFC 1952 (gzip), RFC 8878 (zstd frames and skippable frames).
    pub(super) fn of(head: &[u8]) -> Compression {
        match head {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            _ => Compression::None,
        }
    }

    /// The name for people, and the extension that announces it.
    pub(super) fn names(self) -> (&'static str, &'static str) {
        match self {
            Compression::None => ("uncompressed", ""),
            Compression::Gzip => ("gzip", ".gz"),
            Compression::Zstd => ("zstd", ".zst"),
        }
    }
}

/// What a file's name announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) format: Option<Format>,
    pub(super) compression: Compression,
    pub(super) delimiter: u8,
}

impl Announced {
    /// Reads a file name's extensions.
    pub(super) fn by(path: &Path) -> Announced {
        let mut name = Path::new(path.file_name().unwrap_or_default());
        let compression = match extension(name).as_str() {
            "gz" => Compression::Gzip,
            "zst" => Compression::Zstd,
            _ => Compression::None,
        };
        if compression != Compression::None {
            name = Path::new(name.file_stem().unwrap_or_default());
        }
        let extension = extension(name);
        Announced {
            format: Format::by_extension(&extension),
            compression,
            delimiter: if extension == "tsv" { b'\t' } else { b',' },
        }
    }
}

/// The error for a file whose name announces no format.
pub(super) fn unknown(name: &str) -> Error {
    Error::config(format!("cannot tell the format of {name} by its name")).with_hint(
        "known extensions: .txt .text .md .jsonl .ndjson .json .csv .tsv, each also with .gz or \
         .zst, and .parquet; or name the format with --format txt, jsonl, csv or parquet",
    )
}

fn extension(name: &Path) -> String {
    name.extension()
        .and_then(OsStr::to_str)
        .unwrap_or_default()
        .to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_names_the_format_below_the_compression() {
        let by = |name: &str| {
            let announced = Announced::by(Path::new(name));
            (
                announced.format,
                announced.compression,
                announced.delimiter as char,
            )
        };
        let none = Compression::None;
        assert_eq!(by("a.txt"), (Some(Format::Text), none, ','));
        assert_eq!(by("a.b/c.MD"), (Some(Format::Text), none, ','));
        assert_eq!(by("a.JSONL"), (Some(Format::JsonLines), none, ','));
        assert_eq!(by("a.tsv"), (Some(Format::Csv), none, '\t'));
        assert_eq!(by("a.csv.gz"), (Some(Format::Csv), Compression::Gzip, ','));
        assert_eq!(
            by("a.ndjson.zst"),
            (Some(Format::JsonLines), Compression::Zstd, ',')
        );
        assert_eq!(by("a.gz"), (None, Compression::Gzip, ','));
        assert_eq!(by("tickets"), (None, none, ','));
        assert_eq!(by("a.xlsx"), (None, none, ','));
    }

    #[test]
    fn signatures_are_known() {
        assert_eq!(Compression::of(b"\x1f\x8b\x08"), Compression::Gzip);
        assert_eq!(Compression::of(b"\x28\xb5\x2f\xfd"), Compression::Zstd);
        assert_eq!(Compression::of(b"{}"), Compression::None);
        assert_eq!(Compression::of(b""), Compression::None);
    }
}
