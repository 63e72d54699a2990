//! Peak memory of runs of very different lengths, and whether it stays where it was.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::options::Options;
use crate::process::memory_mb;
use crate::server::{Plan, Server};
use crate::subject::{Run, write_rows};

/// Rows of the long run.
const MANY_ROWS: usize = 10_000_000;
/// Rows of the long run of a short measurement.
const SOME_ROWS: usize = 200_000;
/// Rows of the run to compare with.
const FEW_ROWS: usize = 100_000;
/// Requests in flight.
const IN_FLIGHT: usize = 50;
/// What counts as the beginning.
const BEGINNING: Duration = Duration::from_secs(60);

/// Prints the table.
pub(crate) fn run(folder: &Path, options: &Options) {
    let many = options.rows_or(MANY_ROWS, SOME_ROWS);
    println!("\nmemory of `forebay run`, short prompts and answers\n");
    println!(
        "| HTTP | rows | in flight | order | peak MB | peak of the first minute | of the second half | at the end | rows/s |"
    );
    println!("|---|---:|---:|---|---:|---:|---:|---:|---:|");
    let http = options.http[0];
    for in_flight in options.in_flight_or(&[IN_FLIGHT]) {
        for rows in [FEW_ROWS, many] {
            for order in ["input", "completed"] {
                // A server for each: its first request begins the run's time.
                let server = Server::start(Plan {
                    is_short: true,
                    ..Plan::default()
                });
                let input = write_rows(folder, 0..rows, |row| format!("ticket {row}: late parcel"));
                let run = Run {
                    port: server.port,
                    http,
                    in_flight,
                    folder,
                    input: &input,
                    order,
                };
                line(&run, rows);
            }
        }
    }
}

fn line(run: &Run<'_>, rows: usize) {
    let began = Instant::now();
    let mut peak: f64 = 0.0;
    let mut readings: Vec<(Duration, f64)> = Vec::new();
    let took = run.watch(|pid| {
        peak = peak.max(memory_mb(pid, "VmHWM:").unwrap_or(0.0));
        readings.extend(memory_mb(pid, "VmRSS:").map(|now| (began.elapsed(), now)));
    });
    let most = |from: Duration, to: Duration| {
        let among = readings.iter().filter(|(at, _)| (from..to).contains(at));
        among.map(|(_, mb)| *mb).fold(f64::NAN, f64::max)
    };
    println!(
        "| {} | {rows} | {} | {} | {peak:.1} | {:.1} | {:.1} | {:.1} | {:.0} |",
        run.http.name(),
        run.in_flight,
        run.order,
        most(Duration::ZERO, BEGINNING),
        most(took / 2, took),
        readings.last().map_or(f64::NAN, |(_, mb)| *mb),
        rows as f64 / took.as_secs_f64(),
    );
}
