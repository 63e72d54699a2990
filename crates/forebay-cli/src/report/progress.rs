//! How far a run is, while it goes on.
//!
//! Owns one thread that reads the engine's numbers, and the arithmetic of rates, projected cost
//! and remaining time. Never holds the engine up: it only loads counters.
//!
//! ```text
//! Stats::snapshot ──► Meter ──► Reading ──► bar_line | plain_line | JSON ──► stderr
//! ```

mod lines;

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use forebay::engine::{Snapshot, Stats};
use forebay::money::Usd;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::limits::LearntJson;
use super::{WIDTH, json_round, json_usd};
use lines::{bar_line, plain_line};

/// How far back a rate looks, when enough rows finished in that time.
const WINDOW: Duration = Duration::from_secs(10);
/// Rows that a rate needs; with fewer it looks further back, so that slow runs have one too.
const WINDOW_ROWS: u64 = 5;
/// The furthest back that a rate looks; bounds the samples kept to 1,200 of 24 bytes.
const LONGEST_WINDOW: Duration = Duration::from_secs(120);
/// The shortest time that a rate can be told from.
const SHORTEST_WINDOW: Duration = Duration::from_millis(500);
/// Time between two drawings of the bar: ten a second look steady.
const BAR_EVERY: Duration = Duration::from_millis(100);
/// Time between two JSON objects.
const JSON_EVERY: Duration = Duration::from_secs(1);
/// Time between two plain lines, which stay in a log.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProgressMode {
    /// A live line on a terminal.
    Bar,
    /// A line every few seconds.
    Plain,
    /// A JSON object every second.
    Json,
    /// Nothing.
    None,
}

/// What earlier sessions of the run did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Earlier {
    /// Items that succeeded.
    pub(crate) ok: u64,
    /// Items that failed.
    pub(crate) failed: u64,
    /// Their cost, as far as it is known.
    pub(crate) cost: Usd,
    /// How long they took.
    pub(crate) wall: Duration,
}

/// Progress that is being shown; dropping it ends it too.
#[derive(Debug)]
pub(crate) struct Progress {
    mode: ProgressMode,
    bar: Option<ProgressBar>,
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts to show these numbers on stderr.
    ///
    /// Cost counts earlier sessions in; until the first rows are finished, so do projected cost
    /// and remaining time.
    pub(crate) fn start(
        mode: ProgressMode,
        stats: Arc<Stats>,
        price_known: bool,
        earlier: Earlier,
    ) -> Progress {
        let mut progress = Progress {
            mode,
            bar: (mode == ProgressMode::Bar).then(new_bar),
            end: None,
            thread: None,
        };
        if mode == ProgressMode::None {
            return progress;
        }
        let (end, ended) = mpsc::channel();
        let mut shower = Shower {
            mode,
            bar: progress.bar.clone(),
            meter: Meter::new(earlier, price_known),
            shown: 0,
        };
        let thread = std::thread::Builder::new().name("progress".into());
        // A run without progress is better than none.
        progress.thread = thread.spawn(move || shower.show(&stats, &ended)).ok();
        progress.end = Some(end);
        progress
    }

    /// Shows lines above the bar; in JSON, as an object with the member `note`.
    pub(crate) fn note(&self, lines: &str) {
        self.noter().note(lines);
    }

    /// What shows lines from another thread.
    pub(crate) fn noter(&self) -> Noter {
        Noter {
            mode: self.mode,
            bar: self.bar.clone(),
        }
    }

    /// Ends the showing: the bar goes away, a last object is written.
    pub(crate) fn finish(mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Shows lines between those of the progress.
#[derive(Debug, Clone)]
pub(crate) struct Noter {
    mode: ProgressMode,
    bar: Option<ProgressBar>,
}

impl Noter {
    /// Shows lines above the bar; in JSON, as an object with the member `note`.
    pub(crate) fn note(&self, lines: &str) {
        match (self.mode, &self.bar) {
            (ProgressMode::None, _) => {}
            (ProgressMode::Json, _) => print_json(&Note { note: lines }),
            (_, Some(bar)) if !bar.is_hidden() => bar.println(lines),
            _ => print_line(lines),
        }
    }
}

/// A line of text between the objects of JSON progress.
#[derive(Debug, Serialize)]
struct Note<'a> {
    note: &'a str,
}

/// The thread's own state.
#[derive(Debug)]
struct Shower {
    mode: ProgressMode,
    bar: Option<ProgressBar>,
    meter: Meter,
    shown: u64,
}

impl Shower {
    fn show(&mut self, stats: &Stats, ended: &Receiver<()>) {
        let started = Instant::now();
        let every = match self.mode {
            ProgressMode::Bar => BAR_EVERY,
            ProgressMode::Plain => PLAIN_EVERY,
            ProgressMode::Json | ProgressMode::None => JSON_EVERY,
        };
        let mut next = every;
        loop {
            let wait = next.saturating_sub(started.elapsed());
            let over = ended.recv_timeout(wait) != Err(RecvTimeoutError::Timeout);
            let reading = self.meter.read(started.elapsed(), &stats.snapshot());
            if over {
                return self.show_end(&reading);
            }
            self.show_once(&reading);
            // After a pause (a suspended process) there is nothing to catch up with.
            next = (next + every).max(started.elapsed());
        }
    }

    fn show_once(&mut self, reading: &Reading) {
        self.shown += 1;
        match self.mode {
            ProgressMode::Bar => {
                if let Some(bar) = &self.bar {
                    bar.set_message(bar_line(reading, columns()));
                    bar.tick();
                }
            }
            ProgressMode::Plain => print_line(&plain_line(reading)),
            ProgressMode::Json => print_json(reading),
            ProgressMode::None => {}
        }
    }

    fn show_end(&mut self, reading: &Reading) {
        match &self.bar {
            Some(bar) => bar.finish_and_clear(),
            None if self.mode == ProgressMode::Plain && self.shown > 0 => {}
            None => self.show_once(reading),
        }
    }
}

/// A bar that shows its message, cut to the terminal's width.
fn new_bar() -> ProgressBar {
    let target = ProgressDrawTarget::stderr_with_hz(10);
    let style = ProgressStyle::with_template("{wide_msg}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::with_draw_target(None, target).with_style(style)
}

/// The columns to fill: a shell's own number when it exports one, else the usual; a narrower
/// terminal cuts the line.
fn columns() -> usize {
    let exported = std::env::var("COLUMNS").ok().and_then(|n| n.parse().ok());
    exported.map_or(WIDTH, |n: usize| n.clamp(20, WIDTH)) - 1
}

fn print_line(line: &str) {
    // Whoever closed stderr does not want to know.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

fn print_json(value: &impl Serialize) {
    if let Ok(json) = serde_json::to_string(value) {
        print_line(&json);
    }
}

/// Finished rows and tokens at a moment.
#[derive(Debug, Clone, Copy, Default)]
struct Sample {
    at: Duration,
    rows: u64,
    tokens: u64,
}

/// Turns numbers at moments into rates and forecasts; has no clock of its own.
#[derive(Debug)]
struct Meter {
    earlier: Earlier,
    price_known: bool,
    samples: VecDeque<Sample>,
}

/// All that progress says at a moment; its members are those of the JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct Reading {
    /// Items with a row, kept ones included.
    done: u64,
    /// Items that succeeded in this session.
    ok: u64,
    /// Items that failed in this session.
    failed: u64,
    /// Rows kept from earlier sessions.
    kept: u64,
    /// Items without a row; `null` until the input is counted.
    pending: Option<u64>,
    /// Items in the input; `null` until they are counted.
    items: Option<u64>,
    /// Rows finished a second, recently.
    rows_per_s: Option<f64>,
    /// Input and output tokens a second, recently.
    tokens_per_s: Option<f64>,
    input_tokens: u64,
    output_tokens: u64,
    /// Cost of the run so far, earlier sessions included; `null` without a price.
    #[serde(serialize_with = "json_usd")]
    cost_usd: Option<Usd>,
    /// What the run will have cost if the rest is like what is done.
    #[serde(serialize_with = "json_usd")]
    projected_cost_usd: Option<Usd>,
    in_flight: u64,
    limit: u64,
    /// Rates per minute that hold now, set or learnt; `null` for none.
    rpm: Option<f64>,
    tpm: Option<f64>,
    itpm: Option<f64>,
    otpm: Option<f64>,
    /// Rates per minute that were learnt.
    learnt: LearntJson,
    /// What limits the run now.
    limited_by: Option<&'static str>,
    /// Seconds that the rest takes at the recent rate.
    eta_s: Option<f64>,
    /// Seconds of this session.
    elapsed_s: f64,
}

impl Meter {
    fn new(earlier: Earlier, price_known: bool) -> Meter {
        Meter {
            earlier,
            price_known,
            samples: VecDeque::from([Sample::default()]),
        }
    }

    /// What the numbers mean, `at` this long after the start.
    fn read(&mut self, at: Duration, now: &Snapshot) -> Reading {
        self.sample(Sample {
            at,
            rows: now.ok + now.failed,
            tokens: now.input_tokens + now.output_tokens,
        });
        let done = now.ok + now.failed + now.kept;
        let pending = now.items.map(|items| items.saturating_sub(done));
        let (rows_per_s, tokens_per_s) = self.rates().unzip();
        let rates = now.rates();
        Reading {
            done,
            ok: now.ok,
            failed: now.failed,
            kept: now.kept,
            pending,
            items: now.items,
            rows_per_s: rows_per_s.map(json_round),
            tokens_per_s: tokens_per_s.map(json_round),
            input_tokens: now.input_tokens,
            output_tokens: now.output_tokens,
            cost_usd: self.price_known.then(|| self.earlier.cost + now.cost),
            projected_cost_usd: pending.and_then(|pending| self.projected(now, pending)),
            in_flight: now.in_flight,
            limit: now.limit,
            rpm: rates.rpm,
            tpm: rates.tpm,
            itpm: rates.itpm,
            otpm: rates.otpm,
            learnt: LearntJson::of(&now.learnt),
            limited_by: now.limited_by.map(|by| by.label()),
            eta_s: pending.and_then(|pending| self.eta(now, pending, rows_per_s)),
            elapsed_s: json_round(at.as_secs_f64()),
        }
    }

    fn sample(&mut self, sample: Sample) {
        self.samples.push_back(sample);
        while let Some(second) = self.samples.get(1) {
            let age = sample.at.saturating_sub(second.at);
            let enough = sample.rows - second.rows.min(sample.rows) >= WINDOW_ROWS;
            if age < WINDOW || !(enough || age >= LONGEST_WINDOW) {
                return;
            }
            self.samples.pop_front();
        }
    }

    /// Rows and tokens a second over the window.
    fn rates(&self) -> Option<(f64, f64)> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let span = last.at.saturating_sub(first.at);
        let per_s = |first: u64, last: u64| last.saturating_sub(first) as f64 / span.as_secs_f64();
        (span >= SHORTEST_WINDOW).then(|| {
            (
                per_s(first.rows, last.rows),
                per_s(first.tokens, last.tokens),
            )
        })
    }

    fn projected(&self, now: &Snapshot, pending: u64) -> Option<Usd> {
        let (cost, rows) = match now.ok + now.failed {
            0 => (self.earlier.cost, self.earlier.ok + self.earlier.failed),
            rows => (now.cost, rows),
        };
        let so_far = self.earlier.cost + now.cost;
        let rest = match rows {
            0 if pending > 0 => return None,
            0 => 0.0,
            rows => cost.dollars() / rows as f64 * pending as f64,
        };
        let rest = Usd::from_dollars(rest)?;
        self.price_known.then_some(so_far + rest)
    }

    fn eta(&self, now: &Snapshot, pending: u64, rate: Option<f64>) -> Option<f64> {
        let rate = match now.ok + now.failed {
            0 => (self.earlier.ok + self.earlier.failed) as f64 / self.earlier.wall.as_secs_f64(),
            _ => rate?,
        };
        let eta = pending as f64 / rate;
        (rate > 0.0 && eta.is_finite()).then(|| json_round(eta))
    }
}

#[cfg(test)]
mod tests;
