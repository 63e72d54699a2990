//! The HTTP/2 connections of one origin, and those that are being opened.
//!
//! Owns which connection a request goes to, and who waits for which new one: as many as a
//! connection carries wait for the same, so that a cold start opens a few of them instead of one
//! per request. Never opens one itself.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::connect::Unconnected;
use super::http2::{Http2, Place, STREAMS_PER_CONNECTION};
use super::pool::TLS_IDLE;
use super::shards::Shards;

/// How a connection under way ended; `None` while it has not.
type Told = Option<Result<(), Unconnected>>;

/// The connections of one origin.
#[derive(Debug)]
pub(super) struct Streams {
    /// The one that each core used last: as long as it has room, no lock is shared.
    current: Shards<Option<Arc<Http2>>>,
    all: Mutex<All>,
    /// The streams that the newest connection's peer allows.
    learnt: AtomicUsize,
}

#[derive(Debug, Default)]
struct All {
    open: Vec<Arc<Http2>>,
    opening: Vec<Opening>,
    /// The number of the next one that is opened.
    next: u64,
}

/// A connection under way.
#[derive(Debug)]
struct Opening {
    number: u64,
    /// How many more requests may wait for it.
    seats: usize,
    told: watch::Receiver<Told>,
}

/// The word on a connection under way, owed to those who wait for it.
#[derive(Debug)]
pub(super) struct Owed {
    number: u64,
    tell: watch::Sender<Told>,
}

/// What a request waits for.
#[derive(Debug)]
pub(super) struct Awaited(watch::Receiver<Told>);

impl Streams {
    pub(super) fn new() -> Streams {
        Streams {
            current: Shards::new(),
            all: Mutex::default(),
            learnt: AtomicUsize::new(STREAMS_PER_CONNECTION),
        }
    }

    /// The streams that a new connection is taken to carry.
    pub(super) fn expected(&self) -> usize {
        self.learnt.load(Ordering::Relaxed)
    }

    /// A place on an open connection.
    pub(super) fn place(&self) -> Option<Place> {
        let mut current = self.current.own();
        if let Some(place) = current.as_ref().and_then(Http2::place) {
            return Some(place);
        }
        let mut all = self.lock();
        all.open.retain(|connection| !connection.is_retired());
        let newest = all.open.last();
        if let Some(most) = newest.map(|connection| connection.most()) {
            self.learnt.store(most, Ordering::Relaxed);
        }
        // The emptiest one has room for the longest; one that carries fewer than others may be
        // full although it is the emptiest.
        let emptiest = all
            .open
            .iter()
            .min_by_key(|connection| connection.streams());
        let (connection, place) = emptiest
            .into_iter()
            .chain(&all.open)
            .find_map(|connection| Some((connection, connection.place()?)))?;
        *current = Some(Arc::clone(connection));
        Some(place)
    }

    /// Waits along for a connection under way, if one has a seat.
    pub(super) fn join(&self) -> Option<Awaited> {
        let mut all = self.lock();
        let opening = all.opening.iter_mut().find(|opening| opening.seats > 0)?;
        opening.seats -= 1;
        Some(Awaited(opening.told.clone()))
    }

    /// Notes that a connection is being opened, of which nobody knows yet how many it carries
    /// when `seats` is `None`.
    pub(super) fn begin(&self, seats: Option<usize>) -> (Owed, Awaited) {
        let (tell, told) = watch::channel(None);
        let mut all = self.lock();
        let number = all.next;
        all.next += 1;
        all.opening.push(Opening {
            number,
            // One of them is for whoever began.
            seats: seats.map_or(usize::MAX, |seats| seats.max(1) - 1),
            told: told.clone(),
        });
        (Owed { number, tell }, Awaited(told))
    }

    /// Ends a connection's opening: those who waited for it go on.
    pub(super) fn end(&self, owed: &Owed, opened: Result<(), Unconnected>) {
        self.lock()
            .opening
            .retain(|opening| opening.number != owed.number);
        // Everybody may have stopped waiting.
        let _ = owed.tell.send(Some(opened));
    }

    /// Keeps a new connection for all.
    pub(super) fn add(&self, connection: Http2) {
        self.lock().open.push(Arc::new(connection));
    }

    /// Drops the connections that take no more requests or have idled for too long.
    pub(super) fn sweep(&self) {
        let is_over =
            |connection: &Arc<Http2>| connection.is_retired() || connection.has_idled_for(TLS_IDLE);
        for mut current in self.current.each() {
            current.take_if(|connection| is_over(connection));
        }
        self.lock().open.retain(|connection| !is_over(connection));
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        // The guarded operations cannot panic halfway.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Awaited {
    /// Waits until the connection is open, or is known not to open; `None` when whoever opened it
    /// is gone.
    pub(super) async fn ended(mut self) -> Option<Result<(), Unconnected>> {
        let told = self.0.wait_for(Option::is_some).await.ok()?;
        told.clone()
    }
}
