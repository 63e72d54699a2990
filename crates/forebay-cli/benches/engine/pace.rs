//! Wall time over rows × latency ÷ requests in flight.

use std::path::Path;
use std::time::Duration;

use crate::options::{Http, Options};
use crate::process::{Measured, median, possible};
use crate::server::{Plan, Server};
use crate::subject::{Run, write_input};
use crate::turns::Turns;
use crate::yardstick::Client;

/// From a request to its answer.
const LATENCY: Duration = Duration::from_millis(500);
/// Requests in flight.
const IN_FLIGHT: [usize; 6] = [10, 20, 50, 1_000, 5_000, 20_000];
/// Those of a measurement that is only to show that it works.
const FEW_IN_FLIGHT: [usize; 2] = [50, 1_000];
/// Requests one after another: ten make an ideal time of five seconds, so that one per cent is
/// fifty milliseconds, start included.
const WAVES: usize = 10;
/// Those of a short measurement.
const FEW_WAVES: usize = 4;
/// Rounds at the most: a round takes as long as it takes.
const ROUNDS: usize = 3;
/// The most in flight at which reqwest is shown over HTTP/2: it has one connection, so that from
/// the server's 128 streams on it only gets slower in proportion.
const REQWEST_2: usize = 1_000;

/// Prints the table.
pub(crate) fn run(folder: &Path, options: &Options) {
    let (in_flight, waves) = match options.is_short {
        true => (&FEW_IN_FLIGHT[..], FEW_WAVES),
        false => (&IN_FLIGHT[..], WAVES),
    };
    let rounds = options.rounds.min(ROUNDS);
    println!(
        "\nwall time at a latency of {} ms, {waves} rows for each place in flight, \
         medians of {rounds} rounds in turn",
        LATENCY.as_millis()
    );
    println!(
        "\n| HTTP | in flight | client | ideal s | wall s | over | client busy | server busy |"
    );
    println!("|---|---:|---|---:|---:|---:|---:|---:|");
    let server = Server::start(Plan {
        latency: LATENCY,
        ..Plan::default()
    });
    for &http in &options.http {
        for in_flight in options.in_flight_or(in_flight) {
            let in_flight = possible(http, in_flight);
            let rows = waves * in_flight;
            let input = write_input(folder, rows);
            let run = Run {
                port: server.port,
                http,
                in_flight,
                folder,
                input: &input,
                order: "input",
            };
            let ideal = LATENCY.as_secs_f64() * waves as f64;
            compare(&run, rows, rounds, (ideal, &server));
        }
    }
}

/// Runs the bare loop, the job and reqwest in turn and prints a line of each.
fn compare(run: &Run<'_>, rows: usize, rounds: usize, (ideal, server): (f64, &Server)) {
    let names = [
        Client::Bare.name(),
        "**forebay run**",
        Client::Reqwest.name(),
    ];
    let is_hopeless = run.http == Http::Two && run.in_flight > REQWEST_2;
    let clients = names.len() - usize::from(is_hopeless);
    let turns = Turns {
        run,
        rows,
        events: 0,
        rounds,
        clients,
    };
    let laps = turns.laps(server);
    for (name, laps) in names.iter().zip(&laps).take(clients) {
        let over = |value: fn(&Measured) -> f64| {
            median(laps.iter().map(|lap| value(&lap.measured)).collect())
        };
        let wall = over(|lap| lap.wall_s);
        println!(
            "| {} | {} | {name} | {ideal:.1} | {wall:.2} | {:.1} % | {:.0} % | {:.0} % |",
            run.http.name(),
            run.in_flight,
            (wall / ideal - 1.0) * 100.0,
            over(|lap| lap.cpu_s() / lap.wall_s * 100.0),
            over(|lap| lap.server_busy() * 100.0),
        );
    }
}
