//! `forebay sim --list-faults`: the catalogue of faults.
//!
//! Owns the listing in text and JSON. Never says what a fault does; the simulator does.

use forebay_sim::Dialect;
use forebay_sim::faults::{FaultEntry, catalogue};
use serde::Serialize;

use crate::report::pretty;

const INTRO: &str = "\
A model called sim/fault-NAME is struck each time, sim/fault-NAME:2 the first
two times that a request is seen; or give --fault NAME=P, or rules by --script.
Capital N stands for a number. The second column names the rows of
docs/reference/faults.md.
";

#[derive(Serialize)]
struct Line {
    name: &'static str,
    rows: &'static [u8],
    dialects: &'static [Dialect],
    streamed: bool,
    spoils: bool,
    summary: &'static str,
}

/// Lists the catalogue.
pub(crate) fn list(json: bool) -> String {
    if json {
        let lines = catalogue().map(|entry| Line {
            name: entry.name,
            rows: entry.rows,
            dialects: entry.dialects,
            streamed: entry.streamed,
            spoils: entry.spoils,
            summary: entry.summary,
        });
        return pretty(&lines.collect::<Vec<_>>());
    }
    let lines: Vec<[String; 4]> = catalogue().map(cells).collect();
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].len());
        cells.max().unwrap_or_default()
    };
    let widths = [width(0), width(1), width(2)];
    let mut list = format!("{INTRO}\n");
    for [name, rows, dialects, summary] in &lines {
        let [a, b, c] = widths;
        list.push_str(&format!("{name:a$}  {rows:b$}  {dialects:c$}  {summary}\n"));
    }
    list
}

fn cells(entry: &FaultEntry) -> [String; 4] {
    let rows: Vec<String> = entry.rows.iter().map(u8::to_string).collect();
    let name = match entry.target {
        true => format!("{}[@HOST:PORT]", entry.name),
        false => entry.name.to_owned(),
    };
    let dialects = match entry.dialects {
        [Dialect::OpenAi] => "openai",
        [Dialect::Anthropic] => "anthropic",
        [Dialect::Gemini] => "gemini",
        _ => "all",
    };
    let streams = match entry.streamed {
        true => "streams: ",
        false => "",
    };
    [
        name,
        rows.join(", "),
        dialects.to_owned(),
        format!("{streams}{}", entry.summary),
    ]
}
