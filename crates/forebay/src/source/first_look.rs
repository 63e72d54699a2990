//! What the inputs are, by a look at the first record of each.
//!
//! Owns telling the files of other tools from plain ones before anything is planned. Reads no
//! pipe, since what was read of one is gone.

use std::fs;

use super::format::{Format, Requests};
use super::place::Place;
use super::record::Decoder;
use super::{InputSpec, Location, paths, whole};
use crate::endpoint::Dialect;
use crate::error::Error;

/// Records that are looked at for one that can be read.
const RECORDS: usize = 100;

/// What the first record of the inputs says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirstLook {
    /// The kind of whole requests that the inputs hold, when that is what they hold.
    pub requests: Option<Requests>,
    /// The model that the first request names.
    pub model: Option<String>,
    /// The dialect that the first request is written in, when it says so.
    pub dialect: Option<Dialect>,
}

impl FirstLook {
    /// Looks at the first record of each file; pipes, and files that cannot be read, say nothing.
    ///
    /// # Errors
    /// When some of the files hold whole requests of one kind and others do not.
    pub fn at(spec: &InputSpec) -> Result<FirstLook, Error> {
        let mut first: Option<(String, FirstLook)> = None;
        for location in &spec.locations {
            let Some((name, look)) = of(location, spec.format) else {
                continue;
            };
            match &first {
                None => first = Some((name, look)),
                Some((other, seen)) if seen.requests != look.requests => {
                    let (a, b) = (what(seen), what(&look));
                    return Err(Error::config(format!("{other} is {a} and {name} is {b}"))
                        .with_hint("run them apart: a run has one format of requests"));
                }
                Some(_) => {}
            }
        }
        let look = first.map(|(_, look)| look).unwrap_or_default();
        Ok(match spec.format {
            // A pipe, say, of which this is all that is known.
            Some(Format::Requests(kind)) => FirstLook {
                requests: Some(kind),
                ..look
            },
            _ => look,
        })
    }
}

fn what(look: &FirstLook) -> &'static str {
    match look.requests {
        Some(kind) => kind.described(),
        None => "a file of items",
    }
}

fn of(location: &Location, format: Option<Format>) -> Option<(String, FirstLook)> {
    let Location::Path(path) = location else {
        return None;
    };
    // Reading a pipe would take its first record away.
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let place = Place::find(path, format).ok()?;
    let name = place.name.clone();
    let kind = match place.format {
        Format::Requests(kind) => Some(kind),
        Format::JsonLines if format.is_none() => None,
        _ => return Some((name, FirstLook::default())),
    };
    let mut splitter = place.splitter().ok()?;
    let mut decoder = Decoder::new(place.format, place.delimiter, Vec::new());
    for _ in 0..RECORDS {
        let piece = splitter.next().ok()??;
        let Ok(record) = decoder.decode(&piece) else {
            continue;
        };
        let Some(kind) = kind.or_else(|| whole::shape_of(&record)) else {
            break;
        };
        let (model, url) = whole::model_and_path(kind, &record);
        return Some((
            name,
            FirstLook {
                requests: Some(kind),
                model,
                dialect: url.as_deref().and_then(paths::dialect_of),
            },
        ));
    }
    Some((name, FirstLook::default()))
}
