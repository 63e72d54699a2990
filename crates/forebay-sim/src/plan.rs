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

use crate::answer::{Text, answer, capped, stopped, structured};
use crate::batching::{Engine, Finish, Prompt, Refused, Sequence};
use crate::config::OutageKind;
use crate::dialect::{ApiError, Completion, Dialect, End, Parsed, StreamForm};
use crate::faults::Drawn;
use crate::latency::Timing;
use crate::limits::Charge;
use crate::pace::Pace;
use crate::script::{Action, Endless, Oddity, Shape, Spoil};
use crate::sim::Shared;
use crate::ticket::Ticket;

/// What the connection is to do, and when.
#[derive(Debug)]
pub(crate) struct Plan<'s> {
    /// The wait before it, apart from the back end's.
    pub(crate) delay: Duration,
    pub(crate) order: Order<'s>,
}

/// What the connection is to do.
#[derive(Debug)]
pub(crate) enum Order<'s> {
    /// Write an answer whose body is in the connection's buffer.
    Answer(Box<Answer>),
    /// Write an answer as it comes into being.
    Generate(Box<Generation<'s>>),
    /// Write bytes and close.
    Raw(Vec<u8>),
    /// Reset the connection.
    Reset,
    /// Write for as long as the client reads.
    Endless(Endless),
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
    pub(crate) shape: Shape,
    /// Whether to close the connection without saying so.
    pub(crate) close: bool,
    pub(crate) spoil: Option<Spoil>,
}

/// An answer that the back end is at work on.
#[derive(Debug)]
pub(crate) struct Generation<'s> {
    pub(crate) answer: Answer,
    pub(crate) completion: Completion<'s>,
    pub(crate) pace: Pace,
    /// `None`: in one piece.
    pub(crate) stream: Option<StreamForm>,
    /// Where a fault cuts it, as a share of its length.
    pub(crate) cut_at: Option<f64>,
}

/// Makes the plan for one request.
#[derive(Debug)]
pub(crate) struct Planner<'a, 's> {
    pub(crate) shared: &'s Shared,
    pub(crate) ticket: &'a mut Ticket<'s>,
    pub(crate) parsed: &'a Parsed<'a>,
    /// What is wrong with the key.
    pub(crate) bad_key: Option<ApiError>,
    /// Whether the account's limits hold for it.
    pub(crate) metered: bool,
    /// Receives the answer's body.
    pub(crate) body: &'a mut Vec<u8>,
}

impl<'s> Planner<'_, 's> {
    /// Decides by the script's order.
    pub(crate) fn plan(&mut self, action: Action) -> Plan<'s> {
        match action {
            Action::Answer => self.normal(None, None),
            Action::AnswerText(text) => self.normal(Some(text), None),
            Action::Odd(oddity) if !self.can_be(&oddity) => self.normal(None, None),
            Action::Odd(oddity) => {
                self.ticket.spoil(oddity.spoils());
                self.normal(None, Some(oddity))
            }
            Action::Spoilt(spoil) => self.spoilt(spoil),
            Action::Endless(endless) => {
                self.ticket.spoil(true);
                now_do(Order::Endless(endless))
            }
            Action::Named {
                fault,
                spoils,
                then,
            } => {
                self.ticket.struck(&fault);
                self.ticket.spoil(spoils);
                self.plan(*then)
            }
            Action::CutAfter(bytes) => self.shaped(Shape {
                cut_after: Some(bytes),
                ..Shape::default()
            }),
            Action::Shaped(shape) => self.shaped(shape),
            Action::CloseAfterAnswer => {
                let mut plan = self.normal(None, None);
                if let Some(answer) = plan.order.answer() {
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
                now_do(Order::Answer(Box::new(Answer::new(status, None, headers))))
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
                message: message.into(),
                headers,
                ..ApiError::default()
            }),
            Action::Reset => now_do(Order::Reset),
            Action::Stall => now_do(Order::Stall),
            Action::Raw(bytes) => now_do(Order::Raw(bytes)),
            Action::DelayThen(delay, next) => {
                let mut plan = self.plan(*next);
                plan.delay = plan.delay.saturating_add(delay);
                plan
            }
        }
    }

    /// Whether an answer to this request can be odd in this way.
    fn can_be(&self, oddity: &Oddity) -> bool {
        let of_texts = matches!(oddity, Oddity::Filtered | Oddity::Refused | Oddity::Length);
        (self.parsed.ask.stream.is_some() || !oddity.only_in_streams())
            && (self.ticket.operation.generates() || !of_texts)
    }

    fn shaped(&mut self, shape: Shape) -> Plan<'s> {
        let mut plan = self.normal(None, None);
        if let Some(answer) = plan.order.answer() {
            answer.shape = shape;
        }
        plan
    }

    fn spoilt(&mut self, spoil: Spoil) -> Plan<'s> {
        self.ticket.spoil(spoil.spoils());
        let mut plan = self.normal(None, None);
        if let Order::Generate(generation) = &mut plan.order {
            match spoil {
                Spoil::Streamed(false) => generation.stream = None,
                // What has no events has no stream either.
                Spoil::Streamed(true) if !self.ticket.operation.generates() => {}
                Spoil::Streamed(true) => {
                    generation.stream.get_or_insert(StreamForm {
                        usage: true,
                        sse: true,
                    });
                }
                Spoil::RateHeaders(headers) => {
                    generation.answer.rate_headers = false;
                    generation.answer.headers.extend(headers);
                }
                spoil => generation.answer.spoil = Some(spoil),
            }
        }
        plan
    }

    /// The way of a request no script interferes with.
    fn normal(&mut self, text: Option<String>, oddity: Option<Oddity>) -> Plan<'s> {
        if let Some(bad_key) = self.bad_key.take() {
            return self.error(bad_key);
        }
        if let Some(problem) = &self.parsed.problem {
            self.shared.limiter.count_invalid(self.ticket.received);
            return self.error(problem.clone());
        }
        if let Some(struck) = self.outage() {
            return struck;
        }
        if self.metered
            && self.ticket.operation.is_metered()
            && let Err(refused) = self.admit()
        {
            return *refused;
        }
        let mut rng = self.shared.rng(self.ticket.seq);
        let drawn = match self.ticket.body {
            Some((key, seen)) => {
                let mut luck = self.shared.luck(key, seen, 0);
                self.shared.config.faults.draw(&mut luck)
            }
            None => None,
        };
        if let Some(drawn) = &drawn {
            self.ticket.struck(&drawn.name());
        }
        match drawn {
            None => self.complete(text, oddity, &mut rng),
            Some(Drawn::Cut(fraction)) => {
                let mut plan = self.complete(text, oddity, &mut rng);
                if let Order::Generate(generation) = &mut plan.order {
                    generation.cut_at = Some(fraction);
                }
                plan
            }
            Some(Drawn::Status(status)) => {
                self.ticket.fail();
                self.error(ApiError::of(status))
            }
            Some(Drawn::Reset) => {
                self.ticket.fail();
                now_do(Order::Reset)
            }
            Some(Drawn::Stall) => now_do(Order::Stall),
        }
    }

    /// What an outage makes of the request, if there is one now.
    fn outage(&mut self) -> Option<Plan<'s>> {
        let now = self.ticket.received;
        let mut outages = self.shared.config.outages.iter();
        let outage = outages.find(|outage| (outage.from..outage.until).contains(&now))?;
        Some(match outage.what {
            OutageKind::Status(status) => self.error(ApiError::of(status)),
            OutageKind::Reset => now_do(Order::Reset),
            OutageKind::Stall => now_do(Order::Stall),
        })
    }

    fn admit(&mut self) -> Result<(), Box<Plan<'s>>> {
        let ask = &self.parsed.ask;
        let reserved = match self.ticket.operation.dialect() {
            Dialect::OpenAi => ask.input_tokens.saturating_add(ask.max_output.unwrap_or(0)),
            Dialect::Anthropic | Dialect::Gemini => ask.input_tokens,
        };
        let charge = Charge {
            input: ask.input_tokens,
            reserved,
        };
        let Err(refusal) = self.ticket.admit(charge) else {
            return Ok(());
        };
        let retry_after = self.shared.limiter.retry_after;
        let told = refusal.wait().and_then(|wait| retry_after.told(wait));
        let dialect = self.ticket.operation.dialect();
        let error = dialect.refusal(&refusal, &ask.model, told);
        let mut plan = self.error(error);
        if let Order::Answer(answer) = &mut plan.order {
            answer.rate_headers = true;
        }
        Err(Box::new(plan))
    }

    fn complete(
        &mut self,
        text: Option<String>,
        oddity: Option<Oddity>,
        rng: &mut fastrand::Rng,
    ) -> Plan<'s> {
        let ask = &self.parsed.ask;
        let operation = self.ticket.operation;
        let (text, stop_sequence) = self.text(text);
        let pace = match self.pace(&text, rng) {
            Ok(pace) => pace,
            Err(error) => {
                self.ticket.fail();
                return self.error(*error);
            }
        };
        let choices = u64::from(ask.details.choices());
        self.ticket
            .generates(ask.input_tokens, text.tokens * choices);
        let end = match (&oddity, text.cut) {
            (Some(Oddity::Filtered), _) => End::Filtered,
            (Some(Oddity::Refused), _) => End::Refused,
            // A cap on tokens would explain why there is nothing, and the answer would be good.
            (Some(Oddity::NullContent | Oddity::NoChoices), _) => End::Stop,
            (Some(Oddity::Length), _) | (_, true) => End::Length,
            (_, false) => End::Stop,
        };
        let completion = Completion {
            id: self.shared.id(self.ticket.seq),
            wall: self.shared.wall(self.ticket.received),
            model: match &oddity {
                Some(Oddity::OtherModel(model)) => model.clone(),
                _ => ask.model.to_string(),
            },
            text: text.text,
            function: ask.function.as_deref().map(str::to_owned),
            input_tokens: ask.input_tokens,
            cached_tokens: 0,
            output_tokens: text.tokens,
            end,
            stop_sequence,
            oddity,
            details: ask.details.seeded(self.shared.config.seed),
        };
        let mut answer = Answer::new(200, Some(operation.dialect()), Vec::new());
        answer.rate_headers = self.metered && operation.is_metered();
        now_do(Order::Generate(Box::new(Generation {
            answer,
            completion,
            pace,
            stream: ask.stream,
            cut_at: None,
        })))
    }

    /// The answer's text, and the sequence that ended it.
    fn text(&self, given: Option<String>) -> (Text<'s>, Option<String>) {
        let shared: &'s Shared = self.shared;
        let config = &shared.config;
        let ask = &self.parsed.ask;
        let cap = self.cap();
        let text = match (given, ask.schema) {
            _ if !self.ticket.operation.generates() => capped(Cow::Borrowed(""), None),
            (Some(text), _) => capped(Cow::Owned(text), cap),
            (None, Some(schema)) => structured(config, &ask.prompt, schema, cap),
            (None, None) if ask.function.is_some() => capped(Cow::Borrowed("{}"), cap),
            (None, None) => answer(config, &ask.prompt, cap),
        };
        stopped(text, &ask.stop)
    }

    /// The cap on output tokens: the request's, and what an engine has room for.
    fn cap(&self) -> Option<u64> {
        let ask = &self.parsed.ask;
        let Some(engine) = &self.shared.engine else {
            return ask.max_output;
        };
        let room = engine.longest().saturating_sub(ask.input_tokens).max(1);
        Some(ask.max_output.map_or(room, |cap| cap.min(room)))
    }

    /// What gives an answer its time, or why it will not be made.
    fn pace(&self, text: &Text<'_>, rng: &mut fastrand::Rng) -> Result<Pace, Box<ApiError>> {
        if !self.ticket.operation.is_metered() {
            return Ok(Pace::timed(Timing::default()));
        }
        match &self.shared.engine {
            Some(engine) => self.queue(engine, text).map(Pace::Batched),
            None => {
                let stream = self.parsed.ask.stream.is_some();
                let latency = &self.shared.config.latency;
                Ok(Pace::timed(latency.draw(rng, text.tokens, stream)))
            }
        }
    }

    /// Queues the answer in the engine, or says why it will not be made.
    fn queue(&self, engine: &Engine, text: &Text<'_>) -> Result<Sequence, Box<ApiError>> {
        let ask = &self.parsed.ask;
        let mut words = ask.earlier.join("\n");
        if !words.is_empty() {
            words.push('\n');
        }
        words.push_str(&ask.prompt);
        let prompt = Prompt {
            tokens: ask.input_tokens,
            text: &words,
        };
        let finish = match text.cut {
            true => Finish::Length,
            false => Finish::Stop,
        };
        let queued = engine.submit(prompt, text.tokens, finish);
        queued.map_err(|refused| {
            Box::new(match refused {
                Refused::QueueFull => ApiError::of(503),
                Refused::TooLong { longest } => {
                    let dialect = self.ticket.operation.dialect();
                    dialect.too_long(ask.input_tokens, longest)
                }
            })
        })
    }

    fn error(&mut self, error: ApiError) -> Plan<'s> {
        let dialect = self.ticket.operation.dialect();
        let form = self.parsed.ask.stream;
        dialect.error_in(form, self.body, &error, self.shared.id(self.ticket.seq));
        now_do(Order::Answer(Box::new(Answer::new(
            error.status,
            Some(dialect),
            error.headers,
        ))))
    }
}

impl Generation<'_> {
    /// Whether it is streamed; an error in place of an answer never is.
    pub(crate) fn streams(&self) -> bool {
        let spoil = self.answer.spoil.as_ref();
        self.is_stream() && !spoil.is_some_and(Spoil::alters_body)
    }

    /// Whether its body is that of a stream.
    pub(crate) fn is_stream(&self) -> bool {
        self.stream.is_some() && !matches!(self.completion.oddity, Some(Oddity::ErrorInside(_)))
    }
}

impl Order<'_> {
    /// The head of what is written, if an answer is.
    fn answer(&mut self) -> Option<&mut Answer> {
        match self {
            Order::Answer(answer) => Some(answer),
            Order::Generate(generation) => Some(&mut generation.answer),
            Order::Raw(_) | Order::Reset | Order::Endless(_) | Order::Stall => None,
        }
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
            shape: Shape::default(),
            close: false,
            spoil: None,
        }
    }

    /// Whether the connection ends with it.
    pub(crate) fn closes(&self) -> bool {
        let told = |(name, value): &(String, String)| {
            name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close")
        };
        let spoil = self.spoil.as_ref();
        self.close
            || self.shape.cut_after.is_some()
            || spoil.is_some_and(Spoil::closes)
            || self.headers.iter().any(told)
    }

    /// Whether the script gave a header of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(given, _)| given.eq_ignore_ascii_case(name))
    }
}

fn now_do(order: Order<'_>) -> Plan<'_> {
    Plan {
        delay: Duration::ZERO,
        order,
    }
}
