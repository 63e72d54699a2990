//! Answers that have to fit a schema, from the command's side.

use serde_json::{Value, json};

use crate::harness::{Folder, in_input_order};

const TICKET: &str = r#"{
  "title": "ticket",
  "type": "object",
  "properties": {"label": {"enum": ["billing", "bug"]}, "urgent": {"type": "boolean"}},
  "required": ["label", "urgent"],
  "additionalProperties": false
}"#;

fn folder() -> Folder {
    let folder = Folder::with(
        "in.txt",
        "my card was charged twice\nit crashes\nwhere is it\n",
    );
    folder.write("ticket.json", TICKET);
    folder
}

#[track_caller]
fn all_fit(rows: &[Value], attempts: u64) {
    assert_eq!(rows.len(), 3);
    for row in rows {
        assert!(row["error"].is_null(), "{row}");
        let parsed = &row["parsed"];
        assert!(
            parsed["urgent"].is_boolean() && parsed["label"].is_string(),
            "{row}"
        );
        let output: Value = serde_json::from_str(row["output"].as_str().unwrap()).unwrap();
        assert_eq!((&output, &row["attempts"]), (parsed, &json!(attempts)));
    }
}

/// Fault 38: takes the schema from `--schema` and gives each row its answer as JSON, in every order and format, after as many questions as it needed.
#[test]
fn rows_have_their_answers_as_json() {
    let folder = folder();
    for (model, attempts) in [("sim/gpt-4o-mini", 1), ("sim/fault-schema-mismatch-1", 2)] {
        let flags = [
            "run",
            "in.txt",
            "-m",
            model,
            "--schema",
            "ticket.json",
            "--fresh",
        ];
        let file = |more: &[&str]| folder.forebay(&[&flags[..], more].concat());
        let ended = file(&["-o", "out.jsonl"]).ends(0);
        all_fit(&folder.rows("out.jsonl"), attempts);
        match attempts {
            1 => ended.keeps_quiet_about("re-asked"),
            _ => ended.says(&["re-asked  3 answers that did not fit the schema"]),
        }
        file(&["-o", "late.jsonl", "--order", "completed", "-q"]).ends(0);
        all_fit(&in_input_order(folder.rows("late.jsonl")), attempts);
        file(&["-o", "out.csv", "-q"]).ends(0);
        let table = folder.read("out.csv");
        assert!(
            table.starts_with("custom_id,index,text,output,parsed,error_kind,"),
            "{table}"
        );
        assert!(table.contains(r#""{""label"":"#), "{table}");
    }
    // The same command finds its rows again, and another schema is another run.
    let again = [
        "run",
        "in.txt",
        "-m",
        "sim/fault-schema-mismatch-1",
        "-o",
        "out.jsonl",
    ];
    let again = |more: &[&str]| folder.forebay(&[&again[..], more].concat());
    again(&["--schema", "ticket.json"])
        .ends(0)
        .says(&["complete"]);
    let ended = again(&["--schema", "ticket.json", "--schema-name", "other"]).ends(2);
    ended.says(&["schema differs"]);
    again(&[]).ends(2).says(&["schema differs"]);
}

/// Fault 38: makes a failed row of an item whose answers never fit, and says why.
#[test]
fn an_item_whose_answers_never_fit_fails() {
    let folder = folder();
    let flags = [
        "run",
        "in.txt",
        "--schema",
        "ticket.json",
        "--schema-retries",
        "1",
    ];
    let ended = folder
        .forebay(
            &[
                &flags[..],
                &["-m", "sim/fault-schema-mismatch-9", "-o", "out.jsonl"],
            ]
            .concat(),
        )
        .ends(1);
    ended.says(&["3 schema_mismatch", "re-asked  3 answers"]);
    for row in folder.rows("out.jsonl.errors.jsonl") {
        assert_eq!(row["error"]["kind"], "schema_mismatch");
        let message = "the answer does not fit the schema: the whole is not of type object";
        assert_eq!(
            (&row["error"]["message"], &row["attempts"]),
            (&json!(message), &json!(2))
        );
    }
}

/// A server without a member for schemas is told in words, and its answers are checked as ever.
#[test]
fn a_schema_is_told_in_words_where_it_has_to_be() {
    let folder = folder();
    let flags = [
        "run",
        "in.txt",
        "-m",
        "sim/gpt-4o-mini",
        "--schema",
        "ticket.json",
    ];
    let words = [
        "--schema-mode",
        "prompt",
        "--schema-retries",
        "0",
        "-o",
        "out.jsonl",
    ];
    // The simulator reads schemas only where the dialect has them, and answers in prose.
    let ended = folder.forebay(&[&flags[..], &words].concat()).ends(1);
    ended.says(&["3 schema_mismatch"]);
    let rows = folder.rows("out.jsonl");
    assert!(
        rows.iter()
            .all(|row| row["usage"]["input_tokens"].as_u64() > Some(50)),
        "{rows:?}"
    );
    let dry = folder
        .forebay(&[&flags[..], &["--dry-run"]].concat())
        .ends(0);
    assert!(
        dry.stdout
            .contains("schema         ticket, told in the dialect's own member\n"),
        "{}",
        dry.stdout
    );
}

/// Fault 37: does with cut answers as `--on-length` says; those that were to fit a schema are failures.
#[test]
fn cut_answers_are_what_they_are_said_to_be() {
    let folder = folder();
    let run = |more: &[&str]| {
        let flags = [
            "run",
            "in.txt",
            "-m",
            "sim/gpt-4o-mini",
            "-o",
            "out.jsonl",
            "--fresh",
        ];
        folder.forebay(&[&flags[..], more].concat())
    };
    run(&["--max-tokens", "1"])
        .ends(0)
        .says(&["3 answers by the token limit"]);
    run(&["--max-tokens", "1", "--on-length", "error"])
        .ends(1)
        .says(&["3 length"]);
    run(&["--max-tokens", "4", "--schema", "ticket.json"])
        .ends(1)
        .says(&["3 length"]);
    run(&[
        "--max-tokens",
        "4",
        "--schema",
        "ticket.json",
        "--on-length",
        "retry",
    ])
    .ends(0)
    .says(&["that the token limit cut"]);
    all_fit_after_more_room(&folder.rows("out.jsonl"));
}

#[track_caller]
fn all_fit_after_more_room(rows: &[Value]) {
    for row in rows {
        assert!(row["parsed"]["label"].is_string(), "{row}");
        assert!(row["attempts"].as_u64() > Some(1), "{row}");
    }
}

/// Fault 38: refuses a file that is no JSON Schema, with what is wrong and where, before anything is sent.
#[test]
fn what_is_no_schema_is_refused() {
    let folder = folder();
    for (content, says) in [
        (
            "{\n  \"type\": \"object\",\n  oops\n}",
            "bad.json: not JSON: key must be a string at line 3",
        ),
        (
            r#"{"type":"object","properties":{"a":{"type":"strng"}}}"#,
            "bad.json: not a JSON Schema: at /properties/a/type",
        ),
        (
            r#"{"label":"billing"}"#,
            "bad.json: not a JSON Schema: none of its members",
        ),
        (
            r#"{"$ref":"https://example.com/s.json"}"#,
            "bad.json: a $ref cannot be resolved inside of the schema",
        ),
    ] {
        folder.write("bad.json", content);
        let flags = [
            "run",
            "in.txt",
            "-m",
            "sim/gpt-4o-mini",
            "--schema",
            "bad.json",
            "-o",
            "out.jsonl",
        ];
        folder.forebay(&flags).ends(2).says(&[says]);
    }
    let flags = ["run", "in.txt", "-m", "sim/gpt-4o-mini", "-o", "out.jsonl"];
    let with = |more: &[&str]| folder.forebay(&[&flags[..], more].concat()).ends(2);
    with(&["--schema", "none.json"]).says(&["cannot read the schema none.json"]);
    with(&["--schema-retries", "1"]).says(&["--schema-retries needs a schema"]);
    with(&["--schema", "ticket.json", "--schema-retries", "21"]).says(&["21 is not in 0..=20"]);
    folder.write(
        "forebay.toml",
        "[run]\nschema = \"none.json\"\non-length = \"retry\"\n",
    );
    with(&[]).says(&["cannot read the schema none.json"]);
    assert!(!folder.has("out.jsonl.journal"));
}
