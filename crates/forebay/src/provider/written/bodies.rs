//! Exact bodies, by literal JSON.

use super::*;
use crate::message::{SchemaMode, ToolChoice};

#[test]
fn a_prompt_with_a_system_prompt() {
    let mut request = prompt(|_| {});
    request.system = Some("s\"".to_owned());
    for (dialect, body) in [
        (
            Dialect::Chat,
            r#"{"model":"m","messages":[{"role":"system","content":"s\""},{"role":"user","content":"hi"}]}"#,
        ),
        (
            Dialect::Responses,
            r#"{"model":"m","instructions":"s\"","input":[{"role":"user","content":"hi"}],"store":false}"#,
        ),
        (
            Dialect::Anthropic,
            r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":4096,"system":"s\""}"#,
        ),
        (
            Dialect::Gemini,
            r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"systemInstruction":{"parts":[{"text":"s\""}]}}"#,
        ),
    ] {
        assert_eq!(written(dialect, &request), body);
    }
}

#[test]
fn parameters_have_their_own_names() {
    let all = |p: &mut Parameters| {
        p.max_tokens = Some(9);
        p.temperature = Some(0.5);
        p.top_p = Some(0.25);
        p.stop = vec!["a".to_owned(), "\n".to_owned()];
        p.seed = Some(-7);
    };
    let but_seed = |p: &mut Parameters| {
        all(p);
        p.seed = None;
    };
    let neither = |p: &mut Parameters| {
        but_seed(p);
        p.stop.clear();
    };
    for (dialect, request, tail) in [
        (
            Dialect::Chat,
            prompt(all),
            r#","max_completion_tokens":9,"temperature":0.5,"top_p":0.25,"stop":["a","\n"],"seed":-7}"#,
        ),
        (
            Dialect::Responses,
            prompt(neither),
            r#","max_output_tokens":9,"temperature":0.5,"top_p":0.25,"store":false}"#,
        ),
        (
            Dialect::Anthropic,
            prompt(but_seed),
            r#","max_tokens":9,"temperature":0.5,"top_p":0.25,"stop_sequences":["a","\n"]}"#,
        ),
        (
            Dialect::Gemini,
            prompt(all),
            r#","generationConfig":{"maxOutputTokens":9,"temperature":0.5,"topP":0.25,"stopSequences":["a","\n"],"seed":-7}}"#,
        ),
    ] {
        let body = written(dialect, &request);
        assert!(body.ends_with(tail), "{body}");
    }
}

#[test]
fn a_stream_is_asked_for_in_the_body_or_in_the_path() {
    let request = prompt(|p| p.stream = true);
    for (dialect, tail) in [
        (
            Dialect::Chat,
            r#"],"stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (Dialect::Responses, r#","store":false,"stream":true}"#),
        (Dialect::Anthropic, r#","max_tokens":4096,"stream":true}"#),
        (
            Dialect::Gemini,
            r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#,
        ),
    ] {
        let encoded = encode(&endpoint(dialect), &request).unwrap();
        assert!(encoded.stream);
        assert_eq!(
            encoded.path.ends_with(":streamGenerateContent?alt=sse"),
            dialect == Dialect::Gemini
        );
        let body = std::str::from_utf8(&encoded.body).unwrap();
        assert!(body.ends_with(tail), "{body}");
    }
}

#[test]
fn tools_and_the_choice_among_them() {
    let with = |choice: Option<ToolChoice>| {
        prompt(|p| {
            p.tools = read_tools(TOOLS).unwrap();
            p.tool_choice = choice;
        })
    };
    let named = || Some(ToolChoice::Named("weather".to_owned()));
    for (dialect, tools) in [
        (
            Dialect::Chat,
            r#""tools":[{"type":"function","function":{"name":"weather","description":"It tells.","parameters":{"type":"object"}}}]"#,
        ),
        (
            Dialect::Responses,
            r#""tools":[{"type":"function","name":"weather","description":"It tells.","parameters":{"type":"object"},"strict":false}]"#,
        ),
        (
            Dialect::Anthropic,
            r#""tools":[{"name":"weather","description":"It tells.","input_schema":{"type":"object"}}]"#,
        ),
        (
            Dialect::Gemini,
            r#""tools":[{"functionDeclarations":[{"name":"weather","description":"It tells.","parametersJsonSchema":{"type":"object"}}]}]"#,
        ),
    ] {
        let body = written(dialect, &with(None));
        assert!(body.contains(tools), "{body}");
        assert!(
            !body.contains("hoice") && !body.contains("toolConfig"),
            "{body}"
        );
    }
    let words = [
        Some(ToolChoice::Auto),
        Some(ToolChoice::None),
        Some(ToolChoice::Required),
        named(),
    ];
    for (dialect, choices) in [
        (
            Dialect::Chat,
            [
                r#""tool_choice":"auto""#,
                r#""tool_choice":"none""#,
                r#""tool_choice":"required""#,
                r#""tool_choice":{"type":"function","function":{"name":"weather"}}"#,
            ],
        ),
        (
            Dialect::Responses,
            [
                r#""tool_choice":"auto""#,
                r#""tool_choice":"none""#,
                r#""tool_choice":"required""#,
                r#""tool_choice":{"type":"function","name":"weather"}"#,
            ],
        ),
        (
            Dialect::Anthropic,
            [
                r#""tool_choice":{"type":"auto"}"#,
                r#""tool_choice":{"type":"none"}"#,
                r#""tool_choice":{"type":"any"}"#,
                r#""tool_choice":{"type":"tool","name":"weather"}"#,
            ],
        ),
        (
            Dialect::Gemini,
            [
                r#""toolConfig":{"functionCallingConfig":{"mode":"AUTO"}}"#,
                r#""toolConfig":{"functionCallingConfig":{"mode":"NONE"}}"#,
                r#""toolConfig":{"functionCallingConfig":{"mode":"ANY"}}"#,
                r#""toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["weather"]}}"#,
            ],
        ),
    ] {
        for (choice, json) in words.iter().zip(choices) {
            let body = written(dialect, &with(choice.clone()));
            assert!(body.contains(json), "{body}");
        }
    }
}

#[test]
fn strict_tools_stay_strict() {
    let request = prompt(|p| {
        p.tools = read_tools(TOOLS).unwrap();
        p.tools[0].strict = true;
    });
    for dialect in [Dialect::Chat, Dialect::Responses, Dialect::Anthropic] {
        let body = written(dialect, &request);
        assert!(body.contains(r#","strict":true}"#), "{body}");
    }
    assert_eq!(
        refused(Dialect::Gemini, &request),
        "the Gemini dialect has no strict tools, as \"weather\" is"
    );
}

#[test]
fn a_schema_in_the_dialects_own_member() {
    let request = prompt(|p| p.schema = Some(schema()));
    for (dialect, json) in [
        (
            Dialect::Chat,
            r#""response_format":{"type":"json_schema","json_schema":{"name":"label","schema":{"type":"string"}}}"#,
        ),
        (
            Dialect::Responses,
            r#""text":{"format":{"type":"json_schema","name":"label","schema":{"type":"string"}}}"#,
        ),
        (
            Dialect::Anthropic,
            r#""output_config":{"format":{"type":"json_schema","schema":{"type":"string"}}}"#,
        ),
        (
            Dialect::Gemini,
            r#""generationConfig":{"responseMimeType":"application/json","responseJsonSchema":{"type":"string"}}"#,
        ),
    ] {
        let body = written(dialect, &request);
        assert!(body.contains(json), "{body}");
    }
    let strict = prompt(|p| {
        p.schema = Some(schema());
        p.schema.as_mut().unwrap().strict = true;
    });
    for dialect in [Dialect::Chat, Dialect::Responses] {
        assert!(written(dialect, &strict).contains(r#""schema":{"type":"string"},"strict":true}"#));
    }
    let in_words = prompt(|p| {
        p.schema = Some(schema());
        p.schema.as_mut().unwrap().mode = SchemaMode::Prompt;
    });
    for dialect in DIALECTS {
        let body = written(dialect, &in_words);
        assert!(body.contains(r#"{\"type\":\"string\"}"#), "{body}");
        assert!(
            !body.contains("json_schema") && !body.contains("responseJsonSchema"),
            "{body}"
        );
    }
}

#[test]
fn a_conversation_with_everything() {
    let request = conversation(everything());
    for (dialect, body) in [
        (
            Dialect::Chat,
            format!(
                r#"{{"model":"m","messages":[{{"role":"system","content":"rules"}},{{"role":"user","content":[{{"type":"text","text":"look"}},{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{PNG_BASE64}"}}}}]}},{{"role":"assistant","content":"so","tool_calls":[{{"id":"c1","type":"function","function":{{"name":"weather","arguments":"{{\"at\": \"Rome\"}}"}}}}]}},{{"role":"tool","tool_call_id":"c1","content":"sunny"}},{{"role":"user","content":"and?"}}]}}"#
            ),
        ),
        (
            Dialect::Responses,
            format!(
                r#"{{"model":"m","instructions":"rules","input":[{{"role":"user","content":[{{"type":"input_text","text":"look"}},{{"type":"input_image","detail":"auto","image_url":"data:image/png;base64,{PNG_BASE64}"}}]}},{{"role":"assistant","content":"so"}},{{"type":"function_call","call_id":"c1","name":"weather","arguments":"{{\"at\": \"Rome\"}}"}},{{"type":"function_call_output","call_id":"c1","output":"sunny"}},{{"role":"user","content":"and?"}}],"store":false}}"#
            ),
        ),
        (
            Dialect::Anthropic,
            format!(
                r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"text","text":"look"}},{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{PNG_BASE64}"}}}}]}},{{"role":"assistant","content":[{{"type":"text","text":"so"}},{{"type":"tool_use","id":"c1","name":"weather","input":{{"at": "Rome"}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"c1","content":"sunny"}}]}},{{"role":"user","content":"and?"}}],"max_tokens":4096,"system":"rules"}}"#
            ),
        ),
        (
            Dialect::Gemini,
            format!(
                r#"{{"contents":[{{"role":"user","parts":[{{"text":"look"}},{{"inlineData":{{"mimeType":"image/png","data":"{PNG_BASE64}"}}}}]}},{{"role":"model","parts":[{{"text":"so"}},{{"functionCall":{{"id":"c1","name":"weather","args":{{"at": "Rome"}}}}}}]}},{{"role":"user","parts":[{{"functionResponse":{{"id":"c1","name":"weather","response":{{"output":"sunny"}}}}}}]}},{{"role":"user","parts":[{{"text":"and?"}}]}}],"systemInstruction":{{"parts":[{{"text":"rules"}}]}}}}"#
            ),
        ),
    ] {
        assert_eq!(written(dialect, &request), body);
    }
}

#[test]
fn images_by_address() {
    let url = "https://example.com/a.JPG?x=1";
    let request = conversation(vec![message(Role::User, vec![link(url)])]);
    for (dialect, json) in [
        (
            Dialect::Chat,
            format!(r#"[{{"type":"image_url","image_url":{{"url":"{url}"}}}}]"#),
        ),
        (
            Dialect::Responses,
            format!(r#"[{{"type":"input_image","detail":"auto","image_url":"{url}"}}]"#),
        ),
        (
            Dialect::Anthropic,
            format!(r#"[{{"type":"image","source":{{"type":"url","url":"{url}"}}}}]"#),
        ),
        (
            Dialect::Gemini,
            format!(r#"[{{"fileData":{{"fileUri":"{url}","mimeType":"image/jpeg"}}}}]"#),
        ),
    ] {
        let body = written(dialect, &request);
        assert!(body.contains(&json), "{body}");
    }
}

#[test]
fn further_members_are_merged_with_objects_of_ours() {
    let extra = |pairs: &[(&str, &str)], change: fn(&mut Parameters)| {
        prompt(|p| {
            change(p);
            let pairs = pairs
                .iter()
                .map(|(name, json)| ((*name).to_owned(), raw(json)));
            p.extra = pairs.collect();
        })
    };
    let with_schema: fn(&mut Parameters) = |p| p.schema = Some(schema());
    let body = written(
        Dialect::Responses,
        &extra(
            &[("text", r#"{"verbosity":"low"}"#), ("store", "true")],
            with_schema,
        ),
    );
    let tail = r#""text":{"format":{"type":"json_schema","name":"label","schema":{"type":"string"}},"verbosity":"low"},"store":true}"#;
    assert!(body.ends_with(tail), "{body}");
    let body = written(
        Dialect::Anthropic,
        &extra(&[("output_config", r#"{"effort":"low"}"#)], with_schema),
    );
    let tail = r#""output_config":{"format":{"type":"json_schema","schema":{"type":"string"}},"effort":"low"}}"#;
    assert!(body.ends_with(tail), "{body}");
    let body = written(
        Dialect::Chat,
        &extra(
            &[("stream_options", r#"{"include_obfuscation":false}"#)],
            |p| p.stream = true,
        ),
    );
    let tail = r#""stream_options":{"include_usage":true,"include_obfuscation":false}}"#;
    assert!(body.ends_with(tail), "{body}");
}

#[test]
fn parameters_of_gemini_go_where_they_belong() {
    let config = |pairs: &[(&str, &str)]| {
        let request = prompt(|p| {
            p.max_tokens = Some(5);
            p.top_p = Some(0.5);
            let pairs = pairs
                .iter()
                .map(|(name, json)| ((*name).to_owned(), raw(json)));
            p.extra = pairs.collect();
        });
        let body = written(Dialect::Gemini, &request);
        let (_, tail) = body.split_once("}]}],").unwrap();
        tail.to_owned()
    };
    for (pairs, tail) in [
        (
            &[("topK", "40"), ("safetySettings", "[]")][..],
            r#""generationConfig":{"maxOutputTokens":5,"topP":0.5,"topK":40},"safetySettings":[]}"#,
        ),
        (
            &[("max_output_tokens", "7"), ("top_k", "1")],
            r#""generationConfig":{"topP":0.5,"maxOutputTokens":7,"topK":1}}"#,
        ),
        (
            &[
                (
                    "generation_config",
                    r#"{"thinkingConfig":{"thinkingBudget":0},"top_p":1}"#,
                ),
                ("topK", "2"),
            ],
            r#""generationConfig":{"maxOutputTokens":5,"thinkingConfig":{"thinkingBudget":0},"top_p":1,"topK":2}}"#,
        ),
        (
            &[("topK", "2"), ("generationConfig", r#"{"topK":3}"#)],
            r#""generationConfig":{"maxOutputTokens":5,"topP":0.5,"topK":3}}"#,
        ),
        (
            &[("topK", "2"), ("generationConfig", "null")],
            r#""topK":2,"generationConfig":null}"#,
        ),
        (
            &[("tool_config", r#"{"retrievalConfig":{}}"#)],
            r#""generationConfig":{"maxOutputTokens":5,"topP":0.5},"tool_config":{"retrievalConfig":{}}}"#,
        ),
    ] {
        assert_eq!(config(pairs), tail);
    }
}

#[test]
fn what_a_tool_gave_back_is_an_object_for_gemini() {
    let given = |content: &str, is_error: bool| {
        let mut part = result("", "f", content);
        if let Part::ToolResult(result) = &mut part {
            result.is_error = is_error;
        }
        let request = conversation(vec![message(Role::User, vec![part])]);
        value(Dialect::Gemini, &request)["contents"][0]["parts"][0]["functionResponse"].to_string()
    };
    for (content, is_error, json) in [
        (
            "sunny",
            false,
            r#"{"name":"f","response":{"output":"sunny"}}"#,
        ),
        ("42", false, r#"{"name":"f","response":{"output":"42"}}"#),
        (r#" {"t": 3}"#, false, r#"{"name":"f","response":{"t":3}}"#),
        (
            r#"{"t": 3"#,
            false,
            r#"{"name":"f","response":{"output":"{\"t\": 3"}}"#,
        ),
        ("no", true, r#"{"name":"f","response":{"error":"no"}}"#),
        ("{}", true, r#"{"name":"f","response":{"error":"{}"}}"#),
    ] {
        assert_eq!(given(content, is_error), json);
    }
}

#[test]
fn calls_without_ids_get_some_and_results_find_their_calls() {
    let request = conversation(vec![
        Message::text(Role::User, "x"),
        message(
            Role::Assistant,
            vec![
                call("", "a", "{}"),
                call("", "b", "{}"),
                call("", "a", "{}"),
            ],
        ),
        message(
            Role::User,
            vec![
                result("", "b", "1"),
                result("", "a", "2"),
                result("", "", "3"),
            ],
        ),
    ]);
    let body = value(Dialect::Chat, &request);
    let given = |at: usize| {
        body["messages"][at]["tool_call_id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        [given(2), given(3), given(4)],
        ["call_1", "call_0", "call_2"]
    );
    let named = conversation(vec![
        message(Role::Assistant, vec![call("k", "a", "{}")]),
        message(Role::User, vec![result("k", "", "1")]),
    ]);
    let part = &value(Dialect::Gemini, &named)["contents"][1]["parts"][0];
    assert_eq!(part["functionResponse"]["name"], "a");
}

#[test]
fn results_in_a_row_are_one_message_where_the_dialect_wants_it() {
    let request = conversation(vec![
        message(
            Role::Assistant,
            vec![call("1", "a", "{}"), call("2", "b", "{}")],
        ),
        message(Role::User, vec![result("1", "a", "x")]),
        message(Role::User, vec![result("2", "b", "y")]),
        Message::text(Role::User, "z"),
    ]);
    let lens = |dialect, name: &str, inner: &str| {
        let body = value(dialect, &request);
        let list = body[name].as_array().unwrap().clone();
        let len = |m: &Value| m[inner].as_array().map_or(1, Vec::len);
        list.iter().map(len).collect::<Vec<_>>()
    };
    assert_eq!(lens(Dialect::Anthropic, "messages", "content"), [2, 2, 1]);
    assert_eq!(lens(Dialect::Gemini, "contents", "parts"), [2, 2, 1]);
    assert_eq!(lens(Dialect::Chat, "messages", "content"), [1; 4]);
    assert_eq!(lens(Dialect::Responses, "input", "content"), [1; 5]);
}

#[test]
fn system_messages_in_the_middle_stay_or_are_lifted() {
    let mut request = conversation(vec![
        Message::text(Role::User, "u"),
        message(Role::System, vec![text("a"), text("b")]),
        Message::text(Role::Assistant, "v"),
    ]);
    request.system = Some("first".to_owned());
    assert_eq!(
        written(Dialect::Chat, &request),
        r#"{"model":"m","messages":[{"role":"system","content":"first"},{"role":"user","content":"u"},{"role":"system","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"assistant","content":"v"}]}"#
    );
    assert_eq!(
        written(Dialect::Responses, &request),
        r#"{"model":"m","instructions":"first","input":[{"role":"user","content":"u"},{"role":"system","content":[{"type":"input_text","text":"a"},{"type":"input_text","text":"b"}]},{"role":"assistant","content":"v"}],"store":false}"#
    );
    assert_eq!(
        value(Dialect::Anthropic, &request)["system"],
        "first\n\na\n\nb"
    );
    let system = value(Dialect::Gemini, &request)["systemInstruction"].to_string();
    assert_eq!(
        system,
        r#"{"parts":[{"text":"first"},{"text":"a"},{"text":"b"}]}"#
    );
}

#[test]
fn empty_texts_beside_others_are_left_out() {
    let request = conversation(vec![
        message(Role::User, vec![text(""), text("x"), text("")]),
        message(Role::Assistant, vec![text(""), call("1", "f", "{}")]),
        message(Role::User, vec![text(""), text("")]),
    ]);
    let body = value(Dialect::Anthropic, &request);
    assert_eq!(body["messages"][0]["content"], "x");
    assert_eq!(body["messages"][1]["content"].as_array().unwrap().len(), 1);
    assert_eq!(body["messages"][2]["content"], "");
    assert!(value(Dialect::Chat, &request)["messages"][1]["content"].is_null());
}
