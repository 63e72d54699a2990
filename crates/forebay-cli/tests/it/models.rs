//! `forebay models`, and what a run says about a model that is not served.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use serde_json::Value;

use crate::harness::{Folder, THREE};
use crate::simulator::Simulator;

/// A server that answers one request with this.
fn answering(status: &str, body: &str) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4096];
        let _ = stream.read(&mut head);
        let _ = stream.write_all(answer.as_bytes());
    });
    url
}

#[test]
fn of_the_embedded_simulator() {
    let ended = Folder::new().forebay(&["models", "sim"]).ends(0);
    ended.says(&["simulated"]);
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert!(
        lines[0].starts_with("sim at http://127.0.0.1:"),
        "{}",
        lines[0]
    );
    assert!(lines[0].ends_with(": 2 models"), "{}", lines[0]);
    assert!(lines.iter().any(|line| line.starts_with("sim-small ")));
}

#[test]
fn of_each_dialect_with_prices() {
    let folder = Folder::new();
    let sim = Simulator::quick();
    folder.write(
        "forebay.toml",
        "[prices.\"sim-small\"]\ninput = 0.5\noutput = 2\n",
    );
    for (provider, path, context) in [
        ("openai", "/v1", None),
        ("openai-responses", "/v1", None),
        ("anthropic", "", Some(200_000)),
        ("gemini", "/v1beta", Some(1_048_576)),
    ] {
        let url = format!("http://127.0.0.1:{}{path}", sim.port());
        let arguments = ["models", provider, "--json", "--base-url", &url];
        let ended = folder
            .forebay(&arguments)
            .env("OPENAI_API_KEY", "k")
            .env("ANTHROPIC_API_KEY", "k")
            .env("GEMINI_API_KEY", "k")
            .ends(0);
        let listing: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(listing["provider"], provider);
        let models = listing["models"].as_array().unwrap();
        assert_eq!(models.len(), 2, "{provider}");
        assert_eq!(models[0]["model"], "sim-large");
        assert_eq!(models[0]["input"], Value::Null);
        assert_eq!(models[0]["max_input_tokens"].as_u64(), context);
        assert_eq!(
            (&models[1]["input"], &models[1]["output"]),
            (&0.5.into(), &2.0.into())
        );
    }
}

#[test]
fn a_filter_is_a_part_of_a_name_or_a_pattern() {
    let names = |filter: &str| {
        let arguments = ["models", "sim", "--json", "--filter", filter];
        let ended = Folder::new().forebay(&arguments).ends(0);
        let listing: Value = serde_json::from_str(&ended.stdout).unwrap();
        listing["models"].as_array().unwrap().len()
    };
    assert_eq!(names("SMALL"), 1);
    assert_eq!(names("sim-*"), 2);
    assert_eq!(names("small*"), 0);
}

#[test]
fn names_cannot_move_the_terminal() {
    let url = answering("200 OK", r#"{"data":[{"id":"evil\u001b[2J\u202e"}]}"#);
    let ended = Folder::new()
        .forebay(&["models", "--base-url", &url])
        .ends(0);
    assert!(
        ended.stdout.contains("evil\\u{1b}[2J\\u{202e}"),
        "{}",
        ended.stdout
    );
}

#[test]
fn what_is_no_list_is_told() {
    let cases = [
        (
            "401 Unauthorized",
            r#"{"error":{"message":"bad key"}}"#,
            ["bad key", "API key"],
        ),
        ("404 Not Found", "nothing here", ["404", "base URL"]),
        ("200 OK", "<html>hello</html>", ["not JSON", "base URL"]),
        ("503 Busy", "", ["503", "again"]),
    ];
    for (status, body, words) in cases {
        let url = answering(status, body);
        let ended = Folder::new()
            .forebay(&["models", "--base-url", &url])
            .ends(1);
        ended.says(&words);
        ended.says(&["openai did not list its models"]);
        assert_eq!(ended.stdout, "");
    }
    let nobody = TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("http://{nobody}/v1");
    let ended = Folder::new()
        .forebay(&["models", "--base-url", &url])
        .ends(1);
    ended.says(&["refused", &url]);
}

#[test]
fn a_provider_must_be_named_known_and_have_a_key() {
    let folder = Folder::new();
    let ended = folder.forebay(&["models"]).ends(2);
    ended.says(&["no provider is named", "forebay providers"]);
    let ended = folder.forebay(&["models", "olama"]).ends(2);
    ended.says(&["no provider \"olama\"", "did you mean ollama?"]);
    let ended = folder.forebay(&["models", "groq"]).ends(2);
    ended.says(&["GROQ_API_KEY is not set"]);
}

/// Fault 23: the summary names the models that are served, those that are like it first.
#[test]
fn a_run_whose_model_is_not_served_says_what_is() {
    let folder = Folder::with("in.txt", THREE);
    let run = ["run", "in.txt", "-m", "sim/fault-nosuch", "-o", "out.jsonl"];
    let said = "sim does not list fault-nosuch; it serves sim-small, sim-large";
    folder.forebay(&run).ends(4).says(&["hint", said]);
    let quiet = folder.forebay(&[&run[..], &["-q"]].concat()).ends(4);
    quiet.says(&["error: the run stopped", said]);
}
