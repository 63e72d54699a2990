//! Messages of one dialect for an endpoint of another.

use serde_json::json;

use super::*;

/// Messages with a tool's call and an image, as each dialect writes them.
fn forms() -> Vec<(Dialect, String)> {
    let url = format!("data:image/png;base64,{PNG_BASE64}");
    vec![
        (
            Dialect::Chat,
            json!([
                {"role": "system", "content": "rules"},
                {"role": "user", "content": [{"type": "text", "text": "l\u{f6}ok\n"}, {"type": "image_url", "image_url": {"url": url, "detail": "auto"}}]},
                {"role": "assistant", "content": null, "refusal": null, "annotations": [], "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{\"at\":\"Rome\"}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
            ])
            .to_string(),
        ),
        (
            Dialect::Responses,
            json!([
                {"role": "developer", "content": "rules"},
                {"role": "user", "content": [{"type": "input_text", "text": "l\u{f6}ok\n"}, {"type": "input_image", "image_url": url}]},
                {"type": "function_call", "id": "fc_1", "status": "completed", "call_id": "c1", "name": "weather", "arguments": "{\"at\":\"Rome\"}"},
                {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "sunny"}]},
            ])
            .to_string(),
        ),
        (
            Dialect::Anthropic,
            json!([
                {"role": "system", "content": [{"type": "text", "text": "rules"}]},
                {"role": "user", "content": [{"type": "text", "text": "l\u{f6}ok\n"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG_BASE64}}]},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "weather", "input": {"at": "Rome"}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "sunny"}]}]},
            ])
            .to_string(),
        ),
        (
            Dialect::Gemini,
            json!([
                {"role": "system", "parts": [{"text": "rules"}]},
                {"role": "user", "parts": [{"text": "l\u{f6}ok\n"}, {"inline_data": {"mime_type": "image/png", "data": PNG_BASE64}}]},
                {"role": "model", "parts": [{"functionCall": {"id": "c1", "name": "weather", "args": {"at": "Rome"}}}]},
                {"role": "user", "parts": [{"functionResponse": {"id": "c1", "name": "weather", "response": {"output": "sunny"}}}]},
            ])
            .to_string(),
        ),
    ]
}

#[test]
fn every_form_is_translated_into_every_dialect() {
    let neutral = conversation(vec![
        message(Role::System, vec![text("rules")]),
        message(Role::User, vec![text("l\u{f6}ok\n"), png()]),
        message(
            Role::Assistant,
            vec![call("c1", "weather", r#"{"at":"Rome"}"#)],
        ),
        message(Role::User, vec![result("c1", "weather", "sunny")]),
    ]);
    for (form, json) in forms() {
        for dialect in DIALECTS.into_iter().filter(|dialect| *dialect != form) {
            let found = value(dialect, &messages(&json));
            assert_eq!(found, value(dialect, &neutral), "{form:?} to {dialect:?}");
        }
    }
}

#[test]
fn calls_at_once_become_one_message_of_the_assistant() {
    let items = json!([
        {"role": "user", "content": "both"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "well"}]},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "b", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "1"},
        {"type": "function_call_output", "call_id": "b", "output": "2"},
    ]);
    let neutral = conversation(vec![
        message(Role::User, vec![text("both")]),
        message(
            Role::Assistant,
            vec![text("well"), call("a", "f", "{}"), call("b", "g", "{}")],
        ),
        message(
            Role::User,
            vec![result("a", "f", "1"), result("b", "g", "2")],
        ),
    ]);
    let items = messages(&items.to_string());
    for dialect in [Dialect::Chat, Dialect::Anthropic, Dialect::Gemini] {
        assert_eq!(
            value(dialect, &items),
            value(dialect, &neutral),
            "{dialect:?}"
        );
    }
}

#[test]
fn the_endpoints_own_form_passes_byte_for_byte() {
    for (form, json) in forms() {
        // Two of them have no place for system messages in the array.
        let spaced = json
            .replacen('[', "[ ", 1)
            .replace("\"rules\"", "\"rul\\u0065s\"");
        let own = match form {
            Dialect::Chat | Dialect::Responses => spaced,
            _ => {
                let (_, rest) = spaced.split_once("},").unwrap();
                let rest = rest.split_once("{\"role\":\"user\"").map_or(rest, |_| rest);
                let start = rest.find('{').unwrap();
                format!("[ {}", &rest[start..])
            }
        };
        let mut request = messages(&own);
        request.system =
            (form != Dialect::Chat && form != Dialect::Responses).then(|| "s".to_owned());
        let body = written(form, &request);
        assert!(body.contains(&own), "{body}\n{own}");
    }
    // Parts and members that are not known here are the provider's matter.
    for (dialect, own) in [
        (
            Dialect::Chat,
            r#"[{"role":"user","name":"x","content":[{"type":"video_url","video_url":{}}]}]"#,
        ),
        (
            Dialect::Chat,
            r#"[{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text"}]}]}]"#,
        ),
        (
            Dialect::Anthropic,
            r#"[{"role":"user","content":[{"type":"search_result","cache_control":{}}]}]"#,
        ),
        (
            Dialect::Responses,
            r#"[{"type":"web_search_call","id":"x"}]"#,
        ),
        (Dialect::Gemini, r#"[{"parts":[{"executableCode":{}}]}]"#),
    ] {
        assert!(written(dialect, &messages(own)).contains(own));
    }
}

#[test]
fn the_runs_system_prompt_gives_way_to_the_messages_own() {
    let with = |json: &str| {
        let mut request = messages(json);
        request.system = Some("of the run".to_owned());
        request
    };
    let own = with(r#"[{"role":"system","content":"own"},{"role":"user","content":"x"}]"#);
    let none = with(r#"[{"role":"user","content":"x"}]"#);
    let foreign =
        with(r#"[{"role":"system","content":"own"},{"role":"user","parts":[{"text":"x"}]}]"#);
    for dialect in DIALECTS {
        for request in [&own, &foreign] {
            let body = written(dialect, request);
            assert!(
                body.contains("own") && !body.contains("of the run"),
                "{body}"
            );
        }
        assert!(written(dialect, &none).contains("of the run"));
    }
}

#[test]
fn plain_texts_keep_their_escapes() {
    let request = messages(r#"[{"role":"user","content":"caf\u00e9 \ud83d\ude00 \/"}]"#);
    let text = r#""caf\u00e9 \ud83d\ude00 \/""#;
    for dialect in DIALECTS {
        assert!(written(dialect, &request).contains(text));
    }
}

#[test]
fn older_and_looser_ways_to_write_are_read() {
    let turns = r#"[{"role":"user","content":["a",{"type":"text","text":"b"}]},
        {"role":"assistant","content":"","function_call":{"name":"f","arguments":""}},
        {"role":"function","name":"f","content":"done"},
        {"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"k","function":{"name":"g","arguments":{"x":1}}}]},
        {"role":"tool","tool_call_id":"k","content":[{"type":"text","text":"1"},{"type":"text","text":"2"}]}]"#;
    let body = value(Dialect::Anthropic, &messages(turns));
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "call_0", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_0", "content": "done"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "k", "name": "g", "input": {"x": 1}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "k", "content": "1\n2"}]},
        ])
    );
}

#[test]
fn what_cannot_be_translated_is_named_with_its_place() {
    let part = |json: &str| {
        format!(r#"[{{"role":"user","content":[{json}]}},{{"role":"model","parts":[]}}]"#)
    };
    for (json, why) in [
        (part(r#"{"type":"input_audio","input_audio":{}}"#), r#"messages[0].content[0]: a part of the type "input_audio" cannot be"#),
        (part(r#"{"type":"file","file":{}}"#), r#"messages[0].content[0]: a part of the type "file" cannot be"#),
        (part(r#""x",{"type":"document"}"#), r#"messages[0].content[1]: a part of the type "document" cannot be"#),
        (part(r#"{"type":"thinking","thinking":"x"}"#), r#"messages[0].content[0]: a part of the type "thinking""#),
        (part(r#"{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}"#), r#"messages[0].content[0]: the member "cache_control""#),
        (part(r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}}"#), "messages[0].content[0]: the image is of no known kind"),
        (part(r#"{"type":"image_url","image_url":{"url":"cat.png"}}"#), "messages[0].content[0]: the image is neither"),
        (part(r#"{"type":"image_url","image_url":{"url":"https://h/x","detail":"low"}}"#), r#"messages[0].content[0]: the image detail "low""#),
        (part(r#"{"type":"image","source":{"type":"file","file_id":"x"}}"#), r#"messages[0].content[0]: an image source of the type "file""#),
        (part(r#"{"type":"tool_result","tool_use_id":"x","content":[{"type":"image","source":{"type":"url","url":"https://h/x"}}]}"#), "messages[0].content[0]: only texts"),
        (part("1"), "messages[0].content[0]: not a JSON object"),
        (part(r#"{"text":"x"}"#), "messages[0].content[0]: the part has no type"),
        (r#"[{"role":"user","content":3},{"role":"model"}]"#.to_owned(), r#"messages[0]: "content" is not a string or an array"#),
        (r#"[{"role":"user","name":"Bo","content":"x"},{"role":"model"}]"#.to_owned(), r#"messages[0]: the member "name""#),
        (r#"[{"content":"x"},{"role":"model"}]"#.to_owned(), "messages[0]: the message has no role"),
        (r#"[{"role":"robot","content":"x"},{"role":"model"}]"#.to_owned(), r#"messages[0]: the role "robot" is not known"#),
        (r#"[{"role":"user","content":"x"},{"role":"model","parts":[{"text":"y","thought":true}]}]"#.to_owned(), r#"messages[1].parts[0]: the member "thought""#),
        (r#"[{"role":"user","content":"x"},{"role":"model","parts":[{"executableCode":{}}]}]"#.to_owned(), "messages[1].parts[0]: the part cannot be translated"),
        (r#"[{"role":"user","content":"x"},{"role":"model","parts":[]}]"#.to_owned(), "messages[1]: the message is empty"),
        (r#"[{"role":"model","parts":[{"fileData":{"fileUri":"https://h/x.pdf","mimeType":"application/pdf"}}]}]"#.to_owned(), r#"messages[0].parts[0]: a file of the type "application/pdf""#),
        (r#"[{"type":"reasoning","id":"x"},{"role":"model","parts":[]}]"#.to_owned(), r#"messages[0]: an item of the type "reasoning""#),
        (r#"[{"role":"assistant","tool_calls":[{"id":"1","type":"custom","custom":{}}]},{"role":"model"}]"#.to_owned(), r#"messages[0].tool_calls[0]: a tool call of the type "custom""#),
        (r#"[{"role":"assistant","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{"}}]},{"role":"model"}]"#.to_owned(), "messages[0].tool_calls[0]: the arguments of a tool call are not a JSON object"),
        (r#"[{"role":"tool","content":"x"},{"role":"user","parts":[{"text":"x"}]}]"#.to_owned(), "messages[0]: a tool result does not say"),
    ] {
        let found = refused(Dialect::Chat, &messages(&json));
        assert!(found.starts_with(why), "{json}\n{found}");
    }
}
