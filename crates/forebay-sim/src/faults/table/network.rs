//! What befalls the connection, and forms that a server seldom gives an answer.

use std::time::Duration;

use super::{shaped, spoilt};
use crate::faults::entry::FaultEntry;
use crate::script::{Action, Endless, Oddity, Shape, Spoil};

/// The distance of comments: what DeepSeek and OpenRouter send while a request waits is of this
/// order.
const COMMENT_EVERY: Duration = Duration::from_secs(5);

/// How many comments come before an answer, by their time.
const COMMENTS_FIRST: Duration = Duration::from_secs(30);

/// A drip that no timeout for a single read notices.
const DRIP_EVERY: Duration = Duration::from_secs(10);

/// The part of a head that drips.
const HEAD_DRIPPED: usize = 61;

pub(super) static NETWORK: &[FaultEntry] = &[
    FaultEntry::new("reset", &[5, 6], "reset before the first byte", |_| {
        Action::Reset
    }),
    FaultEntry::new("close", &[5, 6], "closed before the first byte", |_| {
        Action::CutAfter(0)
    }),
    FaultEntry::new("reset-after-headers", &[7], "reset after the head", |_| {
        shaped(Shape {
            cut_body: Some(0.0),
            reset: true,
            ..Shape::default()
        })
    }),
    FaultEntry::new(
        "reset-mid-body",
        &[7, 8],
        "reset in the middle of the body",
        |_| {
            shaped(Shape {
                cut_body: Some(0.5),
                reset: true,
                ..Shape::default()
            })
        },
    ),
    FaultEntry::new(
        "cut-mid-body",
        &[7, 8],
        "closed in the middle of the body",
        |_| {
            shaped(Shape {
                cut_body: Some(0.5),
                ..Shape::default()
            })
        },
    ),
    FaultEntry::new(
        "cut-after-N-bytes",
        &[7, 8],
        "closed after N bytes, head included; a shorter answer is whole",
        |case| {
            shaped(Shape {
                cut_after: Some(case.n as usize),
                ..Shape::default()
            })
        },
    ),
    FaultEntry::new(
        "cut-after-N-frames",
        &[8],
        "closed after N frames of a stream",
        |case| {
            shaped(Shape {
                cut_after_frames: Some(case.n),
                ..Shape::default()
            })
        },
    )
    .streamed(),
    FaultEntry::new("stall", &[10], "no answer, ever", |_| Action::Stall),
    FaultEntry::new(
        "stall-after-headers",
        &[11],
        "the head, then silence",
        |_| {
            shaped(Shape {
                stall_body: Some(0.0),
                ..Shape::default()
            })
        },
    ),
    FaultEntry::new(
        "stall-mid-body",
        &[11],
        "half of the body, then silence",
        |_| {
            shaped(Shape {
                stall_body: Some(0.5),
                ..Shape::default()
            })
        },
    ),
    FaultEntry::new(
        "stall-mid-stream",
        &[11],
        "two frames of a stream, then silence",
        |_| {
            shaped(Shape {
                stall_after_frames: Some(2),
                ..Shape::default()
            })
        },
    )
    .streamed(),
    FaultEntry::new(
        "stall-after-N-bytes",
        &[11],
        "N bytes, then silence",
        |case| {
            shaped(Shape {
                stall_after: Some(case.n as usize),
                ..Shape::default()
            })
        },
    ),
    FaultEntry::new(
        "comments-only",
        &[12],
        "a comment every 5 s and nothing else, ever",
        |_| Action::Odd(Oddity::CommentsOnly(COMMENT_EVERY)),
    )
    .streamed(),
    FaultEntry::new(
        "comments-first",
        &[12],
        "a comment every 5 s for half a minute, then a good answer",
        |_| Action::Odd(Oddity::CommentsFirst(COMMENT_EVERY, COMMENTS_FIRST)),
    )
    .streamed(),
    FaultEntry::new("drip", &[13], "a byte every 10 s", |_| {
        shaped(Shape {
            drip: Some((1, DRIP_EVERY)),
            ..Shape::default()
        })
    }),
    FaultEntry::new(
        "slow-headers",
        &[13],
        "a byte of the head every 10 s, for 10 min",
        |_| {
            shaped(Shape {
                drip: Some((1, DRIP_EVERY)),
                drip_first: Some(HEAD_DRIPPED),
                ..Shape::default()
            })
        },
    ),
    FaultEntry::new(
        "slicer",
        &[13],
        "a good answer in pieces of 3 bytes, 1 ms apart",
        |_| {
            shaped(Shape {
                drip: Some((3, Duration::from_millis(1))),
                ..Shape::default()
            })
        },
    ),
    FaultEntry::new("endless-headers", &[33], "headers up to 1 GiB", |_| {
        Action::Endless(Endless::Headers)
    })
    .spoils(),
    FaultEntry::new("huge-body", &[33], "a JSON string of 1 GiB", |_| {
        Action::Endless(Endless::Body)
    })
    .spoils(),
    FaultEntry::new(
        "huge-sse-line",
        &[33],
        "an event of 1 GiB in one line",
        |_| Action::Endless(Endless::Line),
    )
    .spoils(),
    FaultEntry::new(
        "close-after-answer",
        &[5, 58],
        "a good answer, after which the connection closes unsaid",
        |_| Action::CloseAfterAnswer,
    ),
    FaultEntry::new(
        "close-delimited",
        &[58],
        "a good answer of no told length, which ends with the connection",
        |_| spoilt(Spoil::ToClose),
    ),
    FaultEntry::new("http-1.0", &[58], "a good answer of HTTP/1.0", |_| {
        spoilt(Spoil::Http10)
    }),
    FaultEntry::new(
        "1xx",
        &[58],
        "100, 102 and 103 before a good answer",
        |_| {
            let before = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
                      HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n";
            spoilt(Spoil::Before(before.as_bytes().to_vec()))
        },
    ),
    FaultEntry::new(
        "no-reason-phrase",
        &[58],
        "a good answer with `HTTP/1.1 200` alone",
        |_| spoilt(Spoil::NoReason),
    ),
    FaultEntry::new("not-http", &[28], "bytes that are not HTTP", |_| {
        Action::Raw(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec())
    })
    .spoils(),
    FaultEntry::new(
        "bad-header",
        &[28],
        "a header with a NUL in its value",
        |_| Action::Raw(b"HTTP/1.1 200 OK\r\nx-nul: a\0b\r\ncontent-length: 2\r\n\r\n{}".to_vec()),
    )
    .spoils(),
];
