//! The examples, each as a program of its own against the simulator over loopback: what they
//! print is checked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use forebay_sim::{Answers, Config, Latency, Sim};
use tempfile::TempDir;

/// The most lines of an example: what fits on a slide.
const MOST_LINES: usize = 25;

/// A simulator on a port of its own, in a thread of its own.
struct Server {
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

fn server(latency: Latency, answers: Answers) -> Server {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let sim = Sim::new(Config {
        latency,
        answers,
        ..Config::default()
    });
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
    let listener = listener.unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move { sim.serve(listener).await });
    Server {
        address,
        _runtime: runtime,
    }
}

fn echo() -> Server {
    server(Latency::Fixed(Duration::from_millis(5)), Answers::Echo)
}

/// The built example; cargo builds examples with the tests, but not with one test alone.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap();
    let path = path.join("examples").join(name);
    if !path.exists() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--examples", "--manifest-path"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
            .status();
        assert!(built.unwrap().success() && path.exists(), "{path:?}");
    }
    path
}

/// An example's command, with every provider at the simulator.
fn example(name: &str, server: &Server, folder: &TempDir) -> Command {
    let base = format!("http://{}", server.address);
    let mut command = Command::new(program(name));
    command
        .current_dir(folder)
        .env_clear()
        .env("OPENAI_API_KEY", "none")
        .env("OPENAI_BASE_URL", format!("{base}/v1"))
        .env("ANTHROPIC_API_KEY", "none")
        .env("ANTHROPIC_BASE_URL", base);
    command
}

/// What an example prints, when it ends well.
fn printed(name: &str, server: &Server) -> String {
    let folder = TempDir::new().unwrap();
    let output = example(name, server, &folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_first_call_takes_five_lines() {
    assert_eq!(printed("first_call", &echo()), "Say hello.\n");
    let source = include_str!("../../examples/first_call.rs");
    let body = source.split_once("{\n").unwrap().1;
    assert!(body.lines().count() <= 5, "{body}");
}

#[test]
fn many_questions_are_answered_in_their_order() {
    let said = "great service: great service\nnever again: never again\nit was fine: it was fine\n";
    assert_eq!(printed("ordered_gather", &echo()), said);
    let said = "40 of 40 answered, five at a time\n";
    assert_eq!(printed("semaphore", &echo()), said);
    let said = printed("as_completed", &{
        let latency = Latency::PerToken {
            first: Duration::from_millis(5),
            per_output_token: Duration::from_millis(1),
        };
        server(latency, Answers::Echo)
    });
    let lengths: Vec<_> = said.lines().map(|line| line.split(' ').next()).collect();
    assert_eq!(lengths, [Some("5"), Some("100"), Some("400")], "{said}");
}

#[test]
fn rates_retries_and_progress() {
    let said = "60 answers, 50 a second at the most\n";
    assert_eq!(printed("rate_limit", &echo()), said);
    let said = "again after: overloaded\nagain after: overloaded\nanswered at attempt 3\n";
    assert_eq!(printed("retries", &echo()), said);
    let said = printed("progress_bar", &echo());
    assert!(said.starts_with("100 answers, "), "{said}");
}

#[test]
fn every_item_of_the_pipeline_has_a_result() {
    let (server, folder) = (echo(), TempDir::new().unwrap());
    let output = example("pipeline", &server, &folder).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "3 results\n");
    let results = std::fs::read(folder.path().join("results.json")).unwrap();
    let results: Vec<serde_json::Value> = serde_json::from_slice(&results).unwrap();
    assert_eq!(results[0]["label"], "parcel lost");
    assert!(results[0]["tokens"].as_u64() > Some(0));
    assert_eq!(results[1]["error"], "bad_request");
    assert_eq!(results[2]["label"], "cannot log in");
}

#[test]
fn a_story_is_streamed_and_models_are_compared() {
    let said = printed("streaming_chat", &echo());
    let (story, cost) = said.split_once('\n').unwrap();
    assert_eq!(story, "Tell me a very short story.");
    assert!(cost.contains("tokens out, $0.0"), "{cost}");
    let question = "What is the capital of France?";
    let said = format!("gpt-4o-mini: {question}\nclaude-haiku-4-5: {question}\n");
    let printed = printed("fan_out", &echo());
    assert!(printed.starts_with(&said), "{printed}");
    assert!(printed.contains("openai/no-such-model: "), "{printed}");
}

#[test]
fn a_long_queue_takes_little_memory() {
    let server = server(Latency::Zero, Answers::Echo);
    let folder = TempDir::new().unwrap();
    let peak = |items: &str| {
        let mut child = example("bounded_queue", &server, &folder)
            .arg(items)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut peak = 0;
        while child.try_wait().unwrap().is_none() {
            peak = peak.max(peak_kb(child.id()));
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let mut said = String::new();
        child.stdout.unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(said, format!("{items} answered, 0 failed\n"));
        peak
    };
    let (few, many) = (peak("4000"), peak("24000"));
    assert!(many < few + 8 * 1024, "{few} kB, then {many} kB");
}

fn peak_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}

#[test]
fn a_web_service_shares_one_client() {
    let (server, folder) = (echo(), TempDir::new().unwrap());
    let mut child = example("web_service", &server, &folder)
        .arg("127.0.0.1:0")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let address = line.trim().rsplit('/').next().unwrap().to_owned();
    let mut stream = TcpStream::connect(address).unwrap();
    let head =
        "POST /analyze HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 4\r\n\r\n";
    stream.write_all(format!("{head}good").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("good"));
}

#[test]
fn threads_share_one_client() {
    let said = "first: first\nsecond: second\nthird: third\nfourth: fourth\n";
    assert_eq!(printed("sync_threads", &echo()), said);
}

#[test]
fn examples_are_short() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= MOST_LINES, "{} has {lines} lines", path.display());
    }
}
