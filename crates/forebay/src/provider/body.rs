//! Writes a request body, member by member, straight into bytes.
//!
//! Owns the rule that each member stands once: a further parameter takes the place of a member
//! that the dialect would write, or is merged with it where both are objects. No tree of values
//! is built.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::fields::{self, as_str, push_json_str};
use crate::item::{Content, Parameters, Request};
use crate::message::{AnswerSchema, Image, Part, SchemaMode};
use crate::outcome::{Failure, FailureKind};

/// Room for the braces, the members' names and the model.
const FRAME: usize = 192;

/// How the names of further parameters are compared with the dialect's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// As they are written.
    Exact,
    /// Names in snake case count as the same in camel case, as protobuf's readers take both.
    Camel,
}

/// A request body under way.
pub(super) struct Body<'a> {
    out: Vec<u8>,
    names: Names,
    extra: &'a [(String, Box<RawValue>)],
    /// Names of further parameters that were written inside of an object.
    merged: Vec<&'a str>,
}

impl<'a> Body<'a> {
    /// Begins a body with its model.
    ///
    /// # Errors
    /// When the parameters ask for what cannot be sent.
    pub(super) fn begin(request: &'a Request) -> Result<Body<'a>, Failure> {
        let mut body = Body::without_model(request, Names::Exact)?;
        if let Some(out) = body.member("model") {
            push_json_str(out, &request.shared.model);
        }
        Ok(body)
    }

    /// Begins a body of a dialect whose model is in the path.
    ///
    /// # Errors
    /// When the parameters ask for what cannot be sent.
    pub(super) fn without_model(request: &'a Request, names: Names) -> Result<Body<'a>, Failure> {
        check(&request.shared)?;
        let mut out = Vec::with_capacity(size(request));
        out.push(b'{');
        Ok(Body {
            out,
            names,
            extra: &request.shared.extra,
            merged: Vec::new(),
        })
    }

    /// Begins a member and gives the place for its value; `None` when a further parameter has
    /// the same name and stands in for it.
    pub(super) fn member(&mut self, name: &str) -> Option<&mut Vec<u8>> {
        if self.has_extra(name) {
            return None;
        }
        push_name(&mut self.out, name);
        Some(&mut self.out)
    }

    /// Whether a further parameter has this name.
    pub(super) fn has_extra(&self, name: &str) -> bool {
        self.extra
            .iter()
            .any(|(have, _)| is_same(self.names, have, name))
    }

    /// Writes a whole number, unless a further parameter has the same name.
    pub(super) fn number(&mut self, name: &str, value: u32) {
        if let Some(out) = self.member(name) {
            out.extend_from_slice(value.to_string().as_bytes());
        }
    }

    /// Writes a finite number, unless there is none or a further parameter has the same name.
    pub(super) fn float(&mut self, name: &str, value: Option<f64>) {
        if let Some(value) = value
            && let Some(out) = self.member(name)
        {
            push_float(out, value);
        }
    }

    /// Writes a list of texts, unless it is empty or a further parameter has the same name.
    pub(super) fn texts(&mut self, name: &str, texts: &[String]) {
        if !texts.is_empty()
            && let Some(out) = self.member(name)
        {
            push_texts(out, texts);
        }
    }

    /// Writes a value as it is, unless a further parameter has the same name.
    pub(super) fn json(&mut self, name: &str, json: &str) {
        if let Some(out) = self.member(name) {
            out.extend_from_slice(json.as_bytes());
        }
    }

    /// Writes an object. The members of a further parameter of the same name go into it and take
    /// the place of ours; so do further parameters for which `adopts` has a name in it. An
    /// object without members is left out; a further parameter that is no object stands in for
    /// all of it.
    pub(super) fn object(
        &mut self,
        name: &str,
        adopts: impl Fn(&str) -> Option<&'static str>,
        fill: impl FnOnce(&mut Members<'_, 'a>),
    ) {
        let stands_in = |(have, value): &(String, Box<RawValue>)| {
            is_same(self.names, have, name) && !value.get().starts_with('{')
        };
        if self.extra.iter().any(stands_in) {
            return;
        }
        let mut extra: Vec<(Cow<'a, str>, &'a RawValue)> = Vec::new();
        for (have, value) in self.extra {
            let value: &'a RawValue = value;
            if is_same(self.names, have, name) {
                extra.extend(fields::members(value.get()).unwrap_or_default());
                self.merged.push(have);
            } else if let Some(known) = adopts(have) {
                extra.push((Cow::Borrowed(known), value));
                self.merged.push(have);
            }
        }
        let start = self.out.len();
        push_name(&mut self.out, name);
        self.out.push(b'{');
        let empty = self.out.len();
        let mut members = Members {
            out: &mut self.out,
            names: self.names,
            extra,
        };
        fill(&mut members);
        members.end();
        if self.out.len() == empty {
            self.out.truncate(start);
        } else {
            self.out.push(b'}');
        }
    }

    /// Writes the further parameters that have no place yet and closes the body.
    pub(super) fn end(mut self) -> Vec<u8> {
        let extra = self.extra;
        for (at, (name, value)) in extra.iter().enumerate() {
            let mut later = extra[at + 1..].iter();
            let again = later.any(|(later, _)| is_same(self.names, later, name));
            if !again && !self.merged.contains(&name.as_str()) {
                push_name(&mut self.out, name);
                self.out.extend_from_slice(value.get().as_bytes());
            }
        }
        self.out.push(b'}');
        self.out
    }
}

/// The members of an object inside of a body.
pub(super) struct Members<'o, 'a> {
    out: &'o mut Vec<u8>,
    names: Names,
    extra: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl Members<'_, '_> {
    /// Begins a member and gives the place for its value; `None` when a further parameter
    /// stands in for it.
    pub(super) fn member(&mut self, name: &str) -> Option<&mut Vec<u8>> {
        let names = self.names;
        if self
            .extra
            .iter()
            .any(|(have, _)| is_same(names, have, name))
        {
            return None;
        }
        push_name(self.out, name);
        Some(self.out)
    }

    /// Writes a value as it is, unless a further parameter stands in for it.
    pub(super) fn json(&mut self, name: &str, json: &str) {
        if let Some(out) = self.member(name) {
            out.extend_from_slice(json.as_bytes());
        }
    }

    fn end(self) {
        for (at, (name, value)) in self.extra.iter().enumerate() {
            let mut later = self.extra[at + 1..].iter();
            if !later.any(|(later, _)| is_same(self.names, later, name)) {
                push_name(self.out, name);
                self.out.extend_from_slice(value.get().as_bytes());
            }
        }
    }
}

/// Writes a member's name, with a comma before it unless it is its object's first.
fn push_name(out: &mut Vec<u8>, name: &str) {
    if !out.ends_with(b"{") {
        out.push(b',');
    }
    push_json_str(out, name);
    out.push(b':');
}

fn is_same(names: Names, have: &str, name: &str) -> bool {
    have == name || (names == Names::Camel && camel(have) == camel(name))
}

/// A name in snake case as it is in camel case.
pub(super) fn camel(name: &str) -> Cow<'_, str> {
    if !name.contains('_') {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len());
    let mut rises = false;
    for c in name.chars() {
        match c {
            '_' => rises = true,
            c if rises => {
                out.push(c.to_ascii_uppercase());
                rises = false;
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Writes a finite number.
pub(super) fn push_float(out: &mut Vec<u8>, value: f64) {
    // A finite number into memory cannot fail, and `check` has refused others.
    let _ = serde_json::to_writer(out, &value);
}

/// Writes an array of texts.
pub(super) fn push_texts(out: &mut Vec<u8>, texts: &[String]) {
    push_list(out, texts, |out, text| push_json_str(out, text));
}

/// Writes an array, of which `push` writes each element.
pub(super) fn push_list<T>(
    out: &mut Vec<u8>,
    list: impl IntoIterator<Item = T>,
    mut push: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (at, element) in list.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push(out, element);
    }
    out.push(b']');
}

/// The schema of the answer, when the dialect's own member for it is to be used.
pub(super) fn native_schema(parameters: &Parameters) -> Option<&AnswerSchema> {
    let schema = parameters.schema.as_ref();
    schema.filter(|schema| schema.mode == SchemaMode::Native)
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
    if parameters.top_p.is_some_and(|p| !p.is_finite()) {
        return Err(invalid("top_p is not a finite number"));
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
        Content::Conversation(messages) => {
            let parts = messages.iter().flat_map(|message| &message.parts);
            parts.map(|part| 64 + size_of_part(part)).sum()
        }
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

fn size_of_part(part: &Part) -> usize {
    match part {
        Part::Text(text) => text.len() + text.len() / 16,
        // Four characters for three bytes.
        Part::Image(Image::Bytes { data, .. }) => data.len() / 3 * 4 + 64,
        Part::Image(Image::Url(url)) => url.len(),
        Part::ToolCall(call) => call.name.len() + call.id.len() + call.arguments.get().len(),
        Part::ToolResult(result) => {
            result.name.len() + result.id.len() + result.content.len() * 17 / 16
        }
    }
}

/// The text of a JSON value that is a string.
pub(super) fn text_of(value: &RawValue) -> Option<String> {
    as_str(value).map(|text| text.into_owned())
}
