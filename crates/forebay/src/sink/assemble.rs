//! Putting an output together from the journal.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::OutputFormat;
use super::csv::Csv;
use super::json::{JsonArray, JsonLines};
#[cfg(feature = "parquet")]
use super::parquet::Parquet;
use super::tool::{Part, Tool, ToolLines};
use super::writer::RowWriter;
use crate::disk::Replacement;
use crate::journal::{Journal, for_each};
use crate::outcome::FailureKind;
use crate::table::Columns;

/// Bytes written at once.
const BUFFER: usize = 256 << 10;

/// What was put together.
#[derive(Debug, Clone, Default)]
pub struct Assembly {
    /// Rows in the output.
    pub rows: u64,
    /// Failed rows, which are also in the errors file.
    pub failed: u64,
    /// The errors file, when there are failed rows.
    pub errors: Option<PathBuf>,
}

/// What to put together, and where.
#[derive(Debug, Clone, Copy)]
pub struct Targets<'a> {
    /// The output file; `None` when it has been written as rows finished.
    pub output: Option<(&'a Path, OutputFormat)>,
    /// The file for failed rows alone; in the output's format when that has such a file, else as
    /// JSON Lines.
    pub errors: Option<(&'a Path, OutputFormat)>,
    /// The types of the input's columns.
    pub columns: &'a Columns,
}

/// Writes the rows of a journal in input order: the output in one piece by an atomic rename,
/// and the failed rows again into the errors file, or no errors file when there are none.
///
/// # Errors
/// When a file cannot be read or written; the files that were there before are then unchanged.
pub fn assemble(journal: &mut Journal, targets: Targets<'_>) -> io::Result<Assembly> {
    let mut assembly = Assembly::default();
    if let Some((path, format)) = targets.output {
        let mut writer: Box<dyn RowWriter> = match format {
            OutputFormat::JsonLines => Box::new(JsonLines::default()),
            OutputFormat::Json => Box::new(JsonArray::default()),
            OutputFormat::Csv => Box::new(Csv::default()),
            #[cfg(feature = "parquet")]
            OutputFormat::Parquet => Box::new(Parquet::new(targets.columns)),
            OutputFormat::Tool(tool) => Box::new(ToolLines::main(tool)),
        };
        if writer.wants_first_pass() {
            each_row(journal, |row| writer.first_pass(row.body))?;
        }
        let mut file = Replacement::new(journal.disk(), path)?;
        each_row(journal, |row| {
            assembly.rows += 1;
            writer.row(&mut file, row.custom_id, row.index, row.body)
        })?;
        writer.end(&mut file)?;
        file.put_in_place()?;
    }
    if let Some((path, format)) = targets.errors {
        let disk = Arc::clone(journal.disk());
        let mut file = None;
        let mut writer: Box<dyn RowWriter> = match format {
            OutputFormat::Tool(tool) => Box::new(ToolLines::of(tool, Part::Rest)),
            _ => Box::new(JsonLines::default()),
        };
        let mut see = |row: &Row<'_>| {
            if row.ok || !writer.takes(row.body)? {
                return Ok(());
            }
            assembly.failed += 1;
            let file = match &mut file {
                Some(file) => file,
                none => none.insert(Replacement::new(&disk, path)?),
            };
            writer.row(file, row.custom_id, row.index, row.body)
        };
        if journal.has_failed_rows() {
            each_row(journal, &mut see)?;
        }
        match file {
            Some(file) => {
                file.put_in_place()?;
                assembly.errors = Some(path.to_owned());
            }
            None => match disk.remove(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            },
        }
    }
    Ok(assembly)
}

/// Writes the rows of a journal in input order to a stream: as JSON Lines, or all of them as
/// another tool does.
///
/// # Errors
/// When the journal cannot be read or the stream not be written.
pub fn print(journal: &mut Journal, out: &mut dyn Write, tool: Option<Tool>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(BUFFER, out);
    let mut writer: Box<dyn RowWriter> = match tool {
        Some(tool) => Box::new(ToolLines::of(tool, Part::All)),
        None => Box::new(JsonLines::default()),
    };
    each_row(journal, |row| {
        writer.row(&mut out, row.custom_id, row.index, row.body)
    })?;
    out.flush()
}

/// A row as the journal holds it.
struct Row<'a> {
    custom_id: Option<&'a str>,
    index: u64,
    ok: bool,
    body: &'a str,
}

fn each_row(
    journal: &mut Journal,
    mut see: impl FnMut(&Row<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let mut lookup = journal.lookup()?;
    journal.offsets().for_each(|index, offset| {
        let row = lookup.row(offset)?;
        see(&Row {
            custom_id: row.id.as_deref(),
            index,
            ok: row.ok,
            body: row.body,
        })
    })
}

/// Writes a stream's file anew from the rows that are current, in the order they finished.
///
/// A kill may have come between a row's record and the row itself, and failed rows that are
/// about to be sent again must not stay.
///
/// # Errors
/// When a file cannot be read or written; the file that was there before is then unchanged.
pub fn rebuild_stream(
    journal: &mut Journal,
    path: &Path,
    keep_failed: bool,
    tool: Option<Tool>,
) -> io::Result<()> {
    let file = File::open(journal.path())?;
    let mut out = Replacement::new(journal.disk(), path)?;
    let mut writer: Box<dyn RowWriter> = match tool {
        Some(tool) => Box::new(ToolLines::main(tool)),
        None => Box::new(JsonLines::default()),
    };
    for_each(&file, |offset, record| {
        let (Some(key), Some(ok)) = (record.key(), record.ok) else {
            return Ok(());
        };
        // Unusable items are not sent again: their rows stay as they are.
        let stays = ok || keep_failed || record.kind == Some(FailureKind::InvalidItem.label());
        if !stays || !journal.has_past(key, offset)? {
            return Ok(());
        }
        let body = record.body();
        let index = record.i.unwrap_or_default();
        writer.row(&mut out, record.id.as_deref(), index, body)
    })?;
    out.put_in_place()
}
