//! Frames the parts of streamed content: as events, or as the elements of one JSON array.
//!
//! Owns the frames' form. Never knows when they are due.

use serde::Serialize;

use super::answer::{self, Response};
use super::write;
use crate::dialect::{Completion, Frames, Step, StreamForm};
use crate::script::Oddity;

pub(in crate::dialect) fn frames(
    frames: &mut Frames,
    completion: &Completion<'_>,
    form: StreamForm,
    step: Step<'_>,
) {
    match step {
        Step::Open => {}
        Step::Text(text) => {
            if answer::shows_text(completion) {
                part(frames, form, &answer::part(completion, text));
            }
        }
        Step::Close => close(frames, completion, form),
        Step::Error(error) => {
            let error = super::error(error);
            match form.sse {
                // An error in the middle is no event: it comes as it is, line by line.
                true => {
                    let mut bytes = Vec::new();
                    write(&mut bytes, &error);
                    frames.raw(&bytes);
                }
                false => {
                    element(frames, &error);
                    frames.raw(b"\n]\n");
                }
            }
        }
    }
}

fn close(frames: &mut Frames, completion: &Completion<'_>, form: StreamForm) {
    if completion.oddity != Some(Oddity::NoFinish) {
        part(frames, form, &answer::last(completion));
    }
    // Events have no terminator; the array has.
    if !form.sse && completion.oddity != Some(Oddity::NoTerminator) {
        frames.raw(match frames.made() {
            0 => b"[]\n",
            _ => b"\n]\n",
        });
    }
}

fn part(frames: &mut Frames, form: StreamForm, part: &Response<'_>) {
    match form.sse {
        true => frames.data(part),
        false => element(frames, part),
    }
}

/// Adds an element of the array, with what stands before it.
fn element(frames: &mut Frames, element: &impl Serialize) {
    let mut bytes = Vec::new();
    write(&mut bytes, element);
    // The array goes on on the element's last line.
    bytes.pop();
    let before = match frames.made() {
        0 => &b"["[..],
        _ => b",\r\n",
    };
    frames.raw(&[before, &bytes].concat());
}
