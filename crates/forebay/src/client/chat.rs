//! A request of a program: put together piece by piece, then sent or streamed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

use super::gate::Pass;
use super::places::Purpose;
use super::shape::{Bill, Shape, Verdict};
use super::{Client, Reply, ReplyStream, unusable};
use crate::engine::{Asked, Lane, Told};
use crate::item::{Content, Parameters, Request};
use crate::message::{AnswerSchema, Image, Message, Part, Role, Tool, ToolChoice, ToolResult};
use crate::outcome::{Failure, FailureKind};
use crate::provider::{self, Delta, Encoded};

/// A request under way to being sent; cheap to clone as far as its texts are.
#[derive(Clone)]
#[must_use = "a request does nothing until it is sent or streamed"]
pub struct ChatRequest {
    client: Client,
    parameters: Parameters,
    endpoint: Option<String>,
    system: Option<String>,
    messages: Vec<Message>,
    shape: Shape,
    /// What was wrong with a piece of it; told when it is sent.
    fault: Option<String>,
    observer: Option<Observer>,
}

type Observer = Arc<dyn Fn(&CallEvent<'_>) + Send + Sync>;

/// What happens while a call goes on.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallEvent<'a> {
    /// An attempt failed and another one follows.
    AttemptFailedWillRetry {
        /// The model, as the request names it.
        model: &'a str,
        /// What happened.
        failure: &'a Failure,
        /// The wait before the next attempt.
        after: Duration,
    },
    /// The call ended with a reply.
    Replied {
        /// The model, as the request names it.
        model: &'a str,
        /// The reply.
        reply: &'a Reply,
    },
    /// The call ended without one.
    Failed {
        /// The model, as the request names it.
        model: &'a str,
        /// Why.
        failure: &'a Failure,
    },
}

impl ChatRequest {
    pub(super) fn new(client: Client, model: String) -> ChatRequest {
        ChatRequest {
            client,
            parameters: Parameters {
                model,
                ..Parameters::default()
            },
            endpoint: None,
            system: None,
            messages: Vec::new(),
            shape: Shape::default(),
            fault: None,
            observer: None,
        }
    }

    /// Another model.
    pub fn model(mut self, model: impl Into<String>) -> ChatRequest {
        self.parameters.model = model.into();
        self
    }

    /// The endpoint or provider, by its name; the model's name is then sent as it is.
    pub fn endpoint(mut self, name: impl Into<String>) -> ChatRequest {
        self.endpoint = Some(name.into());
        self
    }

    /// The system prompt.
    pub fn system(mut self, text: impl Into<String>) -> ChatRequest {
        self.system = Some(text.into());
        self
    }

    /// A text of the user's.
    pub fn user(self, text: impl Into<String>) -> ChatRequest {
        self.message(Message::text(Role::User, text))
    }

    /// A text that the model wrote earlier.
    pub fn assistant(self, text: impl Into<String>) -> ChatRequest {
        self.message(Message::text(Role::Assistant, text))
    }

    /// A picture, added to the user's last message.
    pub fn image(mut self, image: Image) -> ChatRequest {
        match self.messages.last_mut() {
            Some(last) if last.role == Role::User => last.parts.push(Part::Image(image)),
            _ => self.messages.push(Message {
                role: Role::User,
                parts: vec![Part::Image(image)],
            }),
        }
        self
    }

    /// What a tool gave back.
    pub fn tool_result(self, result: ToolResult) -> ChatRequest {
        self.message(Message {
            role: Role::User,
            parts: vec![Part::ToolResult(result)],
        })
    }

    /// Any message.
    pub fn message(mut self, message: Message) -> ChatRequest {
        self.messages.push(message);
        self
    }

    /// The most output tokens of the answer.
    pub fn max_tokens(mut self, tokens: u32) -> ChatRequest {
        self.parameters.max_tokens = Some(tokens);
        self
    }

    /// Sampling temperature.
    pub fn temperature(mut self, temperature: f64) -> ChatRequest {
        self.parameters.temperature = Some(temperature);
        self
    }

    /// Nucleus sampling: the share of probability that is drawn from, 0 to 1.
    pub fn top_p(mut self, share: f64) -> ChatRequest {
        self.parameters.top_p = Some(share);
        self
    }

    /// A text that ends the answer; may be called several times.
    pub fn stop(mut self, text: impl Into<String>) -> ChatRequest {
        self.parameters.stop.push(text.into());
        self
    }

    /// Seed of sampling, where the dialect has one.
    pub fn seed(mut self, seed: i64) -> ChatRequest {
        self.parameters.seed = Some(seed);
        self
    }

    /// A tool that the model may call; may be called several times.
    pub fn tool(mut self, tool: Tool) -> ChatRequest {
        self.parameters.tools.push(tool);
        self
    }

    /// Which tool the model has to call.
    pub fn tool_choice(mut self, choice: ToolChoice) -> ChatRequest {
        self.parameters.tool_choice = Some(choice);
        self
    }

    /// The JSON Schema that the answer has to fit: told in the dialect's own way, and, with the
    /// feature `schema`, checked; [`Reply::json`] then reads the answer.
    ///
    /// A model whose answer does not fit is asked again with what is wrong, unless the answer was
    /// streamed.
    pub fn schema(mut self, name: &str, schema: &str) -> ChatRequest {
        match self.shape.set(schema) {
            Ok(schema) => self.parameters.schema = Some(AnswerSchema::new(name, schema)),
            Err(error) => self.fault = Some(format!("the schema is unusable: {error}")),
        }
        self
    }

    /// Further questions to a model whose answer does not fit the schema; default 2.
    pub fn schema_retries(mut self, retries: u32) -> ChatRequest {
        self.shape.set_retries(retries);
        self
    }

    /// A further member of the request body, with its value as JSON text: `("top_k", "40")`.
    pub fn param(mut self, name: &str, json: &str) -> ChatRequest {
        match RawValue::from_string(json.to_owned()) {
            Ok(value) => self.parameters.extra.push((name.to_owned(), value)),
            Err(error) => self.fault = Some(format!("the parameter {name} is not JSON: {error}")),
        }
        self
    }

    /// Tells this function what happens to the request.
    pub fn on_event(
        mut self,
        observer: impl Fn(&CallEvent<'_>) + Send + Sync + 'static,
    ) -> ChatRequest {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Sends the request and waits for the whole answer.
    ///
    /// # Errors
    /// The failure of the last attempt; or, before anything is sent, what is wrong with the
    /// request, the model's name or the key.
    ///
    /// # Cancel safety
    /// Dropping the future gives its permit back and closes its connection; the provider may bill
    /// an attempt that was under way.
    pub async fn send(self) -> Result<Reply, Failure> {
        let observer = self.observer.clone();
        let model = self.parameters.model.clone();
        let ended = self.call(&mut |_| {}).await;
        tell_end(observer.as_ref(), &model, &ended);
        ended
    }

    /// Sends the request; the answer comes piece by piece.
    ///
    /// Nothing is sent before the first piece is asked for.
    pub fn stream(mut self) -> ReplyStream {
        self.parameters.stream = true;
        ReplyStream::new(self)
    }

    /// Makes the call and tells what a streamed answer brings.
    pub(super) async fn call(
        self,
        on: &mut (dyn FnMut(Delta<'_>) + Send),
    ) -> Result<Reply, Failure> {
        let model = self.parameters.model.clone();
        let observer = self.observer.clone();
        let shape = self.shape.clone();
        let max_tokens = self.parameters.max_tokens;
        let Ready {
            lane,
            mut request,
            pass,
        } = self.ready()?;
        let mut tell = |told: Told<'_>| match told {
            Told::Delta(delta) => on(delta),
            Told::WillRetry(failure, after) => {
                if let Some(observer) = &observer {
                    observer(&CallEvent::AttemptFailedWillRetry {
                        model: &model,
                        failure,
                        after,
                    });
                }
            }
        };
        let mut bill = Bill::default();
        let mut misfits = 0;
        let asking = async {
            loop {
                let asked = Asked {
                    request: &request,
                    max_tokens,
                };
                let mut answered = match lane.call(asked, &mut tell).await {
                    Ok(answered) => answered,
                    Err(failure) => break Err(bill.put_on(failure)),
                };
                bill.add(&mut answered);
                match shape.judge(&answered.reply, misfits, request.stream) {
                    Verdict::Good(parsed) => break Ok(Reply::new(answered, parsed)),
                    Verdict::Failed(failure) => break Err(bill.put_on(failure)),
                    Verdict::Again(failure, message) => {
                        let failure = bill.put_on(failure);
                        let reply = &answered.reply;
                        let again = provider::follow_up(lane.endpoint(), &request, reply, &message);
                        let Some(again) = again else {
                            break Err(failure);
                        };
                        tell(Told::WillRetry(&failure, Duration::ZERO));
                        misfits += 1;
                        request = again;
                    }
                }
            }
        };
        pass.guard(asking).await
    }

    /// Finds the way and encodes.
    fn ready(mut self) -> Result<Ready, Failure> {
        if let Some(fault) = self.fault {
            return Err(Failure::new(FailureKind::InvalidItem, fault));
        }
        let pass = self.client.inner.gate.enter()?;
        let endpoint = self.endpoint.as_deref();
        let found = self
            .client
            .find_lane(&self.parameters.model, endpoint, Purpose::Chat);
        let (lane, model) = found.map_err(unusable)?;
        self.parameters.model = model;
        let content = content(self.messages);
        let request = Request {
            shared: Arc::new(self.parameters),
            system: self.system,
            content,
        };
        let request = provider::encode(lane.endpoint(), &request)?;
        Ok(Ready {
            lane,
            request,
            pass,
        })
    }

    pub(super) fn observer(&self) -> Option<Observer> {
        self.observer.clone()
    }

    pub(super) fn model_name(&self) -> &str {
        &self.parameters.model
    }
}

/// One text of the user's is a prompt.
fn content(mut messages: Vec<Message>) -> Content {
    if let [message] = messages.as_mut_slice()
        && message.role == Role::User
        && let [Part::Text(text)] = message.parts.as_mut_slice()
    {
        return Content::Prompt(std::mem::take(text));
    }
    Content::Conversation(messages)
}

/// Tells how a call ended.
pub(super) fn tell_end(observer: Option<&Observer>, model: &str, ended: &Result<Reply, Failure>) {
    if let Some(observer) = observer {
        observer(&match ended {
            Ok(reply) => CallEvent::Replied { model, reply },
            Err(failure) => CallEvent::Failed { model, failure },
        });
    }
}

/// A request that can be sent.
struct Ready {
    lane: Arc<Lane>,
    request: Encoded,
    pass: Pass,
}

impl fmt::Debug for ChatRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is said is the user's own matter.
        f.debug_struct("ChatRequest")
            .field("model", &self.parameters.model)
            .field("n_messages", &self.messages.len())
            .finish_non_exhaustive()
    }
}
