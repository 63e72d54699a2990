//! Signals: the first one drains, the second aborts, SIGUSR1 lists.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use forebay::engine::{Command, Control};
use forebay::error::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit_code::Exit;

/// What was received so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Received(Arc<AtomicU8>);

const INTERRUPT: u8 = 1;
const TERMINATE: u8 = 2;

impl Received {
    /// How the command ends because of the first signal.
    pub(super) fn first(&self) -> Option<Exit> {
        match self.0.load(Ordering::Relaxed) {
            INTERRUPT => Some(Exit::Interrupted),
            TERMINATE => Some(Exit::Terminated),
            _ => None,
        }
    }
}

/// Listens for signals until the runtime ends.
///
/// # Errors
/// When a signal cannot be listened for.
pub(super) fn listen(control: Control) -> Result<Received, Error> {
    let open = |kind| {
        signal(kind).map_err(|error| Error::io(format!("cannot listen for signals: {error}")))
    };
    let mut interrupt = open(SignalKind::interrupt())?;
    let mut terminate = open(SignalKind::terminate())?;
    let mut hangup = open(SignalKind::hangup())?;
    let mut list = open(SignalKind::user_defined1())?;
    let received = Received::default();
    let noted = received.clone();
    tokio::spawn(async move {
        loop {
            let which = next(&mut interrupt, &mut terminate, &mut hangup, &mut list).await;
            let Some(which) = which else {
                control.send(Command::ListInFlight);
                continue;
            };
            let first = noted
                .0
                .compare_exchange(0, which, Ordering::Relaxed, Ordering::Relaxed);
            control.send(if first.is_ok() {
                Command::Drain
            } else {
                Command::Abort
            });
        }
    });
    Ok(received)
}

async fn next(
    interrupt: &mut Signal,
    terminate: &mut Signal,
    hangup: &mut Signal,
    list: &mut Signal,
) -> Option<u8> {
    tokio::select! {
        _ = interrupt.recv() => Some(INTERRUPT),
        _ = terminate.recv() => Some(TERMINATE),
        _ = hangup.recv() => Some(TERMINATE),
        _ = list.recv() => None,
    }
}
