//! Many requests, a bounded number at a time.
//!
//! Unordered inside, so that one slow request holds up no other; order is restored at the edge,
//! with a bound on what waits for it.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{Fuse, FuturesUnordered};
use futures_util::{Stream, StreamExt as _};

use super::{CallEvent, ChatRequest, Reply};
use crate::outcome::Failure;

/// How many ended requests, in windows, may wait for an earlier one when order is kept: with
/// sixteen, a request may take sixteen times as long as the others before any of these has to
/// wait for it.
const REORDER_WINDOWS: usize = 16;

type Call = Pin<Box<dyn Future<Output = (usize, Result<Reply, Failure>)> + Send>>;

/// Many requests to be; made into a stream of replies by one of its last three methods.
#[must_use = "a batch does nothing until its replies are asked for"]
pub struct Batch<S> {
    requests: S,
    window: usize,
    observer: Option<Observer>,
}

type Observer = std::sync::Arc<dyn Fn(&CallEvent<'_>) + Send + Sync>;

impl<S: Stream<Item = ChatRequest>> Batch<S> {
    pub(super) fn new(requests: S, window: usize) -> Batch<S> {
        Batch {
            requests,
            window,
            observer: None,
        }
    }

    /// How many requests of this batch may be under way.
    #[cfg(feature = "blocking")]
    pub(super) fn window(&self) -> usize {
        self.window
    }

    /// How many requests of this batch may be under way, waits included; at least 1. Default: the
    /// client's concurrency. The client's limits hold besides.
    pub fn concurrency(mut self, requests: usize) -> Batch<S> {
        self.window = requests.max(1);
        self
    }

    /// Tells this function what happens to the requests, in place of their own functions.
    pub fn on_event(
        mut self,
        observer: impl Fn(&CallEvent<'_>) + Send + Sync + 'static,
    ) -> Batch<S> {
        self.observer = Some(std::sync::Arc::new(observer));
        self
    }

    /// Replies as they come, each with the index of its request, from 0.
    pub fn as_completed(self) -> AsCompleted<S> {
        AsCompleted {
            requests: Box::pin(self.requests.fuse()),
            calls: FuturesUnordered::new(),
            window: self.window,
            n_begun: 0,
            observer: self.observer,
        }
    }

    /// Replies in the order of their requests.
    ///
    /// Those that come early wait, sixteen windows of them at the most; then no more requests are
    /// begun until the earliest one has ended.
    pub fn ordered(self) -> Ordered<S> {
        Ordered {
            most_waiting: self.window.saturating_mul(REORDER_WINDOWS),
            replies: self.as_completed(),
            waiting: BTreeMap::new(),
            next: 0,
        }
    }

    /// All replies and failures in the order of their requests.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the requests under way, and what was collected.
    pub async fn collect(self) -> Vec<Result<Reply, Failure>> {
        let mut ended: Vec<_> = self.as_completed().collect::<Vec<_>>().await;
        ended.sort_unstable_by_key(|(index, _)| *index);
        ended.into_iter().map(|(_, reply)| reply).collect()
    }
}

/// Replies as they come; see [`Batch::as_completed`].
pub struct AsCompleted<S> {
    requests: Pin<Box<Fuse<S>>>,
    calls: FuturesUnordered<Call>,
    window: usize,
    n_begun: usize,
    observer: Option<Observer>,
}

impl<S: Stream<Item = ChatRequest>> AsCompleted<S> {
    /// The next reply and the index of its request; `None` when all have ended.
    ///
    /// # Cancel safety
    /// Waiting may be given up and begun again; no reply is lost by it.
    pub async fn next(&mut self) -> Option<(usize, Result<Reply, Failure>)> {
        std::future::poll_fn(|cx| self.poll(cx, usize::MAX)).await
    }

    /// Begins requests while there is room for `most` more, then looks for one that ended.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        most: usize,
    ) -> Poll<Option<(usize, Result<Reply, Failure>)>> {
        let mut is_over = false;
        while self.calls.len() < self.window.min(most) {
            match self.requests.as_mut().poll_next(cx) {
                Poll::Ready(Some(request)) => {
                    let index = self.n_begun;
                    self.n_begun += 1;
                    let request = match self.observer.clone() {
                        Some(observer) => request.on_event(move |event| observer(event)),
                        None => request,
                    };
                    self.calls
                        .push(Box::pin(async move { (index, request.send().await) }));
                }
                Poll::Ready(None) => {
                    is_over = true;
                    break;
                }
                Poll::Pending => break,
            }
        }
        match self.calls.poll_next_unpin(cx) {
            Poll::Ready(Some(ended)) => Poll::Ready(Some(ended)),
            Poll::Ready(None) if is_over => Poll::Ready(None),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: Stream<Item = ChatRequest>> Stream for AsCompleted<S> {
    type Item = (usize, Result<Reply, Failure>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx, usize::MAX)
    }
}

/// Replies in the order of their requests; see [`Batch::ordered`].
pub struct Ordered<S> {
    replies: AsCompleted<S>,
    waiting: BTreeMap<usize, Result<Reply, Failure>>,
    most_waiting: usize,
    next: usize,
}

impl<S: Stream<Item = ChatRequest>> Ordered<S> {
    /// The next reply; `None` when all were given.
    ///
    /// # Cancel safety
    /// Waiting may be given up and begun again; no reply is lost by it.
    pub async fn next(&mut self) -> Option<Result<Reply, Failure>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Reply, Failure>>> {
        loop {
            if let Some(reply) = self.waiting.remove(&self.next) {
                self.next += 1;
                return Poll::Ready(Some(reply));
            }
            let room = self.most_waiting.saturating_sub(self.waiting.len());
            match self.replies.poll(cx, room) {
                Poll::Ready(Some((index, reply))) => {
                    self.waiting.insert(index, reply);
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<S: Stream<Item = ChatRequest>> Stream for Ordered<S> {
    type Item = Result<Reply, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}

impl<S> fmt::Debug for Batch<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for AsCompleted<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted")
            .field("under_way", &self.calls.len())
            .finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for Ordered<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ordered")
            .field("next", &self.next)
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}
