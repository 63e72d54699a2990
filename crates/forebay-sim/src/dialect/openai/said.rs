//! What an answer's message consists of, in whichever body it stands.
//!
//! Owns this reading of a completion and its oddities. Never writes a field.

use crate::dialect::{Completion, End};
use crate::script::Oddity;

/// What a message consists of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Said<'a> {
    /// Nothing at all.
    Nothing,
    Text(&'a str),
    Refusal(&'a str),
    /// A call of a function.
    Call {
        name: &'a str,
        /// As JSON, unless the token cap cut it.
        arguments: &'a str,
    },
}

impl<'a> Said<'a> {
    pub(super) fn of(completion: &'a Completion<'_>) -> Said<'a> {
        let text = &*completion.text;
        match (&completion.oddity, completion.end) {
            (Some(Oddity::NullContent | Oddity::NoChoices), _) | (_, End::Filtered) => {
                Said::Nothing
            }
            (Some(Oddity::EmptyText), _) => Said::Text(""),
            (_, End::Refused) => Said::Refusal(text),
            (_, End::Stop | End::Length) => match &completion.function {
                Some(name) => Said::Call {
                    name,
                    arguments: text,
                },
                None => Said::Text(text),
            },
        }
    }

    /// Whether the pieces of the completion's text are told as they come.
    pub(super) fn is_told(completion: &Completion<'_>) -> bool {
        completion.oddity != Some(Oddity::EmptyText) && Said::of(completion) != Said::Nothing
    }
}
