//! Tools: what holds for them in any dialect, and the forms that people write them in.
//!
//! Never runs a tool.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::body::invalid;
use crate::error::Error;
use crate::fields;
use crate::item::Parameters;
use crate::message::{Tool, ToolChoice};
use crate::outcome::Failure;

/// The longest name of a tool. Source: OpenAI's and Gemini's references; Anthropic takes 128.
const LONGEST_NAME: usize = 64;

/// The schema of a tool that takes no arguments.
const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{}}"#;

/// Checks the tools of a request.
///
/// # Errors
/// When a tool has a name that dialects refuse, two have the same name, a schema is no object, or
/// the choice is none of them.
pub(super) fn check(parameters: &Parameters) -> Result<(), Failure> {
    let tools = &parameters.tools;
    for (at, tool) in tools.iter().enumerate() {
        let name = &tool.name;
        if !is_name(name) {
            return Err(invalid(format!(
                "tools[{at}]: the name {name:?} is not made of 1 to 64 letters, digits, _ and -"
            )));
        }
        if tools[..at].iter().any(|other| other.name == *name) {
            return Err(invalid(format!(
                "tools[{at}]: another tool is called {name:?} too"
            )));
        }
        if !tool.parameters.get().starts_with('{') {
            return Err(invalid(format!(
                "tools[{at}]: the parameters of {name:?} are not a JSON object"
            )));
        }
    }
    let by_parameter = parameters.extra.iter().any(|(name, _)| name == "tools");
    match &parameters.tool_choice {
        None => Ok(()),
        Some(_) if by_parameter => Ok(()),
        Some(_) if tools.is_empty() => {
            Err(invalid("there is a tool choice, but there are no tools"))
        }
        Some(ToolChoice::Named(name)) if !tools.iter().any(|tool| tool.name == *name) => Err(
            invalid(format!("the tool choice {name:?} is none of the tools")),
        ),
        Some(_) => Ok(()),
    }
}

fn is_name(name: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(known)
}

/// Reads a JSON array of tools in the form of OpenAI's chat completions or responses, or of
/// Anthropic's messages.
///
/// # Errors
/// When it is no such array, or holds a tool that is a provider's own and has no parameters.
///
/// ```
/// let tools = forebay::provider::read_tools(
///     r#"[{"name": "weather", "input_schema": {"type": "object"}}]"#,
/// )?;
/// assert_eq!(tools[0].name, "weather");
/// # Ok::<(), forebay::error::Error>(())
/// ```
pub fn read_tools(json: &str) -> Result<Vec<Tool>, Error> {
    let list: Vec<&RawValue> = serde_json::from_str(json)
        .map_err(|error| Error::config(format!("the tools are not a JSON array: {error}")))?;
    let tools: Result<Vec<Tool>, Error> = list
        .into_iter()
        .enumerate()
        .map(|(at, raw)| {
            read(raw).map_err(|why| {
                Error::config(format!("tools[{at}]: {why}")).with_hint(
                    "write them as OpenAI or Anthropic does: {\"type\": \"function\", \"function\": {\"name\": …, \"parameters\": {…}}}",
                )
            })
        })
        .collect();
    let tools = tools?;
    let parameters = Parameters {
        tools: tools.clone(),
        ..Parameters::default()
    };
    check(&parameters).map_err(|failure| Error::config(failure.message))?;
    Ok(tools)
}

fn read(raw: &RawValue) -> Result<Tool, String> {
    let outer = fields::members(raw.get()).map_err(|_| "the tool is not a JSON object")?;
    let get = |name: &str| {
        let mut members = outer.iter().rev();
        members.find(|(have, _)| have == name).map(|(_, raw)| *raw)
    };
    let kind = get("type").and_then(fields::as_str);
    match kind.as_deref() {
        None | Some("function" | "custom") => {}
        Some(kind) => {
            return Err(format!(
                "a tool of the type {kind:?} is a provider's own and cannot be translated"
            ));
        }
    }
    match get("function") {
        Some(inner) => {
            if let Some((name, _)) = outer
                .iter()
                .find(|(name, _)| !["type", "function"].contains(&&**name))
            {
                return Err(format!("the member {name:?} is not known"));
            }
            let inner = fields::members(inner.get());
            flat(&inner.map_err(|_| "\"function\" is not a JSON object")?)
        }
        None => flat(&outer),
    }
}

/// A tool whose name and schema stand side by side.
fn flat(members: &[fields::Member<'_>]) -> Result<Tool, String> {
    let (mut name, mut description, mut parameters, mut strict) = (None, None, None, false);
    for (member, raw) in members {
        let text = || fields::as_str(raw).map(|text| text.into_owned());
        match &**member {
            _ if raw.get() == "null" => {}
            "type" => {}
            "name" => name = Some(text().ok_or("\"name\" is not a string")?),
            "description" => {
                description = Some(text().ok_or("\"description\" is not a string")?);
            }
            "parameters" | "input_schema" => parameters = Some((*raw).to_owned()),
            "strict" => {
                strict = fields::decode(raw).map_err(|_| "\"strict\" is neither true nor false")?;
            }
            other => return Err(format!("the member {other:?} is not known")),
        }
    }
    let parameters = match parameters {
        Some(parameters) => parameters,
        None => RawValue::from_string(NO_ARGUMENTS.to_owned()).map_err(|e| e.to_string())?,
    };
    Ok(Tool {
        name: name.ok_or("the tool has no \"name\"")?,
        description,
        parameters: Arc::from(parameters),
        strict,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_read_in_the_forms_of_openai_and_anthropic() {
        let tools = read_tools(
            r#"[{"type":"function","function":{"name":"a","description":"A","parameters":{"x": 1},"strict":true}},
                {"type":"function","name":"b","parameters":{"x":2},"strict":null},
                {"name":"c","description":"C","input_schema":{}},
                {"type":"custom","name":"d"}]"#,
        )
        .unwrap();
        let shown: Vec<_> = tools
            .iter()
            .map(|tool| {
                let description = tool.description.as_deref();
                (&*tool.name, description, tool.parameters.get(), tool.strict)
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("a", Some("A"), r#"{"x": 1}"#, true),
                ("b", None, r#"{"x":2}"#, false),
                ("c", Some("C"), "{}", false),
                ("d", None, NO_ARGUMENTS, false),
            ]
        );
    }

    #[test]
    fn what_are_no_tools_says_where() {
        for (json, why) in [
            ("{}", "not a JSON array"),
            ("[1]", "tools[0]: the tool is not a JSON object"),
            ("[{}]", "tools[0]: the tool has no \"name\""),
            (
                r#"[{"name":"a"},{"type":"web_search"}]"#,
                "tools[1]: a tool of the type \"web_search\"",
            ),
            (r#"[{"name":"a b"}]"#, "tools[0]: the name \"a b\""),
            (r#"[{"name":"a"},{"name":"a"}]"#, "tools[1]: another"),
            (r#"[{"name":"a","parameters":[]}]"#, "not a JSON object"),
            (r#"[{"name":"a","cache_control":{}}]"#, "\"cache_control\""),
            (
                r#"[{"type":"function","function":{"name":"a"},"x":1}]"#,
                "\"x\"",
            ),
        ] {
            let error = read_tools(json).unwrap_err().to_string();
            assert!(error.contains(why), "{json}: {error}");
        }
    }
}
