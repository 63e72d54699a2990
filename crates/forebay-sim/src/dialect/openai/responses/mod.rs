//! OpenAI responses.
//!
//! Owns what differs from chat completions: the request's items, the response's, and the events
//! of a streamed one.

mod answer;
mod request;
mod stream;

pub(in crate::dialect) use answer::{failed, response};
pub(crate) use request::Echo;
pub(in crate::dialect) use request::parse;
pub(in crate::dialect) use stream::frames;
