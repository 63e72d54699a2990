//! What the command tells people and programs about a run, while it goes on and at its end.
//!
//! Owns every text on stderr but errors, how it is laid out, and the members of the closing
//! summary's JSON. Never steers a run: it reads
//! numbers and consumes events.
//!
//! ```text
//! Stats  ── 10 times a second ──► progress ─► stderr
//! Event  ──► tally ──► notes ───► progress
//!              └── Summary ─────► summary ──► stderr, --summary-json
//! ```

pub(crate) mod columns;
pub(crate) mod limits;
pub(crate) mod progress;
pub(crate) mod summary;
pub(crate) mod tally;
pub(crate) mod units;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use forebay::event::StopReason;
use forebay::money::Usd;
use forebay::outcome::{Failure, FailureKind};
use serde::{Deserialize, Serialize, Serializer};

use limits::InForceJson;
use summary::Closing;

/// Columns that every text fits into, unless it is there to be copied; as `--help` does.
pub(crate) const WIDTH: usize = 80;
/// Columns of a label and the spaces before it.
const LABEL: usize = 12;
/// What to do about a proxy that says no.
pub(crate) const PROXY_HINT: &str = "check --proxy, or proxy in forebay.toml: the address, user and \
                                     password, and what the proxy allows";

/// Whether it was the proxy that said no.
pub(crate) fn is_of_proxy(failure: &Failure) -> bool {
    let code = failure.provider_code.as_deref();
    matches!(code, Some("proxy_login" | "proxy_refused"))
}

/// Lines of the form `  label     text`, under a headline.
#[derive(Debug, Default)]
pub(crate) struct Block {
    text: String,
}

impl Block {
    /// Begins with this line, broken between words where it is too long.
    pub(crate) fn new(headline: &str) -> Block {
        let mut block = Block::default();
        block.wrapped("", headline, 2);
        block
    }

    /// Begins with this line as it is, since it holds a path.
    pub(crate) fn titled(headline: &str) -> Block {
        Block {
            text: format!("{headline}\n"),
        }
    }

    /// Adds a text, broken between words where it is too long.
    pub(crate) fn line(&mut self, label: &str, text: &str) {
        self.wrapped(&format!("  {label:<10}"), text, LABEL);
    }

    /// Adds a text on one line, cut where it is too long.
    pub(crate) fn clipped(&mut self, label: &str, text: &str) {
        self.whole(label, &clip(text, WIDTH - LABEL));
    }

    /// Adds a text on one line as it is, so that it can be copied.
    pub(crate) fn whole(&mut self, label: &str, text: &str) {
        let _ = writeln!(self.text, "  {label:<10}{text}");
    }

    /// The lines.
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    fn wrapped(&mut self, start: &str, text: &str, indent: usize) {
        let (mut line, mut empty) = (start.to_owned(), true);
        // A number and its percent sign stay together.
        for word in text.replace(" %", "\u{a0}%").split(' ') {
            let room = WIDTH.saturating_sub(line.chars().count());
            if !empty && word.chars().count() + 1 > room {
                let _ = writeln!(self.text, "{line}");
                line = " ".repeat(indent);
            } else if !empty {
                line.push(' ');
            }
            line.push_str(&word.replace('\u{a0}', " "));
            empty = false;
        }
        let _ = writeln!(self.text, "{line}");
    }
}

/// A failure in words for people who see its kind elsewhere: `HTTP 500: overloaded`.
pub(crate) fn what_happened(failure: &Failure) -> String {
    match failure.status {
        Some(status) => format!("HTTP {status}: {}", failure.message),
        None => failure.message.clone(),
    }
}

/// The text on one line, with what could move a terminal's cursor shown as an escape.
pub(crate) fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // The ranges reorder or hide text (Unicode's bidirectional controls).
        let reorders = matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || reorders {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The text with at most so many characters, the last one an ellipsis when some are missing.
pub(crate) fn clip(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// Writes an amount of money into JSON as a number of dollars.
pub(crate) fn json_usd<S: Serializer>(amount: &Option<Usd>, to: S) -> Result<S::Ok, S::Error> {
    amount.map(Usd::dollars).serialize(to)
}

/// A duration for JSON: seconds, to the millisecond.
pub(crate) fn json_seconds(duration: Duration) -> f64 {
    json_round(duration.as_secs_f64())
}

/// A measured number for JSON, to three decimals.
pub(crate) fn json_round(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

/// A run's totals over all its sessions, as JSON shows them and a finished journal keeps them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RunTotals {
    /// Items in the input; `null` when it was not read to its end.
    pub(crate) items: Option<u64>,
    /// Rows of items that succeeded.
    pub(crate) ok: u64,
    /// Rows of items that failed.
    pub(crate) failed: u64,
    /// HTTP exchanges.
    pub(crate) attempts: u64,
    /// Attempts that may have been billed without an answer.
    pub(crate) maybe_billed: u64,
    /// Input tokens, cached ones included.
    pub(crate) input_tokens: u64,
    /// Input tokens read from the provider's cache.
    pub(crate) cached_input_tokens: u64,
    /// Output tokens, reasoning included.
    pub(crate) output_tokens: u64,
    /// Output tokens spent on reasoning.
    pub(crate) reasoning_tokens: u64,
    /// Cost as far as it is known; `null` when the model has no price.
    pub(crate) cost_usd: Option<f64>,
    /// Answers whose cost is not known.
    pub(crate) cost_unknown: u64,
    /// Seconds of work.
    pub(crate) wall_s: f64,
}

impl RunTotals {
    /// The totals at the end of a session.
    pub(crate) fn of(closing: &Closing<'_>) -> RunTotals {
        let (s, earlier, rows) = (closing.summary, closing.earlier, closing.rows());
        let mut usage = earlier.usage;
        usage.add(&s.usage);
        RunTotals {
            items: rows.items,
            ok: rows.ok,
            failed: rows.failed,
            attempts: earlier.attempts + s.attempts,
            maybe_billed: earlier.maybe_billed + s.maybe_billed,
            input_tokens: usage.input_tokens,
            cached_input_tokens: usage.cached_input_tokens,
            output_tokens: usage.output_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            cost_usd: closing.cost_of_run().map(Usd::dollars),
            cost_unknown: earlier.cost_unknown + s.cost_unknown,
            wall_s: json_seconds(closing.wall_of_run()),
        }
    }
}

/// The closing summary as JSON; `null` is what is not known or did not happen.
#[derive(Debug, Serialize)]
pub(crate) struct ClosingJson {
    /// Why the run ended early.
    stopped: Option<StoppedJson>,
    /// Whether the provider was simulated.
    simulated: bool,
    /// Items without a row: of the whole input when `total.items` is known, else of those read.
    pending: u64,
    /// Whether the input was read to its end.
    input_ended: bool,
    /// All sessions together.
    total: RunTotals,
    /// This session.
    session: SessionJson,
    /// Failed items of this session by kind, the most frequent first.
    failures: Vec<FailuresJson>,
    /// The day of the price table.
    price_date: String,
    /// Files written.
    files: Vec<FileJson>,
    /// The command that goes on with what is left.
    next: Option<String>,
}

/// Why a run ended early.
#[derive(Debug, Serialize)]
struct StoppedJson {
    /// The stable name: `auth`, `quota`, `not_found`, `same_failure`, `cost`, `outage`,
    /// `rate_limited`, `interrupted` or `io`.
    reason: &'static str,
    /// The same in words.
    message: String,
    /// The failure that decided it.
    example: Option<String>,
}

/// One session.
#[derive(Debug, Serialize)]
struct SessionJson {
    ok: u64,
    failed: u64,
    /// Rows kept from earlier sessions whose items had succeeded.
    kept_ok: u64,
    /// Rows kept from earlier sessions whose items had failed.
    kept_failed: u64,
    /// HTTP exchanges.
    attempts: u64,
    /// Failed attempts by kind, whether another one followed or not.
    failed_attempts: BTreeMap<&'static str, u64>,
    /// Failed attempts by kind that another one followed.
    retries: BTreeMap<&'static str, u64>,
    /// Attempts that may have been billed without an answer.
    maybe_billed: u64,
    /// Items answered by another's identical request.
    shared: u64,
    /// Items answered from the cache.
    cached: u64,
    /// What those answers had cost.
    saved_usd: Option<f64>,
    /// Answers that the token limit cut.
    cut: u64,
    input_tokens: u64,
    cached_input_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
    cost_usd: Option<f64>,
    /// Answers whose cost is not known.
    cost_unknown: u64,
    wall_s: f64,
    rows_per_s: Option<f64>,
    /// Durations of rows that succeeded, in seconds: `p50`, `p95`, `p99`, `max`.
    duration_s: Option<BTreeMap<&'static str, f64>>,
    /// Seconds spent limited by each cause.
    limited_s: BTreeMap<&'static str, f64>,
    /// What limited at the end.
    limits: Option<InForceJson>,
    outages: u64,
    outages_s: f64,
}

/// The failed items of one kind.
#[derive(Debug, Serialize)]
struct FailuresJson {
    kind: &'static str,
    count: u64,
    /// The key of the first one.
    id: String,
    /// What happened to it.
    message: String,
}

/// A file written.
#[derive(Debug, Serialize)]
struct FileJson {
    what: String,
    path: String,
}

impl ClosingJson {
    /// What a closing says.
    pub(crate) fn of(closing: &Closing<'_>) -> ClosingJson {
        let s = closing.summary;
        ClosingJson {
            stopped: s.stopped.as_ref().map(|reason| StoppedJson {
                reason: reason.label(),
                message: summary::stop_words(reason),
                example: match reason {
                    StopReason::Io { message } => Some(message.clone()),
                    _ => s.stop_example.as_ref().map(what_happened),
                },
            }),
            simulated: closing.simulated,
            pending: closing.rows().pending,
            input_ended: s.input_ended,
            total: RunTotals::of(closing),
            session: SessionJson::of(closing),
            failures: (closing.tally.failures().into_iter())
                .map(|(kind, failures)| FailuresJson {
                    kind,
                    count: failures.count,
                    id: failures.id.clone(),
                    message: failures.message.clone(),
                })
                .collect(),
            price_date: closing.price_date.to_owned(),
            files: (closing.files.iter())
                .map(|(what, path)| FileJson {
                    what: what.clone(),
                    path: path.display().to_string(),
                })
                .collect(),
            next: closing.next.clone(),
        }
    }
}

impl SessionJson {
    fn of(closing: &Closing<'_>) -> SessionJson {
        let (s, tally) = (closing.summary, closing.tally);
        let (outages, down) = tally.outages();
        let wall = s.wall.as_secs_f64();
        let shares = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)];
        let duration_of = |(name, share)| Some((name, json_seconds(tally.duration_at(share)?)));
        let limited = s.limited.iter();
        SessionJson {
            ok: s.ok,
            failed: s.failed,
            kept_ok: s.kept.0,
            kept_failed: s.kept.1,
            attempts: s.attempts,
            failed_attempts: kinds(&s.failed_attempts),
            retries: tally.retries().clone(),
            maybe_billed: s.maybe_billed,
            shared: s.shared,
            cached: s.recalled,
            saved_usd: closing.price_known.then(|| s.saved.dollars()),
            cut: tally.cut(),
            input_tokens: s.usage.input_tokens,
            cached_input_tokens: s.usage.cached_input_tokens,
            output_tokens: s.usage.output_tokens,
            reasoning_tokens: s.usage.reasoning_tokens,
            cost_usd: closing.price_known.then(|| s.cost.dollars()),
            cost_unknown: s.cost_unknown,
            wall_s: json_seconds(s.wall),
            rows_per_s: (wall > 0.0).then(|| json_round((s.ok + s.failed) as f64 / wall)),
            duration_s: shares.into_iter().map(duration_of).collect(),
            limited_s: limited
                .map(|(by, time)| (by.label(), json_seconds(*time)))
                .collect(),
            limits: s.in_force.as_ref().map(InForceJson::of),
            outages,
            outages_s: json_seconds(down),
        }
    }
}

/// Counts by kind; the phases of a timeout have names of their own.
fn kinds(counts: &[(FailureKind, u64)]) -> BTreeMap<&'static str, u64> {
    counts.iter().map(|(kind, n)| (kind.label(), *n)).collect()
}

/// JSON on several lines, with a line end.
pub(crate) fn pretty(value: &impl Serialize) -> String {
    // Numbers, strings and maps with string keys: nothing that JSON cannot hold.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_texts_stay_on_their_line() {
        assert_eq!(
            one_line("a\nb\u{1b}[2J\u{202e}é"),
            "a\\nb\\u{1b}[2J\\u{202e}é"
        );
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(clip("äöü", 3), "äöü");
        assert_eq!(clip("äöüß", 3), "äö…");
        assert_eq!(clip("a bc", 3), "a…");
    }

    #[test]
    fn long_lines_break_between_words_and_hang() {
        let mut block = Block::new("forebay: done");
        block.line("limited", &["rpm 10 %,"; 9].join(" "));
        let text = block.into_text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "forebay: done");
        assert!(lines[1].starts_with("  limited   rpm 10 %, rpm"));
        assert!(lines[1].ends_with("rpm 10 %,") || lines[1].ends_with("rpm"));
        assert!(lines[2].starts_with("            "));
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
    }
}
