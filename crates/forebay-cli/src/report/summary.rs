//! The closing summary of a run, for people and as JSON.
//!
//! Shows only lines that say something. Never calls a cost known that is not, and never adds
//! rows up that the output does not hold.

use std::path::PathBuf;
use std::time::Duration;

use forebay::config::Concurrency;
use forebay::event::{StopReason, Summary};
use forebay::journal::Totals;
use forebay::limit::LimitedBy;
use forebay::money::Usd;
use forebay::outcome::{Failure, FailureKind};

use super::limits::LearntJson;
use super::tally::Tally;
use super::{
    Block, ClosingJson, PROXY_HINT, RunTotals, WIDTH, is_of_proxy, one_line, units, what_happened,
};

/// The smallest share of the time that is worth naming as a limit: what rounds to 1 %.
const LEAST_SHARE: f64 = 0.005;

/// All that the end of a run is told from.
#[derive(Debug)]
pub(crate) struct Closing<'a> {
    /// What the engine counted in this session.
    pub(crate) summary: &'a Summary,
    /// What the endpoint serves instead of a model that it does not know.
    pub(crate) unserved: Option<String>,
    /// What its events amount to.
    pub(crate) tally: &'a Tally,
    /// What earlier sessions did, before this one.
    pub(crate) earlier: &'a Totals,
    /// Whether the model has a price.
    pub(crate) price_known: bool,
    /// The day of the price table.
    pub(crate) price_date: &'a str,
    /// Files written: what each holds, and where it is.
    pub(crate) files: &'a [(String, PathBuf)],
    /// The command that goes on with what is left.
    pub(crate) next: Option<String>,
    /// Whether the provider was simulated.
    pub(crate) simulated: bool,
    /// Items in the input, when they were counted.
    pub(crate) items: Option<u64>,
}

/// The rows of the output: those of this session and those kept.
pub(super) struct Rows {
    pub(super) ok: u64,
    pub(super) failed: u64,
    /// Items in the input, when they are counted.
    pub(super) items: Option<u64>,
    /// Items without a row: of those read, when the input was not counted.
    pub(super) pending: u64,
}

impl Closing<'_> {
    /// What the output holds, and what it does not.
    pub(super) fn rows(&self) -> Rows {
        let s = self.summary;
        let items = if s.input_ended {
            Some(s.items)
        } else {
            self.items
        };
        // Rows are kept as their items are read; when reading stopped, more would have been.
        let kept = if s.input_ended {
            s.kept.0
        } else {
            s.kept.0.max(self.earlier.ok)
        };
        let (ok, failed) = (s.ok + kept, s.failed + s.kept.1);
        Rows {
            ok,
            failed,
            items,
            pending: items.map_or(s.pending, |items| items.saturating_sub(ok + failed)),
        }
    }

    fn has_earlier(&self) -> bool {
        self.earlier.started.is_some() || self.earlier.ok + self.earlier.failed_count() > 0
    }

    /// How long all sessions took.
    pub(super) fn wall_of_run(&self) -> Duration {
        let earlier = Duration::try_from_secs_f64(self.earlier.wall_s).unwrap_or_default();
        self.summary.wall + earlier
    }

    /// What all sessions cost, when the model has a price.
    pub(super) fn cost_of_run(&self) -> Option<Usd> {
        self.price_known
            .then(|| self.earlier.cost + self.summary.cost)
    }
}

/// Why a run ended early, in words that follow `stopped:`.
pub(crate) fn stop_words(reason: &StopReason) -> String {
    match reason {
        StopReason::Auth => "the API key is refused".into(),
        StopReason::Quota => "the key's quota or credit is used up".into(),
        StopReason::NotFound => "the model or path does not exist".into(),
        StopReason::SameFailure => "the first items all failed in the same way".into(),
        StopReason::Cost => "the cap on cost is reached".into(),
        StopReason::Outage => "the endpoint cannot be reached, or was down for too long".into(),
        StopReason::RateLimited { wait } => {
            let wait = units::duration(*wait);
            format!("a rate limit asks for a long wait, about {wait}")
        }
        StopReason::Interrupted => "interrupted".into(),
        StopReason::OutputClosed => "nobody reads the output any more".into(),
        StopReason::Io { .. } => "a file could not be written".into(),
        other => other.label().into(),
    }
}

/// One line about an early stop that the user did not order, for runs that show nothing else.
pub(crate) fn stop_line(closing: &Closing<'_>) -> Option<String> {
    let summary = closing.summary;
    let reason = summary.stopped.as_ref()?;
    let because = match reason {
        StopReason::Interrupted | StopReason::OutputClosed => return None,
        StopReason::Io { message } => Some(message.clone()),
        _ => summary.stop_example.as_ref().map(what_happened),
    };
    let words = stop_words(reason);
    let mut line = because.map_or(words.clone(), |because| format!("{words}: {because}"));
    if let Some(unserved) = &closing.unserved {
        line += &format!("; {unserved}");
    }
    Some(format!("the run stopped: {}", one_line(&line)))
}

/// What to do about it.
fn stop_hint(reason: &StopReason, example: Option<&Failure>) -> Option<String> {
    let code = example.and_then(|failure| failure.provider_code.as_deref());
    let hint = match reason {
        StopReason::Outage if matches!(code, Some("dns" | "dns_unavailable")) => {
            "check the host of the base URL (--base-url) and the network"
        }
        StopReason::Outage if code == Some("certificate") => {
            "check the base URL; SSL_CERT_FILE names further certificate authorities"
        }
        StopReason::Outage if example.is_some_and(is_of_proxy) => PROXY_HINT,
        StopReason::Outage if code == Some("http_1_1_required") => "leave --http 2 out",
        StopReason::Auth => {
            "check the API key: its environment variable, --api-key-env or --api-key-file"
        }
        StopReason::Quota => "add credit or raise the spend limit at the provider, then go on",
        StopReason::NotFound => "check the model's name (--model) and the base URL (--base-url)",
        StopReason::SameFailure => "check model, prompt and parameters; try one item: --limit 1",
        StopReason::Cost => "raise --max-cost to go on",
        StopReason::Outage => "go on when the provider's status page says that it is back",
        StopReason::RateLimited { wait } => {
            let wait = units::duration(*wait);
            return Some(format!("go on in {wait}, or wait longer with --max-wait"));
        }
        StopReason::Io { .. } => "make room or mend the place, then go on",
        _ => return None,
    };
    Some(hint.into())
}

/// The summary for people: short lines with labels, at most 80 columns unless they are paths or
/// commands.
pub(crate) fn text(closing: &Closing<'_>) -> String {
    let mut block = headline(closing);
    add_failures(closing, &mut block);
    add_usage(closing, &mut block);
    add_durations(closing, &mut block);
    add_attempts(closing, &mut block);
    add_earlier(closing, &mut block);
    add_files(closing, &mut block);
    block.into_text()
}

fn headline(closing: &Closing<'_>) -> Block {
    let (s, rows) = (closing.summary, closing.rows());
    let name = if closing.simulated {
        "forebay (simulated)"
    } else {
        "forebay"
    };
    let mut done = format!("{} ok", units::count(rows.ok));
    if rows.failed > 0 {
        done += &format!(", {} failed", units::count(rows.failed));
    }
    let now = s.ok + s.failed;
    let mut pace = format!("in {}", units::duration(s.wall));
    if now > 0 && !s.wall.is_zero() {
        let rate = units::rate(now as f64 / s.wall.as_secs_f64());
        pace += &format!(" ({rate}\u{a0}rows/s)");
    }
    if now < rows.ok + rows.failed {
        pace = match now {
            0 => "none of them now".into(),
            _ => format!("{} of them now {pace}", units::count(now)),
        };
        pace.insert_str(0, ", ");
    } else {
        pace.insert(0, ' ');
    }
    let Some(reason) = &s.stopped else {
        let of = rows
            .items
            .map(|n| format!(" of {}", units::counted(n, "item")));
        return Block::new(&format!("{name}: {done}{}{pace}", of.unwrap_or_default()));
    };
    let mut block = match reason {
        StopReason::Interrupted => Block::new(&format!("{name}: interrupted")),
        _ => Block::new(&format!(
            "{name}: stopped: {}",
            one_line(&stop_words(reason))
        )),
    };
    let example = match reason {
        StopReason::Io { message } => Some(message.clone()),
        _ => s.stop_example.as_ref().map(what_happened),
    };
    if let Some(example) = example {
        block.clipped("because", &one_line(&example));
    }
    let hint = || stop_hint(reason, s.stop_example.as_ref());
    if let Some(hint) = closing.unserved.clone().or_else(hint) {
        block.line("hint", &hint);
    }
    block.line("done", &format!("{done}{pace}"));
    add_pending(&rows, s, &mut block);
    block
}

fn add_pending(rows: &Rows, summary: &Summary, block: &mut Block) {
    match rows.items {
        Some(_) if rows.pending == 0 => {}
        Some(items) => {
            let items = units::counted(items, "item");
            block.line(
                "pending",
                &format!("{} of {items}", units::count(rows.pending)),
            );
        }
        None if summary.input_ended => {}
        None => {
            let read = units::counted(rows.pending, "item");
            block.line("pending", &format!("{read} and the rest of the input"));
        }
    }
}

fn add_failures(closing: &Closing<'_>, block: &mut Block) {
    let failures = closing.tally.failures();
    let counts: Vec<_> = failures
        .iter()
        .map(|(_, f)| units::count(f.count))
        .collect();
    let digits = counts.iter().map(String::len).max().unwrap_or(0);
    let kinds = failures
        .iter()
        .map(|(kind, _)| kind.len())
        .max()
        .unwrap_or(0);
    for (n, ((kind, failure), count)) in failures.iter().zip(counts).enumerate() {
        let label = if n == 0 { "failed" } else { "" };
        let example = one_line(&format!("{}: {}", failure.id, failure.message));
        block.clipped(
            label,
            &format!("{count:>digits$} {kind:<kinds$}  e.g. {example}"),
        );
    }
    if closing.tally.cut() > 0 {
        let cut = units::counted(closing.tally.cut(), "answer");
        block.line("cut", &format!("{cut} by the token limit (--max-tokens)"));
    }
}

fn add_usage(closing: &Closing<'_>, block: &mut Block) {
    let (s, usage) = (closing.summary, &closing.summary.usage);
    if usage.input_tokens > 0 || usage.output_tokens > 0 {
        let mut text = format!(
            "{} in ({} cached), {} out",
            units::count(usage.input_tokens),
            units::count(usage.cached_input_tokens),
            units::count(usage.output_tokens)
        );
        if usage.reasoning_tokens > 0 {
            text += &format!(" ({} reasoning)", units::count(usage.reasoning_tokens));
        }
        block.line("tokens", &text);
    } else if s.cost == Usd::ZERO && s.cost_unknown == 0 {
        return;
    }
    if !closing.price_known {
        block.line("cost", "cost unknown: no price for this model");
        return;
    }
    let mut text = units::dollars(s.cost);
    text += &match closing.simulated {
        true => format!(
            " if it were real (prices of {}); nothing is billed",
            closing.price_date
        ),
        false => format!(" (estimate, prices of {})", closing.price_date),
    };
    if s.cost_unknown > 0 {
        text += &format!(", unknown for {}", units::counted(s.cost_unknown, "row"));
    }
    block.line("cost", &text);
}

fn add_durations(closing: &Closing<'_>, block: &mut Block) {
    let at = |share| closing.tally.duration_at(share).map(units::duration);
    if let (Some(p50), Some(p95), Some(p99)) = (at(0.5), at(0.95), at(0.99)) {
        block.line("duration", &format!("p50 {p50}, p95 {p95}, p99 {p99}"));
    }
}

fn add_attempts(closing: &Closing<'_>, block: &mut Block) {
    let s = closing.summary;
    let mut parts = Vec::new();
    let failed: u64 = s.failed_attempts.iter().map(|(_, n)| n).sum();
    if failed > 0 {
        let kinds: Vec<_> = s
            .failed_attempts
            .iter()
            .map(|(kind, n)| format!("{} {}", units::count(*n), kind.label()))
            .collect();
        parts.push(format!(
            "{} failed ({})",
            units::count(failed),
            kinds.join(", ")
        ));
    }
    if s.maybe_billed > 0 {
        let n = units::count(s.maybe_billed);
        parts.push(format!("{n} may have been billed without an answer"));
    }
    if s.shared > 0 {
        let n = units::counted(s.shared, "item");
        parts.push(format!("{n} answered by another's identical request"));
    }
    if s.recalled > 0 {
        let n = units::count(s.recalled);
        let saved = match closing.price_known {
            true => format!(", saved about {}", units::dollars(s.saved)),
            false => String::new(),
        };
        block.line("cache", &format!("{n} from the cache{saved}"));
    }
    if !parts.is_empty() {
        let all = units::count(s.attempts);
        block.line("attempts", &format!("{all}: {}", parts.join(", ")));
    }
    add_asked_again(closing, block);
    let (outages, down) = closing.tally.outages();
    if outages > 0 {
        let n = units::count(outages);
        let over = match down.is_zero() {
            true => "still down".to_owned(),
            false => format!("down for {}", units::duration(down)),
        };
        block.line("outages", &format!("{n}, {over}"));
    }
    if let Some(limit) = limit_found(s) {
        block.line("limit", &limit);
    }
    let wall = s.wall.as_secs_f64();
    let shares = s
        .limited
        .iter()
        .map(|(by, time)| (by, time.as_secs_f64() / wall));
    let limits: Vec<_> = shares
        .filter(|(_, share)| *share >= LEAST_SHARE)
        .map(|(by, share)| format!("{} {:.0} %", by.label(), share * 100.0))
        .collect();
    if !limits.is_empty() {
        block.line("limited", &limits.join(", "));
    }
}

/// The limits that were found out; `None` when none was, or all are the user's own.
fn limit_found(summary: &Summary) -> Option<String> {
    let now = summary.in_force.as_ref()?;
    let was_limited = |by| summary.limited.iter().any(|(known, _)| *known == by);
    let how = match now.concurrency {
        // A run that nothing held up is too small to tell.
        Concurrency::Auto { max } => {
            let [ramp, most, found] = [
                LimitedBy::Ramp,
                LimitedBy::Concurrency,
                LimitedBy::Saturated,
            ]
            .map(was_limited);
            if now.limit >= max.get() {
                (ramp || most || found).then_some("the most that was allowed")
            } else if found {
                Some("found")
            } else {
                (ramp || most).then_some("still growing")
            }
        }
        Concurrency::Fixed(_) | Concurrency::Rule(_) => None,
    };
    let limit = units::count(now.limit as u64);
    let parts = [
        how.map(|how| format!("{limit} in flight ({how})")),
        LearntJson::of(&now.learnt).text(),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Answers that would not do and were asked for again.
fn add_asked_again(closing: &Closing<'_>, block: &mut Block) {
    let retries = closing.tally.retries();
    let words = [
        (FailureKind::SchemaMismatch, "did not fit the schema"),
        (FailureKind::Length, "the token limit cut"),
    ];
    let parts: Vec<_> = words
        .iter()
        .filter_map(|(kind, what)| {
            let n = retries.get(kind.label())?;
            Some(format!("{} that {what}", units::counted(*n, "answer")))
        })
        .collect();
    if !parts.is_empty() {
        block.line("re-asked", &parts.join(", "));
    }
}

fn add_earlier(closing: &Closing<'_>, block: &mut Block) {
    if !closing.has_earlier() {
        return;
    }
    let (ok, failed) = closing.summary.kept;
    if ok + failed > 0 {
        let mut text = format!(
            "{} from earlier sessions",
            units::counted(ok + failed, "row")
        );
        if failed > 0 {
            text += &format!(", {} of them failed", units::count(failed));
        }
        block.line("kept", &text);
    }
    let total = RunTotals::of(closing);
    let mut text = format!("all sessions: {} ok", units::count(total.ok));
    if total.failed > 0 {
        text += &format!(", {} failed", units::count(total.failed));
    }
    if total.input_tokens > 0 || total.output_tokens > 0 {
        let (input, output) = (
            units::count(total.input_tokens),
            units::count(total.output_tokens),
        );
        text += &format!("; {input} tokens in, {output} out");
    }
    if let Some(cost) = closing.cost_of_run() {
        text += &format!("; {}", units::dollars(cost));
    }
    text += &format!("; {}", units::duration(closing.wall_of_run()));
    block.line("total", &text);
}

fn add_files(closing: &Closing<'_>, block: &mut Block) {
    let paths: Vec<_> = closing
        .files
        .iter()
        .map(|(_, path)| one_line(&path.display().to_string()))
        .collect();
    let together = paths.join(", ");
    if together.chars().count() + super::LABEL <= WIDTH {
        if !paths.is_empty() {
            block.whole("wrote", &together);
        }
    } else {
        for (n, path) in paths.iter().enumerate() {
            block.whole(if n == 0 { "wrote" } else { "" }, path);
        }
    }
    if let Some(next) = &closing.next {
        block.whole("go on", &one_line(next));
    }
}

/// The summary for programs: one object, with the members of [`ClosingJson`].
pub(crate) fn json(closing: &Closing<'_>) -> String {
    super::pretty(&ClosingJson::of(closing))
}

#[cfg(test)]
mod tests;
