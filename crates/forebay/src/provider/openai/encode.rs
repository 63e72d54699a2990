//! Writes requests of the OpenAI chat completions dialect.

use serde_json::value::RawValue;

use crate::endpoint::{Dialect, TokenField};
use crate::fields::push_json_str;
use crate::item::{Parameters, Request};
use crate::message::{AnswerSchema, Role, Tool, ToolChoice};
use crate::outcome::Failure;
use crate::provider::body::{Body, native_schema, push_list, push_message};
use crate::provider::messages::{self, Message, Said};
use crate::provider::tools;
use crate::provider::turn::{Call, Given, Piece, Turn, invalid_at};

/// The cap's name as OpenAI itself wants it.
pub(in crate::provider) const NEW_CAP: &str = "max_completion_tokens";
/// The cap's name as most compatible servers want it.
pub(in crate::provider) const OLD_CAP: &str = "max_tokens";

/// Writes a request.
pub(in crate::provider) fn encode(cap: TokenField, request: &Request) -> Result<Vec<u8>, Failure> {
    let parameters = &*request.shared;
    tools::check(parameters)?;
    let mut body = Body::begin(request)?;
    if let Some(out) = body.member("messages") {
        match messages::said(Dialect::Chat, request)? {
            Said::Own { array, list } => push_own(out, request.system.as_deref(), array, &list)?,
            Said::Turns(turns) => push_turns(out, &turns)?,
        }
    }
    // Never both spellings: a server knows one of them and may reject the other.
    let capped = body.has_extra(NEW_CAP) || body.has_extra(OLD_CAP);
    if let Some(max) = parameters.max_tokens.filter(|_| !capped) {
        let name = match cap {
            TokenField::MaxCompletionTokens => NEW_CAP,
            TokenField::MaxTokens => OLD_CAP,
        };
        body.number(name, max);
    }
    body.float("temperature", parameters.temperature);
    body.float("top_p", parameters.top_p);
    body.texts("stop", &parameters.stop);
    if let Some(seed) = parameters.seed {
        body.json("seed", &seed.to_string());
    }
    push_tools(&mut body, parameters);
    if let Some(schema) = native_schema(parameters)
        && let Some(out) = body.member("response_format")
    {
        push_schema(out, schema);
    }
    if parameters.stream {
        body.json("stream", "true");
        // Without it a stream does not say what it cost.
        body.object(
            "stream_options",
            |_| None,
            |options| {
                options.json("include_usage", "true");
            },
        );
    }
    Ok(body.end())
}

/// Passes messages on as they are, with the system prompt before them unless they have one.
fn push_own(
    out: &mut Vec<u8>,
    system: Option<&str>,
    array: &RawValue,
    list: &[Message<'_>],
) -> Result<(), Failure> {
    let inside = messages::inside(array)?;
    out.push(b'[');
    if let Some(system) = system
        && !list.iter().any(|message| message.is_system)
    {
        push_message(out, "system", system);
        out.push(b',');
    }
    out.extend_from_slice(inside.as_bytes());
    out.push(b']');
    Ok(())
}

fn push_turns(out: &mut Vec<u8>, turns: &[Turn<'_>]) -> Result<(), Failure> {
    out.push(b'[');
    for (at, turn) in turns.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        match turn.role {
            Role::System => {
                out.extend_from_slice(b"{\"role\":\"system\",\"content\":");
                push_content(out, &turn.pieces);
                out.push(b'}');
            }
            Role::User => push_user(out, turn)?,
            Role::Assistant => push_assistant(out, turn)?,
        }
    }
    out.push(b']');
    Ok(())
}

/// What the user says, and what tools gave back as messages of their own, in order.
fn push_user(out: &mut Vec<u8>, turn: &Turn<'_>) -> Result<(), Failure> {
    let is_given = |piece: &Piece<'_>| matches!(piece, Piece::Given(_));
    let runs = turn.pieces.chunk_by(|a, b| !is_given(a) && !is_given(b));
    for (at, run) in runs.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        match run {
            [Piece::Given(given)] => push_given(out, given, turn.at)?,
            said => {
                out.extend_from_slice(b"{\"role\":\"user\",\"content\":");
                push_content(out, said);
                out.push(b'}');
            }
        }
    }
    Ok(())
}

fn push_given(out: &mut Vec<u8>, given: &Given<'_>, at: usize) -> Result<(), Failure> {
    if given.is_error {
        let why = "the OpenAI dialect cannot mark a tool result as an error; say it in its content";
        return Err(invalid_at(at, why));
    }
    out.extend_from_slice(b"{\"role\":\"tool\",\"tool_call_id\":");
    push_json_str(out, &given.id);
    out.extend_from_slice(b",\"content\":");
    given.content.push(out);
    out.push(b'}');
    Ok(())
}

fn push_assistant(out: &mut Vec<u8>, turn: &Turn<'_>) -> Result<(), Failure> {
    let is_image = |piece: &Piece<'_>| matches!(piece, Piece::Image(_));
    if turn.pieces.iter().any(is_image) {
        let why = "the OpenAI dialect takes images from the user only";
        return Err(invalid_at(turn.at, why));
    }
    out.extend_from_slice(b"{\"role\":\"assistant\",\"content\":");
    match turn.texts().count() {
        0 => out.extend_from_slice(b"null"),
        1 => turn.texts().for_each(|text| text.push(out)),
        _ => push_list(out, turn.texts(), |out, text| {
            out.extend_from_slice(b"{\"type\":\"text\",\"text\":");
            text.push(out);
            out.push(b'}');
        }),
    }
    let calls: Vec<_> = turn.calls().collect();
    if !calls.is_empty() {
        out.extend_from_slice(b",\"tool_calls\":");
        push_list(out, calls, push_call);
    }
    out.push(b'}');
    Ok(())
}

fn push_call(out: &mut Vec<u8>, call: &Call<'_>) {
    out.extend_from_slice(b"{\"id\":");
    push_json_str(out, &call.id);
    out.extend_from_slice(b",\"type\":\"function\",\"function\":{\"name\":");
    push_json_str(out, &call.name);
    out.extend_from_slice(b",\"arguments\":");
    push_json_str(out, &call.arguments);
    out.extend_from_slice(b"}}");
}

/// A content: a string where a text is all there is, which every compatible server reads.
fn push_content(out: &mut Vec<u8>, pieces: &[Piece<'_>]) {
    if let [Piece::Text(text)] = pieces {
        return text.push(out);
    }
    push_list(out, pieces, |out, piece| match piece {
        Piece::Text(text) => {
            out.extend_from_slice(b"{\"type\":\"text\",\"text\":");
            text.push(out);
            out.push(b'}');
        }
        Piece::Image(picture) => {
            out.extend_from_slice(b"{\"type\":\"image_url\",\"image_url\":{\"url\":");
            picture.push_url(out);
            out.extend_from_slice(b"}}");
        }
        // The user's turns are cut at results, and `settle` has refused the rest.
        Piece::Call(_) | Piece::Given(_) => out.extend_from_slice(b"null"),
    });
}

fn push_tools(body: &mut Body<'_>, parameters: &Parameters) {
    if !parameters.tools.is_empty()
        && let Some(out) = body.member("tools")
    {
        push_list(out, &parameters.tools, |out, tool| {
            out.extend_from_slice(b"{\"type\":\"function\",\"function\":{");
            push_function(out, tool);
            out.extend_from_slice(b"}}");
        });
    }
    if let Some(choice) = &parameters.tool_choice
        && let Some(out) = body.member("tool_choice")
    {
        match choice {
            ToolChoice::Named(name) => {
                out.extend_from_slice(b"{\"type\":\"function\",\"function\":{\"name\":");
                push_json_str(out, name);
                out.extend_from_slice(b"}}");
            }
            other => push_choice_word(out, other),
        }
    }
}

/// The members of a function, without braces; both of OpenAI's dialects write them.
pub(in crate::provider) fn push_function(out: &mut Vec<u8>, tool: &Tool) {
    out.extend_from_slice(b"\"name\":");
    push_json_str(out, &tool.name);
    if let Some(description) = &tool.description {
        out.extend_from_slice(b",\"description\":");
        push_json_str(out, description);
    }
    out.extend_from_slice(b",\"parameters\":");
    out.extend_from_slice(tool.parameters.get().as_bytes());
    if tool.strict {
        out.extend_from_slice(b",\"strict\":true");
    }
}

/// A choice that is one word in both of OpenAI's dialects.
pub(in crate::provider) fn push_choice_word(out: &mut Vec<u8>, choice: &ToolChoice) {
    let word = match choice {
        ToolChoice::Auto => "auto",
        ToolChoice::None => "none",
        ToolChoice::Required => "required",
        ToolChoice::Named(name) => name,
    };
    push_json_str(out, word);
}

fn push_schema(out: &mut Vec<u8>, schema: &AnswerSchema) {
    out.extend_from_slice(b"{\"type\":\"json_schema\",\"json_schema\":{");
    push_named_schema(out, schema);
    out.extend_from_slice(b"}}");
}

/// The members of a named schema, without braces; both of OpenAI's dialects write them.
pub(in crate::provider) fn push_named_schema(out: &mut Vec<u8>, schema: &AnswerSchema) {
    out.extend_from_slice(b"\"name\":");
    push_json_str(out, &schema.name);
    out.extend_from_slice(b",\"schema\":");
    out.extend_from_slice(schema.schema.get().as_bytes());
    if schema.strict {
        out.extend_from_slice(b",\"strict\":true");
    }
}
