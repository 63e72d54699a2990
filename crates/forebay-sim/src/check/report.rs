//! What the judge found: violations with their places, what was checked, and what was not.
//!
//! Owns the names of the invariants and how a report reads. Never decides anything.

use std::fmt;

use serde::{Serialize, Serializer};

/// The violations of one invariant that a report keeps; the others are only counted, so that a
/// report about a million rows stays readable.
const KEPT: u64 = 50;

/// What must hold after every run, whatever the provider did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// Every item ends in exactly one row, or the run says that it is pending.
    OneRow,
    /// No ok row without an answer that was fully sent.
    TrueAnswers,
    /// Nothing is sent again once its row is recorded, and nothing is sent unrecorded.
    SentOnce,
    /// Attempts and retries keep to their limits.
    Attempts,
    /// No more requests are in flight than allowed.
    InFlight,
    /// The exit code tells the truth.
    ExitCode,
    /// No secret is in any output.
    Secrets,
    /// The run ends within its bound.
    Ends,
}

impl Invariant {
    /// All of them, in order.
    pub const ALL: [Invariant; 8] = [
        Invariant::OneRow,
        Invariant::TrueAnswers,
        Invariant::SentOnce,
        Invariant::Attempts,
        Invariant::InFlight,
        Invariant::ExitCode,
        Invariant::Secrets,
        Invariant::Ends,
    ];

    /// Its short name, `I1` to `I8`.
    pub fn name(self) -> &'static str {
        ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8"][self as usize]
    }

    /// What it says, in a few words.
    pub fn says(self) -> &'static str {
        match self {
            Invariant::OneRow => "one row per item",
            Invariant::TrueAnswers => "no ok row without its answer",
            Invariant::SentOnce => "nothing sent again or unrecorded",
            Invariant::Attempts => "attempts and retries in bounds",
            Invariant::InFlight => "requests in flight in bounds",
            Invariant::ExitCode => "a truthful exit code",
            Invariant::Secrets => "no secret in any output",
            Invariant::Ends => "the run ends in time",
        }
    }
}

impl Serialize for Invariant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One thing that must not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// What it violates.
    pub invariant: Invariant,
    /// Where it shows: `FILE:LINE`, or the file alone.
    pub place: String,
    /// What is wrong, with the values.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation {
            invariant,
            place,
            what,
        } = self;
        write!(f, "{} {place}: {what}", invariant.name())
    }
}

/// What became of one invariant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which one.
    pub invariant: Invariant,
    /// How often it is violated.
    pub violations: u64,
    /// What was checked.
    pub checked: Vec<String>,
    /// What was not, and why.
    pub skipped: Vec<String>,
}

/// Sums over the evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Rows in the results.
    pub rows: u64,
    /// Those that are ok.
    pub ok_rows: u64,
    /// Requests in the log.
    pub requests: u64,
    /// Answers with a 2xx status that were fully sent.
    pub answers: u64,
    /// Answers that were not fully sent.
    pub dropped: u64,
    /// Requests that the log says no end of.
    pub open: u64,
    /// Sessions in the journal.
    pub sessions: u64,
    /// Attempts recorded in the journal.
    pub sent: u64,
    /// Recorded attempts that never became a request.
    pub never_arrived: u64,
    /// The most requests in flight at once.
    pub max_in_flight: u64,
}

/// What the judge found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What must not be, at most fifty of each invariant.
    pub violations: Vec<Violation>,
    /// What became of each invariant.
    pub findings: Vec<Finding>,
    /// What is worth knowing and violates nothing.
    pub notes: Vec<String>,
    /// Sums over the evidence.
    pub counts: Counts,
}

impl Report {
    pub(super) fn new() -> Report {
        Report {
            violations: Vec::new(),
            findings: Invariant::ALL
                .map(|invariant| Finding {
                    invariant,
                    violations: 0,
                    checked: Vec::new(),
                    skipped: Vec::new(),
                })
                .to_vec(),
            notes: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Whether nothing is violated.
    pub fn is_clean(&self) -> bool {
        self.findings.iter().all(|finding| finding.violations == 0)
    }

    /// What became of an invariant.
    pub fn of(&self, invariant: Invariant) -> &Finding {
        &self.findings[invariant as usize]
    }

    pub(super) fn violated(&mut self, invariant: Invariant, place: &str, what: String) {
        let finding = &mut self.findings[invariant as usize];
        finding.violations += 1;
        if finding.violations <= KEPT {
            self.violations.push(Violation {
                invariant,
                place: place.to_owned(),
                what,
            });
        }
    }

    pub(super) fn checked(&mut self, invariant: Invariant, what: impl Into<String>) {
        self.findings[invariant as usize].checked.push(what.into());
    }

    pub(super) fn skipped(&mut self, invariant: Invariant, why: impl Into<String>) {
        self.findings[invariant as usize].skipped.push(why.into());
    }
}

impl fmt::Display for Report {
    /// One line for each violation, then what became of each invariant.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for violation in &self.violations {
            writeln!(f, "{violation}")?;
        }
        for finding in &self.findings {
            let kept = finding.violations.saturating_sub(KEPT);
            if kept > 0 {
                writeln!(f, "{} and {kept} more", finding.invariant.name())?;
            }
        }
        if !self.is_clean() {
            writeln!(f)?;
        }
        for finding in &self.findings {
            let verdict = match (finding.violations, finding.checked.is_empty()) {
                (0, true) => "skipped".to_owned(),
                (0, false) => "ok".to_owned(),
                (n, _) => format!("violated {n}"),
            };
            let invariant = finding.invariant;
            let (name, says) = (invariant.name(), invariant.says());
            writeln!(f, "{name}  {says:<33} {verdict}")?;
            for checked in &finding.checked {
                writeln!(f, "      checked: {checked}")?;
            }
            for skipped in &finding.skipped {
                writeln!(f, "      not checked: {skipped}")?;
            }
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}
