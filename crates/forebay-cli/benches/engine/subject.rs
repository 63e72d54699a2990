//! The thing that is measured: `forebay run` as a user starts it, and its input.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::options::Http;
use crate::process::{CLIENT_CORE, on_core, wait};

/// The built command.
pub(crate) const FOREBAY: &str = env!("CARGO_BIN_EXE_forebay");
/// Bytes of a prompt, so that a request has about 958 bytes, its head included.
const PROMPT: usize = 700;

/// A run: everything that is not said is the default.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) port: u16,
    pub(crate) http: Http,
    pub(crate) in_flight: usize,
    pub(crate) folder: &'a Path,
    pub(crate) input: &'a Path,
    pub(crate) order: &'a str,
}

impl Run<'_> {
    /// The command, on the client's core.
    pub(crate) fn command(&self) -> Command {
        let mut command = on_core(CLIENT_CORE, FOREBAY);
        let url = format!("http://127.0.0.1:{}/v1", self.port);
        command
            .arg("run")
            .arg(self.input)
            .args(["--model", "gpt-4o-mini", "--provider", "openai", "--quiet"])
            .args(["--base-url", &url, "--http", self.http.name()])
            .args(["--order", self.order])
            .args(["--concurrency", &self.in_flight.to_string()])
            .arg("--output")
            .arg(self.output())
            .env("OPENAI_API_KEY", "none")
            .stdout(Stdio::null());
        command
    }

    /// The same, without what an earlier run of it left.
    pub(crate) fn anew(&self) -> Command {
        for name in ["out.jsonl", "out.jsonl.journal"] {
            // Deleting what is large takes time that is none of the run's.
            let _ = fs::remove_file(self.folder.join(name));
        }
        self.command()
    }

    /// Runs it anew to its end; `meanwhile` is called with its process ten times a second.
    ///
    /// # Panics
    /// When it fails or takes longer than two hours.
    pub(crate) fn watch(&self, meanwhile: impl FnMut(u32)) -> Duration {
        let began = Instant::now();
        let child = self.anew().spawn().expect("forebay runs");
        let status = wait(child, meanwhile);
        assert!(status.success(), "forebay run: {status}");
        began.elapsed()
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.folder.join("out.jsonl")
    }
}

/// The text of a prompt: the row's number and filler.
pub(crate) fn prompt(row: usize) -> String {
    format!("item {row}: {}", "lorem ipsum ".repeat(PROMPT / 12))
}

/// A file of rows with prompts of the usual length.
pub(crate) fn write_input(folder: &Path, rows: usize) -> PathBuf {
    write_rows(folder, 0..rows, prompt)
}

/// Adds rows to the input of a folder, which is made when it is not there.
pub(crate) fn write_rows(
    folder: &Path,
    rows: std::ops::Range<usize>,
    text: impl Fn(usize) -> String,
) -> PathBuf {
    let path = folder.join("input.txt");
    let is_new = rows.start == 0;
    let mut options = fs::OpenOptions::new();
    options
        .create(true)
        .write(true)
        .truncate(is_new)
        .append(!is_new);
    let mut out = BufWriter::new(options.open(&path).expect("a file"));
    for row in rows {
        writeln!(out, "{}", text(row)).expect("room on the disk");
    }
    out.flush().expect("room on the disk");
    path
}
