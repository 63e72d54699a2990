//! Requests with everything in them, which the simulated provider takes in each dialect.
//!
//! It answers 400 to what the dialect does not allow.

use forebay::endpoint::Dialect;
use forebay::item::{Content, Parameters};
use forebay::message::{Image, Message, Part, Role, ToolCall, ToolChoice, ToolResult};
use forebay::provider::read_tools;
use forebay::schema::{Schema, SchemaCheck};
use forebay_sim::Answers;
use serde_json::value::RawValue;

use crate::harness::{Ended, Scenario};

const DIALECTS: [(Dialect, &str); 4] = [
    (Dialect::Chat, "gpt-4o-mini"),
    (Dialect::Responses, "gpt-4o-mini"),
    (Dialect::Anthropic, "claude-haiku-4-5"),
    (Dialect::Gemini, "gemini-2.5-flash"),
];

const TOOLS: &str = r#"[{"type":"function","function":{"name":"weather","description":"It tells.",
    "parameters":{"type":"object","properties":{"at":{"type":"string"}},"required":["at"]}}}]"#;

/// A conversation with rules, an image, a call and its result before the prompt.
fn conversation(prompt: String) -> Content {
    let call = ToolCall {
        id: "call_1".into(),
        name: "weather".into(),
        arguments: RawValue::from_string(r#"{"at":"Rome"}"#.into()).unwrap(),
    };
    let result = ToolResult {
        id: "call_1".into(),
        name: "weather".into(),
        content: "sunny".into(),
        is_error: false,
    };
    let image = Image::from_bytes(&b"\x89PNG\r\n\x1a\n"[..]).unwrap();
    Content::Conversation(vec![
        Message::text(Role::System, "be brief"),
        Message {
            role: Role::User,
            parts: vec![Part::Image(image), Part::Text("where is it?".into())],
        },
        Message {
            role: Role::Assistant,
            parts: vec![Part::Text("I look.".into()), Part::ToolCall(call)],
        },
        Message {
            role: Role::User,
            parts: vec![Part::ToolResult(result)],
        },
        Message::text(Role::User, prompt),
    ])
}

/// The same as OpenAI's chat completions write it, whoever is asked.
fn chat_messages(prompt: String) -> Content {
    let messages = serde_json::json!([
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
            {"type": "text", "text": "where is it?"}]},
        {"role": "assistant", "content": "I look.", "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"at\":\"Rome\"}"}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
        {"role": "user", "content": prompt},
    ]);
    Content::Messages(RawValue::from_string(messages.to_string()).unwrap())
}

fn scenario(provider: Dialect, model: &'static str, choice: Option<ToolChoice>) -> Scenario {
    Scenario {
        provider,
        model,
        prompts: (0..3).map(|n| format!("question {n}")).collect(),
        content: conversation,
        parameters: Parameters {
            temperature: Some(0.5),
            top_p: Some(0.5),
            tools: read_tools(TOOLS).unwrap(),
            tool_choice: choice,
            ..Parameters::default()
        },
        ..Scenario::default()
    }
}

#[track_caller]
fn all_answered(ended: &Ended) {
    assert_eq!(
        (ended.summary.ok, ended.summary.failed),
        (3, 0),
        "{:?}",
        ended.rows
    );
}

#[tokio::test(start_paused = true)]
async fn conversations_with_tools_and_images_are_taken_in_each_dialect() {
    for (dialect, model) in DIALECTS {
        for stream in [false, true] {
            for content in [conversation, chat_messages] {
                let ended = Scenario {
                    stream,
                    content,
                    ..scenario(dialect, model, Some(ToolChoice::Auto))
                }
                .run()
                .await;
                all_answered(&ended);
                // The last thing that the user says, and nothing of what was said before.
                for row in &ended.rows {
                    assert_eq!(row["output"], row["text"], "{dialect:?}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_has_to_be_called_is_called_in_each_dialect() {
    for (dialect, model) in DIALECTS {
        for choice in [ToolChoice::Required, ToolChoice::Named("weather".into())] {
            let ended = scenario(dialect, model, Some(choice)).run().await;
            all_answered(&ended);
            for row in &ended.rows {
                let calls = row["tool_calls"].to_string();
                assert!(calls.contains("\"weather\""), "{dialect:?}: {row}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_schema_shapes_the_answer_in_each_dialect() {
    for (dialect, model) in DIALECTS {
        let mut scenario = scenario(dialect, model, None);
        scenario.parameters.tools.clear();
        scenario.sim.answers = Answers::Plausible;
        scenario.settings.schema = Some(SchemaCheck {
            schema: Schema::compile(
                r#"{"type":"object","properties":{"label":{"type":"string"}},
                    "required":["label"],"additionalProperties":false}"#,
            )
            .unwrap(),
            retries: 0,
        });
        let ended = scenario.run().await;
        all_answered(&ended);
        for row in &ended.rows {
            assert!(row["parsed"]["label"].is_string(), "{dialect:?}: {row}");
        }
    }
}
