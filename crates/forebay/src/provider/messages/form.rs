//! Tells which dialects a message as people write it is of.
//!
//! Owns the marks by which the forms differ. What bears no mark is of any form, so that an
//! endpoint's own messages pass as they are, with parts that are not known here too.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::endpoint::Dialect;
use crate::fields;
use crate::provider::json::Scalar;

/// A set of forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Forms(u8);

impl Forms {
    const ANY: Forms = Forms(0b1111);
    const CHAT: Forms = Forms(0b0001);
    const RESPONSES: Forms = Forms(0b0010);
    const ANTHROPIC: Forms = Forms(0b0100);
    const GEMINI: Forms = Forms(0b1000);

    fn and(self, other: Forms) -> Forms {
        Forms(self.0 & other.0)
    }

    fn or(self, other: Forms) -> Forms {
        Forms(self.0 | other.0)
    }

    /// Whether messages of this dialect may look so.
    pub(super) fn hold(self, dialect: Dialect) -> bool {
        let one = match dialect {
            Dialect::Chat | Dialect::Embeddings => Forms::CHAT,
            Dialect::Responses => Forms::RESPONSES,
            Dialect::Anthropic => Forms::ANTHROPIC,
            Dialect::Gemini => Forms::GEMINI,
        };
        self.and(one).0 != 0
    }
}

/// The members of a message that bear marks.
#[derive(Deserialize)]
struct Marks<'a> {
    #[serde(borrow, default)]
    role: Scalar<'a>,
    #[serde(borrow, default, rename = "type")]
    kind: Scalar<'a>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    parts: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_call_id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct PartMarks<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Scalar<'a>,
    #[serde(borrow, default)]
    thinking: Scalar<'a>,
}

/// A message's role, and the forms that it may be of.
///
/// `None` when it is not a JSON object.
pub(super) fn look(message: &RawValue) -> Option<(bool, Forms)> {
    if !message.get().starts_with('{') {
        return None;
    }
    let marks: Marks<'_> = fields::decode(message).ok()?;
    let role = marks.role.text().unwrap_or_default();
    let is_system = role == "system" || role == "developer";
    let mut forms = match role {
        "model" => Forms::GEMINI,
        "tool" | "function" => Forms::CHAT,
        // Anthropic's are lifted out of the messages.
        "system" | "developer" => Forms::ANY.and(Forms(!Forms::GEMINI.0)),
        _ => Forms::ANY,
    };
    if marks.parts.is_some() {
        forms = forms.and(Forms::GEMINI);
    }
    let of_chat = [marks.tool_calls, marks.function_call, marks.tool_call_id];
    if of_chat.iter().any(Option::is_some) {
        forms = forms.and(Forms::CHAT);
    }
    if let Some(
        "message" | "function_call" | "function_call_output" | "reasoning" | "item_reference",
    ) = marks.kind.text()
    {
        forms = forms.and(Forms::RESPONSES);
    }
    if let Some(content) = marks.content {
        forms = forms.and(Forms(!Forms::GEMINI.0)).and(of_content(content));
    }
    Some((is_system, forms))
}

fn of_content(content: &RawValue) -> Forms {
    if !content.get().starts_with('[') {
        return Forms::ANY;
    }
    let parts: Vec<&RawValue> = fields::decode(content).unwrap_or_default();
    let marks = parts.into_iter().filter_map(|part| {
        let is_object = part.get().starts_with('{');
        is_object.then(|| fields::decode::<PartMarks<'_>>(part).ok())?
    });
    marks.fold(Forms::ANY, |forms, part| forms.and(of_part(&part)))
}

fn of_part(part: &PartMarks<'_>) -> Forms {
    match part.kind.text().unwrap_or_default() {
        "text" => Forms::CHAT.or(Forms::ANTHROPIC),
        "image_url" | "input_audio" | "file" => Forms::CHAT,
        "refusal" => Forms::CHAT.or(Forms::RESPONSES),
        "input_text" | "output_text" | "input_image" | "input_file" => Forms::RESPONSES,
        "image" | "tool_use" | "tool_result" | "document" | "redacted_thinking" => Forms::ANTHROPIC,
        // Mistral's chat completions have parts of this type too, with a list in them.
        "thinking" if part.thinking.text().is_some() => Forms::ANTHROPIC,
        _ => Forms::ANY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_show_their_form() {
        let all = [
            Dialect::Chat,
            Dialect::Responses,
            Dialect::Anthropic,
            Dialect::Gemini,
        ];
        for (json, of) in [
            (r#"{"role":"user"}"#, &all[..]),
            (r#"{"role":"user","content":"x"}"#, &all[..3]),
            (r#"{"role":"system","content":"x"}"#, &all[..3]),
            (r#"{"role":"user","parts":[{"text":"x"}]}"#, &all[3..]),
            (r#"{"role":"model","parts":[]}"#, &all[3..]),
            (r#"{"role":"system","parts":[]}"#, &[]),
            (
                r#"{"role":"tool","tool_call_id":"a","content":"x"}"#,
                &all[..1],
            ),
            (
                r#"{"role":"assistant","content":null,"tool_calls":[]}"#,
                &all[..1],
            ),
            (
                r#"{"role":"assistant","content":"x","tool_calls":null}"#,
                &all[..3],
            ),
            (r#"{"type":"function_call","name":"f"}"#, &all[1..2]),
            (
                r#"{"content":[{"type":"text","text":"x"}]}"#,
                &[all[0], all[2]],
            ),
            (r#"{"content":[{"type":"input_text"}]}"#, &all[1..2]),
            (r#"{"content":[{"type":"image_url"}]}"#, &all[..1]),
            (
                r#"{"content":[{"type":"text"},{"type":"image"}]}"#,
                &all[2..3],
            ),
            (
                r#"{"content":[{"type":"image"},{"type":"image_url"}]}"#,
                &[],
            ),
            (
                r#"{"content":[{"type":"thinking","thinking":"x"}]}"#,
                &all[2..3],
            ),
            (
                r#"{"content":[{"type":"thinking","thinking":[]}]}"#,
                &all[..3],
            ),
            (r#"{"content":[{"type":"video_url"},1,"x"]}"#, &all[..3]),
            (r#"{"content":[1.0]}"#, &all[..3]),
        ] {
            let raw = RawValue::from_string(json.to_owned()).unwrap();
            let (_, forms) = look(&raw).unwrap();
            let found: Vec<_> = all.into_iter().filter(|d| forms.hold(*d)).collect();
            assert_eq!(found, of, "{json}");
        }
    }
}
