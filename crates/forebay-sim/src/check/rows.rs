//! The results as evidence: each row once, each as the journal has it.
//!
//! Owns what can be judged while rows are read. Never knows the log.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::BuildHasherDefault;
use std::io;

use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::facts::{AsIs, Facts};
use super::read::{Source, at, each_line, look, not_a};
use super::report::{Invariant, Report};
use super::row::Row;
use super::secrets::Secrets;
use super::sessions::JournalFacts;

/// The most missing indexes that are named.
const NAMED: usize = 5;

type Set = HashSet<u64, BuildHasherDefault<AsIs>>;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Lines,
    /// One JSON array of objects.
    Array,
}

/// Rows and how they are written.
#[derive(Debug)]
pub struct Rows<'a> {
    /// Where they are.
    pub source: Source<'a>,
    /// How they are written.
    pub format: Format,
}

/// What the rows say as a whole.
#[derive(Debug, Default)]
pub(super) struct RowFacts {
    pub(super) name: String,
    pub(super) rows: u64,
    pub(super) ok: u64,
    pub(super) failed: u64,
    /// Ok rows that share no other row's answer.
    pub(super) ok_sent: u64,
    /// The failed rows' contents, all added up, to compare with the errors file.
    pub(super) failed_content: u64,
    pub(super) indexes: Set,
    ids: Set,
    /// Whether there are lines of another tool's format, which are found in the journal by their
    /// `custom_id` alone.
    pub(super) foreign: bool,
    /// Lines of another tool's format whose record was not found.
    pub(super) unmatched: u64,
}

impl RowFacts {
    /// Adds the errors file of another tool's format, which has the rows that the results lack.
    pub(super) fn add(&mut self, errors: &RowFacts, report: &mut Report) {
        self.foreign = true;
        self.rows += errors.rows;
        self.ok += errors.ok;
        self.failed += errors.failed;
        self.ok_sent += errors.ok_sent;
        self.unmatched += errors.unmatched;
        let both = self.ids.intersection(&errors.ids).count();
        if both > 0 {
            let what = format!("{both} of its custom_ids are in {} too", self.name);
            report.violated(Invariant::OneRow, &errors.name, what);
        }
    }

    /// Indexes that are missing between the first and the last, and their number.
    pub(super) fn missing(&self) -> (Vec<u64>, u64) {
        let (Some(first), Some(last)) = (self.indexes.iter().min(), self.indexes.iter().max())
        else {
            return (Vec::new(), 0);
        };
        let missing = (last - first + 1) - self.indexes.len() as u64;
        let some = (*first..=*last).filter(|index| !self.indexes.contains(index));
        let some = if missing == 0 {
            Vec::new()
        } else {
            some.take(NAMED).collect()
        };
        (some, missing)
    }

    fn note(&mut self, row: &Row<'_>) {
        self.rows += 1;
        self.foreign |= row.foreign;
        match row.ok {
            true => self.ok += 1,
            false => {
                self.failed += 1;
                self.failed_content = self.failed_content.wrapping_add(row.content);
            }
        }
        self.ok_sent += u64::from(row.ok && row.attempts != Some(0));
    }
}

/// Reads the results.
///
/// # Errors
/// When they cannot be read or are no rows.
pub(super) fn read(
    rows: &mut Rows<'_>,
    facts: &mut Facts,
    journal: Option<&JournalFacts>,
    secrets: &Secrets,
    report: &mut Report,
) -> io::Result<RowFacts> {
    let mut total = RowFacts {
        name: rows.source.name.clone(),
        ..RowFacts::default()
    };
    let journal = journal.filter(|journal| journal.finished.is_none());
    let mut keys = None;
    each_row(rows, secrets, report, |report, row, place| {
        total.note(&row);
        unique(&mut total, &row, place, report);
        if row.ok && !row.answered {
            report.violated(
                Invariant::OneRow,
                place,
                "an ok row without an answer".into(),
            );
        }
        match journal {
            Some(_) if row.foreign => {
                total.unmatched += u64::from(!find(&row, facts, &mut keys));
            }
            Some(journal) => compare(&row, journal, facts, place, report),
            None => {}
        }
    })?;
    Ok(total)
}

/// The request of each item with a record, by the hash of its `custom_id`.
fn keys_by_id(facts: &Facts) -> HashMap<u64, u128> {
    let mut records: Vec<_> = facts.done.values().filter(|done| !done.several).collect();
    // Of several sessions, the last one has the row.
    records.sort_unstable_by_key(|done| done.line);
    records.iter().map(|done| (done.id, done.key)).collect()
}

/// Finds the record of a line of another tool's format, and says whether there is one.
fn find(row: &Row<'_>, facts: &mut Facts, keys: &mut Option<HashMap<u64, u128>>) -> bool {
    let keys = keys.get_or_insert_with(|| keys_by_id(facts));
    let key = row.id.and_then(|id| keys.get(&id));
    if let Some(key) = key {
        facts.keys.entry(*key).or_default().rows += 1;
    }
    key.is_some()
}

/// Reads the errors file, which repeats the failed rows; in another tool's format it has them
/// alone.
///
/// # Errors
/// When it cannot be read or has no rows.
pub(super) fn read_errors(
    source: Source<'_>,
    facts: &mut Facts,
    journal: Option<&JournalFacts>,
    secrets: &Secrets,
    report: &mut Report,
) -> io::Result<RowFacts> {
    let mut total = RowFacts {
        name: source.name.clone(),
        ..RowFacts::default()
    };
    let has_records = journal.is_some_and(|journal| journal.finished.is_none());
    let mut keys = None;
    let format = Format::Lines;
    each_row(
        &mut Rows { source, format },
        secrets,
        report,
        |report, row, place| {
            total.note(&row);
            if row.ok {
                report.violated(
                    Invariant::OneRow,
                    place,
                    "an ok row among the errors".into(),
                );
            }
            if row.foreign {
                unique(&mut total, &row, place, report);
                let lost = has_records && !find(&row, facts, &mut keys);
                total.unmatched += u64::from(lost);
            }
        },
    )?;
    Ok(total)
}

fn unique(total: &mut RowFacts, row: &Row<'_>, place: &str, report: &mut Report) {
    if row.index.is_none() && row.id.is_none() && !row.foreign {
        let what = "a row with neither index nor custom_id";
        return report.violated(Invariant::OneRow, place, what.into());
    }
    if let Some(index) = row.index
        && !total.indexes.insert(index)
    {
        report.violated(
            Invariant::OneRow,
            place,
            format!("index {index} has a second row"),
        );
    }
    if let Some(id) = row.id
        && !total.ids.insert(id)
    {
        let which = row
            .index
            .map_or(String::new(), |index| format!(" of index {index}"));
        report.violated(
            Invariant::OneRow,
            place,
            format!("the custom_id{which} comes twice"),
        );
    }
}

/// Finds the record of a row by its content.
fn compare(
    row: &Row<'_>,
    journal: &JournalFacts,
    facts: &mut Facts,
    place: &str,
    report: &mut Report,
) {
    let shown = row.index.map_or("?".to_owned(), |index| index.to_string());
    let Some(done) = facts.done.get_mut(&row.content) else {
        // A damaged record may have been this row's.
        if journal.damaged == 0 {
            let what = format!("row {shown} is not in {}", journal.name);
            report.violated(Invariant::OneRow, place, what);
        }
        return;
    };
    facts.keys.entry(done.key).or_default().rows += 1;
    let record = at(&journal.name, done.line);
    if done.left == 0 {
        let what = format!("row {shown} repeats the row of {record}");
        report.violated(Invariant::OneRow, place, what);
    }
    done.left = done.left.saturating_sub(1);
    // In later sessions an item may have another place.
    if done.several || journal.sessions.len() > 1 {
        return;
    }
    if row.index.is_some_and(|index| index != done.index) {
        let what = format!("row {shown} is that of index {} in {record}", done.index);
        report.violated(Invariant::OneRow, place, what);
    }
    if row.id.is_some_and(|id| id != done.id) {
        let what = format!("row {shown} has another custom_id than in {record}");
        report.violated(Invariant::OneRow, place, what);
    }
}

fn each_row(
    rows: &mut Rows<'_>,
    secrets: &Secrets,
    report: &mut Report,
    mut take: impl FnMut(&mut Report, Row<'_>, &str),
) -> io::Result<()> {
    let name = rows.source.name.clone();
    match rows.format {
        Format::Lines => each_line(&mut rows.source, secrets, report, |report, line| {
            let place = at(&name, line.number);
            match std::str::from_utf8(line.bytes).ok().and_then(Row::parse) {
                Some(row) => take(report, row, &place),
                None => {
                    let what = if line.whole { "no row" } else { "a torn row" };
                    report.violated(Invariant::OneRow, &place, what.into());
                }
            }
            Ok(())
        }),
        Format::Array => {
            let mut json = serde_json::Deserializer::from_reader(&mut rows.source.reader);
            let elements = Elements(|element: &RawValue, number: u64| {
                let place = format!("{name} row {number}");
                look(secrets, report, &place, element.get().as_bytes());
                match Row::parse(element.get()) {
                    Some(row) => take(report, row, &place),
                    None => report.violated(Invariant::OneRow, &place, "no row".into()),
                }
            });
            json.deserialize_seq(elements)
                .and_then(|()| json.end())
                .map_err(|error| not_a(&format!("a JSON array of rows ({error})"), &name))
        }
    }
}

/// Takes the elements of an array one by one.
struct Elements<F>(F);

impl<'de, F: FnMut(&RawValue, u64)> Visitor<'de> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        let mut number = 0;
        while let Some(element) = elements.next_element::<Box<RawValue>>()? {
            number += 1;
            (self.0)(&element, number);
        }
        Ok(())
    }
}
