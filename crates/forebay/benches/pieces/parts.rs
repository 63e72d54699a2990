//! Pieces around an attempt: the permit, the records, the row.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::Duration;

use forebay::config::{Concurrency, EngineSettings, Limits};
use forebay::journal::{Attempt, Bill, Done, Durability, Journal, Key, OpenOptionsForRun};
use forebay::limit::{Limiter, Need};
use forebay::money::Usd;
use forebay::outcome::{FinishReason, Reply, Usage};
use forebay::row::{RowBody, write_row};

/// Attempts in flight, and records written at once.
const IN_FLIGHT: usize = 50;

fn usage() -> Usage {
    Usage {
        input_tokens: 190,
        output_tokens: 88,
        ..Usage::default()
    }
}

/// A permit is given and settled while others are in flight, with limits set.
pub(crate) fn limiter() -> Box<dyn FnMut()> {
    let most = NonZeroUsize::new(IN_FLIGHT).expect("a number");
    let settings = EngineSettings {
        concurrency: Concurrency::Auto { max: most },
        limits: Limits {
            rpm: Some(600_000.0),
            tpm: Some(1e9),
            ..Limits::default()
        },
        ..EngineSettings::default()
    };
    let mut limiter = Limiter::new(&settings);
    let need = Need {
        input_tokens: 190,
        output_tokens: 88,
        reserved_output: 88,
        worst_cost: None,
    };
    let usage = usage();
    let mut now = Duration::ZERO;
    Box::new(move || {
        now += Duration::from_millis(1);
        let permit = limiter.admit(now, black_box(&need)).expect("a permit");
        now += Duration::from_millis(20);
        limiter.success(now, permit, Some(&usage), Usd::ZERO);
    })
}

/// The records of one row, and its share of the write that takes many of them to the file.
pub(crate) fn journal() -> Box<dyn FnMut()> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = OpenOptionsForRun {
        path: folder.path().join("out.jsonl.journal"),
        settings: vec![("model".into(), "gpt-4o-mini".into())],
        fresh: true,
        retry_failed: false,
        durability: Durability::Process,
    };
    let mut journal = Journal::open(options).expect("a journal");
    let body = row_body();
    let mut index = 0;
    Box::new(move || {
        // It goes away with the piece.
        let _ = &folder;
        let key = Key(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef ^ u128::from(index));
        let attempt = Attempt {
            key,
            index,
            n: 1,
            body: None,
            along: false,
            split: false,
        };
        journal.sent(&attempt, None);
        let done = Done {
            key,
            index,
            custom_id: None,
            asked: None,
            fields: 0x0123_4567,
            failure: None,
            bill: Bill {
                usage: Some(usage()),
                cost: None,
                maybe: false,
                worst: None,
            },
            was: None,
            recalled: false,
            along: false,
            body: black_box(&body),
        };
        journal.done(&done).expect("room on the disk");
        index += 1;
        if index % IN_FLIGHT as u64 == 0 {
            journal.flush().expect("room on the disk");
        }
    })
}

fn row_body() -> Vec<u8> {
    let mut body = Vec::new();
    write_body(&fields(), &mut body);
    body
}

fn fields() -> String {
    format!(r#""text":"item 12345: {}""#, "lorem ipsum ".repeat(58))
}

fn write_body(fields: &str, out: &mut Vec<u8>) {
    let reply = Reply {
        text: Some("the answer ".repeat(44)),
        tool_calls: None,
        parsed: None,
        embedding: None,
        finish_reason: FinishReason::Stop,
        model: Some("gpt-4o-mini-2024-07-18".into()),
        usage: Some(usage()),
    };
    RowBody {
        fields,
        outcome: &Ok(reply),
        cost: None,
        duration: Some(Duration::from_micros(512_345)),
        first_chunk: None,
        attempts: 1,
        recalled: false,
        raw: None,
    }
    .write(out);
}

/// A reply becomes a row.
pub(crate) fn row() -> Box<dyn FnMut()> {
    let fields = fields();
    let (mut body, mut row) = (Vec::new(), Vec::new());
    Box::new(move || {
        body.clear();
        row.clear();
        write_body(black_box(&fields), &mut body);
        write_row(&mut row, None, 12_345, &body);
        black_box(&row);
    })
}
