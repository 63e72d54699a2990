//! CPU time of streamed answers of 200 chunks: the whole job, beside loops that only take events
//! apart.

use std::path::Path;
use std::time::Duration;

use crate::options::Options;
use crate::process::{Lap, median, ratio};
use crate::server::{Plan, Server};
use crate::subject::{Run, write_input};
use crate::turns::Turns;

/// Events of a stream.
const CHUNKS: usize = 200;
/// From one chunk to the next, where they do not come at once.
const PAUSE: Duration = Duration::from_millis(5);
/// Streams of a round that come at once, and those in flight.
const AT_ONCE: (usize, usize) = (10_000, 50);
/// Streams of a round that come chunk by chunk, and those in flight: 40,000 chunks a second leave
/// the server some room.
const PACED: (usize, usize) = (1_000, 200);
/// The part of them that a short measurement has.
const SHORT: usize = 5;

/// Prints the table.
pub(crate) fn run(folder: &Path, options: &Options) {
    println!(
        "\nstreams of {CHUNKS} chunks, one core for the client, medians of {} rounds in turn",
        options.rounds
    );
    println!(
        "\n| HTTP | chunks come | in flight | client | CPU µs/stream | CPU µs/chunk | × bare loop | server busy |"
    );
    println!("|---|---|---:|---|---:|---:|---:|---:|");
    for &http in &options.http {
        for (how, pause, (long, in_flight)) in [
            ("all at once", Duration::ZERO, AT_ONCE),
            ("5 ms apart", PAUSE, PACED),
        ] {
            let rows = options.rows_or(long, long / SHORT);
            let input = write_input(folder, rows);
            let server = Server::start(Plan {
                chunks: CHUNKS,
                pause,
                ..Plan::default()
            });
            let run = Run {
                port: server.port,
                http,
                in_flight,
                folder,
                input: &input,
                order: "input",
            };
            compare(&run, rows, options.rounds, (how, &server));
        }
    }
}

/// Runs the bare loop, the job and reqwest in turn and prints a line of each.
fn compare(run: &Run<'_>, rows: usize, rounds: usize, (how, server): (&str, &Server)) {
    let names = [
        "bare hyper loop, own splitter",
        "**forebay run --stream**",
        "reqwest, own splitter",
    ];
    let turns = Turns {
        run,
        rows,
        events: CHUNKS,
        rounds,
        clients: names.len(),
    };
    let laps = turns.laps(server);
    for (name, of_it) in names.iter().zip(&laps) {
        let cpu = median(of_it.iter().map(Lap::cpu_us).collect());
        let ratio = ratio(of_it, &laps[0]);
        let busy = median(of_it.iter().map(|lap| lap.measured.server_busy()).collect());
        println!(
            "| {} | {how} | {} | {name} | {cpu:.0} | {:.2} | {ratio:.2} | {:.0} % |",
            run.http.name(),
            run.in_flight,
            cpu / CHUNKS as f64,
            busy * 100.0
        );
    }
}
