//! A fault that was chosen by its name.
//!
//! Owns names with their parameters, and what is said of one that does not exist.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::catalogue;
use super::entry::{Case, FaultEntry};
use crate::script::{Action, Call};

/// The names told when there is none like the one that was given.
const NEAREST: usize = 3;

/// A fault of the catalogue with its parameters, such as `503`, `cut-after-17-bytes`,
/// `redirect-307@127.0.0.1:9000` or, for the first two times of each body, `429-retry-after-ms:2`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fault {
    text: String,
    entry: &'static FaultEntry,
    n: u64,
    target: Option<String>,
    times: Option<u32>,
}

impl Fault {
    /// Its line of the catalogue.
    pub fn entry(&self) -> &'static FaultEntry {
        self.entry
    }

    /// Its name with the number in it, without what stands behind the name.
    pub fn name(&self) -> &str {
        let end = self.text.find(['@', ':']).unwrap_or(self.text.len());
        &self.text[..end]
    }

    /// How often it strikes each body; `None`: each time.
    pub fn times(&self) -> Option<u32> {
        self.times
    }

    /// Whether it strikes a body that was received so often.
    pub fn strikes(&self, seen: u32) -> bool {
        self.times.is_none_or(|times| seen <= times)
    }

    /// What it orders for a request, whatever [`Fault::times`] says.
    pub fn action(&self, call: &Call<'_>) -> Action {
        if self.entry.streamed && !call.streamed {
            return Action::Answer;
        }
        let case = Case {
            call,
            n: self.n,
            target: self.target.as_deref(),
        };
        match (self.entry.order)(&case) {
            // It does not strike this request.
            Action::Answer => Action::Answer,
            action => action.named(self.name().to_owned(), self.entry.spoils),
        }
    }
}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Fault, UnknownFault> {
        let unknown = || UnknownFault::new(text);
        let (named, target) = match text.split_once('@') {
            Some((name, target)) => (name, Some(target)),
            None => (text, None),
        };
        // A target has a colon of its own, before its port.
        let (target, times) = match target {
            Some(target) if target.matches(':').count() > 1 => split_times(target),
            Some(target) => (target, None),
            None => ("", None),
        };
        let (name, times) = match text.contains('@') {
            true => (named, times),
            false => split_times(named),
        };
        let times = times.map(str::parse).transpose().map_err(|_| unknown())?;
        let found = catalogue().find_map(|entry| Some((entry, entry.number(name)?)));
        let (entry, n) = found.ok_or_else(unknown)?;
        if text.contains('@') && (!entry.target || !target.contains(':')) {
            return Err(unknown());
        }
        Ok(Fault {
            text: text.to_owned(),
            entry,
            n,
            target: (!target.is_empty()).then(|| target.to_owned()),
            times,
        })
    }
}

/// Splits `REST:TIMES`.
fn split_times(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((rest, times)) => (rest, Some(times)),
        None => (text, None),
    }
}

impl TryFrom<String> for Fault {
    type Error = UnknownFault;

    fn try_from(text: String) -> Result<Fault, UnknownFault> {
        text.parse()
    }
}

impl From<Fault> for String {
    fn from(fault: Fault) -> String {
        fault.text
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Fault {
    fn eq(&self, other: &Fault) -> bool {
        self.text == other.text
    }
}

impl Eq for Fault {}

impl PartialOrd for Fault {
    fn partial_cmp(&self, other: &Fault) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Fault {
    fn cmp(&self, other: &Fault) -> Ordering {
        self.text.cmp(&other.text)
    }
}

/// A name that the catalogue does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFault {
    text: String,
    nearest: Vec<&'static str>,
}

impl UnknownFault {
    fn new(text: &str) -> UnknownFault {
        let name = text.split([':', '@']).next().unwrap_or_default();
        let mut names: Vec<&str> = catalogue().map(|entry| entry.name).collect();
        names.sort_by(|a, b| {
            let likeness = |known| strsim::jaro_winkler(name, known);
            likeness(b).total_cmp(&likeness(a))
        });
        names.truncate(NEAREST);
        UnknownFault {
            text: text.to_owned(),
            nearest: names,
        }
    }

    /// The names most like it, the nearest first.
    pub fn nearest(&self) -> &[&'static str] {
        &self.nearest
    }
}

impl fmt::Display for UnknownFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnknownFault { text, nearest } = self;
        let nearest = nearest.join(", ");
        write!(f, "{text:?} is no fault; the nearest are {nearest}")
    }
}

impl std::error::Error for UnknownFault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_numbers_targets_and_times() {
        let parse = |text: &str| text.parse::<Fault>().unwrap();
        let fault = parse("cut-after-17-bytes:2");
        assert_eq!((fault.entry.name, fault.n), ("cut-after-N-bytes", 17));
        assert_eq!(fault.name(), "cut-after-17-bytes");
        assert!(fault.strikes(2) && !fault.strikes(3));
        let fault = parse("redirect-307@127.0.0.1:9000:3");
        assert_eq!(fault.target.as_deref(), Some("127.0.0.1:9000"));
        assert_eq!((fault.name(), fault.times), ("redirect-307", Some(3)));
        let fault = parse("redirect-307@127.0.0.1:9000");
        assert_eq!(fault.target.as_deref(), Some("127.0.0.1:9000"));
        assert_eq!((fault.times, fault.strikes(9)), (None, true));
    }

    #[test]
    fn other_names_are_refused_with_the_nearest() {
        for bad in [
            "",
            "nonsense",
            "503:",
            "503:x",
            "503:-1",
            "503@a:1",
            "redirect-307@",
            "redirect-307@a",
            "cut-after-N-bytes",
            "cut-after--1-bytes",
            "cut-after-99999999999999999999-bytes",
        ] {
            assert!(bad.parse::<Fault>().is_err(), "{bad}");
        }
        let unknown = "stal".parse::<Fault>().unwrap_err();
        assert_eq!(unknown.nearest()[0], "stall");
        assert!(unknown.to_string().starts_with("\"stal\" is no fault"));
    }

    #[test]
    fn no_name_hides_another() {
        for entry in catalogue() {
            let name = entry.name.replace('N', "21");
            let first = catalogue().find(|e| e.number(&name).is_some()).unwrap();
            assert_eq!(first.name, entry.name);
            assert!(
                !entry.rows.is_empty() && !entry.summary.ends_with('.'),
                "{name}"
            );
        }
    }
}
