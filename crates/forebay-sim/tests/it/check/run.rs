//! A small run as its files tell it, clean until a test doctors it.
//!
//! Six items in one session: the second is answered with 500 and then well, the third is refused
//! with 400, the fourth and the fifth have the same request.

use std::time::Duration;

use forebay_sim::check::{Bounds, Evidence, Format, Invariant, Log, Report, Rows, Source, check};
use xxhash_rust::xxh3::xxh3_128;

/// The files, line by line; records of the journal lack their checksums.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) log: Vec<String>,
    pub(crate) rows: Vec<String>,
    pub(crate) errors: Vec<String>,
    pub(crate) journal: Vec<String>,
    pub(crate) bounds: Bounds,
    pub(crate) log_is_given: bool,
    pub(crate) journal_is_given: bool,
}

/// The hash of an item's request.
pub(crate) fn body(item: u64) -> u128 {
    // The fifth item's request is the fourth's.
    xxh3_128(&(if item == 4 { 3 } else { item }).to_le_bytes())
}

/// An item's key in the journal.
pub(crate) fn key(item: u64) -> String {
    format!("{:032x}", body(item) ^ xxh3_128(b"openai"))
}

pub(crate) fn request(seq: u64, item: u64, t_s: f64) -> String {
    format!(
        r#"{{"event":"request","seq":{seq},"connection":{seq},"t_s":{t_s},"dialect":"openai","model":"m","key":"{:032x}","seen":1,"input_tokens":1,"output_tokens":0}}"#,
        body(item)
    )
}

pub(crate) fn answer(seq: u64, item: u64, t_s: f64, status: u16) -> String {
    let tokens = if status == 200 { 10 + item } else { 0 };
    format!(
        r#"{{"event":"answer","seq":{seq},"connection":{seq},"t_s":{t_s},"dialect":"openai","model":"m","key":"{:032x}","seen":1,"status":{status},"input_tokens":1,"output_tokens":{tokens}}}"#,
        body(item)
    )
}

pub(crate) fn dropped(seq: u64, item: u64, t_s: f64, reason: &str) -> String {
    format!(
        r#"{{"event":"dropped","seq":{seq},"connection":{seq},"t_s":{t_s},"dialect":"openai","model":"m","key":"{:032x}","seen":1,"input_tokens":1,"output_tokens":0,"reason":"{reason}"}}"#,
        body(item)
    )
}

pub(crate) fn sent(item: u64, n: u32) -> String {
    format!(
        r#"{{"t":"sent","at":1.5,"k":"{}","i":{item},"n":{n}"#,
        key(item)
    )
}

pub(crate) fn retry(item: u64, n: u32, kind: &str) -> String {
    format!(
        r#"{{"t":"retry","at":1.5,"k":"{}","n":{n},"kind":"{kind}""#,
        key(item)
    )
}

/// The members of a row after `custom_id` and `index`.
fn content(item: u64, attempts: u32) -> String {
    let tokens = 10 + item;
    format!(
        r#""text":"item {item}","output":"answer {item}","error":null,"model":"m","finish_reason":"stop","usage":{{"input_tokens":1,"output_tokens":{tokens},"cached_input_tokens":0,"reasoning_tokens":0}},"cost_usd":0.0000{tokens},"duration_s":0.1,"attempts":{attempts}}}"#
    )
}

fn failed_content(item: u64, kind: &str, attempts: u32) -> String {
    format!(
        r#""text":"item {item}","output":null,"error":{{"kind":"{kind}","status":400,"code":null,"message":"no","attempts":{attempts}}},"model":null,"finish_reason":null,"usage":null,"cost_usd":0,"duration_s":0.1,"attempts":{attempts}}}"#
    )
}

pub(crate) fn done(item: u64, attempts: u32) -> String {
    let (tokens, content) = (10 + item, content(item, attempts));
    format!(
        r#"{{"t":"done","at":1.5,"k":"{}","i":{item},"ok":true,"f":7,"u":[1,{tokens},0,0],"c":{tokens}000000,"row":{{{content}"#,
        key(item)
    )
}

pub(crate) fn failed(item: u64, kind: &str, attempts: u32) -> String {
    let content = failed_content(item, kind, attempts);
    format!(
        r#"{{"t":"done","at":1.5,"k":"{}","i":{item},"ok":false,"f":7,"kind":"{kind}","row":{{{content}"#,
        key(item)
    )
}

pub(crate) fn row(item: u64, attempts: u32) -> String {
    format!(
        r#"{{"custom_id":"item-{item}","index":{item},{}"#,
        content(item, attempts)
    )
}

pub(crate) fn failed_row(item: u64, kind: &str, attempts: u32) -> String {
    let content = failed_content(item, kind, attempts);
    format!(r#"{{"custom_id":"item-{item}","index":{item},{content}"#)
}

pub(crate) fn session() -> String {
    r#"{"t":"run","at":1.5,"v":1,"data":{"endpoint":"openai","model":"m"}"#.into()
}

pub(crate) fn end(kind: &str, took_s: f64) -> String {
    format!(r#"{{"t":"end","at":1.5,"kind":"{kind}","total":{took_s}"#)
}

impl Run {
    pub(crate) fn clean() -> Run {
        let mut log = Vec::new();
        for item in 0..6 {
            let t_s = item as f64;
            log.push(request(item + 1, item, t_s));
            let status = [200, 500, 400, 200, 200, 200][item as usize];
            log.push(answer(item + 1, item, t_s + 0.5, status));
        }
        // Answers to the same request are of the same length.
        log[9] = answer(5, 3, 4.5, 200);
        log.extend([request(7, 1, 6.0), answer(7, 1, 6.5, 200)]);
        let mut journal = vec![session(), r#"{"t":"items","at":1.5,"total":6"#.into()];
        journal.extend((0..6).map(|item| sent(item, 1)));
        journal.extend([
            done(0, 1),
            retry(1, 1, "server_error"),
            failed(2, "bad_request", 1),
        ]);
        journal.extend([
            done(3, 1),
            twin(done(4, 1)),
            done(5, 1),
            sent(1, 2),
            done(1, 2),
        ]);
        journal.push(end("complete", 6.5));
        let mut rows: Vec<_> = (0..6).map(|item| row(item, 1)).collect();
        rows[1] = row(1, 2);
        rows[2] = failed_row(2, "bad_request", 1);
        rows[4] = twin(row(4, 1));
        Run {
            log,
            errors: vec![rows[2].clone()],
            rows,
            journal,
            bounds: Bounds {
                max_attempts: Some(5),
                retry_budget: true,
                max_in_flight: Some(2),
                exit_code: Some(1),
                within: Some(Duration::from_secs(10)),
                secrets: vec!["hunter2-hunter2".into()],
                ..Bounds::default()
            },
            log_is_given: true,
            journal_is_given: true,
        }
    }

    /// The first line of the journal that begins so.
    pub(crate) fn place(&self, start: &str) -> usize {
        self.journal
            .iter()
            .position(|line| line.starts_with(start))
            .unwrap()
    }

    pub(crate) fn judged(&self) -> Report {
        self.try_judge().unwrap()
    }

    pub(crate) fn try_judge(&self) -> std::io::Result<Report> {
        let log = text(&self.log);
        let rows = text(&self.rows);
        let errors = text(&self.errors);
        let journal = text(
            &self
                .journal
                .iter()
                .map(|line| checked(line))
                .collect::<Vec<_>>(),
        );
        let evidence = Evidence {
            log: self
                .log_is_given
                .then(|| Log::Files(vec![Source::new("log.jsonl", log.as_bytes())])),
            rows: Some(Rows {
                source: Source::new("out.jsonl", rows.as_bytes()),
                format: Format::Lines,
            }),
            errors: Some(Source::new("errors.jsonl", errors.as_bytes())),
            journal: self
                .journal_is_given
                .then(|| Source::new("out.journal", journal.as_bytes())),
            others: Vec::new(),
        };
        check(evidence, &self.bounds)
    }
}

/// The fifth item's answer is as long, and costs as much, as the fourth's.
fn twin(line: String) -> String {
    line.replace(r#""output_tokens":14"#, r#""output_tokens":13"#)
        .replace("[1,14,0,0]", "[1,13,0,0]")
        .replace("0.000014", "0.000013")
        .replace("14000000", "13000000")
}

/// A record with its checksum; whole lines stay as they are.
fn checked(line: &str) -> String {
    if line.ends_with('}') && line.contains(r#","crc":""#) {
        return line.to_owned();
    }
    format!(
        r#"{line},"crc":"{:08x}"}}"#,
        crc32fast::hash(line.as_bytes())
    )
}

fn text(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The names of the violated invariants.
pub(crate) fn violated(report: &Report) -> Vec<&'static str> {
    let all = Invariant::ALL.into_iter();
    all.filter(|invariant| report.of(*invariant).violations > 0)
        .map(Invariant::name)
        .collect()
}
