//! The fuzz targets on any toolchain: the corpus, and random changes of it.
//!
//! `FOREBAY_FUZZ_ROUNDS` is the number of changed inputs per target, `FOREBAY_FUZZ_SEED` the seed.
//! Guided by coverage they run with cargo-fuzz; see `fuzz/README.md`.

#[expect(unreachable_pub, reason = "the targets are a library for libFuzzer")]
#[path = "../../../../fuzz/targets/mod.rs"]
mod targets;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use fastrand::Rng;
use targets::{TARGETS, Target};

/// Changed inputs per target; a few seconds for all targets in a debug build.
const ROUNDS: usize = 5_000;

/// Changed inputs are not longer than this, so that a round is short.
const MAX_LEN: usize = 16 << 10;

/// Pieces that parsers treat in a special way.
const TOKENS: [&[u8]; 46] = [
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud83d",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xff",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b" ",
    b"data: ",
    b"event: error\n",
    b"[DONE]",
    b"null",
    b"-1",
    b"1e308",
    b"18446744073709551616",
    b"\"error\":",
    b"\"index\":1",
    b"\"finish_reason\":\"stop\"",
    b"{\"type\":\"message_stop\"}",
    b"\"finishReason\":\"STOP\"",
    b"\"thought\":true,",
    b"data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"}}\n\n",
    b"\n{\"error\":{\"code\":503}}\n",
    b"HTTP/1.1 200 OK\r\n",
    b"content-length: 3\r\n",
    b"transfer-encoding: chunked\r\n",
    b"\r\n\r\n",
    b"retry-after: ",
    b"x-ratelimit-limit-requests: ",
    b"x-ratelimit-reset-requests: 7m12s\n",
    b"anthropic-ratelimit-tokens-reset: 2026-01-27T09:00:01Z\n",
    b" requests per min (RPM): Limit ",
    b" tokens per day",
    b"\"quotaId\":\"GenerateRequestsPerMinute\",\"quotaValue\":\"",
    "世".as_bytes(),
    b"\"\"",
];

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut paths: Vec<_> = fs::read_dir(folder.join(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 10, "{name} has a corpus");
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn number(name: &str, default: usize) -> usize {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().unwrap())
}

/// Runs a target; what it fails on is shown, so that it can go into the corpus.
fn check(target: Target, input: &[u8]) {
    if let Err(panic) = catch_unwind(|| target(input)) {
        eprintln!("fails on b\"{}\"", input.escape_ascii());
        std::panic::resume_unwind(panic);
    }
}

/// Replays a target's corpus, then changes of its entries.
fn fuzz(name: &str, rounds_per_thousand: usize) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    let corpus = corpus(name);
    for input in &corpus {
        check(*target, input);
    }
    let mut rng = Rng::with_seed(number("FOREBAY_FUZZ_SEED", 1) as u64);
    let rounds = number("FOREBAY_FUZZ_ROUNDS", ROUNDS * rounds_per_thousand / 1_000);
    for _ in 0..rounds {
        let mut input = pick(&corpus, &mut rng).to_vec();
        for _ in 0..rng.usize(1..6) {
            change(&mut input, &corpus, &mut rng);
        }
        input.truncate(MAX_LEN);
        check(*target, &input);
    }
}

fn pick<'a>(corpus: &'a [Vec<u8>], rng: &mut Rng) -> &'a [u8] {
    &corpus[rng.usize(..corpus.len())]
}

/// A place in the input, its end included.
fn place(input: &[u8], rng: &mut Rng) -> usize {
    rng.usize(..=input.len())
}

/// A short range of the input.
fn range(input: &[u8], rng: &mut Rng) -> std::ops::Range<usize> {
    let start = place(input, rng);
    start..input.len().min(start + rng.usize(..32))
}

/// Changes the input in one of the ways that find most.
fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], rng: &mut Rng) {
    match rng.u8(..7) {
        0 if !input.is_empty() => {
            let at = rng.usize(..input.len());
            input[at] = rng.u8(..);
        }
        1 => {
            let at = place(input, rng);
            let token = TOKENS[rng.usize(..TOKENS.len())];
            input.splice(at..at, token.iter().copied());
        }
        2 => drop(input.drain(range(input, rng))),
        3 => {
            let (at, copy) = (place(input, rng), input[range(input, rng)].to_vec());
            let copies = copy.repeat(rng.usize(1..20));
            input.splice(at..at, copies);
        }
        4 => input.truncate(place(input, rng)),
        5 => {
            let other = pick(corpus, rng);
            let from = place(other, rng);
            input.truncate(place(input, rng));
            input.extend_from_slice(&other[from..]);
        }
        _ => {
            let taken = range(input, rng);
            let token = TOKENS[rng.usize(..TOKENS.len())];
            input.splice(taken, token.iter().copied());
        }
    }
}

/// Fault 28: reads whatever a stream of events holds, in whatever chunks.
#[test]
fn event_streams_are_read_whatever_they_hold() {
    fuzz("sse", 1_000);
}

/// Fault 28: reads whatever a provider answers, and keeps each row one line of JSON.
#[test]
fn openai_answers_are_read_whatever_they_hold() {
    fuzz("openai_answer", 500);
}

/// Fault 28: reads whatever a provider answers, and keeps each row one line of JSON.
#[test]
fn anthropic_answers_are_read_whatever_they_hold() {
    fuzz("anthropic_answer", 500);
}

/// Fault 28: reads whatever a provider answers, and keeps each row one line of JSON.
#[test]
fn responses_are_read_whatever_they_hold() {
    fuzz("responses_answer", 500);
}

/// Fault 28: reads whatever a provider answers, and keeps each row one line of JSON.
#[test]
fn gemini_answers_are_read_whatever_they_hold() {
    fuzz("gemini_answer", 500);
}

/// Faults 18, 19: reads whatever an error and its headers hold, and never waits longer than allowed.
#[test]
fn errors_and_waits_are_read_whatever_they_hold() {
    fuzz("error_answer", 1_000);
}

/// Fault 28: reads whatever a connection brings, and uses none again that broke the rules.
#[test]
fn connections_are_read_whatever_they_bring() {
    fuzz("http_answer", 1_000);
}

/// Fault 48: reads whatever is left of a journal, and believes only records with a right checksum.
#[test]
fn journals_are_read_whatever_they_hold() {
    fuzz("journal", 500);
}

/// Faults 40, 41: reads whatever input files hold, and gives each record an item.
#[test]
fn input_rows_are_read_whatever_they_hold() {
    fuzz("input_rows", 500);
}
