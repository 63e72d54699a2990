//! Messages and tools in neutral terms: what every dialect says in its own way.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::error::Error;

/// The longest name of a shape. Source: OpenAI's and Anthropic's references.
const LONGEST_NAME: usize = 64;

/// One turn of a conversation.
#[derive(Debug, Clone)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
}

impl Message {
    /// A message of one text.
    pub fn text(role: Role, text: impl Into<String>) -> Message {
        Message {
            role,
            parts: vec![Part::Text(text.into())],
        }
    }
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The one who sets the rules.
    System,
    /// The one who asks.
    User,
    /// The model.
    Assistant,
}

/// A piece of a message.
#[derive(Debug, Clone)]
pub enum Part {
    /// Text.
    Text(String),
    /// A picture.
    Image(Image),
    /// A tool that the model calls; in messages of the assistant.
    ToolCall(ToolCall),
    /// What a tool gave back; in messages of the user.
    ToolResult(ToolResult),
}

/// A picture, by its bytes or by its address.
#[derive(Debug, Clone)]
pub enum Image {
    /// The file's content.
    Bytes {
        /// Such as `image/png`; requests say what the content's first bytes tell.
        media_type: String,
        /// The content; cheap to clone.
        data: Bytes,
    },
    /// An address that the provider fetches.
    Url(String),
}

/// First bytes and media types of the kinds of pictures that models see. Source: the formats'
/// specifications; WebP has four bytes of length in between.
const KINDS: [(&[u8], &str); 5] = [
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"RIFF", "image/webp"),
];

impl Image {
    /// A picture of a file's content, of the kind that its first bytes tell.
    ///
    /// # Errors
    /// When it is none of PNG, JPEG, GIF and WebP.
    pub fn from_bytes(data: impl Into<Bytes>) -> Result<Image, Error> {
        let data = data.into();
        match Image::media_type_of(&data) {
            Some(media_type) => Ok(Image::Bytes {
                media_type: media_type.to_owned(),
                data,
            }),
            None => Err(Error::config(
                "the data is no image of a known kind (PNG, JPEG, GIF, WebP)",
            )),
        }
    }

    /// The media type that the first bytes of a file tell; `None` when it is none of PNG, JPEG,
    /// GIF and WebP.
    pub fn media_type_of(data: &[u8]) -> Option<&'static str> {
        let (start, media_type) = KINDS.iter().find(|(start, _)| data.starts_with(start))?;
        let is_webp = data.get(8..12) == Some(b"WEBP");
        (*start != b"RIFF" || is_webp).then_some(*media_type)
    }
}

/// A model's wish to have a tool called.
#[derive(Debug, Clone)]
pub struct ToolCall {
    /// The provider's key of the call; may be empty, as Gemini gives none.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments: a JSON object.
    pub arguments: Box<RawValue>,
}

/// What a tool gave back.
#[derive(Debug, Clone)]
pub struct ToolResult {
    /// The key of the call that it belongs to.
    pub id: String,
    /// The tool's name, which Gemini needs.
    pub name: String,
    /// What it gave back, as text or JSON.
    pub content: String,
    /// Whether the tool failed.
    pub is_error: bool,
}

/// A tool that the model may call.
#[derive(Debug, Clone)]
pub struct Tool {
    /// Its name: letters, digits, `_` and `-`, 64 at the most.
    pub name: String,
    /// What it is for, in words for the model.
    pub description: Option<String>,
    /// JSON Schema of its arguments: a JSON object.
    pub parameters: Arc<RawValue>,
    /// Whether the provider is to see to it that the arguments fit the schema.
    pub strict: bool,
}

/// Which tool the model has to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// As the model sees fit; every dialect's default.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(String),
}

/// The shape that an answer has to have.
#[derive(Debug, Clone)]
pub struct AnswerSchema {
    /// A name for the shape: letters, digits, `_` and `-`, 64 at the most.
    pub name: String,
    /// The JSON Schema.
    pub schema: Arc<RawValue>,
    /// Whether OpenAI's strict mode takes the schema; without it, the schema is an aim.
    pub strict: bool,
    /// How the provider is told.
    pub mode: SchemaMode,
}

/// How a provider is told the shape of the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SchemaMode {
    /// In the dialect's own member for it.
    #[default]
    Native,
    /// In words, at the end of the system prompt: for servers without such a member.
    Prompt,
}

impl AnswerSchema {
    /// A shape, told in the dialect's own way; what is no part of a name becomes `_`.
    pub fn new(name: &str, schema: Arc<RawValue>) -> AnswerSchema {
        let known = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let name: String = name
            .chars()
            .take(LONGEST_NAME)
            .map(|c| if known(c) { c } else { '_' })
            .collect();
        AnswerSchema {
            name: if name.is_empty() {
                "answer".into()
            } else {
                name
            },
            strict: crate::schema::fits_strict_mode(&schema),
            schema,
            mode: SchemaMode::default(),
        }
    }
}
