//! Items on their way: what waits, what is in flight.

use std::time::Duration;

use super::feed::Prepared;
use crate::item::item_id;
use crate::journal::Key;
use crate::limit::Permit;
use crate::money::Usd;
use crate::outcome::Failure;
use crate::provider::Encoded;
use crate::retry::Tries;

/// An item that was accepted and has no outcome yet.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) index: u64,
    pub(super) custom_id: Option<String>,
    pub(super) fields: String,
    pub(super) fields_hash: u32,
    pub(super) key: Key,
    pub(super) request: Encoded,
    /// Input tokens by rule of thumb.
    pub(super) guess: f64,
    pub(super) worst_cost: Option<Usd>,
    pub(super) tries: Tries,
    pub(super) first_attempt: Option<Duration>,
    /// The kind of the failed row that this one replaces.
    pub(super) was: Option<String>,
    /// Whether the next attempt spends from the retry budget.
    pub(super) spends: bool,
}

impl Work {
    /// An item on its way; or, with why, one that cannot be sent.
    pub(super) fn new(prepared: Prepared) -> Result<Box<Work>, (Box<Work>, Failure)> {
        let (request, failure) = match prepared.request {
            Ok(request) => (request, None),
            Err(failure) => (Encoded::default(), Some(failure)),
        };
        let work = Box::new(Work {
            index: prepared.index,
            custom_id: prepared.custom_id,
            fields: prepared.fields,
            fields_hash: prepared.fields_hash,
            key: prepared.key,
            request,
            guess: prepared.guess,
            worst_cost: None,
            tries: Tries::default(),
            first_attempt: None,
            was: None,
            spends: false,
        });
        match failure {
            None => Ok(work),
            Some(failure) => Err((work, failure)),
        }
    }

    pub(super) fn id(&self) -> String {
        item_id(self.custom_id.as_deref(), self.index)
    }
}

/// An attempt under way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) work: Box<Work>,
    pub(super) permit: Permit,
}

/// Where a flight is kept.
pub(super) type Place = usize;

/// Attempts in flight by place.
#[derive(Debug, Default)]
pub(super) struct Flights {
    places: Vec<Option<Flight>>,
    free: Vec<Place>,
}

impl Flights {
    pub(super) fn put(&mut self, flight: Flight) -> Place {
        match self.free.pop() {
            Some(place) => {
                self.places[place] = Some(flight);
                place
            }
            None => {
                self.places.push(Some(flight));
                self.places.len() - 1
            }
        }
    }

    pub(super) fn take(&mut self, place: Place) -> Option<Flight> {
        let flight = self.places.get_mut(place)?.take()?;
        self.free.push(place);
        Some(flight)
    }

    pub(super) fn take_all(&mut self) -> Vec<Flight> {
        self.free.clear();
        self.places.drain(..).flatten().collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Flight> {
        self.places.iter().flatten()
    }
}
