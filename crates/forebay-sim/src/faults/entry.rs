//! One line of the catalogue.
//!
//! Owns the form of a fault's name. Never chooses one.

use std::fmt;

use crate::dialect::Dialect;
use crate::script::{Action, Call};

/// What stands for a number in a name.
const NUMBER: char = 'N';

/// A fault of the catalogue.
#[derive(Clone, Copy)]
pub struct FaultEntry {
    /// Its name; a capital `N` stands for a number.
    pub name: &'static str,
    /// The rows of the list of faults (`docs/reference/faults.md`) that it belongs to.
    pub rows: &'static [u8],
    /// The dialects whose providers are known for it; it works in all of them.
    pub dialects: &'static [Dialect],
    /// Whether it strikes only streamed answers; others are answered normally.
    pub streamed: bool,
    /// Whether its name takes `@HOST:PORT` behind it.
    pub target: bool,
    /// What the server does.
    pub summary: &'static str,
    /// Whether no client may take the answer for a good one, whatever its status.
    pub spoils: bool,
    pub(super) order: fn(&Case<'_>) -> Action,
}

/// A request that a fault strikes, and the fault's parameters.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) call: &'a Call<'a>,
    /// The number in the name, or 0.
    pub(super) n: u64,
    /// The `HOST:PORT` behind the name, or none.
    pub(super) target: Option<&'a str>,
}

impl FaultEntry {
    /// An entry for all dialects.
    pub(super) const fn new(
        name: &'static str,
        rows: &'static [u8],
        summary: &'static str,
        order: fn(&Case<'_>) -> Action,
    ) -> FaultEntry {
        FaultEntry {
            name,
            rows,
            dialects: &[Dialect::OpenAi, Dialect::Anthropic, Dialect::Gemini],
            streamed: false,
            target: false,
            summary,
            spoils: false,
            order,
        }
    }

    pub(super) const fn of(self, dialects: &'static [Dialect]) -> FaultEntry {
        FaultEntry { dialects, ..self }
    }

    pub(super) const fn spoils(self) -> FaultEntry {
        FaultEntry {
            spoils: true,
            ..self
        }
    }

    pub(super) const fn streamed(self) -> FaultEntry {
        FaultEntry {
            streamed: true,
            ..self
        }
    }

    pub(super) const fn target(self) -> FaultEntry {
        FaultEntry {
            target: true,
            ..self
        }
    }

    /// The number in a name of this form; 0 if the form has none, `None` if the name has another.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        let Some((before, after)) = self.name.split_once(NUMBER) else {
            return (self.name == name).then_some(0);
        };
        let digits = name.strip_prefix(before)?.strip_suffix(after)?;
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok())?
    }
}

impl fmt::Debug for FaultEntry {
    /// Shows the name and the rows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultEntry")
            .field("name", &self.name)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}
