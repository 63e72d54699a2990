//! `forebay ask`: one question, one model or several.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Folder, PATIENCE};
use crate::server::Server;

/// The smallest picture there is.
const PNG: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";

/// A server that streams one answer, and holds it up after its first piece until told to go on.
struct Held {
    url: String,
    /// A word that the first piece was sent.
    began: Receiver<()>,
    go_on: Sender<()>,
}

fn event(text: &str) -> String {
    let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]});
    format!("data: {chunk}\n\n")
}

/// The end of a stream, with its usage.
const END: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}\n\ndata: [DONE]\n\n";

fn read_request(stream: &TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
}

impl Held {
    /// `rest` follows `first` when the test says so.
    fn start(first: &str, rest: String) -> Held {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (began_sender, began) = channel();
        let (go_on, told) = channel();
        let first = event(first);
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            read_request(&stream);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                        connection: close\r\n\r\n";
            write!(stream, "{head}{first}").unwrap();
            began_sender.send(()).unwrap();
            if told.recv_timeout(PATIENCE).is_ok() {
                let _ = stream.write_all(rest.as_bytes());
            }
        });
        Held { url, began, go_on }
    }
}

/// `forebay ask` of the model `m` at this base URL.
fn asking(url: &str) -> [&str; 7] {
    ["ask", "-m", "m", "--provider", "openai", "--base-url", url]
}

/// `forebay` as the harness would start it, with its standard output in the test's hands.
fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forebay"));
    command.args(arguments).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

#[test]
fn an_answer_is_shown_as_it_comes() {
    let held = Held::start("first ", format!("{}{END}", event("and second")));
    let mut forebay = bare(&[&asking(&held.url)[..], &["hello"]].concat());
    let mut child = forebay.spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    // The server sends no more until these bytes are here.
    let mut first = [0; 6];
    stdout.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"first ");
    held.go_on.send(()).unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "and second\n");
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_interrupt_ends_it_at_once() {
    let folder = Folder::new();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let held = Held::start("first line\n", String::new());
        let running = folder
            .forebay(&[&asking(&held.url)[..], &["hello"]].concat())
            .start();
        held.began.recv_timeout(PATIENCE).unwrap();
        running.signal(signal);
        let ended = running.wait();
        ended.assert_code(code);
        assert_eq!(ended.stderr, "");
    }
}

#[test]
fn a_reader_that_goes_away_ends_it() {
    let held = Held::start("first\n", format!("{}{END}", event("second\n")));
    let mut forebay = bare(&[&asking(&held.url)[..], &["hello"]].concat());
    let mut child = forebay.stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 6]).unwrap();
    drop(stdout);
    held.go_on.send(()).unwrap();
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(141));
    assert_eq!(said, "");
}

#[test]
fn a_stream_that_breaks_off_is_an_error_after_what_came() {
    let held = Held::start("half an ans", String::new());
    held.go_on.send(()).unwrap();
    let arguments = [&asking(&held.url)[..], &["hello"]].concat();
    let ended = Folder::new().forebay(&arguments).ends(1);
    assert_eq!(ended.stdout, "half an ans\n");
    ended.says(&["error: ", "ended"]);
}

#[test]
fn a_pipe_gets_the_bytes_as_they_are() {
    let held = Held::start("\u{1b}[1mbold\r\n", END.to_owned());
    held.go_on.send(()).unwrap();
    let arguments = [&asking(&held.url)[..], &["hello"]].concat();
    let ended = Folder::new().forebay(&arguments).ends(0);
    assert_eq!(ended.stdout, "\u{1b}[1mbold\r\n");
}

#[test]
fn several_models_are_shown_as_they_answer_and_one_failure_loses_none() {
    let models = [
        "-m",
        "sim/gpt-4o",
        "-m",
        "sim/fault-401",
        "-m",
        "sim/claude-x",
    ];
    let arguments = [&["ask"], &models[..], &["Name a fish"]].concat();
    let ended = Folder::new().forebay(&arguments).ends(1);
    let headings: Vec<_> = (ended.stdout.lines())
        .filter(|line| line.starts_with("== "))
        .collect();
    assert_eq!(headings.len(), 3, "{}", ended.stdout);
    for name in ["== sim/gpt-4o: ", "== sim/claude-x: "] {
        let heading = headings.iter().find(|line| line.starts_with(name)).unwrap();
        assert!(heading.contains("tokens in, "), "{heading}");
    }
    let failed = |heading: &&str| heading.starts_with("== sim/fault-401: failed");
    assert!(headings.iter().any(failed), "{headings:?}");
    assert!(ended.stdout.contains("error: HTTP 401"), "{}", ended.stdout);
    ended.says(&["sim/fault-401: check the API key"]);
    assert_eq!(ended.stderr.matches("simulated").count(), 1);
    let fine = ["ask", "-m", "sim/gpt-4o", "-m", "sim/gemini-x", "hello"];
    Folder::new().forebay(&fine).ends(0);
}

#[test]
fn json_has_the_members_of_a_row() {
    let arguments = [
        "ask",
        "--json",
        "-m",
        "sim/gpt-4o-mini",
        "-m",
        "sim/fault-400",
        "hi",
    ];
    let ended = Folder::new().forebay(&arguments).ends(1);
    let rows = ended.rows();
    let of = |name: &str| rows.iter().find(|row| row["asked"] == name).unwrap();
    let fine = of("sim/gpt-4o-mini");
    assert!(fine["output"].is_string());
    assert_eq!(fine["model"], "gpt-4o-mini");
    assert_eq!(fine["error"], Value::Null);
    assert!(fine["cost_usd"].as_f64().unwrap() > 0.0);
    assert!(fine["duration_s"].as_f64() >= fine["time_to_first_chunk_s"].as_f64());
    assert!(fine["usage"]["output_tokens"].as_u64().unwrap() > 0);
    let failed = of("sim/fault-400");
    assert_eq!(failed["error"]["kind"], "bad_request");
    assert_eq!(failed["output"], Value::Null);
    let whole = ["ask", "--json", "--no-stream", "-m", "sim/gpt-4o", "hi"];
    let rows = Folder::new().forebay(&whole).ends(0).rows();
    assert!(
        rows[0].get("time_to_first_chunk_s").is_none(),
        "{}",
        rows[0]
    );
    for (flag, spoken) in [("auto", "1.1"), ("1.1", "1.1"), ("2", "2")] {
        let whole = ["ask", "--json", "--http", flag, "-m", "sim/gpt-4o", "hi"];
        let rows = Folder::new().forebay(&whole).ends(0).rows();
        let exchange = &rows[0]["exchange"];
        assert_eq!(exchange["http"], spoken, "{exchange}");
        assert!(exchange["first_byte_s"].as_f64().unwrap() > 0.0);
        assert!(exchange["connect_s"].as_f64().unwrap() > 0.0);
        assert_eq!(exchange["tls_s"], 0.0);
    }
}

#[test]
fn the_question_is_words_pipe_files_and_pictures() {
    let (server, folder) = (Server::start(), Folder::new());
    folder.write("a.txt", "from a file\n");
    folder.write("p.png", PNG);
    let url = server.url("/v1");
    let content = |more: &[&str], input: &str| {
        let arguments = [&asking(&url)[..], more].concat();
        let ended = folder.forebay(&arguments).stdin(input).ends(0);
        assert_eq!(ended.stdout, "fine\n");
        let body = server.next().body;
        body["messages"].as_array().unwrap().last().unwrap()["content"].clone()
    };
    assert_eq!(content(&["Sum", "up"], ""), "Sum up");
    assert_eq!(content(&[], "all of it\n"), "all of it\n");
    assert_eq!(content(&["-"], "all of it"), "all of it");
    let sum = "Sum up\n\n<document name=\"standard input\">\nthe text\n</document>";
    assert_eq!(content(&["Sum up"], "the text\n"), sum);
    let file = "Sum up\n\n<document name=\"a.txt\">\nfrom a file\n</document>";
    assert_eq!(content(&["-f", "a.txt", "Sum up"], ""), file);
    let picture = content(&["--image", "p.png", "What is it?"], "");
    assert_eq!(picture[0]["text"], "What is it?");
    let data = picture[1]["image_url"]["url"].as_str().unwrap();
    assert!(
        data.starts_with("data:image/png;base64,iVBORw0KGgo"),
        "{data}"
    );
    let picture = content(&["--image", "https://h/a.png", "What is it?"], "");
    assert_eq!(picture[1]["image_url"]["url"], "https://h/a.png");
}

#[test]
fn flags_and_file_say_how_it_is_asked() {
    let (server, folder) = (Server::start(), Folder::new());
    folder.write(
        "forebay.toml",
        format!(
            "[ask]\nmodel = \"box/mini\"\nsystem = \"Be brief.\"\nmax-tokens = 9\n\n\
             [endpoints.box]\nprovider = \"openai\"\nbase-url = {:?}\n",
            server.url("/v1")
        ),
    );
    let flags = [
        "--temperature",
        "0.5",
        "--param",
        "top_p=0.9",
        "--no-stream",
    ];
    folder
        .forebay(&[&["ask", "hi"], &flags[..]].concat())
        .ends(0);
    let expected = json!({
        "model": "mini",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hi"},
        ],
        "max_tokens": 9, "temperature": 0.5, "top_p": 0.9,
    });
    assert_eq!(server.next().body, expected);
    let flags = ["-s", "Be long.", "--max-tokens", "7", "-m", "box/maxi"];
    folder
        .forebay(&[&["ask", "hi"], &flags[..]].concat())
        .ends(0);
    let body = server.next().body;
    assert_eq!(
        (&body["model"], &body["max_tokens"]),
        (&json!("maxi"), &json!(7))
    );
    assert_eq!(body["messages"][0]["content"], "Be long.");
    assert_eq!(body["stream"], true);
    folder.write(
        "forebay.toml",
        "[ask]\nmodel = [\"sim/gpt-x\", \"sim/claude-x\"]\n",
    );
    let rows = folder.forebay(&["ask", "--json", "hi"]).ends(0).rows();
    assert_eq!(rows.len(), 2);
    folder.write("forebay.toml", "[run]\nmodel = \"sim/gpt-x\"\n");
    folder.forebay(&["ask", "hi"]).ends(0);
}

#[test]
fn a_schema_s_answer_is_json_that_fits() {
    let folder = Folder::new();
    let schema = json!({"type": "object", "properties": {"kind": {"enum": ["bug", "other"]}},
        "required": ["kind"], "additionalProperties": false});
    folder.write("kind.schema.json", schema.to_string());
    let arguments = [
        "ask",
        "--schema",
        "kind.schema.json",
        "-m",
        "sim/gpt-4o",
        "hi",
    ];
    let ended = folder.forebay(&arguments).ends(0);
    let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(["bug", "other"].contains(&answer["kind"].as_str().unwrap()));
    let rows = folder
        .forebay(&[&arguments[..], &["--json"]].concat())
        .ends(0)
        .rows();
    assert!(rows[0]["parsed"]["kind"].is_string(), "{}", rows[0]);
}

#[test]
fn an_answer_that_does_not_fit_is_asked_for_again_and_then_fails() {
    let (server, folder) = (Server::start(), Folder::new());
    folder.write("s.json", r#"{"type":"object"}"#);
    let url = server.url("/v1");
    let arguments = [&asking(&url)[..], &["--json", "--schema", "s.json", "hi"]].concat();
    let ended = folder.forebay(&arguments).ends(1);
    let row = &ended.rows()[0];
    assert_eq!(row["error"]["kind"], "schema_mismatch");
    assert_eq!(row["attempts"], 3);
    assert_eq!(server.next().body["messages"].as_array().unwrap().len(), 1);
    let second = server.next().body;
    assert_eq!(
        second["messages"][1],
        json!({"role": "assistant", "content": "fine"})
    );
    assert_eq!(server.next().body["messages"].as_array().unwrap().len(), 5);
    assert!(server.is_idle());
}

#[test]
fn what_cannot_be_asked_is_refused_before_anything_is_sent() {
    let folder = Folder::new();
    folder.write("no.png", "no picture");
    folder.write("latin.txt", b"caf\xe9");
    folder.write("no.schema", "[]");
    let sim = ["-m", "sim/gpt-4o"];
    let refused = |arguments: &[&str], code: i32, words: &[&str]| {
        let ended = folder.forebay(&[&["ask"], arguments].concat()).ends(code);
        ended.says(words);
        assert_eq!(ended.stdout, "", "{arguments:?}");
    };
    refused(&["hi"], 2, &["no model is named", "-m NAME"]);
    refused(&sim, 2, &["nothing is asked"]);
    refused(&["-m", "gpt-4o", "hi"], 2, &["OPENAI_API_KEY is not set"]);
    refused(
        &["-m", "sim/a", "-m", "grok/x", "hi"],
        2,
        &["did you mean groq/x?"],
    );
    let with = |more: &[&'static str]| [&sim[..], more, &["hi"]].concat();
    refused(&with(&["--image", "no.png"]), 3, &["no.png", "no image"]);
    refused(
        &with(&["--image", "gone.png"]),
        3,
        &["cannot read", "gone.png"],
    );
    refused(
        &with(&["-f", "latin.txt"]),
        3,
        &["latin.txt is no UTF-8", "byte 3"],
    );
    refused(&with(&["--schema", "no.schema"]), 2, &["no.schema"]);
    refused(&with(&["--timeout", "0"]), 2, &["--timeout"]);
}

#[test]
fn a_model_that_is_not_served_is_answered_with_what_is() {
    let ended = Folder::new()
        .forebay(&["ask", "-m", "sim/fault-nosuch", "hi"])
        .ends(1);
    ended.says(&[
        "error: HTTP 404",
        "does not list fault-nosuch; it serves sim-small, sim-large",
    ]);
}
