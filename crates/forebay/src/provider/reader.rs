//! A streamed answer while it comes.
//!
//! Owns what is known between two pieces of it. Its end is read as a plain answer is.

use std::time::SystemTime;

use super::errors::Context;
use super::stream::{Assembled, Assembly, Delta};
use super::{Answer, decode_plain};
use crate::endpoint::Endpoint;
use crate::headers::Headers;
use crate::outcome::{Failure, Outcome};

/// Reads a streamed answer piece by piece.
///
/// It is for answers with a status from 200 to 299 that [`StreamReader::reads`] knows for a
/// stream; others are for [`decode`](super::decode).
pub struct StreamReader<'a> {
    endpoint: &'a Endpoint,
    status: u16,
    headers: Headers,
    now: SystemTime,
    assembly: Assembly,
}

impl<'a> StreamReader<'a> {
    /// Whether the headers of an answer announce a stream.
    pub fn reads(status: u16, headers: &Headers) -> bool {
        (200..300).contains(&status) && super::stream::is_called_stream(headers)
    }

    /// A reader for an answer whose head has arrived.
    pub fn new(
        endpoint: &'a Endpoint,
        status: u16,
        headers: Headers,
        now: SystemTime,
    ) -> StreamReader<'a> {
        StreamReader {
            endpoint,
            status,
            headers,
            now,
            assembly: Assembly::new(endpoint.dialect),
        }
    }

    /// Takes the next piece of the body and tells what it adds to the answer; `true` when there
    /// was anything of the answer in it, as opposed to comments, pings and announcements.
    ///
    /// # Errors
    /// The error that the stream reports, or that it makes no sense.
    pub fn push(&mut self, chunk: &[u8], on: &mut dyn FnMut(Delta<'_>)) -> Result<bool, Failure> {
        let StreamReader {
            endpoint,
            status,
            headers,
            now,
            assembly,
        } = self;
        let answer = Answer {
            status: *status,
            headers,
            body: &[],
            now: *now,
        };
        let context = Context {
            endpoint,
            answer: &answer,
        };
        assembly.push(&context, chunk, on)
    }

    /// Whether the answer is whole; what follows does not count.
    pub fn is_over(&self) -> bool {
        self.assembly.is_over()
    }

    /// About how many bytes are kept for the answer.
    pub fn kept(&self) -> usize {
        self.assembly.kept()
    }

    /// The answer at the end of the stream, and the body that it would have had unstreamed; tells
    /// what the last event adds when that has no end.
    pub fn finish(self, on: &mut dyn FnMut(Delta<'_>)) -> (Outcome, Vec<u8>) {
        let StreamReader {
            endpoint,
            status,
            headers,
            now,
            assembly,
        } = self;
        let answer = |body| Answer {
            status,
            headers: &headers,
            body,
            now,
        };
        let empty = answer(&[]);
        let context = Context {
            endpoint,
            answer: &empty,
        };
        match assembly.finish(&context, on) {
            Err(failure) => (Err(failure), Vec::new()),
            Ok(Assembled { body, has_content }) => {
                let whole = answer(&body);
                let outcome = decode_plain(&Context {
                    endpoint,
                    answer: &whole,
                });
                (Assembled::mark(has_content, outcome), body)
            }
        }
    }
}

impl std::fmt::Debug for StreamReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamReader")
            .field("endpoint", &self.endpoint.name)
            .field("kept", &self.kept())
            .finish_non_exhaustive()
    }
}
