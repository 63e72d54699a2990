//! Images, tools and the parameters that have flags: what is sent, and what is refused.

use serde_json::{Value, json};

use crate::harness::{Folder, THREE};
use crate::server::Server;
use crate::transcript::Transcript;

/// The first bytes of a PNG file, and what they are in base64.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const PNG_URL: &str = "data:image/png;base64,iVBORw0KGgo=";

const TOOL: &str = r#"[{"name":"weather","input_schema":{"type":"object"}}]"#;

/// A folder with two items that name an image each, a file and an address.
fn gallery() -> Folder {
    let folder = Folder::with(
        "in.csv",
        "text,picture\na cat,cat.png\na dog,https://h/dog.png\n",
    );
    folder.write("cat.png", PNG);
    folder
}

/// Runs `in.csv` against the server with these arguments; the bodies in the order of the items.
#[track_caller]
fn bodies(folder: &Folder, arguments: &[&str]) -> Vec<Value> {
    let server = Server::start();
    let url = server.url("/v1");
    let common = [
        "run",
        "in.csv",
        "-q",
        "-c",
        "1",
        "-m",
        "m",
        "--base-url",
        &url,
    ];
    folder
        .forebay(&[&common, arguments].concat())
        .env("OPENAI_API_KEY", "sk-1")
        .env("ANTHROPIC_API_KEY", "sk-1")
        .ends(0);
    // One for each line but the header.
    let items = folder.read("in.csv").lines().count() - 1;
    let bodies = (0..items).map(|_| server.next().body).collect();
    assert!(server.is_idle());
    bodies
}

#[test]
fn an_image_goes_before_the_prompt() {
    let arguments = [
        "--provider",
        "openai",
        "-p",
        "Is it {{ text }}?",
        "--image",
        "{{ picture }}",
    ];
    let bodies = bodies(&gallery(), &arguments);
    let content = |url: &str, text: &str| {
        json!([
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "text", "text": text},
        ])
    };
    assert_eq!(bodies.len(), 2);
    assert_eq!(
        bodies[0]["messages"][0]["content"],
        content(PNG_URL, "Is it a cat?")
    );
    let dog = content("https://h/dog.png", "Is it a dog?");
    assert_eq!(bodies[1]["messages"][0]["content"], dog);
}

#[test]
fn several_images_go_in_their_order() {
    let arguments = [
        "--provider",
        "anthropic",
        "--image",
        "{{ picture }}",
        "--image",
        "cat.png",
    ];
    let bodies = bodies(&gallery(), &arguments);
    let sources: Vec<_> = bodies[1]["messages"][0]["content"]
        .as_array()
        .unwrap()
        .iter()
        .map(|block| block["source"]["type"].clone())
        .collect();
    assert_eq!(sources, [json!("url"), json!("base64"), json!(null)]);
}

#[test]
fn images_that_cannot_be_shown_are_rows() {
    let folder = Folder::with(
        "in.jsonl",
        [
            r#"{"text":"a","picture":"gone.png"}"#,
            r#"{"text":"b","picture":"text.png"}"#,
            r#"{"text":"c","picture":""}"#,
            r#"{"text":"d","picture":"."}"#,
            r#"{"messages":[{"role":"user","content":"e"}],"picture":"cat.png"}"#,
            r#"{"text":"f","picture":"cat.png"}"#,
            r#"{"text":"g","picture":"large.png"}"#,
        ]
        .join("\n"),
    );
    folder.write("text.png", "no picture");
    folder.write("cat.png", PNG);
    let mut large = PNG.to_vec();
    large.resize(4 << 20, 0);
    folder.write("large.png", large);
    let run = [
        "run",
        "in.jsonl",
        "-q",
        "-m",
        "sim/claude-haiku-4-5",
        "--order",
        "input",
    ];
    let ended = folder
        .forebay(&[&run[..], &["--image", "{{ picture }}"]].concat())
        .ends(1);
    let messages: Vec<_> = ended
        .rows()
        .iter()
        .map(|row| {
            row["error"]["message"]
                .as_str()
                .unwrap_or("fine")
                .to_owned()
        })
        .collect();
    assert_eq!(
        messages,
        [
            "line 1 of in.jsonl: cannot read the image gone.png: No such file or directory (os error 2)",
            "line 2 of in.jsonl: the file text.png is no image of a known kind (PNG, JPEG, GIF, WebP)",
            "line 3 of in.jsonl: the image template gives no path and no address",
            "line 4 of in.jsonl: cannot read the image .: not a file",
            "line 5 of in.jsonl: an image cannot be added to the item's own `messages`",
            "fine",
            "messages[0]: the image has 5592408 bytes in base64, the Anthropic dialect takes 5242880 at the most",
        ]
    );
    assert!(ended.rows()[0]["error"]["kind"] == "invalid_item");
}

#[test]
fn tools_and_parameters_are_sent() {
    let folder = Folder::with("in.csv", "text\na\n");
    folder.write("tools.json", TOOL);
    let bodies = bodies(
        &folder,
        &[
            "--provider",
            "openai",
            "--tools",
            "tools.json",
            "--tool-choice",
            "weather",
            "--top-p",
            "0.5",
            "--stop",
            "END",
            "--stop",
            "\n",
            "--seed",
            "-7",
            "--param",
            "top_p=0.25",
        ],
    );
    assert_eq!(
        bodies[0],
        json!({
            "model": "m",
            "messages": [{"role": "user", "content": "a"}],
            "stop": ["END", "\n"],
            "seed": -7,
            "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}],
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
            "top_p": 0.25,
        })
    );
}

#[test]
fn what_cannot_be_sent_is_refused_before_anything_is() {
    let mut said = Transcript::default();
    let folder = Folder::with("in.txt", THREE);
    folder.write("tools.json", TOOL);
    folder.write("broken.json", "[{");
    folder.write("own.json", r#"[{"type":"web_search"}]"#);
    for (what, arguments) in [
        (
            "a seed for Anthropic",
            &["-m", "sim/claude-haiku-4-5", "--seed", "1"][..],
        ),
        (
            "a choice without tools",
            &["-m", "sim/gpt-4o", "--tool-choice", "required"],
        ),
        (
            "a choice of another tool",
            &[
                "-m",
                "sim/gpt-4o",
                "--tools",
                "tools.json",
                "--tool-choice",
                "wether",
            ],
        ),
        (
            "tools that are no JSON",
            &["-m", "sim/gpt-4o", "--tools", "broken.json"],
        ),
        (
            "a tool of a provider's own",
            &["-m", "sim/gpt-4o", "--tools", "own.json"],
        ),
        ("a share above one", &["-m", "sim/gpt-4o", "--top-p", "1.5"]),
        ("an empty stop text", &["-m", "sim/gpt-4o", "--stop", ""]),
        (
            "a seed that is no number",
            &["-m", "sim/gpt-4o", "--seed", "x"],
        ),
        (
            "an image template with another field",
            &["-m", "sim/gpt-4o", "--image", "{{ img }}"],
        ),
    ] {
        let run = ["in.txt", "-o", "out.jsonl"];
        said.refused(what, &folder, &[&run, arguments].concat(), 2);
    }
    let gone = [
        "in.txt",
        "-m",
        "sim/gpt-4o",
        "-o",
        "out.jsonl",
        "--tools",
        "gone.json",
    ];
    said.refused("a missing file of tools", &folder, &gone, 3);
    insta::assert_snapshot!(said.text());
}

#[test]
fn a_journal_knows_what_the_flags_change() {
    let folder = gallery();
    let run = [
        "run",
        "in.csv",
        "-q",
        "-m",
        "sim/fault-500:1",
        "-o",
        "out.jsonl",
        "--max-attempts",
        "1",
    ];
    folder.forebay(&run).run();
    // The same command goes on.
    let same = folder.forebay(&run).run();
    assert!(!same.stderr.contains("differs"), "{}", same.stderr);
    for (flags, told) in [
        (&["--seed", "7"][..], "seed was \"\" and is now \"7\""),
        (&["--stop", "x"], "stop differs"),
        (&["--image", "{{ picture }}"], "image differs"),
    ] {
        let other = folder.forebay(&[&run[..], flags].concat()).ends(2);
        assert!(other.stderr.contains(told), "{}", other.stderr);
    }
}
