//! Flags, templates, models, keys and configuration that cannot work.
//!
//! All of it is found before anything is read or sent, and nothing is left behind.

use crate::harness::{Folder, THREE};
use crate::simulator::Simulator;
use crate::transcript::Transcript;

/// A key that no message may repeat.
const SECRET: &str = "sk-do-not-repeat-8f3a1c";

fn three() -> Folder {
    Folder::with("in.txt", THREE)
}

/// Refuses each of these arguments after `in.txt -m sim/gpt-4o-mini -o out.jsonl`.
#[track_caller]
fn refuse(said: &mut Transcript, folder: &Folder, cases: &[(&str, &[&str])]) {
    for (what, arguments) in cases {
        let first = ["in.txt", "-m", "sim/gpt-4o-mini", "-o", "out.jsonl"];
        said.refused(what, folder, &[&first, *arguments].concat(), 2);
    }
}

#[test]
fn templates() {
    let mut said = Transcript::default();
    let folder = three();
    folder.write("in.csv", "subject,body\na,b\n");
    folder.write("rows.jsonl", "{\"a\":1,\"b\":2}\n");
    refuse(
        &mut said,
        &folder,
        &[
            ("a column that is misspelt", &["-p", "Label: {{ txt }}"]),
            ("a column that does not exist", &["-p", "{{ customer }}"]),
            ("in the system prompt", &["-s", "{{ txet }}"]),
            ("an id field", &["--id-field", "key"]),
            ("an open expression", &["-p", "Label: {{ text"]),
            ("an open block", &["-p", "one\n{% if text %}two"]),
            ("an unknown filter", &["-p", "{{ text|uper }}"]),
            ("both prompts", &["-p", "x", "--prompt-file", "p.txt"]),
        ],
    );
    for (what, arguments) in [
        (
            "in one file of two",
            &["in.csv", "in.txt", "-p", "{{ body }}"][..],
        ),
        ("no telling which field is the prompt", &["in.csv"]),
        ("the same in JSON", &["rows.jsonl"]),
    ] {
        let to = ["-m", "sim/gpt-4o-mini", "-o", "out.jsonl"];
        said.refused(what, &folder, &[arguments, &to].concat(), 2);
    }
    let missing = ["in.txt", "-m", "sim/x", "--prompt-file", "p.txt"];
    said.refused("a missing template file", &folder, &missing, 3);
    insta::assert_snapshot!(said.text());
}

#[test]
fn flags() {
    let mut said = Transcript::default();
    let folder = three();
    said.refused("no input", &folder, &["-m", "sim/x"], 2);
    refuse(
        &mut said,
        &folder,
        &[
            ("a misspelt flag", &["--concurency", "5"]),
            ("an unknown flag", &["--turbo"]),
            ("fresh and retry", &["--fresh", "--retry-failed"]),
            ("a misspelt provider", &["--provider", "grok"]),
            ("an unknown provider", &["--provider", "acme"]),
            ("an unknown dialect", &["--dialect", "ollama"]),
            ("an unknown order", &["--order", "random"]),
            ("an unknown format", &["--format", "xlsx"]),
            ("a header without a colon", &["--header", "x-team"]),
            ("a header of the connection", &["--header", "Host: evil"]),
            (
                "a header with a control character",
                &["--header", "x: a\u{7}"],
            ),
            ("a parameter without a value", &["--param", "top_p"]),
            ("a parameter that is no JSON", &["--param", "stop=[\"a\""]),
            ("a parameter that streams", &["--param", "stream=true"]),
            (
                "a base URL and a sim/ model",
                &["--base-url", "http://x/v1"],
            ),
        ],
    );
    let to_stdout = ["in.txt", "-m", "sim/x", "--retry-failed"];
    said.refused("retry without a file", &folder, &to_stdout, 2);
    let to_stdout = ["in.txt", "-m", "sim/x", "--fresh"];
    said.refused("fresh without a file", &folder, &to_stdout, 2);
    insta::assert_snapshot!(said.text());
}

#[test]
fn the_formats_that_a_hint_names_are_taken() {
    let folder = Folder::with("tickets", THREE);
    let run = ["run", "tickets", "-m", "sim/gpt-4o", "-q", "--dry-run"];
    let refused = folder.forebay(&run).ends(2);
    let hint = refused.stderr.split("--format ").nth(1).unwrap();
    for name in hint
        .split([',', ' ', '\n'])
        .filter(|word| !matches!(*word, "" | "or"))
    {
        // Lines of text are lines of everything but Parquet, which is taken and then looked into.
        let code = if name == "parquet" { 3 } else { 0 };
        folder
            .forebay(&[&run[..], &["--format", name]].concat())
            .ends(code);
    }
}

#[test]
fn numbers() {
    let mut said = Transcript::default();
    let folder = three();
    refuse(
        &mut said,
        &folder,
        &[
            ("no concurrency", &["-c", "0"]),
            ("auto up to nothing", &["-c", "auto:0"]),
            ("auto without its most", &["-c", "auto:"]),
            ("half an attempt", &["-c", "1.5"]),
            ("auto in capitals", &["-c", "Auto"]),
            ("no utilization", &["--target-utilization", "0"]),
            ("more than everything", &["--target-utilization", "101%"]),
            (
                "a percentage without its sign",
                &["--target-utilization", "50"],
            ),
            ("too much of it", &["-c", "1000000000"]),
            ("less than none", &["-c", "-1"]),
            ("a negative rate", &["--rpm", "-5"]),
            ("no rate", &["--rps", "0"]),
            ("an endless rate", &["--tpm", "inf"]),
            ("no number", &["--itpm", "NaN"]),
            ("an absurd rate", &["--otpm", "1e99"]),
            ("half a request a day", &["--rpd", "0.5"]),
            ("no items", &["--limit", "0"]),
            ("a negative offset", &["--offset", "-1"]),
            ("an absurd offset", &["--offset", "99999999999999999999"]),
            ("no tokens", &["--max-tokens", "0"]),
            ("too many tokens", &["--max-tokens", "5000000000"]),
            ("too hot", &["--temperature", "2.5"]),
            ("no attempts", &["--max-attempts", "0"]),
            ("no time", &["--timeout", "0"]),
            ("a negative time", &["--idle-timeout", "-3s"]),
            ("time without a unit that is known", &["--max-wait", "1d"]),
            ("an absurd time", &["--connect-timeout", "1e30"]),
            ("a negative cap", &["--max-cost", "-1"]),
            ("a cap of nothing", &["--max-cost", "0"]),
        ],
    );
    insta::assert_snapshot!(said.text());
}

#[test]
fn a_cap_needs_a_price() {
    let mut said = Transcript::default();
    let folder = three();
    let arguments = ["in.txt", "-m", "sim/no-such-model", "--max-cost", "1"];
    said.refused("a cap without a price", &folder, &arguments, 2);
    insta::assert_snapshot!(said.text());
}

#[test]
fn models() {
    let mut said = Transcript::default();
    let folder = three();
    said.refused("no model", &folder, &["in.txt"], 2);
    said.refused("unknown", &folder, &["in.txt", "-m", "llama3"], 2);
    said.refused("no name", &folder, &["in.txt", "-m", "openai/"], 2);
    said.refused(
        "misspelt",
        &folder,
        &["in.txt", "-m", "anthropc/claude-x"],
        2,
    );
    folder.write(
        "forebay.toml",
        "[endpoints.box]\nprovider = \"openai\"\nbase-url = \"http://localhost:1/v1\"\n",
    );
    said.refused("a named endpoint", &folder, &["in.txt", "-m", "bux/x"], 2);
    insta::assert_snapshot!(said.text());
}

#[test]
fn base_urls() {
    let mut said = Transcript::default();
    let folder = three();
    for (what, url) in [
        ("no scheme", "localhost:8000/v1"),
        ("another scheme", "ftp://host/v1"),
        ("no host", "http:///v1"),
        ("a port of 0", "http://localhost:0/v1"),
        ("a query", "https://host/v1?key=1"),
        ("a space", "https://my host/v1"),
        ("a password", "https://user:hunter2@host/v1"),
        ("empty", ""),
        ("plain http to a public host", "http://api.example.com/v1"),
        ("plain http to a public address", "http://93.184.216.34/v1"),
    ] {
        let arguments = ["in.txt", "-m", "gpt-4o-mini", "--base-url", url];
        let forebay = folder
            .forebay(&[&["run"], &arguments[..]].concat())
            .env("OPENAI_API_KEY", SECRET);
        let ended = said.refused_as(what, &folder, &arguments, (forebay, 2));
        ended.keeps_quiet_about(SECRET);
        ended.keeps_quiet_about("hunter2");
    }
    // The transcript repeats its own command lines; the messages must not.
    insta::assert_snapshot!(said.text());
}

#[test]
fn a_port_that_cannot_be_is_no_other_port() {
    let folder = three();
    let url = "http://localhost:70000/v1";
    let arguments = ["in.txt", "-m", "gpt-4o-mini", "-o", "out.jsonl"];
    let forebay = folder.forebay(&[&["run"], &arguments[..], &["--base-url", url]].concat());
    let ended = forebay.env("OPENAI_API_KEY", SECRET).ends(2);
    ended.says(&["port", "1 to 65535"]);
    assert_eq!(folder.names(), ["in.txt"]);
}

#[test]
fn keys() {
    let mut said = Transcript::default();
    let folder = three();
    folder.write("empty.key", "\n");
    folder.write("two.key", format!("{SECRET}\n{SECRET}\n"));
    let to = ["-o", "out.jsonl"];
    for (what, arguments) in [
        ("no key", &["in.txt", "-m", "gpt-4o-mini"][..]),
        (
            "no key, for Anthropic",
            &["in.txt", "-m", "claude-sonnet-4-5"],
        ),
        (
            "no key, of two names",
            &["in.txt", "-m", "gemini-2.0-flash"],
        ),
        ("no key, by name", &["in.txt", "-m", "groq/llama"]),
        ("no resource", &["in.txt", "-m", "azure/my-deployment"]),
        (
            "no key, before the input is read",
            &["missing.txt", "-m", "gpt-4o-mini"],
        ),
        (
            "no such variable",
            &["in.txt", "-m", "gpt-4o", "--api-key-env", "MY_KEY"],
        ),
        (
            "no such file",
            &["in.txt", "-m", "gpt-4o", "--api-key-file", "my.key"],
        ),
        (
            "an empty file",
            &["in.txt", "-m", "gpt-4o", "--api-key-file", "empty.key"],
        ),
        (
            "a file of two lines",
            &["in.txt", "-m", "gpt-4o", "--api-key-file", "two.key"],
        ),
    ] {
        let arguments = [arguments, &to].concat();
        let ended = said.refused(what, &folder, &arguments, 2);
        ended.keeps_quiet_about(SECRET);
    }
    for (what, key) in [
        ("a line break inside", format!("{SECRET}\n{SECRET}")),
        ("a line break at the end", format!("{SECRET}\n")),
        ("a space inside", format!("{SECRET} {SECRET}")),
        ("no ASCII", format!("{SECRET}ä")),
        ("blank", "  ".to_owned()),
    ] {
        let arguments = ["in.txt", "-m", "gpt-4o-mini", "-o", "out.jsonl"];
        let forebay = folder
            .forebay(&[&["run"], &arguments[..]].concat())
            .env("OPENAI_API_KEY", &key);
        let ended = said.refused_as(what, &folder, &arguments, (forebay, 2));
        ended.keeps_quiet_about("8f3a1c");
    }
    insta::assert_snapshot!(said.text());
}

#[test]
fn configuration() {
    let mut said = Transcript::default();
    let folder = three();
    let arguments = ["in.txt", "-m", "sim/gpt-4o-mini", "-o", "out.jsonl"];
    for (what, text) in [
        ("a misspelt setting", "[run]\n\nmodle = \"x\"\n"),
        ("a negative limit", "[run]\nrpm = -5\n"),
        ("no concurrency", "[run]\nconcurrency = 0\n"),
        ("auto up to nothing", "[run]\nconcurrency = \"auto:0\"\n"),
        ("a list of concurrencies", "[run]\nconcurrency = [1, 2]\n"),
        ("no utilization", "[run]\ntarget-utilization = 0\n"),
        ("another type", "[run]\nmodel = 4\n"),
        ("no TOML", "[run\nmodel\n"),
        ("an unknown table", "[runs]\n"),
        (
            "an endpoint without a URL",
            "[endpoints.box]\nprovider = \"openai\"\n",
        ),
        (
            "an endpoint like no provider",
            "[endpoints.box]\nprovider = \"opanai\"\nbase-url = \"http://localhost/v1\"\n",
        ),
        (
            "an endpoint of a taken name",
            "[endpoints.sim]\nprovider = \"openai\"\n",
        ),
        (
            "a key in the file",
            "[endpoints.openai]\napi-key = \"sk-do-not-repeat-8f3a1c\"\n",
        ),
    ] {
        folder.write("forebay.toml", text);
        let ended = said.refused(what, &folder, &arguments, 2);
        ended.keeps_quiet_about(SECRET);
    }
    folder.write("forebay.toml", "[run]\n");
    let named = [&arguments[..], &["--config", "other.toml"]].concat();
    said.refused("a missing file", &folder, &named, 2);
    let forebay = folder
        .forebay(&[&["run"], &arguments[..]].concat())
        .env("FOREBAY_CONFIG", "third.toml");
    said.refused_as(
        "a missing file by FOREBAY_CONFIG",
        &folder,
        &arguments,
        (forebay, 2),
    );
    insta::assert_snapshot!(said.text());
}

#[test]
fn certificates() {
    let mut said = Transcript::default();
    let folder = three();
    let arguments = ["in.txt", "-m", "gpt-4o-mini", "-o", "out.jsonl"];
    let forebay = folder
        .forebay(&[&["run"], &arguments[..]].concat())
        .env("OPENAI_API_KEY", SECRET)
        .env("SSL_CERT_FILE", "missing.pem");
    said.refused_as("a missing file", &folder, &arguments, (forebay, 2));
    insta::assert_snapshot!(said.text());
}

#[test]
fn a_model_that_the_server_does_not_know_is_no_usage_error() {
    // Any model is served by the simulator; what is not served is another path.
    let folder = three();
    let sim = Simulator::quick();
    let url = format!("http://127.0.0.1:{}/wrong", sim.port());
    let arguments = ["in.txt", "-m", "gpt-4o-mini", "-o", "out.jsonl", "-q"];
    folder
        .forebay(&[&["run"], &arguments[..], &["--base-url", &url]].concat())
        .ends(4);
    assert!(!folder.has("out.jsonl"));
}

#[test]
fn a_configured_number_of_attempts_has_the_bounds_of_the_flag() {
    for (attempts, code) in [("0", 2), ("1001", 2), ("1000", 0)] {
        let folder = three();
        folder.write(
            "forebay.toml",
            format!("[run]\nmax-attempts = {attempts}\n"),
        );
        let arguments = ["run", "in.txt", "-m", "sim/gpt-4o-mini", "-q"];
        let ended = folder.forebay(&arguments).ends(code);
        if code != 0 {
            ended.says(&[&format!("forebay.toml:2:16: {attempts} is not in 1..=1000")]);
        }
    }
}
