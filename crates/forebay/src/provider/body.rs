//! Writes a request body, member by member, straight into bytes.
//!
//! Owns the rule that each member stands once: a further parameter takes the place of a member
//! that the dialect would write. No tree of values is built.

use serde_json::value::RawValue;

use crate::fields::{as_str, push_json_str};
use crate::item::{Content, Parameters, Request};
use crate::outcome::{Failure, FailureKind};

/// Room for the braces, the members' names and the model.
const FRAME: usize = 192;

/// A request body under way.
pub(super) struct Body<'a> {
    out: Vec<u8>,
    extra: &'a [(String, Box<RawValue>)],
}

impl<'a> Body<'a> {
    /// Begins a body with its model.
    ///
    /// # Errors
    /// When the parameters ask for what cannot be sent.
    pub(super) fn begin(request: &'a Request) -> Result<Body<'a>, Failure> {
        let parameters = &*request.shared;
        check(parameters)?;
        let extra = &parameters.extra;
        let mut body = Body {
            out: Vec::with_capacity(size(request)),
            extra,
        };
        body.out.push(b'{');
        if let Some(out) = body.member("model") {
            push_json_str(out, &parameters.model);
        }
        Ok(body)
    }

    /// Begins a member and gives the place for its value; `None` when a further parameter has
    /// the same name and stands in for it.
    pub(super) fn member(&mut self, name: &str) -> Option<&mut Vec<u8>> {
        if self.has_extra(name) {
            return None;
        }
        self.name(name);
        Some(&mut self.out)
    }

    /// Whether a further parameter has this name.
    pub(super) fn has_extra(&self, name: &str) -> bool {
        self.extra.iter().any(|(have, _)| have == name)
    }

    /// Writes a whole number, unless a further parameter has the same name.
    pub(super) fn number(&mut self, name: &str, value: u32) {
        if let Some(out) = self.member(name) {
            out.extend_from_slice(value.to_string().as_bytes());
        }
    }

    /// Writes a value as it is, unless a further parameter has the same name.
    pub(super) fn json(&mut self, name: &str, json: &str) {
        if let Some(out) = self.member(name) {
            out.extend_from_slice(json.as_bytes());
        }
    }

    /// Writes the temperature, when there is one, and the further parameters, and closes the
    /// body.
    pub(super) fn end(mut self, parameters: &Parameters) -> Vec<u8> {
        if let Some(temperature) = parameters.temperature
            && let Some(out) = self.member("temperature")
        {
            // A finite number into memory cannot fail, and `check` has refused others.
            let _ = serde_json::to_writer(out, &temperature);
        }
        let extra = self.extra;
        for (at, (name, value)) in extra.iter().enumerate() {
            let again = extra[at + 1..].iter().any(|(later, _)| later == name);
            if !again {
                self.name(name);
                self.out.extend_from_slice(value.get().as_bytes());
            }
        }
        self.out.push(b'}');
        self.out
    }

    fn name(&mut self, name: &str) {
        if self.out.len() > 1 {
            self.out.push(b',');
        }
        push_json_str(&mut self.out, name);
        self.out.push(b':');
    }
}

/// Writes `{"role":…,"content":…}` with a text.
pub(super) fn push_message(out: &mut Vec<u8>, role: &str, text: &str) {
    out.extend_from_slice(b"{\"role\":\"");
    out.extend_from_slice(role.as_bytes());
    out.extend_from_slice(b"\",\"content\":");
    push_json_str(out, text);
    out.push(b'}');
}

/// A failure that the input itself is to blame for.
pub(super) fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(FailureKind::InvalidItem, message)
}

fn check(parameters: &Parameters) -> Result<(), Failure> {
    if parameters.temperature.is_some_and(|t| !t.is_finite()) {
        return Err(invalid("the temperature is not a finite number"));
    }
    let stream = parameters.extra.iter().find(|(name, _)| name == "stream");
    match stream.map(|(_, value)| value.get()) {
        None | Some("false" | "null") => Ok(()),
        Some(_) => Err(invalid(
            "the parameter \"stream\" asks for a streamed answer, which is not supported; leave it out",
        )),
    }
}

/// About how long the body becomes, with room for escapes in texts.
fn size(request: &Request) -> usize {
    let content = match &request.content {
        Content::Prompt(text) => text.len() + text.len() / 16,
        Content::Conversation(messages) => 64 * messages.len(),
        Content::Messages(json) => json.get().len(),
        Content::Raw(raw) => raw.body.get().len(),
    };
    let system = request
        .system
        .as_ref()
        .map_or(0, |s| s.len() + s.len() / 16);
    let shared = &request.shared;
    let extra: usize = shared
        .extra
        .iter()
        .map(|(name, value)| name.len() + value.get().len() + 8)
        .sum();
    FRAME + shared.model.len() + content + system + extra
}

/// The text of a JSON value that is a string.
pub(super) fn text_of(value: &RawValue) -> Option<String> {
    as_str(value).map(|text| text.into_owned())
}
