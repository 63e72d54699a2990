//! A stream as its bytes come.
//!
//! Owns what is kept between two pieces of it, whether anything of the answer has come, and what
//! JSON means that stands where an event should be. Never knows what an event says.

use serde_json::value::RawValue;

use super::{Assembled, Delta, Pieces, Step, is_done, malformed, reported};
use crate::endpoint::Dialect;
use crate::outcome::Failure;
use crate::provider::errors::{Context, Report};
use crate::provider::sse::Decoder;

/// What a stream has brought so far.
pub(in crate::provider) struct Assembly {
    pieces: Pieces,
    decoder: Decoder,
    has_events: bool,
    /// Something of the answer was told.
    has_content: bool,
    is_over: bool,
    kept: usize,
}

impl Assembly {
    pub(in crate::provider) fn new(dialect: Dialect) -> Assembly {
        Assembly {
            pieces: Pieces::of(dialect),
            decoder: Decoder::default(),
            has_events: false,
            has_content: false,
            is_over: false,
            kept: 0,
        }
    }

    /// Whether the answer is whole; what follows does not count.
    pub(in crate::provider) fn is_over(&self) -> bool {
        self.is_over
    }

    /// About how many bytes are kept.
    pub(in crate::provider) fn kept(&self) -> usize {
        self.kept + self.decoder.buffered()
    }

    /// Takes a piece of the body, and tells what it adds; `true` when there was anything of the
    /// answer in it, as opposed to comments, pings and announcements.
    ///
    /// # Errors
    /// The error that the stream reports, or that it makes no sense.
    pub(in crate::provider) fn push(
        &mut self,
        context: &Context<'_>,
        mut chunk: &[u8],
        on: &mut dyn FnMut(Delta<'_>),
    ) -> Result<bool, Failure> {
        let Assembly {
            pieces,
            decoder,
            has_events,
            has_content,
            is_over,
            kept,
        } = self;
        let mut any = false;
        while !*is_over {
            let event = decoder.next(&mut chunk).map_err(|_| too_large(context))?;
            let Some(event) = event else {
                any |= decoder.is_in_stray_json();
                break;
            };
            *has_events = true;
            *kept += event.data.len();
            let mut is_told = false;
            let mut tell = |delta: Delta<'_>| {
                is_told = true;
                on(delta);
            };
            let step = pieces.add(context, &event, &mut tell);
            *has_content |= is_told;
            let step = Assembled::mark(*has_content, step)?;
            any |= is_told || step != Step::Idle;
            *is_over = step == Step::Over;
        }
        Ok(any)
    }

    /// What came of the stream, at its end; tells what its last event adds when that has no end.
    ///
    /// # Errors
    /// When the answer is not whole, or makes no sense.
    pub(in crate::provider) fn finish(
        mut self,
        context: &Context<'_>,
        on: &mut dyn FnMut(Delta<'_>),
    ) -> Result<Assembled, Failure> {
        // Some servers leave out the last blank line; data that are cut are no JSON.
        let event = match self.is_over {
            true => None,
            false => self.decoder.finish().map_err(|_| too_large(context))?,
        };
        if let Some(event) = event {
            if is_done(&event) || serde_json::from_slice::<&RawValue>(event.data).is_ok() {
                let has_content = &mut self.has_content;
                let mut tell = |delta: Delta<'_>| {
                    *has_content = true;
                    on(delta);
                };
                let step = self.pieces.add(context, &event, &mut tell);
                Assembled::mark(self.has_content, step)?;
            }
        } else if !self.is_over && !self.decoder.stray_json().is_empty() {
            return self.finish_stray(context);
        }
        let has_content = self.has_content;
        let body = self.pieces.body(context);
        Assembled::mark(has_content, body).map(|body| Assembled { body, has_content })
    }

    /// The end of a stream with JSON where an event should be: Gemini's servers report errors so,
    /// and a body that is called a stream may be a plain answer all the same.
    fn finish_stray(self, context: &Context<'_>) -> Result<Assembled, Failure> {
        let has_content = self.has_content;
        let stray = self.decoder.stray_json();
        if !self.has_events {
            return Ok(Assembled {
                body: stray.to_vec(),
                has_content,
            });
        }
        let body = match Report::of_body(stray) {
            Some(report) if report.is_error => Err(reported(context, stray)),
            Some(_) | None => self.pieces.body(context),
        };
        Assembled::mark(has_content, body).map(|body| Assembled { body, has_content })
    }
}

fn too_large(context: &Context<'_>) -> Failure {
    malformed(context, "an event of the answer is too large")
}
