//! The OpenAI chat completions dialect, as OpenAI and the many compatible servers speak it.
//!
//! Owns the shapes of its request and its answer. Never sends.

mod decode;
mod encode;
mod plain;

pub(super) use decode::decode;
pub(super) use encode::{
    NEW_CAP, OLD_CAP, encode, push_choice_word, push_function, push_named_schema,
};
