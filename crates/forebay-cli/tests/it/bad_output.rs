//! Outputs that must not be touched, or cannot be written.

use crate::harness::{Folder, THREE, assert_all_ok, in_input_order, items};
use crate::simulator::Simulator;
use crate::transcript::Transcript;

fn three() -> Folder {
    Folder::with("in.txt", THREE)
}

#[test]
fn places_that_are_none() {
    let mut said = Transcript::default();
    let folder = three();
    std::fs::create_dir(folder.path("results.jsonl")).unwrap();
    for (what, output, code) in [
        ("no such folder", "no/such/out.jsonl", 3),
        ("a folder that is a file", "in.txt/out.jsonl", 3),
        ("a folder", "results.jsonl", 3),
        ("an unknown form", "out.xlsx", 2),
        ("no form", "out", 2),
        ("nothing", "", 2),
    ] {
        let arguments = ["in.txt", "-m", "sim/x", "-o", output];
        said.refused(what, &folder, &arguments, code);
    }
    let arguments = [
        "in.txt",
        "-m",
        "sim/x",
        "-o",
        "out.csv",
        "--order",
        "completed",
    ];
    said.refused("a form that cannot grow", &folder, &arguments, 2);
    insta::assert_snapshot!(said.text());
}

#[test]
#[cfg(target_os = "linux")]
fn a_folder_that_takes_no_files() {
    let mut said = Transcript::default();
    let folder = three();
    let arguments = ["in.txt", "-m", "sim/x", "-o", "/proc/out.jsonl"];
    said.refused("not even from root", &folder, &arguments, 3);
    insta::assert_snapshot!(said.text());
}

#[test]
fn the_input_is_never_the_output() {
    let mut said = Transcript::default();
    let content = "{\"text\":\"precious\"}\n";
    let folder = Folder::with("in.jsonl", content);
    folder.write("other.txt", "x\n");
    std::os::unix::fs::symlink("in.jsonl", folder.path("link.jsonl")).unwrap();
    std::fs::hard_link(folder.path("in.jsonl"), folder.path("same.jsonl")).unwrap();
    for (what, inputs, output) in [
        ("by name", &["in.jsonl"][..], "in.jsonl"),
        ("by another path", &["in.jsonl"], "./in.jsonl"),
        ("by a link", &["in.jsonl"], "link.jsonl"),
        ("by a hard link", &["in.jsonl"], "same.jsonl"),
        ("the second of two", &["other.txt", "in.jsonl"], "in.jsonl"),
    ] {
        for more in [&[][..], &["--fresh"], &["--order", "completed"]] {
            let to = ["-m", "sim/x", "-o", output];
            said.refused(what, &folder, &[inputs, &to, more].concat(), 2);
            assert_eq!(folder.read("in.jsonl"), content);
        }
    }
    insta::assert_snapshot!(said.text());
}

#[test]
fn the_files_beside_the_output_are_never_the_input() {
    let row = "{\"text\":\"precious\"}\n";
    for (input, code) in [("out.jsonl.errors.jsonl", 2), ("out.jsonl.journal", 2)] {
        let folder = Folder::with(input, row);
        let arguments = ["run", input, "--format", "jsonl", "-m", "sim/x"];
        let ended = folder
            .forebay(&[&arguments[..], &["-o", "out.jsonl", "-q"]].concat())
            .run();
        assert_eq!(folder.read(input), row, "{ended:?}");
        ended.assert_code(code);
    }
}

#[test]
fn a_file_of_someone_else_is_not_replaced() {
    let mut said = Transcript::default();
    let folder = three();
    folder.write("out.jsonl", "someone's work\n");
    let arguments = ["in.txt", "-m", "sim/gpt-4o-mini", "-o", "out.jsonl"];
    for order in ["input", "completed"] {
        let ordered = [&arguments[..], &["--order", order]].concat();
        said.refused("no journal", &folder, &ordered, 2);
    }
    folder.write("out.jsonl.journal", "someone's diary\n");
    said.refused("another program's journal", &folder, &arguments, 3);
    assert_eq!(folder.read("out.jsonl"), "someone's work\n");
    assert_eq!(folder.read("out.jsonl.journal"), "someone's diary\n");
    insta::assert_snapshot!(said.text());
    std::fs::remove_file(folder.path("out.jsonl.journal")).unwrap();
    folder
        .forebay(&[&["run"], &arguments[..], &["--fresh", "-q"]].concat())
        .ends(0);
    assert_eq!(folder.rows("out.jsonl").len(), 3);
}

#[test]
fn another_run_s_journal_names_what_differs_and_stays() {
    let mut said = Transcript::default();
    let folder = three();
    let first = [
        "in.txt",
        "-o",
        "out.jsonl",
        "-m",
        "sim/gpt-4o-mini",
        "-p",
        "Label {{ text }}",
    ];
    folder
        .forebay(&[&["run"], &first[..], &["-q", "--keep-journal"]].concat())
        .ends(0);
    let (output, journal) = (folder.read("out.jsonl"), folder.read("out.jsonl.journal"));
    let same = ["in.txt", "-o", "out.jsonl", "-m", "sim/gpt-4o-mini"];
    let prompt = ["-p", "Label {{ text }}"];
    for (what, arguments) in [
        (
            "another prompt",
            [&same[..], &["-p", "Sort {{ text }}"]].concat(),
        ),
        ("no prompt", same.to_vec()),
        (
            "a system prompt",
            [&same[..], &prompt, &["-s", "Be terse"]].concat(),
        ),
        (
            "a parameter",
            [&same[..], &prompt, &["--param", "top_p=0.5"]].concat(),
        ),
        (
            "two things",
            [
                &same[..],
                &prompt,
                &["--temperature", "1", "--max-tokens", "9"],
            ]
            .concat(),
        ),
        (
            "another model",
            ["in.txt", "-o", "out.jsonl", "-m", "sim/gpt-4o"]
                .into_iter()
                .chain(prompt)
                .collect(),
        ),
        (
            "another dialect",
            ["in.txt", "-o", "out.jsonl", "-m", "sim/claude-x"]
                .into_iter()
                .chain(prompt)
                .collect(),
        ),
    ] {
        let ended = said.refused(what, &folder, &arguments, 2);
        ended.keeps_quiet_about("Label");
        ended.keeps_quiet_about("Sort");
        ended.keeps_quiet_about("terse");
    }
    assert_eq!(folder.read("out.jsonl"), output);
    assert_eq!(folder.read("out.jsonl.journal"), journal);
    insta::assert_snapshot!(said.text());
}

#[test]
fn a_complete_run_of_another_kind_is_not_replaced_either() {
    let mut said = Transcript::default();
    let folder = three();
    let arguments = ["in.txt", "-o", "out.jsonl", "-m", "sim/gpt-4o-mini"];
    folder
        .forebay(&[&["run"], &arguments[..], &["-q"]].concat())
        .ends(0);
    let output = folder.read("out.jsonl");
    let other = ["in.txt", "-o", "out.jsonl", "-m", "sim/gpt-4o"];
    said.refused("another model", &folder, &other, 2);
    folder.write("in.txt", "first ticket\nanother\n");
    said.refused("another input", &folder, &arguments, 2);
    assert_eq!(folder.read("out.jsonl"), output);
    insta::assert_snapshot!(said.text());
}

/// Fault 46: a second run of the same output ends at once with exit code 3.
#[test]
fn one_run_at_a_time_writes_an_output() {
    let mut said = Transcript::default();
    let folder = three();
    let mut sim = Simulator::start(&["--stall", "1"]);
    let first = sim
        .run(&folder, &["in.txt", "-o", "out.jsonl", "-q"])
        .start();
    sim.wait_for_requests(3);
    let arguments = ["in.txt", "-o", "out.jsonl"];
    for more in [&[][..], &["--fresh"], &["--retry-failed"]] {
        let arguments = [&arguments, more].concat();
        let second = sim.run(&folder, &arguments);
        said.refused_as("in use", &folder, &arguments, (second, 3));
    }
    assert_eq!(sim.prompts().len(), 3);
    insta::assert_snapshot!(said.text());
    assert!(first.kill());
    // A lock dies with its holder.
    let sim = Simulator::quick();
    sim.run(&folder, &["in.txt", "-o", "out.jsonl", "-q"])
        .ends(0);
    assert_eq!(folder.rows("out.jsonl").len(), 3);
}

/// A limit on the size of files stands in for a full disk: a test cannot mount one.
/// Fault 43: stops with exit code 3 when nothing more can be written, and sends no recorded row
/// again.
#[test]
fn a_full_disk_ends_the_run_and_loses_nothing() {
    const ITEMS: usize = 80;
    for order in ["input", "completed"] {
        let folder = Folder::with("in.txt", items(ITEMS));
        let mut sim = Simulator::slow("5ms");
        let url = format!("http://127.0.0.1:{}/v1", sim.port());
        let command = format!(
            "run in.txt -o out.jsonl --order {order} -c 4 --provider openai -m gpt-4o-mini \
             --base-url {url}"
        );
        let full = folder
            .shell(&format!(
                "trap '' XFSZ; ulimit -f 24; exec \"$FOREBAY\" {command}"
            ))
            .env("OPENAI_API_KEY", "any-key")
            .ends(3);
        full.says(&["cannot write"]);
        let sent = sim.prompts().len();
        assert!((5..ITEMS).contains(&sent), "{sent} were sent");
        let done = crate::kill::done_items(&folder);
        assert!(!done.is_empty());
        let words: Vec<_> = command.split(' ').collect();
        let more = folder.forebay(&words).env("OPENAI_API_KEY", "any-key");
        more.ends(0);
        let rows = folder.rows("out.jsonl");
        assert_all_ok(&in_input_order(rows), ITEMS);
        let later = sim.prompts().split_off(sent);
        for text in done {
            assert!(!later.contains(&text), "{text} was sent again");
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn standard_output_on_a_full_disk() {
    for order in ["input", "completed"] {
        let folder = three();
        let sim = Simulator::quick();
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let ended = sim
            .run(&folder, &["in.txt", "--order", order])
            .stdout(full)
            .start()
            .wait();
        ended.assert_code(3);
        ended.says(&["No space left on device"]);
    }
}
