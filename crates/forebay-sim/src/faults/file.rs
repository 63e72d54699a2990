//! Files of rules.
//!
//! Owns their reading and what is said of one that cannot be right. Never asks a rule anything.

use std::fmt;
use std::path::{Path, PathBuf};

use super::Rules;

/// A file of rules that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRules {
    /// The file.
    pub file: PathBuf,
    /// Line and column of the fault, from 1; `None` if the file as a whole cannot be read.
    pub place: Option<(usize, usize)>,
    /// The field, if the fault is in one.
    pub field: Option<String>,
    /// What is wrong.
    pub message: String,
}

impl Rules {
    /// Reads rules from a TOML file, and the files that they name beside it.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or is no TOML, or has a field or a value that cannot be.
    pub fn read(file: &Path) -> Result<Rules, BadRules> {
        let bad = |what: &Path, error: std::io::Error| BadRules {
            file: what.to_owned(),
            place: None,
            field: None,
            message: format!("cannot be read: {error}"),
        };
        let text = std::fs::read_to_string(file).map_err(|error| bad(file, error))?;
        let mut rules = Rules::parse(file, &text)?;
        let folder = file.parent().unwrap_or(Path::new(""));
        for rule in &mut rules.rule {
            if let Some(raw) = &rule.raw_file {
                let path = folder.join(raw);
                rule.raw_bytes = std::fs::read(&path).map_err(|error| bad(&path, error))?;
            }
        }
        Ok(rules)
    }

    /// Reads rules from TOML; the file is only named in errors.
    ///
    /// # Errors
    ///
    /// When it is no TOML, or has a field or a value that cannot be.
    pub fn parse(file: &Path, toml: &str) -> Result<Rules, BadRules> {
        toml::from_str(toml).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let before = toml.get(..at).unwrap_or(toml);
            let start = before.rfind('\n').map_or(0, |newline| newline + 1);
            BadRules {
                file: file.to_owned(),
                place: Some((
                    before.matches('\n').count() + 1,
                    before[start..].chars().count() + 1,
                )),
                field: field(&before[start..]),
                message: error.message().replace('\n', " "),
            }
        })
    }
}

/// The field whose value begins where this part of a line ends.
fn field(before: &str) -> Option<String> {
    let (key, _) = before.split_once('=')?;
    Some(key.trim().trim_matches('"').to_owned())
}

impl fmt::Display for BadRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        if let Some(field) = &self.field {
            write!(f, ": {field}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for BadRules {}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(toml: &str) -> String {
        let error = Rules::parse(Path::new("script.toml"), toml).unwrap_err();
        error.to_string()
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_its_field_and_its_value() {
        for (toml, place, what) in [
            (
                "[[rule]]\nfault = \"5O3\"\n",
                "script.toml:2:9: fault: ",
                "\"5O3\" is no fault",
            ),
            (
                "[[rule]]\nfualt = \"503\"\n",
                "script.toml:2:1: ",
                "unknown field `fualt`",
            ),
            (
                "[[rule]]\nprobability = 2\n",
                "script.toml:2:15: probability: ",
                "from 0 to 1",
            ),
            (
                "[[rule]]\nattempt = \"x\"\n",
                "script.toml:2:11: attempt: ",
                "such as \"1..3\"",
            ),
            (
                "[[rule]]\nfrom = \"1d\"\n",
                "script.toml:2:8: from: ",
                "\"500ms\"",
            ),
            (
                "[[rule]]\nmodel = \"a\"\n",
                "script.toml:1:1: ",
                "needs an order",
            ),
            (
                "[[rule]]\nfault = \"503\"\nraw = \"x\"\n",
                "script.toml:1:1: ",
                "has fault and raw",
            ),
            (
                "[[rule]]\nfault = \"503\"\nfrom = 5\nuntil = 5\n",
                "script.toml:1:1: ",
                "not before",
            ),
            (
                "[faults]\n503 = 2\n",
                "script.toml:2:7: 503: ",
                "probability",
            ),
            (
                "[faults]\nnonsense = 0.1\n",
                "script.toml:2:1: ",
                "no fault",
            ),
            (
                "[[rule]]\nreply = { status = 20 }\n",
                "script.toml:1:1: ",
                "three digits",
            ),
            ("[rule\n", "script.toml:1:", ""),
        ] {
            let said = refusal(toml);
            assert!(
                said.starts_with(place) && said.contains(what),
                "{toml}: {said}"
            );
        }
    }
}
