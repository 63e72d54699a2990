//! A simulated provider in a process of its own, and the log by which it judges its clients.
//!
//! Its log goes to the same pipe as the line that tells its port, so that a test waits for
//! records instead of looking at a file again and again.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde::Deserialize;

use crate::harness::{Folder, Forebay, PATIENCE};

/// The model of requests by which a test marks a place in the log.
const MARK: &str = "mark";

/// One record of the log.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Record {
    pub(crate) event: String,
    pub(crate) connection: u64,
    pub(crate) model: String,
    pub(crate) status: Option<u16>,
    pub(crate) prompt: Option<String>,
}

/// A running simulator; killed when dropped.
pub(crate) struct Simulator {
    child: Child,
    port: u16,
    lines: Receiver<String>,
    seen: Vec<Record>,
    /// The same records as they were written.
    written: Vec<String>,
}

impl Simulator {
    /// One that answers at once.
    pub(crate) fn quick() -> Simulator {
        Simulator::start(&["--latency", "0"])
    }

    /// One that takes this long for each answer, such as `100ms`.
    pub(crate) fn slow(latency: &str) -> Simulator {
        Simulator::start(&["--latency", latency, "--sigma", "0"])
    }

    /// One with these flags.
    pub(crate) fn start(flags: &[&str]) -> Simulator {
        Simulator::spawn(Command::new(env!("CARGO_BIN_EXE_forebay")), flags)
    }

    /// One with these flags that may open no more files than this.
    pub(crate) fn with_open_files(n: u32, flags: &[&str]) -> Simulator {
        let mut shell = Command::new("sh");
        let line = format!("ulimit -n {n}; exec \"$0\" \"$@\"");
        shell.args(["-c", &line, env!("CARGO_BIN_EXE_forebay")]);
        Simulator::spawn(shell, flags)
    }

    fn spawn(mut command: Command, flags: &[&str]) -> Simulator {
        let mut child = command
            .args([
                "sim",
                "--port",
                "0",
                "--log",
                "/dev/stdout",
                "--log-prompts",
            ])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                if line.is_err() || sender.send(line.unwrap_or_default()).is_err() {
                    return;
                }
            }
        });
        let first = lines.recv_timeout(PATIENCE).unwrap();
        let port = first.rsplit(':').next().unwrap().parse().unwrap();
        Simulator {
            child,
            port,
            lines,
            seen: Vec::new(),
            written: Vec::new(),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// `forebay run` of these arguments against it, with a key, model and dialect.
    pub(crate) fn run(&self, folder: &Folder, arguments: &[&str]) -> Forebay {
        self.run_without_model(folder, &[arguments, &["-m", "gpt-4o-mini"]].concat())
    }

    /// The same without a model.
    pub(crate) fn run_without_model(&self, folder: &Folder, arguments: &[&str]) -> Forebay {
        let url = format!("http://127.0.0.1:{}/v1", self.port);
        let end = ["--provider", "openai", "--base-url", &url];
        folder
            .forebay(&[&["run"], arguments, &end[..]].concat())
            .env("OPENAI_API_KEY", "any-key")
    }

    /// Everything that it received and answered up to now, marks left out.
    pub(crate) fn records(&mut self) -> Vec<Record> {
        self.mark();
        let is_real = |record: &&Record| record.model != MARK;
        self.seen.iter().filter(is_real).cloned().collect()
    }

    /// The prompts of all requests up to now, in the order of their arrival.
    pub(crate) fn prompts(&mut self) -> Vec<String> {
        let requests = self.records().into_iter();
        requests.filter_map(|record| record.prompt).collect()
    }

    /// Sends a request of the test's own and waits for it in the log; returns its connection.
    /// Connections with higher numbers came later. Whether it is answered does not matter.
    pub(crate) fn mark(&mut self) -> u64 {
        let body = format!(r#"{{"model":"{MARK}","messages":[{{"role":"user","content":"x"}}]}}"#);
        let before = self.marks().count();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "POST /v1/chat/completions HTTP/1.1\r\nhost: sim\r\nauthorization: Bearer mark\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        self.wait_for(|seen| marks(seen).count() > before);
        self.marks().last().unwrap().connection
    }

    fn marks(&self) -> impl Iterator<Item = &Record> {
        marks(&self.seen)
    }

    /// Waits until this many answers have been fully sent, ok or not.
    pub(crate) fn wait_for_answers(&mut self, n: usize) {
        self.wait_for(|seen| events(seen, "answer") >= n);
    }

    /// Waits until this many requests have been received.
    pub(crate) fn wait_for_requests(&mut self, n: usize) {
        self.wait_for(|seen| events(seen, "request") >= n);
    }

    /// Waits until the log says so.
    pub(crate) fn wait_for(&mut self, is_enough: impl Fn(&[Record]) -> bool) {
        while let Ok(line) = self.lines.try_recv() {
            self.note(&line);
        }
        while !is_enough(&self.seen) {
            let line = self.lines.recv_timeout(PATIENCE);
            self.note(&line.expect("the simulator's log says no more"));
        }
    }

    fn note(&mut self, line: &str) {
        self.seen.push(serde_json::from_str(line).unwrap());
        self.written.push(line.to_owned());
    }

    /// The log up to now, once every request has its end; marks left out.
    pub(crate) fn log(&mut self) -> Vec<String> {
        self.mark();
        self.wait_for(|seen| {
            let requests = seen.iter().filter(|record| record.event == "request");
            2 * requests.count() == seen.len()
        });
        let both = self.written.iter().zip(&self.seen);
        both.filter(|(_, record)| record.model != MARK)
            .map(|(line, _)| line.clone())
            .collect()
    }

    /// Writes its log to a file.
    pub(crate) fn write_log(&mut self, folder: &Folder, name: &str) {
        folder.write(name, self.log().join("\n") + "\n");
    }
}

/// The requests of the test's own.
fn marks(records: &[Record]) -> impl Iterator<Item = &Record> {
    let requests = records.iter().filter(|record| record.event == "request");
    requests.filter(|record| record.model == MARK)
}

/// Counts the records of one kind, marks left out.
pub(crate) fn events(records: &[Record], event: &str) -> usize {
    let real = records.iter().filter(|record| record.model != MARK);
    real.filter(|record| record.event == event).count()
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
