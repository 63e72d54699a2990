//! Messages on their way into a dialect, borrowed from where they came.
//!
//! Owns the rules that hold for a conversation in any dialect: who may say what, and which call
//! a tool's result belongs to. Never copies a text. Writes nothing; each dialect does.

use std::borrow::Cow;
use std::collections::HashMap;

use super::body::invalid;
use super::picture::Picture;
use crate::fields::push_json_str;
use crate::message::{Message, Part, Role};
use crate::outcome::Failure;

/// One message.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) role: Role,
    pub(super) pieces: Vec<Piece<'a>>,
    /// Its place among the messages of the input, for failures.
    pub(super) at: usize,
}

/// A piece of a message.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    Text(Text<'a>),
    Image(Picture<'a>),
    Call(Call<'a>),
    Given(Given<'a>),
}

/// A tool that the model calls.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) name: Cow<'a, str>,
    /// A JSON object.
    pub(super) arguments: Cow<'a, str>,
}

/// What a tool gave back.
#[derive(Debug)]
pub(super) struct Given<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) name: Cow<'a, str>,
    pub(super) content: Text<'a>,
    pub(super) is_error: bool,
}

/// A text, plain or as it stands in JSON.
#[derive(Debug, Clone)]
pub(super) enum Text<'a> {
    /// The text itself.
    Plain(Cow<'a, str>),
    /// What stands between the quotes of a JSON string, escapes and all.
    Written(&'a str),
}

impl Text<'_> {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Text::Plain(text) => text.is_empty(),
            Text::Written(text) => text.is_empty(),
        }
    }

    /// Writes it as a JSON string.
    pub(super) fn push(&self, out: &mut Vec<u8>) {
        match self {
            Text::Plain(text) => push_json_str(out, text),
            Text::Written(inside) => {
                out.push(b'"');
                out.extend_from_slice(inside.as_bytes());
                out.push(b'"');
            }
        }
    }

    /// The text itself, without the escapes of JSON.
    pub(super) fn plain(&self) -> Cow<'_, str> {
        match self {
            Text::Plain(text) => Cow::Borrowed(text),
            Text::Written(inside) if !inside.contains('\\') => Cow::Borrowed(inside),
            Text::Written(inside) => {
                let decoded = serde_json::from_str(&format!("\"{inside}\""));
                // A lone surrogate is the only text that does not decode.
                decoded.map_or(Cow::Borrowed(inside), Cow::Owned)
            }
        }
    }
}

/// Writes texts as one JSON string, with an empty line between them.
pub(super) fn push_joined(out: &mut Vec<u8>, texts: &[&Text<'_>]) {
    out.push(b'"');
    for (at, text) in texts.iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(b"\\n\\n");
        }
        // Over the last quote, and then over the first one of what follows.
        let quote = out.len();
        text.push(out);
        out.pop();
        out.remove(quote);
    }
    out.push(b'"');
}

impl<'a> Turn<'a> {
    /// A message of one text.
    pub(super) fn text(role: Role, text: &'a str) -> Turn<'a> {
        Turn {
            role,
            pieces: vec![Piece::Text(Text::Plain(Cow::Borrowed(text)))],
            at: 0,
        }
    }

    /// The text, when the message is nothing but one text.
    pub(super) fn only_text(&self) -> Option<&Text<'a>> {
        match self.pieces.as_slice() {
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The texts among its pieces.
    pub(super) fn texts(&self) -> impl Iterator<Item = &Text<'a>> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text),
            Piece::Image(_) | Piece::Call(_) | Piece::Given(_) => None,
        })
    }

    /// The calls among its pieces.
    pub(super) fn calls(&self) -> impl Iterator<Item = &Call<'a>> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Call(call) => Some(call),
            Piece::Text(_) | Piece::Image(_) | Piece::Given(_) => None,
        })
    }

    /// Whether it is nothing but what tools gave back.
    fn is_given(&self) -> bool {
        let is_given = |piece: &Piece<'_>| matches!(piece, Piece::Given(_));
        self.pieces.iter().all(is_given)
    }
}

/// A failure of the input at a message's place.
pub(super) fn invalid_at(at: usize, why: impl std::fmt::Display) -> Failure {
    invalid(format!("messages[{at}]: {why}"))
}

/// The turns of messages in neutral terms.
///
/// # Errors
/// When an image or the arguments of a call are not what they should be.
pub(super) fn of_messages(messages: &[Message]) -> Result<Vec<Turn<'_>>, Failure> {
    let turns: Result<Vec<_>, Failure> = messages.iter().enumerate().map(turn).collect();
    turns
}

fn turn((at, message): (usize, &Message)) -> Result<Turn<'_>, Failure> {
    let pieces: Result<Vec<_>, Failure> = message
        .parts
        .iter()
        .map(|part| {
            Ok(match part {
                Part::Text(text) => Piece::Text(Text::Plain(Cow::Borrowed(text))),
                Part::Image(image) => {
                    Piece::Image(Picture::of(image).map_err(|why| invalid_at(at, why))?)
                }
                Part::ToolCall(call) => Piece::Call(Call {
                    id: Cow::Borrowed(&call.id),
                    name: Cow::Borrowed(&call.name),
                    arguments: object(call.arguments.get())
                        .ok_or_else(|| invalid_at(at, NO_OBJECT))?,
                }),
                Part::ToolResult(result) => Piece::Given(Given {
                    id: Cow::Borrowed(&result.id),
                    name: Cow::Borrowed(&result.name),
                    content: Text::Plain(Cow::Borrowed(&result.content)),
                    is_error: result.is_error,
                }),
            })
        })
        .collect();
    Ok(Turn {
        role: message.role,
        pieces: pieces?,
        at,
    })
}

/// What is said of arguments that no tool can be called with.
pub(super) const NO_OBJECT: &str = "the arguments of a tool call are not a JSON object";

/// A JSON text, when it is an object.
pub(super) fn object(json: &str) -> Option<Cow<'_, str>> {
    let json = json.trim();
    json.starts_with('{').then_some(Cow::Borrowed(json))
}

/// By what a dialect tells which call a tool's result belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// By the key of the call.
    Id,
    /// By the tool's name.
    Name,
}

/// Sees to it that the turns can be said in any dialect, and that each result of a tool names its
/// call.
///
/// # Errors
/// When nothing is said, when somebody says what only somebody else can, or when a result belongs
/// to no call.
pub(super) fn settle(turns: &mut [Turn<'_>], link: Link) -> Result<(), Failure> {
    if turns.is_empty() {
        return Err(invalid("there are no messages"));
    }
    for turn in turns.iter_mut() {
        check(turn)?;
        // Some providers refuse a text without a character, which says nothing anyway.
        if turn.pieces.len() > 1 {
            let says = |piece: &Piece<'_>| !matches!(piece, Piece::Text(text) if text.is_empty());
            if turn.pieces.iter().any(says) {
                turn.pieces.retain(says);
            } else {
                turn.pieces.truncate(1);
            }
        }
    }
    let calls = |piece: &Piece<'_>| matches!(piece, Piece::Call(_) | Piece::Given(_));
    if !turns.iter().any(|turn| turn.pieces.iter().any(calls)) {
        return Ok(());
    }
    match link {
        Link::Id => fill_ids(turns),
        Link::Name => fill_names(turns),
    }
}

fn check(turn: &Turn<'_>) -> Result<(), Failure> {
    if turn.pieces.is_empty() {
        return Err(invalid_at(turn.at, "the message is empty"));
    }
    for piece in &turn.pieces {
        let (what, by) = match (piece, turn.role) {
            (Piece::Text(_), _) | (Piece::Image(_), Role::User | Role::Assistant) => continue,
            (Piece::Call(call), Role::Assistant) if call.name.is_empty() => {
                return Err(invalid_at(turn.at, "a tool call names no tool"));
            }
            (Piece::Call(_), Role::Assistant) | (Piece::Given(_), Role::User) => continue,
            (Piece::Image(_), Role::System) => ("an image", "system"),
            (Piece::Call(_), Role::System) => ("a tool call", "system"),
            (Piece::Call(_), Role::User) => ("a tool call", "user"),
            (Piece::Given(_), Role::System) => ("a tool result", "system"),
            (Piece::Given(_), Role::Assistant) => ("a tool result", "assistant"),
        };
        let why = format!("{what} cannot stand in a message of the {by}");
        return Err(invalid_at(turn.at, why));
    }
    Ok(())
}

/// Gives a key to each call that has none, and to each result the key of its call: of the oldest
/// call of the same name that has no result yet.
fn fill_ids(turns: &mut [Turn<'_>]) -> Result<(), Failure> {
    let mut open: Vec<(String, String)> = Vec::new();
    let mut made = 0;
    for turn in turns {
        for piece in &mut turn.pieces {
            match piece {
                Piece::Call(call) => {
                    if call.id.is_empty() {
                        call.id = Cow::Owned(format!("call_{made}"));
                        made += 1;
                    }
                    open.push((call.id.to_string(), call.name.to_string()));
                }
                Piece::Given(given) => {
                    let fits = |(id, name): &(String, String)| match given.id.is_empty() {
                        true => given.name.is_empty() || given.name == *name,
                        false => given.id == *id,
                    };
                    let found = open.iter().position(fits).map(|at| open.remove(at));
                    if given.id.is_empty() {
                        let (id, _) = found.ok_or_else(|| {
                            invalid_at(turn.at, "a tool result does not say which call it is of")
                        })?;
                        given.id = Cow::Owned(id);
                    }
                }
                Piece::Text(_) | Piece::Image(_) => {}
            }
        }
    }
    Ok(())
}

/// Gives each result that names no tool the name of the call with its key.
fn fill_names(turns: &mut [Turn<'_>]) -> Result<(), Failure> {
    let mut names: HashMap<String, String> = HashMap::new();
    for turn in turns {
        for piece in &mut turn.pieces {
            match piece {
                Piece::Call(call) if !call.id.is_empty() => {
                    names.insert(call.id.to_string(), call.name.to_string());
                }
                Piece::Given(given) if given.name.is_empty() => {
                    let name = names.get(&*given.id).ok_or_else(|| {
                        let why = "a tool result names no tool, and no call before it has its id";
                        invalid_at(turn.at, why)
                    })?;
                    given.name = Cow::Owned(name.clone());
                }
                Piece::Call(_) | Piece::Given(_) | Piece::Text(_) | Piece::Image(_) => {}
            }
        }
    }
    Ok(())
}

/// Puts calls into the assistant's message before them. Some forms write each of several calls
/// at once as an item of its own; other dialects refuse a call that is not followed by its result.
pub(super) fn gather_calls(turns: Vec<Turn<'_>>) -> Vec<Turn<'_>> {
    let is_call = |piece: &Piece<'_>| matches!(piece, Piece::Call(_));
    let mut out: Vec<Turn<'_>> = Vec::with_capacity(turns.len());
    for turn in turns {
        match out.last_mut() {
            Some(last) if last.role == Role::Assistant && turn.pieces.iter().all(is_call) => {
                last.pieces.extend(turn.pieces);
            }
            _ => out.push(turn),
        }
    }
    out
}

/// Puts what tools gave back into one message where several follow each other, as some dialects
/// want all results of a message's calls in the next message.
pub(super) fn gather_results(turns: Vec<Turn<'_>>) -> Vec<Turn<'_>> {
    let mut out: Vec<Turn<'_>> = Vec::with_capacity(turns.len());
    for turn in turns {
        match out.last_mut() {
            Some(last) if last.is_given() && turn.is_given() => last.pieces.extend(turn.pieces),
            _ => out.push(turn),
        }
    }
    out
}
