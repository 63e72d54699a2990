//! Rows to standard output or another stream that may be slow.
//!
//! A thread of its own writes, so that a reader who pauses (`| less`) holds up neither timers
//! nor answers; only admission waits, once enough rows are held back.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Context;
use std::thread::JoinHandle;

use futures_util::task::AtomicWaker;

use super::tool::{Part, Shape, ToolLines};
use super::{Sink, Tool};

/// A writer in a thread.
#[derive(Debug)]
pub struct Pipe {
    buffer: Vec<u8>,
    shape: Shape,
    sender: Option<mpsc::Sender<Vec<u8>>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<io::Result<()>>>,
    /// Why the thread ended, once a flush has told it.
    failed: Option<(io::ErrorKind, String)>,
    last_seen: usize,
}

#[derive(Debug, Default)]
struct Shared {
    backlog: AtomicUsize,
    waker: AtomicWaker,
}

impl Pipe {
    /// Starts a thread that writes to `out`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn new(mut out: impl Write + Send + 'static) -> io::Result<Pipe> {
        let shared = Arc::new(Shared::default());
        let (sender, receiver) = mpsc::channel::<Vec<u8>>();
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("output".into())
            .spawn(move || {
                for bytes in receiver {
                    let written = out.write_all(&bytes).and_then(|()| out.flush());
                    theirs.backlog.fetch_sub(bytes.len(), Ordering::Relaxed);
                    theirs.waker.wake();
                    written?;
                }
                Ok(())
            })?;
        Ok(Pipe {
            buffer: Vec::new(),
            shape: Shape::default(),
            sender: Some(sender),
            shared,
            thread: Some(thread),
            failed: None,
            last_seen: 0,
        })
    }

    /// The same, but rows are written as another tool does.
    #[must_use]
    pub fn shaped(self, tool: Tool) -> Pipe {
        Pipe {
            shape: Shape::of(Some(ToolLines::of(tool, Part::All))),
            ..self
        }
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// When it could not be, and no flush has told so; a reader who went away is told again.
    pub fn finish(mut self) -> io::Result<()> {
        let told = self.failed.is_some();
        let flushed = self.flush();
        self.sender = None;
        match &self.failed {
            None => self.join(),
            Some((kind, _)) if told && *kind != io::ErrorKind::BrokenPipe => Ok(()),
            Some(_) => flushed.and(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// The error that ended the thread; the same one for each later flush.
    fn why_ended(&mut self) -> io::Error {
        if self.failed.is_none() {
            let error = match self.join() {
                Ok(()) => io::ErrorKind::BrokenPipe.into(),
                Err(error) => error,
            };
            self.failed = Some((error.kind(), error.to_string()));
        }
        match &self.failed {
            Some((io::ErrorKind::BrokenPipe, _)) | None => io::ErrorKind::BrokenPipe.into(),
            // Waiting does not bring the thread back, so the kind that could pass is left out.
            Some((_, message)) => io::Error::other(message.clone()),
        }
    }

    fn join(&mut self) -> io::Result<()> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the output thread panicked")),
            None => Ok(()),
        }
    }
}

impl Sink for Pipe {
    fn wants_rows(&self) -> bool {
        true
    }

    fn push(&mut self, row: &[u8]) {
        self.shape.push(&mut self.buffer, row);
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.buffer);
        self.shared
            .backlog
            .fetch_add(bytes.len(), Ordering::Relaxed);
        match self.sender.as_ref().map(|sender| sender.send(bytes)) {
            Some(Ok(())) => Ok(()),
            _ => Err(self.why_ended()),
        }
    }

    fn backlog(&self) -> usize {
        self.shared.backlog.load(Ordering::Relaxed) + self.buffer.len()
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> bool {
        self.shared.waker.register(cx.waker());
        let backlog = self.shared.backlog.load(Ordering::Relaxed);
        let shrank = backlog < self.last_seen;
        self.last_seen = backlog;
        shrank
    }
}
