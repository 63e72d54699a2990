//! Writes requests of the Anthropic messages dialect.
//!
//! Owns the lifting of system messages out of the array of messages, which this dialect does not
//! allow there.

use crate::endpoint::Dialect;
use crate::fields::push_json_str;
use crate::item::{Parameters, Request};
use crate::message::{Role, ToolChoice};
use crate::outcome::Failure;
use crate::provider::body::{Body, invalid, native_schema, push_list};
use crate::provider::messages::{self, Message, Said};
use crate::provider::picture::{Picture, Place};
use crate::provider::tools;
use crate::provider::turn::{self, Piece, Turn, invalid_at};

/// The cap on output tokens when the user names none; this dialect requires one.
///
/// 4096 is what every model of the dialect can write, the oldest included, and it is not charged
/// up front: output limits count the tokens that were really written. A longer answer ends with
/// the finish reason `length`, which shows.
const DEFAULT_MAX_TOKENS: u32 = 4096;

/// The most bytes of an image in base64. Source: Anthropic's guide to vision, 5 MB an image; the
/// API's own error shows that they are counted in base64.
const MOST_IMAGE_BYTES: usize = 5 * 1024 * 1024;

/// Writes a request.
pub(in crate::provider) fn encode(request: &Request) -> Result<Vec<u8>, Failure> {
    let parameters = &*request.shared;
    tools::check(parameters)?;
    if parameters.seed.is_some() {
        return Err(invalid("the Anthropic dialect has no seed"));
    }
    let mut body = Body::begin(request)?;
    let system = push_messages(&mut body, request)?;
    let max_tokens = parameters.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
    body.number("max_tokens", max_tokens);
    if let Some(system) = system
        && let Some(out) = body.member("system")
    {
        out.extend_from_slice(&system);
    }
    body.float("temperature", parameters.temperature);
    body.float("top_p", parameters.top_p);
    body.texts("stop_sequences", &parameters.stop);
    push_tools(&mut body, parameters);
    if let Some(schema) = native_schema(parameters) {
        body.object(
            "output_config",
            |_| None,
            |config| {
                if let Some(out) = config.member("format") {
                    out.extend_from_slice(b"{\"type\":\"json_schema\",\"schema\":");
                    out.extend_from_slice(schema.schema.get().as_bytes());
                    out.push(b'}');
                }
            },
        );
    }
    if parameters.stream {
        body.json("stream", "true");
    }
    Ok(body.end())
}

/// Writes the messages without the system's, whose texts it gives back as one JSON string.
fn push_messages(body: &mut Body<'_>, request: &Request) -> Result<Option<Vec<u8>>, Failure> {
    let ours = || request.system.as_deref().map(json_str);
    if body.has_extra("messages") {
        return Ok(ours());
    }
    match messages::said(Dialect::Anthropic, request)? {
        Said::Own { array, list } => {
            let lifted = lift(&list)?;
            if let Some(out) = body.member("messages") {
                match &lifted {
                    None => out.extend_from_slice(array.get().as_bytes()),
                    Some(_) => push_list(out, list.iter().filter(|m| !m.is_system), |out, m| {
                        out.extend_from_slice(m.raw.get().as_bytes());
                    }),
                }
            }
            // The array's own system message is meant for this item and goes first.
            Ok(lifted.map(|text| json_str(&text)).or_else(ours))
        }
        Said::Turns(turns) => {
            let (system, turns): (Vec<_>, Vec<_>) = turns
                .into_iter()
                .partition(|turn| turn.role == Role::System);
            let turns = turn::gather_results(turns);
            if turns.is_empty() {
                return Err(only_system());
            }
            if let Some(out) = body.member("messages") {
                out.push(b'[');
                for (at, turn) in turns.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    push_turn(out, turn)?;
                }
                out.push(b']');
            }
            let texts: Vec<_> = system.iter().flat_map(Turn::texts).collect();
            let mut joined = Vec::new();
            turn::push_joined(&mut joined, &texts);
            Ok((!texts.is_empty()).then_some(joined))
        }
    }
}

fn only_system() -> Failure {
    invalid("the array of messages holds only system messages")
}

fn json_str(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    push_json_str(&mut out, text);
    out
}

/// The joined texts of the system messages; `None` when there are none.
fn lift(list: &[Message<'_>]) -> Result<Option<String>, Failure> {
    let mut texts = Vec::new();
    for (at, message) in list.iter().enumerate() {
        if message.is_system {
            texts.extend(messages::system_texts(message.raw, at)?);
        }
    }
    if list.iter().all(|message| message.is_system) {
        return Err(only_system());
    }
    let lifts = list.iter().any(|message| message.is_system);
    Ok(lifts.then(|| texts.join("\n\n")))
}

fn push_turn(out: &mut Vec<u8>, turn: &Turn<'_>) -> Result<(), Failure> {
    let role: &[u8] = match turn.role {
        Role::Assistant => b"{\"role\":\"assistant\",\"content\":",
        Role::System | Role::User => b"{\"role\":\"user\",\"content\":",
    };
    out.extend_from_slice(role);
    if let Some(text) = turn.only_text() {
        text.push(out);
    } else {
        out.push(b'[');
        for (at, piece) in turn.pieces.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            push_block(out, turn, piece)?;
        }
        out.push(b']');
    }
    out.push(b'}');
    Ok(())
}

fn push_block(out: &mut Vec<u8>, turn: &Turn<'_>, piece: &Piece<'_>) -> Result<(), Failure> {
    match piece {
        Piece::Text(text) => {
            out.extend_from_slice(b"{\"type\":\"text\",\"text\":");
            text.push(out);
        }
        Piece::Image(_) if turn.role == Role::Assistant => {
            let why = "the Anthropic dialect takes images from the user only";
            return Err(invalid_at(turn.at, why));
        }
        Piece::Image(picture) => push_image(out, turn, picture)?,
        Piece::Call(call) => {
            out.extend_from_slice(b"{\"type\":\"tool_use\",\"id\":");
            push_json_str(out, &call.id);
            out.extend_from_slice(b",\"name\":");
            push_json_str(out, &call.name);
            out.extend_from_slice(b",\"input\":");
            out.extend_from_slice(call.arguments.as_bytes());
        }
        Piece::Given(given) => {
            out.extend_from_slice(b"{\"type\":\"tool_result\",\"tool_use_id\":");
            push_json_str(out, &given.id);
            out.extend_from_slice(b",\"content\":");
            given.content.push(out);
            if given.is_error {
                out.extend_from_slice(b",\"is_error\":true");
            }
        }
    }
    out.push(b'}');
    Ok(())
}

fn push_image(out: &mut Vec<u8>, turn: &Turn<'_>, picture: &Picture<'_>) -> Result<(), Failure> {
    let len = picture.encoded_len();
    if len > MOST_IMAGE_BYTES {
        let why = format!(
            "the image has {len} bytes in base64, the Anthropic dialect takes {MOST_IMAGE_BYTES} at the most"
        );
        return Err(invalid_at(turn.at, why));
    }
    out.extend_from_slice(b"{\"type\":\"image\",\"source\":");
    match picture.place() {
        Place::Inline { media_type } => {
            out.extend_from_slice(b"{\"type\":\"base64\",\"media_type\":\"");
            out.extend_from_slice(media_type.as_bytes());
            out.extend_from_slice(b"\",\"data\":\"");
            picture.push_base64(out);
            out.extend_from_slice(b"\"}");
        }
        Place::Url(url) => {
            out.extend_from_slice(b"{\"type\":\"url\",\"url\":");
            push_json_str(out, url);
            out.push(b'}');
        }
    }
    Ok(())
}

fn push_tools(body: &mut Body<'_>, parameters: &Parameters) {
    if !parameters.tools.is_empty()
        && let Some(out) = body.member("tools")
    {
        push_list(out, &parameters.tools, |out, tool| {
            out.extend_from_slice(b"{\"name\":");
            push_json_str(out, &tool.name);
            if let Some(description) = &tool.description {
                out.extend_from_slice(b",\"description\":");
                push_json_str(out, description);
            }
            out.extend_from_slice(b",\"input_schema\":");
            out.extend_from_slice(tool.parameters.get().as_bytes());
            if tool.strict {
                out.extend_from_slice(b",\"strict\":true");
            }
            out.push(b'}');
        });
    }
    if let Some(choice) = &parameters.tool_choice
        && let Some(out) = body.member("tool_choice")
    {
        let kind: &[u8] = match choice {
            ToolChoice::Auto => b"{\"type\":\"auto\"",
            ToolChoice::None => b"{\"type\":\"none\"",
            ToolChoice::Required => b"{\"type\":\"any\"",
            ToolChoice::Named(_) => b"{\"type\":\"tool\"",
        };
        out.extend_from_slice(kind);
        if let ToolChoice::Named(name) = choice {
            out.extend_from_slice(b",\"name\":");
            push_json_str(out, name);
        }
        out.push(b'}');
    }
}
