/// The essence of each fault.
mod essences;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use essences::ESSENCES;
use forebay_sim::faults::{Fault, catalogue};
use forebay_sim::{Dialect, DropReason, LogRecord, Sim};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout};

use crate::client::{Client, quick, raw_post};

/// Far more than the slowest drip takes.
const PATIENCE: Duration = Duration::from_secs(4 * 3600);
/// Far more than a fault that ends has.
const ENOUGH: usize = 1 << 20;
/// Sixteen tokens, so that there is a middle.
const PROMPT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// What came of a request that was struck.
struct Outcome {
    bytes: Vec<u8>,
    end: Ended,
    took: Duration,
    log: Vec<LogRecord>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ended {
    /// The server closed the connection.
    Closed,
    /// Nothing more came for hours.
    Silent,
    /// More came than anybody wants.
    Endless,
}

/// One thing that is the essence of a fault.
#[derive(Debug)]
enum Is {
    Status(u16),
    With(&'static str),
    Without(&'static str),
    Ends(Ended),
    Bytes(usize),
    /// At least so many seconds.
    Takes(u64),
    /// No client may take it for a good answer, says the log.
    Spoiled,
    Dropped(DropReason),
}

async fn strike(name: &str, streamed: bool) -> Outcome {
    let sim = Sim::new(quick());
    let mut client = Client::connect(&sim);
    let stream = match streamed {
        true => r#","stream":true,"stream_options":{"include_usage":true}"#,
        false => "",
    };
    let body = format!(
        r#"{{"model":"sim/fault-{name}","messages":[{{"role":"user","content":"{PROMPT}"}}]{stream}}}"#
    );
    let key = "authorization: Bearer k\r\n";
    client
        .send(raw_post("/v1/chat/completions", key, &body))
        .await;
    let begun = Instant::now();
    let mut bytes = Vec::new();
    let mut took = Duration::ZERO;
    let end = loop {
        if bytes.len() > ENOUGH {
            break Ended::Endless;
        }
        match timeout(PATIENCE, client.io.read_buf(&mut bytes)).await {
            Ok(Ok(1..)) => took = begun.elapsed(),
            Ok(Ok(0) | Err(_)) => break Ended::Closed,
            Err(_) => break Ended::Silent,
        }
    };
    drop(client);
    // The server notices that the client is gone.
    tokio::time::sleep(Duration::from_secs(1)).await;
    Outcome {
        bytes,
        end,
        took,
        log: sim.log(),
    }
}

fn holds(is: &Is, outcome: &Outcome) -> bool {
    let text = String::from_utf8_lossy(&outcome.bytes);
    let last = outcome.log.last().unwrap();
    match is {
        Is::Status(status) => text.starts_with(&format!("HTTP/1.1 {status}")),
        Is::With(part) => text.contains(part),
        Is::Without(part) => !text.contains(part),
        Is::Ends(end) => outcome.end == *end,
        Is::Bytes(bytes) => outcome.bytes.len() == *bytes,
        Is::Takes(seconds) => outcome.took >= Duration::from_secs(*seconds),
        Is::Spoiled => last.spoiled,
        Is::Dropped(reason) => last.reason == Some(*reason),
    }
}

#[tokio::test(start_paused = true)]
async fn each_fault_is_what_it_says() {
    let mut tried = BTreeSet::new();
    let mut wrong = String::new();
    for (name, streamed, essence) in ESSENCES {
        let outcome = strike(name, *streamed).await;
        let fault: Fault = name.parse().unwrap();
        tried.insert(fault.entry().name);
        let text = String::from_utf8_lossy(&outcome.bytes[..outcome.bytes.len().min(2000)]);
        for is in essence.iter().filter(|is| !holds(is, &outcome)) {
            writeln!(wrong, "{name}: not {is:?}\n{text}\n").unwrap();
        }
        let [request, .., last] = &outcome.log[..] else {
            panic!("{name}: {:?}", outcome.log);
        };
        for record in [request, last] {
            assert_eq!(record.fault.as_deref(), Some(fault.name()), "{name}");
        }
        let must_spoil = essence.iter().any(|is| matches!(is, Is::Spoiled));
        if last.spoiled != must_spoil {
            writeln!(wrong, "{name}: spoiled is {}", last.spoiled).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let all: BTreeSet<_> = catalogue().map(|entry| entry.name).collect();
    assert_eq!(tried, all);
}

#[tokio::test(start_paused = true)]
async fn what_strikes_streams_leaves_other_answers_alone() {
    for (name, ..) in ESSENCES {
        let fault: Fault = name.parse().unwrap();
        if !fault.entry().streamed {
            continue;
        }
        let outcome = strike(name, false).await;
        let last = outcome.log.last().unwrap();
        assert_eq!((last.status, last.spoiled), (Some(200), false), "{name}");
        assert_eq!(last.fault, None, "{name}");
        let text = String::from_utf8(outcome.bytes).unwrap();
        assert!(text.contains(PROMPT), "{name}: {text}");
    }
}

/// A good answer by the log is one that a client can read, whatever is asked for.
#[tokio::test(start_paused = true)]
async fn what_an_operation_cannot_suffer_leaves_its_answer_good() {
    let embeddings = (
        "/v1/embeddings",
        r#"{"model":"m","input":"x","dimensions":2}"#,
    );
    let gemini = (
        "/v1beta/models/m:generateContent",
        r#"{"contents":[{"parts":[{"text":"0123"}]}]}"#,
    );
    for (name, (path, body), holds) in [
        ("refusal", embeddings, "\"embedding\":["),
        ("content-filter", embeddings, "\"embedding\":["),
        ("sse-for-json", embeddings, "\"embedding\":["),
        ("sse-for-json", gemini, "\"finishReason\":\"STOP\""),
    ] {
        let mut config = quick();
        config.rules = toml::from_str(&format!("[faults]\n{name} = 1")).unwrap();
        let sim = Sim::new(config);
        let keys = "authorization: Bearer k\r\nx-goog-api-key: k\r\n";
        let answer = Client::connect(&sim).ask(raw_post(path, keys, body)).await;
        let said = String::from_utf8(answer.body).unwrap();
        assert!(said.contains(holds), "{name} {path}: {said}");
        assert!(!sim.log()[1].spoiled, "{name} {path}");
    }
}

/// A reasoning model whose cap cuts it before its first word answers with nothing, and rightly.
#[tokio::test(start_paused = true)]
async fn nothing_is_never_explained_by_a_cap() {
    let sim = Sim::new(quick());
    let mut client = Client::connect(&sim);
    let body = format!(
        r#"{{"model":"fault-null-content","max_tokens":2,"messages":[{{"role":"user","content":"{PROMPT}"}}]}}"#
    );
    let key = "authorization: Bearer k\r\n";
    let answer = client
        .ask(raw_post("/v1/chat/completions", key, &body))
        .await;
    let answer = answer.json();
    assert_eq!(answer["choices"][0]["finish_reason"], "stop", "{answer}");
}

#[tokio::test(start_paused = true)]
async fn lengths_and_dates_are_as_wrong_as_told() {
    let value = |outcome: &Outcome, name: &str| -> String {
        let text = String::from_utf8_lossy(&outcome.bytes).into_owned();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name}: {text}")).to_owned()
    };
    for (name, by) in [
        ("wrong-content-length-long", 100),
        ("wrong-content-length-short", -10),
    ] {
        let outcome = strike(name, false).await;
        let told: i64 = value(&outcome, "content-length: ").parse().unwrap();
        let at = outcome.bytes.windows(4).position(|w| w == b"\r\n\r\n");
        let is = outcome.bytes.len() - at.unwrap() - 4;
        assert_eq!(told - is as i64, by, "{name}");
    }
    for (name, by) in [
        ("429-retry-after-date", 5),
        ("429-retry-after-date-past", -3600),
        ("429-retry-after-date-skewed", 5),
    ] {
        let outcome = strike(name, false).await;
        let second = |header| {
            let time = httpdate::parse_http_date(&value(&outcome, header)).unwrap();
            let since = time.duration_since(std::time::UNIX_EPOCH).unwrap();
            since.as_secs() as i64
        };
        assert_eq!(second("retry-after: ") - second("date: "), by, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_quota_is_told_in_each_dialects_words() {
    for (dialect, word) in [
        (Dialect::OpenAi, "insufficient_quota"),
        (Dialect::Anthropic, "enforced_spend_limit_reached"),
        (Dialect::Gemini, "GenerateRequestsPerDay"),
    ] {
        let mut config = quick();
        config.rules = toml::from_str("[faults]\nquota = 1").unwrap();
        let sim = Sim::new(config);
        let body = crate::client::body("x", 5);
        let mut client = Client::connect(&sim);
        let answer = client.ask(crate::client::post(dialect, &body)).await;
        let said = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, 429, "{dialect:?}");
        assert!(said.contains(word), "{dialect:?}: {said}");
        assert_eq!(answer.headers.iter().find(|h| h.0 == "retry-after"), None);
    }
}

/// The page of the catalogue, as Markdown.
fn page() -> String {
    let mut page = String::from(include_str!("catalogue/page.md"));
    for entry in catalogue() {
        let rows: Vec<String> = entry.rows.iter().map(u8::to_string).collect();
        let dialects = match entry.dialects {
            [one] => format!("{one:?}"),
            _ => "all".to_owned(),
        };
        let target = if entry.target { "[@HOST:PORT]" } else { "" };
        let streams = if entry.streamed { "Streams: " } else { "" };
        let (name, summary) = (entry.name, entry.summary);
        let rows = rows.join(", ");
        let line = format!("| `{name}{target}` | {rows} | {dialects} | {streams}{summary} |");
        writeln!(page, "{line}").unwrap();
    }
    page
}

#[test]
fn the_page_of_the_catalogue_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/sim-faults.md");
    let page = page();
    if std::env::var_os("UPDATE_PAGES").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let first = found.lines().zip(page.lines()).find(|(a, b)| a != b);
    assert!(
        found == page,
        "docs/reference/sim-faults.md differs from the catalogue, first at {first:?}; \
         run the test with UPDATE_PAGES=1"
    );
}
