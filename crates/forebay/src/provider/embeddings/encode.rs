//! Writes a request for one text's embedding.

use crate::fields::push_json_str;
use crate::item::{Content, Parameters, Request};
use crate::outcome::Failure;
use crate::provider::body::{Body, invalid};

/// Writes a request.
///
/// Vectors are asked for as base64, which takes 5.3 characters per number where decimals take
/// about 12; a further parameter `encoding_format` stands in for that.
pub(in crate::provider) fn encode(request: &Request) -> Result<Vec<u8>, Failure> {
    let text = text(request)?;
    if let Some(what) = unfit(&request.shared) {
        return Err(invalid(format!("an embedding takes no {what}")));
    }
    let mut body = Body::begin(request)?;
    match body.member("input") {
        Some(out) => push_json_str(out, text),
        None => {
            return Err(invalid(
                "the parameter \"input\" stands in for the item's own text; leave it out",
            ));
        }
    }
    body.json("encoding_format", "\"base64\"");
    Ok(body.end())
}

fn text(request: &Request) -> Result<&str, Failure> {
    if request.system.is_some() {
        return Err(invalid("an embedding takes no system prompt"));
    }
    match &request.content {
        Content::Prompt(text) if text.is_empty() => {
            Err(invalid("the text is empty, and nothing has no embedding"))
        }
        Content::Prompt(text) => Ok(text),
        Content::Conversation(_) | Content::Messages(_) | Content::Raw(_) => {
            Err(invalid("an embedding takes one text, not messages"))
        }
    }
}

/// The first parameter that belongs to a written answer.
fn unfit(parameters: &Parameters) -> Option<&'static str> {
    let Parameters {
        model: _,
        max_tokens,
        temperature,
        top_p,
        stop,
        seed,
        tools,
        tool_choice,
        schema,
        stream,
        extra: _,
    } = parameters;
    let given = [
        (max_tokens.is_some(), "cap on output tokens"),
        (temperature.is_some(), "temperature"),
        (top_p.is_some(), "top_p"),
        (!stop.is_empty(), "stop texts"),
        (seed.is_some(), "seed"),
        (!tools.is_empty() || tool_choice.is_some(), "tools"),
        (schema.is_some(), "schema"),
        (*stream, "stream"),
    ];
    given
        .into_iter()
        .find_map(|(is_given, what)| is_given.then_some(what))
}
