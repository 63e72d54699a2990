//! Writes requests of the Gemini generateContent dialect.
//!
//! Owns the place of each parameter: most stand in `generationConfig`. Whether the answer is
//! streamed stands in the path and not here.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::endpoint::Dialect;
use crate::fields::push_json_str;
use crate::item::{Parameters, Request};
use crate::message::{Role, ToolChoice};
use crate::outcome::Failure;
use crate::provider::body::{
    Body, Names, camel, invalid, native_schema, push_float, push_list, push_texts,
};
use crate::provider::messages::{self, Said};
use crate::provider::picture::{Picture, Place};
use crate::provider::tools;
use crate::provider::turn::{self, Given, Piece, Turn, invalid_at};

/// The members of `generationConfig`: a further parameter of such a name goes into it. Source:
/// Google's reference of the Gemini API.
const GENERATION_CONFIG: [&str; 21] = [
    "audioTimestamp",
    "candidateCount",
    "enableEnhancedCivicAnswers",
    "frequencyPenalty",
    "imageConfig",
    "logprobs",
    "maxOutputTokens",
    "mediaResolution",
    "presencePenalty",
    "responseJsonSchema",
    "responseLogprobs",
    "responseMimeType",
    "responseModalities",
    "responseSchema",
    "seed",
    "speechConfig",
    "stopSequences",
    "temperature",
    "thinkingConfig",
    "topK",
    "topP",
];

/// Writes a request.
pub(in crate::provider) fn encode(request: &Request) -> Result<Vec<u8>, Failure> {
    let parameters = &*request.shared;
    tools::check(parameters)?;
    if let Some(tool) = parameters.tools.iter().find(|tool| tool.strict) {
        let name = &tool.name;
        return Err(invalid(format!(
            "the Gemini dialect has no strict tools, as {name:?} is"
        )));
    }
    let mut body = Body::without_model(request, Names::Camel)?;
    push_contents(&mut body, request)?;
    push_config(&mut body, parameters);
    push_tools(&mut body, parameters);
    Ok(body.end())
}

fn push_contents(body: &mut Body<'_>, request: &Request) -> Result<(), Failure> {
    let ours = request.system.as_deref();
    let ours = ours.map(|text| Turn::text(Role::System, text));
    if body.has_extra("contents") {
        push_system(body, ours.as_slice());
        return Ok(());
    }
    match messages::said(Dialect::Gemini, request)? {
        Said::Own { array, .. } => {
            body.json("contents", array.get());
            push_system(body, ours.as_slice());
        }
        Said::Turns(turns) => {
            let (system, turns): (Vec<_>, Vec<_>) = turns
                .into_iter()
                .partition(|turn| turn.role == Role::System);
            let turns = turn::gather_results(turns);
            if turns.is_empty() {
                return Err(invalid("the array of messages holds only system messages"));
            }
            if let Some(out) = body.member("contents") {
                out.push(b'[');
                for (at, turn) in turns.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    push_turn(out, turn)?;
                }
                out.push(b']');
            }
            push_system(body, &system);
        }
    }
    Ok(())
}

fn push_system(body: &mut Body<'_>, system: &[Turn<'_>]) {
    if !system.is_empty()
        && let Some(out) = body.member("systemInstruction")
    {
        out.extend_from_slice(b"{\"parts\":");
        push_list(out, system.iter().flat_map(Turn::texts), |out, text| {
            out.extend_from_slice(b"{\"text\":");
            text.push(out);
            out.push(b'}');
        });
        out.push(b'}');
    }
}

fn push_turn(out: &mut Vec<u8>, turn: &Turn<'_>) -> Result<(), Failure> {
    let role: &[u8] = match turn.role {
        Role::Assistant => b"{\"role\":\"model\",\"parts\":[",
        Role::System | Role::User => b"{\"role\":\"user\",\"parts\":[",
    };
    out.extend_from_slice(role);
    for (at, piece) in turn.pieces.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        match piece {
            Piece::Text(text) => {
                out.extend_from_slice(b"{\"text\":");
                text.push(out);
                out.push(b'}');
            }
            Piece::Image(picture) => {
                push_image(out, picture).map_err(|why| invalid_at(turn.at, why))?;
            }
            Piece::Call(call) => {
                out.extend_from_slice(b"{\"functionCall\":{");
                push_id(out, &call.id);
                out.extend_from_slice(b"\"name\":");
                push_json_str(out, &call.name);
                out.extend_from_slice(b",\"args\":");
                out.extend_from_slice(call.arguments.as_bytes());
                out.extend_from_slice(b"}}");
            }
            Piece::Given(given) => push_given(out, given),
        }
    }
    out.extend_from_slice(b"]}");
    Ok(())
}

fn push_id(out: &mut Vec<u8>, id: &str) {
    if !id.is_empty() {
        out.extend_from_slice(b"\"id\":");
        push_json_str(out, id);
        out.push(b',');
    }
}

fn push_image(out: &mut Vec<u8>, picture: &Picture<'_>) -> Result<(), Cow<'static, str>> {
    match picture.place() {
        Place::Inline {
            media_type: "image/gif",
        } => {
            return Err("the Gemini dialect takes no GIF images; use PNG, JPEG or WebP".into());
        }
        Place::Inline { media_type } => {
            out.extend_from_slice(b"{\"inlineData\":{\"mimeType\":\"");
            out.extend_from_slice(media_type.as_bytes());
            out.extend_from_slice(b"\",\"data\":\"");
            picture.push_base64(out);
            out.extend_from_slice(b"\"}}");
        }
        Place::Url(url) => {
            let scheme = url.split_once(':').map(|(scheme, _)| scheme);
            if scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("http")) {
                return Err("the Gemini dialect fetches images by https only".into());
            }
            out.extend_from_slice(b"{\"fileData\":{\"fileUri\":");
            push_json_str(out, url);
            if let Some(media_type) = media_type_of_url(url) {
                out.extend_from_slice(b",\"mimeType\":");
                push_json_str(out, media_type);
            }
            out.extend_from_slice(b"}}");
        }
    }
    Ok(())
}

/// The media type that the end of an address's path tells.
fn media_type_of_url(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let (_, end) = path.rsplit_once('.')?;
    match end.to_ascii_lowercase().as_str() {
        "png" => Some("image/png"),
        "jpg" | "jpeg" => Some("image/jpeg"),
        "webp" => Some("image/webp"),
        _ => None,
    }
}

/// What a function gave back: an object as it is, and a text as the dialect's own members for
/// the output or the error.
fn push_given(out: &mut Vec<u8>, given: &Given<'_>) {
    out.extend_from_slice(b"{\"functionResponse\":{");
    push_id(out, &given.id);
    out.extend_from_slice(b"\"name\":");
    push_json_str(out, &given.name);
    out.extend_from_slice(b",\"response\":");
    let text = given.content.plain();
    let is_object =
        text.trim_start().starts_with('{') && serde_json::from_str::<&RawValue>(&text).is_ok();
    if is_object && !given.is_error {
        out.extend_from_slice(text.trim().as_bytes());
    } else {
        let name: &[u8] = match given.is_error {
            true => b"{\"error\":",
            false => b"{\"output\":",
        };
        out.extend_from_slice(name);
        given.content.push(out);
        out.push(b'}');
    }
    out.extend_from_slice(b"}}");
}

fn push_config(body: &mut Body<'_>, parameters: &Parameters) {
    let adopts = |name: &str| {
        let name = camel(name);
        GENERATION_CONFIG.into_iter().find(|known| *known == name)
    };
    body.object("generationConfig", adopts, |config| {
        if let Some(max) = parameters.max_tokens {
            config.json("maxOutputTokens", &max.to_string());
        }
        for (name, value) in [
            ("temperature", parameters.temperature),
            ("topP", parameters.top_p),
        ] {
            if let Some(value) = value
                && let Some(out) = config.member(name)
            {
                push_float(out, value);
            }
        }
        if !parameters.stop.is_empty()
            && let Some(out) = config.member("stopSequences")
        {
            push_texts(out, &parameters.stop);
        }
        if let Some(seed) = parameters.seed {
            config.json("seed", &seed.to_string());
        }
        if let Some(schema) = native_schema(parameters) {
            config.json("responseMimeType", "\"application/json\"");
            config.json("responseJsonSchema", schema.schema.get());
        }
    });
}

fn push_tools(body: &mut Body<'_>, parameters: &Parameters) {
    if !parameters.tools.is_empty()
        && let Some(out) = body.member("tools")
    {
        out.extend_from_slice(b"[{\"functionDeclarations\":");
        push_list(out, &parameters.tools, |out, tool| {
            out.extend_from_slice(b"{\"name\":");
            push_json_str(out, &tool.name);
            if let Some(description) = &tool.description {
                out.extend_from_slice(b",\"description\":");
                push_json_str(out, description);
            }
            out.extend_from_slice(b",\"parametersJsonSchema\":");
            out.extend_from_slice(tool.parameters.get().as_bytes());
            out.push(b'}');
        });
        out.extend_from_slice(b"}]");
    }
    if let Some(choice) = &parameters.tool_choice {
        body.object(
            "toolConfig",
            |_| None,
            |config| {
                let Some(out) = config.member("functionCallingConfig") else {
                    return;
                };
                let mode = match choice {
                    ToolChoice::Auto => "AUTO",
                    ToolChoice::None => "NONE",
                    ToolChoice::Required | ToolChoice::Named(_) => "ANY",
                };
                out.extend_from_slice(b"{\"mode\":");
                push_json_str(out, mode);
                if let ToolChoice::Named(name) = choice {
                    out.extend_from_slice(b",\"allowedFunctionNames\":[");
                    push_json_str(out, name);
                    out.push(b']');
                }
                out.push(b'}');
            },
        );
    }
}
