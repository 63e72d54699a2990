//! What is found out before anything is sent, and faults of files.

use std::io::Write as _;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::error::ErrorKind;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(text).unwrap();
    writer.finish().unwrap()
}

fn zst(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 1).unwrap()
}

fn open_path(path: &str) -> Error {
    Source::open(spec(&[path.into()]), Prompting::default()).unwrap_err()
}

#[test]
fn a_file_must_be_there_and_be_a_file() {
    let files = Files::new();
    let error = open_path("gone/tickets.jsonl");
    assert_eq!(error.to_string(), "gone/tickets.jsonl does not exist");
    assert_eq!(error.kind(), ErrorKind::Io);
    let directory = files.0.path().display().to_string();
    let error = open_path(&directory).to_string();
    assert_eq!(error, format!("{directory} is a directory, not a file"));
}

#[test]
fn an_unknown_extension_lists_the_known_ones() {
    let (message, hint) = refusal("a.xlsx", "x", Prompting::default());
    assert_eq!(message, "cannot tell the format of a.xlsx by its name");
    assert!(
        hint.contains(".jsonl") && hint.contains("--format"),
        "{hint}"
    );
    let files = Files::new();
    let with_format = InputSpec {
        format: Some(Format::Text),
        ..spec(&[files.add("a.xlsx", "x")])
    };
    assert_eq!(
        all(Source::open(with_format, Prompting::default()).unwrap()).len(),
        1
    );
}

#[test]
fn empty_input_is_refused() {
    let none = Prompting::default;
    assert_eq!(refusal("a.txt", "", none()).0, "the input is empty");
    assert_eq!(
        refusal("a.txt", "\u{feff}\n \n", none()).0,
        "the input is empty"
    );
    assert_eq!(refusal("a.csv", "text\n\n", none()).0, "the input is empty");
    assert_eq!(
        refusal("a.txt.gz", gzip(b""), none()).0,
        "the input is empty"
    );
    let error = Source::open(InputSpec::default(), none()).unwrap_err();
    assert_eq!(error.to_string(), "the input is empty");
}

#[test]
fn what_a_file_holds_must_be_what_its_name_says() {
    let refusal = |name, bytes: &[u8]| refusal(name, bytes, Prompting::default()).0;
    assert_eq!(refusal("a.txt.gz", b"text"), "a.txt.gz is not gzip data");
    assert_eq!(
        refusal("a.txt.zst", &gzip(b"x")),
        "a.txt.zst is not zstd data"
    );
    assert_eq!(
        refusal("a.jsonl", &gzip(b"{}")),
        "a.jsonl is gzip data, which its name does not say"
    );
    assert_eq!(
        refusal("a.csv", &zst(b"x")),
        "a.csv is zstd data, which its name does not say"
    );
    assert_eq!(
        refusal("a.txt", b"\xff\xfea\0"),
        "a.txt is UTF-16 text, not UTF-8"
    );
    assert_eq!(
        refusal("a.csv", b"\xfe\xff\0a"),
        "a.csv is UTF-16 text, not UTF-8"
    );
    assert_eq!(
        refusal("a.json", b" [\n{}]"),
        "a.json holds a JSON array, not one JSON object per line"
    );
    assert_eq!(
        refusal("a.JSON.gz", &gzip(b"{\n \"a\": 1\n}")),
        "a.JSON.gz holds a JSON object over several lines, not one JSON object per line"
    );
}

#[test]
fn a_json_file_may_hold_json_lines() {
    let lines = "{\"text\": \"a\"}\n{\"text\": \"b\"}";
    assert_eq!(read("a.json", lines, Prompting::default()), ["a", "b"]);
}

#[test]
fn a_header_row_names_every_column_once() {
    let refusal = |text: &str| refusal("a.csv", text, Prompting::default()).0;
    assert_eq!(refusal("a,b,a\n"), "two columns of a.csv have the name `a`");
    assert_eq!(refusal("a, ,b\n"), "column 2 of a.csv has no name");
    assert_eq!(
        refusal("a,\"b\n1,2\n"),
        "the header row of a.csv: a quote is left open up to the end of the input"
    );
    assert!(refusal(&"x".repeat(2 << 20)).contains("no row ends within the first 1 MiB"));
}

#[test]
fn fields_that_do_not_exist_are_refused() {
    let (message, hint) = refusal("a.csv", "text,label\na,b\n", prompt("{{ txet }}"));
    assert_eq!(
        message,
        "the prompt template names the field `txet`, which the input does not have"
    );
    assert_eq!(hint, "did you mean `text`? columns: text, label");
    assert_eq!(
        refusal("a.txt", "x", prompt("{{ line }}")).1,
        "columns: text"
    );
    let id = |name: &str| Prompting {
        id_field: Some(name.to_owned()),
        ..Prompting::default()
    };
    let (message, hint) = refusal("a.jsonl", "{\"text\": 1, \"key\": 2}", id("kye"));
    assert_eq!(
        message,
        "--id-field names the field `kye`, which the input does not have"
    );
    assert!(hint.starts_with("did you mean `key`?"), "{hint}");
}

#[test]
fn json_fields_are_gathered_over_the_first_rows_and_files() {
    let files = Files::new();
    let mut lines = "{\"text\": \"a\"}\n".repeat(99);
    lines.push_str("{\"text\": \"b\", \"late\": 1}\n");
    let paths = [
        files.add("a.jsonl", &lines),
        files.add("b.jsonl", "{\"text\":\"\",\"more\":1}"),
    ];
    let optional = prompt("{{ text }}{% if late %}!{% endif %}{% if more %}?{% endif %}");
    let source = Source::open(spec(&paths), optional).unwrap();
    assert_eq!(source.columns(), ["text", "late", "more"]);
    let items = all(source);
    assert_eq!(said(&items[0]), "a");
    assert_eq!(said(&items[99]), "b!");
    assert_eq!(said(&items[100]), "?");
}

#[test]
fn each_csv_file_must_have_the_fields() {
    let files = Files::new();
    let paths = [
        files.add("a.csv", "q\n1\n"),
        files.add("b.csv", "question\n1\n"),
    ];
    let error = Source::open(spec(&paths), prompt("{{ q }}")).unwrap_err();
    assert!(
        error.to_string().contains("names the field `q`, which "),
        "{error}"
    );
    assert!(
        error.to_string().ends_with("b.csv does not have"),
        "{error}"
    );
}

#[test]
fn the_prompt_field_must_be_clear() {
    let (message, hint) = refusal("a.csv", "title,body\na,b\n", Prompting::default());
    assert_eq!(
        message,
        "cannot tell which field of a.csv is the prompt: title, body"
    );
    assert!(hint.contains("--prompt"), "{hint}");
    assert_eq!(
        read("a.csv", "body,custom_id\na,b\n", Prompting::default()),
        ["a"]
    );
}

#[test]
fn a_template_that_never_works_is_refused() {
    let (message, _) = refusal("a.txt", "x", prompt("{{ text|shout }}"));
    assert_eq!(
        message,
        "the prompt template fails on its line 1: unknown filter, filter shout is unknown: \
         `{{ text|shout }}`"
    );
    let (message, _) = refusal("a.txt", "x", prompt("{{ text"));
    assert!(
        message.starts_with("malformed prompt template at line 1"),
        "{message}"
    );
}

#[test]
fn compressed_files_are_read_whole() {
    let mut members = gzip(b"one\ntw");
    members.extend(gzip(b"o\nthree"));
    assert_eq!(
        read("a.txt.gz", members, Prompting::default()),
        ["one", "two", "three"]
    );
    let mut frames = zst(b"one\ntw");
    frames.extend(zst(b"o\nthree"));
    assert_eq!(
        read("a.txt.zst", frames, Prompting::default()),
        ["one", "two", "three"]
    );
}

#[test]
fn a_truncated_file_yields_its_whole_rows_and_then_an_error() {
    let row = |n: u64| format!("row {n} {}", n * 7919 % 10_007);
    let text: String = (0..100_000).map(|n| row(n) + "\n").collect();
    for (name, whole) in [
        ("a.txt.gz", gzip(text.as_bytes())),
        ("a.txt.zst", zst(text.as_bytes())),
    ] {
        let files = Files::new();
        let path = files.add(name, &whole[..whole.len() / 2]);
        let source = Source::open(spec(std::slice::from_ref(&path)), Prompting::default()).unwrap();
        assert_eq!(source.n_items(&AtomicBool::new(false)), None);
        let (mut n, mut error) = (0, None);
        for item in source {
            match item {
                Ok(item) => {
                    assert!(error.is_none());
                    assert_eq!(said(&item), row(n));
                    n += 1;
                }
                Err(fault) => error = Some(fault),
            }
        }
        let error = error.unwrap();
        assert!(n > 10_000, "{n}");
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(
            error
                .to_string()
                .contains(&format!("{name} after line {n}: ")),
            "{error}"
        );
        assert_eq!(
            error.hint(),
            Some("the file ends too early; was it copied whole?")
        );
    }
}

#[test]
fn a_file_that_went_away_is_an_error() {
    let files = Files::new();
    let path = files.add("a.txt", "x");
    let mut source = Source::open(spec(std::slice::from_ref(&path)), Prompting::default()).unwrap();
    std::fs::remove_file(path).unwrap();
    let error = source.next().unwrap().unwrap_err();
    assert!(
        error.to_string().ends_with("a.txt does not exist"),
        "{error}"
    );
    assert!(source.next().is_none());
}

#[test]
fn checking_reports_invalid_items_and_starts_over() {
    let files = Files::new();
    let text = "{\"text\": \"a\"}\n1\n2\n3\n4\n5\n6\n{\"text\": \"b\"}\n";
    let path = files.add("a.jsonl", text);
    let mut source = Source::open(spec(&[path]), Prompting::default()).unwrap();
    let report = source.check_all().unwrap();
    assert_eq!((report.items, report.invalid), (8, 6));
    assert_eq!(report.examples.len(), 5);
    assert_eq!(
        without_directory(&report.examples[0]),
        "line 2 of a.jsonl: neither a JSON object nor a JSON string"
    );
    let items = all(source);
    assert_eq!(items.len(), 8);
    assert_eq!(items[7].index, 7);
}

#[test]
fn a_stopped_count_is_none() {
    let files = Files::new();
    let path = files.add("a.txt", "x\n".repeat(5000));
    let source = Source::open(spec(&[path]), Prompting::default()).unwrap();
    let counter = source.counter().unwrap();
    assert_eq!(counter.count(&AtomicBool::new(true)), None);
    assert_eq!(counter.count(&AtomicBool::new(false)), Some(5000));
}
