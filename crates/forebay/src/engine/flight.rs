//! Items on their way: what waits, what is in flight.

use std::time::Duration;

use super::feed::Prepared;
use super::verdict::Asked;
use crate::item::item_id;
use crate::journal::{Attempt, Key};
use crate::limit::{Estimate, Permit, Sketch, input_tokens_of};
use crate::money::Usd;
use crate::outcome::{Failure, Usage};
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
    /// What is sent next: the item's own request, or what is asked after an answer that would
    /// not do.
    pub(super) request: Encoded,
    /// The key that the request would have as an item's own, when it is not.
    pub(super) body_key: Option<Key>,
    /// The cap on output tokens, when it was raised.
    pub(super) cap: Option<u64>,
    pub(super) asked: Asked,
    /// What the attempts before are on the bill for.
    pub(super) spent: Spent,
    /// Input tokens by rule of thumb.
    pub(super) guess: f64,
    pub(super) worst_cost: Option<Usd>,
    pub(super) tries: Tries,
    pub(super) first_attempt: Option<Duration>,
    /// The kind of the failed row that this one replaces.
    pub(super) was: Option<String>,
    /// Whether the next attempt spends from the retry budget.
    pub(super) spends: bool,
    /// Whether its answer is one from earlier.
    pub(super) is_recalled: bool,
    /// Whether it travelled in another item's request.
    pub(super) along: bool,
    /// Items of an embeddings run that travel in the same request.
    pub(super) pack: Vec<Work>,
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
            body_key: None,
            cap: None,
            asked: Asked::default(),
            spent: Spent::default(),
            guess: prepared.guess,
            worst_cost: None,
            tries: Tries::default(),
            first_attempt: None,
            was: None,
            spends: false,
            is_recalled: false,
            along: false,
            pack: Vec::new(),
        });
        match failure {
            None => Ok(work),
            Some(failure) => Err((work, failure)),
        }
    }

    /// Asks something else from now on, for the same row.
    pub(super) fn go_on(&mut self, endpoint: &str, request: Encoded) {
        self.body_key = Some(Key::of(endpoint, &request.body));
        self.guess = input_tokens_of(&request.body);
        self.request = request;
        self.spends = false;
    }

    /// What is known of the next attempt before it is made, for everything that travels along.
    pub(super) fn sketch(&self) -> Sketch {
        Sketch {
            template: self.request.template,
            guess: self.guesses(),
            most_output: self.request.max_output,
        }
    }

    /// An attempt of the item, as the journal names it.
    pub(super) fn attempt(&self, n: u32) -> Attempt {
        Attempt {
            key: self.key,
            index: self.index,
            n,
            body: self.body_key,
            along: false,
            split: false,
        }
    }

    pub(super) fn id(&self) -> String {
        item_id(self.custom_id.as_deref(), self.index)
    }
}

/// Tokens and cost of an item's attempts before its last.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spent {
    usage: Option<Usage>,
    cost: Usd,
    /// Whether the cost of one of them is not known.
    unknown: bool,
}

impl Spent {
    /// Adds an attempt that was billed.
    pub(super) fn add(&mut self, usage: Option<&Usage>, cost: Option<Usd>) {
        if let Some(usage) = usage {
            self.usage.get_or_insert_default().add(usage);
        }
        match cost {
            Some(cost) => self.cost += cost,
            None => self.unknown = true,
        }
    }

    /// The tokens of all attempts, the last one's included.
    pub(super) fn usage_with(&self, last: Option<Usage>) -> Option<Usage> {
        let Some(mut sum) = self.usage else {
            return last;
        };
        if let Some(last) = &last {
            sum.add(last);
        }
        Some(sum)
    }

    /// The cost of all attempts, the last one's included, when it is known.
    pub(super) fn cost_with(&self, last: Option<Usd>) -> Option<Usd> {
        let last = last?;
        (!self.unknown).then_some(self.cost + last)
    }
}

/// An attempt under way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) work: Box<Work>,
    pub(super) permit: Permit,
    /// What it was expected to take.
    pub(super) estimate: Estimate,
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
