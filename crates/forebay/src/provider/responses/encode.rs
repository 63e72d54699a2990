//! Writes requests of the OpenAI responses dialect.

use crate::endpoint::Dialect;
use crate::fields::push_json_str;
use crate::item::{Parameters, Request};
use crate::message::{Role, ToolChoice};
use crate::outcome::Failure;
use crate::provider::body::{Body, invalid, native_schema, push_list};
use crate::provider::messages::{self, Said};
use crate::provider::openai::{push_choice_word, push_function, push_named_schema};
use crate::provider::tools;
use crate::provider::turn::{Piece, Turn, invalid_at};

/// Writes a request.
pub(in crate::provider) fn encode(request: &Request) -> Result<Vec<u8>, Failure> {
    let parameters = &*request.shared;
    check(parameters)?;
    let mut body = Body::begin(request)?;
    push_input(&mut body, request)?;
    if let Some(max) = parameters.max_tokens {
        body.number("max_output_tokens", max);
    }
    body.float("temperature", parameters.temperature);
    body.float("top_p", parameters.top_p);
    push_tools(&mut body, parameters);
    if let Some(schema) = native_schema(parameters) {
        body.object(
            "text",
            |_| None,
            |text| {
                if let Some(out) = text.member("format") {
                    out.extend_from_slice(b"{\"type\":\"json_schema\",");
                    push_named_schema(out, schema);
                    out.push(b'}');
                }
            },
        );
    }
    // Otherwise the provider keeps each response for a month.
    body.json("store", "false");
    if parameters.stream {
        body.json("stream", "true");
    }
    Ok(body.end())
}

fn check(parameters: &Parameters) -> Result<(), Failure> {
    tools::check(parameters)?;
    if !parameters.stop.is_empty() {
        return Err(invalid("the OpenAI responses dialect has no stop texts"));
    }
    if parameters.seed.is_some() {
        return Err(invalid("the OpenAI responses dialect has no seed"));
    }
    Ok(())
}

fn push_input(body: &mut Body<'_>, request: &Request) -> Result<(), Failure> {
    if body.has_extra("input") {
        if let Some(system) = &request.system
            && let Some(out) = body.member("instructions")
        {
            push_json_str(out, system);
        }
        return Ok(());
    }
    match messages::said(Dialect::Responses, request)? {
        Said::Own { array, list } => {
            // The array's own system message is meant for this item and goes first.
            let own_system = list.iter().any(|message| message.is_system);
            if let Some(system) = request.system.as_deref().filter(|_| !own_system)
                && let Some(out) = body.member("instructions")
            {
                push_json_str(out, system);
            }
            body.json("input", array.get());
        }
        Said::Turns(turns) => {
            let (system, turns) = match turns.split_first() {
                Some((first, rest)) if first.role == Role::System && !rest.is_empty() => {
                    match first.only_text() {
                        Some(text) => (Some(text), rest),
                        None => (None, &turns[..]),
                    }
                }
                _ => (None, &turns[..]),
            };
            if let Some(system) = system
                && let Some(out) = body.member("instructions")
            {
                system.push(out);
            }
            if let Some(out) = body.member("input") {
                push_turns(out, turns)?;
            }
        }
    }
    Ok(())
}

fn push_turns(out: &mut Vec<u8>, turns: &[Turn<'_>]) -> Result<(), Failure> {
    out.push(b'[');
    let mut first = true;
    for turn in turns {
        let is_said = |piece: &Piece<'_>| matches!(piece, Piece::Text(_) | Piece::Image(_));
        for run in turn.pieces.chunk_by(|a, b| is_said(a) && is_said(b)) {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            push_item(out, turn, run)?;
        }
    }
    out.push(b']');
    Ok(())
}

/// One item: what somebody says, a call, or what a tool gave back.
fn push_item(out: &mut Vec<u8>, turn: &Turn<'_>, run: &[Piece<'_>]) -> Result<(), Failure> {
    match run {
        [Piece::Call(call)] => {
            out.extend_from_slice(b"{\"type\":\"function_call\",\"call_id\":");
            push_json_str(out, &call.id);
            out.extend_from_slice(b",\"name\":");
            push_json_str(out, &call.name);
            out.extend_from_slice(b",\"arguments\":");
            push_json_str(out, &call.arguments);
            out.push(b'}');
        }
        [Piece::Given(given)] => {
            if given.is_error {
                let why = "the OpenAI responses dialect cannot mark a tool result as an error; say it in its content";
                return Err(invalid_at(turn.at, why));
            }
            out.extend_from_slice(b"{\"type\":\"function_call_output\",\"call_id\":");
            push_json_str(out, &given.id);
            out.extend_from_slice(b",\"output\":");
            given.content.push(out);
            out.push(b'}');
        }
        said => {
            let role = match turn.role {
                Role::System => "system",
                Role::User => "user",
                Role::Assistant => "assistant",
            };
            out.extend_from_slice(b"{\"role\":");
            push_json_str(out, role);
            out.extend_from_slice(b",\"content\":");
            push_content(out, turn, said)?;
            out.push(b'}');
        }
    }
    Ok(())
}

fn push_content(out: &mut Vec<u8>, turn: &Turn<'_>, said: &[Piece<'_>]) -> Result<(), Failure> {
    if let [Piece::Text(text)] = said {
        text.push(out);
        return Ok(());
    }
    let by_model = turn.role == Role::Assistant;
    let is_image = |piece: &Piece<'_>| matches!(piece, Piece::Image(_));
    if by_model && said.iter().any(is_image) {
        let why = "the OpenAI responses dialect takes images from the user only";
        return Err(invalid_at(turn.at, why));
    }
    push_list(out, said, |out, piece| match piece {
        Piece::Text(text) => {
            let start: &[u8] = match by_model {
                true => b"{\"type\":\"output_text\",\"text\":",
                false => b"{\"type\":\"input_text\",\"text\":",
            };
            out.extend_from_slice(start);
            text.push(out);
            out.push(b'}');
        }
        Piece::Image(picture) => {
            out.extend_from_slice(b"{\"type\":\"input_image\",\"detail\":\"auto\",\"image_url\":");
            picture.push_url(out);
            out.push(b'}');
        }
        // A run of what is said holds neither.
        Piece::Call(_) | Piece::Given(_) => out.extend_from_slice(b"null"),
    });
    Ok(())
}

fn push_tools(body: &mut Body<'_>, parameters: &Parameters) {
    if !parameters.tools.is_empty()
        && let Some(out) = body.member("tools")
    {
        push_list(out, &parameters.tools, |out, tool| {
            out.extend_from_slice(b"{\"type\":\"function\",");
            push_function(out, tool);
            // Here a tool without this member is taken as strict.
            if !tool.strict {
                out.extend_from_slice(b",\"strict\":false");
            }
            out.push(b'}');
        });
    }
    if let Some(choice) = &parameters.tool_choice
        && let Some(out) = body.member("tool_choice")
    {
        match choice {
            ToolChoice::Named(name) => {
                out.extend_from_slice(b"{\"type\":\"function\",\"name\":");
                push_json_str(out, name);
                out.push(b'}');
            }
            other => push_choice_word(out, other),
        }
    }
}
