//! Whole requests: what they wrap, and how they are told.

use super::*;

const CHAT: &str =
    r#"{ "model":"m" , "messages": [{"role":"user","content":"h\u00e9"}],  "n": 1.0 }"#;

fn of(kind: Requests, lines: &str, body_model: BodyModel) -> Vec<Item> {
    let files = Files::new();
    let path = files.add("in.jsonl", lines);
    let spec = InputSpec {
        format: Some(Format::Requests(kind)),
        ..spec(&[path])
    };
    let prompting = Prompting {
        body_model,
        ..Prompting::default()
    };
    all(Source::open(spec, prompting).unwrap())
}

/// What is wrong with an item, without the place.
fn fault(item: &Item) -> &str {
    let message = &item.request.as_ref().unwrap_err().message;
    let (place, fault) = message.split_once("in.jsonl: ").unwrap();
    assert!(place.starts_with("line "), "{message}");
    fault
}

fn raw(item: &Item) -> &crate::item::RawRequest {
    match &item.request.as_ref().unwrap().content {
        Content::Raw(raw) => raw,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_line_of_a_batch_file_is_a_request_byte_for_byte() {
    let line = format!(
        r#" {{"custom_id": "r\u002d1","method":"POST","url":"/v1/chat/completions","body": {CHAT} }}"#
    );
    let items = of(Requests::OpenAiBatch, &line, BodyModel::Needed);
    assert_eq!(items[0].custom_id.as_deref(), Some("r-1"));
    assert_eq!(items[0].fields, "");
    let raw = raw(&items[0]);
    assert_eq!(raw.body.get(), CHAT);
    assert_eq!(raw.path.as_deref(), Some("/v1/chat/completions"));
    assert_eq!(raw.dialect, Some(crate::endpoint::Dialect::Chat));
}

#[test]
fn a_bad_line_of_a_batch_file_keeps_its_key_and_says_what_is_wrong() {
    let lines = concat!(
        r#"{"method":"POST","url":"/v1/responses","body":{"model":"m"}}"#,
        "\n",
        r#"{"custom_id":"b","method":"GET","url":"/v1/responses","body":{"model":"m"}}"#,
        "\n",
        r#"{"custom_id":"c","method":"POST","url":"/v1/moderations","body":{"model":"m"}}"#,
        "\n",
        r#"{"custom_id":"d","method":"POST","url":"/v1/responses"}"#,
        "\n",
        r#"{"custom_id":"e","method":"POST","url":"/v1/responses","body":[]}"#,
        "\n",
        r#"{"custom_id":"f","method":"POST","url":"/v1/responses","body":{}}"#,
        "\n",
        r#"{"custom_id":"g","method":"POST","url":"/v1/responses","body":{"model":"x"}}"#,
        "\n",
        r#"{"custom_id":8,"method":"POST","url":"/v1/responses","body":{"model":"m"}}"#,
        "\n",
        r#"{"custom_id":"i","url":"/v1/responses","body":{"model":"m"}}"#,
        "\n",
        r#"{"custom_id":"j","method":"POST","url":"/v1/responses","body":{"model":"m","stream":true}}"#,
        "\n",
        r#"{"text":"an item"}"#,
        "\n",
        "\"text\"\n{\n",
    );
    let items = of(Requests::OpenAiBatch, lines, BodyModel::Is("m".into()));
    let found: Vec<_> = items
        .iter()
        .map(|item| (item.custom_id.as_deref().unwrap_or("-"), fault(item)))
        .collect();
    assert_eq!(
        found,
        [
            ("-", "`custom_id` is missing"),
            ("b", "the method is not \"POST\""),
            (
                "c",
                "the url \"/v1/moderations\" is none of /v1/chat/completions, /v1/responses, \
                 /v1/embeddings"
            ),
            ("d", "`body` is missing"),
            ("e", "`body` is no object"),
            ("f", "the request names no model"),
            (
                "g",
                "the request names another model than the first one, which is \"m\": a run is \
                 for one model"
            ),
            ("-", "`custom_id` is no string"),
            ("i", "`method` is missing"),
            (
                "j",
                "the request asks for a stream, which its format has no place for"
            ),
            ("-", "`custom_id` is missing"),
            ("-", "not a JSON object"),
            (
                "-",
                "malformed JSON at column 1: EOF while parsing an object"
            ),
        ]
    );
}

#[test]
fn the_other_tools_wrap_their_bodies_otherwise() {
    let line = format!(r#"{{"custom_id":"a","params":{CHAT}}}"#);
    let items = of(Requests::AnthropicBatch, &line, BodyModel::Needed);
    assert_eq!(items[0].custom_id.as_deref(), Some("a"));
    assert_eq!(
        (raw(&items[0]).body.get(), raw(&items[0]).dialect),
        (CHAT, None)
    );

    let items = of(
        Requests::Bodies,
        &format!("  {CHAT}\r\n"),
        BodyModel::Needed,
    );
    assert_eq!(raw(&items[0]).body.get(), CHAT);
    assert_eq!(
        (items[0].custom_id.as_deref(), &*items[0].fields),
        (None, "")
    );
}

#[test]
fn a_cookbook_line_is_sent_without_its_metadata() {
    let lines =
        "{\"model\":\"m\",\r\"metadata\" : {\"row\":1}, \"input\":\"a\"}\n{\"model\": \"m\"}\n";
    let items = of(Requests::Cookbook, lines, BodyModel::Needed);
    assert_eq!(raw(&items[0]).body.get(), r#"{"model":"m","input":"a"}"#);
    assert_eq!(
        items[0].fields,
        r#""request":{"model":"m","input":"a"},"metadata":{"row":1}"#
    );
    assert_eq!(raw(&items[1]).body.get(), r#"{"model": "m"}"#);
    assert_eq!(items[1].fields, r#""request":{"model": "m"}"#);
}

#[test]
fn files_of_other_tools_are_told_by_their_first_record() {
    let openai = r#"{"custom_id":"a","method":"POST","url":"/v1/responses","body":{"model":"m"}}"#;
    let anthropic = r#"{"custom_id":"a","params":{"model":"c"}}"#;
    let look = |lines: &str| {
        let files = Files::new();
        FirstLook::at(&spec(&[files.add("in.jsonl", lines)])).unwrap()
    };
    assert_eq!(
        look(&format!("\n{{\n{openai}\n{{\"text\":1}}\n")),
        FirstLook {
            requests: Some(Requests::OpenAiBatch),
            model: Some("m".into()),
            dialect: Some(crate::endpoint::Dialect::Responses),
        }
    );
    assert_eq!(look(anthropic).requests, Some(Requests::AnthropicBatch));
    assert_eq!(look(anthropic).model.as_deref(), Some("c"));
    for plain in [
        r#"{"text":"x"}"#,
        r#"{"custom_id":"a","params":"x"}"#,
        r#"{"custom_id":"a","params":{},"text":"x"}"#,
        r#"{"url":"http://x","body":{}}"#,
        r#"{"custom_id":"a","url":"http://x","body":"page"}"#,
        "\"x\"",
        "",
    ] {
        assert_eq!(look(plain), FirstLook::default(), "{plain}");
    }
}

#[test]
fn files_of_different_kinds_are_refused() {
    let files = Files::new();
    let batch = files.add("a.jsonl", r#"{"custom_id":"a","params":{}}"#);
    let plain = files.add("b.jsonl", r#"{"text":"x"}"#);
    let error = FirstLook::at(&spec(&[batch, plain]))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("a.jsonl is a file of Anthropic batch requests"),
        "{error}"
    );
    assert!(error.ends_with("b.jsonl is a file of items"), "{error}");
}

#[test]
fn whole_requests_where_items_were_expected_are_an_error() {
    let line = r#"{"custom_id":"a","method":"POST","url":"/v1/responses","body":{}}"#;
    let (message, hint) = refusal("in.jsonl", line, Prompting::default());
    assert_eq!(message, "in.jsonl is an OpenAI Batch file");
    assert_eq!(hint, "say so with --format openai-batch");
    let items = items_of("in.jsonl", line, prompt("{{ url }}"));
    assert_eq!(said(&items[0]), "/v1/responses");
}
