//! CPU time and rows per second of the whole job, beside clients that only make the calls.

use std::fs;
use std::path::Path;

use crate::options::{Http, Options};
use crate::process::{Lap, Measured, measure, median, ratio};
use crate::server::{Plan, Server};
use crate::subject::{Run, write_input};
use crate::yardstick::{self, Client, Load, PythonClient, Tool};

/// Rows of a round.
const ROWS: usize = 300_000;
/// Rows of a round that is only to show that it works.
const FEW_ROWS: usize = 10_000;
/// Requests in flight.
const IN_FLIGHT: [usize; 2] = [50, 500];

/// Whoever takes a turn.
#[derive(Debug, Clone, Copy)]
enum Runner {
    Own(Client),
    Forebay,
    Tool(Tool),
    Python(PythonClient),
}

impl Runner {
    fn name(self) -> &'static str {
        match self {
            Runner::Own(client) => client.name(),
            Runner::Forebay => "**forebay run**",
            Runner::Tool(tool) => tool.name(),
            Runner::Python(client) => client.name(),
        }
    }
}

/// Prints the table.
pub(crate) fn run(folder: &Path, options: &Options) {
    let rows = options.rows_or(ROWS, FEW_ROWS);
    let input = write_input(folder, rows);
    let server = Server::start(Plan::default());
    println!(
        "\n{rows} rows, one core for the client, medians of {} rounds in turn",
        options.rounds
    );
    println!(
        "\n| HTTP | in flight | client | CPU µs/row | user + system | × bare loop | rows/s | server busy |"
    );
    println!("|---|---:|---|---:|---:|---:|---:|---:|");
    for &http in &options.http {
        for in_flight in options.in_flight_or(&IN_FLIGHT) {
            let bench = Bench {
                folder,
                input: &input,
                server: &server,
                load: (http, rows, in_flight),
                options,
            };
            bench.table();
        }
    }
}

struct Bench<'a> {
    folder: &'a Path,
    input: &'a Path,
    server: &'a Server,
    /// The version of HTTP, rows, and requests in flight.
    load: (Http, usize, usize),
    options: &'a Options,
}

impl Bench<'_> {
    /// Runs all clients in turn and prints a line of each.
    fn table(&self) {
        let (http, _, in_flight) = self.load;
        let runners = self.runners();
        let mut laps: Vec<Vec<Lap>> = vec![Vec::new(); runners.len()];
        for _ in 0..self.options.rounds {
            for (runner, laps) in runners.iter().zip(&mut laps) {
                laps.extend(self.lap(*runner));
            }
        }
        for (runner, of_it) in runners.iter().zip(&laps) {
            let name = runner.name();
            if of_it.is_empty() {
                println!(
                    "| {} | {in_flight} | {name} | not installed | | | | |",
                    http.name()
                );
                continue;
            }
            let over = |value: fn(&Lap) -> f64| median(of_it.iter().map(value).collect());
            let ratio = ratio(of_it, &laps[0]);
            println!(
                "| {} | {in_flight} | {name} | {:.1} | {:.1} + {:.1} | {ratio:.2} | {:.0} | {:.0} % |",
                http.name(),
                over(Lap::cpu_us),
                over(|lap| lap.measured.user_s * 1e6 / lap.requests),
                over(|lap| lap.measured.system_s * 1e6 / lap.requests),
                over(|lap| lap.requests / lap.measured.wall_s),
                over(|lap| lap.measured.server_busy() * 100.0),
            );
        }
    }

    /// The bare loop comes first: the others are compared with it.
    fn runners(&self) -> Vec<Runner> {
        let http = self.load.0;
        let mut runners = vec![
            Runner::Own(Client::Bare),
            Runner::Forebay,
            Runner::Own(Client::Files),
            Runner::Own(Client::Reqwest),
        ];
        let tools = [Tool::Wrk, Tool::Oha]
            .into_iter()
            .filter(|tool| tool.speaks(http));
        runners.extend(tools.map(Runner::Tool));
        if http == Http::One && self.options.python.is_some() {
            runners.extend(PythonClient::ALL.map(Runner::Python));
        }
        runners
    }

    fn lap(&self, runner: Runner) -> Option<Lap> {
        let (http, rows, in_flight) = self.load;
        let lap = |measured: Measured| Lap {
            measured,
            requests: rows as f64,
        };
        match runner {
            Runner::Own(client) => {
                let load = Load {
                    client,
                    http,
                    port: self.server.port,
                    requests: rows,
                    in_flight,
                    events: 0,
                };
                // As for the run: what an earlier lap left is deleted beforehand.
                let _ = fs::remove_file(self.folder.join(Client::LEFT));
                let mut command = load.command();
                Some(lap(measure(
                    command.current_dir(self.folder),
                    self.server.pid(),
                )))
            }
            Runner::Forebay => {
                let run = Run {
                    port: self.server.port,
                    http,
                    in_flight,
                    folder: self.folder,
                    input: self.input,
                    order: "input",
                };
                Some(lap(measure(&mut run.anew(), self.server.pid())))
            }
            Runner::Tool(tool) if !tool.is_installed() => None,
            Runner::Tool(tool) => {
                yardstick::measure_tool(tool, self.server, self.load, self.folder)
            }
            Runner::Python(client) => {
                let python = self.options.python.as_deref()?;
                let load = (rows, in_flight);
                Some(yardstick::measure_python(python, client, self.server, load))
            }
        }
    }
}
