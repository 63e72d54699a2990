//! Records in, drafts of items out.

use super::*;
use crate::source::format::Format;
use crate::source::record::Decoder;
use crate::source::split::Piece;

fn rules(prompt: Option<&str>, system: Option<&str>, id_field: Option<&str>) -> Rules {
    Rules::new(Prompting {
        prompt: prompt.map(str::to_owned),
        system: system.map(str::to_owned),
        images: Vec::new(),
        id_field: id_field.map(str::to_owned),
        ..Prompting::default()
    })
    .unwrap()
}

fn draft(rules: &Rules, line: &str) -> Draft {
    let piece = Piece {
        line: 1,
        bytes: Ok(line.as_bytes()),
    };
    let mut decoder = Decoder::new(Format::JsonLines, b',', Vec::new());
    rules.draft(&decoder.decode(&piece).unwrap(), Some("text"))
}

fn content(draft: &Draft) -> Result<&str, &str> {
    match &draft.request {
        Ok(request) => Ok(match &request.content {
            Content::Prompt(text) => text,
            Content::Messages(json) => json.get(),
            other => panic!("{other:?}"),
        }),
        Err(message) => Err(message),
    }
}

#[test]
fn a_field_is_the_prompt() {
    let rules = rules(None, None, None);
    let content = |line| {
        let draft = draft(&rules, line);
        content(&draft).map(str::to_owned).map_err(str::to_owned)
    };
    assert_eq!(content(r#"{"text": " a\n"}"#).unwrap(), " a\n");
    assert_eq!(content(r#""a\u0000b""#).unwrap(), "a\0b");
    assert_eq!(content(r#"{"text": 1.50}"#).unwrap(), "1.50");
    assert_eq!(content(r#"{"text": false}"#).unwrap(), "false");
    for line in [
        r#"{"text": null}"#,
        r#"{"text": ""}"#,
        r#"{"text": " \u00a0\n"}"#,
        r#"" ""#,
    ] {
        assert_eq!(content(line).unwrap_err(), "the prompt is empty", "{line}");
    }
    assert_eq!(
        content(r#"{"other": 1}"#).unwrap_err(),
        "the prompt is empty: the field `text` is missing"
    );
    assert_eq!(
        content(r#"{"text": {}}"#).unwrap_err(),
        "the prompt field `text` is an array or an object"
    );
    assert_eq!(
        content(r#"{"text": "\udc00"}"#).unwrap_err(),
        "the field `text` holds a lone surrogate, which is no Unicode text"
    );
    assert_eq!(
        content(r#"{"text": "fine", "x": "\udc00"}"#).unwrap(),
        "fine"
    );
}

#[test]
fn messages_are_used_as_they_are() {
    let line = r#"{"text": "x", "messages": [ {"role": "user"} ]}"#;
    let with = rules(Some("{{ text }}"), Some("S {{ text }}"), None);
    let found = draft(&with, line);
    assert_eq!(content(&found), Ok(r#"[ {"role": "user"} ]"#));
    assert!(found.kept_messages);
    assert_eq!(found.request.unwrap().system.as_deref(), Some("S x"));

    let found = draft(&rules(None, None, None), line);
    assert_eq!(content(&found), Ok(r#"[ {"role": "user"} ]"#));
    assert!(!found.kept_messages);

    let naming = rules(Some("{{ messages[0].role }}"), None, None);
    let found = draft(&naming, line);
    assert_eq!(content(&found), Ok("user"));
    assert!(!found.kept_messages);

    let found = draft(&with, r#"{"text": "x", "messages": "none"}"#);
    assert_eq!(content(&found), Ok("x"));
    assert!(!found.kept_messages);
}

#[test]
fn messages_that_cannot_be_sent_are_refused() {
    let rules = rules(None, None, None);
    let found = draft(&rules, r#"{"messages": [ ]}"#);
    assert_eq!(content(&found), Err("`messages` is empty"));
    let found = draft(&rules, r#"{"messages": ["\ud83d"]}"#);
    assert!(content(&found).unwrap_err().contains("lone surrogate"));
    let found = draft(&rules, r#"{"messages": ["\ud83d\ude00"]}"#);
    assert_eq!(content(&found), Ok(r#"["\ud83d\ude00"]"#));
}

#[test]
fn the_key_is_a_member_of_that_name() {
    let rules = rules(None, None, None);
    let found = draft(&rules, r#"{"text": "a", "custom_id": "k", "n": 1}"#);
    assert_eq!(found.custom_id.as_deref(), Some("k"));
    assert_eq!(found.fields, r#""text":"a","n":1"#);
    let found = draft(&rules, r#"{"text": "a", "custom_id": 12.0}"#);
    assert_eq!(found.custom_id.as_deref(), Some("12.0"));
    let found = draft(&rules, r#"{"text": "a", "custom_id": null}"#);
    assert_eq!(found.custom_id, None);
    assert!(found.request.is_ok());
    assert_eq!(found.fields, r#""text":"a""#);
    let found = draft(&rules, r#"{"text": "a", "custom_id": [1]}"#);
    assert_eq!(
        content(&found),
        Err("the id field `custom_id` is an array or an object")
    );
}

#[test]
fn the_key_is_the_named_field() {
    let rules = rules(None, None, Some("key"));
    let found = draft(&rules, r#"{"text": "a", "key": 7, "custom_id": "k"}"#);
    assert_eq!(found.custom_id.as_deref(), Some("7"));
    assert_eq!(found.fields, r#""text":"a","key":7,"input_custom_id":"k""#);
    let fault = |line| content(&draft(&rules, line)).unwrap_err().to_owned();
    assert_eq!(fault(r#"{"text": "a"}"#), "the id field `key` is missing");
    assert_eq!(
        fault(r#"{"text": "a", "key": null}"#),
        "the id field `key` is empty"
    );
    assert_eq!(
        fault(r#"{"text": "a", "key": ""}"#),
        "the id field `key` is empty"
    );
    assert_eq!(
        fault(r#"{"text": "a", "key": {}}"#),
        "the id field `key` is an array or an object"
    );
    let found = draft(&rules, r#"{"text": "a", "key": null}"#);
    assert_eq!(found.fields, r#""text": "a", "key": null"#);
}

#[test]
fn a_template_may_render_to_nothing() {
    let rules = rules(Some("{{ text }}"), Some("{% if x %}x{% endif %}"), None);
    assert_eq!(
        content(&draft(&rules, r#"{"text": " "}"#)),
        Err("the prompt is empty")
    );
    let found = draft(&rules, r#"{"text": "a"}"#);
    assert_eq!(found.request.unwrap().system, None);
}
