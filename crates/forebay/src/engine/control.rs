//! Orders to a running engine.

use std::task::{Context, Poll};

use tokio::sync::mpsc;

use crate::config::Tuning;

/// What a running engine can be told.
#[derive(Debug, Clone, Copy)]
pub enum Command {
    /// Admit nothing more, finish what is in flight within the grace time.
    Drain,
    /// Give up what is in flight at once.
    Abort,
    /// Tell what is in flight.
    ListInFlight,
    /// The input has this many items.
    Items(u64),
    /// Change limits, and tell what holds then.
    Tune(Tuning),
}

/// The sending side; cheap to clone.
#[derive(Debug, Clone)]
pub struct Control {
    commands: mpsc::Sender<Command>,
}

/// The engine's side.
#[derive(Debug)]
pub struct ControlReceiver {
    commands: mpsc::Receiver<Command>,
}

/// A pair of ends for one run.
pub fn control() -> (Control, ControlReceiver) {
    let (sender, receiver) = mpsc::channel(16);
    let receiver = ControlReceiver { commands: receiver };
    (Control { commands: sender }, receiver)
}

impl Control {
    /// Gives an order. It is lost when the run is over or sixteen orders wait already.
    pub fn send(&self, command: Command) {
        let _ = self.commands.try_send(command);
    }
}

impl ControlReceiver {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Command>> {
        match self.commands.poll_recv(cx) {
            // Nobody can give orders any more; that is no order.
            Poll::Ready(None) => Poll::Pending,
            other => other,
        }
    }
}
