//! The header row of a CSV input, and what stands for one elsewhere.
//!
//! Owns what makes one unusable. Never reads beyond it.

use std::io::Read;

use super::cells::Cells;
use super::format::Format;
use super::place::{Place, cannot_read};
use super::record::{Decoder, text_of};
use super::split::Splitter;
use crate::error::Error;

/// The decoder for a place whose splitter is at the start; takes the header row of a CSV input.
///
/// # Errors
/// When the place cannot be read, or a column name is empty or there twice.
pub(super) fn decoder<R: Read>(
    place: &Place,
    splitter: &mut Splitter<R>,
) -> Result<(Decoder, Vec<String>), Error> {
    let header = match place.format {
        Format::Text | Format::JsonLines | Format::Requests(_) => Vec::new(),
        Format::Csv => header(place, splitter)?,
        #[cfg(feature = "parquet")]
        Format::Parquet => place.table_columns(),
    };
    let decoder = Decoder::new(place.format, place.delimiter, header.clone());
    Ok((decoder, header))
}

fn header<R: Read>(place: &Place, splitter: &mut Splitter<R>) -> Result<Vec<String>, Error> {
    let name = &place.name;
    let piece = splitter
        .next()
        .map_err(|error| cannot_read(place, 0, &error))?;
    let Some(piece) = piece else {
        return Ok(Vec::new());
    };
    let text =
        text_of(&piece).map_err(|why| Error::io(format!("the header row of {name}: {why}")))?;
    let mut cells = Cells::default();
    cells.fill(text, place.delimiter);
    let mut header: Vec<String> = Vec::with_capacity(cells.len());
    for (n, column) in cells.iter().enumerate() {
        let fault = if column.trim().is_empty() {
            format!("column {} of {name} has no name", n + 1)
        } else if header.iter().any(|other| other == column) {
            format!("two columns of {name} have the name `{column}`")
        } else {
            header.push(column.to_owned());
            continue;
        };
        return Err(Error::io(fault).with_hint("the first row of a CSV input names its columns"));
    }
    Ok(header)
}
