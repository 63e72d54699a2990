//! A JSON object that is read member by member, until nothing in it is left unread.
//!
//! Owns the rule that no member is dropped in silence: what nobody asked for is named.

use std::borrow::Cow;
use std::fmt;

use serde_json::value::RawValue;

use crate::fields::{self, Member};
use crate::outcome::Failure;
use crate::provider::body::invalid;
use crate::provider::turn::Text;

/// Where in the input something stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The message.
    pub(super) at: usize,
    /// The list inside of it and the place in the list.
    pub(super) part: Option<(&'static str, usize)>,
}

impl Place {
    /// An element of a list in this message.
    pub(super) fn part(self, list: &'static str, at: usize) -> Place {
        Place {
            part: Some((list, at)),
            ..self
        }
    }

    /// A failure that names the place.
    pub(super) fn invalid(self, why: impl fmt::Display) -> Failure {
        invalid(format!("{self}: {why}"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "messages[{}]", self.at)?;
        match self.part {
            Some((list, at)) => write!(f, ".{list}[{at}]"),
            None => Ok(()),
        }
    }
}

/// What is left of an object.
pub(super) struct Object<'a> {
    members: Vec<Member<'a>>,
    pub(super) place: Place,
}

impl<'a> Object<'a> {
    /// Reads an object.
    ///
    /// # Errors
    /// When the value is something else.
    pub(super) fn of(raw: &'a RawValue, place: Place) -> Result<Object<'a>, Failure> {
        let members = fields::members(raw.get());
        let members = members.map_err(|_| place.invalid("not a JSON object"))?;
        Ok(Object { members, place })
    }

    /// Looks at a member without taking it.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        // Of a repeated member the last counts, as in most readers of JSON.
        let mut members = self.members.iter().rev();
        let found = members.find(|(have, _)| have == name);
        found.map(|(_, raw)| *raw).filter(|raw| raw.get() != "null")
    }

    /// Takes a member; `None` when it is missing or `null`.
    pub(super) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let found = self.get(name);
        self.members.retain(|(have, _)| have != name);
        found
    }

    /// Takes a member by either of its names.
    pub(super) fn take_either(&mut self, name: &str, other: &str) -> Option<&'a RawValue> {
        let (one, two) = (self.take(name), self.take(other));
        one.or(two)
    }

    /// Takes a text as it is written.
    ///
    /// # Errors
    /// When the member is of another type.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<Text<'a>>, Failure> {
        let raw = self.take(name);
        raw.map(|raw| written(raw).ok_or_else(|| self.not(name, "a string")))
            .transpose()
    }

    /// Takes a text, decoded; empty when the member is missing.
    ///
    /// # Errors
    /// When the member is of another type.
    pub(super) fn string(&mut self, name: &str) -> Result<Cow<'a, str>, Failure> {
        match self.take(name) {
            None => Ok(Cow::Borrowed("")),
            Some(raw) => fields::as_str(raw).ok_or_else(|| self.not(name, "a string")),
        }
    }

    /// Takes a list; empty when the member is missing.
    ///
    /// # Errors
    /// When the member is of another type.
    pub(super) fn list(&mut self, name: &str) -> Result<Vec<&'a RawValue>, Failure> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(raw) => fields::decode(raw).map_err(|_| self.not(name, "an array")),
        }
    }

    /// Takes an object.
    ///
    /// # Errors
    /// When the member is missing or of another type.
    pub(super) fn object(&mut self, name: &str) -> Result<Object<'a>, Failure> {
        match self.take(name) {
            Some(raw) if raw.get().starts_with('{') => Object::of(raw, self.place),
            Some(_) | None => Err(self.not(name, "an object")),
        }
    }

    /// A failure that says what a member is not.
    pub(super) fn not(&self, name: &str, what: &str) -> Failure {
        self.place.invalid(format!("\"{name}\" is not {what}"))
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// When something is left that says anything.
    pub(super) fn end(self) -> Result<(), Failure> {
        let says = |raw: &RawValue| !matches!(raw.get(), "null" | "false" | "\"\"" | "[]" | "{}");
        match self.members.into_iter().find(|(_, raw)| says(raw)) {
            None => Ok(()),
            Some((name, _)) => Err(self.place.invalid(format!(
                "the member {name:?} cannot be translated into another dialect; leave it out"
            ))),
        }
    }
}

/// A JSON string as it is written; `None` for another value.
pub(super) fn written(raw: &RawValue) -> Option<Text<'_>> {
    let inside = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    Some(Text::Written(inside))
}
