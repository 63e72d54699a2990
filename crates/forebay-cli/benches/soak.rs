//! A long run in real time with mixed faults: what leaks, hangs or is lost shows here.
//!
//! ```text
//! cargo bench --bench soak                       30 minutes
//! cargo bench --bench soak -- --minutes 2        shorter
//! cargo bench --bench soak -- --page FILE        writes the result as a page, too
//! ```
//! The built command runs over a pipe that gives items for as long as it is told, against
//! `forebay sim` with errors, resets, cuts and stalls by chance. Meanwhile memory and open files
//! are read from `/proc`; in the end the simulator's log shows whether the places in flight were
//! all there to the last minute, and `forebay sim check` judges the whole. Linux only.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Attempts in flight.
const CONCURRENCY: u64 = 200;
/// What must stand nowhere.
const KEY: &str = "a-key-of-the-soak-0123456789";
/// The distance of two readings of memory.
const READ_EVERY: Duration = Duration::from_secs(2);
/// What memory may grow by between the second and the last quarter: the allocator's noise.
const MAY_GROW: f64 = 1.1;
/// What goes wrong, and how often; refusals are rare, since each holds the whole endpoint.
const FAULTS: &[&str] = &[
    "500=0.01",
    "502=0.005",
    "reset=0.003",
    "cut-mid-body=0.003",
    "stall=0.0002",
    "invalid-json=0.002",
    "empty-choices=0.002",
    "truncated-gzip=0.001",
    "close-after-answer=0.01",
    "429-retry-after-ms=0.00005",
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let minutes: f64 = value("--minutes").map_or(30.0, |n| n.parse().expect("a number of minutes"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let soaked = soak(folder.path(), Duration::from_secs_f64(minutes * 60.0));
    let report = soaked.report(minutes);
    println!("\n{report}");
    if let Some(page) = value("--page") {
        fs::write(&page, &report).expect("the page can be written");
    }
    match soaked.faults().is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// What was seen.
struct Soaked {
    /// Resident memory in kB and open files, over time.
    readings: Vec<(u64, usize)>,
    /// For each minute: requests, and the most in flight.
    minutes: BTreeMap<u64, (u64, u64)>,
    left_in_flight: u64,
    /// The closing summary.
    summary: serde_json::Value,
    exit_code: Option<i32>,
    /// What `forebay sim check` says, and its exit code.
    verdict: (String, Option<i32>),
    wall: Duration,
}

fn soak(folder: &Path, time: Duration) -> Soaked {
    let log = folder.join("sim.jsonl");
    let mut sim = Sim::start(&log);
    let begun = Instant::now();
    let mut run = start_run(folder, sim.port);
    let mut items = BufWriter::new(run.stdin.take().expect("a pipe to the run"));
    let feeder = std::thread::spawn(move || {
        let mut number = 0_u64;
        while begun.elapsed() < time {
            // An error means that the run is over; its exit code tells why.
            if writeln!(items, r#"{{"text":"item {number}"}}"#).is_err() {
                break;
            }
            number += 1;
        }
    });
    let mut readings = Vec::new();
    let exit = loop {
        if let Some(exit) = run.try_wait().expect("the run can be waited for") {
            break exit;
        }
        readings.extend(read(run.id()));
        std::thread::park_timeout(READ_EVERY);
    };
    let wall = begun.elapsed();
    feeder.join().expect("the feeder ends");
    sim.stop();
    let (minutes, left_in_flight) = in_flight(&log);
    let summary = fs::read_to_string(folder.join("summary.json")).unwrap_or_default();
    Soaked {
        readings,
        minutes,
        left_in_flight,
        summary: serde_json::from_str(&summary).unwrap_or_default(),
        exit_code: exit.code(),
        verdict: check(folder, &log, exit.code().unwrap_or(-1)),
        wall,
    }
}

fn start_run(folder: &Path, port: u16) -> Child {
    let url = format!("http://127.0.0.1:{port}/v1");
    let in_flight = CONCURRENCY.to_string();
    Command::new(env!("CARGO_BIN_EXE_forebay"))
        .args(["run", "-", "--format", "jsonl", "--prompt", "{{ text }}"])
        .args(["--model", "sim", "--base-url", &url, "--provider", "openai"])
        .args(["--concurrency", &in_flight, "--order", "completed"])
        .args(["--first-byte-timeout", "3s", "--max-attempts", "20"])
        .args(["--keep-journal", "--progress", "none"])
        .arg("--output")
        .arg(folder.join("results.jsonl"))
        .arg("--summary-json")
        .arg(folder.join("summary.json"))
        .env("OPENAI_API_KEY", KEY)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the run starts")
}

/// Resident memory in kB and open files of a process, while it lives.
fn read(pid: u32) -> Option<(u64, usize)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kb = line.trim().trim_end_matches(" kB").parse().ok()?;
    let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    Some((kb, files))
}

/// Requests and the most in flight for each minute, and what never ended.
fn in_flight(log: &Path) -> (BTreeMap<u64, (u64, u64)>, u64) {
    let mut minutes = BTreeMap::<u64, (u64, u64)>::new();
    let mut now = 0_u64;
    for line in BufReader::new(File::open(log).expect("the log is there")).lines() {
        let line = line.expect("the log can be read");
        let record: serde_json::Value = serde_json::from_str(&line).expect("a record");
        let minute = (record["t_s"].as_f64().unwrap_or_default() / 60.0) as u64;
        let (requests, most) = minutes.entry(minute).or_default();
        match record["event"].as_str() {
            Some("request") => {
                now += 1;
                *requests += 1;
            }
            Some("answer" | "dropped") => now -= 1,
            _ => {}
        }
        *most = (*most).max(now);
    }
    (minutes, now)
}

fn check(folder: &Path, log: &Path, exit_code: i32) -> (String, Option<i32>) {
    let results = folder.join("results.jsonl");
    let mut journal = results.clone().into_os_string();
    journal.push(".journal");
    let in_flight = CONCURRENCY.to_string();
    let checked = Command::new(env!("CARGO_BIN_EXE_forebay"))
        .args(["sim", "check", "--max-in-flight", &in_flight])
        .args(["--max-attempts", "20", "--retry-budget"])
        .args(["--exit-code", &exit_code.to_string()])
        .args(["--secret-env", "OPENAI_API_KEY"])
        .env("OPENAI_API_KEY", KEY)
        .arg("--log")
        .arg(log)
        .arg("--results")
        .arg(&results)
        .arg("--journal")
        .arg(PathBuf::from(journal))
        .output()
        .expect("the check runs");
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&checked.stderr).into_owned();
    (said + &complaint, checked.status.code())
}

impl Soaked {
    /// The median memory of a quarter of the time, in kB.
    fn memory(&self, quarter: usize) -> u64 {
        let len = self.readings.len();
        let part = &self.readings[len * quarter / 4..len * (quarter + 1) / 4];
        let mut kb: Vec<u64> = part.iter().map(|(kb, _)| *kb).collect();
        kb.sort_unstable();
        kb.get(kb.len() / 2).copied().unwrap_or_default()
    }

    /// The last minute that was full.
    fn last_full_minute(&self) -> Option<(u64, u64)> {
        let last = self.minutes.keys().max()?.saturating_sub(1);
        self.minutes.get(&last).copied()
    }

    /// All that is not as it should be.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let (early, late) = (self.memory(1), self.memory(3));
        if late as f64 > early as f64 * MAY_GROW {
            faults.push(format!("memory grew from {early} to {late} kB"));
        }
        if !matches!(self.exit_code, Some(0 | 1)) {
            faults.push(format!("the run ended with exit code {:?}", self.exit_code));
        }
        match self.last_full_minute() {
            Some((_, CONCURRENCY)) => {}
            other => faults.push(format!(
                "in the last full minute, (requests, most in flight) were {other:?}, not {CONCURRENCY}"
            )),
        }
        if self.left_in_flight > 0 {
            faults.push(format!("{} requests never ended", self.left_in_flight));
        }
        if self.verdict.1 != Some(0) {
            faults.push("the checker found violations".to_owned());
        }
        faults
    }

    fn report(&self, minutes: f64) -> String {
        let mut page = String::new();
        let requests: u64 = self.minutes.values().map(|(requests, _)| requests).sum();
        let wall = self.wall.as_secs_f64();
        let row = |page: &mut String, name: &str, value: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(page, "| {name} | {value} |");
        };
        page.push_str(
            "# A soak\n\nMade by `cargo bench --bench soak -- --page docs/reference/soak.md`, ",
        );
        page.push_str("with the simulator and the run on the same machine of two cores.\n");
        let _ = writeln!(page, "Faults by chance: `{}`.\n", FAULTS.join(" "));
        page.push_str("| what | value |\n|---|---|\n");
        row(&mut page, "time asked for", format!("{minutes} min"));
        row(&mut page, "time taken", format!("{:.1} min", wall / 60.0));
        row(
            &mut page,
            "attempts in flight allowed",
            CONCURRENCY.to_string(),
        );
        let count = |name: &str| self.summary["session"][name].to_string();
        row(&mut page, "rows ok", count("ok"));
        row(&mut page, "rows failed", count("failed"));
        row(
            &mut page,
            "requests that the simulator received",
            requests.to_string(),
        );
        let rate = format!("{:.0}", requests as f64 / wall);
        row(&mut page, "requests per second", rate);
        for quarter in 0..4 {
            let kb = self.memory(quarter);
            row(
                &mut page,
                &format!("memory of the run, quarter {}", quarter + 1),
                format!("{:.1} MB", kb as f64 / 1024.0),
            );
        }
        let files = self.readings.iter().map(|(_, files)| files).max();
        row(
            &mut page,
            "most files open",
            files.copied().unwrap_or_default().to_string(),
        );
        if let Some((requests, most)) = self.last_full_minute() {
            row(
                &mut page,
                "requests in the last full minute",
                requests.to_string(),
            );
            row(
                &mut page,
                "most in flight in the last full minute",
                most.to_string(),
            );
        }
        row(
            &mut page,
            "requests left in flight at the end",
            self.left_in_flight.to_string(),
        );
        row(
            &mut page,
            "exit code",
            format!("{:?}", self.exit_code.unwrap_or(-1)),
        );
        let faults = self.faults();
        row(
            &mut page,
            "found wrong",
            match faults.is_empty() {
                true => "nothing".to_owned(),
                false => faults.join("; "),
            },
        );
        let _ = writeln!(
            page,
            "\nThe checker says:\n\n```text\n{}\n```",
            self.verdict.0.trim()
        );
        page
    }
}

/// The simulated provider, which ends with this.
struct Sim {
    child: Child,
    port: u16,
}

impl Sim {
    fn start(log: &Path) -> Sim {
        let mut child = Command::new(env!("CARGO_BIN_EXE_forebay"))
            .args([
                "sim",
                "--port",
                "0",
                "--latency",
                "40ms",
                "--answers",
                "echo",
                "--log",
            ])
            .arg(log)
            .args(FAULTS.iter().flat_map(|fault| ["--fault", fault]))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the simulator starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut line).expect("a line");
        let port = line
            .trim()
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok());
        let port = port.expect("a port in its first line");
        Sim { child, port }
    }

    /// Ends it once its log is written, which it is at most 50 ms late.
    fn stop(&mut self) {
        std::thread::park_timeout(Duration::from_millis(500));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}
