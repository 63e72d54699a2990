//! The command: runs scenarios, prints what came of them, and writes the pages made of them.

mod args;
mod human;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use args::{Args, CheckArgs, Command, OptimumArgs, PagesArgs, RunArgs};
use clap::Parser;
use forebay_scenarios::check::check;
use forebay_scenarios::suite::{Judged, judge};
use forebay_scenarios::{Rule, Scenario, optimum, plot, ranges, table};

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Run(args) => run_rules(&args),
        Command::Pages(args) => write_pages(&args),
        Command::Check(args) => check_all(&args),
        Command::Optimum(args) => find_optimum(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(path, text));
    written.map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn seeds(count: u64) -> Vec<u64> {
    (1..=count).collect()
}

fn run_rules(args: &RunArgs) -> Result<(), String> {
    if !args.json {
        println!("{}", human::HEAD);
    }
    for scenario in Scenario::named(&args.names)? {
        let known = args.best.or(scenario.short.best.filter(|_| args.short));
        let scenario = match (args.rows, args.short) {
            (Some(rows), _) => scenario.with_rows(rows),
            (None, true) => scenario.short(),
            (None, false) => scenario,
        };
        let judged = judge(&scenario, &args.rules, &seeds(args.seeds), known);
        human::print(&judged, args.json);
    }
    Ok(())
}

fn write_pages(args: &PagesArgs) -> Result<(), String> {
    let seeds = seeds(args.seeds);
    let mut judged: Vec<Judged> = Vec::new();
    println!("{}", human::HEAD);
    for scenario in Scenario::all()? {
        let mut done = judge(&scenario, &Rule::all(), &seeds, None);
        human::print(&done, false);
        if let Some((own, best)) = done.drawn.take() {
            let drawing = plot::draw(&scenario, &own, (done.best, &best));
            let path = docs().join(format!("concepts/concurrency/{}.svg", scenario.name));
            write(&path, &drawing)?;
        }
        judged.push(done);
    }
    let path = docs().join("reference/scenarios.md");
    write(&path, &table::page(&judged, seeds.len()))
}

fn check_all(args: &CheckArgs) -> Result<(), String> {
    let scenarios = Scenario::named(&args.names)?;
    let checked = check(&scenarios, u64::MAX);
    let mut faults = 0;
    for (scenario, one) in scenarios.iter().zip(checked) {
        let verdict = if one.faults.is_empty() { "ok" } else { "FAULT" };
        let score = serde_json::to_string(&one.score).unwrap_or_default();
        println!("{:<22} {verdict} {score}", one.name);
        one.faults.iter().for_each(|fault| println!("    {fault}"));
        faults += one.faults.len();
        if args.narrow {
            let narrowed = ranges::narrowed(scenario, &one.score);
            let text = read(&scenario.path())?;
            write(&scenario.path(), &ranges::with(&text, &narrowed))?;
        }
    }
    match faults {
        0 => Ok(()),
        faults => Err(format!("{faults} statistics are not as the files say")),
    }
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn find_optimum(args: &OptimumArgs) -> Result<(), String> {
    for scenario in Scenario::named(&args.names)? {
        let (n, found) =
            optimum::find(&scenario).ok_or_else(|| format!("{} has no runs", scenario.name))?;
        println!("{:<22} best = {n}, {found:?}", scenario.name);
        if args.write {
            let path = scenario.path();
            let text = optimum::with(&read(&path)?, n, &found)
                .ok_or_else(|| format!("{} has no rows in [short]", path.display()))?;
            write(&path, &text)?;
        }
    }
    Ok(())
}
