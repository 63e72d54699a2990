//! Sweeps the sequences in flight against the engine that batches continuously, prints what it
//! measures, and draws it into the documentation.
//!
//! `cargo run --release -p forebay-sim --example batching`

mod plot;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use forebay_sim::{Batching, Load, Trial};
use plot::{Line, Panel, Plot};

/// Clients in the closed loop: denser where the KV cache runs out.
const IN_FLIGHT: [usize; 20] = [
    1, 2, 4, 8, 16, 32, 48, 64, 96, 112, 128, 144, 160, 176, 192, 224, 256, 320, 384, 512,
];

/// Where the page keeps its table.
const MARKS: [&str; 2] = ["<!-- table: begin -->\n", "<!-- table: end -->\n"];

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference")
}

fn load(in_flight: usize) -> Load {
    Load {
        in_flight,
        prompt_tokens: 500,
        output_tokens: 500,
        spread: 0.1,
        answers: 600.max(in_flight * 3),
        seed: 1,
    }
}

fn sweep() -> Vec<(usize, Trial)> {
    let engine = Batching::default();
    IN_FLIGHT
        .iter()
        .map(|&in_flight| (in_flight, engine.trial(&load(in_flight))))
        .collect()
}

fn table(points: &[(usize, Trial)]) -> String {
    let mut out = String::from(
        "| in flight | tokens/s | p50 | p99 | p99 of the longest pause | KV in use | preemptions per 100 answers |\n\
         |--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for (in_flight, trial) in points {
        let seconds = |share| trial.latency(share).as_secs_f64();
        let _ = writeln!(
            out,
            "| {in_flight} | {:.0} | {:.1} s | {:.1} s | {:.3} s | {:.0} % | {:.1} |",
            trial.tokens_per_second,
            seconds(0.5),
            seconds(0.99),
            trial.pause(0.99).as_secs_f64(),
            trial.kv_usage * 100.0,
            trial.preemptions as f64 * 100.0 / trial.latencies.len() as f64,
        );
    }
    out
}

/// Between the last point without preemptions and the first one with them.
fn edge(points: &[(usize, Trial)]) -> Option<f64> {
    let first = points.iter().position(|(_, trial)| trial.preemptions > 0)?;
    let [before, at] = [first.checked_sub(1)?, first].map(|at| points[at].0 as f64);
    Some((before * at).sqrt())
}

fn drawing(points: &[(usize, Trial)]) -> String {
    let line = |label, class, value: fn(&Trial) -> f64| Line {
        label,
        class,
        points: points
            .iter()
            .map(|(in_flight, trial)| (*in_flight as f64, value(trial)))
            .collect(),
    };
    let panels = vec![
        Panel {
            title: "Throughput, output tokens per second",
            ticks: vec![100.0, 300.0, 1000.0, 3000.0, 10_000.0],
            lines: vec![line("all clients", "a", |trial| trial.tokens_per_second)],
        },
        Panel {
            title: "Latency, seconds",
            ticks: vec![0.001, 0.01, 0.1, 1.0, 10.0, 100.0],
            lines: vec![
                line("p99 of answers", "b", |trial| {
                    trial.latency(0.99).as_secs_f64()
                }),
                line("p50 of answers", "a", |trial| {
                    trial.latency(0.5).as_secs_f64()
                }),
                line("p99 of the longest pause", "c", |trial| {
                    trial.pause(0.99).as_secs_f64()
                }),
            ],
        },
    ];
    let plot = Plot {
        title: "Continuous batching: throughput and latency over sequences in flight",
        axis: "sequences in flight",
        ticks: (0..10).map(|power| f64::from(1 << power)).collect(),
        shaded: edge(points).map(|from| (from, "preemptions")),
        panels,
    };
    plot.svg()
}

/// The page with a new table in it.
fn page(old: &str, table: &str) -> Option<String> {
    let (head, rest) = old.split_once(MARKS[0])?;
    let (_, tail) = rest.split_once(MARKS[1])?;
    Some(format!("{head}{}{table}{}{tail}", MARKS[0], MARKS[1]))
}

fn main() -> io::Result<()> {
    let points = sweep();
    let table = table(&points);
    print!("{table}");
    fs::write(docs().join("batching.svg"), drawing(&points))?;
    let path = docs().join("batching.md");
    let old = fs::read_to_string(&path)?;
    let new = page(&old, &table)
        .ok_or_else(|| io::Error::other(format!("{} has no place for a table", path.display())))?;
    fs::write(path, new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_and_the_plot_are_what_the_command_makes_of_the_engine() {
        let points = sweep();
        let read = |name| fs::read_to_string(docs().join(name)).unwrap();
        let hint = "run: cargo run --release -p forebay-sim --example batching";
        assert!(read("batching.svg") == drawing(&points), "{hint}");
        let old = read("batching.md");
        assert!(Some(&old) == page(&old, &table(&points)).as_ref(), "{hint}");
    }
}
