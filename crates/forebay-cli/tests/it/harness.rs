//! The command as a user has it: a folder, a command line, what it prints and how it ends.
//!
//! Nothing here sleeps. Every wait is for something that happens, with a deadline that only a
//! command that hangs ever meets.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A command that takes longer hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Three items.
pub(crate) const THREE: &str = "first ticket\nsecond ticket\nthird ticket\n";

/// A temporary folder, the working directory of the commands started in it.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    /// A folder with one file in it.
    pub(crate) fn with(name: &str, content: impl AsRef<[u8]>) -> Folder {
        let folder = Folder::new();
        folder.write(name, content);
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// The permission bits of a file.
    pub(crate) fn mode(&self, name: &str) -> u32 {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o777
    }

    /// The rows of a JSON Lines file.
    pub(crate) fn rows(&self, name: &str) -> Vec<Value> {
        rows(&self.read(name))
    }

    /// The names of everything in it, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// `forebay` with these arguments, in this folder, in an environment without any of the
    /// variables that it reads.
    pub(crate) fn forebay(&self, arguments: &[&str]) -> Forebay {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forebay"));
        command.args(arguments);
        self.set_up(command)
    }

    /// The same through a line of shell, which finds the command as `$FOREBAY`.
    pub(crate) fn shell(&self, line: &str) -> Forebay {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        self.set_up(command)
            .env("FOREBAY", env!("CARGO_BIN_EXE_forebay"))
    }

    fn set_up(&self, mut command: Command) -> Forebay {
        command.current_dir(self.0.path()).env_clear();
        for name in ["PATH", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        Forebay {
            command,
            input: None,
        }
    }
}

/// A command before it starts.
pub(crate) struct Forebay {
    command: Command,
    input: Option<Vec<u8>>,
}

impl Forebay {
    pub(crate) fn env(mut self, name: &str, value: &str) -> Forebay {
        self.command.env(name, value);
        self
    }

    pub(crate) fn stdin(mut self, input: impl AsRef<[u8]>) -> Forebay {
        self.input = Some(input.as_ref().to_owned());
        self
    }

    /// Standard output to this file instead of to the test.
    pub(crate) fn stdout(mut self, file: fs::File) -> Forebay {
        self.command.stdout(file);
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(mut self) -> Ended {
        self.command.stdout(Stdio::piped());
        self.start().wait()
    }

    /// Runs it to its end, which must be this one.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Ended {
        let ended = self.run();
        ended.assert_code(code);
        ended
    }

    /// Starts it; standard output goes where it was told, else nowhere.
    pub(crate) fn start(mut self) -> Running {
        self.command.stdin(match self.input {
            Some(_) => Stdio::piped(),
            None => Stdio::null(),
        });
        let mut child = self.command.stderr(Stdio::piped()).spawn().unwrap();
        if let (Some(input), Some(mut stdin)) = (self.input, child.stdin.take()) {
            // A command that does not read its input ends the writer with an error.
            std::thread::spawn(move || drop(stdin.write_all(&input)));
        }
        let (sender, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            forward(stdout, sender.clone(), Line::Out);
        }
        if let Some(stderr) = child.stderr.take() {
            forward(stderr, sender, Line::Err);
        }
        Running {
            child,
            lines,
            stdout: String::new(),
            stderr: String::new(),
        }
    }
}

enum Line {
    Out(String),
    Err(String),
}

fn forward(from: impl Read + Send + 'static, to: Sender<Line>, kind: fn(String) -> Line) {
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line).into_owned();
            if to.send(kind(text)).is_err() {
                return;
            }
            line.clear();
        }
    });
}

/// A command under way; killed when dropped.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<Line>,
    stdout: String,
    stderr: String,
}

impl Running {
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        // It may have ended by itself.
        let _ = kill_process(pid, signal);
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// The most memory that it has had in use, in kB; `None` once it has ended. Linux only.
    pub(crate) fn peak_memory_kb(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    }

    /// Ends it as `kill -9` does; tells whether it was still running.
    pub(crate) fn kill(mut self) -> bool {
        let was_running = self.child.try_wait().unwrap().is_none();
        let _ = self.child.kill();
        let _ = self.child.wait();
        was_running
    }

    /// Waits until it ends.
    pub(crate) fn wait(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.take(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("the command hangs; stderr so far:\n{}", self.stderr)
                }
            }
        }
        Ended {
            status: self.child.wait().unwrap(),
            stdout: std::mem::take(&mut self.stdout),
            stderr: std::mem::take(&mut self.stderr),
        }
    }

    /// Sends a signal again and again until it ends.
    pub(crate) fn insist(mut self, signal: Signal) -> Ended {
        const AGAIN: Duration = Duration::from_millis(50);
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(AGAIN) {
                Ok(line) => self.take(line),
                Err(RecvTimeoutError::Disconnected) => return self.wait(),
                Err(RecvTimeoutError::Timeout) => self.signal(signal),
            }
            assert!(Instant::now() < deadline, "it does not end");
        }
    }

    fn take(&mut self, line: Line) {
        match line {
            Line::Out(text) => self.stdout.push_str(&text),
            Line::Err(text) => self.stderr.push_str(&text),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    #[track_caller]
    pub(crate) fn assert_code(&self, code: i32) {
        assert_eq!(
            self.status.code(),
            Some(code),
            "{:?}\nstdout:\n{}\nstderr:\n{}",
            self.status,
            self.stdout,
            self.stderr
        );
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
    }

    /// Checks that the messages hold each of these texts.
    #[track_caller]
    pub(crate) fn says(&self, texts: &[&str]) {
        for text in texts {
            assert!(
                self.stderr.contains(text),
                "{text:?} is not in:\n{}",
                self.stderr
            );
        }
    }

    /// Checks that nothing it printed holds this text.
    #[track_caller]
    pub(crate) fn keeps_quiet_about(&self, text: &str) {
        for printed in [&self.stdout, &self.stderr] {
            assert!(!printed.contains(text), "{text:?} is in:\n{printed}");
        }
    }

    /// The rows on standard output.
    pub(crate) fn rows(&self) -> Vec<Value> {
        rows(&self.stdout)
    }
}

/// The rows of JSON Lines.
#[track_caller]
pub(crate) fn rows(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// A member of each row, as text; strings without quotes.
pub(crate) fn column(rows: &[Value], name: &str) -> Vec<String> {
    rows.iter()
        .map(|row| match &row[name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
        .collect()
}

/// `n` different items, one a line: `item 0`, `item 1`, …
pub(crate) fn items(n: usize) -> String {
    (0..n).map(|n| format!("item {n}\n")).collect()
}

/// Checks that rows are those of `items(n)`, all ok, in input order.
#[track_caller]
pub(crate) fn assert_all_ok(rows: &[Value], n: usize) {
    let texts: Vec<_> = (0..n).map(|n| format!("item {n}")).collect();
    assert_eq!(column(rows, "text"), texts);
    assert_rows_ok(rows);
}

/// Checks that every row is ok.
#[track_caller]
pub(crate) fn assert_rows_ok(rows: &[Value]) {
    for row in rows {
        assert!(row["error"].is_null(), "{row}");
        assert!(row["output"].is_string(), "{row}");
    }
}

/// The same rows in input order.
pub(crate) fn in_input_order(mut rows: Vec<Value>) -> Vec<Value> {
    rows.sort_by_key(|row| row["index"].as_u64());
    rows
}
