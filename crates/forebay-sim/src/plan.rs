//! Decides what happens to a request: the script, the key, the limits, the faults, the answer.
//!
//! Owns the order of these. Never waits and never touches the connection, so that a request is
//! decided at the instant it arrives.
//!
//! ```text
//! script -> key and body -> limits -> faults -> text -> latency
//!    |           |            |          |
//!    v           v            v          v
//!  order      401, 400       429      500, reset, stall, cut
//! ```

use std::borrow::Cow;
use std::time::Duration;

use crate::answer::{answer, capped};
use crate::dialect::{ApiError, Completion, Dialect, Parsed};
use crate::faults::Fault;
use crate::limits::Charge;
use crate::script::Action;
use crate::sim::Shared;
use crate::ticket::Ticket;

/// What the connection is to do, and when.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) delay: Duration,
    pub(crate) order: Order,
}

/// What the connection is to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Write an answer whose body is in the connection's buffer.
    Answer(Answer),
    /// Write bytes and close.
    Raw(Vec<u8>),
    /// Reset the connection.
    Reset,
    /// Wait until the client hangs up.
    Stall,
}

/// An answer without its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Whose headers it has; `None`: only those of the script.
    pub(crate) dialect: Option<Dialect>,
    pub(crate) headers: Vec<(String, String)>,
    /// Whether it has rate headers.
    pub(crate) rate_headers: bool,
    pub(crate) cut: Option<Cut>,
    /// Whether to close the connection without saying so.
    pub(crate) close: bool,
}

/// Where an answer is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// After so many bytes.
    After(usize),
    /// At a fraction of its bytes.
    At(f64),
}

/// Makes the plan for one request.
#[derive(Debug)]
pub(crate) struct Planner<'a, 's> {
    pub(crate) shared: &'s Shared,
    pub(crate) ticket: &'a mut Ticket<'s>,
    pub(crate) parsed: &'a Parsed<'a>,
    /// What is wrong with the key.
    pub(crate) bad_key: Option<ApiError>,
    /// Receives the answer's body.
    pub(crate) body: &'a mut Vec<u8>,
}

impl Planner<'_, '_> {
    /// Decides by the script's order.
    pub(crate) fn plan(&mut self, action: Action) -> Plan {
        match action {
            Action::Answer => self.normal(None),
            Action::AnswerText(text) => self.normal(Some(text)),
            Action::CutAfter(bytes) => {
                let mut plan = self.normal(None);
                if let Order::Answer(answer) = &mut plan.order {
                    answer.cut = Some(Cut::After(bytes));
                }
                plan
            }
            Action::CloseAfterAnswer => {
                let mut plan = self.normal(None);
                if let Order::Answer(answer) = &mut plan.order {
                    answer.close = true;
                }
                plan
            }
            Action::Reply {
                status,
                headers,
                body,
            } => {
                *self.body = body;
                now(Order::Answer(Answer::new(status, None, headers)))
            }
            Action::Error {
                status,
                kind,
                code,
                message,
                headers,
            } => self.error(ApiError {
                status,
                kind,
                code,
                param: None,
                message: message.into(),
                headers,
            }),
            Action::Reset => now(Order::Reset),
            Action::Stall => now(Order::Stall),
            Action::Raw(bytes) => now(Order::Raw(bytes)),
            Action::DelayThen(delay, next) => {
                let mut plan = self.plan(*next);
                plan.delay = plan.delay.saturating_add(delay);
                plan
            }
        }
    }

    /// The way of a request no script interferes with.
    fn normal(&mut self, text: Option<String>) -> Plan {
        if let Some(bad_key) = self.bad_key.take() {
            return self.error(bad_key);
        }
        if let Some(problem) = &self.parsed.problem {
            self.shared.limiter.count_invalid(self.ticket.received);
            return self.error(problem.clone());
        }
        if let Err(refused) = self.admit() {
            return refused;
        }
        let mut rng = self.shared.rng(self.ticket.seq);
        match self.shared.config.faults.draw(&mut rng) {
            None => self.complete(text, &mut rng),
            Some(Fault::Cut(fraction)) => {
                let mut plan = self.complete(text, &mut rng);
                if let Order::Answer(answer) = &mut plan.order {
                    answer.cut = Some(Cut::At(fraction));
                }
                plan
            }
            Some(Fault::Status(status)) => {
                self.ticket.fail();
                self.error(ApiError::of(status))
            }
            Some(Fault::Reset) => {
                self.ticket.fail();
                now(Order::Reset)
            }
            Some(Fault::Stall) => now(Order::Stall),
        }
    }

    fn admit(&mut self) -> Result<(), Plan> {
        let ask = &self.parsed.ask;
        let reserved = match self.ticket.dialect {
            Dialect::OpenAi => ask.input_tokens.saturating_add(ask.max_output.unwrap_or(0)),
            Dialect::Anthropic => ask.input_tokens,
        };
        let charge = Charge {
            input: ask.input_tokens,
            reserved,
        };
        let Err(refusal) = self.ticket.admit(charge) else {
            return Ok(());
        };
        let headers = self.shared.limiter.headers;
        let error = self.ticket.dialect.refusal(&refusal, &ask.model, headers);
        let mut plan = self.error(error);
        if let Order::Answer(answer) = &mut plan.order {
            answer.rate_headers = headers;
        }
        Err(plan)
    }

    fn complete(&mut self, text: Option<String>, rng: &mut fastrand::Rng) -> Plan {
        let config = &self.shared.config;
        let ask = &self.parsed.ask;
        let text = match text {
            Some(text) => capped(Cow::Owned(text), ask.max_output),
            None => answer(config, &ask.prompt, ask.max_output),
        };
        self.ticket.generates(text.tokens);
        let completion = Completion {
            id: self.shared.id(self.ticket.seq),
            wall: self.shared.wall(self.ticket.received),
            model: &ask.model,
            text: &text.text,
            input_tokens: ask.input_tokens,
            output_tokens: text.tokens,
            cut: text.cut,
        };
        self.ticket.dialect.completion(self.body, completion);
        let mut answer = Answer::new(200, Some(self.ticket.dialect), Vec::new());
        answer.rate_headers = self.shared.limiter.headers;
        Plan {
            delay: config.latency.draw(rng, text.tokens),
            order: Order::Answer(answer),
        }
    }

    fn error(&mut self, error: ApiError) -> Plan {
        let dialect = self.ticket.dialect;
        dialect.error(self.body, &error, self.shared.id(self.ticket.seq));
        now(Order::Answer(Answer::new(
            error.status,
            Some(dialect),
            error.headers,
        )))
    }
}

impl Answer {
    pub(crate) fn new(
        status: u16,
        dialect: Option<Dialect>,
        headers: Vec<(String, String)>,
    ) -> Answer {
        Answer {
            status,
            dialect,
            headers,
            rate_headers: false,
            cut: None,
            close: false,
        }
    }

    /// Whether the connection ends with it.
    pub(crate) fn closes(&self) -> bool {
        let told = |(name, value): &(String, String)| {
            name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close")
        };
        self.close || self.cut.is_some() || self.headers.iter().any(told)
    }

    /// Whether the script gave a header of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(given, _)| given.eq_ignore_ascii_case(name))
    }
}

impl Cut {
    /// How many of an answer's bytes are written.
    pub(crate) fn of(self, len: usize) -> usize {
        match self {
            Cut::After(bytes) => bytes.min(len),
            Cut::At(fraction) => (fraction * len as f64) as usize,
        }
    }
}

fn now(order: Order) -> Plan {
    Plan {
        delay: Duration::ZERO,
        order,
    }
}
