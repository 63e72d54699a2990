//! What a request has in common with others of its kind, as one number.
//!
//! Owns what counts as the same template: model, cap, schema and system prompt. Answers to requests
//! of one template have similar lengths. What the user says never counts.

use std::hash::{DefaultHasher, Hasher as _};

use serde_json::value::RawValue;

use super::raw::Members;
use crate::item::{Content, Request};
use crate::message::{Part, Role};

/// Bytes of a list of messages in which its first role has to stand, for a system prompt to count.
const FIRST_ROLE: usize = 64;

/// The template of a request in neutral terms.
pub(super) fn of_request(request: &Request) -> u64 {
    let shared = &request.shared;
    let mut hasher = DefaultHasher::new();
    hasher.write(shared.model.as_bytes());
    hasher.write_u32(shared.max_tokens.unwrap_or_default());
    if let Some(schema) = &shared.schema {
        hasher.write(schema.schema.get().as_bytes());
    }
    if let Some(system) = &request.system {
        hasher.write(system.as_bytes());
    }
    match &request.content {
        Content::Conversation(messages) => {
            let system = messages.iter().take_while(|m| m.role == Role::System);
            for part in system.flat_map(|message| &message.parts) {
                if let Part::Text(text) = part {
                    hasher.write(text.as_bytes());
                }
            }
        }
        Content::Messages(messages) => hasher.write(system_of(messages)),
        Content::Prompt(_) | Content::Raw(_) => {}
    }
    hasher.finish()
}

/// The template of a body that somebody else wrote.
pub(super) fn of_body(members: &Members<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    let said = [
        members.model,
        members.system,
        members.instructions,
        members.system_instruction,
    ];
    for value in said.into_iter().flatten() {
        hasher.write(value.get().as_bytes());
    }
    for messages in [members.messages, members.input].into_iter().flatten() {
        hasher.write(system_of(messages));
    }
    hasher.finish()
}

/// The messages before the first of the user, when the first is none of theirs.
fn system_of(messages: &RawValue) -> &[u8] {
    let text = messages.get().as_bytes();
    let head = &text[..text.len().min(FIRST_ROLE)];
    let begins = |role: &[u8]| memchr::memmem::find(head, role).is_some();
    if !begins(b"\"system\"") && !begins(b"\"developer\"") {
        return &[];
    }
    let end = memchr::memmem::find(text, b"\"user\"");
    &text[..end.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::item::Parameters;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    fn of(json: &str) -> u64 {
        of_body(&serde_json::from_str(json).unwrap())
    }

    fn request(system: Option<&str>, content: Content) -> Request {
        Request {
            shared: Arc::new(Parameters {
                model: "m".into(),
                ..Parameters::default()
            }),
            system: system.map(str::to_owned),
            content,
        }
    }

    #[test]
    fn what_the_user_says_does_not_count_and_the_system_prompt_does() {
        let said = |text: &str| Content::Prompt(text.into());
        let label = of_request(&request(Some("label"), said("a")));
        assert_eq!(label, of_request(&request(Some("label"), said("b"))));
        assert_ne!(label, of_request(&request(Some("sum up"), said("a"))));
        let array = |system: &str, user: &str| {
            let system = format!(r#"{{"role":"system","content":"{system}"}}"#);
            let user = format!(r#"{{"role":"user","content":"{user}"}}"#);
            Content::Messages(raw(&format!("[{system},{user}]")))
        };
        let own = |system, user| of_request(&request(None, array(system, user)));
        assert_eq!(own("label", "a"), own("label", "b"));
        assert_ne!(own("label", "a"), own("sum up", "a"));
    }

    #[test]
    fn bodies_of_every_dialect_are_told_apart_by_what_they_have_in_common() {
        let chat = |system: &str, user: &str| {
            format!(
                r#"{{"model":"m","messages":[{{"role":"system","content":"{system}"}},
                {{"role":"user","content":"{user}"}}]}}"#
            )
        };
        assert_eq!(of(&chat("x", "a")), of(&chat("x", "b")));
        assert_ne!(of(&chat("x", "a")), of(&chat("y", "a")));
        for (one, same, other) in [
            (
                r#"{"model":"m","input":"a"}"#,
                r#"{"model":"m","input":"b"}"#,
                r#"{"model":"n","input":"a"}"#,
            ),
            (
                r#"{"system":"x","messages":[{"role":"user","content":"a"}]}"#,
                r#"{"system":"x","messages":[{"role":"user","content":"b"}]}"#,
                r#"{"system":"y","messages":[{"role":"user","content":"a"}]}"#,
            ),
            (
                r#"{"systemInstruction":{"parts":[{"text":"x"}]},"contents":[]}"#,
                r#"{"systemInstruction":{"parts":[{"text":"x"}]},"contents":[1]}"#,
                r#"{"systemInstruction":{"parts":[{"text":"y"}]},"contents":[]}"#,
            ),
        ] {
            assert_eq!(of(one), of(same), "{one}");
            assert_ne!(of(one), of(other), "{one}");
        }
    }
}
