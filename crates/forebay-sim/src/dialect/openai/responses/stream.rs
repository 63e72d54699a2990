//! Writes the events of a streamed response.
//!
//! Owns their fields and order. Never knows when they are due.
//!
//! ```text
//! created  in_progress  output_item.added
//!   text or refusal:  content_part.added  delta*  done  content_part.done
//!   call:             function_call_arguments.delta*  .done
//! output_item.done  completed | incomplete | failed
//! ```

use serde::Serialize;

use super::answer::{self, Item, Part, Response, Status};
use crate::dialect::openai::error;
use crate::dialect::openai::said::Said;
use crate::dialect::{ApiError, Completion, Frames, Id, Step};
use crate::script::Oddity;

#[derive(Default, Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    sequence_number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Response<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item_id: Option<Id<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<Item<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<Part<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<[(); 0]>,
}

/// An error in place of all that would follow.
#[derive(Serialize)]
struct ErrorEvent<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    sequence_number: u64,
    code: Option<&'a str>,
    message: &'a str,
    param: Option<&'a str>,
}

pub(in crate::dialect) fn frames(frames: &mut Frames, completion: &Completion<'_>, step: Step<'_>) {
    let mut stream = Stream {
        frames,
        completion,
        said: Said::of(completion),
    };
    match step {
        Step::Open => stream.open(),
        Step::Text(text) => {
            if Said::is_told(completion) {
                stream.delta(text);
            }
        }
        Step::Close => stream.close(),
        Step::Error(error) => stream.fail(error),
    }
}

struct Stream<'f, 'a> {
    frames: &'f mut Frames,
    completion: &'a Completion<'a>,
    said: Said<'a>,
}

impl<'a> Stream<'_, 'a> {
    fn open(&mut self) {
        for kind in ["response.created", "response.in_progress"] {
            let response = Some(answer::opening(self.completion));
            self.add(Event {
                response,
                ..of(kind)
            });
        }
        if self.completion.oddity == Some(Oddity::NoChoices) {
            return;
        }
        let nothing = match self.said {
            Said::Call { name, .. } => Said::Call {
                name,
                arguments: "",
            },
            Said::Nothing | Said::Text(_) | Said::Refusal(_) => Said::Nothing,
        };
        self.add(Event {
            output_index: Some(0),
            item: Some(answer::item(self.completion, nothing, Status::InProgress)),
            ..of("response.output_item.added")
        });
        let part = match self.said {
            Said::Text(_) => answer::part(Said::Text("")),
            Said::Refusal(_) => answer::part(Said::Refusal("")),
            Said::Nothing | Said::Call { .. } => None,
        };
        if let Some(part) = part {
            let part = Some(part);
            let event = self.of_part("response.content_part.added");
            self.add(Event { part, ..event });
        }
    }

    fn delta(&mut self, text: &str) {
        let delta = Some(text);
        match self.said {
            Said::Nothing => {}
            Said::Text(_) => {
                let event = self.of_part("response.output_text.delta");
                let logprobs = Some([]);
                self.add(Event {
                    delta,
                    logprobs,
                    ..event
                });
            }
            Said::Refusal(_) => {
                let event = self.of_part("response.refusal.delta");
                self.add(Event { delta, ..event });
            }
            Said::Call { .. } => {
                let event = self.of_item("response.function_call_arguments.delta");
                self.add(Event { delta, ..event });
            }
        }
    }

    fn close(&mut self) {
        match self.said {
            Said::Nothing => {}
            Said::Text(text) => {
                let event = self.of_part("response.output_text.done");
                self.add(Event {
                    text: Some(text),
                    logprobs: Some([]),
                    ..event
                });
            }
            Said::Refusal(refusal) => {
                let event = self.of_part("response.refusal.done");
                let refusal = Some(refusal);
                self.add(Event { refusal, ..event });
            }
            Said::Call { arguments, .. } => {
                let event = self.of_item("response.function_call_arguments.done");
                let arguments = Some(arguments);
                self.add(Event { arguments, ..event });
            }
        }
        if let Some(part) = answer::part(self.said) {
            let part = Some(part);
            let event = self.of_part("response.content_part.done");
            self.add(Event { part, ..event });
        }
        let status = answer::status(self.completion.end);
        if self.completion.oddity != Some(Oddity::NoChoices) {
            self.add(Event {
                output_index: Some(0),
                item: Some(answer::item(self.completion, self.said, status)),
                ..of("response.output_item.done")
            });
        }
        if self.completion.oddity == Some(Oddity::NoFinish) {
            return;
        }
        let response = Some(answer::response(self.completion));
        let kind = match status {
            Status::Incomplete => "response.incomplete",
            Status::InProgress | Status::Completed | Status::Failed => "response.completed",
        };
        self.add(Event {
            response,
            ..of(kind)
        });
    }

    /// As a response that failed, where its codes have a word for it; else as an error.
    fn fail(&mut self, error: &ApiError) {
        if answer::failure_code(error.status).is_some() {
            let response = Some(answer::failed(self.completion, error));
            self.add(Event {
                response,
                ..of("response.failed")
            });
            return;
        }
        let event = ErrorEvent {
            kind: "error",
            sequence_number: self.frames.made(),
            code: error::code(error),
            message: error::message(error),
            param: error.param,
        };
        self.frames.event("error", &event);
    }

    fn of_item(&self, kind: &'static str) -> Event<'static> {
        Event {
            item_id: Some(answer::item_id(self.completion, self.said)),
            output_index: Some(0),
            ..of(kind)
        }
    }

    fn of_part(&self, kind: &'static str) -> Event<'static> {
        Event {
            content_index: Some(0),
            ..self.of_item(kind)
        }
    }

    fn add(&mut self, event: Event<'_>) {
        let sequence_number = self.frames.made();
        let kind = event.kind;
        self.frames.event(
            kind,
            &Event {
                sequence_number,
                ..event
            },
        );
    }
}

fn of(kind: &'static str) -> Event<'static> {
    Event {
        kind,
        ..Event::default()
    }
}
