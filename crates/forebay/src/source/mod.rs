//! Input files become items.
//!
//! Owns formats, compression, records, templates, the files of images that items name, and
//! everything that is known about the input before the first attempt. Never sends, never prints, never holds more of the input than the
//! records under way.
//!
//! ```text
//! Location ─► place: open, decompress ─► split: bytes to records ─► record: fields
//!     └─► peek: columns, faults                                        │
//!          └─► columns: which is the prompt ─► rules: prompt, system, custom_id ─► Item
//! ```
//!
//! A record that is no use becomes an item whose request is a failure of kind
//! [`InvalidItem`](crate::outcome::FailureKind::InvalidItem); only a fault of the file itself
//! ends the iteration with an [`Error`](crate::error::Error).

mod cells;
mod columns;
mod count;
mod first_look;
mod format;
mod header;
mod image;
#[cfg(feature = "parquet")]
mod parquet;
mod paths;
mod peek;
mod place;
mod reader;
mod record;
mod rules;
mod simple;
mod split;
mod template;
mod whole;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

pub use count::Counter;
pub use first_look::FirstLook;
pub use format::{Format, Requests};
pub use image::load_image;
pub use reader::Source;

use crate::item::Parameters;

/// Where input comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// The process's standard input.
    Stdin,
    /// A file, or a pipe that has a path.
    Path(PathBuf),
}

/// Which input to read.
#[derive(Debug, Clone, Default)]
pub struct InputSpec {
    /// The inputs, in the order in which their items are numbered.
    pub locations: Vec<Location>,
    /// The format of all of them; by default each file name's extension decides.
    pub format: Option<Format>,
    /// Items to leave out at the start; the others keep their numbers. Default 0.
    pub offset: u64,
    /// The most items to yield. Default: all.
    pub limit: Option<u64>,
}

/// How an item's request comes from its fields.
#[derive(Debug, Clone, Default)]
pub struct Prompting {
    /// Template of the prompt; by default a field of the item is the prompt.
    pub prompt: Option<String>,
    /// Template of the system prompt. Default: none.
    pub system: Option<String>,
    /// Templates of images, which go before the prompt in the user's message: each gives the
    /// path of a file, or an address. Default: none.
    pub images: Vec<String>,
    /// The field that holds the item's `custom_id`; by default the field `custom_id` when there
    /// is one.
    pub id_field: Option<String>,
    /// What all requests have in common.
    pub parameters: Arc<Parameters>,
    /// What whole requests have to say of their model. Default: nothing.
    pub body_model: BodyModel,
}

/// What a whole request has to say of its model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum BodyModel {
    /// Nothing: the model is told elsewhere.
    #[default]
    Any,
    /// Some model.
    Needed,
    /// This one: a run is for one model.
    Is(String),
}

/// What reading the whole input ahead of a run found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Items that the source yields, invalid ones included.
    pub items: u64,
    /// Items that are invalid.
    pub invalid: u64,
    /// What is wrong with the first invalid items, at most five.
    pub examples: Vec<String>,
}
