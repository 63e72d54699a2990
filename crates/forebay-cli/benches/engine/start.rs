//! How long it takes until something happens: `forebay --version`, and the first request of a
//! run that goes on with a long journal.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::options::Options;
use crate::process::{cpu_s, median};
use crate::server::{Plan, Server};
use crate::subject::{FOREBAY, Run, write_rows};

/// Starts of each program.
const STARTS: usize = 201;
/// Starts of each program in a short measurement.
const FEW_STARTS: usize = 21;
/// Rows that are done when the run goes on.
const DONE: usize = 1_000_000;
/// Those of a short measurement.
const FEW_DONE: usize = 20_000;
/// Rows that are not.
const LEFT: usize = 1_000;
/// How long the journal of a run must rest until it is taken to be waiting for the server.
const RESTS: Duration = Duration::from_secs(1);

/// Prints both tables.
pub(crate) fn run(folder: &Path, options: &Options) {
    let starts = if options.is_short { FEW_STARTS } else { STARTS };
    println!("\nstart-up, median of {starts} starts in turn");
    println!("\n| command | ms |\n|---|---:|");
    let commands: [(&str, &[&str]); 3] = [
        ("/bin/true", &[]),
        (FOREBAY, &["--version"]),
        (FOREBAY, &["--help"]),
    ];
    let mut times: [Vec<f64>; 3] = Default::default();
    for _ in 0..starts {
        for (times, (program, arguments)) in times.iter_mut().zip(commands) {
            let mut command = Command::new(program);
            command.args(arguments).stdout(Stdio::null());
            let began = Instant::now();
            assert!(command.status().expect("it starts").success());
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
    }
    for (name, times) in ["/bin/true", "forebay --version", "forebay --help"]
        .iter()
        .zip(times)
    {
        println!("| `{name}` | {:.2} |", median(times));
    }
    resume(folder, options);
}

/// Makes a journal, kills the run, and times how soon the same command sends.
fn resume(folder: &Path, options: &Options) {
    let done = options.rows_or(DONE, FEW_DONE);
    let rounds = options.rounds.min(3);
    println!("\nresume of {done} done rows, median of {rounds} rounds");
    println!(
        "\n| order | journal MB | first request after s | CPU s until then |\n|---|---:|---:|---:|"
    );
    for order in ["input", "completed"] {
        let folder = folder.join(order);
        fs::create_dir_all(&folder).expect("a folder");
        let input = write_rows(&folder, 0..done + LEFT, |row| {
            format!("ticket {row}: late parcel")
        });
        let run = |port, in_flight| Run {
            port,
            http: options.http[0],
            in_flight,
            folder: &folder,
            input: &input,
            order,
        };
        let journal = kill_when_done(&run, done, &folder);
        let (mut times, mut cpu) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            // A server that answers nothing leaves the journal as it is.
            let mut server = Server::start(Plan {
                latency: Duration::from_secs(3_600),
                ..Plan::default()
            });
            let began = Instant::now();
            let mut child = run(server.port, 1).command().spawn().expect("forebay runs");
            server.first_request();
            times.push(began.elapsed().as_secs_f64());
            cpu.push(cpu_s(child.id()));
            child.kill().and_then(|()| child.wait()).expect("a child");
        }
        println!(
            "| {order} | {journal:.0} | {:.2} | {:.2} |",
            median(times),
            median(cpu)
        );
        fs::remove_dir_all(&folder).expect("a folder");
    }
}

/// Runs until so many rows are done and the server answers no more; gives the journal's size in
/// MB.
fn kill_when_done<'a>(run: &impl Fn(u16, usize) -> Run<'a>, done: usize, folder: &Path) -> f64 {
    let server = Server::start(Plan {
        is_short: true,
        stall_after: done as u64,
        ..Plan::default()
    });
    let mut child = run(server.port, 50)
        .command()
        .spawn()
        .expect("forebay runs");
    let path = folder.join("out.jsonl.journal");
    let size = || fs::metadata(&path).map_or(0, |journal| journal.len());
    let (mut seen, mut since) = (0, Instant::now());
    while seen == 0 || since.elapsed() < RESTS {
        assert!(
            child.try_wait().expect("a child").is_none(),
            "the run ended"
        );
        std::thread::park_timeout(Duration::from_millis(50));
        if size() != seen {
            (seen, since) = (size(), Instant::now());
        }
    }
    child.kill().and_then(|()| child.wait()).expect("a child");
    seen as f64 / 1e6
}
