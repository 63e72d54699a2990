//! Parquet files: rows as lines of JSON, a batch at a time.
//!
//! Owns what makes such a file unusable, and what its columns may be used for. Never holds more
//! than a batch of rows, and never reads from a pipe: a Parquet file is read from its end.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_cast::cast;
use arrow_schema::{DataType, Field};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Compression;

use super::place::{Place, cannot_open};
use super::record::CUSTOM_ID;
use super::rules::Rules;
use crate::error::Error;
use crate::fields::push_json_str;
use crate::row::field_name;
use crate::table::{Columns, is_nested, named, plain, push_value, survives};

/// What a Parquet file begins and ends with.
const MAGIC: &[u8; 4] = b"PAR1";
/// What one with an encrypted footer ends with.
const ENCRYPTED: &[u8; 4] = b"PARE";
/// Rows read at once, at most: enough to make the columns' decoding cheap.
const BATCH_ROWS: u64 = 1024;
/// Bytes of rows read at once, roughly.
const BATCH_BYTES: u64 = 8 << 20;

/// What a Parquet file says of itself.
#[derive(Debug, Clone)]
pub(super) struct Table {
    metadata: ArrowReaderMetadata,
}

impl Table {
    /// Reads a file's footer.
    ///
    /// # Errors
    /// When it is no Parquet file, is cut off or damaged, or is written in a way that cannot be
    /// read.
    pub(super) fn open(path: &Path, name: &str) -> Result<Table, Error> {
        let mut file = File::open(path).map_err(|error| cannot_open(name, &error))?;
        let (head, tail) = ends(&mut file).map_err(|error| cannot_open(name, &error))?;
        if &head != MAGIC && &head != ENCRYPTED {
            return Err(Error::io(format!("{name} is not Parquet data"))
                .with_hint("its extension or --format says so; was it copied whole?"));
        }
        if &tail == ENCRYPTED {
            return Err(Error::io(format!("{name} is an encrypted Parquet file"))
                .with_hint("write it without encryption"));
        }
        if &tail != MAGIC {
            return Err(Error::io(format!("{name} ends before its Parquet footer"))
                .with_hint("the file ends too early; was it copied whole?"));
        }
        let load = || ArrowReaderMetadata::load(&file, ArrowReaderOptions::new());
        let metadata = unbroken(load).map_err(|why| damaged(name, &why))?;
        let table = Table { metadata };
        table.check(name)?;
        Ok(table)
    }

    /// Refuses what would fail while rows are read.
    fn check(&self, name: &str) -> Result<(), Error> {
        for group in self.metadata.metadata().row_groups() {
            for column in group.columns() {
                let codec = match column.compression() {
                    Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_) => {
                        continue;
                    }
                    codec => codec.to_string(),
                };
                let codec = codec.split('(').next().unwrap_or_default().to_lowercase();
                return Err(Error::io(format!(
                    "{name} is compressed with {codec}, which cannot be read"
                ))
                .with_hint("write it with zstd, with snappy or without compression"));
            }
        }
        let names = self.columns();
        for (n, column) in names.iter().enumerate() {
            if names[..n].contains(column) {
                return Err(Error::io(format!(
                    "two columns of {name} have the name `{column}`"
                )));
            }
        }
        Ok(())
    }

    /// The number of rows.
    pub(super) fn n_rows(&self) -> u64 {
        let rows = self.metadata.metadata().file_metadata().num_rows();
        u64::try_from(rows).unwrap_or_default()
    }

    /// The names of the columns.
    pub(super) fn columns(&self) -> Vec<String> {
        self.fields().map(|field| field.name().clone()).collect()
    }

    fn fields(&self) -> impl Iterator<Item = &Field> {
        self.metadata.schema().fields().iter().map(|field| &**field)
    }

    fn field(&self, name: &str) -> Option<&Field> {
        self.fields().find(|field| field.name() == name)
    }

    /// The rows from the start, a line of JSON each.
    ///
    /// # Errors
    /// When the file is damaged.
    pub(super) fn rows(&self, file: File, name: &str) -> Result<Rows, Error> {
        let build = || {
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                .with_batch_size(self.batch_rows())
                .build()
        };
        let reader = unbroken(build).map_err(|why| damaged(name, &why))?;
        let names = self.fields().map(|field| {
            let mut name = Vec::new();
            push_json_str(&mut name, field.name());
            name.push(b':');
            name
        });
        Ok(Rows {
            reader,
            names: names.collect(),
            batch: None,
            row: 0,
            line: Vec::new(),
            at: 0,
            fault: None,
        })
    }

    /// Rows that are read at once: fewer when they are large.
    fn batch_rows(&self) -> usize {
        let groups = self.metadata.metadata().row_groups().iter();
        let bytes = groups.map(|group| u64::try_from(group.total_byte_size()).unwrap_or_default());
        let bytes = bytes.fold(0, u64::saturating_add);
        let per_row = (bytes / self.n_rows().max(1)).max(1);
        let rows = (BATCH_BYTES / per_row).clamp(1, BATCH_ROWS);
        usize::try_from(rows).unwrap_or(1)
    }
}

impl Place {
    /// Checks that columns which templates and keys use can be used so.
    ///
    /// # Errors
    /// When one holds lists, structs or bytes where text is needed.
    pub(super) fn check_types(&self, rules: &Rules) -> Result<(), Error> {
        let Some(table) = &self.table else {
            return Ok(());
        };
        for template in rules.templates() {
            let who = format!("the {} template", template.name());
            for name in template.fields() {
                let is_printed = template.prints(name);
                let bad = |data_type: &DataType| {
                    is_bytes(data_type) || (is_printed && is_nested(data_type))
                };
                self.refuse(table, (&who, name), bad)?;
            }
        }
        let bad = |data_type: &DataType| is_bytes(data_type) || is_nested(data_type);
        if let Some(name) = &self.prompt_field {
            self.refuse(table, ("the prompt", name), bad)?;
        }
        let id = rules.id_field.as_deref().unwrap_or(CUSTOM_ID);
        self.refuse(table, ("the items' key", id), bad)
    }

    fn refuse(
        &self,
        table: &Table,
        (who, name): (&str, &str),
        bad: impl Fn(&DataType) -> bool,
    ) -> Result<(), Error> {
        let Some(data_type) = table.field(name).map(|field| plain(field.data_type())) else {
            return Ok(());
        };
        if !bad(&data_type) {
            return Ok(());
        }
        let hint = if is_bytes(&data_type) {
            "write it as a string column first".to_owned()
        } else {
            format!(
                "name a part of it ({{{{ {name}.part }}}} or {{{{ {name}[0] }}}}), loop over it, or \
                 write it as a string column first"
            )
        };
        let kind = named(&data_type);
        let message = format!(
            "{who} names the column `{name}` of {}, which is no text but {kind}",
            self.name
        );
        Err(Error::config(message).with_hint(hint))
    }
}

fn is_bytes(data_type: &DataType) -> bool {
    data_type.is_binary() || matches!(data_type, DataType::FixedSizeBinary(_))
}

/// The types of columns on which all inputs agree, under the names that rows give them.
pub(super) fn column_types(places: &[Place], id_field: Option<&str>) -> Columns {
    let mut columns: Vec<(Field, bool)> = Vec::new();
    for place in places {
        let Some(table) = &place.table else {
            return Columns::default();
        };
        let is_key = |name: &str| name == CUSTOM_ID && id_field.is_none_or(|id| id == CUSTOM_ID);
        for field in table.fields().filter(|field| !is_key(field.name())) {
            let data_type = plain(field.data_type());
            let name = field_name(field.name()).into_owned();
            match columns.iter_mut().find(|(known, _)| *known.name() == name) {
                Some((known, agreed)) => *agreed &= *known.data_type() == data_type,
                None => {
                    let agreed = survives(&data_type);
                    columns.push((Field::new(name, data_type, field.is_nullable()), agreed));
                }
            }
        }
    }
    columns.retain(|(_, agreed)| *agreed);
    Columns {
        fields: columns.into_iter().map(|(field, _)| field).collect(),
    }
}

/// Whether bytes begin as a Parquet file does.
pub(super) fn begins(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// Whether a file begins and ends as a Parquet file does.
pub(super) fn is_table(path: &Path) -> bool {
    let ends = File::open(path).and_then(|mut file| ends(&mut file));
    ends.is_ok_and(|(head, tail)| &head == MAGIC && &tail == MAGIC)
}

/// The error for Parquet data that comes through a pipe.
pub(super) fn no_pipe(name: &str) -> Error {
    Error::config(format!(
        "{name} cannot be read as Parquet: such a file is read from its end, and a pipe has none"
    ))
    .with_hint("save it to a file and name that")
}

fn damaged(name: &str, why: &str) -> Error {
    Error::io(format!("{name} is a damaged Parquet file: {why}")).with_hint("was it copied whole?")
}

/// The first and last four bytes; zeros when there are fewer.
fn ends(file: &mut File) -> io::Result<([u8; 4], [u8; 4])> {
    let (mut head, mut tail) = ([0; 4], [0; 4]);
    let len = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    if len >= 4 {
        file.read_exact(&mut head)?;
    }
    // Magic, length of the footer, magic.
    if len >= 12 {
        file.seek(SeekFrom::End(-4))?;
        file.read_exact(&mut tail)?;
    }
    Ok((head, tail))
}

/// Reads something of a file that may be damaged in a way that makes the reader panic.
fn unbroken<T, E: std::fmt::Display>(read: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|error| error.to_string()),
        Err(_) => Err("its reader gave up".to_owned()),
    }
}

/// The rows of a file as lines of JSON.
pub(super) struct Rows {
    reader: ParquetRecordBatchReader,
    /// Each column's name with a colon after it.
    names: Vec<Vec<u8>>,
    batch: Option<RecordBatch>,
    /// The next row of the batch.
    row: usize,
    line: Vec<u8>,
    /// Up to where the line was read.
    at: usize,
    /// Why no further row can be read.
    fault: Option<String>,
}

impl Rows {
    /// Writes the next row into `line`; nothing at the end.
    fn next_line(&mut self) -> Result<(), String> {
        self.line.clear();
        self.at = 0;
        while self
            .batch
            .as_ref()
            .is_none_or(|batch| self.row >= batch.num_rows())
        {
            self.row = 0;
            self.batch = None;
            match unbroken(|| self.reader.next().transpose())? {
                Some(batch) => self.batch = Some(plain_batch(batch)?),
                None => return Ok(()),
            }
        }
        let Some(batch) = &self.batch else {
            return Ok(());
        };
        for (n, (name, column)) in self.names.iter().zip(batch.columns()).enumerate() {
            self.line.push(if n == 0 { b'{' } else { b',' });
            self.line.extend_from_slice(name);
            push_value(&mut self.line, column, self.row).map_err(|error| error.to_string())?;
        }
        self.line.extend_from_slice(b"}\n");
        self.row += 1;
        Ok(())
    }
}

/// The batch without dictionaries and the like.
fn plain_batch(batch: RecordBatch) -> Result<RecordBatch, String> {
    let (schema, mut columns, _) = batch.into_parts();
    let mut fields = Vec::with_capacity(columns.len());
    for (field, column) in schema.fields().iter().zip(&mut columns) {
        let data_type = plain(field.data_type());
        if data_type != *field.data_type() {
            *column = cast(column, &data_type).map_err(|error| error.to_string())?;
        }
        fields.push(field.as_ref().clone().with_data_type(data_type));
    }
    let schema = std::sync::Arc::new(arrow_schema::Schema::new(fields));
    RecordBatch::try_new(schema, columns).map_err(|error| error.to_string())
}

impl Read for Rows {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut n = 0;
        while n < out.len() {
            if self.at == self.line.len() && self.fault.is_none() {
                self.fault = self.next_line().err();
            }
            if let Some(why) = &self.fault {
                // The rows before a fault come first.
                return if n > 0 {
                    Ok(n)
                } else {
                    Err(io::Error::other(why.clone()))
                };
            }
            if self.line.is_empty() {
                break;
            }
            let piece = (self.line.len() - self.at).min(out.len() - n);
            out[n..n + piece].copy_from_slice(&self.line[self.at..self.at + piece]);
            n += piece;
            self.at += piece;
        }
        Ok(n)
    }
}
