//! Rows as comma-separated values.
//!
//! Nested members become columns of their own: `error` and `usage` are spread out, other
//! objects and arrays stay JSON text. The columns are known only after all rows were seen once.

use std::borrow::Cow;
use std::io::{self, Write};

use super::writer::RowWriter;
use crate::fields::{Member, as_str, members};
use crate::item::item_id;
use crate::row::{ERROR_PARTS, ROW_MEMBERS, USAGE_PARTS};

/// Two passes: the first collects columns, the second writes.
#[derive(Debug, Default)]
pub(super) struct Csv {
    fields: Vec<String>,
    own: Vec<String>,
    began: bool,
}

impl RowWriter for Csv {
    fn wants_first_pass(&self) -> bool {
        true
    }

    fn first_pass(&mut self, body: &str) -> io::Result<()> {
        for (name, _) in members(body).map_err(io::Error::other)? {
            let own = ROW_MEMBERS.contains(&&*name);
            let columns = if own { &mut self.own } else { &mut self.fields };
            if !columns.iter().any(|column| *column == name) {
                columns.push(name.into_owned());
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
        self.header(out)?;
        let members = members(body).map_err(io::Error::other)?;
        let mut record = csv::StringRecord::new();
        record.push_field(&item_id(custom_id, index));
        record.push_field(&index.to_string());
        for column in &self.fields {
            record.push_field(&value_of(&members, column));
        }
        for column in &self.own {
            match parts_of(column) {
                None => record.push_field(&value_of(&members, column)),
                Some(parts) => {
                    let inner = member(&members, column)
                        .and_then(|value| crate::fields::members(value.get()).ok())
                        .unwrap_or_default();
                    for part in parts {
                        record.push_field(&value_of(&inner, part));
                    }
                }
            }
        }
        write_record(out, &record)
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.header(out)
    }
}

impl Csv {
    fn header(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if std::mem::replace(&mut self.began, true) {
            return Ok(());
        }
        let mut record = csv::StringRecord::from(vec!["custom_id", "index"]);
        for column in &self.fields {
            record.push_field(column);
        }
        for column in &self.own {
            match (column.as_str(), parts_of(column)) {
                ("error", Some(parts)) => {
                    for part in parts {
                        record.push_field(&format!("error_{part}"));
                    }
                }
                (_, Some(parts)) => parts.iter().for_each(|part| record.push_field(part)),
                (_, None) => record.push_field(column),
            }
        }
        write_record(out, &record)
    }
}

fn parts_of(column: &str) -> Option<&'static [&'static str]> {
    match column {
        "error" => Some(&ERROR_PARTS),
        "usage" => Some(&USAGE_PARTS),
        _ => None,
    }
}

fn member<'a>(members: &[Member<'a>], name: &str) -> Option<&'a serde_json::value::RawValue> {
    members
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| *value)
}

/// Strings without quotes, nothing for null, everything else as JSON text.
fn value_of<'a>(members: &[Member<'a>], name: &str) -> Cow<'a, str> {
    match member(members, name) {
        None => Cow::Borrowed(""),
        Some(value) if value.get() == "null" => Cow::Borrowed(""),
        Some(value) => as_str(value).unwrap_or(Cow::Borrowed(value.get())),
    }
}

fn write_record(out: &mut dyn Write, record: &csv::StringRecord) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(record).map_err(io::Error::other)?;
    writer.flush()
}
