//! Signals: the first one drains, the second aborts, SIGUSR1 lists.
//!
//! A thread of its own listens for as long as the process lives: while the output is put in
//! place, the engine is gone, and one more signal ends the process. The journal holds the rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use forebay::engine::{Command, Control};
use forebay::error::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit_code::Exit;

/// What was received so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Received(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// The first signal, as the exit code that it leads to.
    first: AtomicU8,
    engine_ended: AtomicBool,
}

impl Received {
    /// How the command ends because of the first signal.
    pub(super) fn first(&self) -> Option<Exit> {
        let first = self.0.first.load(Ordering::Relaxed);
        [Exit::Interrupted, Exit::Terminated]
            .into_iter()
            .find(|exit| *exit as u8 == first)
    }

    /// Says that nobody obeys orders any more.
    pub(super) fn engine_ended(&self) {
        self.0.engine_ended.store(true, Ordering::Relaxed);
    }

    fn note(&self, control: &Control, exit: Exit) {
        if self.0.engine_ended.load(Ordering::Relaxed) {
            std::process::exit(i32::from(exit as u8));
        }
        let none = 0;
        let first =
            self.0
                .first
                .compare_exchange(none, exit as u8, Ordering::Relaxed, Ordering::Relaxed);
        control.send(if first.is_ok() {
            Command::Drain
        } else {
            Command::Abort
        });
    }
}

/// Listens for signals until the process ends.
///
/// A signal that is ignored already, as by `nohup`, stays ignored.
///
/// # Errors
/// When signals cannot be listened for.
pub(super) fn listen(control: Control) -> Result<Received, Error> {
    let failed = |error| Error::io(format!("cannot listen for signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let received = Received::default();
    let noted = received.clone();
    let signals = {
        let _inside = runtime.enter();
        Signals::open().map_err(failed)?
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || runtime.block_on(signals.obey(&control, &noted)))
        .map_err(failed)?;
    Ok(received)
}

/// Ends the process at the first signal, for commands that have nothing to put in order.
///
/// # Errors
/// When signals cannot be listened for.
pub(crate) fn end_process_on_signals() -> Result<(), Error> {
    let failed = |error| Error::io(format!("cannot listen for signals: {error}"));
    let runtime = crate::network::runtime()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::open().map_err(failed)?
    };
    let ending = move || {
        let exit = runtime.block_on(async move {
            tokio::select! {
                () = next(&mut signals.interrupt) => Exit::Interrupted,
                () = next(&mut signals.terminate) => Exit::Terminated,
                () = next(&mut signals.hangup) => Exit::Terminated,
            }
        });
        std::process::exit(i32::from(exit as u8));
    };
    let thread = std::thread::Builder::new().name("signals".into());
    thread.spawn(ending).map_err(failed)?;
    Ok(())
}

/// The signals that are not ignored.
struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hangup: Option<Signal>,
    list: Option<Signal>,
    /// A limit on the size of files: caught, so that the write fails instead of the process.
    _file_size: Option<Signal>,
}

impl Signals {
    fn open() -> std::io::Result<Signals> {
        let ignored = ignored_signals();
        let open = |kind: SignalKind| {
            let bit = 1u64 << (kind.as_raw_value() - 1);
            if ignored & bit != 0 {
                return Ok(None);
            }
            signal(kind).map(Some)
        };
        let file_size = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
        Ok(Signals {
            interrupt: open(SignalKind::interrupt())?,
            terminate: open(SignalKind::terminate())?,
            hangup: open(SignalKind::hangup())?,
            list: open(SignalKind::user_defined1())?,
            _file_size: open(file_size)?,
        })
    }

    async fn obey(mut self, control: &Control, received: &Received) {
        loop {
            tokio::select! {
                () = next(&mut self.interrupt) => received.note(control, Exit::Interrupted),
                () = next(&mut self.terminate) => received.note(control, Exit::Terminated),
                () = next(&mut self.hangup) => received.note(control, Exit::Terminated),
                () = next(&mut self.list) => control.send(Command::ListInFlight),
            }
        }
    }
}

/// The next signal of a kind; never, when the kind is ignored.
async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// The signals that the process was started to ignore, a bit each; none where that cannot be
/// told.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
