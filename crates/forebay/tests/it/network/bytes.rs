//! Answers that are not what they should be, byte for byte.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use forebay_sim::Sim;

use super::between::{Answer, Between, Step};
use crate::harness::{Ended, Scenario, fixed, prompts};

/// Two items one after the other; something happens to the first answer.
async fn spoiled(spoil: impl Fn(&Answer) -> Vec<Step> + Send + Sync + 'static) -> (Ended, Between) {
    let mut scenario = Scenario {
        prompts: prompts(2),
        ..Scenario::default()
    };
    scenario.settings.concurrency = fixed(1);
    let sim = Sim::new(scenario.sim.clone());
    let between = Between::new(&sim, move |n, answer| match n {
        1 => spoil(answer),
        _ => vec![Step::Send(answer.whole())],
    });
    let ended = scenario.run_over(sim, between.connector()).await;
    (ended, between)
}

/// The only failed attempt must be the first, of this kind, and be made good by the second.
#[track_caller]
fn assert_made_good(ended: &Ended, kind: &str, name: &str) {
    let kinds: Vec<_> = ended
        .summary
        .failed_attempts
        .iter()
        .map(|(kind, n)| (kind.label(), *n))
        .collect();
    assert_eq!(kinds, [(kind, 1)], "{name}");
    assert_eq!((ended.summary.ok, ended.summary.failed), (2, 0), "{name}");
    let first = ended.rows.iter().find(|row| row["index"] == 0).unwrap();
    assert_eq!(first["attempts"], 2, "{name}");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn packed(name: &str, body: &[u8]) -> Vec<u8> {
    let headers = format!(
        "content-encoding: {name}\r\ncontent-length: {}\r\n",
        body.len()
    );
    Answer::made(&headers, body)
}

fn chunked(parts: &[u8]) -> Vec<u8> {
    Answer::made("transfer-encoding: chunked\r\n", parts)
}

fn of_length(length: usize, body: &[u8]) -> Vec<u8> {
    Answer::made(&format!("content-length: {length}\r\n"), body)
}

/// Faults 14, 29: believes the status and the headers of an error whose body is cut, stalls or cannot be unpacked.
#[tokio::test(start_paused = true)]
async fn an_error_is_what_its_status_says_whatever_becomes_of_its_body() {
    let refused = |headers: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\n{headers}\r\n");
        Step::Send([head.as_bytes(), body].concat())
    };
    type Case<'a> = (&'a str, &'a [u8], fn() -> Step);
    let cases: [Case<'_>; 4] = [
        ("content-length: 100\r\n", b"{", || Step::Close),
        ("content-length: 100\r\n", b"{", || Step::Silence),
        (
            "content-encoding: gzip\r\ncontent-length: 0\r\n",
            b"",
            || Step::Silence,
        ),
        ("transfer-encoding: chunked\r\n", b"zz\r\n", || Step::Close),
    ];
    for (headers, body, then) in cases {
        let (headers, body) = (headers.to_owned(), body.to_vec());
        let name = format!("{headers:?} {body:?}");
        let (ended, _) = spoiled(move |_| vec![refused(&headers, &body), then()]).await;
        assert_made_good(&ended, "rate_limited", &name);
        assert!(ended.wall.as_secs() >= 7, "{name}: {:?}", ended.wall);
        assert_eq!(ended.summary.maybe_billed, 0, "{name}");
    }
}

/// Fault 29: takes a body with a wrong length, bad chunks or bad packing for a failed attempt, and tries again.
#[tokio::test(start_paused = true)]
async fn a_body_that_contradicts_its_head_is_no_answer() {
    type Case = (&'static str, &'static str, fn(&[u8]) -> Vec<u8>);
    let cases: [Case; 11] = [
        ("gzip cut in the middle", "malformed", |body| {
            let whole = gzip(body);
            packed("gzip", &whole[..whole.len() / 2])
        }),
        ("gzip without its checksum", "malformed", |body| {
            let whole = gzip(body);
            packed("gzip", &whole[..whole.len() - 8])
        }),
        ("plain text called gzip", "malformed", |body| {
            packed("gzip", body)
        }),
        ("packing unknown", "malformed", |body| packed("br", body)),
        ("packed twice", "malformed", |body| {
            packed("gzip, gzip", &gzip(&gzip(body)))
        }),
        ("length too large", "truncated", |body| {
            of_length(body.len() + 1, body)
        }),
        ("length too small", "malformed", |body| {
            of_length(body.len() - 1, body)
        }),
        ("two lengths", "malformed", |body| {
            let headers = format!(
                "content-length: {}\r\ncontent-length: {}\r\n",
                body.len(),
                body.len() - 5
            );
            Answer::made(&headers, body)
        }),
        ("chunk size is no number", "malformed", |body| {
            chunked(&[b"zz\r\n", body, b"\r\n0\r\n\r\n"].concat())
        }),
        ("chunk size overflows", "malformed", |body| {
            chunked(&[b"ffffffffffffffffff\r\n", body].concat())
        }),
        ("last chunk missing", "truncated", |body| {
            let size = format!("{:x}\r\n", body.len());
            chunked(&[size.as_bytes(), body, b"\r\n"].concat())
        }),
    ];
    for (name, kind, spoil) in cases {
        let (ended, _) =
            spoiled(move |answer| vec![Step::Send(spoil(&answer.body)), Step::Close]).await;
        assert_made_good(&ended, kind, name);
    }
}

/// Fault 29: unpacks gzip that nobody asked for, and no more of it than 64 MiB.
#[tokio::test(start_paused = true)]
async fn gzip_is_unpacked_within_a_cap() {
    let (ended, _) = spoiled(|answer| vec![Step::Send(packed("gzip", &gzip(&answer.body)))]).await;
    assert_eq!(ended.summary.ok, 2);
    assert!(ended.rows.iter().all(|row| row["attempts"] == 1));

    let bomb = gzip(&vec![b' '; (61 << 20) + 1]);
    assert!(bomb.len() < 1 << 20);
    let (ended, _) = spoiled(move |_| vec![Step::Send(packed("gzip", &bomb))]).await;
    assert_made_good(&ended, "malformed", "bomb");
}

/// Fault 29: never takes what follows an answer for the answer to the next request.
#[tokio::test(start_paused = true)]
async fn a_second_answer_to_one_request_is_nobodys() {
    let (ended, _) = spoiled(|answer| {
        // Whole and well-formed, and the echo of another item.
        vec![Step::Send([answer.whole(), answer.whole()].concat())]
    })
    .await;
    assert_eq!(ended.summary.ok, 2);
    assert!(ended.rows.iter().all(|row| row["output"] == row["text"]));
}

/// Fault 33: ends an answer without end at 64 KiB of head or 64 MiB of body, and tries again.
#[tokio::test(start_paused = true)]
async fn an_endless_answer_is_cut_off() {
    const KIB: u64 = 1 << 10;
    let head = |line: &str| format!("HTTP/1.1 200 OK\r\n{line}");
    let cases = [
        (
            "one endless header",
            head("x: "),
            vec![b'x'; 1000],
            256 * KIB,
        ),
        (
            "endless headers",
            head(""),
            b"x-padding: 0123456789\r\n".to_vec(),
            256 * KIB,
        ),
        (
            "endless status line",
            "HTTP/1.1 200 ".to_owned(),
            vec![b'O'; 1000],
            256 * KIB,
        ),
        (
            "endless body",
            head("\r\n"),
            vec![b' '; 60_000],
            65 * KIB * KIB,
        ),
        (
            "endless chunks",
            head("transfer-encoding: chunked\r\n\r\n"),
            [b"ea60\r\n".to_vec(), vec![b' '; 60_000], b"\r\n".to_vec()].concat(),
            65 * KIB * KIB,
        ),
        (
            "a terabyte",
            head("content-length: 1099511627776\r\n\r\n"),
            vec![b' '; 60_000],
            65 * KIB * KIB,
        ),
    ];
    for (name, head, more, most) in cases {
        let (ended, between) = spoiled(move |_| {
            vec![
                Step::Send(head.clone().into_bytes()),
                Step::Forever(more.clone()),
            ]
        })
        .await;
        assert_made_good(&ended, "malformed", name);
        assert!(between.sent() < most, "{name}: {}", between.sent());
    }
}
