//! The log: every request received and every answer fully written, to judge clients by.
//!
//! Owns the records and their way to memory and to a file. Never logs an answer before its last
//! byte was handed to the connection, and never holds a key or, unless told, a prompt.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use memchr::memmem;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

use crate::config::Config;
use crate::dialect::{Dialect, Operation};

/// The longest a record waits in memory before it is written to the file.
const FLUSH_EVERY: Duration = Duration::from_millis(50);

/// What a record says happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A request was received in full.
    Request,
    /// Its answer was fully written.
    Answer,
    /// Its answer was not fully written and never will be.
    Dropped,
}

/// Why an answer was not fully written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// The client hung up first.
    ClientGone,
    /// The connection was reset by a fault or a script.
    Reset,
    /// The answer was cut by a fault or a script.
    Cut,
    /// Raw bytes were sent by a script; whether they are an answer is not known.
    Raw,
    /// All frames of a streamed answer were sent, but not the end of its body; clients may take it.
    Unended,
    /// The answer was withheld by a fault or a script until the client hung up.
    Stalled,
    /// The simulator's task was stopped.
    Stopped,
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LogRecord {
    /// What happened.
    pub event: Event,
    /// The request's number, from 1.
    pub seq: u64,
    /// The connection's number, from 1.
    pub connection: u64,
    /// When, in seconds since the simulator started.
    pub t_s: f64,
    /// The dialect of the path.
    pub dialect: Dialect,
    /// What the path asks for.
    pub operation: Operation,
    /// The model as the request names it; empty if the body has none.
    pub model: String,
    /// The XXH3-128 hash of the request's body without the members that ask for a stream, as 32
    /// hexadecimal digits.
    pub key: String,
    /// The keys of the inputs of a call for embeddings, when they stand in a list: each is the
    /// `key` that the body would have with that input alone in the list's place. Only request
    /// records have them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Counts the times a body of this key was received, from 1.
    pub seen: u32,
    /// The answer's status; only answers have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The request's input tokens.
    pub input_tokens: u64,
    /// The answer's output tokens; 0 in other records and for errors.
    pub output_tokens: u64,
    /// Why the answer was dropped; only dropped ones have a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<DropReason>,
    /// The fault that strikes the request, by its name in the catalogue or its status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Whether no client may take the answer for a good one, whatever its status.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub spoiled: bool,
    /// The last user message, in request records when prompts are logged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
}

/// The key of a request's body: its XXH3-128 hash, without the members that ask for a stream in
/// the form in which they are usually written.
///
/// What is asked is the same whether the answer is streamed or not.
pub(crate) fn key_of(body: &[u8]) -> u128 {
    const STREAMED: &[u8] = b",\"stream\":true";
    const WITH_USAGE: &[u8] = b",\"stream_options\":{\"include_usage\":true}";
    if memmem::find(body, STREAMED).is_none() && memmem::find(body, WITH_USAGE).is_none() {
        return xxh3_128(body);
    }
    let mut rest = body;
    let mut kept = Vec::with_capacity(body.len());
    while let Some(byte) = rest.first() {
        let members = [STREAMED, WITH_USAGE];
        match members.iter().find(|member| rest.starts_with(member)) {
            Some(member) => rest = &rest[member.len()..],
            None => {
                kept.push(*byte);
                rest = &rest[1..];
            }
        }
    }
    xxh3_128(&kept)
}

/// Where records go.
#[derive(Debug)]
pub(crate) struct Log {
    memory: Option<Mutex<Vec<LogRecord>>>,
    file: Option<Arc<LogFile>>,
}

impl Log {
    pub(crate) fn new(config: &Config) -> Log {
        Log {
            memory: config.keep_log.then(Mutex::default),
            file: config.log_file.clone().map(LogFile::start),
        }
    }

    /// Whether records go anywhere at all.
    pub(crate) fn is_on(&self) -> bool {
        self.memory.is_some() || self.file.is_some()
    }

    pub(crate) fn add(&self, record: LogRecord) {
        if let Some(file) = &self.file {
            file.add(&record);
        }
        if let Some(memory) = &self.memory {
            lock(memory).push(record);
        }
    }

    pub(crate) fn records(&self) -> Vec<LogRecord> {
        self.memory
            .as_ref()
            .map_or_else(Vec::new, |memory| lock(memory).clone())
    }

    pub(crate) fn flush(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.flush())
    }
}

impl Drop for Log {
    /// Writes what is left; a fault here has no one to be told to.
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            let _ = file.flush();
            lock(&file.pending).closed = true;
            file.changed.notify_all();
        }
    }
}

/// Lines that wait for the file.
#[derive(Debug, Default)]
struct Pending {
    lines: Vec<u8>,
    fault: Option<io::Error>,
    closed: bool,
}

/// A file, the lines that wait for it, and the thread that takes them there.
#[derive(Debug)]
struct LogFile {
    /// Locked while lines are taken and written, so that their order holds.
    file: Mutex<Arc<File>>,
    pending: Mutex<Pending>,
    changed: Condvar,
}

impl LogFile {
    /// Starts a thread of its own, since paused time must not delay the file.
    fn start(file: Arc<File>) -> Arc<LogFile> {
        let log = Arc::new(LogFile {
            file: Mutex::new(file),
            pending: Mutex::default(),
            changed: Condvar::new(),
        });
        let writer = Arc::clone(&log);
        std::thread::spawn(move || writer.run());
        log
    }

    fn run(&self) {
        loop {
            let pending = lock(&self.pending);
            let waited = self.changed.wait_timeout(pending, FLUSH_EVERY);
            if waited.unwrap_or_else(PoisonError::into_inner).0.closed {
                return;
            }
            self.write_pending();
        }
    }

    fn add(&self, record: &LogRecord) {
        let pending = &mut *lock(&self.pending);
        if let Err(fault) = serde_json::to_writer(&mut pending.lines, record) {
            pending.fault.get_or_insert(fault.into());
        }
        pending.lines.push(b'\n');
    }

    /// Writes the waiting lines and returns the first fault since the last flush.
    fn flush(&self) -> io::Result<()> {
        self.write_pending();
        lock(&self.pending).fault.take().map_or(Ok(()), Err)
    }

    fn write_pending(&self) {
        let file = lock(&self.file);
        let lines = std::mem::take(&mut lock(&self.pending).lines);
        if lines.is_empty() {
            return;
        }
        if let Err(fault) = (&**file).write_all(&lines) {
            lock(&self.pending).fault.get_or_insert(fault);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
