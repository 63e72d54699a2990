//! Every form of input becomes the same items.

use crate::harness::{Folder, THREE, assert_all_ok, column, in_input_order, items};
use crate::simulator::Simulator;

const TEXTS: [&str; 3] = ["first ticket", "second ticket", "third ticket"];

const JSON: &str = "{\"text\":\"first ticket\"}\n\"second ticket\"\n{\"text\":\"third ticket\"}\n";

/// Gzip data of this text, stored as it is (RFC 1952 and 1951).
pub(crate) fn gzip(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let length = u16::try_from(bytes.len()).unwrap();
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    out.push(1);
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(bytes);
    out.extend(crc32(bytes).to_le_bytes());
    out.extend(u32::from(length).to_le_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
        }
    }
    !crc
}

/// A zstd frame of this text, stored as it is (RFC 8878).
fn zstd(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let length = u8::try_from(bytes.len()).unwrap();
    // Single segment, so that one byte tells the size; then the last block, raw.
    let mut out = vec![0x28, 0xb5, 0x2f, 0xfd, 0x20, length];
    let header = (u32::from(length) << 3) | 1;
    out.extend(&header.to_le_bytes()[..3]);
    out.extend(bytes);
    out
}

#[test]
fn each_form_of_file() {
    let mut sim = Simulator::quick();
    let csv = "text,label\nfirst ticket,a\nsecond ticket,b\nthird ticket,c\n";
    let tsv = "label\ttext\na\tfirst ticket\nb\tsecond ticket\nc\tthird ticket\n";
    for (name, content) in [
        ("in.txt", THREE.as_bytes().to_owned()),
        ("in.md", THREE.as_bytes().to_owned()),
        ("in.jsonl", JSON.as_bytes().to_owned()),
        ("in.ndjson", JSON.as_bytes().to_owned()),
        ("in.csv", csv.as_bytes().to_owned()),
        ("in.tsv", tsv.as_bytes().to_owned()),
        ("in.txt.gz", gzip(THREE)),
        ("in.csv.gz", gzip(csv)),
        ("in.jsonl.zst", zstd(JSON)),
        ("in.TXT", THREE.trim_end().as_bytes().to_owned()),
    ] {
        let folder = Folder::with(name, content);
        let before = sim.prompts().len();
        let arguments = [name, "-o", "out.jsonl", "-q", "-c", "1"];
        sim.run(&folder, &arguments).ends(0);
        let rows = folder.rows("out.jsonl");
        assert_eq!(column(&rows, "text"), TEXTS, "{name}");
        assert_eq!(column(&rows, "index"), ["0", "1", "2"], "{name}");
        assert_eq!(column(&rows, "custom_id"), ["item-0", "item-1", "item-2"]);
        assert_eq!(sim.prompts()[before..], TEXTS, "{name}");
    }
}

#[test]
fn standard_input() {
    let sim = Simulator::quick();
    let folder = Folder::new();
    for (input, more) in [
        (THREE, &[][..]),
        (THREE, &["--format", "txt"]),
        (JSON, &[]),
        (
            "text\nfirst ticket\nsecond ticket\nthird ticket\n",
            &["--format", "csv"],
        ),
    ] {
        let arguments = [&["-", "--order", "input", "-q"], more].concat();
        let ended = sim.run(&folder, &arguments).stdin(input).ends(0);
        assert_eq!(column(&ended.rows(), "text"), TEXTS, "{more:?}");
    }
    let ended = sim
        .run(&folder, &["-", "-o", "out.jsonl", "-q"])
        .stdin(THREE)
        .ends(0);
    assert_eq!(ended.stdout, "");
    assert_eq!(column(&folder.rows("out.jsonl"), "text"), TEXTS);
}

#[test]
fn several_inputs_are_one() {
    let folder = Folder::with("a.txt", "one\ntwo\n");
    folder.write("b.csv", "text,n\nthree,3\n");
    folder.write("c.jsonl", "\"five\"\n");
    let sim = Simulator::quick();
    sim.run(
        &folder,
        &["a.txt", "b.csv", "-", "c.jsonl", "-o", "out.jsonl", "-q"],
    )
    .stdin("four\n")
    .ends(0);
    let rows = folder.rows("out.jsonl");
    let texts = ["one", "two", "three", "four", "five"];
    assert_eq!(column(&rows, "text"), texts);
    assert_eq!(column(&rows, "index"), ["0", "1", "2", "3", "4"]);
    assert_eq!(rows[2]["n"], "3");
}

#[test]
fn messages_are_sent_as_they_are() {
    let server = crate::server::Server::start();
    let folder = Folder::with(
        "in.jsonl",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},\
         {\"role\":\"assistant\",\"content\":\"Yes?\"},{\"role\":\"user\",\"content\":\"Bye\"}],\
         \"tag\":7}\n",
    );
    let url = server.url("/v1");
    let arguments = ["run", "in.jsonl", "-m", "gpt-4o-mini", "--base-url", &url];
    let ended = folder
        .forebay(&[&arguments[..], &["-p", "Say {{ tag }}"]].concat())
        .ends(0);
    ended.says(&["1 items have messages of their own"]);
    let body = server.next().body;
    assert_eq!(body["messages"].as_array().unwrap().len(), 3);
    assert_eq!(body["messages"][2]["content"], "Bye");
    assert_eq!(ended.rows()[0]["tag"], 7);
    // A template that uses them has them.
    let uses = ["-p", "{{ messages[0].content }} and {{ tag }}", "-q"];
    folder.forebay(&[&arguments[..], &uses].concat()).ends(0);
    let body = server.next().body;
    assert_eq!(body["messages"][0]["content"], "Hi and 7");
}

#[test]
fn a_part_first_and_then_the_whole() {
    let folder = Folder::with("in.txt", items(20));
    let mut sim = Simulator::quick();
    let to = ["in.txt", "-o", "out.jsonl", "-q"];
    sim.run(&folder, &[&to[..], &["--limit", "3"]].concat())
        .ends(0);
    assert_all_ok(&folder.rows("out.jsonl"), 3);
    sim.run(
        &folder,
        &[&to[..], &["--offset", "5", "--limit", "4"]].concat(),
    )
    .ends(0);
    assert_eq!(
        column(&folder.rows("out.jsonl"), "index"),
        ["5", "6", "7", "8"]
    );
    sim.run(&folder, &to).ends(0);
    assert_all_ok(&folder.rows("out.jsonl"), 20);
    let mut prompts = sim.prompts();
    assert_eq!(prompts.len(), 20);
    prompts.sort();
    prompts.dedup();
    assert_eq!(prompts.len(), 20);
}

#[test]
fn an_offset_beyond_the_end_leaves_nothing_to_do() {
    let folder = Folder::with("in.txt", THREE);
    let mut sim = Simulator::quick();
    sim.run(
        &folder,
        &["in.txt", "-o", "out.jsonl", "-q", "--offset", "9"],
    )
    .ends(0);
    assert_eq!(folder.read("out.jsonl"), "");
    assert!(sim.records().is_empty());
}

#[test]
fn keys_come_from_the_field_that_is_named() {
    let folder = Folder::with("in.csv", "ticket,text\nT-1,one\n7,two\n");
    let sim = Simulator::quick();
    sim.run(
        &folder,
        &["in.csv", "-o", "out.jsonl", "-q", "--id-field", "ticket"],
    )
    .ends(0);
    let rows = folder.rows("out.jsonl");
    assert_eq!(column(&rows, "custom_id"), ["T-1", "7"]);
    assert_eq!(column(&rows, "ticket"), ["T-1", "7"]);
}

#[test]
fn the_embedded_simulator_needs_no_key() {
    let folder = Folder::with("in.txt", THREE);
    for model in ["sim/gpt-4o-mini", "sim/claude-sonnet-4-5"] {
        let ended = folder.forebay(&["run", "in.txt", "-m", model]).ends(0);
        ended.says(&["the answers are simulated"]);
        let rows = in_input_order(ended.rows());
        assert_eq!(column(&rows, "text"), TEXTS);
        assert_eq!(rows[0]["model"], model["sim/".len()..]);
    }
}
