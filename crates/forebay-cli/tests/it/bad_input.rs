//! Input that is missing, damaged or contradictory.

use std::fs::File;
use std::io::Write as _;

use crate::harness::{Folder, THREE, column};
use crate::simulator::Simulator;
use crate::transcript::Transcript;

/// Against the embedded simulator; `-q` leaves nothing but errors on stderr.
const TO_FILE: [&str; 5] = ["-m", "sim/gpt-4o-mini", "-o", "out.jsonl", "-q"];

fn with<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &TO_FILE].concat()
}

#[test]
fn what_cannot_be_read_is_refused() {
    let mut said = Transcript::default();
    let folder = Folder::new();
    folder.write("empty.txt", "");
    folder.write("blank.jsonl", "\n \n\n");
    folder.write("header.csv", "text,label\n");
    folder.write("tickets", THREE);
    folder.write("utf16.txt", b"\xff\xfea\0b\0");
    folder.write("renamed.txt", b"\x1f\x8b\x08\0\0\0\0\0\0\x03");
    folder.write("plain.jsonl.gz", "{\"text\":\"x\"}\n");
    folder.write("array.json", "[\n{\"text\":\"x\"}\n]\n");
    std::fs::create_dir(folder.path("tickets.d")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path("broken.txt")).unwrap();
    for (what, input) in [
        ("missing", "missing.txt"),
        ("empty", "empty.txt"),
        ("only blank lines", "blank.jsonl"),
        ("only a header", "header.csv"),
        ("a directory", "tickets.d"),
        ("a broken link", "broken.txt"),
        ("no extension", "tickets"),
        ("UTF-16", "utf16.txt"),
        ("compressed, though its name does not say so", "renamed.txt"),
        ("not compressed, though its name says so", "plain.jsonl.gz"),
        ("one JSON value over many lines", "array.json"),
    ] {
        let code = if what == "no extension" { 2 } else { 3 };
        said.refused(what, &folder, &with(&[input]), code);
    }
    let both = with(&["tickets.d", "empty.txt"]);
    said.refused("one of several", &folder, &both, 3);
    insta::assert_snapshot!(said.text());
}

#[test]
fn empty_standard_input_is_refused() {
    let mut said = Transcript::default();
    let folder = Folder::new();
    let arguments = with(&["-"]);
    let forebay = folder
        .forebay(&[&["run"], &arguments[..]].concat())
        .stdin("");
    said.refused_as("empty stdin", &folder, &arguments, (forebay, 3));
    let twice = with(&["-", "-"]);
    said.refused("stdin twice", &folder, &twice, 2);
    insta::assert_snapshot!(said.text());
}

#[test]
fn a_truncated_archive_is_told_after_what_was_in_it() {
    let whole = crate::inputs::gzip(&crate::harness::items(300));
    let folder = Folder::with("cut.txt.gz", &whole[..whole.len() / 2]);
    let ended = folder.forebay(&[&["run", "cut.txt.gz"], &TO_FILE[..]].concat());
    let ended = ended.ends(3);
    ended.keeps_quiet_about("item 1");
}

/// Fault 40: makes a malformed row a failed row with its line, and goes on with the others.
#[test]
fn malformed_rows_become_error_rows_with_their_line() {
    let lines = "{\"text\":\"first\"}\n{\"text\": secret}\n\n[1]\n{\"text\":\"\"}\n\
                 {\"other\":\"x\"}\n{\"text\":\"last\"}\n";
    let folder = Folder::with("in.jsonl", lines);
    let mut sim = Simulator::quick();
    sim.run(&folder, &["in.jsonl", "-o", "out.jsonl", "-q", "-c", "1"])
        .ends(1);
    let rows = folder.rows("out.jsonl");
    assert_eq!(column(&rows, "index"), ["0", "1", "2", "3", "4", "5"]);
    let messages: Vec<_> = rows.iter().map(|row| &row["error"]["message"]).collect();
    assert_eq!(
        messages,
        [
            &serde_json::Value::Null,
            &"line 2 of in.jsonl: malformed JSON at column 10: expected value".into(),
            &"line 4 of in.jsonl: neither a JSON object nor a JSON string".into(),
            &"line 5 of in.jsonl: the prompt is empty".into(),
            &"line 6 of in.jsonl: the prompt is empty: the field `text` is missing".into(),
            &serde_json::Value::Null,
        ]
    );
    let kinds: Vec<_> = rows
        .iter()
        .filter_map(|row| row["error"]["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["invalid_item"; 4]);
    assert!(!folder.read("out.jsonl").contains("secret"));
    let failed = folder.rows("out.jsonl.errors.jsonl");
    assert_eq!(column(&failed, "index"), ["1", "2", "3", "4"]);
    assert_eq!(sim.prompts(), ["first", "last"]);
}

/// Fault 40: refuses before anything is sent, with `--strict`.
#[test]
fn strict_refuses_before_anything_is_sent() {
    let mut said = Transcript::default();
    let folder = Folder::with("in.jsonl", "{\"text\":\"good\"}\n{\"text\": bad}\n[]\n");
    let mut sim = Simulator::quick();
    let forebay = sim.run(&folder, &["in.jsonl", "-o", "out.jsonl", "--strict"]);
    let shown = with(&["in.jsonl", "--strict"]);
    said.refused_as("strict", &folder, &shown, (forebay, 2));
    let forebay = sim
        .run(&folder, &["-", "--format", "jsonl", "--strict"])
        .stdin("{\"text\":\"good\"}\noops\n");
    said.refused_as(
        "strict, of a pipe",
        &folder,
        &["-", "--strict"],
        (forebay, 2),
    );
    assert!(sim.records().is_empty());
    insta::assert_snapshot!(said.text());
}

#[test]
fn strict_lets_a_clean_pipe_pass() {
    let folder = Folder::new();
    let mut sim = Simulator::quick();
    let ended = sim
        .run(&folder, &["-", "--strict", "-q"])
        .stdin(THREE)
        .ends(0);
    assert_eq!(ended.rows().len(), 3);
    assert_eq!(sim.prompts().len(), 3);
}

/// Fault 41: makes bytes that are no text one row's failure.
#[test]
fn bytes_that_are_no_text_are_one_row_s_fault() {
    let folder = Folder::with("in.txt", b"good\nb\xffd\nalso good\n");
    let mut sim = Simulator::quick();
    sim.run(&folder, &["in.txt", "-o", "out.jsonl", "-q", "-c", "1"])
        .ends(1);
    let rows = folder.rows("out.jsonl");
    let message = rows[1]["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("line 2 of in.txt: "), "{message}");
    assert!(message.contains("UTF-8"), "{message}");
    assert_eq!(sim.prompts(), ["good", "also good"]);
}

/// Fault 40: takes marks and line ends of Windows for no part of the text.
#[test]
fn marks_and_line_ends_of_windows_are_no_part_of_the_text() {
    let mark = "\u{feff}";
    for (name, content) in [
        ("in.txt", format!("{mark}one\r\ntwo\r\n")),
        ("in.csv", format!("{mark}text,n\r\none,1\r\ntwo,2\r\n")),
        (
            "in.jsonl",
            format!("{mark}{{\"text\":\"one\"}}\r\n\"two\"\r\n"),
        ),
    ] {
        let folder = Folder::with(name, content);
        let mut sim = Simulator::quick();
        let ended = sim.run(&folder, &[name, "-q", "-c", "1"]).ends(0);
        assert_eq!(column(&ended.rows(), "text"), ["one", "two"], "{name}");
        assert_eq!(sim.prompts(), ["one", "two"], "{name}");
    }
}

/// Fault 40: makes a line without end one row's failure, and does not keep it in memory.
#[test]
fn a_line_without_end_is_one_row_s_fault() {
    let folder = Folder::new();
    let mut file = File::create(folder.path("in.txt")).unwrap();
    file.write_all(b"before\n").unwrap();
    let megabyte = vec![b'x'; 1 << 20];
    for _ in 0..70 {
        file.write_all(&megabyte).unwrap();
    }
    file.write_all(b"\nafter\n").unwrap();
    drop(file);
    let mut sim = Simulator::quick();
    sim.run(&folder, &["in.txt", "-o", "out.jsonl", "-q", "-c", "1"])
        .ends(1);
    let rows = folder.rows("out.jsonl");
    assert_eq!(rows.len(), 3);
    let message = rows[1]["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("line 2 of in.txt: "), "{message}");
    assert!(message.contains("64 MiB"), "{message}");
    assert_eq!(sim.prompts(), ["before", "after"]);
}

/// Fault 39: refuses two equal keys of a file, with both lines, before anything is sent.
#[test]
fn equal_keys_are_refused_before_anything_is_sent() {
    let mut said = Transcript::default();
    let folder = Folder::new();
    folder.write(
        "own.jsonl",
        "{\"custom_id\":\"a\",\"text\":\"1\"}\n{\"custom_id\":\"b\",\"text\":\"2\"}\n\
         {\"custom_id\":\"a\",\"text\":\"3\"}\n",
    );
    folder.write("key.csv", "key,text\n7,one\n8,two\n7,three\n");
    let mut sim = Simulator::quick();
    for arguments in [&["own.jsonl"][..], &["key.csv", "--id-field", "key"]] {
        let to_file = [arguments, &["-o", "out.jsonl", "-q"]].concat();
        let forebay = sim.run(&folder, &to_file);
        said.refused_as("equal keys", &folder, &with(arguments), (forebay, 2));
    }
    assert!(sim.records().is_empty());
    insta::assert_snapshot!(said.text());
}

/// Fault 39: makes the later of two equal keys of a pipe a failed row.
#[test]
fn equal_keys_of_a_pipe_become_error_rows() {
    let folder = Folder::new();
    let mut sim = Simulator::quick();
    let ended = sim
        .run(
            &folder,
            &["-", "--id-field", "key", "--order", "input", "-q"],
        )
        .stdin(
            "{\"key\":\"a\",\"text\":\"1\"}\n{\"key\":\"b\",\"text\":\"2\"}\n\
             {\"key\":\"a\",\"text\":\"3\"}\n",
        )
        .ends(1);
    let rows = ended.rows();
    assert_eq!(column(&rows, "custom_id")[..2], ["a", "b"]);
    assert_eq!(rows.len(), 3);
    let message = rows[2]["error"]["message"].as_str().unwrap();
    assert_eq!(message, "the key \"a\" is that of item 0 already");
    assert_eq!(sim.prompts().len(), 2);
}

#[test]
fn ragged_csv_rows_become_error_rows() {
    let folder = Folder::with(
        "in.csv",
        "text,label\none,a\ntwo\n\"three\nlines\",b,c\nfour,d\n",
    );
    let mut sim = Simulator::quick();
    sim.run(&folder, &["in.csv", "-o", "out.jsonl", "-q", "-c", "1"])
        .ends(1);
    let rows = folder.rows("out.jsonl");
    let message = |n: usize| rows[n]["error"]["message"].as_str().unwrap_or_default();
    assert_eq!(rows.len(), 4);
    assert_eq!(message(1), "line 3 of in.csv: expected 2 fields, found 1");
    assert_eq!(message(2), "line 4 of in.csv: expected 2 fields, found 3");
    assert_eq!(sim.prompts(), ["one", "four"]);
}
