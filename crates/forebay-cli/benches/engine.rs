//! What the whole engine costs, beside a bare hyper client loop in the same run.
//!
//! ```text
//! cargo bench --bench engine             speed, then memory
//! cargo bench --bench engine -- speed    CPU microseconds and rows/s at 50 and 500 in flight
//! cargo bench --bench engine -- memory   peak memory over 1,000,000 rows, both orders
//! cargo bench --bench engine -- pace     wall time against the ideal at 500 ms latency
//! cargo bench --bench engine -- stream   CPU of a stream of 200 chunks, beside a bare SSE loop
//! ```
//! The client has one core and the zero-latency simulated provider the other one. Trust ratios,
//! not absolute values: the rounds are run in turn, and the median is shown.

use std::fs;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;

/// Rounds of which the median counts.
const ROUNDS: usize = 5;
/// Rows of a round.
const ROWS: usize = 100_000;
/// Rows of the memory measurement.
const MANY_ROWS: usize = 1_000_000;
/// Bytes of a prompt, so that a request has about 958 bytes as in earlier measurements.
const PROMPT: usize = 830;
/// Bytes of an answer's text, so that the whole answer has about 1,100 bytes.
const ANSWER: usize = 480;
/// Streams of a round.
const STREAMS: usize = 5_000;
/// Words of a streamed answer, so that it has 200 chunks.
const WORDS: usize = 111;
/// How the simulator is told to write a chunk every 5 ms.
const PACED: [&str; 4] = ["--latency", "5ms", "--per-token", "5ms"];
/// Paced streams of a round.
const PACED_STREAMS: usize = 2_000;
/// Tells this program to be the bare loop: port, requests, connections, and 1 for streams.
const LOOP: &str = "FOREBAY_BENCH_LOOP";
/// Ticks per second of the times in `/proc/*/stat`, fixed by Linux for user space.
const TICKS: f64 = 100.0;

fn main() {
    if let Ok(orders) = std::env::var(LOOP) {
        let numbers: Vec<usize> = orders.split(',').filter_map(|n| n.parse().ok()).collect();
        let streams = numbers[3] == 1;
        return bare_loop(numbers[0] as u16, numbers[1], numbers[2], streams);
    }
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let folder = tempfile::tempdir().expect("a temporary folder");
    match wanted.as_deref() {
        Some("speed") => speed(folder.path()),
        Some("memory") => memory(folder.path()),
        Some("pace") => pace(folder.path()),
        Some("stream") => stream(folder.path()),
        Some(other) => eprintln!("no benchmark is called {other:?}: speed, memory, pace, stream"),
        None => {
            speed(folder.path());
            memory(folder.path());
        }
    }
}

/// CPU time and rows per second of the engine and of the bare loop, in turn.
fn speed(folder: &Path) {
    let sim = Sim::start(&["--latency", "0", "--answers", &"a".repeat(ANSWER)]);
    let input = write_input(folder, ROWS);
    println!("\n{ROWS} rows, one core for the client, median of {ROUNDS} rounds in turn");
    println!("| in flight | client | CPU µs/row | rows/s | CPU ratio |");
    println!("|---:|---|---:|---:|---:|");
    for concurrency in [50, 500] {
        let (mut bare, mut engine) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            bare.push(measure(&mut loop_command(
                sim.port,
                ROWS,
                concurrency,
                false,
            )));
            engine.push(measure(&mut run_command(
                &sim,
                &input,
                folder,
                concurrency,
                "input",
            )));
        }
        let (bare, engine) = (median(bare), median(engine));
        for (name, run, ratio) in [
            ("bare hyper loop", bare, 1.0),
            ("forebay run", engine, engine.cpu_s / bare.cpu_s),
        ] {
            println!(
                "| {concurrency} | {name} | {:.1} | {:.0} | {ratio:.2} |",
                run.cpu_s * 1e6 / ROWS as f64,
                ROWS as f64 / run.wall_s
            );
        }
    }
}

/// CPU time of streamed answers: the whole job, beside a loop that only takes events apart.
fn stream(folder: &Path) {
    let words: Vec<String> = (0..WORDS).map(|n| format!("word{:02}", n % 100)).collect();
    println!("\nstreams of 200 chunks, one core for the client, median of {ROUNDS} rounds in turn");
    println!("| chunks come | in flight | client | CPU µs/stream | CPU ratio |");
    println!("|---|---:|---|---:|---:|");
    for (how, pause, streams, concurrency) in [
        (
            "all at once",
            &["--latency", "0", "--sigma", "0"][..],
            STREAMS,
            50,
        ),
        ("5 ms apart", &PACED, PACED_STREAMS, 500),
    ] {
        let answer = words.join(" ");
        let sim = Sim::start(&[&["--answers", &answer][..], pause].concat());
        let input = write_input(folder, streams);
        let (mut bare, mut engine) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let mut bare_loop = loop_command(sim.port, streams, concurrency, true);
            bare.push(measure(&mut bare_loop));
            let mut run = run_command(&sim, &input, folder, concurrency, "input");
            engine.push(measure(run.arg("--stream")));
        }
        let (bare, engine) = (median(bare), median(engine));
        for (name, run, ratio) in [
            ("bare SSE loop", bare, 1.0),
            ("forebay run --stream", engine, engine.cpu_s / bare.cpu_s),
        ] {
            let cpu = run.cpu_s * 1e6 / streams as f64;
            println!("| {how} | {concurrency} | {name} | {cpu:.0} | {ratio:.2} |");
        }
    }
}

/// Peak memory of a long run, in both orders.
fn memory(folder: &Path) {
    let sim = Sim::start(&["--latency", "0", "--answers", "ok"]);
    println!("\npeak memory of `forebay run`, 50 in flight");
    println!("| rows | order | peak MB | rows/s |");
    println!("|---:|---|---:|---:|");
    for rows in [MANY_ROWS / 100, MANY_ROWS] {
        let input = write_input(folder, rows);
        for order in ["input", "completed"] {
            let mut command = run_command(&sim, &input, folder, 50, order);
            let began = Instant::now();
            let mut child = command.spawn().expect("forebay runs");
            let mut peak = 0;
            while child.try_wait().expect("a child").is_none() {
                peak = peak.max(peak_kb(child.id()));
                std::thread::park_timeout(Duration::from_millis(20));
            }
            let seconds = began.elapsed().as_secs_f64();
            println!(
                "| {rows} | {order} | {:.1} | {:.0} |",
                peak as f64 / 1024.0,
                rows as f64 / seconds
            );
        }
    }
}

/// Wall time over loopback against items × latency ÷ concurrency.
fn pace(folder: &Path) {
    let sim = Sim::start(&["--latency", "500ms", "--sigma", "0", "--answers", "ok"]);
    println!("\nwall time at a fixed latency of 500 ms, over loopback");
    println!("| items | in flight | ideal s | wall s | over |");
    println!("|---:|---:|---:|---:|---:|");
    for (items, concurrency) in [
        (100, 1),
        (100, 10),
        (100, 20),
        (100, 50),
        (1_000, 10),
        (1_000, 20),
        (1_000, 50),
    ] {
        let input = write_input(folder, items);
        let run = measure(&mut run_command(&sim, &input, folder, concurrency, "input"));
        let ideal = 0.5 * items.div_ceil(concurrency) as f64;
        println!(
            "| {items} | {concurrency} | {ideal:.1} | {:.2} | {:.1} % |",
            run.wall_s,
            (run.wall_s / ideal - 1.0) * 100.0
        );
    }
}

#[derive(Debug, Clone, Copy)]
struct Measured {
    cpu_s: f64,
    wall_s: f64,
}

/// Runs a command to its end; its CPU time is user and system time as the kernel accounts it.
fn measure(command: &mut Command) -> Measured {
    let (cpu, began) = (children_cpu_s(), Instant::now());
    let status = command.status().expect("the command runs");
    assert!(status.success(), "{command:?}: {status}");
    Measured {
        cpu_s: children_cpu_s() - cpu,
        wall_s: began.elapsed().as_secs_f64(),
    }
}

fn median(mut runs: Vec<Measured>) -> Measured {
    runs.sort_by(|a, b| a.cpu_s.total_cmp(&b.cpu_s));
    runs[runs.len() / 2]
}

/// User and system time of all children that ended.
fn children_cpu_s() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    // The name in parentheses may hold spaces; fields are counted after it.
    let after = stat.rsplit_once(')').expect("a name").1;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |n: usize| fields[n].parse::<f64>().expect("a number");
    (ticks(13) + ticks(14)) / TICKS
}

fn peak_kb(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}

/// A command on one core, when the machine can pin and has more than one.
fn on_core(core: usize, program: &str) -> Command {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let pins = cores > 1
        && Command::new("taskset")
            .arg("-V")
            .stdout(Stdio::null())
            .status()
            .is_ok();
    if !pins {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string(), program]);
    command
}

fn run_command(sim: &Sim, input: &Path, folder: &Path, concurrency: usize, order: &str) -> Command {
    let mut command = on_core(0, env!("CARGO_BIN_EXE_forebay"));
    command
        .arg("run")
        .arg(input)
        .args([
            "--model",
            "gpt-4o-mini",
            "--provider",
            "openai",
            "--quiet",
            "--fresh",
        ])
        .args(["--base-url", &format!("http://127.0.0.1:{}/v1", sim.port)])
        .args(["--concurrency", &concurrency.to_string(), "--order", order])
        .arg("--output")
        .arg(folder.join("out.jsonl"))
        .env_remove("OPENAI_API_KEY")
        .env("OPENAI_API_KEY", "none")
        .stdout(Stdio::null());
    command
}

fn loop_command(port: u16, requests: usize, connections: usize, streams: bool) -> Command {
    let own = std::env::current_exe().expect("this program");
    let mut command = on_core(0, own.to_str().expect("a path in UTF-8"));
    let streams = u8::from(streams);
    command.env(LOOP, format!("{port},{requests},{connections},{streams}"));
    command
}

fn write_input(folder: &Path, rows: usize) -> PathBuf {
    let path = folder.join("input.txt");
    let mut out = BufWriter::new(fs::File::create(&path).expect("a file"));
    let filler = "lorem ipsum ".repeat(PROMPT / 12);
    for row in 0..rows {
        writeln!(out, "item {row}: {filler}").expect("room on the disk");
    }
    out.flush().expect("room on the disk");
    path
}

/// A simulated provider in a process of its own, on the other core.
struct Sim {
    child: Child,
    port: u16,
}

impl Sim {
    fn start(flags: &[&str]) -> Sim {
        let mut child = on_core(1, env!("CARGO_BIN_EXE_forebay"))
            .args(["sim", "--port", "0"])
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .expect("forebay sim runs");
        let mut line = String::new();
        let out = child.stdout.take().expect("a pipe");
        BufReader::new(out)
            .read_line(&mut line)
            .expect("its first line");
        let port = line
            .trim()
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok());
        let port = port.expect("its port");
        Sim { child, port }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The yardstick: one hyper connection per task, the same request again and again, each answer
/// read whole and not looked at.
fn bare_loop(port: u16, requests: usize, connections: usize, streams: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let tasks = (0..connections).map(|n| {
            let share = requests / connections + usize::from(n < requests % connections);
            tokio::spawn(connection_loop(port, share, streams))
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.expect("a task");
        }
    });
}

async fn connection_loop(port: u16, requests: usize, streams: bool) {
    let prompt = "lorem ipsum ".repeat(PROMPT / 12);
    let more = match streams {
        true => r#","stream":true,"stream_options":{"include_usage":true}"#,
        false => "",
    };
    let body = Bytes::from(format!(
        r#"{{"model":"gpt-4o-mini","messages":[{{"role":"user","content":"item 123: {prompt}"}}]{more}}}"#
    ));
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("the simulator");
    stream.set_nodelay(true).expect("a socket");
    let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .expect("HTTP");
    tokio::spawn(driver);
    for _ in 0..requests {
        let request = hyper::Request::post("/v1/chat/completions")
            .header("host", "127.0.0.1")
            .header("authorization", "Bearer none")
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .header("user-agent", "bare-loop")
            .body(Full::new(body.clone()))
            .expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        if streams {
            let events = read_events(answer.into_body()).await;
            assert!(events > 190, "{events} events");
        } else {
            answer.into_body().collect().await.expect("a body");
        }
    }
}

/// Reads a stream line by line and counts its events; what they say is not looked at.
async fn read_events(mut body: hyper::body::Incoming) -> usize {
    let (mut events, mut line) = (0, Vec::new());
    while let Some(frame) = body.frame().await {
        let chunk = frame.expect("a frame").into_data().unwrap_or_default();
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                events += usize::from(line.starts_with(b"data: "));
                line.clear();
            }
        }
    }
    events
}
