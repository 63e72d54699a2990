//! Rules by which faults strike, as data.
//!
//! Owns their fields, what makes one hold, and what it orders. Never draws.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::orders::{Reply, Shaping};
use super::{Fault, Nth, Probability, Seconds};
use crate::dialect::{Dialect, Operation};
use crate::script::{Action, Call};

/// What strikes which requests: rules, and faults by probability alone.
///
/// ```
/// let rules: forebay_sim::faults::Rules = toml::from_str(
///     r#"
///     [faults]
///     503 = 0.02
///
///     [[rule]]
///     prompt = "poison"
///     attempt = "1..2"
///     fault = "429-retry-after-ms"
///
///     [[rule]]
///     from = "10m"
///     until = "20m"
///     fault = "529"
///     "#,
/// )?;
/// assert_eq!((rules.faults.len(), rules.rule.len()), (1, 2));
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Faults by probability, at most one for each request; asked after all rules.
    #[serde(default)]
    pub faults: BTreeMap<Fault, Probability>,
    /// Rules; the first one that holds decides.
    #[serde(default)]
    pub rule: Vec<Rule>,
}

/// Conditions, all of which must hold, and an order.
///
/// There is one order of `fault`, `reply`, `raw`, `raw-file`, `answer` and `shape`; a `delay`
/// comes before it. A rule with only a `delay` answers normally after it, and keeps later rules
/// from being asked.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    rename_all = "kebab-case",
    remote = "Self"
)]
pub struct Rule {
    /// The model's name; `*` stands for any text.
    pub model: Option<String>,
    /// A part of the last user message.
    pub prompt: Option<String>,
    /// The whole last user message.
    pub prompt_is: Option<String>,
    /// The dialect of the path.
    pub dialect: Option<Dialect>,
    /// What the path asks for.
    pub operation: Option<Operation>,
    /// Whether a stream is asked for.
    pub streamed: Option<bool>,
    /// Which time it is that this very body is received.
    #[serde(alias = "seen")]
    pub attempt: Option<Nth>,
    /// Which of the different bodies it is, in the order in which they first came.
    pub row: Option<Nth>,
    /// Which of all requests it is.
    #[serde(alias = "seq")]
    pub request: Option<Nth>,
    /// Which connection it comes on.
    pub connection: Option<Nth>,
    /// Which request on its connection it is.
    pub nth_on_connection: Option<Nth>,
    /// Not before this time since the simulator started.
    pub from: Option<Seconds>,
    /// Before this time since the simulator started.
    pub until: Option<Seconds>,
    /// How probable it is that the rule strikes where all else holds; drawn for each attempt.
    pub probability: Option<Probability>,
    /// How often the rule strikes in all.
    pub times: Option<u64>,

    /// A fault of the catalogue.
    pub fault: Option<Fault>,
    /// An answer, exactly as it is.
    pub reply: Option<Reply>,
    /// Bytes that are written as they are, before the connection closes.
    pub raw: Option<String>,
    /// A file of such bytes, relative to the file of the rules.
    pub raw_file: Option<PathBuf>,
    /// A text that is the answer.
    pub answer: Option<String>,
    /// What the network makes of a normal answer.
    pub shape: Option<Shaping>,
    /// A wait before the order, besides that of the back end.
    pub delay: Option<Seconds>,
    /// Whether no client may take a `reply`, `raw` bytes or a `shape` for a good answer.
    pub spoiled: bool,

    /// What `raw-file` holds.
    #[serde(skip)]
    pub(crate) raw_bytes: Vec<u8>,
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Rule, D::Error> {
        let rule = Rule::deserialize(from)?;
        match rule.problem() {
            None => Ok(rule),
            Some(problem) => Err(D::Error::custom(problem)),
        }
    }
}

impl Rules {
    /// Whether nothing ever strikes.
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty() && self.rule.is_empty()
    }
}

impl Rule {
    /// What is wrong with it as a whole.
    fn problem(&self) -> Option<String> {
        let orders = [
            ("fault", self.fault.is_some()),
            ("reply", self.reply.is_some()),
            ("raw", self.raw.is_some()),
            ("raw-file", self.raw_file.is_some()),
            ("answer", self.answer.is_some()),
            ("shape", self.shape.is_some()),
        ];
        let given: Vec<&str> = orders.iter().filter(|o| o.1).map(|o| o.0).collect();
        if given.len() > 1 {
            let given = given.join(" and ");
            return Some(format!("a rule has one order, but this one has {given}"));
        }
        if given.is_empty() && self.delay.is_none() {
            return Some(
                "a rule needs an order: fault, reply, raw, raw-file, answer, shape or delay"
                    .to_owned(),
            );
        }
        let status = self.reply.as_ref().map(|reply| reply.status);
        if let Some(status) = status.filter(|status| !(100..1000).contains(status)) {
            return Some(format!("status {status} does not have three digits"));
        }
        match (self.from, self.until) {
            (Some(from), Some(until)) if from >= until => {
                Some("from is not before until".to_owned())
            }
            _ => None,
        }
    }

    /// Whether all conditions but those of chance and number hold.
    pub(super) fn holds(&self, call: &Call<'_>) -> bool {
        let counts = |nth: Option<Nth>, n: u64| nth.is_none_or(|nth| nth.holds(n));
        let times = self.fault.as_ref().is_none_or(|f| f.strikes(call.seen));
        times
            && self.model.as_ref().is_none_or(|m| is_like(m, call.model))
            && self.prompt.as_ref().is_none_or(|p| call.prompt.contains(p))
            && self.prompt_is.as_ref().is_none_or(|p| call.prompt == p)
            && self.dialect.is_none_or(|d| call.dialect == d)
            && self.operation.is_none_or(|o| call.operation == o)
            && self.streamed.is_none_or(|s| call.streamed == s)
            && counts(self.attempt, u64::from(call.seen))
            && counts(self.row, call.row)
            && counts(self.request, call.seq)
            && counts(self.connection, call.connection)
            && counts(self.nth_on_connection, call.nth_on_connection)
            && self.from.is_none_or(|from| call.since_start >= from.0)
            && self.until.is_none_or(|until| call.since_start < until.0)
    }

    /// What it orders.
    pub(super) fn action(&self, call: &Call<'_>) -> Action {
        let action = if let Some(fault) = &self.fault {
            fault.action(call)
        } else if let Some(reply) = &self.reply {
            let headers = reply.headers.0.clone();
            let reply = Action::Reply {
                status: reply.status,
                headers,
                body: reply.body.clone().into_bytes(),
            };
            reply.named("reply", self.spoiled)
        } else if let Some(raw) = &self.raw {
            Action::Raw(raw.clone().into_bytes()).named("raw", self.spoiled)
        } else if self.raw_file.is_some() {
            Action::Raw(self.raw_bytes.clone()).named("raw", self.spoiled)
        } else if let Some(text) = &self.answer {
            Action::AnswerText(text.clone())
        } else if let Some(shape) = &self.shape {
            Action::Shaped(shape.shape()).named("shape", self.spoiled)
        } else {
            Action::Answer
        };
        match self.delay {
            Some(delay) => action.after(delay.0),
            None => action,
        }
    }
}

/// Whether a text is like a pattern in which `*` stands for any text.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(text) = text.strip_prefix(first) else {
        return false;
    };
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    ends.into_iter().any(|at| is_like(rest, &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, text, like) in [
            ("gpt-*", "gpt-4o", true),
            ("*mini", "gpt-4o-mini", true),
            ("*4o*", "gpt-4o-mini", true),
            ("*", "", true),
            ("gpt", "gpt-4o", false),
            ("*4o", "gpt-4o-mini", false),
        ] {
            assert_eq!(is_like(pattern, text), like, "{pattern} {text}");
        }
    }
}
