//! The command: runs scenarios and prints what came of them.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use forebay_scenarios::score::Reference;
use forebay_scenarios::{Rule, Scenario, Score, Trace, job, run, search};

/// Scenarios that judge limits that find themselves.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs scenarios and prints a line for each rule.
    Run(RunArgs),
}

#[derive(clap::Args)]
struct RunArgs {
    /// Scenarios; all of them when none is named.
    names: Vec<String>,
    /// Rules: auto, fixed-N, aimd, gradient2, inspect.
    #[arg(long, value_delimiter = ',', default_value = "auto")]
    rules: Vec<Rule>,
    /// Seeds, from 1.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Rows of each client, in place of the file's.
    #[arg(long)]
    rows: Option<usize>,
    /// The short version of the files.
    #[arg(long)]
    short: bool,
    /// The fixed number to compare with, in place of a search.
    #[arg(long)]
    best: Option<usize>,
    /// JSON, a line for each run.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Run(args) => run_and_print(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run_and_print(args: &RunArgs) -> Result<(), String> {
    let seeds: Vec<u64> = (1..=args.seeds).collect();
    if !args.json {
        println!("{HEAD}");
    }
    for scenario in Scenario::named(&args.names)? {
        let rows = match (args.rows, args.short) {
            (Some(rows), _) => rows,
            (None, true) => scenario.short.rows,
            (None, false) => scenario.workload.rows,
        };
        let scenario = scenario.with_rows(rows);
        let known = scenario.short.best.filter(|_| args.short);
        let (n, traces) = match args.best.or(known) {
            Some(n) => (
                n,
                job::all(&seeds, |seed| run(&scenario, Rule::Fixed(n), *seed)),
            ),
            None => {
                let best = search::best(&scenario, &seeds);
                (best.n, best.traces)
            }
        };
        let references: Vec<Reference> = traces
            .iter()
            .map(|trace| Reference::of(&scenario, trace))
            .collect();
        let runs: Vec<(Rule, usize)> = args
            .rules
            .iter()
            .flat_map(|rule| (0..seeds.len()).map(|at| (*rule, at)))
            .collect();
        let ran = job::all(&runs, |(rule, at)| run(&scenario, *rule, seeds[*at]));
        let best = (0..seeds.len()).map(|at| (format!("best={n}"), at, &traces[at]));
        let others = runs
            .iter()
            .zip(&ran)
            .map(|((rule, at), trace)| (rule.to_string(), *at, trace));
        for (rule, at, trace) in best.chain(others) {
            let score = Score::of(trace, &references[at]);
            print_line(args.json, (&scenario.name, &rule, seeds[at]), trace, &score);
        }
    }
    Ok(())
}

const HEAD: &str = "scenario               rule        seed  goodput  rows/s  rejected   conv   rec  \
                    wasted  oldest  failed   fair  queue      wall";

fn print_line(json: bool, of: (&str, &str, u64), trace: &Trace, score: &Score) {
    let (scenario, rule, seed) = of;
    if json {
        let score = serde_json::to_string(score).unwrap_or_default();
        println!(r#"{{"scenario":"{scenario}","rule":"{rule}","seed":{seed},"score":{score}}}"#);
        return;
    }
    let some = |value: Option<f64>, digits: usize| {
        value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
    };
    println!(
        "{scenario:<22} {rule:<11} {seed:>4} {:>8.3} {:>7.2} {:>8.2}% {:>6} {:>5} {:>6.2}% {:>6.0}s \
         {:>6.2}% {:>6} {:>6} {:>8.1}s",
        score.goodput,
        score.rows_per_s,
        score.rejected * 100.0,
        some(score.converged_s, 0),
        some(score.recovered_s, 0),
        score.wasted * 100.0,
        score.oldest_s,
        score.failed * 100.0,
        some(score.fairness, 2),
        some(score.queue, 2),
        trace.ended,
    );
}
