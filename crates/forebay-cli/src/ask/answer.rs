//! One model's answer to the question.
//!
//! Owns the call and what it took. Never prints: the text goes to whoever is handed in.

use std::io;
use std::time::{Duration, Instant};

use forebay::Client;
use forebay::client::{CallEvent, ChatRequest, Chunk};
use forebay::error::Error;
use forebay::money::Usd;
use forebay::outcome::{Failure, Outcome, Reply, Usage};
use forebay::price::ModelInfo;
use forebay::transport::{Connector, Timings};

use super::question::Question;
use crate::plan::Server;

/// The name of the embedded simulator's endpoint in a client, to which `sim` means nothing.
const SIMULATED: &str = "simulated";

/// A model that is asked.
#[derive(Debug)]
pub(super) struct Asked {
    /// Its name as the user gave it.
    pub(super) name: String,
    /// Its name as sent.
    pub(super) model: String,
    pub(super) server: Server,
    pub(super) info: Option<ModelInfo>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    pub(super) cost: Option<Usd>,
    /// From the question to the end, waits and further attempts included.
    pub(super) took: Duration,
    /// From the start of the attempt that succeeded to its first content.
    pub(super) first_chunk: Option<Duration>,
    pub(super) attempts: u32,
    /// How long the steps of the attempt that succeeded took.
    pub(super) timings: Option<Timings>,
}

/// Where an answer's text goes as it comes.
pub(super) type Shown<'a> = &'a mut (dyn FnMut(&str) -> io::Result<()> + Send);

impl Asked {
    /// A client of this model alone.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    fn client(&self, timeout: Option<Duration>, connector: Connector) -> Result<Client, Error> {
        let mut endpoint = self.server.endpoint().clone();
        if self.server.is_simulated() {
            endpoint.name = SIMULATED.to_owned();
        }
        let mut timeouts = forebay::config::Timeouts::default();
        timeouts.total = timeout.unwrap_or(timeouts.total);
        Client::builder()
            .endpoint(endpoint)
            // The plan has refused what is not allowed.
            .insecure_http()
            .timeouts(timeouts)
            .connector(connector)
            .proxies(self.server.proxies().clone())
            .build()
    }

    /// The question as a request of this model.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(super) fn request(
        &self,
        question: &Question,
        (timeout, connector): (Option<Duration>, Connector),
    ) -> Result<ChatRequest, Error> {
        let client = self.client(timeout, connector)?;
        let endpoint = match self.server.is_simulated() {
            true => SIMULATED,
            false => &self.server.endpoint().name,
        };
        Ok(question.to(&client, &format!("{endpoint}/{}", self.model)))
    }

    /// Asks, and shows the text as it comes.
    ///
    /// # Errors
    /// When it cannot be shown; the call is given up then.
    pub(super) async fn answer(
        &self,
        request: ChatRequest,
        question: &Question,
        shown: Shown<'_>,
    ) -> io::Result<Answer> {
        let began = Instant::now();
        let mut has_shown = false;
        // An answer that is to fit a schema comes whole, so that it can be asked for again.
        let ended = if question.streams && question.schema().is_none() {
            let mut stream = request.stream();
            while let Some(Ok(piece)) = stream.next().await {
                if let Chunk::Text(text) = piece {
                    has_shown |= !text.is_empty();
                    shown(&text)?;
                }
            }
            stream.finish().await
        } else {
            request.send().await
        };
        // A server may answer whole though a stream was asked for.
        if let Ok(reply) = &ended
            && !has_shown
        {
            shown(&reply.text)?;
        }
        Ok(Answer {
            took: began.elapsed(),
            ..self.told(ended)
        })
    }

    fn told(&self, ended: Result<forebay::client::Reply, Failure>) -> Answer {
        match ended {
            Ok(reply) => Answer {
                cost: self.cost(reply.usage.as_ref()),
                took: reply.duration,
                first_chunk: reply.time_to_first_chunk,
                attempts: reply.attempts,
                timings: Some(reply.timings),
                outcome: Ok(Reply {
                    text: Some(reply.text).filter(|text| !text.is_empty()),
                    tool_calls: reply.tool_calls,
                    parsed: reply.parsed,
                    embedding: None,
                    finish_reason: reply.finish_reason,
                    model: reply.model,
                    usage: reply.usage,
                }),
            },
            Err(failure) => Answer {
                cost: self.cost(failure.usage.as_deref()),
                took: Duration::ZERO,
                first_chunk: None,
                attempts: failure.attempts,
                timings: None,
                outcome: Err(failure),
            },
        }
    }

    fn cost(&self, usage: Option<&Usage>) -> Option<Usd> {
        Some(self.info.as_ref()?.price.cost(usage?))
    }
}

impl Answer {
    /// The tokens of all attempts.
    pub(super) fn usage(&self) -> Option<&Usage> {
        match &self.outcome {
            Ok(reply) => reply.usage.as_ref(),
            Err(failure) => failure.usage.as_deref(),
        }
    }
}

/// A request that tells of attempts that failed and are made again.
pub(super) fn telling(
    request: ChatRequest,
    tell: impl Fn(&Failure, Duration) + Send + Sync + 'static,
) -> ChatRequest {
    request.on_event(move |event| {
        if let CallEvent::AttemptFailedWillRetry { failure, after, .. } = event {
            tell(failure, *after);
        }
    })
}
