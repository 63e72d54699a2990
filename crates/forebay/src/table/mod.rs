//! Typed columns: their values as JSON text, and JSON text as values again.
//!
//! Owns which Arrow types survive the way through a row, and which type fits a column that has
//! none. Never opens a file.
//!
//! ```text
//! Parquet input ─► text: a value as JSON ─► item, journal, row ─► arrays: values ─► Parquet
//! ```

#[cfg(feature = "parquet")]
mod arrays;
#[cfg(feature = "parquet")]
mod moment;
#[cfg(feature = "parquet")]
mod seen;
#[cfg(all(test, feature = "parquet"))]
mod tests;
#[cfg(feature = "parquet")]
mod text;

#[cfg(feature = "parquet")]
pub(crate) use arrays::{Cell, array_of, json_text};
#[cfg(feature = "parquet")]
pub(crate) use seen::{Kind, Seen};
#[cfg(feature = "parquet")]
pub(crate) use text::{is_nested, named, plain, push_value, survives};

/// The types of the input's columns, as far as the input has types.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    /// A column each, under the names that rows give them.
    #[cfg(feature = "parquet")]
    pub(crate) fields: Vec<arrow_schema::Field>,
}
