//! The source: all inputs of a run as one sequence of items.
//!
//! Owns numbering, offset and limit, and the checks before anything is sent. Never reads further
//! than the record that it yields.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::columns;
use super::count::Counter;
use super::format::{Format, Requests};
use super::header;
use super::peek::{self, Peeked};
use super::place::{Input, Place, cannot_read};
use super::record::Decoder;
use super::rules::{Draft, Rules};
use super::split::{Piece, Splitter};
use super::whole;
use super::{CheckReport, InputSpec, Prompting};
use crate::error::Error;
use crate::item::Item;
use crate::outcome::{Failure, FailureKind};
use crate::table::Columns;

/// Invalid items that a check report shows.
const EXAMPLES: usize = 5;

/// The items of a run, in input order.
///
/// Iterates over `Ok` items, invalid ones included; an `Err` is a fault of a file and the last
/// thing it yields. Items of a pipe come as soon as they are complete.
pub struct Source {
    places: Vec<Place>,
    columns: Vec<String>,
    rules: Rules,
    offset: u64,
    limit: Option<u64>,
    n_kept_messages: Arc<AtomicU64>,
    pass: Pass,
}

/// How far reading got.
#[derive(Default)]
struct Pass {
    /// The place that is read, or comes next.
    place: usize,
    open: Option<Open>,
    /// The number of the next item.
    index: u64,
    is_over: bool,
}

/// A place that is being read.
struct Open {
    splitter: Splitter<Input>,
    decoder: Decoder,
}

impl Source {
    /// Opens the inputs and checks everything that can be checked before anything is sent.
    ///
    /// Waits for the first row of a pipe.
    ///
    /// # Errors
    /// When an input does not exist, is no file, cannot be read, is not what its name says, or
    /// when there is no item at all; when a template is malformed or names a field that the input
    /// does not have; when no field can be told to be the prompt.
    pub fn open(spec: InputSpec, prompting: Prompting) -> Result<Source, Error> {
        Source::open_with(spec, prompting, || Box::new(io::stdin()))
    }

    /// Opens the inputs with another standard input.
    pub(super) fn open_with(
        spec: InputSpec,
        prompting: Prompting,
        stdin: impl Fn() -> Input,
    ) -> Result<Source, Error> {
        let rules = Rules::new(prompting)?;
        let mut places = Place::find_all(&spec, stdin)?;
        let peeked: Vec<Peeked> = places
            .iter()
            .map(|place| peek::peek(place, &rules))
            .collect::<Result<_, _>>()?;
        if !peeked.iter().any(|peeked| peeked.has_items) {
            return Err(Error::io("the input is empty"));
        }
        check_fields(&places, &peeked, &rules)?;
        if rules.prompt.is_none() {
            choose_prompts(&mut places, &peeked, &rules)?;
        }
        #[cfg(feature = "parquet")]
        for place in &places {
            place.check_types(&rules)?;
        }
        let mut columns = Vec::new();
        for peeked in &peeked {
            columns::add(&mut columns, &peeked.columns);
        }
        Ok(Source {
            places,
            columns,
            rules,
            offset: spec.offset,
            limit: spec.limit,
            n_kept_messages: Arc::default(),
            pass: Pass::default(),
        })
    }

    /// The fields that the first rows of the inputs have, in the order of their first appearance.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The types of the input's columns, under the names that rows give them; none unless all
    /// inputs are Parquet files.
    pub fn column_types(&self) -> Columns {
        #[cfg(feature = "parquet")]
        let columns = super::parquet::column_types(&self.places, self.rules.id_field.as_deref());
        #[cfg(not(feature = "parquet"))]
        let columns = Columns::default();
        columns
    }

    /// Items so far whose own `messages` took the place of the prompt template.
    ///
    /// The number may be read while the source is in another thread.
    pub fn n_kept_messages(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.n_kept_messages)
    }

    /// Whether an item may be long in coming: a pipe is among the inputs.
    pub fn may_wait(&self) -> bool {
        self.places.iter().any(Place::is_stream)
    }

    /// Something that counts the items apart from this source; `None` when a pipe is among the
    /// inputs.
    pub fn counter(&self) -> Option<Counter> {
        (!self.may_wait()).then(|| Counter {
            places: self.places.clone(),
            offset: self.offset,
            limit: self.limit,
        })
    }

    /// The number of items that the source yields from the start; `None` when a pipe is among
    /// the inputs, a file cannot be read to its end, or `stop` is set meanwhile.
    pub fn n_items(&self, stop: &AtomicBool) -> Option<u64> {
        self.counter()?.count(stop)
    }

    /// Reads the whole input once and tells which items are invalid; then yields from the start.
    ///
    /// Pipes are first copied to an unnamed temporary file. Items that were already taken from a
    /// pipe are gone, so call it before the first one.
    ///
    /// # Errors
    /// When an input cannot be read, or the temporary file cannot be written.
    pub fn check_all(&mut self) -> Result<CheckReport, Error> {
        for place in &mut self.places {
            place.spool()?;
        }
        self.rewind();
        let mut report = CheckReport::default();
        for item in self.by_ref() {
            report.items += 1;
            if let Err(failure) = item?.request {
                report.invalid += 1;
                if report.examples.len() < EXAMPLES {
                    report.examples.push(failure.message);
                }
            }
        }
        self.rewind();
        Ok(report)
    }

    fn rewind(&mut self) {
        self.pass = Pass::default();
        self.n_kept_messages.store(0, Relaxed);
    }

    /// The next item, skipping those before the offset.
    fn read(&mut self) -> Result<Option<Item>, Error> {
        let end = self.limit.map(|limit| self.offset.saturating_add(limit));
        while end.is_none_or(|end| self.pass.index < end) {
            let Some(place) = self.places.get(self.pass.place) else {
                return Ok(None);
            };
            let open = match &mut self.pass.open {
                Some(open) => open,
                closed => closed.insert(Open::new(place)?),
            };
            let line = open.splitter.line();
            let piece = open
                .splitter
                .next()
                .map_err(|error| cannot_read(place, line, &error))?;
            let Some(piece) = piece else {
                self.pass.open = None;
                self.pass.place += 1;
                continue;
            };
            let index = self.pass.index;
            self.pass.index += 1;
            if index < self.offset {
                continue;
            }
            let draft = draft(&self.rules, place, &mut open.decoder, &piece);
            if draft.kept_messages {
                self.n_kept_messages.fetch_add(1, Relaxed);
            }
            return Ok(Some(number(draft, index, piece.line, place)));
        }
        Ok(None)
    }
}

impl Iterator for Source {
    type Item = Result<Item, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.pass.is_over {
            return None;
        }
        let next = self.read().transpose();
        self.pass.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("places", &self.places)
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

impl Open {
    fn new(place: &Place) -> Result<Open, Error> {
        let mut splitter = place.splitter()?;
        let (decoder, _) = header::decoder(place, &mut splitter)?;
        Ok(Open { splitter, decoder })
    }
}

fn draft(rules: &Rules, place: &Place, decoder: &mut Decoder, piece: &Piece<'_>) -> Draft {
    let usual = |record| rules.draft(record, place.prompt_field.as_deref());
    match decoder.decode(piece) {
        Ok(record) => match place.format {
            Format::Requests(kind) => whole::draft(rules, kind, &record),
            Format::Text | Format::JsonLines | Format::Csv => usual(&record),
            #[cfg(feature = "parquet")]
            Format::Parquet => usual(&record),
        },
        Err(why) => Draft::unreadable(why),
    }
}

fn number(draft: Draft, index: u64, line: u64, place: &Place) -> Item {
    Item {
        index,
        custom_id: draft.custom_id,
        fields: draft.fields,
        request: draft.request.map_err(|why| {
            let message = format!("{} {line} of {}: {why}", place.format.unit(), place.name);
            Failure::new(FailureKind::InvalidItem, message)
        }),
    }
}

/// Checks that the fields which templates and the id name exist.
///
/// Rows of one CSV file all have the same columns, so each file is checked by itself; JSON
/// objects may differ, so a field may be in any of them.
fn check_fields(places: &[Place], peeked: &[Peeked], rules: &Rules) -> Result<(), Error> {
    let mut in_json = Vec::new();
    for (place, peeked) in places.iter().zip(peeked) {
        if place.format == Format::JsonLines {
            columns::add(&mut in_json, &peeked.columns);
        } else if !peeked.columns.is_empty() {
            let name = (places.len() > 1).then_some(place.name.as_str());
            check_names(rules, &peeked.columns, name)?;
        }
    }
    if in_json.is_empty() {
        return Ok(());
    }
    check_names(rules, &in_json, None)
}

fn check_names(rules: &Rules, columns: &[String], place: Option<&str>) -> Result<(), Error> {
    for template in rules.templates() {
        let who = format!("the {} template", template.name());
        for field in template.fields() {
            columns::check(&who, field, columns, place)?;
        }
    }
    match &rules.id_field {
        Some(field) => columns::check("--id-field", field, columns, place),
        None => Ok(()),
    }
}

/// Whole requests where items were expected, as in a pipe, which is not looked into beforehand.
fn not_items(place: &Place, kind: Requests) -> Error {
    let name = match kind {
        Requests::AnthropicBatch => "anthropic-batch",
        _ => "openai-batch",
    };
    Error::config(format!("{} is {}", place.name, kind.described()))
        .with_hint(format!("say so with --format {name}"))
}

fn choose_prompts(places: &mut [Place], peeked: &[Peeked], rules: &Rules) -> Result<(), Error> {
    for (place, peeked) in places.iter_mut().zip(peeked) {
        if matches!(place.format, Format::Requests(_)) {
            continue;
        }
        if let Some(kind) = peeked.shape {
            return Err(not_items(place, kind));
        }
        place.prompt_field = columns::prompt_field(
            &peeked.columns,
            rules.id_field.as_deref(),
            peeked.has_messages,
            &place.name,
        )?;
    }
    Ok(())
}
