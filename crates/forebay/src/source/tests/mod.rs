//! The whole source, over real files and pipes.

mod files;
mod items;
#[cfg(feature = "parquet")]
mod parquet;
mod streams;
mod whole;

use std::path::PathBuf;

use super::*;
use crate::error::Error;
use crate::item::{Content, Item};
use crate::outcome::FailureKind;

/// A directory of input files.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().unwrap())
    }

    fn add(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

fn spec(paths: &[PathBuf]) -> InputSpec {
    InputSpec {
        locations: paths.iter().cloned().map(Location::Path).collect(),
        ..InputSpec::default()
    }
}

fn prompt(template: &str) -> Prompting {
    Prompting {
        prompt: Some(template.to_owned()),
        ..Prompting::default()
    }
}

/// Every item of one file.
fn items_of(name: &str, bytes: impl AsRef<[u8]>, prompting: Prompting) -> Vec<Item> {
    let files = Files::new();
    let path = files.add(name, bytes);
    all(Source::open(spec(&[path]), prompting).unwrap())
}

/// What every item of one file says.
fn read(name: &str, bytes: impl AsRef<[u8]>, prompting: Prompting) -> Vec<String> {
    items_of(name, bytes, prompting).iter().map(said).collect()
}

/// Why one file cannot be opened: message without the directory, and hint.
fn refusal(name: &str, bytes: impl AsRef<[u8]>, prompting: Prompting) -> (String, String) {
    let files = Files::new();
    let path = files.add(name, bytes);
    let error = Source::open(spec(&[path]), prompting).unwrap_err();
    let directory = format!("{}/", files.0.path().display());
    let clean = |text: &str| text.replace(&directory, "");
    (
        clean(&error.to_string()),
        clean(error.hint().unwrap_or_default()),
    )
}

fn all(source: Source) -> Vec<Item> {
    source.collect::<Result<_, _>>().unwrap()
}

/// An item's prompt or messages, or what is wrong with it, without the file's directory.
fn said(item: &Item) -> String {
    match &item.request {
        Ok(request) => match &request.content {
            Content::Prompt(text) => text.clone(),
            Content::Messages(json) => json.get().to_owned(),
            other => panic!("{other:?}"),
        },
        Err(failure) => {
            assert_eq!(failure.kind, FailureKind::InvalidItem);
            format!("! {}", without_directory(&failure.message))
        }
    }
}

fn without_directory(message: &str) -> String {
    let Some((before, after)) = message.split_once(" of /") else {
        return message.to_owned();
    };
    let path_end = after.find(": ").unwrap_or(after.len());
    let name_start = after[..path_end].rfind('/').map_or(0, |at| at + 1);
    format!("{before} of {}", &after[name_start..])
}
