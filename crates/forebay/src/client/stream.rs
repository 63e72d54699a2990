//! A reply while it comes.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::Stream;

use super::chat::tell_end;
use super::{ChatRequest, Reply, lock};
use crate::outcome::{Failure, FailureKind};
use crate::provider::Delta;

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Chunk {
    /// More of the text.
    Text(String),
    /// More of what the model thinks before it answers, where the provider shows it.
    Reasoning(String),
    /// More of a tool call.
    ToolCall {
        /// Which call of the answer, from 0.
        index: usize,
        /// The provider's key of the call, in its first piece; empty in others.
        id: String,
        /// The tool's name, in its first piece; empty in others.
        name: String,
        /// More of the arguments' JSON text.
        arguments: String,
    },
}

impl Chunk {
    fn of(delta: Delta<'_>) -> Chunk {
        match delta {
            Delta::Text(text) => Chunk::Text(text.to_owned()),
            Delta::Reasoning(text) => Chunk::Reasoning(text.to_owned()),
            Delta::ToolCall {
                index,
                id,
                name,
                arguments,
            } => Chunk::ToolCall {
                index,
                id: id.to_owned(),
                name: name.to_owned(),
                arguments: arguments.to_owned(),
            },
        }
    }
}

type Call = Pin<Box<dyn Future<Output = Result<Reply, Failure>> + Send>>;

/// A reply while it comes: a stream of pieces, and the whole reply at its end.
///
/// An attempt that fails before its first piece is tried again as any other; afterwards the
/// failure is given, since pieces cannot be taken back.
///
/// # Cancel safety
/// Waiting for a piece may be given up and begun again without losing any. Dropping the stream
/// gives its permit back and closes its connection; the provider may bill what it goes on
/// writing.
pub struct ReplyStream {
    /// `None` once it has ended.
    call: Option<Call>,
    pieces: Arc<Mutex<VecDeque<Chunk>>>,
    ended: Option<Result<Reply, Failure>>,
    has_failed: bool,
}

impl ReplyStream {
    pub(super) fn new(request: ChatRequest) -> ReplyStream {
        let pieces: Arc<Mutex<VecDeque<Chunk>>> = Arc::default();
        let sender = Arc::clone(&pieces);
        let (observer, model) = (request.observer(), request.model_name().to_owned());
        let call = async move {
            let mut on = |delta: Delta<'_>| lock(&sender).push_back(Chunk::of(delta));
            let ended = request.call(&mut on).await;
            tell_end(observer.as_ref(), &model, &ended);
            ended
        };
        ReplyStream {
            call: Some(Box::pin(call)),
            pieces,
            ended: None,
            has_failed: false,
        }
    }

    /// The next piece; `None` at the end of the answer.
    ///
    /// # Errors
    /// The failure that ended the answer.
    pub async fn next(&mut self) -> Option<Result<Chunk, Failure>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// The next piece of the text, passing over others; `None` at the end of the answer.
    ///
    /// # Errors
    /// The failure that ended the answer.
    pub async fn next_text(&mut self) -> Option<Result<String, Failure>> {
        loop {
            match self.next().await? {
                Ok(Chunk::Text(text)) => return Some(Ok(text)),
                Ok(_) => {}
                Err(failure) => return Some(Err(failure)),
            }
        }
    }

    /// Waits for the end and gives the whole reply, with usage and cost.
    ///
    /// # Errors
    /// The failure that ended the answer.
    pub async fn finish(mut self) -> Result<Reply, Failure> {
        while let Some(piece) = self.next().await {
            piece?;
        }
        self.ended.take().unwrap_or_else(|| {
            let what = "the answer has failed already";
            Err(Failure::new(FailureKind::Cancelled, what))
        })
    }
}

impl Stream for ReplyStream {
    type Item = Result<Chunk, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let piece = lock(&this.pieces).pop_front();
            if let Some(piece) = piece {
                return Poll::Ready(Some(Ok(piece)));
            }
            let Some(call) = &mut this.call else {
                return match &this.ended {
                    Some(Err(failure)) if !this.has_failed => {
                        this.has_failed = true;
                        Poll::Ready(Some(Err(failure.clone())))
                    }
                    _ => Poll::Ready(None),
                };
            };
            match call.as_mut().poll(cx) {
                Poll::Ready(ended) => {
                    this.call = None;
                    this.ended = Some(ended);
                }
                Poll::Pending if lock(&this.pieces).is_empty() => return Poll::Pending,
                Poll::Pending => {}
            }
        }
    }
}

impl fmt::Debug for ReplyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyStream")
            .field("is_over", &self.call.is_none())
            .finish_non_exhaustive()
    }
}
