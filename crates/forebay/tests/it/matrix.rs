//! The matrix of faults: which test shows what Forebay does about each.
//!
//! A test says which faults it covers in its doc comment, in lines such as
//! `/// Fault 14: waits as long as asked.`; `docs/reference/faults.md` is made of these lines.
//! Run this test with `FOREBAY_UPDATE=1` to write the page anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::tidy::{root, rust_files};

/// Where the page is.
const PAGE: &str = "docs/reference/faults.md";

/// A fault, and what it waits for if nothing can meet it yet.
struct Fault {
    number: u32,
    what: &'static str,
    awaits: Option<&'static str>,
}

const fn met(number: u32, what: &'static str) -> Fault {
    Fault {
        number,
        what,
        awaits: None,
    }
}

const fn awaits(number: u32, what: &'static str, feature: &'static str) -> Fault {
    Fault {
        number,
        what,
        awaits: Some(feature),
    }
}

/// Every fault that is known of providers, networks, machines and users.
const FAULTS: &[Fault] = &[
    met(1, "The connection is refused"),
    met(2, "The host name cannot be resolved, or only at times"),
    met(
        3,
        "The certificate is bad: self-signed, of another host, expired",
    ),
    met(4, "The TLS handshake is reset or stalls"),
    met(5, "A reused connection is reset before the answer"),
    met(6, "A new connection is reset before the answer"),
    met(
        7,
        "The connection is reset after the head or in the middle of the body",
    ),
    met(
        8,
        "A stream is cut, or ends without a reason and a terminator",
    ),
    met(9, "A stream ends after its reason, without a terminator"),
    met(10, "The answer never begins"),
    met(11, "The answer stalls in the middle"),
    met(12, "A stream has comments and empty lines only, for ever"),
    met(13, "The answer drips, a byte every ten seconds"),
    met(14, "429 with `retry-after` in seconds, whole or not"),
    met(15, "429 with `retry-after-ms`"),
    met(
        16,
        "429 with a date, also in the past, also with a wrong clock",
    ),
    met(
        17,
        "429 without a header: the wait is in the body, or nowhere",
    ),
    met(18, "429 with a wait of ten years, or beyond all numbers"),
    met(
        19,
        "429 with a wait that is negative, zero, no number, empty, or there twice",
    ),
    met(20, "429 for every request, for ten minutes"),
    met(21, "The quota, the credit or the day is used up"),
    met(22, "The key is refused, at the start or in the middle"),
    met(
        23,
        "The model is unknown, or the first items all fail alike",
    ),
    met(24, "400, 413, 422 for one item"),
    met(25, "408, 409, 425, 498, 500, 502, 504, 52x, also as HTML"),
    met(26, "503, 529, `slow_down`, a ramp limit"),
    met(27, "An outage of ten minutes"),
    met(28, "200 with invalid JSON, HTML, or nothing"),
    met(29, "200 with broken compression, length or chunks"),
    met(30, "200 with an error inside"),
    met(31, "200 without choices or content"),
    met(
        32,
        "200 with the wrong content type, or a stream nobody asked for",
    ),
    met(33, "An answer, a head or a line without end"),
    met(34, "An answer without usage"),
    met(35, "Another model answers"),
    met(36, "The content is filtered or refused"),
    met(37, "The answer is cut by the token limit"),
    met(38, "The answer breaks the schema that was asked for"),
    met(39, "Two items have one key, or one content"),
    met(
        40,
        "Malformed rows: bad JSON, marks, empty lines, no last line end, endless lines, deep nesting",
    ),
    met(41, "Rows that are no UTF-8, have lone surrogates or NUL"),
    met(
        42,
        "The input is a pipe, or was changed between run and resume",
    ),
    met(43, "The disk is full"),
    met(44, "The disk fails to write or to sync"),
    met(45, "Someone deletes, renames or truncates the output"),
    met(46, "Two processes write one output"),
    met(47, "The reader of standard output is gone"),
    met(
        48,
        "The process is killed, or the power fails, at any moment",
    ),
    met(49, "SIGINT or SIGTERM, once"),
    met(50, "SIGINT, twice"),
    met(51, "SIGHUP, SIGPIPE, SIGTSTP and SIGCONT"),
    met(52, "Memory is short"),
    met(53, "Few files may be open"),
    met(54, "The machine has no more ports"),
    met(55, "The wall clock jumps by a day"),
    met(56, "The machine sleeps for eight hours"),
    met(57, "The network changes, a router forgets the connection"),
    met(
        58,
        "The server closes after each answer, speaks HTTP/1.0, sends 1xx first",
    ),
    met(59, "A redirect to another host"),
    met(60, "Items are cancelled while others wait"),
    met(61, "A panic in the work on one item"),
    met(62, "The price or the limits of a model are unknown"),
    awaits(
        63,
        "A provider's batch: a crash between its creation and the journal",
        "provider batches",
    ),
    awaits(
        64,
        "A provider's batch: rows are missing, expired, or in two files",
        "provider batches",
    ),
];

/// What a test says about one fault.
struct Shown {
    says: String,
    test: String,
}

/// All tests' lines by fault.
fn shown() -> BTreeMap<u32, Vec<Shown>> {
    let mut shown = BTreeMap::<u32, Vec<Shown>>::new();
    for package in ["forebay", "forebay-sim", "forebay-cli"] {
        for folder in ["tests/it", "src"] {
            let folder = root().join("crates").join(package).join(folder);
            for path in rust_files(&folder) {
                let module = module_of(&path, &folder);
                let source = fs::read_to_string(&path).unwrap();
                for (numbers, says, name) in claims(&source) {
                    let test = format!("{package}: {module}{name}");
                    for number in numbers {
                        let says = says.clone();
                        let test = test.clone();
                        shown.entry(number).or_default().push(Shown { says, test });
                    }
                }
            }
        }
    }
    shown
}

/// The path of a test's module, with `::` at its end.
fn module_of(path: &Path, folder: &Path) -> String {
    let path = path.strip_prefix(folder).unwrap().with_extension("");
    path.iter()
        .map(|part| part.to_str().unwrap())
        .filter(|part| !["main", "mod"].contains(part))
        .map(|part| format!("{part}::"))
        .collect()
}

/// The claims of a source: the faults, what is said of them, and the test's name.
fn claims(source: &str) -> Vec<(Vec<u32>, String, String)> {
    let mut claims = Vec::new();
    let mut open: Vec<(Vec<u32>, String)> = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            match claim(text) {
                Some(claim) => open.push(claim),
                // A claim goes on in the next line until its sentence ends.
                None => match open.last_mut() {
                    Some((_, says)) if !says.ends_with('.') => {
                        says.push(' ');
                        says.push_str(text);
                    }
                    _ => {}
                },
            }
        } else if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if line.starts_with("fn ") || line.starts_with("async fn ") {
            let name = line.split("fn ").nth(1).unwrap_or_default();
            let name = name.split(['(', '<']).next().unwrap_or_default();
            for (numbers, says) in open.drain(..) {
                assert!(
                    is_test,
                    "{name} claims to show faults {numbers:?} and is no test"
                );
                claims.push((numbers, says, name.to_owned()));
            }
            is_test = false;
        } else if !line.starts_with("#[") && !line.starts_with("///") {
            assert!(
                open.is_empty() || line.is_empty() || is_test,
                "a claim above {line}"
            );
        }
    }
    claims
}

/// Reads `Fault 14: …` or `Faults 25, 26: …`.
fn claim(text: &str) -> Option<(Vec<u32>, String)> {
    let rest = text
        .strip_prefix("Fault ")
        .or_else(|| text.strip_prefix("Faults "))?;
    let (numbers, says) = rest.split_once(": ")?;
    let numbers = numbers.split(',').map(|number| number.trim().parse().ok());
    Some((numbers.collect::<Option<_>>()?, says.to_owned()))
}

fn page() -> String {
    let shown = shown();
    let known = |number: &u32| FAULTS.iter().any(|fault| fault.number == *number);
    let unknown: Vec<_> = shown.keys().filter(|number| !known(number)).collect();
    assert!(
        unknown.is_empty(),
        "tests name faults that are not on the list: {unknown:?}"
    );
    let mut page = String::from(
        "# Faults, and what Forebay does about them\n\n\
         This page is made of the tests' own words: `FOREBAY_UPDATE=1 cargo test -p forebay --test it matrix`.\n\
         Each run of the engine in these tests is judged by [`forebay sim check`](check.md).\n\
         To try one by hand, see [the simulator's faults](sim-faults.md).\n\n\
         | # | fault | what Forebay does | test |\n|---|---|---|---|\n",
    );
    for fault in FAULTS {
        let (does, tests) = match (shown.get(&fault.number), fault.awaits) {
            (Some(shown), _) => {
                let does: Vec<String> = shown.iter().map(|shown| sentence(&shown.says)).collect();
                let tests = shown.iter().map(|shown| format!("`{}`", shown.test));
                (
                    once(&does).join(" "),
                    once(&tests.collect::<Vec<_>>()).join("<br>"),
                )
            }
            (None, Some(feature)) => (format!("*awaits {feature}*"), String::new()),
            (None, None) => panic!("no test shows fault {}: {}", fault.number, fault.what),
        };
        writeln!(
            page,
            "| {} | {} | {does} | {tests} |",
            fault.number, fault.what
        )
        .unwrap();
    }
    page
}

/// A claim as a sentence of its own.
fn sentence(says: &str) -> String {
    let mut rest = says.chars();
    let first = rest.next().into_iter().flat_map(char::to_uppercase);
    first.chain(rest).collect()
}

/// Each text once, in the order of the first.
fn once<T: PartialEq + Clone>(texts: &[T]) -> Vec<T> {
    let mut once: Vec<T> = Vec::new();
    for text in texts {
        if !once.contains(text) {
            once.push(text.clone());
        }
    }
    once
}

#[test]
fn the_page_of_faults_says_what_the_tests_show() {
    let path: PathBuf = root().join(PAGE);
    let page = page();
    if std::env::var_os("FOREBAY_UPDATE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page,
        "{PAGE} is out of date: run this test with FOREBAY_UPDATE=1"
    );
}

#[test]
fn claims_are_read_from_doc_comments_of_tests() {
    let source = "/// Fault 14: waits as\n/// long as asked.\n/// Other words.\n#[tokio::test(start_paused = true)]\nasync fn waits() {\n}\n/// Faults 1, 2: goes on.\n#[test]\nfn on() {}\n/// Row 3.\nfn helper() {}\n";
    let read = claims(source);
    assert_eq!(
        read[0],
        (vec![14], "waits as long as asked.".into(), "waits".into())
    );
    assert_eq!(read[1], (vec![1, 2], "goes on.".into(), "on".into()));
    assert_eq!(read.len(), 2);
}
