//! What a trace amounts to, as numbers.
//!
//! Owns the definition of every statistic. Never runs anything.

use serde::Serialize;

use crate::run::Trace;
use crate::scenario::{Optimum, Scenario};

/// The share of rows after which goodput is read: the tail of the last answers is no rule's doing.
const DONE: f64 = 0.95;
/// How near to the best number's goodput a rule has converged.
const NEAR: f64 = 0.9;
/// The windows in a row that have to be so.
const WINDOWS: usize = 3;
/// The shortest window, in seconds.
const SHORTEST_WINDOW: f64 = 5.0;
/// The part of a phase that is left out where the best number's goodput is read, for its own
/// beginning.
const SETTLING: f64 = 0.25;

/// The statistics of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// Rows that succeeded per second until 95 % had ended, times the share that succeeded.
    pub rows_per_s: f64,
    /// The same as a share of the best fixed number's.
    pub goodput: f64,
    /// The share of requests that were refused for load (429, 503, 529).
    pub rejected: f64,
    /// Seconds until goodput is within a tenth of the best number's for three windows; nothing
    /// when that never was.
    pub converged_s: Option<f64>,
    /// The same after a change of the back end, the longest of all; nothing without changes, or
    /// when that never was after one of them.
    pub recovered_s: Option<f64>,
    /// The share of billed tokens that became no row.
    pub wasted: f64,
    /// The longest time from reading a row to its end, in seconds.
    pub oldest_s: f64,
    /// The share of rows that failed.
    pub failed: f64,
    /// Rows of the slower client over those of the faster, while both were at work.
    pub fairness: Option<f64>,
    /// What waits at a batching back end over what runs, both averaged over time.
    pub queue: Option<f64>,
}

/// What a rule is compared with: the best number's goodput over time.
#[derive(Clone, Debug, Default)]
pub struct Reference {
    /// Rows per second over the whole.
    pub rows_per_s: f64,
    /// The mean latency of its answers, in seconds.
    pub latency: f64,
    /// From when on, until when, and the rows per second in between.
    phases: Vec<[f64; 3]>,
}

impl Reference {
    /// Reads the trace of the best number.
    pub fn of(scenario: &Scenario, best: &Trace) -> Reference {
        let ok = best.all_ok();
        let end = done_at(best);
        let mut starts = vec![0.0];
        starts.extend(scenario.changes().iter().map(|at| at.as_secs_f64()));
        starts.retain(|start| *start < end);
        let phases = starts.iter().enumerate().map(|(n, &from)| {
            let until = starts.get(n + 1).copied().unwrap_or(end);
            let settled = from + (until - from) * SETTLING;
            [from, until, rate(&ok, settled, until)]
        });
        Reference {
            rows_per_s: rows_per_s(best),
            latency: best.latency,
            phases: phases.collect(),
        }
    }

    /// What a file states.
    pub fn stated(optimum: &Optimum) -> Reference {
        Reference {
            rows_per_s: optimum.rows_per_s,
            latency: optimum.latency,
            phases: optimum.phases.clone(),
        }
    }

    /// What is to be stated of a trace of so many requests.
    pub fn state(&self, requests: u64) -> Optimum {
        // Four digits are far finer than any range.
        let rounded = |value: f64| (value * 1e4).round() / 1e4;
        Optimum {
            rows_per_s: rounded(self.rows_per_s),
            latency: rounded(self.latency),
            phases: self.phases.iter().map(|phase| phase.map(rounded)).collect(),
            requests,
        }
    }

    /// The length of a window.
    fn window(&self) -> f64 {
        self.latency.max(SHORTEST_WINDOW)
    }
}

impl Score {
    /// Judges a trace by that of the best fixed number.
    pub fn of(trace: &Trace, reference: &Reference) -> Score {
        let rows_per_s = rows_per_s(trace);
        let recoveries: Vec<Option<f64>> = (1..reference.phases.len())
            // In an outage there is nothing to reach.
            .filter(|phase| reference.phases[*phase][2] > reference.rows_per_s * 0.05)
            .map(|phase| converged(trace, reference, phase))
            .collect();
        let longest = recoveries.iter().copied().collect::<Option<Vec<f64>>>();
        Score {
            rows_per_s,
            goodput: rows_per_s / reference.rows_per_s.max(f64::MIN_POSITIVE),
            rejected: trace.refused.len() as f64 / trace.sent.max(1) as f64,
            converged_s: converged(trace, reference, 0),
            recovered_s: longest.and_then(|all| all.into_iter().max_by(f64::total_cmp)),
            wasted: trace.billed_tokens.saturating_sub(trace.used_tokens) as f64
                / trace.billed_tokens.max(1) as f64,
            oldest_s: trace.oldest,
            failed: 1.0 - trace.succeeded() as f64 / trace.rows.max(1) as f64,
            fairness: fairness(trace),
            queue: queue(trace),
        }
    }

    /// A statistic by the name that it has in scenario files; nothing when it was not measured.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn named(&self, name: &str) -> Result<Option<f64>, String> {
        Ok(match name {
            "goodput" => Some(self.goodput),
            "rejected" => Some(self.rejected),
            "converged-s" => self.converged_s,
            "recovered-s" => self.recovered_s,
            "wasted" => Some(self.wasted),
            "oldest-s" => Some(self.oldest_s),
            "failed" => Some(self.failed),
            "fairness" => self.fairness,
            "queue" => self.queue,
            _ => return Err(format!("no statistic is called {name:?}")),
        })
    }
}

/// When 95 % of the rows had ended, or all that ever did.
pub fn done_at(trace: &Trace) -> f64 {
    let mut ends = trace.all_ok();
    ends.extend(&trace.failed);
    ends.sort_by(f64::total_cmp);
    let wanted = (trace.rows as f64 * DONE).ceil() as usize;
    let at = ends.get(wanted.saturating_sub(1)).copied();
    at.unwrap_or(trace.ended)
}

/// Rows per second until 95 % had ended, times the share that succeeded in the end; none of a run
/// that was given up.
pub fn rows_per_s(trace: &Trace) -> f64 {
    if trace.given_up {
        return 0.0;
    }
    let done = done_at(trace);
    let ok = trace.all_ok().partition_point(|at| *at <= done);
    let share = trace.succeeded() as f64 / trace.rows.max(1) as f64;
    ok as f64 / done.max(f64::MIN_POSITIVE) * share
}

/// Events per second between two times.
fn rate(events: &[f64], from: f64, until: f64) -> f64 {
    let count = events.partition_point(|at| *at < until) - events.partition_point(|at| *at < from);
    count as f64 / (until - from).max(f64::MIN_POSITIVE)
}

/// Seconds from a phase's beginning until three windows are near the reference.
fn converged(trace: &Trace, reference: &Reference, phase: usize) -> Option<f64> {
    let &[from, until, wanted] = reference.phases.get(phase)?;
    let is_last = phase + 1 == reference.phases.len();
    let until = if is_last { done_at(trace) } else { until };
    let window = reference.window();
    let ok = trace.all_ok();
    let near = |at: f64| rate(&ok, at, at + window) >= wanted * NEAR;
    let mut at = from;
    while at + WINDOWS as f64 * window <= until {
        if (0..WINDOWS).all(|n| near(at + n as f64 * window)) {
            return Some(at - from);
        }
        at += 1.0;
    }
    None
}

fn fairness(trace: &Trace) -> Option<f64> {
    if trace.ok.len() < 2 {
        return None;
    }
    let both = trace
        .ok
        .iter()
        .filter_map(|ok| ok.last().copied())
        .min_by(f64::total_cmp)?;
    let rows = trace
        .ok
        .iter()
        .map(|ok| ok.partition_point(|at| *at <= both));
    let (least, most) = rows.fold((usize::MAX, 0), |(a, b), n| (a.min(n), b.max(n)));
    Some(least as f64 / most.max(1) as f64)
}

fn queue(trace: &Trace) -> Option<f64> {
    let done = done_at(trace);
    let samples = trace.samples.iter().take_while(|sample| sample.at <= done);
    let (running, waiting) = samples.fold((0, 0), |sum, sample| {
        (sum.0 + sample.running, sum.1 + sample.waiting)
    });
    (running > 0).then(|| waiting as f64 / running as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Sample;

    /// So many rows a second, after some seconds of half as many.
    fn trace(per_s: usize, slow_s: usize, rows: usize) -> Trace {
        let slow = (0..slow_s * per_s / 2).map(|n| n as f64 * 2.0 / per_s as f64);
        let fast = (0..).map(|n| slow_s as f64 + n as f64 / per_s as f64);
        let ok: Vec<f64> = slow.chain(fast).take(rows).collect();
        Trace {
            ended: ok[rows - 1],
            ok: vec![ok],
            rows,
            sent: rows as u64,
            latency: 2.0,
            ..Trace::default()
        }
    }

    fn scenario() -> Scenario {
        let text = "about = 'A.'\nworkload.rows = 1\nshort.rows = 1\n[backend]";
        Scenario::parse("x", text).unwrap()
    }

    #[test]
    fn goodput_and_convergence_by_hand() {
        let best = trace(10, 0, 1_000);
        let reference = Reference::of(&scenario(), &best);
        assert!((reference.rows_per_s - 10.0).abs() < 0.02);
        let score = Score::of(&trace(10, 20, 1_000), &reference);
        // 950 rows: 100 in the first 20 seconds, and 85 seconds for the others.
        assert!((score.goodput - 95.0 / 105.0).abs() < 0.002, "{score:?}");
        // A window of 5 seconds that begins at 19 has 4.5 of 5 seconds' worth.
        assert_eq!(score.converged_s, Some(19.0));
        assert_eq!(
            (score.recovered_s, score.fairness, score.queue),
            (None, None, None)
        );
        assert_eq!(Score::of(&trace(8, 0, 1_000), &reference).converged_s, None);
    }

    #[test]
    fn rows_that_failed_are_worth_nothing() {
        let mut half = trace(10, 0, 1_000);
        let ok = half.ok[0].clone();
        half.ok[0] = ok.iter().copied().step_by(2).collect();
        half.failed = ok.iter().copied().skip(1).step_by(2).collect();
        assert!(
            (rows_per_s(&half) - 2.5).abs() < 0.02,
            "{}",
            rows_per_s(&half)
        );
    }

    #[test]
    fn queues_and_fairness_are_ratios() {
        let mut trace = trace(10, 0, 100);
        trace
            .ok
            .push(trace.ok[0][..50].iter().map(|at| at * 2.0).collect());
        let sample = |at, running, waiting| Sample {
            at,
            running,
            waiting,
            ..Sample::default()
        };
        trace.samples = vec![sample(1.0, 10, 0), sample(2.0, 30, 8), sample(99.0, 1, 99)];
        assert_eq!(queue(&trace), Some(0.2));
        let fair = fairness(&trace).unwrap();
        assert!((fair - 0.5).abs() < 0.01, "{fair}");
    }
}
