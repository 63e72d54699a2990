//! Where answers are shown: standard output, and notes on standard error.
//!
//! Owns what a terminal is spared: control characters of an answer reach none. What goes into a
//! pipe or a file goes as it is.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use forebay::money::Usd;
use forebay::outcome::FinishReason;
use forebay::row::RowBody;
use forebay::transport::Timings;

use super::answer::{Answer, Asked};
use crate::report::{one_line, units, what_happened};

/// Turns a terminal's text faint, and back.
const FAINT: (&str, &str) = ("\x1b[2m", "\x1b[0m");

/// Standard output.
#[derive(Debug)]
pub(super) struct Screen {
    is_terminal: bool,
    /// Whether the last line has no end yet.
    is_inside_line: bool,
}

impl Screen {
    pub(super) fn new() -> Screen {
        Screen {
            is_terminal: io::stdout().is_terminal(),
            is_inside_line: false,
        }
    }

    /// Shows a piece of an answer at once.
    pub(super) fn piece(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let shown = match self.is_terminal {
            true => harmless(text),
            false => Cow::Borrowed(text),
        };
        let mut out = io::stdout().lock();
        out.write_all(shown.as_bytes())?;
        self.is_inside_line = !text.ends_with('\n');
        out.flush()
    }

    /// Ends the last line, if it is open.
    pub(super) fn end_line(&mut self) -> io::Result<()> {
        match self.is_inside_line {
            true => self.piece("\n"),
            false => Ok(()),
        }
    }

    /// An answer among several, under a heading.
    pub(super) fn entry(&mut self, asked: &Asked, answer: &Answer) -> io::Result<()> {
        self.piece(&format!("== {}: {}\n", one_line(&asked.name), took(answer)))?;
        match &answer.outcome {
            Ok(_) => self.piece(&text(answer))?,
            Err(failure) => {
                self.piece(&format!("error: {}", one_line(&what_happened(failure))))?;
            }
        }
        self.end_line()?;
        self.piece("\n")
    }

    /// An answer as one line of JSON, with the members of a row.
    pub(super) fn json(&mut self, asked: &Asked, answer: &Answer) -> io::Result<()> {
        let name = serde_json::to_string(&asked.name).unwrap_or_default();
        let steps = answer.timings.as_ref().map_or_else(String::new, steps);
        let mut line = Vec::new();
        RowBody {
            fields: &format!("\"asked\":{name}{steps}"),
            outcome: &answer.outcome,
            cost: answer.cost,
            duration: Some(answer.took),
            first_chunk: answer.first_chunk,
            attempts: answer.attempts,
            recalled: false,
            raw: None,
        }
        .write(&mut line);
        line.push(b'\n');
        if self.is_terminal {
            line = escaped(&line).into_bytes();
        }
        let mut out = io::stdout().lock();
        out.write_all(&line)?;
        out.flush()
    }
}

/// The steps of an exchange as a further field: those to an open connection only when it was
/// opened for this answer.
fn steps(timings: &Timings) -> String {
    let version = if timings.http2 { "2" } else { "1.1" };
    let seconds = |time: Duration| format!("{:.6}", time.as_secs_f64());
    let opening = timings.opening.map_or_else(String::new, |opening| {
        format!(
            ",\"dns_s\":{},\"connect_s\":{},\"tls_s\":{}",
            seconds(opening.dns),
            seconds(opening.connect),
            seconds(opening.tls)
        )
    });
    let first_byte = seconds(timings.first_byte);
    format!(",\"exchange\":{{\"http\":\"{version}\"{opening},\"first_byte_s\":{first_byte}}}")
}

/// What is shown of an answer: its JSON when a schema was asked for, its text, or its tool calls.
pub(super) fn text(answer: &Answer) -> Cow<'_, str> {
    let Ok(reply) = &answer.outcome else {
        return Cow::Borrowed("");
    };
    match (&reply.parsed, &reply.text, &reply.tool_calls) {
        (Some(json), _, _) => Cow::Borrowed(json.get()),
        (None, Some(text), _) => Cow::Borrowed(text),
        (None, None, Some(calls)) => Cow::Borrowed(calls.get()),
        (None, None, None) => Cow::Borrowed(""),
    }
}

/// What an answer took: `1.24 s, first text after 0.30 s, 25 tokens in, 120 out, $0.0001`.
pub(super) fn took(answer: &Answer) -> String {
    let mut parts = Vec::new();
    if answer.outcome.is_err() {
        parts.push("failed".to_owned());
    }
    parts.push(units::duration(answer.took));
    if let Some(first) = answer.first_chunk {
        parts.push(format!("first text after {}", units::duration(first)));
    }
    if let Some(usage) = answer.usage() {
        let (input, output) = (usage.input_tokens, usage.output_tokens);
        parts.push(format!(
            "{} in, {} out",
            units::counted(input, "token"),
            units::count(output)
        ));
    }
    parts.extend(answer.cost.map(units::dollars));
    parts.join(", ")
}

/// What all answers took.
pub(super) fn total(took: std::time::Duration, answers: &[Answer]) -> String {
    let failed = answers.iter().filter(|a| a.outcome.is_err()).count() as u64;
    let mut parts = vec![format!(
        "{} in {}",
        units::counted(answers.len() as u64, "answer"),
        units::duration(took)
    )];
    if failed > 0 {
        parts.push(format!("{} failed", units::count(failed)));
    }
    let costs: Vec<Usd> = answers.iter().filter_map(|answer| answer.cost).collect();
    if !costs.is_empty() {
        let sum = costs.into_iter().fold(Usd::ZERO, |sum, cost| sum + cost);
        parts.push(units::dollars(sum));
    }
    parts.join(", ")
}

/// A word about an answer that is not whole.
pub(super) fn warning(answer: &Answer) -> Option<&'static str> {
    let reply = answer.outcome.as_ref().ok()?;
    match reply.finish_reason {
        FinishReason::Length => Some("the answer was cut by the limit on output tokens"),
        FinishReason::Stop
        | FinishReason::ToolCalls
        | FinishReason::Unknown
        | FinishReason::Other(_) => None,
    }
}

/// A line on standard error. Nobody may be reading it; the answers matter more.
pub(super) fn note(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// The same, faint, and only for people.
pub(super) fn aside(line: &str) {
    if io::stderr().is_terminal() {
        note(&format!("{}{}{}", FAINT.0, one_line(line), FAINT.1));
    }
}

/// The text without what moves a terminal's cursor, changes its state or answers for its user:
/// of control characters, line breaks and tabs stay, carriage returns go, others are shown as
/// escapes.
fn harmless(text: &str) -> Cow<'_, str> {
    let is_fine = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    if text.chars().all(is_fine) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars().filter(|c| *c != '\r') {
        match is_fine(c) {
            true => out.push(c),
            false => out.extend(c.escape_default()),
        }
    }
    Cow::Owned(out)
}

/// JSON that says the same without the control characters that JSON allows: 7F to 9F.
fn escaped(json: &[u8]) -> String {
    let mut out = String::with_capacity(json.len());
    for c in String::from_utf8_lossy(json).chars() {
        match c {
            '\u{7f}'..='\u{9f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_on_a_terminal_says_the_same_without_control_characters() {
        let json = "{\"output\":\"a \u{9b}31m \u{7f} ç 漢\"}\n";
        let shown = escaped(json.as_bytes());
        assert_eq!(shown, "{\"output\":\"a \\u009b31m \\u007f ç 漢\"}\n");
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&shown), value(json));
    }

    #[test]
    fn no_control_character_reaches_a_terminal() {
        assert_eq!(harmless("a\tb\nç 漢 \u{200f}"), "a\tb\nç 漢 \u{200f}");
        assert_eq!(harmless("a\r\nb"), "a\nb");
        assert_eq!(harmless("\u{1b}[2J"), "\\u{1b}[2J");
        assert_eq!(harmless("\u{1b}]0;title\u{7}"), "\\u{1b}]0;title\\u{7}");
        // CSI and OSC of eight bits, which some terminals obey.
        assert_eq!(harmless("\u{9b}31m\u{9d}"), "\\u{9b}31m\\u{9d}");
        for c in (0..0xa0).filter_map(char::from_u32) {
            let shown = harmless(c.encode_utf8(&mut [0; 4])).into_owned();
            let fine = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
            assert!(shown.chars().all(fine), "{c:?} became {shown:?}");
        }
    }
}
