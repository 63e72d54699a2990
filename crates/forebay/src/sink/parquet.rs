//! Rows as a Parquet file: typed columns in row groups of a bounded size.
//!
//! Columns of a Parquet input keep their types. Other columns get a type that fits every value,
//! so all rows are seen once before the first is written. What has no type is JSON text.

use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::value::RawValue;

use super::writer::RowWriter;
use crate::fields::{Member, members};
use crate::item::item_id;
use crate::row::{ERROR_PARTS, ROW_MEMBERS, USAGE_PARTS};
use crate::table::{Cell, Columns, Kind, Seen, array_of, json_text};

/// Rows that are encoded at once, at most.
const BATCH_ROWS: usize = 4096;
/// Bytes of rows that are encoded at once, roughly.
const BATCH_BYTES: usize = 8 << 20;
/// Bytes of a row group in memory: large enough for readers to skip columns well, small enough
/// for any machine.
const GROUP_BYTES: usize = 64 << 20;
/// Rows of a row group, at most: the default of the Parquet library.
const GROUP_ROWS: usize = 1 << 20;

/// Two passes: the first finds the columns' types, the second writes.
pub(super) struct Parquet {
    columns: Vec<Column>,
    n_rows: u64,
    batch: Batch,
    writer: Option<ArrowWriter<Vec<u8>>>,
    schema: Arc<Schema>,
}

/// A column of the file after `custom_id` and `index`.
struct Column {
    name: String,
    at: At,
    /// The type that it has to have, as long as every value fits.
    wanted: Option<DataType>,
    is_nullable: bool,
    seen: Seen,
    n_values: u64,
    kind: Kind,
}

/// Where a column's values are in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// A field of the input, under the column's name.
    Field,
    /// A member of the row's own.
    Own(&'static str),
    /// A part of one.
    Part(&'static str, &'static str),
}

/// Rows that wait.
#[derive(Default)]
struct Batch {
    ids: Vec<String>,
    indexes: Vec<i64>,
    bodies: Vec<String>,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, head: Option<(String, u64)>, body: &str) {
        if let Some((id, index)) = head {
            self.ids.push(id);
            self.indexes.push(i64::try_from(index).unwrap_or(i64::MAX));
        }
        self.bytes += body.len();
        self.bodies.push(body.to_owned());
    }

    fn is_full(&self) -> bool {
        self.bodies.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }
}

impl Parquet {
    /// A writer for rows of an input with these columns.
    pub(super) fn new(columns: &Columns) -> Parquet {
        let declared = columns.fields.iter().map(|field| {
            let wanted = Some(field.data_type().clone());
            Column::new(field.name().clone(), At::Field, wanted, field.is_nullable())
        });
        Parquet {
            columns: declared.collect(),
            n_rows: 0,
            batch: Batch::default(),
            writer: None,
            schema: Arc::new(Schema::empty()),
        }
    }

    /// Sees whether every value of the batch fits the type that its column has to have.
    fn check_batch(&mut self) -> io::Result<()> {
        let batch = std::mem::take(&mut self.batch);
        let rows = rows_of(&batch)?;
        for column in &mut self.columns {
            if let Some(data_type) = &column.wanted
                && array_of(data_type, &column.cells(&rows)).is_err()
            {
                column.wanted = None;
            }
        }
        Ok(())
    }

    /// Settles the columns and begins the file.
    fn begin(&mut self) -> io::Result<()> {
        self.check_batch()?;
        self.add_own_columns();
        let mut fields = vec![
            Field::new("custom_id", DataType::Utf8, false),
            Field::new("index", DataType::Int64, false),
        ];
        for column in &mut self.columns {
            column.kind = match column.wanted.take() {
                Some(data_type) => Kind::Typed(data_type),
                // A string among them is quoted, so that every value can be read as JSON.
                None if matches!(column.at, At::Own("parsed" | "tool_calls" | "raw")) => {
                    Kind::JsonText
                }
                None => column.seen.kind(),
            };
            let is_nullable = column.is_nullable || column.n_values < self.n_rows;
            let data_type = column.kind.data_type();
            fields.push(Field::new(&column.name, data_type, is_nullable));
        }
        self.schema = Arc::new(Schema::new(fields));
        let level = ZstdLevel::default();
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_created_by(concat!("forebay ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_max_row_group_bytes(Some(GROUP_BYTES))
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&self.schema), Some(properties));
        self.writer = Some(writer.map_err(io::Error::other)?);
        Ok(())
    }

    /// Puts the row's own columns in their order: the usual ones always, the others when there
    /// is a row that has them.
    fn add_own_columns(&mut self) {
        let (fields, mut found): (Vec<_>, Vec<_>) = std::mem::take(&mut self.columns)
            .into_iter()
            .partition(|column| column.at == At::Field);
        self.columns = fields;
        for member in ROW_MEMBERS.into_iter().skip(2) {
            for (name, at, data_type) in spread(member) {
                let place = found.iter().position(|column| column.at == at);
                let column = match (place, data_type, is_usual(member)) {
                    (Some(place), ..) => found.swap_remove(place),
                    (None, Some(data_type), true) => Column::new(name, at, Some(data_type), true),
                    (None, ..) => continue,
                };
                self.columns.push(column);
            }
        }
    }

    fn write_batch(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let batch = std::mem::take(&mut self.batch);
        if batch.bodies.is_empty() {
            return Ok(());
        }
        let rows = rows_of(&batch)?;
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len() + 2);
        arrays.push(Arc::new(StringArray::from_iter_values(&batch.ids)));
        arrays.push(Arc::new(Int64Array::from(batch.indexes.clone())));
        for column in &self.columns {
            let cells = column.cells(&rows);
            arrays.push(match &column.kind {
                Kind::JsonText => json_text(&cells),
                Kind::Typed(data_type) => {
                    array_of(data_type, &cells).map_err(|_| unfit(&column.name, data_type))?
                }
            });
        }
        let arrays = RecordBatch::try_new(Arc::clone(&self.schema), arrays);
        let arrays = arrays.map_err(io::Error::other)?;
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        writer.write(&arrays).map_err(io::Error::other)?;
        let written = writer.inner_mut();
        out.write_all(written)?;
        written.clear();
        Ok(())
    }
}

impl RowWriter for Parquet {
    fn wants_first_pass(&self) -> bool {
        true
    }

    fn first_pass(&mut self, body: &str) -> io::Result<()> {
        self.n_rows += 1;
        for (n, (name, value)) in members(body)
            .map_err(io::Error::other)?
            .into_iter()
            .enumerate()
        {
            match ROW_MEMBERS.into_iter().find(|member| *member == name) {
                None => see(&mut self.columns, n, &name, At::Field, value),
                // Their types are known.
                Some("error" | "usage") => {}
                Some(member) => see(&mut self.columns, n, member, At::Own(member), value),
            }
        }
        if self.columns.iter().any(|column| column.wanted.is_some()) {
            self.batch.push(None, body);
            if self.batch.is_full() {
                self.check_batch()?;
            }
        }
        Ok(())
    }

    fn row(
        &mut self,
        out: &mut dyn Write,
        custom_id: Option<&str>,
        index: u64,
        body: &str,
    ) -> io::Result<()> {
        if self.writer.is_none() {
            self.begin()?;
        }
        self.batch
            .push(Some((item_id(custom_id, index), index)), body);
        if self.batch.is_full() {
            self.write_batch(out)?;
        }
        Ok(())
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.writer.is_none() {
            self.begin()?;
        }
        self.write_batch(out)?;
        match self.writer.take() {
            Some(writer) => out.write_all(&writer.into_inner().map_err(io::Error::other)?),
            None => Ok(()),
        }
    }
}

impl Column {
    fn new(name: String, at: At, wanted: Option<DataType>, is_nullable: bool) -> Column {
        Column {
            name,
            at,
            wanted,
            is_nullable,
            seen: Seen::default(),
            n_values: 0,
            kind: Kind::JsonText,
        }
    }

    /// The column's value of each row.
    fn cells<'a>(&self, rows: &[Vec<Member<'a>>]) -> Vec<Cell<'a>> {
        let value = |members: &[Member<'a>], name: &str| {
            let found = members.iter().rfind(|(known, _)| known == name);
            found
                .map(|(_, value)| *value)
                .filter(|value| !is_null(value))
        };
        let cell = |row: &Vec<Member<'a>>| match self.at {
            At::Field => value(row, &self.name),
            At::Own(member) => value(row, member),
            At::Part(member, part) => {
                let inner = members(value(row, member)?.get()).ok()?;
                value(&inner, part)
            }
        };
        rows.iter().map(cell).collect()
    }
}

fn rows_of(batch: &Batch) -> io::Result<Vec<Vec<Member<'_>>>> {
    let bodies = batch.bodies.iter();
    bodies
        .map(|body| members(body).map_err(io::Error::other))
        .collect()
}

fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// Notes a value; `n` is where its column most likely is.
fn see(columns: &mut Vec<Column>, n: usize, name: &str, at: At, value: &RawValue) {
    let is_it = |column: &Column| column.at == at && column.name == name;
    let place = match columns.get(n).is_some_and(is_it) {
        true => Some(n),
        false => columns.iter().position(is_it),
    };
    let place = place.unwrap_or_else(|| {
        let known = match at {
            At::Field => None,
            At::Own(member) => spread(member).into_iter().find_map(|(_, _, known)| known),
            At::Part(..) => None,
        };
        columns.push(Column::new(name.to_owned(), at, known, true));
        columns.len() - 1
    });
    if !is_null(value) {
        columns[place].n_values += 1;
        columns[place].seen.see(value);
    }
}

/// Whether a member's columns are there even when no row has it.
fn is_usual(member: &str) -> bool {
    !matches!(
        member,
        "parsed"
            | "embedding"
            | "tool_calls"
            | "time_to_first_chunk_s"
            | "cached"
            | "http_status"
            | "request_id"
            | "raw"
    )
}

/// The columns of a row's own member: name, place, and type when it is known.
fn spread(member: &'static str) -> Vec<(String, At, Option<DataType>)> {
    let parts = |parts: &[&'static str], prefix: &str| {
        let column = |part: &&'static str| {
            let data_type = match *part {
                "kind" | "code" | "message" => DataType::Utf8,
                _ => DataType::Int64,
            };
            (
                format!("{prefix}{part}"),
                At::Part(member, part),
                Some(data_type),
            )
        };
        parts.iter().map(column).collect()
    };
    let one = |data_type| vec![(member.to_owned(), At::Own(member), data_type)];
    match member {
        "error" => parts(&ERROR_PARTS, "error_"),
        "usage" => parts(&USAGE_PARTS, ""),
        "output" | "model" | "finish_reason" => one(Some(DataType::Utf8)),
        "cost_usd" | "duration_s" | "time_to_first_chunk_s" => one(Some(DataType::Float64)),
        "attempts" | "http_status" => one(Some(DataType::Int64)),
        "cached" => one(Some(DataType::Boolean)),
        "embedding" => one(Some(DataType::new_list(DataType::Float32, false))),
        _ => one(None),
    }
}

fn unfit(name: &str, data_type: &DataType) -> io::Error {
    io::Error::other(format!("a value of column `{name}` is no {data_type}"))
}
