//! Memory of very many requests in flight on one origin, and whether they stall.

use std::path::Path;
use std::time::Duration;

use crate::options::{Http, Options};
use crate::process::{memory_mb, possible};
use crate::server::{Plan, Server};
use crate::subject::{Run, write_input};

/// Requests in flight.
const MANY: usize = 20_000;
/// Those of a short measurement.
const SOME: usize = 2_000;
/// Those of the run that the memory is compared with.
const FEW: usize = 10;
/// From a request to its answer: longer than it takes to send as many, so that all are in flight
/// at once.
const LATENCY: Duration = Duration::from_secs(10);
/// Requests one after another in each place.
const WAVES: usize = 2;

/// Prints the table.
pub(crate) fn run(folder: &Path, options: &Options) {
    let own = if options.is_short { SOME } else { MANY };
    println!(
        "\nmemory and wall time at a latency of {} s, {WAVES} rows for each place in flight",
        LATENCY.as_secs()
    );
    println!("\n| HTTP | in flight | peak MB | KB for each | ideal s | wall s | over |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for &http in &options.http {
        for wanted in options.in_flight_or(&[own]) {
            let in_flight = possible(http, wanted);
            let (few, _) = peak(folder, http, FEW);
            let (many, wall) = peak(folder, http, in_flight);
            let each = (many - few) * 1024.0 / (in_flight - FEW) as f64;
            let ideal = LATENCY.as_secs_f64() * WAVES as f64;
            println!(
                "| {} | {in_flight} | {many:.1} | {each:.1} | {ideal:.1} | {wall:.2} | {:.1} % |",
                http.name(),
                (wall / ideal - 1.0) * 100.0,
            );
        }
    }
}

/// Peak memory in MB and wall time in seconds of a run.
fn peak(folder: &Path, http: Http, in_flight: usize) -> (f64, f64) {
    let server = Server::start(Plan {
        latency: LATENCY,
        ..Plan::default()
    });
    let input = write_input(folder, in_flight * WAVES);
    let run = Run {
        port: server.port,
        http,
        in_flight,
        folder,
        input: &input,
        order: "completed",
    };
    let mut peak: f64 = 0.0;
    let took = run.watch(|pid| {
        peak = peak.max(memory_mb(pid, "VmHWM:").unwrap_or(0.0));
    });
    (peak, took.as_secs_f64())
}
